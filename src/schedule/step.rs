//! One run, step by step: what is complete is loaded, what is stale is rebuilt, what is scattered is compacted, and exports tell
//! what changed.
//!
//! A step that the store or another writer kept from being done is tried again, with growing pauses. What a step has
//! committed stays; dropping the future leaves the lake as any broken-off `ingest` or `rebuild` does.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::agenda::pause;
use super::former_runs;
use crate::engine::EngineSettings;
use crate::export::post::Post;
use crate::export::run::{self as exported, RunOptions};
use crate::ingest::forget::{ForgetOptions, retain};
use crate::ingest::{IngestOptions, KnownInputs, Outcome, Progress, Status, ingest_new};
use crate::lake::Lake;
use crate::lake::records::Run;
use crate::lake::rewrite::Limits;
use crate::rebuild::{RebuildOptions, Steps, Upkeep, upkeep};
use crate::{Error, ErrorKind, Result};

/// Refusals that are told in a run's message.
const MAX_REASONS: usize = 3;

/// How long an export is tried again at most: what it did not come to is done in the next run, which is not to wait for a target
/// that is away.
const EXPORT_PATIENCE: Duration = Duration::from_secs(60);

/// What a runner does in every run.
#[derive(Clone, Debug)]
pub struct Job {
    /// The lake.
    pub lake: Lake,
    /// Folders, files and `s3://` prefixes that are looked through.
    pub watch: Vec<PathBuf>,
    /// How their inputs are taken.
    pub options: IngestOptions,
    /// How a rebuild runs.
    pub engine: EngineSettings,
    /// What it builds.
    pub rebuild: RebuildOptions,
    /// The current month and so many before it are kept, and what is older is forgotten; None keeps everything.
    pub keep_months: Option<u32>,
    /// Do not compact after a rebuild.
    pub no_compact: bool,
    /// Exports that are run after a rebuild, each with where its bodies are sent.
    pub exports: Vec<(String, Option<Post>)>,
    /// How long a step that failed is tried again.
    pub patience: Duration,
}

/// What a run did.
#[derive(Default)]
pub struct RunSteps {
    /// What became of each input, in alphanumeric order.
    pub outcomes: Vec<Outcome>,
    /// What is to be known beside: mappings that no file is for.
    pub warnings: Vec<String>,
    /// Rows that were too old.
    pub forgotten: u64,
    /// The rebuild.
    pub upkeep: Option<Upkeep>,
    /// What became of each export, in the order in which they were asked for.
    pub exports: Vec<(String, Result<exported::RunOutcome>)>,
    /// What kept the run from being done.
    pub error: Option<Error>,
}

/// A run that has ended.
pub struct EndedRun {
    /// As history has it.
    pub run: Run,
    /// What it did.
    pub steps: RunSteps,
}

impl Job {
    /// Does one run. `known` learns from it; `committing` is true while an input is committed, table by table.
    pub(super) async fn run(&self, known: &mut KnownInputs, committing: &AtomicBool) -> RunSteps {
        let mut done = RunSteps::default();
        if !self.watch.is_empty() {
            let before = known.clone();
            let warned = Mutex::default();
            (done.outcomes, done.error) = self.ingest(known, committing, &warned).await;
            done.warnings = warned.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect();
            if *known != before
                && let Err(error) = former_runs::keep_known(&self.lake, known).await
            {
                tracing::warn!(%error, "the next run reads files again that are known");
            }
        }
        if let (None, Some(months)) = (&done.error, self.keep_months) {
            match self.forget(months).await {
                Ok(rows) => done.forgotten = rows,
                Err(error) => done.error = Some(error),
            }
        }
        if done.error.is_none() {
            match self.rebuild().await {
                Ok(upkeep) => done.upkeep = Some(upkeep),
                Err(error) => done.error = Some(error),
            }
        }
        if done.error.is_none() {
            for (name, post) in &self.exports {
                done.exports.push((name.clone(), self.export(name, post.clone()).await));
            }
        }
        done
    }

    /// Runs an export. One that does not come to an end keeps no other from its own.
    async fn export(&self, name: &str, post: Option<Post>) -> Result<exported::RunOutcome> {
        let options = RunOptions { post, engine: self.engine.clone(), ..RunOptions::default() };
        let mut attempts = Attempts::new(self.patience.min(EXPORT_PATIENCE));
        loop {
            match exported::run(&self.lake, name, &options).await {
                Err(error) if attempts.again(error.kind()).await => {
                    tracing::warn!(%error, export = name, "the export is tried again")
                }
                done => return done,
            }
        }
    }

    /// Loads what is new; what could not be loaded for a passing reason is tried again. What is said twice stands once in `warned`.
    async fn ingest(
        &self,
        known: &mut KnownInputs,
        committing: &AtomicBool,
        warned: &Mutex<BTreeSet<String>>,
    ) -> (Vec<Outcome>, Option<Error>) {
        let progress = |step: Progress| match step {
            Progress::Committing => committing.store(true, Ordering::Relaxed),
            Progress::Committed => committing.store(false, Ordering::Relaxed),
            Progress::Idle(told) => {
                warned.lock().unwrap_or_else(PoisonError::into_inner).insert(told);
            }
            Progress::Ignored(_) | Progress::Start { .. } | Progress::Bytes(_) | Progress::Read => {}
        };
        let mut outcomes = BTreeMap::new();
        let mut attempts = Attempts::new(self.patience);
        loop {
            let failed = match ingest_new(&self.lake, &self.watch, &self.options, known, &progress).await {
                Ok(tried) => {
                    let passing = tried.iter().filter_map(passing_reason).max_by_key(|k| *k == ErrorKind::Unavailable);
                    // an input that was loaded is known, so that only the others come again
                    outcomes.extend(tried.into_iter().map(|o| ((o.entry.file.clone(), o.path.clone()), o)));
                    match passing {
                        Some(kind) => (kind, None),
                        None => return (outcomes.into_values().collect(), None),
                    }
                }
                Err(error) => (error.kind(), Some(error)),
            };
            let (kind, error) = failed;
            if !attempts.again(kind).await {
                return (outcomes.into_values().collect(), error);
            }
        }
    }

    /// Forgets what is older than the months to keep. The rebuild after it restates what hung on it.
    async fn forget(&self, months: u32) -> Result<u64> {
        let limits = Limits { memory_bytes: self.engine.memory_bytes, threads: self.engine.threads };
        let options = ForgetOptions { suite: self.options.suite.clone(), dry_run: false, limits };
        let mut attempts = Attempts::new(self.patience);
        loop {
            match retain(&self.lake, months, &options).await {
                Err(error) if attempts.again(error.kind()).await => {
                    tracing::warn!(%error, "old rows are looked for again")
                }
                done => return done.map(|forgotten| forgotten.rows()),
            }
        }
    }

    async fn rebuild(&self) -> Result<Upkeep> {
        let mut attempts = Attempts::new(self.patience);
        loop {
            let steps = Steps { rebuilding: &|_| {}, compacting: &|_, _, _| {} };
            match upkeep(&self.lake, &self.engine, &self.rebuild, self.no_compact, steps).await {
                Err(error) if attempts.again(error.kind()).await => {
                    tracing::warn!(%error, "the rebuild is tried again")
                }
                done => return done,
            }
        }
    }
}

/// Tries of one step.
struct Attempts {
    patience: Duration,
    failed: u32,
    first: Option<Instant>,
}

impl Attempts {
    fn new(patience: Duration) -> Self {
        Self { patience, failed: 0, first: None }
    }

    /// A try has failed: waits and gives true where another one may help.
    async fn again(&mut self, kind: ErrorKind) -> bool {
        self.failed += 1;
        let waited = self.first.get_or_insert_with(Instant::now).elapsed();
        let Some(pause) = pause(kind, self.failed, waited, self.patience) else { return false };
        tokio::time::sleep(pause).await;
        true
    }
}

fn passing_reason(outcome: &Outcome) -> Option<ErrorKind> {
    match &outcome.status {
        Status::Refused(error) => {
            Some(error.kind()).filter(|k| matches!(k, ErrorKind::Unavailable | ErrorKind::Conflict))
        }
        _ => None,
    }
}

impl RunSteps {
    /// The run as history keeps it, without its times.
    pub(super) fn summary(&self) -> Run {
        let number = |of: fn(&Status) -> bool| self.outcomes.iter().filter(|o| of(&o.status)).count() as i64;
        let loaded = || self.outcomes.iter().filter(|o| matches!(o.status, Status::Loaded | Status::Replaced));
        let refused = self.outcomes.iter().filter_map(|o| match &o.status {
            Status::Refused(error) => Some(error),
            _ => None,
        });
        let refused: Vec<&Error> = refused.collect();
        let own = self.upkeep.iter().flat_map(|u| &u.rebuilt.own).filter(|own| own.status != "built");
        let unbuilt: Vec<String> = own.map(|own| format!("table {}: {}", own.table, own.message)).collect();
        let unsent = self.exports.iter().filter_map(|(_, ran)| ran.as_ref().err());
        let unsent: Vec<String> = unsent.map(Error::to_string).collect();
        let store_failed = refused.iter().any(|e| e.kind() == ErrorKind::Unavailable);
        let status = match &self.error {
            Some(_) => "failed",
            None if store_failed => "failed",
            None if !refused.is_empty() || !unbuilt.is_empty() || !unsent.is_empty() => "partly",
            None => "ok",
        };
        let uncompacted = self.upkeep.as_ref().and_then(|u| u.compacted.as_ref().err());
        let mut reasons: Vec<String> = self.error.iter().map(Error::to_string).collect();
        reasons.extend(refused.iter().take(MAX_REASONS).map(|e| e.to_string()));
        if refused.len() > MAX_REASONS {
            reasons.push(format!("and {} more, see: rejoin log", refused.len() - MAX_REASONS));
        }
        reasons.extend(unbuilt);
        reasons.extend(unsent);
        reasons.extend(uncompacted.map(|e| format!("not compacted: {e}")));
        reasons.extend(self.warnings.iter().map(|warning| format!("warning: {warning}")));
        let rebuilt = self.upkeep.as_ref().map(|u| &u.rebuilt).filter(|r| !r.up_to_date);
        Run {
            status: status.into(),
            loaded: loaded().count() as i64,
            refused: refused.len() as i64,
            waiting: number(|s| matches!(s, Status::Waiting(_))),
            rows: loaded().map(|o| o.entry.rows).sum(),
            rejected: loaded().map(|o| o.entry.rejected).sum(),
            forgotten: self.forgotten as i64,
            rebuild: rebuilt.map(|r| r.entry.rebuild),
            message: reasons.join("; "),
            ..Run::default()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lake::records::FileEntry;

    fn outcome(file: &str, rows: i64, status: Status) -> Outcome {
        let entry = FileEntry { file: file.into(), rows, rejected: 1, ..FileEntry::default() };
        Outcome { entry, path: file.into(), status, rejects: vec![], warnings: vec![], preview: None, bytes_read: 0 }
    }

    #[test]
    fn a_run_is_as_good_as_its_worst_part() {
        let of = |outcomes: Vec<Outcome>, error: Option<Error>| {
            RunSteps { outcomes, error, ..RunSteps::default() }.summary()
        };
        let fine = of(
            vec![
                outcome("a", 10, Status::Loaded),
                outcome("b", 5, Status::Unchanged),
                outcome("c", 2, Status::Replaced),
                outcome("d", 0, Status::Waiting("no .fin".into())),
            ],
            None,
        );
        assert_eq!((fine.status.as_str(), fine.loaded, fine.rows, fine.rejected, fine.waiting), ("ok", 2, 12, 2, 1));
        let refused =
            || (0..5).map(|i| outcome("x", 9, Status::Refused(Error::refused(format!("x{i}: bad"))))).collect();
        let partly = of(refused(), None);
        assert_eq!((partly.status.as_str(), partly.refused, partly.rows), ("partly", 5, 0));
        assert_eq!(partly.message, "x0: bad; x1: bad; x2: bad; and 2 more, see: rejoin log");
        assert_eq!(of(refused(), Some(Error::unavailable("down"))).status, "failed");
        let warned = RunSteps { warnings: vec!["web.toml fits nothing".into()], ..RunSteps::default() }.summary();
        assert_eq!((warned.status.as_str(), warned.message.as_str()), ("ok", "warning: web.toml fits nothing"));
        let down = of(vec![outcome("x", 0, Status::Refused(Error::unavailable("down")))], None);
        assert_eq!((down.status.as_str(), down.message.as_str()), ("failed", "down"));
    }
}
