//! What a cast of a text to a time or an interval is: PostgreSQL's reading of it. Made for a plan, it has no name in SQL.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{ArrayRef, Int64Array, IntervalMonthDayNanoArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use chrono::{LocalResult, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::function_spec::FunctionSpec;
use super::rows::evaluate;
use crate::Error;
use crate::error::StatementFault;
use crate::time::{TimeText, Unit, Unread, ZoneText, read_interval, read_time};

/// Nanoseconds of a second.
const SECOND: i128 = 1_000_000_000;
/// Nanoseconds of a day.
const DAY: i128 = 86_400 * SECOND;

/// True for the types that [`as_time`] gives.
pub fn is_time(data_type: &DataType) -> bool {
    use DataType::{Date32, Date64, Interval, Time32, Time64, Timestamp};
    matches!(data_type, Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..) | Interval(IntervalUnit::MonthDayNano))
}

/// The function that reads a text as a type of which [`is_time`] is true. One that `tries` gives NULL for what is none.
pub fn as_time(returns: &DataType, tries: bool) -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
    ScalarUDF::new_from_impl(AsTime { signature, returns: returns.clone(), tries })
}

/// A text as a value of such a type.
///
/// # Errors
/// It is none.
pub fn time_of(text: &str, wanted: &DataType) -> crate::Result<ScalarValue> {
    let read = AsTime { signature: Signature::any(1, Volatility::Immutable), returns: wanted.clone(), tries: false };
    Ok(ScalarValue::try_from_array(&read.read(&StringArray::from(vec![text]))?, 0)?)
}

/// What is wrong about a text that is no such time or interval.
pub fn unread(text: &str, wanted: &DataType, why: Unread) -> Error {
    let shown: String = text.chars().take(40).collect();
    let (what, example) = match wanted {
        DataType::Date32 | DataType::Date64 => ("day", "2026-01-31"),
        DataType::Time32(_) | DataType::Time64(_) => ("time of day", "12:00:00"),
        DataType::Interval(_) => ("interval", "1 day 02:00:00"),
        _ => ("time", "2026-01-31 12:00:00"),
    };
    let (message, fault) = match why {
        Unread::Form => (format!("{shown:?} is no {what}; write one as {example}"), StatementFault::Time),
        Unread::Range => {
            (format!("{shown:?}: there is no such {what}, or none that is kept here"), StatementFault::TimeRange)
        }
        Unread::Endless => {
            (format!("{shown:?}: a {what} without an end is not kept here; write a far one"), StatementFault::TimeRange)
        }
        Unread::Twice => (
            format!("{shown:?}: the zone's clock shows it twice; write its offset behind it, as in {example}+02"),
            StatementFault::TimeRange,
        ),
    };
    Error::query(message).of_fault(fault)
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AsTime {
    signature: Signature,
    returns: DataType,
    tries: bool,
}

impl AsTime {
    /// What it is made of.
    pub(super) fn function_spec(&self) -> FunctionSpec {
        FunctionSpec::AsTime { returns: self.returns.to_string(), tries: self.tries }
    }

    fn read(&self, texts: &StringArray) -> Result<ArrayRef> {
        let unit = |unit: &TimeUnit| match unit {
            TimeUnit::Second => SECOND,
            TimeUnit::Millisecond => 1_000_000,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1,
        };
        let numbers = match &self.returns {
            DataType::Interval(_) => {
                let intervals = self.each(texts, |text| {
                    let found = read_interval(text, Unit::SECOND)?;
                    Ok(IntervalMonthDayNano::new(found.months, found.days, found.nanos))
                })?;
                return Ok(Arc::new(IntervalMonthDayNanoArray::from_iter(intervals)));
            }
            DataType::Date64 => self.each(texts, |text| in_units(i128::from(day_of(text)?) * DAY, 1_000_000))?,
            DataType::Time32(each) | DataType::Time64(each) => {
                let each = unit(each);
                self.each(texts, |text| {
                    let clock = i128::from(read_time(text)?.clock.ok_or(Unread::Form)?);
                    // the end of a day is no time of it here
                    if clock < DAY { in_units(clock, each) } else { Err(Unread::Range) }
                })?
            }
            DataType::Timestamp(each, zone) => {
                let (each, zone) = (unit(each), zone.as_deref().map(str::parse::<Tz>).transpose()?);
                self.each(texts, |text| in_units(instant(text, zone.as_ref())?, each))?
            }
            _ => self.each(texts, |text| Ok(i64::from(day_of(text)?)))?,
        };
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers));
        let narrow = matches!(self.returns, DataType::Date32 | DataType::Time32(_));
        let numbers = if narrow { cast(&numbers, &DataType::Int32)? } else { numbers };
        Ok(cast(&numbers, &self.returns)?)
    }

    /// Each text as it is read; NULL for NULL.
    fn each<T>(&self, texts: &StringArray, read: impl Fn(&str) -> Result<T, Unread>) -> Result<Vec<Option<T>>> {
        let one = |text: Option<&str>| match text.map(|text| (text, read(text))) {
            None => Ok(None),
            Some((_, Ok(value))) => Ok(Some(value)),
            Some((_, Err(_))) if self.tries => Ok(None),
            Some((text, Err(why))) => Err(unread(text, &self.returns, why).into()),
        };
        texts.iter().map(one).collect()
    }
}

/// Nanoseconds in units of so many, rounded.
fn in_units(nanos: i128, each: i128) -> Result<i64, Unread> {
    i64::try_from((nanos + each / 2).div_euclid(each)).map_err(|_| Unread::Range)
}

/// Days since 1970.
fn day_of(text: &str) -> Result<i32, Unread> {
    Ok(read_time(text)?.day.ok_or(Unread::Form)?.to_epoch_days())
}

/// Nanoseconds since 1970: of UTC where there is a zone, by which a text without one of its own goes; otherwise those that the
/// clock shows, in whatever zone.
fn instant(text: &str, zone: Option<&Tz>) -> Result<i128, Unread> {
    let TimeText { day, clock, zone: own } = read_time(text)?;
    let (day, clock) = (day.ok_or(Unread::Form)?, clock.unwrap_or(0));
    let ahead = match (zone, own) {
        (None, _) => 0,
        (Some(_), Some(ZoneText::Ahead(seconds))) => seconds,
        (Some(_), Some(ZoneText::Named(own))) => ahead(&own, day, clock)?,
        (Some(zone), None) => ahead(zone, day, clock)?,
    };
    Ok(i128::from(day.to_epoch_days()) * DAY + i128::from(clock) - i128::from(ahead) * SECOND)
}

/// Seconds that a zone's clock is ahead of UTC where it shows so many nanoseconds of a day.
fn ahead(zone: &impl TimeZone, day: NaiveDate, clock: i64) -> Result<i32, Unread> {
    let shown = day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::nanoseconds(clock)).ok_or(Unread::Range)?;
    match zone.offset_from_local_datetime(&shown) {
        LocalResult::Single(offset) => Ok(offset.fix().local_minus_utc()),
        LocalResult::Ambiguous(..) => Err(Unread::Twice),
        LocalResult::None => Err(Unread::Range),
    }
}

impl ScalarUDFImpl for AsTime {
    fn name(&self) -> &str {
        "as_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    // as a cast has it
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = self.tries || args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.returns.clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluate(&args.args, |rows| self.read(&rows.text(0)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shown(text: &str, wanted: &DataType) -> String {
        match time_of(text, wanted) {
            Ok(value) => value.cast_to(&DataType::Utf8).unwrap().to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn texts_as_times() {
        let clock = DataType::Timestamp(TimeUnit::Nanosecond, None);
        let berlin = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Berlin".into()));
        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        for (text, wanted, expected) in [
            ("2026-01-31 12:00", &clock, "2026-01-31T12:00:00"),
            // what has no zone does not look at one
            ("2026-01-31 12:00+02", &clock, "2026-01-31T12:00:00"),
            ("2026-07-01 12:00", &berlin, "2026-07-01T12:00:00+02:00"),
            ("2026-07-01 12:00Z", &berlin, "2026-07-01T14:00:00+02:00"),
            ("2026-07-01 12:00 Asia/Tokyo", &berlin, "2026-07-01T05:00:00+02:00"),
            ("2026-01-31 24:00", &berlin, "2026-02-01T00:00:00+01:00"),
            ("2026-01-31 12:00:00.7", &seconds, "2026-01-31T12:00:01"),
            ("Jan 31, 2026", &DataType::Date32, "2026-01-31"),
            ("2026-01-31 23:59", &DataType::Date32, "2026-01-31"),
            ("04:05 PM", &DataType::Time64(TimeUnit::Nanosecond), "16:05:00"),
            ("9999-12-31", &berlin, "9999-12-31T00:00:00+01:00"),
        ] {
            assert_eq!(shown(text, wanted), expected, "{text}");
        }
        for (text, wanted, words) in [
            ("2026-10-25 02:30", &berlin, "twice"),
            ("2026-03-29 02:30", &berlin, "no such time"),
            ("9999-12-31", &clock, "no such time"),
            ("2026-01-32", &DataType::Date32, "no such day"),
            ("12:00", &DataType::Date32, "is no day; write one as 2026-01-31"),
            ("infinity", &clock, "without an end"),
            ("24:00", &DataType::Time64(TimeUnit::Nanosecond), "no such time of day"),
        ] {
            let found = shown(text, wanted);
            assert!(found.contains(words), "{text}: {found}");
        }
    }

    #[test]
    fn what_tries_gives_null() {
        let read =
            AsTime { signature: Signature::any(1, Volatility::Immutable), returns: DataType::Date32, tries: true };
        let found = read.read(&StringArray::from(vec![Some("2026-01-31"), Some("no day"), None])).unwrap();
        assert_eq!((found.len(), found.null_count()), (3, 2));
    }
}
