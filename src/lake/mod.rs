//! The lake: Delta tables on any object store, sorted and bucketed by visitor. Four rooms, each above the one before:
//!
//! * `log`: where the lake is, and the log of each table: its versions, its files, and one commit after the other.
//! * `files`: Parquet files: in which order and buckets their rows are, how they are written, merged and read.
//! * `records`: the small tables (suites, sources, files, ...) as typed rows, and what users set in them.
//! * `upkeep`: what is done to whole tables: compaction, erasure, deletion of old files, their history.
//!
//! `tables` names the tables that every lake has, with their kinds and columns. From outside a file is named without its
//! room: `crate::lake::scan`.
//!
//! Invariants: a file holds one bucket; nothing is visible before its commit; a commit that finds another version than
//! the one it read fails with a conflict and changes nothing.

mod files;
pub mod log;
pub mod records;
pub mod tables;
mod upkeep;

pub use files::{
    batches, layout, loads, lookup, merge, parts, prune, ranges, repeats, reported, rewrite, rough_order, scan,
    unique_keys, write,
};
pub use log::{Change, DataFile, Lake, NewFile, Snapshot, commits, guard, keys, retry, s3, stats, store};
pub use records::{
    Record, Registry, bindings, location, person_rules, registry, saved_reports, segments, sources, suites,
};
pub use upkeep::{compact, expunge, history, key_check, vacuum};
