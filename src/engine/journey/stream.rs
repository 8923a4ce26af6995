//! The work on a partition: one walk over its share of the buckets, one after the other, or all walks made one.

use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::metrics::Time;
use futures::FutureExt;
use object_store::path::Path;
use tokio::sync::Semaphore;

use super::input::{Input, InputColumns};
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

/// The buckets of one walk.
pub(super) struct Share {
    pub walk: Walk,
    pub inputs: Vec<Input>,
    pub buckets: Vec<usize>,
    pub context: Arc<TaskContext>,
    pub keys: Option<KnownKeys>,
    pub work: Time,
}

impl Share {
    /// The walk over all of its buckets. Memory is that of one bucket at a time.
    pub async fn walked(mut self) -> Result<Walk> {
        for bucket in self.buckets {
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
            if self.walk.bucket(streams).await?
                && let Some(keys) = &self.keys
                && let Some(files) = files_of(&self.inputs, bucket)
            {
                keys.tell_visitors(&files);
            }
        }
        Ok(self.walk)
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
pub(super) async fn all_walked(shares: Vec<Share>) -> Result<Walk> {
    let tasks: Vec<_> = shares.into_iter().map(|share| SpawnedTask::spawn(share.walked())).collect();
    let mut all: Option<Walk> = None;
    for task in tasks {
        let walk = task.join().await.map_err(|e| DataFusionError::External(Box::new(e)))??;
        match &mut all {
            Some(all) => all.merge(&walk),
            None => all = Some(walk),
        }
    }
    all.ok_or_else(|| DataFusionError::Internal("a journey without a thread".into()))
}
