//! Runs after runs, one runner a lake, until somebody says stop.
//!
//! In: a [`Job`], a timetable (none for a single run), and the signal to stop. Out: each run, as it ends. The lease is
//! kept beside the work; when it is lost, the work is dropped at once. A stop lets what runs finish for some seconds,
//! then drops it; the run is noted as stopped, and is due again when the next runner starts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};
use tokio::sync::watch;

use super::agenda::{Agenda, STOPPED};
use super::former_runs;
use super::lease::Lease;
use super::runner_status::RunnerStatus;
use super::step::{EndedRun, Job, RunSteps};
use super::timetable::Timetable;
use crate::ingest::KnownInputs;
use crate::lake::records::Run;
use crate::{ErrorKind, Result, clock};

/// What runs may take so long to finish after a stop; then it is dropped. An input that is just being committed has as long
/// again, for half of its tables may be done.
const GRACE: Duration = Duration::from_secs(5);

/// How often is looked whether a commit is done.
const GLANCE: Duration = Duration::from_millis(20);

/// The longest sleep: a clock may be set, a machine may have slept.
const MAX_SLEEP: Duration = Duration::from_secs(30);

/// Runs `job` whenever it is due, or once where there is no timetable, until `stop` becomes true. `tell` is called after
/// each run. An error of kind conflict where another runner has the lake; the last run for a single one.
pub async fn run(
    job: &Job,
    timetable: Option<Timetable>,
    stop: &watch::Receiver<bool>,
    status: &RunnerStatus,
    tell: &(dyn Fn(&EndedRun) -> Result<()> + Send + Sync),
) -> Result<Option<EndedRun>> {
    let lease = Lease::take(&job.lake).await?;
    status.has_lease(true);
    let mut keeper = tokio::spawn(lease.clone().keep());
    let mut runner = Runner { job, status, stop: stop.clone(), known: KnownInputs::default() };
    let done = tokio::select! {
        done = runner.work(timetable, tell) => done,
        lost = &mut keeper => match lost {
            Ok(error) => Err(error),
            Err(error) => Err(crate::Error::bug(format!("the lease is no longer kept: {error}"))),
        },
    };
    keeper.abort();
    status.has_lease(false);
    let lost = done.as_ref().is_err_and(|e| e.kind() == ErrorKind::Conflict);
    if !lost {
        // a lease that cannot be given back ends by itself
        match tokio::time::timeout(GRACE, lease.release()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given back; it ends by itself"),
            Err(_) => tracing::warn!("the lease was not given back in time; it ends by itself"),
        }
    }
    done
}

struct Runner<'a> {
    job: &'a Job,
    status: &'a RunnerStatus,
    stop: watch::Receiver<bool>,
    known: KnownInputs,
}

impl Runner<'_> {
    async fn work(
        &mut self,
        timetable: Option<Timetable>,
        tell: &(dyn Fn(&EndedRun) -> Result<()> + Send + Sync),
    ) -> Result<Option<EndedRun>> {
        let lake = &self.job.lake;
        let last = former_runs::last_run(lake).await?;
        self.known = former_runs::known(lake).await?;
        self.status.starts(lake, last.as_ref()).await?;
        let Some(timetable) = timetable else {
            let now = clock::now();
            return self.run(now, now).await.map(|ran| ran.inspect(|r| self.status.ran(r)));
        };
        let mut agenda = Agenda::new(timetable, last.as_ref(), clock::now())?;
        loop {
            self.status.next_is(agenda.next());
            if self.sleep_until(agenda.next()).await {
                return Ok(None);
            }
            let now = clock::now();
            let due = agenda.start(now)?;
            self.status.next_is(agenda.next());
            let Some(ran) = self.run(due, now).await? else { return Ok(None) };
            self.status.ran(&ran);
            tell(&ran)?;
        }
    }

    /// True where it is to stop.
    async fn sleep_until(&mut self, due: DateTime<Utc>) -> bool {
        loop {
            if *self.stop.borrow() {
                return true;
            }
            let Ok(left) = (due - clock::now()).to_std() else { return false };
            if left.is_zero() {
                return false;
            }
            tokio::select! {
                () = tokio::time::sleep(left.min(MAX_SLEEP)) => {}
                _ = self.stop.changed() => {}
            }
        }
    }

    /// One run, with its row in the history; None where it was broken off.
    async fn run(&mut self, due: DateTime<Utc>, started: DateTime<Utc>) -> Result<Option<EndedRun>> {
        self.status.runs_since(Some(started));
        let steps = self.steps().await;
        self.status.runs_since(None);
        let summary = match &steps {
            Some(steps) => steps.summary(),
            None => Run { status: STOPPED.into(), message: "stopped by a signal".into(), ..Run::default() },
        };
        // as exact as the lake keeps it
        let [due, started, ended] = [due, started, clock::now()].map(|time| Some(time.trunc_subsecs(6)));
        let run = Run { due, started, ended, ..summary };
        let run = match tokio::time::timeout(GRACE, former_runs::record(&self.job.lake, run.clone())).await {
            Ok(Ok(run)) => run,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the run is missing in the table runs");
                run
            }
            Err(_) => {
                tracing::warn!("the run is missing in the table runs: the store does not answer");
                run
            }
        };
        Ok(steps.map(|steps| EndedRun { run, steps }))
    }

    async fn steps(&mut self) -> Option<RunSteps> {
        let Self { job, stop, known, .. } = self;
        let committing = AtomicBool::new(false);
        let steps = job.run(known, &committing);
        tokio::pin!(steps);
        tokio::select! {
            done = &mut steps => return Some(done),
            _ = stop.wait_for(|stop| *stop) => {}
        }
        let broken_off = async {
            tokio::time::sleep(GRACE).await;
            let end = Instant::now() + GRACE;
            while committing.load(Ordering::Relaxed) && Instant::now() < end {
                tokio::time::sleep(GLANCE).await;
            }
        };
        // both are polled in turn, so that no commit begins once it is decided that there is none
        tokio::select! {
            biased;
            done = &mut steps => Some(done),
            () = broken_off => None,
        }
    }
}
