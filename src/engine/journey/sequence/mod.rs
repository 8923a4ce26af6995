//! `funnel` and `flow`: the order in which things happen within journeys, offline rows included, or within visits.
//!
//! * `node`: what is asked of which rows, and the logical node; `exec`: the operator.
//! * `stream`: rows sorted by visitor and time in, journey after journey; batches of what each has of it out.
//! * `chain`: the steps of a funnel that one journey reaches. `flow`: the items that one journey touches after a row of it.
//!
//! Memory: the rows of one visitor, in 40 bytes each, the items and groups that were met, and a batch; accounted in the memory
//! pool. Rows come and leave in no promised order but that of visitors.

mod chain;
mod exec;
mod flow;
mod node;
mod stream;

pub use exec::SequenceExec;
pub use node::{Follows, Sequence, SequenceNode, SequenceSpec};
