//! What happened to a lake: its rebuilds, the versions of its tables, and which of both can still be read.
//!
//! In: the logs of the tables, and the small tables `rebuilds` and `vacuums`. Out: everything newest first. Of a table's log
//! only as much is read as is asked for, and what tells the rows of the files that those versions removed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use serde::Serialize;

use super::vacuum::OldestKept;
use crate::error::did_you_mean;
use crate::lake::commits::{Commit, Log};
use crate::lake::layout::TAG_LOADS;
use crate::lake::records::{Rebuild, Vacuum};
use crate::lake::tables::{self, TableKind};
use crate::lake::{Lake, Record, Registry, loads};
use crate::{Error, Result};

/// What happened, each newest first.
#[derive(Debug, Serialize)]
pub struct History {
    /// Rebuilds; none where one table was asked for.
    pub rebuilds: Vec<PastRebuild>,
    /// Versions of tables.
    pub versions: Vec<PastVersion>,
    /// Runs that deleted files of former versions.
    pub vacuums: Vec<Vacuum>,
}

/// A rebuild.
#[derive(Debug, Serialize)]
pub struct PastRebuild {
    /// Number.
    pub rebuild: i64,
    /// Start.
    pub started: Option<DateTime<Utc>>,
    /// End.
    pub ended: Option<DateTime<Utc>>,
    /// Integrated offline rows.
    pub rows: i64,
    /// Snapshots.
    pub snapshots: i64,
    /// Tables that had other versions than at the rebuild before.
    pub changed: Vec<String>,
    /// `--as-of` works.
    pub kept: bool,
}

/// A version of a table.
#[derive(Debug, Serialize)]
pub struct PastVersion {
    /// Name of the table.
    pub table: String,
    /// Version.
    pub version: u64,
    /// When it was committed.
    pub time: DateTime<Utc>,
    /// What was done.
    pub operation: String,
    /// Loads whose rows are in the files that came.
    pub loads: Vec<String>,
    /// Rows of the files that came; None where the log does not say.
    pub rows_added: Option<u64>,
    /// Rows of the files that went.
    pub rows_removed: Option<u64>,
    /// Files that came.
    pub files_added: u64,
    /// Files that went.
    pub files_removed: u64,
    /// Their bytes.
    pub bytes_added: u64,
    /// Their bytes.
    pub bytes_removed: u64,
    /// All its files are still there.
    pub kept: bool,
}

/// The last `limit` rebuilds and versions; with `table`, only of that table.
pub async fn history(lake: &Lake, table: Option<&str>, limit: usize) -> Result<History> {
    let oldest_kept = OldestKept::read(lake).await?;
    let mut rebuilds = Registry::<Rebuild>::read(lake).await?.rows;
    rebuilds.sort_by_key(|r| r.rebuild);
    let pinned: HashSet<(String, u64)> = rebuilds
        .iter()
        .filter(|r| r.rebuild >= oldest_kept.oldest_rebuild)
        .flat_map(|r| versions_of(r).into_iter())
        .collect();
    let mut versions = vec![];
    for name in names(lake, table).await? {
        let log = Log::list(lake, &name).await?;
        versions.extend(of_table(lake, &log, &name, limit, &oldest_kept, &pinned).await?);
    }
    versions.sort_by_key(|v| (Reverse(v.time), Reverse(v.version)));
    versions.truncate(limit);
    let mut vacuums = Registry::<Vacuum>::read(lake).await?.rows;
    vacuums.sort_by_key(|v| Reverse(v.started));
    vacuums.truncate(limit);
    let rebuilds = if table.is_some() { vec![] } else { of_rebuilds(&rebuilds, limit, &oldest_kept) };
    Ok(History { rebuilds, versions, vacuums })
}

/// The tables to tell of.
async fn names(lake: &Lake, table: Option<&str>) -> Result<Vec<String>> {
    let all: Vec<String> = lake.table_names().await?.into_iter().filter(|name| !name.starts_with('_')).collect();
    let Some(wanted) = table else { return Ok(all) };
    if all.iter().any(|name| name == wanted) {
        return Ok(vec![wanted.to_string()]);
    }
    let hint = match wanted {
        name if matches!(tables::find(name).map(|t| t.kind), Some(TableKind::View(_))) => {
            "; it is made of hits and integrated while it is read".to_string()
        }
        _ => did_you_mean(wanted, all.iter().map(String::as_str)),
    };
    Err(Error::usage(format!("nothing was ever written to a table {wanted}{hint}")))
}

/// The versions that a rebuild names.
fn versions_of(rebuild: &Rebuild) -> BTreeMap<String, u64> {
    serde_json::from_str(&rebuild.versions).unwrap_or_default()
}

fn of_rebuilds(rebuilds: &[Rebuild], limit: usize, oldest_kept: &OldestKept) -> Vec<PastRebuild> {
    let mut past = vec![];
    for (at, rebuild) in rebuilds.iter().enumerate().rev().take(limit) {
        let (now, before) = (versions_of(rebuild), at.checked_sub(1).map(|i| versions_of(&rebuilds[i])));
        let before = before.unwrap_or_default();
        let changed = now.into_iter().filter(|(table, version)| before.get(table) != Some(version));
        past.push(PastRebuild {
            rebuild: rebuild.rebuild,
            started: rebuild.started,
            ended: rebuild.ended,
            rows: rebuild.rows,
            snapshots: rebuild.snapshots,
            changed: changed.map(|(table, _)| table).filter(|table| table != Rebuild::TABLE).collect(),
            kept: rebuild.rebuild >= oldest_kept.oldest_rebuild,
        });
    }
    past
}

async fn of_table(
    lake: &Lake,
    log: &Log,
    table: &str,
    limit: usize,
    oldest_kept: &OldestKept,
    pinned: &HashSet<(String, u64)>,
) -> Result<Vec<PastVersion>> {
    let mut versions: Vec<PastVersion> = vec![];
    // files that went, whose rows a commit further back tells, by the version that they left
    let mut unknown: HashMap<Path, usize> = HashMap::new();
    // files that a vacuum has deleted and that the version at hand, if it is not newer than they are, had
    let mut lost: HashSet<Path> = HashSet::new();
    let mut next: Option<DateTime<Utc>> = None;
    let mut commits = log.newest_first(lake);
    while let Some(commit) = commits.try_next().await? {
        for file in &commit.added {
            let Some(at) = unknown.remove(&file.path) else { continue };
            let version = &mut versions[at];
            version.rows_removed = version.rows_removed.zip(file.rows).map(|(a, b)| a + b);
        }
        if versions.len() < limit {
            let kept = lost.is_empty() || pinned.contains(&(table.to_string(), commit.version));
            for file in &commit.added {
                lost.remove(&file.path);
            }
            let deleted =
                commit.removed.iter().filter(|file| oldest_kept.kept_since.is_some_and(|since| file.time < since));
            lost.extend(deleted.map(|file| file.path.clone()));
            unknown.extend(commit.removed.iter().map(|file| (file.path.clone(), versions.len())));
            // clocks differ; what came before came before
            let time = next.map_or(commit.time, |next| next.min(commit.time));
            next = Some(time);
            versions.push(PastVersion { time, ..PastVersion::of(table, commit, kept) });
        } else if unknown.is_empty() {
            break;
        }
    }
    for at in unknown.into_values() {
        versions[at].rows_removed = None;
    }
    Ok(versions)
}

impl PastVersion {
    fn of(table: &str, commit: Commit, kept: bool) -> Self {
        let mut loads: Vec<String> = {
            let tags = commit.added.iter().filter_map(|file| file.tags.get(TAG_LOADS));
            tags.flat_map(|tag| loads::names_in(tag)).collect()
        };
        loads.sort();
        loads.dedup();
        Self {
            table: table.into(),
            version: commit.version,
            time: commit.time,
            operation: operation(&commit),
            loads,
            rows_added: commit.added.iter().map(|file| file.rows).sum(),
            rows_removed: Some(0),
            files_added: commit.added.len() as u64,
            files_removed: commit.removed.len() as u64,
            bytes_added: commit.added.iter().map(|file| file.size).sum(),
            bytes_removed: commit.removed.iter().map(|file| file.size).sum(),
            kept,
        }
    }
}

/// What was done, in a word.
fn operation(commit: &Commit) -> String {
    match (commit.operation.as_str(), commit.added.is_empty(), commit.removed.is_empty()) {
        // a table begins with its first rows
        ("WRITE" | "CREATE TABLE", false, true) => "append".into(),
        ("WRITE", false, false) => "replace".into(),
        ("WRITE", true, false) => "remove".into(),
        ("WRITE", true, true) => "columns".into(),
        ("OPTIMIZE", ..) => "compact".into(),
        ("DELETE", ..) => "forget".into(),
        ("CREATE TABLE", ..) => "create".into(),
        (other, ..) => other.to_lowercase(),
    }
}
