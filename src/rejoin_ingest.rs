//! What makes tables of deliveries, and tables and reports of queries.
//!
//! One of the crates of which the program is made, see `ARCHITECTURE.md`; folders are beside it, and name each other as in one crate.

pub mod export;
pub mod ingest;
pub mod rebuild;
pub mod report;
pub mod sample;

use rejoin_engine::{engine, functions};
use rejoin_lake::{attribution, clock, columns, distinct_texts, error, feed, lake, persons, quote, time};

use error::{Error, ErrorKind, Result};
