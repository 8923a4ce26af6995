//! `credit_path`, `conversions` and `credits`: one conversion explained, the touches in its reach with each model's share; every
//! conversion in one row, with the ends of its path; or a row for every item that has a part of it.
//!
//! * `node`: what is shown of which journeys, and the logical node.
//! * `exec`: the operator. In: rows sorted by visitor and time. Out: one row per touch and item in order of time, or one
//!   per conversion, or per conversion and item.
//! * `stream`: the rows of one visitor after another, and what is shown of them.
//! * `shown`: one visitor's rows in, what is shown out; `walked` finds the way back from touches to rows.
//! * `metrics`: what is counted.
//!
//! Memory: all columns of one visitor's rows, accounted in the memory pool. Order: conversions come as the input does, the
//! touches of one by time. Nothing is spilled: a visitor that does not fit is an error.

mod exec;
mod metrics;
mod node;
mod shown;
mod stream;
mod walked;

pub use exec::PathExec;
pub use node::{PathNode, PathSpec, Wanted};
