//! Runs a compaction: plans each group of files, writes what is new, and commits it all at once.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::prelude::SessionContext;
use futures::TryStreamExt;
use serde::Serialize;

use super::plan::{Calendar, Month, Output, fewer_files, plan, straddling};
use crate::columns::HIT_TIME;
use crate::lake::layout::{TAG_BUCKET, TAG_LOADS, TAG_SOURCE, TAG_SUITE, TAG_VISITS};
use crate::lake::records::Rebuild;
use crate::lake::retry::Retry;
use crate::lake::rewrite::{Job, Rewriter, within};
use crate::lake::scan::LakeTable;
use crate::lake::tables::{self, TableKind};
use crate::lake::write::discard_uncommitted;
use crate::lake::{Change, DataFile, Lake, NewFile, Registry, Snapshot};
use crate::{Error, Result};

/// Rows up to which neighbouring months share a file: about 128 MB of usual hits. A visitor whose rows lie in one file is walked over
/// twice as fast as one whose rows are joined from several; a file of all times that is read for the sake of a month costs no more
/// than a fraction of a second.
const SHARED_ROWS: u64 = 8_000_000;

/// So many files fewer in some bucket make a compaction worth its work.
const WORTH_FILES: usize = 16;

/// How to compact.
#[derive(Clone, Copy, Debug)]
pub struct CompactionOptions {
    /// Only where many files would go.
    pub if_worth: bool,
    /// Neighbouring months share a file up to this many rows.
    pub shared_rows: u64,
}

impl Default for CompactionOptions {
    fn default() -> Self {
        Self { if_worth: false, shared_rows: SHARED_ROWS }
    }
}

/// How large a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Extent {
    /// Live files.
    pub files: u64,
    /// Rows in them.
    pub rows: u64,
    /// Their size.
    pub bytes: u64,
}

/// What a compaction did to a table.
#[derive(Clone, Debug, Serialize)]
pub struct Compacted {
    /// The table.
    pub table: String,
    /// Before.
    pub before: Extent,
    /// After; the same where nothing was to be done.
    pub after: Extent,
    /// Files that were merged.
    pub merged: u64,
    /// Files that were written for them.
    pub written: u64,
    /// Files that wait for the next compaction, because another writer took one of their group away meanwhile.
    pub postponed: u64,
}

/// Compacts the tables that loads fill, one commit each; `rewriter` writes the files. `progress` is told a table, its rows that are done, and its rows
/// to be done. An error of kind conflict when other writers took files of every group of a table away meanwhile; that
/// table is as before.
pub async fn compact(
    lake: &Lake,
    options: &CompactionOptions,
    rewriter: &dyn Rewriter,
    progress: &(dyn Fn(&str, u64, u64) + Send + Sync),
) -> Result<Vec<Compacted>> {
    let mut compacted = vec![];
    for table in tables::of_kind(TableKind::Loaded) {
        let tell = |done, total| progress(table, done, total);
        compacted.push(compact_table(lake, table, options, rewriter, &tell).await?);
    }
    Ok(compacted)
}

async fn compact_table(
    lake: &Lake,
    table: &str,
    options: &CompactionOptions,
    rewriter: &dyn Rewriter,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<Compacted> {
    let snapshot = Snapshot::open(lake, table, None).await?;
    let before = Extent::of(&snapshot);
    let mut done = Compacted { table: table.into(), before, after: before, merged: 0, written: 0, postponed: 0 };
    let groups = groups_of(&snapshot);
    if options.if_worth && groups.iter().all(|files| fewer_files(files, options.shared_rows) < WORTH_FILES) {
        return Ok(done);
    }
    let calendars = calendars(lake, &snapshot, &groups).await?;
    let plans: Vec<Vec<Output>> = groups.iter().map(|files| plan(files, &calendars, options.shared_rows)).collect();
    let units = write(lake, &snapshot, plans, rewriter, progress).await?;
    if units.is_empty() {
        return Ok(done);
    }
    let written: Vec<NewFile> = units.iter().flat_map(|u| u.written.iter().cloned()).collect();
    let committed = commit(lake, table, units, &mut done).await;
    // those that are live now stay
    discard_uncommitted(lake, table, &written.iter().collect::<Vec<_>>()).await;
    let (before, after) = committed?;
    done.after = Extent::of(&after);
    follow(lake, table, before.version, after.version).await?;
    Ok(done)
}

/// Lets the last rebuild name the compacted version in place of the one before, when that is the one that it read: it has
/// the same rows, so nothing is stale, and the files of before are no longer needed.
async fn follow(lake: &Lake, table: &str, before: Option<u64>, after: Option<u64>) -> Result<()> {
    let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
    let moved_on = |rows: &mut [Rebuild]| {
        let last = rows.iter_mut().max_by_key(|r| r.rebuild)?;
        let mut versions: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&last.versions).ok()?;
        let version = versions.get_mut(table).filter(|v| v.as_u64() == Some(before))?;
        *version = after.into();
        last.versions = serde_json::Value::Object(versions).to_string();
        Some(())
    };
    if moved_on(&mut Registry::read(lake).await?.rows).is_some() {
        Registry::update(lake, |rows: &mut Vec<Rebuild>| Ok(moved_on(rows))).await?;
    }
    Ok(())
}

impl Extent {
    fn of(snapshot: &Snapshot) -> Self {
        let files = &snapshot.files;
        Self {
            files: files.len() as u64,
            rows: files.iter().filter_map(|f| f.rows).sum(),
            bytes: files.iter().map(|f| f.size).sum(),
        }
    }
}

/// Files that change together: those of one group.
struct Unit {
    inputs: Vec<DataFile>,
    written: Vec<NewFile>,
}

/// The files of our writers in groups whose rows may share a file.
fn groups_of(snapshot: &Snapshot) -> Vec<Vec<DataFile>> {
    let mut groups: BTreeMap<[Option<&String>; 4], Vec<DataFile>> = BTreeMap::new();
    let ours = |f: &&DataFile| f.tags.contains_key(TAG_BUCKET) && f.tags.contains_key(TAG_LOADS) && f.rows.is_some();
    for file in snapshot.files.iter().filter(ours) {
        let key = [TAG_SUITE, TAG_SOURCE, TAG_VISITS, TAG_BUCKET].map(|tag| file.tags.get(tag));
        groups.entry(key).or_default().push(file.clone());
    }
    groups.into_values().collect()
}

/// Counts the rows of the files that lie over several months.
async fn calendars(lake: &Lake, snapshot: &Snapshot, groups: &[Vec<DataFile>]) -> Result<HashMap<String, Calendar>> {
    let context = SessionContext::new();
    context.register_object_store(lake.store_url().as_ref(), lake.store().clone());
    let mut calendars = HashMap::new();
    for file in groups.iter().flat_map(|files| straddling(files)) {
        let relative = file.relative.clone();
        let only = Arc::new(snapshot.only(vec![file]));
        let table = LakeTable::new(lake.clone(), only, snapshot.schema.clone());
        let times = context.read_table(Arc::new(table))?.select_columns(&[HIT_TIME])?;
        let mut batches = times.execute_stream().await?;
        let mut calendar = Calendar::new();
        while let Some(batch) = batches.try_next().await? {
            count_months(batch.column(0), &mut calendar)?;
        }
        calendars.insert(relative, calendar);
    }
    Ok(calendars)
}

fn count_months(times: &dyn Array, calendar: &mut Calendar) -> Result<()> {
    let times = times.as_primitive_opt::<TimestampMicrosecondType>();
    let times = times.ok_or_else(|| Error::bug(format!("{HIT_TIME} is no time in microseconds")))?;
    // a visitor's rows follow each other in time, so most are in the month of the row before
    let (mut month, mut start) = (None, 0);
    let mut range = 0..0;
    for (at, &time) in times.values().iter().enumerate() {
        if month.is_none() || !range.contains(&time) {
            if let Some(month) = month {
                *calendar.entry(month).or_default() += (at - start) as u64;
            }
            let now = Month::of(time);
            (month, start, range) = (Some(now), at, now.times());
        }
    }
    if let Some(month) = month {
        *calendar.entry(month).or_default() += (times.len() - start) as u64;
    }
    Ok(())
}

/// Writes what the plans ask for; nothing is live yet.
async fn write(
    lake: &Lake,
    snapshot: &Snapshot,
    plans: Vec<Vec<Output>>,
    rewriter: &dyn Rewriter,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
) -> Result<Vec<Unit>> {
    let mut outputs: Vec<(usize, Output)> = plans
        .into_iter()
        .enumerate()
        .flat_map(|(group, outputs)| outputs.into_iter().map(move |o| (group, o)))
        .collect();
    // the long ones first, so that all threads end at about the same time
    outputs.sort_by_key(|(_, output)| Reverse(output.rows));
    let jobs = outputs.iter().map(|(_, output)| {
        let inside = |f: &DataFile| f.hit_time.is_some_and(|(a, b)| output.times.start <= a && b < output.times.end);
        let keep = if output.inputs.iter().all(inside) { vec![] } else { within(&output.times) };
        Job { inputs: output.inputs.clone(), keep }
    });
    let jobs: Vec<Job> = jobs.collect();
    let total = outputs.iter().map(|(_, output)| output.rows).sum();
    let written_rows = AtomicU64::new(0);
    let tell = |rows| {
        let before = written_rows.fetch_add(rows, Ordering::Relaxed);
        progress(before + rows, total);
    };
    let written = rewriter.rewrite(lake, snapshot, jobs, &tell).await?;
    let mut units: BTreeMap<usize, Unit> = BTreeMap::new();
    for ((group, output), file) in outputs.into_iter().zip(written) {
        let unit = units.entry(group).or_insert(Unit { inputs: vec![], written: vec![] });
        for input in output.inputs {
            if unit.inputs.iter().all(|known| known.relative != input.relative) {
                unit.inputs.push(input);
            }
        }
        unit.written.extend(file);
    }
    let units: Vec<Unit> = units.into_values().collect();
    if let Some(unit) = units.iter().find(|unit| unit.rows_in() != unit.rows_out()) {
        let error = Error::bug(format!(
            "compaction of table {}: {} rows became {}; nothing was changed",
            snapshot.name,
            unit.rows_in(),
            unit.rows_out()
        ));
        let all: Vec<&NewFile> = units.iter().flat_map(|u| &u.written).collect();
        discard_uncommitted(lake, &snapshot.name, &all).await;
        return Err(error);
    }
    Ok(units)
}

impl Unit {
    fn rows_in(&self) -> u64 {
        self.inputs.iter().filter_map(|f| f.rows).sum()
    }

    fn rows_out(&self) -> u64 {
        self.written.iter().map(|f| f.rows).sum()
    }
}

/// Commits the units whose inputs are all still live: loads that came meanwhile are further generations and do not matter.
/// Gives the table before and after.
async fn commit(lake: &Lake, table: &str, units: Vec<Unit>, done: &mut Compacted) -> Result<(Snapshot, Snapshot)> {
    let mut retry = Retry::default();
    loop {
        let snapshot = Snapshot::open(lake, table, None).await?;
        let live: HashSet<&str> = snapshot.files.iter().map(|f| f.relative.as_str()).collect();
        let (intact, lost): (Vec<&Unit>, Vec<&Unit>) =
            units.iter().partition(|u| u.inputs.iter().all(|f| live.contains(f.relative.as_str())));
        if intact.is_empty() {
            return Err(Error::conflict(format!(
                "table {table}: another writer changed the files that were to be merged; run `rejoin compact` again"
            )));
        }
        let count = |units: &[&Unit], of: fn(&Unit) -> usize| units.iter().map(|u| of(u) as u64).sum::<u64>();
        done.merged = count(&intact, |u| u.inputs.len());
        done.written = count(&intact, |u| u.written.len());
        done.postponed = count(&lost, |u| u.inputs.len());
        let change = Change {
            add: intact.iter().flat_map(|u| u.written.iter().cloned()).collect(),
            remove: intact.iter().flat_map(|u| u.inputs.iter().cloned()).collect(),
            columns: vec![],
        };
        match snapshot.commit_same_rows(lake, change).await {
            Ok(after) => return Ok((snapshot, after)),
            Err(error) => retry.after(error).await?,
        }
    }
}
