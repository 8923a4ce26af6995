//! Arrow columns as Postgres values, in text and in binary (`src/backend/utils/adt` of PostgreSQL has both formats).
//!
//! A column is brought to one of few Arrow types once a batch; then each value is written straight into the row's bytes, and rows
//! are cut from one buffer. Texts of which each is stored once stay so.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal256Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, ListArray, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal256Type, DurationNanosecondType, Field, Int32Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, IntervalUnit, Schema, Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};
use chrono_tz::Tz;
use pgwire::api::Type;
use pgwire::api::portal::Format;
use pgwire::api::results::FieldInfo;
use pgwire::messages::data::DataRow;

use super::catalog::{function_name, shown_name};
use super::copy::Copy;
use super::digits::{clock, date, float4, float8, fraction, hex, instant, integer, put, time};
use super::types::{is_vector, length_of, listed_type, object_kind, pg_type, pg_type_of};
use crate::Result;

/// Microseconds from 1970 to 2000, where Postgres begins to count.
pub const MICROS_TO_2000: i64 = 946_684_800_000_000;
/// The same in days.
pub const DAYS_TO_2000: i32 = 10_957;

/// Nanoseconds of a day.
const DAY_NANOS: i64 = 86_400_000_000_000;

/// Decimal digits of a numeric's digit.
const DIGITS: usize = 4;

/// Rows that are written one after another before they are sent, bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// The columns of a result as a client is told of them.
pub fn fields(schema: &Schema, format: &Format) -> Vec<FieldInfo> {
    let field = |(i, f): (usize, &std::sync::Arc<Field>)| {
        let pg = pg_type_of(f);
        let size = length_of(&pg);
        FieldInfo::new(shown_name(f.name()).to_string(), None, None, pg, format.format_for(i)).with_type_size(size)
    };
    schema.fields().iter().enumerate().map(field).collect()
}

/// A batch, a row at a time.
pub struct Rows {
    columns: Vec<(Column, bool)>,
    next: usize,
    count: usize,
    /// Rows are cut from its front. Once those are gone that were cut, their room is written to again.
    buffer: BytesMut,
    /// A field of COPY that is to be written in another way.
    field: Vec<u8>,
}

impl Rows {
    /// The rows of a batch, its columns in text or binary, its instants as texts with the clock of a zone.
    pub fn new(batch: &RecordBatch, format: &Format, zone: Tz) -> Result<Self> {
        let schema = batch.schema_ref();
        let column = |(i, array): (usize, &ArrayRef)| {
            let column = match object_kind(schema.field(i)) {
                Some("regproc") => Column::Function(cast(array, &DataType::Int32)?.as_primitive().clone()),
                _ => Column::new(array, zone)?.listed_as(&pg_type_of(schema.field(i))),
            };
            Ok((column, format.is_binary(i)))
        };
        let columns = batch.columns().iter().enumerate().map(column).collect::<Result<Vec<_>>>()?;
        let buffer = BytesMut::with_capacity((batch.num_rows() * columns.len() * 16).min(BUFFER_BYTES));
        Ok(Self { columns, next: 0, count: batch.num_rows(), buffer, field: vec![] })
    }

    /// Appends the next row as COPY writes it; false where there is none.
    pub fn copy_next(&mut self, copy: &Copy, out: &mut BytesMut) -> bool {
        let row = self.next;
        if row == self.count {
            return false;
        }
        self.next += 1;
        if copy.binary {
            out.put_i16(self.columns.len() as i16);
            self.columns.iter().for_each(|(column, _)| column.field(row, true, out));
            return true;
        }
        let numbers_as_they_are = copy.takes_numbers_as_they_are();
        for (i, (column, _)) in self.columns.iter().enumerate() {
            if i > 0 {
                out.put_u8(copy.delimiter());
            }
            if column.is_null(row) {
                out.put_slice(copy.null());
                continue;
            }
            let start = out.len();
            column.text(row, out);
            let as_it_is = column.is_of_numbers() && numbers_as_they_are || copy.takes_as_it_is(&out[start..]);
            if !as_it_is {
                self.field.clear();
                self.field.extend_from_slice(&out[start..]);
                out.truncate(start);
                copy.field(&self.field, out);
            }
        }
        out.put_u8(b'\n');
        true
    }
}

impl Iterator for Rows {
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

/// A column in the one Arrow type that stands for its Postgres type.
enum Column {
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
    Instant(PrimitiveArray<TimestampMicrosecondType>, Tz),
    /// The rows' ranges, and all items.
    List(ListArray, Box<Column>, Listed),
}

/// What a list is of.
struct Listed {
    item: Type,
    /// It is written without braces, and counted from 0.
    vector: bool,
}

impl Column {
    fn new(array: &ArrayRef, zone: Tz) -> Result<Self> {
        let to = |data_type: DataType| cast(array, &data_type);
        Ok(match pg_type(array.data_type()) {
            Type::BOOL => Column::Bool(to(DataType::Boolean)?.as_boolean().clone()),
            Type::INT2 => Column::Int2(to(DataType::Int16)?.as_primitive().clone()),
            Type::INT4 => Column::Int4(to(DataType::Int32)?.as_primitive().clone()),
            Type::INT8 => Column::Int8(to(DataType::Int64)?.as_primitive().clone()),
            Type::FLOAT4 => Column::Float4(to(DataType::Float32)?.as_primitive().clone()),
            Type::FLOAT8 => Column::Float8(to(DataType::Float64)?.as_primitive().clone()),
            Type::NUMERIC => {
                let scale = scale(array.data_type());
                Column::Numeric(to(DataType::Decimal256(76, scale))?.as_primitive::<Decimal256Type>().clone())
            }
            Type::DATE => Column::Date(to(DataType::Date32)?.as_primitive().clone()),
            Type::TIME => Column::Time(to(DataType::Time64(TimeUnit::Microsecond))?.as_primitive().clone()),
            Type::TIMESTAMP => {
                Column::Timestamp(to(DataType::Timestamp(TimeUnit::Microsecond, None))?.as_primitive().clone())
            }
            Type::TIMESTAMPTZ => {
                let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
                Column::Instant(to(utc)?.as_primitive().clone(), zone)
            }
            Type::INTERVAL => Column::Interval(interval(array)?),
            Type::BYTEA => Column::Bytes(to(DataType::Binary)?.as_binary().clone()),
            Type::TEXT => match array.as_dictionary_opt::<Int32Type>() {
                Some(entries) if entries.values().data_type() == &DataType::Utf8 => {
                    Column::Entry(entries.keys().clone(), entries.values().as_string().clone())
                }
                _ => Column::Text(text(array)?),
            },
            // all others are arrays
            _ => {
                let list = match array.data_type() {
                    DataType::List(_) => array.clone(),
                    DataType::LargeList(item) | DataType::FixedSizeList(item, _) => to(DataType::List(item.clone()))?,
                    DataType::Dictionary(_, values) => return Column::new(&to(values.as_ref().clone())?, zone),
                    other => return Column::new(&to(other.clone())?, zone),
                };
                let list = list.as_list::<i32>().clone();
                let items = Column::new(list.values(), zone)?;
                let item = pg_type(list.values().data_type());
                Column::List(list, Box::new(items), Listed { item, vector: false })
            }
        })
    }

    /// The same, where it is of lists and a catalog says which.
    fn listed_as(self, list: &Type) -> Self {
        match (self, listed_type(list)) {
            (Column::List(lists, items, _), Some(item)) => {
                Column::List(lists, items, Listed { item: item.clone(), vector: is_vector(list) })
            }
            (column, _) => column,
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Column::Bool(a) => a.is_null(row),
            Column::Int2(a) => a.is_null(row),
            Column::Int4(a) => a.is_null(row),
            Column::Int8(a) => a.is_null(row),
            Column::Float4(a) => a.is_null(row),
            Column::Float8(a) => a.is_null(row),
            Column::Numeric(a) => a.is_null(row),
            Column::Text(a) => a.is_null(row),
            Column::Entry(a, texts) => a.is_null(row) || texts.is_null(a.value(row) as usize),
            Column::Function(a) => a.is_null(row),
            Column::Interval(a) => a.is_null(row),
            Column::Bytes(a) => a.is_null(row),
            Column::Date(a) => a.is_null(row),
            Column::Time(a) => a.is_null(row),
            Column::Timestamp(a) | Column::Instant(a, _) => a.is_null(row),
            Column::List(a, ..) => a.is_null(row),
        }
    }

    /// True for numbers, times and truth, whose texts are of digits, letters and a few signs.
    fn is_of_numbers(&self) -> bool {
        match self {
            Column::Bool(_) | Column::Int2(_) | Column::Int4(_) | Column::Int8(_) => true,
            Column::Float4(_) | Column::Float8(_) | Column::Numeric(_) => true,
            Column::Date(_) | Column::Time(_) | Column::Timestamp(_) | Column::Instant(..) => true,
            Column::Text(_) | Column::Entry(..) | Column::Function(_) => false,
            Column::Interval(_) | Column::Bytes(_) | Column::List(..) => false,
        }
    }

    /// A value with its length before it; -1 for none.
    fn field(&self, row: usize, binary: bool, out: &mut BytesMut) {
        if self.is_null(row) {
            out.put_i32(-1);
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

    fn text(&self, row: usize, out: &mut BytesMut) {
        match self {
            Column::Bool(a) => out.put_u8(if a.value(row) { b't' } else { b'f' }),
            Column::Int2(a) => integer(a.value(row).into(), out),
            Column::Int4(a) => integer(a.value(row).into(), out),
            Column::Int8(a) => integer(a.value(row), out),
            Column::Float4(a) => float4(a.value(row), out),
            Column::Float8(a) => float8(a.value(row), out),
            Column::Numeric(a) => out.put_slice(a.value_as_string(row).as_bytes()),
            Column::Text(a) => out.put_slice(a.value(row).as_bytes()),
            Column::Entry(a, texts) => out.put_slice(texts.value(a.value(row) as usize).as_bytes()),
            Column::Function(a) => match (a.value(row), function_name(a.value(row))) {
                (0, _) => out.put_u8(b'-'),
                (_, Some(name)) => out.put_slice(name.as_bytes()),
                (oid, None) => integer(oid.into(), out),
            },
            Column::Interval(a) => interval_text(a.value(row), out),
            Column::Bytes(a) => hex(a.value(row), out),
            Column::Date(a) => date(a.value(row), out),
            Column::Time(a) => time(a.value(row), out),
            Column::Timestamp(a) => clock(a.value(row), out),
            Column::Instant(a, zone) => instant(a.value(row), *zone, out),
            Column::List(a, items, Listed { vector, .. }) => {
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
        let quoted = matches!(
            self,
            Column::Text(_)
                | Column::Entry(..)
                | Column::Bytes(_)
                | Column::Timestamp(_)
                | Column::Instant(..)
                | Column::Interval(_)
        );
        if !quoted {
            self.text(row, out);
            return;
        }
        let mut text = BytesMut::new();
        self.text(row, &mut text);
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
        match self {
            Column::Bool(a) => out.put_u8(a.value(row).into()),
            Column::Int2(a) => out.put_i16(a.value(row)),
            Column::Int4(a) => out.put_i32(a.value(row)),
            Column::Int8(a) => out.put_i64(a.value(row)),
            Column::Float4(a) => out.put_f32(a.value(row)),
            Column::Float8(a) => out.put_f64(a.value(row)),
            Column::Numeric(a) => numeric(&a.value_as_string(row), out),
            Column::Text(a) => out.put_slice(a.value(row).as_bytes()),
            Column::Entry(a, texts) => out.put_slice(texts.value(a.value(row) as usize).as_bytes()),
            Column::Function(a) => out.put_i32(a.value(row)),
            Column::Interval(a) => {
                let interval = a.value(row);
                out.put_i64(interval.nanoseconds / 1_000);
                out.put_i32(interval.days);
                out.put_i32(interval.months);
            }
            Column::Bytes(a) => out.put_slice(a.value(row)),
            Column::Date(a) => out.put_i32(a.value(row).saturating_sub(DAYS_TO_2000)),
            Column::Time(a) => out.put_i64(a.value(row)),
            Column::Timestamp(a) | Column::Instant(a, _) => out.put_i64(a.value(row).saturating_sub(MICROS_TO_2000)),
            Column::List(a, items, Listed { item, vector }) => {
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

/// Intervals, and lengths of time, which have neither months nor days.
fn interval(array: &ArrayRef) -> Result<PrimitiveArray<IntervalMonthDayNanoType>> {
    if let DataType::Duration(_) = array.data_type() {
        let nanos = cast(array, &DataType::Duration(TimeUnit::Nanosecond))?;
        let nanos = nanos.as_primitive::<DurationNanosecondType>();
        // as Postgres subtracts times: days of 24 hours
        let interval = |nanos: i64| IntervalMonthDayNano::new(0, (nanos / DAY_NANOS) as i32, nanos % DAY_NANOS);
        return Ok(nanos.iter().map(|value| value.map(interval)).collect());
    }
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    Ok(cast(array, &interval)?.as_primitive().clone())
}

/// `1 year 2 mons 3 days 04:05:06.5`.
fn interval_text(interval: IntervalMonthDayNano, out: &mut BytesMut) {
    let start = out.len();
    let mut part = |count: i32, one: &str| {
        if count != 0 {
            let blank = if out.len() > start { " " } else { "" };
            put(out, format_args!("{blank}{count} {one}{}", if count == 1 { "" } else { "s" }));
        }
    };
    part(interval.months / 12, "year");
    part(interval.months % 12, "mon");
    part(interval.days, "day");
    let micros = interval.nanoseconds / 1_000;
    if micros != 0 || out.len() == start {
        let blank = if out.len() > start { " " } else { "" };
        let (sign, seconds) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs() / 1_000_000);
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
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::array::{Decimal128Array, DictionaryArray, UInt64Array};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::serve::postgres::copy::read;
    use crate::serve::postgres::types::list_field;

    fn texts(array: ArrayRef) -> Vec<Option<String>> {
        texts_in(Tz::UTC, array)
    }

    fn texts_in(zone: Tz, array: ArrayRef) -> Vec<Option<String>> {
        let column = Column::new(&array, zone).unwrap();
        let value = |row| {
            let mut out = BytesMut::new();
            (!column.is_null(row)).then(|| {
                column.text(row, &mut out);
                String::from_utf8(out.to_vec()).unwrap()
            })
        };
        (0..array.len()).map(value).collect()
    }

    fn words(text: &str) -> Vec<i16> {
        let mut out = BytesMut::new();
        numeric(text, &mut out);
        out.chunks(2).map(|b| i16::from_be_bytes([b[0], b[1]])).collect()
    }

    #[test]
    fn numerics_as_postgres_sends_them() {
        // SELECT numeric_send(x) of PostgreSQL 15
        assert_eq!(words("0"), [0, 0, 0, 0]);
        assert_eq!(words("0.00"), [0, 0, 0, 2]);
        assert_eq!(words("1"), [1, 0, 0, 0, 1]);
        assert_eq!(words("12345.678"), [3, 1, 0, 3, 1, 2345, 6780]);
        assert_eq!(words("-0.05"), [1, -1, 0x4000, 2, 500]);
        assert_eq!(words("10000"), [1, 1, 0, 0, 1]);
        assert_eq!(words("0.00001234"), [1, -2, 0, 8, 1234]);
        assert_eq!(words("18446744073709551615"), [5, 4, 0, 0, 1844, 6744, 737, 955, 1615]);
    }

    #[test]
    fn values_as_psql_shows_them() {
        let some = |values: &[&str]| values.iter().map(|v| Some(v.to_string())).collect::<Vec<_>>();
        let money = Decimal128Array::from(vec![-5, 1234]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(texts(Arc::new(money)), some(&["-0.05", "12.34"]));
        assert_eq!(texts(Arc::new(UInt64Array::from(vec![u64::MAX]))), some(&["18446744073709551615"]));
        assert_eq!(texts(Arc::new(BooleanArray::from(vec![Some(true), None]))), [Some("t".to_string()), None]);
        assert_eq!(texts(Arc::new(Float64Array::from(vec![f64::NAN, 0.1]))), some(&["NaN", "0.1"]));
        let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        assert_eq!(texts(Arc::new(dictionary)), some(&["a", "b", "a"]));
        // an entry that is not there, one that is NULL, one by other numbers
        let entries = || Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
        let keys = Int32Array::from(vec![Some(2), None, Some(1), Some(0)]);
        let expected = [Some("c".to_string()), None, None, Some("a".into())];
        assert_eq!(texts(Arc::new(DictionaryArray::new(keys, entries()))), expected);
        let keys = Int16Array::from(vec![Some(2), None]);
        assert_eq!(texts(Arc::new(DictionaryArray::new(keys, entries()))), expected[..2]);
        let times = PrimitiveArray::<TimestampMicrosecondType>::from(vec![0, -1, 1_250_000]);
        let expected = ["1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:01.25"];
        assert_eq!(texts(Arc::new(times.clone())), some(&expected));
        let zoned = times.with_timezone("Europe/Berlin");
        assert_eq!(texts(Arc::new(zoned))[0].as_deref(), Some("1970-01-01 00:00:00+00"));
        // SELECT of PostgreSQL 15 in these zones, before and after a change of clocks
        let instants = vec![1_792_888_800_000_000, 1_792_892_400_000_000, -2_745_000_000_500_000];
        let instants = PrimitiveArray::<TimestampMicrosecondType>::from(instants).with_timezone("UTC");
        let expected = some(&["2026-10-25 02:40:00+02", "2026-10-25 02:40:00+01", "1883-01-06 04:53:27.5+00:53:28"]);
        assert_eq!(texts_in(chrono_tz::Europe::Berlin, Arc::new(instants.clone())), expected);
        let expected = Some("2026-10-25 06:10:00+05:30".to_string());
        assert_eq!(texts_in(chrono_tz::Asia::Kolkata, Arc::new(instants))[0], expected);
        let intervals = PrimitiveArray::<IntervalMonthDayNanoType>::from(vec![
            IntervalMonthDayNano::new(14, 3, 14_706_500_000_000),
            IntervalMonthDayNano::new(0, 0, 0),
            IntervalMonthDayNano::new(0, 1, -1_000_000_000),
        ]);
        let expected = ["1 year 2 mons 3 days 04:05:06.5", "00:00:00", "1 day -00:00:01"];
        assert_eq!(texts(Arc::new(intervals)), some(&expected));
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), Some(vec![]), None]);
        assert_eq!(texts(Arc::new(list)), [Some("{1,NULL}".to_string()), Some("{}".into()), None]);
    }

    #[test]
    fn rows_that_are_cut_from_one_buffer() {
        let count = 3 * BUFFER_BYTES as i64 / 16;
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|n| "x".repeat(n as usize % 90))));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let expected = |n: i64| {
            let mut out = BytesMut::new();
            for text in [n.to_string(), "x".repeat(n as usize % 90)] {
                out.put_i32(text.len() as i32);
                out.put_slice(text.as_bytes());
            }
            out
        };
        // each gone before the next one comes, and all of them kept
        let rows = || Rows::new(&batch, &Format::UnifiedText, Tz::UTC).unwrap();
        for (n, row) in (0..).zip(rows()) {
            assert_eq!((row.field_count, row.data), (2, expected(n)));
        }
        let kept: Vec<_> = rows().collect();
        assert_eq!(kept.len() as i64, count);
        assert!((0..).zip(&kept).all(|(n, row)| row.data == expected(n)));
    }

    #[test]
    fn rows_of_copy() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(-5), None]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a\tb,\"c\"", ""]));
        let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
        let rows = |format: &Format| Rows::new(&batch, format, Tz::UTC).unwrap();
        let copied = |sql: &str| {
            let (_, copy) = read(sql).unwrap().unwrap();
            let (mut rows, mut out) = (rows(&Format::UnifiedText), BytesMut::new());
            while rows.copy_next(&copy, &mut out) {}
            out.to_vec()
        };
        for (sql, expected) in [
            ("COPY t TO STDOUT", "-5\ta\\tb,\"c\"\n\\N\t\n"),
            ("COPY t TO STDOUT (FORMAT csv)", "-5,\"a\tb,\"\"c\"\"\"\n,\"\"\n"),
            // what numbers are written with may mean something else
            ("COPY t TO STDOUT (DELIMITER '-')", "\\-5-a\\tb,\"c\"\n\\N-\n"),
            ("COPY t TO STDOUT (FORMAT csv, NULL '-5')", "\"-5\",\"a\tb,\"\"c\"\"\"\n-5,\n"),
        ] {
            assert_eq!(String::from_utf8(copied(sql)).unwrap(), expected, "{sql}");
        }
        let mut expected = BytesMut::new();
        for row in rows(&Format::UnifiedBinary) {
            expected.put_i16(row.field_count);
            expected.put_slice(&row.data);
        }
        assert_eq!(copied("COPY t TO STDOUT (FORMAT binary)"), expected);
    }

    #[test]
    fn lists_of_a_catalog_as_its_clients_read_them() {
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(25), Some(23)]), Some(vec![])]);
        let array: ArrayRef = Arc::new(list);
        let sent = |list: Type, row: usize, binary: bool| {
            let field = list_field("l", &list);
            assert_eq!((pg_type_of(&field), field.data_type()), (list.clone(), array.data_type()));
            let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array.clone()]).unwrap();
            let (column, _) = Rows::new(&batch, &Format::UnifiedText, Tz::UTC).unwrap().columns.remove(0);
            let mut out = BytesMut::new();
            if binary {
                column.binary(row, &mut out)
            } else {
                column.text(row, &mut out)
            }
            out.to_vec()
        };
        // SELECT proargtypes, proallargtypes FROM pg_proc of PostgreSQL 15, in text
        assert_eq!(sent(Type::OID_VECTOR, 0, false), b"25 23");
        assert_eq!(sent(Type::OID_VECTOR, 1, false), b"");
        assert_eq!(sent(Type::OID_ARRAY, 0, false), b"{25,23}");
        // oidvectorsend and array_send: a vector begins at 0
        let numbers = |bytes: Vec<u8>| -> Vec<i32> {
            bytes.chunks(4).map(|four| i32::from_be_bytes(four.try_into().unwrap())).collect()
        };
        assert_eq!(numbers(sent(Type::OID_VECTOR, 0, true)), [1, 0, 26, 2, 0, 4, 25, 4, 23]);
        assert_eq!(numbers(sent(Type::OID_VECTOR, 1, true)), [1, 0, 26, 0, 0]);
        assert_eq!(numbers(sent(Type::OID_ARRAY, 0, true)), [1, 0, 26, 2, 1, 4, 25, 4, 23]);
        assert_eq!(numbers(sent(Type::OID_ARRAY, 1, true)), [0, 0, 26]);
    }
}
