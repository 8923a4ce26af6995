//! Builds the tables of which the query or an input changed, one commit each, and keeps book in `own_tables`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::Serialize;

use super::by_key::{ByKey, Renewed};
use super::columns::stored_schema;
use super::definition::{Definition, Query, query_of};
use super::order::order;
use super::states::{CurrentTables, State, States};
use crate::clock;
use crate::engine::pins::Pins;
use crate::engine::{Engine, EngineSettings};
use crate::lake::records::OwnTable;
use crate::lake::write::discard_uncommitted;
use crate::lake::{Lake, Registry, Snapshot};
use crate::rebuild::inputs::Versions;
use crate::rebuild::memory;
use crate::rebuild::sink::{Sink, WrittenRows};
use crate::{Error, Result};

/// What became of an own table that was to be built.
#[derive(Clone, Debug, Serialize)]
pub struct OwnBuilt {
    /// Its name.
    pub table: String,
    /// `built`, `failed`, or `skipped` because of another one.
    pub status: &'static str,
    /// Rows that it has now.
    pub rows: i64,
    /// How many of its keys were renewed; None where it was built whole.
    pub keys: Option<usize>,
    /// How long it took.
    pub seconds: f64,
    /// What went wrong, or why a table with a key was built whole.
    pub message: String,
}

/// True when some table is to be built. `versions` are those of the tables that are known.
pub async fn any_stale(lake: &Lake, definitions: &[Definition], versions: &Versions) -> Result<bool> {
    if definitions.is_empty() {
        return Ok(false);
    }
    let book = Registry::<OwnTable>::read(lake).await?.rows;
    let mut now = CurrentTables::new(lake, versions);
    for definition in definitions {
        if is_stale(definition, &book, &mut now).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn is_stale(definition: &Definition, book: &[OwnTable], now: &mut CurrentTables<'_>) -> Result<bool> {
    let Some(entry) = book.iter().find(|entry| entry.table == definition.name) else { return Ok(true) };
    let (Ok(query), true) = (&definition.query, is_built(entry, definition)) else { return Ok(true) };
    let then: States = serde_json::from_str(&entry.inputs).unwrap_or_default();
    Ok(!now.is_still(query, &then).await?)
}

/// True where the last build of a table was one of this very text, and did not fail.
fn is_built(entry: &OwnTable, definition: &Definition) -> bool {
    entry.status == "built" && entry.sql == definition.text
}

/// Tables that hold rows of what was and is no more, as what they read, also by way of each other, has changed since they were
/// built: their files are not at hand, or they cannot be built.
pub async fn tables_with_removed_rows(lake: &Lake) -> Result<Vec<String>> {
    let mut now = CurrentTables::new(lake, &Versions::new());
    let (mut reads, mut behind) = (vec![], BTreeSet::new());
    for entry in Registry::<OwnTable>::read(lake).await?.rows.into_iter().filter(|entry| entry.built.is_some()) {
        let then: States = serde_json::from_str(&entry.inputs).unwrap_or_default();
        match query_of(&entry.table, &entry.sql) {
            Ok(query) if now.is_still(&query, &then).await? => reads.push((entry.table, query.reads)),
            _ => drop(behind.insert(entry.table)),
        }
    }
    while let Some(next) = reads.iter().position(|(_, named)| !behind.is_disjoint(named)) {
        behind.insert(reads.swap_remove(next).0);
    }
    Ok(behind.into_iter().collect())
}

/// Builds what is stale (with `full`, all of it), in the order in which tables read each other. Only a failure of the
/// store ends it early.
pub async fn build_stale(
    lake: &Lake,
    settings: &EngineSettings,
    definitions: &[Definition],
    versions: &Versions,
    full: bool,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<OwnBuilt>> {
    if definitions.is_empty() {
        return Ok(vec![]);
    }
    let book = Registry::<OwnTable>::read(lake).await?.rows;
    let by_name: BTreeMap<&str, &Definition> = definitions.iter().map(|d| (d.name.as_str(), d)).collect();
    let reads = |d: &Definition| d.query.as_ref().map(|q| q.reads.clone()).unwrap_or_default();
    let (ordered, circles) = order(&definitions.iter().map(|d| (d.name.clone(), reads(d))).collect());
    let mut now = CurrentTables::new(lake, versions);
    let (mut done, mut broken) = (vec![], BTreeSet::new());
    for (name, circle) in circles {
        let message = format!("own tables read each other in a circle: {circle}");
        broken.insert(name.clone());
        done.push(failed(lake, by_name[name.as_str()], "failed", message).await?);
    }
    for name in ordered {
        let definition = by_name[name.as_str()];
        if let Some(other) = reads(definition).intersection(&broken).next() {
            let message = format!("it reads {other}, which was not built");
            broken.insert(name);
            done.push(failed(lake, definition, "skipped", message).await?);
            continue;
        }
        if !full && !is_stale(definition, &book, &mut now).await? {
            continue;
        }
        progress(&format!("table {name}"));
        let start = Instant::now();
        let then = book.iter().find(|entry| entry.table == name).filter(|entry| is_built(entry, definition));
        let then = then.filter(|_| !full).and_then(|entry| serde_json::from_str(&entry.inputs).ok());
        match build(lake, settings, definition, then, versions, &mut now, progress).await {
            Ok(built) => done.push(OwnBuilt { seconds: start.elapsed().as_secs_f64(), ..built }),
            Err(error) if matches!(error.kind(), crate::ErrorKind::Unavailable | crate::ErrorKind::Conflict) => {
                return Err(error.at(format!("own table {name}")));
            }
            Err(error) => {
                broken.insert(name);
                done.push(failed(lake, definition, "failed", error.to_string()).await?);
            }
        }
    }
    Ok(done)
}

/// Builds one table: the rows of the keys that changed since it was built from `then`, where that can be done; else all.
async fn build(
    lake: &Lake,
    settings: &EngineSettings,
    definition: &Definition,
    then: Option<States>,
    versions: &Versions,
    now: &mut CurrentTables<'_>,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<OwnBuilt> {
    let name = &definition.name;
    let query = definition.query.as_ref().map_err(|reason| Error::query(reason.clone()))?;
    let former = Snapshot::open(lake, name, None).await?;
    let book = Registry::<OwnTable>::read(lake).await?.rows;
    if former.version.is_some() && !book.iter().any(|entry| entry.table == *name && entry.built.is_some()) {
        return Err(Error::query(format!("the lake has a table {name} that is no own table; rename the file")));
    }
    let mut states = now.states(query).await?;
    // the session is its own: what one file SETs holds for that file
    let pins = Pins { versions: versions.clone().into_iter().collect(), others_newest: true };
    let engine = Engine::open_at(lake.clone(), memory::for_queries(settings), Some(pins))?;
    for setting in &query.settings {
        engine.collect(setting).await?;
    }
    let renewed = match &query.key {
        None => Err(None),
        Some(key) => {
            let memory_bytes = memory::for_sorting(settings);
            ByKey { engine: &engine, query, key, former: &former, memory_bytes }.renew(then.as_ref(), now).await?
        }
    };
    let (snapshot, keys, message) = match renewed {
        Ok(Renewed { snapshot, keys }) => (snapshot, Some(keys), String::new()),
        Err(why) => {
            let message = why.map(|why| format!("built whole: {why}")).unwrap_or_default();
            if !message.is_empty() {
                progress(&format!("table {name}: {message}"));
            }
            (build_whole(&engine, settings, &former, query, progress).await?, None, message)
        }
    };
    now.moved_on(name, snapshot.version);
    let rows = snapshot.files.iter().filter_map(|file| file.rows).sum::<u64>();
    let rows = i64::try_from(rows).unwrap_or(i64::MAX);
    states.extend(snapshot.version.map(|version| (name.clone(), State::built(version))));
    let inputs = serde_json::to_string(&states).map_err(|e| Error::bug(e.to_string()))?;
    write_down(lake, definition, |entry| {
        (entry.status, entry.rows, entry.message) = ("built".into(), rows, String::new());
        (entry.inputs, entry.built) = (inputs.clone(), Some(clock::now()));
    })
    .await?;
    Ok(OwnBuilt { table: name.clone(), status: "built", rows, keys, seconds: 0.0, message })
}

/// Writes all rows of a table anew.
async fn build_whole(
    engine: &Engine,
    settings: &EngineSettings,
    former: &Snapshot,
    query: &Query,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Snapshot> {
    let name = &former.name;
    let mut sink = Sink::new(engine, name, memory::for_sorting(settings), stored_schema);
    sink.take(&query.sql).await?;
    let columns = sink.schema().ok_or_else(|| Error::bug(format!("own table {name} without columns")))?;
    let columns = columns.fields().iter().map(|f| f.as_ref().clone()).collect();
    let WrittenRows { written, .. } = sink.finish(&|told| progress(&format!("table {name}: {told}"))).await?;
    match former.commit_whole(engine.lake(), written.files.clone(), columns).await {
        Ok(snapshot) => Ok(snapshot),
        Err(error) => {
            discard_uncommitted(engine.lake(), name, &written.files.iter().collect::<Vec<_>>()).await;
            Err(error)
        }
    }
}

/// Notes why a table was not built; it keeps its former rows.
async fn failed(lake: &Lake, definition: &Definition, status: &'static str, message: String) -> Result<OwnBuilt> {
    let known = Registry::<OwnTable>::read(lake).await?.rows.into_iter().find(|e| e.table == definition.name);
    let rows = known.as_ref().map_or(0, |entry| entry.rows);
    if !known.is_some_and(|e| e.status == status && e.message == message && e.sql == definition.text) {
        write_down(lake, definition, |entry| {
            (entry.status, entry.message) = (status.into(), message.clone());
        })
        .await?;
    }
    Ok(OwnBuilt { table: definition.name.clone(), status, rows, keys: None, seconds: 0.0, message })
}

async fn write_down(lake: &Lake, definition: &Definition, change: impl Fn(&mut OwnTable)) -> Result<()> {
    Registry::<OwnTable>::update(lake, |rows| {
        let at = rows.iter().position(|entry| entry.table == definition.name).unwrap_or_else(|| {
            rows.push(OwnTable::new(&definition.name));
            rows.len() - 1
        });
        rows[at].sql = definition.text.clone();
        change(&mut rows[at]);
        Ok(())
    })
    .await
}
