//! The engine's plans on many machines: Apache DataFusion Ballista, embedded; no distributed computation of our own.
//!
//! * `scheduler`, `executor`: the two kinds of processes of a cluster. `workers`: what the first knows of the others;
//!   `tasks` makes an executor stop what is cancelled; `task_reports`: what ended, and nobody heard of it.
//! * `client`: submits a plan, watches it, fetches its rows, cancels what nobody waits for.
//! * `ready`: makes a plan one that Ballista computes rightly, or refuses it; `keep`: what the scheduler must leave so;
//!   `windows`: words that would be lost on the way.
//! * `writes`: executors write files; who asked for them commits. `codec`: our operators and functions as bytes. `parts`: what
//!   all three have in common. `wire`: how they reach each other. `work_folder`: where an executor keeps rows between stages.
//!
//! Invariants: plans are made by the client; a leaf is a scan of the lake's files or a few rows; an answer is whole or an error;
//! credentials of the store come from each executor's own environment and are in no plan; the partition index, which is local to
//! a task, is never taken for a bucket.

mod client;
mod codec;
mod executor;
mod keep;
mod parts;
mod ready;
mod scheduler;
mod task_reports;
mod tasks;
mod windows;
mod wire;
mod work_folder;
mod workers;
mod writes;

pub use client::{Cluster, settled};
pub use executor::{ExecutorSettings, execute};
pub use scheduler::{Overview, serve};
pub use wire::Wire;
pub use work_folder::WorkFolder;
