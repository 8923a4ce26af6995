//! Tasks whose last word was lost.
//!
//! Ballista's executors say once that a task has ended. Where that does not arrive, since a connection broke in that moment, the
//! scheduler takes the task for a running one for ever, and its statement waits as long. So executors tell every few seconds which
//! tasks they have. What the scheduler takes for running, and its executor has not had for a minute, is lost, and its job
//! with it: the client runs that again, as if the executor were lost.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ballista_core::JobId;
use serde::{Deserialize, Serialize};
use tokio::time::{sleep, timeout};
use tonic::codegen::Service;
use tonic::transport::Channel;

use super::parts::readable;
use super::wire::Wire;
use super::workers::locked;
use crate::{Error, Result};

/// Where a scheduler hears what executors have.
pub(super) const TASKS: &str = "/rejoin/tasks";

/// How often an executor tells it.
const REPORT_PERIOD: Duration = Duration::from_secs(5);
/// What it told is believed for so long; it is heard of again, or it is gone.
const BELIEVED: Duration = Duration::from_secs(20);
/// So long a task has been with nobody before it is lost: its last word may be on its way, or its first.
const MISSING: Duration = Duration::from_secs(60);

/// A task of any job.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct TaskName {
    pub job: String,
    pub stage: usize,
    pub task: usize,
}

impl TaskName {
    pub fn new(job: &JobId, stage: usize, task: usize) -> Self {
        Self { job: job.to_string(), stage, task }
    }
}

/// What an executor, which is reached at an address, has.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ExecutorReport {
    executor: String,
    tasks: Vec<TaskName>,
}

impl ExecutorReport {
    async fn send(&self, channel: &mut Channel) -> Result<()> {
        let failed = |e: &dyn std::fmt::Display| Error::unavailable(format!("no answer: {}", readable(&e.to_string())));
        let report = axum::body::Body::from(serde_json::to_vec(self).map_err(|e| failed(&e))?);
        let request = axum::http::Request::post(TASKS).header("content-type", "application/json");
        let request = request.body(tonic::body::Body::new(report)).map_err(|e| failed(&e))?;
        std::future::poll_fn(|context| channel.poll_ready(context)).await.map_err(|e| failed(&e))?;
        let answer = channel.call(request).await.map_err(|e| failed(&e))?;
        if answer.status().is_success() { Ok(()) } else { Err(failed(&answer.status())) }
    }
}

/// The tasks that an executor has. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct RunningTasks(Arc<Mutex<HashMap<TaskName, usize>>>);

impl RunningTasks {
    /// A task is here for as long as the value lives.
    pub fn begin(&self, task: TaskName) -> TaskGuard {
        *locked(&self.0).entry(task.clone()).or_default() += 1;
        TaskGuard { task, all: self.clone() }
    }

    fn tasks(&self) -> Vec<TaskName> {
        locked(&self.0).keys().cloned().collect()
    }

    /// Tells the scheduler of them, as the executor that is reached at an address, now and then.
    pub async fn send_reports(self, wire: Wire, scheduler: String, executor: String) -> Infallible {
        let mut channel = wire.endpoint(&scheduler).map(|endpoint| endpoint.connect_lazy());
        loop {
            sleep(REPORT_PERIOD).await;
            let report = ExecutorReport { executor: executor.clone(), tasks: self.tasks() };
            // what was not heard is told again
            if let Ok(channel) = &mut channel
                && !matches!(timeout(REPORT_PERIOD, report.send(channel)).await, Ok(Ok(())))
            {
                tracing::debug!(%scheduler, "the scheduler does not hear which tasks are here");
            }
        }
    }
}

/// A task that an executor has.
#[derive(Debug)]
pub(super) struct TaskGuard {
    task: TaskName,
    all: RunningTasks,
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        let mut tasks = locked(&self.all.0);
        if let Some(count) = tasks.get_mut(&self.task) {
            *count -= 1;
            if *count == 0 {
                tasks.remove(&self.task);
            }
        }
    }
}

/// What the scheduler has heard of executors.
#[derive(Debug, Default)]
pub(super) struct TaskReports {
    /// By address: when that was, and the tasks.
    heard: HashMap<String, (Instant, HashSet<TaskName>)>,
    /// Since when tasks have been with nobody, with the address of who should have them.
    missing: HashMap<(TaskName, String), Instant>,
}

impl TaskReports {
    /// Notes what an executor tells.
    pub fn receive(&mut self, report: ExecutorReport, now: Instant) {
        self.heard.retain(|_, (when, _)| now.duration_since(*when) <= BELIEVED);
        self.heard.insert(report.executor, (now, report.tasks.into_iter().collect()));
    }

    /// The jobs of which a task is lost, of tasks that are taken for running ones, each with the address of its executor.
    pub fn lost(&mut self, running: impl IntoIterator<Item = (TaskName, String)>, now: Instant) -> BTreeSet<String> {
        let mut missing = HashMap::new();
        for (task, executor) in running {
            let told = self.heard.get(&executor).filter(|(when, _)| now.duration_since(*when) <= BELIEVED);
            if told.is_some_and(|(_, tasks)| !tasks.contains(&task)) {
                let since = self.missing.get(&(task.clone(), executor.clone())).copied().unwrap_or(now);
                missing.insert((task, executor), since);
            }
        }
        self.missing = missing;
        let long = self.missing.iter().filter(|(_, since)| now.duration_since(**since) >= MISSING);
        long.map(|((task, _), _)| task.job.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(job: &str, task: usize) -> TaskName {
        TaskName { job: job.into(), stage: 1, task }
    }

    fn report(executor: &str, tasks: &[TaskName]) -> ExecutorReport {
        ExecutorReport { executor: executor.into(), tasks: tasks.to_vec() }
    }

    #[test]
    fn a_task_that_its_executor_no_longer_has_is_lost_after_a_while() {
        let (mut reports, begun) = (TaskReports::default(), Instant::now());
        let running = || [("one", 1), ("one", 2), ("other", 1)].map(|(job, n)| (task(job, n), "here:1".to_string()));
        let mut lost_after = None;
        for second in (0..120).step_by(5) {
            let now = begun + Duration::from_secs(second);
            // the second task of the one job ends after 30 s, and nobody hears of it
            let mut tasks = vec![task("one", 1), task("other", 1)];
            if second < 30 {
                tasks.push(task("one", 2));
            }
            reports.receive(report("here:1", &tasks), now);
            let lost = reports.lost(running(), now);
            if !lost.is_empty() && lost_after.is_none() {
                assert_eq!(lost, BTreeSet::from(["one".to_string()]));
                lost_after = Some(second);
            }
        }
        assert_eq!(lost_after, Some(90));
    }

    #[test]
    fn who_is_not_heard_of_has_lost_nothing() {
        let (mut reports, begun) = (TaskReports::default(), Instant::now());
        let running = || [(task("one", 1), "here:1".to_string())];
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        // another executor tells, this one never did
        for second in (0..200).step_by(5) {
            reports.receive(report("there:1", &[]), at(second));
            assert!(reports.lost(running(), at(second)).is_empty());
        }
        // it does, and is silent then: it may be gone, which others find out
        reports.receive(report("here:1", &[]), at(200));
        for second in (200..400).step_by(5) {
            assert!(reports.lost(running(), at(second)).is_empty());
        }
        // a task that came back is none that is missing
        for second in (400..600).step_by(5) {
            let tasks = if second % 50 == 0 { vec![task("one", 1)] } else { vec![] };
            reports.receive(report("here:1", &tasks), at(second));
            assert!(reports.lost(running(), at(second)).is_empty());
        }
        // one whose word was heard at last is not asked for any more
        assert!(reports.lost([], at(700)).is_empty());
    }

    #[test]
    fn tasks_are_at_work_until_all_of_their_runs_end() {
        let at_work = RunningTasks::default();
        let (first, again, other) = (task("one", 1), task("one", 1), task("one", 2));
        let (first, again) = (at_work.begin(first), at_work.clone().begin(again));
        let other = at_work.begin(other);
        assert_eq!(at_work.tasks().len(), 2);
        drop((first, other));
        assert_eq!(at_work.tasks(), [task("one", 1)]);
        drop(again);
        assert!(at_work.tasks().is_empty());
    }
}
