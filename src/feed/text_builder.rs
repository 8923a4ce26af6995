//! A text column while it is built, of which most rows are NULL: rows that were not put are filled in when they must be, and
//! nothing is built where none was.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};

/// The rows so far.
#[derive(Default)]
pub struct TextBuilder(Option<StringBuilder>);

impl TextBuilder {
    /// True where no row was put.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of `row`, which no later call goes before; an empty one is NULL.
    #[inline]
    pub fn put(&mut self, row: usize, value: &str) {
        if !value.is_empty() {
            let builder = self.0.get_or_insert_with(|| StringBuilder::with_capacity(row + 1, value.len()));
            fill(builder, row);
            builder.append_value(value);
        }
    }

    /// The column, of so many rows.
    pub fn finish(self, rows: usize) -> ArrayRef {
        let mut builder = self.0.unwrap_or_default();
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
