//! Delimited text as rows: cells as text, row by row, so that one ragged row stays one bad row.
//!
//! In: the bytes in UTF-8, and how they are written ([`Delimited`]). Out: batches of the columns asked for. It is known of
//! each column whether all its cells are numbers.

use std::io::{Read, SeekFrom};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::{Position, Reader, StringRecord};
use memchr::{memchr, memchr_iter, memchr2, memchr3};

use super::delimited::{Delimited, is_json, is_no_text, kind_of_bytes, likely_delimiter};
use super::file_rows::{BATCH_ROWS, FileRows, Visit};
use super::rewindable::{KeptBytes, Rewindable};
use crate::feed::row_issue::MAX_TEXT_BYTES;
use crate::feed::{RowIssue, number};
use crate::{Error, Result};

/// A longer row is none.
const MAX_ROW_BYTES: usize = 16 << 20;

/// A cell of more lines is a quote that was not closed.
const MAX_CELL_LINES: usize = 1000;

/// Why a row is none.
const LEFT_OPEN: &str = "a quote is left open, so that what follows would be one cell; close it, or say quote = \"\" \
                         in the mapping where there are none";

/// So many bytes of cells make a batch, however few the rows. A cell takes some where it is empty, too.
const BATCH_BYTES: usize = 32 << 20;
const CELL_BYTES: usize = size_of::<i32>();

/// A line of more names is none.
const MAX_COLUMNS: usize = 100_000;

/// There is room for so many cells in a new batch, before it grows.
const ROOM_CELLS: usize = 1 << 20;

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
    signs: RowSyntax,
    reader: Reader<Rewindable<R>>,
    held: KeptBytes,
    record: StringRecord,
}

/// What the next row is.
enum Next {
    /// It is in the record; its first line.
    Row(u64),
    /// It is not text in UTF-8.
    Malformed(u64),
    /// A quote in it is left open: its first line, and how it begins. The lines after it are read as rows of their own.
    LeftOpen(u64, String),
    /// There is none.
    End,
}

impl<R: Read> Records<R> {
    fn next(&mut self) -> Result<Next> {
        let start = self.reader.position().clone();
        self.held.hold(start.byte());
        let mut record = std::mem::take(&mut self.record).into_byte_record();
        match self.reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(Next::End),
            Err(error) => {
                let open = if self.held.is_full() { self.left_open(&start, self.held.end())? } else { None };
                let advice = match self.held.is_full() {
                    true => "; has the file line ends, and is it a delimited text?",
                    false => "",
                };
                return open.ok_or_else(|| Error::refused(format!("line {}: {error}{advice}", start.line())));
            }
        }
        let end = self.reader.position().byte();
        if memchr2(b'\n', b'\r', record.as_slice()).is_some()
            && let Some(open) = self.left_open(&start, end)?
        {
            return Ok(open);
        }
        // the reader counts comments and empty lines before a row as its own
        let taken = self.held.bytes(start.byte(), end);
        let line = start.line() + line_feeds(&taken[..self.signs.before_row(&taken)]);
        drop(taken);
        match StringRecord::from_byte_record(record) {
            Ok(record) => {
                self.record = record;
                Ok(Next::Row(line))
            }
            Err(_) => Ok(Next::Malformed(line)),
        }
    }

    /// Where a quote in what was read from `start` up to `end` is left open, goes on with the line after it.
    fn left_open(&mut self, start: &Position, end: u64) -> Result<Option<Next>> {
        let taken = self.held.bytes(start.byte(), end);
        let (before, row) = taken.split_at(self.signs.before_row(&taken));
        let Some(next) = self.signs.line_after_open_quote(row) else { return Ok(None) };
        let line = start.line() + line_feeds(before);
        let shown = &row[..next.min(MAX_TEXT_BYTES)];
        let open = Next::LeftOpen(line, String::from_utf8_lossy(shown).trim_end().to_string());
        let mut place = Position::new();
        place.set_byte(start.byte() + (before.len() + next) as u64).set_line(line + line_feeds(&row[..next]));
        drop(taken);
        // a reader that could not hold more is to go on all the same
        if place.byte() < self.reader.position().byte() || self.reader.is_done() {
            let again = self.reader.seek_raw(SeekFrom::Start(place.byte()), place);
            again.map_err(|e| Error::bug(format!("what was read cannot be read again: {e}")))?;
        }
        Ok(Some(open))
    }
}

/// The signs of a delimited text that decide where a row ends.
struct RowSyntax {
    delimiter: u8,
    /// The sign around fields, where there is one.
    quote: Option<u8>,
    escape: Option<u8>,
    comment: Option<u8>,
}

impl RowSyntax {
    /// How many bytes are comments and empty lines before the row.
    fn before_row(&self, taken: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = taken.get(at) {
            match byte {
                b'\n' | b'\r' => at += 1,
                byte if Some(*byte) == self.comment => {
                    at += memchr(b'\n', &taken[at..]).map_or(taken.len() - at, |end| end + 1);
                }
                _ => break,
            }
        }
        at
    }

    /// Where a quote of the row is left open, the place after its line. Such a quote has no end, or what has one runs over
    /// lines and goes on after it, or over too many lines. None where no line comes after it.
    fn line_after_open_quote(&self, row: &[u8]) -> Option<usize> {
        let quote = self.quote?;
        let mut at = 0;
        while at < row.len() {
            let field = at;
            let (mut is_closed, mut lines) = (true, 0);
            if row[at] == quote {
                let end = self.end_of_quoted(quote, &row[at + 1..]).map(|end| at + 1 + end);
                is_closed = end.is_some();
                at = end.unwrap_or(row.len());
                lines = line_ends(&row[field..at]);
                at += row[at..].iter().take_while(|byte| self.is_blank(**byte)).count();
            }
            // what goes on after a quote that was closed on its line is part of the field
            let rest = memchr3(self.delimiter, b'\n', b'\r', &row[at..]).unwrap_or(row.len() - at);
            if !is_closed || lines > 0 && rest > 0 || lines > MAX_CELL_LINES {
                return after_line(&row[field..]).map(|next| field + next);
            }
            at += rest + 1;
        }
        None
    }

    /// The place after the quote that ends a field, in what follows the one that begins it.
    fn end_of_quoted(&self, quote: u8, field: &[u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            at += memchr2(quote, self.escape.unwrap_or(quote), field.get(at..)?)? + 1;
            // what is escaped, by a sign of its own or by a quote, is no end
            if field[at - 1] == quote && field.get(at) != Some(&quote) {
                return Some(at);
            }
            at += 1;
        }
    }

    fn is_blank(&self, byte: u8) -> bool {
        matches!(byte, b' ' | b'\t') && byte != self.delimiter
    }
}

/// The place after the first line end.
fn after_line(text: &[u8]) -> Option<usize> {
    let end = memchr2(b'\n', b'\r', text)?;
    Some(if text[end..].starts_with(b"\r\n") { end + 2 } else { end + 1 })
}

fn line_feeds(text: &[u8]) -> u64 {
    memchr_iter(b'\n', text).count() as u64
}

/// How many lines end, whichever way they do.
fn line_ends(text: &[u8]) -> usize {
    memchr_iter(b'\n', text).count().max(memchr_iter(b'\r', text).count())
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
        for _ in 0..file.delimited.skip {
            first = records.next()?;
        }
        let used = file.used();
        let shown = match &first {
            Next::LeftOpen(_, text) => text.clone(),
            _ => records.record.iter().collect::<Vec<_>>().join(std::str::from_utf8(&[used]).unwrap_or(" ")),
        };
        if let Some(kind) = kind_of_bytes(&shown) {
            return Err(Error::refused(format!("line 1: no text, but {kind}")));
        }
        if file.delimited.columns.is_none() && shown.contains('\0') {
            return Err(Error::refused(
                "line 1: NUL bytes; a UTF-16 file without a byte order mark needs encoding = \"utf-16le\" in the mapping, \
                 and what is no text must be exported as CSV",
            ));
        }
        if file.delimited.columns.is_none() && shown.contains(|sign: char| is_no_text(sign, used)) {
            return Err(Error::refused(
                "line 1: signs that no text has; export the file as CSV, or say the delimiter in the mapping where such \
                 a sign is between the fields",
            ));
        }
        if file.delimited.columns.is_none() && is_json(&shown) {
            return Err(Error::refused("line 1: JSON, and no line of column names; end the file's name in .json"));
        }
        file.likely_delimiter = likely_delimiter(&shown, used);
        file.names = match (&file.delimited.columns, first) {
            (Some(columns), _) => columns.clone(),
            (None, Next::Row(_)) => names_of(&records.record),
            (None, Next::LeftOpen(line, _)) => return Err(Error::refused(format!("line {line}: {LEFT_OPEN}"))),
            (None, Next::Malformed(line)) => {
                return Err(Error::refused(format!("line {line}: the column names are not text in UTF-8")));
            }
            (None, Next::End) => {
                return Err(Error::refused("empty; a delimited file begins with a line of column names"));
            }
        };
        if file.names.len() > MAX_COLUMNS {
            return Err(Error::refused(format!("line 1: more than {MAX_COLUMNS} columns; has the file line ends?")));
        }
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
        let mut inferred_types = vec![InferredType::Empty; self.names.len()];
        let mut records = self.rows(input)?;
        loop {
            match records.next()? {
                Next::End => break,
                Next::Malformed(_) | Next::LeftOpen(..) => {}
                Next::Row(_) => {
                    for (inferred, cell) in inferred_types.iter_mut().zip(&records.record) {
                        if *inferred != InferredType::Text && !self.delimited.is_null(cell.as_bytes()) {
                            *inferred = (*inferred).max(InferredType::of(cell));
                        }
                    }
                }
            }
        }
        Ok(inferred_types.into_iter().map(InferredType::number).collect())
    }

    /// The rows as batches of these columns.
    pub fn read(&self, input: impl Read, columns: &[usize], schema: &SchemaRef, visit: Visit<'_>) -> Result<()> {
        let mut records = self.rows(input)?;
        let mut batch = Batch::new(columns.len());
        loop {
            match records.next()? {
                Next::End => break,
                Next::Malformed(line) => batch.issues.push(RowIssue::new(line, "", "not text in UTF-8", "")),
                Next::LeftOpen(line, text) => batch.issues.push(RowIssue::new(line, "", LEFT_OPEN, &text)),
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
            batch.bytes += record.as_slice().len() + columns.len() * CELL_BYTES;
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
        for _ in 0..self.delimited.skip + usize::from(self.delimited.columns.is_none()) {
            records.next()?;
        }
        Ok(records)
    }

    /// The sign between fields.
    fn used(&self) -> u8 {
        self.delimited.delimiter.unwrap_or(self.default_delimiter)
    }

    fn records<R: Read>(&self, input: R) -> Records<R> {
        let (input, held) = Rewindable::new(input, MAX_ROW_BYTES);
        let reader = self.delimited.reader(self.default_delimiter).buffer_capacity(256 << 10).from_reader(input);
        let Delimited { quote, escape, comment, .. } = self.delimited;
        let signs = RowSyntax { delimiter: self.used(), quote: quote.unwrap_or(Some(b'"')), escape, comment };
        Records { signs, reader, held, record: StringRecord::new() }
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
        let room = (ROOM_CELLS / columns.max(1)).min(1024);
        let cells = (0..columns).map(|_| StringBuilder::with_capacity(room, room)).collect();
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
pub enum InferredType {
    /// No cell.
    Empty,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Anything else.
    Text,
}

impl InferredType {
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::AsArray;

    use super::*;

    /// The first column, and the lines of what is no row.
    fn read(text: &str, delimited: &Delimited) -> (Vec<String>, Vec<u64>) {
        let open = || Ok(text.as_bytes());
        let file = DelimitedFile::look(open, delimited.clone(), b',').unwrap();
        let schema = Arc::new(file.schema().project(&[0]).unwrap());
        let (mut cells, mut lines) = (vec![], vec![]);
        file.read(text.as_bytes(), &[0], &schema, &mut |rows| {
            cells.extend(rows.batch.column(0).as_string::<i32>().iter().flatten().map(str::to_string));
            lines.extend(rows.issues.iter().map(|issue| issue.line));
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        (cells, lines)
    }

    #[test]
    fn a_quote_that_is_left_open_takes_its_line_alone() {
        let plain = Delimited::default();
        let escaped = Delimited { escape: Some(b'\\'), comment: Some(b'#'), ..Delimited::default() };
        let long = format!("a,b\n1,\"x\n{}4,y\"\n", "2,z\n".repeat(1500));
        let of_long: Vec<String> = std::iter::repeat_n("2", 1500).chain(["4"]).map(str::to_string).collect();
        let rows = |cells: &[&str]| cells.iter().map(|cell| cell.to_string()).collect::<Vec<_>>();
        for (text, delimited, cells, lines) in [
            ("a,b\n1,x\n2,\"open\n3,y\n4,z\n", &plain, rows(&["1", "3", "4"]), vec![3]),
            ("a,b\r\n1,\"open\r\n3,y\r\n4,\"z", &plain, rows(&["3", "4"]), vec![2]),
            ("a,b\r1,\"open\r3,y\r", &plain, rows(&["3"]), vec![1]),
            // the next quote would end it, and what follows that shows that it does not
            ("a,b\n1,\"open\n2,\"red\"\n3,\"\"\n", &plain, rows(&["2", "3"]), vec![2]),
            ("a,b\n1,\"open\n2,\"open\n3,x\n", &plain, rows(&["3"]), vec![2, 3]),
            // a cell of several lines before it, comments and empty lines
            ("a,b\n\n\"1\n2\",\"open\n3,x\n", &plain, rows(&["3"]), vec![3]),
            ("#c\na,b\n#c\n1,\"open \\\" \n#c\n3,x\n", &escaped, rows(&["3"]), vec![4]),
            // cells of several lines stay
            ("a,b\n1,\"x\n\"\"y\"\" \n\" ,\n2,\"z\"z\n", &plain, rows(&["1", "2"]), vec![]),
            ("a,b\n1,\"x\\\"\n\"\n2,y\n", &escaped, rows(&["1", "2"]), vec![]),
            (long.as_str(), &plain, of_long, vec![2]),
        ] {
            assert_eq!(read(text, delimited), (cells, lines), "{}", &text[..text.len().min(80)]);
        }
        let error = DelimitedFile::look(|| Ok(&b"a,\"b\n1,2\n"[..]), plain, b',').unwrap_err().to_string();
        assert!(error.contains("line 1: a quote is left open"), "{error}");
    }

    #[test]
    fn a_line_of_too_many_names() {
        let line = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
        let look = |text: &str| DelimitedFile::look(|| Ok(text.as_bytes()), Delimited::default(), b',');
        assert_eq!(look(&line(MAX_COLUMNS)).unwrap().names.len(), MAX_COLUMNS);
        let error = look(&line(MAX_COLUMNS + 1)).unwrap_err().to_string();
        assert!(error.contains("more than 100000 columns"), "{error}");
    }

    /// Rows of many cells are few in a batch, also where nothing is in them.
    #[test]
    fn empty_cells_take_room() {
        let columns: Vec<usize> = (0..20_000).collect();
        let names: Vec<String> = columns.iter().map(|n| format!("c{n}")).collect();
        let text = format!("{}\n{}", names.join(","), format!("x{}\n", ",".repeat(19_999)).repeat(450));
        let file = DelimitedFile::look(|| Ok(text.as_bytes()), Delimited::default(), b',').unwrap();
        let mut rows = vec![];
        file.read(text.as_bytes(), &columns, &file.schema(), &mut |some| {
            rows.push(some.batch.num_rows());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
        assert!(rows.len() > 1 && rows.iter().sum::<usize>() == 450, "{rows:?}");
    }

    #[test]
    fn a_row_of_too_many_bytes() {
        let text = format!("a,b\n1,\"x\n{}4,y\n", format!("2,{}\n", "z".repeat(200)).repeat(90_000));
        let (cells, lines) = read(&text, &Delimited::default());
        assert_eq!((cells.len(), lines), (90_001, vec![2]));
        let text = format!("a,b\n1,{}\n", "x".repeat(17 << 20));
        let file = DelimitedFile::look(|| Ok(text.as_bytes()), Delimited::default(), b',').unwrap();
        let error = file.find_numbers(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("more than 16 MiB"), "{error}");
    }
}
