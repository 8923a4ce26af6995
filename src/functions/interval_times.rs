//! `interval * number` and `interval / number` in PostgreSQL's arithmetic: a fraction of a month becomes days of a 30th, and a fraction of a
//! day becomes seconds. DataFusion only takes a whole number on the right.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ScalarUDF};

use super::rows::function;
use super::spans::too_long;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// One of each for all plans: two calls with the same arguments are the same.
static TIMES: LazyLock<ScalarUDF> =
    LazyLock::new(|| with_number("interval_times", |interval, factor| Ok(of(interval, &|part| part * factor))));
static OVER: LazyLock<ScalarUDF> = LazyLock::new(|| {
    with_number("interval_over", |interval, divisor| match divisor {
        0.0 => Err(ArrowError::DivideByZero.into()),
        divisor => Ok(of(interval, &|part| part / divisor)),
    })
});

/// Both of them.
pub(super) fn udfs() -> [ScalarUDF; 2] {
    [TIMES.clone(), OVER.clone()]
}

/// An interval so many times as long.
pub fn interval_times(interval: Expr, factor: Expr) -> Expr {
    TIMES.call(vec![interval, factor])
}

/// A part of an interval.
pub fn interval_over(interval: Expr, divisor: Expr) -> Expr {
    OVER.call(vec![interval, divisor])
}

/// A function of an interval and a number, which gives none where it would be too long.
fn with_number(
    name: &str,
    compute: impl Fn(IntervalMonthDayNano, f64) -> Result<Option<IntervalMonthDayNano>> + Send + Sync + 'static,
) -> ScalarUDF {
    function(name, vec![INTERVAL, DataType::Float64], INTERVAL, move |rows| {
        let (intervals, numbers) = (rows.array(0), rows.array(1));
        let (intervals, numbers) =
            (intervals.as_primitive::<IntervalMonthDayNanoType>(), numbers.as_primitive::<Float64Type>());
        let found = |row: usize| -> Result<Option<IntervalMonthDayNano>> {
            if intervals.is_null(row) || numbers.is_null(row) {
                return Ok(None);
            }
            compute(intervals.value(row), numbers.value(row))?.ok_or_else(too_long).map(Some)
        };
        let found = (0..rows.len).map(found).collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(IntervalMonthDayNanoArray::from_iter(found)))
    })
}

fn of(interval: IntervalMonthDayNano, scale: &dyn Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    scaled(f64::from(interval.months), f64::from(interval.days), interval.nanoseconds as f64, scale)
}

/// An interval of so many months, days and nanoseconds, longer or shorter; None for one that is too long.
pub(super) fn scaled(months: f64, days: f64, nanos: f64, scale: &dyn Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    // to a millionth, as PostgreSQL has it
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    let (months, days) = (scale(months), scale(days));
    let of_months = rounded(months.fract() * 30.0);
    let seconds = rounded((days.fract() + of_months.fract()) * 86_400.0);
    let whole_days = days.trunc() + of_months.trunc() + (seconds / 86_400.0).trunc();
    let micros = (scale(nanos / 1e3) + seconds % 86_400.0 * 1e6).round();
    let fits = |value: f64| value.abs() <= f64::from(i32::MAX);
    // what is no number is not within
    let all_fit = fits(months) && fits(whole_days) && micros.abs() < 9.2e15;
    all_fit.then(|| IntervalMonthDayNano::new(months.trunc() as i32, whole_days as i32, micros as i64 * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_and_numbers() {
        let made = |months, days, seconds: i64| IntervalMonthDayNano::new(months, days, seconds * 1_000_000_000);
        for (interval, factor, expected) in [
            (made(0, 1, 0), 2.5, Some(made(0, 2, 43_200))),
            (made(0, 0, 3_600), 1.5, Some(made(0, 0, 5_400))),
            (made(0, 0, 3_600), 0.5, Some(made(0, 0, 1_800))),
            (made(1, 0, 0), 1.5, Some(made(1, 15, 0))),
            (made(0, 3, 7), -2.0, Some(made(0, -6, -14))),
            (made(0, 0, 1), 1_769_860_800.0, Some(made(0, 0, 1_769_860_800))),
            (made(1, 0, 0), 1e12, None),
            (made(0, 0, 1), f64::INFINITY, None),
            (made(0, 1, 0), f64::NAN, None),
        ] {
            assert_eq!(of(interval, &|part| part * factor), expected, "{interval:?} * {factor}");
        }
        for (interval, divisor, expected) in [
            (made(49, 0, 0), 49.0, made(1, 0, 0)),
            (made(1, 1, 0), 2.0, made(0, 15, 43_200)),
            (made(0, 0, -10), 4.0, IntervalMonthDayNano::new(0, 0, -2_500_000_000)),
        ] {
            assert_eq!(of(interval, &|part| part / divisor), Some(expected), "{interval:?} / {divisor}");
        }
    }
}
