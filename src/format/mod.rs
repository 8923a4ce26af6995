//! Record batches become bytes, batch by batch, for files, terminals and pages: what `--format` chooses from.
//!
//! * `kinds`: the formats by name. `encoder`: what all have in common.
//! * `table`: for people, aligned; looks ahead a bounded number of rows.
//! * `delimited`: csv and tsv. `json`: one array, or a line a row.
//! * `columnar`: Parquet and Arrow files. `forms`: in which form a column is there, where a format has no values of its type.
//! * `cell`: the text of one value, the same in all text formats.
//! * `prometheus`: numbers for a collector.
//! * `width`: how wide text is on a terminal, and text that cannot drive one.
//!
//! Rules of all text formats: times are ISO 8601, in UTC where they are instants; a double is its shortest decimal
//! form, without a trailing `.0`.

mod cell;
mod columnar;
mod delimited;
mod encoder;
mod forms;
mod json;
mod kinds;
pub mod prometheus;
#[cfg(test)]
mod samples;
mod table;
mod width;

pub use delimited::{csv_head, csv_lines};
pub use encoder::{Expanded, TextStyle};
pub use forms::Form;
pub use kinds::Format;
pub use width::{printable, width};
