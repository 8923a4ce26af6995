//! Snowplow's enriched events: tabs between 131 columns, and no line that names them.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, AsArray};

use super::column::quoted;
use crate::ingest::cells::time_in;
use crate::ingest::input_file::InputFile;
use crate::ingest::mapped_file::{Format, MappedFile, Reading};
use crate::ingest::mapping::Mapping;

/// A mapping that names the columns.
const MAPPING: &str = include_str!("../../../data/snowplow/mapping.toml");
/// Columns by which such a file is known, in their order, and what the second one says.
const TIME: &str = "collector_tstamp";
const EVENT: &str = "event";
const EVENTS: [&str; 6] = ["page_view", "page_ping", "struct", "unstruct", "transaction", "transaction_item"];
/// So many names stand on a line of a mapping.
const ON_A_LINE: usize = 6;

/// The file with its columns, and what a mapping says of how it is written; None where it is another file.
pub(super) fn open(input: &InputFile) -> Option<(MappedFile, Vec<String>)> {
    let delimited = Mapping::parse(MAPPING).ok()?.delimited;
    let columns: Vec<String> = delimited.columns.iter().flatten().map(|name| quoted(name)).collect();
    let columns: String = columns.chunks(ON_A_LINE).map(|names| format!("    {},\n", names.join(", "))).collect();
    let settings = ["delimiter = \"\\t\"", "quote = \"\"", "header = false"].map(String::from);
    let settings = settings.into_iter().chain([format!("columns = [\n{columns}]")]).collect();
    let reading = Reading { delimited, ..Reading::everything(Format::Csv) };
    let file = MappedFile::open(input.clone(), reading).ok()?;
    let known_by = [file.schema.index_of(TIME).ok()?, file.schema.index_of(EVENT).ok()?];
    let mut is_one = false;
    let read = file.read(&known_by, Arc::default(), &mut |rows| {
        let [times, events] = [0, 1].map(|column| rows.batch.column(column).as_string_opt::<i32>());
        let (Some(times), Some(events)) = (times, events) else { return Ok(ControlFlow::Break(())) };
        let are_times = times.iter().all(|time| time.is_some_and(|time| time_in(time).is_some()));
        let are_events = events.iter().all(|event| event.is_some_and(|event| EVENTS.contains(&event)));
        is_one = !times.is_empty() && are_times && are_events;
        Ok(ControlFlow::Break(()))
    });
    (read.is_ok() && is_one).then_some((file, settings))
}
