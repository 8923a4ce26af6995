//! The journey operator: participation and every attribution model in one pass over a visitor's rows in time order.
//!
//! * `node`: the logical node and what it computes, [`JourneySpec`].
//! * `exec`: the operator. In: rows sorted by visitor and time. Out: partial credit per item, one batch a partition.
//! * `planner`: from the one to the other.
//!
//! Invariants: one visitor in memory at a time, accounted in the memory pool; no pairs of touches and conversions.

mod exec;
mod node;
mod planner;

pub use exec::JourneyExec;
pub use node::{JourneyNode, JourneySpec};
pub use planner::{JourneyPlanner, JourneyQueryPlanner};
