//! What a reader of a file will want next is fetched while it decodes what it has.
//!
//! A decoder asks for the columns of a row group when it has come to it, and waits until they are there. What it will ask for next
//! is known from what it asked for and from the footer: the same columns of the row groups that follow. Where the store keeps
//! its readers waiting, as any does that is not a disk, and a disk that is cold, some row groups are asked for at once, each
//! before its turn. A guess that was wrong is the last one of its file. The bytes are accounted for, are given up where memory
//! gets short, and go with the reader.

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
use object_store::{ObjectMeta, ObjectStore};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::reader_memory::{ReaderMemory, has_left, needed};

/// Row groups of a file that are fetched ahead, at most: as many as a request to a distant store lasts longer than one is decoded.
pub(super) const MOST_GROUPS: usize = 4;

/// Their bytes, at most.
const MOST_BYTES: usize = 16 << 20;

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

/// Parts of a file that are being fetched, whoever waits for them or not, until it is dropped.
pub(super) struct Fetch(SpawnedTask<object_store::Result<Vec<Bytes>>>);

impl Fetch {
    /// The bytes, when they are there.
    pub async fn done(self) -> Result<Vec<Bytes>> {
        match self.0.join().await {
            Ok(fetched) => fetched.map_err(|error| ParquetError::External(Box::new(error))),
            Err(error) => Err(ParquetError::External(Box::new(error))),
        }
    }
}

/// What is fetched before it is wanted.
struct Prefetched {
    ranges: Vec<Range<u64>>,
    fetch: Fetch,
    held: ReaderMemory,
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
    pub fn prefetched(&mut self, ranges: &[Range<u64>]) -> Option<(Fetch, ReaderMemory)> {
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

    /// Asks for parts of the file.
    pub fn fetch(&self, ranges: &[Range<u64>]) -> Fetch {
        let bytes: u64 = ranges.iter().map(|range| range.end.saturating_sub(range.start)).sum();
        self.metrics.bytes_scanned.add(usize::try_from(bytes).unwrap_or_default());
        let (store, path, latency, ranges) =
            (self.store.clone(), self.file.location.clone(), self.latency, ranges.to_vec());
        Fetch(SpawnedTask::spawn(async move {
            let begun = Instant::now();
            let bytes = store.get_ranges(&path, &ranges).await?;
            latency.took(&ranges, begun.elapsed());
            Ok::<_, object_store::Error>(bytes)
        }))
    }

    /// Asks for what will be wanted after these parts, as far as there is memory that nobody needs.
    pub fn look_ahead(&mut self, wanted: &[Range<u64>]) {
        let Some((footer, next)) = self.footer.clone().zip(self.next) else { return };
        let of = self.columns_of(&footer, wanted).filter(|_| has_left(&self.pool, 0, 2));
        let Some((group, columns)) = of else { return self.foresees_no_more() };
        let mut next = next.max(group + 1);
        let mut bytes: usize = self.prefetched.iter().map(|prefetched| needed(&prefetched.ranges)).sum();
        while self.prefetched.len() < self.most && next < footer.num_row_groups() {
            if let Some(ranges) = self.ranges_of(&footer, next, &columns) {
                bytes = bytes.saturating_add(needed(&ranges));
                let held = ReaderMemory::spare(self.pool.clone(), needed(&ranges)).filter(|_| bytes <= MOST_BYTES);
                let Some(held) = held else { break };
                let fetch = self.fetch(&ranges);
                self.prefetched.push_back(Prefetched { ranges, fetch, held });
            }
            next += 1;
        }
        self.next = Some(next);
        self.most = (2 * self.most).min(MOST_GROUPS);
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
            // the dictionary lies before the first page
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

/// Where a column of a row group lies in its file; None where its footer makes no sense.
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
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStoreExt, PutPayload};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
    use parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use parquet::file::properties::WriterProperties;

    use super::*;

    const GROUPS: usize = 7;
    const GROUP_ROWS: usize = 300;

    /// A file of two columns, its footer with all pages, and where it lies.
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
                assert_eq!(ahead.prefetched.len(), MOST_GROUPS.min(GROUPS - 1 - group));
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

    #[test]
    fn a_disk_waits_when_it_is_cold() {
        let url = |text: &str| ObjectStoreUrl::parse(text).unwrap();
        assert_eq!((Latency::of(&url("file://")), Latency::of(&url("s3://lake"))), (Latency::Disk, Latency::Distant));
        assert!(Latency::Distant.keeps_waiting());
    }
}
