//! How a delimited text is written: what a mapping says of it, and what its first line lets one suspect.

use csv::ReaderBuilder;
use serde::Serialize;
use toml::{Table, Value};

use crate::error::did_you_mean;
use crate::feed::text::Encoding;
use crate::{Error, Result};

/// Signs that separate fields in practice, the likeliest first.
pub const DELIMITERS: [u8; 4] = *b",;\t|";

const IMAGE: &str = "an image, which has no rows";
const WORKBOOK: &str = "a workbook of a spreadsheet; save the sheet as CSV";
const ARCHIVE: &str = "an archive; unpack it";
const PACKED_TWICE: &str = "a file that is packed twice; unpack it once";
const PAGE: &str =
    "a page (HTML or XML), also where its name ends in .xls; open it in a spreadsheet and save it as CSV";

/// No file has more lines before the one of names.
const MAX_SKIPPED: i64 = 1000;

/// How files of other kinds begin, read as text, and what to do with them.
const BEGINNINGS: [(&str, &str); 21] = [
    ("\u{1f}\u{2039}", PACKED_TWICE),
    ("PK\u{3}\u{4}", "a zip archive or a workbook of a spreadsheet; unpack it, or save the sheet as CSV"),
    ("PAR1\u{15}", "a Parquet file; end its name in .parquet"),
    ("BZh91AY&SY", "a bzip2 file; unpack it, or pack it with gzip or zstd"),
    ("(\u{b5}/\u{fd}", PACKED_TWICE),
    ("%PDF-", "a PDF; export it as CSV"),
    ("\u{d0}\u{cf}\u{11}\u{e0}", WORKBOOK),
    ("\u{2030}PNG", IMAGE),
    ("\u{ff}\u{d8}\u{ff}", IMAGE),
    ("GIF8", IMAGE),
    ("7z\u{bc}\u{af}", ARCHIVE),
    ("Rar!\u{1a}", ARCHIVE),
    ("\u{fd}7zXZ", ARCHIVE),
    ("SQLite format 3", "a database of SQLite; export its table as CSV"),
    ("Obj\u{1}", "an Avro file; write it as Parquet or JSON lines"),
    ("ARROW1\0", "an Arrow file; write it as Parquet"),
    ("ORC\u{8}", "an ORC file; write it as Parquet"),
    ("<!doctype", PAGE),
    ("<!DOCTYPE", PAGE),
    ("<html", PAGE),
    ("<?xml", PAGE),
];

/// What bytes are that begin so, where they are no text, and what to do.
pub fn kind_of_bytes(start: &str) -> Option<&'static str> {
    BEGINNINGS.iter().find(|(beginning, _)| start.starts_with(beginning)).map(|(_, kind)| *kind)
}

/// True for a sign that stands in no text, but for those that separate.
pub fn is_no_text(sign: char, separator: u8) -> bool {
    sign.is_ascii_control() && !matches!(sign, '\t' | '\n' | '\r') && sign != char::from(separator)
}

/// True for a line that is JSON, or begins some.
pub fn is_json(line: &str) -> bool {
    let line = line.trim();
    matches!(line, "{" | "[") || line.starts_with("{\"") || line.starts_with("[{")
}

/// How a delimited text is written, as far as it is said.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Delimited {
    /// The sign between fields; by default a comma, in a `.tsv` a tab.
    pub delimiter: Option<u8>,
    /// The names of the columns of a file without a header line.
    pub columns: Option<Vec<String>>,
    /// So many lines stand before the one of names, or before the rows where there is none.
    #[serde(skip_serializing_if = "is_zero")]
    pub skip: usize,
    /// The sign around fields, `"` by default; `Some(None)` for none.
    pub quote: Option<Option<u8>>,
    /// What stands before a quote that does not end its field, besides another quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub escape: Option<u8>,
    /// Lines that begin with this are no rows.
    pub comment: Option<u8>,
    /// The encoding, where it is not to be detected.
    #[serde(serialize_with = "encoding_name")]
    pub encoding: Option<Encoding>,
    /// Cells that mean nothing; an empty one always does.
    pub null_values: Vec<String>,
}

impl Delimited {
    /// Takes its keys out of a mapping's table.
    pub fn take(table: &mut Table) -> Result<Self> {
        let names = names(table, "columns")?;
        let has_header = match table.remove("header") {
            None => names.is_none(),
            Some(Value::Boolean(header)) => header,
            Some(other) => return Err(wrong(format!("header is a {}; give true or false", other.type_str()))),
        };
        let columns = match (has_header, names) {
            (true, None) => None,
            (true, Some(_)) => {
                return Err(wrong("columns names the columns of a file without a header line; add header = false"));
            }
            (false, None) => {
                return Err(wrong("header = false: name the columns as well, columns = [\"user\", \"time\", ...]"));
            }
            (false, Some(names)) => Some(names),
        };
        let quote = match table.remove("quote") {
            None => None,
            Some(Value::String(text)) if text.is_empty() => Some(None),
            Some(value) => Some(Some(sign("quote", &value)?)),
        };
        let mut one = |key| table.remove(key).map(|value: Value| sign(key, &value)).transpose();
        let (delimiter, escape, comment) = (one("delimiter")?, one("escape")?, one("comment")?);
        let skip = match table.remove("skip") {
            None => 0,
            Some(Value::Integer(lines @ 0..=MAX_SKIPPED)) => lines as usize,
            Some(other) => {
                let advice = format!("give the number of lines before the names, at most {MAX_SKIPPED}");
                return Err(wrong(format!("skip = {other}; {advice}")));
            }
        };
        let encoding = match table.remove("encoding") {
            None => None,
            Some(Value::String(name)) => Some(encoding(&name)?),
            Some(other) => return Err(wrong(format!("encoding is a {}; give its name as text", other.type_str()))),
        };
        let null_values = self::names(table, "null_values")?.unwrap_or_default();
        Ok(Self { delimiter, columns, skip, quote, escape, comment, encoding, null_values })
    }

    /// True where nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// A reader of fields that takes rows of any number of fields.
    pub fn reader(&self, default_delimiter: u8) -> ReaderBuilder {
        let mut builder = ReaderBuilder::new();
        let quote = self.quote.unwrap_or(Some(b'"'));
        builder
            .flexible(true)
            .has_headers(false)
            .delimiter(self.delimiter.unwrap_or(default_delimiter))
            .quoting(quote.is_some())
            .quote(quote.unwrap_or(b'"'))
            .escape(self.escape)
            .comment(self.comment);
        builder
    }

    /// True for a cell that means nothing.
    pub fn is_null(&self, cell: &[u8]) -> bool {
        cell.is_empty() || self.null_values.iter().any(|null| null.as_bytes() == cell)
    }
}

/// The sign that more probably separates the fields of this line than `used` does.
pub fn likely_delimiter(line: &str, used: u8) -> Option<&'static str> {
    let count = |sign: u8| line.bytes().filter(|b| *b == sign).count();
    let best = DELIMITERS.into_iter().filter(|sign| *sign != used).max_by_key(|sign| count(*sign))?;
    (count(best) > count(used)).then_some(match best {
        b'\t' => "\\t",
        b';' => ";",
        b'|' => "|",
        _ => ",",
    })
}

/// A list of texts of a mapping's table.
pub fn names(table: &mut Table, key: &str) -> Result<Option<Vec<String>>> {
    let Some(value) = table.remove(key) else { return Ok(None) };
    let texts = value.as_array().map(|a| a.iter().map(|v| v.as_str().map(str::to_string)).collect::<Option<Vec<_>>>());
    texts.flatten().map(Some).ok_or_else(|| wrong(format!("{key} is not a list of texts")))
}

fn sign(key: &str, value: &Value) -> Result<u8> {
    let text =
        value.as_str().ok_or_else(|| wrong(format!("{key} is a {}; give one sign as text", value.type_str())))?;
    match text.as_bytes() {
        [b'\r' | b'\n'] => Err(wrong(format!("{key} cannot be the end of a line"))),
        [sign] if sign.is_ascii() => Ok(*sign),
        b"\\t" => Ok(b'\t'),
        _ => Err(wrong(format!("{key} = {text:?}; give one sign of ASCII, \"\\t\" for a tab"))),
    }
}

const ENCODINGS: [(&str, Encoding); 6] = [
    ("utf-8", Encoding::Utf8),
    ("utf-16", Encoding::Utf16Le),
    ("utf-16le", Encoding::Utf16Le),
    ("utf-16be", Encoding::Utf16Be),
    ("iso-8859-1", Encoding::Windows1252),
    ("windows-1252", Encoding::Windows1252),
];

fn encoding(name: &str) -> Result<Encoding> {
    let lower = name.to_lowercase();
    ENCODINGS.iter().find(|(known, _)| *known == lower).map(|(_, encoding)| *encoding).ok_or_else(|| {
        let names = ENCODINGS.map(|(name, _)| name);
        wrong(format!("encoding = {name:?}{}; known are {}", did_you_mean(&lower, names), names.join(", ")))
    })
}

fn is_zero(lines: &usize) -> bool {
    *lines == 0
}

fn encoding_name<S: serde::Serializer>(encoding: &Option<Encoding>, serializer: S) -> Result<S::Ok, S::Error> {
    encoding.map(|encoding| format!("{encoding:?}")).serialize(serializer)
}

fn wrong(message: impl Into<String>) -> Error {
    Error::configuration(message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(text: &str) -> Result<Delimited> {
        Delimited::take(&mut toml::from_str(text).unwrap())
    }

    #[test]
    fn what_a_mapping_says() {
        assert!(of("").unwrap().is_default());
        let said =
            of("delimiter = '\\t'\nheader = false\ncolumns = ['a', 'b']\nquote = ''\nescape = '\\'\ncomment = '#'\n\
                       encoding = 'ISO-8859-1'\nnull_values = ['-', 'NULL']")
            .unwrap();
        assert_eq!((said.delimiter, said.quote, said.comment), (Some(b'\t'), Some(None), Some(b'#')));
        assert_eq!(said.escape, Some(b'\\'));
        assert_eq!(said.columns, Some(vec!["a".to_string(), "b".to_string()]));
        assert!(said.is_null(b"-") && said.is_null(b"") && !said.is_null(b"0"));
        for (text, reason) in [
            ("delimiter = ', '", "one sign"),
            ("delimiter = 'ä'", "one sign"),
            ("delimiter = 1", "integer"),
            ("header = false", "columns = ["),
            ("header = true\ncolumns = ['a']", "header = false"),
            ("encoding = 'utf8'", "did you mean utf-8?"),
            ("comment = '\\n'", "one sign"),
            ("null_values = 'x'", "list"),
            ("skip = -1", "the number of lines"),
            ("skip = '1'", "the number of lines"),
        ] {
            let error = of(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn files_of_other_programs() {
        for (start, what) in [
            ("\u{2030}PNG\r", "an image"),
            ("\u{ff}\u{d8}\u{ff}\u{e0}", "an image"),
            ("\u{d0}\u{cf}\u{11}\u{e0}\u{a1}", "save the sheet as CSV"),
            ("<?xml version=\"1.0\"?>", "save it as CSV"),
            ("SQLite format 3\0", "export its table"),
            ("%PDF-1.7", "export it as CSV"),
        ] {
            assert!(kind_of_bytes(start).is_some_and(|kind| kind.contains(what)), "{start}");
        }
        for start in ["user,time", "Obj,time", "Rar,b", "", "ORC,a", "ARROW1,b"] {
            assert_eq!(kind_of_bytes(start), None, "{start}");
        }
        assert!(is_no_text('\u{1}', b',') && !is_no_text('\u{1}', 1) && !is_no_text('\t', b','));
    }

    #[test]
    fn the_likely_delimiter() {
        assert_eq!(likely_delimiter("user;time;page", b','), Some(";"));
        assert_eq!(likely_delimiter("user\ttime\tpage, title", b','), Some("\\t"));
        assert_eq!(likely_delimiter("user|time", b'\t'), Some("|"));
        assert_eq!(likely_delimiter("user,time,page", b';'), Some(","));
        assert_eq!(likely_delimiter("user,time", b','), None);
        assert_eq!(likely_delimiter("user", b','), None);
    }
}
