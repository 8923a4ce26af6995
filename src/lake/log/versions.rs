//! What a table's log says without loading the table: its latest version, and the files of a small table.
//!
//! The library replays a log from its last checkpoint. Two questions are asked so often that they are answered with
//! fewer requests: whether there is a newer version (one listing that begins at a known one), and which file holds the
//! rows of a small table, whose commits replace all rows and therefore say it all.

use bytes::Bytes;
use deltalake_core::kernel::Add;
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::Deserialize;

use super::known::{Latest, Mark};
use super::lines::{WHOLE, commit_file, lines};
use super::store::Lake;
use crate::Result;

/// Versions between two checkpoints of a table's log.
pub(super) const CHECKPOINT_INTERVAL: u64 = 10;

/// The last checkpoint, as the file that points to it says.
#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

/// The latest version of a table; None for a table that does not exist. `known` is a version that it had: versions before
/// are not listed.
pub async fn latest_version(lake: &Lake, table: &str, known: Option<u64>) -> Result<Option<u64>> {
    Ok(latest(lake, table, known).await?.map(|latest| latest.version))
}

/// As [`latest_version`], with what tells this version from another one of the same number.
pub(in crate::lake) async fn latest(lake: &Lake, table: &str, known: Option<u64>) -> Result<Option<Latest>> {
    let log = lake.file_path(table, "_delta_log")?;
    let known = match known.max(lake.known().version(table)) {
        Some(version) => Some(version),
        None => last_checkpoint(lake, &log).await?,
    };
    let mut latest = newest_listed(lake, &log, known.unwrap_or(0)).await?;
    // a version that is known from elsewhere may have been cleaned away or be of another lake: say what is there
    if latest.is_none() && known.is_some_and(|v| v > 0) {
        latest = newest_listed(lake, &log, 0).await?;
    }
    if latest.as_ref().is_none_or(|latest| Some(latest.version) < lake.known().version(table)) {
        lake.known().forget(table);
    }
    Ok(latest)
}

async fn newest_listed(lake: &Lake, log: &Path, from: u64) -> Result<Option<Latest>> {
    let offset = log.clone().join(format!("{from:020}"));
    let mut listed = lake.store().list_with_offset(Some(log), &offset);
    let mut versions = vec![];
    while let Some(object) = listed.try_next().await? {
        if let Some(version) = object.location.filename().and_then(version_of) {
            versions.push((version, Mark::from(&object)));
        }
    }
    let newest = versions.iter().max_by_key(|(version, _)| *version).cloned();
    Ok(newest.map(|(version, mark)| Latest { version, mark, listed: versions }))
}

async fn last_checkpoint(lake: &Lake, log: &Path) -> Result<Option<u64>> {
    match lake.store().get(&log.clone().join("_last_checkpoint")).await {
        Ok(found) => Ok(serde_json::from_slice::<LastCheckpoint>(&found.bytes().await?).ok().map(|c| c.version)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
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
