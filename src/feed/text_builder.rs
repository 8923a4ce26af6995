//! A text column while it is built, of which most rows are NULL: rows that were not put are filled in when they must be, and
//! nothing is built where none was.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

/// Bytes of texts at most for which there is room from the first value on, where nothing is known of them.
const FIRST_BYTES: usize = 16 << 10;
/// Bytes that are copied at once: most values are shorter, and a copy of as many bytes as a value happens to have takes longer.
const SHORT_BYTES: usize = 32;

/// The rows so far.
pub struct TextBuilder {
    most_rows: usize,
    /// What its values take, as far as is known.
    expected_bytes: usize,
    /// All values, one behind the other.
    bytes: Vec<u8>,
    /// Where the first row begins, and where each ends; none where no row was put.
    ends: Vec<i32>,
}

impl TextBuilder {
    /// A column of so many rows at most, whose values take so many bytes, as far as is known.
    pub fn new(most_rows: usize, expected_bytes: usize) -> Self {
        Self { most_rows, expected_bytes, bytes: Vec::new(), ends: Vec::new() }
    }

    /// Bytes of all values so far.
    pub fn text_bytes(&self) -> usize {
        self.bytes.len()
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
        self.reach(row, value.len());
        self.bytes.extend_from_slice(value.as_bytes());
        self.ends.push(self.bytes.len() as i32);
    }

    /// As [`Self::put`] of a part of a text.
    #[inline]
    pub fn put_part(&mut self, row: usize, text: &str, part: Range<usize>) {
        let bytes = part.len();
        match text.as_bytes()[part.start..].first_chunk::<SHORT_BYTES>() {
            Some(chunk) if (1..=SHORT_BYTES).contains(&bytes) => {
                self.reach(row, bytes);
                let end = self.bytes.len() + bytes;
                self.bytes.extend_from_slice(chunk);
                self.bytes.truncate(end);
                self.ends.push(end as i32);
            }
            _ => self.put(row, &text[part]),
        }
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

    /// Makes all rows before the one that is to have a value of so many bytes.
    #[inline]
    fn reach(&mut self, row: usize, bytes: usize) {
        if self.ends.is_empty() {
            self.begin(row, bytes);
        }
        self.fill(row);
    }

    #[cold]
    fn begin(&mut self, row: usize, bytes: usize) {
        let rows = self.most_rows.max(row + 1);
        self.ends.reserve(rows + 1);
        self.ends.push(0);
        self.bytes.reserve(bytes.saturating_mul(rows - row).min(FIRST_BYTES).max(self.expected_bytes));
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
        for (most_rows, expected_bytes) in [(0, 0), (1, 2), (5, 3), (1000, 100_000)] {
            let mut builder = TextBuilder::new(most_rows, expected_bytes);
            assert!(builder.is_empty() && builder.text_bytes() == 0);
            for (row, value) in [(1, "a"), (2, ""), (3, "b"), (4, "c")] {
                builder.put(row, value);
            }
            assert!(!builder.is_empty() && builder.text_bytes() == 3);
            let expected = StringArray::from(vec![None, Some("a"), None, Some("b"), Some("c"), None, None]);
            assert_eq!(builder.finish(7).as_string::<i32>(), &expected);
        }
        let mut builder = TextBuilder::new(3, 0);
        builder.put_part(1, "", 0..0);
        assert!(builder.is_empty());
        assert_eq!(TextBuilder::new(9, 9).finish(2).as_string::<i32>(), &StringArray::new_null(2));
    }
    /// Parts of all lengths, wherever in a text they lie, are as they were.
    #[test]
    fn parts_are_whole() {
        let text = "0123456789é".repeat(9);
        let is_place = |at: &usize| text.is_char_boundary(*at);
        for start in (0..=text.len()).filter(is_place) {
            let ends: Vec<usize> = (start..=text.len()).filter(is_place).collect();
            let (mut parts, mut whole) = (TextBuilder::new(ends.len(), 0), TextBuilder::new(ends.len(), 0));
            for (row, end) in ends.iter().enumerate() {
                parts.put_part(row, &text, start..*end);
                whole.put(row, &text[start..*end]);
            }
            let (parts, whole) = (parts.finish(ends.len()), whole.finish(ends.len()));
            assert_eq!(parts.as_string::<i32>(), whole.as_string::<i32>(), "from {start}");
        }
    }
}
