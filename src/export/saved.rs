//! The exports of a lake: saved, found, taken away.
//!
//! What the ledger says of an export outlives it: one of the same name goes on where the former one ended.

use super::definition::{Export, LONGEST_NAME};
use super::query::Query;
use super::runs;
use crate::engine::{Engine, EngineSettings};
use crate::error::did_you_mean;
use crate::lake::records::{ExportDefinition, ExportRun};
use crate::lake::{Lake, Registry};
use crate::{Error, Result, clock};

/// All exports, by name.
pub async fn exports(lake: &Lake) -> Result<Vec<Export>> {
    let mut rows = Registry::<ExportDefinition>::read(lake).await?.rows;
    rows.sort_by(|a, b| a.export.cmp(&b.export));
    rows.into_iter().map(Export::of).collect()
}

/// The export of this name; an unknown one is an error with the nearest name.
pub async fn find(lake: &Lake, name: &str) -> Result<Export> {
    let all = exports(lake).await?;
    match all.iter().find(|export| export.name == name) {
        Some(found) => Ok(found.clone()),
        None => Err(unknown(&all.iter().map(|export| export.name.as_str()).collect::<Vec<_>>(), name)),
    }
}

fn unknown(known: &[&str], name: &str) -> Error {
    let hint = did_you_mean(name, known.iter().copied());
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    Error::configuration(format!("there is no export {shown}{hint}; rejoin export list shows them"))
}

/// Saves an export. One of this name is a conflict; so is one of a name under which something was sent to another target, or this one
/// of another suite.
pub async fn create(lake: &Lake, export: &Export, settings: &EngineSettings) -> Result<()> {
    export.check()?;
    let is_other = |run: &ExportRun| run.target != export.target.word() || run.suite != export.suite;
    if let Some(former) = runs::of(lake, &export.name).await?.into_iter().find(is_other) {
        return Err(Error::conflict(format!(
            "export {} was one of suite {} to {}, and the ledger says what that target has; take another name",
            export.name, former.suite, former.target
        )));
    }
    // what cannot be asked is no export
    let engine = Engine::open(lake.clone(), for_suite(settings, export)).await?;
    let asked = Query::of(export)?;
    engine.plan(&asked.sql).await.map_err(|e| e.at(format!("export {}", export.name)))?;
    let row = ExportDefinition {
        export: export.name.clone(),
        suite: export.suite.clone(),
        target: export.target.word().into(),
        metric: export.metric.clone(),
        settings: serde_json::to_string(&export.settings).map_err(|e| Error::bug(format!("export: {e}")))?,
        created: Some(clock::now()),
    };
    Registry::<ExportDefinition>::update(lake, |rows| {
        if rows.iter().any(|known| known.export == row.export) {
            return Err(Error::conflict(format!(
                "there is an export {0} already; drop it first: rejoin export drop {0}",
                row.export
            )));
        }
        rows.push(row.clone());
        Ok(())
    })
    .await
}

/// Takes an export away. What the ledger says of it stays, so that one of the same name goes on where this one ended. One
/// with a run that waits is a conflict.
pub async fn remove(lake: &Lake, name: &str) -> Result<()> {
    find(lake, name).await?;
    if let Some(run) = runs::waiting(&runs::of(lake, name).await?) {
        return Err(Error::conflict(format!(
            "run {0} of export {name} waits; end it first: rejoin export ack {name} {0} (with --discard if it was never sent)",
            run.run
        )));
    }
    Registry::<ExportDefinition>::update(lake, |rows| {
        let known: Vec<&str> = rows.iter().map(|row| row.export.as_str()).collect();
        if !known.contains(&name) {
            return Err(unknown(&known, name));
        }
        rows.retain(|row| row.export != name);
        Ok(())
    })
    .await
}

/// The settings of an engine that sees the export's suite.
pub(super) fn for_suite(settings: &EngineSettings, export: &Export) -> EngineSettings {
    EngineSettings { suite: Some(export.suite.clone()), ..settings.clone() }
}
