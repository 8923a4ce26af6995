//! What is kept of the customer IDs on hits, in the hidden table `borne_ids`: runs of the loads that were read.
//!
//! In: the loads of a suite. Out: their runs, after the hits of those that are not told of yet were read. The files of one commit are
//! a generation, of which one tells, in a tag, the loads that it has the runs of, with their contents and numbers of rows; and
//! in which way they were read. Rows of loads that are no longer so go with the next rebuild, as whatever else hangs on hits, and
//! former versions go with `vacuum`: no rebuild names them. Nothing hangs on the table: without it all hits are read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::logical_expr::{ident, lit};
use serde::{Deserialize, Serialize};

use super::hit_ids::{HitIds, IdRow, IdRows};
use super::in_parts::{ByPart, InParts};
use super::runs::{KeptRun, Runs};
use crate::columns::{FILE, sequence, timestamp};
use crate::engine::Engine;
use crate::lake::layout::{ORDER, TAG_GENERATION, TAG_READING, TAG_SUITE, TAG_TELLS_OF};
use crate::lake::records::Suite;
use crate::lake::tables::{BORNE_IDS, full_schema};
use crate::lake::write::{SortedWriter, discard_uncommitted, sort_context, write_plain};
use crate::lake::{Change, DataFile, NewFile, Snapshot};
use crate::persons::Moment;
use crate::rebuild::changes::{Load, Loads};
use crate::rebuild::due::scan;
use crate::{Error, Result};

/// Generations of a suite, beyond which all but the largest become one with the next.
const MOST_GENERATIONS: usize = 8;

/// Rows of a batch that is written.
const BATCH_ROWS: usize = 8192;

/// The columns of a run, in the order of the table's.
const COLUMNS: [&str; 9] =
    ["suite", "visitor_key", "visitor_id", "hit_time", "hit_seq", "last_time", "last_seq", "customer_id", "file"];

/// What is kept, at the version that is built upon; a writer that commits another one meanwhile wins.
pub struct KeptIds<'e> {
    engine: &'e Engine,
    snapshot: Snapshot,
    /// Bounds sorting.
    memory_bytes: usize,
}

/// Files of one commit.
#[derive(Default)]
struct Generation {
    files: Vec<DataFile>,
    tells_of: Loads,
    reading: String,
}

/// Told rows that bear an ID, each with its part, those of a part in order.
pub type OnIdRow<'s> = dyn FnMut(usize, IdRow<'_>) -> Result<()> + Send + 's;

/// A generation in the place of others, not written yet.
pub struct NewGeneration {
    writer: SortedWriter,
    tags: HashMap<String, String>,
    told: Loads,
    remove: Vec<DataFile>,
    /// All that is kept of the suite is in it, and was seen.
    pub of_all: bool,
}

/// A load that a generation tells of.
#[derive(Serialize, Deserialize)]
struct CoveredLoad {
    source: String,
    file: String,
    content: String,
    rows: u64,
}

impl<'e> KeptIds<'e> {
    /// As it is now.
    pub async fn open(engine: &'e Engine, memory_bytes: usize) -> Result<Self> {
        Ok(Self { engine, snapshot: Snapshot::open(engine.lake(), BORNE_IDS, None).await?, memory_bytes })
    }

    /// Lets go what is kept of other suites.
    pub async fn leave_only(&mut self, suites: &[&Suite]) -> Result<()> {
        let stays = |file: &DataFile| {
            let own = file.tags.get(TAG_SUITE);
            own.is_some_and(|own| suites.iter().any(|suite| suite.suite == *own))
        };
        let remove: Vec<DataFile> = self.snapshot.files.iter().filter(|file| !stays(file)).cloned().collect();
        if remove.is_empty() {
            return Ok(());
        }
        self.commit(vec![], remove).await
    }

    /// What makes it tell of exactly the loads `live` of a suite; None where it does. With `anew`, all of them are read again.
    /// Where nothing of before stays, `see` is told every row that bears an ID.
    pub async fn renew(
        &self,
        ids: &HitIds<'_>,
        live: &Loads,
        anew: bool,
        see: &mut OnIdRow<'_>,
    ) -> Result<Option<NewGeneration>> {
        let reading = ids.reading();
        let is_live = |(load, state): (&Load, &(String, u64))| live.get(load) == Some(state);
        let (mut stay, mut go): (Vec<Generation>, Vec<Generation>) =
            self.generations(&ids.suite.suite).into_iter().partition(|one| {
                !anew && one.reading == reading && !one.tells_of.is_empty() && one.tells_of.iter().all(is_live)
            });
        for one in &mut go {
            if anew || one.reading != reading {
                one.tells_of.clear();
            }
            // what tells rows apart is the name
            let gone = one.tells_of.iter().filter(|told| !is_live(*told));
            let gone: BTreeSet<String> = gone.map(|(load, _)| load.file.clone()).collect();
            one.tells_of.retain(|load, _| !gone.contains(&load.file));
        }
        let known: BTreeSet<&Load> = stay.iter().chain(&go).flat_map(|one| one.tells_of.keys()).collect();
        let came: BTreeSet<Load> = live.keys().filter(|load| !known.contains(load)).cloned().collect();
        if go.is_empty() && came.is_empty() {
            return Ok(None);
        }
        let of_all = known.is_empty();
        if stay.len() >= MOST_GENERATIONS {
            stay.sort_by_key(Generation::rows);
            stay.pop();
            go.append(&mut stay);
        }
        let mut told: Loads = go.iter().flat_map(|one| one.tells_of.clone()).collect();
        told.extend(came.iter().filter_map(|load| Some((load.clone(), live.get(load)?.clone()))));
        let tags = [
            (TAG_SUITE, ids.suite.suite.clone()),
            (TAG_GENERATION, uuid::Uuid::new_v4().to_string()),
            (TAG_READING, reading),
        ];
        let tags: HashMap<String, String> = tags.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        let memory = sort_context(self.memory_bytes)?;
        let mut writer = SortedWriter::start(self.engine.lake(), BORNE_IDS, schema(), tags.clone(), memory)?;
        for one in go.iter().filter(|one| !one.tells_of.is_empty()) {
            let names = one.tells_of.keys().map(|load| load.file.as_str()).collect();
            let Some(mut rows) = self.rows(one.files.clone(), Some(names)).await? else { continue };
            while let Some((_, batch)) = rows.next().await? {
                writer.push(RecordBatch::try_new(schema(), batch.columns().to_vec())?).await?;
            }
        }
        if !came.is_empty() {
            let (mut all, mut held, mut rows) = (ByPart::<Runs>::default(), 0, ids.of_loads(&came).await?);
            while let Some((part, batch)) = rows.next().await? {
                let runs = all.of(part);
                let before = runs.held();
                for row in IdRows::of(&batch)?.iter() {
                    runs.take(row);
                    if of_all {
                        see(part, row)?;
                    }
                }
                held += runs.held() - before;
                if held > BATCH_ROWS {
                    let done = runs.done(false);
                    held -= done.len();
                    writer.push(batch_of(&ids.suite.suite, &done)?).await?;
                }
            }
            let last: Vec<KeptRun> = all.in_order().flat_map(|mut runs| runs.done(true)).collect();
            if !last.is_empty() {
                writer.push(batch_of(&ids.suite.suite, &last)?).await?;
            }
        }
        let remove = go.into_iter().flat_map(|one| one.files).collect();
        Ok(Some(NewGeneration { writer, tags, told, remove, of_all }))
    }

    /// Writes and commits what was renewed.
    pub async fn keep(&mut self, renewal: NewGeneration) -> Result<()> {
        let NewGeneration { writer, tags, told, remove, .. } = renewal;
        let mut files = writer.finish().await?.files;
        if files.is_empty() && !told.is_empty() {
            // that a load has no IDs is told by a file as well
            let none = [RecordBatch::new_empty(schema())];
            files.extend(write_plain(self.engine.lake(), BORNE_IDS, &none, tags).await?);
        }
        let told = told.into_iter().map(|(Load { source, file, .. }, (content, rows))| CoveredLoad {
            source,
            file,
            content,
            rows,
        });
        let told = serde_json::to_string(&told.collect::<Vec<_>>()).map_err(|e| Error::bug(e.to_string()))?;
        if let Some(first) = files.first_mut() {
            first.tags.insert(TAG_TELLS_OF.into(), told);
        }
        self.commit(files, remove).await
    }

    /// The runs of a suite, visitor by visitor in the order of their first rows; None where there are none.
    pub async fn runs(&self, suite: &str) -> Result<Option<InParts>> {
        let files = self.generations(suite).into_iter().flat_map(|one| one.files).collect();
        self.rows(files, None).await
    }

    async fn commit(&mut self, add: Vec<NewFile>, remove: Vec<DataFile>) -> Result<()> {
        let columns = schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        let change = Change { add: add.clone(), remove, columns };
        match self.snapshot.commit(self.engine.lake(), change).await {
            Ok(now) => self.snapshot = now,
            Err(error) => {
                discard_uncommitted(self.engine.lake(), BORNE_IDS, &add.iter().collect::<Vec<_>>()).await;
                return Err(error);
            }
        }
        Ok(())
    }

    /// The generations of a suite; of one that does not say what it tells of, nothing is known.
    fn generations(&self, suite: &str) -> Vec<Generation> {
        let mut all: BTreeMap<&str, Generation> = BTreeMap::new();
        for file in &self.snapshot.files {
            let tag = |name: &str| file.tags.get(name).map_or("", String::as_str);
            if tag(TAG_SUITE) != suite {
                continue;
            }
            let generation = all.entry(tag(TAG_GENERATION)).or_default();
            generation.reading = tag(TAG_READING).into();
            let told: Vec<CoveredLoad> = serde_json::from_str(tag(TAG_TELLS_OF)).unwrap_or_default();
            generation.tells_of.extend(told.into_iter().map(|told| {
                let CoveredLoad { source, file, content, rows } = told;
                (Load { suite: suite.into(), source, file }, (content, rows))
            }));
            generation.files.push(file.clone());
        }
        all.into_values().collect()
    }

    /// The runs in some files, in order; of inputs with these names, or of all.
    async fn rows(&self, mut files: Vec<DataFile>, names: Option<Vec<&str>>) -> Result<Option<InParts>> {
        files.retain(|file| file.rows != Some(0));
        if files.is_empty() {
            return Ok(None);
        }
        let schema = full_schema(BORNE_IDS, &self.snapshot.schema);
        let mut rows = scan(self.engine, &self.snapshot, &schema, files, &|rows| rows)?;
        if let Some(names) = names {
            rows = rows.filter(ident(FILE).in_list(names.into_iter().map(lit).collect(), false))?;
        }
        let rows = rows.project(COLUMNS.map(ident))?.sort(ORDER.map(|name| ident(name).sort(true, false)))?;
        Ok(Some(InParts::start(self.engine, rows.build()?).await?))
    }
}

impl Generation {
    fn rows(&self) -> u64 {
        self.files.iter().filter_map(|file| file.rows).sum()
    }
}

/// The columns of the table.
fn schema() -> SchemaRef {
    full_schema(BORNE_IDS, &Schema::empty())
}

/// Runs as a batch.
fn batch_of(suite: &str, runs: &[KeptRun]) -> Result<RecordBatch> {
    let texts = |of: fn(&KeptRun) -> &str| Arc::new(StringArray::from_iter_values(runs.iter().map(of))) as ArrayRef;
    let times = |of: fn(&KeptRun) -> Moment| {
        let times = TimestampMicrosecondArray::from_iter_values(runs.iter().map(|run| of(run).0));
        Arc::new(times.with_timezone("UTC")) as ArrayRef
    };
    let sequences = |of: fn(&KeptRun) -> Moment| {
        let sequences = Decimal128Array::from_iter_values(runs.iter().map(|run| of(run).1));
        Ok::<_, Error>(Arc::new(sequences.with_precision_and_scale(38, 0)?) as ArrayRef)
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(runs.iter().map(|_| suite))),
        Arc::new(Int64Array::from_iter_values(runs.iter().map(|run| run.key))),
        texts(|run| &run.visitor),
        times(|run| run.first),
        sequences(|run| run.first)?,
        times(|run| run.last),
        sequences(|run| run.last)?,
        texts(|run| &run.id),
        texts(|run| &run.file),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The runs of a batch, one after the other: each one's first row, and where its last row is.
pub fn for_each_run(batch: &RecordBatch, mut take: impl FnMut(IdRow<'_>, Moment)) -> Result<()> {
    let text = |column: usize| -> Result<StringArray> {
        Ok(cast(batch.column(column), &DataType::Utf8)?.as_string::<i32>().clone())
    };
    let times = |column: usize| -> Result<TimestampMicrosecondArray> {
        Ok(cast(batch.column(column), &timestamp())?.as_primitive::<TimestampMicrosecondType>().clone())
    };
    let sequences = |column: usize| -> Result<Decimal128Array> {
        Ok(cast(batch.column(column), &sequence())?.as_primitive::<Decimal128Type>().clone())
    };
    let keys = cast(batch.column(1), &DataType::Int64)?;
    let keys = keys.as_primitive::<Int64Type>();
    let (visitors, ids, files) = (text(2)?, text(7)?, text(8)?);
    let (times, sequences, last_times, last_sequences) = (times(3)?, sequences(4)?, times(5)?, sequences(6)?);
    for row in 0..batch.num_rows() {
        let first = IdRow {
            key: keys.value(row),
            visitor: visitors.value(row),
            at: (times.value(row), sequences.value(row)),
            id: ids.value(row),
            file: files.value(row),
        };
        take(first, (last_times.value(row), last_sequences.value(row)));
    }
    Ok(())
}
