//! `rejoin status` (each suite and source, what waits) and `rejoin log` (the file log).

use chrono::{DateTime, Utc};
use clap::Args;
use serde::Serialize;

use super::listing::Listing;
use super::output::Output;
use super::settings::Settings;
use super::suite::{SuiteReport, on_off};
use crate::engine::Engine;
use crate::format::Format;
use crate::lake::Registry;
use crate::lake::records::FileEntry;
use crate::lake::suites::{find, suites};
use crate::lake::tables::REJECTS;
use crate::quote::literal;
use crate::rebuild::{
    FeedStatus, PersonStatus, SourceStatus, is_stale, last_rebuild, status_of_feeds, status_of_persons,
    status_of_sources,
};
use crate::{Error, Result};

/// The file log: every file that was offered, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
A file that waits, for its .fin or for the rest of its delivery, left nothing in the lake, so it is not listed: \
rejoin ingest PATH --validate says what waits under a path, and why.

Examples:
  rejoin log --suite acme
  rejoin log --errors returns_0901.txt
  rejoin ingest drop/ --validate")]
pub struct LogArguments {
    /// Only files of this data source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// Largest number of files to list
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// The rejected rows of this file instead
    #[arg(long, value_name = "FILE")]
    pub errors: Option<String>,
}

/// How somebody learns of files that are in no table.
pub const WAITING: &str = "a file that waits is in no log: rejoin ingest PATH --validate says what waits, and why";

/// What there is to know of a lake at a glance.
#[derive(Debug, Serialize)]
struct Status {
    lake: String,
    suites: Vec<SuiteReport>,
    sources: Vec<SourceStatus>,
    /// How the data feeds of each suite were read.
    feeds: Vec<FeedStatus>,
    last_rebuild: Option<i64>,
    last_rebuild_ended: Option<DateTime<Utc>>,
    /// The persons of each suite that has them, as the last rebuild found them.
    persons: Vec<PersonStatus>,
    /// An input or a setting changed since the last rebuild.
    stale: bool,
}

/// Prints the status.
pub async fn status(settings: &Settings) -> Result<()> {
    let status = Status::read(settings).await?;
    let mut output = Output::stdout(Format::Table).with_null("");
    if settings.json {
        output.json(&status)?;
        return output.close();
    }
    if status.suites.is_empty() {
        output.line(format!("{} holds no suite yet; create one with: rejoin suite create RSID", status.lake))?;
        return output.close();
    }
    let suites = &status.suites;
    output.batch(
        &Listing::new()
            .text("suite", suites.iter().map(|s| &s.suite))
            .text("transaction ID recording", suites.iter().map(|s| on_off(s.transaction_id)))
            .text("expiry", suites.iter().map(|s| &s.expiry))
            .text("rules", suites.iter().map(|s| &s.rules))
            .text("time zone", suites.iter().map(|s| &s.time_zone))
            .batch()?,
    )?;
    output.line("")?;
    output.batch(&table(&status.sources)?)?;
    if !status.feeds.is_empty() || !status.persons.is_empty() {
        output.line("")?;
    }
    for feed in &status.feeds {
        output.line(format!("hits of {}: {}", feed.suite, feed.describe()))?;
    }
    for persons in &status.persons {
        output.line(format!("persons of {}: {}", persons.suite, persons.describe()))?;
    }
    let rebuilt = match (status.last_rebuild, status.last_rebuild_ended) {
        (Some(number), Some(ended)) => format!("rebuild {number} ended at {}", ended.format("%Y-%m-%dT%H:%M:%SZ")),
        _ => "there was no rebuild yet".to_string(),
    };
    let stale = if status.stale { "something changed since; next: rejoin rebuild" } else { "nothing changed since" };
    output.line(format!("\n{rebuilt}; {stale}"))?;
    output.close()
}

/// Prints the file log, or the rejected rows of a file.
pub async fn log(settings: &Settings, arguments: &LogArguments) -> Result<()> {
    let mut files = Registry::<FileEntry>::read(&settings.lake).await?.rows;
    if let Some(file) = &arguments.errors {
        return errors(settings, &files, file).await;
    }
    files.retain(|f| settings.suite.as_ref().is_none_or(|s| &f.suite == s));
    files.retain(|f| arguments.source.as_ref().is_none_or(|s| &f.source == s));
    files.sort_by(|a, b| (b.received, &b.file).cmp(&(a.received, &a.file)));
    files.truncate(arguments.limit.unwrap_or(usize::MAX));
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&files)?;
    } else {
        output.batch(
            &Listing::new()
                .time("received", files.iter().map(|f| f.received))
                .text("suite", files.iter().map(|f| &f.suite))
                .text("source", files.iter().map(|f| &f.source))
                .text("file", files.iter().map(|f| &f.file))
                .text("status", files.iter().map(|f| &f.status))
                .number("rows", files.iter().map(|f| f.rows))
                .number("rejected", files.iter().map(|f| f.rejected))
                .number("warnings", files.iter().map(|f| f.warnings))
                .text("message", files.iter().map(|f| &f.message))
                .batch()?,
        )?;
    }
    output.close()
}

async fn errors(settings: &Settings, files: &[FileEntry], file: &str) -> Result<()> {
    if !files.iter().any(|f| f.file == file) {
        let hint = crate::error::did_you_mean(file, files.iter().map(|f| f.file.as_str()));
        return Err(Error::usage(format!("the file log has no file {file} (see: rejoin log); {WAITING}{hint}")));
    }
    let format = if settings.json { Format::Json } else { Format::Table };
    let mut output = Output::stdout(format);
    let engine = Engine::open(settings.lake.clone(), settings.engine(None)?).await?;
    let columns = engine.columns(REJECTS).await?;
    // a table that nothing was ever written to may have no columns
    if columns.index_of("file").is_err() {
        if settings.json {
            output.json(&[(); 0])?
        } else {
            output.line("no row was ever rejected")?
        }
        return output.close();
    }
    let sql = format!("SELECT * FROM rejects WHERE file = {} ORDER BY line", literal(file));
    let running = engine.run(&sql).await?;
    output.stream(&running.schema, running.rows).await?;
    output.close()
}

impl Status {
    async fn read(settings: &Settings) -> Result<Self> {
        let (lake, suite) = (&settings.lake, settings.suite.as_deref());
        let engine = Engine::open(lake.clone(), settings.engine(None)?).await?;
        let mut all = suites(lake).await?;
        if let Some(name) = suite {
            all = vec![find(&all, name)?.clone()];
        }
        let last = last_rebuild(lake).await?;
        Ok(Self {
            lake: lake.url().to_string(),
            suites: all.iter().map(SuiteReport::new).collect::<Result<_>>()?,
            sources: status_of_sources(lake, suite).await?,
            feeds: status_of_feeds(&engine, suite).await?,
            persons: status_of_persons(&engine, suite).await?,
            last_rebuild: last.as_ref().map(|r| r.rebuild),
            last_rebuild_ended: last.and_then(|r| r.ended),
            stale: is_stale(lake).await?,
        })
    }
}

fn table(sources: &[SourceStatus]) -> Result<arrow::array::RecordBatch> {
    Listing::new()
        .text("id", sources.iter().map(|s| &s.id))
        .text("suite", sources.iter().map(|s| &s.suite))
        .text("source", sources.iter().map(|s| &s.source))
        .text("kind", sources.iter().map(|s| &s.kind))
        .number("queue", sources.iter().map(|s| s.queue))
        .number("rows", sources.iter().map(|s| s.rows))
        .number("errors", sources.iter().map(|s| s.errors))
        .number("warnings", sources.iter().map(|s| s.warnings))
        .time("received", sources.iter().map(|s| s.received))
        .text("status", sources.iter().map(|s| &s.status))
        .batch()
}
