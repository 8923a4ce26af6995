//! A rebuild and what goes with it: compaction, where it is worth it.

use super::inputs::last_rebuild;
use super::{RebuildOptions, Rebuilt, rebuild};
use crate::Result;
use crate::engine::EngineSettings;
use crate::lake::Lake;
use crate::lake::compact::{Compacted, CompactionOptions, compact};

/// How an [`upkeep`] tells what it does.
pub struct Steps<'a> {
    /// A step of the rebuild begins.
    pub rebuilding: &'a (dyn Fn(&str) + Send + Sync),
    /// Bytes of a table's files that are merged, of so many.
    pub compacting: &'a (dyn Fn(&str, u64, u64) + Send + Sync),
}

/// What an [`upkeep`] did.
pub struct Upkeep {
    /// The rebuild.
    pub rebuilt: Rebuilt,
    /// The compaction; it may fail while the rebuild is done, and the next one tries again.
    pub compacted: Result<Vec<Compacted>>,
}

/// Rebuilds what is stale, and compacts where many files have gathered, unless there was nothing to do or `no_compact`.
///
/// Where everything is integrated the files of loads are merged first: each row is then read from one file a bucket and month,
/// which takes a third of the time, and memory for fewer files at once. Else the new loads are read alone, and merged afterwards.
pub async fn upkeep(
    lake: &Lake,
    settings: &EngineSettings,
    options: &RebuildOptions,
    no_compact: bool,
    steps: Steps<'_>,
) -> Result<Upkeep> {
    let worth = CompactionOptions { if_worth: true, ..CompactionOptions::default() };
    let rewriter = settings.rewriter();
    let compacting = || compact(lake, &worth, rewriter.as_ref(), steps.compacting);
    let everything = options.full || last_rebuild(lake).await?.is_none();
    // what fails here is tried again afterwards
    let first = match everything && !no_compact {
        true => compacting().await.unwrap_or_default(),
        false => vec![],
    };
    let rebuilt = rebuild(lake, settings, options, steps.rebuilding).await?;
    if no_compact || rebuilt.up_to_date {
        return Ok(Upkeep { rebuilt, compacted: Ok(first) });
    }
    let compacted = compacting().await.map(|then| both(first, then));
    Ok(Upkeep { rebuilt, compacted })
}

/// What two compactions of the same tables did.
fn both(first: Vec<Compacted>, then: Vec<Compacted>) -> Vec<Compacted> {
    let with_first = |then: Compacted| match first.iter().find(|first| first.table == then.table && first.merged > 0) {
        Some(first) => Compacted {
            before: first.before,
            merged: first.merged + then.merged,
            written: first.written + then.written,
            ..then
        },
        None => then,
    };
    then.into_iter().map(with_first).collect()
}
