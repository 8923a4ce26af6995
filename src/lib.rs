//! Rejoin ties offline events to online visitors, on the user's own Parquet, in SQL.

pub mod address;
pub mod attribution;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod columns;
pub mod engine;
pub mod error;
pub mod feed;
pub mod format;
pub mod functions;
pub mod ingest;
pub mod lake;
pub mod manual;
pub mod pages;
pub mod quote;
pub mod rebuild;
pub mod report;
pub mod sample;
pub mod schedule;
pub mod sealed;
pub mod serve;
pub mod shell;
pub mod time;

pub use error::{Error, ErrorKind, Result};
