//! Readers of Parquet files that account for what reading takes, and that do not wait where they need not.
//!
//! A reader holds the columns of one row group as they are in the file, and of each what its decoder takes. DataFusion accounts for
//! neither, so that a statement of many scans would take gigabytes of which no pool knows. Here memory is asked for before it is
//! taken (`held`), and the next row groups are asked for before they are wanted (`ahead`).

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{ParquetFileMetrics, ParquetFileReaderFactory};
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use tokio::task::yield_now;

use super::range_memory::RangeMemory;
use super::read_ahead::{Latency, ReadAhead, SharedMemory};
use super::reader_memory::{ReaderMemory, needed};

/// Opens files of the lake.
#[derive(Debug)]
pub struct AccountedReaders {
    readers: CachedParquetFileReaderFactory,
    store: Arc<dyn ObjectStore>,
    pool: Arc<dyn MemoryPool>,
    finds_pages: bool,
    /// That of the store, where what follows is fetched ahead.
    latency: Option<Latency>,
    /// Row groups that are fetched ahead with the first.
    at_first: usize,
    /// What is held already for some files.
    range: Option<Arc<RangeMemory>>,
}

impl AccountedReaders {
    /// Those of files in `store`, with the memory and the footers of `runtime`.
    pub fn new(store: Arc<dyn ObjectStore>, runtime: &RuntimeEnv) -> Self {
        let footers = runtime.cache_manager.get_file_metadata_cache();
        let readers = CachedParquetFileReaderFactory::new(store.clone(), footers);
        let pool = runtime.memory_pool.clone();
        Self { readers, store, pool, finds_pages: false, latency: None, at_first: 0, range: None }
    }

    /// With `finds_pages`, where pages are and what they hold comes with the footer, and is kept as that is. Otherwise
    /// DataFusion, where it passes over pages, asks for it apart, each time that it opens a file.
    pub fn finding_pages(self, finds_pages: bool) -> Self {
        Self { finds_pages, ..self }
    }

    /// Where the store, which is at `url`, keeps them waiting, readers ask for the next row groups before they want them: for so
    /// many with the first, and for more when they have come to these.
    pub fn looking_ahead(self, url: &ObjectStoreUrl, at_first: usize) -> Self {
        Self { latency: Some(Latency::of(url)), at_first, ..self }
    }

    /// In the memory of a range, where there is one: readers of its files ask for none of their own.
    pub fn within(self, range: Option<Arc<RangeMemory>>) -> Self {
        Self { range, ..self }
    }
}

impl ParquetFileReaderFactory for AccountedReaders {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        footer_bytes: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let ahead = self.latency.filter(|latency| latency.keeps_waiting()).map(|latency| {
            let metrics = ParquetFileMetrics::new(partition, file.object_meta.location.as_ref(), metrics);
            ReadAhead::new(self.store.clone(), latency, &file, self.at_first, self.pool.clone(), metrics)
        });
        let range = self.range.clone().filter(|range| range.has(&file.object_meta.location));
        let reader = self.readers.create_reader(partition, file, footer_bytes, metrics)?;
        let held = ReaderMemory::of(self.pool.clone());
        let (finds_pages, latency) = (self.finds_pages, self.latency);
        Ok(Box::new(AccountedReader { reader, held, _held_ahead: None, range, finds_pages, latency, ahead }))
    }
}

/// A file that is read.
struct AccountedReader {
    reader: Box<dyn AsyncFileReader + Send>,
    held: ReaderMemory,
    /// What is held for the row group at hand, where that was fetched ahead.
    _held_ahead: Option<SharedMemory>,
    /// Holds what it takes, where this is there.
    range: Option<Arc<RangeMemory>>,
    finds_pages: bool,
    latency: Option<Latency>,
    ahead: Option<ReadAhead>,
}

impl AccountedReader {
    /// As it is wanted: what it takes is held, and readers that wait are noted.
    async fn in_turn(&mut self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        if self.range.is_none() {
            hold(&mut self.held, &ranges).await?;
        }
        let Some(latency) = self.latency else { return self.reader.get_byte_ranges(ranges).await };
        let begun = Instant::now();
        let bytes = self.reader.get_byte_ranges(ranges.clone()).await?;
        latency.took(&ranges, begun.elapsed());
        Ok(bytes)
    }
}

impl AsyncFileReader for AccountedReader {
    // a part of a footer, or a filter of a column
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.reader.get_bytes(range)
    }

    // the columns of a row group, in place of those of the one before
    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            let Some(ahead) = &mut self.ahead else { return self.in_turn(ranges).await };
            let fetched = match ahead.prefetched(&ranges) {
                Some((fetch, held)) => {
                    self.held.release();
                    self._held_ahead = Some(held);
                    Some(fetch)
                }
                None => {
                    self._held_ahead = None;
                    if self.range.is_none() {
                        hold(&mut self.held, &ranges).await?;
                    }
                    None
                }
            };
            let fetch = match fetched {
                Some(fetch) => {
                    ahead.look_ahead(&ranges);
                    fetch
                }
                None => ahead.fetch(&ranges),
            };
            // where the bytes at hand are there, this thread would decode them before it asks for others
            yield_now().await;
            fetch.done().await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        async move {
            let with_pages = || options.cloned().unwrap_or_default().with_page_index_policy(PageIndexPolicy::Optional);
            let with_pages = self.finds_pages.then(with_pages);
            let footer = self.reader.get_metadata(with_pages.as_ref().or(options)).await?;
            if let Some(ahead) = &mut self.ahead {
                ahead.knows(&footer);
            }
            Ok(footer)
        }
        .boxed()
    }
}

/// Holds what these parts of a file take, in place of what was held before.
async fn hold(held: &mut ReaderMemory, ranges: &[Range<u64>]) -> Result<()> {
    held.hold(needed(ranges)).await.map_err(|error| ParquetError::External(Box::new(error)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
    use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
    use datafusion::datasource::source::DataSourceExec;
    use datafusion::physical_plan::ExecutionPlan;
    use datafusion::prelude::SessionContext;
    use futures::TryStreamExt;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{ObjectStoreExt, PutPayload};
    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
    use parquet::file::properties::WriterProperties;
    use tokio::runtime::Handle;

    use super::*;
    use crate::lake::files::read_ahead::MOST_GROUPS;

    const GROUP_ROWS: usize = 200;

    fn rows() -> RecordBatch {
        let column = |factor: i64| {
            let rows = (0..10 * GROUP_ROWS as i64).map(|row| row.wrapping_mul(factor));
            Arc::new(Int64Array::from_iter_values(rows)) as ArrayRef
        };
        RecordBatch::try_from_iter([("a", column(7)), ("b", column(11)), ("c", column(13))]).unwrap()
    }

    /// A store with a file of ten row groups.
    async fn stored() -> (Arc<dyn ObjectStore>, PartitionedFile) {
        let rows = rows();
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_data_page_row_count_limit(20)
            .set_write_batch_size(10);
        let mut writer = ArrowWriter::try_new(vec![], rows.schema(), Some(properties.build())).unwrap();
        writer.write(&rows).unwrap();
        let bytes = writer.into_inner().unwrap();
        let file = PartitionedFile::new("x.parquet", bytes.len() as u64);
        let store = InMemory::new();
        store.put(&Path::from("x.parquet"), PutPayload::from(bytes)).await.unwrap();
        (Arc::new(store), file)
    }

    /// Rows of some columns of these parts of the row groups, and how many bytes were read for them.
    async fn read(access: &[RowGroupAccess], columns: &[usize], at_first: Option<usize>) -> (Vec<RecordBatch>, usize) {
        let (store, file) = stored().await;
        let file = file.with_extension(ParquetAccessPlan::new(access.to_vec()));
        let (context, url) = (SessionContext::new(), ObjectStoreUrl::parse("s3://lake").unwrap());
        context.register_object_store(url.as_ref(), store.clone());
        let readers = AccountedReaders::new(store, &context.runtime_env()).finding_pages(true);
        let readers = match at_first {
            Some(groups) => readers.looking_ahead(&url, groups),
            None => readers,
        };
        let source = ParquetSource::new(rows().schema()).with_parquet_file_reader_factory(Arc::new(readers));
        let config = FileScanConfigBuilder::new(url, Arc::new(source)).with_file_group(FileGroup::new(vec![file]));
        let config = config.with_projection_indices(Some(columns.to_vec())).unwrap();
        let scan = DataSourceExec::from_data_source(config.build());
        let rows: Vec<RecordBatch> = scan.execute(0, context.task_ctx()).unwrap().try_collect().await.unwrap();
        let read = scan.metrics().unwrap().sum_by_name("bytes_scanned").unwrap().as_usize();
        assert_eq!(context.runtime_env().memory_pool.reserved(), 0);
        (rows, read)
    }

    /// A guess that was wrong would be read besides.
    #[tokio::test]
    async fn what_is_foreseen_is_what_the_decoder_asks_for() {
        let part = |start: usize, length: usize| {
            let rest = GROUP_ROWS - start - length;
            let parts = [RowSelector::skip(start), RowSelector::select(length), RowSelector::skip(rest)];
            RowGroupAccess::Selection(RowSelection::from(parts.to_vec()))
        };
        let all = vec![RowGroupAccess::Scan; 10];
        let mut range = vec![RowGroupAccess::Skip; 10];
        range[2] = part(90, 110);
        range[3..8].fill(RowGroupAccess::Scan);
        range[8] = part(0, 50);
        for (access, columns) in [(&all, vec![0, 1, 2]), (&all, vec![1]), (&range, vec![0, 2]), (&range, vec![1])] {
            let (rows, bytes) = read(access, &columns, None).await;
            assert!(bytes > 0 && !rows.is_empty());
            for at_first in [1, MOST_GROUPS] {
                let (same, read) = read(access, &columns, Some(at_first)).await;
                assert_eq!(same, rows);
                assert_eq!(read, bytes, "{columns:?}");
            }
        }
    }

    /// The thread that decodes may be the only one that asks.
    #[tokio::test]
    async fn what_is_foreseen_is_asked_for_before_rows_are_decoded() {
        let (store, file) = stored().await;
        let (runtime, url) = (RuntimeEnv::default(), ObjectStoreUrl::parse("s3://lake").unwrap());
        let readers = AccountedReaders::new(store, &runtime).looking_ahead(&url, 1);
        let mut reader = readers.create_reader(0, file, None, &ExecutionPlanMetricsSet::new()).unwrap();
        let footer = reader.get_metadata(None).await.unwrap();
        for group in 0..footer.num_row_groups() {
            let (start, length) = footer.row_group(group).column(0).byte_range();
            let chunk = start..start + length;
            reader.get_byte_ranges(vec![chunk]).await.unwrap();
            // this store answers at once
            assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "row group {group}");
        }
    }
}
