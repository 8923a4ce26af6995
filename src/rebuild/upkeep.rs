//! A rebuild and what follows it: compaction, where it is worth it.

use super::{RebuildOptions, Rebuilt, rebuild};
use crate::Result;
use crate::engine::EngineSettings;
use crate::lake::Lake;
use crate::lake::compact::{Compacted, CompactionOptions, compact};

/// How an [`upkeep`] tells what it does.
pub struct Steps<'a> {
    /// A step of the rebuild begins.
    pub rebuilding: &'a (dyn Fn(&str) + Send + Sync),
    /// Rows of a table that are compacted, of so many.
    pub compacting: &'a (dyn Fn(&str, u64, u64) + Send + Sync),
}

/// What an [`upkeep`] did.
pub struct Upkeep {
    /// The rebuild.
    pub rebuilt: Rebuilt,
    /// The compaction; it may fail while the rebuild is done, and the next one tries again.
    pub compacted: Result<Vec<Compacted>>,
}

/// Rebuilds what is stale, then compacts where many files have gathered, unless there was nothing
/// to do or `no_compact`.
pub async fn upkeep(
    lake: &Lake,
    settings: &EngineSettings,
    options: &RebuildOptions,
    no_compact: bool,
    steps: Steps<'_>,
) -> Result<Upkeep> {
    let rebuilt = rebuild(lake, settings, options, steps.rebuilding).await?;
    if no_compact || rebuilt.up_to_date {
        return Ok(Upkeep { rebuilt, compacted: Ok(vec![]) });
    }
    let options = CompactionOptions { if_worth: true, ..CompactionOptions::default() };
    let compacted = compact(lake, &options, settings.rewriter().as_ref(), steps.compacting).await;
    Ok(Upkeep { rebuilt, compacted })
}
