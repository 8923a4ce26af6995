//! `transaction_ids(text)`: the IDs of a hit: separated by commas, 100 bytes in all; what is beyond is not recorded.

use std::sync::Arc;

use arrow::array::{Array, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "transaction_ids",
    kind: "scalar",
    signature: "transaction_ids(text)",
    description: "The transaction IDs of a hit as a list: separated by commas, 100 bytes in all.",
    example: "SELECT transaction_ids('T1,L7')",
};

/// Bytes that a hit has for all of its IDs.
const BYTES: usize = 100;

pub(super) fn udf() -> ScalarUDF {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    function("transaction_ids", vec![DataType::Utf8], list, |rows| {
        let texts = rows.text(0)?;
        let mut lists = ListBuilder::new(StringBuilder::new());
        for i in 0..rows.len {
            if texts.is_valid(i) {
                for id in transaction_ids(texts.value(i)) {
                    lists.values().append_value(id);
                }
            }
            lists.append(texts.is_valid(i));
        }
        Ok(Arc::new(lists.finish()))
    })
}

/// The usable IDs of a hit, each once.
pub fn transaction_ids(text: &str) -> Vec<&str> {
    let mut ids: Vec<&str> = vec![];
    let mut end = 0;
    for part in text.split(',') {
        end += part.len();
        let id = part.trim();
        if end <= BYTES && !id.is_empty() && !ids.contains(&id) {
            ids.push(id);
        }
        end += 1;
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::transaction_ids;

    #[test]
    fn whole_ids_within_a_hundred_bytes() {
        assert_eq!(transaction_ids(" a, b,,a"), ["a", "b"]);
        let long = "x".repeat(100);
        assert_eq!(transaction_ids(&long), [long.as_str()]);
        assert!(transaction_ids(&format!("{long}y")).is_empty());
        assert_eq!(transaction_ids(&format!("a,{long}")), ["a"]);
    }
}
