//! The program `rejoin`: sets the process up, runs the command line, and turns its end into an exit code.

use std::io::IsTerminal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use rejoin::cli::args::Arguments;
use rejoin::cli::settings::Settings;
use rejoin::engine::session::STACK_BYTES;
use rejoin::{Error, ErrorKind, Result, cli, cluster};
use tracing_subscriber::EnvFilter;

/// What all threads allocate from. Batches come and go between threads, which the system's allocator is slow at, and of which it
/// gives little back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The process ends after its threads, for a thread that ends while the process does may find what it needs gone. What
/// never ends, as a read of stdin that nobody waits for, holds it no longer than this.
const PATIENCE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match catch_unwind(AssertUnwindSafe(|| run(arguments))) {
        Ok(Ok(code)) => ExitCode::from(code),
        // the reader of the output has seen enough
        Ok(Err(_)) if cli::reader_left() => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            cli::note(format!("rejoin: {error}"));
            ExitCode::from(error.kind().exit_code())
        }
        // the panic has been printed
        Err(_) => ExitCode::from(ErrorKind::Bug.exit_code()),
    }
}

fn run(arguments: Arguments) -> Result<u8> {
    let asked = EnvFilter::try_from_default_env().ok();
    // in which file a line arose is for those who look into it
    let is_asked = asked.is_some();
    let filter = asked.unwrap_or_else(|| EnvFilter::new("off,rejoin=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(is_asked).with_writer(std::io::stderr);
    // colours are for terminals, not for files
    if std::io::stderr().is_terminal() {
        log.init();
    } else {
        log.with_ansi(false).init();
    }
    // fails when one is installed already, which is as good
    let _ = rustls::crypto::ring::default_provider().install_default();
    let settings = Settings::new(&arguments.global)?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = settings.threads {
        // one computes, one hears signals and answers who asks for its health
        builder.worker_threads(threads.max(2));
    }
    let runtime = builder.thread_stack_size(STACK_BYTES).enable_all().build().map_err(|e| {
        Error::unavailable(format!("cannot start {} threads: {e}", settings.threads.unwrap_or_default()))
    })?;
    let result = runtime.block_on(async {
        let result = cli::run(&settings, arguments.command).await;
        cluster::settled().await;
        result
    });
    runtime.shutdown_timeout(PATIENCE);
    result
}
