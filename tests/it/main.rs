//! All integration tests, in one binary: linking DataFusion once is slow enough.
//!
//! * `slt`: runs `tests/slt/**/*.slt`, the rules of the domain and the SQL functions by example.
//! * `oracle`, `laws`: participation and attribution by brute force on random journeys, and their laws.
//! * `bad_input`: hostile and broken files through the binary.
//! * `cli`: exit codes, formats and JSON shapes of the commands.
//! * `compaction`: files of whole months, readers and writers undisturbed.
//! * `layers`: imports go one way.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

mod bad_input;
mod cli;
mod compaction;
mod journeys;
mod laws;
mod layers;
mod oracle;
mod place;
mod slt;
mod table;
