//! A text column while it is built, of which most rows are NULL: rows that were not put are filled in when they must be, and
//! nothing is built where none was.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

/// Bytes of texts at most for which there is room from the first value on.
const FIRST_BYTES: usize = 16 << 10;

/// The rows so far.
pub struct TextBuilder {
    most_rows: usize,
    /// All values, one behind the other.
    bytes: Vec<u8>,
    /// Where the first row begins, and where each ends; none where no row was put.
    ends: Vec<i32>,
}

impl TextBuilder {
    /// A column of so many rows at most, as far as is known.
    pub fn new(most_rows: usize) -> Self {
        Self { most_rows, bytes: Vec::new(), ends: Vec::new() }
    }

    /// True where no row was put.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The value of `row`, which no later call goes before; an empty one is NULL. All values take less than 2 GiB.
    #[inline]
    pub fn put(&mut self, row: usize, value: &str) {
        if value.is_empty() {
            return;
        }
        if self.ends.is_empty() {
            self.begin(row, value.len());
        }
        self.fill(row);
        self.bytes.extend_from_slice(value.as_bytes());
        self.ends.push(self.bytes.len() as i32);
    }

    /// The column, of so many rows.
    pub fn finish(mut self, rows: usize) -> ArrayRef {
        if self.is_empty() {
            return Arc::new(StringArray::new_null(rows));
        }
        self.fill(rows);
        let ends = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        // no value is empty
        let nulls = NullBuffer::new(BooleanBuffer::collect_bool(rows, |row| ends[row] < ends[row + 1]));
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        let texts = StringArray::try_new(ends, Buffer::from_vec(self.bytes), nulls);
        Arc::new(texts.expect("whole texts were put, one behind the other"))
    }

    #[cold]
    fn begin(&mut self, row: usize, bytes: usize) {
        let rows = self.most_rows.max(row + 1);
        self.ends.reserve(rows + 1);
        self.ends.push(0);
        self.bytes.reserve(bytes.saturating_mul(rows - row).min(FIRST_BYTES));
    }

    /// Makes so many rows; those that are new have no value.
    #[inline]
    fn fill(&mut self, rows: usize) {
        if self.ends.len() <= rows {
            self.ends.resize(rows + 1, self.bytes.len() as i32);
        }
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
