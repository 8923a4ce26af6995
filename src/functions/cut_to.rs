//! `cut_to(text, length)`: what a cast to `varchar(length)` leaves of a text. A text that is no longer stays as it is.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::ScalarUDF;

use super::rows::function;

/// Its name.
pub const CUT_TO: &str = "cut_to";

/// The function.
pub(super) fn udf() -> ScalarUDF {
    function(CUT_TO, vec![DataType::Utf8, DataType::Int64], DataType::Utf8, |rows| {
        let (texts, lengths) = (rows.text(0)?, rows.array(1).as_primitive::<Int64Type>());
        let cut = |row: usize| {
            let is_there = texts.is_valid(row) && lengths.is_valid(row);
            is_there.then(|| first(texts.value(row), usize::try_from(lengths.value(row)).unwrap_or(0)))
        };
        Ok(Arc::new((0..rows.len).map(cut).collect::<StringArray>()))
    })
}

/// So many characters of a text.
fn first(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted() {
        for (text, length, expected) in
            [("abc", 2, "ab"), ("äöü", 2, "äö"), ("a", 3, "a"), ("abc", 3, "abc"), ("a", 0, "")]
        {
            assert_eq!(first(text, length), expected);
        }
    }
}
