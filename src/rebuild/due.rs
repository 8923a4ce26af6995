//! The tables that the integration's queries read beside those of the lake: what is due.
//!
//! In: a [`Scope`]. Out: names in the engine's session: `due_hits`, `standing_snapshots` for the snapshots; `due_offline` for the
//! integrated rows; and what tells the former rows that go from those that stay (`queries/due/*.sql`). When everything is
//! due, they are `hits`, nothing, and `offline`.
//!
//! A hit that another input delivered, too, counts by another row when one of the two comes or goes: of such visitors
//! (`again_visitors`) the rows near those that changed are taken for changed, and all of their hits are looked at. Of rows that feeds
//! bring integrated the same is done place by place (`again_places`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder, ident, lit};

use super::beside::Beside;
use super::changes::{Changes, Load, Scope, TableChanges, loads_in, loads_of};
use super::record_places::RecordPlaces;
use crate::columns::{FILE, VISITOR_KEY, key_field};
use crate::engine::Engine;
use crate::engine::hits::{HitRules, HitsTable, is_reported};
use crate::lake::layout::{TAG_REPEATS, TAG_SOURCE, TAG_SUITE, TAG_VISITS};
use crate::lake::records::{Source, Suite};
use crate::lake::repeats::{may_repeat, may_repeat_each_other};
use crate::lake::scan::LakeTable;
use crate::lake::tables::{HITS, INTEGRATED, OFFLINE, full_schema};
use crate::lake::{DataFile, Registry, Snapshot};
use crate::{Error, Result};

/// Visitors up to which all hits of changed ones are looked for; with more, those of all visitors are.
const MOST_VISITORS: usize = 100_000;

const STALE_SQL: &str = include_str!("../../queries/due/stale.sql");
const STALE_OF_HITS_SQL: &str = include_str!("../../queries/due/stale_of_hits.sql");
const KINDS_SQL: &str = include_str!("../../queries/due/kinds.sql");
const ALL_KINDS_SQL: &str = include_str!("../../queries/due/all_kinds.sql");
const DUE_OFFLINE_SQL: &str = include_str!("../../queries/due/due_offline.sql");
const DUE_AGAIN_SQL: &str = include_str!("../../queries/due/due_again.sql");
const AGAIN_PLACES_SQL: &str = include_str!("../../queries/due/again_places.sql");
const CHANGED_OFFLINE_AGAIN_SQL: &str = include_str!("../../queries/due/changed_offline_again.sql");
const ORPHANS_SQL: &str = include_str!("../../queries/due/orphans.sql");
const HITS_OF_ORPHANS_SQL: &str = include_str!("../../queries/due/hits_of_orphans.sql");
const TOUCHED_SQL: &str = include_str!("../../queries/due/touched.sql");
const HANGING_SQL: &str = include_str!("../../queries/due/hanging.sql");
const AGAIN_SQL: &str = include_str!("../../queries/due/again.sql");
const CHANGED_AGAIN_SQL: &str = include_str!("../../queries/due/changed_again.sql");
const STANDING_SNAPSHOTS_SQL: &str = include_str!("../../queries/due/standing_snapshots.sql");

/// Hits that came of visitors none of whose hits another input delivered, too.
const CAME_ONCE_SQL: &str = "SELECT * FROM came_reported WHERE NOT EXISTS \
    (SELECT 1 FROM due_visitors WHERE due_visitors.visitor_key = came_reported.visitor_key)";

/// How many rows of a table a rebuild has to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsDue {
    /// Nothing that it is made of has changed.
    None,
    /// Some rows.
    Some,
    /// All rows.
    All,
}

/// What is due, by table.
#[derive(Clone, Debug)]
pub struct Due {
    /// The snapshots.
    pub snapshots: RowsDue,
    /// The integrated rows.
    pub integrated: RowsDue,
    /// Kinds of offline records, beside which none is due.
    pub kinds: BTreeSet<String>,
    /// True where rows of feeds are due in places where other loads hold some, too.
    pub again: bool,
    /// Which integrated rows that are not due may be in one place with some that are.
    pub beside: Beside,
    /// The version of the join report that the last rebuild left, where it holds still.
    pub report: Option<u64>,
}

/// What is due, or why a full rebuild is done instead.
#[derive(Debug)]
pub enum DueOrFull {
    /// This is due.
    Due(Due),
    /// Everything is rebuilt, for this reason.
    Full(&'static str),
}

/// More ids are due than memory holds. Then a full rebuild is faster.
const TOO_MANY: DueOrFull = DueOrFull::Full("more ids are due than --memory holds");

/// Names what is due in the engine's session, before any of it is queried; lists of ids take `memory_bytes` at most.
pub async fn name_due(
    engine: &Engine,
    scope: &Scope,
    hits: &Snapshot,
    offline: &Snapshot,
    suites: &[Suite],
    memory_bytes: usize,
) -> Result<DueOrFull> {
    // files of other writers say no names: their records keep the sequences that they have
    let loads_now = loads_of(offline)?.unwrap_or_default();
    let places = RecordPlaces::of(loads_now.keys().filter_map(Load::record_file));
    engine.name_rows("record_places", vec![places.rows()?])?;
    let changes = match scope {
        Scope::All(_) => {
            name_all_hits(engine).await?;
            engine.name_plan("due_offline", offline_once(engine, offline)?)?;
            let kinds = match offline.files.is_empty() {
                true => BTreeSet::new(),
                false => kinds_of(engine, ALL_KINDS_SQL).await?,
            };
            let (snapshots, integrated, beside) = (RowsDue::All, RowsDue::All, Beside::default());
            return Ok(DueOrFull::Due(Due { snapshots, integrated, kinds, again: false, beside, report: None }));
        }
        Scope::Changed(changes) => changes,
    };
    engine.name_rows("gone_hits", loads(&changes.hits.gone)?)?;
    engine.name_rows("gone_offline", loads(&changes.offline.gone)?)?;
    name_former(engine, "former_snapshots", &changes.snapshots)?;
    name_former(engine, "former_integrated", &changes.integrated)?;
    // as the table has them: with columns that only reading fills
    let rules = HitRules::of(suites)?;
    let hits = rules.columns(&full_schema(&hits.name, &hits.schema));
    name_changed(engine, HITS, &changes.hits, &hits)?;
    let records = full_schema(&offline.name, &offline.schema);
    name_changed(engine, OFFLINE, &changes.offline, &records)?;
    engine.name_plan("offline_once", offline_once(engine, offline)?)?;
    let came_offline = rows_of(engine, &changes.offline.now, &records, &changes.offline.came, &each_once)?;
    engine.name_plan("came_offline_once", came_offline)?;
    let Some(places) = places_again(engine, &changes.offline, &records, memory_bytes).await? else {
        return Ok(TOO_MANY);
    };
    let again = come_again(engine, &changes.hits, &hits).await?;
    let persist = rules.persist_in(&changed_suites(&changes.hits));
    let reported = |hits: LakeTable| HitsTable::new(hits, HitRules::default()).once();
    let came = rows_of(engine, &changes.hits.now, &hits, &changes.hits.came, &reported)?;
    let came = LogicalPlanBuilder::from(came).filter(is_reported(&hits, suites))?;
    engine.name_plan("came_reported", came.build()?)?;
    let snapshots = match changes.hits.is_empty() {
        true => RowsDue::None,
        false => match due_hits(engine, changes, &again, persist, memory_bytes).await? {
            Some(rows_due) => rows_due,
            None => return Ok(TOO_MANY),
        },
    };
    // what such a snapshot holds may be another although no hit that bears its ID came or went
    match persist {
        true => engine.name_query("moved", "SELECT suite, transaction_id FROM touched").await?,
        false => engine.name_rows("moved", vec![RecordBatch::new_empty(key_columns(&["suite", "transaction_id"]))])?,
    }
    // a hit makes records due by the IDs that it bears
    let bears_ids = match snapshots {
        RowsDue::None => !changes.hits.is_empty() && may_name_customers(engine, offline).await?,
        RowsDue::Some | RowsDue::All => true,
    };
    let (mut stale, ids) = (Some(0), key_columns(&["suite", "kind", "id"]));
    match bears_ids {
        true => engine.name_query("stale_of_hits", STALE_OF_HITS_SQL).await?,
        // and nobody looks for the IDs of all records
        false => engine.name_rows("stale_of_hits", vec![RecordBatch::new_empty(ids.clone())])?,
    }
    if bears_ids || !changes.offline.is_empty() {
        stale = engine.keep_rows("stale", STALE_SQL, ids, memory_bytes).await?;
    }
    let Some(stale) = stale else { return Ok(TOO_MANY) };
    // where no record came or went either, no integrated row comes or goes
    let (mut integrated, mut kinds) = (RowsDue::None, BTreeSet::new());
    if stale > 0 || places > 0 || !changes.offline.is_empty() {
        let due = match places {
            0 => DUE_OFFLINE_SQL.to_string(),
            _ => format!("{DUE_OFFLINE_SQL}\nUNION ALL\n{DUE_AGAIN_SQL}"),
        };
        engine.name_query("due_offline", &due).await?;
        (integrated, kinds) = (RowsDue::Some, kinds_of(engine, KINDS_SQL).await?);
    }
    let (again, beside) = (places > 0, Beside::of(changes)?);
    let report = changes.report.filter(|_| integrated == RowsDue::None);
    Ok(DueOrFull::Due(Due { snapshots, integrated, kinds, again, beside, report }))
}

/// False where no offline record is a customer's: its source says its kind, and those of data feeds are of others.
async fn may_name_customers(engine: &Engine, offline: &Snapshot) -> Result<bool> {
    let sources = Registry::<Source>::read(engine.lake()).await?.rows;
    let may_be = |file: &DataFile| {
        let (suite, name) = (file.tags.get(TAG_SUITE), file.tags.get(TAG_SOURCE));
        let is_its = |source: &&Source| Some(&source.suite) == suite && Some(&source.source) == name;
        let known = sources.iter().find(is_its).map(|source| source.kind.as_str());
        known.is_none_or(|kind| kind == "customer") && name.is_none_or(|name| name != "data_feed")
    };
    Ok(offline.files.iter().any(may_be))
}

/// The kinds of offline records that a query finds.
async fn kinds_of(engine: &Engine, sql: &str) -> Result<BTreeSet<String>> {
    let mut kinds = BTreeSet::new();
    for batch in engine.collect(sql).await? {
        let texts = cast(batch.column(0), &DataType::Utf8)?;
        kinds.extend(texts.as_string::<i32>().iter().flatten().map(str::to_string));
    }
    Ok(kinds)
}

/// The visitors of whom a row that came or went is a hit that another input delivered, too; `changed_hits` has the rows near
/// those, too, from here on. Of more than [`MOST_VISITORS`] not all.
async fn come_again(engine: &Engine, hits: &TableChanges, schema: &SchemaRef) -> Result<Vec<i64>> {
    let Some(near) = near_rows(engine, hits, schema, &|file| may_repeat(&[file]))? else {
        name_keys(engine, "again_visitors", vec![])?;
        return Ok(vec![]);
    };
    engine.name_plan("near_hits", near)?;
    let visitors = visitors_of(engine, &format!("{AGAIN_SQL} LIMIT {}", MOST_VISITORS + 1)).await?;
    name_keys(engine, "again_visitors", visitors.clone())?;
    if !visitors.is_empty() {
        engine.name_query("changed_hits", CHANGED_AGAIN_SQL).await?;
    }
    Ok(visitors)
}

/// The places of rows that feeds brought integrated and that came or went, where another load holds a row, too (`again_places`): how
/// many there are, or None where they take more than `memory_bytes`. `changed_offline` has all rows in them from here on.
async fn places_again(
    engine: &Engine,
    offline: &TableChanges,
    schema: &SchemaRef,
    memory_bytes: usize,
) -> Result<Option<usize>> {
    let columns = key_columns(&["suite", "hit_time", "hit_seq"]);
    // rows in one place have one order, of whatever ids they are
    let has_ids = |file: &DataFile| file.tags.contains_key(TAG_REPEATS);
    let Some(near) = near_rows(engine, offline, schema, &has_ids)? else {
        engine.name_rows("again_places", vec![RecordBatch::new_empty(columns)])?;
        return Ok(Some(0));
    };
    engine.name_plan("near_offline", near)?;
    let places = engine.keep_rows("again_places", AGAIN_PLACES_SQL, columns, memory_bytes).await?;
    if places.is_some_and(|places| places > 0) {
        engine.name_query("changed_offline", CHANGED_OFFLINE_AGAIN_SQL).await?;
    }
    Ok(places)
}

/// The rows of files, of before or of now, in which another row of a hit that came or went may be: of files of the same times, and of
/// those that hold such hits beside others, where `within` says so. None where there is no such file.
fn near_rows(
    engine: &Engine,
    changes: &TableChanges,
    schema: &SchemaRef,
    within: &dyn Fn(&DataFile) -> bool,
) -> Result<Option<LogicalPlan>> {
    let near = |snapshot: &Snapshot, changed: &BTreeSet<Load>| -> Vec<DataFile> {
        let is_changed = |file: &&DataFile| !loads_in(file, changed).is_empty();
        let changed: Vec<&DataFile> = snapshot.files.iter().filter(is_changed).collect();
        let beside = |file: &&DataFile| {
            let shared = file.loads().is_ok_and(|loads| loads.len() > 1) && is_changed(file);
            let met = |other: &&&DataFile| other.relative != file.relative && may_repeat_each_other(other, file);
            (shared && within(file)) || changed.iter().any(|other| met(&other))
        };
        snapshot.files.iter().filter(beside).cloned().collect()
    };
    let all =
        |snapshot: &Snapshot, files| Ok::<_, Error>(scan(engine, snapshot, schema, files, &|rows| rows)?.build()?);
    let (now, former) = (near(&changes.now, &changes.came), near(&changes.former, &changes.gone));
    if now.is_empty() && former.is_empty() {
        return Ok(None);
    }
    let rows = LogicalPlanBuilder::from(all(&changes.now, now)?).union(all(&changes.former, former)?)?;
    Ok(Some(rows.build()?))
}

/// Offline records, and rows that feeds brought integrated, each once, however often it was delivered: as of hits, the row of the
/// delivery that comes last by name. Files say in a tag whether their rows have hit ids.
fn offline_once(engine: &Engine, offline: &Snapshot) -> Result<LogicalPlan> {
    let schema = full_schema(&offline.name, &offline.schema);
    let (with_ids, others): (Vec<DataFile>, Vec<DataFile>) =
        offline.files.iter().cloned().partition(|file| file.tags.contains_key(TAG_REPEATS));
    let others = scan(engine, offline, &schema, others, &|rows| rows)?;
    if with_ids.is_empty() {
        return Ok(others.build()?);
    }
    let once = scan(engine, offline, &schema, with_ids, &each_once)?;
    Ok(others.union(once.build()?)?.build()?)
}

/// Rows that feeds brought integrated, each once.
fn each_once(offline: LakeTable) -> HitsTable {
    HitsTable::new(offline, HitRules::default()).once().with_stored_visits()
}

/// The hits to look at for snapshots, and the former snapshots that compete with them.
async fn due_hits(
    engine: &Engine,
    changes: &Changes,
    again: &[i64],
    persist: bool,
    memory_bytes: usize,
) -> Result<Option<RowsDue>> {
    let columns = || key_columns(&["suite", "transaction_id"]);
    // a hit more or less changes the visits of its visitor and what persists, and with them the snapshots of other hits
    let hang_together = persist || computes_visits(&changes.hits);
    let visitors = match hang_together {
        true => visitors_of(engine, &HANGING_SQL.replace("$reached", reached(persist))).await?,
        false => again.to_vec(),
    };
    if visitors.len() > MOST_VISITORS {
        name_all_hits(engine).await?;
        if persist && engine.keep_rows("touched", TOUCHED_SQL, columns(), memory_bytes).await?.is_none() {
            return Ok(None);
        }
        return Ok(Some(RowsDue::All));
    }
    name_keys(engine, "due_visitors", visitors.clone())?;
    let mut due = match hang_together {
        true => "SELECT * FROM came_reported WHERE false".to_string(),
        false if again.is_empty() => "SELECT * FROM came_reported".into(),
        false => CAME_ONCE_SQL.into(),
    };
    if !visitors.is_empty() {
        let keys = visitors.into_iter().map(lit).collect();
        let hits = LogicalPlanBuilder::from(engine.plan("SELECT * FROM reported_hits").await?);
        engine.name_plan("visitors_hits", hits.filter(ident(VISITOR_KEY).in_list(keys, false))?.build()?)?;
        due.push_str(" UNION ALL SELECT * FROM visitors_hits");
    }
    if !changes.hits.gone.is_empty() || !again.is_empty() {
        match engine.keep_rows("orphans", ORPHANS_SQL, columns(), memory_bytes).await? {
            None => return Ok(None),
            Some(0) => {}
            Some(_) => {
                engine.name_query("hits_of_orphans", HITS_OF_ORPHANS_SQL).await?;
                due.push_str(" UNION ALL SELECT * FROM hits_of_orphans");
            }
        }
    }
    engine.name_query("due_hits", &due).await?;
    let touched = engine.keep_rows("touched", TOUCHED_SQL, columns(), memory_bytes).await?;
    match touched {
        None => return Ok(None),
        Some(0) => return Ok(Some(RowsDue::None)),
        Some(_) => engine.name_query("standing_snapshots", STANDING_SNAPSHOTS_SQL).await?,
    }
    Ok(Some(RowsDue::Some))
}

/// Which snapshots of a visitor a changed hit reaches: in visits those from its time on, while what persists may fill rows before it.
fn reached(persist: bool) -> &'static str {
    if persist { "true" } else { "former.hit_time >= changed.hit_time" }
}

/// All hits are due, and nothing competes with them.
async fn name_all_hits(engine: &Engine) -> Result<()> {
    engine.name_query("due_hits", "SELECT * FROM reported_hits").await?;
    engine.name_query("standing_snapshots", "SELECT * FROM snapshots WHERE false").await
}

/// The suites whose hits changed.
fn changed_suites(hits: &TableChanges) -> BTreeSet<&str> {
    hits.came.iter().chain(&hits.gone).map(|load| load.suite.as_str()).collect()
}

fn computes_visits(hits: &TableChanges) -> bool {
    let suites = changed_suites(hits);
    let of_suites = |file: &&DataFile| file.tags.get(TAG_SUITE).is_some_and(|suite| suites.contains(suite.as_str()));
    let files = hits.now.files.iter().chain(&hits.former.files).filter(of_suites);
    files.into_iter().any(|file| file.tags.get(TAG_VISITS).is_none_or(|visits| visits != "given"))
}

/// The keys of visitors that a query gives.
async fn visitors_of(engine: &Engine, query: &str) -> Result<Vec<i64>> {
    let mut keys = vec![];
    for batch in engine.collect(query).await? {
        keys.extend_from_slice(batch.column(0).as_primitive::<Int64Type>().values());
    }
    Ok(keys)
}

/// Names keys of visitors.
fn name_keys(engine: &Engine, name: &str, keys: Vec<i64>) -> Result<()> {
    let keys = Arc::new(Int64Array::from(keys)) as ArrayRef;
    engine.name_rows(name, vec![RecordBatch::try_from_iter([(VISITOR_KEY, keys)])?])
}

/// `came_...` and `changed_...`: rows of loads that came, and those together with the rows of loads that went.
fn name_changed(engine: &Engine, table: &str, changes: &TableChanges, schema: &SchemaRef) -> Result<()> {
    let came = rows_of(engine, &changes.now, schema, &changes.came, &|rows| rows)?;
    let gone = rows_of(engine, &changes.former, schema, &changes.gone, &|rows| rows)?;
    engine.name_plan(&format!("changed_{table}"), LogicalPlanBuilder::from(came.clone()).union(gone)?.build()?)?;
    engine.name_plan(&format!("came_{table}"), came)
}

fn name_former(engine: &Engine, name: &str, snapshot: &Snapshot) -> Result<()> {
    let schema = full_schema(&snapshot.name, &snapshot.schema);
    engine.name_table(name, Arc::new(LakeTable::new(engine.lake().clone(), Arc::new(snapshot.clone()), schema)))
}

/// Names the former rows once more, those in `files` only.
pub fn name_former_in(engine: &Engine, snapshot: &Snapshot, files: Vec<DataFile>) -> Result<()> {
    let name = if snapshot.name == INTEGRATED { "former_integrated" } else { "former_snapshots" };
    name_former(engine, name, &snapshot.only(files))
}

/// Files of one suite and source that hold rows of some loads.
#[derive(Default)]
struct FilesOfLoads {
    files: Vec<DataFile>,
    /// Names of the loads.
    names: BTreeSet<String>,
    /// They hold rows of other loads, too.
    has_others: bool,
}

/// The rows of some loads, wherever they are, as `table` has them.
pub fn rows_of<T: TableProvider + 'static>(
    engine: &Engine,
    snapshot: &Snapshot,
    schema: &SchemaRef,
    loads: &BTreeSet<Load>,
    table: &dyn Fn(LakeTable) -> T,
) -> Result<LogicalPlan> {
    // a file's name is unique only within its suite and source
    let mut groups: BTreeMap<[Option<&String>; 2], FilesOfLoads> = BTreeMap::new();
    for file in &snapshot.files {
        let here = loads_in(file, loads);
        if here.is_empty() {
            continue;
        }
        let group = groups.entry([TAG_SUITE, TAG_SOURCE].map(|tag| file.tags.get(tag))).or_default();
        group.files.push(file.clone());
        group.has_others |= here.len() < file.loads()?.len();
        group.names.extend(here.into_iter().map(|load| load.file));
    }
    let mut parts = vec![];
    for FilesOfLoads { files, names, has_others } in groups.into_values() {
        let rows = scan(engine, snapshot, schema, files, table)?;
        parts.push(match has_others {
            true => rows.filter(ident(FILE).in_list(names.into_iter().map(lit).collect(), false))?,
            false => rows,
        });
    }
    let union = parts.into_iter().try_fold(None, |all: Option<LogicalPlanBuilder>, part| {
        Ok::<_, Error>(Some(match all {
            Some(all) => all.union(part.build()?)?,
            None => part,
        }))
    });
    let rows = match union? {
        Some(rows) => rows,
        None => scan(engine, snapshot, schema, vec![], table)?,
    };
    Ok(rows.build()?)
}

/// The rows of some files, as `table` has them.
pub fn scan<T: TableProvider + 'static>(
    engine: &Engine,
    snapshot: &Snapshot,
    schema: &SchemaRef,
    files: Vec<DataFile>,
    table: &dyn Fn(LakeTable) -> T,
) -> Result<LogicalPlanBuilder> {
    let rows = table(LakeTable::new(engine.lake().clone(), Arc::new(snapshot.only(files)), schema.clone()));
    Ok(LogicalPlanBuilder::scan(snapshot.name.as_str(), provider_as_source(Arc::new(rows)), None)?)
}

fn loads(loads: &BTreeSet<Load>) -> Result<Vec<RecordBatch>> {
    let column = |of: fn(&Load) -> &str| Arc::new(StringArray::from_iter_values(loads.iter().map(of))) as ArrayRef;
    let columns = [("suite", column(|l| &l.suite)), ("source", column(|l| &l.source)), (FILE, column(|l| &l.file))];
    Ok(vec![RecordBatch::try_from_iter(columns)?])
}

/// Key columns, and columns of text.
fn key_columns(names: &[&str]) -> SchemaRef {
    let column = |name: &&str| key_field(name).unwrap_or_else(|| crate::columns::dimension(name));
    Arc::new(Schema::new(names.iter().map(column).collect::<Vec<_>>()))
}
