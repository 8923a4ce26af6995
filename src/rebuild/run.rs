//! One rebuild: finds what is stale, integrates it, and writes it down.

use std::collections::BTreeMap;
use std::time::Instant;

use super::changes::Scope;
use super::due::name_due;
use super::inputs::{Inputs, TABLES, Versions, last_rebuild, versions_of};
use super::integrate::{Tables, integrate, sorted};
use crate::clock;
use crate::engine::view::{INTEGRATED, Pins};
use crate::engine::{Engine, EngineSettings};
use crate::lake::log::latest_version;
use crate::lake::records::{JoinReport, Rebuild};
use crate::lake::{Lake, Record, Registry, Snapshot};
use crate::{Error, Result};

/// What a rebuild did.
#[derive(Debug, Clone)]
pub struct Rebuilt {
    /// True when nothing had changed and nothing was written.
    pub up_to_date: bool,
    /// The rebuild's row in `rebuilds`; the former one when nothing had changed.
    pub entry: Rebuild,
    /// Why everything was integrated although nobody asked for it.
    pub reason: Option<&'static str>,
    /// What matched, per offline file.
    pub report: Vec<JoinReport>,
    /// How long it took.
    pub seconds: f64,
}

/// True when an input has changed since the last rebuild.
pub async fn is_stale(lake: &Lake) -> Result<bool> {
    match last_rebuild(lake).await? {
        Some(last) => Ok(!Inputs::read(lake, Some(&last)).await?.are_those_of(&last)?),
        None => Ok(true),
    }
}

/// Integrates what is stale; with `full`, everything. `progress` is told each step.
pub async fn rebuild(
    lake: &Lake,
    settings: &EngineSettings,
    full: bool,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Rebuilt> {
    let (clock_start, started) = (Instant::now(), clock::now());
    let last = last_rebuild(lake).await?;
    let inputs = Inputs::read(lake, last.as_ref()).await?;
    if let Some(entry) = last.clone().filter(|_| !full)
        && inputs.are_those_of(&entry)?
    {
        let report = match versions_of(&entry)?.get(JoinReport::TABLE) {
            Some(version) => Registry::<JoinReport>::read_at(lake, *version).await?.rows,
            None => vec![],
        };
        let seconds = clock_start.elapsed().as_secs_f64();
        return Ok(Rebuilt { up_to_date: true, entry, reason: None, report: sorted(report), seconds });
    }
    progress("what is stale");
    let scope = match &last {
        Some(last) if !full => Scope::find(lake, last, &inputs).await?,
        _ => Scope::All(None),
    };
    // all suites are integrated, whichever one the user looks at
    let settings = EngineSettings { suite: None, as_of: None, ..settings.clone() };
    // inputs that are loaded meanwhile wait for the next rebuild
    let pins = Pins { versions: inputs.versions.clone().into_iter().collect(), others_newest: true };
    let engine = Engine::open_at(lake.clone(), settings.clone(), Some(pins))?;
    let tables = tables(lake, &scope, &inputs).await?;
    let due = name_due(&engine, &scope, &tables.hits, &tables.offline).await?;
    let done = integrate(&engine, &due, tables, settings.memory_bytes / 2, progress).await?;

    let mut versions = inputs.versions.clone();
    let written = [
        ("snapshots", done.snapshots.snapshot.version),
        (INTEGRATED, done.rows.snapshot.version),
        (JoinReport::TABLE, done.report_version),
    ];
    versions.extend(written.into_iter().filter_map(|(name, version)| Some((name.to_string(), version?))));
    add_other_tables(lake, &mut versions).await?;
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let mut entry = Rebuild {
        rebuild: 0,
        started: Some(started),
        ended: None,
        scope: if matches!(scope, Scope::All(_)) { "full" } else { "changed" }.into(),
        rows: number(done.rows.rows()),
        new_rows: number(done.rows.new_rows),
        snapshots: number(done.snapshots.rows()),
        new_snapshots: number(done.snapshots.new_rows),
        versions: json(&versions)?,
        inputs: json(&inputs.meaning)?,
    };
    let entry = Registry::<Rebuild>::update(lake, |rows| {
        entry.rebuild = rows.iter().map(|r| r.rebuild).max().unwrap_or(0) + 1;
        entry.ended = Some(clock::now());
        rows.push(entry.clone());
        Ok(entry.clone())
    })
    .await?;
    let seconds = clock_start.elapsed().as_secs_f64();
    let reason = if let Scope::All(reason) = scope { reason } else { None };
    Ok(Rebuilt { up_to_date: false, entry, reason, report: done.report, seconds })
}

/// The tables to read and to build upon.
async fn tables(lake: &Lake, scope: &Scope, inputs: &Inputs) -> Result<Tables> {
    if let Scope::Changed(changes) = scope {
        return Ok(Tables {
            hits: changes.hits.now.clone(),
            offline: changes.offline.now.clone(),
            snapshots: changes.snapshots.clone(),
            integrated: changes.integrated.clone(),
        });
    }
    let input = async |name: &str| match inputs.versions.get(name) {
        Some(version) => Snapshot::open(lake, name, Some(*version)).await,
        None => Snapshot::missing(lake, name),
    };
    Ok(Tables {
        hits: input("hits").await?,
        offline: input("offline").await?,
        snapshots: Snapshot::open(lake, "snapshots", None).await?,
        integrated: Snapshot::open(lake, INTEGRATED, None).await?,
    })
}

/// Adds the tables that the integration does not know (sources, rejects, lookups) as they are now.
async fn add_other_tables(lake: &Lake, versions: &mut Versions) -> Result<()> {
    let mut others = BTreeMap::new();
    for name in lake.table_names().await? {
        let known = versions.contains_key(&name) || TABLES.contains(&name.as_str()) || name == Rebuild::TABLE;
        if !known && let Some(version) = latest_version(lake, &name, None).await? {
            others.insert(name, version);
        }
    }
    versions.extend(others);
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::bug(e.to_string()))
}
