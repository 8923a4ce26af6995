//! What a table's log says without loading the table: its latest version, and the files of a small table.
//!
//! The library replays a log from its last checkpoint. Some questions are asked so often that they are answered with
//! fewer requests: whether there is a newer version (one listing that begins at a known one), which file holds the rows of
//! a small table, whose commits replace all rows and therefore say it all, and whether newer versions have the same rows.

use bytes::Bytes;
use deltalake_core::kernel::Add;
use futures::future::{BoxFuture, ready};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::lines::{COMMIT_ID, WHOLE, commit_file, lines};
use super::listing::{listing, version_of_last_checkpoint};
use super::log_cache::{Latest, Mark};
use super::store::Lake;
use crate::Result;

/// Versions between two checkpoints of a table's log.
pub(super) const CHECKPOINT_INTERVAL: u64 = 10;

/// Commits that are asked whether they left all rows as they were, at most; a compaction has a few.
const MOST_COMMITS: u64 = 512;

/// Of them, so many are read at once.
const COMMITS_AT_ONCE: usize = 16;

/// The latest version of a table; None for a table that does not exist. `known` is a version that it had: versions before
/// are not listed.
pub async fn latest_version(lake: &Lake, table: &str, known: Option<u64>) -> Result<Option<u64>> {
    Ok(latest(lake, table, known).await?.map(|latest| latest.version))
}

/// As [`latest_version`], with what tells this version from another one of the same number.
pub(in crate::lake) fn latest<'a>(
    lake: &'a Lake,
    table: &'a str,
    known: Option<u64>,
) -> BoxFuture<'a, Result<Option<Latest>>> {
    async move {
        let log = lake.file_path(table, "_delta_log")?;
        let known = known.max(lake.log_cache().version(table));
        if known.is_none()
            && lake.is_distant()
            && let Some(listing) = listing(lake.store().as_ref(), &log).await?
        {
            return Ok(newest(&listing.files));
        }
        let known = match known {
            Some(version) => Some(version),
            None => version_of_last_checkpoint(lake.store().as_ref(), &log).await?,
        };
        let mut latest = newest_listed(lake, &log, known.unwrap_or(0)).await?;
        // a version that is known from elsewhere may have been cleaned away or be of another lake: say what is there
        if latest.is_none() && known.is_some_and(|v| v > 0) {
            latest = newest_listed(lake, &log, 0).await?;
        }
        if latest.as_ref().is_none_or(|latest| Some(latest.version) < lake.log_cache().version(table)) {
            lake.forget_table(table)?;
        }
        Ok(latest)
    }
    .boxed()
}

/// True when a table has the same rows at two versions: every commit between them is ours and says that it left the rows as
/// they were, as a compaction's do. False where that is not known.
pub async fn has_same_rows(lake: &Lake, table: &str, then: Option<u64>, now: Option<u64>) -> Result<bool> {
    let (Some(then), Some(now)) = (then, now) else { return Ok(then == now) };
    if now < then || now - then > MOST_COMMITS {
        return Ok(false);
    }
    let commits = stream::iter(then + 1..=now).map(|version| commit_file(lake, table, version));
    let commits = commits.buffered(COMMITS_AT_ONCE);
    commits.try_all(|commit| ready(commit.is_some_and(|commit| keeps_rows(&commit)))).await
}

/// True for a commit of ours that says that it changes no row.
fn keeps_rows(commit: &[u8]) -> bool {
    let mut says = false;
    for line in lines(commit) {
        let Ok(line) = line else { return false };
        let operation = line.commit_info.as_ref().and_then(|info| info.operation.as_deref());
        says |= operation == Some("OPTIMIZE") && line.information(COMMIT_ID).is_some();
        if line.add.is_some_and(|add| add.data_change) || line.remove.is_some_and(|remove| remove.data_change) {
            return false;
        }
    }
    says
}

async fn newest_listed(lake: &Lake, log: &Path, from: u64) -> Result<Option<Latest>> {
    let offset = log.clone().join(format!("{from:020}"));
    let listed = lake.store().list_with_offset(Some(log), &offset);
    Ok(newest(&listed.try_collect::<Vec<_>>().await?))
}

fn newest(files: &[ObjectMeta]) -> Option<Latest> {
    let version = |file: &ObjectMeta| Some((version_of(file.location.filename()?)?, Mark::from(file)));
    let listed: Vec<(u64, Mark)> = files.iter().filter_map(version).collect();
    let (version, mark) = listed.iter().max_by_key(|(version, _)| *version).cloned()?;
    Some(Latest { version, mark, listed })
}

/// `00000000000000000007.json` is version 7; other files of the log are none.
fn version_of(name: &str) -> Option<u64> {
    name.strip_suffix(".json").filter(|stem| stem.len() == 20)?.parse().ok()
}

/// The files of a small table at a version, each whole in memory; None when the version's commit does not say it all.
pub async fn whole_files(lake: &Lake, table: &str, version: u64) -> Result<Option<Vec<Bytes>>> {
    let Some(commit) = commit_file(lake, table, version).await? else { return Ok(None) };
    let Some(added) = whole(&commit) else { return Ok(None) };
    let mut files = vec![];
    for Add { path, size, .. } in added {
        files.push(lake.store().get_range(&lake.file_path(table, &path)?, 0..size.unsigned_abs()).await?);
    }
    Ok(Some(files))
}

/// The files that a commit adds, when it says that they are all.
fn whole(commit: &[u8]) -> Option<Vec<Add>> {
    let mut added = vec![];
    let mut is_whole = false;
    for line in lines(commit) {
        let line = line.ok()?;
        is_whole |= line.information(WHOLE).is_some_and(|value| value == true);
        added.extend(line.add);
    }
    is_whole.then_some(added)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};

    use super::*;
    use crate::lake::records::Suite;
    use crate::lake::write::write_plain;
    use crate::lake::{Change, Registry, Snapshot};

    #[test]
    fn only_commits_are_versions() {
        assert_eq!(version_of("00000000000000000007.json"), Some(7));
        for other in ["00000000000000000010.checkpoint.parquet", "_last_checkpoint", "7.json", ".json", "x.crc"] {
            assert_eq!(version_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_commit_says_it_all_only_when_it_says_so() {
        let add =
            r#"{"add":{"path":"a.parquet","partitionValues":{},"size":3,"modificationTime":0,"dataChange":true}}"#;
        assert!(whole(add.as_bytes()).is_none());
        let lines = format!("{{\"commitInfo\":{{\"rejoinWhole\":true,\"operation\":\"WRITE\"}}}}\n{add}\n");
        assert_eq!(whole(lines.as_bytes()).unwrap().len(), 1);
        assert!(whole(b"{\"commitInfo\":{\"rejoinWhole\":false}}").is_none());
        assert!(whole(b"no json").is_none());
    }

    #[test]
    fn only_a_compaction_of_ours_keeps_rows() {
        let commit = |operation: &str, id: &str, change: bool| {
            format!(
                "{{\"commitInfo\":{{\"operation\":\"{operation}\"{id}}}}}\n\
                 {{\"remove\":{{\"path\":\"a.parquet\",\"dataChange\":{change}}}}}\n\
                 {{\"add\":{{\"path\":\"b.parquet\",\"partitionValues\":{{}},\"size\":3,\"modificationTime\":0,\"dataChange\":{change}}}}}\n"
            )
        };
        let ours = ",\"rejoinCommit\":\"7\"";
        assert!(keeps_rows(commit("OPTIMIZE", ours, false).as_bytes()));
        for other in [commit("OPTIMIZE", "", false), commit("WRITE", ours, false), commit("OPTIMIZE", ours, true)] {
            assert!(!keeps_rows(other.as_bytes()), "{other}");
        }
        assert!(!keeps_rows(b"") && !keeps_rows(b"no json"));
    }

    #[tokio::test]
    async fn rows_are_the_same_until_a_commit_changes_some() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let write = async || {
            let column = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
            let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
            let columns: Vec<_> = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
            let file = write_plain(&lake, "numbers", &[batch], HashMap::new()).await.unwrap();
            (file.into_iter().collect::<Vec<_>>(), columns)
        };
        let open = async || Snapshot::open(&lake, "numbers", None).await.unwrap();
        let same = async |then, now| has_same_rows(&lake, "numbers", then, now).await.unwrap();
        assert!(same(None, None).await && !same(None, Some(0)).await);
        let (add, columns) = write().await;
        open().await.commit(&lake, Change { add, remove: vec![], columns }).await.unwrap();
        for _ in 0..3 {
            let (before, (add, _)) = (open().await, write().await);
            let change = Change { add, remove: before.files.clone(), columns: vec![] };
            before.commit_same_rows(&lake, change).await.unwrap();
        }
        let (add, _) = write().await;
        open().await.commit(&lake, Change { add, remove: vec![], columns: vec![] }).await.unwrap();
        assert_eq!(open().await.version, Some(4));
        assert!(same(Some(0), Some(3)).await && same(Some(2), Some(3)).await && same(Some(4), Some(4)).await);
        assert!(!same(Some(0), Some(4)).await && !same(Some(3), Some(4)).await && !same(Some(3), Some(0)).await);
        assert!(!same(Some(4), Some(9)).await, "versions that are not there");
    }

    #[tokio::test]
    async fn rows_of_a_small_table_are_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Lake::open(folder.path().to_str().unwrap()).unwrap();
        let lake = open();
        for (count, name) in [(1, "web"), (2, "shop")] {
            Registry::<Suite>::update(&lake, |rows| {
                rows.push(Suite::new(name));
                Ok(())
            })
            .await
            .unwrap();
            assert_eq!(Registry::<Suite>::read(&lake).await.unwrap().rows.len(), count);
        }
        for entry in std::fs::read_dir(folder.path().join("suites")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "parquet") {
                std::fs::remove_file(path).unwrap();
            }
        }
        let names: Vec<String> =
            Registry::<Suite>::read(&lake).await.unwrap().rows.into_iter().map(|suite| suite.suite).collect();
        assert!(names == ["web", "shop"], "{names:?}");
        assert!(Registry::<Suite>::read(&open()).await.is_err(), "another process has to read the file");
    }

    /// Enough commits for several checkpoints: what is read through them, and through a commit alone, is the same.
    #[tokio::test]
    async fn checkpoints_keep_tags_and_rows() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(latest_version(&lake, "suites", None).await.unwrap(), None);
        for number in 0..2 * CHECKPOINT_INTERVAL + 5 {
            Registry::<Suite>::update(&lake, |rows| {
                rows.push(Suite::new(&number.to_string()));
                Ok(())
            })
            .await
            .unwrap();
            let column = Arc::new(Int64Array::from(vec![number as i64])) as ArrayRef;
            let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
            let tags = HashMap::from([("rejoin.n".to_string(), number.to_string())]);
            let file = write_plain(&lake, "numbers", std::slice::from_ref(&batch), tags).await.unwrap();
            let columns = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
            let change = Change { add: file.into_iter().collect(), remove: vec![], columns };
            Snapshot::open(&lake, "numbers", None).await.unwrap().commit(&lake, change).await.unwrap();
        }
        let log = folder.path().join("numbers/_delta_log");
        let names = std::fs::read_dir(&log).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        assert!(names.filter(|n| n.contains("checkpoint.parquet")).count() >= 2);
        let numbers = Snapshot::open(&lake, "numbers", None).await.unwrap();
        let latest = latest_version(&lake, "numbers", None).await.unwrap();
        assert_eq!(numbers.version, latest);
        assert_eq!(latest_version(&lake, "numbers", latest).await.unwrap(), latest);
        assert_eq!(latest_version(&lake, "numbers", Some(99)).await.unwrap(), latest, "a version of another lake");
        let mut tags: Vec<u64> = numbers.files.iter().map(|f| f.tags["rejoin.n"].parse().unwrap()).collect();
        tags.sort_unstable();
        assert_eq!(tags, (0..2 * CHECKPOINT_INTERVAL + 5).collect::<Vec<_>>());
        assert!(numbers.files.iter().all(|f| f.rows == Some(1)));

        let suites = Registry::<Suite>::read(&lake).await.unwrap();
        assert_eq!(suites.rows.len(), tags.len());
        let version = suites.version.unwrap();
        assert!(whole_files(&lake, "suites", version).await.unwrap().is_some());
        assert!(whole_files(&lake, "numbers", latest.unwrap()).await.unwrap().is_none());
        assert_eq!(Registry::<Suite>::read_at(&lake, version - 3).await.unwrap().rows.len(), tags.len() - 3);
    }
}
