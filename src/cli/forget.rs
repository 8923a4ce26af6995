//! `rejoin forget`: erases visitors, a person, or everything before a month, and rebuilds what hung on it.
//!
//! Before, a stale lake is rebuilt, so that records that are not integrated yet are found, and whose the rows are; after, it is
//! rebuilt again, so that the newest rebuild names no version with the rows, and `vacuum` can delete their files.

use clap::Args;
use std::io::{IsTerminal, Write, stdin};
use std::path::PathBuf;

use indicatif::HumanCount;
use serde_json::json;

use super::listing::Listing;
use super::output::{Output, note};
use super::person::{self, FoundPerson};
use super::settings::Settings;
use super::{progress, rebuild};
use crate::engine::Engine;
use crate::format::Format;
use crate::ingest::forget::month;
use crate::ingest::{ForgetOptions, Forgotten, Whose, forget};
use crate::lake::Snapshot;
use crate::lake::rewrite::Limits;
use crate::lake::tables::OFFLINE;
use crate::rebuild::{RebuildOptions, Rebuilt, is_stale, tables_with_removed_rows};
use crate::{Error, Result};

/// Erase a visitor, a person, or everything before a month
#[derive(Debug, Args)]
#[command(after_help = "\
Hits, offline records and what came of them leave every table, of all suites or of --suite; other rows stay as they \
are. Loading the same files again does not bring them back. Former versions hold the rows until they are vacuumed. \
In a terminal you are asked first.

With --person, the rows that bear an ID of the person go, and the rules that name one. Rows without an ID fall back \
to their visitor, never to another person. --dry-run also shows the person's visitors, and the rules that name one.

Examples:
  rejoin forget --visitor 3459017_8812 --suite acme --dry-run
  rejoin forget --visitor 3459017_8812 --yes && rejoin vacuum --keep 0 --force
  rejoin forget --person id:ann --dry-run
  rejoin forget --before 2025-01 --suite acme      # keeps January 2025 and later months")]
pub struct ForgetArguments {
    /// The visitor's id, as in the table hits; may be given several times
    #[arg(long, value_name = "ID", required_unless_present_any = ["person", "before"], conflicts_with_all = ["person", "before"])]
    pub visitor: Vec<String>,
    /// A person: a customer ID (id:ID), or a visitor who is one (visitor:ID)
    #[arg(long, value_name = "ID", conflicts_with = "before")]
    pub person: Option<String>,
    /// All hits and offline records before this month, in the suite's zone
    #[arg(long, value_name = "MONTH")]
    pub before: Option<String>,
    /// Only say what would go
    #[arg(long)]
    pub dry_run: bool,
    /// Folder with the queries of your own tables, for the rebuild that follows
    #[arg(long, value_name = "DIR", env = "REJOIN_QUERIES", hide_env = true)]
    pub queries: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// Forgets and shows what was removed.
pub async fn run(settings: &Settings, arguments: &ForgetArguments) -> Result<()> {
    let whose = whose(settings, arguments).await?;
    let limits = Limits { memory_bytes: settings.memory_bytes, threads: settings.threads };
    let options = ForgetOptions { suite: settings.suite.clone(), dry_run: arguments.dry_run, limits };
    let hangs_on_rebuild = match whose {
        Whose::Before(_) => false,
        Whose::Visitors(_) => Snapshot::open(&settings.lake, OFFLINE, None).await?.version.is_some(),
        Whose::Person(_) => true,
    };
    let mut stale = hangs_on_rebuild && is_stale(&settings.lake).await?;
    if stale && arguments.dry_run {
        note(
            "something changed since the last rebuild; offline records that came since are not tied to visitors yet, nor counted",
        );
    }
    let rebuilding = RebuildOptions { full: false, queries: arguments.queries.clone() };
    if stale && !arguments.dry_run && matches!(whose, Whose::Person(_)) {
        // who the person is must be known before it can be asked about
        rebuild::with_progress(settings, &rebuilding, true).await?;
        stale = false;
    }
    let asks = !arguments.yes && !arguments.dry_run && stdin().is_terminal();
    if asks && !confirmed(settings, &whose, &options).await? {
        note("nothing was changed");
        return Ok(());
    }
    if stale && !arguments.dry_run {
        rebuild::with_progress(settings, &rebuilding, true).await?;
    }
    let done = with_spinner(settings, &whose, &options).await?;
    let persons = if arguments.dry_run { found(settings, &whose).await? } else { vec![] };
    let rebuilt = match done.rows() {
        0 => None,
        _ if arguments.dry_run => None,
        _ => Some(rebuild::with_progress(settings, &rebuilding, true).await?.rebuilt),
    };
    let behind = match &rebuilt {
        Some(_) => tables_with_removed_rows(&settings.lake).await?,
        None => vec![],
    };
    let mut output = Output::stdout(Format::Table).with_null("");
    if settings.json {
        output.json(&json!({
            "dry_run": done.dry_run,
            "rows": done.rows(),
            "persons": persons.iter().map(FoundPerson::report).collect::<Result<Vec<_>>>()?,
            "tables": done.tables,
            "incomplete": done.incomplete,
            "rebuild": rebuilt.as_ref().map(|r| r.entry.rebuild),
            "own_tables_left": behind,
        }))?;
        output.close()?;
        return own_tables(rebuilt, &behind);
    }
    persons.iter().try_for_each(|person| person.show(&mut output))?;
    show(&mut output, &done)?;
    if let Some(rebuilt) = &rebuilt {
        output.line(format!("rebuild {}: what hung on them is restated", rebuilt.entry.rebuild))?;
        output.line("former versions hold the rows until: rejoin vacuum (now and all of it: --keep 0 --force)")?;
    }
    for file in &done.incomplete {
        note(format!("{file}: was loaded in part only; load it again, and then run this command again"));
    }
    output.close()?;
    own_tables(rebuilt, &behind)
}

/// Whose rows the arguments name.
async fn whose(settings: &Settings, arguments: &ForgetArguments) -> Result<Whose> {
    if let Some(text) = &arguments.before {
        return Ok(Whose::Before(month(text).map_err(|e| e.at("--before"))?));
    }
    if let Some(text) = &arguments.person {
        let engine = Engine::open(settings.lake.clone(), settings.engine(None)?).await?;
        let whom = person::subject(&engine, text, false).await;
        return Ok(Whose::Person(whom.map_err(|e| e.at("--person"))?));
    }
    if arguments.visitor.iter().any(|id| id.trim().is_empty()) {
        return Err(Error::usage("--visitor: the id is empty"));
    }
    Ok(Whose::Visitors(arguments.visitor.clone()))
}

/// The persons who are meant, where one is.
async fn found(settings: &Settings, whose: &Whose) -> Result<Vec<FoundPerson>> {
    match whose {
        Whose::Person(whom) => person::found(settings, whom).await,
        Whose::Visitors(_) | Whose::Before(_) => Ok(vec![]),
    }
}

/// An own table that was not built anew has its former rows, which may be those that were to go.
fn own_tables(rebuilt: Option<Rebuilt>, behind: &[String]) -> Result<()> {
    if !behind.is_empty() {
        return Err(Error::query(format!(
            "own tables that were not built anew may still hold what was forgotten: {}; run rejoin rebuild --queries DIR, \
             DIR being the folder of their files",
            behind.join(", ")
        )));
    }
    rebuilt.map_or(Ok(()), |rebuilt| rebuild::verdict(&rebuilt.own))
}

async fn with_spinner(settings: &Settings, whose: &Whose, options: &ForgetOptions) -> Result<Forgotten> {
    let spinner = progress::spinner("looking for rows");
    let done = forget(&settings.lake, whose, options).await;
    spinner.finish_and_clear();
    done
}

/// Shows what would go and asks.
async fn confirmed(settings: &Settings, whose: &Whose, options: &ForgetOptions) -> Result<bool> {
    let would = with_spinner(settings, whose, &ForgetOptions { dry_run: true, ..options.clone() }).await?;
    let mut output = Output::stdout(Format::Table).with_null("");
    found(settings, whose).await?.iter().try_for_each(|person| person.show(&mut output))?;
    show(&mut output, &would)?;
    output.close()?;
    // a question belongs to the terminal, not to the result
    let mut terminal = std::io::stderr();
    write!(terminal, "Forget them? This cannot be undone. [y/N] ")?;
    terminal.flush()?;
    let mut answer = String::new();
    stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

fn show(output: &mut Output, done: &Forgotten) -> Result<()> {
    if done.rows() == 0 {
        return output.line("no such row: nothing to forget");
    }
    let tables = || done.tables.iter().filter(|t| t.rows > 0);
    output.batch(
        &Listing::new()
            .text("table", tables().map(|t| &t.table))
            .number("rows", tables().map(|t| t.rows as i64))
            .number("files changed", tables().map(|t| t.files as i64))
            .batch()?,
    )?;
    let verb = if done.dry_run { "would be forgotten" } else { "forgotten" };
    let rows = if done.rows() == 1 { "row" } else { "rows" };
    output.line(format!("\n{} {rows} {verb}", HumanCount(done.rows())))
}
