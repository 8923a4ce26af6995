//! Visits of inputs that name none: computed while reading, over the visitor's whole history.
//!
//! * `rules`: when a visit ends. `counter`: the visits of one visitor as they unfold.
//! * `exec`: the operator; `stream`: its work on a partition.
//!
//! In: hits sorted by visitor and time. Out: the same rows with `visit_num` and `visit_start` filled. Rows that have a
//! visit start (data feeds) pass; rows with a visit number or a visit name of their own get the time of that visit's
//! first hit; the others get visits by the rules of their suite. Memory: one visitor's state and a batch. Order: that of the
//! input, which is the lake's. Nothing is spilled.

mod counter;
mod exec;
mod rules;
mod stream;

pub use counter::{Rising, VisitCounter};
pub use exec::VisitsExec;
pub use rules::VisitRules;
