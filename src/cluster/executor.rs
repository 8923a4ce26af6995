//! The executor: runs tasks over the lake's files, keeps their rows for the next stage or the client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ballista_core::registry::BallistaFunctionRegistry;
use ballista_executor::execution_engine::DefaultExecutionEngine;
use ballista_executor::executor_process::ExecutorProcessConfig;
use datafusion::execution::runtime_env::RuntimeEnv;
use tokio::net::TcpListener;

use super::codec::Codec;
use super::parts::{MESSAGE_BYTES, Patience, TASKS_BYTES, defaults, state};
use super::task_reports::RunningTasks;
use super::tasks::Cancellable;
use super::wire::Wire;
use crate::lake::Lake;
use crate::{Error, Result};

/// Rows of jobs that nobody asked for are deleted after a day; looked at every hour.
const LEFT_OVER: (u64, u64) = (86_400, 3_600);

/// How an executor runs.
#[derive(Debug, Clone)]
pub struct ExecutorSettings {
    /// `host:port` of the scheduler.
    pub scheduler: (String, u16),
    /// Where others fetch rows; the next port is for tasks.
    pub address: SocketAddr,
    /// Port for tasks.
    pub tasks_port: u16,
    /// Tasks at once.
    pub vcores: usize,
    /// Memory of all tasks; each has an equal share and spills beyond it.
    pub memory_bytes: usize,
    /// Where rows between stages are kept.
    pub work_dir: PathBuf,
    /// How the parts reach each other.
    pub wire: Wire,
}

/// Runs tasks until SIGTERM or Ctrl-C, or until it cannot go on, which Ballista does not tell apart, with `runtime`, in which
/// the store of `lake` is known. It writes nowhere else.
pub async fn execute(settings: ExecutorSettings, runtime: Arc<RuntimeEnv>, lake: Lake) -> Result<()> {
    let patience = Patience::read()?;
    let functions = BallistaFunctionRegistry::from(&state(defaults(), runtime.clone()));
    let at_work = RunningTasks::default();
    let engine = Cancellable { inner: DefaultExecutionEngine::new(), at_work: at_work.clone() };
    let (outside, tasks) = (settings.address, SocketAddr::new(settings.address.ip(), settings.tasks_port));
    let mut bind = outside.ip();
    if settings.wire.is_secure() {
        // Ballista listens on the ports that it tells others, so only the host can differ
        bind = IpAddr::V4(if bind == Ipv4Addr::LOCALHOST { Ipv4Addr::new(127, 0, 0, 2) } else { Ipv4Addr::LOCALHOST });
        for address in [outside, tasks] {
            let listener = TcpListener::bind(address).await?;
            settings.wire.let_through(listener, SocketAddr::new(bind, address.port()))?;
        }
    }
    let wire = settings.wire.endpoint_override();
    let of_tasks = wire.clone();
    let config = ExecutorProcessConfig {
        bind_host: bind.to_string(),
        external_host: Some(settings.address.ip().to_string()),
        port: settings.address.port(),
        grpc_port: settings.tasks_port,
        scheduler_host: settings.scheduler.0.clone(),
        scheduler_port: settings.scheduler.1,
        // the scheduler may be starting as well
        scheduler_connect_timeout_seconds: 30,
        vcores: settings.vcores,
        task_scheduling_policy: ballista_core::config::TaskSchedulingPolicy::PushStaged,
        work_dir: Some(settings.work_dir.display().to_string()),
        job_data_ttl_seconds: LEFT_OVER.0,
        job_data_clean_up_interval_seconds: LEFT_OVER.1,
        grpc_max_decoding_message_size: TASKS_BYTES as u32,
        grpc_max_encoding_message_size: MESSAGE_BYTES as u32,
        executor_heartbeat_interval_seconds: patience.heartbeat,
        memory_pool_size: Some(settings.memory_bytes as u64),
        override_execution_engine: Some(Arc::new(engine)),
        override_function_registry: Some(Arc::new(functions)),
        // one for all sessions, so that footers are read once
        override_runtime_producer: Some(Arc::new(move |_| Ok(runtime.clone()))),
        override_config_producer: Some(Arc::new(move || {
            use ballista_core::extension::SessionConfigExt;
            defaults().with_ballista_override_create_grpc_client_endpoint(of_tasks.clone())
        })),
        override_physical_codec: Some(Arc::new(Codec::writing_to(lake))),
        override_create_grpc_client_endpoint: Some(wire),
        ..ExecutorProcessConfig::default()
    };
    let (host, port) = &settings.scheduler;
    // as the scheduler knows it
    let own = format!("{}:{}", settings.address.ip(), settings.address.port());
    tokio::select! {
        ended = rejoin_instances::cluster::execute(Arc::new(config)) => {
            ended.map_err(|e| Error::unavailable(format!("executor of the scheduler at {host}:{port}: {e}")))
        }
        never = at_work.send_reports(settings.wire.clone(), format!("{host}:{port}"), own) => match never {},
    }
}
