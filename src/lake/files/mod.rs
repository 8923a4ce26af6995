//! The lake's Parquet files, from the rows that are written to the rows that are read.
//!
//! * `layout`: the buckets of `visitor_key` and the order of rows in a file.
//! * `write`: a stream of rows becomes sorted, bucketed Parquet files. `sort`: rows in memory brought into order;
//!   `dictionary`: their texts, each kept once; `runs`: rows that spilled, and the merge of all. `encode`: a file, column by
//!   column; `coded_column`: columns of few values, ids of visitors, sequences.
//! * `scan`: a table as DataFusion reads it, with its order and partitioning declared. `prune`: what it need not read.
//!   `ranges`: buckets in parts, of each of which only its row groups and pages are read.
//!   `merge`: sorted generations of a bucket become one sorted stream. `lookup`: rows of some visitors, looked at once more.
//! * `reading`: open files. `reader_memory`: what they take is accounted. `range_memory`: the same for many at once.
//!   `read_ahead`: what they will want is fetched before that. `batches`: fewer rows at a time where they are wide.
//! * `unique_keys`: files in which no two visitors share a key.
//! * `repeats`: rows of one hit that was delivered more than once, and where they can be. `reported`: files without excluded hits.
//! * `loads`: which loads' rows a file holds. `rewrite`: files become one, in order.

pub mod batches;
mod coded_column;
mod dictionary;
mod encode;
pub mod layout;
pub mod loads;
pub mod lookup;
pub mod merge;
pub mod parts;
pub mod prune;
mod range_memory;
pub mod ranges;
mod read_ahead;
mod reader_memory;
mod reading;
pub mod repeats;
pub mod reported;
pub mod rewrite;
mod runs;
pub mod scan;
mod sort;
pub mod unique_keys;
pub mod write;
