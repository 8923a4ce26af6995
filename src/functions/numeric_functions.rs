//! Small functions of PostgreSQL over values that reports use: `width_bucket`, `div`, `num_nonnulls`, `num_nulls`, `isfinite`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int32Array, Int64Array};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};

use super::rows::{Rows, function, function_of};
use crate::Error;

/// All of them.
pub(super) fn udfs() -> [ScalarUDF; 5] {
    let some = || Signature::variadic_any(Volatility::Immutable);
    let missing = |of: bool| {
        move |rows: &Rows| -> Result<ArrayRef> {
            // what is NULL by its type has no nulls of its own
            let nulls: Vec<_> = (0..rows.width()).map(|column| rows.array(column).logical_nulls()).collect();
            let is_counted =
                |row: usize, nulls: &Option<NullBuffer>| nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) == of;
            let count = |row: usize| nulls.iter().filter(|nulls| is_counted(row, nulls)).count() as i32;
            Ok(Arc::new((0..rows.len).map(|row| Some(count(row))).collect::<Int32Array>()))
        }
    };
    let either = vec![TypeSignature::Any(2), TypeSignature::Any(4)];
    [
        function_of("num_nonnulls", some(), DataType::Int32, missing(false)),
        function_of("num_nulls", some(), DataType::Int32, missing(true)),
        function_of("isfinite", Signature::any(1, Volatility::Immutable), DataType::Boolean, |rows| {
            // no time without an end is kept
            let values = rows.array(0);
            let finite = |row: usize| values.is_valid(row).then_some(true);
            Ok(Arc::new((0..rows.len).map(finite).collect::<BooleanArray>()))
        }),
        function("div", vec![DataType::Int64; 2], DataType::Int64, |rows| {
            let (left, right) = (rows.array(0).as_primitive::<Int64Type>(), rows.array(1).as_primitive::<Int64Type>());
            let quotient = |(left, right): (Option<i64>, Option<i64>)| -> Result<Option<i64>> {
                let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
                match left.checked_div(right) {
                    Some(quotient) => Ok(Some(quotient)),
                    None if right == 0 => Err(ArrowError::DivideByZero.into()),
                    None => Err(ArrowError::ArithmeticOverflow(format!("div({left}, {right})")).into()),
                }
            };
            let quotients = left.iter().zip(right.iter()).map(quotient);
            Ok(Arc::new(quotients.collect::<Result<Int64Array>>()?))
        }),
        function_of("width_bucket", Signature::one_of(either, Volatility::Immutable), DataType::Int32, buckets),
    ]
}

/// `width_bucket(value, low, high, count)`, `width_bucket(value, thresholds)`.
fn buckets(rows: &Rows) -> Result<ArrayRef> {
    let numbers = |i: usize| -> Result<Float64Array> {
        Ok(cast(rows.array(i), &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    };
    let values = numbers(0)?;
    let wrong = |why: &str| Error::query(format!("width_bucket: {why}"));
    let found = if rows.width() == 2 {
        let item = Arc::new(Field::new_list_field(DataType::Float64, true));
        let lists = cast(rows.array(1), &DataType::List(item))?;
        let lists = lists.as_list::<i32>();
        let bucket = |row: usize| {
            let thresholds = (values.is_valid(row) && lists.is_valid(row)).then(|| lists.value(row))?;
            let thresholds = thresholds.as_primitive::<Float64Type>();
            Some(thresholds.iter().flatten().filter(|threshold| *threshold <= values.value(row)).count() as i32)
        };
        (0..rows.len).map(bucket).collect::<Int32Array>()
    } else {
        let (lows, highs) = (numbers(1)?, numbers(2)?);
        let counts = cast(rows.array(3), &DataType::Int32)?;
        let counts = counts.as_primitive::<Int32Type>();
        let bucket = |row: usize| -> Result<Option<i32>> {
            let missing = [&values, &lows, &highs].iter().any(|numbers| numbers.is_null(row));
            if missing || counts.is_null(row) {
                return Ok(None);
            }
            let (value, low, high, count) = (values.value(row), lows.value(row), highs.value(row), counts.value(row));
            if count < 1 || !low.is_finite() || !high.is_finite() || low == high || value.is_nan() {
                return Err(wrong("it takes a number, two finite bounds that differ, and a count from 1").into());
            }
            Ok(Some(bucket_of(value, low, high, count)))
        };
        (0..rows.len).map(bucket).collect::<Result<Int32Array>>()?
    };
    Ok(Arc::new(found))
}

/// The bucket of a value, from 1 to `count`; 0 before the first, one more after the last.
fn bucket_of(value: f64, low: f64, high: f64, count: i32) -> i32 {
    let within = (value - low) / (high - low);
    if within < 0.0 {
        0
    } else if within >= 1.0 {
        count.saturating_add(1)
    } else {
        (within * f64::from(count)).floor() as i32 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 answers.
    #[test]
    fn buckets_from_either_end() {
        for (value, low, high, count, expected) in [
            (5.35, 0.024, 10.06, 5, 3),
            (0.0, 1.0, 3.0, 2, 0),
            (3.0, 1.0, 3.0, 2, 3),
            (1.0, 1.0, 3.0, 2, 1),
            (2.5, 3.0, 1.0, 2, 1),
            (3.5, 3.0, 1.0, 2, 0),
            (f64::INFINITY, 1.0, 3.0, 2, 3),
        ] {
            assert_eq!(bucket_of(value, low, high, count), expected, "{value} {low} {high} {count}");
        }
    }
}
