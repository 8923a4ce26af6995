//! `rejoin lookup`: a table of the user's own that classifies a dimension.

use indicatif::HumanCount;

use super::args::LookupArguments;
use super::format::Format;
use super::output::Output;
use super::settings::Settings;
use crate::Result;
use crate::ingest::load_lookup;

/// Loads the file and says how to use it.
pub async fn run(settings: &Settings, arguments: &LookupArguments) -> Result<()> {
    let loaded = load_lookup(&settings.lake, &arguments.name, &arguments.file).await?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&loaded)?;
        return output.close();
    }
    let (table, rows) = (&loaded.table, HumanCount(loaded.rows as u64));
    output.line(format!("{table}: {rows} rows, {} -> {}", loaded.columns[0], loaded.columns[1..].join(", ")))?;
    output.line(format!("  SELECT * FROM attribution('orders', '{table}.{}')", loaded.columns[1]))?;
    output.close()
}
