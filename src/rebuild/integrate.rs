//! The integration: snapshots, then the rows of events that come from offline records, then what matched.
//!
//! In: what is due, named in the engine's session. Out: `snapshots`, `integrated` and `join_report`, a commit each.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};

use super::due::{Due, RowsDue};
use super::queries::{QUERIES, SHARED_IDS};
use super::renew::{Renewal, Renewed};
use crate::Result;
use crate::columns::dimension;
use crate::engine::Engine;
use crate::engine::template::Columns;
use crate::functions::snapshot_can_hold;
use crate::lake::layout::{TAG_SOURCE, TAG_SUITE};
use crate::lake::records::JoinReport;
use crate::lake::tables::{HITS, INTEGRATED, OFFLINE, SNAPSHOTS, full_schema};
use crate::lake::{Record, Registry, Snapshot};

/// The kinds of offline records in the order of the queries that give the integrated rows.
const KINDS: [&str; 4] = ["transaction", "customer", "summary", "data_feed"];

const DROPPED_SNAPSHOTS_SQL: &str = include_str!("../../queries/due/dropped_snapshots.sql");
const KEPT_SNAPSHOTS_SQL: &str = include_str!("../../queries/due/kept_snapshots.sql");
const DROPPED_INTEGRATED_SQL: &str = include_str!("../../queries/due/dropped_integrated.sql");
const DROPPED_AGAIN_SQL: &str = include_str!("../../queries/due/dropped_again.sql");
const KEPT_INTEGRATED_SQL: &str = include_str!("../../queries/due/kept_integrated.sql");

/// The tables as the integration found them.
pub struct Tables {
    /// Online hits.
    pub hits: Snapshot,
    /// Offline records as loaded.
    pub offline: Snapshot,
    /// The snapshots to build upon.
    pub snapshots: Snapshot,
    /// The integrated rows to build upon.
    pub integrated: Snapshot,
}

/// What the integration left.
pub struct Integrated {
    /// The snapshots.
    pub snapshots: Renewed,
    /// The rows of events that come from offline records.
    pub rows: Renewed,
    /// What matched, per offline file.
    pub report: Vec<JoinReport>,
    /// Version of the join report.
    pub report_version: Option<u64>,
}

/// Integrates what is due. `memory_bytes` bounds the sorting, `list_bytes` each list that is kept meanwhile; `progress` is told each
/// step.
pub async fn integrate(
    engine: &Engine,
    due: &Due,
    tables: Tables,
    memory_bytes: usize,
    list_bytes: usize,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Integrated> {
    if [due.snapshots, due.integrated] != [RowsDue::None; 2] {
        // few hits bear a transaction ID: their other columns are decoded for those alone, where there are many of them
        engine.collect("SET datafusion.execution.parquet.pushdown_filters = true").await?;
    }
    let [snapshots_query, integrate @ .., (_, join_report)] = QUERIES;
    let schema_of = |snapshot: &Snapshot| full_schema(&snapshot.name, &snapshot.schema);
    let columns = Columns::default()
        .with_table(HITS, &schema_of(&tables.hits))
        .with_table("standing_snapshots", &schema_of(&tables.snapshots))
        .filter_dimensions(snapshot_can_hold);
    let snapshots = Renewal {
        former: tables.snapshots,
        rows_due: due.snapshots,
        queries: vec![(snapshots_query.0, columns.expand(snapshots_query.1)?)],
        moved: vec![DROPPED_SNAPSHOTS_SQL],
        kept: KEPT_SNAPSHOTS_SQL,
    };
    let snapshots = snapshots.run(engine, memory_bytes, progress).await?;

    let columns = Columns::default()
        .with_table(OFFLINE, &schema_of(&tables.offline))
        .with_table(SNAPSHOTS, &schema_of(&snapshots.snapshot))
        .with_all_touches();
    // the first query runs in any case, for it says which columns there are
    let queries = integrate.iter().zip(KINDS).filter(|(_, kind)| *kind == KINDS[0] || due.kinds.contains(*kind));
    let queries = queries.map(|((name, sql), _)| Ok((*name, columns.expand(sql)?)));
    if due.integrated == RowsDue::Some && engine.remote().is_none() {
        // several queries read them; where they are too many to be kept, and on a cluster, each finds them in the files
        let records = schema_of(&tables.offline);
        engine.keep_rows("due_offline", "SELECT * FROM due_offline", records, list_bytes).await?;
    }
    let beside = match due.integrated {
        RowsDue::Some => due.beside.queries(engine, list_bytes).await?,
        RowsDue::None | RowsDue::All => vec![],
    };
    let again = due.again.then_some(DROPPED_AGAIN_SQL);
    let rows = Renewal {
        former: tables.integrated,
        rows_due: due.integrated,
        queries: queries.collect::<Result<_>>()?,
        moved: [DROPPED_INTEGRATED_SQL].into_iter().chain(again).chain(beside).collect(),
        kept: KEPT_INTEGRATED_SQL,
    };
    let rows = rows.run(engine, memory_bytes, progress).await?;

    let former = Registry::<JoinReport>::read(engine.lake()).await?;
    let mut report_version = former.version;
    if report_version.is_some() && report_version == due.report {
        return Ok(Integrated { snapshots, rows, report: sorted(former.rows), report_version });
    }
    progress("join report");
    match may_share_ids(&tables.offline) {
        true => engine.name_query("shared_ids", SHARED_IDS).await?,
        false => {
            let count = Field::new("shared_ids", DataType::Int64, true);
            let columns = ["suite", "source", "file"].map(dimension).into_iter().chain([count]).collect::<Vec<_>>();
            engine.name_rows("shared_ids", vec![RecordBatch::new_empty(Arc::new(Schema::new(columns)))])?;
        }
    }
    let report: Vec<JoinReport> = crate::lake::registry::from_batches(&engine.collect(join_report).await?)?;
    if former.version.is_none() || sorted(former.rows) != sorted(report.clone()) {
        Registry::<JoinReport>::update(engine.lake(), |rows| {
            *rows = report.clone();
            Ok(())
        })
        .await?;
        report_version = Snapshot::open(engine.lake(), JoinReport::TABLE, None).await?.version;
    }
    debug_assert_eq!(rows.snapshot.name, INTEGRATED);
    Ok(Integrated { snapshots, rows, report: sorted(report), report_version })
}

/// True where a suite has records of more than one source, so that some of them may share IDs.
fn may_share_ids(offline: &Snapshot) -> bool {
    let mut sources = BTreeMap::new();
    offline.files.iter().any(|file| match (file.tags.get(TAG_SUITE), file.tags.get(TAG_SOURCE)) {
        (Some(suite), Some(source)) => *sources.entry(suite).or_insert(source) != source,
        _ => true,
    })
}

/// In the order in which people read it.
pub fn sorted(mut report: Vec<JoinReport>) -> Vec<JoinReport> {
    report.sort_by(|a, b| (&a.suite, &a.source, &a.file).cmp(&(&b.suite, &b.source, &b.file)));
    report
}
