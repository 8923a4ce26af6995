//! Rebuild: queries/integrate/*.sql become tables, only when an input changed.
//!
//! * `integrate`: the order of the queries and what each reads; runs them and commits their tables.
//!
//! Commits happen one table at a time, in a fixed order, and the row in `rebuilds` is the last: a reader between two
//! steps sees the former integrated rows, whole. Every step can be run again.

mod integrate;

pub use integrate::{Rebuilt, is_stale, rebuild};
