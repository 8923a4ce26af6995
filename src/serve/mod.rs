//! The doors: Postgres wire, Flight SQL and web pages over one lake. The same users, limits and engine stand behind each.
//!
//! * `users`: who may enter, and how that is proved. `login_keys`: what stands for a user afterwards. `tls`: certificates.
//! * `server`: the lake and what all guests share; a guest who was let in. `share`: a user's part of the memory. `turns`: whose
//!   statement begins next.
//! * `session`: one guest's statements: read only, bounded in time and rows, cancelled. `guard`: what a statement may do.
//!   `parameters`: types of `$1`, ... `any`: `= ANY (array)`.
//! * `ahead`: pieces of an answer that are made while others are sent. `failure`: what went wrong, in the words of each door.
//! * `postgres`, `flight`, `web`, `mcp`: the doors.
//!
//! Invariants: nothing listens unless asked for; nobody enters without a password or a token; a statement of a door never
//! writes, no matter who sends it. What writes are the forms of `web`, for managers.

mod ahead;
mod any;
mod failure;
pub mod flight;
mod guard;
mod login_keys;
pub mod mcp;
mod parameters;
pub mod postgres;
mod server;
mod session;
mod share;
mod tls;
mod turns;
mod users;
pub mod web;

pub use server::{Limits, Server};
pub use tls::Tls;
pub use users::{Role, User, Users};
