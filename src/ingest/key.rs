//! What a load is called, and where its rows are.

use std::collections::HashMap;

use crate::Result;
use crate::lake::layout::{TAG_LOADS, TAG_SOURCE, TAG_SUITE, TAG_VISITS};
use crate::lake::loads::{self, LoadPart};
use crate::lake::records::FileEntry;
use crate::lake::{DataFile, Snapshot};

/// The source of offline rows that a data feed brings; a feed's own [`Key`] has no source.
pub const FEED_SOURCE: &str = "data_feed";

/// What a load is called; at most one content is loaded under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Suite of all rows.
    pub suite: String,
    /// Data source; empty for online input.
    pub source: String,
    /// Name of the delivery or file.
    pub file: String,
}

impl Key {
    /// The key of an entry of the file log.
    pub fn of(entry: &FileEntry) -> Self {
        Self { suite: entry.suite.clone(), source: entry.source.clone(), file: entry.file.clone() }
    }

    /// The tags of the load's files. `visits` says how visits are known; offline rows have none.
    pub fn tags(&self, content: &str, source: &str, visits: Option<&str>) -> HashMap<String, String> {
        let part = LoadPart { file: self.file.clone(), content: content.into(), rows: None };
        let fixed = [(TAG_SUITE, self.suite.clone()), (TAG_SOURCE, source.into()), (TAG_LOADS, loads::tag_of(&[part]))];
        fixed.into_iter().chain(visits.map(|v| (TAG_VISITS, v.into()))).map(|(k, v)| (k.into(), v)).collect()
    }

    /// Where the load's rows are, and what the files hold of it.
    pub(super) fn parts_in(&self, snapshot: &Snapshot) -> Result<Vec<LoadInFile>> {
        let mut found = vec![];
        for file in &snapshot.files {
            let tag = |name| file.tags.get(name).map_or("", String::as_str);
            let source = tag(TAG_SOURCE);
            if tag(TAG_SUITE) != self.suite
                || source != self.source && !(self.source.is_empty() && source == FEED_SOURCE)
            {
                continue;
            }
            let loads = file.loads()?;
            let shared = loads.len() > 1;
            if let Some(part) = loads.into_iter().find(|part| part.file == self.file) {
                let rows = part.rows.unwrap_or(0);
                found.push(LoadInFile { file: file.clone(), shared, content: part.content, rows });
            }
        }
        Ok(found)
    }

    /// How many rows of the load a table has.
    pub(super) fn live_rows(&self, snapshot: &Snapshot) -> Result<u64> {
        Ok(self.parts_in(snapshot)?.iter().map(|part| part.rows).sum())
    }

    /// How many rows of the load files have whose tags are of its suite and source.
    pub(super) fn rows_in(&self, files: &[DataFile]) -> Result<u64> {
        let mut rows = 0;
        for file in files {
            let parts = file.loads()?.into_iter().filter(|part| part.file == self.file);
            rows += parts.filter_map(|part| part.rows).sum::<u64>();
        }
        Ok(rows)
    }

    /// True for the row of the file log that says this key is loaded.
    pub fn is_loaded_as(&self, entry: &FileEntry) -> bool {
        entry.status == "loaded" && Key::of(entry) == *self
    }
}

/// Rows of a load in a live file.
pub(super) struct LoadInFile {
    /// The file.
    pub file: DataFile,
    /// The file holds other loads, too.
    pub shared: bool,
    /// The content that the rows are of.
    pub content: String,
    /// How many there are.
    pub rows: u64,
}
