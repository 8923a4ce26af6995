//! Adobe data feeds and data source files: bytes in, Arrow rows out.
//!
//! Pure: reads nothing but a given `std::io::Read`, knows no store and no engine. A delivery goes through
//! [`delivery_name`] and [`manifest`], its hits through [`records`], [`hit_columns`], [`touches`] and [`hits`],
//! its lookups through [`lookup`]. A data source goes through [`source_file`] or [`source_json`]. [`packing`] tells what is packed.
//!
//! Invariants: a bad row is a [`RowIssue`], never an error; every record ends in a batch or in an issue; a whole
//! input that cannot be read is a [`FeedError`]; memory is bounded by a block or a batch, whatever the input.

pub mod caret;
pub mod decoded;
pub mod delivery_name;
pub mod event_list;
pub mod feed_error;
pub mod hit_columns;
pub mod hit_keys;
pub mod hit_metrics;
pub mod hits;
pub mod lines;
pub mod lookup;
pub mod manifest;
pub mod number;
pub mod packing;
pub mod product_list;
pub mod record_time;
pub mod records;
pub mod row_issue;
pub mod source_columns;
pub mod source_file;
pub mod source_json;
pub mod source_rows;
pub mod text;
pub mod text_builder;
pub mod touches;
pub mod written_numbers;

pub use decoded::Decoded;
pub use feed_error::FeedError;
pub use row_issue::RowIssue;
