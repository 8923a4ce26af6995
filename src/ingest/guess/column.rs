//! A column of a file, a part of a record in one, or a key in a list of keys and values: what it is called, what it holds, and how
//! a mapping reads it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields, Float64Type};
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;
use serde_json::{Map, Value};

use super::headings::{Word, name_of};
use super::words::WRAPPERS;
use super::written::{DAY_NUMBER, ISO_DAY, WHOLE_CLOCK, are_day_numbers, clock_of, days_of, has_form};
use crate::functions::parse_number::{parse, side};
use crate::ingest::amounts::is_amount;
use crate::ingest::cells::time_in;
use crate::quote;
use crate::time::{Written, parse_time};

/// Parts of records that are looked at.
const MAX_PARTS: usize = 1_000;
/// Parts of a record that are shown of such a column.
const MAX_SHOWN_PARTS: usize = 12;
/// What a column beside amounts says of one that went out, and of one that came in.
const SIDES: [(&str, &str); 6] =
    [("dr", "cr"), ("debit", "credit"), ("d", "c"), ("dbit", "crdt"), ("soll", "haben"), ("s", "h")];
/// How words begin that say that a deal, an order or a payment came to nothing.
const LOST: [&str; 14] = [
    "lost",
    "verloren",
    "cancel",
    "storn",
    "fail",
    "refund",
    "void",
    "declin",
    "reject",
    "abgelehnt",
    "annul",
    "perdu",
    "perdid",
    "chargeback",
];
/// A column with more texts says no state.
const MAX_STATES: usize = 40;
/// Texts of a column that are looked at for JSON.
const MAX_JSON_TEXTS: usize = 200;

/// A column of the file, a part of a record in one, or a key in a list of keys and values.
pub(super) struct Column {
    pub name: String,
    /// What a mapping says to read it: the name, or an expression.
    pub value: String,
    /// What it may be called, in small letters and without signs.
    pub plain: Vec<String>,
    /// What the words of its heading say; a part has none.
    pub words: Vec<Word>,
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
                Self { name: key, value, plain, words: vec![], data_type: DataType::Utf8, values: None, is_part: true }
            }));
        }
        let records = self.json_records();
        let keys: BTreeSet<&String> = records.iter().flat_map(Map::keys).collect();
        for key in keys.into_iter().take(MAX_PARTS.saturating_sub(parts.len())) {
            let value = format!("json_get({}, {})", self.sql(), quote::literal(key));
            let values: StringArray = records.iter().map(|record| record.get(key).and_then(json_text)).collect();
            let plain = self.names_of(key, is_apart);
            let values: Option<ArrayRef> = Some(Arc::new(values));
            let (name, words) = (key.clone(), vec![]);
            parts.push(Self { name, value, plain, words, data_type: DataType::Utf8, values, is_part: true });
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
                words: vec![],
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
        if is_text(&self.data_type) { self.written() } else { vec![] }
    }

    /// What is written in it, also where all of it are numbers.
    pub fn written(&self) -> Vec<String> {
        let values = self.values.as_ref().filter(|values| is_text(values.data_type()));
        values.map_or_else(Vec::new, as_texts)
    }

    /// True where the first rows say nothing in it.
    pub fn is_empty(&self) -> bool {
        let Some(values) = &self.values else { return false };
        values.logical_null_count() == values.len() || is_text(&self.data_type) && self.texts().is_empty()
    }

    /// As a transaction ID: GA4 writes `(not set)` where there is none.
    pub fn id(&self) -> String {
        match self.texts().iter().any(|text| text == "(not set)") {
            true => format!("nullif({}, '(not set)')", self.sql()),
            false => self.value.clone(),
        }
    }

    /// The condition that a row has it as a transaction ID; JSON and Parquet may have empty texts where there is none.
    pub fn is_borne(&self) -> String {
        let id = self.id();
        let id = if id == self.value { self.sql() } else { id };
        let texts = self.values.as_ref().filter(|values| is_text(values.data_type()));
        let texts = texts.and_then(|values| cast(values, &DataType::Utf8).ok());
        let has_blank = texts.is_some_and(|texts| texts.as_string::<i32>().iter().flatten().any(str::is_empty));
        // in another file all of them may be numbers
        if has_blank { format!("nullif(CAST({id} AS VARCHAR), '') IS NOT NULL") } else { format!("{id} IS NOT NULL") }
    }

    /// True for ids as browsers get them: two numbers with a point between, or many signs. Without values they may be.
    pub fn may_be_of_browsers(&self) -> bool {
        let are_digits = |text: &str| text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_one = |text: &String| {
            text.len() >= 30 || text.split_once('.').is_some_and(|(one, other)| are_digits(one) && are_digits(other))
        };
        let written = self.written();
        self.values.is_none() || !written.is_empty() && written.iter().all(is_one)
    }

    /// It as a text in an expression.
    pub fn text_sql(&self) -> String {
        let is_written = !(self.data_type.is_integer() || self.data_type.is_temporal());
        if is_written { self.sql() } else { format!("CAST({} AS VARCHAR)", self.sql()) }
    }

    /// The formats in which its days may be written; none where it has other texts.
    pub fn days(&self) -> Vec<String> {
        match self.data_type {
            DataType::Date32 => vec![ISO_DAY.into()],
            _ if self.has_day_numbers() => vec![DAY_NUMBER.into()],
            _ => days_of(&self.texts()),
        }
    }

    /// True for days that are written as numbers of eight digits.
    pub fn has_day_numbers(&self) -> bool {
        are_day_numbers(&self.digits())
    }

    /// True where all of it are whole numbers from one to another.
    pub fn is_within(&self, first: i64, last: i64) -> bool {
        let digits = self.digits();
        !digits.is_empty() && digits.iter().all(|text| text.parse().is_ok_and(|n: i64| (first..=last).contains(&n)))
    }

    /// What is written in it, where that may be whole numbers.
    fn digits(&self) -> Vec<String> {
        let values = self.values.as_ref().filter(|_| self.data_type.is_integer() || self.data_type == DataType::Utf8);
        values.map_or_else(Vec::new, as_texts)
    }

    /// How it says what the clock shows, where it says nothing else.
    pub fn clock(&self) -> Option<&'static str> {
        if self.is_time_of_day() { Some(WHOLE_CLOCK) } else { clock_of(&self.written(), true) }
    }

    /// True where it says what a clock shows, whatever it is called.
    pub fn shows_clock(&self) -> bool {
        self.is_time_of_day() || clock_of(&self.texts(), false).is_some()
    }

    fn is_time_of_day(&self) -> bool {
        matches!(self.data_type, DataType::Time32(_) | DataType::Time64(_))
    }

    /// True for texts that are days or times, whichever way they are written.
    pub fn has_days(&self) -> bool {
        let texts = self.texts();
        let begins_with_day = |text: &String| text.get(..10).is_some_and(|day| parse_time(day).is_some());
        let is_time = |text: &String| begins_with_day(text) || time_in(text).is_some();
        let are_times = !texts.is_empty() && (texts.iter().all(is_time) || has_form(&texts));
        are_times || self.words.contains(&Word::Date) && self.has_day_numbers()
    }

    /// As a metric, and what is to be asked of it; none where it holds no amounts. `usual` is the sign before a fraction
    /// where it may be either.
    pub fn amount(&self, usual: Option<char>) -> Option<(String, &'static str)> {
        let written = self.written();
        if written.is_empty() {
            return self.data_type.is_numeric().then(|| (self.value.clone(), ""));
        }
        let signs = self.signs();
        let are_numbers = written.iter().all(|text| text.parse::<f64>().is_ok_and(f64::is_finite));
        let is_either = signs.len() == 2 && written.iter().any(|text| text.contains(['.', ',']));
        let question = if is_either && usual.is_none() { "between thousands, or before a fraction?" } else { "" };
        if are_numbers && !(is_either && usual == Some(',')) {
            return Some((self.value.clone(), question));
        }
        let sign = usual.filter(|sign| signs.contains(sign)).or_else(|| signs.first().copied())?;
        Some((format!("parse_number({}, '{sign}')", self.sql()), question))
    }

    /// The signs that may stand before the fraction of its amounts; none where it is no text, or another.
    pub fn signs(&self) -> Vec<char> {
        let texts = self.written();
        let written: Vec<&String> = texts.iter().filter(|text| *text != "-").collect();
        let are_amounts = |sign: &char| written.iter().all(|text| is_amount(text, *sign));
        ['.', ','].into_iter().filter(are_amounts).filter(|_| !written.is_empty()).collect()
    }

    /// The currencies that stand at its amounts.
    pub fn currencies(&self) -> BTreeSet<String> {
        let sign_of = |text: &String| {
            let words = text.split(|c: char| !(c.is_alphabetic() || "€$£¥".contains(c)));
            let sign: String = words.filter(|word| side(word).is_none()).collect();
            Some(sign).filter(|sign| !sign.is_empty())
        };
        self.texts().iter().filter_map(sign_of).collect()
    }

    /// The text that says of an amount that it went out, in a column that says of each that or that it came in.
    pub fn debit(&self) -> Option<String> {
        let mut texts: Vec<String> = self.texts();
        texts.sort_unstable();
        texts.dedup();
        let [one, other] = texts.as_slice() else { return None };
        let are = |debit: &str, credit: &str| {
            SIDES.iter().any(|(d, c)| debit.eq_ignore_ascii_case(d) && credit.eq_ignore_ascii_case(c))
        };
        match (are(one, other), are(other, one)) {
            (true, _) => Some(one.clone()),
            (_, true) => Some(other.clone()),
            _ => None,
        }
    }

    /// True for one of these names.
    pub fn is_named(&self, names: &[&str]) -> bool {
        self.plain.iter().any(|name| is_one_of(name, names))
    }

    /// The texts that say that a row came to nothing, in a column that says it of some rows.
    pub fn says_lost(&self) -> Vec<String> {
        let texts: BTreeSet<String> = self.texts().into_iter().collect();
        let is_lost = |text: &&String| {
            let text = text.to_lowercase();
            text.split(|c: char| !c.is_alphabetic()).any(|word| LOST.iter().any(|lost| word.starts_with(*lost)))
        };
        let lost: Vec<String> = texts.iter().filter(is_lost).cloned().collect();
        // what says something else in each row is no state of them
        if texts.len() > MAX_STATES || lost.len() == texts.len() { vec![] } else { lost }
    }

    /// True for a column with one of these names that says nothing but these words.
    pub fn says_one_of(&self, names: &[&str], said: &[&str]) -> bool {
        let texts = if self.is_named(names) { self.texts() } else { vec![] };
        !texts.is_empty() && texts.iter().all(|text| is_one_of(&plain(text), said))
    }

    /// True where one of its amounts is below 0.
    pub fn has_negative(&self) -> bool {
        let is_negative = |text: &String| ['.', ','].into_iter().any(|sign| parse(text, sign).is_some_and(|n| n < 0.0));
        match &self.values {
            Some(values) if values.data_type().is_numeric() => cast(values, &DataType::Float64)
                .is_ok_and(|numbers| numbers.as_primitive::<Float64Type>().iter().flatten().any(|n| n < 0.0)),
            _ => self.written().iter().any(is_negative),
        }
    }

    /// True for numbers that customers' cards may have: not those of payment cards, nor what is left of them.
    pub fn may_be_customer_card(&self) -> bool {
        let numbers: Vec<String> = self.digits().iter().map(|text| text.replace([' ', '-'], "")).collect();
        let is_masked = |text: &String| text.contains(['*', '•']) || text.to_lowercase().contains("xx");
        let is_left = |text: &String| text.len() <= 4 || is_masked(text);
        !numbers.is_empty() && !numbers.iter().any(is_left) && !numbers.iter().all(|text| is_payment_card(text))
    }

    /// True for times that only have a clock.
    pub fn is_by_clock(&self) -> bool {
        let texts = self.texts();
        !texts.is_empty() && texts.iter().all(|text| matches!(parse_time(text), Some(Written::Clock(_))))
    }

    pub fn is_time(&self) -> bool {
        matches!(self.data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    }

    /// True for days as Parquet has them.
    pub fn is_day(&self) -> bool {
        matches!(self.data_type, DataType::Date32 | DataType::Date64)
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

/// A name in small letters and without signs; fields that are made by hand end with `__c` in Salesforce, and what
/// Amplitude collects by itself begins with `[Amplitude]`.
pub(super) fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let name = name.strip_prefix("[amplitude]").unwrap_or(&name);
    let name = name.strip_suffix("__c").unwrap_or(name).replace(['-', ' ', '.'], "_");
    name.trim_matches(['_', '$']).to_string()
}

/// What a column may be called: by its heading, and where this names a part of what belongs to the row by the part's own name:
/// `properties.$current_url`.
pub(super) fn names_of_heading(heading: &str) -> Vec<String> {
    let name = name_of(heading);
    let part = name.split_once('.').filter(|(record, _)| is_one_of(&plain(record), WRAPPERS));
    [name].into_iter().chain(part.map(|(_, part)| part)).map(plain).collect()
}

/// True for names that are the same but for `_`: `order_id`, `orderid`.
pub(super) fn is_same_name(one: &str, other: &str) -> bool {
    one.bytes().filter(|byte| *byte != b'_').eq(other.bytes().filter(|byte| *byte != b'_'))
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

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Values as texts, without those that say nothing.
fn as_texts(values: &ArrayRef) -> Vec<String> {
    let Ok(texts) = cast(values, &DataType::Utf8) else { return vec![] };
    let texts = texts.as_string::<i32>().iter().flatten().map(str::trim);
    texts.filter(|text| !text.is_empty()).map(String::from).collect()
}

/// True for the number of a credit or debit card: 13 to 19 digits, of which the last one checks the others.
fn is_payment_card(text: &str) -> bool {
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(10)).collect();
    let Some(digits) = digits.filter(|digits| (13..=19).contains(&digits.len())) else { return false };
    let weighed = digits.iter().rev().enumerate().map(|(place, digit)| match place % 2 {
        0 => *digit,
        _ => 2 * digit / 10 + 2 * digit % 10,
    });
    weighed.sum::<u32>().is_multiple_of(10)
}

fn kind_of(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "list",
        DataType::Struct(_) | DataType::Map(..) => "record",
        DataType::Timestamp(..) => "timestamp",
        DataType::Date32 | DataType::Date64 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "clock",
        DataType::Boolean => "true or false",
        other if other.is_numeric() => "number",
        _ => "text",
    }
}

/// A text of TOML, in one line, so that it may stand in a comment.
pub(super) fn quoted(text: &str) -> String {
    match text.contains('\n') {
        // as JSON writes it, but for a sign that TOML does not take as it is
        true => Value::String(text.to_string()).to_string().replace('\u{7f}', "\\u007F"),
        false => toml::Value::String(text.to_string()).to_string(),
    }
}

pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
