//! The pages of a Parquet file, their headers looked through before a reader believes them: it takes memory by the bytes that a
//! page claims to have unpacked, by the values that a dictionary claims, by those of one row of a list, and by how many lengths
//! of texts a page claims.
//!
//! In: a file, what its footer says, and which columns are read. Out: whether the claims can be true, and how long a text may be that
//! many rows share. Pages themselves are read only where they have texts by their lengths, which few writers write, and large
//! dictionaries.

use std::sync::Arc;

use parquet::arrow::ProjectionMask;
use parquet::basic::{Compression, Encoding, Type as PhysicalType};
use parquet::column::page::{Page, PageReader};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, SerializedPageReader};
use parquet::schema::types::ColumnDescriptor;

use super::footer::Values;

/// Writers end a page at a megabyte or a few; one of more than this is a mistake or worse.
const MAX_PAGE_BYTES: u64 = 256 << 20;

/// Values of lists that take no bytes, as nulls do, in one column of a group of rows.
const MAX_EMPTY_VALUES: u64 = 16 << 20;

/// A header takes some 50 bytes; with statistics of long texts more, but no more than this.
const HEADER_BYTES: [u64; 3] = [256, 16 << 10, 4 << 20];

/// Encodings of texts by their lengths, as headers number them: DELTA_LENGTH_BYTE_ARRAY and DELTA_BYTE_ARRAY.
const LENGTHS: [i64; 2] = [6, 7];

/// Kinds of fields in Thrift's compact form.
const BOOLEAN: u8 = 1;
const NUMBER: u8 = 5;
const STRUCTURE: u8 = 12;

/// The kinds of the fields of a page's header, and of what it says of its kind of page: what has others is no header.
const PAGE: &[u8] = &[NUMBER, NUMBER, NUMBER, NUMBER, STRUCTURE, STRUCTURE, STRUCTURE, STRUCTURE];
const DATA: &[u8] = &[NUMBER, NUMBER, NUMBER, NUMBER, STRUCTURE];
const DICTIONARY: &[u8] = &[NUMBER, NUMBER, BOOLEAN];
const DATA_2: &[u8] = &[NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, NUMBER, BOOLEAN, STRUCTURE];

/// The longest text of the dictionaries of these columns that have `large` bytes or more; 0 where none has. None where pages cannot hold
/// what their headers claim.
///
/// # Errors
/// The file cannot be read where its footer says that pages are.
pub fn longest_shared_text<R: ChunkReader + Clone>(
    file: &R,
    metadata: &ParquetMetaData,
    columns: &ProjectionMask,
    large: u64,
) -> Result<Option<usize>, ParquetError> {
    let mut longest = 0;
    for group in metadata.row_groups() {
        for (leaf, chunk) in group.columns().iter().enumerate() {
            if !columns.leaf_included(leaf) {
                continue;
            }
            match longest_of_chunk(file, chunk, large)? {
                Some(text) => longest = longest.max(text),
                None => return Ok(None),
            }
        }
    }
    Ok(Some(longest))
}

/// The same of a column of one group of rows.
fn longest_of_chunk<R: ChunkReader + Clone>(
    file: &R,
    chunk: &ColumnChunkMetaData,
    large: u64,
) -> Result<Option<usize>, ParquetError> {
    let (mut at, mut left) = chunk.byte_range();
    let has_lists = chunk.column_descr().max_rep_level() > 0;
    let has_texts = chunk.column_type() == PhysicalType::BYTE_ARRAY;
    let (mut bytes, mut values, mut has_lengths, mut has_large) = (0_u64, 0_u64, false, false);
    while left > 0 {
        let Some((header, length)) = read(file, at, left)? else { return Ok(None) };
        left -= length;
        let Some(claim) = header.claim(chunk.compression(), left) else { return Ok(None) };
        has_large |= has_texts && header.dictionary.is_some() && claim.bytes >= large;
        bytes += claim.bytes;
        values += claim.values;
        has_lengths |= LENGTHS.contains(&header.encoding);
        if has_lists && values > MAX_EMPTY_VALUES.saturating_add(bytes.saturating_mul(8)) {
            return Ok(None);
        }
        left -= claim.packed;
        at += length + claim.packed;
    }
    if !has_lengths && !has_large {
        return Ok(Some(0));
    }
    let mut longest = 0;
    let mut pages = SerializedPageReader::new(Arc::new(file.clone()), chunk, 0, None)?;
    while let Some(page) = pages.get_next_page()? {
        if has_lengths && lengths_of(&page, chunk.column_descr()).is_none() {
            return Ok(None);
        }
        if let Page::DictionaryPage { buf, .. } = &page {
            longest = if has_large { longest_text(buf) } else { 0 };
        }
        // a dictionary comes before all other pages
        if !has_lengths {
            break;
        }
    }
    Ok(Some(longest))
}

/// The longest text of a dictionary, in which each stands behind its length. Of one that is cut off the reader says so.
fn longest_text(mut dictionary: &[u8]) -> usize {
    let mut longest = 0;
    while let Some((length, rest)) = dictionary.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        longest = longest.max(length);
        dictionary = rest.get(length..).unwrap_or_default();
    }
    longest
}

/// The header at a place, and how long it is; None where there is none.
fn read<R: ChunkReader>(file: &R, at: u64, left: u64) -> Result<Option<(Header, u64)>, ParquetError> {
    for most in HEADER_BYTES {
        let bytes = file.get_bytes(at, most.min(left) as usize)?;
        let mut rest = Values(&bytes);
        if let Some(header) = Header::of(&mut rest) {
            return Ok(Some((header, (bytes.len() - rest.0.len()) as u64)));
        }
        if most >= left {
            break;
        }
    }
    Ok(None)
}

/// What a page says of itself.
#[derive(Default)]
struct Header {
    unpacked: i64,
    packed: i64,
    values: i64,
    encoding: i64,
    dictionary: Option<i64>,
}

/// What can be true of a page, in bytes and values of the column.
struct PageLimits {
    packed: u64,
    bytes: u64,
    values: u64,
}

impl Header {
    fn of(bytes: &mut Values<'_>) -> Option<Self> {
        let mut header = Self::default();
        bytes.fields(0, &mut |bytes, field, kind| {
            known(PAGE, field, kind)?;
            match field {
                2 => header.unpacked = bytes.number()?,
                3 => header.packed = bytes.number()?,
                5 => (header.values, header.encoding) = values(bytes, DATA, 2)?,
                7 => header.dictionary = Some(values(bytes, DICTIONARY, 2)?.0),
                8 => (header.values, header.encoding) = values(bytes, DATA_2, 4)?,
                _ => return Some(false),
            }
            Some(true)
        })?;
        Some(header)
    }

    /// None where the claim cannot be true, of a page of which `left` bytes are there.
    fn claim(&self, compression: Compression, left: u64) -> Option<PageLimits> {
        let is_number = |number: &i64| (0..=i64::from(i32::MAX)).contains(number);
        let number = |number: i64| Some(number).filter(is_number).map(|number| number as u64);
        let packed = number(self.packed).filter(|packed| *packed <= left)?;
        let unpacked = number(self.unpacked)?;
        let bytes = match most_of_a_byte(compression) {
            None => packed,
            Some(most) => Some(unpacked).filter(|bytes| *bytes <= packed.saturating_mul(most).min(MAX_PAGE_BYTES))?,
        };
        // a value of a dictionary takes a byte at least
        if let Some(dictionary) = self.dictionary {
            number(dictionary).filter(|values| *values <= bytes)?;
        }
        // a reader takes the lower half of a number, whatever the upper one says
        number(self.encoding)?;
        Some(PageLimits { packed, bytes, values: number(self.values)? })
    }
}

/// Of what a header says of its kind of page the first field, how many values there are, and the one that says their encoding.
fn values(bytes: &mut Values<'_>, kinds: &[u8], encoding_field: i64) -> Option<(i64, i64)> {
    let (mut values, mut encoding) = (0, 0);
    bytes.fields(1, &mut |bytes, field, kind| {
        known(kinds, field, kind)?;
        match field {
            1 => values = bytes.number()?,
            field if field == encoding_field => encoding = bytes.number()?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    Some((values, encoding))
}

/// None where a page has texts by more lengths than it has values, or none where they should be.
fn lengths_of(page: &Page, column: &ColumnDescriptor) -> Option<()> {
    let (buf, values, encoding, before) = match page {
        Page::DataPage { buf, num_values, encoding, def_level_encoding, rep_level_encoding, .. } => {
            let repeated = level_bytes(buf, column.max_rep_level(), *rep_level_encoding, *num_values)?;
            let defined = level_bytes(buf.get(repeated..)?, column.max_def_level(), *def_level_encoding, *num_values)?;
            (buf, *num_values, *encoding, repeated + defined)
        }
        Page::DataPageV2 { buf, num_values, encoding, def_levels_byte_len, rep_levels_byte_len, .. } => {
            (buf, *num_values, *encoding, *def_levels_byte_len as usize + *rep_levels_byte_len as usize)
        }
        Page::DictionaryPage { .. } => return Some(()),
    };
    let mut rest = Values(buf.get(before..)?);
    match encoding {
        // without any value nothing need be said
        _ if rest.0.is_empty() => Some(()),
        Encoding::DELTA_LENGTH_BYTE_ARRAY => differences(&mut rest, u64::from(values), false),
        // lengths of what texts share with the ones before them, then of what they have of their own
        Encoding::DELTA_BYTE_ARRAY => {
            differences(&mut rest, u64::from(values), true)?;
            differences(&mut rest, u64::from(values), false)
        }
        _ => Some(()),
    }
}

/// The bytes that the levels at the beginning of a page take, which stand there where they can be more than 0.
fn level_bytes(page: &[u8], most: i16, encoding: Encoding, values: u32) -> Option<usize> {
    if most == 0 {
        return Some(0);
    }
    match encoding {
        Encoding::RLE => {
            let length = <[u8; 4]>::try_from(page.get(..4)?).ok()?;
            Some(4 + u32::from_le_bytes(length) as usize)
        }
        // as many bits each as the highest level takes
        _ => Some((values as usize * (i16::BITS - most.leading_zeros()) as usize).div_ceil(8)),
    }
}

/// Numbers that are written by their differences: None where there are more than `most`. Goes past them, if that is wanted.
fn differences(rest: &mut Values<'_>, most: u64, past: bool) -> Option<()> {
    let (block, parts, count) = (rest.varint()?, rest.varint()?, rest.varint()?);
    // the first number
    rest.varint()?;
    if count > most {
        return None;
    }
    let in_part = block.checked_div(parts).filter(|count| *count > 0)?;
    let mut left = if past { count.saturating_sub(1) } else { 0 };
    while left > 0 {
        // the smallest difference, and how many bits each one of a part takes
        rest.varint()?;
        let widths = rest.0.get(..usize::try_from(parts).ok()?)?;
        rest.skip(parts)?;
        for width in widths {
            // what comes after the last number is left out
            let taken = if left > 0 { u64::from(*width) * in_part / 8 } else { 0 };
            rest.skip(taken)?;
            left = left.saturating_sub(in_part);
        }
    }
    Some(())
}

/// None for a field of another kind than it has in the format; fields that nobody knows yet may be there.
fn known(kinds: &[u8], field: i64, kind: u8) -> Option<()> {
    let expected = usize::try_from(field).ok().and_then(|field| kinds.get(field.checked_sub(1)?));
    let is_expected = |expected: &u8| *expected == kind || (*expected == BOOLEAN && kind == 2);
    expected.is_none_or(is_expected).then_some(())
}

/// How many bytes one byte can become at most, by what the format of the compression can say; None where it is none.
fn most_of_a_byte(compression: Compression) -> Option<u64> {
    match compression {
        Compression::UNCOMPRESSED => None,
        // 64 bytes by a copy of three
        Compression::SNAPPY => Some(32),
        Compression::LZ4 | Compression::LZ4_RAW => Some(256),
        Compression::GZIP(_) => Some(1100),
        // a block of 128 KiB by a header of three bytes
        Compression::ZSTD(_) => Some((128 << 10) / 3 + 1),
        Compression::BROTLI(_) | Compression::LZO => Some(MAX_PAGE_BYTES),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, RecordBatch, StringArray};
    use arrow::datatypes::Int64Type;
    use bytes::Bytes;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::basic::{BrotliLevel, GzipLevel, ZstdLevel};
    use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

    use super::*;

    const DATA_PAGE: i32 = 0;
    const DICTIONARY_PAGE: i32 = 2;

    fn batch() -> RecordBatch {
        let lists = (0..5000).map(|i| Some((0..i % 4).map(Some).collect::<Vec<_>>()));
        let columns: [(&str, ArrayRef); 4] = [
            ("number", Arc::new(Int64Array::from_iter_values((0..5000).map(|i| i * i * 7919)))),
            ("text", Arc::new(StringArray::from_iter_values((0..5000).map(|i| format!("{}", i % 7).repeat(400))))),
            ("same", Arc::new(StringArray::from_iter_values((0..5000).map(|_| "x".repeat(600))))),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn file(batch: &RecordBatch, properties: WriterProperties) -> Bytes {
        let mut writer = ArrowWriter::try_new(vec![], batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap().into()
    }

    fn sound(file: &Bytes) -> bool {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
        longest_shared_text(file, builder.metadata(), &ProjectionMask::all(), 1 << 20).unwrap().is_some()
    }

    #[test]
    fn the_longest_text_that_rows_share() {
        let texts = |long: usize| (0..100).map(move |i| "x".repeat(if i % 9 == 4 { long } else { i % 7 }));
        let batch = |long: usize| {
            let column: ArrayRef = Arc::new(StringArray::from_iter_values(texts(long)));
            RecordBatch::try_from_iter([("text", column)]).unwrap()
        };
        let longest = |long: usize, dictionary: bool| {
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_dictionary_enabled(dictionary)
                .build();
            let file = file(&batch(long), properties);
            let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
            longest_shared_text(&file, builder.metadata(), &ProjectionMask::all(), 1000).unwrap()
        };
        assert_eq!(longest(5000, true), Some(5000));
        // small dictionaries are not looked into, and texts that stand in each row are as long as the file has room for
        assert_eq!((longest(500, true), longest(5000, false)), (Some(0), Some(0)));
    }

    #[test]
    fn texts_of_a_dictionary_that_is_cut_off() {
        let dictionary = [&[2, 0, 0, 0, b'a', b'b'][..], &[9, 0, 0, 0, b'c']].concat();
        assert_eq!((longest_text(&dictionary[..6]), longest_text(&dictionary), longest_text(&[1])), (2, 9, 0));
    }

    #[test]
    fn what_writers_write_is_sound() {
        let batch = batch();
        for compression in [
            Compression::UNCOMPRESSED,
            Compression::SNAPPY,
            Compression::GZIP(GzipLevel::try_new(9).unwrap()),
            Compression::BROTLI(BrotliLevel::try_new(9).unwrap()),
            Compression::LZ4,
            Compression::LZ4_RAW,
            Compression::ZSTD(ZstdLevel::try_new(9).unwrap()),
        ] {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                for dictionary in [true, false] {
                    let properties = WriterProperties::builder()
                        .set_compression(compression)
                        .set_writer_version(version)
                        .set_dictionary_enabled(dictionary)
                        .set_statistics_enabled(EnabledStatistics::Page)
                        .set_write_page_header_statistics(true)
                        .build();
                    assert!(sound(&file(&batch, properties)), "{compression:?} {version:?} {dictionary}");
                }
            }
        }
    }

    fn number(number: i32) -> Vec<u8> {
        let mut rest = ((number << 1) ^ (number >> 31)) as u32;
        let mut bytes = vec![];
        while rest > 0x7f {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
        bytes
    }

    fn header(kind: i32, unpacked: i32, packed: i32, values: i32) -> Vec<u8> {
        let of_page = [(kind, 0x15), (unpacked, 0x15), (packed, 0x15)];
        let (of_kind, field) = match kind {
            DICTIONARY_PAGE => (vec![values, 0], 0x4c),
            _ => (vec![values, 0, 3, 3], 0x2c),
        };
        let mut bytes: Vec<u8> =
            of_page.iter().flat_map(|(value, sign)| [vec![*sign], number(*value)].concat()).collect();
        bytes.push(field);
        bytes.extend(of_kind.iter().flat_map(|value| [vec![0x15], number(*value)].concat()));
        bytes.extend([0, 0]);
        bytes
    }

    /// A file of which the only column is one page with such a header, of as many bytes as the column had. Without a size the page
    /// is as long as it can be.
    fn one_page(column: usize, kind: i32, unpacked: Option<i32>, packed: Option<i32>, values: i32) -> Bytes {
        let batch = batch().project(&[column]).unwrap();
        let properties =
            WriterProperties::builder().set_compression(Compression::SNAPPY).set_dictionary_enabled(false).build();
        let file = file(&batch, properties);
        let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone()).unwrap();
        let (start, length) = builder.metadata().row_group(0).column(0).byte_range();
        let (start, length) = (start as usize, length as usize);
        let header_of = |rest: i32| header(kind, unpacked.unwrap_or(rest), packed.unwrap_or(rest), values);
        let mut rest = length as i32;
        for _ in 0..4 {
            rest = length as i32 - header_of(rest).len() as i32;
        }
        let header = header_of(rest);
        let page = [header.clone(), vec![0; length - header.len()]].concat();
        [&file[..start], &page, &file[start + length..]].concat().into()
    }

    #[test]
    fn claims_that_cannot_be_true() {
        const MAX: Option<i32> = Some(i32::MAX);
        let (numbers, lists) = (0, 3);
        assert!(sound(&one_page(numbers, DATA_PAGE, None, None, 5000)));
        assert!(sound(&one_page(numbers, DICTIONARY_PAGE, None, None, 100)));
        for (kind, unpacked, packed, values) in [
            (DATA_PAGE, MAX, None, 5000),
            (DATA_PAGE, Some(1 << 28), None, 5000),
            (DATA_PAGE, Some(-1), None, 5000),
            (DATA_PAGE, None, MAX, 5000),
            (DATA_PAGE, None, Some(-1), 5000),
            (DATA_PAGE, None, None, -1),
            (DICTIONARY_PAGE, MAX, None, 100),
            (DICTIONARY_PAGE, None, None, i32::MAX),
            (DICTIONARY_PAGE, None, None, -1),
        ] {
            assert!(
                !sound(&one_page(numbers, kind, unpacked, packed, values)),
                "{kind} {unpacked:?} {packed:?} {values}"
            );
        }
        // nulls take no bytes: rows are read some at a time, but one row can have a list of any length
        assert!(sound(&one_page(numbers, DATA_PAGE, None, None, i32::MAX)));
        assert!(!sound(&one_page(lists, DATA_PAGE, None, None, i32::MAX)));
    }

    #[test]
    fn texts_by_their_lengths() {
        let texts = || (0..5000).map(|i| format!("text {i}"));
        let flat: ArrayRef = Arc::new(StringArray::from_iter_values(texts()));
        let nulls: ArrayRef =
            Arc::new(texts().map(|text| text.ends_with('7').then_some(text)).collect::<StringArray>());
        let none: ArrayRef = Arc::new(StringArray::new_null(5000));
        for encoding in [Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
            for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
                let file = |column: &ArrayRef| {
                    let properties = WriterProperties::builder()
                        .set_writer_version(version)
                        .set_dictionary_enabled(false)
                        .set_encoding(encoding);
                    file(&RecordBatch::try_from_iter([("text", column.clone())]).unwrap(), properties.build())
                };
                for column in [&flat, &nulls, &none] {
                    assert!(sound(&file(column)), "{encoding:?} {version:?}");
                }
                // blocks of 128 in 4 parts, 5000 numbers: the last such words, and now they say 16383
                let bytes = file(&flat);
                let at = bytes.windows(5).rposition(|word| word == [0x80, 0x01, 4, 0x88, 0x27]).unwrap();
                let mut more = bytes.to_vec();
                more[at + 3..at + 5].copy_from_slice(&[0xff, 0x7f]);
                assert!(!sound(&more.into()), "{encoding:?} {version:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header() {
        let plain = header(DATA_PAGE, 10, 10, 10);
        let parsed = |bytes: &[u8]| Header::of(&mut Values(bytes)).map(|header| (header.unpacked, header.values));
        assert_eq!(parsed(&plain), Some((10, 10)));
        for cut in 0..plain.len() {
            assert_eq!(parsed(&plain[..cut]), None);
        }
        // a size as a byte, and one as a text
        for kind in [0x13, 0x18] {
            let mut other = plain.clone();
            other[2] = kind;
            assert_eq!(parsed(&other), None);
        }
    }
}
