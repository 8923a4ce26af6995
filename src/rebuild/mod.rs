//! Rebuild: queries/integrate/*.sql become tables, only as far as an input changed.
//!
//! * `run`: one rebuild from beginning to end.
//! * `inputs`: the versions of what it reads; whether anything is new at all.
//! * `changes`: which loads came and went since the last rebuild.
//! * `record_places`: where records of one instant stand, by the names of their files.
//! * `due`: the hits and records that these changes make due, by queries/due/*.sql. `beside`: rows that are in one place with these.
//! * `queries`: those of the integration. `integrate`: the order of the queries and what each reads.
//! * `memory`: how much of it queries and sorting take.
//! * `sink`: rows of queries become files, here or on a cluster. `renew`: new rows beside or in place of former ones, in one commit.
//! * `persons`: whose rows are whose, in suites that have persons; the hits of loads that came are read, of others what was kept.
//! * `own`: tables of the user's own, each a query of theirs.
//! * `status`: each source and data feed at a glance.
//! * `upkeep`: a rebuild, and the compaction that follows it.
//!
//! Commits happen one table at a time, in a fixed order, and the row in `rebuilds` is the last: a reader between two
//! steps sees the former integrated rows, whole. Every step can be run again: a rebuild that finds a table with other rows
//! than the last finished one left integrates everything.

mod beside;
mod changes;
mod due;
mod inputs;
mod integrate;
mod memory;
mod own;
mod persons;
mod queries;
mod record_places;
mod renew;
mod run;
mod sink;
mod status;
mod upkeep;

pub use inputs::last_rebuild;
pub use own::{OwnBuilt, tables_with_removed_rows};
pub use run::{RebuildOptions, Rebuilt, is_stale, rebuild};
pub use status::{FeedStatus, PersonStatus, SourceStatus, status_of_feeds, status_of_persons, status_of_sources};
pub use upkeep::{Steps, Upkeep, upkeep};
