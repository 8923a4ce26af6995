//! One run of `ingest`: paths in, an outcome for each input out.
//!
//! Inputs are taken one after another, in the order of [`super::find`]; each is loaded whole or not at all, and what
//! happens to one does not touch the others.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::blocking::blocking;
use super::content::{Content, Identity};
use super::decoding::{Decoded, DecodedInput, Destination, decode_input};
use super::exchange::Rates;
use super::find::{Input, What};
use super::gather::{Offer, gather};
use super::key::{FEED_SOURCE, Key};
use super::kind::{Context, InputKind, Prepared};
use super::known::{Known, Marks};
use super::load::{self, Decision, Load, Permit};
use super::mapped_load::MappedInput;
use super::mapping::Mapping;
use super::offline_rows::Origin;
use super::options::IngestOptions;
use super::outcome::{Outcome, Progress, Status};
use super::preview::Preview;
use super::remote::Remote;
use super::source_load::{SourceInput, set_aside};
use super::suites_and_sources::SuitesAndSources;
use crate::feed::RowIssue;
use crate::feed::delivery_name::DeliveryName;
use crate::lake::bindings::adopt;
use crate::lake::records::{FileEntry, Source, Suite};
use crate::lake::suites::{adopt_persistence, find};
use crate::lake::{Lake, Registry};
use crate::{Error, ErrorKind, Result};

/// Paths that a message names.
const SHOWN_PATHS: usize = 3;

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

// in a box, so that the compiler makes its work here, once, and not in each that waits for it
fn ingest_offers<'a>(
    lake: &'a Lake,
    paths: &'a [PathBuf],
    options: &'a IngestOptions,
    mut known: Option<&'a mut Known>,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
) -> BoxFuture<'a, Result<Vec<Outcome>>> {
    async move {
        if paths.is_empty() {
            return Err(Error::usage("nothing to ingest; give files or folders"));
        }
        let mappings = options.mappings.iter().map(|path| Mapping::read(path).map(Arc::new));
        let mappings = mappings.collect::<Result<Vec<_>>>()?;
        let settings = options.meaning(&mappings)?;
        let gathered = gather(paths, &mappings, &settings, known.as_deref_mut()).await?;
        if gathered.ignored > 0 {
            progress(Progress::Ignored(gathered.ignored));
        }
        for mapping in &gathered.idle {
            progress(Progress::Idle(no_file_of(mapping, paths)));
        }
        let lake_has = Arc::new(SuitesAndSources::read(lake).await?);
        let counter = Arc::default();
        let mut run = Run { lake, options, progress, lake_has, remote: None, former: None, counter };
        let mut settled = Settled { settings, known, outcomes: vec![] };
        // an input is read while the one before it is written and committed
        let mut before: Option<(Taken, ReadInput)> = None;
        for Offer { input, id, marks, remote } in gathered.offers {
            if let Some((taken, decoded)) = before.take_if(|(_, decoded)| !run.leaves_room(decoded)) {
                let done = decoded.write(lake, progress).await;
                settled.add(&run, taken, done).await;
            }
            let (name, entry) = (input.name.clone(), blank_entry(&input.name));
            let mut taken = Taken { name, id, marks, entry, findings: Findings::default(), bytes_read: 0 };
            let read = match before.take() {
                Some((taken_before, decoded)) => {
                    let (over, done) = watch::channel(());
                    run.former = Some(Former { entry: decoded.entry.clone(), bytes: decoded.held.bytes(), done });
                    let write = async {
                        let written = decoded.write(lake, progress).await;
                        drop(over);
                        written
                    };
                    let read = run.fetch_and_take(input, remote, &mut taken.entry, &mut taken.findings);
                    let (read, written) = tokio::join!(read, write);
                    run.former = None;
                    settled.add(&run, taken_before, written).await;
                    read
                }
                None => run.fetch_and_take(input, remote, &mut taken.entry, &mut taken.findings).await,
            };
            taken.bytes_read = run.counter.load(Ordering::Relaxed);
            match read {
                Ok(Step::Read(decoded)) => before = Some((taken, *decoded)),
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
    .boxed()
}

/// An input on its way.
struct Taken {
    name: String,
    id: String,
    marks: Marks,
    entry: FileEntry,
    findings: Findings,
    bytes_read: u64,
}

/// What is told of the rows of an input, whatever becomes of it.
#[derive(Default)]
struct Findings {
    rejects: Vec<RowIssue>,
    warnings: Vec<RowIssue>,
    preview: Option<Preview>,
}

/// What became of the inputs so far.
struct Settled<'a> {
    settings: String,
    known: Option<&'a mut Known>,
    outcomes: Vec<Outcome>,
}

impl Settled<'_> {
    async fn add(&mut self, run: &Run<'_>, taken: Taken, done: Result<Status>) {
        let Taken { name, id, marks, mut entry, findings, bytes_read } = taken;
        let Findings { rejects, warnings, preview } = findings;
        let status = match done {
            Ok(status) => status,
            Err(error) if error.to_string().starts_with(&name) => run.refused(&mut entry, error).await,
            Err(error) => run.refused(&mut entry, error.at(&name)).await,
        };
        if let Some(known) = self.known.as_deref_mut() {
            known.learn(&self.settings, &id, marks, &status);
        }
        self.outcomes.push(Outcome { entry, path: id.into(), status, rejects, warnings, preview, bytes_read });
    }
}

impl IngestOptions {
    /// What decides how an input is read and whether it is taken.
    fn meaning(&self, mappings: &[Arc<Mapping>]) -> Result<String> {
        let Self { suite, source, replace, .. } = self;
        let meanings = mappings.iter().map(|mapping| mapping.fingerprint()).collect::<Result<Vec<_>>>()?;
        let files: Vec<_> = mappings.iter().map(|mapping| &mapping.files).collect();
        let text = format!("{suite:?} {source:?} {replace} {meanings:?} {files:?}");
        Ok(format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())))
    }
}

struct Run<'a> {
    lake: &'a Lake,
    options: &'a IngestOptions,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
    lake_has: Arc<SuitesAndSources>,
    /// Where the input at hand lies, when that is a bucket.
    remote: Option<Arc<Remote>>,
    /// The input that is written while the one at hand is read.
    former: Option<Former>,
    /// Bytes that were read of the files of the input at hand.
    counter: Arc<AtomicU64>,
}

/// An input that is written while the next one is read.
struct Former {
    entry: FileEntry,
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
    Read(Box<ReadInput>),
}

/// An input that is read: nothing else is needed of it.
struct ReadInput {
    held: DecodedInput,
    entry: FileEntry,
    permit: Permit,
    /// What it is when it is committed.
    status: Status,
}

impl ReadInput {
    /// Writes the rows and commits them.
    async fn write(self, lake: &Lake, progress: &(dyn Fn(Progress) + Send + Sync)) -> Result<Status> {
        let Self { held, entry, permit, status } = self;
        let Decoded { hits, offline, rejects, lookups, headers, .. } = held.write().await?;
        progress(Progress::Committing);
        let (lake, load) = (lake.clone(), Load { entry, permit, hits, offline, rejects, lookups, headers });
        // beside the reading of the next input; ends with whoever waits here
        let mut commit = JoinSet::new();
        commit.spawn(async move { load::commit(&lake, load).await });
        let done = commit.join_next().await.ok_or_else(|| Error::bug("a commit was begun and is not there"))?;
        progress(Progress::Committed);
        done.map_err(|e| Error::bug(format!("a commit stopped: {e}")))??;
        Ok(status)
    }
}

impl Run<'_> {
    async fn fetch_and_take(
        &mut self,
        input: Input,
        remote: Option<Arc<Remote>>,
        entry: &mut FileEntry,
        findings: &mut Findings,
    ) -> Result<Step> {
        self.remote = remote.clone();
        let (files, in_archive) = (input.files(), input.is_in_archive());
        if let Some(remote) = remote.as_ref().filter(|_| !matches!(input.what, What::Waiting(_) | What::Refused(_))) {
            remote.fetch(&files).await?;
        }
        self.counter = Arc::default();
        let step = self.take(input, entry, findings).await;
        (self.progress)(Progress::Read);
        if let Some(remote) = remote.filter(|_| !in_archive) {
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
    fn leaves_room(&self, read: &ReadInput) -> bool {
        !read.held.has_spilled() && read.held.bytes() <= self.sort_bytes() / 2
    }

    /// All steps up to the decoded rows, the same for each kind of input.
    async fn take(&mut self, input: Input, entry: &mut FileEntry, findings: &mut Findings) -> Result<Step> {
        // an archive holds more than the file that stops its source
        let aside = if input.is_in_archive() { vec![] } else { input.files() };
        let Input { path, what, .. } = input;
        let kind: Box<dyn InputKind> = match what {
            What::Waiting(reason) => return Ok(Step::Over(Status::Waiting(reason))),
            What::Refused(error) => {
                // the suite of a delivery that cannot be taken is still known by its name
                if let Some(name) = DeliveryName::parse(&format!("{}.txt", entry.file))
                    && let Ok(suite) = self.lake_has.suite_of_feed(&name.rsid, None)
                {
                    (entry.suite, entry.kind, entry.format) = (suite.suite.clone(), "online".into(), "feed".into());
                }
                return Err(error);
            }
            What::Delivery(delivery) => Box::new(delivery),
            What::Source(found) => Box::new(SourceInput::new(found)),
            What::Mapped(format, mapping) => Box::new(MappedInput::new(&path, format, mapping)),
        };
        self.counter = kind.counter();
        let (lake_has, options) = (self.lake_has.clone(), self.options.clone());
        let (kind, mut owner) = step(kind, move |kind| kind.owner(&lake_has, &options)).await?;
        if owner.lacks_headers {
            owner.suite = self.newest(&owner.suite).await?;
        }
        entry.suite = owner.suite.suite.clone();
        entry.source = owner.source.as_ref().map_or_else(String::new, |s| s.source.clone());
        entry.kind = if owner.source.is_some() { "offline" } else { "online" }.into();
        (entry.format, entry.snapshot) = (owner.format.into(), owner.snapshot.clone());
        if let Some(reason) = owner.waits {
            return Ok(Step::Over(Status::Waiting(reason)));
        }
        if !self.options.validate {
            adopt(self.lake, &owner.suite, &owner.bindings).await?;
            adopt_persistence(self.lake, &owner.suite, &owner.persistence).await?;
        }
        let (kind, content) = step(kind, |kind| kind.content()).await?;
        let Content { bytes, identity: Identity { data, hash }, packed } = content;
        (entry.bytes, entry.content, entry.data) = (bytes as i64, hash, Some(data));
        let permit = match self.decide(entry, packed.as_ref()).await? {
            Decision::Unchanged(_) => return Ok(Step::Over(Status::Unchanged)),
            Decision::Copy(original) => return self.copy(entry, &original).await,
            Decision::Load(permit) => permit,
        };
        if let Some(reason) = owner.source.as_ref().and_then(why_closed) {
            return Ok(Step::Over(Status::Waiting(reason)));
        }
        (self.progress)(Progress::Start { file: entry.file.clone(), bytes });
        let read: Arc<AtomicU64> = Arc::default();
        let source = owner.source.clone();
        let received = entry.received.unwrap_or_else(crate::clock::now);
        let rates = match &owner.rates {
            Some(table) => Some(Arc::new(Rates::read(self.lake, table, &owner.suite).await?)),
            None => None,
        };
        let context = Context { owner, received, rates, read: read.clone() };
        let prepared = self.watch(&read, blocking(move || kind.prepare(&context))).await?;
        let prepared = match source.as_ref().filter(|s| s.on_error == "stop") {
            None => prepared,
            Some(source) => {
                let (prepared, issue) = blocking(move || {
                    let issue = prepared.rows.first_issue()?;
                    Ok((prepared, issue))
                })
                .await?;
                if let Some(issue) = issue {
                    findings.rejects.push(issue.clone());
                    return Err(self.stop(source, aside, &issue).await?);
                }
                prepared
            }
        };
        let kind = source.as_ref().map_or("", |s| s.kind.as_str());
        let origin = Arc::new(Origin {
            suite: entry.suite.clone(),
            source: entry.source.clone(),
            kind: kind.to_string(),
            file: entry.file.clone(),
            received: received.timestamp_micros(),
        });
        self.decode(prepared, permit, origin, entry, findings, &read).await
    }

    /// A suite as the input before this one leaves it.
    async fn newest(&self, suite: &Suite) -> Result<Suite> {
        if let Some(former) = &self.former {
            // an error says that it is over
            let _ = former.done.clone().changed().await;
        }
        find(&Registry::<Suite>::read(self.lake).await?.rows, &suite.suite).cloned()
    }

    async fn decide(&self, entry: &mut FileEntry, packed: Option<&Identity>) -> Result<Decision> {
        // of the same name, or the same bytes: what it leaves is what this one finds
        let matters = |former: &&Former| {
            Key::of(&former.entry) == Key::of(entry) || load::is_same_data(&former.entry, entry, packed)
        };
        if let Some(former) = self.former.as_ref().filter(matters) {
            // an error says that it is over
            let _ = former.done.clone().changed().await;
        }
        let IngestOptions { replace, again, .. } = self.options;
        let decision = load::decide(self.lake, entry, packed, *replace, *again).await?;
        if let Decision::Unchanged(former) = &decision {
            *entry = former.clone();
        }
        Ok(decision)
    }

    /// Decodes all rows.
    async fn decode(
        &self,
        prepared: Prepared,
        permit: Permit,
        origin: Arc<Origin>,
        entry: &mut FileEntry,
        findings: &mut Findings,
        read: &AtomicU64,
    ) -> Result<Step> {
        let Prepared { rows, visits, offline_source } = prepared;
        let key = Key::of(entry);
        let offline_visits = visits.filter(|_| offline_source == FEED_SOURCE);
        let destination = Destination {
            lake: self.lake.clone(),
            write: !self.options.validate && permit.is_certain(),
            memory_bytes: self.sort_bytes() - self.former.as_ref().map_or(0, |former| former.bytes),
            hits_tags: key.tags(&entry.content, &key.source, visits),
            offline_tags: key.tags(&entry.content, &offline_source, offline_visits),
        };
        let tick = || (self.progress)(Progress::Bytes(read.load(Ordering::Relaxed)));
        let held = decode_input(destination, move |pieces| rows.decode(&origin, pieces), &tick).await?;
        describe(entry, held.decoded());
        let decoded = held.decoded();
        if let Some(loaded) = permit.settle(entry)? {
            *entry = loaded.clone();
            return Ok(Step::Over(Status::Unchanged));
        }
        if let Some(original) = permit.original(entry) {
            return self.copy(entry, original).await;
        }
        (findings.rejects, findings.warnings) = (decoded.rejects.first(), decoded.first_warnings.clone());
        load::check_forgotten(&permit, entry)?;
        check_rows(decoded, permit.replaces.as_ref())?;
        if self.options.validate {
            findings.preview = Some(decoded.preview.clone());
            return Ok(Step::Over(Status::Validated));
        }
        let status = if permit.replaces.is_some() { Status::Replaced } else { Status::Loaded };
        Ok(Step::Read(Box::new(ReadInput { held, entry: entry.clone(), permit, status })))
    }

    /// Notes a copy of what is loaded in the file log.
    async fn copy(&self, entry: &mut FileEntry, original: &FileEntry) -> Result<Step> {
        let reason = load::copy_of(original);
        (entry.status, entry.message) = ("copy".into(), reason.clone());
        (entry.rows, entry.rejected, entry.warnings) = (0, 0, 0);
        if !self.options.validate {
            load::log_not_loaded(self.lake, entry).await?;
        }
        Ok(Step::Over(Status::Copy(reason)))
    }

    /// Notes a refusal in the file log, where it is known whose file it is.
    async fn refused(&self, entry: &mut FileEntry, error: Error) -> Status {
        entry.status = "refused".into();
        entry.message = error.to_string();
        (entry.rows, entry.rejected) = (0, 0);
        if error.kind() == ErrorKind::Refused && !entry.suite.is_empty() && !self.options.validate {
            // the refusal itself is what the user must see, also when it cannot be logged
            if let Err(unlogged) = load::log_not_loaded(self.lake, entry).await {
                tracing::warn!(file = entry.file, error = %unlogged, "the refusal is not in the file log");
            }
        }
        Status::Refused(error)
    }

    /// Halts a source and sets the input's files aside, where there are such; gives the refusal.
    async fn stop(&mut self, source: &Source, files: Vec<PathBuf>, issue: &RowIssue) -> Result<Error> {
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
        self.lake_has = Arc::new(SuitesAndSources::read(self.lake).await?);
        if self.options.copies || files.is_empty() {
            return Ok(Error::refused(format!(
                "{reason}; source {name} is stopped: correct the file, restart the source, and send it again"
            )));
        }
        let moved = match &self.remote {
            Some(remote) => remote.set_aside(&files).await,
            None => blocking(move || set_aside(&files)).await,
        };
        let place = moved.unwrap_or_else(|error| error.to_string());
        Ok(Error::refused(format!(
            "{reason}; source {name} is stopped and {place}: correct it, then run `rejoin source restart {suite} {name}`"
        )))
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

/// Lets a kind of input do one of its steps.
async fn step<T: Send + 'static>(
    mut kind: Box<dyn InputKind>,
    step: impl FnOnce(&mut dyn InputKind) -> Result<T> + Send + 'static,
) -> Result<(Box<dyn InputKind>, T)> {
    blocking(move || {
        let done = step(kind.as_mut())?;
        Ok((kind, done))
    })
    .await
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

/// What to say of a mapping that no file is for.
fn no_file_of(mapping: &Mapping, paths: &[PathBuf]) -> String {
    let patterns: Vec<String> = mapping.files.iter().map(|pattern| format!("{:?}", pattern.to_string())).collect();
    let mut given: Vec<String> = paths.iter().take(SHOWN_PATHS).map(|path| path.display().to_string()).collect();
    if paths.len() > SHOWN_PATHS {
        given.push(format!("{} more", paths.len() - SHOWN_PATHS));
    }
    format!(
        "{}: files = {} fits no file of what was given ({}); correct the pattern, which is held against the end of each path, \
         or leave it out where the mapping is for all files",
        mapping.label(),
        patterns.join(", "),
        given.join(", ")
    )
}

fn blank_entry(file: &str) -> FileEntry {
    let received = Some(crate::clock::now());
    FileEntry { file: file.to_string(), status: "loaded".into(), received, ..FileEntry::default() }
}

fn describe(entry: &mut FileEntry, decoded: &Decoded) {
    entry.rows = decoded.rows as i64;
    entry.rejected = decoded.rejects.count() as i64;
    entry.warnings = decoded.warnings as i64;
    entry.disagreeing = decoded.disagreeing as i64;
    entry.processed.clone_from(&decoded.processed);
    entry.unpacked.clone_from(&decoded.unpacked);
    entry.touches = decoded.touches.map(|source| source.word().into());
    entry.binding_instances = decoded.binding_instances.text();
    let rejected =
        decoded.rejects.first().first().map(|issue| ("rejected", decoded.rejects.count(), describe_issue(issue)));
    let warned = decoded.first_warnings.first().map(|issue| ("warnings", entry.warnings as u64, describe_issue(issue)));
    let parts =
        rejected.into_iter().chain(warned).map(|(what, count, first)| format!("{count} {what}, the first: {first}"));
    entry.message = parts.collect::<Vec<_>>().join("; ");
}

/// An input of which nothing can be loaded is a mistake of its mapping or of whoever sent it, never a load.
fn check_rows(decoded: &Decoded, replaces: Option<&FileEntry>) -> Result<()> {
    if decoded.rows > 0 {
        return Ok(());
    }
    if let [first, ..] = decoded.rejects.first().as_slice() {
        let (count, first) = (decoded.rejects.count(), describe_issue(first));
        let rows = if count == 1 { "its only row cannot be loaded" } else { "none of its rows can be loaded" };
        return Err(Error::refused(format!("{rows}: {first}")));
    }
    match replaces.map(|former| former.rows) {
        Some(rows @ 1..) => Err(Error::refused(format!(
            "it holds no row, and would take the place of {rows} rows; `rejoin remove` takes them out"
        ))),
        _ => Ok(()),
    }
}

fn describe_issue(issue: &RowIssue) -> String {
    let RowIssue { line, column, reason, .. } = issue;
    if column.is_empty() { format!("line {line}: {reason}") } else { format!("line {line}, column {column}: {reason}") }
}
