//! `generate_series` and `range` as values: lists, which are in memory, so that what a call may make is bounded. In a FROM, of
//! constants, both give rows one after the other. From a time to a day, and from a day to a time, they count times, as in PostgreSQL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature,
};

use crate::Error;

/// Items of the lists of a call, at most: 80 MB.
const MOST: f64 = 1e7;
/// Seconds of the shortest month.
const MONTH: f64 = 28.0 * 86_400.0;

/// A function that makes lists from the first item to the last, by steps, with a bound.
pub(super) fn bounded(function: Arc<ScalarUDF>) -> ScalarUDF {
    let Signature { type_signature, volatility, .. } = function.signature().clone();
    let signature = Signature::one_of(vec![type_signature, TypeSignature::UserDefined], volatility);
    ScalarUDF::new_from_impl(BoundedListFunction { function, signature })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BoundedListFunction {
    function: Arc<ScalarUDF>,
    /// The function's own types, and those that become them.
    signature: Signature,
}

impl ScalarUDFImpl for BoundedListFunction {
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
        use DataType::{Date32, Interval, Null, Timestamp, Utf8};
        match arguments {
            [time @ Timestamp(..), Timestamp(..) | Date32 | Utf8 | Null, _]
            | [Date32 | Utf8 | Null, time @ Timestamp(..), _] => {
                Ok(vec![time.clone(), time.clone(), Interval(IntervalUnit::MonthDayNano)])
            }
            _ => Err(Error::query(format!("{} does not count from the one to the other", self.name())).into()),
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if items(&ColumnarValue::values_to_arrays(&args.args)?)? > MOST {
            let message = format!(
                "{} gives more than 10 million items at once; in a FROM, of constants, it gives rows",
                self.name()
            );
            return Err(Error::out_of_memory(message).into());
        }
        self.function.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// How many items the lists of all rows have, about.
fn items(arguments: &[ArrayRef]) -> Result<f64> {
    let (first, last, step) = match arguments {
        [last] => (None, last, None),
        [first, last] => (Some(first), last, None),
        [first, last, step] => (Some(first), last, Some(step)),
        _ => return Ok(0.0),
    };
    let (first, last) = (first.map(places).transpose()?, places(last)?);
    let step = step.map(steps).transpose()?;
    let of_row = |row: usize| {
        let value = |column: &Option<Float64Array>, otherwise: f64| match column {
            Some(column) if column.is_null(row) => None,
            Some(column) => Some(column.value(row)),
            None => Some(otherwise),
        };
        let end = last.is_valid(row).then(|| last.value(row))?;
        let count = (end - value(&first, 0.0)?) / value(&step, 1.0)?;
        // a step of nothing is the function's to refuse
        count.is_finite().then(|| count.max(0.0) + 1.0)
    };
    Ok((0..last.len()).filter_map(of_row).sum())
}

/// Numbers, and times as seconds since 1970.
fn places(values: &ArrayRef) -> Result<Float64Array> {
    let numbers = match values.data_type() {
        DataType::Timestamp(_, zone) => {
            let seconds = DataType::Timestamp(TimeUnit::Second, zone.clone());
            cast(&cast(values, &seconds)?, &DataType::Int64)?
        }
        DataType::Date32 | DataType::Date64 => {
            cast(&cast(values, &DataType::Timestamp(TimeUnit::Second, None))?, &DataType::Int64)?
        }
        _ => values.clone(),
    };
    Ok(cast(&numbers, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// Steps as numbers, and those in time as seconds.
fn steps(values: &ArrayRef) -> Result<Float64Array> {
    if !matches!(values.data_type(), DataType::Interval(_)) {
        return places(values);
    }
    let intervals = cast(values, &DataType::Interval(IntervalUnit::MonthDayNano))?;
    let seconds = intervals.as_primitive::<IntervalMonthDayNanoType>().iter().map(|interval| {
        let interval = interval?;
        let days = f64::from(interval.months) * MONTH + f64::from(interval.days) * 86_400.0;
        Some(days + interval.nanoseconds as f64 / 1e9)
    });
    Ok(seconds.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Int64Array, IntervalMonthDayNanoArray, TimestampMicrosecondArray};
    use arrow::datatypes::IntervalMonthDayNano;

    use super::*;

    #[test]
    fn items_are_counted_before_they_are_made() {
        let numbers = |values: &[Option<i64>]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
        let count = |arguments: &[ArrayRef]| items(arguments).unwrap();
        assert_eq!(count(&[numbers(&[Some(1), Some(1)]), numbers(&[Some(3), None])]), 3.0);
        assert_eq!(count(&[numbers(&[Some(10)]), numbers(&[Some(1)]), numbers(&[Some(-3)])]), 4.0);
        assert_eq!(count(&[numbers(&[Some(1)]), numbers(&[Some(5)]), numbers(&[Some(0)])]), 0.0);
        assert!(count(&[numbers(&[Some(i64::MIN)]), numbers(&[Some(i64::MAX)])]) > MOST);
        let times = |micros: i64| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from(vec![micros])) };
        let millisecond: ArrayRef =
            Arc::new(IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(0, 0, 1_000_000)]));
        assert!(count(&[times(0), times(86_400_000_000), millisecond]) > MOST);
    }
}
