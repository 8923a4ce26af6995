//! The lake: Delta tables on any object store, sorted and bucketed by visitor.
//!
//! * `store`: a URL becomes an object store and a root; all object paths are made there. `s3`: how S3 is reached. `guard`:
//!   a store is asked for conditional writes before the first write.
//! * `table`: one Delta table at one version: its schema, its live files, and commits against exactly that version.
//! * `log`: what a log says without loading the table. `known`: what this process has read of
//!   logs. `log_reads`: a store as logs are read through it. `keys`: what it has found out about visitor keys.
//! * `stats`: what a file says of its rows in the log, so that readers can skip it.
//! * `layout`: the buckets of `visitor_key` and the order of rows in a file.
//! * `write`: a stream of rows becomes sorted, bucketed Parquet files. `sort`: rows in memory brought into order; `runs`:
//!   those that spilled, and the merge of all.
//! * `scan`: a table as DataFusion reads it, with its order and partitioning declared. `prune`: what it need not read.
//! * `merge`: sorted generations of a bucket become one sorted stream.
//! * `loads`: which loads' rows a file holds. `rewrite`: files become one, in order. `compact`: generations become files
//!   of whole months. `expunge`: rows leave a table.
//! * `commits`: what was done to a table, from its log. `history`: what was done to the lake, and what of it can still be
//!   asked. `vacuum`: files that no version needs any more are deleted.
//! * `registry`, `records`: the small tables (suites, sources, files, ...) as typed rows, rewritten whole in one commit.
//! * `suites`, `sources`: what users set, checked before it is stored.
//!
//! Invariants: a file holds one bucket; nothing is visible before its commit; a commit that finds another version than
//! the one it read fails with a conflict and changes nothing.

pub mod commits;
pub mod compact;
pub mod expunge;
pub mod guard;
pub mod history;
pub mod keys;
mod known;
pub mod layout;
pub mod loads;
pub mod log;
mod log_reads;
pub mod merge;
pub mod prune;
pub mod records;
pub mod registry;
pub mod rewrite;
mod runs;
pub mod s3;
pub mod scan;
mod sort;
pub mod sources;
pub mod stats;
pub mod store;
pub mod suites;
pub mod table;
pub mod vacuum;
pub mod write;

pub use registry::{Record, Registry};
pub use store::Lake;
pub use table::{Change, DataFile, Snapshot};
