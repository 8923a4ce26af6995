//! Aligned columns for people, as psql shows them: a header, a rule, rows, and their number.
//!
//! Widths come from the first rows; later rows that are wider are shown whole and break the alignment, so memory is
//! bounded. On a terminal names take several lines and then the widest columns of texts give way until a row fits; numbers and
//! times are never cut.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};

use super::cell::{CellReader, Class, names, prepare};
use super::encoder::{Encoder, Expanded, TextStyle};
use super::width::{fit, printable, width};
use crate::Result;

/// Rows that decide on the widths.
const LOOK_AHEAD: usize = 1000;
/// A column, or a word of the name of one, is not cut below this.
const NARROWEST: usize = 8;

/// A cell as shown; None is NULL.
type Cell = Option<String>;

/// Writes a table.
pub struct Table<'a> {
    out: &'a mut (dyn Write + Send),
    text_style: TextStyle,
    names: Vec<String>,
    classes: Vec<Class>,
    /// Columns whose cells may be cut.
    cut: Vec<bool>,
    waiting: Vec<Vec<Cell>>,
    widths: Option<Vec<usize>>,
    rows: u64,
    /// One line a column, once the widths are known.
    expanded: bool,
}

impl<'a> Table<'a> {
    /// A table with these columns.
    pub fn new(schema: &SchemaRef, text_style: TextStyle, out: &'a mut (dyn Write + Send)) -> Self {
        Self {
            out,
            text_style,
            names: names(schema).iter().map(|n| printable(n).into_owned()).collect(),
            classes: schema.fields().iter().map(|f| Class::of(f.data_type())).collect(),
            cut: schema.fields().iter().map(|f| may_be_cut(f.data_type())).collect(),
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
        let mut cells = vec![0; self.names.len()];
        for row in &self.waiting {
            for (w, cell) in cells.iter_mut().zip(row) {
                *w = width(cell.as_deref().unwrap_or(self.null())).max(*w);
            }
        }
        let mut widths: Vec<usize> = self.names.iter().zip(&cells).map(|(n, w)| width(n).max(*w)).collect();
        let words: Vec<usize> = self.names.iter().map(|n| words(n).map(width).max().unwrap_or(0)).collect();
        // nothing is cut, but names take several lines
        let whole: Vec<usize> = words.iter().zip(&cells).map(|(word, cells)| *word.max(cells)).collect();
        // a name may be cut where the cells below it may not
        let least = whole.iter().zip(&cells).zip(&self.cut);
        let least: Vec<usize> =
            least.map(|((w, cells), cut)| (*w).min(if *cut { NARROWEST } else { NARROWEST.max(*cells) })).collect();
        self.expanded = match (self.text_style.expanded, self.text_style.terminal) {
            (Expanded::Auto, Some(columns)) => !fits(&whole, columns),
            (Expanded::Needed, Some(columns)) => !fits(&least, columns),
            (expanded, _) => expanded == Expanded::On,
        };
        if let Some(columns) = self.text_style.terminal {
            shrink(&mut widths, &whole, columns);
            shrink(&mut widths, &least, columns);
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
        let names: Vec<Vec<String>> = self.names.iter().zip(widths).map(|(name, &w)| lines(name, w)).collect();
        for line in 0..names.iter().map(Vec::len).max().unwrap_or(0) {
            let mut head = String::new();
            for (i, (name, &w)) in names.iter().zip(widths).enumerate() {
                if i > 0 {
                    head.push('|');
                }
                let name = name.get(line).map_or("", String::as_str);
                let before = (w - width(name)) / 2;
                let shown = if name.is_empty() { String::new() } else { self.paint(BOLD, name) };
                let last = i + 1 == widths.len();
                let after = if last { String::new() } else { spaces(w - width(name) - before + 1) };
                head.push_str(&format!(" {}{shown}{after}", spaces(before)));
            }
            writeln!(self.out, "{}", head.trim_end())?;
        }
        let rule: Vec<String> = widths.iter().map(|w| "-".repeat(w + 2)).collect();
        writeln!(self.out, "{}", rule.join("+"))?;
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
            let text = if self.text_style.terminal.is_some() && self.cut[i] { fit(text, w) } else { text.into() };
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
        self.text_style.null.unwrap_or("NULL")
    }

    fn paint(&self, style: &str, text: &str) -> String {
        if self.text_style.colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_string() }
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";

impl Encoder for Table<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let arrays = prepare(batch)?;
        let columns = arrays.iter().map(|a| CellReader::new(a.as_ref())).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let cell = |column: &CellReader<'_>| -> Result<Cell> {
                if column.is_null(row) {
                    return Ok(None);
                }
                let mut text = String::new();
                match self.text_style.terminal {
                    Some(_) => column.write_rounded(row, &mut text)?,
                    None => column.write(row, &mut text)?,
                }
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

/// True for texts and what is written as one; a part of a number, a time or a truth is another.
fn may_be_cut(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => may_be_cut(values),
        DataType::RunEndEncoded(_, values) => may_be_cut(values.data_type()),
        other => !(other.is_numeric() || other.is_temporal() || *other == DataType::Boolean),
    }
}

/// The words of a name, each with the sign that ends it.
fn words(name: &str) -> impl Iterator<Item = &str> {
    name.split_inclusive(['_', ' '])
}

/// A name in lines of at most `columns`, broken between words; a word that is longer is cut.
fn lines(name: &str, columns: usize) -> Vec<String> {
    if width(name) <= columns {
        return vec![name.to_string()];
    }
    let mut lines: Vec<String> = vec![];
    for word in words(name) {
        let word = fit(word, columns);
        match lines.last_mut() {
            Some(line) if width(line) + width(&word) <= columns => line.push_str(&word),
            _ => lines.push(word.into_owned()),
        }
    }
    lines
}

/// What a row of such columns takes, with what stands between them.
fn taken(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + 3 * widths.len()
}

fn fits(widths: &[usize], terminal: usize) -> bool {
    taken(widths) <= terminal + 1
}

/// Takes columns from the widest until a row fits into the terminal, or all have the least that they need.
fn shrink(widths: &mut [usize], least: &[usize], terminal: usize) {
    let mut over = taken(widths).saturating_sub(terminal.max(20) + 1);
    while over > 0 {
        let wide = || widths.iter().zip(least).filter(|(w, least)| w > least);
        let Some(widest) = wide().map(|(w, _)| *w).max() else { return };
        let next = wide().map(|(w, least)| if *w == widest { *least } else { *w }).max().unwrap_or(0);
        let count = wide().filter(|(w, _)| **w == widest).count();
        let step = (widest - next).min(over.div_ceil(count));
        for (w, _) in widths.iter_mut().zip(least).filter(|(w, least)| **w == widest && **w > **least) {
            let less = step.min(over);
            *w -= less;
            over -= less;
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
    use super::super::{Format, TextStyle};
    use super::*;

    #[test]
    fn columns_align_by_width() {
        insta::assert_snapshot!(render(Format::Table, TextStyle::default(), &reach()), @r"
         item  | credit
        -------+--------
         東京  |    500
         größe |  -0.25
         NULL  |   NULL
         a\tb  |      0
        (4 rows)
        ");
        assert_eq!(render(Format::Table, TextStyle::default(), &empty()), " text\n------\n(0 rows)\n");
    }

    #[test]
    fn one_line_a_column() {
        let text = render(Format::Table, TextStyle { expanded: Expanded::On, ..TextStyle::default() }, &reach());
        let head = "-[ row 1 ]----------------\nitem   | 東京\ncredit | 500\n-[ row 2 ]----------------\n";
        assert!(text.starts_with(head) && text.ends_with("credit | 0\n(4 rows)\n"), "{text}");
        assert!(
            render(Format::Table, TextStyle { null: Some("-"), ..TextStyle::default() }, &all_types()).contains("| -")
        );
    }

    #[test]
    fn hostile_text_is_shown_escaped_and_whole_in_a_file() {
        let text = render(Format::Table, TextStyle::default(), &hostile());
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
        let long = "x".repeat(300);
        assert!(text.contains(&long));
        let shown = render(Format::Table, TextStyle { terminal: Some(40), ..TextStyle::default() }, &hostile());
        assert!(shown.lines().all(|l| width(l) <= 40), "{shown}");
    }

    #[test]
    fn the_widest_column_gives_way() {
        let mut widths = [5, 100, 60];
        shrink(&mut widths, &[5, 8, 8], 80);
        assert_eq!(widths[0], 5);
        assert!(taken(&widths) <= 81 && widths[1].abs_diff(widths[2]) <= 1, "{widths:?}");
        let mut narrow = [8; 40];
        shrink(&mut narrow, &[8; 40], 80);
        assert_eq!(narrow, [8; 40]);
        // what may not be cut stays, however wide
        let mut widths = [50, 30, 30];
        shrink(&mut widths, &[50, 8, 8], 80);
        assert_eq!((widths[0], taken(&widths)), (50, 81));
        let mut widths = [100, 30];
        shrink(&mut widths, &[100, 8], 80);
        assert_eq!(widths, [100, 8]);
    }

    #[test]
    fn names_take_several_lines_before_anything_is_cut() {
        use std::sync::Arc;

        use arrow::array::{ArrayRef, Float64Array};

        let number = || Arc::new(Float64Array::from(vec![15.25])) as ArrayRef;
        let names = ["page_name", "first_touch", "last_touch", "visitor_participation", "u"];
        let batch = RecordBatch::try_from_iter(names.map(|name| (name, number()))).unwrap();
        let shown = |terminal, expanded| {
            let text_style = TextStyle { terminal: Some(terminal), expanded, ..TextStyle::default() };
            render(Format::Table, text_style, &batch)
        };
        insta::assert_snapshot!(shown(60, Expanded::Needed), @r"
         page_name |  first_   | last_touch |   visitor_    |   u
                   |   touch   |            | participation |
        -----------+-----------+------------+---------------+-------
             15.25 |     15.25 |      15.25 |         15.25 | 15.25
        (1 row)
        ");
        let narrow = shown(50, Expanded::Auto);
        assert!(narrow.lines().all(|line| width(line) <= 50) && !narrow.contains('…'), "{narrow}");
        assert!(narrow.lines().nth(1).unwrap().contains("touch"), "{narrow}");
        // nothing is cut while that can be
        let least = shown(45, Expanded::Needed);
        assert!(least.contains("parti") && least.contains('…') && !least.starts_with("-["), "{least}");
        assert!(shown(20, Expanded::Needed).starts_with("-[ row 1 ]"));
        assert_eq!(lines("a_very_long_name", 7), ["a_very_", "long_", "name"]);
        assert_eq!(lines("participation", 8), ["part…ion"]);
        assert_eq!(lines("", 0), [""]);
    }

    /// A row of a text, a number, an instant and a text; the numbers of later rows are wider.
    fn wide(rows: usize) -> arrow::array::RecordBatch {
        use std::sync::Arc;

        use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};

        let texts = || {
            Arc::new((0..rows).map(|_| Some("a long text 東京 🎉 \x1b[2J\tend".to_string())).collect::<StringArray>())
        };
        let number = |row: usize| -> i64 { if row < LOOK_AHEAD { 7 } else { 1_234_567_890_123_456_789 } };
        let numbers: Int64Array = (0..rows).map(|row| Some(number(row))).collect();
        let doubles: Float64Array = (0..rows).map(|row| (row != 1).then_some(-1.0 / 3.0)).collect();
        let times: TimestampMicrosecondArray = (0..rows).map(|_| Some(1_790_000_000_123_456_i64)).collect();
        RecordBatch::try_from_iter([
            ("text", texts() as ArrayRef),
            ("number", Arc::new(numbers) as ArrayRef),
            ("double", Arc::new(doubles) as ArrayRef),
            ("time", Arc::new(times) as ArrayRef),
            ("last", texts() as ArrayRef),
        ])
        .unwrap()
    }

    #[test]
    fn numbers_and_times_are_whole_on_every_terminal() {
        for terminal in [80, 110, 200] {
            for expanded in [Expanded::Needed, Expanded::Off, Expanded::Auto] {
                let text_style = TextStyle { terminal: Some(terminal), expanded, ..TextStyle::default() };
                let text = render(Format::Table, text_style, &wide(LOOK_AHEAD + 1));
                assert!(text.contains("1234567890123456789") && text.contains("-0.3333"), "{terminal}");
                assert!(!text.contains("-0.33333"), "{terminal}");
                assert!(text.contains("2026-09-21T14:13:20.123456"), "{terminal}");
                assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{terminal}");
                if !text.starts_with("-[ row") {
                    assert!(text.lines().take(LOOK_AHEAD).all(|line| width(line) <= terminal), "{terminal}: {text}");
                }
            }
        }
        // numbers are at the right, also beside NULL, and the beginning and the end of a text stay
        let text_style = TextStyle { terminal: Some(80), expanded: Expanded::Needed, ..TextStyle::default() };
        let text = render(Format::Table, text_style, &wide(2));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[2].contains("| -0.3333 |") && lines[3].contains("|    NULL |"), "{text}");
        assert!(lines[2].starts_with(" a ") && lines[2].contains('…') && lines[2].ends_with("end"), "{text}");
        // one line a column only where it is needed, or wanted
        let expanded = |terminal, expanded| {
            let text_style = TextStyle { terminal: Some(terminal), expanded, ..TextStyle::default() };
            render(Format::Table, text_style, &wide(2)).starts_with("-[ row 1 ]")
        };
        assert!(expanded(60, Expanded::Needed) && !expanded(80, Expanded::Needed));
        assert!(expanded(110, Expanded::Auto) && !expanded(200, Expanded::Auto) && !expanded(60, Expanded::Off));
        // a file has everything
        assert!(render(Format::Table, TextStyle::default(), &wide(1)).contains("-0.3333333333333333"));
    }

    #[test]
    fn doubles_are_rounded_for_people() {
        use std::sync::Arc;

        use arrow::array::{ArrayRef, Float32Array, Float64Array};

        let values = [0.1 + 0.2, 100.0 / 3.0, 1e-9 / 3.0, 1234567.891, -0.000123456, 0.99999999, f64::NAN, 1e300, 0.0];
        let text_style = TextStyle { terminal: Some(80), ..TextStyle::default() };
        let shown = |values: ArrayRef| -> Vec<String> {
            let batch = RecordBatch::try_from_iter([("x", values)]).unwrap();
            let text = render(Format::Table, text_style, &batch);
            text.lines().skip(2).map(|line| line.trim().to_string()).filter(|line| !line.contains("row")).collect()
        };
        let expected = ["0.3", "33.3333", "3.333e-10", "1234567.891", "-0.0001235", "1", "NaN", "1e300", "0"];
        assert_eq!(shown(Arc::new(Float64Array::from(values.to_vec()))), expected);
        assert_eq!(shown(Arc::new(Float32Array::from(vec![0.1_f32, 2.5]))), ["0.1", "2.5"]);
    }
}
