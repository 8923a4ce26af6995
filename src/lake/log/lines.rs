//! The lines of one commit: the one place where Rejoin itself reads a file of the log.

use deltalake_core::kernel::{Add, CommitInfo, Remove};
use object_store::ObjectStoreExt;
use serde::Deserialize;

use super::store::Lake;
use crate::{Error, Result};

/// In the commit's information: after it the table holds what the commit added, and nothing else.
pub(super) const WHOLE: &str = "rejoinWhole";
/// In the commit's information: an id that no other commit has.
pub(super) const COMMIT_ID: &str = "rejoinCommit";

/// One line, as far as it is needed here.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CommitLine {
    pub commit_info: Option<CommitInfo>,
    pub add: Option<Add>,
    pub remove: Option<Remove>,
    pub meta_data: Option<TableLine>,
}

/// What a table says of itself.
#[derive(Debug, Deserialize)]
pub(super) struct TableLine {
    pub name: Option<String>,
}

impl CommitLine {
    /// A value of ours in the commit's information.
    pub fn information(&self, name: &str) -> Option<&serde_json::Value> {
        self.commit_info.as_ref()?.info.get(name)
    }
}

/// The lines of a commit's file.
pub(super) fn lines(commit: &[u8]) -> impl Iterator<Item = Result<CommitLine>> + '_ {
    commit
        .split(|b| *b == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(|e| Error::refused(format!("the log is not Delta's: {e}"))))
}

/// The file of a version's commit; None where the version does not exist.
pub(super) async fn commit_file(lake: &Lake, table: &str, version: u64) -> Result<Option<bytes::Bytes>> {
    let path = lake.file_path(table, &format!("_delta_log/{version:020}.json"))?;
    match lake.store().get(&path).await {
        Ok(found) => Ok(Some(found.bytes().await?)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
