//! Lengths of time: intervals, and what one time is after another, in months, days of 24 hours and the rest, as PostgreSQL has both.
//!
//! DataFusion's difference of two times has neither months nor days, and it compares intervals by months first: a month is longer
//! than 40 days to it. PostgreSQL's months have 30 days where lengths are compared.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, DurationMicrosecondType, Float64Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, TimeUnit,
};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ScalarUDF, Signature, TypeSignature, Volatility};

use super::rows::{function_of, function_of_one};
use crate::Error;
use crate::error::StatementFault;

/// An interval's type.
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// A length's type: nanoseconds, of which there are more than 64 bits count.
const LENGTH: DataType = DataType::Decimal128(38, 0);
/// Nanoseconds of a second, and of a day.
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;

/// One of each for all plans: two calls with the same arguments are the same.
static SPAN: LazyLock<ScalarUDF> =
    LazyLock::new(|| function_of_one("as_interval", INTERVAL, |values| Ok(Arc::new(spans(values)?))));
static LENGTH_OF: LazyLock<ScalarUDF> = LazyLock::new(|| {
    function_of_one("interval_length", LENGTH, |values| {
        let lengths = spans(values)?.iter().map(|span| span.map(length)).collect::<Decimal128Array>();
        Ok(Arc::new(lengths.with_data_type(LENGTH)))
    })
});
static LONGEST: LazyLock<ScalarUDF> = LazyLock::new(|| extreme("longest_interval", |one, other| one >= other));
static SHORTEST: LazyLock<ScalarUDF> = LazyLock::new(|| extreme("shortest_interval", |one, other| one <= other));
/// `nullif` of intervals: the first, but NULL where the second is as long.
static OTHER: LazyLock<ScalarUDF> = LazyLock::new(|| {
    function_of("other_interval", Signature::any(2, Volatility::Immutable), INTERVAL, |rows| {
        let (intervals, others) = (spans(rows.array(0))?, spans(rows.array(1))?);
        let of_row = |row: usize| {
            let interval = intervals.is_valid(row).then(|| intervals.value(row))?;
            let is_equal = others.is_valid(row) && length(others.value(row)) == length(interval);
            (!is_equal).then_some(interval)
        };
        Ok(Arc::new((0..rows.len).map(of_row).collect::<IntervalMonthDayNanoArray>()))
    })
});

/// All of them.
pub(super) fn udfs() -> [ScalarUDF; 9] {
    let justified = |name: &str, justify: fn(Parts) -> Parts| {
        function_of_one(name, INTERVAL, move |values| {
            let spans = spans(values)?;
            let spans = spans.iter().map(|span| span.map(|span| justify(Parts::of(span)).interval()).transpose());
            Ok(Arc::new(spans.collect::<Result<IntervalMonthDayNanoArray>>()?))
        })
    };
    [
        SPAN.clone(),
        LENGTH_OF.clone(),
        LONGEST.clone(),
        SHORTEST.clone(),
        OTHER.clone(),
        justified("justify_days", Parts::with_months),
        justified("justify_hours", Parts::with_days),
        justified("justify_interval", Parts::with_all),
        make_interval(),
    ]
}

/// The difference of two times as an interval.
pub fn as_interval(difference: Expr) -> Expr {
    SPAN.call(vec![difference])
}

/// What an interval is compared by: its nanoseconds, a month being 30 days.
pub fn interval_length(interval: Expr) -> Expr {
    LENGTH_OF.call(vec![interval])
}

/// The interval that `greatest` or `least` gives of some.
pub fn extreme_interval(is_longest: bool, intervals: Vec<Expr>) -> Expr {
    if is_longest { LONGEST.call(intervals) } else { SHORTEST.call(intervals) }
}

/// `nullif` of two intervals, each of which it has once, however deep such calls are.
pub fn other_interval(interval: Expr, other: Expr) -> Expr {
    OTHER.call(vec![interval, other])
}

/// The first of the intervals of a row whose length is before those of all others; NULL where all are.
fn extreme(name: &str, is_before: fn(i128, i128) -> bool) -> ScalarUDF {
    let signature = Signature::variadic_any(Volatility::Immutable);
    function_of(name, signature, INTERVAL, move |rows| {
        let each = (0..rows.width()).map(|i| spans(rows.array(i))).collect::<Result<Vec<_>>>()?;
        let of_row = |row: usize| {
            let present = each.iter().filter(|spans| spans.is_valid(row)).map(|spans| spans.value(row));
            present.reduce(|one, other| if is_before(length(one), length(other)) { one } else { other })
        };
        Ok(Arc::new((0..rows.len).map(of_row).collect::<IntervalMonthDayNanoArray>()))
    })
}

/// Intervals, and differences of times as such: days of 24 hours, and the rest.
///
/// # Errors
/// The values are of another type.
pub fn spans(values: &ArrayRef) -> Result<IntervalMonthDayNanoArray> {
    if let DataType::Duration(_) = values.data_type() {
        // of nanoseconds 64 bits count 292 years
        let micros = cast(values, &DataType::Duration(TimeUnit::Microsecond))?;
        let micros = micros.as_primitive::<DurationMicrosecondType>();
        let span = |micros: i64| {
            let (days, rest) = (micros / (DAY / 1_000), micros % (DAY / 1_000));
            IntervalMonthDayNano::new(0, days as i32, rest * 1_000)
        };
        return Ok(micros.iter().map(|value| value.map(span)).collect());
    }
    Ok(cast(values, &INTERVAL)?.as_primitive::<IntervalMonthDayNanoType>().clone())
}

/// Nanoseconds, a month being 30 days.
pub(super) fn length(span: IntervalMonthDayNano) -> i128 {
    (i128::from(span.months) * 30 + i128::from(span.days)) * i128::from(DAY) + i128::from(span.nanoseconds)
}

/// What is said of an interval that is not kept here.
pub(super) fn too_long() -> datafusion::error::DataFusionError {
    Error::query("the interval is too long").of_fault(StatementFault::TimeRange).into()
}

/// An interval's parts, while days become months and hours days (`interval_justify_interval` of PostgreSQL's `timestamp.c`).
#[derive(Clone, Copy)]
struct Parts {
    months: i64,
    days: i64,
    nanos: i64,
}

impl Parts {
    fn of(span: IntervalMonthDayNano) -> Self {
        Self { months: span.months.into(), days: span.days.into(), nanos: span.nanoseconds }
    }

    fn interval(self) -> Result<IntervalMonthDayNano> {
        match (i32::try_from(self.months), i32::try_from(self.days)) {
            (Ok(months), Ok(days)) => Ok(IntervalMonthDayNano::new(months, days, self.nanos)),
            _ => Err(too_long()),
        }
    }

    /// 30 days become a month.
    fn with_months(mut self) -> Self {
        self.months += self.days / 30;
        self.days %= 30;
        if self.months > 0 && self.days < 0 {
            self.days += 30;
            self.months -= 1;
        } else if self.months < 0 && self.days > 0 {
            self.days -= 30;
            self.months += 1;
        }
        self
    }

    /// 24 hours become a day.
    fn with_days(mut self) -> Self {
        self.days += self.nanos / DAY;
        self.nanos %= DAY;
        if self.days > 0 && self.nanos < 0 {
            self.nanos += DAY;
            self.days -= 1;
        } else if self.days < 0 && self.nanos > 0 {
            self.nanos -= DAY;
            self.days += 1;
        }
        self
    }

    /// Both, and all parts have one sign.
    fn with_all(mut self) -> Self {
        self.days += self.nanos / DAY;
        self.nanos %= DAY;
        self.months += self.days / 30;
        self.days %= 30;
        if self.months > 0 && (self.days < 0 || self.days == 0 && self.nanos < 0) {
            self.days += 30;
            self.months -= 1;
        } else if self.months < 0 && (self.days > 0 || self.days == 0 && self.nanos > 0) {
            self.days -= 30;
            self.months += 1;
        }
        self.with_days()
    }
}

/// Arguments of `make_interval`, in their order.
pub const INTERVAL_PARTS: [&str; 7] = ["years", "months", "weeks", "days", "hours", "mins", "secs"];

/// `make_interval(years, months, weeks, days, hours, mins, secs)`, the last of which can be missing.
fn make_interval() -> ScalarUDF {
    let signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Immutable);
    function_of("make_interval", signature, INTERVAL, |rows| {
        if rows.width() > INTERVAL_PARTS.len() {
            return Err(Error::query(format!("make_interval takes {}", INTERVAL_PARTS.join(", "))).into());
        }
        let whole = |i: usize| -> Result<ArrayRef> { Ok(cast(rows.array(i), &DataType::Int64)?) };
        let whole = (0..rows.width().min(6)).map(whole).collect::<Result<Vec<_>>>()?;
        let seconds = (rows.width() == 7).then(|| cast(rows.array(6), &DataType::Float64)).transpose()?;
        let made = |row: usize| -> Result<Option<IntervalMonthDayNano>> {
            if whole.iter().chain(&seconds).any(|part| part.is_null(row)) {
                return Ok(None);
            }
            let part = |i: usize| whole.get(i).map_or(0, |part| part.as_primitive::<Int64Type>().value(row));
            let seconds = seconds.as_ref().map_or(0.0, |part| part.as_primitive::<Float64Type>().value(row));
            made_of([part(0), part(1), part(2), part(3), part(4), part(5)], seconds).map(Some).ok_or_else(too_long)
        };
        Ok(Arc::new((0..rows.len).map(made).collect::<Result<IntervalMonthDayNanoArray>>()?))
    })
}

/// The interval of years, months, weeks, days, hours and minutes, and of seconds to a millionth.
fn made_of([years, months, weeks, days, hours, minutes]: [i64; 6], seconds: f64) -> Option<IntervalMonthDayNano> {
    let micros = (seconds * 1e6).round();
    if !micros.is_finite() || micros.abs() > 9e15 {
        return None;
    }
    let months = years.checked_mul(12)?.checked_add(months)?;
    let days = weeks.checked_mul(7)?.checked_add(days)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    let nanos = minutes.checked_mul(60 * SECOND)?.checked_add(micros as i64 * 1_000)?;
    Some(IntervalMonthDayNano::new(months.try_into().ok()?, days.try_into().ok()?, nanos))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::DurationMicrosecondArray;

    use super::*;

    const HOUR: i64 = 3_600 * SECOND;

    /// As PostgreSQL 15 answers.
    #[test]
    fn parts_are_carried_over() {
        let of = IntervalMonthDayNano::new;
        let found = |justify: fn(Parts) -> Parts, span| justify(Parts::of(span)).interval().unwrap();
        assert_eq!(found(Parts::with_months, of(0, 35, 0)), of(1, 5, 0));
        assert_eq!(found(Parts::with_months, of(1, -1, 0)), of(0, 29, 0));
        assert_eq!(found(Parts::with_days, of(0, 0, 27 * HOUR)), of(0, 1, 3 * HOUR));
        assert_eq!(found(Parts::with_days, of(0, 1, -HOUR)), of(0, 0, 23 * HOUR));
        assert_eq!(found(Parts::with_all, of(1, 0, -HOUR)), of(0, 29, 23 * HOUR));
        assert_eq!(found(Parts::with_all, of(0, -40, -25 * HOUR)), of(-1, -11, -HOUR));
        assert_eq!(made_of([1, 2, 3, 4, 5, 6], 7.5), Some(of(14, 25, 5 * HOUR + 367 * SECOND + SECOND / 2)));
        assert_eq!(made_of([i64::MAX, 0, 0, 0, 0, 0], 0.0), None);
        assert_eq!(made_of([0; 6], f64::NAN), None);
    }

    #[test]
    fn lengths_are_compared() {
        let of = IntervalMonthDayNano::new;
        assert_eq!(length(of(1, 0, 0)), length(of(0, 30, 0)));
        assert!(length(of(1, 0, 0)) < length(of(0, 40, 0)));
        assert!(length(of(0, 0, 25 * HOUR)) > length(of(0, 1, 0)));
        let differences: ArrayRef = Arc::new(DurationMicrosecondArray::from(vec![Some(90_000_000_000), None]));
        let found = spans(&differences).unwrap();
        assert_eq!((found.value(0), found.is_null(1)), (of(0, 1, HOUR), true));
    }
}
