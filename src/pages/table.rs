//! A query's result as cells: the first rows, and the number of all. Numbers are written for people, or exactly.

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

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Missing,
    Number(f64),
    Text(String),
}

impl Cell {
    /// As a name of something.
    pub fn label(&self) -> String {
        match self {
            Cell::Missing => "(none)".into(),
            Cell::Number(value) => number(*value),
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
    pub heads: Vec<Head>,
    /// The column whose cells lead somewhere, and where a row's does.
    pub cells: Option<(usize, Link<'a>)>,
}

/// The head of a column that rows can be sorted by.
pub(crate) struct Head {
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
    /// Rows of the whole result.
    pub count: usize,
    numeric: Vec<bool>,
    /// Names and values as SQL has them, and no column that names the rows.
    exact: bool,
}

impl Table {
    /// A table for people: the first column names the rows.
    pub fn new(schema: &Schema) -> Self {
        let columns = schema.fields().iter().map(|f| f.name().replace('_', " ")).collect();
        let numeric = schema.fields().iter().map(|f| f.data_type().is_numeric()).collect();
        Self { columns, rows: vec![], count: 0, numeric, exact: false }
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

    /// Adds rows; those beyond [`ROWS`] are counted only.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let kept = batch.num_rows().min(ROWS - self.rows.len());
        let start = self.rows.len();
        self.count += batch.num_rows();
        self.rows.resize_with(start + kept, Vec::new);
        for column in batch.slice(0, kept).columns() {
            let cells = if self.exact { exact_cells(column)? } else { cells(column)? };
            for (row, cell) in self.rows[start..].iter_mut().zip(cells) {
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
                                    None => th scope="col" class=[numeric.then_some("n")] { (name) },
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
                    p.note { "The first " (number(ROWS as f64)) " rows; there are more." }
                } @else if self.is_cut() {
                    p.note { "The first " (number(ROWS as f64)) " of " (number(self.count as f64)) " rows; the SQL gives all." }
                }
            }
        }
    }
}

fn td(column: usize, cell: &Cell, href: Option<String>) -> Markup {
    let class = matches!(cell, Cell::Number(_)).then_some("n");
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

fn exact_td(numeric: bool, cell: &Cell) -> Markup {
    html! {
        @match cell {
            Cell::Missing => td class=[numeric.then_some("n")] { i.null { "NULL" } },
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
    Ok(texts(column)?.into_iter().map(|text| text.map_or(Cell::Missing, Cell::Text)).collect())
}

fn cells(column: &ArrayRef) -> Result<Vec<Cell>> {
    if column.data_type().is_numeric() {
        let values = cast(column, &DataType::Float64)?;
        return Ok(values
            .as_primitive::<Float64Type>()
            .iter()
            .map(|v| v.map_or(Cell::Missing, Cell::Number))
            .collect());
    }
    exact_cells(column)
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

    use arrow::array::{ArrayRef, DictionaryArray, Float64Array};
    use arrow::datatypes::Int32Type;

    use super::{Cell, Head, Links, Table, Texts, number, texts};

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
    fn links_hold_names_as_text() {
        let table = Table {
            columns: vec!["item".into(), "credit".into()],
            rows: vec![vec![Cell::Text("<b>".into()), Cell::Number(-1.0)], vec![Cell::Missing, Cell::Missing]],
            count: 2,
            numeric: vec![false, true],
            exact: false,
        };
        let href = |row: &[Cell]| format!("/x?item={}", row[0].label());
        let heads = vec![Head { href: "/x?sort=1".into(), sorted: Some("ascending") }];
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
