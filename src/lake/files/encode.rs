//! A Parquet file in the making: the rows of a row group are held, and when it is full its columns are encoded, each from its
//! first row to its last.
//!
//! In: batches of one schema; in the place of texts there may be dictionary arrays of them, whose numbers are encoded as such
//! where that can be (`coded_column`). Out: the file's bytes, row group by row group, the same for any number of threads. In
//! memory are the rows of one row group, what was encoded of it, and the encoders of as many columns as there are threads, however
//! many columns the file has. Where the rows take more than they may, texts that recur are kept once; only where that gains too
//! little, the row group ends before it is full. Pages of all columns have the same rows: who needs those of one page of a column
//! reads one page of each other.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, RecordBatch};
use arrow::datatypes::{DataType, FieldRef, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowWriterOptions, compute_leaves};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use super::coded_column::{CodedChunk, Compressors, encode_coded};
use super::dictionary::{Codes, Dictionaries};
use crate::distinct_texts::keys_of;
use crate::{Error, Result};

/// What the encoder of one column takes besides its rows, most of it for compression (measured).
pub(super) const ENCODER_BYTES: usize = 768 << 10;

/// What encoding may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct EncoderLimits {
    /// Columns that are encoded at once.
    pub threads: usize,
    /// Memory of the rows of a row group, about.
    pub memory_bytes: usize,
}

/// A Parquet file in the making.
pub(super) struct Encoder {
    schema: SchemaRef,
    file: SerializedFileWriter<Vec<u8>>,
    compressors: Compressors,
    /// Those of the row group in the making, how many rows they have, and what these take.
    batches: Vec<Batch>,
    rows: usize,
    bytes: usize,
    /// How many of the batches are packed, and the texts of these.
    packed: usize,
    dictionaries: Dictionaries,
    most_rows: usize,
    limits: EncoderLimits,
}

impl Encoder {
    /// A file without rows; `properties` say how many rows a row group has at most.
    pub fn new(schema: &SchemaRef, properties: WriterProperties, limits: EncoderLimits) -> Result<Self> {
        let most_rows = properties.max_row_group_row_count().unwrap_or(usize::MAX);
        let writer = ArrowWriter::try_new(Vec::<u8>::new(), schema.clone(), Some(properties))?;
        let (file, _) = writer.into_serialized_writer()?;
        let (batches, dictionaries, compressors) = (vec![], Dictionaries::default(), Compressors::default());
        let schema = schema.clone();
        Ok(Self { schema, file, compressors, batches, rows: 0, bytes: 0, packed: 0, dictionaries, most_rows, limits })
    }

    /// Takes the next rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            let rows = (batch.num_rows() - start).min(self.most_rows - self.rows);
            let part = batch.slice(start, rows);
            self.bytes += part.columns().iter().map(bytes_of).sum::<usize>();
            self.batches.push(Batch::of(&part));
            start += rows;
            self.rows += rows;
            if self.rows == self.most_rows || self.bytes >= self.limits.memory_bytes && !self.pack()? {
                self.end_row_group()?;
            }
        }
        Ok(())
    }

    /// Keeps texts that recur once; true where that left room for more rows.
    fn pack(&mut self) -> Result<bool> {
        if self.packed == 0 {
            self.dictionaries = Dictionaries::new(&self.schema, self.limits.memory_bytes / 4);
        }
        for batch in &mut self.batches[self.packed..] {
            for (number, values) in batch.columns.iter_mut().enumerate() {
                // those that are dictionary arrays are kept once already
                if let Values::Array(array) = values
                    && array.data_type() == &DataType::Utf8
                    && let Some(codes) = self.dictionaries.encode(number, array)?
                {
                    *values = Values::Codes(codes);
                }
            }
            self.dictionaries.bound()?;
        }
        self.packed = self.batches.len();
        let columns = self.batches.iter().flat_map(|batch| &batch.columns);
        self.bytes = self.dictionaries.memory_bytes() + columns.map(Values::bytes).sum::<usize>();
        Ok(self.bytes < self.limits.memory_bytes / 4 * 3)
    }

    /// The bytes of row groups that are complete and were not taken before.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(self.file.inner_mut())
    }

    /// Ends the file; its last bytes are to be taken.
    pub fn finish(&mut self) -> Result<ParquetMetaData> {
        self.end_row_group()?;
        Ok(self.file.finish()?)
    }

    /// Bytes of the file so far.
    pub fn bytes_written(&self) -> usize {
        self.file.bytes_written()
    }

    fn columns(&self) -> Vec<Column> {
        let empty = |field: &FieldRef| Column { field: field.clone(), descr: None };
        let mut columns: Vec<Column> = self.schema.fields().iter().map(empty).collect();
        let described = self.file.schema_descr();
        for number in 0..described.num_columns() {
            let column = &mut columns[described.get_column_root_idx(number)];
            column.descr.get_or_insert_with(|| described.column(number));
        }
        columns
    }

    fn end_row_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let batches = std::mem::take(&mut self.batches);
        (self.rows, self.bytes, self.packed) = (0, 0, 0);
        let texts = std::mem::take(&mut self.dictionaries).into_all_texts()?;
        let columns: Vec<(usize, Column)> = self.columns().into_iter().enumerate().collect();
        let properties = self.file.properties().clone();
        let chunks = on_threads(self.limits.threads, columns, |(number, column)| {
            let array = |batch: &Batch| match &batch.columns[number] {
                Values::Array(array) => Ok(array.clone()),
                Values::Codes(codes) => with_texts(codes, batch.rows, texts.get(number)),
            };
            let arrays = batches.iter().map(array).collect::<Result<Vec<_>>>()?;
            column.encode(&arrays, &properties, &self.compressors)
        })?;
        drop(batches);
        let mut row_group = self.file.next_row_group()?;
        for chunk in chunks.into_iter().flatten() {
            match chunk {
                Chunk::Coded(chunk) => row_group.append_column(&chunk.bytes, chunk.close)?,
                Chunk::Written(chunk) => chunk.append_to_row_group(&mut row_group)?,
            }
        }
        row_group.close()?;
        Ok(())
    }
}

/// Rows of the row group in the making.
struct Batch {
    rows: usize,
    columns: Vec<Values>,
}

impl Batch {
    fn of(batch: &RecordBatch) -> Self {
        Self { rows: batch.num_rows(), columns: batch.columns().iter().cloned().map(Values::Array).collect() }
    }
}

/// The values of a column.
enum Values {
    /// As they came.
    Array(ArrayRef),
    /// As codes of the row group's dictionary.
    Codes(Codes),
}

impl Values {
    fn bytes(&self) -> usize {
        match self {
            Self::Array(array) => bytes_of(array),
            Self::Codes(codes) => codes.bytes(),
        }
    }
}

/// What a column takes in memory, of a larger one its part; the texts of a dictionary array are kept by its maker.
fn bytes_of(array: &ArrayRef) -> usize {
    let values = match array.as_any_dictionary_opt() {
        Some(coded) => coded.keys().to_data(),
        None => array.to_data(),
    };
    values.get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

/// Rows with these codes as an array.
fn with_texts(codes: &Codes, rows: usize, texts: Option<&ArrayRef>) -> Result<ArrayRef> {
    let texts = texts.ok_or_else(|| Error::bug("a column is coded and has no texts"))?;
    let keys = keys_of((0..rows).map(|row| codes.code(row)));
    Ok(Arc::new(DictionaryArray::try_new(keys, texts.clone())?))
}

/// A column of the row group in the making.
struct Column {
    field: FieldRef,
    /// Of the first of the parts that a value has.
    descr: Option<ColumnDescPtr>,
}

/// What was encoded of a column.
enum Chunk {
    /// By `coded_column`.
    Coded(CodedChunk),
    /// By the library.
    Written(ArrowColumnChunk),
}

impl Column {
    fn encode(
        self,
        arrays: &[ArrayRef],
        properties: &WriterProperties,
        compressors: &Compressors,
    ) -> Result<Vec<Chunk>> {
        if let Some(descr) = &self.descr
            && let Some(coded) = encode_coded(descr, properties, arrays, compressors)?
        {
            return Ok(vec![Chunk::Coded(coded)]);
        }
        let mut leaves = self.writers(properties)?;
        let (page_rows, mut row) = (properties.data_page_row_count_limit().max(1), 0);
        for array in arrays {
            let mut start = 0;
            while start < array.len() {
                // the library ends a page a few rows later, unless the rows that it is given end with the page
                let rows = (array.len() - start).min(page_rows - row % page_rows);
                let part = array.slice(start, rows);
                for (leaf, values) in leaves.iter_mut().zip(compute_leaves(&self.field, &part)?) {
                    leaf.write(&values)?;
                }
                (start, row) = (start + rows, row + rows);
            }
        }
        leaves.into_iter().map(|leaf| Ok(Chunk::Written(leaf.close()?))).collect()
    }

    /// The library's writers, one for each part that a value has. Of the whole file it would make those of all columns at once, each with
    /// memory for compression; so they are those of a file with this column alone.
    fn writers(&self, properties: &WriterProperties) -> Result<Vec<ArrowColumnWriter>> {
        let schema = Arc::new(Schema::new(vec![self.field.clone()]));
        let options = ArrowWriterOptions::new().with_properties(properties.clone()).with_skip_arrow_metadata(true);
        let alone = ArrowWriter::try_new_with_options(Vec::<u8>::new(), schema, options)?;
        let (_, factory) = alone.into_serialized_writer()?;
        Ok(factory.create_column_writers(0)?)
    }
}

/// Does the work of all items on so many threads, this one among them; gives the results in the items' order.
fn on_threads<T: Send, R: Send>(threads: usize, items: Vec<T>, work: impl Fn(T) -> Result<R> + Sync) -> Result<Vec<R>> {
    if threads < 2 {
        return items.into_iter().map(work).collect();
    }
    let waiting = Mutex::new(items.into_iter().enumerate());
    let run = || -> Result<Vec<(usize, R)>> {
        let mut done = vec![];
        loop {
            let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((number, item)) = next else { return Ok(done) };
            done.push((number, work(item)?));
        }
    };
    let parts = thread::scope(|scope| {
        // where no thread is to be had, the others do it all
        let others: Vec<_> =
            (1..threads).filter_map(|_| thread::Builder::new().spawn_scoped(scope, run).ok()).collect();
        let own = run();
        let stopped = || Error::bug("a thread that encodes stopped");
        let others = others.into_iter().map(|other| other.join().unwrap_or_else(|_| Err(stopped())));
        others.chain([own]).collect::<Result<Vec<_>>>()
    })?;
    let mut done: Vec<(usize, R)> = parts.into_iter().flatten().collect();
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder};
    use arrow::compute::{cast, concat_batches};
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::properties::EnabledStatistics;

    use super::*;

    fn batch(rows: i64) -> RecordBatch {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for row in 0..rows {
            (0..row % 3).for_each(|n| lists.values().append_value(format!("{row} {n}")));
            lists.append(row % 3 > 0);
        }
        let text = |n: i64| (n % 7 != 0).then(|| format!("text {}", n % 40));
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("number", Arc::new((0..rows).map(Some).collect::<Int64Array>())),
            ("list", Arc::new(lists.finish())),
            ("text", Arc::new((0..rows).map(text).collect::<StringArray>())),
            ("amount", Arc::new((0..rows).map(|n| (n % 2 == 0).then_some(n as f64)).collect::<Float64Array>())),
        ];
        let columns = columns.into_iter().map(|(name, column)| (name, column, true));
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    /// The file, and what of its bytes was there before its end.
    fn encoded(batches: &[RecordBatch], limits: EncoderLimits, most_rows: usize) -> (Vec<u8>, usize) {
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(most_rows)).build();
        let mut encoder = Encoder::new(&batches[0].schema(), properties, limits).unwrap();
        let mut bytes = vec![];
        for batch in batches {
            encoder.write(batch).unwrap();
            bytes.extend(encoder.take_bytes());
        }
        let before_end = bytes.len();
        encoder.finish().unwrap();
        bytes.extend(encoder.take_bytes());
        assert_eq!(bytes.len(), encoder.bytes_written());
        (bytes, before_end)
    }

    fn read(bytes: &[u8]) -> (Vec<i64>, RecordBatch) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::copy_from_slice(bytes)).unwrap();
        let row_groups = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        let schema = reader.schema().clone();
        let rows: Vec<RecordBatch> = reader.build().unwrap().map(|rows| rows.unwrap()).collect();
        (row_groups, concat_batches(&schema, &rows).unwrap())
    }

    #[test]
    fn any_number_of_threads_gives_the_same_file() {
        let batches = [batch(2500), batch(300), batch(10), batch(1190)];
        let all = concat_batches(&batches[0].schema(), &batches).unwrap();
        let (expected, before_end) = encoded(&batches, EncoderLimits { threads: 1, memory_bytes: usize::MAX }, 1000);
        assert!(before_end > 0, "row groups are given when they are full");
        let (row_groups, rows) = read(&expected);
        assert_eq!(row_groups, [1000; 4]);
        assert_eq!(rows.columns(), all.columns());
        for threads in [2, 3, 9] {
            let (bytes, _) = encoded(&batches, EncoderLimits { threads, memory_bytes: usize::MAX }, 1000);
            assert!(bytes == expected, "{threads} threads");
        }
    }

    /// Columns are compressed alike, whichever compressor is free.
    #[test]
    fn compressors_are_used_again() {
        let batches = [batch(2500), batch(300), batch(1200)];
        let file = |threads: usize| {
            let properties = WriterProperties::builder()
                .set_compression(Compression::ZSTD(ZstdLevel::default()))
                .set_statistics_enabled(EnabledStatistics::None)
                .set_max_row_group_row_count(Some(1000));
            let limits = EncoderLimits { threads, memory_bytes: usize::MAX };
            let mut encoder = Encoder::new(&batches[0].schema(), properties.build(), limits).unwrap();
            batches.iter().for_each(|batch| encoder.write(batch).unwrap());
            encoder.finish().unwrap();
            encoder.take_bytes()
        };
        let (expected, all) = (file(1), concat_batches(&batches[0].schema(), &batches).unwrap());
        let (row_groups, rows) = read(&expected);
        assert_eq!((row_groups, rows.columns()), (vec![1000; 4], all.columns()));
        for threads in [2, 5] {
            assert!(file(threads) == expected, "{threads} threads");
        }
    }

    /// The rows of a page of one column are on one page of any other.
    #[test]
    fn pages_of_all_columns_have_the_same_rows() {
        let batches = [batch(2500), batch(300), batch(10), batch(1190)];
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(1000))
            .set_data_page_row_count_limit(400)
            .set_write_batch_size(150);
        let limits = EncoderLimits { threads: 2, memory_bytes: usize::MAX };
        let mut encoder = Encoder::new(&batches[0].schema(), properties.build(), limits).unwrap();
        batches.iter().for_each(|batch| encoder.write(batch).unwrap());
        encoder.finish().unwrap();
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        let footer = reader.parse_and_finish(&Bytes::from(encoder.take_bytes())).unwrap();
        let groups = footer.offset_index().unwrap();
        assert_eq!(groups.len(), 4);
        for pages in groups.iter().flatten() {
            let first_rows: Vec<i64> = pages.page_locations().iter().map(|page| page.first_row_index).collect();
            assert_eq!(first_rows, [0, 400, 800]);
        }
    }

    /// Texts may come as dictionary arrays; the file is that of the texts.
    #[test]
    fn dictionary_arrays_stand_for_their_texts() {
        let plain = batch(2500);
        let coded = cast(plain.column(2), &DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8)));
        let fields = ["number", "list", "text", "amount"].into_iter().zip(plain.columns().iter().cloned());
        let mut columns: Vec<(&str, ArrayRef, bool)> = fields.map(|(name, column)| (name, column, true)).collect();
        columns[2].1 = coded.unwrap();
        let coded = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
        let limits = EncoderLimits { threads: 2, memory_bytes: usize::MAX };
        let mut encoder = Encoder::new(&plain.schema(), properties, limits).unwrap();
        encoder.write(&coded).unwrap();
        encoder.finish().unwrap();
        let (row_groups, rows) = read(&encoder.take_bytes());
        assert_eq!((row_groups, rows.columns()), (vec![1000, 1000, 500], plain.columns()));
    }

    /// Where rows take more than they may, their texts are kept once, and the row group goes on.
    #[test]
    fn texts_that_recur_make_room() {
        let long = |n: usize| (!n.is_multiple_of(5)).then(|| format!("{:>900}", n % 30));
        let wide = |from: usize| {
            let columns: [(&str, ArrayRef); 3] = [
                ("long", Arc::new((from..from + 100).map(long).collect::<StringArray>())),
                ("id", Arc::new((from..from + 100).map(|n| Some(format!("id {n}"))).collect::<StringArray>())),
                ("number", Arc::new((from..from + 100).map(|n| Some(n as i64)).collect::<Int64Array>())),
            ];
            let columns = columns.into_iter().map(|(name, column)| (name, column, true));
            RecordBatch::try_from_iter_with_nullable(columns).unwrap()
        };
        let batches: Vec<RecordBatch> = (0..90).map(|n| wide(100 * n)).collect();
        let all = concat_batches(&batches[0].schema(), &batches).unwrap();
        // 8 MB as they come, 0.5 MB else
        let (expected, _) = encoded(&batches, EncoderLimits { threads: 1, memory_bytes: usize::MAX }, 4000);
        let (packed, _) = encoded(&batches, EncoderLimits { threads: 2, memory_bytes: 2 << 20 }, 4000);
        assert_eq!(read(&packed).0, [4000, 4000, 1000]);
        assert_eq!(read(&packed), read(&expected));
        assert_eq!(read(&packed).1.columns(), all.columns());
        let (small, _) = encoded(&batches, EncoderLimits { threads: 2, memory_bytes: 100 << 10 }, 4000);
        assert!(read(&small).0.len() > 5);
        assert_eq!(read(&small).1.columns(), all.columns());
    }

    #[test]
    fn a_row_group_ends_where_memory_does() {
        let batches = [batch(2500), batch(300), batch(10), batch(1190)];
        let (bytes, _) = encoded(&batches, EncoderLimits { threads: 2, memory_bytes: 1 }, 10_000);
        assert_eq!(read(&bytes).0, [2500, 300, 10, 1190]);
    }

    #[test]
    fn what_fails_on_a_thread_fails() {
        let work = |n: usize| if n == 7 { Err(Error::bug("seven")) } else { Ok(n * n) };
        for threads in [1, 2, 5] {
            assert_eq!(on_threads(threads, (0..7).collect(), work).unwrap(), [0, 1, 4, 9, 16, 25, 36]);
            assert!(on_threads(threads, (0..20).collect(), work).unwrap_err().to_string().contains("seven"));
        }
    }
}
