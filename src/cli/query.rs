//! `rejoin query` and `rejoin shell`: SQL from the command line, a file, a pipe, or a person.

use std::io::{IsTerminal, Read, stdin};
use std::path::Path;

use super::args::{QueryArguments, ShellArguments};
use super::output::Output;
use super::settings::{Settings, result_format};
use super::terminal;
use crate::engine::Engine;
use crate::shell::{Printer, Session, interactive, script};
use crate::{Error, Result};

/// Longest SQL text that is read.
const LONGEST_BYTES: u64 = 64 << 20;

/// Runs the statements one after another; the first error ends it.
pub async fn run(settings: &Settings, arguments: &QueryArguments) -> Result<()> {
    let format = result_format(arguments.format, settings.json, arguments.output.as_deref())?;
    let statements = Engine::statements(&text(arguments)?)?;
    if statements.is_empty() {
        return Err(Error::usage("there is no SQL statement; e.g. rejoin query \"SELECT count(*) FROM events\""));
    }
    let mut output = Output::open(format, arguments.output.as_deref())?;
    let engine = Engine::open(settings.lake.clone(), settings.engine(arguments.as_of.as_deref())?).await?;
    for statement in &statements {
        let result = match engine.run(statement).await {
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
