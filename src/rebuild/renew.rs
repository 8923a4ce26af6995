//! Writes a table of the integration: new rows, beside or in place of former ones.
//!
//! In: the queries whose rows are new, and how much work there is. Out: one commit, or none where nothing changes. Of a table
//! of which only some rows are due, the files of a bucket stay where none of their rows goes: the new rows lie beside them
//! as a further generation. Other buckets are written anew, former rows that stay together with the new ones.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use futures::TryStreamExt;

use super::due::{Work, name_former_in};
use crate::columns::{is_dimension, is_metric, key_field};
use crate::engine::Engine;
use crate::engine::view::full_schema;
use crate::lake::layout::{BUCKETS, TAG_BUCKET, bucket_of};
use crate::lake::write::{SortedWriter, Written, discard_uncommitted, sort_context};
use crate::lake::{Change, DataFile, Snapshot};
use crate::{Error, Result};

/// Generations of a bucket, beyond which the next rebuild writes it anew.
const MOST_GENERATIONS: usize = 8;

/// How a table is renewed.
pub struct Renewal<'a> {
    /// The table at the version that is built upon; whoever commits another one meanwhile wins.
    pub former: Snapshot,
    /// How much of it.
    pub work: Work,
    /// Names and texts of the queries for its new rows, which give the same columns.
    pub queries: Vec<(&'static str, String)>,
    /// Query for the visitors' keys of the former rows that go.
    pub dropped: &'a str,
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
        if self.work == Work::None {
            return Ok(Renewed { snapshot: self.former, new_rows: 0 });
        }
        let mut writer: Option<SortedWriter> = None;
        let mut new_rows = 0;
        for (step, sql) in &self.queries {
            progress(step);
            let running = engine.run(sql).await.map_err(|e| e.at(format!("integrating {step}")))?;
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let schema = stored_schema(&running.schema);
                    let context = sort_context(memory_bytes)?;
                    none.insert(SortedWriter::start(engine.lake(), &self.former.name, schema, HashMap::new(), context)?)
                }
            };
            let mut rows = running.rows;
            while let Some(batch) = rows.try_next().await? {
                new_rows += batch.num_rows() as u64;
                push(writer, &batch).await?;
            }
        }
        let replaced = match self.work {
            Work::Some => self.files_to_replace(engine).await?,
            _ => self.former.files.clone(),
        };
        if self.work == Work::Some && !replaced.is_empty() {
            name_former_in(engine, &self.former, replaced.clone())?;
            let mut rows = engine.run(self.kept).await?.rows;
            while let (Some(batch), Some(writer)) = (rows.try_next().await?, &mut writer) {
                push(writer, &batch).await?;
            }
        }
        let written = match writer {
            Some(writer) => writer.finish().await?,
            None => Written::default(),
        };
        self.commit(engine, written, replaced, new_rows).await
    }

    /// The files of buckets that have a row that goes, or too many files.
    async fn files_to_replace(&self, engine: &Engine) -> Result<Vec<DataFile>> {
        let bucket = |file: &DataFile| file.tags.get(TAG_BUCKET).and_then(|b| b.parse::<usize>().ok());
        let mut files = [0; BUCKETS];
        for bucket in self.former.files.iter().filter_map(bucket) {
            *files.get_mut(bucket).ok_or_else(|| Error::bug(format!("bucket {bucket}")))? += 1;
        }
        let mut buckets: BTreeSet<usize> = (0..BUCKETS).filter(|b| files[*b] >= MOST_GENERATIONS).collect();
        let mut keys = engine.run(self.dropped).await?.rows;
        while let Some(batch) = keys.try_next().await? {
            buckets.extend(batch.column(0).as_primitive::<Int64Type>().values().iter().map(|key| bucket_of(*key)));
        }
        let goes = |file: &&DataFile| bucket(file).is_none_or(|b| buckets.contains(&b));
        Ok(self.former.files.iter().filter(goes).cloned().collect())
    }

    async fn commit(
        self,
        engine: &Engine,
        written: Written,
        replaced: Vec<DataFile>,
        new_rows: u64,
    ) -> Result<Renewed> {
        let Self { former, work, .. } = self;
        if work == Work::Some && written.files.is_empty() && replaced.is_empty() {
            return Ok(Renewed { snapshot: former, new_rows });
        }
        let mut columns = written.columns;
        if columns.is_empty() {
            columns = full_schema(&former.name, &Schema::empty()).fields().iter().map(|f| f.as_ref().clone()).collect();
        }
        let added = written.files.clone();
        let change = Change { add: written.files, remove: replaced, columns };
        match former.commit(engine.lake(), change).await {
            Ok(snapshot) => Ok(Renewed { snapshot, new_rows }),
            Err(error) => {
                discard_uncommitted(engine.lake(), &former.name, &added.iter().collect::<Vec<_>>()).await;
                Err(error)
            }
        }
    }
}

/// Hands rows to the writer, in its columns: by name, cast to their types, NULL where a former row has none.
async fn push(writer: &mut SortedWriter, batch: &RecordBatch) -> Result<()> {
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let schema = writer.schema().clone();
    let columns = schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
        Some(column) => Ok(cast(column, field.data_type())?),
        None => Ok(new_null_array(field.data_type(), batch.num_rows())),
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
    writer.push(RecordBatch::try_new(schema, columns)?).await
}

/// The types that the lake stores: text, doubles, and the key columns' own.
fn stored_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match key_field(field.name()) {
        Some(key) => key,
        None if is_metric(field) => crate::columns::metric(field.name()),
        None if is_dimension(field) && field.data_type().is_integer() => {
            Field::new(field.name(), arrow::datatypes::DataType::Int64, true)
        }
        None => crate::columns::dimension(field.name()),
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}
