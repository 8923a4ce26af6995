//! Aligned columns for people, as psql shows them: a header, a rule, rows, and their number.
//!
//! Widths come from the first rows; later rows that are wider are shown whole and break the alignment, so memory is
//! bounded. On a terminal the widest columns give way until a row fits.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::cell::{Class, Column, names, prepare};
use super::encoder::{Encoder, Expanded, Look};
use super::width::{fit, printable, width};
use crate::Result;

/// Rows that decide on the widths.
const LOOK_AHEAD: usize = 1000;
/// A column is not cut below this.
const NARROWEST: usize = 8;

/// A cell as shown; None is NULL.
type Cell = Option<String>;

/// Writes a table.
pub struct Table<'a> {
    out: &'a mut (dyn Write + Send),
    look: Look,
    names: Vec<String>,
    classes: Vec<Class>,
    waiting: Vec<Vec<Cell>>,
    widths: Option<Vec<usize>>,
    rows: u64,
    /// One line a column, once the widths are known.
    expanded: bool,
}

impl<'a> Table<'a> {
    /// A table with these columns.
    pub fn new(schema: &SchemaRef, look: Look, out: &'a mut (dyn Write + Send)) -> Self {
        Self {
            out,
            look,
            names: names(schema).iter().map(|n| printable(n).into_owned()).collect(),
            classes: schema.fields().iter().map(|f| Class::of(f.data_type())).collect(),
            waiting: vec![],
            widths: None,
            rows: 0,
            expanded: false,
        }
    }

    fn settle(&mut self) -> Result<()> {
        if self.widths.is_some() {
            return Ok(());
        }
        let mut widths: Vec<usize> = self.names.iter().map(|n| width(n)).collect();
        for row in &self.waiting {
            for (w, cell) in widths.iter_mut().zip(row) {
                *w = (*w).max(width(cell.as_deref().unwrap_or(self.null())));
            }
        }
        self.expanded = match (self.look.expanded, self.look.terminal) {
            (Expanded::Auto, Some(columns)) => widths.iter().sum::<usize>() + 3 * widths.len() > columns + 1,
            (expanded, _) => expanded == Expanded::On,
        };
        if let Some(columns) = self.look.terminal {
            shrink(&mut widths, columns);
        }
        let waiting = std::mem::take(&mut self.waiting);
        if !self.expanded {
            self.header(&widths)?;
        }
        self.widths = Some(widths);
        for row in &waiting {
            self.row(row)?;
        }
        Ok(())
    }

    fn header(&mut self, widths: &[usize]) -> Result<()> {
        let (mut head, mut rule) = (String::new(), String::new());
        for (i, (name, &w)) in self.names.iter().zip(widths).enumerate() {
            if i > 0 {
                head.push('|');
                rule.push('+');
            }
            let name = fit(name, w);
            let before = (w - width(&name)) / 2;
            let after = w - width(&name) - before;
            let shown = self.paint(BOLD, &name);
            let last = i + 1 == widths.len();
            head.push_str(&format!(" {}{shown}{}", spaces(before), if last { "".into() } else { spaces(after + 1) }));
            rule.push_str(&"-".repeat(w + 2));
        }
        writeln!(self.out, "{head}")?;
        writeln!(self.out, "{rule}")?;
        Ok(())
    }

    fn row(&mut self, row: &[Cell]) -> Result<()> {
        self.rows += 1;
        let widths = self.widths.as_deref().unwrap_or_default();
        if self.expanded {
            return self.record(row);
        }
        let mut line = String::new();
        for (i, (cell, &w)) in row.iter().zip(widths).enumerate() {
            let text = cell.as_deref().unwrap_or(self.null());
            let text = if self.look.terminal.is_some() { fit(text, w) } else { text.into() };
            let padding = w.saturating_sub(width(&text));
            let shown = if cell.is_none() { self.paint(DIM, &text) } else { text.into_owned() };
            let right = self.classes[i] == Class::Number;
            line.push_str(if i > 0 { "| " } else { " " });
            line.push_str(&if right { spaces(padding) + &shown } else { shown });
            if i + 1 < widths.len() {
                line.push_str(&spaces(if right { 1 } else { padding + 1 }));
            }
        }
        writeln!(self.out, "{line}")?;
        Ok(())
    }

    fn record(&mut self, row: &[Cell]) -> Result<()> {
        let names = self.names.iter().map(|n| width(n)).max().unwrap_or(0);
        let title = format!("-[ row {} ]", self.rows);
        writeln!(self.out, "{title}{}", "-".repeat((names + 20).saturating_sub(title.len())))?;
        for (name, cell) in self.names.iter().zip(row) {
            let value = cell.as_deref().map_or_else(|| self.paint(DIM, self.null()), str::to_string);
            writeln!(self.out, "{}{} | {value}", self.paint(BOLD, name), spaces(names - width(name)))?;
        }
        Ok(())
    }

    fn null(&self) -> &'static str {
        self.look.null.unwrap_or("NULL")
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.look.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() }
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";

impl Encoder for Table<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let arrays = prepare(batch)?;
        let columns = arrays.iter().map(|a| Column::new(a.as_ref())).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let cell = |column: &Column<'_>| -> Result<Cell> {
                if column.is_null(row) {
                    return Ok(None);
                }
                let mut text = String::new();
                column.write(row, &mut text)?;
                Ok(Some(printable(&text).into_owned()))
            };
            let cells = columns.iter().map(cell).collect::<Result<Vec<_>>>()?;
            if self.widths.is_some() {
                self.row(&cells)?;
            } else {
                self.waiting.push(cells);
                if self.waiting.len() == LOOK_AHEAD {
                    self.settle()?;
                }
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        self.settle()?;
        let plural = if self.rows == 1 { "" } else { "s" };
        writeln!(self.out, "({} row{plural})", self.rows)?;
        Ok(())
    }
}

/// Takes columns from the widest until a row fits into the terminal, or all are narrow.
fn shrink(widths: &mut [usize], terminal: usize) {
    let frame = widths.len() * 3;
    let mut over = (widths.iter().sum::<usize>() + frame).saturating_sub(terminal.max(20) + 1);
    while over > 0 {
        let widest = widths.iter().copied().max().unwrap_or(0);
        if widest <= NARROWEST {
            return;
        }
        let next = widths.iter().copied().filter(|&w| w < widest).max().unwrap_or(0).max(NARROWEST);
        let count = widths.iter().filter(|&&w| w == widest).count();
        let step = (widest - next).min(over.div_ceil(count));
        for w in widths.iter_mut().filter(|w| **w == widest) {
            *w -= step.min(over);
            over -= step.min(over);
        }
    }
}

fn spaces(count: usize) -> String {
    " ".repeat(count)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::samples::{all_types, empty, hostile, reach, render};
    use super::super::{Format, Look};
    use super::*;

    #[test]
    fn columns_align_by_width() {
        insta::assert_snapshot!(render(Format::Table, Look::default(), &reach()), @r"
         item  | credit
        -------+--------
         東京  |    500
         größe |  -0.25
         NULL  |   NULL
         a\tb  |      0
        (4 rows)
        ");
        assert_eq!(render(Format::Table, Look::default(), &empty()), " text\n------\n(0 rows)\n");
    }

    #[test]
    fn one_line_a_column() {
        let text = render(Format::Table, Look { expanded: Expanded::On, ..Look::default() }, &reach());
        let head = "-[ row 1 ]----------------\nitem   | 東京\ncredit | 500\n-[ row 2 ]----------------\n";
        assert!(text.starts_with(head) && text.ends_with("credit | 0\n(4 rows)\n"), "{text}");
        assert!(render(Format::Table, Look { null: Some("-"), ..Look::default() }, &all_types()).contains("| -"));
    }

    #[test]
    fn hostile_text_is_shown_escaped_and_whole_in_a_file() {
        let text = render(Format::Table, Look::default(), &hostile());
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        let long = "x".repeat(300);
        assert!(text.contains(&long));
        let shown = render(Format::Table, Look { terminal: Some(40), ..Look::default() }, &hostile());
        assert!(shown.lines().all(|l| width(l) <= 40), "{shown}");
    }

    #[test]
    fn the_widest_column_gives_way() {
        let mut widths = [5, 100, 60];
        shrink(&mut widths, 80);
        assert_eq!(widths[0], 5);
        assert!(widths.iter().sum::<usize>() + 9 <= 81 && widths[1].abs_diff(widths[2]) <= 1, "{widths:?}");
        let mut narrow = [8; 40];
        shrink(&mut narrow, 80);
        assert_eq!(narrow, [8; 40]);
    }
}
