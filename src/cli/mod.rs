//! The command line: arguments become settings, settings become calls to one of the doors below, results become output.
//!
//! * `args`: the list of commands. `global`: options of all. `settings`: what they mean. `command`: which command does it.
//!   `choice`: words to choose from.
//! * One file a command or small group, with its arguments and their help: `demo`, `sample`, `suite`, `source`, `ingest`, `rebuild`, `compact`, `schedule`,
//!   `serve`, `mcp`, `user`, `cluster`, `status` (and `log`), `history`, `forget`, `vacuum`, `query` (and `shell`), `report`, `explain_credit`, `lookup`, `export`,
//!   `functions`, `doctor`, `help` (with `markdown`, the manual on a terminal).
//! * `signals`: for those that stop in their own way. `output`: where results go. `listing`: small tables. `terminal`, `progress`: what
//!   only a person sees.
//!
//! Invariants: results go to stdout, everything else to stderr; with `--json` a command prints one JSON document.

pub mod args;
mod choice;
mod cluster;
mod command;
mod compact;
mod demo;
mod doctor;
mod explain_credit;
mod export;
mod filters;
mod forget;
mod functions;
pub mod global;
mod help;
mod history;
mod ingest;
mod listing;
mod lookup;
mod mapping;
mod markdown;
mod mcp;
mod output;
mod person;
mod progress;
mod query;
mod rebuild;
mod report;
mod sample;
mod schedule;
mod segment;
mod serve;
pub mod settings;
mod signals;
mod source;
mod status;
mod suite;
mod terminal;
mod user;
mod vacuum;

pub use command::run;
pub use output::{note, reader_left};
