//! What the runner is doing, for others to see: readiness, and metrics in Prometheus' text format.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::step::EndedRun;
use crate::Result;
use crate::format::prometheus::Page;
use crate::ingest::Status;
use crate::lake::records::{FileEntry, Run};
use crate::lake::{Lake, Registry};

/// A run that is due for longer is overdue.
const LATE: TimeDelta = TimeDelta::minutes(10);

/// Statuses that a run that ended may have.
const STATUSES: [&str; 3] = ["ok", "partly", "failed"];

/// What there is to see.
#[derive(Debug, Default)]
pub struct RunnerStatus(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    has_lease: bool,
    next: Option<DateTime<Utc>>,
    running_since: Option<DateTime<Utc>>,
    last: Option<Run>,
    runs: BTreeMap<String, u64>,
    loaded: i64,
    refused: i64,
    rows: i64,
    rejected: i64,
    rebuild_seconds: Option<f64>,
    newest_input: Option<DateTime<Utc>>,
}

impl RunnerStatus {
    /// The lease is held, or no longer.
    pub(super) fn has_lease(&self, has: bool) {
        self.state().has_lease = has;
    }

    /// A runner starts, after the `last` run.
    pub(super) async fn starts(&self, lake: &Lake, last: Option<&Run>) -> Result<()> {
        let files = Registry::<FileEntry>::read(lake).await?.rows;
        let newest = files.iter().filter(|f| f.status == "loaded").filter_map(|f| f.received).max();
        let mut state = self.state();
        state.last = last.cloned();
        state.newest_input = newest;
        Ok(())
    }

    /// When the next run is due.
    pub(super) fn next_is(&self, next: DateTime<Utc>) {
        self.state().next = Some(next);
    }

    /// A run began, or none is going on.
    pub(super) fn runs_since(&self, since: Option<DateTime<Utc>>) {
        self.state().running_since = since;
    }

    /// A run ended.
    pub(super) fn ran(&self, ran: &EndedRun) {
        let loaded = ran.steps.outcomes.iter().filter(|o| matches!(o.status, Status::Loaded | Status::Replaced));
        let newest = loaded.filter_map(|o| o.entry.received).max();
        let mut state = self.state();
        let Run { status, loaded, refused, rows, rejected, .. } = &ran.run;
        *state.runs.entry(status.clone()).or_default() += 1;
        state.loaded += loaded;
        state.refused += refused;
        state.rows += rows;
        state.rejected += rejected;
        state.newest_input = state.newest_input.max(newest);
        if let Some(upkeep) = ran.steps.upkeep.as_ref().filter(|u| !u.rebuilt.up_to_date) {
            state.rebuild_seconds = Some(upkeep.rebuilt.seconds);
        }
        state.last = Some(ran.run.clone());
    }

    /// Why the runner is not ready; nothing when it is. A refused input is no reason: the runner did its work.
    pub fn problems(&self, now: DateTime<Utc>) -> Vec<String> {
        let state = self.state();
        let mut problems = vec![];
        if !state.has_lease {
            problems.push("the lease of the lake is not held".to_string());
        }
        if let Some(run) = state.last.as_ref().filter(|run| run.status == "failed") {
            problems.push(format!("run {} failed: {}", run.run, run.message));
        }
        if let Some(next) = state.next.filter(|next| *next + LATE < now) {
            problems.push(format!("a run is overdue since {}", next.format("%Y-%m-%dT%H:%M:%SZ")));
        }
        problems
    }

    /// All metrics, in Prometheus' text format.
    pub fn metrics(&self, now: DateTime<Utc>) -> String {
        let state = self.state();
        let mut page = Page::default();
        let flag = |is: bool| f64::from(u8::from(is));
        let seconds = |time: DateTime<Utc>| time.timestamp_millis() as f64 / 1000.0;
        page.one(
            "rejoin_lease_held",
            "gauge",
            "1 while this process runs the lake's schedule.",
            Some(flag(state.has_lease)),
        );
        page.one("rejoin_run_next_timestamp_seconds", "gauge", "When the next run is due.", state.next.map(seconds));
        page.one(
            "rejoin_run_in_progress",
            "gauge",
            "1 while a run goes on.",
            Some(flag(state.running_since.is_some())),
        );
        let last = state.last.as_ref();
        let started = last.and_then(|r| r.started);
        let ended = last.and_then(|r| r.ended);
        page.one(
            "rejoin_run_last_start_timestamp_seconds",
            "gauge",
            "When the last run started.",
            started.map(seconds),
        );
        page.one("rejoin_run_last_end_timestamp_seconds", "gauge", "When the last run ended.", ended.map(seconds));
        let took = started.zip(ended).map(|(from, to)| seconds(to) - seconds(from));
        page.one("rejoin_run_last_duration_seconds", "gauge", "How long the last run took.", took);
        let of_last =
            last.into_iter().flat_map(|r| STATUSES.iter().map(move |status| (*status, flag(r.status == *status))));
        page.by("rejoin_run_last_status", "gauge", "1 for the status of the last run.", "status", of_last);
        let totals = STATUSES.iter().map(|status| (*status, state.runs.get(*status).copied().unwrap_or(0) as f64));
        page.by("rejoin_runs_total", "counter", "Runs since this process started.", "status", totals);
        page.one("rejoin_files_loaded_total", "counter", "Inputs loaded or replaced.", Some(state.loaded as f64));
        page.one("rejoin_files_refused_total", "counter", "Inputs refused.", Some(state.refused as f64));
        let waiting = last.map(|r| r.waiting as f64);
        page.one(
            "rejoin_files_waiting",
            "gauge",
            "Inputs that the last run found incomplete, or of a stopped source.",
            waiting,
        );
        page.one("rejoin_rows_loaded_total", "counter", "Rows loaded.", Some(state.rows as f64));
        page.one("rejoin_rows_rejected_total", "counter", "Rows rejected.", Some(state.rejected as f64));
        let took = state.rebuild_seconds;
        page.one(
            "rejoin_rebuild_last_duration_seconds",
            "gauge",
            "How long the last rebuild took that was not idle.",
            took,
        );
        let lag = state.newest_input.map(|time| seconds(now) - seconds(time));
        page.one("rejoin_input_lag_seconds", "gauge", "Time since the newest input was received.", lag);
        page.into_text()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::schedule::step::RunSteps;

    fn ran(status: &str, now: DateTime<Utc>) -> EndedRun {
        let run = Run {
            run: 7,
            started: Some(now - TimeDelta::seconds(90)),
            ended: Some(now),
            status: status.into(),
            rows: 12,
            message: "the store is down".into(),
            ..Run::default()
        };
        EndedRun { run, steps: RunSteps::default() }
    }

    #[test]
    fn readiness_names_its_reasons() {
        let now: DateTime<Utc> = "2026-05-01T10:00:00Z".parse().unwrap();
        let status = RunnerStatus::default();
        assert_eq!(status.problems(now), ["the lease of the lake is not held"]);
        status.has_lease(true);
        status.next_is(now);
        status.ran(&ran("partly", now));
        assert!(status.problems(now + TimeDelta::minutes(9)).is_empty());
        status.ran(&ran("failed", now));
        let problems = status.problems(now + TimeDelta::minutes(11));
        assert_eq!(problems, ["run 7 failed: the store is down", "a run is overdue since 2026-05-01T10:00:00Z"]);
    }

    #[test]
    fn metrics_have_their_heads_and_add_up() {
        let now: DateTime<Utc> = "2026-05-01T10:00:00Z".parse().unwrap();
        let status = RunnerStatus::default();
        status.ran(&ran("ok", now));
        status.ran(&ran("failed", now));
        let page = status.metrics(now);
        for line in [
            "rejoin_runs_total{status=\"ok\"} 1",
            "rejoin_runs_total{status=\"failed\"} 1",
            "rejoin_run_last_status{status=\"ok\"} 0",
            "rejoin_run_last_status{status=\"failed\"} 1",
            "rejoin_rows_loaded_total 24",
            "rejoin_run_last_duration_seconds 90",
            "rejoin_run_last_end_timestamp_seconds 1777629600",
            "rejoin_lease_held 0",
        ] {
            assert!(page.lines().any(|l| l == line), "{line}\n{page}");
        }
        // what is not known is left out, heads and all
        assert!(!page.contains("rejoin_run_next") && !page.contains("rejoin_input_lag"), "{page}");
    }
}
