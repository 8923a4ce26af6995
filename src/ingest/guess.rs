//! A first mapping for a file of the user's: what its columns are called and hold lets one guess what they are.
//!
//! In: a file. Out: the text of a mapping that loads it, with every choice open to correction; columns that nobody
//! knows stand in it as comments, with what they hold. Parts of records (`geo['country']`) and keys of lists of keys and
//! values (`param(event_params, 'page_title')`) are looked at like columns. Where only the elements of a list have a
//! time, each of them is a row.

mod words;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Fields, Float64Type};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

use self::words::{
    CLOCK, CUSTOMER, DIMENSIONS, EVENT, LINE_CATEGORY, LINE_PRICE, LINE_PRODUCT, LINE_QUANTITY, LINES, METRICS, ORDER,
    PAGE_VIEW, TIME, TOTALS, TRANSACTION, VISIT, VISITOR, WRAPPERS,
};
use super::input_file::InputFile;
use super::mapped_file::{Format, MappedFile, Reading};
use super::mapping::Mapping;
use super::paths::file_name;
use crate::feed::source_columns::parse_headers;
use crate::time::{Written, parse_time};
use crate::{Error, Result, quote};

/// Columns that are shown as comments.
const MAX_OTHERS: usize = 60;
/// Parts of a record that are shown of such a column.
const MAX_SHOWN_PARTS: usize = 12;
/// Parts of records that are looked at, and how deep they lie.
const MAX_PARTS: usize = 1_000;
const MAX_DEPTH: usize = 4;

/// How what the clock shows is written.
const CLOCKS: [&str; 2] = ["%H:%M:%S", "%H:%M"];
/// How a day, and a time, is written where it does not begin with the year.
const DAYS: [&str; 3] = ["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y"];
const TIMES: [&str; 6] = [
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
];

/// A column of the file, a part of a record in one, or a key in a list of keys and values.
struct Column {
    name: String,
    /// What a mapping says to read it: the name, or an expression.
    value: String,
    /// What it may be called, in small letters and without signs.
    plain: Vec<String>,
    data_type: DataType,
    /// Of the first rows.
    values: Option<ArrayRef>,
    is_part: bool,
}

/// Guesses a mapping and says it as text.
pub fn guess(path: &Path) -> Result<String> {
    let name = file_name(path);
    let about = std::fs::metadata(path).map_err(|e| Error::refused(format!("{}: {e}", path.display())))?;
    if about.is_dir() {
        return Err(Error::usage(format!("{} is a folder; give one of its files", path.display())));
    }
    let format = Format::of(&name.to_lowercase()).unwrap_or(Format::Csv);
    let input = InputFile::alone(path);
    let mut reading = Reading::everything(format);
    let mut file = MappedFile::open(input.clone(), reading.clone()).map_err(|e| e.at(&name))?;
    let likely = file.likely_delimiter();
    if let Some(sign) = likely {
        reading.delimited.delimiter = Some(if sign == "\\t" { b'\t' } else { sign.as_bytes()[0] });
        file = MappedFile::open(input, reading).map_err(|e| e.at(&name))?;
    }
    let all: Vec<usize> = (0..file.schema.fields().len()).collect();
    let mut first: Option<RecordBatch> = None;
    file.read(&all, Arc::default(), &mut |rows| {
        first = Some(without_totals(rows.batch));
        Ok(ControlFlow::Break(()))
    })?;
    let column = |index: usize| {
        let field = file.schema.field(index);
        Column {
            name: field.name().clone(),
            value: field.name().clone(),
            plain: vec![plain(field.name())],
            data_type: file.numbers[index].clone().unwrap_or_else(|| field.data_type().clone()),
            values: first.as_ref().map(|batch| batch.column(index).clone()),
            is_part: false,
        }
    };
    let mut columns: Vec<Column> = all.iter().map(|index| column(*index)).collect();
    if columns.is_empty() {
        return Err(Error::refused(format!("{name}: it has no columns")));
    }
    let headers: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    if name.to_lowercase().ends_with(".txt") && parse_headers(&headers, &name, None).is_ok() {
        return Err(Error::usage(format!("{name}: a data source file needs no mapping; see `rejoin help sources`")));
    }
    let delimiter = likely.map(|sign| format!("delimiter = {}", quoted(sign)));
    let unnest = take_apart(&mut columns);
    let mut parts = vec![];
    for column in &columns {
        column.add_parts(unnest.as_ref() == Some(&column.name), MAX_DEPTH, &mut parts);
    }
    columns.extend(parts);
    let text = Guess { columns: &columns, taken: vec![] }.mapping(&name, unnest, delimiter);
    // what is written here must be read by who reads mappings
    Mapping::parse(&text).map_err(|e| Error::bug(format!("the guessed mapping is none: {e}")))?;
    Ok(text)
}

/// Rows without a last one that only adds up those before it, as tills and reports write it.
fn without_totals(rows: RecordBatch) -> RecordBatch {
    let Some(last) = rows.num_rows().checked_sub(1) else { return rows };
    let texts = rows.columns().iter().filter_map(|column| column.as_string_opt::<i32>());
    let is_total = texts.filter(|texts| texts.is_valid(last)).any(|texts| {
        let word = texts.value(last).trim().trim_end_matches(':').to_lowercase();
        TOTALS.contains(&word.as_str())
    });
    if is_total { rows.slice(0, last) } else { rows }
}

/// Where only the elements of a list have a time, makes the list a record, as if each element were a row; its name.
fn take_apart(columns: &mut [Column]) -> Option<String> {
    let is_time = |name: &str| TIME.contains(&name);
    if columns.iter().any(|c| c.is_time() || c.plain.iter().any(|name| is_time(name))) {
        return None;
    }
    let has_time = |fields: &Fields| fields.iter().any(|field| is_time(&plain(field.name())));
    let list = columns.iter_mut().find(|c| !c.is_params() && record_of(&c.data_type).is_some_and(has_time))?;
    list.data_type = DataType::Struct(record_of(&list.data_type)?.clone());
    list.values = list.values.as_ref().and_then(elements);
    Some(list.name.clone())
}

struct Guess<'a> {
    columns: &'a [Column],
    /// The values of columns that have their place.
    taken: Vec<&'a str>,
}

impl<'a> Guess<'a> {
    fn mapping(mut self, file: &str, unnest: Option<String>, delimiter: Option<String>) -> String {
        let visitor = self.find(VISITOR);
        let time = self.find_like(TIME, |column| column.clock().is_none()).or_else(|| self.timestamp());
        let clock = time.filter(|column| !column.days().is_empty());
        let clock = clock.and_then(|_| self.find_like(CLOCK, |column| column.clock().is_some()));
        let visit = self.find(VISIT);
        let transaction = self.find(TRANSACTION);
        let transaction_id = transaction.map(Column::id);
        let customer = self.find(CUSTOMER);
        // who looks at pages is online, whatever he is called
        let has_pages = DIMENSIONS[..2].iter().any(|(_, names)| self.position(names, |_| true).is_some());
        let online = visitor.is_some() || has_pages || customer.is_none() && transaction.is_none();
        let mut text =
            format!("# A first mapping for {}: look it through, then `rejoin ingest --validate`.\n", printable(file));
        let mut line = |key: &str, value: &str, comment: &str| {
            let comment = if comment.is_empty() { String::new() } else { format!("   # {comment}") };
            let _ = writeln!(text, "{key} = {}{comment}", quoted(value));
        };
        line(
            "kind",
            if online { "online" } else { "offline" },
            if online { "" } else { "records that happened elsewhere" },
        );
        if let Some(list) = &unnest {
            line("unnest", list, "each element of this list is a row");
        }
        if online {
            match (visitor, customer) {
                (Some(column), _) => line("visitor_id", &column.value, ""),
                (None, Some(column)) => {
                    line("visitor_id", &column.value, "no column looks like a visitor's id: is it this one?")
                }
                (None, None) => {
                    line("visitor_id", &self.columns[0].name, "no column looks like a visitor's id: which one is it?")
                }
            }
        } else {
            let kind = if transaction.is_some() { "transaction" } else { "customer" };
            line("source", "NAME", &format!("the data source: rejoin source create RSID NAME --kind {kind}"));
        }
        match time {
            Some(column) => {
                let (value, comment) = clock.and_then(|clock| column.time_by(clock)).unwrap_or_else(|| column.time());
                line("time", &value, comment);
                if let Some(unit) = column.unit() {
                    line("time_unit", unit, "");
                } else if column.is_by_clock() || value.starts_with("to_timestamp") {
                    line("# time_zone", "Europe/Berlin", "whose clock shows these times; UTC without it");
                }
            }
            None => line("time", &self.columns[0].name, "no column looks like a time: which one is it?"),
        }
        if let Some(column) = visit.filter(|_| online) {
            line("visit", &column.value, "");
        }
        if let Some(id) = &transaction_id {
            line("transaction_id", id, "");
        }
        if let Some(column) = customer.filter(|_| visitor.is_some() || !online) {
            line("customer_id", &column.value, "");
        }
        if let Some(delimiter) = delimiter {
            let _ = writeln!(text, "{delimiter}");
        }
        let products = self.products();
        text += "\n[dimensions]\n";
        // those of lines come with them
        let of_lines = |name: &str| products.is_some() && matches!(name, "product" | "category");
        for (ours, names) in DIMENSIONS.iter().filter(|(ours, _)| !of_lines(ours)) {
            if let Some(column) = self.find(names) {
                let _ = writeln!(text, "{ours} = {}", quoted(&column.value));
            }
        }
        text += "\n[metrics]\n";
        let (mut metrics, mut has_orders) = (0, false);
        for (ours, names) in METRICS {
            let amount = self.find_like(names, |column| column.amount().is_some()).and_then(Column::amount);
            if let Some(value) = amount {
                let _ = writeln!(text, "{ours} = {}", quoted(&value));
                metrics += 1;
                has_orders |= *ours == "orders";
            }
        }
        if !online && metrics == 0 {
            text += "event1 = 1                      # a record needs a metric\n";
        }
        if let Some(is_page_view) = self.event(PAGE_VIEW).filter(|_| online) {
            let _ = writeln!(text, "page_views = {}", quoted(&format!("CASE WHEN {is_page_view} THEN 1 ELSE 0 END")));
        }
        let has_id = || transaction.map(|column| format!("{} IS NOT NULL", column.sql()));
        if let Some(is_order) = self.event(ORDER).or_else(has_id).filter(|_| online && !has_orders) {
            let _ = writeln!(text, "orders = {}", quoted(&format!("CASE WHEN {is_order} THEN 1 END")));
        }
        text += &products.unwrap_or_default();
        self.others(&mut text);
        text
    }

    /// The table of product lines, where a list of records looks like them.
    fn products(&mut self) -> Option<String> {
        let is_list = |c: &&Column| c.plain.iter().any(|plain| LINES.contains(&plain.as_str()));
        let is_free = |c: &&Column| !self.taken.contains(&c.value.as_str());
        let (list, fields) = self.columns.iter().filter(is_list).filter(is_free).find_map(|list| {
            let fields = record_of(&list.data_type)?;
            field_named(fields, LINE_PRODUCT).is_some().then_some((list, fields))
        })?;
        self.taken.push(&list.value);
        let mut text = format!("\n[products]\nlist = {}\n", quoted(&list.value));
        for (key, names) in [("product", LINE_PRODUCT), ("category", LINE_CATEGORY), ("quantity", LINE_QUANTITY)] {
            if let Some(field) = field_named(fields, names) {
                let _ = writeln!(text, "{key} = {}", quoted(field.name()));
            }
        }
        if let Some(price) = field_named(fields, LINE_PRICE).and_then(number_of) {
            let times = field_named(fields, LINE_QUANTITY).and_then(number_of).map(|n| format!(" * coalesce({n}, 1)"));
            let price = format!("{price}{}", times.unwrap_or_default());
            let _ = writeln!(text, "price = {}   # the line's total", quoted(&price));
        }
        Some(text)
    }

    /// The columns that nobody knows, as comments.
    fn others(&self, text: &mut String) {
        let is_other = |c: &&Column| !c.is_part && !self.taken.contains(&c.value.as_str());
        let others: Vec<&Column> = self.columns.iter().filter(is_other).collect();
        if others.is_empty() {
            return;
        }
        *text += "\n# Other columns; a dimension or metric of any name may be made of them:\n";
        for column in others.iter().take(MAX_OTHERS) {
            let _ = writeln!(text, "#   {} ({})", printable(&column.name), column.contents());
        }
        if others.len() > MAX_OTHERS {
            let _ = writeln!(text, "#   and {} more", others.len() - MAX_OTHERS);
        }
    }

    /// The first free column with one of these names.
    fn find(&mut self, names: &[&str]) -> Option<&'a Column> {
        self.find_like(names, |_| true)
    }

    /// The first free column with one of these names that is as it should be.
    fn find_like(&mut self, names: &[&str], is_fit: impl Fn(&Column) -> bool) -> Option<&'a Column> {
        let found = &self.columns[self.position(names, is_fit)?];
        self.taken.push(&found.value);
        Some(found)
    }

    /// The first free column of times, whatever it is called.
    fn timestamp(&mut self) -> Option<&'a Column> {
        let is_free = |c: &&Column| !c.is_part && !self.taken.contains(&c.value.as_str());
        let found = self.columns.iter().filter(is_free).find(|c| c.is_time() || c.has_days())?;
        self.taken.push(&found.value);
        Some(found)
    }

    /// What says something comes before what is empty, and columns before parts of them; what has parts is none of what
    /// is looked for.
    fn position(&self, names: &[&str], is_fit: impl Fn(&Column) -> bool) -> Option<usize> {
        let is_free = |c: &Column| !c.has_parts() && !self.taken.contains(&c.value.as_str()) && is_fit(c);
        [(false, false), (false, true), (true, false), (true, true)].into_iter().find_map(|(empty, part)| {
            names.iter().find_map(|name| {
                let is_named = |c: &Column| c.plain.iter().any(|plain| plain == name);
                let is_it = |c: &Column| c.is_part == part && is_named(c) && is_free(c) && c.is_empty() == empty;
                self.columns.iter().position(is_it)
            })
        })
    }

    /// The condition that holds on rows of such an event, where some row is one.
    fn event(&self, names: &[&str]) -> Option<String> {
        let says_what = |c: &&Column| c.plain.iter().any(|plain| EVENT.contains(&plain.as_str()));
        self.columns.iter().filter(says_what).find_map(|column| {
            let texts = column.texts();
            let name = texts.iter().find(|text| names.contains(&plain(text).as_str()))?;
            Some(format!("{} = {}", column.sql(), quote::literal(name)))
        })
    }
}

impl Column {
    /// The parts of its records, and the keys of its list of keys and values. Of a list that is taken apart they are
    /// called as if they were columns.
    fn add_parts(&self, is_apart: bool, depth: usize, parts: &mut Vec<Self>) {
        if self.is_params() {
            let keys = self.keys().into_iter().take(MAX_PARTS.saturating_sub(parts.len()));
            parts.extend(keys.map(|key| {
                let value = format!("param({}, {})", self.sql(), quote::literal(&key));
                let plain = vec![plain(&key)];
                Self { name: key, value, plain, data_type: DataType::Utf8, values: None, is_part: true }
            }));
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
            let name = plain(field.name());
            let mut names = vec![];
            if is_apart || self.plain.iter().any(|record| WRAPPERS.contains(&record.as_str())) {
                names.push(name.clone());
            }
            if !is_apart {
                names.extend(self.plain.iter().map(|record| format!("{record}_{name}")));
            }
            let part = Self {
                name: field.name().clone(),
                value: format!("{}[{}]", self.sql(), quote::literal(field.name())),
                plain: names,
                data_type: field.data_type().clone(),
                values: record.and_then(|record| record.columns().get(index).cloned()),
                is_part: true,
            };
            part.add_parts(false, depth - 1, parts);
            parts.push(part);
        }
    }

    /// It in an expression.
    fn sql(&self) -> String {
        if self.is_part { self.value.clone() } else { sql_name(&self.name) }
    }

    /// What is written in it, where it is text.
    fn texts(&self) -> Vec<String> {
        let is_text = matches!(self.data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let values = self.values.as_ref().filter(|_| is_text);
        let Some(Ok(texts)) = values.map(|values| cast(values, &DataType::Utf8)) else { return vec![] };
        let texts = texts.as_string::<i32>().iter().flatten().map(str::trim);
        texts.filter(|text| !text.is_empty()).map(String::from).collect()
    }

    /// True where the first rows say nothing in it.
    fn is_empty(&self) -> bool {
        let Some(values) = &self.values else { return false };
        let is_text = matches!(self.data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        values.logical_null_count() == values.len() || is_text && self.texts().is_empty()
    }

    /// As a transaction ID: GA4 writes `(not set)` where there is none.
    fn id(&self) -> String {
        match self.texts().iter().any(|text| text == "(not set)") {
            true => format!("nullif({}, '(not set)')", self.sql()),
            false => self.value.clone(),
        }
    }

    /// As a time, and what is to be said of it.
    fn time(&self) -> (String, &'static str) {
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
    fn time_by(&self, clock: &Self) -> Option<(String, &'static str)> {
        let (days, shown) = (self.days(), clock.clock()?);
        let comment = if days.len() > 1 { "the day first, or the month?" } else { "" };
        let written = format!("{} {shown}", days.first()?);
        Some((format!("to_timestamp(concat({}, ' ', {}), '{written}')", self.sql(), clock.sql()), comment))
    }

    /// The ways in which its days may be written; none where it has other texts.
    fn days(&self) -> Vec<&'static str> {
        let texts = self.texts();
        let known = ["%Y-%m-%d"].into_iter().chain(DAYS);
        known.filter(|format| !texts.is_empty() && texts.iter().all(|text| is_day(text, format))).collect()
    }

    /// How it says what the clock shows, where it says nothing else.
    fn clock(&self) -> Option<&'static str> {
        let texts = self.texts();
        let is_clock = |format: &&str| texts.iter().all(|text| NaiveTime::parse_from_str(text, format).is_ok());
        CLOCKS.into_iter().find(is_clock).filter(|_| !texts.is_empty())
    }

    /// True for texts that are days or times, whichever way they are written.
    fn has_days(&self) -> bool {
        let texts = self.texts();
        let begins_with_day =
            |text: &String| text.get(..10).is_some_and(|day| NaiveDate::parse_from_str(day, "%Y-%m-%d").is_ok());
        !texts.is_empty() && (texts.iter().all(begins_with_day) || self.time().0 != self.value)
    }

    /// As a metric; none where it holds no numbers.
    fn amount(&self) -> Option<String> {
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
        let written: Vec<&String> = texts.iter().filter(|text| *text != "-").collect();
        let are_amounts = |sign: &char| written.iter().all(|text| is_amount(text, *sign));
        let sign = ['.', ','].into_iter().find(are_amounts).filter(|_| !written.is_empty())?;
        Some(format!("parse_number({}, '{sign}')", self.sql()))
    }

    /// True for times of which only a clock is told.
    fn is_by_clock(&self) -> bool {
        let texts = self.texts();
        !texts.is_empty() && texts.iter().all(|text| matches!(parse_time(text), Some(Written::Clock(_))))
    }

    fn is_time(&self) -> bool {
        matches!(self.data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
    }

    /// What it holds, for who has to choose.
    fn contents(&self) -> String {
        let some = |names: Vec<&str>| {
            let more = if names.len() > MAX_SHOWN_PARTS { ", ..." } else { "" };
            let shown: Vec<String> = names.iter().take(MAX_SHOWN_PARTS).map(|name| printable(name)).collect();
            format!("{}{more}", shown.join(", "))
        };
        let keys = if self.is_params() { self.keys() } else { vec![] };
        let names = |fields: &Fields| some(fields.iter().map(|field| field.name().as_str()).collect());
        match &self.data_type {
            _ if !keys.is_empty() => format!("list with the keys {}", some(keys.iter().map(String::as_str).collect())),
            DataType::Struct(fields) => format!("record of {}", names(fields)),
            other => match record_of(other) {
                Some(fields) => format!("list of records of {}", names(fields)),
                None => kind_of(other).to_string(),
            },
        }
    }

    /// The keys of a list of keys and values, as the first rows have them.
    fn keys(&self) -> Vec<String> {
        let entries = self.values.as_ref().and_then(elements);
        let record = entries.as_ref().and_then(|entries| entries.as_struct_opt());
        let keys = record.and_then(|record| record.column_by_name("key")).map(|keys| cast(keys, &DataType::Utf8));
        let Some(Ok(keys)) = keys else { return vec![] };
        let distinct: BTreeSet<&str> = keys.as_string::<i32>().iter().flatten().collect();
        distinct.into_iter().take(MAX_PARTS).map(String::from).collect()
    }

    /// The unit of a time that is a number.
    fn unit(&self) -> Option<&'static str> {
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
    fn has_parts(&self) -> bool {
        matches!(self.data_type, DataType::Struct(_) | DataType::Map(..)) || record_of(&self.data_type).is_some()
    }

    /// True for a list of keys with values, as GA4 has them.
    fn is_params(&self) -> bool {
        let has = |fields: &Fields, name: &str| fields.iter().any(|field| field.name() == name);
        record_of(&self.data_type).is_some_and(|fields| has(fields, "key") && has(fields, "value"))
    }
}

/// A name in small letters and without signs; fields that are made by hand end with `__c` in Salesforce.
fn plain(name: &str) -> String {
    let name = name.to_lowercase();
    let name = name.strip_suffix("__c").unwrap_or(&name).replace(['-', ' ', '.'], "_");
    name.trim_matches(['_', '$']).to_string()
}

/// A name in an expression, where it keeps its case.
fn sql_name(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !ALL_KEYWORDS.contains(&name.to_uppercase().as_str());
    if is_plain { name.to_string() } else { quote::quoted(name) }
}

/// The first field with one of these names.
fn field_named<'f>(fields: &'f Fields, names: &[&str]) -> Option<&'f FieldRef> {
    names.iter().find_map(|name| fields.iter().find(|field| plain(field.name()) == *name))
}

/// A field as a number in an expression; none where it holds something else.
fn number_of(field: &FieldRef) -> Option<String> {
    let name = sql_name(field.name());
    match field.data_type() {
        number if number.is_numeric() => Some(name),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(format!("try_cast({name} AS DOUBLE)")),
        _ => None,
    }
}

/// The fields of the records in a list.
fn record_of(list: &DataType) -> Option<&Fields> {
    match list {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => match item.data_type() {
            DataType::Struct(fields) => Some(fields),
            _ => None,
        },
        _ => None,
    }
}

/// What the lists hold, one after another.
fn elements(lists: &ArrayRef) -> Option<ArrayRef> {
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
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_string()).to_string()
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests;
