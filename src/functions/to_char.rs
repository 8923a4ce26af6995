//! `to_char(value, pattern)`: PostgreSQL's patterns (`YYYY-MM-DD`, `9,990.00`); a pattern with a `%` is one of strftime.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::datetime::to_char as strftime;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::date_pattern::{Clock, DatePattern};
use super::function_doc::FunctionDoc;
use super::number_pattern::NumberPattern;
use super::rows::evaluate;
use crate::Error;
use crate::time::Zone;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "to_char",
    kind: "scalar",
    signature: "to_char(value, pattern)",
    description: "A time, day or number as text, by PostgreSQL's patterns: 'YYYY-MM-DD HH24:MI:SS', 'FMMonth', 'IYYY-IW', \
'FM999,990.00'. A pattern with a % is one of strftime: '%Y-%m-%d'.",
    example: "SELECT to_char(date '2026-09-01', 'FMDay, DD Mon YYYY')",
};

pub(super) fn udf() -> ScalarUDF {
    // DataFusion's has another name beside, which would bring it back
    let aliases = vec!["date_format".to_string()];
    ScalarUDF::new_from_impl(ToChar { signature: Signature::any(2, Volatility::Immutable), aliases })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct ToChar {
    signature: Signature,
    aliases: Vec<String>,
}

impl ScalarUDFImpl for ToChar {
    fn name(&self) -> &str {
        "to_char"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(pattern) = args.args.get_mut(1) {
            *pattern = pattern.cast_to(&DataType::Utf8, None)?;
            if patterns(pattern)?.iter().flatten().any(|text| text.contains('%')) {
                return strftime().invoke_with_args(args);
            }
        }
        evaluate(&args.args, |rows| written(rows.array(0), &rows.text(1)?))
    }
}

/// The patterns of an argument.
fn patterns(argument: &ColumnarValue) -> Result<StringArray> {
    Ok(argument.to_array(1)?.as_string::<i32>().clone())
}

/// Each value by the pattern of its row.
fn written(values: &ArrayRef, patterns: &StringArray) -> Result<ArrayRef> {
    let mut values = values.clone();
    if let DataType::Dictionary(_, inner) = values.data_type() {
        values = cast(&values, &inner.as_ref().clone())?;
    }
    let texts = match values.data_type() {
        DataType::Null => StringArray::new_null(values.len()),
        DataType::Timestamp(_, zone) => {
            let zone = zone_of_type(zone.as_deref())?;
            // the instant stays as it is: only its type is another
            let of_zone = zone.as_ref().map(|_| "UTC".into());
            let micros = cast(&values, &DataType::Timestamp(TimeUnit::Microsecond, of_zone))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>().clone();
            by_dates(patterns, values.as_ref(), |row| {
                let utc = DateTime::from_timestamp_micros(micros.value(row))?.naive_utc();
                Some(match &zone {
                    None => Clock::at(utc),
                    Some(zone) => {
                        let (seconds, name) = zone.offset(micros.value(row))?;
                        let clock = utc.checked_add_signed(TimeDelta::seconds(seconds.into()))?;
                        Clock::zoned(clock, seconds, &name)
                    }
                })
            })?
        }
        DataType::Date32 | DataType::Date64 => {
            let days = cast(&cast(&values, &DataType::Date32)?, &DataType::Int32)?;
            let days = days.as_primitive::<arrow::datatypes::Int32Type>().clone();
            by_dates(patterns, values.as_ref(), |row| {
                Some(Clock::at(NaiveDate::from_epoch_days(days.value(row))?.and_time(NaiveTime::MIN)))
            })?
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = cast(&values, &DataType::Time64(TimeUnit::Microsecond))?;
            let micros = micros.as_primitive::<Time64MicrosecondType>().clone();
            by_dates(patterns, values.as_ref(), |row| Some(Clock::of_day(micros.value(row))))?
        }
        number if number.is_numeric() => {
            let digits = cast(&values, &DataType::Utf8)?;
            let digits = digits.as_string::<i32>().clone();
            each(patterns, values.as_ref(), NumberPattern::read, |pattern, row| pattern.write(digits.value(row)))?
        }
        other => {
            return Err(DataFusionError::Execution(format!(
                "to_char takes a time, a day or a number, not {other}; CAST it first"
            )));
        }
    };
    Ok(Arc::new(texts))
}

/// The zone that a type names.
pub(super) fn zone_of_type(name: Option<&str>) -> Result<Option<Zone>> {
    Ok(name.map(Zone::of_type).transpose().map_err(Error::query)?)
}

fn by_dates(patterns: &StringArray, values: &dyn Array, clock: impl Fn(usize) -> Option<Clock>) -> Result<StringArray> {
    each(patterns, values, DatePattern::read, |pattern, row| match clock(row) {
        Some(clock) => pattern.write(&clock),
        None => Err("this time is out of range".to_string()),
    })
}

/// Each row by its pattern, which is read anew only where it changes; NULL where one of both is.
fn each<P>(
    patterns: &StringArray,
    values: &dyn Array,
    read: impl Fn(&str) -> Result<P, String>,
    write: impl Fn(&P, usize) -> Result<String, String>,
) -> Result<StringArray> {
    let failed = |message: String| DataFusionError::Execution(format!("to_char: {message}"));
    let mut last: Option<(&str, P)> = None;
    let mut texts = Vec::with_capacity(values.len());
    for row in 0..values.len() {
        if patterns.is_null(row) || values.is_null(row) {
            texts.push(None);
            continue;
        }
        let text = patterns.value(row);
        let pattern = match last.take() {
            Some((known, pattern)) if known == text => pattern,
            _ => read(text).map_err(failed)?,
        };
        texts.push(Some(write(&pattern, row).map_err(failed)?));
        last = Some((text, pattern));
    }
    Ok(texts.into_iter().collect())
}
