//! What `interval * number` and `interval / number` stand for: PostgreSQL's arithmetic, in which parts of a month are days of a
//! 30th, and parts of a day its seconds. DataFusion knows whole numbers on the right alone.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{DataType, Float64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, ScalarUDF};

use super::rows::function;
use crate::Error;
use crate::error::StatementFault;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// One for all plans: two calls with the same arguments are the same.
static FUNCTION: LazyLock<ScalarUDF> = LazyLock::new(|| {
    function("interval_times", vec![INTERVAL, DataType::Float64], INTERVAL, |rows| {
        let (intervals, factors) = (rows.array(0), rows.array(1));
        let (intervals, factors) =
            (intervals.as_primitive::<IntervalMonthDayNanoType>(), factors.as_primitive::<Float64Type>());
        let product = |row: usize| -> Result<Option<IntervalMonthDayNano>, DataFusionError> {
            if intervals.is_null(row) || factors.is_null(row) {
                return Ok(None);
            }
            let product = times(intervals.value(row), factors.value(row));
            product
                .map(Some)
                .ok_or_else(|| Error::query("the interval is too long").of_fault(StatementFault::TimeRange).into())
        };
        let products = (0..rows.len).map(product).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(IntervalMonthDayNanoArray::from_iter(products)))
    })
});

pub(super) fn udf() -> ScalarUDF {
    FUNCTION.clone()
}

/// An interval so many times as long.
pub fn interval_times(interval: Expr, factor: Expr) -> Expr {
    FUNCTION.call(vec![interval, factor])
}

fn times(interval: IntervalMonthDayNano, factor: f64) -> Option<IntervalMonthDayNano> {
    // to a millionth, as PostgreSQL has it
    let rounded = |value: f64| (value * 1e6).round() / 1e6;
    let (months, days) = (f64::from(interval.months) * factor, f64::from(interval.days) * factor);
    let of_months = rounded(months.fract() * 30.0);
    let seconds = rounded((days.fract() + of_months.fract()) * 86_400.0);
    let whole_days = days.trunc() + of_months.trunc() + (seconds / 86_400.0).trunc();
    let micros = (interval.nanoseconds as f64 / 1e3 * factor + seconds % 86_400.0 * 1e6).round();
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
        let of = |months, days, seconds: i64| IntervalMonthDayNano::new(months, days, seconds * 1_000_000_000);
        for (interval, factor, expected) in [
            (of(0, 1, 0), 2.5, Some(of(0, 2, 43_200))),
            (of(0, 0, 3_600), 1.5, Some(of(0, 0, 5_400))),
            (of(0, 0, 3_600), 0.5, Some(of(0, 0, 1_800))),
            (of(1, 0, 0), 1.5, Some(of(1, 15, 0))),
            (of(0, 3, 7), -2.0, Some(of(0, -6, -14))),
            (of(0, 0, 1), 1_769_860_800.0, Some(of(0, 0, 1_769_860_800))),
            (of(1, 0, 0), 1e12, None),
            (of(0, 0, 1), f64::INFINITY, None),
            (of(0, 1, 0), f64::NAN, None),
        ] {
            assert_eq!(times(interval, factor), expected, "{interval:?} * {factor}");
        }
    }
}
