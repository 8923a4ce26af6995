//! Compaction: the generations of a bucket become files of whole calendar months (UTC), in the order that they had.
//!
//! * `plan`: which files are merged, and between which months the results are cut. Pure.
//! * `run`: writes the results and commits them.
//!
//! Invariants: the rows stay the same, to the last; one commit a table, or none where nothing is to be done; files of
//! different suites, sources, buckets or kinds of visits are never mixed; readers of former versions go on, since no file is
//! deleted; whoever else commits meanwhile is not disturbed.

mod plan;
mod run;

pub use run::{Compacted, CompactionOptions, Extent, compact};
