//! `rejoin query` and `rejoin shell`: SQL from the command line, a file, a pipe, or a person.

use clap::Args;
use std::io::{IsTerminal, Read, stdin};
use std::path::{Path, PathBuf};

use super::output::Output;
use super::settings::{Settings, result_format};
use super::terminal;
use crate::engine::{Engine, Statement};
use crate::format::Format;
use crate::shell::{Printer, Session, interactive, script};
use crate::{Error, Result};

/// Run SQL, print or save the result
#[derive(Debug, Args)]
#[command(after_help = "\
Several statements are separated by `;`, each result is printed in turn.

Examples:
  rejoin query \"SELECT match_status, count(*) FROM events GROUP BY 1\"
  rejoin query \"SELECT * FROM participation('orders', 'page_name', 'visit') ORDER BY credit DESC\"
  rejoin query -f report.sql --format csv -o report.csv
  rejoin query \"SELECT count(*) FROM events\" --as-of 12
  echo 'SELECT 1' | rejoin query -")]
pub struct QueryArguments {
    /// SQL; `-` reads it from stdin
    #[arg(value_name = "SQL", required_unless_present = "file", conflicts_with = "file")]
    pub sql: Option<String>,
    /// Read the SQL from a file
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write to a file, which appears when it is complete; its ending decides the format
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

/// Interactive SQL; reads statements from stdin when that is no terminal
#[derive(Debug, Args)]
pub struct ShellArguments {
    /// How to print results
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

/// Longest SQL text that is read.
const LONGEST_BYTES: u64 = 64 << 20;

/// Runs the statements one after another; the first error ends it.
pub async fn run(settings: &Settings, arguments: &QueryArguments) -> Result<()> {
    let format = result_format(arguments.format, settings.json, arguments.output.as_deref())?;
    let statements = Statement::asked(&text(arguments)?)?;
    if statements.is_empty() {
        return Err(Error::usage("there is no SQL statement; e.g. rejoin query \"SELECT count(*) FROM events\""));
    }
    if let Some(words) = statements.last().and_then(Statement::changes_the_session) {
        return Err(Error::usage(format!(
            "{words} would last no longer than this command; SQL only reads the lake, which rejoin ingest, remove and \
             forget change; a table of your own is a query in a folder, see `rejoin help rebuild`"
        )));
    }
    let first = async {
        let engine = Engine::open(settings.lake.clone(), settings.engine(arguments.as_of.as_deref())?).await?;
        let running = engine.run_statement(&statements[0]).await;
        Ok::<_, Error>((engine, running))
    };
    // on a distant store each is a wait; one that does not answer is waited for once
    let there = settings.lake_is_there();
    tokio::pin!(there, first);
    let first = tokio::select! {
        found = &mut there => {
            found?;
            first.await
        }
        first = &mut first => {
            there.await?;
            first
        }
    };
    let (engine, first) = first?;
    let (mut output, mut first) = (Output::open(format, arguments.output.as_deref())?, Some(first));
    for statement in &statements {
        let running = match first.take() {
            Some(running) => running,
            None => engine.run_statement(statement).await,
        };
        let result = match running {
            Ok(running) => output.print(running).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            // to stdout, results of the statements before stay; a file appears whole or not at all
            output.abandon();
            return Err(error);
        }
    }
    output.close()
}

/// The interactive shell; statements from stdin when that is no terminal.
pub async fn shell(settings: &Settings, arguments: &ShellArguments) -> Result<()> {
    let format = result_format(arguments.format, settings.json, None)?;
    let engine = Engine::open(settings.lake.clone(), settings.engine(arguments.as_of.as_deref())?).await?;
    let mut output = Output::open(format, None)?;
    let mut session = Session::new(engine, &mut output);
    if stdin().is_terminal() {
        interactive(&mut session, &settings.location, terminal::colours()).await
    } else {
        script(&mut session, stdin().lock()).await
    }
}

fn text(arguments: &QueryArguments) -> Result<String> {
    match (arguments.sql.as_deref(), &arguments.file) {
        (Some("-"), _) => read(stdin().lock()).map_err(|e| e.at("stdin")),
        (Some(sql), _) => Ok(sql.to_string()),
        (None, Some(path)) if path == Path::new("-") => read(stdin().lock()).map_err(|e| e.at("stdin")),
        (None, Some(path)) => {
            let file = std::fs::File::open(path).map_err(|e| Error::usage(format!("{}: {e}", path.display())))?;
            read(file).map_err(|e| e.at(path.display()))
        }
        (None, None) => Err(Error::bug("neither SQL nor a file was given")),
    }
}

fn read(from: impl Read) -> Result<String> {
    let mut bytes = vec![];
    from.take(LONGEST_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::usage(e.to_string()))?;
    if bytes.len() as u64 > LONGEST_BYTES {
        return Err(Error::usage("more than 64 MiB of SQL"));
    }
    String::from_utf8(bytes).map_err(|e| Error::usage(format!("the SQL is not UTF-8: {e}")))
}
