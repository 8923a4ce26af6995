//! `mode()` and `percentile_disc(share)` of rows in an order. The statement gives them the list of the rows' values in that order, without
//! NULL, see `engine::ordered_sets`.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, UInt64Array};
use arrow::compute::{cast, partition, take};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::rows::evaluate;

/// The value that most rows have, of several the first.
pub const MODE: &str = "mode";
/// The first value that, with those before it, a share of the rows has.
pub const PERCENTILE: &str = "percentile_disc";

/// Both.
pub(super) fn udfs() -> Vec<ScalarUDF> {
    let function = |name, arguments| {
        let signature = Signature::new(TypeSignature::Any(arguments), Volatility::Immutable);
        ScalarUDF::new_from_impl(OfSorted { name, signature })
    };
    vec![function(MODE, 1), function(PERCENTILE, 2)]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfSorted {
    name: &'static str,
    signature: Signature,
}

impl ScalarUDFImpl for OfSorted {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments.last() {
            Some(DataType::List(item)) => Ok(item.data_type().clone()),
            _ => plan_err!("{} is of rows in an order; write WITHIN GROUP (ORDER BY value) behind it", self.name),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let with_share = self.name == PERCENTILE;
        evaluate(&args.args, |rows| {
            let Some(lists) = rows.array(rows.width() - 1).as_list_opt::<i32>() else {
                return exec_err!("{} takes a list", self.name);
            };
            let shares = with_share.then(|| cast(rows.array(0), &DataType::Float64)).transpose()?;
            let shares = shares.as_ref().map(|shares| shares.as_primitive::<Float64Type>());
            values(lists, shares)
        })
    }
}

/// One value of each list: at a share of it, or that which it has most often.
fn values(lists: &ListArray, shares: Option<&Float64Array>) -> Result<ArrayRef> {
    let place = |row: usize| -> Result<Option<u64>> {
        let list = lists.value(row);
        if lists.is_null(row) || list.is_empty() {
            return Ok(None);
        }
        let within = match shares {
            None => most_often(&list)?,
            Some(shares) if shares.is_null(row) => return Ok(None),
            Some(shares) => match shares.value(row) {
                share if (0.0..=1.0).contains(&share) => ((share * list.len() as f64).ceil() as usize).max(1) - 1,
                share => return exec_err!("a share of rows is between 0 and 1, not {share}"),
            },
        };
        Ok(Some(lists.value_offsets()[row] as u64 + within as u64))
    };
    let places = (0..lists.len()).map(place).collect::<Result<UInt64Array>>()?;
    Ok(take(lists.values(), &places, None)?)
}

/// Where the longest run of equal values begins, of several the first.
fn most_often(list: &ArrayRef) -> Result<usize> {
    let runs = partition(std::slice::from_ref(list))?.ranges();
    Ok(runs.into_iter().rev().max_by_key(|run| run.len()).map_or(0, |run| run.start))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::Int64Array;
    use arrow::datatypes::Int64Type;

    use super::*;

    fn lists() -> ListArray {
        let numbers = |numbers: &[i64]| Some(numbers.iter().map(|number| Some(*number)).collect::<Vec<_>>());
        ListArray::from_iter_primitive::<Int64Type, _, _>([
            numbers(&[1, 2, 2, 3, 3]),
            numbers(&[]),
            None,
            numbers(&[7, 8, 9, 10]),
        ])
    }

    #[test]
    fn one_value_of_each_list() {
        let of = |found: ArrayRef| found.as_primitive::<Int64Type>().clone();
        assert_eq!(of(values(&lists(), None).unwrap()), Int64Array::from(vec![Some(2), None, None, Some(7)]));
        let shares = Float64Array::from(vec![Some(0.5), Some(0.5), Some(0.5), Some(0.0)]);
        let found = of(values(&lists(), Some(&shares)).unwrap());
        assert_eq!(found, Int64Array::from(vec![Some(2), None, None, Some(7)]));
        let ends = Float64Array::from(vec![Some(1.0), None, None, Some(0.51)]);
        let found = of(values(&lists(), Some(&ends)).unwrap());
        assert_eq!(found, Int64Array::from(vec![Some(3), None, None, Some(9)]));
        assert!(values(&lists(), Some(&Float64Array::from(vec![1.5; 4]))).is_err());
    }
}
