//! The journey operator: participation and every attribution model in one pass over a visitor's rows in time order.
//!
//! * `node`: what a journey computes, [`JourneySpec`]; `logical`: what is asked as a logical node over any plan.
//! * `stored`: the logical node straight over the lake's files: the usual, fast way; `stored_rows`: what rows are there.
//! * `exec`: the operator; `input`: what it reads; `stream`: its work on a partition; `metrics`: what is counted.
//! * `walk`: visitor after visitor over the sorted inputs of a bucket; `lane` is one input, `columns` one batch of it,
//!   `items` numbers its dictionary; `bound` and `bound_lines` are for values that product lines bind.
//! * `terms`: what a question says of single rows, its predicates and what it is broken down by.
//! * `selection`: whose journeys, which visits, and what is left of a path; `selected` is one at work; `breakdown`: credit by
//!   columns of the conversion; `chained`: the model of all paths.
//! * `path`: one conversion explained, or each conversion in one row, by the same walk.
//! * `sequence`: funnels and flows, the order of rows within journeys.
//! * `window`: the window functions: every row with the credit that its touch earns.
//! * `planner`: from logical to physical nodes.
//!
//! Memory: one visitor at a time, a batch of each input and the items, accounted in the memory pool. Order: rows come sorted
//! by visitor and time, credit leaves in none. Nothing is spilled. No pairs of touches and conversions,
//! but for rows of several products in a bound dimension, and for questions that leave out a part of paths.

mod bound;
mod bound_lines;
mod breakdown;
mod chained;
mod columns;
mod exec;
mod input;
mod items;
mod lane;
mod logical;
mod metrics;
mod node;
mod path;
mod planner;
mod selected;
mod selection;
mod sequence;
mod stored;
mod stored_rows;
mod stream;
mod terms;
mod walk;
mod window;

pub use breakdown::{GROUP_COLUMNS, GroupType};
pub use exec::JourneyExec;
pub use input::{Input, InputColumns};
pub use node::{JourneyNode, JourneySpec};
pub use path::{PathExec, PathNode, PathSpec, Wanted};
pub use planner::{JourneyPlanner, JourneyQueryPlanner};
pub use selection::Selection;
pub use sequence::{Follows, Sequence, SequenceExec, SequenceNode, SequenceSpec};
pub use stored::{Question, StoredEvents, StoredJourneyNode};
pub use stored_rows::StoredRows;
pub use terms::RowTerms;
pub use window::{Call, PhysicalWindow, Window, WindowExec, WindowNode};

/// All times, microseconds: from the first (inclusive) to the second (exclusive).
pub const EVER: (i64, i64) = (i64::MIN, i64::MAX);
