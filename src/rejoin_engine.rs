//! SQL over a lake: sessions, tables, the journey operators, functions, and plans on many machines.
//!
//! One of the crates of which the program is made, see `ARCHITECTURE.md`; folders are beside it, and name each other as in one crate.

pub mod cluster;
pub mod engine;
pub mod functions;

use rejoin_lake::{attribution, clock, columns, error, feed, format, lake, options, persons, quote, sealed, time};

use error::{Error, ErrorKind, Result};
