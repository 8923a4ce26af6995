//! `rejoin rebuild`: integrates what is stale, prints what was rebuilt and what matched, and compacts where it is worth it.

use clap::Args;
use indicatif::HumanCount;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Mutex;

use super::compact::{self, Bars};
use super::listing::Listing;
use super::output::{Output, note};
use super::progress;
use super::settings::Settings;
use crate::format::Format;
use crate::lake::records::{JoinReport, Rebuild};
use crate::rebuild::{OwnBuilt, RebuildOptions, Rebuilt, Steps, Upkeep, upkeep};
use crate::{Error, Result};

/// Tie offline records to online visitors, where something is new
#[derive(Debug, Args)]
#[command(after_help = "\
Only what depends on inputs that changed is integrated again. Then the tables of your own are built. Each file \
NAME.sql of the folder is the table NAME: one query, with SET statements before it. It is kept as Parquet in the lake, \
and built again when its text or a table that it reads changed.

Examples:
  rejoin rebuild
  rejoin rebuild --queries ./tables     # daily_returns.sql: SELECT ... FROM events
  rejoin query \"SELECT * FROM daily_returns\"
  rejoin query \"SELECT \\\"table\\\", status, message FROM own_tables\"")]
pub struct RebuildArguments {
    /// Rebuild everything, also what is up to date
    #[arg(long)]
    pub full: bool,
    /// Folder with .sql files, each a table of your own [env: REJOIN_QUERIES] [default: queries/ in the lake]
    #[arg(long, value_name = "DIR", env = "REJOIN_QUERIES", hide_env = true)]
    pub queries: Option<PathBuf>,
    /// Do not compact, however many files the loads have left
    #[arg(long)]
    pub no_compact: bool,
}

/// Runs the rebuild.
pub async fn run(settings: &Settings, arguments: &RebuildArguments) -> Result<()> {
    let options = RebuildOptions { full: arguments.full, queries: arguments.queries.clone() };
    let Upkeep { rebuilt, compacted } = with_progress(settings, &options, arguments.no_compact).await?;
    let compacted = compacted.unwrap_or_else(|error| {
        note(format!("rejoin: not compacted: {error}"));
        vec![]
    });
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&json!({
            "up_to_date": rebuilt.up_to_date,
            "rebuild": rebuilt.entry,
            "reason": rebuilt.reason,
            "join_report": rebuilt.report,
            "own_tables": rebuilt.own,
            "compacted": compacted,
            "seconds": rebuilt.seconds,
        }))?;
        output.close()?;
        return verdict(&rebuilt.own);
    }
    if let Some(reason) = rebuilt.reason {
        output.line(format!("everything was integrated: {reason}"))?;
    }
    if rebuilt.up_to_date {
        output.line("nothing is stale; --full rebuilds all the same")?;
    } else {
        output.line(summary(&rebuilt))?;
    }
    for line in compacted.iter().filter_map(compact::summary) {
        output.line(line)?;
    }
    if !rebuilt.report.is_empty() {
        output.line("")?;
        output.batch(&join_report(&rebuilt.report)?)?;
    }
    if !rebuilt.own.is_empty() {
        output.line("")?;
        output.batch(&own_tables(&rebuilt.own)?)?;
    }
    output.close()?;
    verdict(&rebuilt.own)
}

/// What became of the own tables, as a table.
fn own_tables(own: &[OwnBuilt]) -> Result<arrow::array::RecordBatch> {
    let seconds = own.iter().map(|o| format!("{:.1}", o.seconds));
    Listing::new()
        .text("own table", own.iter().map(|o| &o.table))
        .text("status", own.iter().map(|o| o.status))
        .number("rows", own.iter().map(|o| o.rows))
        .text("seconds", seconds)
        .text("message", own.iter().map(|o| &o.message))
        .batch()
}

/// Own tables that were not built, as the error that decides the exit code.
pub fn verdict(own: &[OwnBuilt]) -> Result<()> {
    let not_built: Vec<&str> = own.iter().filter(|o| o.status != "built").map(|o| o.table.as_str()).collect();
    if not_built.is_empty() {
        return Ok(());
    }
    Err(Error::query(format!("not built, each keeps its former rows: {}", not_built.join(", "))))
}

/// What was rebuilt, in a line.
fn summary(rebuilt: &Rebuilt) -> String {
    let Rebuild { rebuild, scope, rows, new_rows, snapshots, new_snapshots, .. } = &rebuilt.entry;
    let part = |new: &i64, all: &i64, what: &str| match scope.as_str() {
        "full" => format!("{} {what}", count(*all)),
        _ => format!("{} of {} {what}", count(*new), count(*all)),
    };
    let (rows, snapshots) = (part(new_rows, rows, "offline rows"), part(new_snapshots, snapshots, "snapshots"));
    format!("rebuild {rebuild}: {rows}, {snapshots}, {:.1} s", rebuilt.seconds)
}

/// Rebuilds and compacts where it is worth it, with a spinner and bars that say what is done.
pub async fn with_progress(settings: &Settings, options: &RebuildOptions, no_compact: bool) -> Result<Upkeep> {
    let (bars, spinner) = (Bars::default(), Mutex::new(Some(progress::spinner("rebuilding"))));
    // a compaction may come before and after the rebuild
    let rest = || {
        if let Ok(mut spinner) = spinner.lock() {
            spinner.take().into_iter().for_each(|spinner| spinner.finish_and_clear());
        }
    };
    let steps = Steps {
        rebuilding: &|what| {
            bars.clear();
            if let Ok(mut spinner) = spinner.lock() {
                spinner.get_or_insert_with(|| progress::spinner("rebuilding")).set_message(what.to_string());
            }
        },
        compacting: &|table, done, total| {
            rest();
            bars.show(table, done, total);
        },
    };
    let done = upkeep(&settings.lake, &settings.engine(None)?, options, no_compact, steps).await;
    rest();
    bars.clear();
    done
}

/// A number of a report.
type Number = fn(&JoinReport) -> i64;

/// What matched, as a table; statuses that no row has are left out.
pub fn join_report(report: &[JoinReport]) -> Result<arrow::array::RecordBatch> {
    let several = report.iter().any(|r| r.suite != report[0].suite);
    let mut listing = Listing::new();
    if several {
        listing = listing.text("suite", report.iter().map(|r| &r.suite));
    }
    listing = listing
        .text("source", report.iter().map(|r| &r.source))
        .text("kind", report.iter().map(|r| &r.kind))
        .text("file", report.iter().map(|r| &r.file));
    let numbers: [(&str, Number); 9] = [
        ("records", |r| r.records),
        ("matched", |r| r.matched),
        ("unmatched", |r| r.unmatched),
        ("expired", |r| r.expired),
        ("disabled", |r| r.disabled),
        ("ambiguous", |r| r.ambiguous),
        ("summary", |r| r.summary),
        ("rejected", |r| r.rejected),
        ("shared IDs", |r| r.shared_ids),
    ];
    for (i, (name, value)) in numbers.into_iter().enumerate() {
        if i < 3 || report.iter().any(|r| value(r) != 0) {
            listing = listing.number(name, report.iter().map(value));
        }
    }
    listing.batch()
}

fn count(number: i64) -> HumanCount {
    HumanCount(number.unsigned_abs())
}
