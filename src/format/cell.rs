//! The text of one value, the same in all text formats.
//!
//! In: a column of any Arrow type. Out: text for a cell, and what class of value it is. Nested values are JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float32Array, Float64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::width::is_unprintable;
use crate::{Error, Result};

/// What a value is, for alignment and quoting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Right-aligned; bare in JSON.
    Number,
    /// Bare in JSON.
    Boolean,
    /// A list, struct or map: its text is JSON.
    Nested,
    /// Everything else.
    Text,
}

impl Class {
    /// The class of a type's values.
    pub fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Dictionary(_, values) => Self::of(values),
            DataType::Boolean => Self::Boolean,
            t if t.is_numeric() => Self::Number,
            t if t.is_nested() => Self::Nested,
            _ => Self::Text,
        }
    }
}

/// A batch's columns, made ready for [`CellReader`]: plain types, instants in UTC.
pub fn prepare(batch: &RecordBatch) -> Result<Vec<ArrayRef>> {
    batch.columns().iter().map(plain).collect()
}

/// The same values in a type that [`CellReader`] reads fast and in our form.
pub fn plain(array: &ArrayRef) -> Result<ArrayRef> {
    let target = match array.data_type() {
        DataType::Dictionary(_, values) => values.as_ref().clone(),
        DataType::RunEndEncoded(_, values) => values.data_type().clone(),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Float16 => DataType::Float32,
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() != "UTC" => {
            DataType::Timestamp(*unit, Some(Arc::from("UTC")))
        }
        _ => return Ok(array.clone()),
    };
    plain(&cast(array, &target)?)
}

/// Reads the cells of one prepared column.
pub struct CellReader<'a> {
    array: &'a dyn Array,
    nulls: Option<arrow::buffer::NullBuffer>,
    /// What the values are.
    pub class: Class,
    reader: Reader<'a>,
}

enum Reader<'a> {
    Text(&'a StringArray),
    Double(&'a Float64Array),
    Single(&'a Float32Array),
    Boolean(&'a BooleanArray),
    Nested,
    Other(ArrayFormatter<'a>),
}

const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_display_error(false);

impl<'a> CellReader<'a> {
    /// A reader of a column that [`prepare`] gave.
    pub fn new(array: &'a dyn Array) -> Result<Self> {
        let class = Class::of(array.data_type());
        let reader = match array.data_type() {
            DataType::Utf8 => Reader::Text(array.as_string()),
            DataType::Float64 => Reader::Double(array.as_primitive()),
            DataType::Float32 => Reader::Single(array.as_primitive()),
            DataType::Boolean => Reader::Boolean(array.as_boolean()),
            _ if class == Class::Nested => Reader::Nested,
            _ => Reader::Other(ArrayFormatter::try_new(array, &OPTIONS)?),
        };
        Ok(Self { array, nulls: array.logical_nulls(), class, reader })
    }

    /// True when the cell has no value.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|n| n.is_null(row))
    }

    /// Appends the value's text; the cell is not NULL.
    pub fn write(&self, row: usize, out: &mut String) -> Result<()> {
        match &self.reader {
            Reader::Text(array) => out.push_str(array.value(row)),
            Reader::Double(array) => write_double(array.value(row), out),
            Reader::Single(array) => write_single(array.value(row), out),
            Reader::Boolean(array) => out.push_str(if array.value(row) { "true" } else { "false" }),
            Reader::Nested => write_nested(self.array, row, out)?,
            Reader::Other(formatter) => {
                let place = out.len();
                if write!(out, "{}", formatter.value(row)).is_err() {
                    out.truncate(place);
                    return Err(Error::query(format!("a {} value cannot be shown", self.array.data_type())));
                }
            }
        }
        Ok(())
    }

    /// Appends the value's text as people read it: a floating point number with four digits after the point, or four digits where it
    /// is smaller than 1; the cell is not NULL.
    pub fn write_rounded(&self, row: usize, out: &mut String) -> Result<()> {
        match &self.reader {
            Reader::Double(array) => write_double(rounded(array.value(row)), out),
            Reader::Single(array) => write_double(rounded(f64::from(array.value(row))), out),
            _ => self.write(row, out)?,
        }
        Ok(())
    }

    /// True for a number that JSON does not know: NaN and the infinities.
    pub fn is_no_json_number(&self, row: usize) -> bool {
        match &self.reader {
            Reader::Double(array) => !array.value(row).is_finite(),
            Reader::Single(array) => !array.value(row).is_finite(),
            _ => false,
        }
    }
}

/// Appends a list, struct or map value as JSON; the cell is not NULL.
fn write_nested(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    match array.data_type() {
        DataType::List(_) => write_list(array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => write_list(array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => write_list(array.as_fixed_size_list().value(row), out),
        DataType::ListView(_) => write_list(array.as_list_view::<i32>().value(row), out),
        DataType::LargeListView(_) => write_list(array.as_list_view::<i64>().value(row), out),
        DataType::Struct(fields) => {
            let values = array.as_struct();
            out.push('{');
            for (i, (field, column)) in fields.iter().zip(values.columns()).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_json_text(field.name(), out);
                out.push(':');
                write_one(&column.slice(row, 1), 0, out)?;
            }
            out.push('}');
            Ok(())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (plain(entries.column(0))?, plain(entries.column(1))?);
            let keys = CellReader::new(keys.as_ref())?;
            out.push('{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(',');
                }
                let mut key = String::new();
                keys.write(i, &mut key)?;
                write_json_text(&key, out);
                out.push(':');
                write_one(&values, i, out)?;
            }
            out.push('}');
            Ok(())
        }
        // unions have no JSON of their own: arrow's text, quoted
        _ => {
            write_json_text(&arrow::util::display::array_value_to_string(array, row)?, out);
            Ok(())
        }
    }
}

fn write_list(values: ArrayRef, out: &mut String) -> Result<()> {
    out.push('[');
    for i in 0..values.len() {
        if i > 0 {
            out.push(',');
        }
        write_one(&values, i, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_one(array: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    let array = plain(&array.slice(row, 1))?;
    write_json(&CellReader::new(array.as_ref())?, 0, &mut String::new(), out)
}

/// Appends a cell as JSON; `cell` is scratch.
pub fn write_json(column: &CellReader<'_>, row: usize, cell: &mut String, out: &mut String) -> Result<()> {
    if column.is_null(row) || column.is_no_json_number(row) {
        out.push_str("null");
        return Ok(());
    }
    if column.class != Class::Text {
        return column.write(row, out);
    }
    cell.clear();
    column.write(row, cell)?;
    write_json_text(cell, out);
    Ok(())
}

/// A JSON string; what could drive a terminal is escaped, too.
pub fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    let mut written = 0;
    for (at, c) in text.char_indices() {
        if c != '"' && c != '\\' && !is_unprintable(c) {
            continue;
        }
        out.push_str(&text[written..at]);
        written = at + c.len_utf8();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // all of them are in the basic plane, so one \u holds them; writing to a String cannot fail
            c => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
        }
    }
    out.push_str(&text[written..]);
    out.push('"');
}

/// Names of the columns.
pub fn names(schema: &SchemaRef) -> Vec<String> {
    schema.fields().iter().map(|f| f.name().clone()).collect()
}

/// Names of the columns, with a number where one before has the same name: `sum`, `sum_2`.
pub fn distinct_names(schema: &SchemaRef) -> Vec<String> {
    let names = names(schema);
    let own: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    // the last number of each name, from which on the next one is looked for: thousands of columns may be called alike
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut distinct = Vec::with_capacity(names.len());
    for name in &names {
        let number = numbers.entry(name.as_str()).or_insert(0);
        *number += 1;
        let mut other = name.clone();
        while *number > 1 {
            other = format!("{name}_{number}");
            if !own.contains(other.as_str()) {
                break;
            }
            *number += 1;
        }
        distinct.push(other);
    }
    distinct
}

fn rounded(value: f64) -> f64 {
    let text = if value.abs() < 1.0 { format!("{value:.3e}") } else { format!("{value:.4}") };
    // NaN and the infinities are what they are
    text.parse().unwrap_or(value)
}

/// The shortest decimal text that reads back as the same double, without `.0`; an exponent only where digits would
/// run long.
fn write_double(value: f64, out: &mut String) {
    // writing to a String cannot fail
    let _ = match value.abs() {
        0.0 => write!(out, "0"),
        size if size.is_finite() && !(1e-7..1e17).contains(&size) => write!(out, "{value:e}"),
        _ => write!(out, "{value}"),
    };
}

fn write_single(value: f32, out: &mut String) {
    let _ = match value.abs() {
        0.0 => write!(out, "0"),
        size if size.is_finite() && !(1e-7..1e17).contains(&size) => write!(out, "{value:e}"),
        _ => write!(out, "{value}"),
    };
}
