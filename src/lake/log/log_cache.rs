//! What this process has read of the tables' logs, so that a version is read once however many statements ask for it.
//!
//! A lake and its clones share it. Of each table the last version that was read is kept: a statement that asks for that version
//! gets it without a request, asking for the newest one costs one listing of the log, and newer commits are read on
//! top of it. Rows of small tables are kept as well, up to a bound for all of them.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use object_store::ObjectMeta;

use super::snapshot::Snapshot;

/// Memory of the batches of small tables that are kept, bytes; where there are more, the largest table is read anew each time.
const MOST_ROW_BYTES: usize = 32 << 20;

/// What tells a commit from another one of the same number, in a table that was deleted and made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::lake) struct Mark {
    modified: DateTime<Utc>,
    size: u64,
    e_tag: Option<String>,
}

impl From<&ObjectMeta> for Mark {
    fn from(object: &ObjectMeta) -> Self {
        Self { modified: object.last_modified, size: object.size, e_tag: object.e_tag.clone() }
    }
}

/// The newest version of a table, as a listing showed it.
#[derive(Clone, Debug)]
pub(in crate::lake) struct Latest {
    pub version: u64,
    pub mark: Mark,
    /// The versions that were listed, each with its mark; the listing begins at a known version.
    pub listed: Vec<(u64, Mark)>,
}

impl Latest {
    /// Whether this is that version; a version whose commit was not listed when it was read is known by its number.
    fn is(&self, version: u64, mark: Option<&Mark>) -> bool {
        self.version == version && mark.is_none_or(|mark| *mark == self.mark)
    }
}

/// The rows of a small table at one version.
#[derive(Default)]
pub(in crate::lake) struct SmallTable {
    /// As they are stored.
    pub batches: Vec<RecordBatch>,
    /// As a `Vec` of the type of its rows, once somebody has made them of the batches.
    pub records: OnceLock<Box<dyn Any + Send + Sync>>,
}

/// A value with the version of the table that it was read from.
#[derive(Clone)]
struct Cached<T> {
    version: u64,
    mark: Option<Mark>,
    value: T,
}

/// By name of the table.
#[derive(Clone, Default)]
pub(in crate::lake) struct LogCache {
    snapshots: Arc<Mutex<HashMap<String, Cached<Arc<Snapshot>>>>>,
    /// Rows of small tables.
    rows: Arc<Mutex<HashMap<String, Cached<Arc<SmallTable>>>>>,
}

impl fmt::Debug for LogCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCache").finish_non_exhaustive()
    }
}

impl LogCache {
    /// The last snapshot that was read of a table.
    pub fn snapshot(&self, table: &str) -> Option<Arc<Snapshot>> {
        locked(&self.snapshots).get(table).map(|cached| cached.value.clone())
    }

    /// The last snapshot, when it is of the latest version.
    pub fn snapshot_at(&self, table: &str, latest: &Latest) -> Option<Arc<Snapshot>> {
        let mut all = locked(&self.snapshots);
        let cached = all.get_mut(table).filter(|cached| latest.is(cached.version, cached.mark.as_ref()))?;
        cached.mark = Some(latest.mark.clone());
        Some(cached.value.clone())
    }

    /// The last snapshot, when it is of an earlier version of the same table.
    pub fn snapshot_before(&self, table: &str, latest: &Latest) -> Option<Arc<Snapshot>> {
        let all = locked(&self.snapshots);
        let same = |cached: &&Cached<Arc<Snapshot>>| {
            let listed = latest.listed.iter().find(|(version, _)| *version == cached.version);
            listed.is_some_and(|(_, mark)| cached.mark.as_ref().is_none_or(|cached| cached == mark))
        };
        let earlier = |cached: &&Cached<Arc<Snapshot>>| cached.version < latest.version;
        all.get(table).filter(earlier).filter(same).map(|cached| cached.value.clone())
    }

    /// Keeps a snapshot, and gives the one that was kept before; `mark` is that of its commit, where it was listed.
    pub fn keep_snapshot(&self, snapshot: &Arc<Snapshot>, mark: Option<Mark>) -> Option<Arc<Snapshot>> {
        let cached = Cached { version: snapshot.version?, mark, value: snapshot.clone() };
        locked(&self.snapshots).insert(snapshot.name.clone(), cached).map(|former| former.value)
    }

    /// Forgets a table; false where nothing was known of it.
    pub fn forget(&self, table: &str) -> bool {
        let snapshot = locked(&self.snapshots).remove(table);
        let rows = locked(&self.rows).remove(table);
        snapshot.is_some() || rows.is_some()
    }

    /// The highest version of a table that was read; where a listing of newer ones can begin.
    pub fn version(&self, table: &str) -> Option<u64> {
        let snapshot = locked(&self.snapshots).get(table).map(|cached| cached.version);
        snapshot.max(locked(&self.rows).get(table).map(|cached| cached.version))
    }

    /// The rows of a small table at its latest version.
    pub fn rows_at(&self, table: &str, latest: &Latest) -> Option<Arc<SmallTable>> {
        let all = locked(&self.rows);
        let cached = all.get(table).filter(|cached| latest.is(cached.version, cached.mark.as_ref()));
        cached.map(|cached| cached.value.clone())
    }

    /// Keeps the rows of a small table, in place of others where these are too many.
    pub fn keep_rows(&self, table: &str, latest: &Latest, rows: &Arc<SmallTable>) {
        let cached = Cached { version: latest.version, mark: Some(latest.mark.clone()), value: rows.clone() };
        let mut all = locked(&self.rows);
        all.insert(table.to_string(), cached);
        while all.values().map(|cached| memory_of(&cached.value)).sum::<usize>() > MOST_ROW_BYTES {
            let largest = all.iter().max_by_key(|(_, cached)| memory_of(&cached.value)).map(|(table, _)| table.clone());
            let Some(largest) = largest else { return };
            all.remove(&largest);
        }
    }
}

fn memory_of(table: &SmallTable) -> usize {
    table.batches.iter().map(RecordBatch::get_array_memory_size).sum()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn the_largest_rows_go_where_there_are_too_many() {
        let rows = |bytes: usize| {
            let column = Arc::new(Int64Array::from_value(1, bytes / size_of::<i64>())) as ArrayRef;
            let batches = vec![RecordBatch::try_from_iter([("n", column)]).unwrap()];
            Arc::new(SmallTable { batches, ..SmallTable::default() })
        };
        let mark = Mark { modified: DateTime::UNIX_EPOCH, size: 1, e_tag: None };
        let latest = Latest { version: 1, mark, listed: vec![] };
        let cache = LogCache::default();
        let kept = || ["large", "other", "small", "huge"].map(|table| cache.rows_at(table, &latest).is_some());
        cache.keep_rows("large", &latest, &rows(MOST_ROW_BYTES / 8 * 5));
        cache.keep_rows("other", &latest, &rows(MOST_ROW_BYTES / 8));
        cache.keep_rows("small", &latest, &rows(100));
        assert_eq!(kept(), [true, true, true, false]);
        // it may have grown
        cache.keep_rows("other", &latest, &rows(MOST_ROW_BYTES / 2));
        assert_eq!(kept(), [false, true, true, false]);
        cache.keep_rows("huge", &latest, &rows(MOST_ROW_BYTES));
        assert_eq!(kept(), [false, true, true, false]);
    }
}
