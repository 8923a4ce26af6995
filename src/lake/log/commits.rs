//! What was done to a table: its commits, newest first, from the log.
//!
//! In: a table's name. Out: for each version its time, its operation, and the files that it added and removed. Only the log
//! is read, a few of its files at a time; nobody's clock is asked but that of the writer.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use deltalake_core::kernel::Add;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::lines::lines;
use super::store::Lake;
use crate::Result;

/// Files of the log that are read at once.
const AT_ONCE: usize = 16;

/// The objects of a table's log.
#[derive(Debug, Default)]
pub struct Log {
    table: String,
    /// The commits by version, newest first.
    pub commits: Vec<(u64, ObjectMeta)>,
    /// Parts of checkpoints by version, in no order.
    pub checkpoints: Vec<(u64, ObjectMeta)>,
}

/// One version of a table.
#[derive(Debug)]
pub struct Commit {
    /// Version.
    pub version: u64,
    /// When it was committed, by the writer's clock.
    pub time: DateTime<Utc>,
    /// When the log's file was written, by the clock of the store.
    pub stored: DateTime<Utc>,
    /// What the writer called it: `WRITE`, `OPTIMIZE`, ...
    pub operation: String,
    /// Files that became live.
    pub added: Vec<Added>,
    /// Files that ceased to be.
    pub removed: Vec<Removed>,
}

/// A file that became live.
#[derive(Debug)]
pub struct Added {
    /// Where it is.
    pub path: Path,
    /// Bytes.
    pub size: u64,
    /// Rows, when the log says.
    pub rows: Option<u64>,
    /// Our tags; empty for files of foreign writers.
    pub tags: HashMap<String, String>,
}

/// A file that ceased to be live.
#[derive(Debug)]
pub struct Removed {
    /// Where it is, or lay.
    pub path: Path,
    /// Bytes, when the log says.
    pub size: u64,
    /// When.
    pub time: DateTime<Utc>,
}

impl Log {
    /// Lists the log of a table; without commits where there is no such table.
    pub async fn list(lake: &Lake, table: &str) -> Result<Self> {
        let mut log = Self { table: table.into(), ..Self::default() };
        let mut objects = lake.store().list(Some(&lake.file_path(table, "_delta_log")?));
        while let Some(object) = objects.try_next().await? {
            let name = object.location.filename().unwrap_or_default();
            let version = name.get(..20).and_then(|digits| digits.parse().ok());
            match (version, name.get(20..)) {
                (Some(version), Some(".json")) => log.commits.push((version, object)),
                (Some(version), Some(rest)) if rest.starts_with(".checkpoint.") => {
                    log.checkpoints.push((version, object));
                }
                _ => {}
            }
        }
        log.commits.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        Ok(log)
    }

    /// True when the oldest commit gives the table the name of its folder, as ours do.
    pub async fn is_ours(&self, lake: &Lake) -> Result<bool> {
        let Some((_, oldest)) = self.commits.last() else { return Ok(false) };
        let bytes = lake.store().get(&oldest.location).await?.bytes().await?;
        Ok(lines(&bytes).flatten().filter_map(|line| line.meta_data?.name).any(|name| name == self.table))
    }

    /// The commits, newest first; each is read when it is about to be asked for.
    pub fn newest_first<'a>(&'a self, lake: &'a Lake) -> BoxStream<'a, Result<Commit>> {
        let read = move |(version, object): &'a (u64, ObjectMeta)| async move {
            let bytes = lake.store().get(&object.location).await?.bytes().await?;
            Commit::parse(lake, &self.table, *version, object, &bytes)
                .map_err(|e| e.at(format!("table {}, version {version}", self.table)))
        };
        stream::iter(self.commits.iter().map(read)).buffered(AT_ONCE).boxed()
    }
}

impl Commit {
    fn parse(lake: &Lake, table: &str, version: u64, object: &ObjectMeta, bytes: &[u8]) -> Result<Self> {
        let time = |millis: Option<i64>| millis.and_then(DateTime::from_timestamp_millis);
        let stored = object.last_modified;
        let (mut stated, mut done) = (None, None);
        let (mut operation, mut added, mut removed) = (String::new(), vec![], vec![]);
        for line in lines(bytes) {
            let line = line?;
            if let Some(info) = line.commit_info {
                stated = time(info.in_commit_timestamp.or(info.timestamp));
                operation = info.operation.unwrap_or_default();
            }
            if let Some(add) = line.add {
                done = done.max(time(Some(add.modification_time)));
                added.push(Added::of(lake, table, add)?);
            }
            if let Some(remove) = line.remove {
                let at = time(remove.deletion_timestamp);
                done = done.max(at);
                let size = remove.size.unwrap_or_default().unsigned_abs();
                removed.push((lake.file_path(table, &remove.path)?, size, at));
            }
        }
        // the files' own times are those of our clock, which also the tables with a time of their own go by
        let time = done.or(stated).unwrap_or(stored);
        let removed = removed.into_iter().map(|(path, size, at)| Removed { path, size, time: at.unwrap_or(time) });
        Ok(Self { version, time, stored, operation, added, removed: removed.collect() })
    }
}

impl Added {
    fn of(lake: &Lake, table: &str, add: Add) -> Result<Self> {
        let stats = add.stats.as_deref().and_then(|stats| serde_json::from_str::<serde_json::Value>(stats).ok());
        Ok(Self {
            path: lake.file_path(table, &add.path)?,
            size: add.size.unsigned_abs(),
            rows: stats.and_then(|stats| stats.get("numRecords")?.as_u64()),
            tags: add.tags.unwrap_or_default().into_iter().filter_map(|(name, tag)| Some((name, tag?))).collect(),
        })
    }
}
