//! A text column while it is built, of which most rows are NULL: rows that were not put are filled in when they must be, and
//! nothing is built where none was.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};

/// Bytes of texts at most for which there is room from the first value on.
const FIRST_BYTES: usize = 16 << 10;

/// The rows so far.
pub struct TextBuilder {
    builder: Option<StringBuilder>,
    most_rows: usize,
}

impl TextBuilder {
    /// A column of so many rows at most, as far as is known.
    pub fn new(most_rows: usize) -> Self {
        Self { builder: None, most_rows }
    }

    /// True where no row was put.
    pub fn is_empty(&self) -> bool {
        self.builder.is_none()
    }

    /// The value of `row`, which no later call goes before; an empty one is NULL.
    #[inline]
    pub fn put(&mut self, row: usize, value: &str) {
        if !value.is_empty() {
            let builder = self.builder.get_or_insert_with(|| {
                let rows = self.most_rows.max(row + 1);
                let bytes = value.len().saturating_mul(rows - row).min(FIRST_BYTES);
                StringBuilder::with_capacity(rows, bytes)
            });
            fill(builder, row);
            builder.append_value(value);
        }
    }

    /// The column, of so many rows.
    pub fn finish(self, rows: usize) -> ArrayRef {
        let mut builder = self.builder.unwrap_or_default();
        fill(&mut builder, rows);
        Arc::new(builder.finish())
    }
}

fn fill(builder: &mut StringBuilder, rows: usize) {
    let missing = rows - arrow::array::ArrayBuilder::len(builder);
    if missing > 0 {
        builder.append_nulls(missing);
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, StringArray};

    use super::*;

    #[test]
    fn rows_that_were_not_put_are_null() {
        // more rows than were told are no mistake
        for most_rows in [0, 1, 5, 1000] {
            let mut builder = TextBuilder::new(most_rows);
            assert!(builder.is_empty());
            for (row, value) in [(1, "a"), (2, ""), (3, "b"), (4, "c")] {
                builder.put(row, value);
            }
            assert!(!builder.is_empty());
            let expected = StringArray::from(vec![None, Some("a"), None, Some("b"), Some("c"), None, None]);
            assert_eq!(builder.finish(7).as_string::<i32>(), &expected);
        }
        assert_eq!(TextBuilder::new(9).finish(2).as_string::<i32>(), &StringArray::new_null(2));
    }
}
