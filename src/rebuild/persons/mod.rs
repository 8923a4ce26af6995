//! Persons: found anew by each rebuild from the customer IDs on hits and from the user's rules, in the suites that have them.
//!
//! * `find`: the persons of all suites, from the IDs on hits to the two tables.
//! * `hit_ids`: the rows of hits that bear an ID, in order. `in_parts`: rows in order, read in parts side by side. `runs`: rows of
//!   a visitor with one ID, and what runs amount to.
//! * `kept`: runs of what was loaded, kept in a table of the lake, so that a rebuild reads the hits of new loads alone.
//! * `visitor_ids`: the IDs that each visitor bears, from what is kept and from hits.
//! * `written`: the tables `persons` and `person_audit`.

mod find;
mod hit_ids;
mod in_parts;
mod kept;
mod runs;
mod visitor_ids;
mod written;

pub use find::{Sources, find_persons};
