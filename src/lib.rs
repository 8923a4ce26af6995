//! Rejoin ties offline events to online visitors, on your own Parquet, in SQL.
//!
//! The program is made of four crates, so that a change does not compile all of it; this is the uppermost: the doors. Public is
//! what the program, the tests and the benchmark name.

pub mod cli;
pub mod manual;
mod pages;
mod schedule;
mod serve;
mod shell;

use rejoin_engine::functions;
pub use rejoin_engine::{cluster, engine};
use rejoin_ingest::report;
pub use rejoin_ingest::{export, ingest, rebuild, sample};
use rejoin_lake::{address, clock, format, options, quote, sealed, time};
pub use rejoin_lake::{attribution, columns, error, feed, lake, persons};

pub use error::{Error, ErrorKind, Result};
