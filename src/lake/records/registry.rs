//! Small tables as typed rows: read whole, changed in memory, and written back in one commit.
//!
//! In: a serde type with an Arrow schema. A writer that lost a race reads again and repeats its change.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use datafusion::execution::context::SessionContext;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rejoin_instances::planning;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::lake::log::{SmallTable, latest, whole_files};
use crate::lake::retry::Retry;
use crate::lake::scan::LakeTable;
use crate::lake::write::{discard_uncommitted, write_plain};
use crate::lake::{Change, Lake, Snapshot};
use crate::{Error, Result};

/// A table of more rows is kept as batches alone. Values take several times the memory of batches.
const MOST_KEPT_RECORDS: usize = 1_000;

/// A row of a small table.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Name of the table.
    const TABLE: &'static str;
    /// Its columns; every field of the type under its own name.
    fn schema() -> SchemaRef;
}

/// The rows of a small table at one version.
#[derive(Clone, Debug)]
pub struct Registry<T> {
    /// The rows, in no promised order.
    pub rows: Vec<T>,
    /// The version that was read; None for a table that does not exist yet.
    pub version: Option<u64>,
}

impl<T: Record> Registry<T> {
    /// Reads the table at its latest version; a missing table has no rows.
    pub async fn read(lake: &Lake) -> Result<Self> {
        Self::of(latest_batches(lake, T::TABLE).await?)
    }

    /// Reads the table at a version.
    pub async fn read_at(lake: &Lake, version: u64) -> Result<Self> {
        Self::of(batches_at(lake, T::TABLE, version).await?)
    }

    fn of(Stored { table, version }: Stored) -> Result<Self> {
        Ok(Self { rows: records_of(&table)?, version })
    }

    /// Applies `change` to the rows and commits them; tries again when another writer was faster.
    pub async fn update<R>(lake: &Lake, mut change: impl FnMut(&mut Vec<T>) -> Result<R>) -> Result<R> {
        let mut retry = Retry::default();
        loop {
            let (batches, snapshot) = open(lake, T::TABLE).await?;
            let mut rows = from_batches(&batches)?;
            let result = change(&mut rows)?;
            match write(lake, T::TABLE, to_batch(&rows)?, &snapshot).await {
                Ok(()) => return Ok(result),
                Err(error) => retry.after(error).await?,
            }
        }
    }

    /// Adds rows and leaves what is there as it is; tries again when another writer was faster.
    pub async fn append(lake: &Lake, rows: &[T]) -> Result<()> {
        let add: Vec<_> = write_plain(lake, T::TABLE, &[to_batch(rows)?], HashMap::new()).await?.into_iter().collect();
        let columns: Vec<_> = T::schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        let mut retry = Retry::default();
        loop {
            let snapshot = Snapshot::open(lake, T::TABLE, None).await?;
            let change = Change { add: add.clone(), columns: columns.clone(), ..Change::default() };
            let Err(error) = snapshot.commit(lake, change).await else { return Ok(()) };
            if let Err(error) = retry.after(error).await {
                discard_uncommitted(lake, T::TABLE, &add.iter().collect::<Vec<_>>()).await;
                return Err(error);
            }
        }
    }
}

/// A small table as it is stored, whatever its rows are. What follows is compiled once, and not for each type of row.
struct Stored {
    table: Arc<SmallTable>,
    /// The version that was read; None for a table that does not exist yet.
    version: Option<u64>,
}

impl Stored {
    fn new(batches: Vec<RecordBatch>, version: Option<u64>) -> Self {
        Self { table: Arc::new(SmallTable { batches, ..SmallTable::default() }), version }
    }
}

/// A table at its latest version.
fn latest_batches<'a>(lake: &'a Lake, table: &'a str) -> BoxFuture<'a, Result<Stored>> {
    async move {
        let Some(latest) = latest(lake, table, None).await? else {
            return Ok(Stored::new(vec![], None));
        };
        if let Some(rows) = lake.log_cache().rows_at(table, &latest) {
            return Ok(Stored { table: rows, version: Some(latest.version) });
        }
        match whole_files(lake, table, latest.version).await? {
            Some(files) => {
                let stored = of_files(files, latest.version)?;
                lake.log_cache().keep_rows(table, &latest, &stored.table);
                Ok(stored)
            }
            None => of_log(lake, table, latest.version).await,
        }
    }
    .boxed()
}

/// A table at a version.
fn batches_at<'a>(lake: &'a Lake, table: &'a str, version: u64) -> BoxFuture<'a, Result<Stored>> {
    async move {
        match whole_files(lake, table, version).await? {
            Some(files) => of_files(files, version),
            None => of_log(lake, table, version).await,
        }
    }
    .boxed()
}

fn of_files(files: Vec<Bytes>, version: u64) -> Result<Stored> {
    let mut batches = vec![];
    for file in files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)?.build()?;
        batches.extend(reader.collect::<Result<Vec<_>, _>>()?);
    }
    Ok(Stored::new(batches, Some(version)))
}

async fn of_log(lake: &Lake, table: &str, version: u64) -> Result<Stored> {
    let snapshot = Snapshot::open(lake, table, Some(version)).await?;
    Ok(Stored::new(read_all(lake, &snapshot).await?, snapshot.version))
}

/// A table and what a commit needs of it.
fn open<'a>(lake: &'a Lake, table: &'a str) -> BoxFuture<'a, Result<(Vec<RecordBatch>, Snapshot)>> {
    async move {
        let snapshot = Snapshot::open(lake, table, None).await?;
        Ok((read_all(lake, &snapshot).await?, snapshot))
    }
    .boxed()
}

/// Commits `batch` as all that the table holds from now on.
fn write<'a>(lake: &'a Lake, table: &'a str, batch: RecordBatch, snapshot: &'a Snapshot) -> BoxFuture<'a, Result<()>> {
    async move {
        let columns = batch.schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        let add = write_plain(lake, table, &[batch], HashMap::new()).await?;
        let done = snapshot.commit_whole(lake, add.iter().cloned().collect(), columns).await.map(|_| ());
        if done.is_err() {
            discard_uncommitted(lake, table, &add.iter().collect::<Vec<_>>()).await;
        }
        done
    }
    .boxed()
}

/// Rows as one batch of the type's schema.
pub fn to_batch<T: Record>(rows: &[T]) -> Result<RecordBatch> {
    let mut decoder = arrow::json::ReaderBuilder::new(T::schema()).build_decoder()?;
    decoder.serialize(rows)?;
    Ok(decoder.flush()?.unwrap_or_else(|| RecordBatch::new_empty(T::schema())))
}

/// The rows of a table. Each statement asks for those of some small tables, so they are kept beside the batches.
fn records_of<T: Record>(table: &SmallTable) -> Result<Vec<T>> {
    if let Some(records) = table.records.get().and_then(|records| records.downcast_ref::<Vec<T>>()) {
        return Ok(records.clone());
    }
    let records = from_batches::<T>(&table.batches)?;
    if records.len() <= MOST_KEPT_RECORDS {
        // another thread may have been faster, with the same ones
        let _ = table.records.set(Box::new(records.clone()));
    }
    Ok(records)
}

/// Rows of a type from batches that have its columns.
pub fn from_batches<T: Record>(batches: &[RecordBatch]) -> Result<Vec<T>> {
    let mut writer = arrow::json::ArrayWriter::new(Vec::new());
    writer.write_batches(&batches.iter().collect::<Vec<_>>())?;
    writer.finish()?;
    let json = writer.into_inner();
    if json.is_empty() {
        return Ok(vec![]);
    }
    serde_json::from_slice(&json).map_err(|e| Error::bug(format!("table {}: {e}", T::TABLE)))
}

async fn read_all(lake: &Lake, snapshot: &Snapshot) -> Result<Vec<RecordBatch>> {
    if snapshot.files.is_empty() {
        return Ok(vec![]);
    }
    let context = SessionContext::new();
    context.register_object_store(lake.store_url().as_ref(), lake.store().clone());
    let table = LakeTable::new(lake.clone(), Arc::new(snapshot.clone()), snapshot.schema.clone());
    Ok(planning::collect(context.read_table(Arc::new(table))?).await?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::lake::records::{Source, Suite};

    fn table(rows: usize) -> SmallTable {
        let suites: Vec<Suite> = (0..rows).map(|n| Suite { suite: format!("s{n}"), ..Suite::default() }).collect();
        SmallTable { batches: vec![to_batch(&suites).unwrap()], ..SmallTable::default() }
    }

    #[test]
    fn records_of_a_small_table_are_made_once() {
        let mut small = table(2);
        let suites = records_of::<Suite>(&small).unwrap();
        assert_eq!(suites.iter().map(|suite| suite.suite.as_str()).collect::<Vec<_>>(), ["s0", "s1"]);
        // they do not come from the batches any more
        small.batches.clear();
        assert_eq!(records_of::<Suite>(&small).unwrap(), suites);
        // records of another type are none of these
        assert!(records_of::<Source>(&small).unwrap().is_empty());

        let mut large = table(MOST_KEPT_RECORDS + 1);
        assert_eq!(records_of::<Suite>(&large).unwrap().len(), MOST_KEPT_RECORDS + 1);
        large.batches.clear();
        assert!(records_of::<Suite>(&large).unwrap().is_empty());
    }
}
