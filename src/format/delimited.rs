//! Comma and tab separated values with a header line; NULL is an empty field.
//!
//! csv quotes as RFC 4180 does (lines end in LF); an empty text is `""`, as distinct from NULL. tsv has no quotes: tab,
//! line breaks and backslash are escaped by a backslash. On a terminal control characters are escaped in both.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::cell::{CellReader, names, prepare};
use super::encoder::{Encoder, TextStyle};
use super::width::printable;
use crate::Result;

/// Writes csv or tsv.
pub struct Delimited<'a> {
    out: &'a mut (dyn Write + Send),
    lines: Lines,
}

impl<'a> Delimited<'a> {
    /// Comma separated; writes the header.
    pub fn csv(schema: &SchemaRef, text_style: TextStyle, out: &'a mut (dyn Write + Send)) -> Result<Self> {
        let lines = Lines { terminal: text_style.terminal.is_some(), ..CSV };
        Self { out, lines }.with_header(schema)
    }

    /// Tab separated; writes the header.
    pub fn tsv(schema: &SchemaRef, text_style: TextStyle, out: &'a mut (dyn Write + Send)) -> Result<Self> {
        let lines = Lines { separator: '\t', append: append_escaped, terminal: text_style.terminal.is_some() };
        Self { out, lines }.with_header(schema)
    }

    fn with_header(self, schema: &SchemaRef) -> Result<Self> {
        self.out.write_all(self.lines.head(schema).as_bytes())?;
        Ok(self)
    }
}

impl Encoder for Delimited<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        self.lines.rows(batch, &mut String::new(), |line| {
            self.out.write_all(line.as_bytes())?;
            line.clear();
            Ok(())
        })
    }

    fn finish(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

/// The header of csv, to be sent piece by piece.
pub fn csv_head(schema: &SchemaRef) -> String {
    CSV.head(schema)
}

/// Appends rows of csv, to be sent piece by piece.
pub fn csv_lines(batch: &RecordBatch, out: &mut String) -> Result<()> {
    CSV.rows(batch, out, |_| Ok(()))
}

const CSV: Lines = Lines { separator: ',', append: append_quoted, terminal: false };

/// How lines are written.
#[derive(Clone, Copy)]
struct Lines {
    separator: char,
    append: fn(&str, &mut String),
    terminal: bool,
}

impl Lines {
    fn head(self, schema: &SchemaRef) -> String {
        let mut line = String::new();
        for (i, name) in names(schema).iter().enumerate() {
            if i > 0 {
                line.push(self.separator);
            }
            self.field(name, &mut line);
        }
        line + "\n"
    }

    /// Appends rows to `line`; after each one `written` may take it.
    fn rows(
        self,
        batch: &RecordBatch,
        line: &mut String,
        mut written: impl FnMut(&mut String) -> Result<()>,
    ) -> Result<()> {
        let arrays = prepare(batch)?;
        let columns = arrays.iter().map(|a| CellReader::new(a.as_ref())).collect::<Result<Vec<_>>>()?;
        let mut cell = String::new();
        for row in 0..batch.num_rows() {
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    line.push(self.separator);
                }
                if !column.is_null(row) {
                    cell.clear();
                    column.write(row, &mut cell)?;
                    self.field(&cell, line);
                }
            }
            line.push('\n');
            written(line)?;
        }
        Ok(())
    }

    fn field(self, text: &str, line: &mut String) {
        if self.terminal { (self.append)(&printable(text), line) } else { (self.append)(text, line) }
    }
}

fn append_quoted(text: &str, line: &mut String) {
    let plain = !text.is_empty()
        && !text.contains([',', '"', '\n', '\r'])
        && !text.starts_with(char::is_whitespace)
        && !text.ends_with(char::is_whitespace);
    if plain {
        return line.push_str(text);
    }
    line.push('"');
    line.push_str(&text.replace('"', "\"\""));
    line.push('"');
}

fn append_escaped(text: &str, line: &mut String) {
    for c in text.chars() {
        match c {
            '\t' => line.push_str("\\t"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\\' => line.push_str("\\\\"),
            c => line.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::samples::{all_types, hostile, render};
    use super::super::{Format, TextStyle};

    #[test]
    fn csv_of_all_types() {
        let text = render(Format::Csv, TextStyle::default(), &all_types());
        let expected = concat!(
            "true,-8,9223372036854775807,18446744073709551615,0.1,500,1.5e-9,-2e21,0.30000000000000004,0,NaN,",
            "90000000000000000000000000000000000000,-12.05,plain,large,a view longer than twelve bytes,word,cafe,",
            "2026-09-01,01:02:03,2026-09-21T14:13:20.123456Z,2026-09-21T14:13:20.123456Z,2026-09-21T14:13:20Z,",
            r#"2026-09-21T14:13:20,"[1,null]","{""x"":2,""y"":null}","{""a"":1}","#,
        );
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("boolean,int8,") && lines[0].ends_with(",map,null"), "{}", lines[0]);
        assert_eq!(lines[1], expected);
        assert!(lines[2].bytes().all(|b| b == b',') && lines.len() == 3, "{}", lines[2]);
    }

    #[test]
    fn csv_quotes() {
        let text = render(Format::Csv, TextStyle::default(), &hostile());
        assert!(text.contains("\"say \"\"hi\"\"\""), "{text}");
        assert!(text.contains("\"a,b\"") && text.contains("\"two\nlines\"") && text.contains("\"\""), "{text}");
        assert!(text.contains('\x1b'), "a file keeps every byte");
        let shown = render(Format::Csv, TextStyle { terminal: Some(80), ..TextStyle::default() }, &hostile());
        assert!(!shown.contains('\x1b') && shown.contains("\\x1b"), "{shown}");
    }

    #[test]
    fn tsv_escapes() {
        let text = render(Format::Tsv, TextStyle::default(), &hostile());
        assert!(
            text.contains("tab\\there") && text.contains("two\\nlines") && text.contains("back\\\\slash"),
            "{text}"
        );
    }
}
