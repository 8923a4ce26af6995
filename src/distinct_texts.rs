//! Texts of which each is kept once, under a code: what columns whose values recur are made of while rows are decoded and sorted.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, StringArray, UInt32Array};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Places of a table at least, a power of two.
const LEAST_PLACES: usize = 16;
/// The code of a row without a value; texts have codes from 1 on.
pub const NULL: u32 = 0;
/// Stands for the number of a text that was not looked up, and is never one.
pub const UNKNOWN: u32 = u32::MAX;

/// The texts that have been met.
pub struct DistinctTexts {
    /// Of its own, so that nobody can send texts of one hash.
    seed: u64,
    /// A hash and a code each, at or behind the place that the hash says; a free one has no code. At least half are free.
    places: Vec<(u32, u32)>,
    /// All texts, one behind the other.
    bytes: Vec<u8>,
    /// Where each ends, and where the first begins.
    ends: Vec<i32>,
}

impl Default for DistinctTexts {
    fn default() -> Self {
        Self { seed: RandomState::new().hash_one(0), places: vec![], bytes: vec![], ends: vec![0] }
    }
}

impl DistinctTexts {
    /// How many there are.
    #[inline]
    pub fn count(&self) -> usize {
        self.ends.len() - 1
    }

    /// Bytes of all of them.
    pub fn text_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Memory that they take.
    pub fn memory_bytes(&self) -> usize {
        self.places.capacity() * size_of::<(u32, u32)>()
            + self.bytes.capacity()
            + self.ends.capacity() * size_of::<i32>()
    }

    /// The code of a text, a new one where it was not met before. All texts take less than 2 GiB.
    #[inline]
    pub fn code(&mut self, text: &[u8]) -> u32 {
        if 2 * self.ends.len() > self.places.len() {
            self.grow();
        }
        let hash = xxh3_64_with_seed(text, self.seed) as u32;
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        while self.places[at].1 != NULL {
            let (other, code) = self.places[at];
            if other == hash && is_same(self.text(code), text) {
                return code;
            }
            at = (at + 1) & mask;
        }
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as i32);
        let code = self.ends.len() as u32 - 1;
        self.places[at] = (hash, code);
        code
    }

    /// The text of a code, which is not that of NULL.
    #[inline]
    pub fn text(&self, code: u32) -> &[u8] {
        let code = code as usize;
        &self.bytes[self.ends[code - 1] as usize..self.ends[code] as usize]
    }

    /// All texts; that of key `n`, whose code is one more, is at `n`.
    pub fn into_array(self) -> Result<StringArray, ArrowError> {
        let ends = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        StringArray::try_new(ends, Buffer::from_vec(self.bytes), None)
    }

    #[cold]
    fn grow(&mut self) {
        let places = (2 * self.places.len()).max(LEAST_PLACES);
        let former = std::mem::replace(&mut self.places, vec![(0, NULL); places]);
        for (hash, code) in former.into_iter().filter(|(_, code)| *code != NULL) {
            let mut at = hash as usize & (places - 1);
            while self.places[at].1 != NULL {
                at = (at + 1) & (places - 1);
            }
            self.places[at] = (hash, code);
        }
    }
}

/// True where two texts are the same. Most are short, or differ where they begin or end, which is seen without a call.
#[inline]
pub fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ends = |text: &[u8]| Some([*text.first_chunk::<8>()?, *text.last_chunk::<8>()?]);
    match ends(one).zip(ends(other)) {
        Some((one_ends, other_ends)) => one_ends == other_ends && (one.len() <= 16 || one == other),
        None => one.iter().zip(other).all(|(one, other)| one == other),
    }
}

/// The keys of rows with these codes, as an array.
pub fn keys_of(codes: impl Iterator<Item = u32>) -> UInt32Array {
    let mut keys: Vec<u32> = codes.collect();
    let valid = || BooleanBuffer::collect_bool(keys.len(), |row| keys[row] != NULL);
    let nulls = keys.contains(&NULL).then(|| NullBuffer::new(valid()));
    keys.iter_mut().for_each(|key| *key = key.saturating_sub(1));
    UInt32Array::new(ScalarBuffer::from(keys), nulls)
}

/// Appends what `of` gives for the code of each row: that of its key, and [`NULL`]. Which rows are NULL is hard to foresee, so nothing
/// branches on it.
pub fn extend_by_codes(rows: &mut Vec<u32>, keys: &UInt32Array, mut of: impl FnMut(u32) -> u32) {
    let values = keys.values();
    match keys.nulls() {
        None => rows.extend(values.iter().map(|key| of(key.wrapping_add(1)))),
        // by their places, so that it is known how many there are; below NULL any key may stand
        Some(nulls) => {
            rows.extend((0..values.len()).map(|row| of(values[row].wrapping_add(1) * u32::from(nulls.is_valid(row)))));
        }
    }
}

/// The type of a column of texts that is a dictionary array.
pub fn coded_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8))
}

/// A column with one text in all rows.
pub fn one_text(text: &str, rows: usize) -> ArrayRef {
    Arc::new(DictionaryArray::new(UInt32Array::from_value(0, rows), Arc::new(StringArray::from(vec![text]))))
}

/// The rows of a dictionary array of texts, and the texts; None for any other array, and where a text may be NULL.
pub fn coded_texts(array: &dyn Array) -> Option<(&DictionaryArray<UInt32Type>, &StringArray)> {
    let rows = array.as_dictionary_opt::<UInt32Type>()?;
    let texts = rows.values().as_string_opt::<i32>().filter(|texts| texts.null_count() == 0)?;
    Some((rows, texts))
}

/// The field with the type that its column has, of which texts may be a dictionary array.
pub fn as_it_comes(field: &FieldRef, column: &dyn Array) -> FieldRef {
    match field.data_type() == column.data_type() {
        true => field.clone(),
        false => Arc::new(field.as_ref().clone().with_data_type(column.data_type().clone())),
    }
}

/// The schema with the types that its columns have, of which texts may be dictionary arrays.
pub fn as_they_come(schema: &Schema, columns: &[ArrayRef]) -> SchemaRef {
    let fields = schema.fields().iter().zip(columns).map(|(field, column)| as_it_comes(field, column));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Each text has one code, whenever it comes, and is found under it.
    #[test]
    fn a_text_has_one_code() {
        let mut texts = DistinctTexts::default();
        let text = |n: u32| if n == 0 { String::new() } else { format!("text {}", n * 31) };
        for turn in 0..3 {
            for n in (0..1000).chain((0..1000).rev()) {
                assert_eq!(texts.code(text(n).as_bytes()), n + 1, "turn {turn}");
                assert_eq!(texts.text(n + 1), text(n).as_bytes());
            }
            assert_eq!(texts.count(), 1000);
        }
        assert_eq!(texts.text_bytes(), (0..1000).map(|n| text(n).len()).sum::<usize>());
        let array = texts.into_array().unwrap();
        assert!((0..1000).all(|n| array.value(n as usize) == text(n)));
    }

    #[test]
    fn keys_are_codes_without_null() {
        assert_eq!(keys_of([3, NULL, 1].into_iter()), UInt32Array::from(vec![Some(2), None, Some(0)]));
        assert_eq!(keys_of([1, 1].into_iter()).nulls(), None);
    }

    #[test]
    fn rows_have_the_codes_of_their_keys() {
        let mut rows = vec![9];
        extend_by_codes(&mut rows, &UInt32Array::from(vec![2, 0, 2]), |code| 10 * code);
        // whatever stands below NULL
        let nulls = NullBuffer::from(vec![true, false, false, true]);
        let keys = UInt32Array::new(vec![1, 5, u32::MAX, 0].into(), Some(nulls));
        extend_by_codes(&mut rows, &keys, |code| code);
        extend_by_codes(&mut rows, &keys.slice(1, 3), |code| code);
        assert_eq!(rows, [9, 30, 10, 30, 2, NULL, NULL, 1, NULL, NULL, 1]);
    }

    #[test]
    fn one_text_is_that_of_all_rows() {
        for rows in [0, 1, 9] {
            let column = one_text("shop", rows);
            let (keys, texts) = coded_texts(&column).unwrap();
            assert_eq!((keys.len(), keys.null_count(), texts.value(0)), (rows, 0, "shop"));
            assert_eq!(column.data_type(), &coded_type());
            assert!(coded_texts(texts).is_none());
        }
    }

    /// Texts of all lengths, and those that differ from them in one byte, wherever it is.
    #[test]
    fn texts_are_the_same_in_all_bytes() {
        for length in 0..40 {
            let text: Vec<u8> = (0..length).collect();
            assert!(is_same(&text, &text.clone()), "{length}");
            assert!(!is_same(&text, &[text.as_slice(), &b"x"[..]].concat()), "{length}");
            for at in 0..text.len() {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!is_same(&text, &other) && !is_same(&other, &text), "byte {at} of {length}");
            }
        }
    }
}
