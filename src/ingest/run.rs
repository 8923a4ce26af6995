//! One run of `ingest`: paths in, an outcome for each input out.
//!
//! Inputs are taken one after another, in the order of [`super::find`]; each is loaded whole or not at all, and what
//! happens to one does not touch the others.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};
use tokio::sync::watch;
use tokio::task::JoinSet;
use xxhash_rust::xxh3::Xxh3;

use super::delivery::Delivery;
use super::feed_load::FeedInput;
use super::find::{Input, What};
use super::gather::{Offer, gather};
use super::inlet::Inlets;
use super::known::{Known, Marks};
use super::load::{self, Decision, FEED_SOURCE, Key, Load, Permit};
use super::lookups::Lookups;
use super::mapped_file::Format;
use super::mapped_load::MappedInput;
use super::mapping::{MappedKind, Mapping};
use super::offline_rows::Origin;
use super::pour::{Basin, Held, Outlet, Poured, pour};
use super::remote::Remote;
use super::source_load::{SourceInput, check_kind, set_aside};
use crate::feed::RowIssue;
use crate::feed::delivery_name::DeliveryName;
use crate::lake::loads::as_read_now;
use crate::lake::records::{FileEntry, Source, Suite};
use crate::lake::{Lake, Registry};
use crate::{Error, ErrorKind, Result};

/// What a user asked for.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// Suite, where neither name nor mapping says it.
    pub suite: Option<String>,
    /// Data source, where neither name nor mapping says it.
    pub source: Option<String>,
    /// Mapping file for Parquet, CSV and JSON lines.
    pub mapping: Option<PathBuf>,
    /// Only report; nothing is written.
    pub validate: bool,
    /// Replace a load of the same name.
    pub replace: bool,
    /// The files are copies that go away afterwards: one that stops its source is not set aside.
    pub copies: bool,
    /// Memory of a load as a whole; a quarter of it is for sorting, and what does not fit there spills to disk.
    pub memory_bytes: usize,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            suite: None,
            source: None,
            mapping: None,
            validate: false,
            replace: false,
            copies: false,
            memory_bytes: 1 << 30,
        }
    }
}

/// What an [`ingest`] tells while it runs.
#[derive(Clone, Debug)]
pub enum Progress {
    /// So many files of searched folders are no input.
    Ignored(usize),
    /// An input begins, of so many bytes to read in all passes.
    Start {
        /// Its name in the file log.
        file: String,
        /// Bytes to be read.
        bytes: u64,
    },
    /// So many of its bytes are read.
    Bytes(u64),
    /// It is read, or cannot be. The next one may begin while it is written.
    Read,
    /// The commits of an input begin: whoever drops the ingest now leaves it as a crash does, to be finished by the next
    /// one.
    Committing,
    /// They are over.
    Committed,
}

/// What became of one input.
#[derive(Debug)]
pub struct Outcome {
    /// Its row of the file log (as far as it is known, where nothing was logged).
    pub entry: FileEntry,
    /// The file that stands for it; in a bucket, its URL.
    pub path: PathBuf,
    /// What happened.
    pub status: Status,
    /// The first few rejected rows.
    pub rejects: Vec<RowIssue>,
}

/// What happened to an input.
#[derive(Debug)]
pub enum Status {
    /// It is loaded.
    Loaded,
    /// It was loaded before; nothing was done.
    Unchanged,
    /// It is loaded in place of its former content.
    Replaced,
    /// It could be loaded; nothing was written.
    Validated,
    /// It is not complete, or its source is stopped.
    Waiting(String),
    /// It was not loaded. The error's kind says whether the input, a setting, a former load or the store is to blame.
    Refused(Error),
}

/// Loads what lies under `paths`, files, folders and `s3://bucket/prefix/`. An error only where nothing could be tried: no
/// paths, a bad mapping, no store.
pub async fn ingest(
    lake: &Lake,
    paths: &[PathBuf],
    options: &IngestOptions,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Outcome>> {
    ingest_offers(lake, paths, options, None, progress).await
}

/// Loads what is new under `paths`, in the eyes of `known`, which learns from it. Places that are watched may be empty, and
/// files that are still being written wait.
pub async fn ingest_new(
    lake: &Lake,
    paths: &[PathBuf],
    options: &IngestOptions,
    known: &mut Known,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Outcome>> {
    ingest_offers(lake, paths, options, Some(known), progress).await
}

async fn ingest_offers(
    lake: &Lake,
    paths: &[PathBuf],
    options: &IngestOptions,
    mut known: Option<&mut Known>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Outcome>> {
    if paths.is_empty() {
        return Err(Error::usage("nothing to ingest; give files or folders"));
    }
    let mapping = options.mapping.as_deref().map(Mapping::read).transpose()?;
    let settings = options.meaning(mapping.as_ref())?;
    let gathered = gather(paths, mapping.is_some(), &settings, known.as_deref_mut()).await?;
    if gathered.ignored > 0 {
        progress(Progress::Ignored(gathered.ignored));
    }
    let inlets = Inlets::read(lake).await?;
    let mut run = Run { lake, options, progress, mapping, inlets, remote: None, former: None };
    let mut settled = Settled { settings, known, outcomes: vec![] };
    // an input is read while the one before it is written and committed
    let mut before: Option<(Taken, Decoded)> = None;
    for Offer { input, id, marks, remote } in gathered.offers {
        if let Some((taken, decoded)) = before.take_if(|(_, decoded)| !run.leaves_room(decoded)) {
            let done = decoded.write(lake, progress).await;
            settled.add(&run, taken, done).await;
        }
        let (name, entry) = (input.name.clone(), blank_entry(&input.name));
        let mut taken = Taken { name, id, marks, entry, rejects: vec![] };
        let read = match before.take() {
            Some((taken_before, decoded)) => {
                let (over, done) = watch::channel(());
                run.former = Some(Former { key: Key::of(&taken_before.entry), bytes: decoded.held.bytes(), done });
                let write = async {
                    let written = decoded.write(lake, progress).await;
                    drop(over);
                    written
                };
                let read = run.fetch_and_take(input, remote, &mut taken.entry, &mut taken.rejects);
                let (read, written) = tokio::join!(read, write);
                run.former = None;
                settled.add(&run, taken_before, written).await;
                read
            }
            None => run.fetch_and_take(input, remote, &mut taken.entry, &mut taken.rejects).await,
        };
        match read {
            Ok(Step::Decoded(decoded)) => before = Some((taken, *decoded)),
            Ok(Step::Over(status)) => settled.add(&run, taken, Ok(status)).await,
            Err(error) => settled.add(&run, taken, Err(error)).await,
        }
    }
    if let Some((taken, decoded)) = before {
        let done = decoded.write(lake, progress).await;
        settled.add(&run, taken, done).await;
    }
    Ok(settled.outcomes)
}

/// An input on its way.
struct Taken {
    name: String,
    id: String,
    marks: Marks,
    entry: FileEntry,
    rejects: Vec<RowIssue>,
}

/// What became of the inputs so far.
struct Settled<'a> {
    settings: String,
    known: Option<&'a mut Known>,
    outcomes: Vec<Outcome>,
}

impl Settled<'_> {
    async fn add(&mut self, run: &Run<'_>, taken: Taken, done: Result<Status>) {
        let Taken { name, id, marks, mut entry, rejects } = taken;
        let status = match done {
            Ok(status) => status,
            Err(error) if error.to_string().starts_with(&name) => run.refused(&mut entry, error).await,
            Err(error) => run.refused(&mut entry, error.at(&name)).await,
        };
        if let Some(known) = self.known.as_deref_mut() {
            known.learn(&self.settings, &id, marks, &status);
        }
        self.outcomes.push(Outcome { entry, path: id.into(), status, rejects });
    }
}

impl IngestOptions {
    /// What decides how an input is read and whether it is taken.
    fn meaning(&self, mapping: Option<&Mapping>) -> Result<String> {
        let Self { suite, source, replace, .. } = self;
        let mapping = mapping.map(Mapping::fingerprint).transpose()?;
        let text = format!("{suite:?} {source:?} {replace} {mapping:?}");
        Ok(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())))
    }
}

struct Run<'a> {
    lake: &'a Lake,
    options: &'a IngestOptions,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    mapping: Option<Mapping>,
    inlets: Inlets,
    /// Where the input at hand lies, when that is a bucket.
    remote: Option<Arc<Remote>>,
    /// The input that is written while the one at hand is read.
    former: Option<Former>,
}

/// An input that is written while the next one is read.
struct Former {
    key: Key,
    /// Memory that its rows take.
    bytes: usize,
    /// Closed when it is committed, or will not be.
    done: watch::Receiver<()>,
}

/// How far reading an input has come.
enum Step {
    /// Nothing is left to do.
    Over(Status),
    /// Its rows are to be written.
    Decoded(Box<Decoded>),
}

/// An input that is read: nothing else is needed of it.
struct Decoded {
    held: Held,
    entry: FileEntry,
    permit: Permit,
    lookups: Lookups,
    /// What it is when it is committed.
    status: Status,
}

impl Decoded {
    /// Writes the rows and commits them.
    async fn write(self, lake: &Lake, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<Status> {
        let Self { held, entry, permit, lookups, status } = self;
        let Poured { hits, offline, rejects, .. } = held.write().await?;
        progress(Progress::Committing);
        let (lake, load) = (lake.clone(), Load { entry, permit, hits, offline, rejects, lookups });
        // beside the reading of the next input; ends with whoever waits here
        let mut commit = JoinSet::new();
        commit.spawn(async move { load::commit(&lake, load).await });
        let done = commit.join_next().await.ok_or_else(|| Error::bug("a commit was begun and is not there"))?;
        progress(Progress::Committed);
        done.map_err(|e| Error::bug(format!("a commit stopped: {e}")))??;
        Ok(status)
    }
}

/// An input that may be loaded, up to the decoding of its rows.
struct Ready {
    permit: Permit,
    /// Tag of `hits`: how visits are known.
    visits: Option<&'static str>,
    /// Source of rows of `offline`.
    source: String,
    lookups: Lookups,
    warnings: Vec<RowIssue>,
    read: Arc<AtomicU64>,
}

impl Run<'_> {
    async fn fetch_and_take(
        &mut self,
        input: Input,
        remote: Option<Arc<Remote>>,
        entry: &mut FileEntry,
        rejects: &mut Vec<RowIssue>,
    ) -> Result<Step> {
        self.remote = remote.clone();
        let files = input.files();
        if let Some(remote) = remote.as_ref().filter(|_| !matches!(input.what, What::Waiting(_) | What::Refused(_))) {
            remote.fetch(&files).await?;
        }
        let step = self.take(input.what, &input.path, entry, rejects).await;
        (self.progress)(Progress::Read);
        if let Some(remote) = remote {
            remote.release(&files);
        }
        step
    }

    /// Memory for sorting. The other three quarters: blocks, decoded batches, the pages of a row group, and the allocator's
    /// slack (measured).
    fn sort_bytes(&self) -> usize {
        self.options.memory_bytes / 4
    }

    /// True where the next input can be read while this one is written: half of the memory for sorting is free.
    fn leaves_room(&self, decoded: &Decoded) -> bool {
        !decoded.held.has_spilled() && decoded.held.bytes() <= self.sort_bytes() / 2
    }

    async fn take(
        &mut self,
        what: What,
        path: &Path,
        entry: &mut FileEntry,
        rejects: &mut Vec<RowIssue>,
    ) -> Result<Step> {
        match what {
            What::Waiting(reason) => Ok(Step::Over(Status::Waiting(reason))),
            What::Refused(error) => {
                // the suite of a delivery that cannot be taken is still known by its name
                if let Some(name) = DeliveryName::parse(&format!("{}.txt", entry.file))
                    && let Ok(suite) = self.inlets.suite_of_feed(&name.rsid, None)
                {
                    (entry.suite, entry.kind, entry.format) = (suite.suite.clone(), "online".into(), "feed".into());
                }
                Err(error)
            }
            What::Delivery(delivery) => self.delivery(delivery, entry, rejects).await,
            What::SourceText => self.source_file(path, "source_text", entry, rejects).await,
            What::SourceJson => self.source_file(path, "source_json", entry, rejects).await,
            What::Mapped(format) => self.mapped(path, format, entry, rejects).await,
        }
    }

    async fn delivery(&self, delivery: Delivery, entry: &mut FileEntry, rejects: &mut Vec<RowIssue>) -> Result<Step> {
        let suite = self.inlets.suite_of_feed(&delivery.rsid, self.options.suite.as_deref())?;
        entry.suite = suite.suite.clone();
        (entry.kind, entry.format) = ("online".into(), "feed".into());
        let bytes = delivery.bytes();
        entry.bytes = bytes as i64;
        let mut delivery = delivery;
        let (delivery, content) = blocking(move || delivery.content().map(|content| (delivery, content))).await?;
        entry.content = as_read_now(&content);
        let Decision::Load(permit) = self.decide(entry).await? else { return Ok(Step::Over(Status::Unchanged)) };
        let read = self.start(entry, bytes);
        let counter = read.clone();
        let mut feed = self.watch(&read, blocking(move || FeedInput::prepare(delivery, &counter))).await?;
        entry.touches = feed.touches_told_by().map(|told| told.word().into());
        let (lookups, warnings) = (std::mem::take(&mut feed.lookups), std::mem::take(&mut feed.warnings));
        let ready =
            Ready { permit, visits: Some("given"), source: FEED_SOURCE.into(), lookups, warnings, read: read.clone() };
        let origin = Arc::new(origin(entry, ""));
        self.decode(ready, entry, rejects, move |outlet| feed.decode(&origin, outlet, &read)).await
    }

    async fn source_file(
        &mut self,
        path: &Path,
        format: &str,
        entry: &mut FileEntry,
        rejects: &mut Vec<RowIssue>,
    ) -> Result<Step> {
        let (suite, source) = self.inlet_of_file(path, format).await?;
        (entry.suite, entry.source) = (suite.suite.clone(), source.source.clone());
        (entry.kind, entry.format) = ("offline".into(), format.into());
        (entry.bytes, entry.content) = blocking(content_of(path, String::new())).await?;
        let Decision::Load(permit) = self.decide(entry).await? else { return Ok(Step::Over(Status::Unchanged)) };
        if let Some(reason) = why_closed(&source) {
            return Ok(Step::Over(Status::Waiting(reason)));
        }
        let now_local = local(entry.received, &suite)?;
        let open = {
            let (path, is_text) = (path.to_path_buf(), format == "source_text");
            move || if is_text { SourceInput::text(&path, now_local) } else { SourceInput::json(&path, now_local) }
        };
        let input = blocking(open.clone()).await?;
        input.check_kind(&source)?;
        if source.on_error == "stop"
            && let Some(issue) = blocking(move || open()?.first_issue()).await?
        {
            rejects.push(issue.clone());
            return Err(self.stop(&source, path, &issue).await?);
        }
        let read = self.start(entry, entry.bytes as u64);
        let ready =
            Ready { permit, visits: None, source: source.source, lookups: Lookups::new(), warnings: vec![], read };
        let origin = origin(entry, &source.kind);
        self.decode(ready, entry, rejects, move |outlet| input.decode(&origin, outlet)).await
    }

    async fn mapped(
        &mut self,
        path: &Path,
        format: Format,
        entry: &mut FileEntry,
        rejects: &mut Vec<RowIssue>,
    ) -> Result<Step> {
        let mapping = self.mapping.clone().ok_or_else(|| Error::bug("a mapped file without a mapping"))?;
        let suite =
            self.inlets.suite_of_file(self.options.suite.as_deref(), mapping.suite.as_deref(), "the mapping")?.clone();
        let source = match mapping.kind {
            MappedKind::Online => None,
            MappedKind::Offline => {
                let (asked, mapped) = (self.options.source.as_deref(), mapping.source.as_deref());
                Some(self.inlets.source_of(&suite, asked, mapped, "the mapping")?.clone())
            }
        };
        entry.suite = suite.suite.clone();
        entry.source = source.as_ref().map_or_else(String::new, |s| s.source.clone());
        (entry.kind, entry.format) = (mapping.kind_name().into(), format.name().into());
        entry.snapshot = mapping.snapshot.as_ref().map(|names| names.join(","));
        (entry.bytes, entry.content) = blocking(content_of(path, mapping.fingerprint()?)).await?;
        let Decision::Load(permit) = self.decide(entry).await? else { return Ok(Step::Over(Status::Unchanged)) };
        if let Some(source) = &source {
            if let Some(reason) = why_closed(source) {
                return Ok(Step::Over(Status::Waiting(reason)));
            }
            let (transaction, customer) = (mapping.transaction_id.is_some(), mapping.customer_id.is_some());
            check_kind(source, transaction, customer, ["transaction_id", "customer_id"])?;
        }
        let read = self.start(entry, entry.bytes as u64);
        let opened = path.to_path_buf();
        let input = blocking(move || MappedInput::prepare(&opened, format, mapping)).await?;
        let input = Arc::new(input);
        if let Some(source) = source.as_ref().filter(|s| s.on_error == "stop") {
            let looked_at = input.clone();
            if let Some(issue) = blocking(move || looked_at.first_issue()).await? {
                rejects.push(issue.clone());
                return Err(self.stop(source, path, &issue).await?);
            }
        }
        let kind = source.as_ref().map_or("", |s| s.kind.as_str());
        let (origin, counter) = (Arc::new(origin(entry, kind)), read.clone());
        let source = entry.source.clone();
        let ready = Ready { permit, visits: input.visits(), source, lookups: Lookups::new(), warnings: vec![], read };
        self.decode(ready, entry, rejects, move |outlet| input.decode(&origin, outlet, counter)).await
    }

    /// A suite and a source for a data source file; JSON may name both itself.
    async fn inlet_of_file(&self, path: &Path, format: &str) -> Result<(Suite, Source)> {
        let (mut said_suite, mut said_source) = (None, None);
        if format == "source_json" {
            let path = path.to_path_buf();
            if let SourceInput::Json(json) =
                blocking(move || SourceInput::json(&path, NaiveDateTime::default())).await?
            {
                (said_suite, said_source) = (json.report_suite_id, json.data_source_id);
            }
        }
        let suite = self.inlets.suite_of_file(self.options.suite.as_deref(), said_suite.as_deref(), "the file")?;
        let asked = self.options.source.as_deref();
        let source = match said_source {
            Some(said) => self.inlets.source_of(suite, asked, Some(&said), "the file")?,
            None => self.inlets.source_of_file(suite, path, asked)?,
        };
        Ok((suite.clone(), source.clone()))
    }

    async fn decide(&self, entry: &mut FileEntry) -> Result<Decision> {
        let key = Key::of(entry);
        // of the same name: what it leaves is what this one finds
        if let Some(former) = self.former.as_ref().filter(|former| former.key == key) {
            // an error says that it is over
            let _ = former.done.clone().changed().await;
        }
        let decision = load::decide(self.lake, &key, &entry.content, self.options.replace).await?;
        if let Decision::Unchanged(former) = &decision {
            *entry = former.clone();
        }
        Ok(decision)
    }

    /// Decodes all rows.
    async fn decode(
        &self,
        ready: Ready,
        entry: &mut FileEntry,
        rejects: &mut Vec<RowIssue>,
        decode: impl FnOnce(&Outlet) -> Result<()> + Send + 'static,
    ) -> Result<Step> {
        let key = Key::of(entry);
        let hits_source = if ready.source == FEED_SOURCE { "" } else { &ready.source };
        let offline_visits = ready.visits.filter(|_| ready.source == FEED_SOURCE);
        let basin = Basin {
            lake: self.lake.clone(),
            write: !self.options.validate,
            memory_bytes: self.sort_bytes() - self.former.as_ref().map_or(0, |former| former.bytes),
            hits_tags: key.tags(&entry.content, hits_source, ready.visits),
            offline_tags: key.tags(&entry.content, &ready.source, offline_visits),
        };
        let tick = || (self.progress)(Progress::Bytes(ready.read.load(Ordering::Relaxed)));
        let held = pour(basin, decode, &tick).await?;
        describe(entry, held.poured(), &ready.warnings);
        *rejects = held.poured().rejects.first();
        load::check_forgotten(&ready.permit, entry)?;
        if self.options.validate {
            return Ok(Step::Over(Status::Validated));
        }
        let status = if ready.permit.replaces.is_some() { Status::Replaced } else { Status::Loaded };
        let (entry, permit, lookups) = (entry.clone(), ready.permit, ready.lookups);
        Ok(Step::Decoded(Box::new(Decoded { held, entry, permit, lookups, status })))
    }

    /// Notes a refusal in the file log, where it is known whose file it is.
    async fn refused(&self, entry: &mut FileEntry, error: Error) -> Status {
        entry.status = "refused".into();
        entry.message = error.to_string();
        (entry.rows, entry.rejected) = (0, 0);
        if error.kind() == ErrorKind::Refused && !entry.suite.is_empty() && !self.options.validate {
            // the refusal itself is what the user must see, also when it cannot be logged
            if let Err(unlogged) = load::log_refused(self.lake, entry).await {
                tracing::warn!(file = entry.file, error = %unlogged, "the refusal is not in the file log");
            }
        }
        Status::Refused(error)
    }

    /// Halts a source and sets the file aside; gives the refusal.
    async fn stop(&mut self, source: &Source, path: &Path, issue: &RowIssue) -> Result<Error> {
        let (suite, name) = (&source.suite, &source.source);
        let reason = describe_issue(issue);
        if self.options.validate {
            return Ok(Error::refused(format!("{reason}; it would stop source {name}")));
        }
        Registry::<Source>::update(self.lake, |rows| {
            rows.iter_mut()
                .filter(|s| s.suite == *suite && s.source == *name)
                .for_each(|s| s.status = "stopped".into());
            Ok(())
        })
        .await?;
        self.inlets = Inlets::read(self.lake).await?;
        if self.options.copies {
            return Ok(Error::refused(format!(
                "{reason}; source {name} is stopped: correct the file, restart the source, and send it again"
            )));
        }
        let local = path.to_path_buf();
        let moved = match &self.remote {
            Some(remote) => remote.set_aside(path).await,
            None => blocking(move || set_aside(&local)).await,
        };
        let place = moved.unwrap_or_else(|error| error.to_string());
        Ok(Error::refused(format!(
            "{reason}; source {name} is stopped and {place}: correct it, then run `rejoin source restart {suite} {name}`"
        )))
    }

    fn start(&self, entry: &FileEntry, bytes: u64) -> Arc<AtomicU64> {
        (self.progress)(Progress::Start { file: entry.file.clone(), bytes });
        Arc::default()
    }

    /// Tells the progress of a blocking step while it runs.
    async fn watch<T>(&self, read: &AtomicU64, step: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::pin!(step);
        loop {
            tokio::select! {
                done = &mut step => return done,
                () = tokio::time::sleep(Duration::from_millis(200)) => {
                    (self.progress)(Progress::Bytes(read.load(Ordering::Relaxed)));
                }
            }
        }
    }
}

pub(super) async fn blocking<T: Send + 'static>(step: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(step).await.map_err(|e| Error::bug(format!("a reader stopped: {e}")))?
}

/// Size of a file, and a hash of its bytes and of what says how they are read.
fn content_of(path: &Path, meaning: String) -> impl FnOnce() -> Result<(i64, String)> + Send + 'static {
    let path = path.to_path_buf();
    move || {
        let unreadable = |e: std::io::Error| Error::refused(format!("cannot be read: {e}"));
        let mut input = File::open(&path).map_err(unreadable)?;
        let (mut hash, mut bytes, mut buffer) = (Xxh3::new(), 0, vec![0; 256 * 1024]);
        loop {
            let count = input.read(&mut buffer).map_err(unreadable)?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            bytes += count as i64;
        }
        hash.update(meaning.as_bytes());
        Ok((bytes, format!("{:032x}", hash.digest128())))
    }
}

/// Why a source takes no files now.
fn why_closed(source: &Source) -> Option<String> {
    let Source { suite, source: name, status, .. } = source;
    let why = match status.as_str() {
        "stopped" => "is stopped by an error",
        "inactive" => "is deactivated",
        _ => return None,
    };
    Some(format!("source {name} {why}; run `rejoin source restart {suite} {name}`"))
}

fn local(now: Option<DateTime<Utc>>, suite: &Suite) -> Result<NaiveDateTime> {
    let zone: chrono_tz::Tz = suite.time_zone.parse().map_err(|_| {
        let Suite { suite, time_zone, .. } = suite;
        Error::configuration(format!(
            "suite {suite} has the unknown time zone {time_zone}; run `rejoin suite set {suite} --time-zone ZONE`"
        ))
    })?;
    Ok(now.unwrap_or_else(crate::clock::now).with_timezone(&zone).naive_local())
}

fn origin(entry: &FileEntry, kind: &str) -> Origin {
    Origin {
        suite: entry.suite.clone(),
        source: entry.source.clone(),
        kind: kind.to_string(),
        file: entry.file.clone(),
        received: entry.received.unwrap_or_else(crate::clock::now).timestamp_micros(),
    }
}

fn blank_entry(file: &str) -> FileEntry {
    FileEntry {
        file: file.to_string(),
        suite: String::new(),
        source: String::new(),
        kind: String::new(),
        format: String::new(),
        status: "loaded".into(),
        received: Some(crate::clock::now()),
        rows: 0,
        rejected: 0,
        warnings: 0,
        bytes: 0,
        content: String::new(),
        snapshot: None,
        touches: None,
        disagreeing: 0,
        message: String::new(),
    }
}

fn describe(entry: &mut FileEntry, poured: &Poured, warnings: &[RowIssue]) {
    entry.rows = poured.rows as i64;
    entry.rejected = poured.rejects.count() as i64;
    entry.warnings = poured.warnings as i64 + warnings.len() as i64;
    entry.disagreeing = poured.disagreeing as i64;
    let rejected =
        poured.rejects.first().first().map(|issue| ("rejected", poured.rejects.count(), describe_issue(issue)));
    let first = warnings.first().or(poured.first_warning.as_ref());
    let warned = first.map(|issue| ("warnings", entry.warnings as u64, describe_issue(issue)));
    let parts =
        rejected.into_iter().chain(warned).map(|(what, count, first)| format!("{count} {what}, the first: {first}"));
    entry.message = parts.collect::<Vec<_>>().join("; ");
}

fn describe_issue(issue: &RowIssue) -> String {
    let RowIssue { line, column, reason, .. } = issue;
    if column.is_empty() { format!("line {line}: {reason}") } else { format!("line {line}, column {column}: {reason}") }
}
