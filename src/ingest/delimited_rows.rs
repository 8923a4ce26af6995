//! Delimited text as rows: cells as text, row by row, so that one ragged row stays one bad row.
//!
//! In: the bytes in UTF-8, and how they are written ([`Delimited`]). Out: batches of the columns asked for. It is known of
//! each column whether all its cells are numbers.

use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::{ByteRecord, Reader, StringRecord};

use super::bounded::{Bounded, Limit};
use super::delimited::{Delimited, kind_of_bytes, likely_delimiter};
use super::file_rows::{BATCH_ROWS, FileRows, Visit};
use super::tail::{Tail, Tailed};
use crate::feed::{RowIssue, number};
use crate::{Error, Result};

/// A longer row is a quote that was not closed.
const MAX_ROW_BYTES: u64 = 64 << 20;

/// So many bytes of cells make a batch, however few the rows.
const BATCH_BYTES: usize = 32 << 20;

/// A delimited text whose columns are known.
#[derive(Debug)]
pub struct DelimitedFile {
    delimited: Delimited,
    default_delimiter: u8,
    /// The first line is a spreadsheet's own, which says the delimiter: `sep=;`.
    says_delimiter: bool,
    names: Vec<String>,
    /// Columns after these that have no name, which nobody asks for.
    unnamed: usize,
    /// A sign that separates the first line better than the one that is used.
    pub likely_delimiter: Option<&'static str>,
}

/// The rows of a delimited text, one at a time.
struct Records<R> {
    /// The sign around fields, where there is one.
    quote: Option<u8>,
    reader: Reader<Bounded<Tailed<R>>>,
    limit: Limit,
    tail: Tail,
    record: StringRecord,
}

/// What the next row is.
enum Next {
    /// It is in the record; its first line.
    Row(u64),
    /// It is not text in UTF-8.
    Malformed(u64),
    /// There is none.
    End,
}

impl<R: Read> Records<R> {
    fn next(&mut self) -> Result<Next> {
        self.limit.renew();
        let line = self.reader.position().line();
        let mut record = std::mem::take(&mut self.record).into_byte_record();
        let is_row = self.reader.read_byte_record(&mut record).map_err(|error| {
            Error::refused(format!(
                "line {line}: {error}; is a quote left open? quote = \"\" in the mapping says that there are none"
            ))
        })?;
        if !is_row {
            return Ok(Next::End);
        }
        let is_left_open = self.is_left_open(&record);
        let line = self.first_line(&record, !is_left_open);
        if is_left_open {
            return Err(Error::refused(format!(
                "line {line}: a quote is left open, so that all that follows is one cell; close it, or quote = \"\" in the \
                 mapping says that there are none"
            )));
        }
        match StringRecord::from_byte_record(record) {
            Ok(record) => {
                self.record = record;
                Ok(Next::Row(line))
            }
            Err(_) => Ok(Next::Malformed(line)),
        }
    }

    /// The first line of the row that was read: the reader counts comments and empty lines before a row as its own. `ends` is
    /// false where the row has no end but that of the file.
    fn first_line(&self, record: &ByteRecord, ends: bool) -> u64 {
        let end = self.reader.position();
        let within = record.as_slice().iter().filter(|byte| **byte == b'\n').count() as u64;
        // the line feed after a carriage return is read with the next row
        let is_over = ends && self.tail.byte_before(end.byte()) == Some(b'\n');
        end.line().saturating_sub(within + u64::from(is_over))
    }
}

impl<R: Read> Records<R> {
    /// True where the last cell of the row that was read runs over lines and no quote ends it: it ends with the file.
    fn is_left_open(&self, record: &ByteRecord) -> bool {
        let Some(quote) = self.quote else { return false };
        let last = record.iter().next_back().unwrap_or_default();
        if memchr::memchr(b'\n', last).is_none() {
            return false;
        }
        // the row's own line end, and what some leave before it
        let mut end = self.reader.position().byte();
        let before = loop {
            match self.tail.byte_before(end) {
                Some(b'\n' | b'\r' | b' ' | b'\t') => end -= 1,
                other => break other,
            }
        };
        before.is_some_and(|byte| byte != quote)
    }
}

impl DelimitedFile {
    /// Reads the header line, where there is one.
    pub fn look<R: Read>(open: impl Fn() -> Result<R>, delimited: Delimited, default_delimiter: u8) -> Result<Self> {
        let names = vec![];
        let mut file =
            Self { delimited, default_delimiter, says_delimiter: false, names, unnamed: 0, likely_delimiter: None };
        let mut records = file.records(open()?);
        let mut first = records.next()?;
        if let Some(sign) = said_delimiter(&records.record, file.used()) {
            (file.says_delimiter, file.default_delimiter) = (true, sign);
            records = file.records(open()?);
            records.next()?;
            first = records.next()?;
        }
        let used = file.used();
        let shown = records.record.iter().collect::<Vec<_>>().join(std::str::from_utf8(&[used]).unwrap_or(" "));
        if let Some(kind) = kind_of_bytes(&shown) {
            return Err(Error::refused(format!("line 1: no text, but {kind}")));
        }
        if file.delimited.columns.is_none() && shown.contains('\0') {
            return Err(Error::refused(
                "line 1: NUL bytes; a UTF-16 file without a byte order mark needs encoding = \"utf-16le\" in the mapping",
            ));
        }
        file.likely_delimiter = likely_delimiter(&shown, used);
        file.names = match (&file.delimited.columns, first) {
            (Some(columns), _) => columns.clone(),
            (None, Next::Row(_)) => names_of(&records.record),
            (None, Next::Malformed(line)) => {
                return Err(Error::refused(format!("line {line}: the column names are not text in UTF-8")));
            }
            (None, Next::End) => {
                return Err(Error::refused("empty; a delimited file begins with a line of column names"));
            }
        };
        if file.delimited.columns.is_none() {
            file.unnamed = records.record.len() - file.names.len();
        }
        Ok(file)
    }

    /// All columns, as text.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>()))
    }

    /// For each column the type that all its cells have, where they are numbers.
    pub fn find_numbers(&self, input: impl Read) -> Result<Vec<Option<DataType>>> {
        let mut natures = vec![Nature::Empty; self.names.len()];
        let mut records = self.rows(input)?;
        loop {
            match records.next()? {
                Next::End => break,
                Next::Malformed(_) => {}
                Next::Row(_) => {
                    for (nature, cell) in natures.iter_mut().zip(&records.record) {
                        if *nature != Nature::Text && !self.delimited.is_null(cell.as_bytes()) {
                            *nature = (*nature).max(Nature::of(cell));
                        }
                    }
                }
            }
        }
        Ok(natures.into_iter().map(Nature::number).collect())
    }

    /// The rows as batches of these columns.
    pub fn read(&self, input: impl Read, columns: &[usize], schema: &SchemaRef, visit: Visit<'_>) -> Result<()> {
        let mut records = self.rows(input)?;
        let mut batch = Batch::new(columns.len());
        loop {
            match records.next()? {
                Next::End => break,
                Next::Malformed(line) => batch.issues.push(RowIssue::new(line, "", "not text in UTF-8", "")),
                Next::Row(line) => self.take(&records.record, line, columns, &mut batch),
            }
            if batch.is_full()
                && visit(std::mem::replace(&mut batch, Batch::new(columns.len())).finish(schema)?)?.is_break()
            {
                return Ok(());
            }
        }
        if !(batch.lines.is_empty() && batch.issues.is_empty()) {
            let _: ControlFlow<()> = visit(batch.finish(schema)?)?;
        }
        Ok(())
    }

    fn take(&self, record: &StringRecord, line: u64, columns: &[usize], batch: &mut Batch) {
        // what a spreadsheet leaves below its rows is no row
        if record.iter().all(|cell| cell.trim().is_empty()) {
            return;
        }
        if self.is_whole(record) {
            for (column, builder) in columns.iter().zip(&mut batch.cells) {
                let cell = record.get(*column).filter(|cell| !self.delimited.is_null(cell.as_bytes()));
                builder.append_option(cell);
            }
            batch.bytes += record.as_slice().len();
            batch.lines.push(line);
        } else {
            let used = char::from(self.used());
            let text = record.iter().collect::<Vec<_>>().join(&used.to_string());
            let mut reason = format!("{} fields, expected {}", record.len(), self.names.len());
            if let Some(likely) = likely_delimiter(&text, used as u8).filter(|_| record.len() == 1) {
                reason += &format!("; is the delimiter {likely:?}?");
            } else if self.delimited.escape.is_none() && text.contains("\\\"") {
                reason += "; does \\ stand before quotes? escape = \"\\\\\" in the mapping says so";
            }
            batch.issues.push(RowIssue::new(line, "", reason, &text));
        }
    }

    /// True for a row with a field for each name; what a separator at the end of a line leaves is none.
    fn is_whole(&self, record: &StringRecord) -> bool {
        record.len() >= self.names.len()
            && record.iter().skip(self.names.len() + self.unnamed).all(|cell| cell.trim().is_empty())
    }

    /// The rows after the header line.
    fn rows<R: Read>(&self, input: R) -> Result<Records<R>> {
        let mut records = self.records(input);
        if self.says_delimiter {
            records.next()?;
        }
        if self.delimited.columns.is_none() {
            records.next()?;
        }
        Ok(records)
    }

    /// The sign between fields.
    fn used(&self) -> u8 {
        self.delimited.delimiter.unwrap_or(self.default_delimiter)
    }

    fn records<R: Read>(&self, input: R) -> Records<R> {
        let (input, tail) = Tailed::new(input);
        let (input, limit) = Bounded::new(input, MAX_ROW_BYTES);
        let reader = self.delimited.reader(self.default_delimiter).buffer_capacity(256 << 10).from_reader(input);
        let quote = self.delimited.quote.unwrap_or(Some(b'"'));
        Records { quote, reader, limit, tail, record: StringRecord::new() }
    }
}

/// The names of columns as a header line says them, without what separators leave at its end. One without a name is called by
/// its number.
fn names_of(header: &StringRecord) -> Vec<String> {
    let mut names: Vec<&str> = header.iter().map(str::trim).collect();
    while names.len() > 1 && names.last().is_some_and(|name| name.is_empty()) {
        names.pop();
    }
    let name = |(index, name): (usize, &&str)| match *name {
        "" => format!("column {}", index + 1),
        name => name.to_string(),
    };
    names.iter().enumerate().map(name).collect()
}

/// The delimiter that a spreadsheet says in the first line, read with the one that is `used`.
fn said_delimiter(record: &StringRecord, used: u8) -> Option<u8> {
    let mut cells = record.iter();
    let (name, said) = cells.next()?.split_at_checked("sep=".len())?;
    let said = match (said.as_bytes(), cells.next()) {
        ([sign], None) if sign.is_ascii() => *sign,
        ([], Some("")) => used,
        _ => return None,
    };
    (name.eq_ignore_ascii_case("sep=") && cells.next().is_none()).then_some(said)
}

/// Rows that become a batch.
struct Batch {
    cells: Vec<StringBuilder>,
    lines: Vec<u64>,
    bytes: usize,
    issues: Vec<RowIssue>,
}

impl Batch {
    fn new(columns: usize) -> Self {
        let cells = (0..columns).map(|_| StringBuilder::new()).collect();
        Self { cells, lines: vec![], bytes: 0, issues: vec![] }
    }

    fn is_full(&self) -> bool {
        self.lines.len() + self.issues.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    fn finish(self, schema: &SchemaRef) -> Result<FileRows> {
        let Self { cells, lines, issues, .. } = self;
        let arrays = cells.into_iter().map(|mut cells| Arc::new(cells.finish()) as ArrayRef).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        Ok(FileRows { batch: RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?, lines, issues })
    }
}

/// What the cells of a column have in common; the larger one prevails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nature {
    /// No cell.
    Empty,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Anything else.
    Text,
}

impl Nature {
    /// What a cell is.
    pub fn of(cell: &str) -> Self {
        let digits = cell.strip_prefix('-').unwrap_or(cell);
        // 007 is a code, not a number
        if digits.len() > 1 && digits.starts_with('0') && digits.as_bytes()[1].is_ascii_digit() {
            return Self::Text;
        }
        if digits.bytes().all(|b| b.is_ascii_digit()) && cell.parse::<i64>().is_ok() {
            return Self::Integer;
        }
        // an integer that no i64 holds would lose digits as a float
        match number::parse(cell) {
            Some(_) if !digits.bytes().all(|b| b.is_ascii_digit()) => Self::Float,
            _ => Self::Text,
        }
    }

    /// The type of numbers.
    pub fn number(self) -> Option<DataType> {
        match self {
            Self::Integer => Some(DataType::Int64),
            Self::Float => Some(DataType::Float64),
            Self::Empty | Self::Text => None,
        }
    }
}
