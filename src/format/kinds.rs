//! The formats by name, and the encoder of each.

use std::fmt;
use std::io::Write;
use std::path::Path;

use arrow::datatypes::{DataType, SchemaRef};
use clap::ValueEnum;

use super::encoder::{Encoder, TextStyle};
use super::forms::Form;
use super::{columnar, delimited, json, table};
use crate::Result;

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

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.to_string() == name)
    }

    /// True where the output is no text, and a file can hold one result only.
    pub fn is_binary(self) -> bool {
        matches!(self, Format::Parquet | Format::Arrow)
    }

    /// The form of a type's values.
    pub fn form(self, of: &DataType) -> Form {
        match self {
            Format::Table | Format::Csv | Format::Tsv => Form::in_lines(of),
            Format::Json | Format::Ndjson => Form::in_json(of),
            Format::Parquet => Form::in_parquet(of),
            Format::Arrow => Form::in_arrow(of),
        }
    }

    /// An encoder of one result with these columns.
    pub fn encoder<'a>(
        self,
        schema: &SchemaRef,
        text_style: TextStyle,
        out: &'a mut (dyn Write + Send),
    ) -> Result<Box<dyn Encoder + 'a>> {
        Ok(match self {
            Format::Table => Box::new(table::Table::new(schema, text_style, out)),
            Format::Csv => Box::new(delimited::Delimited::csv(schema, text_style, out)?),
            Format::Tsv => Box::new(delimited::Delimited::tsv(schema, text_style, out)?),
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
