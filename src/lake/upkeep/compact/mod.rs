//! Compaction: the generations of a bucket become files of whole calendar months (UTC), in the order that their rows had. What would be a
//! very large file is a set of files instead, each with an equal part of the bucket's keys.
//!
//! Where only worthwhile merges are done, files wait for others of about their size: at least four are merged, and none that has more
//! than three times the rows of all smaller ones. So a row is rewritten as often as a file can grow by a third, and there are few
//! files of each size. For months that are over, two files are enough, and a file may have fifteen times the rows of the smaller ones.
//!
//! * `plan`: which files are merged, and between which months the results are cut. Pure.
//! * `run`: writes the results and commits them, in steps.
//!
//! Invariants: each commit leaves exactly the same rows. There is no commit where nothing is to be done, one where little is, and where
//! there is much, each can fail without the others. Files of different suites, sources, buckets or kinds of visits are never mixed.
//! Readers of former versions go on, since no file is deleted. Other writers are not disturbed.

mod plan;
mod run;

pub use plan::fewer_files;
pub use run::{Compacted, CompactionOptions, Extent, compact};
