//! `visitor_key(visitor_id)`: the 64-bit key by which the lake is sorted and bucketed.

use std::sync::Arc;

use arrow::array::{Array, Int64Array};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::columns;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "visitor_key",
    kind: "scalar",
    signature: "visitor_key(visitor_id)",
    description: "The 64-bit key by which the lake is sorted and bucketed.",
    example: "SELECT visitor_key('1_2')",
};

/// The function.
pub fn udf() -> ScalarUDF {
    function("visitor_key", vec![DataType::Utf8], DataType::Int64, |rows| {
        let ids = rows.text(0)?;
        Ok(Arc::new(
            (0..rows.len).map(|i| ids.is_valid(i).then(|| columns::visitor_key(ids.value(i)))).collect::<Int64Array>(),
        ))
    })
}
