//! `funnel`, `flow` and the members of segments: the order in which things happen within journeys, offline rows included, or
//! within visits.
//!
//! * `node`: what is asked of which rows, and the logical node.
//! * `walk`: the rows of one visitor after another in, journey after journey; what they have of it out.
//! * `chain`: the steps of a funnel that one journey reaches. `flow`: the items that one journey touches after a row of it.
//!
//! Memory: the rows of one visitor that are a step or have an item, in 24 bytes each, the items and groups that were met with
//! their counts, and the times of a bucket's journeys, in 16 bytes each. What is found leaves in no order.

mod chain;
mod flow;
mod node;
mod walk;

pub use node::{Follows, Sequence, SequenceNode, SequenceSpec};
pub(super) use walk::SequenceWalk;
