//! `credit_path`, `conversions` and `credits`: one conversion explained, the touches in its reach with each model's share; every
//! conversion in one row, with the ends of its path; or a row for every item that has a part of it.
//!
//! * `node`: what is shown of which journeys, and the logical nodes.
//! * `walk`: the conversions of one visitor after another, by the traversal that credit has. Order: as the input comes. Memory: the
//!   visitor at hand, and the batches of the rows that are shown next.
//! * `exec`, `stream`, `shown`: one conversion explained. In: its visitor's rows, sorted by time. Out: one row per touch and item
//!   in order of time. Memory: all columns of these rows; a visitor that does not fit is an error.
//! * `walked`: one visitor on the time line, with the way back from touches and conversions to its rows.

mod exec;
mod node;
mod shown;
mod stream;
mod walk;
mod walked;

pub use exec::PathExec;
pub use node::{ConversionOutput, PathNode, PathSpec, ShownNode, ShownSpec};
pub(super) use walk::ShownWalk;
