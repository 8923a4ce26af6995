//! The commit protocol that every load shares: one commit a table, in a fixed order, the row in `files` last.
//!
//! In: files that are written but not committed, of one load or of several whose rows are in the same files. Out: a lake in which
//! each load is whole, or as before. A load is known by suite, source and file name ([`Key`]) and by a hash of its content; both are
//! tags of its files, so every step can be run again: it replaces what an interrupted run left, and never doubles it. The order is
//! offline, rejects, lookups, hits, `files`: what is visible at once comes as late as it can.

use std::collections::{BTreeSet, HashMap};

use arrow::datatypes::{Field, Schema};

use super::content::Identity;
use super::decoding::LoadFiles;
use super::key::{Key, LoadInFile};
use super::lookups::{self, Lookups};
use super::rejects::Rejects;
use crate::columns;
use crate::feed::packing::without_packing;
use crate::lake::key_check::tag_unique_keys;
use crate::lake::loads::{as_read_now, is_read_as_now};
use crate::lake::records::FileEntry;
use crate::lake::retry::Retry;
use crate::lake::rewrite::{Job, Limits, Rewriter, not_of};
use crate::lake::suites::keep_headers;
use crate::lake::tables::{HITS, OFFLINE, REJECTS};
use crate::lake::write::{Written, discard_uncommitted};
use crate::lake::{Change, DataFile, Lake, NewFile, Registry, Snapshot};
use crate::{Error, Result};

/// All tables that a load fills.
const TABLES: [&str; 3] = [HITS, OFFLINE, REJECTS];

/// Taking a load out of files streams each once; this is ample.
const REWRITE_LIMITS: Limits = Limits { memory_bytes: 256 << 20, threads: None };

/// What is to be done with a content.
pub enum Decision {
    /// It is loaded already; nothing is to be done.
    Unchanged(FileEntry),
    /// The same bytes are loaded already for this source, as this file.
    Copy(FileEntry),
    /// It is to be loaded.
    Load(LoadPermission),
}

/// The permission to load a content, given what the lake held when it was asked for.
pub struct LoadPermission {
    /// The former load that this one replaces.
    pub replaces: Option<FileEntry>,
    /// A load of the key from other archives. What they hold is known when the offered ones are read, see [`LoadPermission::settle`].
    rival: Option<Box<FileEntry>>,
    /// A load of the same bytes under another name of the source, of which no row is left, see [`LoadPermission::original`].
    emptied: Option<Box<FileEntry>>,
    /// Other deliveries of the suite, see [`LoadPermission::twin`].
    deliveries: Vec<FileEntry>,
    /// Contents that was under the key: those may be taken away, others came later and may not.
    former: BTreeSet<String>,
}

impl LoadPermission {
    fn new(former: BTreeSet<String>) -> Self {
        Self { replaces: None, rival: None, emptied: None, deliveries: vec![], former }
    }

    /// True where nothing in the lake has to go for the load: it can be committed together with others.
    pub fn takes_nothing_away(&self) -> bool {
        self.replaces.is_none() && self.rival.is_none() && self.former.is_empty()
    }

    /// True where the rows are loaded, or are loaded already; else they may also be a conflict.
    pub fn is_certain(&self) -> bool {
        self.rival.is_none() || self.replaces.is_some()
    }

    /// What is loaded already, where the offered archives hold the same.
    ///
    /// # Errors
    /// A conflict where they hold something else, and must not replace what is loaded.
    pub fn settle(&self, offered: &FileEntry) -> Result<Option<&FileEntry>> {
        match &self.rival {
            Some(rival) if rival.unpacked == offered.unpacked => Ok(Some(rival)),
            Some(_) if self.replaces.is_none() => Err(other_content(offered)),
            _ => Ok(None),
        }
    }

    /// The load of which the offered input is a copy, though its rows were forgotten. A file without rows is a copy of none.
    pub fn original(&self, offered: &FileEntry) -> Option<&FileEntry> {
        self.emptied.as_deref().filter(|_| offered.rows > 0)
    }

    /// The delivery that holds the same under another name, which is known when the offered one is read.
    pub fn twin(&self, offered: &FileEntry) -> Option<&FileEntry> {
        let same = self.deliveries.iter().filter(|other| is_same_delivery(other, offered));
        same.min_by(|one, other| one.file.cmp(&other.file))
    }

    /// As it is kept until it is used: many wait at once, and the other deliveries have been looked at.
    pub fn kept(self) -> Self {
        Self { deliveries: vec![], ..self }
    }
}

/// A decoded input, but for its rows.
pub struct Load {
    /// The row of `files`; `content` is the hash that the tags bear.
    pub entry: FileEntry,
    /// From [`decide`].
    pub permission: LoadPermission,
    /// Rows that were not loaded.
    pub rejects: Rejects,
    /// The headers of a data feed, where its suite is to know them.
    pub headers: Option<String>,
}

/// Compares a content with what is loaded under its key; what an earlier version made of it is the same unless it is to be
/// replaced. The same bytes under another name of this source, read alike, are a copy. An error of kind conflict when other content
/// is loaded under the key, unless `replace`. With `again` the same bytes are loaded whatever else they are loaded as; without, they are
/// a conflict under another source, and where they are read otherwise or are to take the place of other content.
/// `packed` is what earlier versions knew the offered input by; `read` are inputs under other keys that are as good as loaded.
pub async fn decide(
    lake: &Lake,
    offered: &FileEntry,
    packed: Option<&Identity>,
    replace: bool,
    again: bool,
    read: &[FileEntry],
) -> Result<Decision> {
    let key = &Key::of(offered);
    let is_content = |content: &str| content == offered.content || packed.is_some_and(|packed| content == packed.hash);
    let mut log = Registry::<FileEntry>::read(lake).await?;
    log.rows.extend_from_slice(read);
    let mut former = BTreeSet::new();
    let mut live_rows = 0;
    for table in [HITS, OFFLINE] {
        let snapshot = Snapshot::open(lake, table, None).await?;
        for part in key.parts_in(&snapshot)? {
            live_rows += part.rows as i64;
            former.insert(part.content);
        }
    }
    let is_elsewhere = |e: &&FileEntry| !again && !key.is_loaded_as(e) && is_same_data(e, offered, packed);
    let (elsewhere, emptied): (Vec<&FileEntry>, Vec<&FileEntry>) =
        log.rows.iter().filter(is_elsewhere).partition(|e| e.rows > 0);
    let loaded = log.rows.iter().find(|e| key.is_loaded_as(e)).cloned();
    if loaded.as_ref().is_none_or(|e| !is_content(&e.content)) {
        let is_read_alike = |e: &&&FileEntry| {
            e.source == offered.source && (is_content(&e.content) || is_content(&as_read_now(&e.content)))
        };
        // nothing is under the name that it could be meant to replace
        if let Some(other) = elsewhere.iter().find(is_read_alike).filter(|_| loaded.is_none()) {
            let other = FileEntry::clone(other);
            let is_it = is_same_path(&other.file, &offered.file);
            return Ok(if is_it { Decision::Unchanged(other) } else { Decision::Copy(other) });
        }
        if let Some(other) = elsewhere.first() {
            let is_read_otherwise = other.source == offered.source && loaded.is_none();
            return Err(loaded_elsewhere(other, if is_read_otherwise { ", by another mapping" } else { "" }));
        }
    }
    let deliveries = log.rows.iter().filter(|e| !again && is_other_delivery(e, offered)).cloned().collect();
    let Some(entry) = loaded else {
        let emptied = emptied.into_iter().find(|e| e.source == offered.source).cloned().map(Box::new);
        return Ok(Decision::Load(LoadPermission { emptied, deliveries, ..LoadPermission::new(former) }));
    };
    // a run that died while it replaced or removed the load leaves other rows than the log says
    let is_whole = entry.rows == live_rows && former.iter().all(|load| *load == entry.content);
    if is_content(&entry.content) || (!replace && is_content(&as_read_now(&entry.content))) {
        return Ok(if is_whole { Decision::Unchanged(entry) } else { Decision::Load(LoadPermission::new(former)) });
    }
    let may_hold_the_same = is_whole && entry.unpacked.is_some() && (!replace || is_read_as_now(&entry.content));
    if replace || may_hold_the_same {
        former.insert(entry.content.clone());
        let rival = may_hold_the_same.then(|| Box::new(entry.clone()));
        let replaces = replace.then_some(entry);
        return Ok(Decision::Load(LoadPermission { replaces, rival, deliveries, ..LoadPermission::new(former) }));
    }
    if entry.data.as_deref().is_some_and(|data| is_data(data, offered, packed)) {
        return Err(Error::conflict(format!(
            "{} is loaded already, and the mapping has changed since; give --replace to load it anew by this one",
            key.file
        )));
    }
    Err(other_content(offered))
}

/// What to say where the same bytes are loaded as another file, read `by` something else.
pub fn loaded_elsewhere(other: &FileEntry, by: &str) -> Error {
    let whose = if other.source.is_empty() { "online hits".into() } else { format!("source {}", other.source) };
    Error::conflict(format!(
        "the same bytes are loaded already as {} ({whose}{by}); take that out with `rejoin remove`, or give --again to \
         load them twice",
        other.file
    ))
}

fn other_content(offered: &FileEntry) -> Error {
    // a delivery has its own name wherever it is
    let other = match offered.format.as_str() {
        "feed" => "",
        _ => "; if it is another file of that name, give a folder above both instead (rejoin help mapping)",
    };
    Error::conflict(format!(
        "{} is loaded already with other content; give --replace to load this one in its place{other}",
        offered.file
    ))
}

/// True where one path is the other, seen from a folder above, packed or not: `leads/b.csv` and `b.csv.gz`.
fn is_same_path(one: &str, other: &str) -> bool {
    let (one, other) = (without_packing(one), without_packing(other));
    let (long, short) = if one.len() < other.len() { (other, one) } else { (one, other) };
    long.strip_suffix(short).is_some_and(|above| above.is_empty() || above.ends_with('/'))
}

/// A delivery that is read anew, with the same bytes, would bring back rows that were forgotten since.
pub fn check_forgotten(permission: &LoadPermission, entry: &FileEntry) -> Result<()> {
    let records = |entry: &FileEntry| entry.rows + entry.rejected;
    match &permission.replaces {
        Some(former) if is_read_again(former, entry) && records(former) < records(entry) => Err(Error::conflict(
            "rows of it were forgotten, which loading it again would bring back; if that is meant, remove it first",
        )),
        _ => Ok(()),
    }
}

/// True where a delivery is one that an earlier version read.
fn is_read_again(former: &FileEntry, entry: &FileEntry) -> bool {
    as_read_now(&former.content) == entry.content || former.unpacked.is_some() && former.unpacked == entry.unpacked
}

/// What to say of an input that is not loaded because this load has the same bytes.
pub fn copy_of(original: &FileEntry) -> String {
    format!(
        "a copy of {}, which is loaded and has the same bytes: nothing was done; where its rows are to count once more, \
         `rejoin ingest --again` loads it",
        original.file
    )
}

/// True where a load is of the offered bytes, for this source or another one of the suite. What a delivery holds is known when
/// it is read, see [`is_same_delivery`].
pub fn is_same_data(loaded: &FileEntry, offered: &FileEntry, packed: Option<&Identity>) -> bool {
    loaded.status == "loaded"
        && loaded.suite == offered.suite
        && offered.format != "feed"
        // an entry of former versions has the bytes' hash where no mapping reads them
        && is_data(loaded.data.as_ref().unwrap_or(&loaded.content), offered, packed)
}

/// True where a delivery that is loaded under another name holds the same hits, file by file, and lookups as the offered one,
/// which is read. One without rows is a copy of none.
pub fn is_same_delivery(loaded: &FileEntry, offered: &FileEntry) -> bool {
    is_other_delivery(loaded, offered) && loaded.unpacked == offered.unpacked && offered.rows > 0
}

fn is_other_delivery(loaded: &FileEntry, offered: &FileEntry) -> bool {
    let are_deliveries = loaded.format == "feed" && offered.format == "feed";
    are_deliveries
        && loaded.status == "loaded"
        && loaded.suite == offered.suite
        && loaded.file != offered.file
        && loaded.unpacked.is_some()
}

/// True where the offered bytes have this hash, or had it for earlier versions.
fn is_data(data: &str, offered: &FileEntry, packed: Option<&Identity>) -> bool {
    offered.data.as_deref() == Some(data) || packed.is_some_and(|packed| packed.data == data)
}

/// Commits loads whose rows are in `files`, with the `lookups` that they brought. When it fails, nothing that was written stays behind
/// uncommitted; running it again finishes it.
pub async fn commit(lake: &Lake, loads: Vec<Load>, files: LoadFiles, lookups: Lookups) -> Result<()> {
    let LoadFiles { hits, offline } = files;
    let mut pending = Pending::default();
    pending.0.extend(hits.files.iter().map(|f| (HITS, f.clone())));
    pending.0.extend(offline.files.iter().map(|f| (OFFLINE, f.clone())));
    let done = async {
        check_columns(lake, &hits.columns, &offline.columns).await?;
        let (mut rejected, mut comings, mut headers) = (Written::default(), vec![], None);
        for Load { entry, permission, rejects, headers: of_load } in loads {
            let coming =
                IncomingLoad { key: Key::of(&entry), content: entry.content.clone(), former: permission.former };
            let written = rejects.write(lake, &coming.key, &coming.content).await?;
            pending.0.extend(written.files.iter().map(|f| (REJECTS, f.clone())));
            rejected.files.extend(written.files);
            rejected.rows += written.rows;
            rejected.columns = written.columns;
            headers = of_load.map(|headers| (entry.suite.clone(), headers)).or(headers);
            comings.push((coming, entry));
        }
        let (comings, entries): (Vec<IncomingLoad>, Vec<FileEntry>) = comings.into_iter().unzip();
        publish(lake, OFFLINE, &comings, &offline, &mut pending).await?;
        publish(lake, REJECTS, &comings, &rejected, &mut pending).await?;
        lookups::publish(lake, &lookups).await?;
        if let Some((suite, headers)) = &headers {
            keep_headers(lake, suite, headers).await?;
        }
        publish(lake, HITS, &comings, &hits, &mut pending).await?;
        log_loaded(lake, &comings, &entries).await
    }
    .await;
    pending.discard(lake).await;
    done
}

/// A load that is to be in a table, in the place of what is there of it.
struct IncomingLoad {
    key: Key,
    content: String,
    /// Contents that may be taken away.
    former: BTreeSet<String>,
}

/// Takes every row of a load out of every table, and marks it in the file log.
pub async fn withdraw(lake: &Lake, entry: &FileEntry) -> Result<FileEntry> {
    let key = Key::of(entry);
    let going = IncomingLoad {
        key: key.clone(),
        content: entry.content.clone(),
        former: BTreeSet::from([entry.content.clone()]),
    };
    let mut pending = Pending::default();
    for table in [OFFLINE, REJECTS, HITS] {
        let done = publish(lake, table, std::slice::from_ref(&going), &Written::default(), &mut pending).await;
        pending.discard(lake).await;
        done?;
    }
    Registry::<FileEntry>::update(lake, |rows| {
        let row = rows.iter_mut().find(|e| key.is_loaded_as(e) && e.content == entry.content);
        let row =
            row.ok_or_else(|| Error::conflict(format!("{} was changed meanwhile; run the command again", key.file)))?;
        row.status = "removed".into();
        Ok(row.clone())
    })
    .await
}

/// Notes in the file log an input that is not loaded: refused, or a copy. The same again changes nothing.
pub async fn log_not_loaded(lake: &Lake, entry: &FileEntry) -> Result<()> {
    let same = |e: &FileEntry| e.status == entry.status && Key::of(e) == Key::of(entry) && e.content == entry.content;
    let known =
        Registry::<FileEntry>::read(lake).await?.rows.into_iter().any(|e| same(&e) && e.message == entry.message);
    if known {
        return Ok(());
    }
    Registry::<FileEntry>::update(lake, |rows| {
        rows.retain(|e| !same(e));
        rows.push(entry.clone());
        Ok(())
    })
    .await
}

/// Files of tables that were written and are not known to be committed.
#[derive(Default)]
struct Pending(Vec<(&'static str, NewFile)>);

impl Pending {
    async fn discard(&self, lake: &Lake) {
        for table in TABLES {
            let files: Vec<&NewFile> = self.0.iter().filter(|(t, _)| *t == table).map(|(_, f)| f).collect();
            discard_uncommitted(lake, table, &files).await;
        }
    }
}

/// One column name has one type in `hits` and `offline` alike, else `events` could not hold both.
pub async fn check_columns(lake: &Lake, hits: &[Field], offline: &[Field]) -> Result<()> {
    let mut known: HashMap<String, (Field, String)> = HashMap::new();
    for table in [HITS, OFFLINE] {
        let schema: Schema = Snapshot::open(lake, table, None).await?.schema.as_ref().clone();
        for field in schema.fields() {
            known.entry(field.name().to_lowercase()).or_insert((field.as_ref().clone(), format!("table {table}")));
        }
    }
    for field in hits.iter().chain(offline) {
        let entry = known.entry(field.name().to_lowercase());
        let (former, place) = entry.or_insert((field.clone(), "this input".into()));
        if former.name() != field.name() {
            return Err(Error::refused(format!(
                "column {} is called {} in {place}; upper and lower case do not tell columns apart",
                field.name(),
                former.name()
            )));
        }
        if former.data_type() != field.data_type() {
            return Err(Error::refused(format!(
                "column {} is a {} in {place} and a {} in this input; a name is one of them everywhere",
                field.name(),
                nature(former),
                nature(field)
            )));
        }
    }
    Ok(())
}

fn nature(field: &Field) -> &'static str {
    if columns::is_metric(field) { "metric" } else { "dimension" }
}

/// In one commit of `table`: the files of the loads come, and the rows of their former contents go: whole files, or out of files
/// that other loads have rows in, too. Committed files leave `pending`.
async fn publish(
    lake: &Lake,
    table: &'static str,
    loads: &[IncomingLoad],
    written: &Written,
    pending: &mut Pending,
) -> Result<()> {
    let files: Vec<DataFile> = written.files.iter().cloned().map(DataFile::from).collect();
    let mut retry = Retry::default();
    let mut without = HashMap::new();
    loop {
        let snapshot = Snapshot::open(lake, table, None).await?;
        let mut live: Vec<AffectedFile> = vec![];
        let mut are_there = true;
        for IncomingLoad { key, content, former } in loads {
            let found = key.parts_in(&snapshot)?;
            if found.iter().any(|f| f.content != *content && !former.contains(&f.content)) {
                return Err(Error::conflict(format!(
                    "{}: somebody else loaded other content under this name meanwhile; run the command again",
                    key.file
                )));
            }
            let live_rows: u64 = found.iter().map(|f| f.rows).sum();
            are_there &= found.iter().all(|f| f.content == *content) && live_rows == key.rows_in(&files)?;
            for LoadInFile { file, shared, .. } in found {
                match live.iter_mut().find(|other| other.file.relative == file.relative) {
                    Some(other) => other.going.push(key.file.clone()),
                    None => live.push(AffectedFile { file, shared, going: vec![key.file.clone()] }),
                }
            }
        }
        if are_there {
            return Ok(());
        }
        let mut rest = rest_of(lake, &snapshot, table, &live, &mut without, pending).await?;
        if written.files.is_empty() {
            let stays = |file: &DataFile| live.iter().all(|gone| gone.file.relative != file.relative);
            tag_unique_keys(lake, table, rest.iter_mut().collect(), &stays).await?;
        }
        let mut add = written.files.clone();
        add.append(&mut rest);
        let change = Change {
            add: add.clone(),
            remove: live.into_iter().map(|f| f.file).collect(),
            columns: written.columns.clone(),
        };
        match snapshot.commit(lake, change).await {
            Ok(_) => {
                pending.0.retain(|(_, p)| add.iter().all(|f| f.path != p.path));
                return Ok(());
            }
            Err(error) => retry.after(error).await?,
        }
    }
}

/// A file with rows that go.
struct AffectedFile {
    file: DataFile,
    /// It holds other loads, too.
    shared: bool,
    /// The names of those that go.
    going: Vec<String>,
}

/// The shared files of `live`, written anew without the rows that go. `without` holds those of a former attempt, by the path
/// of the file that they stand for; what is not committed in the end is in `pending`.
async fn rest_of(
    lake: &Lake,
    snapshot: &Snapshot,
    table: &'static str,
    live: &[AffectedFile],
    without: &mut HashMap<String, Option<NewFile>>,
    pending: &mut Pending,
) -> Result<Vec<NewFile>> {
    let shared: Vec<&AffectedFile> = live.iter().filter(|f| f.shared).collect();
    let new: Vec<&AffectedFile> = shared.iter().filter(|f| !without.contains_key(&f.file.relative)).copied().collect();
    let job = |f: &&AffectedFile| {
        let keep = f.going.iter().flat_map(|name| not_of(name)).collect();
        Job { inputs: vec![f.file.clone()], keep, part: None }
    };
    let rewritten = REWRITE_LIMITS.rewrite(lake, snapshot, new.iter().map(job).collect()).await?;
    for (live, rest) in new.into_iter().zip(rewritten) {
        pending.0.extend(rest.iter().map(|r| (table, r.clone())));
        without.insert(live.file.relative.clone(), rest);
    }
    Ok(shared.iter().filter_map(|f| without.get(&f.file.relative).cloned().flatten()).collect())
}

async fn log_loaded(lake: &Lake, loads: &[IncomingLoad], entries: &[FileEntry]) -> Result<()> {
    Registry::<FileEntry>::update(lake, |rows| {
        for (IncomingLoad { key, content, former }, entry) in loads.iter().zip(entries) {
            for row in rows.iter_mut().filter(|e| key.is_loaded_as(e) && e.content != *content) {
                if !former.contains(&row.content) {
                    return Err(Error::conflict(format!("{} was loaded by somebody else meanwhile", key.file)));
                }
                row.status = "replaced".into();
            }
            let same = |e: &FileEntry| Key::of(e) == *key && e.content == *content;
            rows.retain(|e| !(same(e) && matches!(e.status.as_str(), "loaded" | "refused" | "copy")));
            rows.push(entry.clone());
        }
        Ok(())
    })
    .await
}
