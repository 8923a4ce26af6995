//! Below SQL: the tables of a lake, what is pure (feeds, credit, persons), forms, times, names, errors.
//!
//! One of the crates of which the program is made, see `ARCHITECTURE.md`; folders are beside it, and name each other as in one crate.

pub mod address;
pub mod attribution;
pub mod clock;
pub mod columns;
pub mod distinct_texts;
pub mod error;
pub mod feed;
pub mod format;
pub mod lake;
pub mod options;
pub mod persons;
pub mod quote;
pub mod sealed;
pub mod time;

pub use error::{Error, ErrorKind, Result};
