//! A data source file (`.txt`, tab separated): comments and headers, then offline records, streamed.
//!
//! In: the file's bytes in the encoding that [`Encoding::detect`] found. Out: batches; each record is in one of them or
//! among their issues. Comments (`#`) and blank lines are no records.

use std::borrow::Cow;
use std::io::Read;

use arrow::datatypes::SchemaRef;
use chrono::NaiveDateTime;

use super::lines::Lines;
use super::source_columns::{SourceColumn, parse_headers};
use super::source_rows::{MAX_ROW_BYTES, SourceRows};
use super::text::{Encoding, Utf8Reader};
use super::{Decoded, FeedError};

/// What the reader must be told.
#[derive(Debug, Clone, Copy)]
pub struct SourceOptions {
    /// The present on the suite's wall clock: later dates are mistakes.
    pub now_local: NaiveDateTime,
    /// From [`Encoding::detect`] over the same file.
    pub encoding: Encoding,
}

/// Reads one data source file.
pub struct SourceReader<R> {
    lines: Lines<Utf8Reader<R>>,
    file: String,
    encoding: Encoding,
    rows: SourceRows,
    line: Vec<u8>,
    ended: bool,
}

/// Records that make a batch.
pub const BATCH_ROWS: usize = 8192;
const MAX_HEADER_BYTES: usize = 1 << 20;
/// A character of Windows-1252 takes up to three bytes in UTF-8; what is kept of a line shows whether it is too long.
const KEPT_BYTES: usize = 3 * MAX_ROW_BYTES + 3;

impl<R: Read> SourceReader<R> {
    /// Reads up to the end of the header line.
    ///
    /// # Errors
    /// The stream cannot be read, there is no header line, or its columns are not as they must be.
    pub fn new(input: R, file: &str, options: SourceOptions) -> Result<Self, FeedError> {
        let mut lines = Lines::new(Utf8Reader::new(input, options.encoding));
        let mut line = Vec::new();
        let (header, number) = loop {
            let read = lines.next(&mut line, MAX_HEADER_BYTES).map_err(|e| FeedError::unreadable(file, e))?;
            let read = read.ok_or_else(|| {
                FeedError::new(file, "no header line; the first line that is no comment names the columns, Date first")
            })?;
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let error = |message: &str| FeedError::new(file, message).on_line(read.number);
            if read.cut {
                return Err(error("a header line of more than 1 MiB; is this a data source file?"));
            }
            break match std::str::from_utf8(&line) {
                Ok(header) => (header, read.number),
                Err(_) => return Err(error("the header line is not valid UTF-8; save the file as UTF-8")),
            };
        };
        if let Some(mistake) = mistaken_header(header) {
            return Err(FeedError::new(file, mistake).on_line(number));
        }
        let header = header.split('\t').map(|cell| unquoted(cell).unwrap_or(Cow::Borrowed(cell)));
        let header: Vec<Cow<'_, str>> = header.collect();
        let columns = parse_headers(&header.iter().map(AsRef::as_ref).collect::<Vec<_>>(), file, Some(number))?;
        let rows = SourceRows::new(columns, options.now_local);
        Ok(Self { lines, file: file.to_owned(), encoding: options.encoding, rows, line, ended: false })
    }

    /// The file's columns, in its order.
    pub fn columns(&self) -> &[SourceColumn] {
        self.rows.columns()
    }

    /// The schema of all batches.
    pub fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }

    /// The next records, [`BATCH_ROWS`] at most; `None` after the last ones.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub fn next_batch(&mut self) -> Result<Option<Decoded>, FeedError> {
        while !self.ended && self.rows.waiting() < BATCH_ROWS {
            let read = self.lines.next(&mut self.line, KEPT_BYTES);
            match read.map_err(|e| FeedError::unreadable(&self.file, e))? {
                None => self.ended = true,
                Some(line) => self.take_line(line.number, line.cut),
            }
        }
        Ok((self.rows.waiting() > 0).then(|| self.rows.take()))
    }

    fn take_line(&mut self, number: u64, cut: bool) {
        // a spreadsheet leaves tabs below its last row
        if self.line.iter().all(|b| matches!(b, b'\t' | b' ')) || self.line.starts_with(b"#") {
            return;
        }
        let text = String::from_utf8_lossy(&self.line);
        let length = match self.encoding {
            Encoding::Windows1252 => text.chars().count(),
            _ => self.line.len(),
        };
        if cut || length > MAX_ROW_BYTES {
            self.rows.reject(number, "", format!("more than {MAX_ROW_BYTES} bytes"), &text);
        } else if matches!(text, Cow::Owned(_)) {
            self.rows.reject(number, "", "not valid UTF-8; save the file as UTF-8", &text);
        } else {
            let mut fields: Vec<_> = text.split('\t').map(Cow::Borrowed).collect();
            for (at, field) in fields.iter_mut().enumerate() {
                if let Some(inner) = unquoted(field) {
                    let column = self.rows.columns().get(at).map_or_else(String::new, |c| c.header.clone());
                    self.rows.warn(number, &column, "quotes around the cell are taken off; save the file without them");
                    *field = Cow::Owned(inner.into_owned());
                }
            }
            self.rows.push(number, &fields, &text);
        }
    }
}

/// What is wrong with a header line as a whole.
fn mistaken_header(line: &str) -> Option<&'static str> {
    let cells: Vec<&str> = line.split('\t').collect();
    match cells.as_slice() {
        [only] if only.contains([',', ';']) => Some("no tab between the columns; save the file as tab separated text"),
        [first, .., last] if first.starts_with('"') && unquoted(first).is_none() && last.ends_with('"') => {
            Some("quotes stand around the whole line; save the file as tab separated text")
        }
        _ => None,
    }
}

/// What a spreadsheet has put into quotes; None for a cell that has none around it.
fn unquoted(cell: &str) -> Option<Cow<'_, str>> {
    let inner = cell.strip_prefix('"')?.strip_suffix('"')?;
    Some(if inner.contains("\"\"") { Cow::Owned(inner.replace("\"\"", "\"")) } else { Cow::Borrowed(inner) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type};
    use chrono::NaiveDate;

    use super::*;

    fn open(bytes: &[u8]) -> Result<SourceReader<&[u8]>, FeedError> {
        let now_local = NaiveDate::from_ymd_opt(2026, 1, 10).unwrap().and_hms_opt(10, 0, 0).unwrap();
        SourceReader::new(bytes, "returns.txt", SourceOptions { now_local, encoding: Encoding::detect(bytes).unwrap() })
    }

    fn read(bytes: &[u8]) -> Vec<Decoded> {
        let mut reader = open(bytes).unwrap();
        std::iter::from_fn(|| reader.next_batch().unwrap()).collect()
    }

    fn refused(bytes: &[u8]) -> String {
        open(bytes).err().unwrap().to_string()
    }

    const TEXT: &str = "# Data source\r\n\r\n# 1234\r\nDate\tevar 1\tPRICE\r\n1/2/2025\tKäse\t1.5\r\n\r\n# note\r\n1/3/2025\t\t2\r\n1/4/2025\tx\t-2";

    #[test]
    fn comments_headers_rows_in_every_encoding() {
        let utf16 = |high_first: bool| -> Vec<u8> {
            let units = std::iter::once(0xFEFF).chain(TEXT.encode_utf16());
            units.flat_map(|u| if high_first { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
        };
        let latin = TEXT.chars().map(|c| c as u32 as u8).collect();
        let marked = format!("\u{FEFF}{TEXT}").into_bytes();
        for bytes in [TEXT.as_bytes().to_vec(), marked, utf16(true), utf16(false), latin] {
            let batches = read(&bytes);
            assert_eq!(batches.len(), 1);
            let Decoded { batch, issues, .. } = &batches[0];
            assert_eq!(batch.column_by_name("row").unwrap().as_primitive::<Int64Type>().values(), &[5, 9]);
            assert_eq!(batch.column_by_name("evar1").unwrap().as_string::<i32>().value(0), "Käse");
            assert_eq!(batch.column_by_name("revenue").unwrap().as_primitive::<Float64Type>().values(), &[1.5, -2.0]);
            assert_eq!(issues.iter().map(|i| (i.line, &*i.text)).collect::<Vec<_>>(), [(8, "1/3/2025\t\t2")]);
        }
    }

    #[test]
    fn long_rows() {
        let row = |length: usize| format!("1/2/2025\t{}\t1", "é".repeat((length - 11) / 2));
        assert_eq!(row(4095).len(), 4095);
        let long =
            format!("Date\tEvar 1\tPrice\n{}\n{}\n{}\n1/2/2025\tx\t1\n", row(4095), row(4097), "z".repeat(9 << 20));
        let batches = read(long.as_bytes());
        assert_eq!(batches[0].batch.num_rows(), 2);
        let issues = &batches[0].issues;
        assert_eq!(issues.iter().map(|i| i.line).collect::<Vec<_>>(), [3, 4]);
        assert!(issues.iter().all(|i| i.reason == "more than 4096 bytes" && i.text.len() <= 4096));
        // The limit is the file's bytes, not those of its UTF-8 form.
        let latin: Vec<u8> = format!("Date\tEvar 1\tPrice\n1/2/2025\t{}\t1\n", "é".repeat(4000))
            .chars()
            .map(|c| c as u32 as u8)
            .collect();
        assert_eq!(read(&latin)[0].batch.num_rows(), 1);
    }

    #[test]
    fn what_a_spreadsheet_adds() {
        let text = "\"Date\"\tEvar 1\t\"Price\"\n1/2/2025\t\"a \"\"b\"\", c\"\t\"1\"\n1/3/2025\t\"\tx\n\t\t\n1/4/2025\t6\"\t2\n \t\t\n";
        let batches = read(text.as_bytes());
        let Decoded { batch, issues, warnings } = &batches[0];
        let evars = batch.column_by_name("evar1").unwrap().as_string::<i32>();
        assert_eq!(evars.iter().flatten().collect::<Vec<_>>(), ["a \"b\", c", "6\""]);
        assert_eq!(
            warnings.iter().map(|w| (w.line, w.column.as_str())).collect::<Vec<_>>(),
            [(2, "Evar 1"), (2, "Price")]
        );
        assert_eq!(issues.iter().map(|i| i.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn batches_are_bounded() {
        let text = format!("Date\tEvar 1\tPrice\n{}", "bad\n1/2/2025\tx\t1\n".repeat(10_000));
        let batches = read(text.as_bytes());
        assert_eq!(batches.iter().map(Decoded::records).collect::<Vec<_>>(), [8192, 8192, 3616]);
        assert_eq!(batches[2].batch.num_rows() + batches[2].issues.len(), 3616);
        assert_eq!(batches[2].issues.last().unwrap().line, 20_000);
    }

    #[test]
    fn whole_files_that_are_refused() {
        assert!(refused(b"").contains("no header line"));
        assert!(refused(b"# only\n\n").contains("no header line"));
        assert_eq!(
            refused(b"# c\nDate\teVar1\tPrice\n"),
            "returns.txt line 2: \"eVar1\" is no column; write Evar 1, with a space"
        );
        assert!(refused(&vec![b'x'; 2 << 20]).contains("more than 1 MiB"));
        assert!(refused(b"D\0a\0t\0e\0").contains("UTF-16"));
        assert!(refused(b"Date\tEvar 1\tPrice\r1/2/2025\tx\t1\r").contains("carriage returns"));
        assert_eq!(read(b"Date\tEvar 1\tPrice\n").len(), 0);
    }

    #[test]
    fn bad_bytes_are_bad_rows() {
        let bytes =
            [b"\xEF\xBB\xBFDate\tEvar 1\tPrice\n1/2/2025\t\xFF\t1\n1/2/2025\tx\0\t1\n".as_slice(), b"1/2/2025\tx\t1"]
                .concat();
        let batches = read(&bytes);
        assert_eq!((batches[0].batch.num_rows(), batches[0].issues.len()), (1, 2));
        let utf16: Vec<u8> = std::iter::once(0xFEFF).chain(TEXT.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let error = refused(&utf16[..utf16.len() - 1]);
        assert!(error.contains("not valid UTF-16LE"), "{error}");
    }
}
