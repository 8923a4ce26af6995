//! `visitor_key(visitor_id)`: the 64-bit key by which the lake is sorted and bucketed.

use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::rows::function;
use crate::columns;

pub(super) fn udf() -> ScalarUDF {
    function("visitor_key", vec![DataType::Utf8], DataType::Int64, |rows| {
        let ids = rows.text(0)?;
        Ok(Arc::new(
            (0..rows.len).map(|i| ids.is_valid(i).then(|| columns::visitor_key(ids.value(i)))).collect::<Int64Array>(),
        ))
    })
}
