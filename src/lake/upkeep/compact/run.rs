//! Runs a compaction: plans each group of files, writes what is new, and commits it in steps.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::prelude::SessionContext;
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use rejoin_instances::planning;
use serde::Serialize;

use super::plan::{Calendar, Month, Output, independent_sets, plan, straddling, worth_merging};
use crate::columns::HIT_TIME;
use crate::lake::key_check::tag_unique_keys;
use crate::lake::layout::{TAG_BUCKET, TAG_LOADS, TAG_SOURCE, TAG_SUITE, TAG_VISITS};
use crate::lake::parts::{BucketPart, KeyRange, as_whole_files, parts_for};
use crate::lake::records::Rebuild;
use crate::lake::retry::Retry;
use crate::lake::rewrite::{Job, Rewriter, between, within};
use crate::lake::scan::LakeTable;
use crate::lake::tables::{self, INTEGRATED, SNAPSHOTS, TableKind};
use crate::lake::write::discard_uncommitted;
use crate::lake::{Change, DataFile, Lake, NewFile, Registry, Snapshot};
use crate::{Error, Result};

/// Rows up to which neighbouring months share a file: about 128 MB of usual hits. A visitor whose rows are in one file is walked over
/// twice as fast as one whose rows are joined from several; a file of all times that is read for the sake of a month costs no more
/// than a fraction of a second.
const SHARED_ROWS: u64 = 8_000_000;

/// Bytes that are merged between two commits, about: a minute's work of one core is what a conflict or the end of the process
/// costs at most. A commit is some requests, and makes the log longer, so that a small lake has one.
const STEP_BYTES: u64 = 256 << 20;

/// Commits of one compaction of a table, about: of a very large one each step is as large a part.
const MOST_STEPS: u64 = 64;

/// A file of this size is written in a few minutes of one core, is well within what any store takes, and its footer within what is
/// kept of footers.
const PART_BYTES: u64 = 1 << 30;

/// How to compact.
#[derive(Clone, Copy, Debug)]
pub struct CompactionOptions {
    /// Only where at least four files of about one size become fewer.
    pub if_worth: bool,
    /// Neighbouring months share a file up to this many rows.
    pub shared_rows: u64,
    /// What is merged is committed when so many bytes have gathered.
    pub step_bytes: u64,
    /// A bucket is cut into parts of about so many bytes, where a file of all of it would have more than twice as many.
    pub part_bytes: u64,
}

impl Default for CompactionOptions {
    fn default() -> Self {
        Self { if_worth: false, shared_rows: SHARED_ROWS, step_bytes: STEP_BYTES, part_bytes: PART_BYTES }
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

/// Compacts the tables that loads fill and what rebuilds make of their rows; `rewriter` writes the files. What is done is
/// committed now and then, and stays whatever becomes of the rest. `progress` gets a table, the bytes of
/// files that are merged, and of all that are to be. An error of kind conflict when other writers took files of every group of a table away meanwhile;
/// that table is as before.
pub fn compact<'a>(
    lake: &'a Lake,
    options: &'a CompactionOptions,
    rewriter: &'a dyn Rewriter,
    progress: &'a (dyn Fn(&str, u64, u64) + Send + Sync),
) -> BoxFuture<'a, Result<Vec<Compacted>>> {
    async move {
        let mut compacted = vec![];
        for table in tables::of_kind(TableKind::Loaded).chain([INTEGRATED, SNAPSHOTS]) {
            let tell = |done, total| progress(table, done, total);
            compacted.push(compact_table(lake, table, options, rewriter, &tell).await?);
        }
        Ok(compacted)
    }
    .boxed()
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
    let mut sets = Sets::new();
    let mut groups = vec![];
    for files in groups_of(&snapshot) {
        let (files, parts) = as_whole_files(files);
        sets.extend(parts);
        let merged = if options.if_worth { worth_merging(&files, options.shared_rows) } else { files.clone() };
        groups.push((files, merged));
    }
    let calendars = calendars(lake, &snapshot, groups.iter().flat_map(|(_, merged)| straddling(merged)), &sets).await?;
    let mut units: Vec<Unit> = vec![];
    for (files, merged) in &groups {
        let outputs = plan(merged, &calendars, options.shared_rows);
        let stays = |file: &&DataFile| !outputs.iter().flat_map(|o| &o.inputs).any(|f| f.relative == file.relative);
        let too_large = files.iter().filter(stays).filter(|file| is_too_large(file, options.part_bytes));
        let cut = too_large.map(|file| vec![Output::of_file(file.clone())]).collect::<Vec<_>>();
        let parts = independent_sets(outputs).into_iter().chain(cut);
        units.extend(parts.map(|set| Unit::new(&set, &sets, options.part_bytes)));
    }
    if units.is_empty() {
        return Ok(done);
    }
    // the long ones first, so that all threads end at about the same time
    units.sort_by_key(|unit| Reverse(unit.rows));
    let ended = in_steps(lake, &snapshot, &mut units, options.step_bytes, rewriter, progress, &mut done).await;
    // what no step has come to
    let left: Vec<&NewFile> = units.iter().flat_map(|unit| &unit.written).collect();
    discard_uncommitted(lake, table, &left).await;
    ended?;
    if done.merged == 0 && done.postponed > 0 {
        return Err(Error::conflict(format!(
            "table {table}: another writer changed the files that were to be merged; run `rejoin compact` again"
        )));
    }
    Ok(done)
}

/// Writes what the units ask for, and commits those that are whole whenever their files have `step_bytes` or a part of all.
/// Units that are committed are taken out of `units`.
async fn in_steps(
    lake: &Lake,
    snapshot: &Snapshot,
    units: &mut [Unit],
    step_bytes: u64,
    rewriter: &dyn Rewriter,
    progress: &(dyn Fn(u64, u64) + Send + Sync),
    done: &mut Compacted,
) -> Result<()> {
    let step_bytes = step_bytes.max(units.iter().map(Unit::bytes).sum::<u64>() / MOST_STEPS);
    let jobs: Vec<Job> = units.iter().flat_map(|unit| unit.jobs.iter().cloned()).collect();
    let bytes_of: Vec<u64> = jobs.iter().map(|job| job.inputs.iter().map(|file| file.size).sum()).collect();
    let all_bytes: u64 = bytes_of.iter().sum();
    let unit_of: Vec<usize> =
        units.iter().enumerate().flat_map(|(number, unit)| unit.jobs.iter().map(move |_| number)).collect();
    let (mut whole, mut whole_bytes, mut merged_bytes) = (vec![], 0, 0);
    let merging: HashSet<String> =
        units.iter().flat_map(|unit| &unit.inputs).map(|file| file.relative.clone()).collect();
    let mut files = rewriter.rewriting(lake, snapshot, jobs);
    while let Some((job, file)) = files.try_next().await? {
        merged_bytes += bytes_of[job];
        progress(merged_bytes, all_bytes);
        let unit = &mut units[unit_of[job]];
        unit.written.extend(file);
        unit.waiting -= 1;
        if unit.waiting == 0 {
            whole_bytes += unit.bytes();
            whole.push(unit_of[job]);
        }
        if whole_bytes >= step_bytes {
            whole_bytes = 0;
            let step = whole.drain(..).map(|number| std::mem::take(&mut units[number])).collect();
            commit(lake, &snapshot.name, step, &merging, done).await?;
        }
    }
    let step = whole.into_iter().map(|number| std::mem::take(&mut units[number])).collect();
    commit(lake, &snapshot.name, step, &merging, done).await
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

/// Files that change together, with no other's input among them: mostly those of one bucket and month.
#[derive(Default)]
struct Unit {
    inputs: Vec<DataFile>,
    /// What is to be written; a part of a bucket is a job of its own.
    jobs: Vec<Job>,
    /// Rows that are to be written.
    rows: u64,
    written: Vec<NewFile>,
    /// Jobs that are not done yet.
    waiting: usize,
}

impl Unit {
    fn new(outputs: &[Output], sets: &Sets, part_bytes: u64) -> Self {
        let inputs: BTreeMap<String, DataFile> = outputs
            .iter()
            .flat_map(|output| files_of(&output.inputs, sets))
            .map(|file| (file.relative.clone(), file))
            .collect();
        let jobs: Vec<Job> = outputs.iter().flat_map(|output| jobs_of(output, sets, part_bytes)).collect();
        let rows = outputs.iter().map(|output| output.rows).sum();
        Self { inputs: inputs.into_values().collect(), waiting: jobs.len(), jobs, rows, written: vec![] }
    }

    /// Bytes of its inputs.
    fn bytes(&self) -> u64 {
        self.inputs.iter().map(|f| f.size).sum()
    }

    fn rows_in(&self) -> u64 {
        self.inputs.iter().filter_map(|f| f.rows).sum()
    }

    fn rows_out(&self) -> u64 {
        self.written.iter().map(|f| f.rows).sum()
    }
}

/// The files of each set, by the path of the file that stands for it.
type Sets = HashMap<String, Vec<DataFile>>;

/// Files, with those of a set in place of the one that stands for it.
fn files_of(files: &[DataFile], sets: &Sets) -> Vec<DataFile> {
    let of = |file: &DataFile| sets.get(&file.relative).cloned().unwrap_or_else(|| vec![file.clone()]);
    files.iter().flat_map(of).collect()
}

/// True for a file, or a set, of one bucket that is to be cut into more parts than it has.
fn is_too_large(file: &DataFile, part_bytes: u64) -> bool {
    let parts = BucketPart::of_tags(&file.tags).map_or(1, |part| part.count);
    parts_for(file.size, part_bytes) > parts && file.size / parts as u64 > part_bytes.saturating_mul(2)
}

/// What writes the file of an output, or its parts.
fn jobs_of(output: &Output, sets: &Sets, part_bytes: u64) -> Vec<Job> {
    let inputs = files_of(&output.inputs, sets);
    let inside = |f: &DataFile| f.hit_time.is_some_and(|(a, b)| output.times.start <= a && b < output.times.end);
    let in_time = if inputs.iter().all(inside) { vec![] } else { within(&output.times) };
    let bytes: u64 = inputs.iter().map(|file| file.size).sum();
    let rows: u64 = inputs.iter().filter_map(|file| file.rows).sum();
    let bytes = (bytes as f64 * output.rows as f64 / rows.max(1) as f64) as u64;
    let bucket = inputs.first().and_then(|file| file.tags.get(TAG_BUCKET)?.parse::<usize>().ok());
    let (count, Some(bucket)) = (parts_for(bytes, part_bytes), bucket) else {
        return vec![Job { inputs, keep: in_time, part: None }];
    };
    if count == 1 {
        return vec![Job { inputs, keep: in_time, part: None }];
    }
    let set = uuid::Uuid::new_v4().to_string();
    let job = |number: usize| {
        let part = BucketPart { number, count, set: set.clone() };
        let keys = part.keys(bucket);
        let keys_in = |file: &DataFile| KeyRange::of_tags(&file.tags);
        let inputs: Vec<DataFile> = inputs.iter().filter(|file| keys_in(file).meets(keys)).cloned().collect();
        let in_part = if inputs.iter().all(|file| keys.has_all_of(keys_in(file))) { vec![] } else { between(keys) };
        let keep = in_time.iter().cloned().chain(in_part).collect();
        (!inputs.is_empty()).then_some(Job { inputs, keep, part: Some(part) })
    };
    (0..count).filter_map(job).collect()
}

/// The files of our writers in groups whose rows may share a file. Where loads fill the table, each says which.
fn groups_of(snapshot: &Snapshot) -> Vec<Vec<DataFile>> {
    let mut groups: BTreeMap<[Option<&String>; 4], Vec<DataFile>> = BTreeMap::new();
    let of_loads = tables::find(&snapshot.name).is_some_and(|table| table.kind == TableKind::Loaded);
    let says = |f: &DataFile, tag: &str| f.tags.contains_key(tag);
    let ours = |f: &&DataFile| says(f, TAG_BUCKET) && says(f, TAG_LOADS) == of_loads && f.rows.is_some();
    for file in snapshot.files.iter().filter(ours) {
        let key = [TAG_SUITE, TAG_SOURCE, TAG_VISITS, TAG_BUCKET].map(|tag| file.tags.get(tag));
        groups.entry(key).or_default().push(file.clone());
    }
    groups.into_values().collect()
}

/// Counts the rows of files, or sets, that are over several months.
async fn calendars(
    lake: &Lake,
    snapshot: &Snapshot,
    files: impl Iterator<Item = DataFile>,
    sets: &Sets,
) -> Result<HashMap<String, Calendar>> {
    let context = SessionContext::new();
    context.register_object_store(lake.store_url().as_ref(), lake.store().clone());
    let mut calendars = HashMap::new();
    for file in files {
        let relative = file.relative.clone();
        let only = Arc::new(snapshot.only(files_of(&[file], sets)));
        let table = LakeTable::new(lake.clone(), only, snapshot.schema.clone());
        let times = context.read_table(Arc::new(table))?.select_columns(&[HIT_TIME])?;
        let mut batches = planning::stream(times).await?;
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

/// One step: commits the units whose inputs are all still live, if there are any; loads that came meanwhile are further
/// generations and do not matter. The files of the others go. `merging` are the inputs of this step and all others.
async fn commit(
    lake: &Lake,
    table: &str,
    mut units: Vec<Unit>,
    merging: &HashSet<String>,
    done: &mut Compacted,
) -> Result<()> {
    if units.is_empty() {
        return Ok(());
    }
    let written = units.iter_mut().flat_map(|unit| &mut unit.written).collect();
    let told = tag_unique_keys(lake, table, written, &|file| !merging.contains(&file.relative)).await;
    let committed = match told {
        Ok(()) => try_commit(lake, table, &units, done).await,
        Err(error) => Err(error),
    };
    let lost: Vec<&Unit> = match &committed {
        Ok(lost) => lost.iter().map(|number| &units[*number]).collect(),
        Err(_) => units.iter().collect(),
    };
    let files: Vec<&NewFile> = lost.iter().flat_map(|unit| &unit.written).collect();
    discard_uncommitted(lake, table, &files).await;
    committed.map(|_| ())
}

/// Gives the units that were not committed, by number.
async fn try_commit(lake: &Lake, table: &str, units: &[Unit], done: &mut Compacted) -> Result<Vec<usize>> {
    if let Some(unit) = units.iter().find(|unit| unit.rows_in() != unit.rows_out()) {
        return Err(Error::bug(format!(
            "compaction of table {table}: {} rows became {}; they were left as they are",
            unit.rows_in(),
            unit.rows_out()
        )));
    }
    let mut retry = Retry::default();
    loop {
        let before = Snapshot::open(lake, table, None).await?;
        let live: HashSet<&str> = before.files.iter().map(|f| f.relative.as_str()).collect();
        let is_intact = |number: &usize| units[*number].inputs.iter().all(|f| live.contains(f.relative.as_str()));
        let (intact, lost): (Vec<usize>, Vec<usize>) = (0..units.len()).partition(is_intact);
        if !intact.is_empty() {
            let change = Change {
                add: intact.iter().flat_map(|number| units[*number].written.iter().cloned()).collect(),
                remove: intact.iter().flat_map(|number| units[*number].inputs.iter().cloned()).collect(),
                columns: vec![],
            };
            match before.commit_same_rows(lake, change).await {
                Ok(after) => {
                    done.after = Extent::of(&after);
                    follow(lake, table, before.version, after.version).await?;
                }
                Err(error) => {
                    retry.after(error).await?;
                    continue;
                }
            }
        }
        let inputs = |numbers: &[usize]| numbers.iter().map(|number| units[*number].inputs.len() as u64).sum::<u64>();
        done.merged += inputs(&intact);
        done.postponed += inputs(&lost);
        done.written += intact.iter().map(|number| units[*number].written.len() as u64).sum::<u64>();
        return Ok(lost);
    }
}
