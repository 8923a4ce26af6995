//! One rebuild: finds what is stale, integrates it, and writes it down.

use std::path::PathBuf;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};

use super::changes::Scope;
use super::due::{DueOrFull, name_due};
use super::inputs::{Inputs, TABLES, Versions, last_rebuild, versions_of};
use super::integrate::{Tables, integrate, sorted};
use super::memory;
use super::own::{OwnBuilt, any_stale, build_stale, definitions};
use super::persons::{Sources, find_persons};
use crate::clock;
use crate::engine::pins::Pins;
use crate::engine::{Engine, EngineSettings};
use crate::lake::log::latest_version;
use crate::lake::records::{JoinReport, PersonRule, Rebuild, Suite};
use crate::lake::tables::{BORNE_IDS, HITS, INTEGRATED, OFFLINE, SNAPSHOTS};
use crate::lake::{Lake, Record, Registry, Snapshot};
use crate::{Error, Result};

/// What a user asked for.
#[derive(Clone, Debug, Default)]
pub struct RebuildOptions {
    /// Everything, stale or not.
    pub full: bool,
    /// The folder with the queries of the user's own tables; the lake's `queries/` when there is none.
    pub queries: Option<PathBuf>,
}

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
    /// Own tables that were to be built.
    pub own: Vec<OwnBuilt>,
    /// How long it took.
    pub seconds: f64,
}

/// True when an input of the integration has changed since the last rebuild.
pub async fn is_stale(lake: &Lake) -> Result<bool> {
    match last_rebuild(lake).await? {
        Some(last) => Ok(!Inputs::read(lake, Some(&last)).await?.are_those_of(&last)?),
        None => Ok(true),
    }
}

/// Integrates what is stale, then builds the own tables that are. `progress` is told each step.
///
/// In a box, so that the compiler makes its work here, once, and not in each that waits for it.
pub fn rebuild<'a>(
    lake: &'a Lake,
    settings: &'a EngineSettings,
    options: &'a RebuildOptions,
    progress: &'a (dyn Fn(&str) + Send + Sync),
) -> BoxFuture<'a, Result<Rebuilt>> {
    async move {
        let (clock_start, started) = (Instant::now(), clock::now());
        let own = definitions(lake, options.queries.as_deref()).await?;
        let last = last_rebuild(lake).await?;
        let inputs = Inputs::read(lake, last.as_ref()).await?;
        // all suites are integrated, whichever one the user looks at
        let settings = EngineSettings { suite: None, as_of: None, ..settings.clone() };
        let fresh = match &last {
            Some(last) if !options.full && inputs.are_those_of(last)? => Some(last),
            _ => None,
        };
        let (mut entry, mut versions, report, reason);
        match fresh {
            Some(last) => {
                versions = versions_of(last)?;
                if !any_stale(lake, &own, &versions).await? {
                    let seconds = clock_start.elapsed().as_secs_f64();
                    let entry = last.clone();
                    return Ok(Rebuilt { up_to_date: true, entry, reason: None, report: vec![], own: vec![], seconds });
                }
                (report, reason) = (Registry::<JoinReport>::read(lake).await?.rows, None);
                entry = Rebuild { scope: "changed".into(), new_rows: 0, new_snapshots: 0, ..last.clone() };
            }
            None => {
                progress("what is stale");
                let scope = match &last {
                    Some(last) if !options.full => Scope::find(lake, last, &inputs).await?,
                    _ => Scope::All(None),
                };
                let done = integrated(lake, &settings, scope, &inputs, progress).await?;
                (entry, versions, report, reason) = (done.entry, done.versions, done.report, done.reason);
            }
        }
        let own = build_stale(lake, &settings, &own, &versions, options.full, progress).await?;
        add_other_tables(lake, &mut versions).await?;
        (entry.started, entry.versions, entry.inputs) = (Some(started), json(&versions)?, json(&inputs.meaning)?);
        let entry = Registry::<Rebuild>::update(lake, |rows| {
            entry.rebuild = rows.iter().map(|r| r.rebuild).max().unwrap_or(0) + 1;
            entry.ended = Some(clock::now());
            rows.push(entry.clone());
            Ok(entry.clone())
        })
        .await?;
        let seconds = clock_start.elapsed().as_secs_f64();
        Ok(Rebuilt { up_to_date: false, entry, reason, report: sorted(report), own, seconds })
    }
    .boxed()
}

/// What the integration left.
struct FinishedRebuild {
    entry: Rebuild,
    versions: Versions,
    report: Vec<JoinReport>,
    /// Why everything was integrated, where that is no matter of course.
    reason: Option<&'static str>,
}

/// Integrates what is due.
async fn integrated(
    lake: &Lake,
    settings: &EngineSettings,
    mut scope: Scope,
    inputs: &Inputs,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<FinishedRebuild> {
    // inputs that are loaded meanwhile wait for the next rebuild
    let pins = Pins { versions: inputs.versions.clone().into_iter().collect(), others_newest: true };
    let engine = Engine::open_at(lake.clone(), memory::for_queries(settings), Some(pins))?;
    let list_bytes = memory::for_list(settings);
    let suites = rows_of::<Suite>(lake, inputs).await?;
    let anew = matches!(scope, Scope::All(None));
    let (tables, due) = loop {
        let tables = tables(lake, &scope, inputs).await?;
        match name_due(&engine, &scope, &tables.hits, &tables.offline, &suites, list_bytes).await? {
            DueOrFull::Due(due) => break (tables, due),
            DueOrFull::Full(reason) => scope = Scope::All(Some(reason)),
        }
    };
    let (hits, memory_bytes) = (tables.hits.clone(), memory::for_sorting(settings));
    let done = integrate(&engine, &due, tables, memory_bytes, list_bytes, progress).await?;
    let rules = rows_of::<PersonRule>(lake, inputs).await?;
    let sources = Sources { hits: &hits, suites: &suites, rules: &rules, anew };
    let persons = find_persons(&engine, &sources, memory_bytes, progress).await?;
    let mut versions = inputs.versions.clone();
    versions.extend(persons);
    let written = [
        (SNAPSHOTS, done.snapshots.snapshot.version),
        (INTEGRATED, done.rows.snapshot.version),
        (JoinReport::TABLE, done.report_version),
    ];
    versions.extend(written.into_iter().filter_map(|(name, version)| Some((name.to_string(), version?))));
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let entry = Rebuild {
        rebuild: 0,
        started: None,
        ended: None,
        scope: if matches!(scope, Scope::All(_)) { "full" } else { "changed" }.into(),
        rows: number(done.rows.rows()),
        new_rows: number(done.rows.new_rows),
        snapshots: number(done.snapshots.rows()),
        new_snapshots: number(done.snapshots.new_rows),
        versions: String::new(),
        inputs: String::new(),
    };
    let reason = if let Scope::All(reason) = scope { reason } else { None };
    Ok(FinishedRebuild { entry, versions, report: done.report, reason })
}

/// The rows of a small table that the rebuild reads.
async fn rows_of<T: Record>(lake: &Lake, inputs: &Inputs) -> Result<Vec<T>> {
    match inputs.versions.get(T::TABLE) {
        Some(version) => Ok(Registry::<T>::read_at(lake, *version).await?.rows),
        None => Ok(vec![]),
    }
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
        hits: input(HITS).await?,
        offline: input(OFFLINE).await?,
        snapshots: Snapshot::open(lake, SNAPSHOTS, None).await?,
        integrated: Snapshot::open(lake, INTEGRATED, None).await?,
    })
}

/// Adds the tables that the integration does not know (sources, rejects, lookups) as they are now. Nobody asks for customer IDs as
/// they were once kept.
async fn add_other_tables(lake: &Lake, versions: &mut Versions) -> Result<()> {
    let is_own = |name: &str| TABLES.contains(&name) || [Rebuild::TABLE, BORNE_IDS].contains(&name);
    let mut others = lake.table_names().await?;
    others.retain(|name| !versions.contains_key(name) && !is_own(name));
    let look = others.iter().map(|name| latest_version(lake, name, None));
    let found = try_join_all(look).await?;
    let others = others.into_iter().zip(found).filter_map(|(name, version)| Some((name, version?)));
    versions.extend(others);
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::bug(e.to_string()))
}
