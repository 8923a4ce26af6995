//! Which command does what was asked for.

use clap::CommandFactory;
use futures::FutureExt;
use futures::future::LocalBoxFuture;

use super::args::{Arguments, Command};
use super::output::Output;
use super::settings::Settings;
use super::suite::SuiteCommand;
use super::{
    cluster, compact, demo, doctor, explain_credit, export, forget, functions, help, history, ingest, lookup, mapping,
    mcp, person, query, rebuild, report, sample, schedule, segment, serve, source, status, suite, user, vacuum,
};
use crate::format::Format;
use crate::lake::location::is_file;
use crate::{Error, Result};

/// As shells have it for a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs a command; the exit code of one that did not fail. Ctrl-C drops what runs, so that no temporary file stays.
///
/// In a box, so that the compiler makes the work of all commands here, once, and not in the program that waits for it.
pub fn run(settings: &Settings, command: Command) -> LocalBoxFuture<'_, Result<u8>> {
    run_command(settings, command).boxed_local()
}

async fn run_command(settings: &Settings, command: Command) -> Result<u8> {
    let needs_lake = reads_lake(&command);
    if (needs_lake || matches!(command, Command::Suite(_) | Command::Ingest(_))) && is_file(&settings.location) {
        return Err(Error::configuration(format!(
            "no lake at {}: it is a file, and a lake a folder",
            settings.location
        )));
    }
    // a query looks beside its first statement
    if needs_lake && !matches!(command, Command::Query(_)) {
        settings.lake_is_there().await?;
    }
    let stops_itself = stops_itself(&command);
    tokio::select! {
        done = dispatch(settings, command) => done,
        _ = tokio::signal::ctrl_c(), if !stops_itself => Ok(INTERRUPTED),
    }
}

/// True for commands that stop in their own way: in the shell Ctrl-C ends a statement, not the shell.
fn stops_itself(command: &Command) -> bool {
    matches!(command, Command::Shell(_) | Command::Schedule(_) | Command::Serve(_) | Command::Cluster(_))
}

/// True for commands that mean nothing where no lake is: only `suite create` and `ingest` make one.
fn reads_lake(command: &Command) -> bool {
    match command {
        Command::Suite(command) => !matches!(command, SuiteCommand::Create(_)),
        // without a name the reports are listed
        Command::Report(arguments) => arguments.name.is_some(),
        Command::Demo(_)
        | Command::Sample(_)
        | Command::Ingest(_)
        | Command::Mapping(_)
        | Command::User(_)
        | Command::Cluster(_)
        | Command::Functions(_)
        | Command::Help(_)
        | Command::Doctor
        | Command::Completions { .. } => false,
        _ => true,
    }
}

async fn dispatch(settings: &Settings, command: Command) -> Result<u8> {
    match command {
        Command::Schedule(arguments) => return schedule::run(settings, &arguments).await,
        Command::Serve(arguments) => return serve::run(settings, &arguments).await,
        Command::Demo(arguments) => demo::run(settings, &arguments).await,
        Command::Sample(arguments) => sample::run(settings, &arguments),
        Command::Suite(command) => suite::run(settings, &command).await,
        Command::Source(command) => source::run(settings, &command).await,
        Command::Ingest(arguments) => ingest::run(settings, &arguments).await,
        Command::Remove(arguments) => ingest::remove(settings, &arguments).await,
        Command::Rebuild(arguments) => rebuild::run(settings, &arguments).await,
        Command::Compact => compact::run(settings).await,
        Command::Mcp(arguments) => mcp::run(settings, &arguments).await,
        Command::User(command) => user::run(settings, &command),
        Command::Cluster(command) => cluster::run(settings, &command).await,
        Command::Status => status::status(settings).await,
        Command::Log(arguments) => status::log(settings, &arguments).await,
        Command::History(arguments) => history::run(settings, &arguments).await,
        Command::Forget(arguments) => forget::run(settings, &arguments).await,
        Command::Vacuum(arguments) => vacuum::run(settings, &arguments).await,
        Command::Query(arguments) => query::run(settings, &arguments).await,
        Command::Shell(arguments) => query::shell(settings, &arguments).await,
        Command::Report(arguments) => report::run(settings, &arguments).await,
        Command::ExplainCredit(arguments) => explain_credit::run(settings, &arguments).await,
        Command::Person(command) => person::run(settings, &command).await,
        Command::ExplainPerson(arguments) => person::explain(settings, &arguments).await,
        Command::Segment(command) => segment::run(settings, &command).await,
        Command::Export(command) => export::run(settings, &command).await,
        Command::Lookup(arguments) => lookup::run(settings, &arguments).await,
        Command::Mapping(command) => mapping::run(&command),
        Command::Functions(arguments) => functions::run(settings, &arguments),
        Command::Help(arguments) => help::run(settings, &arguments, &Arguments::command()),
        Command::Doctor => doctor::run(settings).await,
        Command::Completions { shell } => {
            let mut script = vec![];
            clap_complete::generate(shell, &mut Arguments::command(), "rejoin", &mut script);
            let mut output = Output::stdout(Format::Table);
            output.line(String::from_utf8_lossy(&script).trim_end())?;
            output.close()
        }
    }?;
    Ok(0)
}
