//! A query's result as cells: the first rows, and the number of all.

use arrow::array::{Array, ArrayRef, AsArray};
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
pub(super) enum Cell {
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

/// The first rows of a result.
#[derive(Debug)]
pub(super) struct Table {
    /// Names of the columns, in words.
    pub columns: Vec<String>,
    /// Their rows, at most [`ROWS`].
    pub rows: Vec<Vec<Cell>>,
    /// Rows of the whole result.
    pub count: usize,
    numeric: Vec<bool>,
}

impl Table {
    /// Reads a result to its end.
    pub async fn read(schema: &Schema, mut stream: SendableRecordBatchStream) -> Result<Self> {
        let columns = schema.fields().iter().map(|f| f.name().replace('_', " ")).collect();
        let numeric = schema.fields().iter().map(|f| f.data_type().is_numeric()).collect();
        let mut table = Self { columns, rows: vec![], count: 0, numeric };
        while let Some(batch) = stream.next().await.transpose()? {
            let kept = batch.num_rows().min(ROWS - table.rows.len());
            let start = table.rows.len();
            table.count += batch.num_rows();
            table.rows.resize_with(start + kept, Vec::new);
            for column in batch.slice(0, kept).columns() {
                for (row, cell) in table.rows[start..].iter_mut().zip(cells(column)?) {
                    row.push(cell);
                }
            }
        }
        Ok(table)
    }

    /// The table, in a frame of its own that scrolls.
    pub fn html(&self, title: &str) -> Markup {
        html! {
            @if self.rows.is_empty() { p.note { "No rows." } } @else {
                div.scroll tabindex="0" role="region" aria-label={ "Table: " (title) } {
                    table.wide[self.columns.len() > 7] {
                        thead { tr {
                            @for (name, numeric) in self.columns.iter().zip(&self.numeric) {
                                th scope="col" class=[numeric.then_some("n")] { (name) }
                            }
                        } }
                        tbody { @for row in &self.rows { tr { @for (i, cell) in row.iter().enumerate() { (td(i, cell)) } } } }
                    }
                }
                @if self.count > self.rows.len() {
                    p.note { "The first " (number(ROWS as f64)) " of " (number(self.count as f64)) " rows; the SQL gives all." }
                }
            }
        }
    }
}

fn td(column: usize, cell: &Cell) -> Markup {
    let class = matches!(cell, Cell::Number(_)).then_some("n");
    html! {
        @match (column, cell) {
            (0, Cell::Missing) => th scope="row" { i { "(none)" } },
            (0, cell) => th scope="row" class=[class] { (cell.label()) },
            (_, Cell::Missing) => td {},
            (_, cell) => td class=[class] { (cell.label()) },
        }
    }
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
    let options = FormatOptions::default();
    let format = ArrayFormatter::try_new(column.as_ref(), &options)?;
    let cell = |row| match column.is_null(row) {
        true => Cell::Missing,
        false => Cell::Text(format.value(row).to_string()),
    };
    Ok((0..column.len()).map(cell).collect())
}

/// A number for people: thousands apart, two decimals, four below 1; as `page.js` writes it.
pub(super) fn number(value: f64) -> String {
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
    use super::number;

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
