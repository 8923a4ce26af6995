//! The journey operators: participation and every attribution model in one pass over a visitor's rows in the order of time.
//!
//! Plans:
//!
//! * `node`: what a journey computes, [`JourneySpec`]. `logical`: it as a logical node over any plan. `planner`: from logical to physical nodes.
//! * `stored`: the logical node directly over the lake's files, the usual, fast way. `stored_rows`: which rows the files have.
//! * `answer`: everything that a walk can give as its answer. `terms`: what a question says of single rows, its predicates and breakdowns.
//! * `selection`: whose journeys, which visits, and which part of a path; `selected`: a selection at work. `breakdown`: credit by columns of the
//!   conversion; `credit_rows`: credit as rows.
//!
//! Reading:
//!
//! * `exec`: the operator. `input`: what it reads. `stream`: its work on a partition. `metrics`: what is counted. `walked_keys`: notes files in
//!   which keys identify visitors. `shares_end`: tells others that a core has no work left.
//! * `traversal`: goes from visitor to visitor over the sorted inputs of a bucket, and gives the rows of each to `visitors`. `lane`: one input;
//!   `columns`: one batch of it, whose columns `finder` finds by name; `items`: numbers the entries of its dictionary; `seeded`: hashes for
//!   what is looked up for many rows.
//!
//! Walks:
//!
//! * `walk`: the rows of a visitor in, credit out. `counted`: which rows count. `path_sums`: the paths of conversions; `path_parts`: those of
//!   several parts of the visitors. `bound`, `bound_lines`: values that product lines bind.
//! * `by_person`: brings rows of visitors together that share a person. `ties`: the order of rows of one instant.
//! * `tallies`: counts for the models that need all journeys at once, as rows. `data_driven`: the operator that adds them up and makes credit of
//!   them. `chained`: the model of all paths.
//! * `path`: each conversion in one row, or what it gives to each item; one conversion explained.
//! * `sequence`: funnels and flows, the order of rows within journeys.
//! * `window`: the window functions: every row with the credit that its touch earns.
//!
//! A bucket here is the visitors of one partition of the inputs: a bucket of the lake, or a part of one (`rejoin.ranges`).
//!
//! Memory: one visitor at a time, a batch of each input, the items, and what was found, accounted in the memory pool. Only rows that wait to be
//! brought together by person are spilled. Order: rows come sorted by visitor and time; results have no order. There are no pairs of touches
//! and conversions, except for rows of several products in a bound dimension, and for questions that leave out a part of paths.

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
mod shares_end;
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
pub use shares_end::SharesEnd;
pub use stored::{Question, StoredEvents, StoredJourneyNode};
pub use stored_rows::StoredRows;
pub use terms::RowTerms;
pub use window::{Call, PhysicalWindow, Window, WindowExec, WindowNode};

/// All times, microseconds: from the first (inclusive) to the second (exclusive).
pub const EVER: (i64, i64) = (i64::MIN, i64::MAX);
