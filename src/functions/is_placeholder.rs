//! `is_placeholder(customer_id, list)`: true for ids that stand for nobody: empty, `0`, `null`, and those of a suite's
//! list (a JSON array). They would merge everybody into one visitor.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::rows::function;

pub(super) fn udf() -> ScalarUDF {
    function("is_placeholder", vec![DataType::Utf8, DataType::Utf8], DataType::Boolean, |rows| {
        let (ids, lists) = (rows.text(0)?, rows.text(1)?);
        let flags = (0..rows.len).map(|i| {
            let id = if ids.is_valid(i) { ids.value(i).trim() } else { "" };
            let list = if lists.is_valid(i) { lists.value(i) } else { "[]" };
            Some(is_placeholder(id, list))
        });
        Ok(Arc::new(flags.collect::<BooleanArray>()))
    })
}

fn is_placeholder(id: &str, list: &str) -> bool {
    if id.is_empty() || id == "0" || id.eq_ignore_ascii_case("null") {
        return true;
    }
    // an empty list is the rule; parsing it for every row would be work for nothing
    list.len() > 2 && serde_json::from_str::<Vec<String>>(list).is_ok_and(|l| l.iter().any(|p| p.trim() == id))
}
