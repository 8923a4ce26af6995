//! A lookup table of the user's own: a CSV, JSON lines or Parquet file becomes a table of the lake, whole.
//!
//! The first column is the key, named as the dimension that the table classifies; the others are its classes. All
//! columns are text. Loading again replaces the rows; a column that the new file lacks reads NULL.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};

use super::input_file::InputFile;
use super::lookups::can_be_table;
use super::mapped_file::{Format, MappedFile, Reading};
use crate::feed::row_issue::clip;
use crate::lake::write::{discard_uncommitted, write_plain};
use crate::lake::{Change, Lake, Snapshot};
use crate::{Error, Result};

/// Lookup tables that data feeds bring.
const OF_FEEDS: [&str; 13] = [
    "browser",
    "browser_type",
    "color_depth",
    "connection_type",
    "country",
    "event",
    "javascript_version",
    "languages",
    "operating_systems",
    "plugins",
    "referrer_type",
    "resolution",
    "search_engines",
];

/// A lookup table as it was loaded.
#[derive(Debug, Clone, serde::Serialize)]
pub struct LoadedLookup {
    /// Name of the table.
    pub table: String,
    /// The key, then the classes.
    pub columns: Vec<String>,
    /// Number of rows.
    pub rows: usize,
}

/// Loads a file as the table `name`.
///
/// # Errors
/// The name is taken or no name of a table; the file cannot be read, has no class, or a key is missing or there twice.
pub async fn load_lookup(lake: &Lake, name: &str, path: &Path) -> Result<LoadedLookup> {
    if !can_be_table(name) || OF_FEEDS.contains(&name) {
        return Err(Error::usage(format!(
            "{name} is no name for a lookup table; it has lower-case letters, digits and _, and is none of Rejoin's own or a data feed's tables"
        )));
    }
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let format = Format::of(&file_name).ok_or_else(|| {
        Error::usage(format!("{}: a lookup table is a .csv, .ndjson or .parquet file", path.display()))
    })?;
    let batches = read(path, format).map_err(|e| e.at(path.display()))?;
    let columns: Vec<Field> = batches[0].schema().fields().iter().map(|f| f.as_ref().clone()).collect();
    let snapshot = Snapshot::open(lake, name, None).await?;
    if let Some(key) = snapshot.schema.fields().first().filter(|key| key.name() != columns[0].name()) {
        return Err(Error::conflict(format!(
            "the lookup table {name} has the key {}, not {}; load this file under another name",
            key.name(),
            clip(columns[0].name(), 60)
        )));
    }
    let as_before = |new: &Field| {
        let known =
            snapshot.schema.fields().iter().find(|known| known.name().to_lowercase() == new.name().to_lowercase());
        known.filter(|known| known.name() != new.name()).map(|known| (known.name().clone(), new.name().clone()))
    };
    if let Some((known, new)) = columns.iter().find_map(as_before) {
        let new = clip(&new, 60);
        return Err(Error::conflict(format!("the lookup table {name} has the class {known}; call it so, not {new}")));
    }
    let file = write_plain(lake, name, &batches, HashMap::new()).await?;
    let add: Vec<_> = file.into_iter().collect();
    let change = Change { add: add.clone(), remove: snapshot.files.clone(), columns: columns.clone() };
    if let Err(error) = snapshot.commit(lake, change).await {
        discard_uncommitted(lake, name, &add.iter().collect::<Vec<_>>()).await;
        return Err(error);
    }
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    Ok(LoadedLookup { table: name.into(), columns: columns.iter().map(|c| c.name().clone()).collect(), rows })
}

/// The file as text; at least one batch.
fn read(path: &Path, format: Format) -> Result<Vec<RecordBatch>> {
    let file = MappedFile::open(InputFile::alone(path), Reading::everything(format))?;
    let names: Vec<&str> = file.schema.fields().iter().map(|f| f.name().as_str()).collect();
    if names.len() < 2 {
        return Err(Error::refused(
            "a lookup table has a key, named as the dimension that it classifies, and at least one class: tracking_code,channel",
        ));
    }
    let plain = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if let Some(name) = names.iter().find(|name| !plain(name)) {
        let name = clip(name, 60);
        return Err(Error::refused(format!("the column {name:?} cannot be named in SQL; use letters, digits and _")));
    }
    let mut lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    lower.sort_unstable();
    if let Some(pair) = lower.windows(2).find(|pair| pair[0] == pair[1]) {
        let name = clip(&pair[0], 60);
        return Err(Error::refused(format!(
            "two columns are called {name}, as capitals do not tell them apart; rename one"
        )));
    }
    let schema = Arc::new(Schema::new(names.iter().map(|n| Field::new(*n, DataType::Utf8, true)).collect::<Vec<_>>()));
    let all: Vec<usize> = (0..names.len()).collect();
    let (mut batches, mut seen, mut row) = (vec![RecordBatch::new_empty(schema.clone())], HashSet::new(), 0);
    file.read(&all, Arc::new(AtomicU64::new(0)), &mut |rows| {
        if let Some(issue) = rows.issues.first() {
            return Err(Error::refused(format!("line {}: {}", issue.line, issue.reason)));
        }
        let columns = rows.batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
        let batch = RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)?;
        let keys = batch.column(0).as_string::<i32>();
        for i in 0..keys.len() {
            row += 1;
            if keys.is_null(i) || keys.value(i).is_empty() {
                return Err(Error::refused(format!("row {row}: {} is empty", clip(names[0], 60))));
            }
            if !seen.insert(keys.value(i).to_string()) {
                let (name, key) = (clip(names[0], 60), clip(keys.value(i), 60));
                return Err(Error::refused(format!("row {row}: {name} {key} is there twice")));
            }
        }
        batches.push(batch);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(batches)
}
