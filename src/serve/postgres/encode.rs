//! Arrow columns as Postgres values, in text and in binary (`src/backend/utils/adt` of PostgreSQL has both formats).
//!
//! A column is brought to one of few Arrow types once a batch; then each value is written straight into the row's bytes, and rows
//! are cut from one buffer. Texts of which each is stored once stay so.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal256Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal256Type, Field, Int32Type, IntervalMonthDayNano, IntervalMonthDayNanoType, Schema,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::FieldInfo;
use pgwire::messages::data::DataRow;

use super::catalog::function_name;
use super::copy::Copy;
use super::digits::{clock, date, float4, float8, fraction, hex, instant, integer, put, time};
use super::types::{is_vector, length_of, listed_type, object_kind, pg_type, pg_type_of};
use crate::Result;
use crate::functions::spans;
use crate::time::Zone;

/// Microseconds from 1970 to 2000, where Postgres begins to count.
pub const MICROS_TO_2000: i64 = 946_684_800_000_000;
/// The same in days.
pub const DAYS_TO_2000: i32 = 10_957;

/// Decimal digits of a numeric's digit.
const DIGITS: usize = 4;

/// Rows that are written one after another before they are sent, bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// The columns of a result as a client gets them.
pub fn fields(schema: &Schema, format: &Format) -> Vec<FieldInfo> {
    let field = |(i, f): (usize, &std::sync::Arc<Field>)| {
        let pg = pg_type_of(f);
        let size = length_of(&pg);
        FieldInfo::new(f.name().clone(), None, None, pg, format.format_for(i)).with_type_size(size)
    };
    schema.fields().iter().enumerate().map(field).collect()
}

/// Values as texts, as a client is shown them; its instants with the clock of a zone.
pub fn texts(array: &ArrayRef, zone: Zone) -> Result<StringArray> {
    let column = Column::of(Values::new(array, zone)?);
    let mut bytes = BytesMut::new();
    let text = |row: usize| {
        bytes.clear();
        (!column.is_null(row)).then(|| {
            column.text(row, &mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    Ok((0..array.len()).map(text).collect())
}

/// A batch, a row at a time.
pub struct EncodedRows {
    columns: Vec<(Column, bool)>,
    next: usize,
    count: usize,
    /// Rows are cut from its front. Once those are gone that were cut, their room is written to again.
    buffer: BytesMut,
}

impl EncodedRows {
    /// The rows of a batch, its columns in text or binary, its instants as texts with the clock of a zone.
    pub fn new(batch: &RecordBatch, format: &Format, zone: Zone) -> Result<Self> {
        let columns = columns(batch, zone)?;
        let buffer = BytesMut::with_capacity((batch.num_rows() * columns.len() * 16).min(BUFFER_BYTES));
        let columns = columns.into_iter().enumerate().map(|(i, column)| (column, format.is_binary(i))).collect();
        Ok(Self { columns, next: 0, count: batch.num_rows(), buffer })
    }
}

/// A batch, a row of COPY at a time.
pub struct CopyRows<'a> {
    /// In texts, whether no sign of a column means anything else.
    columns: Vec<(Column, bool)>,
    copy: &'a Copy,
    next: usize,
    count: usize,
    /// A field that is to be written in another way.
    field: Vec<u8>,
}

impl<'a> CopyRows<'a> {
    /// The rows of a batch as COPY writes them, its instants as texts with the clock of a zone.
    pub fn new(batch: &RecordBatch, copy: &'a Copy, zone: Zone) -> Result<Self> {
        let columns = columns(batch, zone)?;
        let columns = columns.into_iter().map(|column| {
            let plain = !copy.binary && column.is_plain_for(copy);
            (column, plain)
        });
        Ok(Self { columns: columns.collect(), copy, next: 0, count: batch.num_rows(), field: vec![] })
    }

    /// Appends the next row; false where there is none.
    pub fn write_next(&mut self, out: &mut BytesMut) -> bool {
        let (row, copy) = (self.next, self.copy);
        if row == self.count {
            return false;
        }
        self.next += 1;
        if copy.binary {
            out.put_i16(self.columns.len() as i16);
            self.columns.iter().for_each(|(column, _)| column.field(row, true, out));
            return true;
        }
        for (i, (column, plain)) in self.columns.iter().enumerate() {
            if i > 0 {
                out.put_u8(copy.delimiter());
            }
            if column.is_null(row) {
                out.put_slice(copy.null());
                continue;
            }
            let start = out.len();
            column.text(row, out);
            let text = &out[start..];
            if (!plain && copy.has_special(text)) || copy.reads_as_else(text) {
                self.field.clear();
                self.field.extend_from_slice(text);
                out.truncate(start);
                copy.field(&self.field, out);
            }
        }
        out.put_u8(b'\n');
        true
    }
}

fn columns(batch: &RecordBatch, zone: Zone) -> Result<Vec<Column>> {
    let schema = batch.schema_ref();
    let column = |(i, array): (usize, &ArrayRef)| {
        Ok(match object_kind(schema.field(i)) {
            Some("regproc") => Column::of(Values::Function(cast(array, &DataType::Int32)?.as_primitive().clone())),
            _ => Column::of(Values::new(array, zone)?.listed_as(&pg_type_of(schema.field(i)))),
        })
    };
    batch.columns().iter().enumerate().map(column).collect()
}

impl Iterator for EncodedRows {
    type Item = DataRow;

    fn next(&mut self) -> Option<DataRow> {
        let row = self.next;
        if row == self.count {
            return None;
        }
        self.next += 1;
        for (column, binary) in &self.columns {
            column.field(row, *binary, &mut self.buffer);
        }
        Some(DataRow::new(self.buffer.split(), self.columns.len() as i16))
    }
}

/// A column of a batch.
struct Column {
    /// None where every row has a value.
    nulls: Option<NullBuffer>,
    values: Values,
}

/// Values in the one Arrow type that stands for their Postgres type.
enum Values {
    Bool(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Numeric(Decimal256Array),
    Text(StringArray),
    /// Texts of which each is stored once: which of them a row has.
    Entry(Int32Array, StringArray),
    /// A function of the catalog, by its number.
    Function(Int32Array),
    Interval(PrimitiveArray<IntervalMonthDayNanoType>),
    Bytes(BinaryArray),
    Date(PrimitiveArray<Date32Type>),
    Time(PrimitiveArray<Time64MicrosecondType>),
    Timestamp(PrimitiveArray<TimestampMicrosecondType>),
    /// Instants, and whose clock shows them.
    Instant(PrimitiveArray<TimestampMicrosecondType>, Zone),
    /// The rows' ranges, and all items.
    List(ListArray, Box<Column>, Listed),
}

/// What a list is of.
struct Listed {
    item: Type,
    /// It is written without braces, and counted from 0.
    vector: bool,
}

impl Values {
    fn new(array: &ArrayRef, zone: Zone) -> Result<Self> {
        let to = |data_type: DataType| cast(array, &data_type);
        Ok(match pg_type(array.data_type()) {
            Type::BOOL => Values::Bool(to(DataType::Boolean)?.as_boolean().clone()),
            Type::INT2 => Values::Int2(to(DataType::Int16)?.as_primitive().clone()),
            Type::INT4 => Values::Int4(to(DataType::Int32)?.as_primitive().clone()),
            Type::INT8 => Values::Int8(to(DataType::Int64)?.as_primitive().clone()),
            Type::FLOAT4 => Values::Float4(to(DataType::Float32)?.as_primitive().clone()),
            Type::FLOAT8 => Values::Float8(to(DataType::Float64)?.as_primitive().clone()),
            Type::NUMERIC => {
                let scale = scale(array.data_type());
                Values::Numeric(to(DataType::Decimal256(76, scale))?.as_primitive::<Decimal256Type>().clone())
            }
            Type::DATE => Values::Date(to(DataType::Date32)?.as_primitive().clone()),
            Type::TIME => Values::Time(to(DataType::Time64(TimeUnit::Microsecond))?.as_primitive().clone()),
            Type::TIMESTAMP => {
                Values::Timestamp(to(DataType::Timestamp(TimeUnit::Microsecond, None))?.as_primitive().clone())
            }
            Type::TIMESTAMPTZ => {
                let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                Values::Instant(to(utc)?.as_primitive().clone(), zone)
            }
            Type::INTERVAL => Values::Interval(spans(array)?),
            Type::BYTEA => Values::Bytes(to(DataType::Binary)?.as_binary().clone()),
            Type::TEXT => match array.as_dictionary_opt::<Int32Type>() {
                Some(entries) if entries.values().data_type() == &DataType::Utf8 => {
                    Values::Entry(entries.keys().clone(), entries.values().as_string().clone())
                }
                _ => Values::Text(text(array)?),
            },
            // all others are arrays
            _ => {
                let list = match array.data_type() {
                    DataType::List(_) => array.clone(),
                    DataType::LargeList(item) | DataType::FixedSizeList(item, _) => to(DataType::List(item.clone()))?,
                    DataType::Dictionary(_, values) => return Values::new(&to(values.as_ref().clone())?, zone),
                    other => return Values::new(&to(other.clone())?, zone),
                };
                let list = list.as_list::<i32>().clone();
                let items = Column::of(Values::new(list.values(), zone)?);
                let item = pg_type(list.values().data_type());
                Values::List(list, Box::new(items), Listed { item, vector: false })
            }
        })
    }

    /// The same, where it is of lists and a catalog says which.
    fn listed_as(self, list: &Type) -> Self {
        match (self, listed_type(list)) {
            (Values::List(lists, items, _), Some(item)) => {
                Values::List(lists, items, Listed { item: item.clone(), vector: is_vector(list) })
            }
            (column, _) => column,
        }
    }

    fn nulls(&self) -> Option<NullBuffer> {
        let nulls = match self {
            Values::Bool(a) => a.nulls(),
            Values::Int2(a) => a.nulls(),
            Values::Int4(a) | Values::Function(a) => a.nulls(),
            Values::Int8(a) => a.nulls(),
            Values::Float4(a) => a.nulls(),
            Values::Float8(a) => a.nulls(),
            Values::Numeric(a) => a.nulls(),
            Values::Text(a) => a.nulls(),
            Values::Entry(a, texts) if texts.null_count() > 0 => {
                return Some(a.iter().map(|entry| entry.is_some_and(|entry| texts.is_valid(entry as usize))).collect());
            }
            Values::Entry(a, _) => a.nulls(),
            Values::Interval(a) => a.nulls(),
            Values::Bytes(a) => a.nulls(),
            Values::Date(a) => a.nulls(),
            Values::Time(a) => a.nulls(),
            Values::Timestamp(a) | Values::Instant(a, _) => a.nulls(),
            Values::List(a, ..) => a.nulls(),
        };
        nulls.filter(|nulls| nulls.null_count() > 0).cloned()
    }
}

impl Column {
    fn of(values: Values) -> Self {
        Self { nulls: values.nulls(), values }
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// True where no sign of any text means anything else to COPY: most columns are looked at as a whole.
    fn is_plain_for(&self, copy: &Copy) -> bool {
        match &self.values {
            Values::Text(texts) => !copy.has_special(bytes_of(texts)),
            // more entries than rows are more than the rows have
            Values::Entry(rows, texts) => texts.len() <= rows.len() && !copy.has_special(bytes_of(texts)),
            // they are of digits, letters and a few signs
            Values::Bool(_) | Values::Int2(_) | Values::Int4(_) | Values::Int8(_) => copy.takes_numbers(),
            Values::Float4(_) | Values::Float8(_) | Values::Numeric(_) => copy.takes_numbers(),
            Values::Date(_) | Values::Time(_) | Values::Timestamp(_) | Values::Instant(..) => copy.takes_numbers(),
            Values::Function(_) | Values::Interval(_) | Values::Bytes(_) | Values::List(..) => false,
        }
    }

    /// A value with its length before it; -1 for none.
    fn field(&self, row: usize, binary: bool, out: &mut BytesMut) {
        if self.is_null(row) {
            out.put_i32(-1);
            return;
        }
        if let Some(text) = self.stored_text(row) {
            out.put_i32(text.len() as i32);
            out.put_slice(text.as_bytes());
            return;
        }
        let start = out.len();
        out.put_i32(0);
        if binary {
            self.binary(row, out);
        } else {
            self.text(row, out);
        }
        let length = (out.len() - start - 4) as i32;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
    }

    /// A text that is the same in both formats.
    fn stored_text(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::Text(a) => Some(a.value(row)),
            Values::Entry(a, texts) => Some(texts.value(a.value(row) as usize)),
            _ => None,
        }
    }

    fn text(&self, row: usize, out: &mut BytesMut) {
        match &self.values {
            Values::Bool(a) => out.put_u8(if a.value(row) { b't' } else { b'f' }),
            Values::Int2(a) => integer(a.value(row).into(), out),
            Values::Int4(a) => integer(a.value(row).into(), out),
            Values::Int8(a) => integer(a.value(row), out),
            Values::Float4(a) => float4(a.value(row), out),
            Values::Float8(a) => float8(a.value(row), out),
            Values::Numeric(a) => out.put_slice(a.value_as_string(row).as_bytes()),
            Values::Text(a) => out.put_slice(a.value(row).as_bytes()),
            Values::Entry(a, texts) => out.put_slice(texts.value(a.value(row) as usize).as_bytes()),
            Values::Function(a) => match (a.value(row), function_name(a.value(row))) {
                (0, _) => out.put_u8(b'-'),
                (_, Some(name)) => out.put_slice(name.as_bytes()),
                (oid, None) => integer(oid.into(), out),
            },
            Values::Interval(a) => interval_text(a.value(row), out),
            Values::Bytes(a) => hex(a.value(row), out),
            Values::Date(a) => date(a.value(row), out),
            Values::Time(a) => time(a.value(row), out),
            Values::Timestamp(a) => clock(a.value(row), out),
            Values::Instant(a, zone) => instant(a.value(row), *zone, out),
            Values::List(a, items, Listed { vector, .. }) => {
                let offsets = a.value_offsets();
                let (open, comma, close): (&[u8], u8, &[u8]) =
                    if *vector { (b"", b' ', b"") } else { (b"{", b',', b"}") };
                out.put_slice(open);
                for i in offsets[row]..offsets[row + 1] {
                    if i > offsets[row] {
                        out.put_u8(comma);
                    }
                    items.item(i as usize, out);
                }
                out.put_slice(close);
            }
        }
    }

    /// An array's item as text: quoted where it could be misread.
    fn item(&self, row: usize, out: &mut BytesMut) {
        if self.is_null(row) {
            out.put_slice(b"NULL");
            return;
        }
        let can_mislead = matches!(
            self.values,
            Values::Text(_)
                | Values::Entry(..)
                | Values::Bytes(_)
                | Values::Timestamp(_)
                | Values::Instant(..)
                | Values::Interval(_)
        );
        if !can_mislead {
            self.text(row, out);
            return;
        }
        let mut text = BytesMut::new();
        self.text(row, &mut text);
        let misleads = |byte: &u8| b"\"\\{},".contains(byte) || byte.is_ascii_whitespace() || *byte == b'\x0b';
        if !text.is_empty() && !text.eq_ignore_ascii_case(b"null") && !text.iter().any(misleads) {
            out.put_slice(&text);
            return;
        }
        out.put_u8(b'"');
        for &byte in text.iter() {
            if matches!(byte, b'"' | b'\\') {
                out.put_u8(b'\\');
            }
            out.put_u8(byte);
        }
        out.put_u8(b'"');
    }

    fn binary(&self, row: usize, out: &mut BytesMut) {
        match &self.values {
            Values::Bool(a) => out.put_u8(a.value(row).into()),
            Values::Int2(a) => out.put_i16(a.value(row)),
            Values::Int4(a) => out.put_i32(a.value(row)),
            Values::Int8(a) => out.put_i64(a.value(row)),
            Values::Float4(a) => out.put_f32(a.value(row)),
            Values::Float8(a) => out.put_f64(a.value(row)),
            Values::Numeric(a) => numeric(&a.value_as_string(row), out),
            Values::Text(a) => out.put_slice(a.value(row).as_bytes()),
            Values::Entry(a, texts) => out.put_slice(texts.value(a.value(row) as usize).as_bytes()),
            Values::Function(a) => out.put_i32(a.value(row)),
            Values::Interval(a) => {
                let interval = a.value(row);
                out.put_i64(interval.nanoseconds / 1_000);
                out.put_i32(interval.days);
                out.put_i32(interval.months);
            }
            Values::Bytes(a) => out.put_slice(a.value(row)),
            Values::Date(a) => out.put_i32(a.value(row).saturating_sub(DAYS_TO_2000)),
            Values::Time(a) => out.put_i64(a.value(row)),
            Values::Timestamp(a) | Values::Instant(a, _) => out.put_i64(a.value(row).saturating_sub(MICROS_TO_2000)),
            Values::List(a, items, Listed { item, vector }) => {
                let offsets = a.value_offsets();
                let (start, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                // dimensions, of which a vector has always one, whether there are NULLs, type, length, first index
                let dimensional = *vector || end > start;
                out.put_i32(i32::from(dimensional));
                out.put_i32((start..end).any(|i| items.is_null(i)).into());
                out.put_u32(item.oid());
                if dimensional {
                    out.put_i32((end - start) as i32);
                    out.put_i32(i32::from(!*vector));
                }
                for i in start..end {
                    items.field(i, true, out);
                }
            }
        }
    }
}

/// All texts of a column, one after another.
fn bytes_of(texts: &StringArray) -> &[u8] {
    let offsets = texts.value_offsets();
    &texts.value_data()[offsets[0] as usize..offsets[texts.len()] as usize]
}

/// `1 year 2 mons 3 days 04:05:06.5`.
fn interval_text(interval: IntervalMonthDayNano, out: &mut BytesMut) {
    let start = out.len();
    // what is positive behind something negative says so
    let mut plus = "";
    let mut part = |count: i32, one: &str| {
        if count != 0 {
            let blank = if out.len() > start { " " } else { "" };
            let sign = if count > 0 { plus } else { "" };
            put(out, format_args!("{blank}{sign}{count} {one}{}", if count == 1 { "" } else { "s" }));
            plus = if count < 0 { "+" } else { "" };
        }
    };
    part(interval.months / 12, "year");
    part(interval.months % 12, "mon");
    part(interval.days, "day");
    let micros = interval.nanoseconds / 1_000;
    if micros != 0 || out.len() == start {
        let blank = if out.len() > start { " " } else { "" };
        let (sign, seconds) = (if micros < 0 { "-" } else { plus }, micros.unsigned_abs() / 1_000_000);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        put(out, format_args!("{blank}{sign}{hours:02}:{minutes:02}:{seconds:02}"));
        fraction(micros.unsigned_abs() % 1_000_000, out);
    }
}

/// Any other type in arrow's words.
fn text(array: &ArrayRef) -> Result<StringArray> {
    if let Ok(text) = cast(array, &DataType::Utf8)
        && !array.data_type().is_nested()
    {
        return Ok(text.as_string().clone());
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    let value = |row| (!array.is_null(row)).then(|| formatter.value(row).to_string());
    Ok((0..array.len()).map(value).collect())
}

fn scale(data_type: &DataType) -> i8 {
    match data_type {
        DataType::Decimal32(_, s)
        | DataType::Decimal64(_, s)
        | DataType::Decimal128(_, s)
        | DataType::Decimal256(_, s) => *s,
        DataType::Dictionary(_, values) => scale(values),
        _ => 0,
    }
}

/// A decimal number as digits of 10,000: count, weight of the first, sign, decimal places, digits.
fn numeric(text: &str, out: &mut BytesMut) {
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('0');
    let lead = (DIGITS - whole.len() % DIGITS) % DIGITS;
    let padded = format!("{:0>lead$}{whole}", "", lead = lead);
    let tail = (DIGITS - part.len() % DIGITS) % DIGITS;
    let part_padded = format!("{part}{:0<tail$}", "", tail = tail);
    let digits: Vec<i16> = padded
        .as_bytes()
        .chunks(DIGITS)
        .chain(part_padded.as_bytes().chunks(DIGITS))
        .map(|four| four.iter().fold(0, |n, digit| n * 10 + i16::from(digit - b'0')))
        .collect();
    let weight = (padded.len() / DIGITS) as i16 - 1;
    let leading = digits.iter().take_while(|&&d| d == 0).count();
    let end = digits.iter().rposition(|&d| d != 0).map_or(leading, |last| last + 1);
    let kept = digits.get(leading..end).unwrap_or_default();
    out.put_i16(kept.len() as i16);
    out.put_i16(if kept.is_empty() { 0 } else { weight - leading as i16 });
    out.put_i16(if negative && !kept.is_empty() { 0x4000 } else { 0 });
    out.put_i16(part.len() as i16);
    for digit in kept {
        out.put_i16(*digit);
    }
}

#[cfg(test)]
mod tests;
