//! What this process has read of the tables' logs, so that a version is read once however many statements ask for it.
//!
//! A lake and its clones share it. Of each table the last version that was read is kept: whoever asks for that version
//! gets it without a request, whoever asks for the newest one costs one listing of the log, and newer commits are read on
//! top of it. Rows of small tables are kept as well, up to a bound for all of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use object_store::ObjectMeta;

use super::snapshot::Snapshot;

/// Memory of the rows of small tables that are kept, bytes; where there are more, the largest table is read anew each time.
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

#[derive(Clone)]
struct Known<T> {
    version: u64,
    mark: Option<Mark>,
    what: T,
}

/// By name of the table.
#[derive(Clone, Default)]
pub(in crate::lake) struct LogCache {
    snapshots: Arc<Mutex<HashMap<String, Known<Arc<Snapshot>>>>>,
    /// Rows of small tables.
    rows: Arc<Mutex<HashMap<String, Known<Vec<RecordBatch>>>>>,
}

impl fmt::Debug for LogCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogCache").finish_non_exhaustive()
    }
}

impl LogCache {
    /// The last snapshot that was read of a table.
    pub fn snapshot(&self, table: &str) -> Option<Arc<Snapshot>> {
        locked(&self.snapshots).get(table).map(|known| known.what.clone())
    }

    /// The last snapshot, when it is of the latest version.
    pub fn snapshot_at(&self, table: &str, latest: &Latest) -> Option<Arc<Snapshot>> {
        let mut all = locked(&self.snapshots);
        let known = all.get_mut(table).filter(|known| latest.is(known.version, known.mark.as_ref()))?;
        known.mark = Some(latest.mark.clone());
        Some(known.what.clone())
    }

    /// The last snapshot, when it is of an earlier version of the same table.
    pub fn snapshot_before(&self, table: &str, latest: &Latest) -> Option<Arc<Snapshot>> {
        let all = locked(&self.snapshots);
        let same = |known: &&Known<Arc<Snapshot>>| {
            let listed = latest.listed.iter().find(|(version, _)| *version == known.version);
            listed.is_some_and(|(_, mark)| known.mark.as_ref().is_none_or(|known| known == mark))
        };
        let earlier = |known: &&Known<Arc<Snapshot>>| known.version < latest.version;
        all.get(table).filter(earlier).filter(same).map(|known| known.what.clone())
    }

    /// Keeps a snapshot, and gives the one that was kept before; `mark` is that of its commit, where it was listed.
    pub fn keep_snapshot(&self, snapshot: &Arc<Snapshot>, mark: Option<Mark>) -> Option<Arc<Snapshot>> {
        let known = Known { version: snapshot.version?, mark, what: snapshot.clone() };
        locked(&self.snapshots).insert(snapshot.name.clone(), known).map(|former| former.what)
    }

    /// Forgets a table; false where nothing was known of it.
    pub fn forget(&self, table: &str) -> bool {
        let snapshot = locked(&self.snapshots).remove(table);
        let rows = locked(&self.rows).remove(table);
        snapshot.is_some() || rows.is_some()
    }

    /// The highest version of a table that was read; where a listing of newer ones can begin.
    pub fn version(&self, table: &str) -> Option<u64> {
        let snapshot = locked(&self.snapshots).get(table).map(|known| known.version);
        snapshot.max(locked(&self.rows).get(table).map(|known| known.version))
    }

    /// The rows of a small table at its latest version.
    pub fn rows_at(&self, table: &str, latest: &Latest) -> Option<Vec<RecordBatch>> {
        let all = locked(&self.rows);
        all.get(table).filter(|known| latest.is(known.version, known.mark.as_ref())).map(|known| known.what.clone())
    }

    /// Keeps the rows of a small table, in place of others where these are too many.
    pub fn keep_rows(&self, table: &str, latest: &Latest, rows: &[RecordBatch]) {
        let known = Known { version: latest.version, mark: Some(latest.mark.clone()), what: rows.to_vec() };
        let mut all = locked(&self.rows);
        all.insert(table.to_string(), known);
        while all.values().map(|known| memory_of(&known.what)).sum::<usize>() > MOST_ROW_BYTES {
            let largest = all.iter().max_by_key(|(_, known)| memory_of(&known.what)).map(|(table, _)| table.clone());
            let Some(largest) = largest else { return };
            all.remove(&largest);
        }
    }
}

fn memory_of(rows: &[RecordBatch]) -> usize {
    rows.iter().map(RecordBatch::get_array_memory_size).sum()
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
            [RecordBatch::try_from_iter([("n", column)]).unwrap()]
        };
        let mark = Mark { modified: DateTime::UNIX_EPOCH, size: 1, e_tag: None };
        let latest = Latest { version: 1, mark, listed: vec![] };
        let known = LogCache::default();
        let kept = || ["large", "other", "small", "huge"].map(|table| known.rows_at(table, &latest).is_some());
        known.keep_rows("large", &latest, &rows(MOST_ROW_BYTES / 8 * 5));
        known.keep_rows("other", &latest, &rows(MOST_ROW_BYTES / 8));
        known.keep_rows("small", &latest, &rows(100));
        assert_eq!(kept(), [true, true, true, false]);
        // it may have grown
        known.keep_rows("other", &latest, &rows(MOST_ROW_BYTES / 2));
        assert_eq!(kept(), [false, true, true, false]);
        known.keep_rows("huge", &latest, &rows(MOST_ROW_BYTES));
        assert_eq!(kept(), [false, true, true, false]);
    }
}
