//! Rows become sorted, bucketed Parquet files: pushed in any order, sorted (spilling to disk beyond a memory limit), and
//! written, one file a bucket, several buckets at a time.
//!
//! In: record batches of one schema. Out: files that nobody sees until they are committed. Columns in which no row has a
//! value are left out. Nothing is written to the lake before `finish`.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{FairSpillPool, MemoryConsumer, MemoryReservation, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::layout::{self, BUCKETS, ORDER, TAG_BUCKET, TAG_KEYED, TAG_REPEATS};
use super::repeats::RepeatCount;
use super::runs::{Merge, Run, SortedRows};
use super::sort::Heap;
use crate::columns::{FILE, HIT_ID, HIT_SEQ, HIT_TIME, SUITE, TRANSACTION_ID, VISITOR_ID, VISITOR_KEY, key_field};
use crate::lake::{Lake, NewFile, Snapshot, stats};
use crate::{Error, Result};

/// Rows of a row group: large enough for long runs of one visitor, small enough to prune.
const ROW_GROUP_ROWS: usize = 256 * 1024;
/// Bytes of a row group, about, where rows are wide: one of each file that is being written is in memory.
const ROW_GROUP_BYTES: usize = 64 << 20;
/// Bytes of a dictionary, beyond which values are written as they are: those of 100,000 usual values.
const DICTIONARY_BYTES: usize = 4 << 20;
/// Bytes of the dictionary of visitor ids: enough for a row group in which every row has its own.
const VISITOR_IDS_BYTES: usize = 16 << 20;

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
    runs: Vec<Vec<Run>>,
    memory: MemoryReservation,
}

impl SortedWriter {
    /// A writer into `table` for batches of `schema`, which has all columns of [`ORDER`]. `tags` go to every file; the
    /// memory of `context` bounds the rows that are held, and what does not fit spills to temporary files.
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
        let memory = MemoryConsumer::new("SortedWriter").with_can_spill(true).register(context.memory_pool());
        Ok(Self {
            target: Arc::new(Target { lake: lake.clone(), table: table.to_string(), tags }),
            used: vec![false; schema.fields().len()],
            heap: Heap::new(schema.clone()),
            runs: (0..BUCKETS).map(|_| vec![]).collect(),
            schema,
            memory,
        })
    }

    /// Hands over rows; waits while rows spill.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        for (used, column) in self.used.iter_mut().zip(batch.columns()) {
            *used |= column.null_count() < column.len();
        }
        let bytes = self.heap.push(&batch)?;
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
        self.runs.iter().any(|runs| !runs.is_empty())
    }

    /// The columns of a batch to push.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Sorts what is left and writes the files, several buckets at a time.
    pub async fn finish(mut self) -> Result<Written> {
        let columns = self.columns_in_use();
        let schema = Arc::new(self.schema.project(&columns)?);
        let heap = Arc::new(std::mem::replace(&mut self.heap, Heap::new(self.schema.clone())));
        let runs = std::mem::take(&mut self.runs);
        let works = runs.into_iter().enumerate().map(|(bucket, runs)| {
            let (target, heap, columns, schema) = (self.target.clone(), heap.clone(), columns.clone(), schema.clone());
            move || {
                // the latest first, as in each of them
                let mut inputs = vec![SortedRows::of_heap(&heap, bucket, &columns)?];
                for run in runs.into_iter().rev() {
                    inputs.push(SortedRows::of_run(run, schema.clone())?);
                }
                write_bucket(&target, bucket, Merge::new(inputs, schema))
            }
        });
        let (files, failed) = side_by_side(works).await;
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

    /// Writes all rows to sorted runs, which are merged at the end.
    async fn spill(&mut self) -> Result<()> {
        let columns = self.columns_in_use();
        let heap = Arc::new(std::mem::replace(&mut self.heap, Heap::new(self.schema.clone())));
        let works = (0..BUCKETS).map(|bucket| {
            let (heap, columns) = (heap.clone(), columns.clone());
            move || Ok((bucket, Run::write(&heap, bucket, &columns)?))
        });
        let (written, failed) = side_by_side(works).await;
        for (bucket, run) in written {
            self.runs[bucket].extend(run);
        }
        self.memory.free();
        failed.map_or(Ok(()), Err)
    }

    /// Columns that some row has had a value in so far, those of the order, and where dimensions in use were set: that no row
    /// set one is told, too.
    fn columns_in_use(&self) -> Vec<usize> {
        let in_order = |i: &usize| ORDER.contains(&self.schema.field(*i).name().as_str());
        let of_one_in_use = |i: &usize| {
            let dimension = self.schema.field(*i).name().strip_suffix("_set");
            dimension.and_then(|name| self.schema.index_of(name).ok()).is_some_and(|dimension| self.used[dimension])
        };
        (0..self.used.len()).filter(|i| self.used[*i] || in_order(i) || of_one_in_use(i)).collect()
    }
}

/// Does the works on blocking threads, as many at a time as the runtime has workers. After a failure no other work is
/// begun; gives what was done, in no order, and the first failure.
async fn side_by_side<T: Send + 'static>(
    works: impl Iterator<Item = impl FnOnce() -> Result<T> + Send + 'static>,
) -> (Vec<T>, Option<Error>) {
    let (mut works, mut running) = (works, JoinSet::new());
    let (mut done, mut failed) = (vec![], None);
    for work in works.by_ref().take(Handle::current().metrics().num_workers()) {
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
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_dictionary_page_size_limit(DICTIONARY_BYTES)
        .set_column_dictionary_page_size_limit(ColumnPath::from(VISITOR_ID), VISITOR_IDS_BYTES)
        .set_data_page_row_count_limit(20_000)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_sorting_columns(Some(sorting.collect()));
    for name in [SUITE, HIT_TIME, FILE] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Chunk);
    }
    for name in [VISITOR_KEY, VISITOR_ID] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    // a visitor's key lies side by side, which compresses better than places in a dictionary; its times rise; hit ids
    // and sequences are noise
    for name in [VISITOR_KEY, HIT_TIME, HIT_SEQ].iter().chain(&HIT_ID) {
        builder = builder.set_column_dictionary_enabled(ColumnPath::from(*name), false);
    }
    builder = builder.set_column_encoding(ColumnPath::from(HIT_TIME), Encoding::DELTA_BINARY_PACKED);
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
    fn new_path(&self) -> Result<(String, Path)> {
        let relative = format!("{}.parquet", uuid::Uuid::new_v4());
        let path = self.lake.file_path(&self.table, &relative)?;
        Ok((relative, path))
    }
}

/// Writes the file of one bucket; None where it has no rows. A file that fails is not finished, so that nobody sees it.
/// Blocks, for most of the work is encoding.
fn write_bucket(target: &Target, bucket: usize, mut rows: Merge<'_>) -> Result<Option<NewFile>> {
    let Some(first) = rows.next()? else { return Ok(None) };
    let runtime = Handle::current();
    let mut file = OpenFile::create(target, Some(bucket), first.schema())?;
    let mut next = Some(first);
    while let Some(batch) = next {
        runtime.block_on(file.write(&batch))?;
        next = rows.next()?;
    }
    runtime.block_on(file.close(target)).map(Some)
}

/// A file in the making.
pub(super) struct OpenFile {
    bucket: Option<usize>,
    relative: String,
    path: Path,
    rows: u64,
    repeats: RepeatCount,
    writer: AsyncArrowWriter<BufWriter>,
}

impl OpenFile {
    /// A file of a bucket, whose rows come in order; or with none, an unsorted one.
    pub(super) fn create(target: &Target, bucket: Option<usize>, schema: SchemaRef) -> Result<Self> {
        let (relative, path) = target.new_path()?;
        let object = BufWriter::new(target.lake.store().clone(), path.clone());
        let writer = AsyncArrowWriter::try_new(object, schema.clone(), Some(parquet_properties(&schema, None)?))?;
        Ok(Self { bucket, relative, path, rows: 0, repeats: RepeatCount::default(), writer })
    }

    /// Writes the next rows.
    pub(super) async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).await?;
        self.rows += batch.num_rows() as u64;
        self.repeats.take(batch);
        Ok(())
    }

    pub(super) async fn close(mut self, target: &Target) -> Result<NewFile> {
        let footer = self.writer.finish().await?;
        let mut tags = target.tags.clone();
        tags.extend(self.bucket.map(|bucket| (TAG_BUCKET.into(), bucket.to_string())));
        [TAG_REPEATS, TAG_KEYED].iter().for_each(|tag| drop(tags.remove(*tag)));
        tags.extend(self.repeats.tags());
        let size = self.writer.bytes_written() as u64;
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::compute::concat_batches;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::columns;

    /// Hits of 300 visitors, four of each instant; `note` is there in the second half only, `empty` never.
    fn batches() -> Vec<RecordBatch> {
        let key = |name| columns::key_field(name).unwrap();
        let fields = [VISITOR_KEY, VISITOR_ID, HIT_TIME, HIT_SEQ, SUITE].map(key).into_iter();
        let fields = fields.chain(["note", "empty"].map(columns::dimension)).collect::<Vec<_>>();
        let schema = Arc::new(Schema::new(fields));
        let batch = |n: i64| {
            let rows = (0..200).map(|row| n * 200 + row);
            let ids: Vec<String> = rows.clone().map(|row| format!("visitor {}", row * 7919 % 300)).collect();
            let times: TimestampMicrosecondArray = rows.clone().map(|row| Some(row / 1200)).collect();
            let sequences: Decimal128Array = rows.clone().map(|row| Some(i128::from(row * 31 % 1009))).collect();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(ids.iter().map(|id| Some(columns::visitor_key(id))).collect::<Int64Array>()),
                Arc::new(ids.iter().map(Some).collect::<StringArray>()),
                Arc::new(times.with_timezone("UTC")),
                Arc::new(sequences.with_data_type(columns::sequence())),
                Arc::new(StringArray::from(vec!["web"; ids.len()])),
                Arc::new(rows.map(|row| (n >= 20).then(|| format!("note {row}"))).collect::<StringArray>()),
                Arc::new(StringArray::new_null(ids.len())),
            ];
            RecordBatch::try_new(schema.clone(), columns).unwrap()
        };
        (0..40).map(batch).collect()
    }

    /// The rows of each bucket's file, and how many runs had spilled.
    async fn written(folder: &std::path::Path, memory_bytes: usize) -> (Vec<RecordBatch>, usize) {
        let lake = Lake::open(folder.to_str().unwrap()).unwrap();
        let (batches, context) = (batches(), sort_context(memory_bytes).unwrap());
        let mut writer = SortedWriter::start(&lake, "hits", batches[0].schema(), HashMap::new(), context).unwrap();
        for batch in batches {
            writer.push(batch).await.unwrap();
        }
        let runs = writer.runs.iter().map(Vec::len).max().unwrap();
        let mut written = writer.finish().await.unwrap();
        assert_eq!(written.rows, 8000);
        assert_eq!(written.columns.iter().map(Field::name).next_back().unwrap(), "note");
        written.files.sort_by_key(|file| file.tags[TAG_BUCKET].clone());
        let read = |file: &NewFile| {
            let opened = std::fs::File::open(folder.join("hits").join(&file.relative)).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(opened).unwrap();
            let schema = reader.schema().clone();
            let rows: Vec<RecordBatch> = reader.build().unwrap().map(|batch| batch.unwrap()).collect();
            concat_batches(&schema, &rows).unwrap()
        };
        (written.files.iter().map(read).collect(), runs)
    }

    #[tokio::test]
    async fn rows_that_spill_are_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let (at_once, no_runs) = written(&folder.path().join("a"), 64 << 20).await;
        let (spilled, runs) = written(&folder.path().join("b"), 100 << 10).await;
        assert_eq!((at_once.len(), no_runs), (BUCKETS, 0));
        assert!(runs > 3, "{runs} runs");
        assert_eq!(spilled, at_once);
        let order = |batch: &RecordBatch| {
            let keys = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec();
            keys.is_sorted() && keys.iter().all(|key| layout::bucket_of(*key) == layout::bucket_of(keys[0]))
        };
        assert!(at_once.iter().all(order));
    }
}
