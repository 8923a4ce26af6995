//! The door for assistants: the Model Context Protocol, over standard input and output, or over HTTP at `/mcp` of the web door.
//!
//! * `door`: the protocol, and who asks. `tools`: what can be asked, and the answers.
//!
//! Invariants: what an assistant asks is a statement of a session like any other, read only and bounded, and each answer has a
//! bounded number of rows and bytes; what it may not do, or did wrong, is the answer, so that it can do better.

mod door;
mod tools;

pub use door::{over_http, over_stdio};
