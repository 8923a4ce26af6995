//! `rejoin cluster`: the processes of a cluster, and how it is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use datafusion::execution::runtime_env::RuntimeEnv;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::output::{Output, note};
use super::settings::Settings;
use super::signals::Signals;
use crate::address::bind;
use crate::cluster::{ExecutorSettings, WorkFolder, execute, serve};
use crate::engine::session::runtime;
use crate::format::Format;
use crate::{Error, Result};

/// Where a scheduler listens by default.
const SCHEDULER: &str = "127.0.0.1:50050";
/// An executor that ends within this time by itself could not begin.
const STARTED: Duration = Duration::from_secs(15);
/// How long a task may go on in an executor that is to stop.
const STOPPED: Duration = Duration::from_secs(20);
/// How often an executor looks whether its scheduler is back.
const AGAIN: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Run the scheduler, which hands out the tasks; each cluster has one
    #[command(after_help = "\
It reads no data. It asks for no password: an address that others can reach needs --cluster-tls.

Examples:
  rejoin cluster scheduler
  rejoin cluster scheduler --listen 10.0.0.4:50050 --cluster-tls tls/")]
    Scheduler(SchedulerArguments),
    /// Run an executor, which computes tasks over the lake's files
    #[command(after_help = "\
It reads the lake itself: --lake and the AWS_* variables are those of its own machine, none come over the network. \
SIGTERM stops it; the statements that it worked at run again on other executors.

Examples:
  rejoin cluster executor --lake s3://shop/lake --vcores 8 --memory 24GiB
  rejoin cluster executor --lake s3://shop/lake --scheduler 10.0.0.4:50050 \\
      --listen 10.0.0.5:50051 --cluster-tls tls/")]
    Executor(ExecutorArguments),
    /// How many executors there are
    #[command(after_help = "Example:\n  rejoin cluster status --cluster 10.0.0.4:50050")]
    Status,
}

#[derive(Debug, Args)]
pub struct SchedulerArguments {
    /// Where executors and clients find it
    #[arg(long, value_name = "ADDR", default_value = SCHEDULER)]
    pub listen: String,
    /// Listen on an address that others can reach without TLS, e.g. in a private network
    #[arg(long)]
    pub without_tls: bool,
}

#[derive(Debug, Args)]
pub struct ExecutorArguments {
    /// Address of the scheduler
    #[arg(long, value_name = "ADDR", default_value = SCHEDULER)]
    pub scheduler: String,
    /// Where others find it: this port for rows, the next one for tasks; 0 for any two that are free, so that many run on a machine
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: String,
    /// Tasks at once [default: one per core]
    #[arg(long, value_name = "N")]
    pub vcores: Option<usize>,
    /// Where rows between stages are kept [default: a temporary folder]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Listen on an address that others can reach without TLS, e.g. in a private network
    #[arg(long)]
    pub without_tls: bool,
}

/// Runs one of them.
pub async fn run(settings: &Settings, command: &ClusterCommand) -> Result<()> {
    match command {
        ClusterCommand::Scheduler(arguments) => scheduler(settings, arguments).await,
        ClusterCommand::Executor(arguments) => executor(settings, arguments).await,
        ClusterCommand::Status => status(settings).await,
    }
}

async fn scheduler(settings: &Settings, arguments: &SchedulerArguments) -> Result<()> {
    let mut signals = Signals::new()?;
    let (listener, address) = bind("--listen", &arguments.listen).await?;
    private("--listen", address, settings, arguments.without_tls)?;
    note(format!("rejoin: scheduler at {address}"));
    let (stopper, stop) = watch::channel(false);
    let serving = serve(listener, settings.wire.clone(), store_of(settings)?, stop);
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return served,
        () = signals.next() => {}
    }
    note("rejoin: stopping; jobs that run now must be run again");
    // what listened has ended by itself
    let _ = stopper.send(true);
    serving.await
}

async fn executor(settings: &Settings, arguments: &ExecutorArguments) -> Result<()> {
    let scheduler =
        arguments.scheduler.rsplit_once(':').and_then(|(host, port)| Some((host.to_string(), port.parse().ok()?)));
    let scheduler = scheduler.ok_or_else(|| {
        Error::usage(format!("--scheduler {}: expected HOST:PORT, e.g. {SCHEDULER}", arguments.scheduler))
    })?;
    let (rows, address) = bind("--listen", &arguments.listen).await?;
    private("--listen", address, settings, arguments.without_tls)?;
    let next = if arguments.listen.ends_with(":0") || arguments.listen == "0" { 0 } else { address.port() + 1 };
    let (tasks, tasks_address) = bind("--listen", &SocketAddr::new(address.ip(), next).to_string()).await?;
    // they were free, and are asked for again at once
    drop((rows, tasks));
    let temporary = match &arguments.work_dir {
        Some(_) => None,
        None => Some(WorkFolder::create()?),
    };
    let work_dir = match (&arguments.work_dir, &temporary) {
        (Some(folder), _) => folder.clone(),
        (None, Some(temporary)) => temporary.rows(),
        (None, None) => return Err(Error::bug("an executor without a folder")),
    };
    std::fs::create_dir_all(&work_dir).map_err(|e| Error::configuration(format!("{}: {e}", work_dir.display())))?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let vcores = arguments.vcores.or(settings.threads).unwrap_or(cores).max(1);
    note(format!(
        "rejoin: executor at {address}, {vcores} tasks at once, for the scheduler at {}",
        arguments.scheduler
    ));
    let executor = ExecutorSettings {
        scheduler,
        address,
        tasks_port: tasks_address.port(),
        vcores,
        memory_bytes: settings.memory_bytes,
        work_dir,
        wire: settings.wire.clone(),
    };
    let mut signals = Signals::new()?;
    let begun = Instant::now();
    let executing = execute(executor, store_of(settings)?, settings.lake.clone());
    tokio::pin!(executing);
    let mut asked = false;
    loop {
        tokio::select! {
            ended = &mut executing => {
                ended?;
                break;
            }
            () = signals.next(), if !asked => asked = true,
            () = sleep(STOPPED), if asked => {
                note("rejoin: a task does not stop; its statement runs again elsewhere");
                drop(temporary);
                // whatever computes it would hold the end up
                std::process::exit(0);
            }
        }
    }
    if asked {
        return Ok(());
    }
    if begun.elapsed() < STARTED {
        return Err(Error::unavailable(format!(
            "the executor at {address} stopped by itself: is this port, or the next one, in use? (--listen takes others; RUST_LOG=info tells more)"
        )));
    }
    // Ballista's executors end when their scheduler has not answered for half a minute
    note(format!("rejoin: the scheduler at {} does not answer; waiting for it", arguments.scheduler));
    drop(temporary);
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            () = sleep(AGAIN) => {}
        }
        if let Ok(Ok(_)) = timeout(AGAIN, TcpStream::connect(&arguments.scheduler)).await {
            return Err(begin_again());
        }
    }
}

/// Turns this process into a new one of the same command: Ballista keeps in memory that this one has ended. Comes back only with
/// the reason why that failed.
fn begin_again() -> Error {
    #[cfg(unix)]
    let failed = match std::env::current_exe() {
        Ok(program) => {
            let mut command = std::process::Command::new(program);
            std::os::unix::process::CommandExt::exec(command.args(std::env::args_os().skip(1)))
        }
        Err(error) => error,
    };
    #[cfg(not(unix))]
    let failed = "a process of this system cannot turn into another";
    Error::unavailable(format!("the scheduler is back, but this executor cannot begin again: {failed}; start it again"))
}

async fn status(settings: &Settings) -> Result<()> {
    let cluster = settings.cluster()?.ok_or_else(|| Error::usage("which cluster? give --cluster HOST:PORT"))?;
    let found = cluster.overview(None).await?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&json!({ "version": found.version, "executors": found.executors, "vcores": found.vcores }))?;
    } else {
        output
            .line(format!("{} executors, {} tasks at once, rejoin {}", found.executors, found.vcores, found.version))?;
    }
    output.close()
}

/// A runtime that knows the lake's store, and no other.
fn store_of(settings: &Settings) -> Result<Arc<RuntimeEnv>> {
    let runtime = runtime(settings.memory_bytes)?;
    runtime.register_object_store(settings.lake.store_url().as_ref(), settings.lake.store().clone());
    Ok(runtime)
}

/// All who reach a part of a cluster can read what it can read.
fn private(option: &str, address: SocketAddr, settings: &Settings, without_tls: bool) -> Result<()> {
    if address.ip().is_unspecified() {
        return Err(Error::usage(format!("{option} {address}: give the address by which the others reach it")));
    }
    if !address.ip().is_loopback() && !without_tls && !settings.wire.is_secure() {
        return Err(Error::usage(format!(
            "{option} {address}: others can reach this address, so it needs --cluster-tls DIR; or --without-tls, where something else protects it"
        )));
    }
    Ok(())
}
