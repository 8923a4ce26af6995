//! `rejoin history`: what happened to the lake, newest first, and what of it can still be asked with `--as-of`.

use clap::Args;

use super::listing::Listing;
use super::output::Output;
use super::settings::Settings;
use crate::Result;
use crate::format::Format;
use crate::lake::history::{History, PastRebuild, PastVersion, history};

/// Loads of a version that are named in the table; `--json` names all.
const NAMED_LOADS: usize = 2;

/// What happened to the lake: rebuilds, versions of tables, newest first
#[derive(Debug, Args)]
#[command(after_help = "\
Rebuilds that are `kept` can be asked with --as-of; of those that are `vacuumed` files are gone.

Examples:
  rejoin history
  rejoin history --table hits --limit 100
  rejoin query \"SELECT count(*) FROM events\" --as-of 3")]
pub struct HistoryArguments {
    /// Only versions of this table
    #[arg(long, value_name = "TABLE")]
    pub table: Option<String>,
    /// Largest number of rebuilds, and of versions, to list
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

/// Prints rebuilds, then versions of tables.
pub async fn run(settings: &Settings, arguments: &HistoryArguments) -> Result<()> {
    let found = history(&settings.lake, arguments.table.as_deref(), arguments.limit).await?;
    let mut output = Output::stdout(Format::Table).with_null("");
    if settings.json {
        output.json(&found)?;
        return output.close();
    }
    if found.versions.is_empty() {
        output.line("nothing happened yet")?;
        return output.close();
    }
    if !found.rebuilds.is_empty() {
        output.batch(&rebuilds(&found.rebuilds)?)?;
        output.line("")?;
    }
    output.batch(&versions(&found.versions)?)?;
    output.line(format!("\n{}", verdict(&found)))?;
    output.close()
}

fn rebuilds(past: &[PastRebuild]) -> Result<arrow::array::RecordBatch> {
    Listing::new()
        .number("rebuild", past.iter().map(|r| r.rebuild))
        .time("started", past.iter().map(|r| r.started))
        .time("ended", past.iter().map(|r| r.ended))
        .number("offline rows", past.iter().map(|r| r.rows))
        .number("snapshots", past.iter().map(|r| r.snapshots))
        .text("changed", past.iter().map(|r| r.changed.join(", ")))
        .text("as of", past.iter().map(|r| kept(r.kept)))
        .batch()
}

fn versions(past: &[PastVersion]) -> Result<arrow::array::RecordBatch> {
    let number = |of: fn(&PastVersion) -> u64| past.iter().map(move |v| of(v) as i64);
    let rows = |of: fn(&PastVersion) -> Option<u64>| {
        past.iter().map(move |v| of(v).map_or_else(String::new, |rows| rows.to_string()))
    };
    Listing::new()
        .time("time", past.iter().map(|v| Some(v.time)))
        .text("table", past.iter().map(|v| &v.table))
        .number("version", number(|v| v.version))
        .text("operation", past.iter().map(|v| &v.operation))
        .text("rows +", rows(|v| v.rows_added))
        .text("rows -", rows(|v| v.rows_removed))
        .number("files +", number(|v| v.files_added))
        .number("files -", number(|v| v.files_removed))
        .number("bytes +", number(|v| v.bytes_added))
        .number("bytes -", number(|v| v.bytes_removed))
        .text("loads", past.iter().map(loads))
        .text("files are", past.iter().map(|v| kept(v.kept)))
        .batch()
}

fn kept(kept: bool) -> &'static str {
    if kept { "kept" } else { "vacuumed" }
}

fn loads(version: &PastVersion) -> String {
    let more = version.loads.len().saturating_sub(NAMED_LOADS);
    let named = version.loads[..version.loads.len() - more].join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}

fn verdict(found: &History) -> String {
    match found.vacuums.first().and_then(|v| v.started) {
        Some(last) => format!("last vacuum: {}", last.format("%Y-%m-%dT%H:%M:%SZ")),
        None => "nothing was ever vacuumed: every version is there".to_string(),
    }
}
