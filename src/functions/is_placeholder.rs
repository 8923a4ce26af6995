//! `is_placeholder(customer_id, list)`: true for ids that stand for nobody: empty, `0`, `null`, and those of a suite's
//! list (a JSON array), in capitals or small letters. They would merge everybody into one visitor.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "is_placeholder",
    kind: "scalar",
    signature: "is_placeholder(customer_id, list)",
    description: "True for customer ids that stand for nobody: empty, 0, null, and those of a suite's list (a JSON array).",
    example: "SELECT is_placeholder('0', '[]')",
};

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

/// Case does not tell two placeholders apart.
fn same_word(one: &str, other: &str) -> bool {
    let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<String>();
    one == other || lower(one) == lower(other)
}

fn is_placeholder(id: &str, list: &str) -> bool {
    if id.is_empty() || id == "0" || id.eq_ignore_ascii_case("null") {
        return true;
    }
    // an empty list is the rule; parsing it for every row would be work for nothing
    list.len() > 2 && serde_json::from_str::<Vec<String>>(list).is_ok_and(|l| l.iter().any(|p| same_word(p.trim(), id)))
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn placeholders_compare_without_case() {
        for id in ["", "0", "null", "NULL", "Null", "guest", "GUEST", "ÉTRANGER"] {
            assert!(is_placeholder(id, r#"["Guest", " étranger "]"#), "{id}");
        }
        for id in ["00", "nil", "guest1", "gues"] {
            assert!(!is_placeholder(id, r#"["Guest"]"#), "{id}");
        }
    }
}
