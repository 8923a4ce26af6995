//! A first mapping for a file of the user's: what its columns are called and hold lets one guess what they are.
//!
//! In: a file. Out: the text of a mapping that loads it, with every choice open to correction; columns that nobody
//! knows stand in it as comments, with what they hold. Parts of records (`geo['country']`) and keys of lists of keys and
//! values (`param(event_params, 'page_title')`) are looked at like columns. Where only the elements of a list have a
//! time, each of them is a row.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Fields, Float64Type};
use chrono::{Datelike, NaiveDate, NaiveDateTime};
use datafusion::sql::sqlparser::keywords::ALL_KEYWORDS;

use super::input_file::InputFile;
use super::mapped_file::{Format, MappedFile, Reading};
use super::mapping::Mapping;
use super::paths::file_name;
use crate::feed::source_columns::parse_headers;
use crate::{Error, Result, quote};

/// Columns that are shown as comments.
const MAX_OTHERS: usize = 60;
/// Parts of a record that are shown of such a column.
const MAX_SHOWN_PARTS: usize = 12;
/// Parts of records that are looked at, and how deep they lie.
const MAX_PARTS: usize = 1_000;
const MAX_DEPTH: usize = 4;

/// What columns are called that hold such a thing, the likeliest first.
const VISITOR: &[&str] = &[
    "user_pseudo_id",
    "domain_userid",
    "anonymous_id",
    "anonymousid",
    "visitor_id",
    "visitorid",
    "idvisitor",
    "client_id",
    "clientid",
    "fullvisitorid",
    "distinct_id",
    "amplitude_id",
    "device_id",
    "cookie_id",
    "visitor",
];
const TIME: &[&str] = &[
    "event_timestamp",
    "derived_tstamp",
    "collector_tstamp",
    "original_timestamp",
    "timestamp",
    "event_time",
    "hit_time",
    "time",
    "ts",
    "servertime",
    "created_at",
    "closed_at",
    "close_date",
    "closedate",
    "sold_at",
    "received_at",
    "date_time",
    "datetime",
    "at",
    "date",
    "day",
    "event_date",
    "datum",
];
const VISIT: &[&str] = &[
    "ga_session_id",
    "domain_sessionid",
    "domain_sessionidx",
    "session_id",
    "sessionid",
    "idvisit",
    "visit_id",
    "visitid",
    "visit",
    "session",
];
const TRANSACTION: &[&str] = &[
    "transaction_id",
    "transactionid",
    "order_id",
    "orderid",
    "order_ref",
    "tr_orderid",
    "ecommerce_transaction_id",
    "order_number",
    "order_no",
    "order",
    "bestellnummer",
    "bestellung",
    "receipt",
    "lead_id",
    "lead_number",
    "lead_nr",
];
const CUSTOMER: &[&str] = &[
    "customer_id",
    "customerid",
    "customer_number",
    "user_id",
    "userid",
    "crm_id",
    "account_id",
    "member_id",
    "loyalty_id",
    "customer",
    "kundennummer",
];
const DIMENSIONS: &[(&str, &[&str])] = &[
    ("page_url", &["page_url", "page_location", "url", "context_page_url", "pageurl"]),
    ("page_name", &["page_name", "page_title", "pagetitle", "context_page_title", "page", "title"]),
    (
        "tracking_code",
        &[
            "tracking_code",
            "utm_campaign",
            "mkt_campaign",
            "context_campaign_name",
            "collected_traffic_source_manual_campaign_name",
            "campaign_name",
            "campaignname",
            "campaign",
            "referrername",
        ],
    ),
    ("referring_domain", &["referring_domain", "refr_urlhost", "referrer_domain"]),
    ("marketing_channel", &["marketing_channel", "mkt_medium", "utm_medium", "channel", "medium"]),
    ("geo_country", &["geo_country", "country", "country_code", "countrycode"]),
    ("product", &["product", "sku", "product_id", "item_id", "article"]),
    ("category", &["category", "product_category", "item_category"]),
    ("state", &["state", "region"]),
    ("zip", &["zip", "zip_code", "postal_code", "postcode"]),
];
const METRICS: &[(&str, &[&str])] = &[
    (
        "revenue",
        &[
            "revenue",
            "tr_total",
            "total",
            "amount",
            "order_total",
            "net_amount",
            "purchase_revenue",
            "value",
            "price",
            "sum",
            "betrag",
        ],
    ),
    ("units", &["units", "quantity", "qty", "items", "total_item_quantity"]),
    ("orders", &["orders", "purchases", "transactions"]),
];
/// Columns that say what happened, and what they say of an order and of a page view.
const EVENT: &[&str] = &["event_name", "event", "type"];
const ORDER: &[&str] = &["purchase", "order_completed", "ecommerceorder"];
const PAGE_VIEW: &[&str] = &["page_view", "pageview", "page"];
/// Records that hold what belongs to the row itself.
const WRAPPERS: &[&str] =
    &["properties", "ecommerce", "event_properties", "event_data", "attributes", "payload", "data"];
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
        first = Some(rows.batch);
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
        let (time, visit) = (self.find(TIME).or_else(|| self.timestamp()), self.find(VISIT));
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
                let (value, comment) = column.time();
                line("time", &value, comment);
                if let Some(unit) = column.unit() {
                    line("time_unit", unit, "");
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
        text += "\n[dimensions]\n";
        for (ours, names) in DIMENSIONS {
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
        self.others(&mut text);
        text
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

    /// Columns come before parts of them, and what has parts is none of what is looked for.
    fn position(&self, names: &[&str], is_fit: impl Fn(&Column) -> bool) -> Option<usize> {
        let is_free = |c: &Column| !c.has_parts() && !self.taken.contains(&c.value.as_str()) && is_fit(c);
        [false, true].into_iter().find_map(|part| {
            names.iter().find_map(|name| {
                let is_it = |c: &Column| c.is_part == part && c.plain.iter().any(|plain| plain == name) && is_free(c);
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

    /// It in an expression, where names keep their case.
    fn sql(&self) -> String {
        if self.is_part {
            return self.value.clone();
        }
        let is_plain = self.name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !ALL_KEYWORDS.contains(&self.name.to_uppercase().as_str());
        if is_plain { self.name.clone() } else { quote::quoted(&self.name) }
    }

    /// What is written in it, where it is text.
    fn texts(&self) -> Vec<String> {
        let is_text = matches!(self.data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let values = self.values.as_ref().filter(|_| is_text);
        let Some(Ok(texts)) = values.map(|values| cast(values, &DataType::Utf8)) else { return vec![] };
        let texts = texts.as_string::<i32>().iter().flatten().map(str::trim);
        texts.filter(|text| !text.is_empty()).map(String::from).collect()
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
        let is_day = |text: &str, format: &str| {
            NaiveDate::parse_from_str(text, format).is_ok_and(|day| (1970..3000).contains(&day.year()))
        };
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
        let has_comma = texts.iter().any(|text| text.contains(','));
        let fits = has_comma && texts.iter().all(|text| text == "-" || is_comma_amount(text));
        fits.then(|| format!("parse_number({}, ',')", self.sql()))
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
    name.trim_matches('_').to_string()
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

/// True for `12`, `-1.234,50` and `99,95 €`.
fn is_comma_amount(text: &str) -> bool {
    let text = text.trim_end_matches('€').trim().trim_start_matches('-');
    let (whole, fraction) = text.split_once(',').unwrap_or((text, ""));
    let are_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    !whole.is_empty() && whole.split('.').all(are_digits) && are_digits(fraction)
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
