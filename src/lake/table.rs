//! One Delta table at one version: schema, live files, and commits against exactly that version.
//!
//! Commits, history and versions are the library's; which files a commit adds and removes is ours.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, Add, MetadataExt, Remove, StructType};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError, TableProperty};
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::log_reads::LogReads;
use super::stats::{self, TimeSpan};
use super::{Lake, log};
use crate::{Error, ErrorKind, Result};

/// Name of a commit's unique id in the log.
const COMMIT_ID: &str = "rejoinCommit";

/// How often a commit is written again that is not in the log after a failure of the store.
const COMMIT_TRIES: u32 = 1;

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
    /// False when the log says that all rows lie outside these times (inclusive).
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
    delta: DeltaTable,
    reads: Arc<LogReads>,
}

impl Snapshot {
    /// The table at its latest version, or at `version`. A missing table has no version, no files and no columns.
    pub async fn open(lake: &Lake, name: &str, version: Option<u64>) -> Result<Self> {
        let known = lake.known().snapshot(name);
        let loaded = match (version, known) {
            (Some(version), Some(known)) if known.version == Some(version) => return Ok(known),
            (None, Some(known)) => {
                let Some(latest) = log::latest(lake, name, known.version).await? else {
                    return Self::missing(lake, name);
                };
                if let Some(same) = lake.known().snapshot_at(name, &latest) {
                    return Ok(same);
                }
                // what was read before is built upon
                let before = lake.known().snapshot_before(name, &latest);
                Self::load(lake, name, before, Some(latest.version)).await?.map(|loaded| (loaded, Some(latest.mark)))
            }
            (version, _) => Self::load(lake, name, None, version).await?.map(|loaded| (loaded, None)),
        };
        let Some((snapshot, mark)) = loaded else { return Self::missing(lake, name) };
        lake.known().keep_snapshot(&snapshot, mark);
        Ok(snapshot)
    }

    /// Reads the log up to a version, or to its end, on top of what was read before; None where there is no such table.
    async fn load(lake: &Lake, name: &str, before: Option<Self>, version: Option<u64>) -> Result<Option<Self>> {
        let (mut delta, reads) = match before {
            Some(before) => (before.delta, before.reads),
            None => lake.delta_table(name)?,
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
                Err(_) if log::latest_version(lake, name, None).await?.is_none() => return Ok(None),
                // somebody created it after the first look
                Err(_) if tries == 0 && version.is_none() => tries += 1,
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
    fn of(lake: &Lake, name: &str, delta: DeltaTable, reads: Arc<LogReads>) -> Result<Self> {
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

    /// The table as if only `files` were live.
    pub fn only(&self, files: Vec<DataFile>) -> Self {
        Self { files, ..self.clone() }
    }

    /// Commits `change` on top of exactly this version and returns the new one; a conflict changes nothing.
    pub async fn commit(&self, lake: &Lake, change: Change) -> Result<Self> {
        let mode = if change.remove.is_empty() { SaveMode::Append } else { SaveMode::Overwrite };
        self.commit_as(lake, change, DeltaOperation::Write { mode, partition_by: None, predicate: None }, false).await
    }

    /// Commits `add` as all that the table holds from now on, `columns` being all of its columns; the commit itself tells
    /// so to readers in a hurry.
    pub async fn commit_whole(&self, lake: &Lake, add: Vec<NewFile>, columns: Vec<Field>) -> Result<Self> {
        let change = Change { add, remove: self.files.clone(), columns };
        let operation = DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None };
        self.commit_as(lake, change, operation, true).await
    }

    /// Commits a change after which the table has the same rows as before, in other files. The log says so, and readers
    /// that follow changes skip it.
    pub async fn commit_same_rows(&self, lake: &Lake, change: Change) -> Result<Self> {
        self.commit_as(lake, change, DeltaOperation::Optimize { predicate: None, target_size: 0 }, false).await
    }

    /// Commits a change that erases rows. The log says so, and no more: what was erased is not written down.
    pub async fn commit_erased(&self, lake: &Lake, change: Change) -> Result<Self> {
        self.commit_as(lake, change, DeltaOperation::Delete { predicate: None }, false).await
    }

    /// True for a table that Rejoin made, which bears its name.
    pub fn is_ours(&self) -> bool {
        self.delta.snapshot().is_ok_and(|state| state.metadata().name() == Some(&self.name))
    }

    async fn commit_as(&self, lake: &Lake, change: Change, operation: DeltaOperation, whole: bool) -> Result<Self> {
        let merged = match whole {
            true => Schema::new(change.columns.clone()),
            false => merge_columns(&self.name, &self.schema, &change.columns)?,
        };
        let data_change = operation.changes_data();
        let mut actions: Vec<Action> =
            change.remove.iter().map(|f| Action::Remove(remove_action(f, data_change))).collect();
        actions.extend(change.add.iter().map(|f| Action::Add(add_action(f, data_change))));
        if self.version.is_some() && merged.fields() != self.schema.fields() {
            let state = self.delta.snapshot().map_err(delta_error)?;
            let metadata = state.metadata().clone().with_schema(&kernel_schema(&merged)?);
            let metadata = metadata.map_err(|e| Error::bug(format!("table {}: {e}", self.name)))?;
            actions.push(Action::Metadata(metadata));
        }
        if self.version.is_some() && actions.is_empty() {
            return Ok(self.clone());
        }
        let version = self.version.map_or(0, |version| version + 1);
        let id = uuid::Uuid::new_v4().to_string();
        let mut information = HashMap::from([(COMMIT_ID.to_string(), id.as_str().into())]);
        information.extend(whole.then(|| (log::WHOLE.to_string(), true.into())));
        let mut tries = 0;
        loop {
            let written = self.write_log(&merged, actions.clone(), operation.clone(), &information).await;
            let error = match written {
                Ok(delta) => return self.committed(lake, delta),
                Err(error) => error,
            };
            // the answer may be lost, or what came after the commit may have failed: the log itself knows
            let error = delta_error(error).at(format!("table {}", self.name));
            match commit_at(lake, &self.name, version).await {
                Ok(Some(log)) if log.contains(&id) => {
                    tracing::debug!(table = self.name, version, %error, "committed all the same");
                    break;
                }
                Ok(Some(_)) => return Err(lost_race().at(format!("table {}", self.name)).caused_by(error)),
                // whoever decided on this change reads again
                Ok(None) if error.kind() == ErrorKind::Conflict => return Err(error),
                Ok(None) if error.kind() == ErrorKind::Unavailable && tries < COMMIT_TRIES => tries += 1,
                Ok(None) | Err(_) => {
                    lake.leave_undecided(change.add.iter().map(|file| file.path.clone()));
                    return Err(error);
                }
            }
        }
        let mut delta = self.delta.clone();
        delta.load_version(version).await.map_err(|e| delta_error(e).at(format!("table {}", self.name)))?;
        self.committed(lake, delta)
    }

    /// The table as a commit has left it.
    fn committed(&self, lake: &Lake, delta: DeltaTable) -> Result<Self> {
        let snapshot = Self::of(lake, &self.name, delta, self.reads.clone())?;
        lake.known().keep_snapshot(&snapshot, None);
        Ok(snapshot)
    }

    /// Writes the version after this one to the log, or the first of a table that does not exist. The library does not try
    /// again on top of other versions: whoever decided on this change read exactly this one.
    async fn write_log(
        &self,
        schema: &Schema,
        actions: Vec<Action>,
        operation: DeltaOperation,
        information: &HashMap<String, serde_json::Value>,
    ) -> Result<DeltaTable, DeltaTableError> {
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_cleanup_expired_logs(Some(false))
            .with_metadata(information.clone());
        if self.version.is_none() {
            let schema = kernel_schema(schema).map_err(|e| DeltaTableError::Generic(e.to_string()))?;
            let create = CreateBuilder::new()
                .with_log_store(self.delta.log_store())
                .with_table_name(&self.name)
                .with_columns(schema.fields().cloned())
                .with_actions(actions)
                .with_commit_properties(properties)
                .with_configuration_property(
                    TableProperty::CheckpointInterval,
                    Some(log::CHECKPOINT_INTERVAL.to_string()),
                )
                .with_save_mode(SaveMode::ErrorIfExists);
            return create.await;
        }
        let state = self.delta.snapshot()?;
        let commit = CommitBuilder::from(properties).with_actions(actions);
        let done = commit.build(Some(state), self.delta.log_store(), operation).await?;
        let mut delta = self.delta.clone();
        delta.state = Some(done.snapshot);
        Ok(delta)
    }
}

/// What the log says of a version; None where it does not exist.
async fn commit_at(lake: &Lake, table: &str, version: u64) -> Result<Option<String>> {
    let path = lake.file_path(table, &format!("_delta_log/{version:020}.json"))?;
    match lake.store().get(&path).await {
        Ok(found) => Ok(Some(String::from_utf8_lossy(&found.bytes().await?).into_owned())),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The schema with `columns` appended where they are new; a column with another type than before is refused.
fn merge_columns(table: &str, schema: &Schema, columns: &[Field]) -> Result<Schema> {
    let mut fields: Vec<Field> = schema.fields().iter().map(|f| f.as_ref().clone()).collect();
    for column in columns {
        match fields.iter().find(|f| f.name() == column.name()) {
            Some(known) if known.data_type() != column.data_type() => {
                return Err(Error::refused(format!(
                    "column {} of table {table} is {}, this input brings {}; a name is a metric (number) or a dimension (text) everywhere",
                    column.name(),
                    known.data_type(),
                    column.data_type()
                )));
            }
            Some(_) => {}
            // files of before have no such column, so a new one can never be NOT NULL
            None => fields.push(column.clone().with_nullable(column.is_nullable() || !schema.fields().is_empty())),
        }
    }
    Ok(Schema::new(fields))
}

fn kernel_schema(schema: &Schema) -> Result<StructType> {
    schema.try_into_kernel().map_err(|e: arrow::error::ArrowError| Error::bug(format!("schema: {e}")))
}

fn add_action(file: &NewFile, data_change: bool) -> Add {
    Add {
        path: file.relative.clone(),
        size: file.size as i64,
        modification_time: crate::clock::now().timestamp_millis(),
        data_change,
        stats: Some(stats::to_json(file.rows, file.hit_time)),
        tags: Some(file.tags.iter().map(|(k, v)| (k.clone(), Some(v.clone()))).collect()),
        ..Default::default()
    }
}

fn remove_action(file: &DataFile, data_change: bool) -> Remove {
    Remove {
        path: file.relative.clone(),
        data_change,
        deletion_timestamp: Some(crate::clock::now().timestamp_millis()),
        extended_file_metadata: Some(true),
        size: Some(file.size as i64),
        partition_values: Some(HashMap::new()),
        ..Default::default()
    }
}

fn refuse_features(name: &str, protocol: &deltalake_core::kernel::Protocol) -> Result<()> {
    let unreadable: Vec<String> =
        protocol.reader_features().unwrap_or_default().iter().map(|f| f.to_string()).collect();
    if unreadable.is_empty() {
        return Ok(());
    }
    Err(Error::refused(format!(
        "table {name} uses Delta reader features that Rejoin does not support ({}); rewrite it without them",
        unreadable.join(", ")
    )))
}

/// A conflict stays a conflict; everything else of the log is a matter of the store.
pub(super) fn delta_error(error: DeltaTableError) -> Error {
    let is_lost = matches!(
        &error,
        DeltaTableError::Transaction {
            source: TransactionError::MaxCommitAttempts(_)
                | TransactionError::CommitConflict(_)
                | TransactionError::VersionAlreadyExists(_)
        } | DeltaTableError::VersionAlreadyExists(_)
    );
    if is_lost {
        return lost_race().caused_by(error);
    }
    match Error::of_store(&error) {
        Some(known) => known.caused_by(error),
        None => Error::unavailable(error.to_string()).caused_by(error),
    }
}

fn lost_race() -> Error {
    Error::conflict("another writer committed first; run the command again")
}
