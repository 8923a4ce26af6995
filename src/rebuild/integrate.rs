//! Runs the integration: snapshots, then the rows of events that come from offline records, then the join report.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{Field, Schema, SchemaRef};
use futures::TryStreamExt;

use crate::clock;
use crate::columns::{is_dimension, is_metric, key_field};
use crate::engine::template::Columns;
use crate::engine::view::{INTEGRATED, Pins, full_schema};
use crate::engine::{Engine, EngineSettings};
use crate::functions::snapshot_can_hold;
use crate::lake::compact;
use crate::lake::records::{JoinReport, Rebuild};
use crate::lake::write::{SortedWriter, Written, discard_uncommitted, sort_context};
use crate::lake::{Change, Lake, Record, Registry, Snapshot};
use crate::{Error, Result};

const SNAPSHOTS_SQL: &str = include_str!("../../queries/integrate/snapshots.sql");
const JOIN_REPORT_SQL: &str = include_str!("../../queries/integrate/join_report.sql");

/// The queries whose union is the integrated part of events.
const INTEGRATE_SQL: [(&str, &str); 4] = [
    ("transaction records", include_str!("../../queries/integrate/transaction.sql")),
    ("customer records", include_str!("../../queries/integrate/customer.sql")),
    ("summary records", include_str!("../../queries/integrate/summary.sql")),
    ("records of data feeds", include_str!("../../queries/integrate/feed.sql")),
];

/// Tables that the integration reads.
const INPUTS: [&str; 4] = ["files", "hits", "offline", "suites"];

/// What a rebuild did.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// True when nothing had changed and nothing was written.
    pub up_to_date: bool,
    /// The rebuild's row in `rebuilds`; the former one when nothing had changed.
    pub entry: Rebuild,
    /// What matched, per offline file.
    pub report: Vec<JoinReport>,
    /// How long it took.
    pub seconds: f64,
}

/// True when an input has changed since the last rebuild.
pub async fn is_stale(lake: &Lake) -> Result<bool> {
    let inputs = Inputs::read(lake).await?.signature()?;
    let last = Registry::<Rebuild>::read(lake).await?.rows.into_iter().max_by_key(|r| r.rebuild);
    Ok(last.is_none_or(|r| r.inputs != inputs))
}

/// Integrates what is stale; with `full`, everything. `progress` is told each step.
pub async fn rebuild(
    lake: &Lake,
    settings: &EngineSettings,
    full: bool,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Rebuilt> {
    let (clock_start, started) = (Instant::now(), clock::now());
    let now = Inputs::read(lake).await?;
    let (inputs, read) = (now.signature()?, now.versions);
    let last = Registry::<Rebuild>::read(lake).await?.rows.into_iter().max_by_key(|r| r.rebuild);
    if let Some(entry) = last.filter(|r| !full && r.inputs == inputs) {
        let report = Registry::<JoinReport>::read(lake).await?.rows;
        let seconds = clock_start.elapsed().as_secs_f64();
        return Ok(Rebuilt { up_to_date: true, entry, report: sorted(report), seconds });
    }
    // all suites are integrated, whichever one the user looks at
    let settings = EngineSettings { suite: None, as_of: None, ..settings.clone() };
    // inputs that are loaded meanwhile wait for the next rebuild
    let pins = Pins { versions: read.clone().into_iter().collect(), others_newest: true };
    let engine = Engine::open_at(lake.clone(), settings.clone(), Some(pins))?;
    // few hits bear a transaction ID: their other columns are decoded for those alone
    engine.collect("SET datafusion.execution.parquet.pushdown_filters = true").await?;

    progress("snapshots");
    let hits = Snapshot::open(lake, "hits", read.get("hits").copied()).await?;
    let offline = Snapshot::open(lake, "offline", read.get("offline").copied()).await?;
    let hits_schema = full_schema("hits", &hits.schema);
    let held = Columns::default().with_table("hits", &hits_schema).filter_dimensions(snapshot_can_hold);
    let held =
        Table::write(&engine, &settings, "snapshots", &[("snapshots", held.expand(SNAPSHOTS_SQL)?)], progress).await?;
    let snapshots = held.commit(lake).await?;

    let columns = Columns::default()
        .with_table("offline", &full_schema("offline", &offline.schema))
        .with_table("snapshots", &full_schema("snapshots", &snapshots.snapshot.schema));
    let queries =
        INTEGRATE_SQL.iter().map(|(name, sql)| Ok((*name, columns.expand(sql)?))).collect::<Result<Vec<_>>>()?;
    let integrated = Table::write(&engine, &settings, INTEGRATED, &queries, progress).await?.commit(lake).await?;

    progress("join report");
    let report: Vec<JoinReport> = rows_of(&engine.collect(JOIN_REPORT_SQL).await?)?;
    Registry::<JoinReport>::update(lake, |rows| {
        *rows = report.clone();
        Ok(())
    })
    .await?;

    let versions = serde_json::to_string(&versions(lake, read).await?).map_err(|e| Error::bug(e.to_string()))?;
    let entry = Registry::<Rebuild>::update(lake, |rows| {
        let entry = Rebuild {
            rebuild: rows.iter().map(|r| r.rebuild).max().unwrap_or(0) + 1,
            started: Some(started),
            ended: Some(clock::now()),
            rows: integrated.rows as i64,
            snapshots: snapshots.rows as i64,
            versions: versions.clone(),
            inputs: inputs.clone(),
        };
        rows.push(entry.clone());
        Ok(entry)
    })
    .await?;
    Ok(Rebuilt { up_to_date: false, entry, report: sorted(report), seconds: clock_start.elapsed().as_secs_f64() })
}

/// What a rebuild reads.
struct Inputs {
    /// The versions of the tables; one that does not exist yet has none.
    versions: BTreeMap<String, u64>,
    /// What decides whether a table changed: its version, or, where compaction makes versions with the same rows, which
    /// loads it holds.
    states: BTreeMap<String, u64>,
}

impl Inputs {
    async fn read(lake: &Lake) -> Result<Self> {
        let (mut versions, mut states) = (BTreeMap::new(), BTreeMap::new());
        for table in INPUTS {
            let snapshot = Snapshot::open(lake, table, None).await?;
            let Some(version) = snapshot.version else { continue };
            versions.insert(table.to_string(), version);
            // a JSON number must stay exact in every reader
            let state = if compact::TABLES.contains(&table) { snapshot.contents()? >> 12 } else { version };
            states.insert(table.to_string(), state);
        }
        Ok(Self { versions, states })
    }

    /// What a rebuild depends on: the state of its inputs (settings of suites among them), and the queries themselves.
    fn signature(&self) -> Result<String> {
        let queries = INTEGRATE_SQL.iter().flat_map(|(_, sql)| sql.bytes()).chain(SNAPSHOTS_SQL.bytes());
        let queries: Vec<u8> = queries.chain(JOIN_REPORT_SQL.bytes()).collect();
        let mut depends = self.states.clone();
        depends.insert("queries".into(), xxhash_rust::xxh3::xxh3_64(&queries) >> 12);
        serde_json::to_string(&depends).map_err(|e| Error::bug(e.to_string()))
    }
}

/// The version of every table: of the inputs as they were read, of all others as they are now.
async fn versions(lake: &Lake, read: BTreeMap<String, u64>) -> Result<BTreeMap<String, u64>> {
    let mut versions = read;
    for name in lake.table_names().await? {
        if !versions.contains_key(&name)
            && !INPUTS.contains(&name.as_str())
            && name != Rebuild::TABLE
            && let Some(version) = Snapshot::open(lake, &name, None).await?.version
        {
            versions.insert(name, version);
        }
    }
    Ok(versions)
}

fn sorted(mut report: Vec<JoinReport>) -> Vec<JoinReport> {
    report.sort_by(|a, b| (&a.suite, &a.source, &a.file).cmp(&(&b.suite, &b.source, &b.file)));
    report
}

fn rows_of(batches: &[RecordBatch]) -> Result<Vec<JoinReport>> {
    crate::lake::registry::from_batches(batches)
}

/// A table whose new files are written and wait for their commit.
struct Table {
    former: Snapshot,
    written: Written,
}

/// A table after its commit.
struct Committed {
    snapshot: Snapshot,
    rows: u64,
}

impl Table {
    /// Writes the union of `queries`, which give the same columns in the same order.
    async fn write(
        engine: &Engine,
        settings: &EngineSettings,
        name: &str,
        queries: &[(&str, String)],
        progress: &(dyn Fn(&str) + Send + Sync),
    ) -> Result<Self> {
        let former = Snapshot::open(engine.lake(), name, None).await?;
        let mut writer: Option<SortedWriter> = None;
        for (step, sql) in queries {
            progress(step);
            let running = engine.run(sql).await.map_err(|e| e.at(format!("integrating {step}")))?;
            let schema = stored_schema(&running.schema)?;
            let writer = match &mut writer {
                Some(writer) => writer,
                none => {
                    let context = sort_context(settings.memory_bytes / 2)?;
                    none.insert(SortedWriter::start(engine.lake(), name, schema.clone(), HashMap::new(), context)?)
                }
            };
            let mut rows = running.rows;
            while let Some(batch) = rows.try_next().await? {
                if batch.num_rows() > 0 {
                    writer.push(stored(&batch, &schema)?).await?;
                }
            }
        }
        let written = match writer {
            Some(writer) => writer.finish().await?,
            None => Written::default(),
        };
        Ok(Self { former, written })
    }

    /// Replaces the former rows in one commit.
    async fn commit(self, lake: &Lake) -> Result<Committed> {
        let Table { former, written } = self;
        let rows = written.rows;
        let mut columns = written.columns;
        if columns.is_empty() {
            columns = full_schema(&former.name, &Schema::empty()).fields().iter().map(|f| f.as_ref().clone()).collect();
        }
        let added = written.files.clone();
        let change = Change { add: written.files, remove: former.files.clone(), columns };
        match former.commit(lake, change).await {
            Ok(snapshot) => Ok(Committed { snapshot, rows }),
            Err(error) => {
                discard_uncommitted(lake, &former.name, &added.iter().collect::<Vec<_>>()).await;
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

fn stored(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(c, f)| cast(c, f.data_type()));
    Ok(RecordBatch::try_new(schema.clone(), columns.collect::<Result<Vec<ArrayRef>, _>>()?)?)
}
