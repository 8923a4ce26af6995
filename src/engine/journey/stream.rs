//! The work on a partition: its share of the buckets, one after the other, or all walks made one.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::Time;
use futures::{FutureExt, Stream};
use object_store::path::Path;
use tokio::sync::Semaphore;

use super::by_person::{Aside, TAKEN_BACK_BYTES, is_on_disk};
use super::input::{Input, InputColumns};
use super::traversal::Traversal;
use super::visitors::Visitors;
use super::walk::Walk;
use crate::lake::keys::KnownKeys;
use crate::lake::scan::read_sorted;

/// Buckets of stored files that all walks of this process read at once. Each holds decoded pages, of which no pool of memory
/// knows; more of them would make nothing faster. A walk over files waits for nobody but its files, so that all come to their
/// turn. Over other plans it may wait until each of its partitions is asked for (a join, a shuffle): there it never waits here.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Semaphore::new((2 * cores).max(8))
});

/// The buckets of one traversal.
pub(super) struct Share<V> {
    pub visitors: V,
    pub traversal: Traversal,
    pub inputs: Vec<Input>,
    pub buckets: VecDeque<usize>,
    pub context: Arc<TaskContext>,
    pub keys: Option<KnownKeys>,
    pub work: Time,
}

impl<V: Visitors> Share<V> {
    /// Goes over all of its buckets. Memory is that of one bucket at a time.
    pub async fn walked(mut self) -> Result<Self> {
        while let Some(bucket) = self.buckets.pop_front() {
            self.bucket(bucket).await?;
        }
        Ok(self)
    }

    /// What is found, bucket after bucket.
    pub fn found(self) -> impl Stream<Item = Result<RecordBatch>> {
        futures::stream::try_unfold(self, |mut share| async move {
            loop {
                // between two buckets, where nothing waits for this
                if let Some(batch) = share.visitors.found(share.buckets.is_empty())? {
                    return Ok(Some((batch, share)));
                }
                let Some(bucket) = share.buckets.pop_front() else { return Ok(None) };
                share.bucket(bucket).await?;
            }
        })
    }

    async fn bucket(&mut self, bucket: usize) -> Result<()> {
        let _place = match self.inputs.iter().all(|input| input.columns.is_stored()) {
            true => Some(PLACES.acquire().await.map_err(|e| DataFusionError::External(Box::new(e)))?),
            false => None,
        };
        let open = |input: &Input| {
            let (columns, plan, context) = (input.columns.clone(), input.plan.clone(), self.context.clone());
            async move {
                let stream = match &columns {
                    InputColumns::Stored(..) => read_sorted(&plan, bucket, context).await?,
                    InputColumns::Evaluated => plan.execute(bucket, context)?,
                };
                Ok((stream, columns))
            }
            .boxed()
        };
        let streams = self.inputs.iter().map(open).collect();
        let _timer = self.work.timer();
        if self.traversal.bucket(&mut self.visitors, streams).await?
            && let Some(keys) = &self.keys
            && let Some(files) = files_of(&self.inputs, bucket)
        {
            keys.tell_visitors(&files);
        }
        Ok(())
    }
}

/// The files of a bucket, where all inputs are whole files as stored.
fn files_of(inputs: &[Input], bucket: usize) -> Option<Vec<Path>> {
    let mut files = vec![];
    for input in inputs {
        let (scan, _) = input.plan.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
        scan.file_source().filter().is_none().then_some(())?;
        let group = scan.file_groups.get(bucket)?;
        group.iter().all(|file| file.range.is_none() && scan.limit.is_none()).then_some(())?;
        files.extend(group.iter().map(|file| file.object_meta.location.clone()));
    }
    Some(files)
}

/// The walks of all shares, side by side, made one; there is at least one.
pub(super) async fn all_walked(shares: Vec<Share<Walk>>) -> Result<Share<Walk>> {
    let mut shares = side_by_side(shares, Share::walked).await?;
    if shares.iter().any(|share| share.visitors.is_on_disk()) {
        // makes room for what is taken back
        shares.iter_mut().try_for_each(|share| share.traversal.spill(&mut share.visitors))?;
    }
    let asides: Vec<Aside> = shares.iter_mut().filter_map(|share| share.visitors.take_aside()).collect();
    if !asides.is_empty() {
        let (asides, parts) = (Arc::new(asides), shares.len());
        let numbered = shares.into_iter().enumerate();
        let bring = |(part, mut share): (usize, Share<Walk>)| {
            let asides = asides.clone();
            async move {
                if is_on_disk(&asides) {
                    share.traversal.grow(TAKEN_BACK_BYTES)?;
                }
                share.visitors.bring_together(&asides, (part, parts))?;
                Ok::<_, DataFusionError>(share)
            }
        };
        shares = side_by_side(numbered, bring).await?;
    }
    let mut shares = shares.into_iter();
    let first = shares.next().ok_or_else(|| DataFusionError::Internal("a journey without a thread".into()))?;
    Ok(shares.fold(first, |mut all, share| {
        all.visitors.merge(&share.visitors);
        all
    }))
}

/// The same work on each of some, at once; results in their order.
async fn side_by_side<T, R, F>(all: impl IntoIterator<Item = T>, work: impl Fn(T) -> F) -> Result<Vec<R>>
where
    R: Send + 'static,
    F: Future<Output = Result<R>> + Send + 'static,
{
    let tasks: Vec<_> = all.into_iter().map(|one| SpawnedTask::spawn(work(one))).collect();
    let mut results = vec![];
    for task in tasks {
        results.push(task.join().await.map_err(|e| DataFusionError::External(Box::new(e)))??);
    }
    Ok(results)
}
