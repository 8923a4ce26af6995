//! The work on a partition: its share of the buckets, one after the other; or the walks of all shares, made one.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::runtime::SpawnedTask;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::Time;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::channel::mpsc::channel;
use futures::future::ready;
use futures::stream::{once, select, select_all};
use futures::{FutureExt, Stream, StreamExt};
use object_store::path::Path;
use tokio::sync::Semaphore;

use super::by_person::{SetAsideRows, TAKEN_BACK_BYTES, WaitingPersons, is_on_disk, sequence_files};
use super::input::{Input, InputColumns};
use super::path_parts::{added_up, running};
use super::shares_end::SharesEnd;
use super::ties::{Instant, SequenceFiles, Sequences};
use super::traversal::Traversal;
use super::visitors::Visitors;
use super::walk::Walk;
use super::walked_keys::WalkedKeys;
use crate::lake::ranges::with_memory;
use crate::lake::scan::{Begun, read_sorted};

/// Buckets of stored files that all walks of this process read at once. Each holds pages of all of its columns; more of them
/// would make nothing faster. A walk over files waits for nobody but its files and their memory, so that all come to their turn.
/// Over other plans it may wait until each of its partitions is asked for (a join, a shuffle): there it never waits here.
static PLACES: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    Semaphore::new((2 * cores).max(8))
});

/// Buckets that a walk begins before their turn: the footers of the second are read while rows of the first come.
const BEGUN_BUCKETS: usize = 2;

/// Their files, at most: of more, those of one bucket are requests enough at once.
const BEGUN_FILES: usize = 32;

/// The buckets of one traversal.
pub(super) struct Share<V> {
    pub visitors: V,
    pub traversal: Traversal,
    pub inputs: Vec<Input>,
    /// Partitions of the inputs: buckets, or parts of them where a scan has more ranges of keys.
    pub buckets: VecDeque<usize>,
    /// The next of them, as far as they were begun: an entry an input, where that would wait.
    pub begun: VecDeque<Vec<Option<Begun>>>,
    pub context: Arc<TaskContext>,
    pub keys: Option<WalkedKeys>,
    pub work: Time,
}

impl<V: Visitors> Share<V> {
    /// Goes over its buckets, all of them or until much was found. Memory is that of one bucket at a time.
    async fn walked(mut self) -> Result<Self> {
        while !self.visitors.found_much()
            && let Some(bucket) = self.buckets.pop_front()
        {
            self.bucket(bucket).await?;
        }
        Ok(self)
    }

    /// True where nothing is left to walk over, and little was found.
    fn is_small_and_whole(&self) -> bool {
        self.buckets.is_empty() && !self.visitors.found_much()
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

    /// What is found, as soon as there is a batch of it.
    pub fn handed_on(mut self) -> impl Stream<Item = Result<RecordBatch>> {
        let (out, batches) = channel(0);
        self.traversal = self.traversal.handing_on(out);
        let walk = async move {
            let mut share = self.walked().await?;
            while let Some(batch) = share.visitors.found(true)? {
                share.traversal.hand_on(batch).await?;
            }
            Ok::<_, DataFusionError>(())
        };
        let failed = once(walk).filter_map(|ended| ready(ended.err().map(Err)));
        select(batches.map(Ok), failed)
    }

    async fn bucket(&mut self, bucket: usize) -> Result<()> {
        // what is handed on meanwhile waits for its receiver
        let alone = !V::HANDS_ON && self.inputs.iter().all(|input| input.columns.is_stored());
        let _place = match alone {
            true => Some(PLACES.acquire().await.map_err(|e| DataFusionError::External(Box::new(e)))?),
            false => None,
        };
        let begun = self.begun.pop_front().unwrap_or_default();
        // the memory of all files is there until the bucket ends; files that were begun before have theirs
        let in_memory = match begun.iter().any(Option::is_some) {
            true => self.context.clone(),
            false => {
                let plans: Vec<_> = self.inputs.iter().map(|input| input.plan.clone()).collect();
                with_memory(&plans, true, bucket, self.context.clone()).await?
            }
        };
        let mut begun = begun.into_iter();
        let open = |input: &Input| {
            let (columns, plan, context) = (input.columns.clone(), input.plan.clone(), in_memory.clone());
            let begun = begun.next().flatten();
            async move {
                let stream = match (&columns, begun) {
                    (_, Some(begun)) => begun.rows().await?,
                    (InputColumns::Stored(..), None) => read_sorted(&plan, bucket, context).await?,
                    (InputColumns::Evaluated, None) => plan.execute(bucket, context)?,
                };
                Ok((stream, columns))
            }
            .boxed()
        };
        let streams = self.inputs.iter().map(open).collect();
        let most = BEGUN_BUCKETS.min(BEGUN_FILES / self.inputs.len().max(1));
        while self.begun.len() < most
            && let Some(next) = self.buckets.get(self.begun.len())
        {
            let begun = self.inputs.iter().map(|input| input.begin(*next, &self.context)).collect();
            self.begun.push_back(begun);
        }
        let _timer = self.work.timer();
        if self.traversal.bucket(&mut self.visitors, streams).await?
            && let Some(keys) = &self.keys
            && let Some(files) = files_of(&self.inputs, bucket)
        {
            keys.note_unique(bucket, &files);
        }
        if self.buckets.is_empty()
            && let Some(waiting) = SharesEnd::of(&self.context)
        {
            waiting.one_ended();
        }
        Ok(())
    }
}

/// The files that a bucket is in, where all inputs are files as stored.
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

/// What the walks of all shares find together, in columns of `schema`; there is at least one.
pub(super) async fn found_together(shares: Vec<Share<Walk>>, schema: SchemaRef) -> Result<SendableRecordBatchStream> {
    put_together(walk_all(shares).await?, schema).await
}

/// What walks found, and find on what is left of their shares, put together. Where that is more paths than walks keep, or than
/// memory holds twice, these leave as they are found, and are added up on their way. What models count is added up above.
pub(super) async fn put_together(shares: Vec<Share<Walk>>, schema: SchemaRef) -> Result<SendableRecordBatchStream> {
    let stream = |share: Share<Walk>| -> SendableRecordBatchStream {
        Box::pin(RecordBatchStreamAdapter::new(schema.clone(), share.found()))
    };
    let first = shares.first().ok_or_else(|| DataFusionError::Internal("a journey without a thread".into()))?;
    if first.visitors.gives_tallies() {
        let all = select_all(shares.into_iter().map(stream));
        return Ok(Box::pin(RecordBatchStreamAdapter::new(schema.clone(), all)));
    }
    let (context, parts) = (first.context.clone(), shares.len());
    let bytes: usize = shares.iter().map(|share| share.visitors.paths_bytes()).sum();
    let fits = shares.iter().all(Share::is_small_and_whole) && (bytes == 0 || first.traversal.grow(bytes).is_ok());
    if fits {
        return Ok(stream(merge_walks(shares).await?));
    }
    execute_stream(added_up(running(&schema, shares.into_iter().map(stream))?, parts)?, context)
}

/// The walks of all shares, two and two made one until one is left.
async fn merge_walks(mut shares: Vec<Share<Walk>>) -> Result<Share<Walk>> {
    while shares.len() > 1 {
        let mut others = shares.split_off(shares.len().div_ceil(2)).into_iter();
        let pairs: Vec<_> = shares.into_iter().map(|share| (share, others.next())).collect();
        let merge = |(mut share, other): (Share<Walk>, Option<Share<Walk>>)| async move {
            if let Some(other) = other {
                share.visitors.merge(&other.visitors);
            }
            Ok::<_, DataFusionError>(share)
        };
        shares = side_by_side(pairs, merge).await?;
    }
    shares.pop().ok_or_else(|| DataFusionError::Internal("walks of nothing".into()))
}

/// The walks of all shares, side by side.
pub(super) async fn walk_all(shares: Vec<Share<Walk>>) -> Result<Vec<Share<Walk>>> {
    let mut shares = side_by_side(shares, Share::walked).await?;
    if shares.iter().any(|share| share.visitors.is_on_disk()) {
        // makes room for what is taken back
        shares.iter_mut().try_for_each(|share| share.traversal.spill(&mut share.visitors))?;
    }
    let asides: Vec<SetAsideRows> = shares.iter_mut().filter_map(|share| share.visitors.take_aside()).collect();
    if asides.is_empty() {
        return Ok(shares);
    }
    if is_on_disk(&asides) {
        shares.iter().try_for_each(|share| share.traversal.grow(TAKEN_BACK_BYTES))?;
    }
    let asides = Arc::new(asides);
    let (shares, mut waiting) = brought_together(shares, &asides, None).await?;
    let instants = Arc::new(std::mem::take(&mut waiting.instants));
    let (Some(share), Some((files, seed))) = (shares.first(), sequence_files(&asides)) else { return Ok(shares) };
    if instants.is_empty() {
        return Ok(shares);
    }
    share.traversal.grow(Sequences::bytes_of(instants.len(), 0))?;
    let found = looked_up(files.clone(), instants.clone(), seed, share.context.clone()).await?;
    if let Some(share) = shares.first() {
        share.traversal.grow(Sequences::bytes_of(0, found.iter().map(Vec::len).sum()))?;
    }
    let known = Some(Arc::new((waiting, Sequences::new(instants, found.concat()))));
    Ok(brought_together(shares, &asides, known).await?.0)
}

/// The walks over the persons, each of whom is in one of them: over those whose order is known, and who must wait; or over those,
/// when the sequences are there.
async fn brought_together(
    shares: Vec<Share<Walk>>,
    asides: &Arc<Vec<SetAsideRows>>,
    known: Option<Arc<(WaitingPersons, Sequences)>>,
) -> Result<(Vec<Share<Walk>>, WaitingPersons)> {
    let parts = shares.len();
    let bring = |(part, mut share): (usize, Share<Walk>)| {
        let (asides, known) = (asides.clone(), known.clone());
        async move {
            let known = known.as_deref().map(|known| (&known.0, &known.1));
            let waiting = share.visitors.bring_together(&asides, (part, parts), known)?;
            Ok::<_, DataFusionError>((share, waiting))
        }
    };
    let brought = side_by_side(shares.into_iter().enumerate(), bring).await?;
    let (shares, waiting): (Vec<_>, Vec<_>) = brought.into_iter().unzip();
    Ok((shares, WaitingPersons::of_all(waiting)))
}

/// The sequences of the hits of instants, each with its instant's place, from a second look at the files.
async fn looked_up(
    files: SequenceFiles,
    instants: Arc<Vec<Instant>>,
    seed: u64,
    context: Arc<TaskContext>,
) -> Result<Vec<Vec<(u32, i128)>>> {
    let scans = files.scans(&instants, &context)?;
    let look = |scan: Arc<dyn ExecutionPlan>| {
        let (files, instants, context) = (files.clone(), instants.clone(), context.clone());
        async move {
            let _place = PLACES.acquire().await.map_err(|e| DataFusionError::External(Box::new(e)))?;
            files.found_in(scan, &instants, seed, context).await
        }
    };
    side_by_side(scans, look).await
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
