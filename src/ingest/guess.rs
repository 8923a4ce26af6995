//! A first mapping for a file of the user's: what its columns are called and hold lets one guess what they are.
//!
//! In: a file. Out: the text of a mapping that loads it, with every choice open to correction; columns that nobody
//! knows stand in it as comments, with what they hold. Parts of records (`geo['country']`) and keys of lists of keys and
//! values (`param(event_params, 'page_title')`) are looked at like columns, and so are keys of objects that a text holds
//! as JSON (`json_get(properties, 'url')`). Where only the elements of a list have a time, each of them is a row.

mod column;
mod words;

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields};

use self::column::{
    Column, elements, field_named, is_one_of, is_same_name, number_of, plain, printable, quoted, record_of,
    without_unit,
};
use self::words::{
    CLOCK, CUSTOMER, DIMENSIONS, EVENT, LINE_CATEGORY, LINE_PRICE, LINE_PRODUCT, LINE_QUANTITY, LINES, METRICS, ORDER,
    OWN_ID, PAGE_VIEW, TIME, TRANSACTION, TRANSACTION_ENDS, VISIT, VISITOR,
};
use super::input_file::InputFile;
use super::mapped_file::{Format, MappedFile, Reading};
use super::mapping::Mapping;
use super::paths::{file_name, without_packing};
use super::totals;
use crate::feed::source_columns::parse_headers;
use crate::{Error, Result, quote};

/// Columns that are shown as comments.
const MAX_OTHERS: usize = 60;
/// How deep parts of records are looked at.
const MAX_DEPTH: usize = 4;
/// Guesses a mapping and says it as text.
pub fn guess(path: &Path) -> Result<String> {
    let name = file_name(path);
    if let Some(url) = path.to_str().filter(|text| text.contains("://")) {
        return Err(Error::usage(format!("{url}: a guess looks at a file of this machine; copy it here (aws s3 cp)")));
    }
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
            plain: vec![plain(without_unit(field.name()))],
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
    let settings = files_of(&name).into_iter().chain(delimiter).collect();
    let unnest = take_apart(&mut columns);
    let mut parts = vec![];
    for column in &columns {
        column.add_parts(unnest.as_ref() == Some(&column.name), MAX_DEPTH, &mut parts);
    }
    columns.extend(parts);
    let text = Guess { columns: &columns, taken: vec![] }.mapping(&name, unnest, settings);
    // what is written here must be read by who reads mappings
    Mapping::parse(&text).map_err(|e| Error::bug(format!("the guessed mapping is none: {e}")))?;
    Ok(text)
}

/// Rows without a last one that only adds up those before it.
fn without_totals(rows: RecordBatch) -> RecordBatch {
    match rows.num_rows().checked_sub(1) {
        Some(last) if totals::says_total(&rows, last) => rows.slice(0, last),
        _ => rows,
    }
}

/// The setting that says which files are the mapping's, for a file whose ending does not tell that it is read by one.
fn files_of(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    if Format::of(&lower).is_some() {
        return None;
    }
    let stem = Path::new(without_packing(&lower)).file_stem()?.to_str()?;
    let ending = name.get(stem.len()..).filter(|_| name.len() == lower.len())?;
    let is_plain = !ending.is_empty() && ending.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    is_plain.then(|| format!("files = {}", quoted(&format!("*{ending}"))))
}

/// Where only the elements of a list have a time, makes the list a record, as if each element were a row; its name.
fn take_apart(columns: &mut [Column]) -> Option<String> {
    let is_time = |name: &str| is_one_of(name, TIME);
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
    fn mapping(mut self, file: &str, unnest: Option<String>, settings: Vec<String>) -> String {
        let visitor = self.find(VISITOR);
        let time = self.find_like(TIME, |column| column.clock().is_none()).or_else(|| self.timestamp());
        let clock = time.filter(|column| !column.days().is_empty());
        let clock = clock.and_then(|_| self.find_like(CLOCK, |column| column.clock().is_some()));
        let visit = self.find(VISIT);
        // beside a visitor it may be the id of another order, such as the last one
        let transaction = match self.find(TRANSACTION) {
            None if visitor.is_none() => self.find_ending(TRANSACTION_ENDS),
            found => found,
        };
        let customer = self.find(CUSTOMER);
        let transaction = match (transaction, customer) {
            (None, None) => self.find(OWN_ID),
            (found, _) => found,
        };
        let transaction_id = transaction.map(Column::id);
        // who looks at pages is online, whatever he is called
        let has_pages = DIMENSIONS[..2].iter().any(|(_, names)| self.position(names, Column::is_page).is_some());
        let is_known = visitor.is_some() || visit.is_some() || has_pages;
        let online = visitor.is_some() || has_pages || customer.is_none() && transaction.is_none();
        let mut text =
            format!("# A first mapping for {}: look it through, then `rejoin ingest --validate`.\n", printable(file));
        let mut line = |key: &str, value: &str, comment: &str| {
            let comment = if comment.is_empty() { String::new() } else { format!("   # {comment}") };
            let _ = writeln!(text, "{key} = {}{comment}", quoted(value));
        };
        match (online, is_known) {
            (true, true) => line("kind", "online", ""),
            (true, false) => line("kind", "online", "a guess; \"offline\", with a source, if it happened elsewhere"),
            (false, _) => line("kind", "offline", "records that happened elsewhere"),
        }
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
        for setting in settings {
            let _ = writeln!(text, "{setting}");
        }
        let products = self.products();
        text += "\n[dimensions]\n";
        // those of lines come with them
        let of_lines = |name: &str| products.is_some() && matches!(name, "product" | "category");
        for (ours, names) in DIMENSIONS.iter().filter(|(ours, _)| !of_lines(ours)) {
            if let Some(column) = self.find_like(names, |column| *ours != "page_url" || column.is_page()) {
                let _ = writeln!(text, "{ours} = {}", quoted(&column.value));
            }
        }
        text += "\n[metrics]\n";
        let (mut metrics, mut has_orders) = (0, false);
        let sign = self.sign();
        for (ours, names) in METRICS {
            let amount = self.find_like(names, |column| column.amount(sign).is_some()).and_then(|c| c.amount(sign));
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
        let is_list = |c: &&Column| c.plain.iter().any(|plain| is_one_of(plain, LINES));
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

    /// The first free column that says something and whose name ends with one of these.
    fn find_ending(&mut self, ends: &[&str]) -> Option<&'a Column> {
        let is_free =
            |c: &&Column| !(c.is_part || c.has_parts() || c.is_empty() || self.taken.contains(&c.value.as_str()));
        let is_it = |c: &&Column| c.plain.iter().any(|plain| ends.iter().any(|end| plain.ends_with(*end)));
        let found = self.columns.iter().filter(is_free).find(is_it)?;
        self.taken.push(&found.value);
        Some(found)
    }

    /// The sign before the fraction of an amount, where some column tells it.
    fn sign(&self) -> Option<char> {
        self.columns.iter().map(Column::signs).find_map(|signs| match signs.as_slice() {
            [only] => Some(*only),
            _ => None,
        })
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
                let is_named = |c: &Column| c.plain.iter().any(|plain| is_same_name(plain, name));
                let is_it = |c: &Column| c.is_part == part && is_named(c) && is_free(c) && c.is_empty() == empty;
                self.columns.iter().position(is_it)
            })
        })
    }

    /// The condition that holds on rows of such an event, where some row is one.
    fn event(&self, names: &[&str]) -> Option<String> {
        let says_what = |c: &&Column| c.plain.iter().any(|plain| is_one_of(plain, EVENT));
        self.columns.iter().filter(says_what).find_map(|column| {
            let texts = column.texts();
            let name = texts.iter().find(|text| is_one_of(&plain(text), names))?;
            Some(format!("{} = {}", column.sql(), quote::literal(name)))
        })
    }
}

#[cfg(test)]
mod tests;
