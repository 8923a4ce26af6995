//! The headers of a data source file, and which columns of ours they are.
//!
//! Not case sensitive, but the spaces count, as Adobe has it: `Evar 1` is a column, `eVar1` is a mistake that the error
//! puts right.

use std::collections::HashMap;

use arrow::datatypes::Field;

use super::FeedError;
use crate::columns::{self, numbered};
use crate::error::did_you_mean;

/// What a column of a data source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// The record's date, always the first column.
    Date,
    /// The key of a transaction.
    TransactionId,
    /// The custom visitor id.
    CustomerId,
    /// A text.
    Dimension,
    /// A number.
    Metric,
}

/// A column of a data source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceColumn {
    /// The header as the file has it.
    pub header: String,
    /// Our name, `record_local` for the date.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
}

impl SourceColumn {
    /// The column that a header names.
    ///
    /// # Errors
    /// Says what is wrong with the header, with the nearest right one.
    pub fn of_header(header: &str) -> Result<Self, String> {
        let (name, kind) = find(&header.to_ascii_lowercase()).ok_or_else(|| unknown(header))?;
        Ok(Self { header: header.to_owned(), name, kind })
    }

    /// The Arrow field of the column in a batch.
    pub fn field(&self) -> Field {
        match self.kind {
            SourceKind::Metric => columns::metric(&self.name),
            _ => columns::key_field(&self.name).unwrap_or_else(|| columns::dimension(&self.name)),
        }
    }
}

/// The columns of a file's headers, in their order.
///
/// # Errors
/// Unknown or doubled headers, no date in front, no metric, no dimension or ID.
pub fn parse_headers(headers: &[&str], file: &str, line: Option<u64>) -> Result<Vec<SourceColumn>, FeedError> {
    let error = |message: String| FeedError { line, ..FeedError::new(file, message) };
    let (mut all, mut seen): (Vec<SourceColumn>, HashMap<String, String>) = (Vec::new(), HashMap::new());
    for (place, header) in headers.iter().map(|header| header.trim()).enumerate() {
        if header.is_empty() {
            return Err(error(format!("the header of column {} is empty; delete the column or name it", place + 1)));
        }
        let column = SourceColumn::of_header(header).map_err(&error)?;
        if (column.kind == SourceKind::Date) != (place == 0) {
            let message = format!("column {} is {header}; the first column, and no other, is Date", place + 1);
            return Err(error(message));
        }
        if let Some(former) = seen.insert(column.name.clone(), header.to_owned()) {
            let message = match former.eq_ignore_ascii_case(header) {
                true => format!("column {header} occurs twice; delete one"),
                false => format!("columns {former} and {header} are the same; delete one"),
            };
            return Err(error(message));
        }
        all.push(column);
    }
    let has = |wanted: &[SourceKind]| all.iter().any(|column| wanted.contains(&column.kind));
    if !has(&[SourceKind::Metric]) {
        return Err(error("no metric among the columns; add one, such as Event 1, Orders or Price".to_owned()));
    }
    if !has(&[SourceKind::Dimension, SourceKind::TransactionId, SourceKind::CustomerId]) {
        let message = "no dimension among the columns; add one, such as Evar 1, Tracking Code or transactionID";
        return Err(error(message.to_owned()));
    }
    Ok(all)
}

/// The header of a column of ours: `Evar 1` of `evar1`, `Price` of `revenue`; `None` where data sources have none.
pub fn header_of(name: &str) -> Option<String> {
    if let Some((header, ..)) = COLUMNS.iter().find(|(_, ours, _)| *ours == name) {
        return Some((*header).to_owned());
    }
    let in_range = |prefix: &str, text: &str, largest: u32| numbered(text, prefix).filter(|n| *n <= largest);
    if let Some(n) = name.strip_suffix("_views").and_then(|evar| in_range("evar", evar, EVARS)) {
        return Some(format!("Evar {n} Views"));
    }
    let evar = in_range("evar", name, EVARS).map(|n| format!("Evar {n}"));
    evar.or_else(|| in_range("event", name, EVENTS).map(|n| format!("Event {n}")))
}

/// The headers of a template file for these metrics and dimensions (our names or headers), the date first.
///
/// # Errors
/// Says which name is none, with the nearest right one.
pub fn template_headers<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Vec<String>, String> {
    let mut headers = vec![DATE.to_owned()];
    for name in names {
        let ours = name.trim().to_ascii_lowercase();
        let header = match (header_of(&ours), SourceColumn::of_header(name.trim())) {
            (Some(header), _) => header,
            (None, Ok(column)) => header_of(&column.name).unwrap_or(column.header),
            (None, Err(reason)) => return Err(reason),
        };
        if !headers.contains(&header) {
            headers.push(header);
        }
    }
    Ok(headers)
}

const DATE: &str = "Date";
const EVARS: u32 = 250;
const EVENTS: u32 = 1000;

/// Header, our name, kind. Where two headers mean one column, the first is Adobe's.
const COLUMNS: &[(&str, &str, SourceKind)] = &[
    (DATE, "record_local", SourceKind::Date),
    ("transactionID", columns::TRANSACTION_ID, SourceKind::TransactionId),
    ("VisitorID", columns::CUSTOMER_ID, SourceKind::CustomerId),
    ("Category", "category", SourceKind::Dimension),
    ("Channel", "channel", SourceKind::Dimension),
    ("Marketing Channel", "marketing_channel", SourceKind::Dimension),
    ("Marketing Channel Detail", "marketing_channel_detail", SourceKind::Dimension),
    ("Product", "product", SourceKind::Dimension),
    ("State", "state", SourceKind::Dimension),
    ("Tracking Code", "tracking_code", SourceKind::Dimension),
    ("Zip", "zip", SourceKind::Dimension),
    ("Cart Adds", "cart_adds", SourceKind::Metric),
    ("Cart Removes", "cart_removes", SourceKind::Metric),
    ("Cart Views", "cart_views", SourceKind::Metric),
    ("Cart Opens", "carts", SourceKind::Metric),
    ("Checkouts", "checkouts", SourceKind::Metric),
    ("Clickthroughs", "clickthroughs", SourceKind::Metric),
    ("Product Views", "product_views", SourceKind::Metric),
    ("Orders", "orders", SourceKind::Metric),
    ("Price", "revenue", SourceKind::Metric),
    ("Revenue", "revenue", SourceKind::Metric),
    ("Quantity", "units", SourceKind::Metric),
    ("Units", "units", SourceKind::Metric),
];

/// The column of a lower-case header.
fn find(header: &str) -> Option<(String, SourceKind)> {
    if let Some((_, name, kind)) = COLUMNS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(header)) {
        return Some(((*name).to_owned(), *kind));
    }
    if let Some(n) = numbered(header, "event ") {
        return (n <= EVENTS).then(|| (format!("event{n}"), SourceKind::Metric));
    }
    if let Some(n) = header.strip_suffix(" views").and_then(|evar| numbered(evar, "evar ")) {
        return (n <= EVARS).then(|| (format!("evar{n}_views"), SourceKind::Metric));
    }
    let n = numbered(header, "evar ")?;
    (n <= EVARS).then(|| (format!("evar{n}"), SourceKind::Dimension))
}

fn unknown(header: &str) -> String {
    let shown = super::row_issue::clip(header, 60);
    if header.contains('\0') {
        return format!("{shown:?} is no column; is the file UTF-16 without byte order mark? save it as UTF-8");
    }
    if header.contains('\r') {
        return "the line ends are single carriage returns; save the file with Windows or Unix line ends".to_owned();
    }
    // What stands there without its spaces and zeros may be a column of ours.
    let squeezed: String = header.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
    let lower = squeezed.to_ascii_lowercase();
    let (stem, views) = lower.strip_suffix("views").map_or((lower.as_str(), ""), |stem| (stem, " Views"));
    for (prefix, title, largest) in [("evar", "Evar", EVARS), ("event", "Event", EVENTS)] {
        let digits = stem.strip_prefix(prefix).filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()));
        match digits.map(|digits| digits.parse::<u32>()) {
            Some(Ok(n)) if (1..=largest).contains(&n) => {
                return format!("{shown:?} is no column; write {title} {n}{views}, with a space");
            }
            Some(_) => return format!("{shown:?} is no column; {title} goes from 1 to {largest}"),
            None => {}
        }
    }
    if let Some((right, ..)) = COLUMNS.iter().find(|(known, ..)| known.replace(' ', "").eq_ignore_ascii_case(&lower)) {
        return format!("{shown:?} is no column; write {right}");
    }
    if shown.len() < header.len() {
        return format!("{shown:?}... is no column of a data source; is the header line missing?");
    }
    let known = COLUMNS.iter().map(|(known, ..)| *known).chain(["Evar 1", "Event 1", "Evar 1 Views"]);
    format!("{shown:?} is no column of a data source{}", did_you_mean(header, known))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn refused(headers: &[&str]) -> String {
        parse_headers(headers, "leads.txt", Some(3)).unwrap_err().to_string()
    }

    #[test]
    fn every_column() {
        for (header, name, kind) in COLUMNS {
            for written in [header.to_string(), header.to_uppercase(), header.to_lowercase()] {
                let column = SourceColumn::of_header(&written).unwrap();
                assert_eq!((column.name.as_str(), column.kind, column.header), (*name, *kind, written));
            }
            assert_eq!(SourceColumn::of_header(&header_of(name).unwrap()).unwrap().name, *name);
        }
        for (header, name, kind) in [
            ("EVAR 1", "evar1", SourceKind::Dimension),
            ("Evar 250", "evar250", SourceKind::Dimension),
            ("Evar 7 Views", "evar7_views", SourceKind::Metric),
            ("event 1000", "event1000", SourceKind::Metric),
        ] {
            let column = SourceColumn::of_header(header).unwrap();
            assert_eq!((column.name.as_str(), column.kind), (name, kind));
            assert!(header_of(name).unwrap().eq_ignore_ascii_case(header));
        }
        for name in ["page_views", "prop1", "evar0", "evar251", "event1001", "x"] {
            assert_eq!(header_of(name), None, "{name}");
        }
    }

    #[test]
    fn puts_mistakes_right() {
        for (header, right) in [
            ("eVar1", "write Evar 1, with a space"),
            ("evar12", "write Evar 12, with a space"),
            ("EVENT12", "write Event 12, with a space"),
            ("eVar1 Views", "write Evar 1 Views, with a space"),
            ("Evar  1", "write Evar 1,"),
            ("Evar 01", "write Evar 1,"),
            ("Evar 251", "from 1 to 250"),
            ("Event 0", "from 1 to 1000"),
            ("Event 99999999999", "from 1 to 1000"),
            ("Transaction ID", "write transactionID"),
            ("cartadds", "write Cart Adds"),
            ("Order", "did you mean Orders?"),
            ("Traking Code", "did you mean Tracking Code?"),
            ("D\0a\0", "UTF-16"),
            ("Date\r1/1/2025", "carriage returns"),
            ("Prop 1", "is no column"),
        ] {
            let reason = SourceColumn::of_header(header).unwrap_err();
            assert!(reason.contains(right), "{header}: {reason}");
        }
        assert!(SourceColumn::of_header(&"x".repeat(1 << 20)).unwrap_err().len() < 200);
    }

    #[test]
    fn whole_headers() {
        let columns = parse_headers(&["date ", "Evar 1", "transactionID", "Price"], "", None).unwrap();
        let names: Vec<_> = columns.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["record_local", "evar1", "transaction_id", "revenue"]);
        assert_eq!(
            refused(&["Date", "Evar 1", "evar 1", "Orders"]),
            "leads.txt line 3: column evar 1 occurs twice; delete one"
        );
        assert!(refused(&["Date", "Evar 1", "Price", "Revenue"]).contains("columns Price and Revenue are the same"));
        assert!(refused(&["Evar 1", "Date", "Price"]).contains("column 1 is Evar 1; the first column"));
        assert!(refused(&["Date", "Date", "Price"]).contains("column 2 is Date"));
        assert!(refused(&["Date", "Evar 1"]).contains("no metric"));
        assert!(refused(&["Date", "Price"]).contains("no dimension"));
        assert!(refused(&["Date", "", "Price"]).contains("column 2 is empty"));
        assert!(refused(&[]).contains("no metric"));
        assert!(parse_headers(&["Date", "VisitorID", "Price"], "", None).is_ok());
    }

    #[test]
    fn templates() {
        let headers = template_headers(["transaction_id", "evar5", "Tracking Code", "revenue", "EVENT 12", "event12"]);
        assert_eq!(headers.unwrap(), ["Date", "transactionID", "Evar 5", "Tracking Code", "Price", "Event 12"]);
        assert!(template_headers(["orderz"]).unwrap_err().contains("did you mean Orders?"));
    }
}
