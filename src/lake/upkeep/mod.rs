//! What is done to whole tables, beside loads and rebuilds.
//!
//! * `compact`: generations become files of whole months. `expunge`: rows leave a table. `key_check`: whether new files and those
//!   beside them have visitors that share a key.
//! * `history`: what was done to the lake, and what of it can still be asked. `vacuum`: files that no version needs any more
//!   are deleted.

pub mod compact;
pub mod expunge;
pub mod history;
pub mod key_check;
pub mod vacuum;
