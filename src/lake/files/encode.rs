//! A Parquet file in the making: columns are encoded side by side, and each row group is handed over when it is full.
//!
//! In: batches of one schema. Out: the file's bytes, row group by row group, the same for any number of threads. In memory
//! are one row group, encoded, and what the encoders take.

use std::sync::{Mutex, PoisonError};
use std::thread;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{FieldRef, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;

use crate::{Error, Result};

/// What the encoder of one column takes besides its rows, most of it for compression (measured).
pub(super) const ENCODER_BYTES: usize = 768 << 10;

/// What encoding may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Columns that are encoded at once.
    pub threads: usize,
    /// Memory of a row group with its dictionaries, about.
    pub memory_bytes: usize,
}

/// A Parquet file in the making.
pub(super) struct Encoder {
    schema: SchemaRef,
    file: SerializedFileWriter<Vec<u8>>,
    factory: ArrowRowGroupWriterFactory,
    /// Those of the row group in the making, and its rows.
    columns: Vec<Column>,
    rows: usize,
    most_rows: usize,
    most_bytes: usize,
    room: Room,
}

impl Encoder {
    /// A file without rows; `properties` say how large a row group is at most.
    pub fn new(schema: &SchemaRef, properties: WriterProperties, room: Room) -> Result<Self> {
        let most_rows = properties.max_row_group_row_count().unwrap_or(usize::MAX);
        let most_bytes = properties.max_row_group_bytes().unwrap_or(usize::MAX);
        let writer = ArrowWriter::try_new(Vec::<u8>::new(), schema.clone(), Some(properties))?;
        let (file, factory) = writer.into_serialized_writer()?;
        Ok(Self { schema: schema.clone(), file, factory, columns: vec![], rows: 0, most_rows, most_bytes, room })
    }

    /// Encodes the next rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < batch.num_rows() {
            if self.rows == 0 {
                self.columns = self.new_columns()?;
            }
            let rows = (batch.num_rows() - start).min(self.most_rows - self.rows);
            let part = batch.slice(start, rows);
            let work: Vec<(&mut Column, &ArrayRef)> = self.columns.iter_mut().zip(part.columns()).collect();
            on_threads(self.room.threads, work, |(column, array)| column.write(array))?;
            start += rows;
            self.rows += rows;
            if self.rows == self.most_rows || self.is_large() {
                self.end_row_group()?;
            }
        }
        Ok(())
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

    fn new_columns(&self) -> Result<Vec<Column>> {
        let empty = |field: &FieldRef| Column { field: field.clone(), leaves: vec![] };
        let mut columns: Vec<Column> = self.schema.fields().iter().map(empty).collect();
        let leaves = self.factory.create_column_writers(self.file.flushed_row_groups().len())?;
        for (number, leaf) in leaves.into_iter().enumerate() {
            columns[self.file.schema_descr().get_column_root_idx(number)].leaves.push(leaf);
        }
        Ok(columns)
    }

    fn is_large(&self) -> bool {
        let leaves = || self.columns.iter().flat_map(|column| &column.leaves);
        leaves().map(ArrowColumnWriter::get_estimated_total_bytes).sum::<usize>() >= self.most_bytes
            || leaves().map(ArrowColumnWriter::memory_size).sum::<usize>() >= self.room.memory_bytes
    }

    fn end_row_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = std::mem::take(&mut self.columns);
        let chunks = on_threads(self.room.threads, columns, Column::close)?;
        let mut row_group = self.file.next_row_group()?;
        for chunk in chunks.into_iter().flatten() {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
        self.rows = 0;
        Ok(())
    }
}

/// A column of the row group in the making.
struct Column {
    field: FieldRef,
    /// One, or those of the parts that a value has.
    leaves: Vec<ArrowColumnWriter>,
}

impl Column {
    fn write(&mut self, array: &ArrayRef) -> Result<()> {
        for (leaf, values) in self.leaves.iter_mut().zip(compute_leaves(&self.field, array)?) {
            leaf.write(&values)?;
        }
        Ok(())
    }

    fn close(self) -> Result<Vec<ArrowColumnChunk>> {
        self.leaves.into_iter().map(|leaf| Ok(leaf.close()?)).collect()
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
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, ListBuilder, StringArray, StringBuilder};
    use arrow::compute::concat_batches;
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

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
    fn encoded(batches: &[RecordBatch], room: Room, most_rows: usize) -> (Vec<u8>, usize) {
        let properties = WriterProperties::builder().set_max_row_group_row_count(Some(most_rows)).build();
        let mut encoder = Encoder::new(&batches[0].schema(), properties, room).unwrap();
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
        let (expected, before_end) = encoded(&batches, Room { threads: 1, memory_bytes: usize::MAX }, 1000);
        assert!(before_end > 0, "row groups are given when they are full");
        let (row_groups, rows) = read(&expected);
        assert_eq!(row_groups, [1000; 4]);
        assert_eq!(rows.columns(), all.columns());
        for threads in [2, 3, 9] {
            let (bytes, _) = encoded(&batches, Room { threads, memory_bytes: usize::MAX }, 1000);
            assert!(bytes == expected, "{threads} threads");
        }
    }

    #[test]
    fn a_row_group_ends_where_memory_does() {
        let batches = [batch(2500), batch(300), batch(10), batch(1190)];
        let (bytes, _) = encoded(&batches, Room { threads: 2, memory_bytes: 1 }, 10_000);
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
