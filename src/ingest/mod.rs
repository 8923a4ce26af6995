//! Deliveries and files become committed tables of the lake.
//!
//! * `run`: one run of `ingest`, the same steps for each input. `kind`: what a kind of input knows of itself.
//!   `find`: what is under the paths. `input_file`: the door to its bytes. `content`: what they are, however they are
//!   packed. `suites_and_sources`: whose it is.
//! * `group`: small inputs that are written and committed together.
//! * `gather`: what of it is to be loaded: in folders and buckets (`remote`), without what is `known`.
//! * Data feeds: `delivery` (the manifest held against the files), `unpack` (archives as streams; `packed_stream` with `gunzip`
//!   and `unzstd`, `member_names`), `feed_load`, `lookups`.
//! * `lookup_file`: a lookup table of the user's own.
//! * Data sources: `source_load`, `archive` (what is in a zip archive). Any other file: `mapping`, `stored_mappings`, `mapped_file`
//!   with `column_names` and `taken_apart`, `parquet_rows` with `footer` and `pages`, `computed` (SQL expressions), `expressions`, `cells`, `products`,
//!   `exchange` (amounts in several currencies), `mapped_load`. `guess`: a first mapping; `amounts` and `totals`: what cells hold of which nobody said it.
//! * To the lake: `offline_rows` and `content_hash` (the shape of rows), `decoding` (decoder to writer), `rejects`,
//!   `load` (the commit protocol), `remove`.
//! * Out of it for good: `forget`.
//!
//! Invariants: an input is loaded whole or not at all; loading it again changes nothing; every row is in a table or in
//! `rejects`; memory does not grow with the input.

mod amounts;
pub mod archive;
pub mod blocking;
pub mod bounded;
pub mod cells;
mod column_names;
mod computed;
pub mod content;
pub mod content_hash;
pub mod decoding;
pub mod delimited;
pub mod delimited_rows;
pub mod delivery;
pub mod exchange;
pub mod expressions;
pub mod feed_load;
pub mod file_rows;
pub mod find;
mod footer;
pub mod forget;
pub mod gather;
mod group;
pub mod guess;
mod gunzip;
pub mod hashed;
pub mod input_file;
pub mod json_elements;
pub mod json_rows;
pub mod json_shape;
pub mod key;
pub mod kind;
pub mod known;
pub mod load;
pub mod lookup_file;
pub mod lookups;
pub mod mapped_file;
pub mod mapped_load;
pub mod mapping;
mod member_names;
pub mod offline_rows;
pub mod options;
pub mod outcome;
mod packed_stream;
mod pages;
mod parquet_rows;
pub mod paths;
pub mod pattern;
pub mod preview;
mod products;
pub mod refusal;
pub mod rejects;
pub mod remote;
pub mod remove;
mod rewindable;
pub mod run;
pub mod source_load;
pub mod stored_mappings;
pub mod suites_and_sources;
mod taken_apart;
mod totals;
pub mod unpack;
mod unzstd;

#[cfg(test)]
mod tests;

pub use forget::{ForgetOptions, Forgotten, Whose, forget, retain};
pub use known::KnownInputs;
pub use lookup_file::{LoadedLookup, load_lookup};
pub use options::IngestOptions;
pub use outcome::{Outcome, Progress, Status};
pub use remove::remove;
pub use run::{ingest, ingest_new};
