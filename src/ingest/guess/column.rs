//! A column of a file, a part of a record in one, or a key in a list of keys and values: what it is called, what it holds, and how
//! a mapping reads it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields, Float64Type};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
use serde_json::{Map, Value};

use super::words::WRAPPERS;
use crate::quote;
use crate::time::{Written, parse_time};

/// Parts of records that are looked at.
const MAX_PARTS: usize = 1_000;
/// Parts of a record that are shown of such a column.
const MAX_SHOWN_PARTS: usize = 12;
/// Texts of a column that are looked at for JSON.
const MAX_JSON_TEXTS: usize = 200;

/// How what the clock shows is written.
const CLOCKS: [&str; 4] = ["%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p"];
/// How a day, and a time, is written where it does not begin with the year.
const DAYS: [&str; 6] = ["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%y", "%d/%m/%y", "%m/%d/%y"];
const TIMES: [&str; 22] = [
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M %p",
    "%Y-%m-%d %I:%M:%S %p",
    "%Y-%m-%d %I:%M %p",
    "%d.%m.%y %H:%M:%S",
    "%d.%m.%y %H:%M",
    "%d/%m/%y %H:%M:%S",
    "%d/%m/%y %H:%M",
    "%m/%d/%y %H:%M:%S",
    "%m/%d/%y %H:%M",
    "%m/%d/%y %I:%M:%S %p",
    "%m/%d/%y %I:%M %p",
    "%d/%m/%y %I:%M:%S %p",
    "%d/%m/%y %I:%M %p",
];
/// A day as a number of eight digits.
const DAY_NUMBER: &str = "%Y%m%d";

/// A column of the file, a part of a record in one, or a key in a list of keys and values.
pub(super) struct Column {
    pub name: String,
    /// What a mapping says to read it: the name, or an expression.
    pub value: String,
    /// What it may be called, in small letters and without signs.
    pub plain: Vec<String>,
    pub data_type: DataType,
    /// Of the first rows.
    pub values: Option<ArrayRef>,
    pub is_part: bool,
}

impl Column {
    /// The parts of its records, and the keys of its list of keys and values. Of a list that is taken apart they are
    /// called as if they were columns.
    pub fn add_parts(&self, is_apart: bool, depth: usize, parts: &mut Vec<Self>) {
        if self.is_params() {
            let keys = self.keys().into_iter().take(MAX_PARTS.saturating_sub(parts.len()));
            parts.extend(keys.map(|key| {
                let value = format!("param({}, {})", self.sql(), quote::literal(&key));
                let plain = vec![plain(&key)];
                Self { name: key, value, plain, data_type: DataType::Utf8, values: None, is_part: true }
            }));
        }
        let records = self.json_records();
        let keys: BTreeSet<&String> = records.iter().flat_map(Map::keys).collect();
        for key in keys.into_iter().take(MAX_PARTS.saturating_sub(parts.len())) {
            let value = format!("json_get({}, {})", self.sql(), quote::literal(key));
            let values: StringArray = records.iter().map(|record| record.get(key).and_then(json_text)).collect();
            let plain = self.names_of(key, is_apart);
            let values: Option<ArrayRef> = Some(Arc::new(values));
            parts.push(Self { name: key.clone(), value, plain, data_type: DataType::Utf8, values, is_part: true });
        }
        let DataType::Struct(fields) = &self.data_type else { return };
        if depth == 0 {
            return;
        }
        let record = self.values.as_ref().and_then(|values| values.as_struct_opt());
        for (index, field) in fields.iter().enumerate() {
            if parts.len() >= MAX_PARTS {
                return;
            }
            let part = Self {
                name: field.name().clone(),
                value: format!("{}[{}]", self.sql(), quote::literal(field.name())),
                plain: self.names_of(field.name(), is_apart),
                data_type: field.data_type().clone(),
                values: record.and_then(|record| record.columns().get(index).cloned()),
                is_part: true,
            };
            part.add_parts(false, depth - 1, parts);
            parts.push(part);
        }
    }

    /// What a part of it may be called: by its own name where what holds it belongs to the row, and behind the name of that.
    fn names_of(&self, part: &str, is_apart: bool) -> Vec<String> {
        let name = plain(part);
        let mut names: Vec<String> = vec![];
        if !is_apart {
            names.extend(self.plain.iter().map(|record| format!("{record}_{name}")));
        }
        if is_apart || self.plain.iter().any(|record| is_one_of(record, WRAPPERS)) {
            names.insert(0, name);
        }
        names
    }

    /// The objects that its first texts hold as JSON; none where one holds something else.
    fn json_records(&self) -> Vec<Map<String, Value>> {
        let texts = self.texts();
        let records: Option<Vec<_>> =
            texts.iter().take(MAX_JSON_TEXTS).map(|text| serde_json::from_str(text).ok()).collect();
        records.unwrap_or_default()
    }

    /// True but for addresses of an API, which records of other systems bear.
    pub fn is_page(&self) -> bool {
        let texts = self.texts();
        texts.is_empty() || texts.iter().any(|text| !text.contains("/api/"))
    }

    /// It in an expression.
    pub fn sql(&self) -> String {
        if self.is_part { self.value.clone() } else { sql_name(&self.name) }
    }

    /// What is written in it, where it is text.
    pub fn texts(&self) -> Vec<String> {
        let is_text = matches!(self.data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let values = self.values.as_ref().filter(|_| is_text);
        let Some(Ok(texts)) = values.map(|values| cast(values, &DataType::Utf8)) else { return vec![] };
        let texts = texts.as_string::<i32>().iter().flatten().map(str::trim);
        texts.filter(|text| !text.is_empty()).map(String::from).collect()
    }

    /// True where the first rows say nothing in it.
    pub fn is_empty(&self) -> bool {
        let Some(values) = &self.values else { return false };
        let is_text = matches!(self.data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        values.logical_null_count() == values.len() || is_text && self.texts().is_empty()
    }

    /// As a transaction ID: GA4 writes `(not set)` where there is none.
    pub fn id(&self) -> String {
        match self.texts().iter().any(|text| text == "(not set)") {
            true => format!("nullif({}, '(not set)')", self.sql()),
            false => self.value.clone(),
        }
    }

    /// As a time, and what is to be said of it.
    pub fn time(&self) -> (String, &'static str) {
        if self.has_day_numbers() {
            let is_number = self.data_type.is_integer();
            let written = if is_number { format!("CAST({} AS VARCHAR)", self.sql()) } else { self.sql() };
            return (format!("to_date({written}, '{DAY_NUMBER}')"), "");
        }
        let texts = self.texts();
        let is_time = |text: &str, format: &str| {
            NaiveDateTime::parse_from_str(text, format).is_ok_and(|time| (1970..3000).contains(&time.year()))
        };
        let days = DAYS.iter().filter(|format| texts.iter().all(|text| is_day(text, format)));
        let times = TIMES.iter().filter(|format| texts.iter().all(|text| is_time(text, format)));
        let mut written = days.map(|format| ("to_date", format)).chain(times.map(|format| ("to_timestamp", format)));
        match written.next().filter(|_| !texts.is_empty()) {
            Some((function, format)) => {
                let comment = if written.next().is_some() { "the day first, or the month?" } else { "" };
                (format!("{function}({}, '{format}')", self.sql()), comment)
            }
            None => (self.value.clone(), ""),
        }
    }

    /// As a time of which another column says what the clock shows.
    pub fn time_by(&self, clock: &Self) -> Option<(String, &'static str)> {
        let (days, shown) = (self.days(), clock.clock()?);
        let comment = if days.len() > 1 { "the day first, or the month?" } else { "" };
        let written = format!("{} {shown}", days.first()?);
        Some((format!("to_timestamp(concat({}, ' ', {}), '{written}')", self.sql(), clock.sql()), comment))
    }

    /// The ways in which its days may be written; none where it has other texts.
    pub fn days(&self) -> Vec<&'static str> {
        let texts = self.texts();
        let known = ["%Y-%m-%d"].into_iter().chain(DAYS);
        known.filter(|format| !texts.is_empty() && texts.iter().all(|text| is_day(text, format))).collect()
    }

    /// True for days that are written as numbers of eight digits.
    fn has_day_numbers(&self) -> bool {
        if !(self.data_type.is_integer() || self.data_type == DataType::Utf8) {
            return false;
        }
        let Some(Ok(texts)) = self.values.as_ref().map(|values| cast(values, &DataType::Utf8)) else { return false };
        let written = texts.as_string::<i32>().iter().flatten().map(str::trim);
        let mut written = written.filter(|text| !text.is_empty()).peekable();
        written.peek().is_some() && written.all(|text| text.len() == 8 && is_day(text, DAY_NUMBER))
    }

    /// How it says what the clock shows, where it says nothing else.
    pub fn clock(&self) -> Option<&'static str> {
        let texts = self.texts();
        let is_clock = |format: &&str| texts.iter().all(|text| NaiveTime::parse_from_str(text, format).is_ok());
        CLOCKS.into_iter().find(is_clock).filter(|_| !texts.is_empty())
    }

    /// True for texts that are days or times, whichever way they are written.
    pub fn has_days(&self) -> bool {
        let texts = self.texts();
        let begins_with_day =
            |text: &String| text.get(..10).is_some_and(|day| NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok());
        !texts.is_empty() && (texts.iter().all(begins_with_day) || self.time().0 != self.value)
    }

    /// As a metric; none where it holds no numbers. `usual` is the sign before a fraction where it may be either.
    pub fn amount(&self, usual: Option<char>) -> Option<String> {
        if self.data_type.is_numeric() {
            return Some(self.value.clone());
        }
        let texts = self.texts();
        if texts.is_empty() {
            return None;
        }
        if texts.iter().all(|text| text.parse::<f64>().is_ok_and(f64::is_finite)) {
            return Some(self.value.clone());
        }
        let signs = self.signs();
        let sign = usual.filter(|sign| signs.contains(sign)).or_else(|| signs.first().copied())?;
        Some(format!("parse_number({}, '{sign}')", self.sql()))
    }

    /// The signs that may stand before the fraction of its amounts; none where it is no text, or another.
    pub fn signs(&self) -> Vec<char> {
        let texts = self.texts();
        let written: Vec<&String> = texts.iter().filter(|text| *text != "-").collect();
        let are_amounts = |sign: &char| written.iter().all(|text| is_amount(text, *sign));
        ['.', ','].into_iter().filter(are_amounts).filter(|_| !written.is_empty()).collect()
    }

    /// True for times of which only a clock is told.
    pub fn is_by_clock(&self) -> bool {
        let texts = self.texts();
        !texts.is_empty() && texts.iter().all(|text| matches!(parse_time(text), Some(Written::Clock(_))))
    }

    pub fn is_time(&self) -> bool {
        matches!(self.data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    }

    /// What it holds, for who has to choose.
    pub fn contents(&self) -> String {
        let some = |names: Vec<&str>| {
            let more = if names.len() > MAX_SHOWN_PARTS { ", ..." } else { "" };
            let shown: Vec<String> = names.iter().take(MAX_SHOWN_PARTS).map(|name| printable(name)).collect();
            format!("{}{more}", shown.join(", "))
        };
        let keys = if self.is_params() { self.keys() } else { vec![] };
        let names = |fields: &Fields| some(fields.iter().map(|field| field.name().as_str()).collect());
        let records = self.json_records();
        let of_json: BTreeSet<&str> = records.iter().flat_map(Map::keys).map(String::as_str).collect();
        match &self.data_type {
            _ if !of_json.is_empty() => format!("JSON with the keys {}", some(of_json.into_iter().collect())),
            _ if !keys.is_empty() => format!("list with the keys {}", some(keys.iter().map(String::as_str).collect())),
            DataType::Struct(fields) => format!("record of {}", names(fields)),
            other => match record_of(other) {
                Some(fields) => format!("list of records of {}", names(fields)),
                None => kind_of(other).to_string(),
            },
        }
    }

    /// The keys of a list of keys and values, as the first rows have them.
    pub fn keys(&self) -> Vec<String> {
        let entries = self.values.as_ref().and_then(elements);
        let record = entries.as_ref().and_then(|entries| entries.as_struct_opt());
        let keys = record.and_then(|record| record.column_by_name("key")).map(|keys| cast(keys, &DataType::Utf8));
        let Some(Ok(keys)) = keys else { return vec![] };
        let distinct: BTreeSet<&str> = keys.as_string::<i32>().iter().flatten().collect();
        distinct.into_iter().take(MAX_PARTS).map(String::from).collect()
    }

    /// The unit of a time that is a number.
    pub fn unit(&self) -> Option<&'static str> {
        let values = self.values.as_ref()?;
        if !(self.data_type.is_numeric() || self.data_type == DataType::Utf8) {
            return None;
        }
        // BigQuery writes integers as texts
        let numbers = cast(values, &DataType::Float64).ok().filter(|n| n.null_count() == values.null_count())?;
        let numbers = numbers.as_primitive::<Float64Type>();
        let largest = numbers.iter().flatten().fold(0.0, f64::max);
        if largest < 1e8 {
            return None;
        }
        // the years 1973 to 5138 in each unit
        Some(match largest {
            1e17.. => "ns",
            1e14.. => "us",
            1e11.. => "ms",
            _ => "s",
        })
    }

    /// True for a record, and for a list of records.
    pub fn has_parts(&self) -> bool {
        matches!(self.data_type, DataType::Struct(_) | DataType::Map(..)) || record_of(&self.data_type).is_some()
    }

    /// True for a list of keys with values, as GA4 has them.
    pub fn is_params(&self) -> bool {
        let has = |fields: &Fields, name: &str| fields.iter().any(|field| field.name() == name);
        record_of(&self.data_type).is_some_and(|fields| has(fields, "key") && has(fields, "value"))
    }
}

/// A name without the unit that stands behind it: `Amount (EUR)`, `Total [€]`.
pub(super) fn without_unit(name: &str) -> &str {
    let name = name.trim_end();
    let open = match name.chars().last() {
        Some(')') => '(',
        Some(']') => '[',
        _ => return name,
    };
    name.rfind(open).map(|at| name[..at].trim_end()).filter(|rest| !rest.is_empty()).unwrap_or(name)
}

/// A name in small letters and without signs; fields that are made by hand end with `__c` in Salesforce, and what
/// Amplitude collects by itself begins with `[Amplitude]`.
pub(super) fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let name = name.strip_prefix("[amplitude]").unwrap_or(&name);
    let name = name.strip_suffix("__c").unwrap_or(name).replace(['-', ' ', '.'], "_");
    name.trim_matches(['_', '$']).to_string()
}

/// True for names that are the same but for `_`: `order_id`, `orderid`.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    let letters = |name: &str| name.chars().filter(|c| *c != '_').collect::<String>();
    letters(one) == letters(other)
}

pub(super) fn is_one_of(name: &str, names: &[&str]) -> bool {
    names.iter().any(|known| is_same_name(name, known))
}

/// A name in an expression, where it keeps its case.
fn sql_name(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !ALL_KEYWORDS.contains(&name.to_uppercase().as_str());
    if is_plain { name.to_string() } else { quote::quoted(name) }
}

/// The first field with one of these names.
pub(super) fn field_named<'f>(fields: &'f Fields, names: &[&str]) -> Option<&'f FieldRef> {
    names.iter().find_map(|name| fields.iter().find(|field| is_same_name(&plain(field.name()), name)))
}

/// A value of JSON as `json_get` gives it; none for null and for what has parts.
fn json_text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Array(_) | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A field as a number in an expression; none where it holds something else.
pub(super) fn number_of(field: &FieldRef) -> Option<String> {
    let name = sql_name(field.name());
    match field.data_type() {
        number if number.is_numeric() => Some(name),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(format!("try_cast({name} AS DOUBLE)")),
        _ => None,
    }
}

/// The fields of the records in a list.
pub(super) fn record_of(list: &DataType) -> Option<&Fields> {
    match list {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => match item.data_type() {
            DataType::Struct(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

/// What the lists hold, one after another.
pub(super) fn elements(lists: &ArrayRef) -> Option<ArrayRef> {
    match lists.data_type() {
        DataType::List(_) => Some(lists.as_list::<i32>().values().clone()),
        DataType::LargeList(_) => Some(lists.as_list::<i64>().values().clone()),
        DataType::FixedSizeList(..) => Some(lists.as_fixed_size_list().values().clone()),
        _ => None,
    }
}

fn is_day(text: &str, format: &str) -> bool {
    NaiveDate::parse_from_str(text, format).is_ok_and(|day| (1970..3000).contains(&day.year()))
}

/// True for `12`, `-1.234,50`, `99,95 €` and, where `.` is before a fraction, `EUR 1,234.50`.
fn is_amount(text: &str, sign: char) -> bool {
    let text = without_currency(text).trim_start_matches('-');
    let (whole, fraction) = text.split_once(sign).unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split(if sign == ',' { '.' } else { ',' });
    let first = groups.next().unwrap_or_default();
    let is_whole = !first.is_empty() && are_digits(first) && groups.all(|group| group.len() == 3 && are_digits(group));
    is_whole && are_digits(fraction)
}

/// An amount without its currency, which stands before or behind it as a sign or three letters.
fn without_currency(text: &str) -> &str {
    let is_sign = |c: char| c.is_whitespace() || "€$£¥".contains(c);
    let is_code = |code: &str| code.len() == 3 && code.bytes().all(|b| b.is_ascii_uppercase());
    let text = text.trim_matches(is_sign);
    let text = match text.split_once(char::is_whitespace) {
        Some((code, amount)) if is_code(code) => amount,
        _ => text,
    };
    let text = match text.rsplit_once(char::is_whitespace) {
        Some((amount, code)) if is_code(code) => amount,
        _ => text,
    };
    text.trim_matches(is_sign)
}

fn kind_of(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "list",
        DataType::Struct(_) | DataType::Map(..) => "record",
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Boolean => "true or false",
        other if other.is_numeric() => "number",
        _ => "text",
    }
}

/// A text of TOML.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
