//! The window functions of journeys as an operator: every row of the input, with the credit that its touch earns.
//!
//! * `node`: what is computed over which windows, and the logical node.
//! * `exec`: the operator. In: rows in which those of a visitor stand together, in order of time. Out: the same rows, and
//!   a column a call.
//! * `stream`: the work, batch after batch.
//! * `metrics`: what is counted.
//!
//! Memory: one visitor's rows at a time, accounted in the memory pool, where DataFusion's own window operator would hold
//! the whole input. Order: that of the input is kept; over the lake's own order nothing is sorted: equal visitor ids have
//! equal keys, which the planner does not know. Nothing is spilled: a visitor that does not fit is an error.

mod call;
mod exec;
mod metrics;
mod node;
mod stream;

pub use call::{Call, PhysicalWindow, Window};
pub use exec::WindowExec;
pub use node::WindowNode;
