//! Persons: the devices of one customer are one journey. The IDs on rows and a user's rules in, spans of time out; no I/O.
//!
//! * `subject`: what rules are about, `id:...` and `visitor:...`, and what a person is called.
//! * `rules`: what all rules of a suite amount to. `forgotten`: rows that a forgotten person had.
//! * `moment`: where a row stands. `spans`: whose a visitor's rows are, from when to when, and what a limit refused.

mod forgotten;
mod moment;
mod rules;
mod spans;
mod subject;

pub use forgotten::Between;
pub use moment::Moment;
pub use rules::{Rule, Rules, Verb};
pub use spans::{Audit, Method, Span, SpansAndAudit, VisitorIds, persons};
pub use subject::Subject;
