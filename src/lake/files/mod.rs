//! The lake's Parquet files: how rows are written and read.
//!
//! * `layout`: the buckets of `visitor_key` and the order of rows in a file.
//! * `write`: a stream of rows becomes sorted, bucketed Parquet files. `sort`: sorts rows in memory; `rough_order`: their
//!   order in a batch before that; `dictionary`: their texts, each kept once; `runs`: rows that were spilled, and the merge of all.
//!   `encode`: a file, column by column; `coded_column`: columns of few values, ids of visitors, sequences.
//! * `scan`: a table as DataFusion reads it, with its order and partitioning declared. `prune`: what need not be read.
//!   `ranges`: buckets in parts; only the row groups and pages of a part are read. `merge`: sorted generations of a bucket become one
//!   sorted stream. `lookup`: rows of some visitors, read a second time.
//! * `reading`: open files. `reader_memory`: accounts for the memory that they take; `range_memory`: the same for many at once.
//!   `read_ahead`: fetches what they will read next; `pieces`: what one request brings. `batches`: fewer rows in a batch where they are wide.
//! * `unique_keys`: files in which no two visitors share a key.
//! * `repeats`: rows of one hit that was delivered more than once, and where they can be. `reported`: files without excluded hits.
//! * `loads`: which loads have rows in a file. `rewrite`: several files become one, in order.

pub mod batches;
mod coded_column;
mod dictionary;
mod encode;
pub mod layout;
pub mod loads;
pub mod lookup;
pub mod merge;
pub mod parts;
mod pieces;
pub mod prune;
mod range_memory;
pub mod ranges;
mod read_ahead;
mod reader_memory;
mod reading;
pub mod repeats;
pub mod reported;
pub mod rewrite;
pub mod rough_order;
mod runs;
pub mod scan;
mod sort;
pub mod unique_keys;
pub mod write;
