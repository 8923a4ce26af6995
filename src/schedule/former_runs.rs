//! What former runs left behind in the lake: the table `runs`, and which inputs need not be read again.

use object_store::{ObjectStoreExt, PutPayload};

use super::lease::FOLDER;
use crate::ingest::KnownInputs;
use crate::lake::records::Run;
use crate::lake::{Lake, Registry};
use crate::{Error, Result};

/// Runs that are kept.
const MAX_RUNS: usize = 10_000;

/// Object of the known inputs.
const KNOWN: &str = "known.json";

/// The last run, when there was one.
pub async fn last_run(lake: &Lake) -> Result<Option<Run>> {
    Ok(Registry::<Run>::read(lake).await?.rows.into_iter().max_by_key(|run| run.run))
}

/// Adds a run, and gives it its number.
pub async fn record(lake: &Lake, run: Run) -> Result<Run> {
    Registry::<Run>::update(lake, |runs| {
        let number = runs.iter().map(|r| r.run).max().unwrap_or(0) + 1;
        let added = Run { run: number, ..run.clone() };
        runs.push(added.clone());
        runs.sort_by_key(|r| r.run);
        runs.drain(..runs.len().saturating_sub(MAX_RUNS));
        Ok(added)
    })
    .await
}

/// The known inputs. What cannot be read is not known: files are then read once more, and loaded no second time.
pub async fn known(lake: &Lake) -> Result<KnownInputs> {
    match lake.store().get(&lake.file_path(FOLDER, KNOWN)?).await {
        Ok(found) => Ok(serde_json::from_slice(&found.bytes().await?).unwrap_or_default()),
        Err(object_store::Error::NotFound { .. }) => Ok(KnownInputs::default()),
        Err(error) => Err(error.into()),
    }
}

/// Keeps the known inputs; only the holder of the lease does.
pub async fn keep_known(lake: &Lake, known: &KnownInputs) -> Result<()> {
    let json = serde_json::to_vec(known).map_err(|e| Error::bug(format!("known inputs: {e}")))?;
    lake.store().put(&lake.file_path(FOLDER, KNOWN)?, PutPayload::from(json)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn history_is_numbered_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        assert_eq!(last_run(&lake).await.unwrap(), None);
        Registry::<Run>::update(&lake, |runs| {
            *runs = (1..=MAX_RUNS as i64).map(|run| Run { run, ..Run::default() }).collect();
            Ok(())
        })
        .await
        .unwrap();
        let added = record(&lake, Run { status: "ok".into(), ..Run::default() }).await.unwrap();
        let runs = Registry::<Run>::read(&lake).await.unwrap().rows;
        assert_eq!((added.run, runs.len(), runs.iter().map(|r| r.run).min()), (10_001, MAX_RUNS, Some(2)));
        assert_eq!(last_run(&lake).await.unwrap(), Some(added));
    }
}
