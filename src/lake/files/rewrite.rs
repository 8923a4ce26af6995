//! Files of one bucket become one file: their rows merged in order, some of them left out.
//!
//! In: live files, all of one bucket, suite and source, and what is true of the rows that are kept. Out: a file that waits
//! for its commit, tagged with the loads whose rows it has. A file of a table without buckets is rewritten alone, in the
//! order that it has. Rows stream through the scan's own merge; of each input a row group is in memory as it is in the file,
//! a page of each of its columns unpacked, and a batch. Where there are more inputs than fit, groups of them are merged first.
//! Nothing that failed leaves a file.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryLimit, MemoryPool, MemoryReservation, UnboundedMemoryPool,
};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use datafusion::prelude::SessionConfig;
use datafusion::scalar::ScalarValue;
use futures::future::{BoxFuture, ready};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use parquet::basic::Type as PhysicalType;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use tokio::task::JoinSet;

use super::encode::{ENCODER_BYTES, EncoderLimits};
use super::layout::{TAG_BUCKET, TAG_LOADS, TAG_PART};
use super::loads::{self, RowsOfFiles};
use super::parts::{BucketPart, KeyRange};
use super::range_memory::unpacked;
use super::ranges::{FOOTER_BYTES, readable};
use super::reader_memory::DECODER_BYTES;
use super::scan::{LakeTable, MERGED_BATCHES};
use super::write::{OpenFile, ROW_GROUP_ROWS, Target, encoder_limits};
use crate::columns::{self, FILE, HIT_TIME, VISITOR_KEY};
use crate::lake::{DataFile, Lake, NewFile, Snapshot};
use crate::{Error, Result};

/// Rows of a batch where memory allows; the scan takes smaller ones where it merges many files.
const BATCH_ROWS: usize = 8192;

/// The scan's smallest batch of a merge.
const SMALLEST_BATCH_ROWS: usize = 256;

/// Files that are merged at once at most, however small their rows.
const MOST_INPUTS: usize = 128;

/// Files that are merged at once at least, however little memory there is: fewer would mean many passes.
const LEAST_INPUTS: usize = 4;

/// What a decoded text takes on average; the log does not say, so this is a long one.
const TEXT_BYTES: usize = 32;

/// One file to be written.
#[derive(Clone, Debug)]
pub struct Job {
    /// Where the rows come from.
    pub inputs: Vec<DataFile>,
    /// Only rows for which all of these are true.
    pub keep: Vec<Expr>,
    /// The part of its bucket that the file has; None for all that its inputs have.
    pub part: Option<BucketPart>,
}

/// Rows of visitors with these keys.
pub fn between(keys: KeyRange) -> Vec<Expr> {
    vec![ident(VISITOR_KEY).gt_eq(lit(keys.first)), ident(VISITOR_KEY).lt_eq(lit(keys.last))]
}

/// Rows with a `hit_time` in this range, microseconds.
pub fn within(times: &Range<i64>) -> Vec<Expr> {
    let time = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    vec![ident(HIT_TIME).gt_eq(time(times.start)), ident(HIT_TIME).lt(time(times.end))]
}

/// Rows of other loads than the one with this file name.
pub fn not_of(file: &str) -> Vec<Expr> {
    vec![ident(FILE).not_eq(lit(file))]
}

/// What became of a job: its number, and its file, if a row was left.
pub type Rewritten = (usize, Option<NewFile>);

/// Who writes files anew: this process ([`Limits`]), or others for it.
pub trait Rewriter: Send + Sync {
    /// Writes a file for each job, several at once, and gives each as soon as it is there. What was given is the caller's to
    /// commit or to discard. After an error nothing more comes, and nothing else is left but garbage, which no version names.
    fn rewriting<'a>(
        &'a self,
        lake: &'a Lake,
        snapshot: &'a Snapshot,
        jobs: Vec<Job>,
    ) -> BoxStream<'a, Result<Rewritten>>;

    /// All files at once, in the jobs' order; of an error nothing is left, as above.
    fn rewrite<'a>(
        &'a self,
        lake: &'a Lake,
        snapshot: &'a Snapshot,
        jobs: Vec<Job>,
    ) -> BoxFuture<'a, Result<Vec<Option<NewFile>>>> {
        async move {
            let mut done: Vec<Option<NewFile>> = vec![None; jobs.len()];
            let mut files = self.rewriting(lake, snapshot, jobs);
            loop {
                match files.try_next().await {
                    Ok(Some((number, file))) => done[number] = file,
                    Ok(None) => return Ok(done),
                    Err(error) => {
                        for file in done.iter().flatten() {
                            lake.discard(&file.path).await;
                        }
                        return Err(error);
                    }
                }
            }
        }
        .boxed()
    }
}

/// What the work may take, in this process.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory of all files in work, bytes.
    pub memory_bytes: usize,
    /// Files in work at once; None is one a core.
    pub threads: Option<usize>,
}

impl Limits {
    /// Files of so many columns that are in work at once: their encoders take half of the memory at most.
    fn at_once(&self, columns: usize) -> usize {
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()));
        threads.min(self.memory_bytes / 2 / (ENCODER_BYTES * columns.max(1))).max(1)
    }
}

impl Rewriter for Limits {
    fn rewriting<'a>(
        &'a self,
        lake: &'a Lake,
        snapshot: &'a Snapshot,
        jobs: Vec<Job>,
    ) -> BoxStream<'a, Result<Rewritten>> {
        let at_once = self.at_once(snapshot.schema.fields().len());
        let work = match RewriteContext::new(lake, snapshot, self.memory_bytes, at_once) {
            Ok(work) => Arc::new(work),
            Err(error) => return stream::once(ready(Err(error))).boxed(),
        };
        let all = (jobs.into_iter().enumerate(), JoinSet::new());
        stream::try_unfold(all, move |(mut waiting, mut running)| {
            let work = work.clone();
            async move {
                while running.len() < at_once
                    && let Some((number, job)) = waiting.next()
                {
                    let work = work.clone();
                    running.spawn(async move { (number, work.job(job).await) });
                }
                let error = match running.join_next().await {
                    None => return Ok(None),
                    Some(Ok((number, Ok(file)))) => return Ok(Some(((number, file), (waiting, running)))),
                    Some(Ok((_, Err(error)))) => error,
                    Some(Err(error)) => Error::bug(format!("rewriting a file: {error}")),
                };
                // those that run come to their end, so that what they leave is known and can be deleted
                while let Some(ended) = running.join_next().await {
                    if let Ok((_, Ok(Some(file)))) = ended {
                        work.lake.discard(&file.path).await;
                    }
                }
                Err(error)
            }
        })
        .boxed()
    }
}

struct RewriteContext {
    lake: Lake,
    snapshot: Snapshot,
    runtime: Arc<RuntimeEnv>,
    /// The same for reading, see [`CountingPool`].
    reading: Arc<RuntimeEnv>,
    /// Memory of one file in work.
    memory_bytes: usize,
}

impl RewriteContext {
    fn new(lake: &Lake, snapshot: &Snapshot, memory_bytes: usize, at_once: usize) -> Result<Self> {
        let pool = GreedyMemoryPool::new(memory_bytes);
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
        runtime.register_object_store(lake.store_url().as_ref(), lake.store().clone());
        let counted = CountingPool { held: UnboundedMemoryPool::default(), memory_bytes };
        let reading = RuntimeEnvBuilder::from_runtime_env(&runtime).with_memory_pool(Arc::new(counted)).build_arc()?;
        let (lake, snapshot, memory_bytes) = (lake.clone(), snapshot.clone(), memory_bytes / at_once);
        Ok(Self { lake, snapshot, runtime, reading, memory_bytes })
    }

    async fn job(&self, job: Job) -> Result<Option<NewFile>> {
        let mut between = vec![];
        let done = self.in_passes(job, &mut between).await;
        for file in &between {
            self.lake.discard(&file.path).await;
        }
        done
    }

    /// Merges as many inputs at once as memory holds, and the results again until one is left; `between` are the results
    /// that are no longer needed.
    async fn in_passes(&self, mut job: Job, between: &mut Vec<NewFile>) -> Result<Option<NewFile>> {
        loop {
            let footers = self.footers(&job.inputs).await?;
            let cost = Cost::of(&footers);
            let fits = cost.inputs_in(self.memory_bytes);
            if job.inputs.len() <= fits {
                return self.merge(&job, &footers, &cost).await;
            }
            let share = job.inputs.len().div_ceil(job.inputs.len().div_ceil(fits));
            let mut next = vec![];
            for (inputs, footers) in job.inputs.chunks(share).zip(footers.chunks(share)) {
                if let [only] = inputs {
                    next.push(only.clone());
                    continue;
                }
                let part = Job { inputs: inputs.to_vec(), ..job.clone() };
                if let Some(file) = self.merge(&part, footers, &cost).await? {
                    next.push(DataFile::from(file.clone()));
                    between.push(file);
                }
            }
            job.inputs = next;
        }
    }

    async fn footers(&self, files: &[DataFile]) -> Result<Vec<Arc<ParquetMetaData>>> {
        let cache = self.runtime.cache_manager.get_file_metadata_cache();
        let mut footers = vec![];
        for file in files {
            // as the scan names it, so that it finds what is cached
            let object = readable(file).object_meta;
            let reader = DFParquetMetadata::new(self.lake.store().as_ref(), &object);
            let reader = reader.with_metadata_size_hint(Some(FOOTER_BYTES));
            footers.push(reader.with_file_metadata_cache(Some(cache.clone())).fetch_metadata().await?);
        }
        Ok(footers)
    }

    async fn merge(&self, job: &Job, footers: &[Arc<ParquetMetaData>], cost: &Cost) -> Result<Option<NewFile>> {
        let Some(first) = job.inputs.first() else { return Ok(None) };
        let schema = self.columns_of(footers);
        let plan = self.rows_of(job, &schema, cost).await?;
        let stored: Vec<usize> = (0..schema.fields().len()).collect();
        let context = Arc::new(
            TaskContext::default()
                .with_runtime(self.runtime.clone())
                .with_session_config(SessionConfig::new().with_batch_size(cost.batch_rows(self.memory_bytes))),
        );
        let bucket = first.tags.get(TAG_BUCKET).and_then(|b| b.parse().ok());
        if bucket.is_none() && job.inputs.len() > 1 {
            return Err(Error::bug(format!("file {} has no bucket and cannot be merged", first.relative)));
        }
        let part = match (&job.part, job.inputs.as_slice()) {
            (Some(part), _) => Some(part.to_tag()),
            (None, [only]) => only.tags.get(TAG_PART).cloned(),
            (None, _) => None,
        };
        let kept_tags = first.tags.iter().filter(|(tag, _)| ![TAG_LOADS, TAG_PART].contains(&tag.as_str()));
        let kept_tags = kept_tags.map(|(tag, value)| (tag.clone(), value.clone()));
        let mut target = Target {
            lake: self.lake.clone(),
            table: self.snapshot.name.clone(),
            tags: kept_tags.chain(part.map(|part| (TAG_PART.to_string(), part))).collect(),
        };
        let mut open: Option<OpenFile> = None;
        let limits = Cost::encoder_limits(self.memory_bytes);
        let tagged = first.tags.contains_key(TAG_LOADS);
        let mut counted = RowsOfFiles::default();
        // all rows are in the partition of their bucket, the others are empty
        for partition in 0..plan.output_partitioning().partition_count() {
            let mut batches = plan.execute(partition, context.clone())?;
            while let Some(batch) = batches.try_next().await? {
                if batch.num_rows() == 0 {
                    continue;
                }
                let batch = batch.project(&stored)?;
                if tagged {
                    counted.count(&batch)?;
                }
                let file = match &mut open {
                    Some(file) => file,
                    none => none.insert(OpenFile::create_within(&target, bucket, schema.clone(), limits)?),
                };
                file.write(&batch).await?;
            }
        }
        let Some(open) = open else { return Ok(None) };
        if tagged {
            let of_inputs = job.inputs.iter().map(DataFile::loads).collect::<Result<Vec<_>>>()?;
            let parts = counted.parts(of_inputs.into_iter().flatten())?;
            target.tags.insert(TAG_LOADS.into(), loads::tag_of(&parts));
        }
        Ok(Some(open.close(&target).await?))
    }

    /// The rows that the job keeps, in the lake's order: the columns of `schema`, then others that decide what is kept.
    async fn rows_of(&self, job: &Job, schema: &SchemaRef, cost: &Cost) -> Result<Arc<dyn ExecutionPlan>> {
        let state = self.state(cost, !job.keep.is_empty());
        let files = Arc::new(self.snapshot.only(job.inputs.clone()));
        let filters = &job.keep;
        let schema = &with_columns_of(schema, filters)?;
        let rows = LakeTable::new(self.lake.clone(), files, schema.clone()).reading(&state, None, filters)?;
        // the scan itself takes filters only as a hint
        let Some(filter) = conjunction(filters.clone()) else { return Ok(rows) };
        let filter = state.create_physical_expr(filter, &DFSchema::try_from(schema.as_ref().clone())?)?;
        Ok(Arc::new(FilterExec::try_new(filter, rows)?))
    }

    fn state(&self, cost: &Cost, few_rows: bool) -> SessionState {
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .with_batch_size(cost.batch_rows(self.memory_bytes))
            // rows that are left out are not decoded beyond what says so
            .set_bool("datafusion.execution.parquet.pushdown_filters", few_rows);
        SessionStateBuilder::new().with_config(config).with_runtime_env(self.reading.clone()).build()
    }

    /// The table's columns that some input has, in the table's order: files leave out what no row uses.
    fn columns_of(&self, footers: &[Arc<ParquetMetaData>]) -> SchemaRef {
        let schemas = footers.iter().map(|f| f.file_metadata().schema_descr());
        let names: HashSet<&str> =
            schemas.flat_map(|s| s.root_schema().get_fields().iter().map(|f| f.name())).collect();
        let fields = self.snapshot.schema.fields().iter().filter(|f| names.contains(f.name().as_str()));
        Arc::new(Schema::new(fields.map(|f| f.as_ref().clone()).collect::<Vec<Field>>()))
    }
}

/// The columns of a file, and those that `filters` name and it lacks, which read as NULL.
pub(in crate::lake) fn with_columns_of(schema: &SchemaRef, filters: &[Expr]) -> Result<SchemaRef> {
    let named: BTreeSet<&str> = filters.iter().flat_map(|f| f.column_refs()).map(|c| c.name.as_str()).collect();
    let lacking = named.into_iter().filter(|name| schema.index_of(name).is_err());
    let lacking = lacking.map(|name| Arc::new(columns::key_field(name).unwrap_or_else(|| columns::dimension(name))));
    Ok(Arc::new(Schema::new(schema.fields().iter().cloned().chain(lacking).collect::<Vec<_>>())))
}

/// Counts what readers hold, and refuses none: it is in the cost of a job. What they fetch ahead of their turn finds the limit.
#[derive(Debug)]
struct CountingPool {
    held: UnboundedMemoryPool,
    memory_bytes: usize,
}

impl MemoryPool for CountingPool {
    fn name(&self) -> &str {
        "counted"
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.held.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.held.shrink(reservation, shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> datafusion::error::Result<()> {
        self.held.try_grow(reservation, additional)
    }

    fn reserved(&self) -> usize {
        self.held.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.memory_bytes)
    }
}

impl fmt::Display for CountingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.held)
    }
}

/// What reading the costliest input takes, bytes.
struct Cost {
    /// A row group as it is in the file: its reader fetches it whole.
    row_group: usize,
    /// A page of each of its columns, unpacked, and their dictionaries.
    pages: usize,
    /// A decoded row.
    row: usize,
    /// Its columns.
    columns: usize,
}

impl Cost {
    fn of(footers: &[Arc<ParquetMetaData>]) -> Self {
        let groups = || footers.iter().flat_map(|f| f.row_groups());
        let row = |columns: &[ColumnChunkMetaData], rows: i64| -> usize {
            let width = |c: &ColumnChunkMetaData| match c.column_type() {
                PhysicalType::BYTE_ARRAY => (c.uncompressed_size() / rows.max(1)) as usize + TEXT_BYTES,
                _ => 16,
            };
            columns.iter().map(width).sum()
        };
        let pages = |columns: &[ColumnChunkMetaData], rows: i64| -> usize {
            let rows = usize::try_from(rows).unwrap_or_default();
            columns.iter().map(|column| unpacked(column, rows)).fold(0, usize::saturating_add)
        };
        Self {
            row_group: groups().map(|g| g.compressed_size() as usize).max().unwrap_or(0),
            pages: groups().map(|g| pages(g.columns(), g.num_rows())).max().unwrap_or(0),
            row: groups().map(|g| row(g.columns(), g.num_rows())).max().unwrap_or(0).max(1),
            columns: groups().map(|g| g.num_columns()).max().unwrap_or(0),
        }
    }

    /// What encoding may take: half of the memory, with an encoder. A row group is held until it is full.
    fn encoder_limits(memory_bytes: usize) -> EncoderLimits {
        encoder_limits(1, (memory_bytes / 2).saturating_sub(ENCODER_BYTES))
    }

    /// How many inputs are merged at once: theirs is what encoding leaves; a merge holds two batches of each.
    fn inputs_in(&self, memory_bytes: usize) -> usize {
        let each = self.row_group + self.pages + self.columns * DECODER_BYTES + 2 * SMALLEST_BATCH_ROWS * self.row;
        let row_group = Self::encoder_limits(memory_bytes).memory_bytes.min(ROW_GROUP_ROWS.saturating_mul(self.row));
        let left = memory_bytes.saturating_sub(ENCODER_BYTES + row_group).max(memory_bytes / 4);
        (left / each.max(1)).clamp(LEAST_INPUTS, MOST_INPUTS)
    }

    /// Rows of a batch, so that those that a merge holds take an eighth of the memory.
    fn batch_rows(&self, memory_bytes: usize) -> usize {
        (memory_bytes / 8 / MERGED_BATCHES / self.row).clamp(SMALLEST_BATCH_ROWS, BATCH_ROWS)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use datafusion::execution::memory_pool::MemoryConsumer;
    use parquet::arrow::ArrowWriter;

    use super::super::reader_memory::has_left;
    use super::*;
    use crate::columns::VISITOR_KEY;
    use crate::lake::write::parquet_properties;

    /// The footer of a file of so many visitors, each with three rows, and one of a hundred long names in each.
    fn footer(visitors: i64) -> Arc<ParquetMetaData> {
        let rows = || (0..visitors).flat_map(|visitor| [visitor; 3]);
        let name = |row: i64| format!("a name that is rather long, one of a hundred: {:03}", row * 7 % 100);
        let columns: [(&str, ArrayRef); 2] = [
            (VISITOR_KEY, Arc::new(rows().map(|key| key.wrapping_mul(0x1E37_79B9_7F4A_7C15)).collect::<Int64Array>())),
            ("name", Arc::new(rows().map(|row| Some(name(row))).collect::<StringArray>())),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = parquet_properties(&batch.schema(), None).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::<u8>::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        Arc::new(writer.finish().unwrap())
    }

    #[test]
    fn readers_hold_what_they_must_and_fetch_little_ahead() {
        let counted = CountingPool { held: UnboundedMemoryPool::default(), memory_bytes: 100 };
        let pool: Arc<dyn MemoryPool> = Arc::new(counted);
        assert!(has_left(&pool, 25, 4) && !has_left(&pool, 26, 4), "a quarter is for what is not yet wanted");
        let reader = MemoryConsumer::new("a file").register(&pool);
        reader.try_grow(1000).unwrap();
        assert_eq!(pool.reserved(), 1000);
        assert!(!has_left(&pool, 0, 1));
        drop(reader);
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn pages_are_what_is_unpacked_at_once() {
        // one page a column: all that there is
        let small = footer(2_000);
        let all = small.row_group(0).columns().iter().map(|column| column.uncompressed_size() as usize);
        let all: usize = all.sum();
        let pages = Cost::of(std::slice::from_ref(&small)).pages;
        assert!(pages > 6_000 * 8 && (all * 9 / 10..=all).contains(&pages), "{pages} of {all}");
        // three: the keys of one, and all names
        let large = footer(20_000);
        let pages = Cost::of(std::slice::from_ref(&large)).pages;
        assert!((20_000 * 8..20_000 * 8 + 60_000).contains(&pages), "{pages}");
        assert_eq!(Cost::of(&[small, large]).pages, pages, "the costliest input counts");
        assert_eq!(Cost::of(&[]).pages, 0);
    }

    #[test]
    fn inputs_fit_in_what_encoding_leaves() {
        let cost = Cost { row_group: 300_000, pages: 1_000_000, row: 300, columns: 12 };
        let each = 300_000 + 1_000_000 + 12 * DECODER_BYTES + 2 * SMALLEST_BATCH_ROWS * 300;
        for memory_bytes in [64 << 20, 128 << 20, 256 << 20] {
            let inputs = cost.inputs_in(memory_bytes);
            assert!((5..MOST_INPUTS).contains(&inputs), "{inputs}");
            let row_group = Cost::encoder_limits(memory_bytes).memory_bytes.min(ROW_GROUP_ROWS * 300);
            let taken = inputs * each + ENCODER_BYTES + row_group;
            assert!(taken <= memory_bytes && taken + each > memory_bytes, "{taken} of {memory_bytes}");
        }
        assert_eq!((cost.inputs_in(1 << 20), cost.inputs_in(4 << 30)), (LEAST_INPUTS, MOST_INPUTS));
        // half is for encoding, where rows are wide
        assert_eq!(Cost::encoder_limits(200 << 20).memory_bytes, (100 << 20) - ENCODER_BYTES);
        assert_eq!([1 << 20, 4 << 30].map(|bytes| Cost::encoder_limits(bytes).memory_bytes), [32 << 20, 128 << 20]);
    }
}
