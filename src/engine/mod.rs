//! The engine: SQL in, batches out, over one version of the lake a statement.
//!
//! * `session`: [`Engine`], the only door to SQL; shell, servers, reports and rebuilds hold the same one.
//! * `statement`: one statement, parsed once, with what it names. `running`: a statement that runs. `explained`: its plan as
//!   lines.
//! * `dialect`: the SQL that is spoken. `similar`: what `SIMILAR TO` means. `depth`: statements that would overflow the stack are
//!   refused; `expanded`: so are those that stand for too many tables. `misplaced`: aggregates and window functions where they
//!   cannot stand, such as in WHERE. `output_names`: which column is meant in HAVING and ORDER BY where the result and its input
//!   have one of the same name. `shared_columns`: columns of USING. `column_names`: what the columns of a result are called.
//! * `hints`: planning errors that name the nearest right name. `ungrouped`: the column that is in no group.
//! * `view`, `catalog`: the lake's tables at the versions that one statement sees, loaded when they are named. `pins`:
//!   versions of the past. `events`: the main view, and the names of its columns; `kept_events`: its plan, as a session keeps it.
//!   `unread_columns`: those that a statement does not read are left out of its plan first.
//! * `template`: SQL of `queries/` with the columns that the data has.
//! * `hits`, `visits`, `repeats`, `persistence`: online hits; visits are computed while reading where the input has none, and
//!   so are dimensions that persist; a hit that was delivered twice counts once. `beside` puts columns that are computed of all
//!   rows beside others of the same rows. `by_visitor`: the order of rows that all these need and keep.
//! * `union`: online and offline rows of a bucket become one time line without a sort. `in_turn`: of many branches and subqueries
//!   few are computed at once. `yielding`: joins give others their turn. `large_constants`: none is written out in many rows.
//!   `first_rows`: a `LIMIT` reads no more than it needs. `first_of_groups`: `row_number` where the first rows alone are wanted.
//!   `any_order`: files are not merged for an order that nobody needs. `join_filters`: conditions of joins that sort.
//!   `sort_memory`: sorts of wide rows in little memory. `ranges_in_turn`: rows in the order of keys come without a merge.
//! * `report`, `report_call`, `arguments`, `journey`: the table functions, and the operators that walk visitor by visitor beneath them.
//! * `sequences`: the table functions that ask for the order of rows. `names`, `predicates`, `groupings`, `reporting_window`:
//!   what arguments say in columns of `events`; `stored_terms`: the same over what is stored. `segments`, `members`: who belongs to
//!   the segments that a statement names.
//! * `known_persons`: whose person a row is. `person_journeys`: the container of persons.
//! * `some_visitors`: the visitors to whom a session is restricted.
//! * `bound`: rows as product lines that bind values.
//! * `lookup`: classifications, lookup tables that make items of a dimension's values. `spellings`: how items are written that
//!   differ only in case. `names`: what metrics and dimensions are called.
//! * `touches`: where a row touches a dimension, as distinct from values that it merely carries.
//! * `remote`: plans that another process computes. `copy_to`: what `COPY` writes to a file.
//! * `window`: completes the calls of window functions of journeys with the columns that they need. `window_order`: what windows are in
//!   the order of. `zone`: the zone of a session, in which its statements
//!   see instants. `written_times`: texts that become times and intervals; `written_places`: of so many places. `numbers`: their casts and arithmetic;
//!   `interval_groups`: groups of intervals. `checked_doubles`: doubles that fail. `joined`: `||`. `written_types`: types
//!   in DataFusion's words. `casts_apart`: expressions that differ only in a cast. `json_calls`: JSON of many rows.
//! * `list_rows`: functions that give the items of lists as rows. `lateral`: relations that look at the row before them;
//!   `lateral_limit`, `lateral_beside`, `lateral_first`: those that give its first rows. `ordered_sets`: values of rows in an order, such as `mode`.
//! * `parameters`: `$1` in the arguments of table functions. `chain_credits`: `credits` of models that look at all journeys.
//!   `model_list`: the models of a call.

pub mod any_order;
mod arguments;
pub mod beside;
mod bound;
mod by_visitor;
mod casts_apart;
pub mod catalog;
mod chain_credits;
pub mod checked_doubles;
pub mod column_names;
mod copy_to;
mod depth;
pub mod dialect;
mod events;
mod expanded;
pub mod explained;
mod first_of_groups;
mod first_rows;
mod groupings;
mod hints;
pub mod hits;
mod in_turn;
mod interval_groups;
mod join_filters;
mod joined;
pub mod journey;
mod json_calls;
mod kept_events;
mod known_persons;
mod large_constants;
mod lateral;
mod lateral_beside;
mod lateral_first;
mod lateral_limit;
pub mod list_rows;
pub mod lookup;
mod members;
pub mod misplaced;
mod model_list;
mod names;
mod numbers;
mod ordered_sets;
mod output_names;
mod parameters;
pub mod persistence;
mod person_journeys;
pub mod pins;
mod predicates;
pub mod ranges_in_turn;
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
mod some_visitors;
mod sort_memory;
mod spellings;
mod statement;
mod stored_terms;
pub mod template;
mod touches;
mod ungrouped;
mod union;
mod unread_columns;
pub mod view;
pub mod visits;
pub mod window;
mod window_order;
pub mod written_calls;
mod written_places;
mod written_times;
mod written_types;
pub(crate) mod yielding;
mod zone;

pub use running::Running;
pub use session::{Engine, EngineSettings, PlannedStatement};
pub use some_visitors::SomeVisitors;
pub use statement::Statement;
