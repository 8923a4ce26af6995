//! Rows become sorted, bucketed Parquet files: pushed in any order, sorted (spilling to disk beyond a memory limit), and
//! written, one file a bucket, several buckets at a time.
//!
//! In: record batches of one schema. Out: files that nobody sees until they are committed. Columns in which no row has a
//! value are left out. Texts that recur are kept once for all rows. Nothing is written to the lake before `finish`. What spills
//! at once is a run, one temporary file. Runs are merged in passes where there are more than memory, or the number of open
//! files, lets merge at once: neighbours only, so that equal rows keep their order.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::Bytes;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tokio::io::AsyncWriteExt;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::dictionary::{Dictionaries, Shape, Texts, with_plain_texts};
use super::encode::{Encoder, EncoderLimits};
use super::layout::{
    self, BUCKETS, ORDER, TAG_BUCKET, TAG_KEYED, TAG_LOADS, TAG_NOBODY, TAG_REPEATS, TAG_REPORTED, TAG_UNIQUE_KEYS,
};
use super::loads::{self, LoadPart, RowsOfFiles};
use super::repeats::RepeatCount;
use super::reported::Reported;
use super::runs::{BATCH_BYTES, Merge, RUN_BATCH_BYTES, Run, RunWriter, SortedRows};
use super::sort::Heap;
use super::unique_keys::UniqueKeys;
use crate::columns::{FILE, HIT_ID, HIT_SEQ, HIT_TIME, SUITE, TRANSACTION_ID, VISITOR_ID, VISITOR_KEY, key_field};
use crate::lake::{Lake, NewFile, Snapshot, stats};
use crate::{Error, Result};

/// Rows of a row group: large enough for long runs of one visitor, small enough to prune.
pub(super) const ROW_GROUP_ROWS: usize = 256 * 1024;
/// Bytes of the rows of a row group in memory, about, where rows are wide: they are held until all of them are there.
const ROW_GROUP_BYTES: usize = 128 << 20;
/// The same where there is little memory: with less, files would fall into small row groups.
const LEAST_ROW_GROUP_BYTES: usize = 32 << 20;
/// Bytes of a dictionary, beyond which values are written as they are: those of 100,000 usual values.
const DICTIONARY_BYTES: usize = 4 << 20;
/// Bytes of the dictionary of visitor ids: enough for a row group in which every row has its own.
const VISITOR_IDS_BYTES: usize = 16 << 20;
/// Rows of a page.
pub(super) const PAGE_ROWS: usize = 20_000;
/// The part of the memory for sorting that dictionaries take, about, at most.
const DICTIONARIES_PART: usize = 8;
/// Runs of one writer at most, each an open file; a process is often allowed 256 files, and may have two writers.
const MOST_RUNS: usize = 64;
/// Runs that are merged at once at least, however little memory there is: fewer would mean many passes.
const LEAST_INPUTS: usize = 4;

/// What a writer leaves: files to commit, the columns in use, the number of rows.
#[derive(Debug, Default)]
pub struct Written {
    /// The files, uncommitted.
    pub files: Vec<NewFile>,
    /// Columns in which some row has a value, and the key columns.
    pub columns: Vec<Field>,
    /// Rows in all files.
    pub rows: u64,
}

/// Takes batches in any order and leaves sorted, bucketed files.
pub struct SortedWriter {
    target: Arc<Target>,
    schema: SchemaRef,
    used: Vec<bool>,
    heap: Heap,
    /// Of the rows in the heap and in the runs.
    dictionaries: Dictionaries,
    /// In the order in which their rows came.
    runs: Vec<Arc<Run>>,
    memory: MemoryReservation,
    /// The bound of `memory`, if there is one.
    memory_bytes: usize,
}

impl SortedWriter {
    /// A writer into `table` for batches of `schema`, which has all columns of [`ORDER`]; texts of any other column may come as
    /// dictionary arrays, in some batches or in all. `tags` go to every file; the memory of `context` bounds the rows that are held,
    /// and what does not fit spills to temporary files.
    pub fn start(
        lake: &Lake,
        table: &str,
        schema: SchemaRef,
        tags: HashMap<String, String>,
        context: Arc<TaskContext>,
    ) -> Result<Self> {
        if layout::ordering(&schema).is_none() {
            return Err(Error::bug(format!("table {table}: rows to be sorted lack one of {ORDER:?}")));
        }
        let schema = with_plain_texts(&schema);
        let memory = MemoryConsumer::new("SortedWriter").with_can_spill(true).register(context.memory_pool());
        let memory_bytes = match context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            MemoryLimit::Infinite | MemoryLimit::Unknown => usize::MAX,
        };
        Ok(Self {
            target: Arc::new(Target { lake: lake.clone(), table: table.to_string(), tags }),
            used: vec![false; schema.fields().len()],
            heap: Heap::new(schema.clone()),
            dictionaries: Dictionaries::new(&schema, memory_bytes / DICTIONARIES_PART),
            runs: vec![],
            schema,
            memory,
            memory_bytes,
        })
    }

    /// Hands over rows; waits while rows spill.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        for (used, column) in self.used.iter_mut().zip(batch.columns()) {
            *used |= column.null_count() < column.len();
        }
        let bytes = self.heap.push(&batch, &mut self.dictionaries)?;
        self.dictionaries.bound()?;
        if self.memory.try_grow(bytes).is_err() {
            // the batch that no longer fits is here already, so it is counted for as long as the spilling takes
            self.memory.grow(bytes);
            self.spill().await?;
        }
        Ok(())
    }

    /// Memory that the rows which were handed over take.
    pub fn held_bytes(&self) -> usize {
        self.memory.size()
    }

    /// True where some of them are on disk.
    pub fn has_spilled(&self) -> bool {
        !self.runs.is_empty()
    }

    /// The columns of a batch to push, all texts as such.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// True where the rows of another writer can go into the files of this one: they are of one table and have the same columns, tags
    /// differ in the loads alone, of which those of the other have the later names, no row is on disk, and what is coded stays so.
    pub fn can_append(&self, other: &Self) -> bool {
        let is_later = || {
            let (own, others) = (self.target.loads(), other.target.loads());
            let (last, first) = (own.iter().map(|load| &load.file).max(), others.iter().map(|load| &load.file).min());
            last.zip(first).is_some_and(|(last, first)| last < first)
        };
        let has_spilled = self.has_spilled() || other.has_spilled();
        let is_like = self.target.is_like(&other.target) && self.schema == other.schema;
        !has_spilled && is_like && is_later() && self.dictionaries.can_append(&other.dictionaries)
    }

    /// Takes the rows of a writer that [`Self::can_append`] is true for. Of equal rows those of the later load come first, as they do
    /// where the files of loads are merged.
    pub fn append(&mut self, other: Self) -> Result<()> {
        let Self { target, used, heap, dictionaries, .. } = other;
        self.used.iter_mut().zip(used).for_each(|(used, others)| *used |= others);
        let recodings = self.dictionaries.append(dictionaries)?;
        self.heap.append(heap, &recodings)?;
        self.dictionaries.bound()?;
        self.memory.resize(self.heap.bytes() + self.dictionaries.memory_bytes());
        self.target = Arc::new(self.target.with_loads_of(&target));
        Ok(())
    }

    /// Columns that files would have now, by name.
    pub fn fields_in_use(&self) -> Vec<Field> {
        self.columns_in_use().into_iter().map(|column| self.schema.field(column).clone()).collect()
    }

    /// Sorts what is left and writes the files, several buckets at a time.
    pub async fn finish(mut self) -> Result<Written> {
        let columns = self.columns_in_use();
        let schema = Arc::new(self.schema.project(&columns)?);
        let at_once = self.files_at_once();
        if self.has_spilled() {
            // the rest as well, so that all memory is for the merge
            if !self.heap.is_empty() {
                self.spill().await?;
            }
            let mut room = self.room_for_inputs(at_once);
            while self.runs.len() > room {
                self.merge_some(room).await?;
                room = self.room_for_inputs(at_once);
            }
        }
        let shape = Arc::new(self.dictionaries.shape(&self.schema, columns)?);
        let texts = Arc::new(std::mem::take(&mut self.dictionaries).into_texts(&shape)?);
        let heap = Arc::new(std::mem::replace(&mut self.heap, Heap::new(self.schema.clone())));
        let runs = std::mem::take(&mut self.runs);
        let limits = encoder_limits(workers() / at_once, self.row_groups_bytes() / at_once);
        let works = (0..BUCKETS).map(|bucket| {
            let (target, heap, runs) = (self.target.clone(), heap.clone(), runs.clone());
            let (shape, texts, schema) = (shape.clone(), texts.clone(), schema.clone());
            move || {
                let inputs = match runs.is_empty() {
                    true => vec![SortedRows::of_heap(&heap, bucket, &shape, BATCH_BYTES)],
                    false => merged(&runs, bucket, &shape),
                };
                let rows = Merge::new(inputs, shape.schema.clone(), BATCH_BYTES)?;
                write_bucket(&target, bucket, schema, rows, &texts, limits)
            }
        });
        let (files, failed) = side_by_side(works, at_once).await;
        let files: Vec<NewFile> = files.into_iter().flatten().collect();
        if let Some(error) = failed {
            for file in &files {
                self.target.lake.discard(&file.path).await;
            }
            return Err(error);
        }
        if files.is_empty() {
            return Ok(Written::default());
        }
        let columns = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
        Ok(Written { rows: files.iter().map(|f| f.rows).sum(), columns, files })
    }

    /// Writes all rows to a sorted run; runs are merged at the end, or when there are many.
    async fn spill(&mut self) -> Result<()> {
        let shape = Arc::new(self.dictionaries.shape(&self.schema, self.columns_in_use())?);
        let heap = Arc::new(std::mem::replace(&mut self.heap, Heap::new(self.schema.clone())));
        let writer = RunWriter::create(shape.clone())?;
        let rows_of = move |bucket| vec![SortedRows::of_heap(&heap, bucket, &shape, RUN_BATCH_BYTES)];
        let written = write_run(writer, rows_of).await;
        self.memory.resize(self.dictionaries.memory_bytes());
        self.runs.push(Arc::new(written?));
        if self.runs.len() >= MOST_RUNS {
            while self.runs.len() > MOST_RUNS / 2 {
                self.merge_some(MOST_RUNS / 2).await?;
            }
        }
        Ok(())
    }

    /// Makes one run of neighbouring ones, of as many as memory lets merge at once, or as must go so that `wanted` are left;
    /// of those where that is the least work.
    async fn merge_some(&mut self, wanted: usize) -> Result<()> {
        let count = self.room_for_inputs(workers().min(BUCKETS)).min(self.runs.len() + 1 - wanted);
        let bytes = self.runs.windows(count).map(|runs| runs.iter().map(|run| run.stored_bytes()).sum::<usize>());
        let (first, _) = bytes.enumerate().min_by_key(|(_, bytes)| *bytes).unwrap_or_default();
        let group = self.runs[first..first + count].to_vec();
        let columns: BTreeSet<usize> = group.iter().flat_map(|run| run.columns()).copied().collect();
        let shape = Arc::new(self.dictionaries.shape(&self.schema, columns.into_iter().collect())?);
        let writer = RunWriter::create(shape.clone())?;
        let written = write_run(writer, move |bucket| merged(&group, bucket, &shape)).await;
        self.memory.resize(self.dictionaries.memory_bytes());
        drop(self.runs.splice(first..first + count, [Arc::new(written?)]));
        Ok(())
    }

    /// How many runs can be merged where so many buckets are merged side by side: a batch of each is in memory, which is
    /// taken.
    fn room_for_inputs(&self, side_by_side: usize) -> usize {
        let largest = self.runs.iter().map(|run| run.largest_batch_bytes()).max().unwrap_or(0);
        let each = largest * side_by_side;
        self.memory.resize(self.dictionaries.memory_bytes() + LEAST_INPUTS * each);
        let more = (LEAST_INPUTS..self.runs.len()).take_while(|_| self.memory.try_grow(each).is_ok());
        LEAST_INPUTS + more.count()
    }

    /// How many files are written side by side; threads that are left encode columns of one file at once. Row groups may take twice as
    /// much as sorting did.
    fn files_at_once(&self) -> usize {
        workers().min(BUCKETS).min(self.row_groups_bytes() / LEAST_ROW_GROUP_BYTES).max(1)
    }

    fn row_groups_bytes(&self) -> usize {
        self.memory_bytes.saturating_mul(2)
    }

    /// Columns that some row has had a value in so far, those of the order, and where dimensions in use were set: that no row
    /// set one is reported, too.
    fn columns_in_use(&self) -> Vec<usize> {
        let in_order = |i: &usize| ORDER.contains(&self.schema.field(*i).name().as_str());
        let of_one_in_use = |i: &usize| {
            let dimension = self.schema.field(*i).name().strip_suffix("_set");
            dimension.and_then(|name| self.schema.index_of(name).ok()).is_some_and(|dimension| self.used[dimension])
        };
        (0..self.used.len()).filter(|i| self.used[*i] || in_order(i) || of_one_in_use(i)).collect()
    }
}

/// Rows of one bucket of runs: the latest first, as in each of them.
fn merged(runs: &[Arc<Run>], bucket: usize, shape: &Arc<Shape>) -> Vec<SortedRows> {
    runs.iter().rev().map(|run| SortedRows::of_run(run, bucket, shape)).collect()
}

/// Writes a run of the rows that `rows_of` gives of each bucket.
async fn write_run(
    writer: RunWriter,
    rows_of: impl Fn(usize) -> Vec<SortedRows> + Send + Sync + 'static,
) -> Result<Run> {
    let (writer, rows_of) = (Arc::new(writer), Arc::new(rows_of));
    let works = (0..BUCKETS).map(|bucket| {
        let (writer, rows_of) = (writer.clone(), rows_of.clone());
        move || Ok((bucket, writer.write(rows_of(bucket))?))
    });
    let (written, failed) = side_by_side(works, workers()).await;
    failed.map_or_else(|| Ok(writer.finish(written)), Err)
}

/// Threads, and memory of the rows of a row group, where so many bytes are left for it.
pub(super) fn encoder_limits(threads: usize, left_bytes: usize) -> EncoderLimits {
    EncoderLimits { threads, memory_bytes: left_bytes.clamp(LEAST_ROW_GROUP_BYTES, ROW_GROUP_BYTES) }
}

/// Threads that work at once.
fn workers() -> usize {
    Handle::current().metrics().num_workers()
}

/// Does the works on blocking threads, so many at a time. After a failure no other work is begun; gives what was done, in no
/// order, and the first failure.
async fn side_by_side<T: Send + 'static>(
    works: impl Iterator<Item = impl FnOnce() -> Result<T> + Send + 'static>,
    at_once: usize,
) -> (Vec<T>, Option<Error>) {
    let (mut works, mut running) = (works, JoinSet::new());
    let (mut done, mut failed) = (vec![], None);
    for work in works.by_ref().take(at_once) {
        running.spawn_blocking(work);
    }
    while let Some(joined) = running.join_next().await {
        match joined.unwrap_or_else(|e| Err(Error::bug(format!("writer: {e}")))) {
            Ok(result) => done.push(result),
            Err(error) => failed = failed.or(Some(error)),
        }
        if failed.is_none()
            && let Some(work) = works.next()
        {
            running.spawn_blocking(work);
        }
    }
    (done, failed)
}

/// A place to sort in `memory_bytes`; what does not fit spills to the temporary folder.
pub fn sort_context(memory_bytes: usize) -> Result<Arc<TaskContext>> {
    let consumers = NonZeroUsize::new(5).expect("5 is not 0");
    let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes), consumers);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
    Ok(Arc::new(TaskContext::default().with_runtime(runtime)))
}

/// How files are encoded: statistics where a reader prunes, none on a thousand other columns; dictionaries that hold all
/// values of a row group where journeys read them as such.
pub fn parquet_properties(schema: &Schema, rows: Option<usize>) -> Result<WriterProperties> {
    let sorting = ORDER.iter().filter_map(|name| schema.index_of(name).ok()).map(|i| SortingColumn {
        column_idx: i as i32,
        descending: false,
        nulls_first: false,
    });
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("rejoin ", env!("CARGO_PKG_VERSION")).to_string())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_column_dictionary_page_size_limit(ColumnPath::from(VISITOR_ID), VISITOR_IDS_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_sorting_columns(Some(sorting.collect()));
    for name in [SUITE, HIT_TIME, FILE] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Chunk);
    }
    for name in [VISITOR_KEY, VISITOR_ID] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    // a visitor's key is side by side, which compresses better than places in a dictionary; its times rise; hit ids
    // and sequences are noise
    for name in [VISITOR_KEY, HIT_TIME, HIT_SEQ].iter().chain(&HIT_ID) {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(*name), false);
    }
    // as differences they are a twentieth larger than compressed, and read in half the time; most questions read them
    builder = builder
        .set_column_encoding(ColumnPath::from(HIT_TIME), Encoding::DELTA_BINARY_PACKED)
        .set_column_compression(ColumnPath::from(HIT_TIME), Compression::UNCOMPRESSED);
    for name in HIT_ID {
        builder = builder.set_column_encoding(ColumnPath::from(name), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    if schema.index_of(TRANSACTION_ID).is_ok() {
        let id = ColumnPath::from(TRANSACTION_ID);
        builder = builder
            .set_column_bloom_filter_enabled(id.clone(), true)
            .set_column_bloom_filter_max_ndv(id, (rows.unwrap_or(ROW_GROUP_ROWS) as u64 / 16).max(64));
    }
    Ok(builder.build())
}

/// Where files go, and the tags that they get.
pub(super) struct Target {
    pub(super) lake: Lake,
    pub(super) table: String,
    pub(super) tags: HashMap<String, String>,
}

impl Target {
    /// The loads whose rows are written, as the tags say.
    fn loads(&self) -> Vec<LoadPart> {
        self.tags.get(TAG_LOADS).map_or_else(Vec::new, |tag| loads::parts_in(tag))
    }

    /// True for files of the same table with the same tags, but for the loads.
    fn is_like(&self, other: &Self) -> bool {
        let is_tag = |other: &HashMap<String, String>, (tag, value): (&String, &String)| {
            tag == TAG_LOADS && other.contains_key(tag) || other.get(tag) == Some(value)
        };
        self.table == other.table
            && self.tags.len() == other.tags.len()
            && self.tags.iter().all(|tag| is_tag(&other.tags, tag))
    }

    /// The same, with the loads of another one as well.
    fn with_loads_of(&self, other: &Self) -> Self {
        let parts = [self.loads(), other.loads()].concat();
        let mut tags = self.tags.clone();
        tags.insert(TAG_LOADS.into(), loads::tag_of(&parts));
        Self { lake: self.lake.clone(), table: self.table.clone(), tags }
    }

    fn new_path(&self) -> Result<(String, Path)> {
        let relative = format!("{}.parquet", uuid::Uuid::new_v4());
        let path = self.lake.file_path(&self.table, &relative)?;
        Ok((relative, path))
    }
}

/// Writes the file of one bucket; None where it has no rows. A file that fails is not finished, so that nobody sees it.
/// Blocks, for most of the work is encoding.
fn write_bucket(
    target: &Target,
    bucket: usize,
    schema: SchemaRef,
    mut rows: Merge,
    texts: &Texts,
    limits: EncoderLimits,
) -> Result<Option<NewFile>> {
    let Some(first) = rows.next()? else { return Ok(None) };
    let runtime = Handle::current();
    let mut file = OpenFile::create_within(target, Some(bucket), schema, limits)?;
    let loads = target.loads();
    let mut counted = (loads.len() > 1).then(RowsOfFiles::default);
    let mut next = Some(first);
    while let Some(batch) = next {
        let batch = texts.beside(&batch)?;
        if let Some(counted) = &mut counted {
            counted.count(&batch)?;
        }
        runtime.block_on(file.write(&batch))?;
        next = rows.next()?;
    }
    let mut file = runtime.block_on(file.close(target))?;
    if let Some(counted) = counted {
        file.tags.insert(TAG_LOADS.into(), loads::tag_of(&counted.parts(loads)?));
    }
    Ok(Some(file))
}

/// A file in the making.
pub(super) struct OpenFile {
    bucket: Option<usize>,
    relative: String,
    path: Path,
    rows: u64,
    repeats: RepeatCount,
    unique_keys: UniqueKeys,
    reported: Reported,
    encoder: Encoder,
    object: BufWriter,
}

impl OpenFile {
    /// A file of a bucket, whose rows come in order; or with none, an unsorted one.
    pub(super) fn create(target: &Target, bucket: Option<usize>, schema: SchemaRef) -> Result<Self> {
        Self::create_within(target, bucket, schema, encoder_limits(1, ROW_GROUP_BYTES))
    }

    /// As [`OpenFile::create`], with what its encoding may take.
    pub(super) fn create_within(
        target: &Target,
        bucket: Option<usize>,
        schema: SchemaRef,
        limits: EncoderLimits,
    ) -> Result<Self> {
        let (relative, path) = target.new_path()?;
        let object = BufWriter::new(target.lake.store().clone(), path.clone());
        let encoder = Encoder::new(&schema, parquet_properties(&schema, None)?, limits)?;
        let (repeats, unique_keys, reported) = (RepeatCount::default(), UniqueKeys::default(), Reported::default());
        Ok(Self { bucket, relative, path, rows: 0, repeats, unique_keys, reported, encoder, object })
    }

    /// Writes the next rows; their texts may be dictionary arrays.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.encoder.write(batch)?;
        self.put().await?;
        self.rows += batch.num_rows() as u64;
        self.repeats.take(batch);
        self.reported.take(batch);
        if self.bucket.is_some() {
            self.unique_keys.take(batch);
        }
        Ok(())
    }

    /// Hands row groups that are complete to the store.
    async fn put(&mut self) -> Result<()> {
        let bytes = self.encoder.take_bytes();
        if !bytes.is_empty() {
            self.object.put(Bytes::from(bytes)).await?;
        }
        Ok(())
    }

    pub(super) async fn close(mut self, target: &Target) -> Result<NewFile> {
        let footer = self.encoder.finish()?;
        self.put().await?;
        self.object.shutdown().await.map_err(ParquetError::from)?;
        let mut tags = target.tags.clone();
        tags.extend(self.bucket.map(|bucket| (TAG_BUCKET.into(), bucket.to_string())));
        let computed = [TAG_REPEATS, TAG_KEYED, TAG_UNIQUE_KEYS, TAG_NOBODY, TAG_REPORTED];
        computed.iter().for_each(|tag| drop(tags.remove(*tag)));
        tags.extend(self.repeats.tags());
        tags.extend(self.unique_keys.tags(&self.relative));
        tags.extend(self.reported.tag(&self.relative));
        let size = self.encoder.bytes_written() as u64;
        let hit_time = stats::time_span(&footer);
        Ok(NewFile { relative: self.relative, path: self.path, size, rows: self.rows, hit_time, tags })
    }
}

/// The writer for a table's rows: those that have what the lake is sorted by are kept like events, all others as they come.
pub enum TableWriter {
    /// Like events.
    Sorted(SortedWriter),
    /// As they come.
    Plain(Box<PlainWriter>),
}

impl TableWriter {
    /// True for rows that are kept like events.
    pub fn sorts(schema: &Schema) -> bool {
        ORDER.iter().all(|name| {
            let field = schema.field_with_name(name).ok();
            field.zip(key_field(name)).is_some_and(|(field, key)| field.data_type() == key.data_type())
        })
    }

    /// A writer into `table` for batches of `schema`, within the memory of `context`, see [`SortedWriter::start`].
    pub fn start(lake: &Lake, table: &str, schema: SchemaRef, context: Arc<TaskContext>) -> Result<Self> {
        Ok(match Self::sorts(&schema) {
            true => Self::Sorted(SortedWriter::start(lake, table, schema, HashMap::new(), context)?),
            false => Self::Plain(Box::new(PlainWriter::start(lake, table, schema, HashMap::new()))),
        })
    }

    /// Hands over rows.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        match self {
            _ if batch.num_rows() == 0 => Ok(()),
            Self::Sorted(writer) => writer.push(batch).await,
            Self::Plain(writer) => writer.push(&batch).await,
        }
    }

    /// The files, uncommitted.
    pub async fn finish(self) -> Result<Written> {
        match self {
            Self::Sorted(writer) => writer.finish().await,
            Self::Plain(writer) => {
                let columns = writer.schema.fields().iter().map(|f| f.as_ref().clone()).collect();
                let files: Vec<NewFile> = writer.finish().await?.into_iter().collect();
                Ok(Written { rows: files.iter().map(|f| f.rows).sum(), columns, files })
            }
        }
    }
}

/// Writes one unsorted file, as rows come.
pub struct PlainWriter {
    target: Target,
    schema: SchemaRef,
    open: Option<OpenFile>,
}

impl PlainWriter {
    /// A writer into `table` for batches of `schema`; `tags` go to the file.
    pub fn start(lake: &Lake, table: &str, schema: SchemaRef, tags: HashMap<String, String>) -> Self {
        let target = Target { lake: lake.clone(), table: table.to_string(), tags };
        Self { target, schema, open: None }
    }

    /// Hands over rows.
    pub async fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let file = match &mut self.open {
            Some(file) => file,
            none => none.insert(OpenFile::create(&self.target, None, self.schema.clone())?),
        };
        file.write(batch).await?;
        Ok(())
    }

    /// The file, uncommitted; None when nothing was handed over.
    pub async fn finish(self) -> Result<Option<NewFile>> {
        match self.open {
            Some(open) => open.close(&self.target).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Writes one unsorted file of a small table.
pub async fn write_plain(
    lake: &Lake,
    table: &str,
    batches: &[RecordBatch],
    tags: HashMap<String, String>,
) -> Result<Option<NewFile>> {
    let Some(first) = batches.first() else { return Ok(None) };
    let mut writer = PlainWriter::start(lake, table, first.schema(), tags);
    for batch in batches {
        writer.push(batch).await?;
    }
    writer.finish().await
}

/// Deletes those of the written files that are not live: a commit that reported a failure may still have happened.
/// What cannot be known or deleted is left as garbage; it does no damage.
pub async fn discard_uncommitted(lake: &Lake, table: &str, files: &[&NewFile]) {
    if files.is_empty() {
        return;
    }
    let live = match Snapshot::open(lake, table, None).await {
        Ok(snapshot) => snapshot.files,
        Err(error) => {
            tracing::debug!(table, %error, "uncommitted files are left behind");
            return;
        }
    };
    for file in files.iter().filter(|f| live.iter().all(|l| l.path != f.path)) {
        lake.discard(&file.path).await;
    }
}

#[cfg(test)]
mod tests;
