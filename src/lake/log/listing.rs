//! What is in the log of a table, in one answer of its store.
//!
//! From where a log need be read says `_last_checkpoint`. On a distant store that is a request more and, where the log is listed
//! after it, a wait. A log of few files is listed whole, which shows its checkpoints.

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt, Result};
use serde::Deserialize;

/// Files that a store lists in one answer.
const MOST_FILES: usize = 1000;

/// The file that points to the last checkpoint.
const LAST_CHECKPOINT: &str = "_last_checkpoint";

/// What it says.
#[derive(Deserialize)]
struct LastCheckpoint {
    version: u64,
}

/// The files of a log, in the order of their names.
pub(super) struct Listing {
    pub files: Vec<ObjectMeta>,
}

/// All files of a log; None where they are many, or where neither a checkpoint nor the first commit is among them: what came before
/// is gone then.
pub(super) async fn listing(store: &dyn ObjectStore, log: &Path) -> Result<Option<Listing>> {
    let mut files = store.list(Some(log)).take(MOST_FILES).try_collect::<Vec<_>>().await?;
    files.sort_unstable_by(|a, b| a.location.cmp(&b.location));
    let mut parts = files.iter().filter_map(part_of);
    let has_beginning = files.is_empty() || parts.any(|(version, part)| version == 0 || is_checkpoint(part));
    Ok((has_beginning && files.len() < MOST_FILES).then_some(Listing { files }))
}

impl Listing {
    /// The files that are read for a version, the latest if None: the last checkpoint before it and the commits after that.
    pub fn needed(&self, version: Option<u64>) -> impl Iterator<Item = &ObjectMeta> {
        let files = self.files.iter().filter_map(|file| Some((file, part_of(file)?)));
        let files = files.filter(move |(_, (number, _))| version.is_none_or(|version| *number <= version));
        let checkpoints = files.clone().filter(|(_, (_, part))| is_checkpoint(part));
        let checkpoint = checkpoints.map(|(_, (number, _))| number).max();
        let needed = files.filter(move |(_, (number, part))| match is_checkpoint(part) {
            true => Some(*number) == checkpoint,
            false => *part == ".json" && Some(*number) > checkpoint,
        });
        needed.map(|(file, _)| file)
    }
}

/// The path of the file that points to the last checkpoint of a log.
pub(super) fn path_of_last_checkpoint(log: &Path) -> Path {
    log.clone().join(LAST_CHECKPOINT)
}

/// The version of the last checkpoint, as the file says that points to it.
pub(super) async fn version_of_last_checkpoint(store: &dyn ObjectStore, log: &Path) -> Result<Option<u64>> {
    let file = match store.get(&path_of_last_checkpoint(log)).await {
        Ok(found) => found.bytes().await?,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(serde_json::from_slice::<LastCheckpoint>(&file).ok().map(|checkpoint| checkpoint.version))
}

/// The version that a file is of, and the rest of its name.
fn part_of(file: &ObjectMeta) -> Option<(u64, &str)> {
    let (version, part) = file.location.filename()?.split_at_checked(20)?;
    Some((version.parse().ok()?, part))
}

fn is_checkpoint(part: &str) -> bool {
    part.starts_with(".checkpoint.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;
    use object_store::memory::InMemory;

    use super::*;

    async fn store(names: &[&str], pointed_to: Option<u64>) -> (InMemory, Path) {
        let (store, log) = (InMemory::new(), Path::from("lake/hits/_delta_log"));
        for name in names {
            store.put(&log.clone().join(*name), Bytes::from_static(b"{}").into()).await.unwrap();
        }
        if let Some(version) = pointed_to {
            let file = format!("{{\"version\":{version},\"size\":3}}");
            store.put(&path_of_last_checkpoint(&log), file.into_bytes().into()).await.unwrap();
        }
        (store, log)
    }

    fn names<'a>(files: impl Iterator<Item = &'a ObjectMeta>) -> Vec<&'a str> {
        files.map(|file| file.location.filename().unwrap().trim_start_matches('0')).collect()
    }

    #[tokio::test]
    async fn a_checkpoint_and_what_came_after_it() {
        let files = [10, 11, 12].map(|version| format!("{version:020}.json"));
        let checkpoints = [5, 11].map(|version| format!("{version:020}.checkpoint.parquet"));
        let all: Vec<&str> = files.iter().chain(&checkpoints).map(String::as_str).chain(["x.tmp"]).collect();
        let (store, log) = store(&all, Some(11)).await;
        let found = listing(&store, &log).await.unwrap().unwrap();
        assert_eq!(found.files.len(), 7);
        assert_eq!(names(found.needed(None)), ["11.checkpoint.parquet", "12.json"]);
        assert_eq!(names(found.needed(Some(11))), ["11.checkpoint.parquet"]);
        assert_eq!(names(found.needed(Some(10))), ["5.checkpoint.parquet", "10.json"]);
        assert_eq!(version_of_last_checkpoint(&store, &log).await.unwrap(), Some(11));
    }

    #[tokio::test]
    async fn a_log_without_a_checkpoint() {
        let (store, log) = store(&["00000000000000000000.json", "00000000000000000001.json"], None).await;
        let found = listing(&store, &log).await.unwrap().unwrap();
        assert_eq!(names(found.needed(None)), [".json", "1.json"]);
        let empty = listing(&store, &Path::from("lake/none/_delta_log")).await.unwrap().unwrap();
        assert!(empty.files.is_empty());
    }

    #[tokio::test]
    async fn a_log_whose_beginning_is_gone() {
        let (store, log) = store(&["00000000000000000007.json"], Some(6)).await;
        assert!(listing(&store, &log).await.unwrap().is_none());
    }
}
