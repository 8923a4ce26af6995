//! `rejoin lookup`: a table of the user's own that classifies a dimension.

use clap::Args;
use indicatif::HumanCount;
use std::path::PathBuf;

use super::output::Output;
use super::settings::Settings;
use crate::Result;
use crate::format::Format;
use crate::ingest::load_lookup;

/// Load a table of your own that classifies a dimension, e.g. campaigns by channel
#[derive(Debug, Args)]
#[command(after_help = "\
The file (.csv, .ndjson or .parquet) has a header; its first column is named as the dimension that it classifies, \
the others are the classes. Loading it again replaces the rows.

Example:
  rejoin lookup campaigns campaigns.csv       # tracking_code,channel,owner
  rejoin query \"SELECT * FROM attribution('orders', 'campaigns.channel')\"")]
pub struct LookupArguments {
    /// Name of the table: lower-case letters, digits and _
    pub name: String,
    /// The file
    pub file: PathBuf,
}

/// Loads the file and says how to use it.
pub async fn run(settings: &Settings, arguments: &LookupArguments) -> Result<()> {
    let loaded = load_lookup(&settings.lake, &arguments.name, &arguments.file).await?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&loaded)?;
        return output.close();
    }
    let (table, count) = (&loaded.table, HumanCount(loaded.rows as u64));
    let rows = if loaded.rows == 1 { "row" } else { "rows" };
    output.line(format!("{table}: {count} {rows}, {} -> {}", loaded.columns[0], loaded.columns[1..].join(", ")))?;
    output.line(format!("  SELECT * FROM attribution('orders', '{table}.{}')", loaded.columns[1]))?;
    output.close()
}
