//! Which loads came and went since the last rebuild, judged by the logs alone.
//!
//! In: the last rebuild, and the inputs as they are now. Out: [`Changes`], or why everything is to be integrated anew.
//! A load whose rows are not as many as before (a visitor was erased) went and came; so did all loads of a suite whose
//! settings changed, and files of records that stand elsewhere now beside records of other files.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::{join, try_join};
use object_store::ObjectStoreExt;

use super::inputs::{Inputs, IntegrationRules, Versions, versions_of};
use super::record_places::RecordPlaces;
use crate::Result;
use crate::lake::layout::{TAG_LOADS, TAG_SOURCE, TAG_SUITE};
use crate::lake::log::{has_same_rows, latest_version};
use crate::lake::records::{FileEntry, JoinReport, Rebuild, Suite};
use crate::lake::tables::{HITS, INTEGRATED, OFFLINE, SNAPSHOTS};
use crate::lake::{DataFile, Lake, Record, Registry, Snapshot};

/// A load, as the tags of its files name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Load {
    /// Suite of its rows.
    pub suite: String,
    /// Source of its rows; empty for online hits.
    pub source: String,
    /// Name of the input.
    pub file: String,
}

impl Load {
    /// Suite and name of a file of offline records; None for a data feed, whose rows are told apart by their hit ids.
    pub fn record_file(&self) -> Option<(&str, &str)> {
        (self.source != "data_feed").then_some((self.suite.as_str(), self.file.as_str()))
    }
}

/// What happened to a table that loads fill.
#[derive(Debug)]
pub struct TableChanges {
    /// The table as the last rebuild read it.
    pub former: Snapshot,
    /// The table as it is now.
    pub now: Snapshot,
    /// Loads whose rows came.
    pub came: BTreeSet<Load>,
    /// Loads whose rows went.
    pub gone: BTreeSet<Load>,
}

/// What happened since the last rebuild.
#[derive(Debug)]
pub struct Changes {
    /// Online hits.
    pub hits: TableChanges,
    /// Offline records.
    pub offline: TableChanges,
    /// Snapshots, with the rows that the last rebuild left.
    pub snapshots: Snapshot,
    /// Integrated rows, those that the last rebuild left.
    pub integrated: Snapshot,
    /// The version of the join report that the last rebuild left, where it holds as long as these rows stay.
    pub report: Option<u64>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Scope {
    /// Everything, with the reason where it is no matter of course.
    All(Option<&'static str>),
    /// What hangs on these changes.
    Changed(Box<Changes>),
}

impl Scope {
    /// Compares the inputs with those of the last rebuild.
    pub async fn find(lake: &Lake, last: &Rebuild, inputs: &Inputs) -> Result<Self> {
        if IntegrationRules::of(last) != inputs.meaning {
            return Ok(Self::All(Some("the integration itself is another one now")));
        }
        let then = versions_of(last)?;
        let version = |table: &str| then.get(table).copied();
        let now = |table: &str| inputs.versions.get(table).copied();
        let left =
            try_join(as_left(lake, SNAPSHOTS, version(SNAPSHOTS)), as_left(lake, INTEGRATED, version(INTEGRATED)));
        let changes = async {
            let suites = changed_suites(lake, version(Suite::TABLE), inputs).await?;
            let hits = TableChanges::find(lake, HITS, version(HITS), now(HITS), &suites);
            try_join(hits, TableChanges::find(lake, OFFLINE, version(OFFLINE), now(OFFLINE), &suites)).await
        };
        // no table's log waits for another's
        let (left, changes) = join(left, changes).await;
        let (Some(snapshots), Some(integrated)) = left? else {
            return Ok(Self::All(Some("the integrated tables are not as the last rebuild left them")));
        };
        let (Some(hits), Some(mut offline)) = changes? else {
            return Ok(Self::All(Some("files of other writers are in the lake")));
        };
        offline.take_moved_records()?;
        if hits.nothing_stays() && offline.nothing_stays() {
            return Ok(Self::All(Some("all that the last rebuild read has changed")));
        }
        let gone: Vec<&DataFile> = hits.files_gone().chain(offline.files_gone()).collect();
        if !are_stored(lake, &gone).await? {
            return Ok(Self::All(Some(NOT_STORED)));
        }
        let report = match offline.is_empty() {
            true => report_as_left(lake, &then, inputs).await?,
            false => None,
        };
        Ok(Self::Changed(Box::new(Changes { hits, offline, snapshots, integrated, report })))
    }
}

impl TableChanges {
    /// What happened from one version to another, all loads of `suites` having changed. None when rows of other writers are among
    /// them, which no load names.
    pub async fn find(
        lake: &Lake,
        table: &str,
        then: Option<u64>,
        now: Option<u64>,
        suites: &BTreeSet<String>,
    ) -> Result<Option<Self>> {
        // what came since is read on top of it
        let former = open(lake, table, then).await?;
        let now = if now == then { former.clone() } else { open(lake, table, now).await? };
        let (Some(before), Some(after)) = (loads_of(&former)?, loads_of(&now)?) else { return Ok(None) };
        let other = |a: &Loads, b: &Loads| -> BTreeSet<Load> {
            let changed = a.iter().filter(|(load, state)| b.get(load) != Some(state) || suites.contains(&load.suite));
            changed.map(|(load, _)| load.clone()).collect()
        };
        Ok(Some(Self { came: other(&after, &before), gone: other(&before, &after), former, now }))
    }

    /// Takes files of records for changed that names of other files, which came or went, give other places ([`RecordPlaces`]).
    fn take_moved_records(&mut self) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        let (Some(before), Some(after)) = (loads_of(&self.former)?, loads_of(&self.now)?) else { return Ok(()) };
        let [then, now] = [&before, &after].map(|loads| RecordPlaces::of(loads.keys().filter_map(Load::record_file)));
        let moves = |load: &Load| load.record_file().is_some_and(|file| then.place(file) != now.place(file));
        for load in after.keys() {
            if before.contains_key(load) && moves(load) {
                self.came.insert(load.clone());
                self.gone.insert(load.clone());
            }
        }
        Ok(())
    }

    /// The files of before that hold rows that went.
    pub fn files_gone(&self) -> impl Iterator<Item = &DataFile> {
        self.former.files.iter().filter(|file| !loads_in(file, &self.gone).is_empty())
    }

    fn nothing_stays(&self) -> bool {
        loads_of(&self.former).ok().flatten().is_none_or(|loads| loads.keys().all(|load| self.gone.contains(load)))
    }

    /// True when no row came or went.
    pub fn is_empty(&self) -> bool {
        self.came.is_empty() && self.gone.is_empty()
    }
}

/// Why what went cannot be looked at.
pub const NOT_STORED: &str = "rows that went are no longer in storage";

/// True when all of these files are still in storage.
pub async fn are_stored(lake: &Lake, files: &[&DataFile]) -> Result<bool> {
    for file in files {
        match lake.store().head(&file.path).await {
            Ok(_) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// Content and number of rows of each load.
pub type Loads = BTreeMap<Load, (String, u64)>;

/// The loads whose rows a table holds; None when it has files that do not say.
pub fn loads_of(snapshot: &Snapshot) -> Result<Option<Loads>> {
    let mut loads = Loads::new();
    for file in &snapshot.files {
        if !file.tags.contains_key(TAG_LOADS) {
            return Ok(None);
        }
        for part in file.loads()? {
            let load = load_of(file, part.file);
            loads.entry(load).or_insert_with(|| (part.content, 0)).1 += part.rows.unwrap_or_default();
        }
    }
    Ok(Some(loads))
}

/// Those of `wanted` of which a file has rows.
pub fn loads_in(file: &DataFile, wanted: &BTreeSet<Load>) -> Vec<Load> {
    let parts = file.loads().unwrap_or_default().into_iter();
    parts.map(|part| load_of(file, part.file)).filter(|load| wanted.contains(load)).collect()
}

fn load_of(file: &DataFile, name: String) -> Load {
    let tag = |name| file.tags.get(name).cloned().unwrap_or_default();
    Load { suite: tag(TAG_SUITE), source: tag(TAG_SOURCE), file: name }
}

/// Suites of which a setting changed that integrated rows depend on.
async fn changed_suites(lake: &Lake, then: Option<u64>, inputs: &Inputs) -> Result<BTreeSet<String>> {
    let now = inputs.versions.get(Suite::TABLE).copied();
    if now == then {
        return Ok(BTreeSet::new());
    }
    let read = async |version: Option<u64>| match version {
        Some(version) => Ok::<_, crate::Error>(Registry::<Suite>::read_at(lake, version).await?.rows),
        None => Ok(vec![]),
    };
    let (before, after) = (read(then).await?, read(now).await?);
    // names for people change no row; what is bound, what is one but for its case, and whom a
    // segment is about is told when a question is asked
    let settings = |suite: &Suite| Suite {
        names: String::new(),
        currency: String::new(),
        bindings: String::new(),
        segments: String::new(),
        // persons are found anew by each rebuild, and change no row
        persons: String::new(),
        person_limit: 0,
        feed_headers: String::new(),
        fold_case: false,
        created: None,
        ..suite.clone()
    };
    let changed = |suite: &&Suite| !before.iter().any(|b| settings(b) == settings(suite));
    Ok(after.iter().filter(changed).map(|suite| suite.suite.clone()).collect())
}

/// A table as it is now, with the rows that a rebuild left at the version `then`, compacted since or not; None where it has others.
async fn as_left(lake: &Lake, table: &str, then: Option<u64>) -> Result<Option<Snapshot>> {
    let now = latest_version(lake, table, then).await?;
    match has_same_rows(lake, table, then, now).await? {
        true => open(lake, table, now).await.map(Some),
        false => Ok(None),
    }
}

/// The version of the join report that a rebuild left, where what it tells of offline files beside their integrated rows is the same.
async fn report_as_left(lake: &Lake, then: &Versions, inputs: &Inputs) -> Result<Option<u64>> {
    let version = |versions: &Versions| versions.get(FileEntry::TABLE).copied();
    let (before, now) = (version(then), version(&inputs.versions));
    let same = before == now || offered(lake, before).await? == offered(lake, now).await?;
    Ok(then.get(JoinReport::TABLE).copied().filter(|_| same))
}

/// The offline files that are loaded, by suite, source and name, each with the number of rows that were rejected.
async fn offered(lake: &Lake, version: Option<u64>) -> Result<BTreeMap<[String; 3], i64>> {
    let mut offered = BTreeMap::new();
    let Some(version) = version else { return Ok(offered) };
    for entry in Registry::<FileEntry>::read_at(lake, version).await?.rows {
        if entry.kind == "offline" && entry.status == "loaded" {
            *offered.entry([entry.suite, entry.source, entry.file]).or_default() += entry.rejected;
        }
    }
    Ok(offered)
}

/// A table at a version; None stands for the time before it was made.
pub async fn open(lake: &Lake, table: &str, version: Option<u64>) -> Result<Snapshot> {
    match version {
        Some(_) => Snapshot::open(lake, table, version).await,
        None => Snapshot::missing(lake, table),
    }
}
