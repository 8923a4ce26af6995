//! `date_trunc(field, time)`: also the begin of a decade, a century and a millennium; and `date_trunc(field, instant, zone)`, by the
//! clock of that zone. All else is DataFusion's.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature,
};
use datafusion::scalar::ScalarValue;

use super::rows::evaluate;
use super::to_char::zone_of_type;
use crate::Error;
use crate::columns::timestamp;
use crate::error::StatementFault;
use crate::time::{Zone, from_local};

/// Microseconds of a second, and of a day.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// DataFusion's function with all of PostgreSQL's fields, and a zone.
pub(super) fn udf() -> ScalarUDF {
    let function = datafusion::functions::datetime::date_trunc();
    let Signature { type_signature, volatility, .. } = function.signature().clone();
    let mut forms = match type_signature {
        TypeSignature::OneOf(forms) => forms,
        form => vec![form],
    };
    forms.push(TypeSignature::UserDefined);
    let signature = Signature::one_of(forms, volatility);
    ScalarUDF::new_from_impl(DateTrunc { function, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct DateTrunc {
    function: Arc<ScalarUDF>,
    /// The function's own types, and those with a zone.
    signature: Signature,
}

/// The name of a field that PostgreSQL has other names for, such as `months`.
fn plain_name(field: &str) -> Option<&'static str> {
    Some(match field.to_lowercase().as_str() {
        "us" | "usec" | "usecs" | "microseconds" => "microsecond",
        "ms" | "msec" | "msecs" | "milliseconds" => "millisecond",
        "s" | "sec" | "secs" | "seconds" => "second",
        "m" | "min" | "mins" | "minutes" => "minute",
        "h" | "hr" | "hrs" | "hours" => "hour",
        "d" | "days" => "day",
        "w" | "weeks" => "week",
        "mon" | "mons" | "months" => "month",
        "qtr" => "quarter",
        "y" | "yr" | "yrs" | "years" => "year",
        _ => return None,
    })
}

/// Fields of several years.
#[derive(Clone, Copy)]
enum Years {
    Decade,
    Century,
    Millennium,
}

impl Years {
    fn of(field: &str) -> Option<Self> {
        Some(match field.to_lowercase().as_str() {
            "decade" | "decades" => Self::Decade,
            "century" | "centuries" => Self::Century,
            "millennium" | "millennia" => Self::Millennium,
            _ => return None,
        })
    }

    /// The first of them in which a year is. Centuries begin with the year 1.
    fn first(self, year: i32) -> i32 {
        let from_one = |each: i32| (year - 1).div_euclid(each) * each + 1;
        match self {
            Self::Decade => year.div_euclid(10) * 10,
            Self::Century => from_one(100),
            Self::Millennium => from_one(1000),
        }
    }

    /// Their begin by the clock of the values' zone.
    fn begins(self, values: &ArrayRef) -> Result<ArrayRef> {
        let DataType::Timestamp(_, zone) = values.data_type() else {
            let message = format!("date_trunc cannot take {}; CAST it to a TIMESTAMP", values.data_type());
            return Err(Error::query(message).into());
        };
        let clock = zone_of_type(zone.as_deref())?;
        let micros = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
        let begin = |micros: i64| {
            let ahead = match &clock {
                Some(clock) => i64::from(clock.offset(micros)?.0),
                None => 0,
            };
            let year = DateTime::from_timestamp_micros(micros.checked_add(ahead * SECOND)?)?.year();
            let shown = i64::from(NaiveDate::from_ymd_opt(self.first(year), 1, 1)?.to_epoch_days()) * DAY;
            match clock {
                None => Some(shown),
                Some(zone) => from_local(shown, zone),
            }
        };
        let begins: TimestampMicrosecondArray = micros.as_primitive::<TimestampMicrosecondType>().unary_opt(begin);
        let begins = cast(&begins.with_timezone_opt(zone.clone()), values.data_type())?;
        if begins.null_count() > values.null_count() {
            // of nanoseconds 64 bits reach from 1677 to 2262
            let message = "date_trunc: such a begin is not kept here; CAST the day to a TIMESTAMP first";
            return Err(Error::query(message).of_fault(StatementFault::TimeRange).into());
        }
        Ok(begins)
    }
}

impl DateTrunc {
    /// The begin of a field by the clock of the values' zone.
    fn begins(&self, field: &ScalarValue, values: &ArrayRef, args: &ScalarFunctionArgs) -> Result<ArrayRef> {
        if let Some(years) = field.try_as_str().flatten().and_then(Years::of) {
            return years.begins(values);
        }
        let returns = Arc::new(Field::new(self.name(), values.data_type().clone(), true));
        let found = self.function.invoke_with_args(ScalarFunctionArgs {
            args: vec![ColumnarValue::Scalar(field.clone()), ColumnarValue::Array(values.clone())],
            arg_fields: vec![args.arg_fields[0].clone(), returns.clone()],
            number_rows: values.len(),
            return_field: returns,
            config_options: args.config_options.clone(),
        })?;
        found.to_array(values.len())
    }

    /// The same by the clock of a zone.
    fn begins_in(&self, field: &ScalarValue, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (ColumnarValue::Scalar(zone), Some(value)) = (&args.args[2], args.args.get(1)) else {
            return Err(Error::query("date_trunc takes one zone for all rows, such as 'Europe/Berlin'").into());
        };
        let Some(zone) = zone.try_as_str().flatten() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from(&value.data_type())?));
        };
        let unknown = |why: String| Error::query(format!("date_trunc: {why}")).of_fault(StatementFault::Argument);
        let zone = Zone::of_text(zone).map_err(unknown)?;
        evaluate(std::slice::from_ref(value), |rows| {
            let values = rows.array(0);
            let DataType::Timestamp(unit, _) = values.data_type() else { return Ok(values.clone()) };
            let shown = cast(values, &DataType::Timestamp(*unit, Some(zone.type_name().into())))?;
            Ok(cast(&self.begins(field, &shown, args)?, values.data_type())?)
        })
    }
}

impl ScalarUDFImpl for DateTrunc {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        use DataType::{Null, Timestamp, Utf8, Utf8View};
        match arguments {
            [_, instant @ Timestamp(_, Some(_)), _] => Ok(vec![Utf8, instant.clone(), Utf8]),
            [_, Utf8 | Utf8View | Null, _] => Ok(vec![Utf8, timestamp(), Utf8]),
            [_, Timestamp(..), _] => {
                let message = "date_trunc with a zone takes an instant: CAST(time AS TIMESTAMPTZ)";
                Err(Error::query(message).into())
            }
            _ => Err(DataFusionError::Plan("date_trunc takes a field, a time, and a zone or none".into())),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [_, time, _] => Ok(Arc::new(Field::new(self.name(), time.data_type().clone(), true))),
            _ => self.function.return_field_from_args(args),
        }
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(ColumnarValue::Scalar(field)) = args.args.first_mut()
            && let Some(name) = field.try_as_str().flatten().and_then(plain_name)
        {
            *field = ScalarValue::from(name);
        }
        match args.args.as_slice() {
            [ColumnarValue::Scalar(field), _, _] => self.begins_in(field, &args),
            [ColumnarValue::Scalar(field), value]
                if let Some(years) = field.try_as_str().flatten().and_then(Years::of) =>
            {
                evaluate(std::slice::from_ref(value), |rows| years.begins(rows.array(0)))
            }
            [_, _, _] => Err(Error::query("date_trunc takes one field for all rows, such as 'day'").into()),
            _ => self.function.invoke_with_args(args),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        match inputs {
            [_, _] => self.function.output_ordering(inputs),
            _ => Ok(SortProperties::Unordered),
        }
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::prelude::SessionContext;

    use super::*;

    /// As PostgreSQL 15 answers.
    #[test]
    fn years_begin() {
        for (years, year, first) in [
            (Years::Decade, 2026, 2020),
            (Years::Decade, 5, 0),
            (Years::Decade, -1, -10),
            (Years::Century, 2000, 1901),
            (Years::Century, 2001, 2001),
            (Years::Century, 0, -99),
            (Years::Millennium, 2026, 2001),
        ] {
            assert_eq!(years.first(year), first, "{year}");
        }
    }

    #[tokio::test]
    async fn begins_by_the_clock_of_a_zone() {
        let context = SessionContext::new();
        context.register_udf(udf());
        let asked = async |sql: &str| {
            let rows = context.sql(&format!("SELECT CAST({sql} AS VARCHAR)")).await?.collect().await?;
            ScalarValue::try_from_array(rows[0].column(0), 0).map(|value| value.to_string())
        };
        let instant = "arrow_cast('2026-01-01T23:30:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))')";
        for (sql, expected) in [
            (format!("date_trunc('day', {instant}, 'Europe/Berlin')"), "2026-01-01T23:00:00Z"),
            (format!("date_trunc('century', {instant}, 'Europe/Berlin')"), "2000-12-31T23:00:00Z"),
            (format!("date_trunc('day', {instant})"), "2026-01-01T00:00:00Z"),
            ("date_trunc('decade', TIMESTAMP '2026-05-01')".to_string(), "2020-01-01T00:00:00"),
            ("date_trunc('Months', TIMESTAMP '2026-05-03 01:00:00')".to_string(), "2026-05-01T00:00:00"),
            (format!("date_trunc('day', {instant}, NULL)"), "NULL"),
        ] {
            assert_eq!(asked(&sql).await.unwrap(), expected, "{sql}");
        }
        for sql in [
            format!("date_trunc('day', {instant}, 'nowhere')"),
            "date_trunc('day', TIMESTAMP '2026-05-01', 'Europe/Berlin')".to_string(),
            "date_trunc('millennium', DATE '1999-05-01')".to_string(),
        ] {
            assert!(asked(&sql).await.is_err(), "{sql}");
        }
    }
}
