//! `list_values(column)`: the values of a multi-valued dimension.

use std::sync::Arc;

use arrow::array::{Array, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::feed::caret::list_values;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "list_values",
    kind: "scalar",
    signature: "list_values(column)",
    description: "The values of a multi-valued dimension (list1 to list3, product, category) as a list.",
    example: "SELECT unnest(list_values(list1)) AS value, count(*) FROM hits GROUP BY 1",
};

/// The function.
pub fn udf() -> ScalarUDF {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    function("list_values", vec![DataType::Utf8], list, |rows| {
        let texts = rows.text(0)?;
        let mut lists = ListBuilder::new(StringBuilder::new());
        for i in 0..rows.len {
            if texts.is_valid(i) {
                for value in list_values(texts.value(i)) {
                    lists.values().append_value(value);
                }
            }
            lists.append(texts.is_valid(i));
        }
        Ok(Arc::new(lists.finish()))
    })
}
