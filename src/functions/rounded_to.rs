//! `rounded_to(time, places)`: what a cast to `timestamp(places)`, `time(places)` or `interval(places)` makes of a time or an interval, and
//! `down_to(interval, unit)`: what a cast to `interval hour to minute` makes of an interval.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, FieldRef, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    IntervalUnit, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::rows::{Rows, evaluate, function};
use crate::Error;
use crate::error::StatementFault;
use crate::time::{Interval, Unit};

/// Their names.
pub const ROUNDED_TO: &str = "rounded_to";
pub const DOWN_TO: &str = "down_to";

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);
/// Microseconds from 1970 to 2000, from where PostgreSQL counts: of two times that are as near the one further from there is taken.
const FROM: i64 = 946_684_800_000_000;
/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// Both.
pub(super) fn udfs() -> [ScalarUDF; 2] {
    let down_to = function(DOWN_TO, vec![INTERVAL, DataType::Utf8], INTERVAL, |rows| {
        let units = rows.text(1)?;
        let intervals = rows.array(0).as_primitive::<IntervalMonthDayNanoType>();
        let Some(unit) = units.iter().next().flatten().and_then(Unit::named) else { return Ok(rows.array(0).clone()) };
        let shorter = |span: IntervalMonthDayNano| of(interval(span).down_to(unit));
        Ok(Arc::new(intervals.unary::<_, IntervalMonthDayNanoType>(shorter)))
    });
    let signature = Signature::any(2, Volatility::Immutable);
    [down_to, ScalarUDF::new_from_impl(RoundedTo { signature })]
}

fn interval(span: IntervalMonthDayNano) -> Interval {
    Interval { months: span.months, days: span.days, nanos: span.nanoseconds }
}

fn of(Interval { months, days, nanos }: Interval) -> IntervalMonthDayNano {
    IntervalMonthDayNano::new(months, days, nanos)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RoundedTo {
    signature: Signature,
}

impl ScalarUDFImpl for RoundedTo {
    fn name(&self) -> &str {
        ROUNDED_TO
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.first() {
            Some(time @ (DataType::Timestamp(TimeUnit::Microsecond, _) | DataType::Time64(TimeUnit::Nanosecond))) => {
                Ok(time.clone())
            }
            Some(interval) if *interval == INTERVAL => Ok(INTERVAL),
            _ => Err(DataFusionError::Plan(format!("{ROUNDED_TO} takes a time or an interval"))),
        }
    }

    // as a cast has it
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(ROUNDED_TO, self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluate(&args.args, rounded)
    }
}

fn rounded(rows: &Rows) -> Result<ArrayRef> {
    let values = rows.array(0);
    if values.is_empty() {
        return Ok(values.clone());
    }
    let places = cast(rows.array(1), &DataType::Int64)?.as_primitive::<Int64Type>().value(0);
    let places = u32::try_from(places).unwrap_or(0).min(6);
    // of a second, in which there are so many of both
    let steps = |of_second: i64| of_second / 10_i64.pow(places);
    match values.data_type() {
        DataType::Timestamp(..) => {
            let step = steps(1_000_000);
            each::<TimestampMicrosecondType>(values, |micros| {
                nearest(micros.checked_sub(FROM)?, step)?.checked_add(FROM)
            })
        }
        DataType::Time64(_) => {
            let step = steps(1_000_000_000);
            // the end of a day is no time of it here
            each::<Time64NanosecondType>(values, |nanos| nearest(nanos, step).filter(|nanos| *nanos < DAY))
        }
        _ => each::<IntervalMonthDayNanoType>(values, |span| interval(span).rounded(places).map(of)),
    }
}

fn each<T: ArrowPrimitiveType>(values: &ArrayRef, round: impl Fn(T::Native) -> Option<T::Native>) -> Result<ArrayRef> {
    let message = match values.data_type() {
        // another time would be a wrong answer that nobody sees
        DataType::Time64(_) => "the time is rounded to 24:00:00, which is no time of day here",
        _ => "there is no such time, rounded",
    };
    let too_far = || -> DataFusionError { Error::query(message).of_fault(StatementFault::TimeRange).into() };
    let rounded: PrimitiveArray<T> = values.as_primitive::<T>().try_unary(|value| round(value).ok_or_else(too_far))?;
    Ok(Arc::new(rounded.with_data_type(values.data_type().clone())))
}

/// The nearest of the steps; of two that are as near the one further from 0.
fn nearest(value: i64, step: i64) -> Option<i64> {
    let size = value.checked_abs()?.checked_add(step / 2)? / step * step;
    Some(if value < 0 { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 answers.
    #[test]
    fn halves_go_away_from_the_beginning() {
        for (value, step, expected) in
            [(15, 10, 20), (14, 10, 10), (-15, 10, -20), (-14, 10, -10), (7, 1, 7), (0, 10, 0), (999, 100, 1_000)]
        {
            assert_eq!(nearest(value, step), Some(expected), "{value} {step}");
        }
        assert_eq!(nearest(i64::MIN, 10), None);
        assert_eq!(nearest(i64::MAX, 10), None);
    }
}
