//! Record batches become bytes, batch by batch: what `--format` chooses from.
//!
//! * `table`: for people, aligned; looks ahead a bounded number of rows.
//! * `delimited`: csv and tsv. `json`: one array, or a line a row.
//! * `columnar`: Parquet and Arrow files.
//! * `cell`: the text of one value, the same in all text formats.
//! * `width`: how wide text is on a terminal, and text that cannot drive one.
//!
//! Rules of all text formats: times are ISO 8601, in UTC where they are instants; a double is its shortest decimal
//! form, without a trailing `.0`.

mod cell;
mod columnar;
mod delimited;
mod json;
mod table;
mod width;

pub use width::{printable, width};

use std::fmt;
use std::io::Write;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use clap::ValueEnum;

use crate::Result;
use crate::shell::Expanded;

/// How a result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned columns, for people
    Table,
    /// Comma separated, with a header; NULL is empty, an empty text is ""
    Csv,
    /// Tab separated, with a header; tab, line break and backslash are written \t, \n, \\
    Tsv,
    /// One array of objects
    Json,
    /// One object a line
    Ndjson,
    /// A Parquet file
    Parquet,
    /// An Arrow IPC file
    Arrow,
}

/// How and where text is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Columns of the terminal; None when the output is none.
    pub terminal: Option<usize>,
    /// Colours are welcome.
    pub colour: bool,
    /// One line a column instead of one line a row (tables only).
    pub expanded: Expanded,
    /// How a missing value is shown in a table; `NULL` by default.
    pub null: Option<&'static str>,
}

/// Takes the batches of one result.
pub trait Encoder: Send {
    /// Writes rows, or keeps them for a moment.
    fn rows(&mut self, batch: &RecordBatch) -> Result<()>;
    /// Writes what was kept, and the end.
    fn finish(self: Box<Self>) -> Result<()>;
}

impl Format {
    /// All formats, by name.
    pub const ALL: [Format; 7] =
        [Format::Table, Format::Csv, Format::Tsv, Format::Json, Format::Ndjson, Format::Parquet, Format::Arrow];

    /// The format that a file's ending stands for.
    pub fn of_file(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Format::Csv),
            "tsv" => Some(Format::Tsv),
            "json" => Some(Format::Json),
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            "parquet" => Some(Format::Parquet),
            "arrow" | "feather" => Some(Format::Arrow),
            _ => None,
        }
    }

    /// True where the output is no text, and a file can hold one result only.
    pub fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    /// An encoder of one result with these columns.
    pub fn encoder<'a>(
        self,
        schema: &SchemaRef,
        look: Look,
        out: &'a mut (dyn Write + Send),
    ) -> Result<Box<dyn Encoder + 'a>> {
        Ok(match self {
            Format::Table => Box::new(table::Table::new(schema, look, out)),
            Format::Csv => Box::new(delimited::Delimited::csv(schema, look, out)?),
            Format::Tsv => Box::new(delimited::Delimited::tsv(schema, look, out)?),
            Format::Json => Box::new(json::Json::array(schema, out)?),
            Format::Ndjson => Box::new(json::Json::lines(schema, out)),
            Format::Parquet => Box::new(columnar::ParquetFile::new(schema, out)?),
            Format::Arrow => Box::new(columnar::ArrowFile::new(schema, out)?),
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Table => "table",
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Json => "json",
            Format::Ndjson => "ndjson",
            Format::Parquet => "parquet",
            Format::Arrow => "arrow",
        })
    }
}

#[cfg(test)]
mod samples;
