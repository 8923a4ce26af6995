//! The footer of a Parquet file, looked through before a reader believes what it says: memory for a list is taken by the length
//! that the footer gives it, and a length that no file holds would end the process.
//!
//! In: a file. Out: nothing, or that the footer is broken. What is no Parquet file at all is for the reader to tell.

use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

/// The length of the footer and the sign of the format end a file.
const END_BYTES: usize = 8;

/// Structures in structures beyond what the format has.
const MAX_DEPTH: usize = 64;

/// True where the lengths in the footer fit into it, and where there is none.
///
/// # Errors
/// The file cannot be read.
pub fn is_sound<R: ChunkReader + Length>(file: &R) -> Result<bool, ParquetError> {
    let Some(before_end) = file.len().checked_sub(END_BYTES as u64) else { return Ok(true) };
    let end = file.get_bytes(before_end, END_BYTES)?;
    let Some(length) = end.strip_suffix(b"PAR1").and_then(|length| <[u8; 4]>::try_from(length).ok()) else {
        return Ok(true);
    };
    let length = u32::from_le_bytes(length);
    let Some(start) = before_end.checked_sub(u64::from(length)) else { return Ok(true) };
    let footer = file.get_bytes(start, length as usize)?;
    Ok(Values(&footer).structure(0).is_some())
}

/// Values in Thrift's compact form, one after the other; None where one ends beyond the bytes.
pub(super) struct Values<'a>(pub(super) &'a [u8]);

impl Values<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn skip(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    /// A number in groups of seven bits.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number of things of which each takes a byte at least.
    fn count(&mut self) -> Option<u64> {
        self.varint().filter(|count| *count <= self.0.len() as u64)
    }

    /// A number with a sign.
    pub(super) fn number(&mut self) -> Option<i64> {
        self.varint().map(|number| (number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        self.fields(depth, &mut |_, _, _| Some(false))
    }

    /// The fields of a structure, each with its number and kind: `read` takes one, or says false and it is passed over.
    pub(super) fn fields(
        &mut self,
        depth: usize,
        read: &mut dyn FnMut(&mut Self, i64, u8) -> Option<bool>,
    ) -> Option<()> {
        let mut number: i64 = 0;
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            number = match header >> 4 {
                // a field that is far from the one before says its number
                0 => self.number()?,
                further => number.wrapping_add(i64::from(further)),
            };
            let kind = header & 0x0f;
            // true and false are the header itself
            if !read(self, number, kind)? && !matches!(kind, 1 | 2) {
                self.value(kind, depth)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let bytes = self.count()?;
                self.skip(bytes)
            }
            9 | 10 => {
                let header = self.byte()?;
                let count = match header >> 4 {
                    15 => self.count()?,
                    few => u64::from(few),
                };
                (0..count).try_for_each(|_| self.value(header & 0x0f, depth + 1))
            }
            11 => {
                let count = self.count()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.value(kinds >> 4, depth + 1)?;
                    self.value(kinds & 0x0f, depth + 1)
                })
            }
            12 => self.structure(depth + 1),
            13 => self.skip(16),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn file() -> Vec<u8> {
        let columns = (0..20).map(|i| {
            let values: ArrayRef = match i % 2 {
                0 => Arc::new(Int64Array::from_iter_values(0..100)),
                _ => Arc::new(StringArray::from_iter_values((0..100).map(|i| i.to_string()))),
            };
            (format!("column{i}"), values)
        });
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut writer = ArrowWriter::try_new(vec![], batch.schema(), None).unwrap();
        for _ in 0..20 {
            writer.write(&batch).unwrap();
            writer.flush().unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn is_sound_of(bytes: Vec<u8>) -> bool {
        is_sound(&Bytes::from(bytes)).unwrap()
    }

    #[test]
    fn lengths_that_no_file_holds() {
        let file = file();
        assert!(is_sound_of(file.clone()));
        let (length, end) = (file.len(), file.len() - END_BYTES);
        let footer = end - u32::from_le_bytes(file[end..end + 4].try_into().unwrap()) as usize;
        // 20 groups of rows, a list of structures, are now many more
        let at = footer + file[footer..].windows(2).rposition(|pair| pair == [0xfc, 20]).unwrap();
        let many = [&file[..=at], &b"\xff\xff\xff\xff\x07"[..], &file[at + 2..end]].concat();
        let end_of = |length: usize| [&(length as u32).to_le_bytes()[..], &b"PAR1"[..]].concat();
        let many = [many.clone(), end_of(many.len() - footer)].concat();
        assert!(!is_sound_of(many));
        // what ends too early, and what is no such file
        let cut = [file[..end - 10].to_vec(), end_of(end - 10 - footer)].concat();
        assert!(!is_sound_of(cut));
        for other in [vec![], b"PAR1".to_vec(), vec![0; 100], file[..length - 1].to_vec()] {
            assert!(is_sound_of(other));
        }
        let long = [file[..end].to_vec(), end_of(usize::MAX)].concat();
        assert!(is_sound_of(long));
        // structures in structures, and lists in lists
        assert_eq!(Values(&[0x1c; 1000]).structure(0), None);
        assert_eq!(Values(&[0x19; 1000]).structure(0), None);
    }
}
