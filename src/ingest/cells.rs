//! Values of any type become ours: texts, ids, numbers, instants. What does not fit is a complaint about its row.
//!
//! In: one evaluated column of a mapped file. Out: a column of the lake's type, NULL where the value is missing or bad;
//! each bad value is noted in [`RowFaults`], so that no row loses a value silently.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, StringArray, StringBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;
use serde::Serialize;
use uuid::Uuid;

use crate::feed::row_issue::clip;
use crate::feed::{RowIssue, caret, number};
use crate::functions::parse_number;
use crate::time::{self, TimeText, Written, ZoneText};
use crate::{Error, Result};

/// No time is a longer text.
const MAX_TIME_BYTES: usize = 200;

/// Unit of a time that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum EpochUnit {
    /// Seconds.
    Second,
    /// Milliseconds.
    Millisecond,
    /// Microseconds.
    Microsecond,
    /// Nanoseconds.
    Nanosecond,
}

/// The first thing that is wrong with each row of a batch.
pub struct RowFaults {
    issues: BTreeMap<usize, RowIssue>,
    lines: Vec<u64>,
}

impl RowFaults {
    /// None yet; `lines` are the lines (or numbers) of the rows.
    pub fn new(lines: Vec<u64>) -> Self {
        Self { issues: BTreeMap::new(), lines }
    }

    /// The lines of the rows.
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    /// Notes that a row cannot be taken.
    pub fn add(&mut self, row: usize, column: &str, reason: impl Into<String>, text: &str) {
        let line = self.lines.get(row).copied().unwrap_or_default();
        self.issues.entry(row).or_insert_with(|| RowIssue::new(line, column, reason, text));
    }

    /// Puts what the bad rows look like, of which it holds, before their reasons.
    pub fn explain(&mut self, what: &str, holds: impl Fn(usize) -> bool) {
        for (_, issue) in self.issues.iter_mut().filter(|(row, _)| holds(**row)) {
            issue.reason = format!("{what}: {}", issue.reason);
        }
    }

    /// True where the row is good.
    pub fn good(&self) -> BooleanArray {
        let is_good = |row| !self.issues.contains_key(&row);
        BooleanArray::from(BooleanBuffer::collect_bool(self.lines.len(), is_good))
    }

    /// The bad rows.
    pub fn into_issues(self) -> impl Iterator<Item = RowIssue> {
        self.issues.into_values()
    }
}

/// When something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instant {
    /// Not said, or a complaint.
    Missing,
    /// Microseconds since 1970, UTC.
    At(i64),
    /// A date without a time.
    Day(NaiveDate),
}

/// Why a value has no text.
const NO_TEXT: &str = "not a text in UTF-8; map bytes with encode(column, 'hex')";

/// So much of a type is shown.
const MAX_TYPE_BYTES: usize = 80;

/// The years that times may be in.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// The same in microseconds.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// A dimension: the value as text, an empty one is NULL; the values of a list are joined.
pub fn texts(values: &ArrayRef, column: &str, faults: &mut RowFaults) -> Result<StringArray> {
    if let DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) = values.data_type() {
        return joined(values, column, faults);
    }
    let values = &unwrapped(values)?;
    let cast = to_text(values, column)?;
    if cast.null_count() == values.null_count() && are_plain(&cast) {
        return Ok(cast);
    }
    let mut texts = StringBuilder::with_capacity(cast.len(), cast.value_data().len());
    for row in 0..cast.len() {
        if cast.is_null(row) && values.is_valid(row) && values.data_type() != &DataType::Null {
            faults.add(row, column, NO_TEXT, &shown(values, row));
        }
        if cast.is_valid(row) && cast.value(row).contains('\0') {
            faults.add(row, column, "holds a NUL byte", cast.value(row));
        }
        texts.append_option(cast.is_valid(row).then(|| cast.value(row)).filter(|t| !t.is_empty()));
    }
    Ok(texts.finish())
}

/// An id: as a text, but `123.0` is 123, and a float must be a whole number without lost digits.
pub fn ids(values: &ArrayRef, column: &str, faults: &mut RowFaults) -> Result<StringArray> {
    let values = &unwrapped(values)?;
    if values.data_type().is_decimal() {
        let texts = to_text(values, column)?;
        return Ok(texts.iter().map(|text| text.map(whole)).collect());
    }
    if !values.data_type().is_floating() {
        return texts(values, column, faults);
    }
    let floats = cast(values, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    let mut ids = StringBuilder::new();
    for row in 0..floats.len() {
        let value = floats.is_valid(row).then(|| floats.value(row));
        if let Some(bad) = value.filter(|v| v.fract() != 0.0 || v.abs() >= 9_007_199_254_740_992.0) {
            let reason = "an id that is a floating point number may have lost digits; store it as text or integer";
            faults.add(row, column, reason, &bad.to_string());
        }
        ids.append_option(value.map(|v| format!("{v:.0}")));
    }
    Ok(ids.finish())
}

/// A metric; a span of time counts in seconds. An empty text is none; infinities and NaN are no numbers.
pub fn numbers(values: &ArrayRef, column: &str, faults: &mut RowFaults) -> Result<Float64Array> {
    let values = &unwrapped(values)?;
    if is_text(values.data_type()) {
        let texts = to_text(values, column)?;
        let parse = |(row, text): (usize, Option<&str>)| {
            if text.is_none() && values.is_valid(row) {
                faults.add(row, column, NO_TEXT, &shown(values, row));
            }
            let text = text.map(str::trim).filter(|t| !t.is_empty())?;
            let parsed = number::parse(text);
            if parsed.is_none() {
                let advice = match (parse_number::parse(text, ','), parse_number::parse(text, '.')) {
                    (Some(_), _) => "; parse_number(column, ',') in the mapping reads 1.234,56",
                    (None, Some(_)) => "; parse_number(column, '.') in the mapping reads 1,234.56",
                    (None, None) => "",
                };
                faults.add(row, column, number::why_not(text) + advice, text);
            }
            parsed
        };
        return Ok(texts.iter().enumerate().map(parse).collect());
    }
    let values = &match values.data_type() {
        DataType::Duration(unit) => seconds(values, *unit)?,
        _ => values.clone(),
    };
    if !(values.data_type().is_numeric() || matches!(values.data_type(), DataType::Boolean | DataType::Null)) {
        let advice = match values.data_type().is_temporal() {
            true => "; date_part('epoch', column) makes seconds of it",
            false => "",
        };
        return Err(Error::refused(format!("{column} is a {}; a metric is a number{advice}", type_of(values))));
    }
    let floats = cast(values, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    // what is in the place of a NULL may be anything, and is looked at row by row where it is no number
    if floats.values().iter().all(|value| value.is_finite()) {
        return Ok(floats.clone());
    }
    let check = |(row, value): (usize, Option<f64>)| {
        if let Some(bad) = value.filter(|v| !v.is_finite()) {
            let reason = "not a finite number; where it means none, map it with nullif or nanvl";
            faults.add(row, column, reason, &bad.to_string());
        }
        value.filter(|v| v.is_finite())
    };
    Ok(floats.iter().enumerate().map(check).collect())
}

/// Times: timestamps, dates, numbers with a unit, ISO 8601 texts. `zone` holds for those that name no zone.
pub fn instants(
    values: &ArrayRef,
    unit: Option<EpochUnit>,
    zone: Tz,
    column: &str,
    faults: &mut RowFaults,
) -> Result<Vec<Instant>> {
    let values = &unwrapped(values)?;
    let found: Vec<Instant> = match values.data_type() {
        DataType::Timestamp(_, named_zone) => {
            let local = named_zone.is_none() && zone != Tz::UTC;
            let micros = cast(values, &DataType::Timestamp(TimeUnit::Microsecond, named_zone.clone()))?;
            let micros = micros.as_primitive::<TimestampMicrosecondType>();
            let instant = |m: i64| match local {
                true => Instant::At(time::from_local(m, zone).unwrap_or(m)),
                false => Instant::At(m),
            };
            micros.iter().map(|m| m.map_or(Instant::Missing, instant)).collect()
        }
        DataType::Date32 | DataType::Date64 => {
            let millis = cast(values, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            let millis = millis.as_primitive::<TimestampMillisecondType>();
            let day = |m| DateTime::from_timestamp_millis(m).map_or(Instant::Missing, |t| Instant::Day(t.date_naive()));
            millis.iter().map(|m| m.map_or(Instant::Missing, day)).collect()
        }
        other if is_text(other) => {
            let texts = to_text(values, column)?;
            let mut parse = |(row, text): (usize, Option<&str>)| {
                let Some(text) = text.map(str::trim).filter(|t| !t.is_empty()) else { return Instant::Missing };
                parse_time(text, unit, zone).unwrap_or_else(|reason| {
                    faults.add(row, column, reason, text);
                    Instant::Missing
                })
            };
            texts.iter().enumerate().map(&mut parse).collect()
        }
        other if other.is_numeric() => {
            let Some(unit) = unit else {
                return Err(Error::configuration(format!(
                    "{column} is a number; add time_unit = \"s\", \"ms\", \"us\" or \"ns\" to the mapping"
                )));
            };
            epochs(values, unit)?
        }
        DataType::Null => vec![Instant::Missing; values.len()],
        other => {
            let what = clip(&other.to_string(), MAX_TYPE_BYTES).to_string();
            return Err(Error::refused(format!("{column} is a {what}; a time is a timestamp, a number or a text")));
        }
    };
    for (row, instant) in found.iter().enumerate() {
        match instant {
            Instant::Missing if values.is_null(row) => faults.add(row, column, "no time", ""),
            Instant::Missing => faults.add(row, column, "no time", &shown(values, row)),
            Instant::At(micros) if !TIMES.contains(micros) => {
                faults.add(row, column, "a time out of all bounds; is time_unit right?", &shown(values, row));
            }
            Instant::Day(day) if !YEARS.contains(&day.year()) => {
                faults.add(row, column, "a day out of all bounds", &shown(values, row));
            }
            _ => {}
        }
    }
    Ok(found)
}

/// The time or day that a text says without a format; its clock is taken for one in UTC where it names no zone.
pub fn time_in(text: &str) -> Option<Instant> {
    parse_time(text, None, Tz::UTC).ok()
}

fn parse_time(text: &str, unit: Option<EpochUnit>, zone: Tz) -> Result<Instant, String> {
    if let Some(unit) = unit {
        let micros = match text.parse::<i64>() {
            Ok(whole) => whole_epoch(whole, unit),
            Err(_) => number::parse(text).and_then(|n| fractional_epoch(n, unit)),
        };
        return micros.map(Instant::At).ok_or_else(|| number::why_not(text));
    }
    match time::parse_time(text) {
        Some(Written::Day(day)) => return Ok(Instant::Day(day)),
        Some(other) => return other.in_zone(zone).map(Instant::At).ok_or_else(|| "a time out of all bounds".into()),
        None => {}
    }
    if let Some(spelled) = spelled_time(text, zone) {
        return Ok(spelled);
    }
    if number::parse(text).is_some() {
        return Err(match text.len() {
            8 => "a number; to_date(column, '%Y%m%d') in the mapping reads days such as 20261005".into(),
            _ => "a number; add time_unit = \"s\", \"ms\", \"us\" or \"ns\" to the mapping".into(),
        });
    }
    Err("not a time in ISO 8601 (2026-10-05T14:30:00Z); to_timestamp(column, '%d.%m.%Y %H:%M') in the mapping reads others"
        .into())
}

/// A time with the name of its zone or month, or by a clock of twelve hours: `2026-09-01 10:00 Europe/Berlin`,
/// `Tue, 01 Sep 2026 10:00:00 PDT`, `2026/09/01 10:00 PM`. None where the month could be the day.
fn spelled_time(text: &str, zone: Tz) -> Option<Instant> {
    if text.len() > MAX_TIME_BYTES {
        return None;
    }
    let text = time::without_zone_name(text);
    let text = text.as_str();
    let year = text.trim_start().bytes().take_while(u8::is_ascii_digit).count();
    let is_year_first = year == 4 && matches!(text.trim_start().as_bytes().get(year), Some(b'-' | b'/'));
    let mut words = text.split(|c: char| !c.is_ascii_alphabetic());
    if !is_year_first && !words.any(|word| time::month_named(word).is_some()) {
        return None;
    }
    let TimeText { day, clock, zone: own } = time::read_time(text).ok()?;
    let day = day?;
    let Some(nanos) = clock else { return Some(Instant::Day(day)) };
    let shown = day.and_time(NaiveTime::MIN).checked_add_signed(TimeDelta::nanoseconds(nanos))?;
    let in_zone = |zone: Tz| Written::Clock(shown).in_zone(zone);
    let micros = match own {
        None => in_zone(zone)?,
        Some(ZoneText::Named(own)) => in_zone(own)?,
        Some(ZoneText::Ahead(seconds)) => shown.and_utc().timestamp_micros() - i64::from(seconds) * 1_000_000,
    };
    Some(Instant::At(micros))
}

fn epochs(values: &ArrayRef, unit: EpochUnit) -> Result<Vec<Instant>> {
    // out of bounds becomes the end of time, which the caller complains about
    let instant = |micros: Option<i64>| Instant::At(micros.unwrap_or(i64::MAX));
    if values.data_type().is_integer() {
        let whole = cast(values, &DataType::Int64)?;
        let whole = whole.as_primitive::<arrow::datatypes::Int64Type>();
        let at = |row: usize| {
            if values.is_null(row) {
                Instant::Missing
            } else {
                instant(whole.is_valid(row).then(|| whole.value(row)).and_then(|v| whole_epoch(v, unit)))
            }
        };
        return Ok((0..values.len()).map(at).collect());
    }
    let floats = cast(values, &DataType::Float64)?;
    let floats = floats.as_primitive::<Float64Type>();
    Ok(floats.iter().map(|v| v.map_or(Instant::Missing, |v| instant(fractional_epoch(v, unit)))).collect())
}

fn whole_epoch(value: i64, unit: EpochUnit) -> Option<i64> {
    match unit {
        EpochUnit::Second => value.checked_mul(1_000_000),
        EpochUnit::Millisecond => value.checked_mul(1000),
        EpochUnit::Microsecond => Some(value),
        EpochUnit::Nanosecond => Some(value.div_euclid(1000)),
    }
}

fn fractional_epoch(value: f64, unit: EpochUnit) -> Option<i64> {
    let micros = match unit {
        EpochUnit::Second => value * 1e6,
        EpochUnit::Millisecond => value * 1e3,
        EpochUnit::Microsecond => value,
        EpochUnit::Nanosecond => value / 1e3,
    };
    (micros.is_finite() && micros.abs() < 9e18).then(|| micros.round() as i64)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        // some write texts as bytes
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => true,
        _ => false,
    }
}

/// The values themselves, where they stand in a dictionary or in runs.
fn unwrapped(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Dictionary(_, inner) => unwrapped(&cast(values, inner)?),
        DataType::RunEndEncoded(_, inner) => unwrapped(&cast(values, inner.data_type())?),
        _ => Ok(values.clone()),
    }
}

/// Spans of time as numbers.
fn seconds(values: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef> {
    let in_a_second = match unit {
        TimeUnit::Second => 1.0,
        TimeUnit::Millisecond => 1e3,
        TimeUnit::Microsecond => 1e6,
        TimeUnit::Nanosecond => 1e9,
    };
    let counts = cast(values, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>();
    Ok(Arc::new(counts.unary::<_, Float64Type>(|count| count as f64 / in_a_second)))
}

/// A decimal number without a part after the point that is 0.
fn whole(text: &str) -> &str {
    match text.split_once('.') {
        Some((whole, part)) if part.bytes().all(|digit| digit == b'0') => whole,
        _ => text,
    }
}

/// True where no text is empty or holds a NUL byte: they are taken as they are.
pub fn are_plain(texts: &StringArray) -> bool {
    let offsets = texts.value_offsets();
    let bytes = &texts.value_data()[offsets[0] as usize..offsets[texts.len()] as usize];
    let is_empty = |row: usize| offsets[row] == offsets[row + 1] && texts.is_valid(row);
    memchr::memchr(0, bytes).is_none() && !(0..texts.len()).any(is_empty)
}

/// Bytes as people write them: 16 as a UUID with hyphens, a text as it is; of a fixed number of bytes what is no text is a hash or
/// a key in hexadecimal digits. NULL for what is none of these.
pub fn of_bytes(values: &ArrayRef) -> Result<StringArray> {
    let is_fixed = matches!(values.data_type(), DataType::FixedSizeBinary(_));
    let bytes = cast(values, &DataType::LargeBinary)?;
    let text = |bytes: Option<&[u8]>| {
        let bytes = bytes?;
        let text = std::str::from_utf8(bytes).ok();
        match (Uuid::from_slice(bytes), text) {
            (Ok(uuid), text) if is_fixed || text.is_none() => Some(uuid.hyphenated().to_string()),
            (_, Some(text)) if !(is_fixed && text.contains(char::is_control)) => Some(text.to_string()),
            _ => is_fixed.then(|| bytes.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    };
    Ok(bytes.as_binary::<i64>().iter().map(text).collect())
}

/// The type of a column, for messages; that of a record says all its parts.
fn type_of(values: &ArrayRef) -> String {
    clip(&values.data_type().to_string(), MAX_TYPE_BYTES).to_string()
}

fn to_text(values: &ArrayRef, column: &str) -> Result<StringArray> {
    let values = &unwrapped(values)?;
    if let DataType::FixedSizeBinary(_) | DataType::Binary | DataType::LargeBinary | DataType::BinaryView =
        values.data_type()
    {
        return of_bytes(values);
    }
    let format_options = FormatOptions::default();
    let options = CastOptions { safe: true, format_options: format_options.clone() };
    match cast_with_options(values, &DataType::Utf8, &options) {
        Ok(texts) => Ok(texts.as_string::<i32>().clone()),
        // a time that no calendar has is no text, and all others are
        Err(_) if values.data_type().is_temporal() => {
            let formatter = ArrayFormatter::try_new(values, &format_options)?;
            let text = |row: usize| values.is_valid(row).then(|| formatter.value(row).try_to_string().ok()).flatten();
            Ok((0..values.len()).map(text).collect())
        }
        Err(_) => {
            let advice = "name a part of it, as in user['id']";
            Err(Error::refused(format!("{column} is a {}, which is no text; {advice}", type_of(values))))
        }
    }
}

fn joined(values: &ArrayRef, column: &str, faults: &mut RowFaults) -> Result<StringArray> {
    let lists: ArrayRef = match values.data_type() {
        DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
            cast(values, &DataType::LargeList(field.clone()))?
        }
        other => return Err(Error::bug(format!("{column}: a {other} is no list"))),
    };
    let lists = lists.as_list::<i64>();
    let parts = to_text(lists.values(), column)?;
    let mut cells = StringBuilder::new();
    let mut cell = String::new();
    for row in 0..lists.len() {
        cell.clear();
        if lists.is_valid(row) {
            let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
            let bad = range.clone().find(|&i| parts.is_null(i) && lists.values().is_valid(i));
            if bad.is_some() && lists.values().data_type() != &DataType::Null {
                faults.add(row, column, NO_TEXT, &shown(values, row));
            }
            let valid = range.filter(|&i| parts.is_valid(i) && !parts.value(i).is_empty());
            caret::join_list(valid.map(|i| parts.value(i)), &mut cell);
        }
        if cell.contains('\0') {
            faults.add(row, column, "holds a NUL byte", &cell);
        }
        cells.append_option((!cell.is_empty()).then_some(&cell));
    }
    Ok(cells.finish())
}

/// A value as a person reads it.
fn shown(values: &ArrayRef, row: usize) -> String {
    let options = FormatOptions::default();
    ArrayFormatter::try_new(values, &options).map_or_else(|_| String::new(), |f| f.value(row).to_string())
}

/// The end of the times that an offline record may have: a day from now.
pub fn latest_record(now: DateTime<Utc>) -> i64 {
    (now + TimeDelta::days(1)).timestamp_micros()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{
        BinaryArray, BinaryViewArray, Date32Array, Date64Array, Decimal128Array, Decimal256Array,
        DurationMillisecondArray, FixedSizeBinaryArray, Int64Array, IntervalYearMonthArray, LargeBinaryArray,
        ListArray, Time32SecondArray,
    };
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{Int8Type, i256};

    use super::*;

    fn strings(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    #[test]
    fn texts_and_lists() {
        let mut faults = RowFaults::new((1..=3).collect());
        let empty = texts(&strings(&[Some(""), Some("a"), None]), "x", &mut faults).unwrap();
        assert_eq!(empty, StringArray::from(vec![None, Some("a"), None]));
        let list = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(vec![
            Some(vec![Some(1), None, Some(2)]),
            Some(vec![]),
            None,
        ]);
        let cells = texts(&(Arc::new(list) as ArrayRef), "x", &mut faults).unwrap();
        assert_eq!(cells, StringArray::from(vec![Some("1--**--2"), None, None]));
        assert_eq!(faults.into_issues().count(), 0);
    }

    #[test]
    fn ids_do_not_lose_digits() {
        let mut faults = RowFaults::new((1..=3).collect());
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(123.0), Some(1.5), None]));
        let found = ids(&floats, "user", &mut faults).unwrap();
        assert_eq!((found.value(0), found.is_null(2)), ("123", true));
        let issues: Vec<RowIssue> = faults.into_issues().collect();
        assert_eq!((issues.len(), issues[0].line), (1, 2));
    }

    /// Texts of the values, and how many complaints there are.
    fn texts_of(values: ArrayRef) -> (Vec<Option<String>>, usize) {
        let mut faults = RowFaults::new((1..=values.len() as u64).collect());
        let found = texts(&values, "x", &mut faults).unwrap();
        (found.iter().map(|text| text.map(str::to_string)).collect(), faults.into_issues().count())
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some(text.to_string())).collect()
    }

    #[test]
    fn bytes_are_what_people_write() {
        let key: Vec<u8> = (0xf0..=0xff).collect();
        let uuid = "f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff";
        let fixed = |values: &[&[u8]]| -> ArrayRef {
            Arc::new(FixedSizeBinaryArray::try_from_iter(values.iter().copied()).unwrap())
        };
        assert_eq!(texts_of(fixed(&[&key, b"sixteen letters!"])).0[0].as_deref(), Some(uuid));
        assert_eq!(texts_of(fixed(&[b"EUR", b"\xff\x00\x01", b"\n\r\t"])), (some(&["EUR", "ff0001", "0a0d09"]), 0));
        let many: [&[u8]; 3] = [b"sixteen letters!", &key, b"line\none"];
        for values in [
            Arc::new(BinaryArray::from_iter_values(many)) as ArrayRef,
            Arc::new(LargeBinaryArray::from_iter_values(many)),
            Arc::new(BinaryViewArray::from_iter_values(many)),
        ] {
            assert_eq!(texts_of(values), (some(&["sixteen letters!", uuid, "line\none"]), 0));
        }
        let (found, faults) = texts_of(Arc::new(BinaryArray::from_iter_values([&b"a"[..], b"\xff"])));
        assert_eq!((found[1].as_deref(), faults), (None, 1));
        // in a dictionary, and in lists
        let inner = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::FixedSizeBinary(16)));
        let keys = arrow::array::PrimitiveArray::<Int8Type>::from(vec![0, 0]);
        let dictionary = arrow::array::DictionaryArray::new(keys, fixed(&[&key]));
        assert_eq!(dictionary.data_type(), &inner);
        assert_eq!(texts_of(Arc::new(dictionary)), (some(&[uuid, uuid]), 0));
        let item = Arc::new(arrow::datatypes::Field::new_list_field(DataType::FixedSizeBinary(16), true));
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([2]);
        let lists = ListArray::new(item, offsets, fixed(&[&key, &key]), None);
        assert_eq!(texts_of(Arc::new(lists)), (some(&[&format!("{uuid}--**--{uuid}")]), 0));
        // texts that are bytes are numbers and times where they are wanted
        let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values([&b"1.5"[..], b"\xff"]));
        let mut faults = RowFaults::new(vec![1, 2]);
        assert_eq!(numbers(&bytes, "x", &mut faults).unwrap(), Float64Array::from(vec![Some(1.5), None]));
        assert_eq!(faults.good(), vec![true, false].into());
    }

    #[test]
    fn decimals_spans_and_clocks() {
        let decimals: ArrayRef =
            Arc::new(Decimal128Array::from(vec![1_500, 12_300]).with_precision_and_scale(38, 2).unwrap());
        let large: ArrayRef = Arc::new(
            Decimal256Array::from(vec![i256::from_i128(1_500), i256::from_i128(12_300)])
                .with_precision_and_scale(76, 2)
                .unwrap(),
        );
        for values in [decimals, large] {
            let mut faults = RowFaults::new(vec![1, 2]);
            assert_eq!(texts_of(values.clone()).0, some(&["15.00", "123.00"]));
            assert_eq!(ids(&values, "x", &mut faults).unwrap(), StringArray::from(vec!["15", "123"]));
            assert_eq!(numbers(&values, "x", &mut faults).unwrap(), Float64Array::from(vec![15.0, 123.0]));
        }
        let mut faults = RowFaults::new(vec![1]);
        let spent: ArrayRef = Arc::new(DurationMillisecondArray::from(vec![1_500]));
        assert_eq!(numbers(&spent, "x", &mut faults).unwrap(), Float64Array::from(vec![1.5]));
        let clock: ArrayRef = Arc::new(Time32SecondArray::from(vec![36_000]));
        assert_eq!(texts_of(clock.clone()), (some(&["10:00:00"]), 0));
        assert!(numbers(&clock, "x", &mut faults).unwrap_err().to_string().contains("date_part"));
        let (months, faults) = texts_of(Arc::new(IntervalYearMonthArray::from(vec![14])));
        assert!(months[0].is_some() && faults == 0, "{months:?}");
    }

    #[test]
    fn days_of_no_calendar_are_complaints() {
        let days: ArrayRef = Arc::new(Date32Array::from(vec![20_000, i32::MAX]));
        let millis: ArrayRef = Arc::new(Date64Array::from(vec![20_000 * 86_400_000, i64::MAX]));
        for values in [days, millis] {
            let mut faults = RowFaults::new(vec![1, 2]);
            let found = instants(&values, None, Tz::UTC, "x", &mut faults).unwrap();
            assert!(matches!(found[0], Instant::Day(_)), "{found:?}");
            assert_eq!(faults.good(), vec![true, false].into());
            let (found, faults) = texts_of(values);
            assert!(found[0].as_deref().is_some_and(|text| text.starts_with("2024-10-04")), "{found:?}");
            assert_eq!((found[1].is_none(), faults), (true, 1));
        }
    }

    #[test]
    fn bad_numbers_are_complaints() {
        let mut faults = RowFaults::new((1..=4).collect());
        let found = numbers(&strings(&[Some("1.5"), Some("abc"), Some(" "), None]), "revenue", &mut faults).unwrap();
        assert_eq!(found, Float64Array::from(vec![Some(1.5), None, None, None]));
        assert_eq!(faults.good(), vec![true, false, true, true].into());
        let mut faults = RowFaults::new((1..=2).collect());
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 0.0]));
        numbers(&floats, "revenue", &mut faults).unwrap();
        assert_eq!(faults.good(), vec![false, true].into());
        // what is in the place of a NULL is nobody's
        let nulls = NullBuffer::from(vec![false, true]);
        for in_its_place in [f64::NAN, 7.0] {
            let mut faults = RowFaults::new((1..=2).collect());
            let floats: ArrayRef = Arc::new(Float64Array::new(vec![in_its_place, 1.5].into(), Some(nulls.clone())));
            assert_eq!(numbers(&floats, "revenue", &mut faults).unwrap(), Float64Array::from(vec![None, Some(1.5)]));
            assert_eq!(faults.good(), vec![true, true].into());
        }
    }

    #[test]
    fn times_of_every_kind() {
        let paris = chrono_tz::Europe::Paris;
        let at = |text: &str, unit| parse_time(text, unit, paris);
        let micros = |text: &str| Ok(Instant::At(DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()));
        assert_eq!(at("2026-10-05T14:30:00Z", None), micros("2026-10-05T14:30:00Z"));
        assert_eq!(at("2026-10-05 14:30:00.25", None), micros("2026-10-05T12:30:00.25Z"));
        assert_eq!(at("2026-10-05 14:30:00 UTC", None), micros("2026-10-05T14:30:00Z"));
        assert_eq!(at("2026-10-05 14:30:00+02", None), micros("2026-10-05T12:30:00Z"));
        assert_eq!(at("2026-10-05", None), Ok(Instant::Day(NaiveDate::from_ymd_opt(2026, 10, 5).unwrap())));
        // the clocks went forward at 2:00 and back at 3:00
        assert_eq!(at("2026-03-29T02:30:00", None), micros("2026-03-29T01:30:00Z"));
        assert_eq!(at("2026-10-25T02:30:00", None), micros("2026-10-25T00:30:00Z"));
        assert_eq!(at("1790000000.5", Some(EpochUnit::Second)), Ok(Instant::At(1_790_000_000_500_000)));
        assert!(at("1790000000", None).unwrap_err().contains("time_unit"));
        for (text, expected) in [
            ("Tue, 01 Sep 2026 10:00:00 PDT", "2026-09-01T17:00:00Z"),
            ("2026-09-01 10:00:03.5 -0700 PDT", "2026-09-01T17:00:03.5Z"),
            ("Tue Sep 01 2026 10:00:00 GMT+0200 (CEST)", "2026-09-01T08:00:00Z"),
            ("1 Sep 2026 10:00 +0530", "2026-09-01T04:30:00Z"),
            ("Sep 1, 2026 10:00 PM", "2026-09-01T20:00:00Z"),
            ("2026-09-01 10:00:00.5 CEST", "2026-09-01T08:00:00.5Z"),
            ("2026-09-01T10:00 America/New_York", "2026-09-01T14:00:00Z"),
            ("2026/09/01 10:00", "2026-09-01T08:00:00Z"),
        ] {
            assert_eq!(at(text, None), micros(expected), "{text}");
        }
        assert_eq!(at("1 September 2026", None), Ok(Instant::Day(NaiveDate::from_ymd_opt(2026, 9, 1).unwrap())));
        // which is the month?
        for text in ["yesterday", "01/09/2026 10:00", "1.9.2026", "10:00 PM", "2026-13-01 10:00 CET", "2026-09"] {
            assert!(at(text, None).is_err(), "{text}");
        }
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1_790_000_000_000), None, Some(i64::MAX)]));
        let mut faults = RowFaults::new((1..=3).collect());
        assert!(instants(&numbers, None, paris, "time", &mut faults).is_err());
        let found = instants(&numbers, Some(EpochUnit::Millisecond), paris, "time", &mut faults).unwrap();
        assert_eq!(found[0], Instant::At(1_790_000_000_000_000));
        assert_eq!(faults.good(), vec![true, false, false].into());
    }
}
