//! The rows of hits that bear a customer ID, visitor by visitor in order of time.
//!
//! In: the hits of one suite, all of them or those of some loads or visitors. Out: batches, and their rows one by one. Placeholders
//! are no IDs, and hits that are not reported have none. Hits of loads are read side by side, and of texts that recur, which are
//! half of what there is to decode, only the codes.

use std::collections::BTreeSet;

use arrow::array::{AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, TimestampMicrosecondType};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::{LogicalPlanBuilder, ident};
use xxhash_rust::xxh3::xxh3_128;

use super::in_parts::InParts;
use crate::Result;
use crate::columns::{CUSTOMER_ID, FILE, VISITOR_ID, sequence, timestamp};
use crate::engine::hits::{HitRules, HitsTable, is_reported};
use crate::engine::{Engine, SomeVisitors};
use crate::lake::layout::TAG_SUITE;
use crate::lake::records::Suite;
use crate::lake::repeats::{may_repeat, repeating};
use crate::lake::scan::LakeTable;
use crate::lake::tables::{HITS, REPORTED_HITS, full_schema};
use crate::lake::{DataFile, Snapshot};
use crate::persons::Moment;
use crate::quote::literal;
use crate::rebuild::changes::{Load, Loads, loads_in, loads_of};
use crate::rebuild::due::rows_of;

const PERSONS_SQL: &str = include_str!("../../../queries/integrate/persons.sql");

/// How IDs are read from hits by this version of the program; another number, and all that is kept of them is read anew.
const READING: &str = "1";

/// What rows of hits are called in the engine's session.
const NAME: &str = "hits_with_ids";

/// The IDs on the hits of a suite.
pub struct HitIds<'a> {
    /// Reads the hits.
    pub engine: &'a Engine,
    /// All hits, at the version that the engine reads.
    pub hits: &'a Snapshot,
    /// All suites.
    pub suites: &'a [Suite],
    /// The suite.
    pub suite: &'a Suite,
}

impl HitIds<'_> {
    /// What decides, beside the hits themselves, which of them bear which ID.
    pub fn reading(&self) -> String {
        let Suite { placeholders, background_hits, .. } = self.suite;
        format!("{:032x}", xxh3_128(format!("{READING} {background_hits} {placeholders} {PERSONS_SQL}").as_bytes()))
    }

    /// The loads of the suite; None where files of other writers may have rows of it.
    pub fn loads(&self) -> Result<Option<Loads>> {
        loads_of(&self.hits.only(self.files()))
    }

    /// Those of `loads` of which a row may be the hit that another row is, too.
    pub fn repeating(&self, loads: &Loads) -> BTreeSet<Load> {
        let (files, loads): (_, BTreeSet<Load>) = (self.files(), loads.keys().cloned().collect());
        let repeating = repeating(&files.iter().collect::<Vec<_>>());
        let files = files.iter().filter(|file| repeating.contains(file.relative.as_str()));
        files.flat_map(|file| loads_in(file, &loads)).collect()
    }

    fn files(&self) -> Vec<DataFile> {
        let own = |file: &&DataFile| file.tags.get(TAG_SUITE).is_none_or(|suite| *suite == self.suite.suite);
        self.hits.files.iter().filter(own).cloned().collect()
    }

    /// The rows of some loads, beside which no row is a hit that one of them is.
    pub async fn of_loads(&self, loads: &BTreeSet<Load>) -> Result<InParts> {
        let schema = full_schema(HITS, &self.hits.schema);
        // executors send texts as they are
        let in_codes = self.engine.remote().is_none();
        let once = |hits: LakeTable| {
            let hits = if in_codes { with_codes(hits) } else { hits };
            HitsTable::new(hits, HitRules::default()).once()
        };
        let rows = LogicalPlanBuilder::from(rows_of(self.engine, self.hits, &schema, loads, &once)?);
        // few rows bear an ID: whatever else is asked is asked of those
        let rows = rows.filter(ident(CUSTOMER_ID).is_not_null())?.filter(is_reported(&schema, self.suites))?;
        self.engine.name_plan(NAME, rows.build()?)?;
        InParts::start(self.engine, self.engine.plan(&self.query(NAME, "true")).await?).await
    }

    /// The rows of some visitors.
    pub async fn of_visitors(&self, visitors: &SomeVisitors) -> Result<SendableRecordBatchStream> {
        let all = self.engine.plan(&format!("SELECT * FROM {REPORTED_HITS}")).await?;
        self.engine.name_plan(NAME, LogicalPlanBuilder::from(all).filter(visitors.rows())?.build()?)?;
        self.rows(NAME, &self.own()).await
    }

    /// All rows.
    pub async fn of_all(&self) -> Result<SendableRecordBatchStream> {
        self.rows(REPORTED_HITS, &self.own()).await
    }

    fn own(&self) -> String {
        format!("suite = {}", literal(&self.suite.suite))
    }

    async fn rows(&self, hits: &str, which: &str) -> Result<SendableRecordBatchStream> {
        Ok(self.engine.run(&self.query(hits, which)).await?.rows)
    }

    fn query(&self, hits: &str, which: &str) -> String {
        let sql = PERSONS_SQL.replace("$hits", hits).replace("$which", which);
        sql.replace("$placeholders", &literal(&self.suite.placeholders))
    }
}

/// Hits with the codes of texts that recur, where their files are in one order as they are.
fn with_codes(hits: LakeTable) -> LakeTable {
    let lie_in_order = {
        let files = hits.files_for(&[]);
        hits.is_sorted() && hits.is_one_generation(&files) && !may_repeat(&files)
    };
    if lie_in_order { hits.with_dictionaries(&[VISITOR_ID, FILE]) } else { hits }
}

/// A row that bears an ID.
#[derive(Clone, Copy, Debug)]
pub struct IdRow<'b> {
    /// Key of the visitor.
    pub key: i64,
    /// The visitor.
    pub visitor: &'b str,
    /// Where it stands.
    pub at: Moment,
    /// The customer ID.
    pub id: &'b str,
    /// The input that brought it.
    pub file: &'b str,
}

/// The columns of a batch of such rows.
pub struct IdRows {
    keys: Int64Array,
    visitors: StringArray,
    times: TimestampMicrosecondArray,
    sequences: Decimal128Array,
    ids: StringArray,
    files: StringArray,
}

impl IdRows {
    /// Those of a batch.
    pub fn of(batch: &RecordBatch) -> Result<Self> {
        let text = |column: usize| -> Result<StringArray> {
            Ok(cast(batch.column(column), &DataType::Utf8)?.as_string::<i32>().clone())
        };
        Ok(Self {
            keys: cast(batch.column(0), &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
            visitors: text(1)?,
            times: cast(batch.column(2), &timestamp())?.as_primitive::<TimestampMicrosecondType>().clone(),
            sequences: cast(batch.column(3), &sequence())?.as_primitive::<Decimal128Type>().clone(),
            ids: text(4)?,
            files: text(5)?,
        })
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = IdRow<'_>> {
        (0..self.keys.len()).map(|row| IdRow {
            key: self.keys.value(row),
            visitor: self.visitors.value(row),
            at: (self.times.value(row), self.sequences.value(row)),
            id: self.ids.value(row),
            file: self.files.value(row),
        })
    }
}
