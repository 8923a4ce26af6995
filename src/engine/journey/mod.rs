//! The journey operator: participation and every attribution model in one pass over a visitor's rows in time order.
//!
//! * `node`: what a journey computes, [`JourneySpec`]; `logical`: what is asked as a logical node over any plan; `answer`: all
//!   that is found out about journeys.
//! * `stored`: the logical node straight over the lake's files: the usual, fast way; `stored_rows`: what rows are there.
//! * `exec`: the operator; `input`: what it reads; `stream`: its work on a partition; `metrics`: what is counted;
//!   `walked_keys`: what a walk tells of keys.
//! * `traversal`: visitor after visitor over the sorted inputs of a bucket; `visitors`: to whom it hands their rows; `lane` is
//!   one input, `columns` one batch of it, whose columns `finder` gives by name, `items` numbers its dictionary; `seeded`
//!   hashes what is looked up for many rows.
//! * `walk`: what happened to a visitor in, credit out; `counted`: which rows count; `path_sums`: the paths of conversions, and
//!   `path_parts` those of several parts of the visitors; `bound` and `bound_lines` are for values that product lines bind.
//! * `by_person`: rows of visitors that share a person, brought together; `ties`: in which order those of one instant are.
//! * `terms`: what a question says of single rows, its predicates and what it is broken down by.
//! * `selection`: whose journeys, which visits, and what is left of a path; `selected` is one at work; `breakdown`: credit by
//!   columns of the conversion; `credit_rows`: credit as rows.
//! * `tallies`: what walks count for the models that need all journeys at once, as rows; `data_driven`: the operator that adds it up
//!   and makes credit of it, over those that walk; `chained`: the model of all paths.
//! * `path`: each conversion in one row, or what it gives to each item, by the same traversal; one conversion explained.
//! * `sequence`: funnels and flows, the order of rows within journeys, by the same traversal.
//! * `window`: the window functions: every row with the credit that its touch earns.
//! * `planner`: from logical to physical nodes.
//!
//! A bucket is here what a partition of the inputs has of visitors: a bucket of the lake, or a part of one (`rejoin.ranges`).
//!
//! Memory: one visitor at a time, a batch of each input, the items and what was found, accounted in the memory pool. Order: rows
//! come sorted by visitor and time, what was found leaves in none. Only rows that wait to be brought together by person are spilled.
//! No pairs of touches and conversions, but for rows of several products in a bound dimension, and for questions that leave out a
//! part of paths.

mod answer;
mod bound;
mod bound_lines;
mod breakdown;
mod by_person;
mod chained;
mod columns;
mod counted;
mod credit_rows;
mod data_driven;
mod exec;
mod finder;
mod input;
mod items;
mod lane;
mod logical;
mod metrics;
mod node;
mod path;
mod path_parts;
mod path_sums;
mod planner;
mod seeded;
mod selected;
mod selection;
mod sequence;
mod stored;
mod stored_rows;
mod stream;
mod tallies;
mod terms;
mod ties;
mod traversal;
mod visitors;
mod walk;
mod walked_keys;
mod window;

pub use answer::Answer;
pub use breakdown::{GROUP_COLUMNS, GroupType};
pub use by_person::PersonRows;
pub use data_driven::DataDrivenExec;
pub use exec::JourneyExec;
pub use input::{Input, InputColumns};
pub use node::{JourneyNode, JourneyOutput, JourneySpec};
pub use path::{ConversionOutput, PathExec, PathNode, PathSpec, ShownNode, ShownSpec};
pub use path_parts::added_up;
pub use planner::{JourneyPlanner, JourneyQueryPlanner};
pub use selection::Selection;
pub use sequence::{Follows, Sequence, SequenceNode, SequenceSpec};
pub use stored::{Question, StoredEvents, StoredJourneyNode};
pub use stored_rows::StoredRows;
pub use terms::RowTerms;
pub use window::{Call, PhysicalWindow, Window, WindowExec, WindowNode};

/// All times, microseconds: from the first (inclusive) to the second (exclusive).
pub const EVER: (i64, i64) = (i64::MIN, i64::MAX);
