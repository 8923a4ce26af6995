//! The rows of some keys are renewed.
//!
//! In: the table as it is, and the query's rows of the keys that changed. Out: one commit. A row that is there already stays
//! where it is; others go into new files, beside those of before. Only a file that has a row which the query no longer gives is
//! written anew, without it. Files that are no larger than what is written are written with it, so that they stay few. Memory: a
//! number for each former row of the keys, bounded.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::datasource::provider_as_source;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident};
use futures::TryStreamExt;

use super::row_hash::RowHash;
use crate::Result;
use crate::engine::Engine;
use crate::lake::layout::BUCKETS;
use crate::lake::scan::LakeTable;
use crate::lake::write::{TableWriter, discard_uncommitted, sort_context};
use crate::lake::{Change, DataFile, Snapshot};

/// Former rows of the keys, beyond which the whole table is built.
const MOST_ROWS: usize = 4_000_000;

/// Rows of a file by number, and how many there are of each.
type Counted = HashMap<u128, u32>;

/// A table, some rows of which are to be others.
pub struct KeyRenewal<'r> {
    /// The session.
    pub engine: &'r Engine,
    /// The table as it is; a writer that commits another version meanwhile wins.
    pub former: &'r Snapshot,
    /// True for its rows that are renewed.
    pub which: Expr,
    /// Bounds sorting.
    pub memory_bytes: usize,
}

impl KeyRenewal<'_> {
    /// Puts the rows that `query` gives, all of which are of those keys, in place of the former ones; the table as it is
    /// then. None where it has too many former rows.
    pub async fn run(&self, query: LogicalPlan) -> Result<Option<Snapshot>> {
        let (former, lake) = (self.former, self.engine.lake());
        let hash = RowHash::new(&former.schema)?;
        let Some(mut there) = self.former_rows(&hash).await? else { return Ok(None) };
        let mut writer =
            TableWriter::start(lake, &former.name, former.schema.clone(), sort_context(self.memory_bytes)?)?;
        let mut written = 0;
        let mut rows = self.engine.start(self.in_columns(query)?).await?.rows;
        while let Some(batch) = rows.try_next().await? {
            let batch = self.stored(&batch)?;
            let is_new = |number: &u128| !there.iter_mut().any(|(_, rows)| take(rows, *number));
            let new: BooleanArray = hash.of(&batch)?.iter().map(is_new).map(Some).collect();
            written += new.true_count() as u64;
            writer.push(filter_record_batch(&batch, &new)?).await?;
        }
        // what the query no longer gives is left
        let (mut again, mut beside): (Vec<_>, Vec<_>) = there.into_iter().partition(|(_, rows)| !rows.is_empty());
        if written == 0 && again.is_empty() {
            return Ok(Some(former.clone()));
        }
        let left = |(file, rows): &(DataFile, Counted)| {
            let gone: u64 = rows.values().map(|count| u64::from(*count)).sum();
            file.rows.unwrap_or_default().saturating_sub(gone)
        };
        written += again.iter().map(left).sum::<u64>();
        let share = if TableWriter::sorts(&former.schema) { BUCKETS as u64 } else { 1 };
        beside.sort_by_key(|(file, _)| file.rows);
        for (file, rows) in beside {
            let own = file.rows.unwrap_or(u64::MAX);
            if own.saturating_mul(share) > written {
                break;
            }
            written += own;
            again.push((file, rows));
        }
        let mut removed = vec![];
        for (file, mut gone) in again {
            let mut rows = self.rows_of(&file, None).await?;
            while let Some(batch) = rows.try_next().await? {
                let batch = self.stored(&batch)?;
                let stays: BooleanArray = match gone.is_empty() {
                    true => vec![true; batch.num_rows()].into(),
                    false => hash.of(&batch)?.iter().map(|number| Some(!take(&mut gone, *number))).collect(),
                };
                writer.push(filter_record_batch(&batch, &stays)?).await?;
            }
            removed.push(file);
        }
        let files = writer.finish().await?.files;
        let change = Change { add: files.clone(), remove: removed, columns: vec![] };
        match former.commit(lake, change).await {
            Ok(snapshot) => Ok(Some(snapshot)),
            Err(error) => {
                discard_uncommitted(lake, &former.name, &files.iter().collect::<Vec<_>>()).await;
                Err(error)
            }
        }
    }

    /// The former rows of the keys, file by file.
    async fn former_rows(&self, hash: &RowHash) -> Result<Option<Vec<(DataFile, Counted)>>> {
        let (mut there, mut all) = (vec![], 0);
        for file in &self.former.files {
            let mut counted = Counted::new();
            let mut rows = self.rows_of(file, Some(self.which.clone())).await?;
            while let Some(batch) = rows.try_next().await? {
                all += batch.num_rows();
                if all > MOST_ROWS {
                    return Ok(None);
                }
                for number in hash.of(&self.stored(&batch)?)? {
                    *counted.entry(number).or_default() += 1;
                }
            }
            there.push((file.clone(), counted));
        }
        Ok(Some(there))
    }

    /// The rows of a file for which a condition is true.
    async fn rows_of(&self, file: &DataFile, which: Option<Expr>) -> Result<SendableRecordBatchStream> {
        let only = Arc::new(self.former.only(vec![file.clone()]));
        let table = LakeTable::new(self.engine.lake().clone(), only, self.former.schema.clone());
        let mut rows = LogicalPlanBuilder::scan(self.former.name.as_str(), provider_as_source(Arc::new(table)), None)?;
        if let Some(which) = which {
            rows = rows.filter(which)?;
        }
        Ok(self.engine.start(rows.build()?).await?.rows)
    }

    /// Rows of a query in the table's columns.
    fn in_columns(&self, query: LogicalPlan) -> Result<LogicalPlan> {
        let columns = self.former.schema.fields().iter();
        let columns = columns.map(|field| cast(ident(field.name()), field.data_type().clone()).alias(field.name()));
        Ok(LogicalPlanBuilder::from(query).project(columns)?.build()?)
    }

    /// A batch as the table has it, which says itself what is never NULL.
    fn stored(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(self.former.schema.clone(), batch.columns().to_vec())?)
    }
}

/// Takes a row away, if one of its number is there.
fn take(rows: &mut Counted, number: u128) -> bool {
    let Some(count) = rows.get_mut(&number) else { return false };
    *count -= 1;
    if *count == 0 {
        rows.remove(&number);
    }
    true
}

/// True when a query's columns, as a table would hold them, are those that it has.
pub fn has_columns(former: &Snapshot, columns: &Schema) -> bool {
    let (now, then) = (columns.fields(), former.schema.fields());
    let same = |(a, b): (&FieldRef, &FieldRef)| a.name() == b.name() && a.data_type().equals_datatype(b.data_type());
    now.len() == then.len() && now.iter().zip(then).all(same)
}
