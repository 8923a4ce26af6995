//! Sorted rows of one bucket, in memory or on disk, and the merge of any number of them.
//!
//! A run on disk is one nameless temporary file with the rows of all buckets, and an index of where those of each bucket
//! are: Arrow batches, each compressed as a whole, for columns repeat each other. It has the columns in use among its rows, of
//! texts that are coded the keys. A merge holds one small batch of each run.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::buffer::Buffer;
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::ipc::MetadataVersion;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message};
use zstd::bulk::Compressor;

use super::dictionary::{Dictionaries, Shape};
use super::layout::BUCKETS;
use super::sort::{Heap, Keys, Position};
use crate::columns::VISITOR_ID;
use crate::distinct_texts::{as_they_come, coded_type};
use crate::{Error, Result};

/// Rows of a batch at most.
const BATCH_ROWS: usize = 8192;
/// Bytes of a batch that goes into a file of the lake, about, where rows are wide.
pub(super) const BATCH_BYTES: usize = 8 << 20;
/// Bytes of a batch of a run on disk, about: a merge holds one of each run.
pub(super) const RUN_BATCH_BYTES: usize = 1 << 20;
/// Bytes that a value takes at least, also where it is NULL: its place in a column of texts.
const VALUE_BYTES: usize = 4;
/// Bytes to which the columns of a batch are aligned, so that they need not be copied when it is read.
const ALIGNMENT: usize = 16;
/// The fastest one, with which runs are as small as the lake's files, about.
const ZSTD_LEVEL: i32 = 1;

/// Sorted rows of all buckets that wait on disk.
pub(super) struct Run {
    file: Arc<SharedFile>,
    schema: SchemaRef,
    columns: Vec<usize>,
    /// The batches of each bucket, in order.
    parts: Vec<Vec<Block>>,
}

/// Where a batch is in its file.
#[derive(Clone, Copy)]
pub(super) struct Block {
    start: u64,
    /// Compressed.
    stored_bytes: usize,
    /// Unpacked, as it is in memory.
    bytes: usize,
    /// Of these its description.
    header_bytes: usize,
    rows: usize,
}

impl Run {
    /// Numbers of the columns that it has, in the schema of its writer.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Bytes on disk.
    pub fn stored_bytes(&self) -> usize {
        self.blocks().map(|block| block.stored_bytes).sum()
    }

    /// Bytes of its largest batch in memory.
    pub fn largest_batch_bytes(&self) -> usize {
        self.blocks().map(|block| block.bytes + block.rows * self.widened_bytes()).max().unwrap_or(0)
    }

    /// Bytes that a row of a bucket takes on average.
    fn row_bytes(&self, bucket: usize) -> usize {
        let part = &self.parts[bucket];
        let rows: usize = part.iter().map(|block| block.rows).sum();
        part.iter().map(|block| block.bytes).sum::<usize>() / rows.max(1) + 1 + self.widened_bytes()
    }

    /// Bytes of a row at most that keys are wider in memory.
    fn widened_bytes(&self) -> usize {
        self.columns.len() * VALUE_BYTES
    }

    fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.parts.iter().flatten()
    }

    fn read(&self, block: Block) -> Result<RecordBatch> {
        let stored = self.file.read(block.start, block.stored_bytes)?;
        let bytes = Buffer::from_vec(zstd::bulk::decompress(&stored, block.bytes)?);
        let place = arrow::ipc::Block::new(0, block.header_bytes as i32, (block.bytes - block.header_bytes) as i64);
        let batch = FileDecoder::new(self.schema.clone(), MetadataVersion::V5).read_record_batch(&place, &bytes)?;
        batch.ok_or_else(|| Error::bug("a run has something else than rows"))
    }
}

/// A run in the making.
pub(super) struct RunWriter {
    file: Arc<SharedFile>,
    /// Of rows as they are stored.
    schema: SchemaRef,
    shape: Arc<Shape>,
}

impl RunWriter {
    /// A run of rows of this shape.
    pub fn create(shape: Arc<Shape>) -> Result<Self> {
        Ok(Self { file: Arc::new(SharedFile::create()?), schema: shape.stored_schema(), shape })
    }

    /// Writes rows of one bucket, the merge of `inputs`; several buckets can be written at a time.
    pub fn write(&self, inputs: Vec<SortedRows>) -> Result<Vec<Block>> {
        let mut rows = Merge::new(inputs, self.shape.schema.clone(), RUN_BATCH_BYTES)?;
        let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)?;
        let (mut dictionaries, mut context) = (DictionaryTracker::new(true), IpcWriteContext::default());
        let mut compressor = Compressor::new(ZSTD_LEVEL)?;
        let (mut blocks, mut bytes) = (vec![], Vec::<u8>::new());
        while let Some(batch) = rows.next()? {
            let batch = self.stored(&batch)?;
            let (_, message) = IpcDataGenerator::default().encode(&batch, &mut dictionaries, &options, &mut context)?;
            bytes.clear();
            let (header_bytes, _) = write_message(&mut bytes, message, &options)?;
            let stored = compressor.compress(&bytes)?;
            blocks.push(Block {
                start: self.file.append(&stored)?,
                stored_bytes: stored.len(),
                bytes: bytes.len(),
                header_bytes,
                rows: batch.num_rows(),
            });
        }
        Ok(blocks)
    }

    /// The run, of what was written of each bucket.
    pub fn finish(&self, written: Vec<(usize, Vec<Block>)>) -> Run {
        let mut parts = vec![vec![]; BUCKETS];
        for (bucket, blocks) in written {
            parts[bucket] = blocks;
        }
        Run { file: self.file.clone(), schema: self.schema.clone(), columns: self.shape.columns.clone(), parts }
    }

    fn stored(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = batch.columns().iter().zip(self.schema.fields());
        let columns: Vec<ArrayRef> =
            columns.map(|(column, field)| Ok(cast(column, field.data_type())?)).collect::<Result<_>>()?;
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

/// A nameless temporary file that several threads write and read, one at a time.
struct SharedFile(Mutex<File>);

impl SharedFile {
    fn create() -> io::Result<Self> {
        Ok(Self(Mutex::new(tempfile::tempfile()?)))
    }

    /// Adds bytes; gives where they begin.
    fn append(&self, bytes: &[u8]) -> io::Result<u64> {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = file.seek(SeekFrom::End(0))?;
        file.write_all(bytes)?;
        Ok(start)
    }

    fn read(&self, start: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Sorted rows of one bucket, all of one shape.
pub(super) enum SortedRows {
    /// From a heap.
    InMemory(InMemory),
    /// From a run.
    OnDisk(OnDisk),
}

impl SortedRows {
    /// The rows of a heap, in batches of about so many bytes.
    pub fn of_heap(heap: &Arc<Heap>, bucket: usize, shape: &Arc<Shape>, batch_bytes: usize) -> Self {
        Self::InMemory(InMemory::new(heap, bucket, shape, batch_bytes))
    }

    /// The rows of a run; columns that it lacks are NULL.
    pub fn of_run(run: &Arc<Run>, bucket: usize, shape: &Arc<Shape>) -> Self {
        let places = shape.columns.iter().map(|column| run.columns.binary_search(column).ok()).collect();
        Self::OnDisk(OnDisk { run: run.clone(), bucket, at: 0, shape: shape.clone(), places })
    }

    /// The next rows, None at the end.
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        match self {
            Self::InMemory(rows) => rows.next(),
            Self::OnDisk(rows) => rows.next(),
        }
    }

    /// Bytes that a row takes on average.
    fn row_bytes(&self) -> usize {
        match self {
            Self::InMemory(rows) => rows.row_bytes(),
            Self::OnDisk(rows) => rows.run.row_bytes(rows.bucket),
        }
    }
}

/// Rows of a heap in order.
pub(super) struct InMemory {
    heap: Arc<Heap>,
    positions: Vec<Position>,
    /// Of all positions, if they are there.
    ids: Option<ArrayRef>,
    at: usize,
    batch_rows: usize,
    shape: Arc<Shape>,
}

impl InMemory {
    fn new(heap: &Arc<Heap>, bucket: usize, shape: &Arc<Shape>, batch_bytes: usize) -> Self {
        let (positions, ids) = heap.sorted_beside_ids(bucket);
        let (heap, shape) = (heap.clone(), shape.clone());
        let mut rows = Self { heap, positions, ids, at: 0, batch_rows: 0, shape };
        rows.batch_rows = batch_rows(batch_bytes, rows.row_bytes());
        rows
    }

    fn row_bytes(&self) -> usize {
        self.heap.row_bytes() + self.shape.columns.len() * VALUE_BYTES
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let end = self.positions.len().min(self.at + self.batch_rows);
        if self.at == end {
            return Ok(None);
        }
        let ids = self.ids.as_ref().map(|ids| ids.slice(self.at, end - self.at));
        let columns = self.heap.gather_beside(ids, &self.positions[self.at..end], &self.shape)?;
        self.at = end;
        Ok(Some(RecordBatch::try_new(as_they_come(&self.shape.schema, &columns), columns)?))
    }
}

/// The same rows, with the ids of visitors as texts, which rows in memory may have as a dictionary array.
fn with_plain_ids(batch: RecordBatch) -> Result<RecordBatch> {
    let (schema, mut columns, _) = batch.into_parts();
    for (column, field) in columns.iter_mut().zip(schema.fields()) {
        if field.name() == VISITOR_ID && field.data_type() == &coded_type() {
            *column = cast(&*column, &DataType::Utf8)?;
        }
    }
    Ok(RecordBatch::try_new(as_they_come(&schema, &columns), columns)?)
}

/// Rows that a batch of so many bytes has.
fn batch_rows(batch_bytes: usize, row_bytes: usize) -> usize {
    (batch_bytes / row_bytes).clamp(1, BATCH_ROWS)
}

/// Rows of one bucket of a run in order.
pub(super) struct OnDisk {
    run: Arc<Run>,
    bucket: usize,
    /// The batch that comes next.
    at: usize,
    shape: Arc<Shape>,
    /// Where each column of the shape is in the run, if it has it.
    places: Vec<Option<usize>>,
}

impl OnDisk {
    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let Some(block) = self.run.parts[self.bucket].get(self.at).copied() else { return Ok(None) };
        self.at += 1;
        let batch = self.run.read(block)?;
        let schema = &self.shape.schema;
        let columns = self.places.iter().enumerate().map(|(place, stored)| match stored {
            Some(stored) => self.shape.read(place, batch.column(*stored)),
            None => Ok(new_null_array(schema.field(place).data_type(), batch.num_rows())),
        });
        Ok(Some(RecordBatch::try_new(schema.clone(), columns.collect::<Result<_>>()?)?))
    }
}

/// Several sorted inputs of one schema as one.
pub(super) struct Merge {
    inputs: Vec<SortedRows>,
    /// The batch that was read last of each input; none where there is one input only.
    heads: Heap,
    /// The first row of each head that was not taken.
    starts: Vec<usize>,
    /// Rows that were taken, in order, and how many of them were handed out.
    taken: Vec<Position>,
    at: usize,
    batch_rows: usize,
    /// That of the heads.
    shape: Shape,
}

impl Merge {
    /// Of equal rows those of an earlier input come first. Batches have about so many bytes.
    pub fn new(inputs: Vec<SortedRows>, schema: SchemaRef, batch_bytes: usize) -> Result<Self> {
        let mut heads = Heap::new(schema.clone());
        if inputs.len() > 1 {
            let nothing = RecordBatch::new_empty(schema.clone());
            for _ in &inputs {
                heads.push(&nothing, &mut Dictionaries::default())?;
            }
        }
        let widest = inputs.iter().map(SortedRows::row_bytes).max().unwrap_or(1);
        Ok(Self {
            starts: vec![0; inputs.len()],
            inputs,
            heads,
            taken: vec![],
            at: 0,
            batch_rows: batch_rows(batch_bytes, widest),
            shape: Shape::plain(&schema),
        })
    }

    /// The next rows, None at the end.
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let [only] = self.inputs.as_mut_slice()
            && self.heads.is_empty()
        {
            return only.next();
        }
        let (mut batches, mut rows) = (vec![], 0);
        while rows < self.batch_rows {
            if self.at == self.taken.len() && !self.take_more()? {
                break;
            }
            let end = self.taken.len().min(self.at + self.batch_rows - rows);
            let columns = self.heads.gather(&self.taken[self.at..end], &self.shape)?;
            batches.push(RecordBatch::try_new(self.shape.schema.clone(), columns)?);
            rows += end - self.at;
            self.at = end;
        }
        match batches.len() {
            0 | 1 => Ok(batches.pop()),
            _ => Ok(Some(concat_batches(&self.shape.schema, &batches)?)),
        }
    }

    /// Takes the next rows from the heads; false at the end.
    ///
    /// The smallest of the heads' last rows is a bound: whatever is before it is in a head already. Those rows are
    /// taken, and the head that gave the bound is used up; so every step reads on, whatever the rows.
    /// The next batch of that input may begin with rows equal to the bound, for which those of later inputs wait.
    fn take_more(&mut self) -> Result<bool> {
        self.refill()?;
        let last = |keys: &Keys| keys.len() - 1;
        let heads = (0..self.inputs.len()).map(|input| (input, self.heads.keys(input)));
        let first = heads.min_by(|(_, a), (_, b)| a.compare(last(a), b, last(b)));
        let Some((giver, bound)) = first else { return Ok(false) };
        let end = |(input, start): (usize, &usize)| {
            self.heads.keys(input).end_before(*start, bound, last(bound), input <= giver)
        };
        let ends: Vec<usize> = self.starts.iter().enumerate().map(end).collect();
        let parts: Vec<_> = self.starts.iter().zip(&ends).map(|(start, end)| *start..*end).collect();
        self.taken = self.heads.sorted_parts(&parts);
        self.at = 0;
        self.starts = ends;
        Ok(true)
    }

    /// Gives every input whose head is used up another one, and lets go of those that have ended.
    fn refill(&mut self) -> Result<()> {
        let mut input = 0;
        while input < self.inputs.len() {
            if self.starts[input] < self.heads.keys(input).len() {
                input += 1;
                continue;
            }
            match self.inputs[input].next()? {
                Some(batch) => {
                    self.heads.replace(input, &with_plain_ids(batch)?)?;
                    self.starts[input] = 0;
                    input += 1;
                }
                None => {
                    self.inputs.remove(input);
                    self.heads.remove(input);
                    self.starts.remove(input);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::Schema;

    use super::*;
    use crate::columns;
    use crate::lake::layout::bucket_of;

    fn push(heap: &mut Heap, batch: &RecordBatch) {
        heap.push(batch, &mut Dictionaries::default()).unwrap();
    }

    /// Rows of few visitors and instants, hits and records, so that every tie occurs; `note` is there in some batches only.
    fn batch(random: &mut impl FnMut(u64) -> u64, rows: usize) -> RecordBatch {
        let key = |name| columns::key_field(name).unwrap();
        let fields = [columns::VISITOR_KEY, columns::VISITOR_ID, columns::HIT_TIME, columns::HIT_SEQ].map(key);
        let records = [columns::FILE, columns::ROW, columns::SOURCE].map(key);
        let fields = fields.into_iter().chain([columns::dimension("note")]).chain(records).collect::<Vec<_>>();
        let visitors: Vec<u64> = (0..rows).map(|_| random(5)).collect();
        let times: TimestampMicrosecondArray = (0..rows).map(|_| Some(random(3) as i64)).collect();
        let sequences: Decimal128Array = (0..rows).map(|_| Some(i128::from(random(4)))).collect();
        let noted = random(2) == 0;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(visitors.iter().map(|v| Some((*v / 2) as i64)).collect::<Int64Array>()),
            Arc::new(visitors.iter().map(|v| Some(format!("visitor {v}"))).collect::<StringArray>()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(sequences.with_data_type(columns::sequence())),
            Arc::new((0..rows).map(|_| noted.then(|| format!("note {}", random(1000)))).collect::<StringArray>()),
            Arc::new((0..rows).map(|_| Some(format!("file {}", random(3)))).collect::<StringArray>()),
            Arc::new((0..rows).map(|_| (random(3) > 0).then(|| random(12) as i64)).collect::<Int64Array>()),
            Arc::new((0..rows).map(|_| Some(["calls", "tills"][random(2) as usize])).collect::<StringArray>()),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    /// A run of the rows of a heap, in batches of about so many bytes.
    fn run_of(heap: Heap, shape: Shape, batch_bytes: usize) -> Arc<Run> {
        let (heap, shape) = (Arc::new(heap), Arc::new(shape));
        let writer = RunWriter::create(shape.clone()).unwrap();
        let rows = |bucket| SortedRows::of_heap(&heap, bucket, &shape, batch_bytes);
        let written = (0..BUCKETS).map(|bucket| (bucket, writer.write(vec![rows(bucket)]).unwrap())).collect();
        Arc::new(writer.finish(written))
    }

    /// However rows are cut into runs and these into batches, and whether their texts are coded, all the time, for a while or
    /// never, their merge is the sort of all.
    #[test]
    fn a_merge_of_runs_is_the_sort_of_all() {
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for round in 0..40 {
            let batches: Vec<RecordBatch> = (0..1 + random(12))
                .map(|_| {
                    let rows = 1 + random(if round % 3 == 0 { 1000 } else { 60 }) as usize;
                    batch(&mut random, rows)
                })
                .collect();
            let schema = batches[0].schema();
            let columns: Vec<usize> = (0..schema.fields().len()).collect();
            let mut all = Heap::new(schema.clone());
            batches.iter().for_each(|b| push(&mut all, b));
            let bucket = bucket_of(0);
            let expected = all.gather(&all.sorted(bucket), &Shape::plain(&schema)).unwrap();
            let expected = RecordBatch::try_new(schema.clone(), expected).unwrap();

            let mut dictionaries = match random(3) {
                0 => Dictionaries::default(),
                1 => Dictionaries::new(&schema, usize::MAX),
                _ => Dictionaries::new(&schema, 1 << (8 + random(10))),
            };
            let (mut runs, mut heap, mut inputs) = (vec![], Heap::new(schema.clone()), vec![]);
            for batch in &batches {
                heap.push(batch, &mut dictionaries).unwrap();
                dictionaries.bound().unwrap();
                if random(2) == 0 {
                    let full = std::mem::replace(&mut heap, Heap::new(schema.clone()));
                    let every = dictionaries.shape(&schema, columns.clone()).unwrap();
                    let notes = full.gather(&full.sorted(bucket), &every).unwrap().remove(4);
                    let has_notes = notes.null_count() < notes.len();
                    let used = columns.iter().copied().filter(|column| *column != 4 || has_notes).collect();
                    let shape = dictionaries.shape(&schema, used).unwrap();
                    // from a row a batch to all rows in one
                    runs.push(run_of(full, shape, 1 << (4 + random(14))));
                }
            }
            let shape = Arc::new(dictionaries.shape(&schema, columns).unwrap());
            let texts = dictionaries.into_texts(&shape).unwrap();
            // the latest rows first, as within each
            inputs.push(SortedRows::of_heap(&Arc::new(heap), bucket, &shape, BATCH_BYTES));
            inputs.extend(runs.iter().rev().map(|run| SortedRows::of_run(run, bucket, &shape)));
            let mut merge = Merge::new(inputs, shape.schema.clone(), 1 << (8 + random(12))).unwrap();
            let (mut merged, batch_rows) = (vec![], merge.batch_rows);
            while let Some(rows) = merge.next().unwrap() {
                assert!(merge.heads.is_empty() || rows.num_rows() <= batch_rows, "round {round}");
                let rows = texts.beside(&rows).unwrap();
                let plain = rows.columns().iter().zip(schema.fields());
                let plain = plain.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
                merged.push(RecordBatch::try_new(schema.clone(), plain).unwrap());
            }
            assert_eq!(concat_batches(&schema, &merged).unwrap(), expected, "round {round}");
        }
    }

    /// A run holds the rows of all buckets, each where its index says.
    #[test]
    fn one_file_has_all_buckets() {
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        let plain = batch(&mut random, 1000);
        // all over the keys
        let keys: Int64Array = (0..1000).map(|_| Some((random(1 << 31) as i64) << 33)).collect();
        let mut arrays = plain.columns().to_vec();
        arrays[0] = Arc::new(keys);
        let rows = RecordBatch::try_new(plain.schema(), arrays).unwrap();
        let heap_of = |rows: &RecordBatch| {
            let mut heap = Heap::new(rows.schema());
            push(&mut heap, rows);
            heap
        };
        let shape = Arc::new(Shape::plain(&rows.schema()));
        let (heap, run) = (heap_of(&rows), run_of(heap_of(&rows), Shape::plain(&rows.schema()), 1 << 10));
        let mut found = 0;
        for bucket in 0..BUCKETS {
            let expected = heap.gather(&heap.sorted(bucket), &shape).unwrap();
            let mut part = SortedRows::of_run(&run, bucket, &shape);
            let mut batches = vec![];
            while let Some(batch) = part.next().unwrap() {
                batches.push(batch);
            }
            assert!(batches.len() > 1);
            let all = concat_batches(&rows.schema(), &batches).unwrap();
            assert_eq!(all.columns(), expected, "bucket {bucket}");
            found += all.num_rows();
        }
        assert_eq!(found, 1000);
        assert!(run.stored_bytes() > 0 && run.largest_batch_bytes() < 16 << 10);
    }
}
