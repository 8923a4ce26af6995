//! The client: submits a plan, watches the job, fetches its rows, and cancels what nobody waits for.
//!
//! An answer is whole or an error: the number of rows of each partition is held against what its task wrote.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use ballista_core::client::BallistaClient;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, CleanJobDataParams, ExecuteQueryParams, GetJobStatusParams, KeyValuePair, PartitionLocation,
    execute_query_result,
};
use ballista_core::version;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::optimizer::analyzer::AnalyzerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::future::join_all;
use futures::stream::BoxStream;
use futures::{StreamExt, TryFutureExt, TryStreamExt, stream};
use rejoin_instances::encoding::plan_bytes;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;

use super::codec::Codec;
use super::parts::{MESSAGE_BYTES, configured, decode_error, defaults, readable, settings_of};
use super::ready::{ready, too_long};
use super::scheduler::Overview;
use super::windows::KeepWindowClauses;
use super::wire::Wire;
use super::writes;
use crate::engine::Running;
use crate::engine::remote::{Remote, RemoteExec};
use crate::error::library_words::has_lost_rows;
use crate::lake::rewrite::{Job as Rewriting, Rewriter, Rewritten};
use crate::lake::write::Written;
use crate::lake::{Lake, Snapshot};
use crate::{Error, Result};

/// Parts of a shuffle, at least and at most; there are as many as cores.
const PARTS: (usize, usize) = (2, 256);
/// Executors may be about to join, but not for longer.
const NO_EXECUTORS: Duration = Duration::from_secs(15);
/// A scheduler knows a job that it took within this time.
const UNKNOWN_JOB: Duration = Duration::from_secs(5);
/// A scheduler has cut a plan into stages within this time.
const PLANNED: Duration = Duration::from_secs(120);
/// Between two looks at a job, at least and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How often a person is told how far it is.
const TOLD: Duration = Duration::from_millis(500);
/// A request that is not answered in this time is not answered at all.
const REQUEST: Duration = Duration::from_secs(20);
/// How often a plan runs whose executors are lost.
const RUNS: u32 = 3;
/// Within this time an executor that lives takes a connection.
const REACHED: Duration = Duration::from_secs(5);
/// The scheduler misses an executor within this time.
const DEAD_ARE_KNOWN: Duration = Duration::from_secs(30);
/// Batches that wait for their reader.
const AHEAD: usize = 4;
/// Files that are written anew for each core at once, at most so many in all: a message holds their names, and when all of them are
/// written it is told.
const JOBS_A_CORE: usize = 2;
const MOST_JOBS: usize = 1024;
/// Plans of such work that are with the executors at once.
const SHARES_AT_ONCE: usize = 2;

/// Jobs of this process that are neither done nor cancelled.
static UNSETTLED: AtomicUsize = AtomicUsize::new(0);

/// Waits until what was dropped has been cancelled, at most a few seconds; for the end of the process.
pub async fn settled() {
    let end = Instant::now() + Duration::from_secs(3);
    while UNSETTLED.load(Ordering::Acquire) > 0 && Instant::now() < end {
        sleep(Duration::from_millis(5)).await;
    }
}

/// A cluster, as those see it who ask it.
#[derive(Debug, Clone)]
pub struct Cluster {
    scheduler: String,
    wire: Wire,
    lake: Lake,
    session: String,
}

impl Cluster {
    /// The cluster whose scheduler is at `address` (`host:port`), for plans over one lake. Nothing is sent yet.
    pub fn new(address: &str, wire: Wire, lake: Lake) -> Self {
        Self { scheduler: address.into(), wire, lake, session: uuid::Uuid::new_v4().to_string() }
    }

    async fn connect(&self) -> Result<SchedulerGrpcClient<Channel>> {
        let channel = self.channel().await?;
        let client = SchedulerGrpcClient::new(channel);
        Ok(client.max_decoding_message_size(MESSAGE_BYTES).max_encoding_message_size(MESSAGE_BYTES))
    }

    async fn channel(&self) -> Result<Channel> {
        let endpoint = self.wire.endpoint(&self.scheduler)?;
        endpoint.connect().await.map_err(|e| {
            Error::unavailable(format!(
                "no scheduler answers at {}: {}; start one with: rejoin cluster scheduler",
                self.scheduler,
                root(&e)
            ))
        })
    }

    /// How many executors there are, and how far a job is.
    pub async fn overview(&self, job: Option<&str>) -> Result<Overview> {
        let asking = async {
            let mut channel = self.channel().await?;
            Overview::ask(&mut channel, job).await
        };
        let answer = timeout(REQUEST, asking).await.unwrap_or_else(|_| Err(Error::unavailable("no answer")));
        answer.map_err(|e| e.at(format!("scheduler {}", self.scheduler)))
    }

    /// Waits until there are executors and each takes connections: those that died are known for a while.
    async fn wait_for_executors(&self, note: &RemoteExec) -> Result<()> {
        let begun = Instant::now();
        loop {
            let members = self.overview(None).await?.members;
            let (none, waited) = (members.is_empty(), begun.elapsed());
            let addresses = members.into_iter().map(|(_, address)| address).collect();
            if !none && (waited > DEAD_ARE_KNOWN || are_reached(addresses).await) {
                return Ok(());
            }
            if none && waited > NO_EXECUTORS {
                return Err(Error::unavailable(format!(
                    "the scheduler at {} has no executors; start one with: rejoin cluster executor --scheduler {}",
                    self.scheduler, self.scheduler
                )));
            }
            note.note("waiting for executors".into());
            sleep(Duration::from_millis(200)).await;
        }
    }

    async fn submit(
        &self,
        client: &mut SchedulerGrpcClient<Channel>,
        plan: Vec<u8>,
        settings: Vec<KeyValuePair>,
    ) -> Result<Job> {
        let mut request = tonic::Request::new(ExecuteQueryParams {
            query: Some(Query::PhysicalPlan(plan)),
            settings,
            session_id: self.session.clone(),
            operation_id: uuid::Uuid::new_v4().to_string(),
        });
        request.set_timeout(REQUEST);
        version::insert_version_header(request.metadata_mut());
        let answer = client.execute_query(request).await.map_err(|status| self.refused(&status))?;
        let theirs = version::version_from_metadata(answer.metadata()).map(str::to_string);
        let job = match answer.into_inner().result {
            Some(execute_query_result::Result::Success(done)) => Job::new(self.clone(), done.job_id),
            Some(execute_query_result::Result::Failure(failure)) => {
                let said = format!("{:?}", failure.failure);
                return Err(Error::query(format!("the scheduler did not take the plan: {}", readable(&said))));
            }
            None => return Err(Error::bug("the scheduler said neither yes nor no")),
        };
        version::check_compatibility(Some(ballista_core::BALLISTA_VERSION), theirs.as_deref())
            .map_err(Error::configuration)?;
        Ok(job)
    }

    fn refused(&self, status: &tonic::Status) -> Error {
        match status.code() {
            tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => self.no_answer(status),
            _ => Error::query(format!("the scheduler did not take the plan: {}", readable(status.message()))),
        }
    }

    fn no_answer(&self, status: &tonic::Status) -> Error {
        Error::unavailable(format!(
            "the scheduler at {} no longer answers ({}); nothing was lost, run the statement again when it is back",
            self.scheduler,
            readable(status.message())
        ))
    }

    /// Waits until the job is done; where its rows are. None if an executor that worked at it was lost, or rows between its
    /// stages.
    ///
    /// Ballista 55 then runs stages again, and the stage above gets rows twice that were not lost: a stage that is run again
    /// hands on what its first run had handed on already. So nothing of such a job is believed.
    async fn watch(
        &self,
        client: &mut SchedulerGrpcClient<Channel>,
        job: &Job,
        note: &RemoteExec,
    ) -> Result<Option<Vec<PartitionLocation>>> {
        let begun = Instant::now();
        let mut told = begun;
        loop {
            let mut request = tonic::Request::new(GetJobStatusParams { job_id: job.id.clone() });
            request.set_timeout(REQUEST);
            let answer = client.get_job_status(request).await.map_err(|status| self.no_answer(&status))?;
            match answer.into_inner().status.and_then(|s| s.status) {
                Some(Status::Successful(done)) => {
                    job.done();
                    let Some((locations, addresses)) = in_order(done.partition_location) else { return Ok(None) };
                    let lost_an_executor = self.overview(Some(&job.id)).await?.lost_an_executor;
                    return Ok((!lost_an_executor && are_reached(addresses).await).then_some(locations));
                }
                // see `scheduler`: it does not try again
                Some(Status::Failed(failed)) if has_lost_rows(&failed.error) => {
                    job.done();
                    return Ok(None);
                }
                Some(Status::Failed(failed)) => {
                    return Err(decode_error(&failed.error).unwrap_or_else(|| Error::query(readable(&failed.error))));
                }
                Some(Status::Queued(_)) if begun.elapsed() > PLANNED => {
                    return Err(Error::unavailable(format!(
                        "the scheduler at {} could not begin; its log may tell why",
                        self.scheduler
                    )));
                }
                Some(Status::Queued(_) | Status::Running(_)) => {}
                None if begun.elapsed() > UNKNOWN_JOB => {
                    return Err(Error::unavailable(format!(
                        "the scheduler at {} does not know the job (was it started again?); run the statement again",
                        self.scheduler
                    )));
                }
                None => {}
            }
            if told.elapsed() > TOLD {
                told = Instant::now();
                // an error here shows in the next look at the job
                if let Ok(now) = self.overview(Some(&job.id)).await {
                    note.note(now.description());
                    if now.lost_an_executor {
                        return Ok(None);
                    }
                }
            }
            // what is waited for too long is a small part of the whole
            sleep((begun.elapsed() / 20).clamp(LOOKS.0, LOOKS.1)).await;
        }
    }

    /// Hands on the rows of a partition.
    async fn fetch(
        &self,
        location: PartitionLocation,
        rows: &Sender<datafusion::error::Result<RecordBatch>>,
    ) -> Result<Fetched> {
        let layout = location.layout();
        let lost = || Error::bug("the scheduler did not say where the rows are");
        let (executor, partition) = (location.executor_meta.ok_or_else(lost)?, location.partition_id.ok_or_else(lost)?);
        let partition = partition.into();
        let port = u16::try_from(executor.port).map_err(|_| lost())?;
        let gone = |e: &dyn std::fmt::Display| {
            Error::unavailable(format!(
                "the executor at {}:{port} has the rows and no longer answers ({}); run the statement again",
                executor.host,
                readable(&e.to_string())
            ))
        };
        let wire = self.wire.clone();
        let endpoint = BallistaConfigGrpcEndpoint::new(wire.endpoint_override());
        let client =
            BallistaClient::try_new(&executor.host, port, MESSAGE_BYTES, false, Some(Arc::new(endpoint)), 3, 300, 0, 0);
        let mut client = client.await.map_err(|e| gone(&e))?;
        let stream = client.fetch_partition_proxied(
            &executor.id,
            &partition,
            location.file_id,
            layout,
            &executor.host,
            port,
            true,
        );
        let mut stream = stream.await.map_err(|e| gone(&e))?;
        let mut count = 0;
        while let Some(batch) = stream.try_next().await.map_err(|e| gone(&e))? {
            count += batch.num_rows() as i64;
            if rows.send(Ok(batch)).await.is_err() {
                return Ok(Fetched::NobodyReads);
            }
        }
        match location.partition_stats.map(|stats| stats.num_rows).filter(|written| *written >= 0) {
            Some(written) if written != count => Err(Error::unavailable(format!(
                "of {written} rows of a partition {count} arrived; run the statement again"
            ))),
            _ => Ok(Fetched::All),
        }
    }

    /// The whole life of a job.
    async fn compute(
        self,
        plan: Vec<u8>,
        settings: Vec<KeyValuePair>,
        note: Arc<RemoteExec>,
        rows: Sender<datafusion::error::Result<RecordBatch>>,
    ) -> Result<()> {
        let mut client = self.connect().await?;
        let (job, locations) = 'runs: {
            for _ in 0..RUNS {
                self.wait_for_executors(&note).await?;
                note.note("submitted".into());
                let job = self.submit(&mut client, plan.clone(), settings.clone()).await?;
                if let Some(locations) = self.watch(&mut client, &job, &note).await? {
                    break 'runs (job, locations);
                }
            }
            return Err(Error::unavailable("executors were lost while they computed; run the statement again"));
        };
        for location in locations {
            if let Fetched::NobodyReads = self.fetch(location, &rows).await? {
                break;
            }
        }
        // the scheduler does so by itself after a while
        let _ = client.clean_job_data(CleanJobDataParams { job_id: job.id.clone(), remove_stage_ids: vec![] }).await;
        Ok(())
    }
}

impl Cluster {
    /// Starts a plan that is ready.
    fn run(&self, plan: Arc<dyn ExecutionPlan>, config: &SessionConfig) -> Result<Running> {
        let encoded = PhysicalPlanNode::try_from_physical_plan(plan.clone(), &Codec::default()).map_err(|e| {
            Error::query(format!(
                "the cluster cannot compute this statement: {}; run it without --cluster",
                readable(&e.to_string())
            ))
        })?;
        let bytes = plan_bytes(&encoded)?;
        // the envelope has settings beside the plan
        let limit = MESSAGE_BYTES - (1 << 20);
        if bytes.len() > limit {
            return Err(too_long(bytes.len(), limit));
        }
        let settings = settings_of(config);
        let note = Arc::new(RemoteExec::new(plan.schema()));
        let mut receiver = RecordBatchReceiverStreamBuilder::new(plan.schema(), AHEAD);
        let (cluster, sender, noting) = (self.clone(), receiver.tx(), note.clone());
        receiver.spawn(async move {
            cluster.compute(bytes, settings, noting, sender).await.map_err(|e| DataFusionError::External(Box::new(e)))
        });
        Ok(Running { schema: plan.schema(), rows: receiver.build(), plan: note })
    }
}

/// True if each of these takes a connection.
async fn are_reached(addresses: BTreeSet<String>) -> bool {
    let reached = addresses.into_iter().map(|address| timeout(REACHED, TcpStream::connect(address)));
    join_all(reached).await.iter().all(|reached| matches!(reached, Ok(Ok(_))))
}

/// Where each partition is, in the order of the plan, and who has them. None where a partition is told twice: Ballista 55 goes on
/// to tell what the first run of a last stage left that it ran again (`output_locations` is never cleared).
fn in_order(mut locations: Vec<PartitionLocation>) -> Option<(Vec<PartitionLocation>, BTreeSet<String>)> {
    let number = |location: &PartitionLocation| location.partition_id.as_ref().map(|p| p.partition_id);
    locations.sort_by_key(number);
    let twice = locations.windows(2).any(|pair| number(&pair[0]) == number(&pair[1]));
    let executors = locations.iter().flat_map(|location| &location.executor_meta);
    let addresses = executors.map(|executor| format!("{}:{}", executor.host, executor.port)).collect();
    (!twice).then_some((locations, addresses))
}

enum Fetched {
    All,
    NobodyReads,
}

#[async_trait]
impl Remote for Cluster {
    fn configured(&self, config: SessionConfig) -> SessionConfig {
        configured(config)
    }

    fn rule(&self) -> Arc<dyn AnalyzerRule + Send + Sync> {
        Arc::new(KeepWindowClauses)
    }

    async fn cores(&self) -> Option<usize> {
        let found = timeout(REQUEST, self.overview(None)).await.ok()?.ok()?;
        Some(found.vcores.clamp(PARTS.0, PARTS.1))
    }

    async fn start(&self, plan: Arc<dyn ExecutionPlan>, context: Arc<TaskContext>) -> Result<Option<Running>> {
        let Some(plan) = ready(plan, &self.lake.store_url(), &context).await? else { return Ok(None) };
        self.run(plan, context.session_config()).map(Some)
    }

    async fn write(
        &self,
        table: &str,
        schema: &SchemaRef,
        plans: &[Arc<dyn ExecutionPlan>],
        context: Arc<TaskContext>,
        progress: &(dyn for<'t> Fn(&'t str) + Send + Sync),
    ) -> Result<Option<(Written, Vec<u64>)>> {
        let parts = context.session_config().target_partitions();
        let plan = writes::rows(&self.lake, table, schema, plans, parts)?;
        let Some(plan) = ready(plan, &self.lake.store_url(), &context).await? else { return Ok(None) };
        let receipts = collect(self.run(plan, context.session_config())?, progress).await?;
        writes::written(&self.lake, table, schema, plans.len(), &receipts).map(Some)
    }
}

impl Rewriter for Cluster {
    fn rewriting<'a>(
        &'a self,
        lake: &'a Lake,
        snapshot: &'a Snapshot,
        jobs: Vec<Rewriting>,
    ) -> BoxStream<'a, Result<Rewritten>> {
        let started = async move {
            let vcores = if jobs.is_empty() { 1 } else { self.overview(None).await?.vcores };
            let share = (vcores * JOBS_A_CORE).clamp(1, MOST_JOBS);
            let shares: Vec<(usize, Vec<Rewriting>)> =
                jobs.chunks(share).enumerate().map(|(i, jobs)| (i * share, jobs.to_vec())).collect();
            let written = stream::iter(shares).map(move |(first, jobs)| async move {
                let count = jobs.len();
                let plan = writes::jobs(lake, snapshot, first, jobs)?;
                let receipts = collect(self.run(plan, &defaults())?, &|_| {}).await?;
                let files = writes::rewritten(lake, &snapshot.name, first, count, &receipts)?;
                let numbered = files.into_iter().enumerate();
                Ok::<_, Error>(stream::iter(numbered.map(move |(i, file)| Ok::<Rewritten, Error>((first + i, file)))))
            });
            // the next ones wait at the executors, so that none is idle
            Ok::<_, Error>(written.buffered(SHARES_AT_ONCE).try_flatten())
        };
        started.try_flatten_stream().boxed()
    }
}

/// All rows of a plan that runs elsewhere; `progress` is told how far it is.
async fn collect(running: Running, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<Vec<RecordBatch>> {
    let collecting = running.rows.try_collect();
    tokio::pin!(collecting);
    let mut told = tokio::time::interval(TOLD);
    loop {
        tokio::select! {
            rows = &mut collecting => return Ok(rows?),
            _ = told.tick() => {
                if let Some(remote) = running.plan.downcast_ref::<RemoteExec>() {
                    progress(&remote.progress());
                }
            }
        }
    }
}

/// A job that is cancelled when it is dropped before it is done.
struct Job {
    id: String,
    cluster: Cluster,
    done: std::sync::atomic::AtomicBool,
}

impl Job {
    fn new(cluster: Cluster, id: String) -> Self {
        UNSETTLED.fetch_add(1, Ordering::AcqRel);
        Self { id, cluster, done: false.into() }
    }

    /// There is nothing left to cancel.
    fn done(&self) {
        if !self.done.swap(true, Ordering::AcqRel) {
            UNSETTLED.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        if self.done.load(Ordering::Acquire) {
            return;
        }
        let (cluster, id) = (self.cluster.clone(), self.id.clone());
        let cancel = async move {
            let cancelled = async {
                let mut client = cluster.connect().await?;
                client.cancel_job(CancelJobParams { job_id: id.clone() }).await.map_err(|e| cluster.no_answer(&e))
            };
            // a scheduler that is gone has no job to cancel
            match timeout(Duration::from_secs(2), cancelled).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%error, %id, "could not cancel a job"),
                Err(_) => tracing::debug!(%id, "could not cancel a job in time"),
            }
            UNSETTLED.fetch_sub(1, Ordering::AcqRel);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(cancel)),
            Err(_) => drop(UNSETTLED.fetch_sub(1, Ordering::AcqRel)),
        }
    }
}

/// The innermost cause.
fn root(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source()).last().map_or_else(String::new, ToString::to_string)
}

#[cfg(test)]
mod tests {
    use ballista_core::serde::protobuf::{ExecutorMetadata, PartitionId};

    use super::*;

    #[test]
    fn a_partition_that_is_told_twice_is_not_believed() {
        let location = |partition_id: u32| PartitionLocation {
            partition_id: Some(PartitionId { partition_id, ..PartitionId::default() }),
            executor_meta: Some(ExecutorMetadata { host: "here".into(), port: partition_id, ..Default::default() }),
            ..PartitionLocation::default()
        };
        let (locations, addresses) = in_order([2, 0, 1].map(location).to_vec()).unwrap_or_default();
        let numbers: Vec<_> = locations.iter().flat_map(|l| &l.partition_id).map(|p| p.partition_id).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert!(addresses.iter().eq(["here:0", "here:1", "here:2"]));
        assert!(in_order([1, 0, 2, 1].map(location).to_vec()).is_none());
    }
}
