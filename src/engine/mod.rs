//! The engine: SQL in, batches out, each statement over one version of the lake.
//!
//! Statements:
//!
//! * `session`: [`Engine`], the only way to ask SQL; shell, servers, reports and rebuilds hold the same one. `rules`: the rules that change
//!   a statement on its way to operators, in their order.
//! * `statement`: one statement, parsed once, with the names in it. `running`: a statement that runs. `explained`: its plan as lines.
//! * `hints`: planning errors with the nearest right name. `parameters`: `$1` in the arguments of table functions.
//! * `remote`: plans that another process computes. `copy_to`: what `COPY` writes to a file.
//!
//! The syntax, before it is planned, where PostgreSQL reads it in another way than DataFusion:
//!
//! * `dialect`: the SQL that is parsed. `similar`: `SIMILAR TO`. Refused are statements that would overflow the stack (`depth`), names of WITH
//!   that stand for too many tables (`expanded`), aggregates and window functions in the wrong place (`misplaced`), and columns in no group
//!   (`ungrouped`).
//! * `output_names`: which column is meant where the result and its input have one of the same name. `shared_columns`: columns of USING.
//!   `column_names`: the names of a result's columns. `cast_names`: expressions that differ only in a cast.
//! * `written_types`: names of types. `written_precision`: types of a precision, such as `timestamp(1)`. `written_times`: texts that become times
//!   and intervals. `written_calls`: calls that these write.
//! * `list_rows`: functions that give the items of lists as rows. `ordered_sets`: aggregates of rows in an order, such as `mode`.
//!   `json_calls`: JSON of many rows.
//! * `row_values`: rows of values beside each other. `named_windows`: windows that go on from others. `fetch_first`: FETCH as LIMIT.
//!   `operators`: operators and brackets. `counts`: the type of what counts.
//!
//! Plans, changed before they are computed:
//!
//! * `lateral`: relations that look at the row before them; `lateral_limit`, `lateral_join`, `lateral_first`: those that give its first rows.
//! * `window_order`: the orders of windows. `zone`: the zone in which a session sees instants. `numbers`: casts and arithmetic of numbers.
//!   `interval_lengths`, `interval_groups`: intervals are equal by their lengths. `checked_doubles`: doubles that fail as in PostgreSQL.
//!   `bounded_concat`: `||`. `counted_sets`: `EXCEPT ALL` and `INTERSECT ALL`. `one_value`: queries for one value of each row.
//! * `first_rows`: a `LIMIT` reads no more than it needs. `first_of_groups`: `row_number` where only the first rows are wanted. `any_order`: files
//!   are not merged for an order that nothing needs. `ranges_in_turn`: rows in the order of keys come without a merge. `join_filters`:
//!   conditions of joins that sort.
//! * `in_turn`: few of many branches and subqueries are computed at once. `yielding`: joins pause for others. `sort_memory`: sorts of wide rows
//!   in little memory. `large_constants`: they are not written out in many rows.
//!
//! The lake's tables:
//!
//! * `view`, `catalog`: the tables at the versions that one statement sees, loaded when they are named. `pins`: versions of the past.
//! * `events`: the main view, and the names of its columns. `kept_events`: its plan, as a session keeps it. `unread_columns`: leaves out columns
//!   that a statement does not read.
//! * `hits`, `visits`, `repeats`, `persistence`: online hits. Visits that the input does not have, and dimensions that persist, are computed while
//!   reading; a hit that was delivered twice counts once. `beside`: puts columns that are computed of all rows beside others of these rows.
//! * `union`: online and offline rows of a bucket become one time line without a sort. `by_visitor`: the order of rows that all these keep.
//! * `template`: SQL of `queries/` with the columns that the data has. `lookup`: lookup tables that classify a dimension's values.
//!   `spellings`: items that differ only in case. `names`: names of metrics and dimensions.
//! * `touches`: where a row touches a dimension, as distinct from values that it merely carries. `bound`: rows as product lines that bind values.
//!
//! Questions about journeys:
//!
//! * `report`, `report_call`, `arguments`, `model_list`: the table functions. `journey`: the operators that walk visitor by visitor below them.
//!   `sequences`: the table functions that ask for the order of rows. `chain_credits`: `credits` of models that look at all journeys.
//! * `predicates`, `groupings`, `reporting_window`: what arguments say in columns of `events`; `stored_terms`: the same in stored columns.
//!   `segments`, `members`: the members of the segments that a statement names.
//! * `known_persons`: whose person a row is. `person_journeys`: the container of persons. `some_visitors`: restricts a session to visitors.
//! * `window`: completes calls of window functions of journeys with the columns that they need.

pub mod any_order;
mod arguments;
pub mod beside;
mod bound;
mod bounded_concat;
mod by_visitor;
mod cast_names;
pub mod catalog;
mod chain_credits;
pub mod checked_doubles;
pub mod column_names;
mod copy_to;
mod counted_sets;
mod counts;
pub mod depth;
pub mod dialect;
mod division_guards;
mod events;
mod expanded;
pub mod explained;
mod fetch_first;
mod first_of_groups;
mod first_rows;
mod groupings;
mod hints;
pub mod hits;
mod in_turn;
mod interval_groups;
mod interval_lengths;
mod join_filters;
pub mod journey;
mod json_calls;
mod kept_events;
mod known_persons;
mod large_constants;
mod lateral;
mod lateral_first;
mod lateral_join;
mod lateral_limit;
pub mod list_rows;
pub mod lookup;
mod members;
pub mod misplaced;
mod model_list;
mod named_windows;
mod names;
mod numbers;
mod one_value;
mod operators;
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
mod row_values;
mod rules;
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
mod written_precision;
mod written_times;
mod written_types;
pub(crate) mod yielding;
mod zone;

pub use running::Running;
pub use session::{Engine, EngineSettings, PlannedStatement};
pub use some_visitors::SomeVisitors;
pub use statement::Statement;
