//! The named reports: plain SQL of `queries/reports/` (and `queries/overview/`), compiled in, with the values that a user chose put into it.
//!
//! * `named`: the reports, each with its description and parameters. `fill`: values into SQL.
//! * `person`: who a person is.
//!
//! A report's SQL runs as it stands: its parameters' defaults are ordinary names and literals of the statement.

mod fill;
mod named;
mod person;

pub use named::{Report, find, overview, reports};
pub use person::PersonSql;
