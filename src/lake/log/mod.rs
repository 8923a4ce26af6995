//! Where the lake is stored, and the logs of its tables.
//!
//! * `store`: a URL becomes an object store and a root; all object paths are made there. `s3`: how S3 is reached, `aws_profile`: with which
//!   credentials. `waits`: warns where a store does not answer. `guard`: checks that a store has conditional writes before the first write.
//!   `local_files`: how parts of files in a folder are read.
//! * `snapshot`: one table at one version, as a value. `table`: reads it from the log. `commit`: writes the next version on top of it.
//!   `retry`: decides again after a lost race. `delta_error`: the library's errors.
//! * `versions`: what a log says without loading the table. `lines`: parses a commit. `listing`: lists a log. `commits`: what was done to a
//!   table, from its log. `stats`: what the log says of the rows of a file, so that readers can skip it.
//! * `log_cache`: what this process has read of logs. `reads`: a store as logs are read through it. `keys`: what this process has found out
//!   about visitor keys. `footers`: which footers it keeps.

mod aws_profile;
mod commit;
pub mod commits;
mod delta_error;
mod footers;
pub mod guard;
pub mod keys;
mod lines;
mod listing;
mod local_files;
mod log_cache;
mod reads;
pub mod retry;
pub mod s3;
mod snapshot;
pub mod stats;
pub mod store;
mod table;
mod versions;
mod waits;

pub(in crate::lake) use log_cache::SmallTable;
pub use snapshot::{Change, DataFile, NewFile, Snapshot};
pub use store::Lake;
pub use versions::{has_same_rows, latest_version};
pub(in crate::lake) use versions::{latest, whole_files};
