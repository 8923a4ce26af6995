//! A text column while it is built, of which most rows are NULL: rows that were not put are filled in when they must be, and
//! nothing is built where none was.
//!
//! Where values recur, each is kept once and rows have its code, so that the next step looks up few texts; where they turn out
//! not to recur, rows get their texts.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use crate::distinct_texts::{DistinctTexts, NULL, is_same, keys_of};

/// Bytes of texts at most for which there is room from the first value on, where nothing is known of them.
const FIRST_BYTES: usize = 16 << 10;
/// Bytes that are copied at once: most values are shorter, and a copy of as many bytes as a value happens to have takes longer.
const SHORT_BYTES: usize = 32;
/// Distinct values that any column may have as codes; with more, they must recur.
const SAMPLE_TEXTS: usize = 1024;
/// Bits of the place of a short value among those that were met last.
const PLACE_BITS: u32 = 7;
/// Spreads values over these places: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// The rows so far.
pub struct TextBuilder {
    most_rows: usize,
    column: ColumnSoFar,
}

enum ColumnSoFar {
    Texts(TextRows),
    Codes(CodeRows),
}

impl TextBuilder {
    /// A column of so many rows at most, whose values take so many bytes, as far as is known.
    pub fn new(most_rows: usize, expected_bytes: usize) -> Self {
        Self { most_rows, column: ColumnSoFar::Texts(TextRows { expected_bytes, bytes: vec![], ends: vec![] }) }
    }

    /// A column of so many rows at most, whose values are expected to recur.
    pub fn recurring(most_rows: usize) -> Self {
        Self { most_rows, column: ColumnSoFar::Codes(CodeRows::default()) }
    }

    /// Bytes of all values so far; None where they are codes.
    pub fn text_bytes(&self) -> Option<usize> {
        match &self.column {
            ColumnSoFar::Texts(texts) => Some(texts.bytes.len()),
            ColumnSoFar::Codes(_) => None,
        }
    }

    /// True where no row was put.
    pub fn is_empty(&self) -> bool {
        match &self.column {
            ColumnSoFar::Texts(texts) => texts.ends.is_empty(),
            ColumnSoFar::Codes(codes) => codes.rows.is_empty(),
        }
    }

    /// The value of `row`, which no later call goes before; an empty one is NULL. All values take less than 2 GiB.
    #[inline]
    pub fn put(&mut self, row: usize, value: &str) {
        if value.is_empty() {
            return;
        }
        match &mut self.column {
            ColumnSoFar::Texts(texts) => texts.put(row, value.as_bytes(), self.most_rows),
            ColumnSoFar::Codes(codes) => {
                if codes.put(row, value.as_bytes(), self.most_rows) {
                    self.become_texts();
                }
            }
        }
    }

    /// As [`Self::put`] of a part of a text.
    #[inline]
    pub fn put_part(&mut self, row: usize, text: &str, part: Range<usize>) {
        let bytes = part.len();
        if (1..=SHORT_BYTES).contains(&bytes)
            && let Some(chunk) = text.as_bytes()[part.start..].first_chunk()
        {
            match &mut self.column {
                ColumnSoFar::Texts(texts) => texts.put_short(row, chunk, bytes, self.most_rows),
                ColumnSoFar::Codes(codes) => {
                    if codes.put_short(row, chunk, bytes, self.most_rows) {
                        self.become_texts();
                    }
                }
            }
            return;
        }
        self.put(row, &text[part]);
    }

    /// The column, of so many rows: texts, or a dictionary array of them.
    pub fn finish(self, rows: usize) -> ArrayRef {
        if self.is_empty() {
            return Arc::new(StringArray::new_null(rows));
        }
        match self.column {
            ColumnSoFar::Texts(texts) => texts.finish(rows),
            ColumnSoFar::Codes(codes) => codes.finish(rows),
        }
    }

    #[cold]
    fn become_texts(&mut self) {
        let ColumnSoFar::Codes(codes) = &self.column else { return };
        let mut texts = TextRows { expected_bytes: 0, bytes: vec![], ends: vec![] };
        for (row, code) in codes.rows.iter().enumerate().filter(|(_, code)| **code != NULL) {
            texts.put(row, codes.distinct.text(*code), self.most_rows);
        }
        self.column = ColumnSoFar::Texts(texts);
    }
}

/// Rows as texts.
struct TextRows {
    /// What they take, as far as is known.
    expected_bytes: usize,
    /// All values, one behind the other.
    bytes: Vec<u8>,
    /// Where the first row begins, and where each ends; none where no row was put.
    ends: Vec<i32>,
}

impl TextRows {
    #[inline]
    fn put(&mut self, row: usize, value: &[u8], most_rows: usize) {
        self.reach(row, value.len(), most_rows);
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len() as i32);
    }

    /// As [`Self::put`] of so many of these bytes.
    #[inline]
    fn put_short(&mut self, row: usize, chunk: &[u8; SHORT_BYTES], bytes: usize, most_rows: usize) {
        self.reach(row, bytes, most_rows);
        let end = self.bytes.len() + bytes;
        self.bytes.extend_from_slice(chunk);
        self.bytes.truncate(end);
        self.ends.push(end as i32);
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
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
    fn reach(&mut self, row: usize, bytes: usize, most_rows: usize) {
        if self.ends.is_empty() {
            self.begin(row, bytes, most_rows);
        }
        self.fill(row);
    }

    #[cold]
    fn begin(&mut self, row: usize, bytes: usize, most_rows: usize) {
        let rows = most_rows.max(row + 1);
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

/// Rows as codes of their texts.
#[derive(Default)]
struct CodeRows {
    distinct: DistinctTexts,
    /// Short values that were met last, each with its code at the place that its bytes say.
    recent: Vec<(u128, u32)>,
    /// None where no row was put.
    rows: Vec<u32>,
    /// How many rows have a value, and the code of the last one.
    values: usize,
    last: u32,
}

impl CodeRows {
    /// True where values turn out not to recur.
    #[inline]
    fn put(&mut self, row: usize, value: &[u8], most_rows: usize) -> bool {
        // many rows have the value of the one before
        if self.last == NULL || !is_same(self.distinct.text(self.last), value) {
            self.last = self.distinct.code(value);
        }
        self.put_last(row, most_rows);
        let distinct = self.distinct.count();
        distinct > SAMPLE_TEXTS && 2 * distinct > self.values
    }

    /// As [`Self::put`] of so many of these bytes.
    #[inline]
    fn put_short(&mut self, row: usize, chunk: &[u8; SHORT_BYTES], bytes: usize, most_rows: usize) -> bool {
        let Some(short) = as_number(chunk, bytes) else { return self.put(row, &chunk[..bytes], most_rows) };
        let folded = ((short >> u64::BITS) as u64) ^ (short as u64);
        let place = (folded.wrapping_mul(SPREAD) >> (u64::BITS - PLACE_BITS)) as usize;
        if let Some((known, code)) = self.recent.get(place)
            && *known == short
        {
            self.last = *code;
            self.put_last(row, most_rows);
            return false;
        }
        let hardly_recur = self.put(row, &chunk[..bytes], most_rows);
        if self.recent.is_empty() {
            self.recent = vec![(0, NULL); 1 << PLACE_BITS];
        }
        self.recent[place] = (short, self.last);
        hardly_recur
    }

    /// Gives a row the code of the last value.
    #[inline]
    fn put_last(&mut self, row: usize, most_rows: usize) {
        if self.rows.is_empty() {
            self.rows.reserve(most_rows.max(row + 1));
        }
        if self.rows.len() < row {
            self.rows.resize(row, NULL);
        }
        self.rows.push(self.last);
        self.values += 1;
    }

    fn finish(mut self, rows: usize) -> ArrayRef {
        self.rows.resize(rows, NULL);
        let texts = self.distinct.into_array().expect("whole texts were put, one behind the other");
        let coded = DictionaryArray::try_new(keys_of(self.rows.into_iter()), Arc::new(texts));
        Arc::new(coded.expect("each row has the code of a text"))
    }
}

/// The first bytes as one number, which no others have and which is not 0; None where they are more than it holds beside how many they
/// are.
#[inline]
fn as_number(chunk: &[u8; SHORT_BYTES], bytes: usize) -> Option<u128> {
    let first = u128::from_le_bytes(*chunk.first_chunk()?);
    let last = size_of::<u128>() - 1;
    (1..=last).contains(&bytes).then(|| (first & ((1_u128 << (8 * bytes)) - 1)) | ((bytes as u128) << (8 * last)))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};
    use arrow::compute::cast;
    use arrow::datatypes::DataType;

    use super::*;

    /// The column as texts.
    fn texts(builder: TextBuilder, rows: usize) -> StringArray {
        let plain = cast(&builder.finish(rows), &DataType::Utf8).expect("texts are texts, however they are kept");
        plain.as_string::<i32>().clone()
    }

    #[test]
    fn rows_that_were_not_put_are_null() {
        // more rows than were told are no mistake
        for (most_rows, expected_bytes) in [(0, 0), (1, 2), (5, 3), (1000, 100_000)] {
            for mut builder in [TextBuilder::new(most_rows, expected_bytes), TextBuilder::recurring(most_rows)] {
                assert!(builder.is_empty() && builder.text_bytes().unwrap_or(0) == 0);
                for (row, value) in [(1, "a"), (2, ""), (3, "b"), (4, "c")] {
                    builder.put(row, value);
                }
                assert!(!builder.is_empty() && builder.text_bytes().unwrap_or(3) == 3);
                let expected = StringArray::from(vec![None, Some("a"), None, Some("b"), Some("c"), None, None]);
                assert_eq!(texts(builder, 7), expected);
            }
        }
        for mut builder in [TextBuilder::new(3, 0), TextBuilder::recurring(3)] {
            builder.put_part(1, "", 0..0);
            assert!(builder.is_empty());
            assert_eq!(texts(builder, 2), StringArray::new_null(2));
        }
    }

    /// Parts of all lengths, wherever in a text they are, are as they were.
    #[test]
    fn parts_are_whole() {
        let text = "0123456789é".repeat(9);
        let is_place = |at: &usize| text.is_char_boundary(*at);
        for start in (0..=text.len()).filter(is_place) {
            let ends: Vec<usize> = (start..=text.len()).filter(is_place).collect();
            let part = |end: &usize| Some(&text[start..*end]).filter(|part| !part.is_empty());
            let whole: StringArray = ends.iter().map(part).collect();
            for mut parts in [TextBuilder::new(ends.len(), 0), TextBuilder::recurring(ends.len())] {
                ends.iter().enumerate().for_each(|(row, end)| parts.put_part(row, &text, start..*end));
                assert_eq!(texts(parts, ends.len()), whole, "from {start}");
            }
        }
    }

    /// Short values are told apart by all of their bytes and by how many they are, whatever was met last.
    #[test]
    fn short_values_are_told_apart() {
        let same = |length: usize| "x".repeat(length);
        let mut values: Vec<String> = (1..=SHORT_BYTES + 3).map(same).collect();
        values.extend((1..20).map(|length| format!("{}\0", same(length))));
        values.extend((0..20).flat_map(|at| ["y", "\u{7f}"].map(|other| same(at) + other + &same(20 - at))));
        values.extend((0..14).map(|at| same(at) + "y" + &same(13 - at)));
        values.extend((0..400).map(|n| n.to_string()));
        let (mut coded, mut plain) = (TextBuilder::recurring(10), TextBuilder::new(10, 0));
        let rows = (0..3000).map(|row| &values[row * row % values.len()]).chain(&values).chain(&values);
        let rows: Vec<&String> = rows.collect();
        for (row, value) in rows.iter().enumerate() {
            // what follows is no part of them
            let around = format!("<{value}{}", ["0", "x", "\t"][row % 3].repeat(SHORT_BYTES));
            coded.put_part(row, &around, 1..1 + value.len());
            plain.put(row, value);
        }
        assert_eq!(coded.text_bytes(), None);
        assert_eq!(texts(coded, rows.len()), texts(plain, rows.len()));
    }

    /// Values that recur are kept once; those that do not are texts from then on. Each row has its own in any case.
    #[test]
    fn values_recur_or_do_not() {
        for (distinct, step, recur) in [(1, 1, true), (40, 7, true), (1500, 11, true), (1_000_000, 1, false)] {
            let value = |row: usize| match row % 9 {
                0 => String::new(),
                _ => format!("value {}", row * step % distinct),
            };
            let (mut coded, mut plain) = (TextBuilder::recurring(100), TextBuilder::new(100, 0));
            // a run of one value, and then others
            let rows = (0..5000).map(|row| value(if row < 1500 { 1 } else { row }));
            for (row, value) in rows.enumerate() {
                let around = format!("<{value}>{}", " ".repeat(40 * (row % 2)));
                coded.put_part(row, &around, 1..1 + value.len());
                plain.put(row, &value);
            }
            assert_eq!(coded.text_bytes().is_none(), recur, "{distinct} values");
            let array = coded.finish(5003);
            assert_eq!(array.data_type() == &DataType::Utf8, !recur);
            let found = cast(&array, &DataType::Utf8).expect("texts are texts, however they are kept");
            assert_eq!(found.as_string::<i32>(), &texts(plain, 5003), "{distinct} values");
        }
    }
}
