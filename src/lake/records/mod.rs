//! The small tables as typed rows, rewritten whole in one commit.
//!
//! * `registry`: rows are read, changed in memory and written back. `rows`: the types of the rows, each declared once.
//! * `location`: where lakes are. `suites`, `sources`: what users set, checked before it is stored.
//!   `bindings`: of suites, what is bound to products. `segments`: of suites, whom questions can be about.
//!   `person_rules`: what users say about whose rows are whose. `saved_reports`: questions of the web page under names.

pub mod bindings;
pub mod location;
pub mod person_rules;
pub mod registry;
mod rows;
pub mod saved_reports;
pub mod segments;
pub mod sources;
pub mod suites;

pub use registry::{Record, Registry};
pub use rows::{
    ExportDefinition, ExportEvent, ExportRun, FileEntry, JoinReport, OwnTable, PersonAudit, PersonRule, PersonSpan,
    Rebuild, Run, SavedReport, Source, Suite, TableDoc, Vacuum, documentation,
};
