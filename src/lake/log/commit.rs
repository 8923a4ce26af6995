//! One commit of a table on top of exactly the version that was read; the faster writer wins.
//!
//! Commits and versions are the library's; which files a commit adds and removes is ours.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema};
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{Action, Add, MetadataExt, Protocol, Remove, StructType};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::{DeltaTable, DeltaTableError, TableProperty};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::delta_error::{delta_error, lost_race};
use super::lines::{COMMIT_ID, WHOLE, commit_file, lines};
use super::snapshot::{Change, DataFile, NewFile, Snapshot};
use super::stats;
use super::store::Lake;
use super::table::PLAIN_TIMES;
use super::versions::CHECKPOINT_INTERVAL;
use crate::{Error, ErrorKind, Result};

/// How often a commit is written again that is not in the log after a failure of the store.
const COMMIT_TRIES: u32 = 1;

impl Snapshot {
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

    fn commit_as<'a>(
        &'a self,
        lake: &'a Lake,
        change: Change,
        operation: DeltaOperation,
        whole: bool,
    ) -> BoxFuture<'a, Result<Self>> {
        async move {
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
                if has_plain_times(&merged) && !reads_plain_times(state.protocol()) {
                    actions.push(Action::Protocol(with_plain_times(state.protocol())?));
                }
            }
            if self.version.is_some() && actions.is_empty() {
                return Ok(self.clone());
            }
            let version = self.version.map_or(0, |version| version + 1);
            let id = uuid::Uuid::new_v4().to_string();
            let mut information = HashMap::from([(COMMIT_ID.to_string(), id.as_str().into())]);
            information.extend(whole.then(|| (WHOLE.to_string(), true.into())));
            let mut tries = 0;
            loop {
                let written = self.write_log(&merged, actions.clone(), operation.clone(), &information).await;
                let error = match written {
                    Ok(delta) => return self.committed(lake, delta),
                    Err(error) => error,
                };
                // the answer may be lost, or what came after the commit may have failed: the log itself knows
                let error = delta_error(error).at(format!("table {}", self.name));
                match commit_file(lake, &self.name, version).await {
                    Ok(Some(commit)) if bears(&commit, &id) => {
                        tracing::debug!(table = self.name, version, %error, "committed all the same");
                        break;
                    }
                    Ok(Some(_)) => return Err(lost_race().at(format!("table {}", self.name)).caused_by(error)),
                    // what decided on this change reads again
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
        .boxed()
    }

    /// The table as a commit has left it.
    fn committed(&self, lake: &Lake, delta: DeltaTable) -> Result<Self> {
        let snapshot = Arc::new(Self::of(lake, &self.name, delta, self.reads.clone())?);
        lake.keep_newest(&snapshot, None)?;
        Ok(Arc::unwrap_or_clone(snapshot))
    }

    /// Writes the version after this one to the log, or the first of a table that does not exist. The library does not try
    /// again on top of other versions: the change was decided on exactly this one.
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
                .with_configuration_property(TableProperty::CheckpointInterval, Some(CHECKPOINT_INTERVAL.to_string()))
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

/// True for the commit of this id.
fn bears(commit: &[u8], id: &str) -> bool {
    lines(commit).flatten().any(|line| line.information(COMMIT_ID).is_some_and(|found| found == id))
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

/// True where a column has TIMESTAMPs without a zone, also in lists.
fn has_plain_times(schema: &Schema) -> bool {
    fn is_plain(data_type: &DataType) -> bool {
        match data_type {
            DataType::List(item) => is_plain(item.data_type()),
            other => matches!(other, DataType::Timestamp(_, None)),
        }
    }
    schema.fields().iter().any(|field| is_plain(field.data_type()))
}

fn reads_plain_times(protocol: &Protocol) -> bool {
    protocol.reader_features().unwrap_or_default().iter().any(|feature| feature.to_string() == PLAIN_TIMES)
}

/// What readers and writers of a table must know, and TIMESTAMPs without a zone.
fn with_plain_times(protocol: &Protocol) -> Result<Protocol> {
    let known = protocol.writer_features().unwrap_or_default().iter().map(|feature| feature.to_string());
    let writers: Vec<String> = known.chain([PLAIN_TIMES.to_string()]).collect();
    let readers = protocol.reader_features().unwrap_or_default().iter().map(|feature| feature.to_string());
    let readers: Vec<String> = readers.chain([PLAIN_TIMES.to_string()]).collect();
    let wanted = serde_json::json!({
        "minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": readers, "writerFeatures": writers,
    });
    serde_json::from_value(wanted).map_err(|error| Error::bug(format!("protocol: {error}")))
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
