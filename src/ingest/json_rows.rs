//! JSON as rows: one object a line, or the objects of an array or of a list within an object.
//!
//! In: the bytes, and what is wanted of each object. Out: batches in the shape that all values fit. A row that is no object
//! is an issue of its line; what it says is never part of a message.

use std::collections::BTreeSet;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::json::ReaderBuilder;
use serde::de::DeserializeSeed;
use serde_json::{Deserializer, Value};

use super::delimited::kind_of_bytes;
use super::file_rows::{BATCH_ROWS, FileRows, Visit};
use super::json_elements::{ListPath, MAX_ROW_BYTES, lists_in, read_elements};
use super::json_shape::widen::PartsLeft;
use super::json_shape::{Pruned, Shape, Wanted};
use super::pattern::FolderValue;
use crate::feed::lines::Lines;
use crate::feed::{RowIssue, written_numbers};
use crate::{Error, Result};

/// So many bytes of values make a batch, however few the rows.
const BATCH_BYTES: usize = 32 << 20;

/// So many values make a batch, those of all parts of rows counted, however few the rows.
const BATCH_VALUES: usize = 8 << 20;

/// The names of so many rows are remembered, to suggest the right one.
const NAMED_ROWS: u64 = 100;

/// How the rows of a file stand in it, and what they have.
#[derive(Debug)]
pub struct JsonFile {
    /// The list whose elements are the rows, without names an array; None where each line is a row.
    list: Option<ListPath>,
    wanted: Wanted,
    /// What all rows fit; an object.
    shape: Shape,
    /// Names that rows have.
    names: BTreeSet<String>,
    /// How many rows there are, and how many of them are no objects.
    count: u64,
    broken: u64,
    /// Of a file that is one object, the lists that may have its rows.
    lists: Vec<ListPath>,
}

/// So many bytes say of what kind a file is that is no JSON.
const START_BYTES: u64 = 16;

/// A row: its line (in a list its number), the text of the line, and its value or why there is none.
type Row<'a> = (u64, &'a [u8], Result<Value, String>);

impl JsonFile {
    /// Looks at all rows, which are in the list `rows` where that is given. `folders` say what rows need not have.
    pub fn look(
        open: impl Fn() -> Result<Box<dyn Read + Send>>,
        rows: Option<ListPath>,
        wanted: Wanted,
        folders: &[FolderValue],
    ) -> Result<Self> {
        let is_array = begins_array(open()?)?;
        let list = rows.or_else(|| is_array.then(ListPath::new));
        let shape = || Shape::Object(Default::default());
        let (names, lists) = (BTreeSet::new(), vec![]);
        let mut file = Self { list, wanted, shape: shape(), names, count: 0, broken: 0, lists };
        let (mut shape, mut names, mut count, mut broken) = (shape(), BTreeSet::new(), 0, 0);
        let mut left = PartsLeft::default();
        file.rows(open()?, &mut |(row, text, value)| {
            count += 1;
            match &value {
                Ok(value) => shape.take_row(value, &mut left),
                Err(_) => broken += 1,
            }
            if row <= NAMED_ROWS
                && let Ok(Value::Object(all)) = serde_json::from_slice(text)
            {
                names.extend(all.keys().cloned());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        // what a folder says is no part that rows lack
        let said = folders.iter().filter(|(name, _)| shape.part(name).is_none());
        said.for_each(|(name, _)| file.wanted.leave_out(name));
        shape.hold(&file.wanted);
        (file.shape, file.names, file.count, file.broken) = (shape, names, count, broken);
        if file.list.is_none() && (count == 1 || file.has_no_object()) {
            file.lists = lists_in(open()?);
        }
        Ok(file)
    }

    /// All columns that are wanted or there.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.shape.fields()))
    }

    /// True for a list without elements: a whole file that says that there is no row.
    pub fn is_empty_list(&self) -> bool {
        self.list.is_some() && self.count == 0
    }

    /// Of a file that is one object, the lists that may have its rows.
    pub fn lists(&self) -> &[ListPath] {
        &self.lists
    }

    /// True where there are rows and none is an object.
    pub fn has_no_object(&self) -> bool {
        self.count > 0 && self.count == self.broken
    }

    /// A list of which no row has an element is one all the same, whatever stands in its place. True where it is one.
    pub fn hold_empty_list(&mut self, name: &str) -> bool {
        let has_no_row = self.is_empty_list();
        let Shape::Object(parts) = &mut self.shape else { return false };
        let Some(part) = parts.get_mut(name).filter(|part| part.is_empty()) else { return false };
        let is_list = part.is_seen() || has_no_row;
        *part = if is_list { Shape::List(Box::default()) } else { Shape::Nothing };
        is_list
    }

    /// True where some row has a list of this name with something in it.
    pub fn has_element(&self, name: &str) -> bool {
        matches!(self.shape.part(name), Some(Shape::List(item)) if item.is_seen())
    }

    /// Names of the parts that rows have, mapped or not.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// True where some row has a value at this path.
    pub fn has(&self, path: &[String]) -> bool {
        let shape = path.iter().try_fold(&self.shape, |shape, part| shape.part(part));
        shape.is_some_and(Shape::is_seen)
    }

    /// The rows as batches of these columns.
    pub fn read(&self, input: impl Read, schema: &SchemaRef, visit: Visit<'_>) -> Result<()> {
        let width = schema.flattened_fields().len().max(1);
        let most = (BATCH_VALUES / width).clamp(1, BATCH_ROWS);
        let mut batches = Batches { schema, most, values: vec![], lines: vec![], bytes: 0, issues: vec![] };
        let mut stopped = false;
        self.rows(input, &mut |(row, text, value)| {
            match value {
                Ok(value) => {
                    let value = self.shape.fit(value);
                    batches.bytes += weight(&value);
                    batches.values.push(value);
                    batches.lines.push(row);
                }
                Err(reason) => {
                    let text = String::from_utf8_lossy(&text[..text.len().min(crate::feed::row_issue::MAX_TEXT_BYTES)]);
                    batches.issues.push(RowIssue::new(row, "", reason, &text));
                }
            }
            let flow = if batches.are_full() { visit(batches.take()?)? } else { ControlFlow::Continue(()) };
            stopped = flow.is_break();
            Ok(flow)
        })?;
        if !(stopped || batches.values.is_empty() && batches.issues.is_empty()) {
            let _ = visit(batches.take()?)?;
        }
        Ok(())
    }

    fn rows(&self, input: impl Read, each: &mut dyn FnMut(Row<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        match &self.list {
            Some(path) => read_elements(input, path, &mut |row, text| each((row, text, self.object(text)))),
            None => self.lines(input, each),
        }
    }

    fn lines(&self, input: impl Read, each: &mut dyn FnMut(Row<'_>) -> Result<ControlFlow<()>>) -> Result<()> {
        let (mut lines, mut text) = (Lines::new(input), vec![]);
        let unreadable = |e: std::io::Error| Error::refused(format!("cannot be read to its end: {e}"));
        while let Some(line) = lines.next(&mut text, MAX_ROW_BYTES).map_err(unreadable)? {
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let value = match line.cut {
                true => Err(format!("more than {} MiB in one line", MAX_ROW_BYTES >> 20)),
                false => self.object(&text),
            };
            if each((line.number, &text, value))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn object(&self, text: &[u8]) -> Result<Value, String> {
        // lines that were taken out of an array keep its commas
        let text = text.trim_ascii_end();
        let text = text.strip_suffix(b",").unwrap_or(text);
        let value = self.pruned(text);
        let value = value.or_else(|e| written_numbers::without_nan(text).map_or(Err(e), |text| self.pruned(&text)));
        checked(value.map_err(|e| format!("no JSON object in one line (sign {})", e.column()))?)
    }

    fn pruned(&self, text: &[u8]) -> serde_json::Result<Value> {
        let text = written_numbers::marked(text);
        let mut deserializer = Deserializer::from_slice(&text);
        Pruned(&self.wanted).deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value))
    }
}

fn checked(value: Value) -> Result<Value, String> {
    if value.is_object() { Ok(value) } else { Err("no JSON object".into()) }
}

/// Rows that become a batch.
struct Batches<'a> {
    schema: &'a SchemaRef,
    /// How many rows are a batch.
    most: usize,
    values: Vec<Value>,
    lines: Vec<u64>,
    bytes: usize,
    issues: Vec<RowIssue>,
}

impl Batches<'_> {
    fn are_full(&self) -> bool {
        self.values.len() + self.issues.len() >= self.most || self.bytes >= BATCH_BYTES
    }

    fn take(&mut self) -> Result<FileRows> {
        let (values, lines) = (std::mem::take(&mut self.values), std::mem::take(&mut self.lines));
        self.bytes = 0;
        let mut decoder = ReaderBuilder::new(self.schema.clone()).with_batch_size(BATCH_ROWS).build_decoder()?;
        decoder.serialize(&values)?;
        let batch = match decoder.flush()? {
            Some(batch) => batch,
            None => arrow::array::RecordBatch::new_empty(self.schema.clone()),
        };
        Ok(FileRows { batch, lines, issues: std::mem::take(&mut self.issues) })
    }
}

/// Roughly the bytes that a value takes.
fn weight(value: &Value) -> usize {
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(values) => values.iter().map(weight).sum(),
            Value::Object(parts) => parts.iter().map(|(name, value)| name.len() + weight(value)).sum(),
            _ => 0,
        }
}

/// True where an array begins; an error where the bytes are those of another kind of file.
fn begins_array(mut input: impl Read) -> Result<bool> {
    let unreadable = |e: std::io::Error| Error::refused(format!("cannot be read: {e}"));
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) => return Ok(false),
            Ok(_) if byte[0].is_ascii_whitespace() => {}
            Ok(_) if matches!(byte[0], b'[' | b'{') => return Ok(byte[0] == b'['),
            Ok(_) => {
                let mut start = byte.to_vec();
                input.take(START_BYTES).read_to_end(&mut start).map_err(unreadable)?;
                return match kind_of_bytes(&String::from_utf8_lossy(&start)) {
                    Some(kind) => Err(Error::refused(format!("line 1: no JSON, but {kind}"))),
                    None => Ok(false),
                };
            }
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(unreadable(e)),
        }
    }
}
