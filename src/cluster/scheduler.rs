//! The scheduler: cuts plans into stages and stages into tasks, and gives these to executors. It reads no data.

use std::collections::{BTreeSet, HashMap};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use ballista_core::JobId;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use datafusion::execution::runtime_env::RuntimeEnv;
use rejoin_instances::cluster::{Server, scheduler, services};
use rejoin_instances::http;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::codegen::Service;
use tonic::transport::Channel;

use super::codec::Codec;
use super::parts::{MESSAGE_BYTES, Patience, VERSION, defaults, readable, same_version, state};
use super::task_reports::{ExecutorReport, TASKS, TaskName, TaskReports};
use super::wire::Wire;
use super::workers::{Workers, locked};
use crate::{Error, Result, clock};

/// Rows of jobs that nobody fetched are deleted after this time, seconds: a client that fetches them may take long over it, and
/// deletes them then. What is known of such jobs goes sooner.
const RESULTS_KEPT: u64 = 6 * 3600;
const JOBS_KNOWN: u64 = 600;
/// A job of which nobody asks how far it is for so long is cancelled; its client asks twice a second.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// The id of each executor, which is new with each start, and its address.
pub(super) type Members = BTreeSet<(String, String)>;

/// What a scheduler tells of itself and of a job.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Overview {
    /// The scheduler's version of rejoin.
    pub version: String,
    /// Executors that live.
    pub executors: usize,
    /// Tasks that they can run at once.
    pub vcores: usize,
    /// Which executors.
    pub(super) members: Members,
    /// Stages of the job: those that are done, and all.
    pub stages: Option<(usize, usize)>,
    /// The job lost an executor that had some of its tasks; see [`Workers::lost_an_executor`].
    pub(super) lost_an_executor: bool,
}

#[derive(Deserialize)]
struct JobQuery {
    job: Option<String>,
}

const OVERVIEW: &str = "/rejoin/overview";

impl Overview {
    /// Asks a scheduler.
    pub(super) async fn ask(channel: &mut Channel, job: Option<&str>) -> Result<Self> {
        let failed = |e: &dyn std::fmt::Display| Error::unavailable(format!("no answer: {}", readable(&e.to_string())));
        let path = match job {
            Some(job) => format!("{OVERVIEW}?job={job}"),
            None => OVERVIEW.into(),
        };
        let request = axum::http::Request::get(path).body(tonic::body::Body::empty()).map_err(|e| failed(&e))?;
        std::future::poll_fn(|context| channel.poll_ready(context)).await.map_err(|e| failed(&e))?;
        let answer = channel.call(request).await.map_err(|e| failed(&e))?;
        let body = axum::body::Body::new(answer.into_body());
        let body = axum::body::to_bytes(body, 1 << 16).await.map_err(|e| failed(&e))?;
        serde_json::from_slice(&body).map_err(|_| Error::unavailable("this is no scheduler of rejoin"))
    }

    /// For a person who waits.
    pub(super) fn description(&self) -> String {
        let workers = format!("{} executors, {} cores", self.executors, self.vcores);
        match self.stages {
            Some((done, all)) if all > 0 => format!("stage {} of {all} on {workers}", (done + 1).min(all)),
            _ => format!("on {workers}"),
        }
    }
}

/// What the scheduler keeps beside Ballista's state.
#[derive(Clone)]
struct SchedulerState {
    server: Server,
    workers: Arc<Workers>,
    /// When somebody last asked how far a job is.
    asked: Arc<Mutex<HashMap<JobId, Instant>>>,
    /// What executors tell of their tasks.
    task_reports: Arc<Mutex<TaskReports>>,
    patience: Patience,
}

async fn overview(State(scheduler_state): State<SchedulerState>, Query(of): Query<JobQuery>) -> Json<Overview> {
    let state = &scheduler_state.server.state;
    let mut executors = state.executor_manager.get_executors_state().await.unwrap_or_default();
    let since = clock::now().timestamp().unsigned_abs().saturating_sub(scheduler_state.patience.gone);
    executors.retain(|(_, heard, _)| heard.is_some_and(|heard| heard.as_secs() >= since));
    let vcores = executors.iter().map(|(executor, ..)| executor.specification.vcores as usize).sum();
    let members = executors.iter().map(|(e, ..)| (e.id.to_string(), format!("{}:{}", e.host, e.port))).collect();
    let mut overview =
        Overview { version: VERSION.into(), executors: executors.len(), vcores, members, ..Default::default() };
    if let Some(id) = of.job {
        overview.lost_an_executor = scheduler_state.workers.lost_an_executor(&id);
        let id = JobId::new(id);
        if let Some(job) = state.task_manager.get_running_job_cache().get(&id) {
            let graph = job.execution_graph.read().await;
            overview.stages = Some((graph.completed_stages(), graph.stage_count()));
            drop(graph);
            locked(&scheduler_state.asked).insert(id, Instant::now());
        }
    }
    Json(overview)
}

async fn tasks(State(scheduler_state): State<SchedulerState>, Json(report): Json<ExecutorReport>) {
    locked(&scheduler_state.task_reports).receive(report, Instant::now());
}

impl SchedulerState {
    /// Finds the jobs of which a task has ended while nobody heard of it, so that their clients run them again.
    async fn find_lost_tasks(&self) {
        loop {
            tokio::time::sleep(Duration::from_secs(self.patience.look)).await;
            let jobs = self.server.state.task_manager.get_running_job_cache();
            let mut running = vec![];
            for job in jobs.values() {
                let tasks = job.execution_graph.read().await.running_tasks();
                for task in tasks {
                    let name = TaskName::new(&task.job_id, task.stage_id, task.task_id);
                    running.extend(self.workers.address_of(&task.executor_id).await.map(|address| (name, address)));
                }
            }
            let lost = locked(&self.task_reports).lost(running, Instant::now());
            for job in lost {
                tracing::warn!(%job, "a task has ended, and its executor's report of that was lost");
                self.workers.lose(&job);
            }
        }
    }

    /// Cancels jobs that nobody asks for any more: their clients were killed, or could not cancel them.
    async fn cancel_forgotten(&self) {
        loop {
            tokio::time::sleep(FORGOTTEN / 10).await;
            let running = self.server.state.task_manager.get_running_job_cache();
            let forgotten: Vec<JobId> = {
                let mut asked = locked(&self.asked);
                asked.retain(|job, _| running.contains_key(job));
                let mut last = |job: &&JobId| asked.entry((*job).clone()).or_insert_with(Instant::now).elapsed();
                running.keys().filter(|job| last(job) > FORGOTTEN).cloned().collect()
            };
            for job in forgotten {
                tracing::info!(%job, "nobody asks for this job any more");
                if let Err(error) = self.server.cancel_job(job).await {
                    tracing::warn!(%error, "a job that nobody asks for could not be cancelled");
                }
            }
        }
    }
}

/// Serves until `stop` turns true.
pub async fn serve(
    listener: TcpListener,
    wire: Wire,
    runtime: Arc<RuntimeEnv>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let address = listener.local_addr()?;
    let patience = Patience::read()?;
    let mut config = SchedulerConfig::default().with_hostname(address.ip().to_string()).with_port(address.port());
    config.override_physical_codec = Some(Arc::new(Codec::default()));
    config.override_config_producer = Some(Arc::new(defaults));
    config.override_session_builder = Some(Arc::new(move |config| {
        same_version(&config, "scheduler")?;
        Ok(state(config, runtime.clone()))
    }));
    config.override_create_grpc_client_endpoint = Some(wire.endpoint_override());
    // a stage whose input was lost is not run again: see `client`, which runs the whole plan again
    config.stage_max_failures = 1;
    config.task_distribution = TaskDistributionPolicy::RoundRobin;
    config.executor_timeout_seconds = patience.gone;
    config.expire_dead_executor_interval_seconds = patience.look;
    config.no_executors_grace_period_seconds = patience.gone;
    config.finished_job_data_clean_up_interval_seconds = RESULTS_KEPT;
    config.finished_job_state_clean_up_interval_seconds = JOBS_KNOWN;
    config.grpc_server_max_decoding_message_size = MESSAGE_BYTES as u32;
    config.grpc_server_max_encoding_message_size = MESSAGE_BYTES as u32;
    let failed = |e: ballista_core::error::BallistaError| Error::configuration(format!("scheduler: {e}"));
    config.validate().map_err(failed)?;
    let jobs = BallistaCluster::new_from_config(&config).await.map_err(failed)?.job_state();
    let workers = Arc::new(Workers::default());
    let cluster = BallistaCluster::new(workers.clone(), jobs);
    let server = scheduler(cluster, Arc::new(config)).await.map_err(failed)?;
    let routes = services(server.clone(), MESSAGE_BYTES);
    let (asked, task_reports) = Default::default();
    let scheduler_state = SchedulerState { server, workers, asked, task_reports, patience };
    let router = routes.into_axum_router().merge(
        Router::new().route(OVERVIEW, get(overview)).route(TASKS, post(tasks)).with_state(scheduler_state.clone()),
    );
    let stopped = async move {
        // an error means that nobody can stop it any more
        let _ = stop.wait_for(|stop| *stop).await;
        // a client that waits for a job would hold it open
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // small answers would wait for the other side's word that it has got what was sent before, some 40 ms
    let listener = wire.behind(listener).await?.tap_io(|socket| {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "a connection that delays small answers");
        }
    });
    tokio::select! {
        served = http::serve(Box::new(listener), router, Box::pin(pending::<()>())) => Ok(served?),
        () = stopped => Ok(()),
        () = scheduler_state.cancel_forgotten() => Ok(()),
        () = scheduler_state.find_lost_tasks() => Ok(()),
    }
}
