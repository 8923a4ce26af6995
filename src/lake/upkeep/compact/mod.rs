//! Compaction: the generations of a bucket become files of whole calendar months (UTC), in the order that they had. What would be a
//! very large file is a set of files instead, each with an equal part of the bucket's keys.
//!
//! Where only what is worth its work is done, files wait for others of about their size: at least four are merged, and none that has
//! more than three times the rows of all smaller ones. So a row is written again as often as a file can grow by a third, and few
//! files of each size lie beside each other. Of months that are over it is two, and fifteen times the rows.
//!
//! * `plan`: which files are merged, and between which months the results are cut. Pure.
//! * `run`: writes the results and commits them, in steps.
//!
//! Invariants: the rows stay the same, to the last, with each commit; there is none where nothing is to be done, one where
//! little is, and where much is each can fail without the others; files of different suites, sources, buckets or kinds of
//! visits are never mixed; readers of former versions go on, since no file is deleted; whoever else commits meanwhile is not
//! disturbed.

mod plan;
mod run;

pub use plan::fewer_files;
pub use run::{Compacted, CompactionOptions, Extent, compact};
