//! Column chunks that are encoded here, since it takes less time than the writer of the Parquet library: columns of few values, ids of
//! visitors, whose rows are side by side, and decimal numbers without a dictionary, such as sequences.
//!
//! In: the rows of one column of a row group, as dictionary arrays over the same texts, texts, integers or floating point numbers of
//! eight bytes, or decimal numbers. Out: the bytes of its chunk of the file, and what the footer says of it, as that writer gives them.
//! Of few values there is a dictionary page, with the values in the order in which rows have them first, and data pages with the
//! numbers of these values, in runs or packed by bits. A text is looked up once a row group, by its number in the arrays, not once a
//! row; where it comes as such, once a run of rows with it. Of decimal numbers there are plain pages. Columns of which the file keeps
//! more than this, and those with more values than a dictionary may have, are left to that writer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, StringArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, UInt32Type};
use bytes::Bytes;
use parquet::basic::{BoundaryOrder, Compression, Encoding, PageType, Type};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::{ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;
use zstd::bulk::Compressor;

use crate::Result;
use crate::distinct_texts::{DistinctTexts, NULL, UNKNOWN, extend_by_codes, is_same};

/// Numbers that are packed by bits at once.
const GROUP: usize = 8;
/// Numbers of a run that are compared at once.
const RUN: usize = 32;
/// Groups behind one header at most, so that it is a single byte.
const MOST_GROUPS: usize = 63;
/// Distinct values of eight bytes that a column may have at least; with more, they must recur.
const SAMPLE_VALUES: usize = 4096;
/// Bits of the place of a value among those that were met last.
const PLACE_BITS: u32 = 8;
/// Spreads values over these places: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A chunk of a file.
pub(super) struct CodedChunk {
    /// Its pages.
    pub bytes: Bytes,
    /// What is said of it, by its own beginning.
    pub close: ColumnCloseResult,
}

/// The chunk of a column; None where it is for the other writer.
pub(super) fn encode_coded(
    descr: &ColumnDescPtr,
    properties: &WriterProperties,
    arrays: &[ArrayRef],
    compressors: &Compressors,
) -> Result<Option<CodedChunk>> {
    if descr.physical_type() == Type::FIXED_LEN_BYTE_ARRAY {
        return encode_decimals(descr, properties, arrays, compressors);
    }
    let Some(level) = compression_of(descr, properties) else { return Ok(None) };
    let most_bytes = properties.column_dictionary_page_size_limit(descr.path());
    let kept = properties.statistics_enabled(descr.path());
    let numbered = match texts_of(arrays) {
        Some(texts) => Numbered::of(arrays, texts, most_bytes),
        // ids of visitors
        None if kept == EnabledStatistics::Page => Numbered::of_texts(arrays, most_bytes),
        None => Numbered::of_values(arrays, most_bytes),
    };
    let Some(Numbered { rows, count, dictionary }) = numbered else { return Ok(None) };
    let nullable = descr.max_def_level() > 0;
    if count == 0 || !nullable && rows.contains(&0) {
        return Ok(None);
    }
    let texts: Vec<&[u8]> = if kept == EnabledStatistics::None { vec![] } else { texts_in(&dictionary).collect() };
    let longest = properties.statistics_truncate_length().unwrap_or(usize::MAX);
    let longest = longest.min(properties.column_index_truncate_length().unwrap_or(usize::MAX));
    if texts.iter().any(|text| text.len() > longest) {
        return Ok(None);
    }
    let mut pages = Pages::new(descr, properties, compressors.take(level)?);
    pages.put_dictionary(&dictionary, count)?;
    let mut index = (kept == EnabledStatistics::Page).then(PageBounds::new);
    for rows in rows.chunks(properties.data_page_row_count_limit().max(1)) {
        pages.put(&page_of(rows, nullable), rows.len(), Encoding::RLE_DICTIONARY)?;
        if let Some(index) = &mut index {
            index.add(rows, &texts);
        }
    }
    let statistics = bounds_of(texts.iter().copied()).map(|bounds| {
        let [least, most] = bounds.map(|bound| Some(bound.to_vec().into()));
        Statistics::byte_array(least, most, None, Some(nulls_of(&rows)), false)
    });
    let mut chunk = pages.finish(statistics, compressors)?;
    chunk.close.column_index = index.map(PageBounds::finish).transpose()?;
    Ok(Some(chunk))
}

/// The least and the greatest text of each page.
struct PageBounds<'t> {
    index: ColumnIndexBuilder,
    last: Option<[&'t [u8]; 2]>,
    are_rising: bool,
}

impl<'t> PageBounds<'t> {
    fn new() -> Self {
        Self { index: ColumnIndexBuilder::new(Type::BYTE_ARRAY), last: None, are_rising: true }
    }

    /// Adds a page of rows with the numbers of these texts.
    fn add(&mut self, rows: &[u32], texts: &[&'t [u8]]) {
        let runs = rows.chunk_by(|one, other| one == other);
        let numbers = runs.filter_map(|run| run[0].checked_sub(1));
        let bounds = bounds_of(numbers.map(|number| texts[number as usize]));
        let [least, most] = bounds.map_or_else(Default::default, |bounds| bounds.map(<[u8]>::to_vec));
        self.index.append(bounds.is_none(), least, most, nulls_of(rows) as i64);
        let is_later = |last: [&[u8]; 2], bounds: [&[u8]; 2]| last[0] <= bounds[0] && last[1] <= bounds[1];
        self.are_rising &= self.last.zip(bounds).is_none_or(|(last, bounds)| is_later(last, bounds));
        self.last = bounds.or(self.last);
    }

    fn finish(mut self) -> Result<ColumnIndexMetaData> {
        let order = if self.are_rising { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED };
        self.index.set_boundary_order(order);
        Ok(self.index.build()?)
    }
}

fn nulls_of(rows: &[u32]) -> u64 {
    rows.iter().filter(|row| **row == 0).count() as u64
}

/// The chunk of a column of decimal numbers without a dictionary; None where it is for the other writer, which allocates memory for
/// each number.
fn encode_decimals(
    descr: &ColumnDescPtr,
    properties: &WriterProperties,
    arrays: &[ArrayRef],
    compressors: &Compressors,
) -> Result<Option<CodedChunk>> {
    let (path, nullable) = (descr.path(), descr.max_def_level() > 0);
    let is_plain = descr.type_length() as usize == size_of::<i128>()
        && properties.statistics_enabled(path) == EnabledStatistics::None
        && !properties.dictionary_enabled(path)
        && properties.encoding(path).is_none();
    let arrays: Option<Vec<&Decimal128Array>> =
        arrays.iter().map(|array| array.as_primitive_opt::<Decimal128Type>()).collect();
    let (Some(level), Some(arrays), true) = (level_of(descr, properties), arrays, is_plain) else { return Ok(None) };
    if !nullable && arrays.iter().any(|array| array.null_count() > 0) {
        return Ok(None);
    }
    let mut pages = Pages::new(descr, properties, compressors.take(level)?);
    let most_rows = properties.data_page_row_count_limit().max(1);
    let (mut levels, mut values) = (Vec::<u32>::new(), Vec::<u8>::new());
    for value in arrays.iter().flat_map(|array| array.iter()) {
        levels.push(u32::from(value.is_some()));
        if let Some(value) = value {
            values.extend_from_slice(&value.to_be_bytes());
        }
        if levels.len() == most_rows {
            pages.put_values(&mut levels, &mut values, nullable)?;
        }
    }
    pages.put_values(&mut levels, &mut values, nullable)?;
    Ok(Some(pages.finish(None, compressors)?))
}

/// Compressors that are used again, for new ones take long to make.
#[derive(Default)]
pub(super) struct Compressors(Mutex<Vec<Compressor<'static>>>);

impl Compressors {
    fn take(&self, level: i32) -> Result<Compressor<'static>> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(mut compressor) = spare else { return Ok(Compressor::new(level)?) };
        compressor.set_compression_level(level)?;
        Ok(compressor)
    }

    fn give_back(&self, compressor: Compressor<'static>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(compressor);
    }
}

/// The pages of a chunk, as they come.
struct Pages<'c> {
    descr: &'c ColumnDescPtr,
    properties: &'c WriterProperties,
    compressor: Compressor<'static>,
    sink: TrackedWrite<Vec<u8>>,
    offsets: OffsetIndexBuilder,
    rows: usize,
    /// Bytes of all pages with their headers, and of these unpacked.
    stored_bytes: usize,
    plain_bytes: usize,
    /// Those of the dictionary in the file, where there is one.
    dictionary_bytes: Option<usize>,
    /// How the pages with rows are encoded, and how many there are.
    encoding: Encoding,
    count: i32,
}

impl<'c> Pages<'c> {
    fn new(descr: &'c ColumnDescPtr, properties: &'c WriterProperties, compressor: Compressor<'static>) -> Self {
        Self {
            descr,
            properties,
            compressor,
            sink: TrackedWrite::new(vec![]),
            offsets: OffsetIndexBuilder::new(),
            rows: 0,
            stored_bytes: 0,
            plain_bytes: 0,
            dictionary_bytes: None,
            encoding: Encoding::PLAIN,
            count: 0,
        }
    }

    /// Adds the dictionary, before any rows.
    fn put_dictionary(&mut self, values: &[u8], count: u32) -> Result<()> {
        let buf = self.compressor.compress(values)?.into();
        let page = Page::DictionaryPage { buf, num_values: count, encoding: Encoding::PLAIN, is_sorted: false };
        let written = self.write(CompressedPage::new(page, values.len()))?;
        self.dictionary_bytes = Some(written.compressed_size);
        Ok(())
    }

    /// Adds rows.
    fn put(&mut self, plain: &[u8], rows: usize, encoding: Encoding) -> Result<()> {
        let page = Page::DataPage {
            buf: self.compressor.compress(plain)?.into(),
            num_values: rows as u32,
            encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let written = self.write(CompressedPage::new(page, plain.len()))?;
        self.offsets.append_offset_and_size(written.offset as i64, written.compressed_size as i32);
        self.offsets.append_row_count(rows as i64);
        self.rows += rows;
        self.encoding = encoding;
        self.count += 1;
        Ok(())
    }

    /// Adds rows without a dictionary, if there are any: the level of each says whether it has one of the values, 1, or none, 0. Leaves
    /// both empty.
    fn put_values(&mut self, levels: &mut Vec<u32>, values: &mut Vec<u8>, nullable: bool) -> Result<()> {
        if !levels.is_empty() {
            let mut page = vec![];
            if nullable {
                put_levels(levels, &mut page);
            }
            page.append(values);
            self.put(&page, levels.len(), Encoding::PLAIN)?;
            levels.clear();
        }
        Ok(())
    }

    fn write(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        let written = SerializedPageWriter::new(&mut self.sink).write_page(page)?;
        self.stored_bytes += written.compressed_size;
        self.plain_bytes += written.uncompressed_size;
        Ok(written)
    }

    fn finish(self, statistics: Option<Statistics>, compressors: &Compressors) -> Result<CodedChunk> {
        compressors.give_back(self.compressor);
        let of_pages = |page_type, encoding, count| PageEncodingStats { page_type, encoding, count };
        let dictionary = self.dictionary_bytes.map(|_| of_pages(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1));
        let rows = of_pages(PageType::DATA_PAGE, self.encoding, self.count);
        let mut encodings = vec![Encoding::PLAIN, Encoding::RLE];
        encodings.extend(dictionary.is_some().then_some(self.encoding));
        let mut metadata = ColumnChunkMetaData::builder(self.descr.clone())
            .set_compression(self.properties.compression(self.descr.path()))
            .set_encodings(encodings)
            // in the order of the file, which some readers expect
            .set_page_encoding_stats(dictionary.into_iter().chain([rows]).collect())
            .set_total_compressed_size(self.stored_bytes as i64)
            .set_total_uncompressed_size(self.plain_bytes as i64)
            .set_num_values(self.rows as i64)
            .set_dictionary_page_offset(self.dictionary_bytes.map(|_| 0))
            .set_data_page_offset(self.dictionary_bytes.unwrap_or(0) as i64);
        if let Some(statistics) = statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let close = ColumnCloseResult {
            bytes_written: self.stored_bytes as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: Some(self.offsets.build()),
        };
        Ok(CodedChunk { bytes: self.sink.into_inner()?.into(), close })
    }
}

/// The level of compression of a column of which the file has nothing but its dictionary and its pages, and of texts the bounds of all
/// or of each page.
fn compression_of(descr: &ColumnDescPtr, properties: &WriterProperties) -> Option<i32> {
    let path = descr.path();
    let may_be = match descr.physical_type() {
        Type::BYTE_ARRAY => true,
        Type::INT64 | Type::DOUBLE => properties.statistics_enabled(path) == EnabledStatistics::None,
        _ => false,
    };
    level_of(descr, properties).filter(|_| may_be && properties.dictionary_enabled(path))
}

/// The level of compression of a column with one value a row, if pages are of the kind that is written here.
fn level_of(descr: &ColumnDescPtr, properties: &WriterProperties) -> Option<i32> {
    let path = descr.path();
    let is_one_value_a_row = descr.max_rep_level() == 0 && descr.max_def_level() <= 1;
    let has_no_more =
        properties.bloom_filter_properties(path).is_none() && properties.writer_version() == WriterVersion::PARQUET_1_0;
    match properties.compression(path) {
        Compression::ZSTD(level) if is_one_value_a_row && has_no_more => Some(level.compression_level()),
        _ => None,
    }
}

/// The texts of which all arrays have the numbers.
fn texts_of(arrays: &[ArrayRef]) -> Option<&StringArray> {
    let first = values_of(arrays.first()?)?;
    let is_same = |array: &ArrayRef| values_of(array).is_some_and(|values| Arc::ptr_eq(values, first));
    let texts = first.as_string_opt::<i32>().filter(|texts| texts.null_count() == 0);
    texts.filter(|_| arrays.iter().all(is_same))
}

fn values_of(array: &ArrayRef) -> Option<&ArrayRef> {
    array.as_dictionary_opt::<UInt32Type>().map(|coded| coded.values())
}

/// The texts of a dictionary's page.
fn texts_in(dictionary: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = dictionary;
    std::iter::from_fn(move || {
        let (length, others) = rest.split_first_chunk::<4>()?;
        let (text, others) = others.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = others;
        Some(text)
    })
}

/// The least and the greatest text.
fn bounds_of<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Option<[&'t [u8]; 2]> {
    texts.fold(None, |bounds: Option<[&'t [u8]; 2]>, text| {
        let [least, most] = bounds.unwrap_or([text; 2]);
        Some([least.min(text), most.max(text)])
    })
}

/// Appends a text as a dictionary's page has it.
fn put_text(text: &[u8], dictionary: &mut Vec<u8>) {
    dictionary.extend_from_slice(&(text.len() as u32).to_le_bytes());
    dictionary.extend_from_slice(text);
}

/// Rows in the numbers of a dictionary of their own.
struct Numbered {
    /// The value of each, from 1 on; 0 for NULL.
    rows: Vec<u32>,
    /// How many values there are.
    count: u32,
    /// The values, as a page has them.
    dictionary: Vec<u8>,
}

impl Numbered {
    /// The rows of arrays over these texts; None where those in use take so many bytes or more.
    fn of(arrays: &[ArrayRef], texts: &StringArray, most_bytes: usize) -> Option<Self> {
        let mut rows = Vec::with_capacity(arrays.iter().map(|array| array.len()).sum());
        let (mut numbers, mut count, mut dictionary) = (vec![UNKNOWN; texts.len() + 1], 0, vec![]);
        numbers[NULL as usize] = NULL;
        for array in arrays {
            let keys = array.as_dictionary_opt::<UInt32Type>()?.keys();
            extend_by_codes(&mut rows, keys, |code| {
                let number = &mut numbers[code as usize];
                if *number == UNKNOWN {
                    put_text(texts.value(code as usize - 1).as_bytes(), &mut dictionary);
                    count += 1;
                    *number = count;
                }
                *number
            });
            if dictionary.len() >= most_bytes {
                return None;
            }
        }
        Some(Self { rows, count, dictionary })
    }

    /// The rows of arrays of texts, many of which are those of the row before; None where their texts take so many bytes or more, and
    /// for arrays of others.
    fn of_texts(arrays: &[ArrayRef], most_bytes: usize) -> Option<Self> {
        let arrays: Vec<&StringArray> =
            arrays.iter().map(|array| array.as_string_opt::<i32>()).collect::<Option<_>>()?;
        let mut rows = Vec::with_capacity(arrays.iter().map(|array| array.len()).sum());
        let mut distinct = DistinctTexts::default();
        let mut last: (&[u8], u32) = (b"", NULL);
        for array in arrays {
            let ends = array.value_offsets();
            let bytes = ends.first().zip(ends.last()).map_or(0, |(first, last)| (last - first) as usize);
            i32::try_from(distinct.text_bytes() + bytes).ok()?;
            rows.extend((0..array.len()).map(|row| {
                if array.is_null(row) {
                    return NULL;
                }
                let text = array.value(row).as_bytes();
                if last.1 == NULL || !is_same(last.0, text) {
                    last = (text, distinct.code(text));
                }
                last.1
            }));
            if distinct.text_bytes() + size_of::<u32>() * distinct.count() >= most_bytes {
                return None;
            }
        }
        let count = distinct.count() as u32;
        let mut dictionary = Vec::with_capacity(distinct.text_bytes() + size_of::<u32>() * distinct.count());
        (1..=count).for_each(|code| put_text(distinct.text(code), &mut dictionary));
        Some(Self { rows, count, dictionary })
    }

    /// The rows of arrays of integers, or of floating point numbers; None where their values take so many bytes or more, or hardly
    /// recur, and for arrays of others.
    fn of_values(arrays: &[ArrayRef], most_bytes: usize) -> Option<Self> {
        let mut rows = Vec::with_capacity(arrays.iter().map(|array| array.len()).sum());
        let mut values = Values::new();
        for array in arrays {
            if let Some(integers) = array.as_primitive_opt::<Int64Type>() {
                let bits = integers.values().iter().map(|value| *value as u64);
                values.number(bits, integers.nulls(), &mut rows);
            } else {
                let floats = array.as_primitive_opt::<Float64Type>()?;
                values.number(floats.values().iter().map(|value| value.to_bits()), floats.nulls(), &mut rows);
            }
            let count = values.numbers.len();
            if values.dictionary.len() >= most_bytes || count > SAMPLE_VALUES && 2 * count > rows.len() {
                return None;
            }
        }
        Some(Self { rows, count: values.numbers.len() as u32, dictionary: values.dictionary })
    }
}

/// The values of eight bytes that have been met, as their bits.
struct Values {
    /// Some that were met last, each with its number at the place that its bits say; where there is none, with 0.
    last: [(u64, u32); 1 << PLACE_BITS],
    numbers: HashMap<u64, u32>,
    dictionary: Vec<u8>,
}

impl Values {
    fn new() -> Self {
        Self { last: [(0, 0); 1 << PLACE_BITS], numbers: HashMap::new(), dictionary: vec![] }
    }

    /// Appends the number of each value, 0 for NULL.
    fn number(&mut self, values: impl Iterator<Item = u64>, nulls: Option<&NullBuffer>, rows: &mut Vec<u32>) {
        match nulls {
            None => rows.extend(values.map(|bits| self.number_of(bits))),
            Some(nulls) => {
                let pairs = values.zip(0..nulls.len());
                rows.extend(pairs.map(|(bits, row)| if nulls.is_valid(row) { self.number_of(bits) } else { 0 }));
            }
        }
    }

    #[inline]
    fn number_of(&mut self, bits: u64) -> u32 {
        let place = (bits.wrapping_mul(SPREAD) >> (u64::BITS - PLACE_BITS)) as usize;
        let (known, number) = self.last[place];
        if number > 0 && known == bits {
            return number;
        }
        let number = self.look_up(bits);
        self.last[place] = (bits, number);
        number
    }

    fn look_up(&mut self, bits: u64) -> u32 {
        let next = self.numbers.len() as u32 + 1;
        let number = *self.numbers.entry(bits).or_insert(next);
        if number == next {
            self.dictionary.extend_from_slice(&bits.to_le_bytes());
        }
        number
    }
}

/// Which rows have a value, where some may have none, and the numbers of those that do, each of as many bits as the largest needs.
fn page_of(rows: &[u32], nullable: bool) -> Vec<u8> {
    let mut page = vec![];
    if nullable {
        let levels: Vec<u32> = rows.iter().map(|row| u32::from(*row > 0)).collect();
        put_levels(&levels, &mut page);
    }
    let numbers = numbers_of(rows);
    let bits = u32::BITS - numbers.iter().max().copied().unwrap_or(0).leading_zeros();
    page.push(bits as u8);
    put_runs(&numbers, bits, &mut page);
    page
}

/// The numbers of the rows that have a value, from 0.
fn numbers_of(rows: &[u32]) -> Vec<u32> {
    // most pages have one in each row, which takes much less time
    if !rows.contains(&NULL) {
        return rows.iter().map(|row| row.wrapping_sub(1)).collect();
    }
    // each is put where the next one goes, and stays there where it has a value
    let (mut numbers, mut count) = (vec![0_u32; rows.len()], 0);
    for row in rows {
        numbers[count] = row.wrapping_sub(1);
        count += usize::from(*row != NULL);
    }
    numbers.truncate(count);
    numbers
}

/// Says at the beginning of a page which rows have a value: 1 for those, 0 for others.
fn put_levels(levels: &[u32], page: &mut Vec<u8>) {
    page.extend_from_slice(&[0; size_of::<u32>()]);
    put_runs(levels, 1, page);
    let bytes = (page.len() - size_of::<u32>()) as u32;
    page[..size_of::<u32>()].copy_from_slice(&bytes.to_le_bytes());
}

/// Appends numbers of so many bits in Parquet's hybrid encoding: runs of one number, and groups that are packed.
fn put_runs(numbers: &[u32], bits: u32, out: &mut Vec<u8>) {
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let run = run_of(rest, *first);
        if run >= GROUP || run == rest.len() {
            put_varint(run << 1, out);
            out.extend_from_slice(&first.to_le_bytes()[..bits.div_ceil(8) as usize]);
            rest = &rest[run..];
            continue;
        }
        let begins_run = |numbers: &[u32]| match numbers.get(..GROUP) {
            Some([first, others @ ..]) => others.iter().all(|number| number == first),
            _ => numbers.is_empty(),
        };
        let is_packed = |groups: &usize| !begins_run(rest.get(groups * GROUP..).unwrap_or_default());
        let groups = 1 + (1..MOST_GROUPS).take_while(is_packed).count();
        let (packed, others) = rest.split_at(rest.len().min(groups * GROUP));
        put_varint((groups << 1) | 1, out);
        put_packed(packed, groups * GROUP, bits, out);
        rest = others;
    }
}

/// How many of the first numbers are this one. Runs may be long, so that many are compared at once.
fn run_of(numbers: &[u32], first: u32) -> usize {
    let is_whole = |numbers: &&[u32]| numbers.iter().fold(true, |is_run, number| is_run & (*number == first));
    let whole = RUN * numbers.chunks_exact(RUN).take_while(is_whole).count();
    whole + numbers[whole..].iter().take_while(|number| **number == first).count()
}

/// Appends numbers, and zeros up to `count` of them, which is whole groups, the lowest bits first.
fn put_packed(numbers: &[u32], count: usize, bits: u32, out: &mut Vec<u8>) {
    let (mut waiting, mut waiting_bits) = (0_u64, 0);
    let zeros = std::iter::repeat_n(0, count - numbers.len());
    for number in numbers.iter().copied().chain(zeros) {
        waiting |= u64::from(number) << waiting_bits;
        waiting_bits += bits;
        if waiting_bits >= u32::BITS {
            out.extend_from_slice(&(waiting as u32).to_le_bytes());
            waiting >>= u32::BITS;
            waiting_bits -= u32::BITS;
        }
    }
    out.extend_from_slice(&waiting.to_le_bytes()[..(waiting_bits / 8) as usize]);
}

/// Appends a number, seven bits a byte, the lowest first.
fn put_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests;
