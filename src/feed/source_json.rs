//! The body of Adobe's Data Sources API: `{"columns": [...], "rows": [[...], ...]}`, with the headers and the rules of
//! a data source file. A row's number, from 1, stands for its line.
//!
//! The body is held in memory, at most [`MAX_JSON_BYTES`] of it; rows are taken from it one at a time.

use std::borrow::Cow;
use std::io::Read;

use arrow::datatypes::SchemaRef;
use chrono::NaiveDateTime;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Deserializer, Value};

use super::source_columns::{SourceColumn, parse_headers};
use super::source_file::BATCH_ROWS;
use super::source_rows::{MAX_ROW_BYTES, SourceRows};
use super::{Decoded, FeedError, row_issue, written_numbers};

/// A larger body is refused.
pub const MAX_JSON_BYTES: u64 = 256 << 20;
/// A row that takes more than that has more than [`MAX_ROW_BYTES`], however it is escaped.
const MAX_ROW_JSON_BYTES: usize = 16 * MAX_ROW_BYTES;
/// Largest value beside the rows: the list of headers.
const MAX_HEAD_BYTES: usize = 1 << 20;

/// Reads one body.
#[derive(Debug)]
pub struct SourceJson {
    body: Vec<u8>,
    file: String,
    /// The report suite that the body names.
    pub report_suite_id: Option<String>,
    /// The data source that the body names.
    pub data_source_id: Option<String>,
    /// Whether the body says that nothing follows.
    pub finished: Option<bool>,
    rows: SourceRows,
    /// Where in the body the next row begins; 0 after the last one.
    at: usize,
    row: u64,
}

impl SourceJson {
    /// True where `bytes` begin as a JSON object does.
    pub fn is_json(bytes: &[u8]) -> bool {
        bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start().starts_with(b"{")
    }

    /// Reads all of `input` and takes the columns; the rows are left to [`SourceJson::next_batch`].
    ///
    /// # Errors
    /// The stream cannot be read or is too large; it is no such JSON; its columns are not as they must be.
    pub fn new(input: impl Read, file: &str, now_local: NaiveDateTime) -> Result<Self, FeedError> {
        let mut body = Vec::new();
        let read = input.take(MAX_JSON_BYTES + 1).read_to_end(&mut body);
        let read = read.map_err(|e| FeedError::unreadable(file, e))?;
        if read as u64 > MAX_JSON_BYTES {
            let message = format!("more than {} MiB of JSON; send it in parts", MAX_JSON_BYTES >> 20);
            return Err(FeedError::new(file, message));
        }
        let head = Head::parse(&body).map_err(|message| FeedError::new(file, message))?;
        let missing =
            |what: &str| FeedError::new(file, format!("has no {what:?}; expected an object with columns and rows"));
        let columns = head.columns.ok_or_else(|| missing("columns"))?;
        let at = head.rows_at.ok_or_else(|| missing("rows"))?;
        let columns = parse_headers(&columns.iter().map(String::as_str).collect::<Vec<_>>(), file, None)?;
        Ok(Self {
            body,
            file: file.to_owned(),
            report_suite_id: head.report_suite_id,
            data_source_id: head.data_source_id,
            finished: head.finished,
            rows: SourceRows::new(columns, now_local),
            at,
            row: 0,
        })
    }

    /// The columns, in the body's order.
    pub fn columns(&self) -> &[SourceColumn] {
        self.rows.columns()
    }

    /// The schema of all batches.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The next rows; `None` after the last ones.
    ///
    /// # Errors
    /// None after [`SourceJson::new`], which has checked the whole body.
    pub fn next_batch(&mut self) -> Result<Option<Decoded>, FeedError> {
        while self.at > 0 && self.rows.waiting() < BATCH_ROWS {
            self.next_row().map_err(|message| FeedError::new(&self.file, message))?;
        }
        Ok((self.rows.waiting() > 0).then(|| self.rows.take()))
    }

    fn next_row(&mut self) -> Result<(), String> {
        let mut cursor = Cursor { body: &self.body, at: self.at };
        if self.row == 0 && cursor.peek() == Some(b']') || self.row > 0 && !cursor.more(b']')? {
            self.at = 0;
            return Ok(());
        }
        cursor.skip_space();
        let start = cursor.at;
        cursor.value::<IgnoredAny>()?;
        let text = &self.body[start..cursor.at];
        self.at = cursor.at;
        self.row += 1;
        let shown = || String::from_utf8_lossy(&text[..text.len().min(row_issue::MAX_TEXT_BYTES)]);
        match fields(text) {
            Ok(fields) => self.rows.push(self.row, &fields, &shown()),
            Err(reason) => self.rows.reject(self.row, "", reason, &shown()),
        }
        Ok(())
    }
}

/// The fields of a row as a file would have them.
fn fields(row: &[u8]) -> Result<Vec<Cow<'static, str>>, String> {
    let too_long = || format!("more than {MAX_ROW_BYTES} bytes");
    if row.len() > MAX_ROW_JSON_BYTES {
        return Err(too_long());
    }
    let cells: Vec<Value> =
        serde_json::from_slice(&written_numbers::marked(row)).map_err(|_| "is no array of cells".to_owned())?;
    let text = |(place, cell)| match cell {
        Value::Null => Ok(Cow::Borrowed("")),
        Value::String(text) => Ok(Cow::Owned(match written_numbers::number(&text) {
            Some(number) => number.to_owned(),
            None => text,
        })),
        Value::Number(number) => Ok(Cow::Owned(number.to_string())),
        _ => Err(format!("cell {} is neither text nor number nor null", place + 1)),
    };
    let fields = cells.into_iter().enumerate().map(text).collect::<Result<Vec<_>, String>>()?;
    let bytes: usize = fields.iter().map(|field| field.len() + 1).sum();
    if bytes > MAX_ROW_BYTES + 1 { Err(too_long()) } else { Ok(fields) }
}

/// All of the body but the rows.
#[derive(Default)]
struct Head {
    columns: Option<Vec<String>>,
    rows_at: Option<usize>,
    report_suite_id: Option<String>,
    data_source_id: Option<String>,
    finished: Option<bool>,
}

impl Head {
    fn parse(body: &[u8]) -> Result<Self, String> {
        let mut head = Self::default();
        let mut cursor = Cursor { body, at: if body.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 } };
        cursor.expect(b'{')?;
        let mut more = cursor.peek() != Some(b'}');
        if !more {
            cursor.expect(b'}')?;
        }
        while more {
            let key: String = cursor.small()?;
            cursor.expect(b':')?;
            let again = match key.as_str() {
                "columns" => is_again(&mut head.columns, cursor.small()?),
                "rows" if cursor.peek() == Some(b'n') => {
                    cursor.value::<IgnoredAny>()?;
                    false
                }
                "rows" => {
                    cursor.skip_space();
                    let start = cursor.at;
                    cursor.expect(b'[')?;
                    cursor.at = start;
                    cursor.value::<IgnoredAny>()?;
                    head.rows_at.replace(start + 1).is_some()
                }
                "reportSuiteID" => is_again(&mut head.report_suite_id, cursor.text()?),
                "dataSourceID" => is_again(&mut head.data_source_id, cursor.text()?),
                "finished" => is_again(&mut head.finished, cursor.flag()?),
                _ => {
                    cursor.value::<IgnoredAny>()?;
                    false
                }
            };
            if again {
                return Err(format!("{key:?} occurs twice"));
            }
            more = cursor.more(b'}')?;
        }
        cursor.skip_space();
        if cursor.at < body.len() {
            return Err(format!("more after the end of the JSON object, from byte {}", cursor.at));
        }
        Ok(head)
    }
}

/// Takes a value, of which null says nothing. True where there was one before.
fn is_again<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    value.is_some_and(|value| place.replace(value).is_some())
}

/// What is wrong, without the value, which may be long and personal.
fn no_json(at: usize, error: &serde_json::Error) -> String {
    format!("is no such JSON, after byte {at}: {}", row_issue::clip(&error.to_string(), 80))
}

/// Goes through JSON one value at a time.
struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn skip_space(&mut self) {
        let rest = &self.body[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
    }

    fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.body.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.peek() != Some(byte) {
            return Err(format!("is no such JSON: expected {:?} at byte {}", char::from(byte), self.at));
        }
        self.at += 1;
        Ok(())
    }

    /// After a value: true where another follows, false after `end`.
    fn more(&mut self, end: u8) -> Result<bool, String> {
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(false);
        }
        self.expect(b',')?;
        Ok(true)
    }

    fn value<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        let mut values = Deserializer::from_slice(&self.body[self.at..]).into_iter::<T>();
        match values.next() {
            Some(Ok(value)) => {
                self.at += values.byte_offset();
                Ok(value)
            }
            Some(Err(e)) => Err(no_json(self.at, &e)),
            None => Err("is no such JSON: it ends too early".to_owned()),
        }
    }

    /// A value that is looked through before memory is spent on it.
    fn small<T: DeserializeOwned>(&mut self) -> Result<T, String> {
        self.skip_space();
        let start = self.at;
        self.value::<IgnoredAny>()?;
        let text = &self.body[start..self.at];
        if text.len() > MAX_HEAD_BYTES {
            return Err(format!("is no such JSON: {} bytes at byte {start}, where few are expected", text.len()));
        }
        serde_json::from_slice(text).map_err(|e| no_json(start, &e))
    }

    fn text(&mut self) -> Result<Option<String>, String> {
        Ok(match self.small()? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => Some(other.to_string()),
        })
    }

    /// True or false, which some write as a text.
    fn flag(&mut self) -> Result<Option<bool>, String> {
        let said = self.text()?.map(|text| text.to_ascii_lowercase().parse::<bool>());
        said.transpose().map_err(|_| "\"finished\" is neither true nor false; correct it or leave it out".to_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type};
    use chrono::NaiveDate;

    use super::*;

    fn open(body: &str) -> Result<SourceJson, FeedError> {
        let now = NaiveDate::from_ymd_opt(2026, 1, 10).unwrap().and_hms_opt(10, 0, 0).unwrap();
        SourceJson::new(body.as_bytes(), "body.json", now)
    }

    fn refused(body: &str) -> String {
        open(body).unwrap_err().to_string()
    }

    #[test]
    fn reads() {
        let body = r#" { "reportSuiteID": "acme", "dataSourceID": 7, "finished": true, "extra": {"a": [1]},
            "rows": [ ["1/2/2025", "Käse", 1.5], ["1/2/2025", null, "2"], ["1/3/2025/8/0/0","x","-2"] , [1], {"a":1},
                ["1/2/2025", true, 1], ["1/2/2025", "y", 3] ],
            "columns": ["Date", "Evar 1", "Price"] } "#;
        let mut json = open(body).unwrap();
        assert_eq!((json.report_suite_id.as_deref(), json.data_source_id.as_deref()), (Some("acme"), Some("7")));
        assert_eq!(json.finished, Some(true));
        let Decoded { batch, issues, .. } = json.next_batch().unwrap().unwrap();
        assert!(json.next_batch().unwrap().is_none());
        assert_eq!(batch.column_by_name("row").unwrap().as_primitive::<Int64Type>().values(), &[1, 3, 7]);
        assert_eq!(batch.column_by_name("evar1").unwrap().as_string::<i32>().value(0), "Käse");
        assert_eq!(batch.column_by_name("revenue").unwrap().as_primitive::<Float64Type>().values(), &[1.5, -2.0, 3.0]);
        let found: Vec<_> = issues.iter().map(|i| (i.line, i.reason.as_str())).collect();
        assert_eq!(
            found,
            [
                (2, "no dimension; a record needs one, or a transactionID or VisitorID"),
                (4, "1 fields, expected 3 as in the header line"),
                (5, "is no array of cells"),
                (6, "cell 2 is neither text nor number nor null"),
            ]
        );
        assert_eq!(issues[0].text, r#"["1/2/2025", null, "2"]"#);
    }

    #[test]
    fn null_says_nothing() {
        let body =
            |more: &str| format!(r#"{{"columns": ["Date", "Evar 1", "Price"], "rows": [["1/2/2025", "x", 1]]{more}}}"#);
        for (more, finished) in [
            ("", None),
            (r#", "finished": null"#, None),
            (r#", "finished": null, "finished": true"#, Some(true)),
            (r#", "finished": "false""#, Some(false)),
            (r#", "reportSuiteID": null, "dataSourceID": null, "finished": false"#, Some(false)),
        ] {
            let json = open(&body(more)).unwrap();
            assert_eq!((json.finished, json.report_suite_id, json.data_source_id), (finished, None, None), "{more}");
        }
        for wrong in ["0", "\"no\"", "[]", "\"\""] {
            let reason = refused(&body(&format!(", \"finished\": {wrong}")));
            assert!(reason.contains("neither true nor false"), "{wrong}: {reason}");
        }
        assert!(refused(r#"{"columns": null, "rows": []}"#).contains("has no \"columns\""));
        assert!(refused(r#"{"columns": ["Date", "Evar 1", "Price"], "rows": null}"#).contains("has no \"rows\""));
    }

    #[test]
    fn numbers_keep_their_digits() {
        let body = r#"{"columns": ["Date", "VisitorID", "Evar 1", "Price"],
            "rows": [["1/2/2025", 123456789012345678901234567890, 1.10, 2.50]]}"#;
        let Decoded { batch, issues, .. } = open(body).unwrap().next_batch().unwrap().unwrap();
        assert!(issues.is_empty(), "{issues:?}");
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().value(0).to_string();
        assert_eq!((text("customer_id").as_str(), text("evar1").as_str()), ("123456789012345678901234567890", "1.10"));
        assert_eq!(batch.column_by_name("revenue").unwrap().as_primitive::<Float64Type>().values(), &[2.5]);
    }

    #[test]
    fn refuses() {
        for (body, reason) in [
            ("", "expected '{' at byte 0"),
            ("[]", "expected '{'"),
            ("{}", "has no \"columns\""),
            (r#"{"columns": ["Date", "Evar 1", "Price"]}"#, "has no \"rows\""),
            (r#"{"columns": ["Date", "eVar1", "Price"], "rows": []}"#, "write Evar 1"),
            (r#"{"columns": [1], "rows": []}"#, "is no such JSON"),
            (r#"{"rows": {}, "columns": []}"#, "expected '['"),
            (r#"{"rows": [[1], "columns": []}"#, "is no such JSON"),
            (r#"{"rows": [], "rows": []}"#, "twice"),
            (r#"{"rows": [],}"#, "is no such JSON"),
            (r#"{"rows": []} x"#, "more after the end"),
            (r#"{"rows": []"#, "expected ','"),
        ] {
            assert!(refused(body).contains(reason), "{body}: {}", refused(body));
        }
        assert!(
            refused(&format!(r#"{{"columns": [{}""]"#, "\"\",".repeat(500_000))).contains("where few are expected")
        );
        assert!(refused(&format!(r#"{{"rows": {}"#, "[".repeat(100_000))).contains("is no such JSON"));
        let deep =
            format!(r#"{{"columns": ["Date", "Zip", "Price"], "rows": [{}{}]}}"#, "[".repeat(9000), "]".repeat(9000));
        let decoded = open(&deep).unwrap().next_batch().unwrap().unwrap();
        assert_eq!(decoded.issues[0].reason, "is no array of cells");
    }

    #[test]
    fn empty_and_large() {
        let body =
            |rows: &str| format!("\u{FEFF}{{\"columns\": [\"Date\", \"Evar 1\", \"Price\"], \"rows\": [{rows}]}}");
        assert!(open(&body(" ")).unwrap().next_batch().unwrap().is_none());
        let long = format!(r#"["1/2/2025", "{}", 1]"#, "x".repeat(5000));
        let huge = format!(r#"["1/2/2025", "{}", 1]"#, "x".repeat(500_000));
        let decoded = open(&body(&format!("{long},{huge}"))).unwrap().next_batch().unwrap().unwrap();
        assert!(decoded.issues.iter().all(|i| i.reason == "more than 4096 bytes" && i.text.len() <= 4096));
        assert_eq!(decoded.issues.len(), 2);
        let many = vec!["[]"; 20_000].join(",");
        let mut json = open(&body(&many)).unwrap();
        let counts: Vec<_> = std::iter::from_fn(|| json.next_batch().unwrap()).map(|d| d.records()).collect();
        assert_eq!(counts, [8192, 8192, 3616]);
    }
}
