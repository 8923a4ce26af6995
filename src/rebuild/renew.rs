//! Writes a table of the integration: new rows, beside or in place of former ones.
//!
//! In: the queries whose rows are new, and how much work there is. Out: one commit, or none where nothing changes. Of a table
//! of which only some rows are due, the files of a bucket stay where none of their rows goes: the new rows lie beside them
//! as a further generation. Other buckets are written anew, former rows that stay together with the new ones.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};
use futures::TryStreamExt;

use super::due::{Work, name_former_in};
use super::sink::{Sink, Sunk};
use crate::columns::{is_dimension, is_metric, key_field};
use crate::engine::Engine;
use crate::lake::layout::{BUCKETS, TAG_BUCKET, bucket_of};
use crate::lake::tables::full_schema;
use crate::lake::write::{Written, discard_uncommitted};
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
        let mut sink = Sink::new(engine, &self.former.name, memory_bytes, stored_schema);
        for (step, sql) in &self.queries {
            progress(step);
            sink.take(sql).await.map_err(|e| e.at(format!("integrating {step}")))?;
        }
        let replaced = match self.work {
            Work::Some => self.files_to_replace(engine).await?,
            _ => self.former.files.clone(),
        };
        if self.work == Work::Some && !replaced.is_empty() {
            name_former_in(engine, &self.former, replaced.clone())?;
            sink.take(self.kept).await?;
        }
        let name = self.former.name.clone();
        let sunk = sink.finish(&|told| progress(&format!("{name}: {told}"))).await;
        let Sunk { written, rows } = sunk.map_err(|e| e.at(format!("table {name}")))?;
        let new_rows = rows.iter().take(self.queries.len()).sum();
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
