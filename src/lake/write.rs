//! Rows become sorted, bucketed Parquet files: pushed in any order, sorted (spilling to disk beyond a memory limit),
//! cut at the buckets, written one file at a time.
//!
//! In: record batches of one schema. Out: files that nobody sees until they are committed. Columns in which no row has a
//! value are left out. Dropping the writer before `finish` leaves no file.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{Array, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::AsyncArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use super::layout::{self, ORDER, TAG_BUCKET};
use super::table::NewFile;
use super::{Lake, Snapshot, stats};
use crate::columns::{FILE, HIT_SEQ, HIT_TIME, SUITE, TRANSACTION_ID, VISITOR_ID, VISITOR_KEY};
use crate::{Error, Result};

/// Rows of a row group: large enough for long runs of one visitor, small enough to prune.
const ROW_GROUP_ROWS: usize = 256 * 1024;

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
    sender: Option<mpsc::Sender<RecordBatch>>,
    used: Vec<bool>,
    schema: SchemaRef,
    used_when_done: Arc<Mutex<Option<Vec<bool>>>>,
    task: JoinHandle<Result<Written>>,
}

impl SortedWriter {
    /// A writer into `table` for batches of `schema`, which has all columns of [`ORDER`]. `tags` go to every file.
    pub fn start(
        lake: &Lake,
        table: &str,
        schema: SchemaRef,
        tags: HashMap<String, String>,
        context: Arc<TaskContext>,
    ) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(2);
        let source = Arc::new(Pushed { schema: schema.clone(), receiver: std::sync::Mutex::new(Some(receiver)) });
        let rows = StreamingTableExec::try_new(schema.clone(), vec![source], None, vec![], false, None)?;
        let order = layout::ordering(&schema)
            .ok_or_else(|| Error::bug(format!("table {table}: rows to be sorted lack one of {ORDER:?}")))?;
        let sorted = SortExec::new(order, Arc::new(rows)).execute(0, context)?;
        let used_when_done = Arc::new(Mutex::new(None));
        let target = Target { lake: lake.clone(), table: table.to_string(), tags };
        let task = tokio::spawn(write_sorted(target, sorted, used_when_done.clone()));
        Ok(Self { sender: Some(sender), used: vec![false; schema.fields().len()], schema, used_when_done, task })
    }

    /// Hands over rows; waits while the sorter is busy.
    pub async fn push(&mut self, batch: RecordBatch) -> Result<()> {
        for (used, column) in self.used.iter_mut().zip(batch.columns()) {
            *used |= column.null_count() < column.len();
        }
        let open = match &self.sender {
            Some(sender) => sender.send(batch).await.is_ok(),
            None => false,
        };
        if open {
            return Ok(());
        }
        // the other side stopped: its error says why
        match (&mut self.task).await {
            Ok(Err(error)) => Err(error),
            _ => Err(Error::bug("the sorter stopped before its input ended")),
        }
    }

    /// The columns of a batch to push.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Sorts what is left and writes the files.
    pub async fn finish(mut self) -> Result<Written> {
        *self.used_when_done.lock().await = Some(std::mem::take(&mut self.used));
        drop(self.sender.take());
        (&mut self.task).await.map_err(|e| Error::bug(format!("writer: {e}")))?
    }
}

impl Drop for SortedWriter {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A place to sort in `memory_bytes`; what does not fit spills to the temporary folder.
pub fn sort_context(memory_bytes: usize) -> Result<Arc<TaskContext>> {
    let consumers = NonZeroUsize::new(5).expect("5 is not 0");
    let pool = TrackConsumersPool::new(FairSpillPool::new(memory_bytes), consumers);
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).build_arc()?;
    let config = datafusion::prelude::SessionConfig::new()
        .with_batch_size(4096)
        .with_sort_spill_reservation_bytes((memory_bytes / 8).min(32 << 20));
    Ok(Arc::new(TaskContext::default().with_runtime(runtime).with_session_config(config)))
}

/// How files of `table` are encoded: statistics where a reader prunes, none on a thousand other columns.
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
        .set_data_page_row_count_limit(20_000)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_sorting_columns(Some(sorting.collect()));
    for name in [SUITE, HIT_TIME, FILE] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Chunk);
    }
    for name in [VISITOR_KEY, VISITOR_ID] {
        builder = builder.set_column_statistics_enabled(ColumnPath::from(name), EnabledStatistics::Page);
    }
    // times rise within a visitor; sequences are noise that no dictionary helps
    builder = builder
        .set_column_dictionary_enabled(ColumnPath::from(HIT_TIME), false)
        .set_column_encoding(ColumnPath::from(HIT_TIME), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(ColumnPath::from(HIT_SEQ), false);
    if schema.index_of(TRANSACTION_ID).is_ok() {
        let id = ColumnPath::from(TRANSACTION_ID);
        builder = builder
            .set_column_bloom_filter_enabled(id.clone(), true)
            .set_column_bloom_filter_max_ndv(id, (rows.unwrap_or(ROW_GROUP_ROWS) as u64 / 16).max(64));
    }
    Ok(builder.build())
}

struct Target {
    lake: Lake,
    table: String,
    tags: HashMap<String, String>,
}

impl Target {
    fn new_path(&self) -> Result<(String, Path)> {
        let relative = format!("{}.parquet", uuid::Uuid::new_v4());
        let path = self.lake.file_path(&self.table, &relative)?;
        Ok((relative, path))
    }
}

/// Writes a sorted stream, one file a bucket. Files of a stream that fails are deleted again.
async fn write_sorted(
    target: Target,
    mut sorted: SendableRecordBatchStream,
    used: Arc<Mutex<Option<Vec<bool>>>>,
) -> Result<Written> {
    // the first sorted batch arrives after the last pushed one, so the columns in use are known by then
    let Some(first) = sorted.try_next().await? else {
        return Ok(Written::default());
    };
    let Some(used) = used.lock().await.take() else {
        return Err(Error::bug("the sorter delivered before its input ended"));
    };
    let schema = first.schema();
    let keep: Vec<usize> =
        (0..used.len()).filter(|&i| used[i] || ORDER.contains(&schema.field(i).name().as_str())).collect();
    let file_schema = Arc::new(schema.project(&keep)?);
    let mut written =
        Written { columns: file_schema.fields().iter().map(|f| f.as_ref().clone()).collect(), ..Default::default() };
    let mut open: Option<OpenFile> = None;
    let result = async {
        let mut next = Some(first);
        while let Some(batch) = next {
            let batch = batch.project(&keep)?;
            let keys = key_column(&batch)?;
            let mut start = 0;
            while start < batch.num_rows() {
                let bucket = layout::bucket_of(keys.value(start));
                let end = start + keys.values()[start..].partition_point(|&k| layout::bucket_of(k) == bucket);
                if open.as_ref().is_some_and(|o| o.bucket != bucket)
                    && let Some(done) = open.take()
                {
                    written.files.push(done.close(&target).await?);
                }
                if open.is_none() {
                    open = Some(OpenFile::create(&target, bucket, file_schema.clone())?);
                }
                if let Some(file) = &mut open {
                    file.writer.write(&batch.slice(start, end - start)).await?;
                    file.rows += (end - start) as u64;
                }
                start = end;
            }
            next = sorted.try_next().await?;
        }
        if let Some(done) = open.take() {
            written.files.push(done.close(&target).await?);
        }
        Ok::<_, Error>(())
    }
    .await;
    if let Err(error) = result {
        for file in &written.files {
            target.lake.discard(&file.path).await;
        }
        return Err(error);
    }
    written.rows = written.files.iter().map(|f| f.rows).sum();
    Ok(written)
}

struct OpenFile {
    bucket: usize,
    relative: String,
    path: Path,
    rows: u64,
    writer: AsyncArrowWriter<BufWriter>,
}

impl OpenFile {
    fn create(target: &Target, bucket: usize, schema: SchemaRef) -> Result<Self> {
        let (relative, path) = target.new_path()?;
        let object = BufWriter::new(target.lake.store().clone(), path.clone());
        let writer = AsyncArrowWriter::try_new(object, schema.clone(), Some(parquet_properties(&schema, None)?))?;
        Ok(Self { bucket, relative, path, rows: 0, writer })
    }

    async fn close(mut self, target: &Target) -> Result<NewFile> {
        let footer = self.writer.finish().await?;
        let mut tags = target.tags.clone();
        tags.insert(TAG_BUCKET.into(), self.bucket.to_string());
        let size = self.writer.bytes_written() as u64;
        let hit_time = stats::time_span(&footer);
        Ok(NewFile { relative: self.relative, path: self.path, size, rows: self.rows, hit_time, tags })
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
    let target = Target { lake: lake.clone(), table: table.to_string(), tags };
    let (relative, path) = target.new_path()?;
    let object = BufWriter::new(lake.store().clone(), path.clone());
    let mut writer =
        AsyncArrowWriter::try_new(object, first.schema(), Some(parquet_properties(&first.schema(), None)?))?;
    for batch in batches {
        writer.write(batch).await?;
    }
    let hit_time = stats::time_span(&writer.finish().await?);
    let rows = batches.iter().map(|b| b.num_rows() as u64).sum();
    let size = writer.bytes_written() as u64;
    Ok(Some(NewFile { relative, path, size, rows, hit_time, tags: target.tags }))
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

fn key_column(batch: &RecordBatch) -> Result<Int64Array> {
    batch
        .column_by_name(VISITOR_KEY)
        .and_then(|c| c.as_any().downcast_ref::<Int64Array>())
        .cloned()
        .ok_or_else(|| Error::bug("rows without a visitor_key"))
}

/// The pushed batches as a source that DataFusion's sort can read, once.
struct Pushed {
    schema: SchemaRef,
    receiver: std::sync::Mutex<Option<mpsc::Receiver<RecordBatch>>>,
}

impl fmt::Debug for Pushed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pushed")
    }
}

impl PartitionStream for Pushed {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let receiver = self.receiver.lock().ok().and_then(|mut r| r.take());
        let batches = futures::stream::unfold(receiver, |r| async move {
            let mut r = r?;
            r.recv().await.map(|batch| (Ok(batch), Some(r)))
        });
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches.boxed()))
    }
}
