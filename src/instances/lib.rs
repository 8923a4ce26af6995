//! What other crates' generic code becomes for Rejoin, compiled apart from it.
//!
//! Rust makes a generic function, and the work of an `async fn`, in the crate that calls it. A way through SQL's syntax, a planner
//! and a scheduler are thousands of functions. Here they are called by functions that take no types: they are made once, while
//! the compiler reads Rejoin itself, and not again after a change. Nothing of Rejoin's own is decided here.

pub mod assistants;
pub mod cluster;
pub mod encoding;
pub mod http;
pub mod planning;
pub mod syntax;
pub mod trees;
pub mod values;
