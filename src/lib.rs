//! Rejoin ties offline events to online visitors, on the user's own Parquet, in SQL.
//!
//! Public is what the program, the tests and the benchmark name; of all else the compiler tells what nothing uses.

mod address;
pub mod attribution;
pub mod cli;
mod clock;
pub mod cluster;
pub mod columns;
pub mod engine;
pub mod error;
pub mod export;
pub mod feed;
mod format;
mod functions;
pub mod ingest;
pub mod lake;
pub mod manual;
mod options;
mod pages;
pub mod persons;
mod quote;
pub mod rebuild;
mod report;
pub mod sample;
mod schedule;
mod sealed;
mod serve;
mod shell;
mod time;

pub use error::{Error, ErrorKind, Result};
