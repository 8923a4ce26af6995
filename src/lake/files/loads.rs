//! Which loads' rows a file holds: one load's, those of several that were written together, or what compaction made of them.
//!
//! In the log this is one tag, a JSON list. It lets a load be known, replaced and taken out again wherever its rows are.
//! All of a file's loads have the suite and the source of its other tags; a name has one content at most.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, UInt32Type};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::layout::{TAG_LOADS, TAG_SOURCE, TAG_SUITE};
use crate::columns::FILE;
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

/// Ends the content of a data feed's delivery as this version reads it: touches by instances, repeats found among hits and rows that
/// came integrated. What earlier ones loaded stays as it is until it is loaded again.
const READING: &str = "-3";

/// Ends the content as an earlier version read it, which did not tell repeats of rows that came integrated.
const FORMER_READING: &str = "-2";

/// The content of a delivery, as it is or as an earlier version read it, with the way in which it is read.
pub fn as_read_now(content: &str) -> String {
    format!("{}{READING}", content.strip_suffix(FORMER_READING).unwrap_or(content))
}

/// True where this version read a delivery of such content.
pub fn is_read_as_now(content: &str) -> bool {
    content.ends_with(READING)
}

/// True where this version or one before read a delivery of such content with touches by instances, and found repeats of hits.
pub fn tells_touches(content: &str) -> bool {
    is_read_as_now(content) || content.ends_with(FORMER_READING)
}

/// The tag's value for these parts.
pub fn tag_of(parts: &[LoadPart]) -> String {
    serde_json::json!(parts).to_string()
}

/// The loads in a tag's value; none in one that is not ours.
pub(in crate::lake) fn parts_in(tag: &str) -> Vec<LoadPart> {
    serde_json::from_str(tag).unwrap_or_default()
}

/// The file names in a tag's value; none in one that is not ours.
pub(in crate::lake) fn names_in(tag: &str) -> Vec<String> {
    parts_in(tag).into_iter().map(|part| part.file).collect()
}

/// Rows of a file by the name of their input, which is in the column `file`.
#[derive(Default)]
pub(in crate::lake) struct RowsOfFiles(HashMap<String, u64>);

impl RowsOfFiles {
    /// Counts more rows.
    pub fn count(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = batch.column_by_name(FILE).ok_or_else(|| Error::bug("rows without a file"))?;
        if let Some(coded) = column.as_dictionary_opt::<UInt32Type>().filter(|coded| coded.null_count() == 0)
            && let Some(names) = coded.values().as_string_opt::<i32>()
        {
            let mut counts = vec![0; names.len()];
            coded.keys().values().iter().for_each(|key| counts[*key as usize] += 1);
            for (number, rows) in counts.into_iter().enumerate().filter(|(_, rows)| *rows > 0) {
                self.add(names.value(number), rows);
            }
            return Ok(());
        }
        let names = cast(column, &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        let mut start = 0;
        while start < names.len() {
            let name = names.value(start);
            let end = (start + 1..names.len()).find(|&i| names.value(i) != name).unwrap_or(names.len());
            self.add(name, (end - start) as u64);
            start = end;
        }
        Ok(())
    }

    fn add(&mut self, name: &str, more: u64) {
        match self.0.get_mut(name) {
            Some(rows) => *rows += more,
            None => drop(self.0.insert(name.to_string(), more)),
        }
    }

    /// Those of `loads` of which rows were counted.
    pub fn parts(mut self, loads: impl IntoIterator<Item = LoadPart>) -> Result<Vec<LoadPart>> {
        let mut parts = vec![];
        for load in loads {
            if let Some(rows) = self.0.remove(&load.file) {
                parts.push(LoadPart { rows: Some(rows), ..load });
            }
        }
        if let Some(name) = self.0.keys().next() {
            return Err(Error::bug(format!("rows of {name} are in a file whose tags do not name it")));
        }
        parts.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(parts)
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    #[test]
    fn rows_are_counted_by_names_and_by_numbers_of_names() {
        let names: ArrayRef = Arc::new(StringArray::from(vec!["a", "a", "b", "a", "c", "c"]));
        let coded = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
        for column in [cast(&names, &coded).unwrap(), names] {
            let batch = RecordBatch::try_from_iter([(FILE, column)]).unwrap();
            let mut counted = RowsOfFiles::default();
            counted.count(&batch).unwrap();
            counted.count(&batch.slice(1, 3)).unwrap();
            let load = |file: &str| LoadPart { file: file.into(), content: "x".into(), rows: None };
            let parts = counted.parts(["d", "c", "b", "a"].map(load)).unwrap();
            let parts: Vec<(&str, Option<u64>)> = parts.iter().map(|part| (part.file.as_str(), part.rows)).collect();
            assert_eq!(parts, [("a", Some(5)), ("b", Some(2)), ("c", Some(2))]);
        }
    }

    #[test]
    fn a_content_is_the_same_however_earlier_versions_read_it() {
        let now = as_read_now("2f6c");
        assert_eq!(as_read_now("2f6c-2"), now, "by the version before");
        assert!(is_read_as_now(&now) && tells_touches(&now) && tells_touches("2f6c-2"));
        assert!(!is_read_as_now("2f6c-2") && !tells_touches("2f6c"));
    }
}
