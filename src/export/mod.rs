//! Sends conversions to others: to ad platforms, or into a file; and sends them again where they change.
//!
//! * `target`: the targets. `definition`: what an export is. `saved`: the exports of a lake. `fields`: the fields that a target takes, and
//!   which of them are personal.
//! * `normal`: how a text is normalised before it is hashed. `query`: an export as SQL, each conversion with its stable id.
//! * `decide`: what to send of one conversion, from its state now and what the target has. `targets`: how it is written.
//! * `ledger`: what was sent, a row a conversion. `grouped`: its rows, and conversions, grouped by id.
//! * `runs`: the runs, and which of them waits. `bodies`: their files.
//! * `run`: one run. `post`: sends bodies. `counts`: the ledger in numbers.
//!
//! Invariants: a run exists once its ledger rows are committed; nothing is sent before. While a run waits, no other is made.

mod bodies;
pub mod counts;
mod decide;
pub mod definition;
pub mod fields;
mod grouped;
mod ledger;
mod normal;
pub mod post;
mod query;
pub mod run;
pub mod runs;
pub mod saved;
pub mod target;
mod targets;
