//! A first mapping for a file of the user's: what its columns are called and hold lets one guess what they are.
//!
//! In: a file. Out: the text of a mapping that loads it, with every choice open to correction; columns that nobody knows
//! stand in it as comments, with what they hold.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};

use super::input_file::InputFile;
use super::mapped_file::{Format, MappedFile, Reading};
use super::mapping::Mapping;
use super::paths::file_name;
use crate::feed::source_columns::parse_headers;
use crate::{Error, Result};

/// Columns that are shown as comments.
const MAX_OTHERS: usize = 60;

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
    "sold_at",
    "received_at",
    "date_time",
    "datetime",
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
    "receipt",
    "lead_id",
];
const CUSTOMER: &[&str] =
    &["customer_id", "customerid", "user_id", "userid", "crm_id", "account_id", "member_id", "loyalty_id", "customer"];
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
            "campaign_name",
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
        ],
    ),
    ("units", &["units", "quantity", "qty", "items"]),
    ("orders", &["orders", "purchases", "transactions"]),
];

/// A column of the file.
struct Column {
    name: String,
    data_type: DataType,
    values: Option<ArrayRef>,
}

/// Guesses a mapping and says it as text.
pub fn guess(path: &Path) -> Result<String> {
    let name = file_name(path);
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
    let column = |index: usize| Column {
        name: file.schema.field(index).name().clone(),
        data_type: file.numbers[index].clone().unwrap_or_else(|| file.schema.field(index).data_type().clone()),
        values: first.as_ref().map(|batch| batch.column(index).clone()),
    };
    let columns: Vec<Column> = all.iter().map(|index| column(*index)).collect();
    if columns.is_empty() {
        return Err(Error::refused(format!("{name}: it has no columns")));
    }
    let headers: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    if name.to_lowercase().ends_with(".txt") && parse_headers(&headers, &name, None).is_ok() {
        return Err(Error::usage(format!("{name}: a data source file needs no mapping; see `rejoin help sources`")));
    }
    let delimiter = likely.map(|sign| format!("delimiter = {}", quoted(sign)));
    let text = Guess { columns: &columns, taken: vec![] }.mapping(&name, delimiter);
    // what is written here must be read by who reads mappings
    Mapping::parse(&text).map_err(|e| Error::bug(format!("the guessed mapping is none: {e}")))?;
    Ok(text)
}

struct Guess<'a> {
    columns: &'a [Column],
    taken: Vec<&'a str>,
}

impl<'a> Guess<'a> {
    fn mapping(mut self, file: &str, delimiter: Option<String>) -> String {
        let visitor = self.find(VISITOR);
        let (time, visit) = (self.find(TIME), self.find(VISIT));
        let transaction = self.find(TRANSACTION);
        let customer = self.find(CUSTOMER);
        // who looks at pages is online, whatever he is called
        let has_pages = DIMENSIONS[..2].iter().any(|(_, names)| self.position(names).is_some());
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
        if online {
            match (visitor, customer) {
                (Some(name), _) => line("visitor_id", &name.name, ""),
                (None, Some(name)) => {
                    line("visitor_id", &name.name, "no column looks like a visitor's id: is it this one?")
                }
                (None, None) => {
                    line("visitor_id", &self.columns[0].name, "no column looks like a visitor's id: which one is it?")
                }
            }
        } else {
            line("source", "NAME", "the data source: rejoin source create RSID NAME --kind ...");
        }
        match time {
            Some(column) => {
                line("time", &column.name, "");
                if let Some(unit) = column.unit() {
                    line("time_unit", unit, "");
                }
            }
            None => line("time", &self.columns[0].name, "no column looks like a time: which one is it?"),
        }
        if let Some(column) = visit.filter(|_| online) {
            line("visit", &column.name, "");
        }
        if let Some(column) = transaction {
            line("transaction_id", &column.name, "");
        }
        if let Some(column) = customer.filter(|_| visitor.is_some() || !online) {
            line("customer_id", &column.name, "");
        }
        if let Some(delimiter) = delimiter {
            let _ = writeln!(text, "{delimiter}");
        }
        text += "\n[dimensions]\n";
        for (ours, names) in DIMENSIONS {
            if let Some(column) = self.find(names) {
                let _ = writeln!(text, "{ours} = {}", quoted(&column.name));
            }
        }
        for column in self.columns.iter().filter(|column| column.is_params()) {
            for key in ["page_location", "page_title", "campaign"] {
                let ours = match key {
                    "page_location" => "page_url",
                    "page_title" => "page_name",
                    _ => "tracking_code",
                };
                let _ = writeln!(text, "{ours} = {}", quoted(&format!("param({}, '{key}')", column.name)));
            }
            self.taken.push(&column.name);
        }
        text += "\n[metrics]\n";
        let (mut metrics, mut has_orders) = (0, false);
        for (ours, names) in METRICS {
            if let Some(column) = self.find(names).filter(|column| column.data_type.is_numeric()) {
                let _ = writeln!(text, "{ours} = {}", quoted(&column.name));
                metrics += 1;
                has_orders |= *ours == "orders";
            }
        }
        if !online && metrics == 0 {
            text += "event1 = 1                      # a record needs a metric\n";
        }
        if let Some(column) = transaction.filter(|_| online && !has_orders) {
            let _ =
                writeln!(text, "orders = {}", quoted(&format!("CASE WHEN \"{}\" IS NOT NULL THEN 1 END", column.name)));
        }
        self.others(&mut text);
        text
    }

    /// The columns that nobody knows, as comments.
    fn others(&self, text: &mut String) {
        let others: Vec<&Column> = self.columns.iter().filter(|c| !self.taken.contains(&c.name.as_str())).collect();
        if others.is_empty() {
            return;
        }
        *text += "\n# Other columns; a dimension or metric of any name may be made of them:\n";
        for column in others.iter().take(MAX_OTHERS) {
            let _ = writeln!(text, "#   {} ({})", printable(&column.name), kind_of(&column.data_type));
        }
        if others.len() > MAX_OTHERS {
            let _ = writeln!(text, "#   and {} more", others.len() - MAX_OTHERS);
        }
    }

    /// The first free column with one of these names.
    fn find(&mut self, names: &[&str]) -> Option<&'a Column> {
        let found = &self.columns[self.position(names)?];
        self.taken.push(&found.name);
        Some(found)
    }

    fn position(&self, names: &[&str]) -> Option<usize> {
        let plain = |name: &str| name.to_lowercase().replace(['-', ' ', '.'], "_");
        names.iter().find_map(|name| {
            let is_it = |c: &Column| plain(&c.name) == *name && !self.taken.contains(&c.name.as_str());
            self.columns.iter().position(is_it)
        })
    }
}

impl Column {
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

    /// True for a list of keys with values, as GA4 has them.
    fn is_params(&self) -> bool {
        match &self.data_type {
            DataType::List(item) | DataType::LargeList(item) => match item.data_type() {
                DataType::Struct(fields) => ["key", "value"].iter().all(|n| fields.iter().any(|f| f.name() == n)),
                _ => false,
            },
            _ => false,
        }
    }
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn guessed(name: &str, text: &str) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        guess(&path)
    }

    fn of(name: &str, text: &str) -> String {
        guessed(name, text).unwrap()
    }

    #[test]
    fn a_data_source_file_needs_none() {
        let error = guessed("leads.txt", "Date\ttransactionID\tEvent 1\n09/01/2026\tT1\t1\n").unwrap_err();
        assert!(error.to_string().contains("needs no mapping"), "{error}");
        assert!(of("leads.txt", "date\tid\tn\n2026-09-01\tT1\t1\n").contains("time = \"date\""));
    }

    #[test]
    fn columns_are_known_by_their_names() {
        let text =
            of("a.csv", "User_Pseudo_ID,event_timestamp,URL,order_id,amount,colour\nu,1790000000000,/,7,9.5,red\n");
        for line in [
            "kind = \"online\"",
            "visitor_id = \"User_Pseudo_ID\"",
            "time = \"event_timestamp\"",
            "time_unit = \"ms\"",
            "transaction_id = \"order_id\"",
            "page_url = \"URL\"",
            "revenue = \"amount\"",
            "#   colour (text)",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        let text = of("crm.ndjson", "{\"customer_id\":\"c\",\"closed_at\":\"2026-09-01\",\"stage\":\"won\"}\n");
        assert!(text.contains("kind = \"offline\"") && text.contains("event1 = 1"), "{text}");
        let text = of("a.csv", "user;time;\"we \"\"quote\"\"\"\n1;2;3\n");
        assert!(text.contains("delimiter = \";\""), "{text}");
        assert!(of("b.csv", "a,b\n").contains("which one is it?"));
        // who has pages is online; a metric of ours is itself
        let text = of("d.csv", "User ID,Event Time,Page Name,Orders,order_id\nu,2026-09-01,home,2,o1\n");
        for line in
            ["kind = \"online\"", "visitor_id = \"User ID\"", "page_name = \"Page Name\"", "orders = \"Orders\""]
        {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert_eq!(text.matches("orders =").count(), 1, "{text}");
        assert!(of("e.tsv", "Kunde\tDatum\nA\t2026-09-01\n").contains("time = \"Datum\""));
        let text = of(
            "c.ndjson",
            "{\"visitor_id\":1,\"time\":\"2026-09-01\",\"event_params\":[{\"key\":\"a\",\"value\":{\"string_value\":\"b\"}}]}\n",
        );
        assert!(text.contains("param(event_params, 'page_location')"), "{text}");
    }
}
