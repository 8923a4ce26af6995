//! Sorted rows of one bucket, in memory or on disk, and the merge of any number of them.
//!
//! A run on disk is a nameless temporary file of Arrow batches, compressed by LZ4, with the columns in use among its rows.
//! A merge holds one small batch of each run.

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek};
use std::sync::Arc;

use arrow::array::{RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::sort::{Heap, Keys, Position};
use crate::Result;

/// Rows of a batch that is gathered from memory.
const BATCH_ROWS: usize = 8192;
/// Bytes of such a batch, about, where rows are wide.
const BATCH_BYTES: usize = 8 << 20;
/// Bytes of a batch of a run on disk, about: a merge holds one of each run.
const RUN_BATCH_BYTES: usize = 256 << 10;

/// Sorted rows of one bucket that wait on disk.
pub(super) struct Run(File);

impl Run {
    /// Writes the rows of one bucket; None where there are none.
    pub fn write(heap: &Heap, bucket: usize, columns: &[usize]) -> Result<Option<Self>> {
        let mut rows = InMemory::new(heap, bucket, columns, RUN_BATCH_BYTES)?;
        let Some(first) = rows.next()? else { return Ok(None) };
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
        let output = BufWriter::with_capacity(RUN_BATCH_BYTES, tempfile::tempfile()?);
        let mut writer = StreamWriter::try_new_with_options(output, &rows.schema, options)?;
        writer.write(&first)?;
        while let Some(batch) = rows.next()? {
            writer.write(&batch)?;
        }
        let file = writer.into_inner()?.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        Ok(Some(Self(file)))
    }
}

/// Sorted rows of one bucket, all with the columns of one schema.
pub(super) enum SortedRows<'a> {
    /// From a heap.
    InMemory(InMemory<'a>),
    /// From a run.
    OnDisk(StreamReader<BufReader<File>>, SchemaRef),
}

impl<'a> SortedRows<'a> {
    /// The rows of a heap, with these `columns` of its schema.
    pub fn of_heap(heap: &'a Heap, bucket: usize, columns: &[usize]) -> Result<Self> {
        Ok(Self::InMemory(InMemory::new(heap, bucket, columns, BATCH_BYTES)?))
    }

    /// The rows of a run, with the columns of `schema`; those that the run lacks are NULL.
    pub fn of_run(mut run: Run, schema: SchemaRef) -> Result<Self> {
        run.0.rewind()?;
        let reader = BufReader::with_capacity(RUN_BATCH_BYTES, run.0);
        Ok(Self::OnDisk(StreamReader::try_new(reader, None)?, schema))
    }

    /// The next rows, None at the end.
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        let (reader, schema) = match self {
            Self::InMemory(rows) => return rows.next(),
            Self::OnDisk(reader, schema) => (reader, schema),
        };
        let Some(batch) = reader.next().transpose()? else { return Ok(None) };
        let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
            Some(column) => column.clone(),
            None => new_null_array(field.data_type(), batch.num_rows()),
        });
        Ok(Some(RecordBatch::try_new(schema.clone(), columns.collect())?))
    }
}

/// Rows of a heap in order.
pub(super) struct InMemory<'a> {
    heap: &'a Heap,
    positions: Vec<Position>,
    at: usize,
    batch_rows: usize,
    columns: Vec<usize>,
    schema: SchemaRef,
}

impl<'a> InMemory<'a> {
    fn new(heap: &'a Heap, bucket: usize, columns: &[usize], batch_bytes: usize) -> Result<Self> {
        let schema = Arc::new(heap.schema().project(columns)?);
        let batch_rows = (batch_bytes / heap.row_bytes()).clamp(16, BATCH_ROWS);
        Ok(Self { heap, positions: heap.sorted(bucket), at: 0, batch_rows, columns: columns.to_vec(), schema })
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        let end = self.positions.len().min(self.at + self.batch_rows);
        if self.at == end {
            return Ok(None);
        }
        let columns = self.heap.gather(&self.positions[self.at..end], &self.columns)?;
        self.at = end;
        Ok(Some(RecordBatch::try_new(self.schema.clone(), columns)?))
    }
}

/// Several sorted inputs of one schema as one.
pub(super) struct Merge<'a> {
    inputs: Vec<Input<'a>>,
    schema: SchemaRef,
}

struct Input<'a> {
    rows: SortedRows<'a>,
    head: Option<Head>,
}

/// What is left of the batch that was read last.
struct Head {
    batch: RecordBatch,
    keys: Keys,
}

impl<'a> Merge<'a> {
    /// Of equal rows those of an earlier input come first.
    pub fn new(inputs: Vec<SortedRows<'a>>, schema: SchemaRef) -> Self {
        Self { inputs: inputs.into_iter().map(|rows| Input { rows, head: None }).collect(), schema }
    }

    /// The next rows, None at the end.
    ///
    /// The smallest of the heads' last rows is a bound: whatever lies before it is in a head already. Those rows are
    /// sorted and handed out, and the head that gave the bound is used up; so every step reads on, whatever the rows.
    /// The next batch of that input may begin with rows equal to the bound, for which those of later inputs wait.
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        if let [only] = self.inputs.as_mut_slice() {
            return match only.head.take() {
                Some(head) => Ok(Some(head.batch)),
                None => only.rows.next(),
            };
        }
        self.refill()?;
        let last = |head: &Head| head.keys.len() - 1;
        let heads = self.inputs.iter().enumerate().filter_map(|(i, input)| Some((i, input.head.as_ref()?)));
        let first = heads.min_by(|(_, a), (_, b)| a.keys.compare(last(a), &b.keys, last(b)));
        let Some((giver, bound)) = first else { return Ok(None) };
        let (bound, bound_row) = (bound.keys.clone(), last(bound));
        let mut heap = Heap::new(self.schema.clone());
        for (i, input) in self.inputs.iter_mut().enumerate() {
            let Some(head) = input.head.take() else { continue };
            let rows = head.keys.len();
            let cut = head.keys.count_before(&bound, bound_row, i <= giver);
            if cut > 0 {
                heap.push(&head.batch.slice(0, cut))?;
            }
            if cut < rows {
                let batch = head.batch.slice(cut, rows - cut);
                input.head = Some(Head { keys: Keys::of(&batch)?, batch });
            }
        }
        let all: Vec<usize> = (0..self.schema.fields().len()).collect();
        let columns = heap.gather(&heap.all_sorted(), &all)?;
        Ok(Some(RecordBatch::try_new(self.schema.clone(), columns)?))
    }

    /// Gives every input a head, and lets go of those that have ended.
    fn refill(&mut self) -> Result<()> {
        for input in &mut self.inputs {
            if input.head.is_none()
                && let Some(batch) = input.rows.next()?
            {
                input.head = Some(Head { keys: Keys::of(&batch)?, batch });
            }
        }
        self.inputs.retain(|input| input.head.is_some());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::compute::concat_batches;
    use arrow::datatypes::Schema;

    use super::*;
    use crate::columns;

    /// Rows of few visitors and instants, so that every tie occurs; `note` is there in some batches only.
    fn batch(random: &mut impl FnMut(u64) -> u64, rows: usize) -> RecordBatch {
        let key = |name| columns::key_field(name).unwrap();
        let fields = [columns::VISITOR_KEY, columns::VISITOR_ID, columns::HIT_TIME, columns::HIT_SEQ].map(key);
        let fields = fields.into_iter().chain([columns::dimension("note")]).collect::<Vec<_>>();
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
        ];
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    }

    /// However rows are cut into runs, their merge is the sort of all.
    #[test]
    fn a_merge_of_runs_is_the_sort_of_all() {
        let mut state = 1_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % below
        };
        for round in 0..30 {
            let batches: Vec<RecordBatch> = (0..1 + random(12))
                .map(|_| {
                    let rows = 1 + random(if round % 3 == 0 { 3000 } else { 60 }) as usize;
                    batch(&mut random, rows)
                })
                .collect();
            let schema = batches[0].schema();
            let columns: Vec<usize> = (0..5).collect();
            let mut all = Heap::new(schema.clone());
            batches.iter().for_each(|b| {
                all.push(b).unwrap();
            });
            let bucket = crate::lake::layout::bucket_of(0);
            let expected = all.gather(&all.sorted(bucket), &columns).unwrap();
            let expected = RecordBatch::try_new(schema.clone(), expected).unwrap();

            let (mut runs, mut heap, mut inputs) = (vec![], Heap::new(schema.clone()), vec![]);
            for batch in &batches {
                heap.push(batch).unwrap();
                if random(2) == 0 {
                    let full = std::mem::replace(&mut heap, Heap::new(schema.clone()));
                    let notes = full.gather(&full.all_sorted(), &[4]).unwrap();
                    let used = &columns[..if notes[0].null_count() == notes[0].len() { 4 } else { 5 }];
                    runs.push(Run::write(&full, bucket, used).unwrap().unwrap());
                }
            }
            // the latest rows first, as within each
            inputs.push(SortedRows::of_heap(&heap, bucket, &columns).unwrap());
            for run in runs.into_iter().rev() {
                inputs.push(SortedRows::of_run(run, schema.clone()).unwrap());
            }
            let mut merge = Merge::new(inputs, schema.clone());
            let mut merged = vec![];
            while let Some(rows) = merge.next().unwrap() {
                merged.push(rows);
            }
            assert_eq!(concat_batches(&schema, &merged).unwrap(), expected, "round {round}");
        }
    }
}
