//! The lake's Parquet files, from the rows that are written to the rows that are read.
//!
//! * `layout`: the buckets of `visitor_key` and the order of rows in a file.
//! * `write`: a stream of rows becomes sorted, bucketed Parquet files. `sort`: rows in memory brought into order; `runs`:
//!   those that spilled, and the merge of all.
//! * `scan`: a table as DataFusion reads it, with its order and partitioning declared. `prune`: what it need not read.
//!   `merge`: sorted generations of a bucket become one sorted stream.
//! * `repeats`: rows of one hit that was delivered more than once, and where they can be.
//! * `loads`: which loads' rows a file holds. `rewrite`: files become one, in order.

pub mod layout;
pub mod loads;
pub mod merge;
pub mod prune;
pub mod repeats;
pub mod rewrite;
mod runs;
pub mod scan;
mod sort;
pub mod write;
