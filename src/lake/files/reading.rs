//! Readers of Parquet files that account for what reading takes.
//!
//! A reader holds the columns of one row group as they lie in the file, and of each what its decoder takes. DataFusion accounts for
//! neither, so that a statement of many scans would take gigabytes of which no pool knows. Memory is asked for before it is
//! taken: of the pool while that is half empty; then of a little that all readers of the process share beside the pools, as
//! what fills a pool may be waiting for their rows (a sort spills when more come); then of the rest of the pool. Who finds
//! none waits while memory comes and goes, and is refused when nothing moves any more.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use tokio::time::sleep;

/// What the decoder of a column takes besides its rows, most of it for decompression (measured).
pub(super) const DECODER_BYTES: usize = 96 << 10;

/// What all readers of this process may hold beside the pools, bytes. One of them alone may hold any amount.
const BESIDE_BYTES: usize = 128 << 20;

/// A reader without memory looks again after so long, and gives up after so many looks at which nothing had moved.
const PAUSE: Duration = Duration::from_millis(20);
const LOOKS: usize = 50;

static BESIDE: Beside = Beside::new();

/// Opens files of the lake.
#[derive(Debug)]
pub struct AccountedReaders {
    readers: CachedParquetFileReaderFactory,
    pool: Arc<dyn MemoryPool>,
    finds_pages: bool,
}

impl AccountedReaders {
    /// Those of `readers`, with the memory of `pool`.
    pub fn new(readers: CachedParquetFileReaderFactory, pool: Arc<dyn MemoryPool>) -> Self {
        Self { readers, pool, finds_pages: false }
    }

    /// With `finds_pages`, where pages lie and what they hold comes with the footer, and is kept as that is. Otherwise
    /// DataFusion, where it passes over pages, asks for it apart, each time that it opens a file.
    pub fn finding_pages(self, finds_pages: bool) -> Self {
        Self { finds_pages, ..self }
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
        let reader = self.readers.create_reader(partition, file, footer_bytes, metrics)?;
        let held = Held::new(self.pool.clone(), &BESIDE);
        Ok(Box::new(AccountedReader { reader, held, finds_pages: self.finds_pages }))
    }
}

/// A file that is read.
struct AccountedReader {
    reader: Box<dyn AsyncFileReader + Send>,
    held: Held,
    finds_pages: bool,
}

impl AsyncFileReader for AccountedReader {
    // a part of a footer, or a filter of a column
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        self.reader.get_bytes(range)
    }

    // the columns of a row group, in place of those of the one before
    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        async move {
            self.held.hold(needed(&ranges)).await.map_err(|error| ParquetError::External(Box::new(error)))?;
            self.reader.get_byte_ranges(ranges).await
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        if !self.finds_pages {
            return self.reader.get_metadata(options);
        }
        let options = options.cloned().unwrap_or_default().with_page_index_policy(PageIndexPolicy::Optional);
        async move { self.reader.get_metadata(Some(&options)).await }.boxed()
    }
}

/// What these parts of a file and their decoders take, bytes. Small parts take little to decode.
fn needed(ranges: &[Range<u64>]) -> usize {
    let of = |range: &Range<u64>| {
        let bytes = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        bytes.saturating_add(bytes.saturating_mul(2).min(DECODER_BYTES))
    };
    ranges.iter().map(of).fold(0, usize::saturating_add)
}

/// What readers hold beside the pools.
struct Beside(AtomicUsize);

impl Beside {
    const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// True when there was room for so many bytes more, or nobody else holds any.
    fn take(&self, bytes: usize) -> bool {
        let within = |taken: usize| {
            let sum = taken.saturating_add(bytes);
            (taken == 0 || sum <= BESIDE_BYTES).then_some(sum)
        };
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within).is_ok()
    }

    fn taken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// The memory of one reader.
struct Held {
    pool: Arc<dyn MemoryPool>,
    /// What it holds of the pool.
    reservation: MemoryReservation,
    /// What it holds beside it.
    bytes_beside: usize,
    beside: &'static Beside,
}

impl Held {
    fn new(pool: Arc<dyn MemoryPool>, beside: &'static Beside) -> Self {
        let reservation = MemoryConsumer::new("a file that is read").register(&pool);
        Self { pool, reservation, bytes_beside: 0, beside }
    }

    /// Holds so many bytes in place of what was held before.
    ///
    /// # Errors
    /// There is no memory, and none comes and goes.
    async fn hold(&mut self, bytes: usize) -> datafusion::error::Result<()> {
        self.release();
        let (mut before, mut looks) = ((0, 0), 0);
        loop {
            if self.is_plenty_with(bytes) && self.reservation.try_grow(bytes).is_ok() {
                return Ok(());
            }
            if self.beside.take(bytes) {
                self.bytes_beside = bytes;
                return Ok(());
            }
            let Err(error) = self.reservation.try_grow(bytes) else { return Ok(()) };
            let now = (self.pool.reserved(), self.beside.taken());
            looks = if now == before { looks + 1 } else { 0 };
            if looks > LOOKS {
                return Err(error);
            }
            before = now;
            sleep(PAUSE).await;
        }
    }

    /// True where half of the pool is left with so many bytes more.
    fn is_plenty_with(&self, bytes: usize) -> bool {
        match self.pool.memory_limit() {
            MemoryLimit::Finite(limit) => self.pool.reserved().saturating_add(bytes) <= limit / 2,
            MemoryLimit::Infinite | MemoryLimit::Unknown => true,
        }
    }

    fn release(&mut self) {
        self.reservation.free();
        self.beside.0.fetch_sub(std::mem::take(&mut self.bytes_beside), Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::error::DataFusionError;
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn parts_and_their_decoders() {
        assert_eq!(needed(&[]), 0);
        assert_eq!(needed(&[0..1_000, 5_000..5_010]), 3_030);
        assert_eq!(needed(std::slice::from_ref(&(7..7 + (64 << 20)))), (64 << 20) + DECODER_BYTES);
    }

    #[tokio::test]
    async fn readers_wait_for_each_other_and_one_goes_on() {
        static SHARED: Beside = Beside::new();
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let reader = || Held::new(pool.clone(), &SHARED);
        let held = || (pool.reserved(), SHARED.taken());
        let mut first = reader();
        first.hold(40).await.unwrap();
        // what it held before is given back first
        first.hold(45).await.unwrap();
        assert_eq!(held(), (45, 0));
        // one goes on beside the pool, however much it needs
        let mut second = reader();
        second.hold(2 * BESIDE_BYTES).await.unwrap();
        assert_eq!(held(), (45, 2 * BESIDE_BYTES));
        // then the rest of the pool
        let mut third = reader();
        third.hold(50).await.unwrap();
        assert_eq!(held(), (95, 2 * BESIDE_BYTES));
        let refused = reader().hold(20).await.unwrap_err();
        assert!(matches!(refused, DataFusionError::ResourcesExhausted(_)), "{refused}");
        // another one waits for what the first one leaves
        let mut fourth = reader();
        let leaving = async {
            sleep(10 * PAUSE).await;
            drop(first);
        };
        let (waited, ()) = futures::join!(fourth.hold(20), leaving);
        waited.unwrap();
        assert_eq!(held(), (70, 2 * BESIDE_BYTES));
        drop((second, third, fourth));
        assert_eq!(held(), (0, 0));
    }
}
