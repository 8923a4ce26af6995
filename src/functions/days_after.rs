//! `days_after(time, n)`: the instant n x 86,400 s later. Calendar days of a zone with daylight saving are not meant.

use std::sync::Arc;

use arrow::array::{Array, AsArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::columns::timestamp;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "days_after",
    kind: "scalar",
    signature: "days_after(time, n)",
    description: "The instant n x 86,400 seconds later.",
    example: "SELECT days_after(hit_time, 90) FROM hits",
};

const DAY_MICROS: i64 = 86_400_000_000;

pub(super) fn udf() -> ScalarUDF {
    function("days_after", vec![timestamp(), DataType::Int64], timestamp(), |rows| {
        let (times, days) = (rows.micros(0)?, rows.array(1).as_primitive::<Int64Type>().clone());
        let later = (0..rows.len).map(|i| {
            (times.is_valid(i) && days.is_valid(i))
                .then(|| times.value(i).saturating_add(days.value(i).saturating_mul(DAY_MICROS)))
        });
        Ok(Arc::new(later.collect::<TimestampMicrosecondArray>().with_timezone("UTC")))
    })
}
