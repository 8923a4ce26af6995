//! The engine's plans on many machines: Apache DataFusion Ballista, embedded; no distributed computation of our own.
//!
//! * `scheduler`, `executor`: the two kinds of processes of a cluster. `workers`: what the scheduler knows of executors; `tasks`: makes an
//!   executor stop cancelled tasks; `task_reports`: finds tasks whose end was not heard.
//! * `client`: submits a plan, watches it, fetches its rows, cancels what nobody waits for.
//! * `ready`: changes a plan so that Ballista computes it right, or refuses it; `keep`: parts that the scheduler must not remove;
//!   `windows`: clauses of window functions that would be lost on the way.
//! * `writes`: executors write files, and the client commits them. `codec`: our operators and functions as bytes. `parts`: what all
//!   three have in common. `wire`: connections and certificates. `work_folder`: where an executor keeps rows between stages.
//!
//! Invariants: plans are made by the client; a leaf is a scan of the lake's files or a few rows; an answer is whole or an error;
//! credentials of the store come from each executor's own environment and are in no plan; the partition index, which is local to a task,
//! is never taken for a bucket.

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
