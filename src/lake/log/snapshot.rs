//! One Delta table at one version, as a value: its columns, its live files, and what a commit adds and removes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use deltalake_core::DeltaTable;
use object_store::path::Path;

use super::reads::LogReads;
use super::stats::TimeSpan;

/// A live Parquet file of a table.
#[derive(Clone, Debug)]
pub struct DataFile {
    /// Path relative to the table, as in the log.
    pub relative: String,
    /// Path in the object store.
    pub path: Path,
    /// Size in bytes.
    pub size: u64,
    /// Rows, when the log says.
    pub rows: Option<u64>,
    /// The first and the last `hit_time`, inclusive, microseconds; None when the log does not say.
    pub hit_time: Option<TimeSpan>,
    /// Our tags; empty for files of foreign writers.
    pub tags: HashMap<String, String>,
}

impl DataFile {
    /// False when the log says that all rows are outside these times (inclusive).
    pub fn may_lie_in(&self, (from, to): TimeSpan) -> bool {
        self.hit_time.is_none_or(|(first, last)| first <= to && last >= from)
    }
}

/// A file that was written and waits for its commit.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Path relative to the table.
    pub relative: String,
    /// Path in the object store.
    pub path: Path,
    /// Size in bytes.
    pub size: u64,
    /// Rows.
    pub rows: u64,
    /// The first and the last `hit_time`, inclusive, microseconds; None without that column.
    pub hit_time: Option<TimeSpan>,
    /// Tags to be kept in the log.
    pub tags: HashMap<String, String>,
}

impl From<NewFile> for DataFile {
    fn from(file: NewFile) -> Self {
        let NewFile { relative, path, size, rows, hit_time, tags } = file;
        Self { relative, path, size, rows: Some(rows), hit_time, tags }
    }
}

/// What one commit does to a table, all or nothing.
#[derive(Default)]
pub struct Change {
    /// Files that become live.
    pub add: Vec<NewFile>,
    /// Files that are no longer live.
    pub remove: Vec<DataFile>,
    /// Columns that the added files bring; new ones are appended to the table's schema.
    pub columns: Vec<Field>,
}

/// A table at a version. Version 0 without files stands for a table that does not exist yet.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Name of the table.
    pub name: String,
    /// Version of the log that was read; None where the table does not exist.
    pub version: Option<u64>,
    /// Columns.
    pub schema: SchemaRef,
    /// Live files.
    pub files: Vec<DataFile>,
    pub(super) delta: DeltaTable,
    pub(super) reads: Arc<LogReads>,
}

impl Snapshot {
    /// The table as if only `files` were live.
    pub fn only(&self, files: Vec<DataFile>) -> Self {
        Self { files, ..self.clone() }
    }

    /// True when another version of the table has a file that this one does not have.
    pub(super) fn lacks_files_of(&self, other: &Self) -> bool {
        let own: HashSet<&Path> = self.files.iter().map(|file| &file.path).collect();
        other.files.iter().any(|file| !own.contains(&file.path))
    }

    /// True for a table that Rejoin made, which bears its name.
    pub fn is_ours(&self) -> bool {
        self.delta.snapshot().is_ok_and(|state| state.metadata().name() == Some(&self.name))
    }
}
