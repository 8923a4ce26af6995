//! Deletes files that no version needs any more: storage becomes free, and erased rows are gone for good.
//!
//! In: how far back versions are kept. Out: how many objects of which table were deleted. These files are kept:
//!
//! * those of every version that was current at any time within `keep`: a reader of it ends correctly, if it reads for no longer;
//! * those of every version that a rebuild names, if that rebuild was the newest at any time within `keep`. So `--as-of` works for all
//!   of that time, and the newest rebuild, with which the next one compares, is always whole;
//! * those of writers that may still be running: files that no commit names and that are younger than a day, or than `keep` where
//!   that is longer.
//!
//! Commits stay: they are the history, take a few kilobytes each, and hold nobody's rows. Checkpoints of the log that no version needs
//! are deleted.
//!
//! Races. A commit names a file after it was written. So the log is read before the folder is listed, and what is about to be deleted is
//! compared with the newest version once more, a thousand files at a time. What remains is a writer that commits a file more than a day
//! after writing it, in the instant between that look and the deletion. Writers commit within minutes, and the commit of one that slept
//! for a day fails on any version that came meanwhile. No commit brings back a file that another one removed. Two vacuums at once delete
//! the same files. One that is killed has deleted some of what it may, and the next goes on.
//!
//! Only objects directly in the folder of a table of ours are touched, and only Parquet files that the log names or that have names like
//! ours. Everything else is left alone and reported.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use serde::Serialize;

use crate::lake::commits::Log;
use crate::lake::records::{ExportEvent, Rebuild, Vacuum};
use crate::lake::store::QUERIES;
use crate::lake::{Lake, Record, Registry, Snapshot};
use crate::{Error, Result, clock};

/// Objects that are deleted at once: as many as S3 takes in one request.
const BATCH: usize = 1000;

/// Clocks of machines differ by less.
const CLOCKS: TimeDelta = TimeDelta::hours(1);

/// How long a writer may take from a file to its commit.
const WRITER: TimeDelta = TimeDelta::days(1);

/// Objects and folders in the root of a lake that somebody wrote to see whether it can be written.
const PROBES: [&str; 2] = ["_probe", "_rejoin_doctor"];

/// What to delete.
#[derive(Clone, Copy, Debug)]
pub struct VacuumOptions {
    /// Versions that were current within this time are kept.
    pub keep: TimeDelta,
    /// Only show what would be deleted.
    pub dry_run: bool,
}

/// What was deleted, or would be.
#[derive(Debug, Serialize)]
pub struct Vacuumed {
    /// Nothing was deleted, only counted.
    pub dry_run: bool,
    /// Versions that were current at this time or later are whole.
    pub kept_since: DateTime<Utc>,
    /// The oldest rebuild that is kept.
    pub oldest_rebuild: Option<i64>,
    /// Each table of ours.
    pub tables: Vec<VacuumedTable>,
    /// Names in the lake's folder that are nobody's or somebody else's.
    pub left_alone: Vec<String>,
}

/// What was deleted of one table.
#[derive(Debug, Default, Serialize)]
pub struct VacuumedTable {
    /// Name.
    pub table: String,
    /// Data files deleted.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Parts of checkpoints and abandoned uploads deleted.
    pub temporary: u64,
    /// Files that only former versions need, which are kept.
    pub kept_files: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Files without a commit that are too young to be judged.
    pub unfinished: u64,
    /// Objects that are not ours.
    pub foreign: u64,
}

/// Since when versions are whole, and which is the oldest rebuild of which that is true; as all vacuums have left it.
#[derive(Clone, Copy, Debug, Default)]
pub struct OldestKept {
    /// Former versions that were replaced before are not kept for their own sake. None: nothing was ever deleted.
    pub kept_since: Option<DateTime<Utc>>,
    /// The oldest rebuild that is kept.
    pub oldest_rebuild: i64,
}

impl OldestKept {
    /// Reads it.
    pub async fn read(lake: &Lake) -> Result<Self> {
        let vacuums = Registry::<Vacuum>::read(lake).await?.rows;
        Ok(Self {
            kept_since: vacuums.iter().filter_map(|v| v.kept_since).max(),
            oldest_rebuild: vacuums.iter().map(|v| v.oldest_rebuild).max().unwrap_or(0),
        })
    }
}

/// Deletes what is needed no more. `progress` gets the table and its deleted files.
pub async fn vacuum(
    lake: &Lake,
    options: &VacuumOptions,
    progress: &(dyn Fn(&str, u64) + Send + Sync),
) -> Result<Vacuumed> {
    let now = clock::now();
    let kept_since = now - options.keep;
    let mut rebuilds = Registry::<Rebuild>::read(lake).await?.rows;
    rebuilds.sort_by_key(|r| r.rebuild);
    // the last one before that time was the newest one until the next
    let first = rebuilds.iter().rposition(|r| r.ended.is_none_or(|t| t <= kept_since)).unwrap_or(0);
    let kept = &rebuilds[first.min(rebuilds.len())..];
    let oldest_rebuild = kept.first().map(|r| r.rebuild);
    let mut work = Sweep {
        lake,
        mark: Vacuum { started: Some(now), kept_since: Some(kept_since), oldest_rebuild: oldest_rebuild.unwrap_or(0) },
        marked: options.dry_run,
        dry_run: options.dry_run,
        kept_since,
        young_since: now - options.keep.max(WRITER),
        pins: pins(kept)?,
        progress,
    };
    let (mut tables, mut left_alone) = (vec![], vec![]);
    let root = lake.store().list_with_delimiter(Some(&lake.root()?)).await?;
    let is_probe = |name: &str| PROBES.iter().any(|probe| name.starts_with(probe));
    for folder in &root.common_prefixes {
        let name = folder.filename().unwrap_or_default();
        // the user's own queries
        if name == QUERIES {
            continue;
        }
        if is_probe(name) {
            let objects = lake.store().list(Some(folder)).try_collect().await?;
            work.delete_probes(objects).await?;
            continue;
        }
        match work.table(name).await? {
            Some(table) => tables.push(table),
            // what begins so is ours or the system's, and no table
            None if name.starts_with(['_', '.']) => {}
            None => left_alone.push(format!("{name}/")),
        }
    }
    let (probes, others): (Vec<ObjectMeta>, Vec<ObjectMeta>) =
        root.objects.into_iter().partition(|o| o.location.filename().is_some_and(is_probe));
    work.delete_probes(probes).await?;
    let names = others.iter().filter_map(|o| o.location.filename());
    left_alone.extend(names.filter(|name| !name.starts_with(['_', '.'])).map(str::to_string));
    Ok(Vacuumed { dry_run: options.dry_run, kept_since, oldest_rebuild, tables, left_alone })
}

/// The versions that rebuilds name, by table.
fn pins(rebuilds: &[Rebuild]) -> Result<HashMap<String, BTreeSet<u64>>> {
    let mut pins: HashMap<String, BTreeSet<u64>> = HashMap::new();
    for rebuild in rebuilds {
        let versions: BTreeMap<String, u64> = serde_json::from_str(&rebuild.versions)
            .map_err(|e| Error::bug(format!("rebuild {}: its versions: {e}", rebuild.rebuild)))?;
        for (table, version) in versions {
            pins.entry(table).or_default().insert(version);
        }
    }
    Ok(pins)
}

struct Sweep<'a> {
    lake: &'a Lake,
    mark: Vacuum,
    /// The mark is written, or none is to be.
    marked: bool,
    dry_run: bool,
    kept_since: DateTime<Utc>,
    /// What was written later may be a running writer's.
    young_since: DateTime<Utc>,
    pins: HashMap<String, BTreeSet<u64>>,
    progress: &'a (dyn Fn(&str, u64) + Send + Sync),
}

/// Files of a table by name.
#[derive(Default)]
struct FileNames {
    live: HashSet<String>,
    /// Needed by former versions that are kept.
    former: HashSet<String>,
    /// Known to be needed by none.
    gone: HashSet<String>,
    /// The oldest version that is kept.
    oldest: u64,
}

impl Sweep<'_> {
    /// Vacuums one table; None where there is no table of ours.
    async fn table(&mut self, name: &str) -> Result<Option<VacuumedTable>> {
        let log = Log::list(self.lake, name).await?;
        let Some(latest) = log.commits.first().map(|(version, _)| *version) else { return Ok(None) };
        let snapshot = match Snapshot::open(self.lake, name, None).await {
            Ok(snapshot) if snapshot.is_ours() => snapshot,
            Ok(_) => return Ok(None),
            Err(error) if log.is_ours(self.lake).await? => return Err(error),
            Err(_) => return Ok(None),
        };
        let names = self.names(&snapshot, &log).await?;
        let mut done = VacuumedTable { table: name.into(), ..VacuumedTable::default() };
        let folder = self.lake.table_path(name)?;
        let mut objects = self.lake.store().list(Some(&folder));
        let mut batch = vec![];
        while let Some(object) = objects.try_next().await? {
            let Some(parts) = object.location.prefix_match(&folder) else { continue };
            let parts: Vec<String> = parts.map(|part| part.as_ref().to_string()).collect();
            match &parts[..] {
                [first, ..] if first == "_delta_log" => {}
                [file] => match self.judge(file, &object, &names) {
                    Verdict::Delete => batch.push(object),
                    Verdict::Live => {}
                    Verdict::Former => {
                        done.kept_files += 1;
                        done.kept_bytes += object.size;
                    }
                    Verdict::Unfinished => done.unfinished += 1,
                    Verdict::Foreign => done.foreign += 1,
                },
                // bodies of exports, which those look after
                [_, _, _] if name == ExportEvent::TABLE => {}
                _ => done.foreign += 1,
            }
            if batch.len() == BATCH {
                self.delete_files(std::mem::take(&mut batch), &mut done).await?;
            }
        }
        self.delete_files(batch, &mut done).await?;
        let checkpoints = superfluous_checkpoints(&log, latest, names.oldest);
        done.temporary = self.delete(checkpoints).await?.0 + self.delete_abandoned(name)?;
        Ok(Some(done))
    }

    /// Which files are needed, from the log.
    async fn names(&self, snapshot: &Snapshot, log: &Log) -> Result<FileNames> {
        let mut names = FileNames { live: names_of(snapshot), oldest: u64::MAX, ..FileNames::default() };
        let mut known = HashSet::new();
        let mut commits = log.newest_first(self.lake);
        while let Some(commit) = commits.try_next().await? {
            // a version is current until the next one comes
            if names.oldest > commit.version && (names.oldest == u64::MAX || commit.time >= self.kept_since) {
                names.oldest = commit.version;
            }
            for removed in commit.removed {
                let Some(name) = removed.path.filename().map(str::to_string) else { continue };
                if known.insert(name.clone()) {
                    let kept = removed.time >= self.kept_since;
                    if kept {
                        names.former.insert(name)
                    } else {
                        names.gone.insert(name)
                    };
                }
            }
            // what was written before and is not needed is old enough to be judged by its own time
            if commit.time < self.kept_since - CLOCKS && commit.stored < self.young_since - CLOCKS {
                break;
            }
        }
        // the version before the first one within the time was current at its beginning
        names.oldest = names.oldest.saturating_sub(1);
        for version in self.pins.get(&snapshot.name).into_iter().flatten() {
            let pinned = Snapshot::open(self.lake, &snapshot.name, Some(*version)).await?;
            names.former.extend(names_of(&pinned));
            names.oldest = names.oldest.min(*version);
        }
        Ok(names)
    }

    fn judge(&self, file: &str, object: &ObjectMeta, names: &FileNames) -> Verdict {
        let stem = file.strip_suffix(".parquet");
        let is_ours = stem.is_some_and(|stem| uuid::Uuid::try_parse(stem).is_ok());
        if names.live.contains(file) {
            Verdict::Live
        } else if names.former.contains(file) {
            Verdict::Former
        } else if stem.is_some() && names.gone.contains(file) {
            Verdict::Delete
        } else if !is_ours {
            Verdict::Foreign
        } else if object.last_modified < self.young_since {
            Verdict::Delete
        } else {
            Verdict::Unfinished
        }
    }

    /// Deletes data files of a table, if they are not live after all.
    async fn delete_files(&mut self, mut objects: Vec<ObjectMeta>, done: &mut VacuumedTable) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let live = names_of(&Snapshot::open(self.lake, &done.table, None).await?);
        objects.retain(|o| o.location.filename().is_some_and(|name| !live.contains(name)));
        self.mark().await?;
        let (files, bytes) = self.delete(objects).await.map_err(|e| e.at(format!("table {}", done.table)))?;
        done.files += files;
        done.bytes += bytes;
        (self.progress)(&done.table, done.files);
        Ok(())
    }

    async fn delete_probes(&self, mut objects: Vec<ObjectMeta>) -> Result<()> {
        // somebody may be probing just now
        objects.retain(|o| o.last_modified < self.young_since);
        self.delete(objects).await.map(drop)
    }

    /// Says which versions are given up, before the first of their files goes.
    async fn mark(&mut self) -> Result<()> {
        if !self.marked {
            Registry::<Vacuum>::append(self.lake, std::slice::from_ref(&self.mark)).await?;
            self.marked = true;
        }
        Ok(())
    }

    /// Deletes objects; their number and bytes. What is gone already does not count.
    async fn delete(&self, objects: Vec<ObjectMeta>) -> Result<(u64, u64)> {
        if self.dry_run {
            return Ok((objects.len() as u64, objects.iter().map(|o| o.size).sum()));
        }
        let mut sizes: HashMap<Path, u64> = objects.into_iter().map(|o| (o.location, o.size)).collect();
        let paths: Vec<Path> = sizes.keys().cloned().collect();
        let mut deleted = self.lake.store().delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        let (mut files, mut bytes, mut failed) = (0, 0, None);
        while let Some(result) = deleted.next().await {
            match result {
                Ok(path) => {
                    files += 1;
                    bytes += sizes.remove(&path).unwrap_or(0);
                }
                Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match failed {
            None => Ok((files, bytes)),
            Some(error) => Err(Error::from(error).at("some files could not be deleted; run `rejoin vacuum` again")),
        }
    }

    /// On a local folder, an upload that was killed leaves `NAME#1`, which the store itself does not show. S3 keeps
    /// such parts until a rule of the bucket (AbortIncompleteMultipartUpload) ends them.
    fn delete_abandoned(&self, table: &str) -> Result<u64> {
        let Ok(root) = self.lake.url().to_file_path() else { return Ok(0) };
        let mut count = 0;
        for folder in [root.join(table), root.join(table).join("_delta_log")] {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_upload = name.rsplit_once('#').is_some_and(|(stem, part)| {
                    [".parquet", ".json", "_last_checkpoint"].iter().any(|end| stem.ends_with(end))
                        && !part.is_empty()
                        && part.bytes().all(|b| b.is_ascii_digit())
                });
                // one that is not there any more has become a file
                let modified = entry.metadata().and_then(|m| m.modified()).ok().map(DateTime::<Utc>::from);
                if !is_upload || modified.is_none_or(|at| at >= self.young_since) {
                    continue;
                }
                if !self.dry_run {
                    std::fs::remove_file(entry.path())?;
                }
                count += 1;
            }
        }
        Ok(count)
    }
}

enum Verdict {
    Live,
    Former,
    Unfinished,
    Foreign,
    Delete,
}

fn names_of(snapshot: &Snapshot) -> HashSet<String> {
    snapshot.files.iter().filter_map(|f| f.path.filename().map(str::to_string)).collect()
}

/// Checkpoints before the one from which the oldest kept version is read. Only where the commits are there from the first
/// on, so that nothing hangs on a checkpoint.
fn superfluous_checkpoints(log: &Log, latest: u64, oldest: u64) -> Vec<ObjectMeta> {
    let whole = log.commits.last().is_some_and(|(version, _)| *version == 0) && log.commits.len() as u64 == latest + 1;
    let base = log.checkpoints.iter().map(|(version, _)| *version).filter(|version| *version <= oldest).max();
    let Some(base) = base.filter(|_| whole) else { return vec![] };
    log.checkpoints.iter().filter(|(version, _)| *version < base).map(|(_, object)| object.clone()).collect()
}
