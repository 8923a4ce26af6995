//! Writes a table of the integration: new rows, beside or in place of former ones.
//!
//! In: the queries whose rows are new, and how many of the rows are due. Out: one commit, or none where nothing changes. Of a table
//! of which only some rows are due, the files of a bucket stay where none of their rows goes: the new rows are beside them
//! as a further generation. Other buckets are written anew, former rows that stay together with the new ones; so are those
//! with a former row that is in one place of the lake's order with a new one, so that such rows have one order, that of a file.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use futures::TryStreamExt;

use super::due::{RowsDue, name_former_in};
use super::sink::{Sink, WrittenRows};
use crate::columns::{is_dimension, is_metric, key_field};
use crate::engine::Engine;
use crate::lake::compact::{CompactionOptions, fewer_files};
use crate::lake::key_check::tag_unique_keys;
use crate::lake::layout::{BUCKETS, TAG_BUCKET, bucket_of};
use crate::lake::log::has_same_rows;
use crate::lake::tables::full_schema;
use crate::lake::write::{Written, discard_uncommitted};
use crate::lake::{Change, DataFile, Lake, Snapshot};
use crate::{Error, ErrorKind, Result};

/// Files of a bucket more than a compaction would leave, from which on the next rebuild writes it anew.
const MOST_FILES_MORE: usize = 7;

/// How a table is renewed.
pub struct Renewal<'a> {
    /// The table at the version that is built upon; a writer that commits other rows meanwhile wins.
    pub former: Snapshot,
    /// Which of its rows are due.
    pub rows_due: RowsDue,
    /// Names and texts of the queries for its new rows, which give the same columns.
    pub queries: Vec<(&'static str, String)>,
    /// Queries for the visitors' keys of the former rows that go, and of those that are written anew, for they must be in one file
    /// with new ones.
    pub moved: Vec<&'a str>,
    /// Query for the former rows that stay.
    pub kept: &'a str,
}

/// A table that was renewed.
pub struct Renewed {
    /// It, as it is now.
    pub snapshot: Snapshot,
    /// Its new rows.
    pub new_rows: u64,
}

impl Renewed {
    /// All of its rows.
    pub fn rows(&self) -> u64 {
        self.snapshot.files.iter().filter_map(|f| f.rows).sum()
    }
}

impl Renewal<'_> {
    /// Writes and commits. `memory_bytes` bounds the sorting; `progress` is told each query.
    pub async fn run(
        self,
        engine: &Engine,
        memory_bytes: usize,
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Renewed> {
        if self.rows_due == RowsDue::None {
            return Ok(Renewed { snapshot: self.former, new_rows: 0 });
        }
        let mut sink = Sink::new(engine, &self.former.name, memory_bytes, stored_schema).naming_orders();
        for (step, sql) in &self.queries {
            progress(step);
            sink.take(sql).await.map_err(|e| e.at(format!("integrating {step}")))?;
        }
        let replaced = match self.rows_due {
            RowsDue::Some => Replaced::Buckets(self.buckets_to_replace(engine).await?),
            _ => Replaced::All,
        };
        let files = replaced.files_of(&self.former);
        if self.rows_due == RowsDue::Some && !files.is_empty() {
            name_former_in(engine, &self.former, files)?;
            sink.take(self.kept).await?;
        }
        let name = self.former.name.clone();
        let written_rows = sink.finish(&|told| progress(&format!("{name}: {told}"))).await;
        let WrittenRows { written, rows } = written_rows.map_err(|e| e.at(format!("table {name}")))?;
        let new_rows = rows.iter().take(self.queries.len()).sum();
        self.commit(engine, written, &replaced, new_rows).await
    }

    /// The buckets that have a row that goes or is written anew, or too many files.
    async fn buckets_to_replace(&self, engine: &Engine) -> Result<BTreeSet<usize>> {
        let mut files = vec![vec![]; BUCKETS];
        for file in &self.former.files {
            if let Some(bucket) = bucket(file) {
                files.get_mut(bucket).ok_or_else(|| Error::bug(format!("bucket {bucket}")))?.push(file.clone());
            }
        }
        let shared_rows = CompactionOptions::default().shared_rows;
        let has_too_many = |bucket: &usize| fewer_files(&files[*bucket], shared_rows) >= MOST_FILES_MORE;
        let mut buckets: BTreeSet<usize> = (0..BUCKETS).filter(has_too_many).collect();
        for query in &self.moved {
            let mut keys = engine.run(query).await?.rows;
            while let Some(batch) = keys.try_next().await? {
                buckets.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().map(|key| bucket_of(*key)));
            }
        }
        Ok(buckets)
    }

    async fn commit(self, engine: &Engine, written: Written, replaced: &Replaced, new_rows: u64) -> Result<Renewed> {
        let Self { mut former, rows_due, .. } = self;
        if rows_due == RowsDue::Some && written.files.is_empty() && replaced.files_of(&former).is_empty() {
            return Ok(Renewed { snapshot: former, new_rows });
        }
        let mut columns = written.columns;
        if columns.is_empty() {
            columns = full_schema(&former.name, &Schema::empty()).fields().iter().map(|f| f.as_ref().clone()).collect();
        }
        let (lake, mut files) = (engine.lake(), written.files);
        let goes: Vec<String> = replaced.files_of(&former).into_iter().map(|file| file.relative).collect();
        let stays = |file: &DataFile| !goes.contains(&file.relative);
        let told = tag_unique_keys(lake, &former.name, files.iter_mut().collect(), &stays).await;
        let failed = match told {
            Err(error) => error,
            Ok(()) => loop {
                let remove = replaced.files_of(&former);
                let change = Change { add: files.clone(), remove, columns: columns.clone() };
                match former.commit(lake, change).await {
                    Ok(snapshot) => return Ok(Renewed { snapshot, new_rows }),
                    Err(error) => match compacted(lake, &former, error).await {
                        Ok(now) => former = now,
                        Err(error) => break error,
                    },
                }
            },
        };
        discard_uncommitted(lake, &former.name, &files.iter().collect::<Vec<_>>()).await;
        Err(failed)
    }
}

/// Which rows are written anew.
enum Replaced {
    All,
    /// Those of some buckets.
    Buckets(BTreeSet<usize>),
}

impl Replaced {
    /// The files that go. Whatever files a compaction makes of a table, they hold the rows of one bucket each.
    fn files_of(&self, snapshot: &Snapshot) -> Vec<DataFile> {
        let goes = |file: &&DataFile| match self {
            Self::All => true,
            Self::Buckets(buckets) => bucket(file).is_none_or(|bucket| buckets.contains(&bucket)),
        };
        snapshot.files.iter().filter(goes).cloned().collect()
    }
}

fn bucket(file: &DataFile) -> Option<usize> {
    file.tags.get(TAG_BUCKET)?.parse().ok()
}

/// After a commit on top of `former` has failed: the table as it is now, where a compaction came before and nothing else; the
/// `error` in any other case.
async fn compacted(lake: &Lake, former: &Snapshot, error: Error) -> Result<Snapshot> {
    if error.kind() != ErrorKind::Conflict {
        return Err(error);
    }
    let now = Snapshot::open(lake, &former.name, None).await?;
    let has_moved_on = former.version.is_some() && now.version > former.version;
    match has_moved_on && has_same_rows(lake, &former.name, former.version, now.version).await? {
        true => Ok(now),
        false => Err(error),
    }
}

/// The types that the lake stores: text, doubles, and the key columns' own.
fn stored_schema(schema: &Schema) -> Result<SchemaRef> {
    let fields = schema.fields().iter().map(|field| match key_field(field.name()) {
        Some(key) => key,
        None if is_metric(field) => crate::columns::metric(field.name()),
        None if is_dimension(field) && field.data_type().is_integer() => {
            Field::new(field.name(), arrow::datatypes::DataType::Int64, true)
        }
        None => crate::columns::dimension(field.name()),
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}
