//! A table's log is read: the table at its latest version, or at an earlier one, on top of what was read before.

use std::sync::Arc;

use arrow::datatypes::Schema;
use deltalake_core::DeltaTable;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::delta_error::delta_error;
use super::reads::LogReads;
use super::snapshot::{DataFile, Snapshot};
use super::store::Lake;
use super::{stats, versions};
use crate::{Error, Result};

impl Snapshot {
    /// The table at its latest version, or at `version`. A missing table has no version, no files and no columns.
    pub fn open<'a>(lake: &'a Lake, name: &'a str, version: Option<u64>) -> BoxFuture<'a, Result<Self>> {
        async move { Self::open_shared(lake, name, version).await.map(Arc::unwrap_or_clone) }.boxed()
    }

    /// The same, as this process keeps it: a reader copies nothing of it.
    pub fn open_shared<'a>(lake: &'a Lake, name: &'a str, version: Option<u64>) -> BoxFuture<'a, Result<Arc<Self>>> {
        async move {
            let missing = || Self::missing(lake, name).map(Arc::new);
            let known = lake.log_cache().snapshot(name);
            let loaded = match (version, known) {
                (Some(version), Some(known)) if known.version == Some(version) => return Ok(known),
                (None, Some(known)) => {
                    let Some(latest) = versions::latest(lake, name, known.version).await? else { return missing() };
                    if let Some(same) = lake.log_cache().snapshot_at(name, &latest) {
                        return Ok(same);
                    }
                    // what was read before is built upon
                    let before = lake.log_cache().snapshot_before(name, &latest).map(Arc::unwrap_or_clone);
                    let loaded = Self::load(lake, name, before, Some(latest.version)).await?;
                    loaded.map(|loaded| (loaded, Some(latest.mark)))
                }
                (Some(version), Some(known)) if known.version < Some(version) && !lake.is_distant() => {
                    let latest = versions::latest(lake, name, known.version).await?;
                    let before = latest.and_then(|latest| lake.log_cache().snapshot_before(name, &latest));
                    let before = before.map(Arc::unwrap_or_clone);
                    Self::load(lake, name, before, Some(version)).await?.map(|loaded| (loaded, None))
                }
                // a distant store is asked for the whole log at once
                (version, _) => Self::load(lake, name, None, version).await?.map(|loaded| (loaded, None)),
            };
            let Some((snapshot, mark)) = loaded else { return missing() };
            let snapshot = Arc::new(snapshot);
            match version {
                None => lake.keep_newest(&snapshot, mark)?,
                Some(_) => drop(lake.log_cache().keep_snapshot(&snapshot, mark)),
            }
            Ok(snapshot)
        }
        .boxed()
    }

    /// Reads the log up to a version, or to its end, on top of what was read before; None where there is no such table.
    async fn load(lake: &Lake, name: &str, before: Option<Self>, version: Option<u64>) -> Result<Option<Self>> {
        let (mut delta, reads) = match before {
            Some(before) => (before.delta, before.reads),
            None => {
                let (delta, reads) = lake.delta_table(name)?;
                let log = lake.file_path(name, "_delta_log")?;
                if lake.is_distant() {
                    let found = reads.fetch_ahead(&log, version).await;
                    if !found.map_err(|error| Error::from(error).at(format!("table {name}")))? {
                        return Ok(None);
                    }
                }
                (delta, reads)
            }
        };
        let mut tries = 0;
        loop {
            let loaded = match version {
                Some(version) => delta.load_version(version).await,
                None => delta.load().await,
            };
            match loaded {
                Ok(()) => return Self::of(lake, name, delta, reads).map(Some),
                // stores differ in how they say it
                Err(_) if versions::latest_version(lake, name, None).await?.is_none() => return Ok(None),
                // somebody created it after the first look
                Err(_) if tries == 0 && version.is_none() => {
                    reads.clear();
                    tries += 1;
                }
                Err(error) => return Err(delta_error(error).at(format!("table {name}"))),
            }
        }
    }

    /// The table as if it did not exist.
    pub fn missing(lake: &Lake, name: &str) -> Result<Self> {
        let (delta, reads) = lake.delta_table(name)?;
        Ok(Self { name: name.into(), version: None, schema: Arc::new(Schema::empty()), files: vec![], delta, reads })
    }

    /// The table as the log was read; what was fetched for that goes.
    pub(super) fn of(lake: &Lake, name: &str, delta: DeltaTable, reads: Arc<LogReads>) -> Result<Self> {
        let state = delta.snapshot().map_err(delta_error)?;
        refuse_features(name, state.protocol())?;
        let schema = state.snapshot().arrow_schema();
        let mut files = vec![];
        for view in state.log_data().iter() {
            // tags are not in the view's own accessors
            #[allow(deprecated)]
            let add = view.add_action();
            if add.deletion_vector.is_some() {
                return Err(Error::refused(format!(
                    "table {name}: file {} has a deletion vector, which Rejoin does not read; rewrite the table without them",
                    add.path
                )));
            }
            files.push(DataFile {
                path: lake.file_path(name, &add.path)?,
                relative: add.path.clone(),
                size: add.size.unsigned_abs(),
                rows: view.num_records().map(|n| n as u64),
                hit_time: add.stats.as_deref().and_then(stats::span_of_json),
                tags: add.tags.unwrap_or_default().into_iter().filter_map(|(k, v)| Some((k, v?))).collect(),
            });
        }
        // the log's order is not stable over checkpoints; plans and merges should be
        files.sort_by(|a, b| a.relative.cmp(&b.relative));
        reads.clear();
        Ok(Self { name: name.into(), version: Some(state.version()), schema, files, delta, reads })
    }
}

/// What a table with a TIMESTAMP without a zone asks of its readers, who read it as they read all others.
pub(super) const PLAIN_TIMES: &str = "timestampNtz";

fn refuse_features(name: &str, protocol: &deltalake_core::kernel::Protocol) -> Result<()> {
    let asked = protocol.reader_features().unwrap_or_default().iter().map(|feature| feature.to_string());
    let unreadable: Vec<String> = asked.filter(|feature| feature != PLAIN_TIMES).collect();
    if unreadable.is_empty() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "table {name} uses Delta reader features that Rejoin does not support ({}); rewrite it without them",
        unreadable.join(", ")
    )))
}
