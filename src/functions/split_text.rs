//! `regexp_split_to_array(text, pattern)`. The statement replaces what the pattern matches by a sign that nobody writes, see
//! `engine::list_rows`; here the text is split at it.

use std::sync::Arc;

use arrow::array::{Array, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;

use super::rows::function;

/// Its name.
pub const SPLIT_TEXT: &str = "regexp_split_to_array";
/// The sign at which a text is split.
pub const SPLIT_SIGN: char = '\u{1f}';

/// The function.
pub fn udf() -> ScalarUDF {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    function(SPLIT_TEXT, vec![DataType::Utf8], list, |rows| {
        let texts = rows.text(0)?;
        let mut lists = ListBuilder::new(StringBuilder::new());
        for i in 0..rows.len {
            if texts.is_valid(i) {
                texts.value(i).split(SPLIT_SIGN).for_each(|part| lists.values().append_value(part));
            }
            lists.append(texts.is_valid(i));
        }
        Ok(Arc::new(lists.finish()))
    })
}
