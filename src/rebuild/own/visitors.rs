//! Whose rows changed since a table was built.
//!
//! In: the versions of `hits` and `integrated` that the table was built from, and those of now. Out: the visitors of whom a row
//! came, went or is another one. Of hits, these are all that a load which came or went has rows of. Integrated rows are held
//! against each other, for a rebuild writes those that stay once more beside the new ones. Memory: the visitors' keys, bounded.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, SchemaRef};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, ident};
use futures::TryStreamExt;

use super::row_hash::RowHash;
use crate::Result;
use crate::columns::{VISITOR_ID, VISITOR_KEY};
use crate::engine::{Engine, SomeVisitors};
use crate::lake::layout::TAG_BUCKET;
use crate::lake::tables::{HITS, INTEGRATED, full_schema};
use crate::lake::{DataFile, Snapshot};
use crate::rebuild::changes::{NOT_STORED, TableChanges, are_stored, open};
use crate::rebuild::due::{rows_of, scan};

/// Visitors that are told apart at most; of more, all are taken for changed.
const MOST_VISITORS: usize = 1_000_000;
const TOO_MANY: &str = "rows of too many visitors changed";

/// The versions of a table between which it changed; None where it did not exist.
pub type Between = [Option<u64>; 2];

/// A visitor's key; true for one of a row that has no visitor.
type Visitor = (i64, bool);

/// The visitors whose rows changed, or why they cannot be told.
pub async fn changed_visitors(
    engine: &Engine,
    hits: Between,
    integrated: Between,
) -> Result<Result<SomeVisitors, &'static str>> {
    let lake = engine.lake();
    let Some(hits) = TableChanges::find(lake, HITS, hits[0], hits[1], &BTreeSet::new()).await? else {
        return Ok(Err("files of other writers are in the lake"));
    };
    let integrated = Rewritten::find(engine, integrated).await?;
    // which columns there are decides what a query means
    if hits.former.schema.fields() != hits.now.schema.fields() || integrated.has_other_columns() {
        return Ok(Err("there are other columns now"));
    }
    let gone: Vec<&DataFile> = hits.files_gone().chain(&integrated.gone).collect();
    if !are_stored(lake, &gone).await? {
        return Ok(Err(NOT_STORED));
    }
    let mut found = HashSet::new();
    let schema = full_schema(HITS, &hits.now.schema);
    for (snapshot, loads) in [(&hits.now, &hits.came), (&hits.former, &hits.gone)] {
        let rows = LogicalPlanBuilder::from(rows_of(engine, snapshot, &schema, loads, &|rows| rows)?);
        let whose = rows.project([ident(VISITOR_KEY), ident(VISITOR_ID).is_null().alias("rejoin.nobody")])?.build()?;
        let mut batches = engine.start(whose).await?.rows;
        while let Some(batch) = batches.try_next().await? {
            found.extend(visitors_in(&batch, 0, 1));
            if found.len() > MOST_VISITORS {
                return Ok(Err(TOO_MANY));
            }
        }
    }
    for files in integrated.by_bucket() {
        let Some(others) = integrated.others(engine, files).await? else { return Ok(Err(TOO_MANY)) };
        found.extend(others);
        if found.len() > MOST_VISITORS {
            return Ok(Err(TOO_MANY));
        }
    }
    let nobody = found.iter().any(|(_, nobody)| *nobody);
    Ok(Ok(SomeVisitors::new(found.into_iter().map(|(key, _)| key), nobody)))
}

/// Whose the rows of a batch are: the places of the key, and of what is true where there is no visitor.
fn visitors_in(batch: &RecordBatch, key: usize, nobody: usize) -> Vec<Visitor> {
    let (keys, nobody) = (batch.column(key).as_primitive::<Int64Type>(), batch.column(nobody).as_boolean());
    (0..batch.num_rows()).map(|row| (keys.value(row), nobody.value(row))).collect()
}

/// A table of which a rebuild writes rows that stay once more.
struct Rewritten {
    former: Snapshot,
    now: Snapshot,
    /// Files of before that are not there now.
    gone: Vec<DataFile>,
    /// Files of now that were not there before.
    came: Vec<DataFile>,
}

impl Rewritten {
    async fn find(engine: &Engine, [then, now]: Between) -> Result<Self> {
        let (former, now) = (open(engine.lake(), INTEGRATED, then).await?, open(engine.lake(), INTEGRATED, now).await?);
        let without = |files: &[DataFile], others: &[DataFile]| -> Vec<DataFile> {
            let others: HashSet<&str> = others.iter().map(|file| file.relative.as_str()).collect();
            files.iter().filter(|file| !others.contains(file.relative.as_str())).cloned().collect()
        };
        let (gone, came) = (without(&former.files, &now.files), without(&now.files, &former.files));
        Ok(Self { former, now, gone, came })
    }

    fn has_other_columns(&self) -> bool {
        self.former.schema.fields() != self.now.schema.fields()
    }

    /// The files that went and those that came, bucket by bucket.
    fn by_bucket(&self) -> Vec<[Vec<DataFile>; 2]> {
        let mut buckets: BTreeMap<Option<&String>, [Vec<DataFile>; 2]> = BTreeMap::new();
        for (side, files) in [&self.gone, &self.came].into_iter().enumerate() {
            for file in files {
                buckets.entry(file.tags.get(TAG_BUCKET)).or_default()[side].push(file.clone());
            }
        }
        buckets.into_values().collect()
    }

    /// The visitors of whom these files have other rows than before; None where they are too many to tell.
    async fn others(&self, engine: &Engine, [gone, came]: [Vec<DataFile>; 2]) -> Result<Option<Vec<Visitor>>> {
        let schema = full_schema(INTEGRATED, &self.now.schema);
        let (hash, width) = (RowHash::new(&schema)?, schema.fields().len());
        // a row that came adds its number, one that went takes it away: of those that stay nothing is left
        let mut sums: HashMap<Visitor, u128> = HashMap::new();
        for (snapshot, files, came) in [(&self.former, gone, false), (&self.now, came, true)] {
            let mut batches = engine.start(whole_rows(engine, snapshot, &schema, files)?).await?.rows;
            while let Some(batch) = batches.try_next().await? {
                let (key, rows) = (schema.index_of(VISITOR_KEY)?, batch.project(&(0..width).collect::<Vec<_>>())?);
                for (visitor, number) in visitors_in(&batch, key, width).into_iter().zip(hash.of(&rows)?) {
                    let sum = sums.entry(visitor).or_default();
                    *sum = if came { sum.wrapping_add(number) } else { sum.wrapping_sub(number) };
                }
                if sums.len() > MOST_VISITORS {
                    return Ok(None);
                }
            }
        }
        Ok(Some(sums.into_iter().filter(|(_, sum)| *sum != 0).map(|(visitor, _)| visitor).collect()))
    }
}

/// All columns of some files, and at the end whether a row has no visitor.
fn whole_rows(engine: &Engine, snapshot: &Snapshot, schema: &SchemaRef, files: Vec<DataFile>) -> Result<LogicalPlan> {
    let rows = scan(engine, snapshot, schema, files, &|rows| rows)?;
    let columns = schema.fields().iter().map(|field| ident(field.name()));
    let nobody = ident(VISITOR_ID).is_null().alias("rejoin.nobody");
    Ok(rows.project(columns.chain([nobody]))?.build()?)
}
