//! A first mapping for a file of the user's: what its columns are called and hold lets one guess what they are.
//!
//! In: a file. Out: the text of a mapping that loads it, with every choice open to correction; columns that nobody
//! knows stand in it as comments, with what they hold. Parts of records (`geo['country']`) and keys of lists of keys and
//! values (`param(event_params, 'page_title')`) are looked at like columns, and so are keys of objects that a text holds
//! as JSON (`json_get(properties, 'url')`). Where only the elements of a list have a time, each of them is a row. A file of JSON
//! that is one object around the list of its rows, as the answer of an API, is read from within.
//!
//! * `layout`: how a delimited text is written; `snowplow`: where it has no names, and they are known.
//! * `column`: what a column holds. `written`: how days and clocks are written. `words`: whole names; `headings`: what the
//!   words of others say. `free_columns`: how a column is found by both. `times`: when rows happened.

mod column;
mod free_columns;
mod headings;
mod layout;
mod snowplow;
mod times;
mod words;
mod written;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Fields};

use self::column::{
    Column, elements, field_named, is_one_of, names_of_heading, number_of, plain, printable, quoted, record_of,
};
use self::free_columns::{By, Fit, FreeColumns};
use self::headings::{
    AMOUNT, CARD_NUMBER, CUSTOMER_EMAIL, CUSTOMER_NUMBER, OWN_NUMBER, PRODUCT_NUMBER, QUANTITY, TRANSACTION_NUMBER,
    Word, words,
};
use self::times::Zone;
use self::words::{
    CLIENT, CURRENCY, CUSTOMER, DEVICE, DIMENSIONS, EMAIL, EVENT, IN_CENTS, LINE_CATEGORY, LINE_HEADING, LINE_PRICE,
    LINE_PRODUCT, LINE_QUANTITY, LINES, LINK, METRICS, NAME, OBJECT, OF_ALL, ORDER, OWN_ID, PAGE_VIEW, PERSON, PRICE,
    STATE, TIME, TITLE, TRANSACTION, VISIT, VISITOR,
};
use super::cells::time_in;
use super::delimited::Delimited;
use super::input_file::InputFile;
use super::json_elements::{ListPath, advice};
use super::mapped_file::{Format, MappedFile, Reading};
use super::mapping::Mapping;
use super::paths::file_name;
use super::totals;
use crate::feed::packing::without_packing;
use crate::feed::row_issue::clip;
use crate::feed::source_columns::parse_headers;
use crate::{Error, Result, quote};

/// Columns that are shown as comments.
const MAX_OTHERS: usize = 60;
/// How deep parts of records are looked at.
const MAX_DEPTH: usize = 4;
/// Currencies that are shown, and so much of each.
const MAX_CURRENCIES: usize = 5;
const MAX_CURRENCY_BYTES: usize = 20;
/// So much of a name is shown in a comment.
const MAX_SHOWN_NAME_BYTES: usize = 160;

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
    let is_delimited = format == Format::Csv;
    let preamble = is_delimited.then(|| layout::preamble(&input)).flatten();
    let mut delimited = preamble.unwrap_or_default();
    let open = |delimited: &Delimited, rows: Option<ListPath>| {
        let reading = Reading { delimited: delimited.clone(), rows, ..Reading::everything(format) };
        MappedFile::open(input.clone(), reading).map_err(|e| e.at(&name))
    };
    let mut opened = open(&delimited, None);
    let rows = opened.as_ref().map_or(Ok(None), |file| rows_within(file, &name))?;
    if let Some(path) = &rows {
        opened = open(&delimited, Some(path.clone()));
    }
    let open = |delimited: &Delimited| open(delimited, None);
    let enriched = if is_delimited && may_lack_names(&opened) { snowplow::open(&input) } else { None };
    let (file, written, first) = match enriched {
        Some((file, written)) => {
            let first = first_rows(&file)?;
            (file, written, first)
        }
        None => {
            let mut file = opened?;
            if let Some(sign) = file.likely_delimiter() {
                delimited.delimiter = Some(if sign == "\\t" { b'\t' } else { sign.as_bytes()[0] });
                file = open(&delimited)?;
            }
            let mut first = first_rows(&file)?;
            delimited.null_values = first.as_ref().filter(|_| is_delimited).map_or_else(Vec::new, layout::nothing_in);
            if !delimited.null_values.is_empty() {
                file = open(&delimited)?;
                first = first_rows(&file)?;
            }
            (file, layout::settings(&delimited), first)
        }
    };
    let all: Vec<usize> = (0..file.schema.fields().len()).collect();
    let column = |index: usize| {
        let field = file.schema.field(index);
        Column {
            name: field.name().clone(),
            value: field.name().clone(),
            plain: names_of_heading(field.name()),
            words: words(field.name()),
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
    let of_rows = rows.map(|path| match path.as_slice() {
        [one] => format!("rows = {}", quoted(one)),
        several => format!("rows = [{}]", several.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")),
    });
    let settings = files_of(&name).into_iter().chain(of_rows).chain(written).collect();
    let unnest = take_apart(&mut columns);
    let mut parts = vec![];
    for column in &columns {
        column.add_parts(unnest.as_ref() == Some(&column.name), MAX_DEPTH, &mut parts);
    }
    let mut notes = vec![];
    if first.as_ref().is_none_or(|rows| rows.num_rows() == 0) {
        notes.push("The file has no row: all of this is by the names of its columns.".to_string());
    }
    if format == Format::Csv && columns.iter().any(|column| time_in(&column.name).is_some()) {
        notes.push("The first line looks like a row; header = false and columns = [...] name the columns then.".into());
    }
    columns.extend(parts);
    let text = Guess { columns: FreeColumns::new(&columns) }.mapping(&name, unnest, settings, &notes);
    // what is written here must be read by who reads mappings
    Mapping::parse(&text).map_err(|e| Error::bug(format!("the guessed mapping is none: {e}")))?;
    Ok(text)
}

/// The list that has the rows of a file that is one object around it: the object itself has nothing of a row.
///
/// # Errors
/// There are several lists.
fn rows_within(file: &MappedFile, name: &str) -> Result<Option<ListPath>> {
    let lists = file.lists();
    let is_list = |column: &str| lists.iter().any(|path| path[0] == column);
    let others = file.schema.fields().iter().filter(|field| !is_list(field.name()));
    let of_row = [TIME, VISITOR, VISIT, TRANSACTION, CUSTOMER, EMAIL, EVENT];
    let is_of_row = |name: &String| of_row.iter().any(|names| is_one_of(name, names));
    if others.flat_map(|field| names_of_heading(field.name())).any(|name| is_of_row(&name)) {
        return Ok(None);
    }
    match lists {
        [] => Ok(None),
        [only] => Ok(Some(only.clone())),
        several => Err(Error::refused(format!(
            "{name}: a guess does not know where the rows are{}; a file with that list alone (jq -c '.NAME[]') is guessed",
            advice(several)
        ))),
    }
}

/// True for a file that cannot be read by the names in its first line, or whose names look like a row, or like one with tabs.
fn may_lack_names(opened: &Result<MappedFile>) -> bool {
    let Ok(file) = opened else { return true };
    let is_time = |name: &str| time_in(name).is_some();
    file.likely_delimiter() == Some("\\t") || file.schema.fields().iter().any(|field| is_time(field.name()))
}

/// The first rows of a file, where there are some.
fn first_rows(file: &MappedFile) -> Result<Option<RecordBatch>> {
    let all: Vec<usize> = (0..file.schema.fields().len()).collect();
    let mut first = None;
    file.read(&all, Arc::default(), &mut |rows| {
        first = Some(without_totals(rows.batch));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(first)
}

/// A line of a mapping.
fn setting(key: &str, value: &str, comment: &str) -> String {
    let comment = if comment.is_empty() { String::new() } else { format!("   # {comment}") };
    format!("{key} = {}{comment}\n", quoted(value))
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
    columns: FreeColumns<'a>,
}

impl Guess<'_> {
    fn mapping(mut self, file: &str, unnest: Option<String>, settings: Vec<String>, notes: &[String]) -> String {
        let columns = &mut self.columns;
        let any: Fit<'_> = &|_| true;
        let says_hits = columns.find(&[By::Names(VISIT, any), By::Names(&EVENT[..2], any)]).is_some();
        // who looks at pages is online, whatever he is called
        let is_page: Fit<'_> = &Column::is_page;
        let of_pages = DIMENSIONS[..2].iter().flat_map(|(_, names)| names.iter().copied());
        let of_pages: Vec<&str> = of_pages.filter(|name| !LINK.contains(name)).collect();
        let has_pages = columns.find(&[By::Names(&of_pages, is_page)]).is_some();
        let has_links = columns.find(&[By::Names(LINK, is_page)]).is_some();
        let is_visitor: Fit<'_> =
            &|column| says_hits || has_pages || !column.is_named(CLIENT) || column.may_be_of_browsers();
        let visitor = columns.first(&[By::Names(VISITOR, is_visitor)]);
        // a tracker that calls a visitor by another name once he logged in tells the device as well
        let is_known_by_login = visitor.is_some_and(|column| column.is_named(PERSON));
        let device = if is_known_by_login { columns.named(DEVICE) } else { None };
        let when = times::when(columns);
        let visit = columns.named(VISIT);
        let is_number: Fit<'_> = &|column| !(column.shows_clock() || column.is_time() || column.has_days());
        // beside a visitor it may be the id of another order, such as the last one
        let number = if visitor.is_none() { TRANSACTION_NUMBER.or_longer() } else { TRANSACTION_NUMBER };
        let is_of_line = |column: &Column| column.plain.iter().any(|name| name.starts_with(LINE_HEADING));
        let has_lines = columns.all().iter().any(is_of_line);
        let is_of_order: Fit<'_> = &|_| has_lines;
        let transaction =
            columns.first(&[By::Names(TRANSACTION, any), By::Names(NAME, is_of_order), By::Words(&number, is_number)]);
        let customer = columns.first(&[
            By::Names(CUSTOMER, any),
            By::Words(&CUSTOMER_NUMBER, is_number),
            By::Names(EMAIL, any),
            By::Words(&CUSTOMER_EMAIL, is_number),
            By::Words(&CARD_NUMBER, &Column::may_be_customer_card),
        ]);
        let transaction = match (transaction, customer) {
            (None, None) => columns.first(&[By::Names(OWN_ID, any), By::Words(&OWN_NUMBER, is_number)]),
            (found, _) => found,
        };
        let transaction_id = transaction.map(Column::id);
        // a record with a number of its own may have a link to itself
        let has_pages = has_pages || has_links && (says_hits || transaction.is_none());
        let is_known = visitor.is_some() || visit.is_some() || has_pages;
        let online = visitor.is_some() || has_pages || customer.is_none() && transaction.is_none();
        let mut text =
            format!("# A first mapping for {}: look it through, then `rejoin ingest --validate`.\n", printable(file));
        let mut line = |key: &str, value: &str, comment: &str| text += &setting(key, value, comment);
        match (online, is_known) {
            (true, true) => line("kind", "online", ""),
            (true, false) => line("kind", "online", "a guess; \"offline\", with a source, if it happened elsewhere"),
            (false, _) => line("kind", "offline", "records that happened elsewhere"),
        }
        if let Some(list) = &unnest {
            line("unnest", list, "each element of this list is a row");
        }
        let first = columns.all().first().map_or("", |column| column.name.as_str());
        if online {
            match (visitor, customer) {
                (Some(column), _) => match device {
                    Some(device) => {
                        let either = format!("coalesce({}, {})", device.sql(), column.sql());
                        line("visitor_id", &either, "the device, which stays the same when somebody logs in");
                    }
                    None => line("visitor_id", &column.value, ""),
                },
                (None, Some(column)) => {
                    line("visitor_id", &column.value, "no column looks like a visitor's id: is it this one?")
                }
                (None, None) => line("visitor_id", first, "no column looks like a visitor's id: which one is it?"),
            }
        } else {
            let kind = if transaction.is_some() { "transaction" } else { "customer" };
            line("source", "NAME", &format!("the data source: rejoin source create RSID NAME --kind {kind}"));
        }
        match &when {
            Some(when) => {
                line("time", &when.value, when.question);
                if let Some(unit) = when.unit {
                    line("time_unit", unit, "");
                }
                match &when.zone {
                    Zone::Told => {}
                    Zone::Named(zone) => line("time_zone", zone, "as the column's name says"),
                    Zone::Open => line("# time_zone", "Europe/Berlin", "whose clock shows these times; UTC without it"),
                }
            }
            None => line("time", first, "no column looks like a time: which one is it?"),
        }
        // what is not used is known in the end
        let place_of_notes = text.len();
        let mut line = |key: &str, value: &str, comment: &str| text += &setting(key, value, comment);
        if let Some(column) = visit.filter(|_| online) {
            line("visit", &column.value, "");
        }
        if let Some(id) = &transaction_id {
            let is_name = transaction.is_some_and(|column| column.is_named(NAME));
            line("transaction_id", id, if is_name { "the name of an order: is it what hits bear?" } else { "" });
        }
        if let Some(column) = customer.filter(|_| visitor.is_some() || !online) {
            let question = match CARD_NUMBER.rank(&column.words) {
                Some(_) => "is it the number of a customer's card, and not of a payment's?",
                None => "",
            };
            line("customer_id", &column.value, question);
        }
        for setting in settings {
            let _ = writeln!(text, "{setting}");
        }
        let products = self.products();
        text += "\n[dimensions]\n";
        // those of lines come with them
        let of_lines = |name: &str| products.is_some() && matches!(name, "product" | "category");
        for (ours, names) in DIMENSIONS.iter().filter(|(ours, _)| !of_lines(ours)) {
            let is_fit: Fit<'_> = if *ours == "page_url" { is_page } else { any };
            let found = match *ours {
                "page_name" if online => self.columns.first(&[By::Names(names, any), By::Names(TITLE, any)]),
                "product" => self.columns.first(&[By::Names(names, any), By::Words(&PRODUCT_NUMBER, is_number)]),
                _ => self.columns.first(&[By::Names(names, is_fit)]),
            };
            if let Some(column) = found {
                let _ = writeln!(text, "{ours} = {}", quoted(&column.value));
            }
        }
        text += "\n[metrics]\n";
        let (mut metrics, mut has_orders) = (0, false);
        let sign = self.sign();
        let is_order = self.event(ORDER).filter(|_| online);
        let in_cents = self.columns.all().iter().any(|column| column.says_one_of(OBJECT, IN_CENTS));
        let is_amount: Fit<'_> = &|column| column.amount(sign).is_some();
        for (ours, names) in METRICS {
            let by_words = match *ours {
                "revenue" => Some(By::Words(&AMOUNT, is_amount)),
                "units" => Some(By::Words(&QUANTITY, is_amount)),
                _ => None,
            };
            let ways: Vec<By<'_>> = [By::Names(names, is_amount)].into_iter().chain(by_words).collect();
            let Some(column) = self.columns.first(&ways) else { continue };
            let Some((mut value, mut question)) = column.amount(sign) else { continue };
            if in_cents && *ours == "revenue" && value == column.value {
                value = format!("{} / 100.0", column.sql());
                question = "cents; a few currencies have none";
            }
            // carts and goals have amounts as well
            let is_of_orders = column.plain.iter().any(|name| name.contains("purchase"));
            let may_be_of_others = matches!(*ours, "revenue" | "units") && !is_of_orders;
            if let Some(is_order) = is_order.as_ref().filter(|_| may_be_of_others) {
                let amount = if value == column.value { column.sql() } else { value };
                value = format!("CASE WHEN {is_order} THEN {amount} END");
            }
            text += &setting(ours, &value, question);
            metrics += 1;
            has_orders |= *ours == "orders";
            if *ours == "revenue" {
                text += &self.of_one(column, &value, sign).unwrap_or_default();
                text += &self.signed(column, &value).unwrap_or_default();
                text += &self.lost(column, &value).unwrap_or_default();
            }
            if let Some(several) = self.currencies(column).filter(|_| *ours == "revenue") {
                let _ = writeln!(text, "# These amounts are in several currencies ({several}), and would be added up");
                text += "# all the same; see [currency] in `rejoin help mapping`.\n";
            }
        }
        if !online && metrics == 0 {
            text += "event1 = 1                      # a record needs a metric\n";
        }
        if let Some(is_page_view) = self.event(PAGE_VIEW).filter(|_| online) {
            let _ = writeln!(text, "page_views = {}", quoted(&format!("CASE WHEN {is_page_view} THEN 1 ELSE 0 END")));
        }
        let has_id = || transaction.map(Column::is_borne);
        if let Some(is_order) = is_order.or_else(has_id).filter(|_| online && !has_orders) {
            let _ = writeln!(text, "orders = {}", quoted(&format!("CASE WHEN {is_order} THEN 1 END")));
        }
        text += &products.unwrap_or_default();
        self.others(&mut text);
        let of_days = when.as_ref().filter(|when| when.is_day).map(|_| match online {
            true => "Rows have a day alone: they stand at its first instant.".to_string(),
            false => "Rows have a day alone: they stand at 12:00 of it, where the suite is.".to_string(),
        });
        let of_time = when.iter().flat_map(|when| when.notes.iter().cloned()).chain(of_days);
        let unused = times::unused(&self.columns, when.as_ref());
        let notes = notes.iter().cloned().chain(of_time).chain(unused).map(|note| format!("# {note}\n"));
        text.insert_str(place_of_notes, &notes.collect::<String>());
        text
    }

    /// What is to be said of amounts that may be those of one piece, where a column says how many there were.
    fn of_one(&self, amounts: &Column, value: &str, sign: Option<char>) -> Option<String> {
        let is_price = |name: &String| PRICE.iter().any(|end| name.ends_with(*end));
        let is_of_all = |name: &String| OF_ALL.iter().any(|word| name.contains(*word));
        let names = || amounts.plain.iter();
        if amounts.is_part || !names().any(is_price) || names().any(is_of_all) {
            return None;
        }
        let is_amount: Fit<'_> = &|column| !column.is_part && column.amount(sign).is_some();
        let (_, units) = METRICS.iter().find(|(ours, _)| *ours == "units")?;
        let count = self.columns.find(&[By::Names(units, is_amount), By::Words(&QUANTITY, is_amount)])?;
        let (times, _) = count.amount(sign)?;
        let times = if times == count.value { count.sql() } else { times };
        let value = if value == amounts.value { amounts.sql() } else { value.to_string() };
        let name = printable(clip(&amounts.name, MAX_SHOWN_NAME_BYTES));
        let told = "may be the price of one piece, of which a row can have several; then,";
        Some(format!("# {name} {told}\n# revenue = {}\n", quoted(&format!("{value} * {times}"))))
    }

    /// What is to be said of amounts of which a column of its own says that some went out.
    fn signed(&self, amounts: &Column, value: &str) -> Option<String> {
        let mut sides = self.columns.free().filter_map(|column| Some((column, column.debit()?)));
        let (side, debit) = sides.next().filter(|_| !amounts.has_negative())?;
        let value = if value == amounts.value { amounts.sql() } else { value.to_string() };
        let is_debit = format!("{} = {}", side.sql(), quote::literal(&debit));
        let signed = quoted(&format!("CASE WHEN {is_debit} THEN -{value} ELSE {value} END"));
        let name = printable(clip(&side.name, MAX_SHOWN_NAME_BYTES));
        Some(format!("# {name} says which of these amounts went out; to take them off,\n# revenue = {signed}\n"))
    }

    /// What is to be said of amounts of which a column says that some came to nothing.
    fn lost(&self, amounts: &Column, value: &str) -> Option<String> {
        let says_state = |name: &String| STATE.iter().any(|end| name.ends_with(*end));
        let is_state = |column: &&Column| column.plain.iter().any(says_state);
        let mut states = self.columns.all().iter().filter(is_state).map(|column| (column, column.says_lost()));
        let (state, lost) = states.find(|(_, lost)| !lost.is_empty())?;
        let value = if value == amounts.value { amounts.sql() } else { value.to_string() };
        let lost = quote::literals(lost.iter().map(String::as_str));
        let whole = format!("CASE WHEN coalesce({}, '') NOT IN ({lost}) THEN {value} END", state.sql());
        let name = printable(clip(&state.name, MAX_SHOWN_NAME_BYTES));
        let told = "says that some of these came to nothing, which count as well; without them,";
        Some(format!("# {name} {told}\n# revenue = {}\n", quoted(&whole)))
    }

    /// The currencies of amounts, where there are several: at the amounts, or in a column of its own.
    fn currencies(&self, amounts: &Column) -> Option<String> {
        let own = self.columns.all().iter().find(|c| c.plain.iter().any(|name| is_one_of(name, CURRENCY)));
        let of_column = || own.map(|column| column.texts().into_iter().collect::<BTreeSet<_>>());
        let named = Some(amounts.currencies()).filter(|several| several.len() > 1).or_else(of_column)?;
        let some: Vec<&str> = named.iter().take(MAX_CURRENCIES).map(|name| clip(name, MAX_CURRENCY_BYTES)).collect();
        let more = if named.len() > some.len() { ", ..." } else { "" };
        (named.len() > 1).then(|| format!("{}{more}", printable(&some.join(", "))))
    }

    /// The table of product lines, where a list of records looks like them.
    fn products(&mut self) -> Option<String> {
        let is_list = |c: &&Column| c.plain.iter().any(|plain| is_one_of(plain, LINES));
        let is_free = |c: &&Column| self.columns.is_free(c);
        let (list, fields) = self.columns.all().iter().filter(is_list).filter(is_free).find_map(|list| {
            let fields = record_of(&list.data_type)?;
            field_named(fields, LINE_PRODUCT).is_some().then_some((list, fields))
        })?;
        self.columns.take(list);
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
        let others: Vec<&Column> = self.columns.free().collect();
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

    /// The sign before the fraction of an amount, where some column tells it; those that are called amounts come first.
    fn sign(&self) -> Option<char> {
        let is_amount = |column: &&Column| column.words.contains(&Word::Amount);
        let all = self.columns.all();
        let in_turn = all.iter().filter(is_amount).chain(all.iter().filter(|column| !is_amount(column)));
        in_turn.map(Column::signs).find_map(|signs| match signs.as_slice() {
            [only] => Some(*only),
            _ => None,
        })
    }

    /// The condition that holds on rows of such an event, where some row is one.
    fn event(&self, names: &[&str]) -> Option<String> {
        let says_what = |c: &&Column| c.plain.iter().any(|plain| is_one_of(plain, EVENT));
        self.columns.all().iter().filter(says_what).find_map(|column| {
            let texts = column.texts();
            let name = texts.iter().find(|text| is_one_of(&plain(text), names))?;
            Some(format!("{} = {}", column.sql(), quote::literal(name)))
        })
    }
}

#[cfg(test)]
mod tests;
