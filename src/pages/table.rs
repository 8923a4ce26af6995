//! A query's result as cells: the first rows, and the number of all. Numbers and lengths of time are written for people, or exactly.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use maud::{Markup, html};

use crate::Result;

/// Rows that a page holds; beyond them it says how many there are.
const ROWS: usize = 1000;

/// Bytes of cells that a page holds, about.
const BYTES: usize = 4 << 20;

/// Longest text in a cell, bytes.
const CELL_BYTES: usize = 5000;

/// A longer text gets a frame of its own, which scrolls, so that it does not push other rows out of sight; bytes.
const FRAMED_BYTES: usize = 300;

/// So much of the name of a column is shown, bytes; an expression without an alias is called by its whole text.
const NAME_BYTES: usize = 120;

/// Rows that are made to cells at once.
const AT_ONCE: usize = 100;

/// How the name of a column ends that holds lengths of time.
const SECONDS: &str = "_seconds";

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Missing,
    Number(f64),
    /// A length of time in seconds.
    Time(f64),
    Text(String),
}

impl Cell {
    /// As a name of something.
    pub fn label(&self) -> String {
        match self {
            Cell::Missing => "(none)".into(),
            Cell::Number(value) => number(*value),
            Cell::Time(seconds) => time(*seconds),
            Cell::Text(text) => text.clone(),
        }
    }

    /// As a number, where it is one that can be drawn.
    pub fn value(&self) -> Option<f64> {
        match self {
            Cell::Number(value) if value.is_finite() => Some(*value),
            _ => None,
        }
    }
}

/// Where a row's cell leads.
type Link<'a> = &'a dyn Fn(&[Cell]) -> String;

/// Where a table's cells and heads lead.
#[derive(Default)]
pub(crate) struct Links<'a> {
    /// Of the columns that rows can be sorted by, from the first.
    pub heads: Vec<ColumnHead>,
    /// The column whose cells lead somewhere, and where a row's does.
    pub cells: Option<(usize, Link<'a>)>,
}

/// The head of a column that rows can be sorted by.
pub(crate) struct ColumnHead {
    /// The address that sorts by it.
    pub href: String,
    /// `ascending` or `descending`, where it is what they are sorted by.
    pub sorted: Option<&'static str>,
}

impl Links<'_> {
    fn of(&self, column: usize, row: &[Cell]) -> Option<String> {
        self.cells.as_ref().filter(|(linked, _)| *linked == column).map(|(_, href)| href(row))
    }
}

/// The first rows of a result.
#[derive(Debug)]
pub(crate) struct Table {
    /// Names of the columns, in words.
    pub columns: Vec<String>,
    /// Their rows, at most [`ROWS`].
    pub rows: Vec<Vec<Cell>>,
    /// Bytes of texts in these rows.
    bytes: usize,
    /// Rows of the whole result.
    pub count: usize,
    numeric: Vec<bool>,
    /// Columns of lengths of time.
    of_time: Vec<bool>,
    /// Names and values as SQL has them, and no column that names the rows.
    exact: bool,
}

impl Table {
    /// A table for people: the first column names the rows. In the others, numbers of a column whose name ends in `_seconds` are
    /// lengths of time.
    pub fn new(schema: &Schema) -> Self {
        let numeric: Vec<bool> = schema.fields().iter().map(|f| f.data_type().is_numeric()).collect();
        let (mut columns, mut of_time) = (vec![], vec![]);
        for (i, field) in schema.fields().iter().enumerate() {
            let what = field.name().strip_suffix(SECONDS).filter(|_| i > 0 && numeric[i]);
            of_time.push(what.is_some());
            columns.push(what.map_or(field.name().clone(), |what| format!("{what} time")).replace('_', " "));
        }
        Self { columns, rows: vec![], bytes: 0, count: 0, numeric, of_time, exact: false }
    }

    /// A table that shows every value as it is.
    pub fn exact(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|f| f.name().clone()).collect();
        Self { columns, exact: true, ..Self::new(schema) }
    }

    /// Reads a result to its end.
    pub async fn read(schema: &Schema, mut stream: SendableRecordBatchStream) -> Result<Self> {
        let mut table = Self::new(schema);
        while let Some(batch) = stream.next().await.transpose()? {
            table.add(&batch)?;
        }
        Ok(table)
    }

    /// Adds rows; those beyond [`ROWS`] or [`BYTES`] are counted only.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut at = 0;
        while at < batch.num_rows() && !self.is_cut() && self.rows.len() < ROWS && self.bytes < BYTES {
            let rows = AT_ONCE.min(ROWS - self.rows.len()).min(batch.num_rows() - at);
            self.keep(&batch.slice(at, rows))?;
            at += rows;
            self.count += rows;
        }
        self.count += batch.num_rows() - at;
        Ok(())
    }

    fn keep(&mut self, batch: &RecordBatch) -> Result<()> {
        let start = self.rows.len();
        self.rows.resize_with(start + batch.num_rows(), Vec::new);
        for (column, of_time) in batch.columns().iter().zip(&self.of_time) {
            let cells = match (self.exact, of_time) {
                (true, _) => exact_cells(column)?,
                (false, true) => cells(column, Cell::Time)?,
                (false, false) => cells(column, Cell::Number)?,
            };
            for (row, cell) in self.rows[start..].iter_mut().zip(cells) {
                self.bytes += if let Cell::Text(text) = &cell { text.len() } else { 0 };
                row.push(cell);
            }
        }
        Ok(())
    }

    /// True when the result has more rows than the table.
    pub fn is_cut(&self) -> bool {
        self.count > self.rows.len()
    }

    /// True for a column of numbers.
    pub fn is_number(&self, column: usize) -> bool {
        self.numeric.get(column).copied().unwrap_or_default()
    }

    /// The table, in a frame of its own that scrolls.
    pub fn html(&self, title: &str) -> Markup {
        self.linked(title, &Links::default())
    }

    /// The same with links in it.
    pub fn linked(&self, title: &str, links: &Links<'_>) -> Markup {
        html! {
            @if self.rows.is_empty() { p.note { "No rows." } } @else {
                div.scroll tabindex="0" role="region" aria-label={ "Table: " (title) } {
                    table.wide[self.columns.len() > 7] {
                        caption.unseen { (title) }
                        thead { tr {
                            @for (i, (name, numeric)) in self.columns.iter().zip(&self.numeric).enumerate() {
                                @match links.heads.get(i) {
                                    None => th scope="col" class=[numeric.then_some("n")] { (head(name)) },
                                    Some(head) => th scope="col" class=[numeric.then_some("n")] aria-sort=[head.sorted] {
                                        a href=(head.href) { (name) }
                                    },
                                }
                            }
                        } }
                        tbody { @for row in &self.rows { tr {
                            @for (i, cell) in row.iter().enumerate() {
                                @if self.exact { (exact_td(self.numeric[i], cell)) } @else { (td(i, cell, links.of(i, row))) }
                            }
                        } } }
                    }
                }
                @if self.exact && self.is_cut() {
                    p.note { "The first " (number(self.rows.len() as f64)) " rows; there are more." }
                } @else if self.is_cut() {
                    p.note { "The first " (number(self.rows.len() as f64)) " of " (number(self.count as f64)) " rows; the SQL gives all." }
                }
            }
        }
    }
}

fn td(column: usize, cell: &Cell, href: Option<String>) -> Markup {
    let class = matches!(cell, Cell::Number(_) | Cell::Time(_)).then_some("n");
    let text = html! {
        @match (column, cell) {
            (0, Cell::Missing) => i { "(none)" },
            (_, Cell::Missing) => { @if href.is_some() { i { "(none)" } } },
            (_, cell) => (cell.label()),
        }
    };
    let text = html! { @if let Some(href) = &href { a href=(href) { (text) } } @else { (text) } };
    html! { @if column == 0 { th scope="row" class=[class] { (text) } } @else { td class=[class] { (text) } } }
}

/// The name of a column; of a long one the beginning, and all of it where one points.
fn head(name: &str) -> Markup {
    html! {
        @if name.len() > NAME_BYTES {
            span title=(name) { (name[..name.floor_char_boundary(NAME_BYTES)]) "\u{2026}" }
        } @else { (name) }
    }
}

fn exact_td(numeric: bool, cell: &Cell) -> Markup {
    html! {
        @match cell {
            Cell::Missing => td class=[numeric.then_some("n")] { i.null { "NULL" } },
            Cell::Text(text) if !numeric && text.len() > FRAMED_BYTES => td { div.long { (text) } },
            cell => td class=[numeric.then_some("n")] { (cell.label()) },
        }
    }
}

/// Values as text, as SQL and CSV have them; None is NULL.
pub(crate) fn texts(column: &ArrayRef) -> Result<Vec<Option<String>>> {
    let texts = Texts::new(column)?;
    let text = |row| {
        let mut text = String::new();
        texts.write(row, &mut text).then_some(text)
    };
    Ok((0..column.len()).map(text).collect())
}

/// The texts of a column, as [`texts`] gives them, one after another.
pub(crate) struct Texts<'a> {
    values: ArrayFormatter<'a>,
    nulls: Option<NullBuffer>,
    floating: bool,
}

/// As arrow has it: what cannot be shown says so in its place.
const OPTIONS: FormatOptions<'static> = FormatOptions::new();

impl<'a> Texts<'a> {
    /// The texts of this column.
    pub fn new(column: &'a ArrayRef) -> Result<Self> {
        let values = ArrayFormatter::try_new(column.as_ref(), &OPTIONS)?;
        // dictionaries and columns of NULLs only have them in their own way
        Ok(Self { values, nulls: column.logical_nulls(), floating: column.data_type().is_floating() })
    }

    /// Appends the text of a value; false where it is NULL.
    pub fn write(&self, row: usize, out: &mut String) -> bool {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return false;
        }
        let start = out.len();
        // writing to a String cannot fail
        let _ = write!(out, "{}", self.values.value(row));
        // a whole number is one, whatever its type
        if self.floating && out[start..].ends_with(".0") {
            out.truncate(out.len() - 2);
        }
        true
    }
}

fn exact_cells(column: &ArrayRef) -> Result<Vec<Cell>> {
    Ok(texts(column)?.into_iter().map(|text| text.map_or(Cell::Missing, |text| Cell::Text(shown(text)))).collect())
}

/// As much of a text as a page shows.
fn shown(mut text: String) -> String {
    if text.len() > CELL_BYTES {
        let all = number(text.chars().count() as f64);
        text.truncate(text.floor_char_boundary(CELL_BYTES));
        text.shrink_to_fit();
        text += &format!("\u{2026} ({all} characters)");
    }
    text
}

/// Values for people; `of_number` is what a number becomes.
fn cells(column: &ArrayRef, of_number: fn(f64) -> Cell) -> Result<Vec<Cell>> {
    if column.data_type().is_numeric() {
        let values = cast(column, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        return Ok(values.iter().map(|value| value.map_or(Cell::Missing, of_number)).collect());
    }
    exact_cells(column)
}

/// A length of time for people, in its two largest units: `2 d 3 h`, `5 min 20 s`; below a minute in seconds.
fn time(seconds: f64) -> String {
    // what would be rounded up to the next unit is written in that
    let (large, small, small_seconds, smalls) = match seconds {
        s if s < 59.5 => return format!("{} s", number(s)),
        s if s < 3_599.5 => ("min", "s", 1.0, 60),
        s if s < 86_370.0 => ("h", "min", 60.0, 60),
        s if s.is_finite() => ("d", "h", 3_600.0, 24),
        s => return s.to_string(),
    };
    let count = (seconds / small_seconds).round() as i64;
    match (count / smalls, count % smalls) {
        (whole, 0) => format!("{whole} {large}"),
        (whole, rest) => format!("{whole} {large} {rest} {small}"),
    }
}

/// A number for people: thousands apart, two decimals, four below 1; as `page.js` writes it.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let decimals = if value.abs() < 1.0 { 4 } else { 2 };
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let mut out = String::new();
    if value < 0.0 && (whole != "0" || !fraction.is_empty()) {
        out.push('-');
    }
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use arrow::array::{ArrayRef, DictionaryArray, Float64Array, RecordBatch, StringArray};
    use arrow::datatypes::Int32Type;

    use super::{Cell, ColumnHead, Links, Table, Texts, number, texts, time};

    #[test]
    fn texts_of_columns() {
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![Some(3.0), Some(-0.5), None]));
        assert_eq!(texts(&numbers).unwrap(), [Some("3".to_string()), Some("-0.5".into()), None]);
        let entries: DictionaryArray<Int32Type> = vec![Some("a"), None, Some("1.0")].into_iter().collect();
        let entries: ArrayRef = Arc::new(entries);
        assert_eq!(texts(&entries).unwrap(), [Some("a".to_string()), None, Some("1.0".into())]);
        // what was written before stays
        let mut line = "1.0".to_string();
        let numbers = Texts::new(&numbers).unwrap();
        assert!(!numbers.write(2, &mut line) && line == "1.0");
        assert!(numbers.write(0, &mut line) && line == "1.03");
    }

    #[test]
    fn long_texts_have_frames_and_long_names_are_cut() {
        let (long, short): (ArrayRef, ArrayRef) = (
            Arc::new(StringArray::from(vec!["x".repeat(400), "y".into()])),
            Arc::new(Float64Array::from(vec![1234567.5, 2.0])),
        );
        let name = format!("sum({})", "é".repeat(100));
        let batch = RecordBatch::try_from_iter([(name.as_str(), long), ("n", short)]).unwrap();
        let mut table = Table::exact(&batch.schema());
        table.add(&batch).unwrap();
        let shown = table.html("Result").into_string();
        let cut = format!("<span title=\"{name}\">sum({}\u{2026}</span>", "é".repeat(58));
        let cells = [format!("<td><div class=\"long\">{}</div></td>", "x".repeat(400)), "<td>y</td>".into()];
        for part in [cut, "<td class=\"n\">1234567.5</td>".into()].iter().chain(&cells) {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }

    #[test]
    fn links_hold_names_as_text() {
        let table = Table {
            columns: vec!["item".into(), "credit".into()],
            rows: vec![vec![Cell::Text("<b>".into()), Cell::Number(-1.0)], vec![Cell::Missing, Cell::Missing]],
            bytes: 3,
            count: 2,
            numeric: vec![false, true],
            of_time: vec![false, false],
            exact: false,
        };
        let href = |row: &[Cell]| format!("/x?item={}", row[0].label());
        let heads = vec![ColumnHead { href: "/x?sort=1".into(), sorted: Some("ascending") }];
        let cells = Some((0, &href as &dyn Fn(&[Cell]) -> String));
        let shown = table.linked("items", &Links { heads, cells }).into_string();
        for part in [
            "aria-sort=\"ascending\"><a href=\"/x?sort=1\">item</a>",
            "<a href=\"/x?item=&lt;b&gt;\">&lt;b&gt;</a>",
            "<a href=\"/x?item=(none)\"><i>(none)</i></a>",
            "<td class=\"n\">-1</td>",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(!table.html("items").into_string().contains("<a"));
    }

    #[test]
    fn a_page_is_bounded() {
        let column = |text: &str, rows: usize| {
            let texts: ArrayRef = Arc::new(StringArray::from(vec![text; rows]));
            RecordBatch::try_from_iter([("t", texts)]).unwrap()
        };
        let filled = |batches: &[RecordBatch]| {
            let mut table = Table::exact(&batches[0].schema());
            batches.iter().for_each(|batch| table.add(batch).unwrap());
            table
        };
        let short = filled(&[column("a", 700), column("b", 700)]);
        assert_eq!((short.rows.len(), short.count), (1000, 1400));
        // long texts are cut, and many of them fill the page
        let long = filled(&[column(&"\u{e4}".repeat(3000), 999), column("b", 1)]);
        assert_eq!((long.rows.len(), long.count, long.is_cut()), (900, 1000, true));
        let cell = long.rows[0][0].label();
        assert!(cell.ends_with("\u{e4}\u{2026} (3,000 characters)") && cell.len() < 5_100, "{}", cell.len());
        assert!(long.html("t").into_string().contains("The first 900 rows; there are more."));
    }

    #[test]
    fn times_are_for_people() {
        let (minute, hour, day) = (60.0, 3_600.0, 86_400.0);
        let cases = [
            (0.0, "0 s"),
            (12.5, "12.5 s"),
            (59.6, "1 min"),
            (5.0 * minute + 20.4, "5 min 20 s"),
            (hour - 0.6, "59 min 59 s"),
            (hour - 0.4, "1 h"),
            (3.0 * hour + 5.0 * minute, "3 h 5 min"),
            (day - 31.0, "23 h 59 min"),
            (day - 30.0, "1 d"),
            (2.0 * day + 3.0 * hour + 10.0 * minute, "2 d 3 h"),
            (400.0 * day, "400 d"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
        ];
        for (seconds, text) in cases {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn seconds_are_times_where_people_read() {
        let names = ["of_seconds", "median_seconds", "text_seconds"];
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![Some(183_600.0), None]));
        let words: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let columns = names.into_iter().zip([numbers.clone(), numbers, words]);
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut table = Table::new(&batch.schema());
        table.add(&batch).unwrap();
        assert_eq!(table.columns, ["of seconds", "median time", "text seconds"]);
        assert_eq!(table.rows[0].iter().map(Cell::label).collect::<Vec<_>>(), ["183,600", "2 d 3 h", "a"]);
        assert_eq!(table.rows[1][1], Cell::Missing);
        assert!(table.html("funnel").into_string().contains("<td class=\"n\">2 d 3 h</td>"));
        let mut exact = Table::exact(&batch.schema());
        exact.add(&batch).unwrap();
        assert_eq!(exact.columns, names);
        assert_eq!(exact.rows[0][1], Cell::Text("183600".into()));
    }

    #[test]
    fn numbers_are_for_people() {
        let cases = [
            (0.0, "0"),
            (-0.00001, "0"),
            (0.12345, "0.1235"),
            (1.5, "1.5"),
            (-1234567.891, "-1,234,567.89"),
            (999.999, "1,000"),
            (f64::NAN, "NaN"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }
}
