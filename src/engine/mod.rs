//! The engine: SQL in, batches out, over one version of the lake a statement.
//!
//! * `session`: [`Engine`], the only door to SQL; shell, servers, reports and rebuilds hold the same one.
//! * `statement`: one statement, parsed once, with what it names. `running`: a statement that runs. `explained`: its plan as
//!   lines.
//! * `dialect`: the SQL that is spoken. `similar`: what `SIMILAR TO` means. `depth`: statements that no stack would hold.
//!   `misplaced`: functions of many rows where a statement looks at one. `output_names`: which column is meant where one of
//!   the result bears the name of one of the input. `shared_columns`: which one, where relations are joined USING it.
//! * `hints`: planning errors that name the nearest right name.
//! * `view`, `catalog`: the lake's tables at the versions that one statement sees, loaded when they are named. `pins`:
//!   versions of the past. `events`: the main view, and the names of its columns; `kept_events`: its plan, as a session keeps it.
//! * `template`: SQL of `queries/` with the columns that the data has.
//! * `hits`, `visits`, `repeats`, `persistence`: online hits; visits are computed while reading where the input has none, and
//!   so are dimensions that persist; a hit that was delivered twice counts once. `beside` joins what is computed of all rows
//!   with what is read of few. `by_visitor`: what all these ask of their input and promise.
//! * `union`: online and offline rows of a bucket become one time line without a sort. `in_turn`: of many branches and subqueries
//!   few are computed at once. `first_rows`: a `LIMIT` reads no more than it needs.
//! * `report`, `report_call`, `arguments`, `journey`: the table functions, and the operators that walk visitor by visitor beneath them.
//! * `sequences`: the table functions that ask for the order of rows. `names`, `predicates`, `groupings`, `reporting_window`:
//!   what arguments say in columns of `events`; `stored_terms`: the same over what is stored. `segments`, `members`: who belongs to
//!   the segments that a statement names.
//! * `known_persons`: whose person a row is. `person_journeys`: the container of persons.
//! * `looked_at`: some visitors, at whose rows alone a session looks.
//! * `bound`: rows as product lines that bind values.
//! * `lookup`: classifications, lookup tables that make items of a dimension's values. `spellings`: how items are written that
//!   differ only in case. `names`: what metrics and dimensions are called.
//! * `touches`: where a row touches a dimension, as distinct from values that it merely carries.
//! * `remote`: plans that another process computes.
//! * `window`: gives the window functions what they need of their window. `zone`: the zone of a session, in which its statements
//!   see instants.
//! * `parameters`: `$1` in the arguments of table functions. `chain_credits`: `credits` of models that look at all journeys.
//!   `model_list`: the models of a call.

mod arguments;
pub mod beside;
mod bound;
mod by_visitor;
pub mod catalog;
mod chain_credits;
mod depth;
pub mod dialect;
mod events;
pub mod explained;
mod first_rows;
mod groupings;
mod hints;
pub mod hits;
mod in_turn;
pub mod journey;
mod kept_events;
mod known_persons;
mod looked_at;
pub mod lookup;
mod members;
pub mod misplaced;
mod model_list;
mod names;
mod output_names;
mod parameters;
pub mod persistence;
mod person_journeys;
pub mod pins;
mod predicates;
pub mod remote;
pub mod repeats;
pub mod report;
pub mod report_call;
mod reporting_window;
mod running;
mod segments;
mod sequences;
pub mod session;
mod shared_columns;
mod similar;
mod spellings;
mod statement;
mod stored_terms;
pub mod template;
mod touches;
mod union;
pub mod view;
pub mod visits;
pub mod window;
mod zone;

pub use looked_at::SomeVisitors;
pub use running::Running;
pub use session::{Engine, EngineSettings, PlannedStatement};
pub use statement::Statement;
