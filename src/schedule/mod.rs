//! The scheduled run: picks up what is complete, loads it, rebuilds; one runner a lake.
//!
//! * `timetable`: when a run is due, by cron expression or interval, on the clock of a zone. `agenda`: the next run,
//!   given the last one; what was missed; how long a step is tried again. Both are pure: the time is an argument.
//! * `step`: one run, step by step. `runner`: runs after runs, until a signal. `lease`: one runner a lake, on any store.
//! * `former_runs`: what former runs left behind: the table `runs`, and which files need not be read again.
//! * `runner_status`: what the runner is doing, for others to see. `http`: the same as `/healthz`, `/readyz` and `/metrics`.
//!
//! Invariants: runs never overlap; runs that were missed are caught up once; a run that is broken off leaves the lake as
//! any broken-off `ingest` or `rebuild` does, and is run again.

mod agenda;
mod former_runs;
mod http;
mod lease;
mod runner;
mod runner_status;
mod step;
mod timetable;

pub use http::serve;
pub use runner::run;
pub use runner_status::RunnerStatus;
pub use step::{EndedRun, Job};
pub use timetable::Timetable;
