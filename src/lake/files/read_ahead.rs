//! What a reader of a file will want next is fetched while it decodes what it has.
//!
//! A decoder asks for the columns of a row group when it has come to it, and waits until they are there. What it will ask for next
//! is known from what it asked for and from the footer: the same columns of the row groups that follow. Where the store keeps
//! its readers waiting, as any does that is not a disk, and a disk that is cold, some row groups are asked for at once, each
//! before its turn; of a store that is no disk together, so that one request brings what is close to each other. Whoever waits for
//! a part has it when its own requests are answered. A guess that was wrong is the last one of its file. The bytes are accounted for,
//! are given up where memory gets short, and go with the reader.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, ParquetFileMetrics, RowGroupAccess};
use datafusion::execution::memory_pool::MemoryPool;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta, ObjectStore, ObjectStoreExt};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use tokio::sync::oneshot;

use super::pieces::{part_of, pieces_of, place_in};
use super::reader_memory::{ReaderMemory, has_left, needed};

/// Row groups of a file that are fetched ahead, at most: as many as a request to a distant store lasts longer than one is decoded.
pub(super) const MOST_GROUPS: usize = 16;

/// So many where an eighth of the memory is taken: other files have their turn then.
const FEW_GROUPS: usize = 4;

/// Their bytes, at most.
const MOST_BYTES: usize = 16 << 20;

/// Bytes that are asked for together, about. Of more, whoever waits for the first would wait for long.
const TOGETHER_BYTES: usize = 6 << 20;

/// What is wanted now is asked for together with what comes next up to this size. Of more, the next bytes would hold it up.
const SMALL_BYTES: usize = 1 << 20;

/// Requests for what is asked for together, at once.
const REQUESTS_AT_ONCE: usize = 10;

/// A disk that takes so long, and so long for each of so many bytes, reads what its cache does not have.
const WARM: Duration = Duration::from_millis(2);
const WARM_BYTES_A_MICROSECOND: u64 = 500;

/// Whether the last read of a disk was of a cold one.
static DISK_IS_COLD: AtomicBool = AtomicBool::new(false);

/// How long a store lets those wait who read from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Latency {
    /// Files of this machine, which are mostly in memory.
    Disk,
    /// Any other: each request is a wait.
    Distant,
}

impl Latency {
    /// That of a store, by its URL.
    pub fn of(url: &ObjectStoreUrl) -> Self {
        if url.as_str().starts_with("file:") { Self::Disk } else { Self::Distant }
    }

    /// True where it is worth asking before the bytes are wanted.
    pub fn keeps_waiting(self) -> bool {
        self == Self::Distant || DISK_IS_COLD.load(Ordering::Relaxed)
    }

    /// Notes how long these parts of a file took.
    pub fn took(self, ranges: &[Range<u64>], time: Duration) {
        if self == Self::Disk {
            let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
            let warm = WARM + Duration::from_micros(bytes / WARM_BYTES_A_MICROSECOND);
            DISK_IS_COLD.store(time > warm, Ordering::Relaxed);
        }
    }
}

/// Parts of a file that are being fetched, even if nobody waits for them, until it is dropped.
pub(super) struct Fetch {
    bytes: oneshot::Receiver<object_store::Result<Vec<Bytes>>>,
    /// Fetches them, and what was asked for with them.
    task: Arc<SpawnedTask<()>>,
}

impl Fetch {
    /// The bytes, when they are there.
    pub async fn done(self) -> Result<Vec<Bytes>> {
        let Self { bytes, task: _task } = self;
        match bytes.await {
            Ok(fetched) => fetched.map_err(|error| ParquetError::External(Box::new(error))),
            // the first of what was asked for together has the store's error
            Err(error) => Err(ParquetError::External(Box::new(error))),
        }
    }
}

/// Parts of a file that are asked for, and where their bytes go.
struct Asked {
    ranges: Vec<Range<u64>>,
    out: oneshot::Sender<object_store::Result<Vec<Bytes>>>,
}

impl Asked {
    fn new(ranges: &[Range<u64>]) -> (Self, oneshot::Receiver<object_store::Result<Vec<Bytes>>>) {
        let (out, bytes) = oneshot::channel();
        (Self { ranges: ranges.to_vec(), out }, bytes)
    }
}

/// The memory of row groups that were fetched together: the bytes of one may be a part of what came for all.
pub(super) type SharedMemory = Arc<Vec<ReaderMemory>>;

/// What is fetched before it is wanted.
struct Prefetched {
    ranges: Vec<Range<u64>>,
    fetch: Fetch,
    held: SharedMemory,
}

/// A file whose row groups are fetched before their turn.
pub(super) struct ReadAhead {
    store: Arc<dyn ObjectStore>,
    latency: Latency,
    file: ObjectMeta,
    pool: Arc<dyn MemoryPool>,
    metrics: ParquetFileMetrics,
    /// Which row groups are read, where that is known.
    access: Option<ParquetAccessPlan>,
    footer: Option<Arc<ParquetMetaData>>,
    /// In the order in which they will be wanted.
    prefetched: VecDeque<Prefetched>,
    /// How many there may be by now: of a file that is read on and on, more and more.
    most: usize,
    /// The row group after the last one that was asked for; None where nothing more is foreseen.
    next: Option<usize>,
}

impl ReadAhead {
    /// Nothing is fetched yet; with the first row group that is wanted, `most` will be.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        latency: Latency,
        file: &PartitionedFile,
        most: usize,
        pool: Arc<dyn MemoryPool>,
        metrics: ParquetFileMetrics,
    ) -> Self {
        Self {
            store,
            latency,
            file: file.object_meta.clone(),
            pool,
            metrics,
            access: file.extension::<ParquetAccessPlan>().cloned(),
            footer: None,
            prefetched: VecDeque::new(),
            most,
            next: Some(0),
        }
    }

    /// Takes note of the footer, without which nothing is foreseen.
    pub fn knows(&mut self, footer: &Arc<ParquetMetaData>) {
        self.footer = Some(footer.clone());
    }

    /// What was fetched of exactly these parts, which are wanted now, and its memory.
    pub fn prefetched(&mut self, ranges: &[Range<u64>]) -> Option<(Fetch, SharedMemory)> {
        let Prefetched { ranges: expected, fetch, held } = self.prefetched.pop_front()?;
        if expected == ranges {
            return Some((fetch, held));
        }
        self.foresees_no_more();
        None
    }

    fn foresees_no_more(&mut self) {
        self.prefetched.clear();
        self.next = None;
    }

    /// Asks for parts of the file that are wanted now, and for what will be wanted after them.
    pub fn fetch(&mut self, wanted: &[Range<u64>]) -> Fetch {
        let (mut groups, mut held) = self.foreseen(wanted);
        let (asked, bytes) = Asked::new(wanted);
        let task = match groups.first().and_then(|next| self.memory_of_both(wanted, next)) {
            Some(both) => {
                let together = self.together(&groups).min(groups.len());
                let (later, held_later) = (groups.split_off(together), held.split_off(together));
                held.push(both);
                let task = self.ask_together(Some(asked), &groups, held);
                self.fetch_ahead(&later, held_later);
                task
            }
            None => {
                self.fetch_ahead(&groups, held);
                // a thread sends first what it was told last
                self.ask(vec![asked])
            }
        };
        Fetch { bytes, task }
    }

    /// Memory for parts that are wanted now and come with the next ones, in the same request: they are there as long as these. None
    /// where they are asked for apart.
    fn memory_of_both(&self, wanted: &[Range<u64>], next: &[Range<u64>]) -> Option<ReaderMemory> {
        let bytes = needed(wanted);
        let is_together = self.latency == Latency::Distant && bytes <= SMALL_BYTES;
        let of_both = bytes.saturating_add(self.read_between(Some(wanted), next));
        is_together.then(|| ReaderMemory::spare(self.pool.clone(), of_both)).flatten()
    }

    /// Asks for several parts together: a store makes one request of those that are close to each other.
    fn ask(&self, all: Vec<Asked>) -> Arc<SpawnedTask<()>> {
        let ranges: Vec<Range<u64>> = all.iter().flat_map(|asked| asked.ranges.iter().cloned()).collect();
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        self.metrics.bytes_scanned.add(usize::try_from(bytes).unwrap_or_default());
        let (store, path, latency) = (self.store.clone(), self.file.location.clone(), self.latency);
        Arc::new(SpawnedTask::spawn(async move {
            match latency {
                Latency::Disk => at_once(store, path, ranges, all).await,
                Latency::Distant => in_pieces(store, path, ranges, all).await,
            }
        }))
    }

    /// Asks for what will be wanted after these parts.
    pub fn look_ahead(&mut self, wanted: &[Range<u64>]) {
        let (groups, held) = self.foreseen(wanted);
        self.fetch_ahead(&groups, held);
    }

    /// The parts of row groups that will be wanted after these parts, each with its memory, as far as there is some that nobody needs.
    fn foreseen(&mut self, wanted: &[Range<u64>]) -> (Vec<Vec<Range<u64>>>, Vec<ReaderMemory>) {
        let (mut groups, mut held): (Vec<Vec<Range<u64>>>, Vec<ReaderMemory>) = (vec![], vec![]);
        let Some((footer, next)) = self.footer.clone().zip(self.next) else { return (groups, held) };
        let of = self.columns_of(&footer, wanted).filter(|_| has_left(&self.pool, 0, 2));
        let Some((group, columns)) = of else {
            self.foresees_no_more();
            return (groups, held);
        };
        // several together take fewer requests
        if 2 * self.prefetched.len() > self.most {
            return (groups, held);
        }
        let mut next = next.max(group + 1);
        let mut bytes: usize = self.prefetched.iter().map(|prefetched| needed(&prefetched.ranges)).sum();
        while self.prefetched.len() + groups.len() < self.most && next < footer.num_row_groups() {
            if let Some(ranges) = self.ranges_of(&footer, next, &columns) {
                let between = self.read_between(groups.last().map(Vec::as_slice), &ranges);
                let taken = needed(&ranges).saturating_add(between);
                bytes = bytes.saturating_add(taken);
                let few = self.prefetched.len() + groups.len() < FEW_GROUPS;
                let spare = ReaderMemory::spare(self.pool.clone(), taken)
                    .filter(|_| bytes <= MOST_BYTES && (few || has_left(&self.pool, 0, 8)));
                let Some(spare) = spare else { break };
                groups.push(ranges);
                held.push(spare);
            }
            next += 1;
        }
        self.next = Some(next);
        self.most = (2 * self.most).min(MOST_GROUPS);
        (groups, held)
    }

    /// Row groups that are asked for together. A disk reads one after the other, so that each is asked for apart.
    fn together(&self, groups: &[Vec<Range<u64>>]) -> usize {
        match (self.latency, groups.first()) {
            (Latency::Distant, Some(first)) => (TOGETHER_BYTES / needed(first).max(1)).max(1),
            _ => 1,
        }
    }

    /// Fetches row groups, whose memory is held.
    fn fetch_ahead(&mut self, groups: &[Vec<Range<u64>>], held: Vec<ReaderMemory>) {
        let mut held = held.into_iter();
        for groups in groups.chunks(self.together(groups)) {
            let held = held.by_ref().take(groups.len()).collect();
            self.ask_together(None, groups, held);
        }
    }

    /// Asks for row groups together, after what is wanted now, and keeps them for their turn.
    fn ask_together(
        &mut self,
        wanted: Option<Asked>,
        groups: &[Vec<Range<u64>>],
        held: Vec<ReaderMemory>,
    ) -> Arc<SpawnedTask<()>> {
        let (asked, outs): (Vec<_>, Vec<_>) = groups.iter().map(|ranges| Asked::new(ranges)).unzip();
        let (task, held) = (self.ask(wanted.into_iter().chain(asked).collect()), Arc::new(held));
        for (ranges, bytes) in groups.iter().zip(outs) {
            let (fetch, held) = (Fetch { bytes, task: task.clone() }, held.clone());
            self.prefetched.push_back(Prefetched { ranges: ranges.clone(), fetch, held });
        }
        task
    }

    /// Bytes that a request brings between parts of the file that it is for, and after those before them.
    fn read_between(&self, before: Option<&[Range<u64>]>, ranges: &[Range<u64>]) -> usize {
        if self.latency == Latency::Disk {
            return 0;
        }
        let starts = ranges.iter().map(|range| range.start);
        let ends = before.and_then(|before| before.last()).into_iter().chain(ranges).map(|range| range.end);
        let starts = starts.skip(usize::from(before.is_none()));
        let gaps = ends.zip(starts).map(|(end, start)| start.saturating_sub(end));
        let gaps = gaps.filter(|gap| *gap <= OBJECT_STORE_COALESCE_DEFAULT);
        usize::try_from(gaps.sum::<u64>()).unwrap_or(usize::MAX)
    }

    /// The row group and the columns that parts of the file are of; None where that tells nothing of other row groups: some
    /// pages are passed over for what they hold.
    fn columns_of(&self, footer: &ParquetMetaData, ranges: &[Range<u64>]) -> Option<(usize, Vec<usize>)> {
        let first = ranges.first()?;
        let groups = footer.row_groups().iter().enumerate();
        let (group, chunks) = groups.map(|(number, group)| (number, group.columns())).find(|(_, chunks)| {
            chunks.iter().filter_map(bytes_of).any(|chunk| chunk.start <= first.start && first.end <= chunk.end)
        })?;
        let in_part = matches!(self.access_to(group), Some(RowGroupAccess::Selection(_)));
        let (mut columns, mut ranges) = (vec![], ranges.iter().peekable());
        for (column, chunk) in chunks.iter().enumerate() {
            let chunk = bytes_of(chunk)?;
            let is_of_chunk = |range: &&Range<u64>| match in_part {
                true => chunk.start <= range.start && range.end <= chunk.end,
                false => **range == chunk,
            };
            let before = columns.len();
            while ranges.next_if(is_of_chunk).is_some() {
                columns.truncate(before);
                columns.push(column);
            }
        }
        ranges.peek().is_none().then_some((group, columns))
    }

    /// The parts of a row group that a decoder of these columns asks for, in its words; None where it passes over the row group.
    fn ranges_of(&self, footer: &ParquetMetaData, group: usize, columns: &[usize]) -> Option<Vec<Range<u64>>> {
        let chunk_of = |column: &usize| footer.row_groups().get(group)?.columns().get(*column).and_then(bytes_of);
        let selection = match self.access_to(group) {
            Some(RowGroupAccess::Skip) => return None,
            Some(RowGroupAccess::Selection(selection)) => selection,
            Some(RowGroupAccess::Scan) | None => return columns.iter().map(chunk_of).collect(),
        };
        let mut ranges = vec![];
        for column in columns {
            let chunk = chunk_of(column)?;
            let pages = footer.offset_index()?.get(group)?.get(*column)?.page_locations();
            let first = u64::try_from(pages.first()?.offset).ok()?;
            // the dictionary is before the first page
            ranges.extend((first != chunk.start).then_some(chunk.start..first));
            ranges.extend(selection.scan_ranges(pages));
        }
        Some(ranges)
    }

    fn access_to(&self, group: usize) -> Option<&RowGroupAccess> {
        self.access.as_ref()?.inner().get(group)
    }
}

impl Drop for ReadAhead {
    // as DataFusion's own reader does
    fn drop(&mut self) {
        self.metrics.scan_efficiency_ratio.add_part(self.metrics.bytes_scanned.value());
        self.metrics.scan_efficiency_ratio.set_total(usize::try_from(self.file.size).unwrap_or_default());
    }
}

/// Fetches parts of a file of a disk.
async fn at_once(store: Arc<dyn ObjectStore>, path: Path, ranges: Vec<Range<u64>>, all: Vec<Asked>) {
    let (begun, mut all) = (Instant::now(), all.into_iter());
    match store.get_ranges(&path, &ranges).await {
        Ok(bytes) => {
            Latency::Disk.took(&ranges, begun.elapsed());
            let mut bytes = bytes.into_iter();
            for Asked { ranges, out } in all {
                // who went does not take it
                let _ = out.send(Ok(bytes.by_ref().take(ranges.len()).collect()));
            }
        }
        Err(error) => {
            if let Some(first) = all.next() {
                let _ = first.out.send(Err(error));
            }
        }
    }
}

/// Fetches parts of a file of a distant store, with one request what is close to each other. Each goes out as soon as it is there.
async fn in_pieces(store: Arc<dyn ObjectStore>, path: Path, ranges: Vec<Range<u64>>, all: Vec<Asked>) {
    let pieces = pieces_of(ranges, TOGETHER_BYTES as u64);
    let fetch = |piece: Range<u64>| {
        let (store, path) = (store.clone(), path.clone());
        async move { store.get_range(&path, piece).await }
    };
    let mut fetched = stream::iter(pieces.clone()).map(fetch).buffered(REQUESTS_AT_ONCE);
    let mut bytes: Vec<Bytes> = vec![];
    for Asked { ranges, out } in all {
        let last = ranges.iter().map(|range| place_in(&pieces, range)).max();
        while last.is_some_and(|last| bytes.len() <= last) {
            match fetched.next().await {
                Some(Ok(piece)) => bytes.push(piece),
                Some(Err(error)) => {
                    let _ = out.send(Err(error));
                    return;
                }
                None => return,
            }
        }
        let parts = ranges.iter().filter_map(|range| part_of(&pieces, &bytes, range)).collect();
        // who went does not take it
        let _ = out.send(Ok(parts));
    }
}

/// Where a column of a row group is in its file; None where its footer makes no sense.
fn bytes_of(chunk: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = u64::try_from(chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset())).ok()?;
    let length = u64::try_from(chunk.compressed_size()).ok()?;
    Some(start..start.checked_add(length)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, UnboundedMemoryPool};
    use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
    use object_store::PutPayload;
    use object_store::memory::InMemory;
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::properties::WriterProperties;
    use tokio::runtime::Handle;

    use super::*;

    const GROUPS: usize = 7;
    const GROUP_ROWS: usize = 300;

    /// A file of two columns, its footer with all pages, and where it is.
    async fn file() -> (Arc<dyn ObjectStore>, Bytes, Arc<ParquetMetaData>) {
        let column = |factor: i64| {
            let rows = (0..(GROUPS * GROUP_ROWS) as i64).map(|row| row.wrapping_mul(factor));
            Arc::new(Int64Array::from_iter_values(rows)) as ArrayRef
        };
        let rows = RecordBatch::try_from_iter([("a", column(7)), ("b", column(11))]).unwrap();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_data_page_row_count_limit(50)
            .set_write_batch_size(10);
        let mut writer = ArrowWriter::try_new(vec![], rows.schema(), Some(properties.build())).unwrap();
        writer.write(&rows).unwrap();
        let bytes = Bytes::from(writer.into_inner().unwrap());
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
        let footer = reader.parse_and_finish(&bytes).unwrap();
        let store = InMemory::new();
        store.put(&Path::from("x.parquet"), PutPayload::from_bytes(bytes.clone())).await.unwrap();
        (Arc::new(store), bytes, Arc::new(footer))
    }

    fn ahead(
        store: &Arc<dyn ObjectStore>,
        footer: &Arc<ParquetMetaData>,
        access: Option<Vec<RowGroupAccess>>,
        pool: Arc<dyn MemoryPool>,
    ) -> ReadAhead {
        let file = PartitionedFile::new("x.parquet", 1);
        let file = match access {
            Some(groups) => file.with_extension(ParquetAccessPlan::new(groups)),
            None => file,
        };
        let metrics = ParquetFileMetrics::new(0, "x.parquet", &ExecutionPlanMetricsSet::new());
        let mut ahead = ReadAhead::new(store.clone(), Latency::Distant, &file, MOST_GROUPS, pool, metrics);
        ahead.knows(footer);
        ahead
    }

    /// All of some columns of a row group.
    fn chunks(footer: &ParquetMetaData, group: usize, columns: &[usize]) -> Vec<Range<u64>> {
        columns.iter().map(|column| bytes_of(footer.row_group(group).column(*column)).unwrap()).collect()
    }

    async fn is_of_file(fetch: Fetch, bytes: &Bytes, ranges: &[Range<u64>]) -> bool {
        let parts = ranges.iter().map(|range| bytes.slice(range.start as usize..range.end as usize));
        fetch.done().await.unwrap() == parts.collect::<Vec<_>>()
    }

    #[tokio::test]
    async fn the_same_columns_of_what_follows_are_fetched() {
        let (store, bytes, footer) = file().await;
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        for columns in [&[0, 1][..], &[1]] {
            let mut ahead = ahead(&store, &footer, None, pool.clone());
            assert!(ahead.prefetched(&chunks(&footer, 0, columns)).is_none());
            for group in 0..GROUPS {
                let wanted = chunks(&footer, group, columns);
                if let Some((fetch, held)) = ahead.prefetched(&wanted) {
                    assert!(is_of_file(fetch, &bytes, &wanted).await);
                    drop(held);
                } else {
                    assert_eq!(group, 0, "all but the first are foreseen");
                }
                ahead.look_ahead(&wanted);
                assert_eq!(ahead.prefetched.len(), GROUPS - 1 - group, "a small file is asked for at once");
            }
            assert_eq!(pool.reserved(), 0);
        }
    }

    #[tokio::test]
    async fn of_what_may_end_soon_little_is_fetched_at_first() {
        let (store, _, footer) = file().await;
        let mut ahead = ahead(&store, &footer, None, Arc::new(UnboundedMemoryPool::default()));
        ahead.most = 1;
        for (group, expected) in [1, 2, 4].into_iter().enumerate() {
            let wanted = chunks(&footer, group, &[0]);
            assert_eq!(ahead.prefetched(&wanted).is_some(), group > 0);
            ahead.look_ahead(&wanted);
            assert_eq!(ahead.prefetched.len(), expected);
        }
    }

    #[tokio::test]
    async fn what_is_foreseen_is_asked_for_together() {
        let (store, _, footer) = file().await;
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let mut ahead = ahead(&store, &footer, None, pool.clone());
        ahead.look_ahead(&chunks(&footer, 0, &[1]));
        assert_eq!((ahead.prefetched.len(), tasks()), (GROUPS - 1, 1));
        // what is between the columns comes with them
        let wanted: usize = (1..GROUPS).map(|group| needed(&chunks(&footer, group, &[1]))).sum();
        let first = |group: usize| chunks(&footer, group, &[0]).remove(0);
        let between: u64 = (2..GROUPS).map(|group| first(group).end - first(group).start).sum();
        let held = pool.reserved();
        assert_eq!(held, wanted + between as usize);
        // the bytes of each are a part of all
        for group in 1..GROUPS {
            assert_eq!(pool.reserved(), held, "row group {group}");
            let (fetch, _held) = ahead.prefetched(&chunks(&footer, group, &[1])).unwrap();
            fetch.done().await.unwrap();
        }
        assert_eq!((pool.reserved(), tasks()), (0, 0));
    }

    #[tokio::test]
    async fn the_first_row_group_comes_with_those_that_follow() {
        let (store, bytes, footer) = file().await;
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let tasks = || Handle::current().metrics().num_alive_tasks();
        let mut ahead = ahead(&store, &footer, None, pool.clone());
        let wanted = chunks(&footer, 0, &[1]);
        let first = ahead.fetch(&wanted);
        assert_eq!((ahead.prefetched.len(), tasks()), (GROUPS - 1, 1));
        assert!(is_of_file(first, &bytes, &wanted).await);
        for group in 1..GROUPS {
            let wanted = chunks(&footer, group, &[1]);
            let (fetch, _held) = ahead.prefetched(&wanted).unwrap();
            assert!(is_of_file(fetch, &bytes, &wanted).await, "row group {group}");
        }
        assert_eq!((pool.reserved(), tasks()), (0, 0));
    }

    #[tokio::test]
    async fn the_first_that_is_wanted_tells_what_went_wrong() {
        let (_, _, footer) = file().await;
        let empty: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let mut ahead = ahead(&empty, &footer, None, Arc::new(UnboundedMemoryPool::default()));
        ahead.look_ahead(&chunks(&footer, 0, &[0]));
        let (fetch, _held) = ahead.prefetched(&chunks(&footer, 1, &[0])).unwrap();
        let told = match fetch.done().await.unwrap_err() {
            ParquetError::External(error) => error.downcast::<object_store::Error>().unwrap(),
            other => Box::new(object_store::Error::Generic { store: "none", source: Box::new(other) }),
        };
        assert!(matches!(*told, object_store::Error::NotFound { .. }), "{told}");
    }

    #[tokio::test]
    async fn a_wrong_guess_is_the_last_one() {
        let (store, _, footer) = file().await;
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let mut ahead = ahead(&store, &footer, None, pool.clone());
        ahead.look_ahead(&chunks(&footer, 0, &[0]));
        assert!(pool.reserved() > 0);
        // a row group was passed over
        assert!(ahead.prefetched(&chunks(&footer, 2, &[0])).is_none());
        assert_eq!(pool.reserved(), 0);
        ahead.look_ahead(&chunks(&footer, 2, &[0]));
        assert!(ahead.prefetched.is_empty());
    }

    #[tokio::test]
    async fn pages_that_are_passed_over_tell_nothing() {
        let (store, _, footer) = file().await;
        let mut ahead = ahead(&store, &footer, None, Arc::new(UnboundedMemoryPool::default()));
        let chunk = chunks(&footer, 0, &[1]).remove(0);
        ahead.look_ahead(std::slice::from_ref(&(chunk.start..chunk.end - 20)));
        assert!(ahead.prefetched.is_empty());
    }

    #[tokio::test]
    async fn only_what_is_read_of_a_range_of_keys_is_fetched() {
        let (store, bytes, footer) = file().await;
        let part = |start: usize, length: usize| {
            let rest = GROUP_ROWS - start - length;
            let parts = [RowSelector::skip(start), RowSelector::select(length), RowSelector::skip(rest)];
            RowSelection::from(parts.to_vec())
        };
        let (first, last) = (part(120, 180), part(0, 70));
        let mut access = vec![RowGroupAccess::Skip; GROUPS];
        access[1] = RowGroupAccess::Selection(first.clone());
        access[2] = RowGroupAccess::Scan;
        access[5] = RowGroupAccess::Selection(last.clone());
        let mut ahead = ahead(&store, &footer, Some(access), Arc::new(UnboundedMemoryPool::default()));
        // as the decoder asks for them: the dictionary, if there is one, and pages
        let pages = |group: usize, selection: &RowSelection| -> Vec<Range<u64>> {
            let of = |column: usize| {
                let pages = footer.offset_index().unwrap()[group][column].page_locations();
                let (start, _) = footer.row_group(group).column(column).byte_range();
                let dictionary = Some(start..pages[0].offset as u64).filter(|dictionary| !dictionary.is_empty());
                dictionary.into_iter().chain(selection.scan_ranges(pages)).collect::<Vec<_>>()
            };
            [0, 1].into_iter().flat_map(of).collect()
        };
        ahead.look_ahead(&pages(1, &first));
        assert_eq!(ahead.prefetched.len(), 2);
        for wanted in [chunks(&footer, 2, &[0, 1]), pages(5, &last)] {
            let (fetch, _held) = ahead.prefetched(&wanted).unwrap();
            assert!(is_of_file(fetch, &bytes, &wanted).await);
        }
    }

    #[tokio::test]
    async fn short_memory_is_left_to_others() {
        let (store, _, footer) = file().await;
        let wanted = chunks(&footer, 0, &[0, 1]);
        let group = needed(&chunks(&footer, 1, &[0, 1]));
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(10 * group));
        let mut ahead = ahead(&store, &footer, None, pool.clone());
        ahead.look_ahead(&wanted);
        assert_eq!(ahead.prefetched.len(), 2, "a quarter of the pool");
        let other = MemoryConsumer::new("another").register(&pool);
        other.try_grow(4 * group).unwrap();
        let (_fetch, _held) = ahead.prefetched(&chunks(&footer, 1, &[0, 1])).unwrap();
        ahead.look_ahead(&chunks(&footer, 1, &[0, 1]));
        assert!(ahead.prefetched.is_empty(), "half of the pool is taken");
    }

    #[tokio::test]
    async fn much_is_fetched_where_memory_is_free() {
        let (store, _, footer) = file().await;
        let wanted = chunks(&footer, 0, &[0, 1]);
        let group = (1..GROUPS).map(|group| needed(&chunks(&footer, group, &[0, 1]))).max().unwrap();
        for (taken, expected) in [(0, 5), (4, FEW_GROUPS)] {
            let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(40 * group));
            let other = MemoryConsumer::new("another").register(&pool);
            other.try_grow(taken * group).unwrap();
            let mut ahead = ahead(&store, &footer, None, pool);
            ahead.look_ahead(&wanted);
            assert_eq!(ahead.prefetched.len(), expected, "an eighth of the pool, or a few");
        }
    }

    #[test]
    fn a_disk_waits_when_it_is_cold() {
        let url = |text: &str| ObjectStoreUrl::parse(text).unwrap();
        assert_eq!((Latency::of(&url("file://")), Latency::of(&url("s3://lake"))), (Latency::Disk, Latency::Distant));
        assert!(Latency::Distant.keeps_waiting());
    }
}
