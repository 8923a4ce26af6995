//! `rejoin ingest` and `rejoin remove`: files go into the lake and out of it again.

use std::path::PathBuf;
use std::sync::Mutex;

use clap::Args;
use indicatif::{HumanCount, ProgressBar};
use serde_json::{Value, json};

use super::listing::Listing;
use super::output::{Output, note};
use super::progress;
use super::settings::Settings;
use crate::feed::RowIssue;
use crate::format::Format;
use crate::ingest::preview::PreviewColumn;
use crate::ingest::{self, IngestOptions, Outcome, Progress, Status};
use crate::{Error, ErrorKind, Result};

/// Load data feeds, data source files, and any other clickstream
#[derive(Debug, Args)]
#[command(after_help = "\
What each path is, is detected. A data source file NAME.txt loads when NAME.fin is there, a data feed when its \
manifest and all its files are; until then they wait. NAME.txt may be packed: NAME.txt.gz, NAME.txt.zst, or in NAME.zip. \
Loading a file again changes nothing, and neither does a copy of it under another name (--again loads it once more).

Examples:
  rejoin ingest feeds/
  rejoin ingest returns_0901.txt --suite acme --source returns
  rejoin ingest events.parquet --mapping web.toml
  rejoin ingest s3://drop/feeds/
  rejoin ingest new/ --suite acme --source leads --validate")]
pub struct IngestArguments {
    /// Files, folders (searched recursively) and s3://bucket/prefix/
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Data source that data source files belong to
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// How the columns of any other clickstream map to ours (TOML); may be given several times
    #[arg(long, value_name = "FILE")]
    pub mapping: Vec<PathBuf>,
    /// Only report what would be loaded and rejected
    #[arg(long)]
    pub validate: bool,
    /// A loaded file of this name with other content is replaced
    #[arg(long)]
    pub replace: bool,
    /// Bytes that are loaded already under another name or source are loaded once more
    #[arg(long)]
    pub again: bool,
}

/// Take a loaded file out again; the next rebuild restates what depended on it
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  rejoin remove returns_0901.txt --suite acme --source returns && rejoin rebuild")]
pub struct RemoveArguments {
    /// Names of loaded files, as in the file log
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Only files of this data source
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
}

/// Loads what the paths hold. A refused input does not keep others from loading; it decides the exit code.
pub async fn run(settings: &Settings, arguments: &IngestArguments) -> Result<()> {
    let options = IngestOptions {
        suite: settings.suite.clone(),
        source: arguments.source.clone(),
        mappings: arguments.mapping.clone(),
        validate: arguments.validate,
        replace: arguments.replace,
        again: arguments.again,
        copies: false,
        memory_bytes: settings.memory_bytes,
    };
    let outcomes = with_progress(settings, &arguments.paths, &options).await?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&outcomes.iter().map(report).collect::<Vec<_>>())?;
    } else if outcomes.is_empty() {
        let others = match arguments.mapping.is_empty() {
            true => "; other files need a mapping (rejoin mapping guess FILE)",
            false => ", and no file for a mapping",
        };
        output.line(format!("nothing to load: no delivery, no .txt with its .fin{others}"))?;
    } else {
        output.batch(&table(&outcomes)?)?;
    }
    for outcome in outcomes.iter().filter(|_| !settings.json) {
        if let Some(preview) = &outcome.preview {
            output.line("")?;
            output.line(crate::format::printable(&outcome.entry.file))?;
            // a feed has a thousand events, of which a site uses some
            let is_shown = |c: &&PreviewColumn| c.filled > 0 || outcome.entry.format != "feed";
            let columns: Vec<&PreviewColumn> = preview.columns.iter().filter(is_shown).collect();
            output.batch(&preview_table(preview.rows, &columns)?)?;
            if columns.len() < preview.columns.len() {
                output.line(format!("and {} more without a value", preview.columns.len() - columns.len()))?;
            }
        }
    }
    output.close()?;
    for outcome in &outcomes {
        explain(outcome);
    }
    verdict(&outcomes)
}

/// Takes loaded files out again.
pub async fn remove(settings: &Settings, arguments: &RemoveArguments) -> Result<()> {
    let source = arguments.source.as_deref();
    let removed = ingest::remove(&settings.lake, &arguments.files, settings.suite.as_deref(), source).await?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&removed)?;
    } else {
        for entry in &removed {
            let rows = HumanCount(entry.rows.unsigned_abs());
            output
                .line(format!("{} is removed, {rows} rows; what hung on it follows at the next rebuild", entry.file))?;
        }
    }
    output.close()
}

/// Ingests with a bar a file.
pub async fn with_progress(
    settings: &Settings,
    paths: &[std::path::PathBuf],
    options: &IngestOptions,
) -> Result<Vec<Outcome>> {
    let current: Mutex<Option<ProgressBar>> = Mutex::new(None);
    let show = |step: Progress| {
        // a bar is no reason to fail
        let Ok(mut bar) = current.lock() else { return };
        match step {
            Progress::Ignored(count) => {
                let (files, are) = if count == 1 { ("file", "is") } else { ("files", "are") };
                note(format!("{count} {files} of the searched folders {are} no input"));
            }
            Progress::Idle(told) => note(crate::format::printable(&told)),
            Progress::Start { file, bytes } => *bar = Some(progress::bar(&file, bytes, "bytes")),
            Progress::Bytes(done) => bar.iter().for_each(|b| b.set_position(done)),
            Progress::Committing | Progress::Committed => {}
            Progress::Read => bar.take().into_iter().for_each(|b| b.finish_and_clear()),
        }
    };
    ingest::ingest(&settings.lake, paths, options, &show).await
}

/// What went wrong with the outcomes, as the error that decides the exit code.
pub fn verdict(outcomes: &[Outcome]) -> Result<()> {
    let refused: Vec<&Error> = outcomes
        .iter()
        .filter_map(|o| match &o.status {
            Status::Refused(error) => Some(error),
            _ => None,
        })
        .collect();
    let Some(first) = refused.first() else { return Ok(()) };
    // one reason for all keeps its kind; several inputs refused for different ones are refused inputs
    let kind = if refused.iter().all(|e| e.kind() == first.kind()) { first.kind() } else { ErrorKind::Refused };
    let (count, of) = (refused.len(), outcomes.len());
    Err(Error::new(kind, format!("{count} of {of} inputs {} not loaded", if count == 1 { "was" } else { "were" })))
}

fn word(status: &Status) -> &'static str {
    match status {
        Status::Loaded => "loaded",
        Status::Unchanged => "unchanged",
        Status::Copy(_) => "copy",
        Status::Replaced => "replaced",
        Status::Validated => "validated",
        Status::Waiting(_) => "waiting",
        Status::Refused(_) => "refused",
    }
}

fn table(outcomes: &[Outcome]) -> Result<arrow::array::RecordBatch> {
    let entries = || outcomes.iter().map(|o| &o.entry);
    Listing::new()
        .text("file", entries().map(|e| &e.file))
        .text("suite", entries().map(|e| &e.suite))
        .text("source", entries().map(|e| &e.source))
        .text("status", outcomes.iter().map(|o| word(&o.status)))
        .number("rows", entries().map(|e| e.rows))
        .number("rejected", entries().map(|e| e.rejected))
        .number("warnings", entries().map(|e| e.warnings))
        .batch()
}

/// A row a column: how full it is, and its values in the first rows.
fn preview_table(rows: u64, columns: &[&PreviewColumn]) -> Result<arrow::array::RecordBatch> {
    let share = |filled: u64| match rows {
        0 => String::new(),
        // a column that lacks one value is not full
        rows => format!("{} %", filled * 100 / rows),
    };
    let columns = || columns.iter();
    let listing =
        Listing::new().text("column", columns().map(|c| &c.name)).text("filled", columns().map(|c| share(c.filled)));
    let shown = columns().next().map_or(0, |column| column.first.len());
    let names = ["row 1", "row 2", "row 3"];
    let with_rows = names.iter().take(shown).enumerate().fold(listing, |listing, (row, name)| {
        listing.text(name, columns().map(|c| c.first.get(row).cloned().flatten().unwrap_or_default()))
    });
    with_rows.batch()
}

/// An outcome for scripts.
pub fn report(outcome: &Outcome) -> Value {
    let entry = &outcome.entry;
    let reason = match &outcome.status {
        Status::Waiting(reason) | Status::Copy(reason) => Some(reason.clone()),
        Status::Refused(error) => Some(error.to_string()),
        _ => None,
    };
    let issues = |issues: &[RowIssue]| -> Vec<Value> {
        let issue = |r: &RowIssue| json!({ "line": r.line, "column": r.column, "reason": r.reason, "text": r.text });
        issues.iter().map(issue).collect()
    };
    let rejects = issues(&outcome.rejects);
    json!({
        "file": entry.file, "suite": entry.suite, "source": entry.source, "kind": entry.kind, "format": entry.format,
        "status": word(&outcome.status), "rows": entry.rows, "rejected": entry.rejected, "warnings": entry.warnings,
        "bytes": entry.bytes, "message": entry.message, "reason": reason, "first_rejects": rejects,
        "first_warnings": issues(&outcome.warnings), "preview": outcome.preview,
    })
}

/// What a person should know beyond the table, on stderr.
pub fn explain(outcome: &Outcome) {
    let entry = &outcome.entry;
    // the maker of an archive named what is in it
    let file = crate::format::printable(&entry.file);
    match &outcome.status {
        Status::Waiting(reason) => note(crate::format::printable(&format!("{}: waits: {reason}", entry.file))),
        Status::Copy(reason) => note(crate::format::printable(&format!("{}: {reason}", entry.file))),
        // it names its input
        Status::Refused(error) => note(crate::format::printable(&error.to_string())),
        _ => {}
    }
    let new = matches!(outcome.status, Status::Loaded | Status::Replaced | Status::Validated);
    if new && entry.warnings > 0 {
        let warnings = if entry.warnings == 1 { "warning" } else { "warnings" };
        note(format!("{file}: {} {warnings}", HumanCount(entry.warnings.unsigned_abs())));
        outcome.warnings.iter().for_each(note_issue);
    }
    if !new || entry.rejected == 0 {
        return;
    }
    let rows = if entry.rejected == 1 { "row" } else { "rows" };
    note(format!("{file}: {} {rows} rejected", HumanCount(entry.rejected.unsigned_abs())));
    outcome.rejects.iter().for_each(note_issue);
    let more = entry.rejected.unsigned_abs() > outcome.rejects.len() as u64;
    if more && !matches!(outcome.status, Status::Validated) {
        note(format!("  all of them: rejoin log --errors {file}"));
    }
}

fn note_issue(issue: &RowIssue) {
    let column = if issue.column.is_empty() { String::new() } else { format!(", {}", issue.column) };
    note(crate::format::printable(&format!("  line {}{column}: {}", issue.line, issue.reason)));
}
