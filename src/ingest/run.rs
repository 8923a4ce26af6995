//! One run of `ingest`: paths in, an outcome for each input out.
//!
//! Inputs are taken one after another, in the order of [`super::find`]; each is loaded whole or not at all, and what
//! happens to one does not touch the others. Small ones that follow each other and are of one kind are written and committed
//! together: their rows share files, whose columns are long enough to be worth their beginning, and commits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::datatypes::Field;
use futures::FutureExt;
use futures::future::{BoxFuture, Either, join, select};
use tokio::sync::watch;

use super::blocking::blocking;
use super::content::{Content, Identity};
use super::decoding::{Decoded, Destination, decode_input};
use super::exchange::Rates;
use super::find::{Input, InputType};
use super::gather::{Offer, gather};
use super::group::{Done, Findings, Group, PendingInput, ReadInput};
use super::key::{FEED_SOURCE, Key};
use super::kind::{Context, InputKind, Prepared};
use super::known::KnownInputs;
use super::load::{self, Decision, Load, LoadPermission};
use super::mapped_load::MappedInput;
use super::mapping::Mapping;
use super::offline_rows::Origin;
use super::options::IngestOptions;
use super::outcome::{Outcome, Progress, Status};
use super::pattern;
use super::remote::Remote;
use super::source_load::{SourceInput, set_aside};
use super::suites_and_sources::SuitesAndSources;
use crate::feed::RowIssue;
use crate::feed::delivery_name::DeliveryName;
use crate::feed::records::SpareBytes;
use crate::lake::bindings::adopt;
use crate::lake::records::{FileEntry, Source, Suite};
use crate::lake::suites::{adopt_persistence, find};
use crate::lake::{Lake, Registry};
use crate::{Error, ErrorKind, Result};

/// Paths that a message names.
const SHOWN_PATHS: usize = 3;

/// Loads what is under `paths`, files, folders and `s3://bucket/prefix/`. An error only where nothing could be tried: no
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
    known: &mut KnownInputs,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Vec<Outcome>> {
    ingest_offers(lake, paths, options, Some(known), progress).await
}

// in a box, so that the compiler makes its work here, once, and not in each that waits for it
fn ingest_offers<'a>(
    lake: &'a Lake,
    paths: &'a [PathBuf],
    options: &'a IngestOptions,
    mut known: Option<&'a mut KnownInputs>,
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
        let (counter, spare) = (Arc::default(), SpareBytes::default());
        let (remote, group, formers) = (None, None, vec![]);
        let mut run = Run { lake, options, progress, lake_has, remote, group, formers, counter, spare };
        let mut settled = Outcomes { settings, known, waiting: BTreeMap::new(), outcomes: vec![] };
        // inputs are read while those before them are written and committed
        let mut writing = Writing::Nothing;
        for (number, Offer { input, id, marks, remote }) in gathered.offers.into_iter().enumerate() {
            if run.must_write_before(&input) {
                let done = run.write_group(&mut writing).await;
                settled.add(&run, done).await;
            }
            let (name, entry) = (input.name.clone(), blank_entry(&input.name));
            let findings = Findings::default();
            let mut taken = PendingInput { number, name, id, marks, entry, original: None, findings, bytes_read: 0 };
            let read = run.fetch_and_take(input, remote, &mut taken.entry, &mut taken.findings);
            let read = writing.beside(read).await;
            taken.bytes_read = run.counter.load(Ordering::Relaxed);
            match read {
                Ok(Step::Read(read)) => {
                    if let Some((taken, read)) = run.gather(taken, *read).await {
                        let done = run.write_group(&mut writing).await;
                        settled.add(&run, done).await;
                        run.group = Some(Group::of(taken, read));
                    }
                }
                Ok(Step::Over(status)) => settled.add(&run, vec![(taken, Ok(status))]).await,
                Ok(Step::Copy(original)) => {
                    let status = Status::Copy(load::copy_of(&original));
                    taken.original = Some(original);
                    settled.add(&run, vec![(taken, Ok(status))]).await;
                }
                Err(error) => settled.add(&run, vec![(taken, Err(error))]).await,
            }
        }
        let done = run.write_group(&mut writing).await;
        settled.add(&run, done).await;
        let done = run.finish(&mut writing).await;
        settled.add(&run, done).await;
        Ok(settled.outcomes)
    }
    .boxed()
}

/// What became of the inputs so far, in their order.
struct Outcomes<'a> {
    settings: String,
    known: Option<&'a mut KnownInputs>,
    /// Inputs before these are not settled yet.
    waiting: BTreeMap<usize, Done>,
    outcomes: Vec<Outcome>,
}

impl Outcomes<'_> {
    async fn add(&mut self, run: &Run<'_>, done: Vec<Done>) {
        self.waiting.extend(done.into_iter().map(|done| (done.0.number, done)));
        while let Some((taken, done)) = self.waiting.remove(&self.outcomes.len()) {
            self.settle(run, taken, done).await;
        }
    }

    async fn settle(&mut self, run: &Run<'_>, taken: PendingInput, done: Result<Status>) {
        let PendingInput { number: _, name, id, marks, mut entry, original, findings, bytes_read } = taken;
        let Findings { rejects, warnings, preview } = findings;
        let done = match (done, original) {
            (Ok(Status::Copy(reason)), Some(original)) => self.copy(run, &mut entry, &original, reason).await,
            (done, _) => done,
        };
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

    /// Notes a copy in the file log, now that it is known what became of its original.
    async fn copy(&self, run: &Run<'_>, entry: &mut FileEntry, original: &FileEntry, reason: String) -> Result<Status> {
        let is_it = |e: &FileEntry| Key::of(e) == Key::of(original) && e.content == original.content;
        let outcome = self.outcomes.iter().rev().find(|outcome| is_it(&outcome.entry));
        if let Some(Outcome { status: Status::Refused(error), .. }) = outcome {
            let message = format!("it has the same bytes as {}, which could not be loaded", original.file);
            return Err(Error::new(error.kind(), message).caused_by(error.clone()));
        }
        (entry.status, entry.message) = ("copy".into(), reason.clone());
        (entry.rows, entry.rejected, entry.warnings) = (0, 0, 0);
        if !run.options.validate {
            load::log_not_loaded(run.lake, entry).await?;
        }
        Ok(Status::Copy(reason))
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
    /// Where the input at hand is, when that is a bucket.
    remote: Option<Arc<Remote>>,
    /// Inputs that are read and not written.
    group: Option<Group>,
    /// Those that are written or committed while the one at hand is read.
    formers: Vec<WriteUnderWay>,
    /// Bytes that were read of the files of the input at hand.
    counter: Arc<AtomicU64>,
    /// For the blocks of feeds.
    spare: SpareBytes,
}

/// Inputs that are written and committed while the next ones are read.
struct WriteUnderWay {
    entries: Vec<FileEntry>,
    /// Memory that their rows take until they are in files.
    bytes: usize,
    /// Columns that they bring to `hits` and `offline`.
    fields: [Vec<Field>; 2],
    /// Closed when their rows are in files, or will not be.
    written: watch::Receiver<()>,
    /// Closed when they are committed, or will not be.
    done: watch::Receiver<()>,
}

impl WriteUnderWay {
    fn is_under_way(&self) -> bool {
        self.done.has_changed().is_ok()
    }

    fn held_bytes(&self) -> usize {
        if self.written.has_changed().is_ok() { self.bytes } else { 0 }
    }
}

/// Waits until all of these are closed.
async fn closed(steps: Vec<watch::Receiver<()>>) {
    for mut step in steps {
        // an error says that it is closed, and nothing is ever sent
        let _ = step.changed().await;
    }
}

/// What is done beside reading.
enum Writing<'a> {
    Nothing,
    /// Inputs are written and committed.
    Under(BoxFuture<'a, Vec<Done>>),
    /// They are.
    Over(Vec<Done>),
}

impl Writing<'_> {
    /// Does something else while inputs are written.
    async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let over = match self {
            Self::Under(group) => match select(work.as_mut(), group).await {
                Either::Left((done, _)) => return done,
                Either::Right((over, _)) => over,
            },
            Self::Nothing | Self::Over(_) => return work.await,
        };
        *self = Self::Over(over);
        work.await
    }

    /// Waits for the end, and says what became of the inputs.
    async fn finish(&mut self) -> Vec<Done> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Nothing => vec![],
            Self::Under(group) => group.await,
            Self::Over(done) => done,
        }
    }
}

/// How far reading an input has come.
enum Step {
    /// Nothing is left to do.
    Over(Status),
    /// It is a copy of this one, which may not be committed yet.
    Copy(Box<FileEntry>),
    /// Its rows are to be written.
    Read(Box<ReadInput>),
}

impl<'a> Run<'a> {
    /// True where what was read must be written before an input is read: it is as much as is written at once, or the input may hang on
    /// it.
    fn must_write_before(&self, input: &Input) -> bool {
        let Some(group) = &self.group else { return false };
        let lacks_headers = matches!(&input.what, InputType::Delivery(delivery) if delivery.lacks_headers());
        lacks_headers || group.has(&input.name) || group.is_full(self.sort_bytes())
    }

    /// Puts an input to those that were read before it; gives it back where they are not written together.
    async fn gather(&mut self, taken: PendingInput, read: ReadInput) -> Option<(PendingInput, ReadInput)> {
        self.formers.retain(WriteUnderWay::is_under_way);
        let before = [0, 1].map(|table| self.formers.iter().flat_map(|former| former.fields[table].clone()).collect());
        if let Some(group) = &mut self.group
            && group.takes(self.lake, &read, &before).await
        {
            group.add(taken, read);
            return None;
        }
        Some((taken, read))
    }

    /// Begins to write what was read, when what came before is in files; that is committed meanwhile. Says what became of inputs
    /// where it had to wait for all of them.
    async fn write_group(&mut self, writing: &mut Writing<'a>) -> Vec<Done> {
        let Some(group) = self.group.take() else { return vec![] };
        let formers = self.formers.iter().map(|former| former.written.clone()).collect();
        writing.beside(closed(formers)).await;
        self.formers.retain(WriteUnderWay::is_under_way);
        let ((in_files, written), (over, done)) = (watch::channel(()), watch::channel(()));
        let (entries, bytes, fields) = (group.entries(), group.bytes(), group.fields());
        let leaves_room = group.leaves_room(self.sort_bytes());
        self.formers.push(WriteUnderWay { entries, bytes, fields, written, done });
        let (lake, progress) = (self.lake, self.progress);
        let mut former = std::mem::replace(writing, Writing::Nothing);
        let write = async move {
            let (mut done, group) = join(former.finish(), group.write()).await;
            drop(in_files);
            done.extend(group.commit(lake, progress).await);
            drop(over);
            done
        };
        *writing = Writing::Under(write.boxed());
        if leaves_room { vec![] } else { self.finish(writing).await }
    }

    /// Waits for what is being written and committed, and says what became of the inputs.
    async fn finish(&mut self, writing: &mut Writing<'a>) -> Vec<Done> {
        let done = writing.finish().await;
        self.formers.clear();
        done
    }

    /// The ends of inputs under way, where one of those that are written together is of concern.
    fn ends_of(&self, is_of_concern: impl Fn(&FileEntry) -> bool) -> Vec<watch::Receiver<()>> {
        let formers = self.formers.iter().filter(|former| former.entries.iter().any(&is_of_concern));
        formers.map(|former| former.done.clone()).collect()
    }

    async fn fetch_and_take(
        &mut self,
        input: Input,
        remote: Option<Arc<Remote>>,
        entry: &mut FileEntry,
        findings: &mut Findings,
    ) -> Result<Step> {
        self.remote = remote.clone();
        let (files, in_archive) = (input.files(), input.is_in_archive());
        if let Some(remote) =
            remote.as_ref().filter(|_| !matches!(input.what, InputType::Waiting(_) | InputType::Refused(_)))
        {
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

    /// All steps up to the decoded rows, the same for each kind of input.
    async fn take(&mut self, input: Input, entry: &mut FileEntry, findings: &mut Findings) -> Result<Step> {
        // an archive holds more than the file that stops its source
        let aside = if input.is_in_archive() { vec![] } else { input.files() };
        let kind: Box<dyn InputKind> = match input.what {
            InputType::Waiting(reason) => return Ok(Step::Over(Status::Waiting(reason))),
            InputType::Refused(error) => {
                // the suite of a delivery that cannot be taken is still known by its name
                if let Some(name) = DeliveryName::parse(&format!("{}.txt", entry.file))
                    && let Ok(suite) = self.lake_has.suite_of_feed(&name.rsid, None)
                {
                    (entry.suite, entry.kind, entry.format) = (suite.suite.clone(), "online".into(), "feed".into());
                }
                return Err(error);
            }
            InputType::Delivery(delivery) => Box::new(delivery),
            InputType::Source(found) => Box::new(SourceInput::new(found)),
            InputType::Mapped(file, format, mapping) => Box::new(MappedInput::new(file, format, mapping)),
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
        let permission = match self.decide(entry, packed.as_ref()).await? {
            Decision::Unchanged(_) => return Ok(Step::Over(Status::Unchanged)),
            Decision::Copy(original) => return Ok(Step::Copy(Box::new(original))),
            Decision::Load(permission) => permission,
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
        let context = Context { owner, received, rates, read: read.clone(), spare: self.spare.clone() };
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
        self.decode(prepared, permission, origin, entry, findings, &read).await
    }

    /// A suite as the input before this one leaves it.
    async fn newest(&self, suite: &Suite) -> Result<Suite> {
        closed(self.ends_of(|_| true)).await;
        find(&Registry::<Suite>::read(self.lake).await?.rows, &suite.suite).cloned()
    }

    async fn decide(&self, entry: &mut FileEntry, packed: Option<&Identity>) -> Result<Decision> {
        // of the same name, or the same bytes: what it leaves is what this one finds
        let is_it = |loaded: &FileEntry| Key::of(loaded) == Key::of(entry) || load::is_same_data(loaded, entry, packed);
        closed(self.ends_of(is_it)).await;
        let IngestOptions { replace, again, .. } = self.options;
        // none of them has its name
        let read = self.group.as_ref().map_or_else(Vec::new, Group::entries);
        let decision = load::decide(self.lake, entry, packed, *replace, *again, &read).await?;
        if let Decision::Unchanged(former) = &decision {
            *entry = former.clone();
        }
        Ok(decision)
    }

    /// Decodes all rows.
    async fn decode(
        &self,
        prepared: Prepared,
        permission: LoadPermission,
        origin: Arc<Origin>,
        entry: &mut FileEntry,
        findings: &mut Findings,
        read: &AtomicU64,
    ) -> Result<Step> {
        let Prepared { rows, visits, offline_source } = prepared;
        let key = Key::of(entry);
        let offline_visits = visits.filter(|_| offline_source == FEED_SOURCE);
        let taken = self.formers.iter().map(WriteUnderWay::held_bytes).sum::<usize>();
        let taken = taken + self.group.as_ref().map_or(0, Group::bytes);
        let destination = Destination {
            lake: self.lake.clone(),
            write: !self.options.validate && permission.is_certain(),
            memory_bytes: self.sort_bytes().saturating_sub(taken),
            hits_tags: key.tags(&entry.content, &key.source, visits),
            offline_tags: key.tags(&entry.content, &offline_source, offline_visits),
        };
        let tick = || (self.progress)(Progress::Bytes(read.load(Ordering::Relaxed)));
        let (rows, decoded) = decode_input(destination, move |pieces| rows.decode(&origin, pieces), &tick).await?;
        describe(entry, &decoded);
        if let Some(loaded) = permission.settle(entry)? {
            *entry = loaded.clone();
            return Ok(Step::Over(Status::Unchanged));
        }
        if let Some(original) = permission.original(entry) {
            return Ok(Step::Copy(Box::new(original.clone())));
        }
        if let Some(original) = self.same_delivery(&permission, entry).await? {
            // what is under the name is meant to be replaced by something of its own
            return match permission.replaces {
                Some(_) => Err(load::loaded_elsewhere(&original, "")),
                None => Ok(Step::Copy(Box::new(original))),
            };
        }
        (findings.rejects, findings.warnings) = (decoded.rejects.first(), decoded.first_warnings.clone());
        load::check_forgotten(&permission, entry)?;
        check_rows(&decoded, permission.replaces.as_ref())?;
        if self.options.validate {
            findings.preview = Some(decoded.preview);
            return Ok(Step::Over(Status::Validated));
        }
        let status = if permission.replaces.is_some() { Status::Replaced } else { Status::Loaded };
        let Decoded { rejects, lookups, headers, .. } = decoded;
        let load = Load { entry: entry.clone(), permission: permission.kept(), rejects, headers };
        Ok(Step::Read(Box::new(ReadInput { rows, load, lookups, status })))
    }

    /// The delivery that holds the same under another name.
    async fn same_delivery(&self, permission: &LoadPermission, entry: &FileEntry) -> Result<Option<FileEntry>> {
        if let Some(twin) = permission.twin(entry) {
            return Ok(Some(twin.clone()));
        }
        let is_it = |loaded: &FileEntry| !self.options.again && load::is_same_delivery(loaded, entry);
        let ends = self.ends_of(is_it);
        if ends.is_empty() {
            return Ok(None);
        }
        // they may have failed
        closed(ends).await;
        let log = Registry::<FileEntry>::read(self.lake).await?;
        Ok(log.rows.into_iter().filter(is_it).min_by(|one, other| one.file.cmp(&other.file)))
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
    let mut given: Vec<String> = paths.iter().take(SHOWN_PATHS).map(|path| path.display().to_string()).collect();
    if paths.len() > SHOWN_PATHS {
        given.push(format!("{} more", paths.len() - SHOWN_PATHS));
    }
    format!(
        "{}: files = {} fits no file of what was given ({}); correct the pattern, which is held against the end of each path, \
         or leave it out where the mapping is for all files",
        mapping.label(),
        pattern::shown(&mapping.files),
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

/// An input of which nothing can be loaded is a mistake of its mapping or of its sender, never a load.
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
