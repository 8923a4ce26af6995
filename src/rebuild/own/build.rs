//! Builds the tables of which the query or an input changed, one commit each, and keeps book in `own_tables`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use serde::Serialize;

use super::definition::{Definition, Query, query_of};
use super::order::order;
use super::states::{Now, States};
use crate::clock;
use crate::engine::pins::Pins;
use crate::engine::{Engine, EngineSettings};
use crate::lake::layout::ORDER;
use crate::lake::records::OwnTable;
use crate::lake::write::discard_uncommitted;
use crate::lake::{Lake, Registry, Snapshot};
use crate::rebuild::inputs::Versions;
use crate::rebuild::sink::{Sink, Sunk};
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
    /// How long it took.
    pub seconds: f64,
    /// What went wrong.
    pub message: String,
}

/// True when some table is to be built. `versions` are those of the tables that are known.
pub async fn any_stale(lake: &Lake, definitions: &[Definition], versions: &Versions) -> Result<bool> {
    if definitions.is_empty() {
        return Ok(false);
    }
    let book = Registry::<OwnTable>::read(lake).await?.rows;
    let mut now = Now::new(lake, versions);
    for definition in definitions {
        if is_stale(definition, &book, &mut now).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn is_stale(definition: &Definition, book: &[OwnTable], now: &mut Now<'_>) -> Result<bool> {
    let Some(entry) = book.iter().find(|entry| entry.table == definition.name) else { return Ok(true) };
    let (Ok(query), true) = (&definition.query, entry.status == "built" && entry.sql == definition.text) else {
        return Ok(true);
    };
    let then: States = serde_json::from_str(&entry.inputs).unwrap_or_default();
    Ok(!now.is_still(query, &then).await?)
}

/// Tables that hold rows of what was and is no more, as what they read, also by way of each other, has changed since they were
/// built: their files are not at hand, or they cannot be built.
pub async fn left_behind(lake: &Lake) -> Result<Vec<String>> {
    let mut now = Now::new(lake, &Versions::new());
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
    let mut now = Now::new(lake, versions);
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
        let built = match &definition.query {
            Ok(query) => build(lake, settings, definition, query, versions, &mut now, progress).await,
            Err(reason) => Err(Error::query(reason.clone())),
        };
        match built {
            Ok(rows) => done.push(OwnBuilt {
                table: name,
                status: "built",
                rows,
                seconds: start.elapsed().as_secs_f64(),
                message: String::new(),
            }),
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

/// Builds one table and gives its rows.
async fn build(
    lake: &Lake,
    settings: &EngineSettings,
    definition: &Definition,
    query: &Query,
    versions: &Versions,
    now: &mut Now<'_>,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<i64> {
    let name = &definition.name;
    let former = Snapshot::open(lake, name, None).await?;
    let book = Registry::<OwnTable>::read(lake).await?.rows;
    if former.version.is_some() && !book.iter().any(|entry| entry.table == *name && entry.built.is_some()) {
        return Err(Error::query(format!("the lake has a table {name} that is no own table; rename the file")));
    }
    let states = now.states(query).await?;
    // the session is its own: what one file SETs holds for that file
    let pins = Pins { versions: versions.clone().into_iter().collect(), others_newest: true };
    let engine = Engine::open_at(lake.clone(), settings.clone(), Some(pins))?;
    for setting in &query.settings {
        engine.collect(setting).await?;
    }
    let mut sink = Sink::new(&engine, name, settings.memory_bytes / 2, stored_schema);
    sink.take(&query.sql).await?;
    let columns = sink.schema().ok_or_else(|| Error::bug(format!("own table {name} without columns")))?;
    let columns = columns.fields().iter().map(|f| f.as_ref().clone()).collect();
    let Sunk { written, .. } = sink.finish(&|told| progress(&format!("table {name}: {told}"))).await?;
    let committed = former.commit_whole(lake, written.files.clone(), columns).await;
    let snapshot = match committed {
        Ok(snapshot) => snapshot,
        Err(error) => {
            discard_uncommitted(lake, name, &written.files.iter().collect::<Vec<_>>()).await;
            return Err(error);
        }
    };
    now.moved_on(name, snapshot.version);
    let rows = i64::try_from(written.rows).unwrap_or(i64::MAX);
    let inputs = serde_json::to_string(&states).map_err(|e| Error::bug(e.to_string()))?;
    write_down(lake, definition, |entry| {
        (entry.status, entry.rows, entry.message) = ("built".into(), rows, String::new());
        (entry.inputs, entry.built) = (inputs.clone(), Some(clock::now()));
    })
    .await?;
    Ok(rows)
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
    Ok(OwnBuilt { table: definition.name.clone(), status, rows, seconds: 0.0, message })
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

/// The columns as the lake keeps them; one of a type that it has not, or two of one name, are an error.
fn stored_schema(schema: &Schema) -> Result<SchemaRef> {
    let mut fields: Vec<Field> = vec![];
    for field in schema.fields() {
        let name = field.name();
        if fields.iter().any(|f| f.name().eq_ignore_ascii_case(name)) {
            return Err(Error::query(format!("two columns are called {name}; give one of them another name with AS")));
        }
        let kept = stored_type(field.data_type()).ok_or_else(|| {
            Error::query(format!("column {name} is {}, which a table cannot hold; CAST it", field.data_type()))
        })?;
        let is_sorted_by = ORDER.contains(&name.as_str());
        fields.push(Field::new(name, kept, !is_sorted_by || field.is_nullable()));
    }
    Ok(Schema::new(fields).into())
}

fn stored_type(of: &DataType) -> Option<DataType> {
    use DataType as D;
    Some(match of {
        D::Utf8 | D::LargeUtf8 | D::Utf8View | D::Null => D::Utf8,
        D::Dictionary(_, value) => stored_type(value)?,
        D::Boolean | D::Int8 | D::Int16 | D::Int32 | D::Int64 | D::Float32 | D::Float64 | D::Date32 | D::Binary => {
            of.clone()
        }
        D::UInt8 => D::Int16,
        D::UInt16 => D::Int32,
        D::UInt32 | D::UInt64 => D::Int64,
        D::Decimal128(..) => of.clone(),
        D::LargeBinary | D::BinaryView => D::Binary,
        D::Date64 => D::Date32,
        D::Timestamp(_, None) => D::Timestamp(TimeUnit::Microsecond, None),
        D::Timestamp(_, Some(_)) => D::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        D::List(item) => D::List(Field::new_list_field(stored_type(item.data_type())?, true).into()),
        _ => return None,
    })
}
