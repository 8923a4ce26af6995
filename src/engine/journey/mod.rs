//! The journey operator: participation and every attribution model in one pass over a visitor's rows in time order.
//!
//! * `node`: the logical node and what it computes, [`JourneySpec`].
//! * `exec`: the operator. In: rows sorted by visitor and time. Out: partial credit per item, one batch a partition.
//! * `path`: one conversion explained, or each conversion in one row, by the same walk.
//! * `planner`: from logical to physical nodes.
//!
//! Invariants: one visitor in memory at a time, accounted in the memory pool; no pairs of touches and conversions.

mod exec;
mod node;
mod path;
mod planner;

pub use exec::JourneyExec;
pub use node::{JourneyNode, JourneySpec};
pub use path::{PathExec, PathNode, PathSpec, Wanted};
pub use planner::{JourneyPlanner, JourneyQueryPlanner};
