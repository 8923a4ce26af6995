//! `date_part(field, time)`, which is `extract(field FROM time)`: all of PostgreSQL's fields, of seconds with their fraction.
//!
//! DataFusion's gives whole numbers, and knows fewer. What it does right stays its own, so that a year in a condition still becomes a
//! span of times.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int32Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, FieldRef, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, TimeUnit,
    TimestampMicrosecondType,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use datafusion::scalar::ScalarValue;

use super::rows::evaluate;
use super::spans::spans;
use super::to_char::zone_of_type;
use crate::Error;

/// Microseconds of a second.
const SECOND: f64 = 1e6;
/// Seconds of a day, and of a year where an interval is told in seconds.
const DAY: f64 = 86_400.0;
const YEAR: f64 = 365.25 * DAY;
/// The Julian day of 1970.
const JULIAN_1970: f64 = 2_440_588.0;

/// DataFusion's function with all of PostgreSQL's fields.
pub fn date_part() -> ScalarUDF {
    ScalarUDF::new_from_impl(DatePart { function: datafusion::functions::datetime::date_part() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DatePart {
    function: Arc<ScalarUDF>,
}

/// A field that is computed here.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Seconds of the minute, so many a second.
    Seconds(f64),
    Epoch,
    Julian,
    Quarter,
    /// Years, so many of them.
    Decade,
    Century,
    Millennium,
    /// How far the zone is ahead of UTC.
    Timezone,
    TimezoneHour,
    TimezoneMinute,
}

impl Part {
    /// None for a field that DataFusion computes of this type.
    fn of(name: &str, of: &DataType) -> Option<Self> {
        let is_span = matches!(of, DataType::Interval(_) | DataType::Duration(_));
        Some(match name.trim_matches(['\'', '"']).to_lowercase().as_str() {
            "second" | "seconds" | "sec" | "secs" | "s" => Self::Seconds(1.0),
            "millisecond" | "milliseconds" | "msec" | "msecs" | "msecond" | "mseconds" | "ms" => Self::Seconds(1e3),
            "epoch" if is_span => Self::Epoch,
            "quarter" | "qtr" if is_span => Self::Quarter,
            "julian" | "jd" | "j" => Self::Julian,
            "decade" | "decades" | "dec" | "decs" => Self::Decade,
            "century" | "centuries" | "cent" | "c" => Self::Century,
            "millennium" | "millenium" | "millennia" | "mil" | "mils" => Self::Millennium,
            "timezone" => Self::Timezone,
            "timezone_hour" => Self::TimezoneHour,
            "timezone_minute" => Self::TimezoneMinute,
            _ => return None,
        })
    }

    fn returns(self) -> DataType {
        match self {
            Self::Seconds(_) | Self::Epoch | Self::Julian => DataType::Float64,
            _ => DataType::Int32,
        }
    }
}

impl DatePart {
    /// A field that DataFusion computes.
    fn whole(&self, field: &str, values: &ArrayRef, args: &ScalarFunctionArgs) -> Result<Int32Array> {
        let field_type = Arc::new(Field::new(self.name(), DataType::Int32, true));
        let field = ColumnarValue::Scalar(ScalarValue::from(field));
        let found = self.function.invoke_with_args(ScalarFunctionArgs {
            args: vec![field, ColumnarValue::Array(values.clone())],
            arg_fields: args.arg_fields.clone(),
            number_rows: values.len(),
            return_field: field_type,
            config_options: args.config_options.clone(),
        })?;
        Ok(found.to_array(values.len())?.as_primitive::<Int32Type>().clone())
    }

    fn part(&self, part: Part, values: &ArrayRef, args: &ScalarFunctionArgs) -> Result<ArrayRef> {
        let is_span = matches!(values.data_type(), DataType::Interval(_));
        let years = |one: fn(i32) -> i32, of_span: i32| -> Result<ArrayRef> {
            let years = self.whole("year", values, args)?;
            Ok(match is_span {
                true => Arc::new(years.unary::<_, Int32Type>(|year| year / of_span)),
                false => Arc::new(years.unary::<_, Int32Type>(one)),
            })
        };
        Ok(match part {
            Part::Seconds(each) => {
                let whole = self.whole("second", values, args)?;
                let parts = micros_of_second(values)?;
                let found = whole.iter().zip(parts.iter());
                let found = found.map(|(whole, micros)| Some((f64::from(whole?) * SECOND + micros?) / (SECOND / each)));
                Arc::new(found.collect::<Float64Array>())
            }
            Part::Epoch => Arc::new(spans(values)?.unary::<_, Float64Type>(seconds)),
            Part::Quarter => Arc::new(self.whole("month", values, args)?.unary::<_, Int32Type>(|month| month / 3 + 1)),
            Part::Decade => years(decade, 10)?,
            Part::Century => years(|year| counted(year, 100), 100)?,
            Part::Millennium => years(|year| counted(year, 1000), 1000)?,
            Part::Julian => Arc::new(julian(values)?),
            Part::Timezone => Arc::new(ahead(values)?),
            Part::TimezoneHour => Arc::new(ahead(values)?.unary::<_, Int32Type>(|seconds| seconds / 3_600)),
            Part::TimezoneMinute => Arc::new(ahead(values)?.unary::<_, Int32Type>(|seconds| seconds / 60 % 60)),
        })
    }
}

/// The years that a decade begins with, by tens; before our era they are counted backwards.
fn decade(year: i32) -> i32 {
    year.div_euclid(10)
}

/// Which hundred or thousand of years a year is of; there is no year 0 between them.
fn counted(year: i32, each: i32) -> i32 {
    if year > 0 { (year + each - 1) / each } else { -((each - 1 - (year - 1)) / each) }
}

/// What a second has gone on, in microseconds.
fn micros_of_second(values: &ArrayRef) -> Result<Float64Array> {
    let within = |micros: i64| micros.rem_euclid(1_000_000) as f64;
    Ok(match values.data_type() {
        DataType::Timestamp(_, zone) => {
            let micros = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            micros.as_primitive::<TimestampMicrosecondType>().unary(within)
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = cast(&cast(values, &DataType::Time64(TimeUnit::Microsecond))?, &DataType::Int64)?;
            micros.as_primitive::<Int64Type>().unary(within)
        }
        // both of the sign that the whole seconds have
        DataType::Interval(_) => spans(values)?.unary(|span| (span.nanoseconds / 1_000 % 1_000_000) as f64),
        _ => cast(&cast(values, &DataType::Date32)?, &DataType::Int32)?.as_primitive::<Int32Type>().unary(|_| 0.0),
    })
}

/// An interval in seconds: a year has 365.25 days there, a month 30.
fn seconds(span: IntervalMonthDayNano) -> f64 {
    let (years, months) = (f64::from(span.months / 12), f64::from(span.months % 12));
    let days = months * 30.0 + f64::from(span.days);
    years * YEAR + days * DAY + (span.nanoseconds / 1_000) as f64 / SECOND
}

/// Days since the begin of the Julian calendar, with their fraction.
fn julian(values: &ArrayRef) -> Result<Float64Array> {
    Ok(match values.data_type() {
        DataType::Date32 | DataType::Date64 => {
            let days = cast(&cast(values, &DataType::Date32)?, &DataType::Int32)?;
            days.as_primitive::<Int32Type>().unary(|day| f64::from(day) + JULIAN_1970)
        }
        DataType::Timestamp(_, zone) => {
            let zone = zone_of_type(zone.as_deref())?;
            let of_zone = zone.as_ref().map(|_| "UTC".into());
            let micros = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, of_zone))?;
            let day = |micros: i64| {
                let ahead = match &zone {
                    Some(zone) => f64::from(zone.offset(micros)?.0),
                    None => 0.0,
                };
                Some((micros as f64 / SECOND + ahead) / DAY + JULIAN_1970)
            };
            micros.as_primitive::<TimestampMicrosecondType>().unary_opt(day)
        }
        other => return Err(has_none("julian", other)),
    })
}

/// Seconds that the zone of instants is ahead of UTC.
fn ahead(values: &ArrayRef) -> Result<Int32Array> {
    let DataType::Timestamp(_, zone) = values.data_type() else {
        return Err(has_none("timezone", values.data_type()));
    };
    let Some(zone) = zone_of_type(zone.as_deref())? else {
        return Err(has_none("timezone", values.data_type()));
    };
    let micros = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))?;
    let ahead = |micros: i64| Some(zone.offset(micros)?.0);
    Ok(micros.as_primitive::<TimestampMicrosecondType>().unary_opt(ahead))
}

fn has_none(field: &str, of: &DataType) -> DataFusionError {
    Error::query(format!("a value of the type {of} has no {field}; CAST it first")).into()
}

impl ScalarUDFImpl for DatePart {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let name = args.scalar_arguments.first().and_then(|value| value.as_ref()?.try_as_str().flatten());
        match (name, args.arg_fields) {
            (Some(name), [_, of]) if let Some(part) = Part::of(name, of.data_type()) => {
                Ok(Arc::new(Field::new(self.name(), part.returns(), of.is_nullable())))
            }
            _ => self.function.return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(value) = args.args.get_mut(1)
            && matches!(value.data_type(), DataType::Duration(_))
        {
            // it has days, and the hours that are no day
            *value = evaluate(std::slice::from_ref(value), |rows| Ok(Arc::new(spans(rows.array(0))?)))?;
        }
        let part = match args.args.as_slice() {
            [ColumnarValue::Scalar(name), value] => {
                name.try_as_str().flatten().and_then(|name| Part::of(name, &value.data_type()))
            }
            _ => None,
        };
        match part {
            Some(part) => evaluate(&args.args[1..], |rows| self.part(part, rows.array(0), &args)),
            None => self.function.invoke_with_args(args),
        }
    }

    fn preimage(&self, args: &[Expr], value: &Expr, context: &SimplifyContext) -> Result<PreimageResult> {
        self.function.preimage(args, value, context)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Array, Date32Array, DurationMicrosecondArray, IntervalMonthDayNanoArray};
    use arrow::array::{Time64MicrosecondArray, TimestampMicrosecondArray};
    use datafusion::common::config::ConfigOptions;

    use super::*;

    fn found(field: &str, values: impl Array + 'static) -> String {
        let function = date_part();
        let values: ArrayRef = Arc::new(values);
        let types = [DataType::Utf8, values.data_type().clone()];
        let arg_fields: Vec<FieldRef> =
            types.iter().map(|data_type| Arc::new(Field::new("a", data_type.clone(), true))).collect();
        let name = ScalarValue::from(field);
        let returns = function.return_field_from_args(ReturnFieldArgs {
            arg_fields: &arg_fields,
            scalar_arguments: &[Some(&name), None],
        });
        let return_field = returns.unwrap();
        let found = function.invoke_with_args(ScalarFunctionArgs {
            args: vec![ColumnarValue::Scalar(name.clone()), ColumnarValue::Array(values)],
            arg_fields: arg_fields.clone(),
            number_rows: 1,
            return_field: return_field.clone(),
            config_options: Arc::new(ConfigOptions::default()),
        });
        let found = match found {
            Ok(found) => found.to_array(1).unwrap(),
            Err(error) => return error.to_string(),
        };
        assert_eq!(found.data_type(), return_field.data_type(), "{field}");
        ScalarValue::try_from_array(&found, 0).unwrap().to_string()
    }

    /// As PostgreSQL 15 answers.
    #[test]
    fn fields_of_times_and_lengths() {
        // 2026-01-31 12:34:56.789
        let micros = 1_769_862_896_789_000;
        let time = || TimestampMicrosecondArray::from(vec![micros]);
        let zoned = || time().with_timezone("Asia/Kolkata");
        let span =
            |months, days, nanos| IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(months, days, nanos)]);
        let days = |days| Date32Array::from(vec![days]);
        assert_eq!(found("second", time()), "56.789");
        assert_eq!(found("milliseconds", time()), "56789");
        assert_eq!(found("SECOND", zoned()), "56.789");
        assert_eq!(found("second", days(0)), "0");
        assert_eq!(found("second", Time64MicrosecondArray::from(vec![45_296_500_000])), "56.5");
        assert_eq!(found("second", span(0, 0, -62_250_000_000)), "-2.25");
        assert_eq!(found("epoch", span(12, 0, 0)), "31557600");
        assert_eq!(found("epoch", span(1, 1, 1_500_000_000)), "2678401.5");
        assert_eq!(found("quarter", span(5, 0, 0)), "2");
        assert_eq!((found("decade", span(300, 0, 0)), found("century", span(3000, 0, 0))), ("2".into(), "2".into()));
        assert_eq!((found("decade", time()), found("century", time())), ("202".into(), "21".into()));
        assert_eq!(found("millennium", days(20_000)), "3");
        assert_eq!(found("julian", days(20_574)), "2461162");
        assert_eq!((found("timezone", zoned()), found("timezone_hour", zoned())), ("19800".into(), "5".into()));
        assert_eq!(found("timezone_minute", zoned()), "30");
        assert!(found("timezone", time()).contains("has no timezone"));
        assert_eq!(found("year", time()), "2026");
        // a difference of two times has days, and hours of less than one
        let difference = || DurationMicrosecondArray::from(vec![26 * 3_600_000_000_i64]);
        assert_eq!((found("day", difference()), found("hour", difference())), ("1".into(), "2".into()));
        assert_eq!(found("epoch", difference()), "93600");
    }

    #[test]
    fn years_before_our_era() {
        assert_eq!((counted(2000, 100), counted(2001, 100), counted(0, 100), counted(-100, 100)), (20, 21, -1, -2));
        assert_eq!((decade(2026), decade(-1), decade(9)), (202, -1, 0));
    }
}
