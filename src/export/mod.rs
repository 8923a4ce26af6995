//! Conversions are told to others: to ad platforms, or to whoever reads a file; and told again where they change.
//!
//! * `target`: to whom. `definition`: what an export is. `saved`: the exports of a lake. `fields`: what a target can be told, and
//!   what of it is personal.
//! * `normal`: how a text is written before it is hashed. `query`: an export as SQL, each conversion with its stable id.
//! * `decide`: what is to be told of one conversion, from what is so now and what the target has. `targets`: how it is written.
//! * `ledger`: what was told, a row a conversion. `grouped`: rows of it, and conversions, those that are called alike together.
//! * `runs`: the runs, and which of them waits. `bodies`: their files.
//! * `run`: one run. `post`: bodies are sent. `counts`: the ledger in numbers.
//!
//! Invariants: a run is there when the commit of its ledger rows is; nothing is told before. While a run waits no other is made.

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
