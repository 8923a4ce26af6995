//! Which loads' rows a file holds: one load's as it was written, several after compaction.
//!
//! In the log this is one tag, a JSON list. It lets a load be known, replaced and taken out again wherever its rows lie.
//! All of a file's loads have the suite and the source of its other tags; a name has one content at most.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::layout::{TAG_LOADS, TAG_SOURCE, TAG_SUITE};
use crate::lake::{DataFile, Snapshot};
use crate::{Error, Result};

/// What a file holds of one load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadPart {
    /// Name of the input; its rows have it in the column `file`.
    pub file: String,
    /// Hash of the input's content.
    pub content: String,
    /// Rows; None for all rows of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// Ends the content of a data feed's delivery as this version reads it: touches by instances, repeats told. What earlier ones
/// loaded stays as it is until it is loaded again.
const READING: &str = "-2";

/// The content of a delivery, with the way in which it is read.
pub fn as_read_now(content: &str) -> String {
    format!("{content}{READING}")
}

/// True where this version read a delivery of such content.
pub fn is_read_as_now(content: &str) -> bool {
    content.ends_with(READING)
}

/// The tag's value for these parts.
pub fn tag_of(parts: &[LoadPart]) -> String {
    serde_json::json!(parts).to_string()
}

/// The file names in a tag's value; none in one that is not ours.
pub(in crate::lake) fn names_in(tag: &str) -> Vec<String> {
    let parts: Vec<LoadPart> = serde_json::from_str(tag).unwrap_or_default();
    parts.into_iter().map(|part| part.file).collect()
}

impl DataFile {
    /// The loads whose rows are in this file, with their numbers of rows; none for a file of a foreign writer.
    pub fn loads(&self) -> Result<Vec<LoadPart>> {
        let Some(tag) = self.tags.get(TAG_LOADS) else { return Ok(vec![]) };
        let mut parts: Vec<LoadPart> = serde_json::from_str(tag).map_err(|e| {
            Error::refused(format!("file {}: tag {TAG_LOADS} is not what Rejoin writes: {e}", self.relative))
        })?;
        if let [all] = &mut parts[..] {
            all.rows = all.rows.or(self.rows);
        }
        Ok(parts)
    }
}

impl Snapshot {
    /// A number that says which loads the table holds, however their rows are spread over files: compaction leaves it,
    /// and any load, replacement or removal changes it.
    pub fn contents(&self) -> Result<u64> {
        let mut rows: BTreeMap<[String; 4], u64> = BTreeMap::new();
        for file in &self.files {
            let tag = |name| file.tags.get(name).cloned().unwrap_or_default();
            for part in file.loads()? {
                let load = [tag(TAG_SUITE), tag(TAG_SOURCE), part.file, part.content];
                *rows.entry(load).or_default() += part.rows.unwrap_or_default();
            }
            if !file.tags.contains_key(TAG_LOADS) {
                let foreign = [String::new(), String::new(), file.relative.clone(), String::new()];
                rows.insert(foreign, file.rows.unwrap_or_default());
            }
        }
        let mut hash = Xxh3::new();
        for (load, rows) in &rows {
            for text in load {
                hash.update(&(text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
            hash.update(&rows.to_le_bytes());
        }
        Ok(hash.digest())
    }
}
