//! The scheduled run: picks up what is complete, loads it, rebuilds; one runner a lake.
//!
//! * `timetable`: when a run is due, by cron expression or interval, on the clock of a zone. `agenda`: the next run,
//!   given the last one; what was missed; how long a step is tried again. Both are pure: the time is an argument.
//! * `step`: one run, step by step. `runner`: runs after runs, until a signal. `lease`: one runner a lake, on any store.
//! * `memory`: what former runs left behind: the table `runs`, and which files need not be read again.
//! * `board`: what the runner is doing, for others to see. `http`: the same as `/healthz`, `/readyz` and `/metrics`.
//!
//! Invariants: runs never overlap; runs that were missed are caught up once; a run that is broken off leaves the lake as
//! any broken-off `ingest` or `rebuild` does, and is run again.

mod agenda;
mod board;
mod http;
mod lease;
mod memory;
mod runner;
mod step;
mod timetable;

pub use board::Board;
pub use http::serve;
pub use runner::run;
pub use step::{Job, Ran};
pub use timetable::Timetable;
