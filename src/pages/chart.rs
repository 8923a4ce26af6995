//! A picture of a table: which columns it takes, as the JSON that `page.js` draws. It has no number that the table lacks.

use maud::{Markup, PreEscaped, html};
use serde_json::{Value, json};

use super::table::Table;

/// How a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Lying bars, for items with names.
    Bars,
    /// Standing bars, for numbers in order.
    Columns,
    /// Lines over days.
    Lines,
    /// From the items of one column to those of the next.
    Flow,
}

impl Kind {
    /// Rows beyond which a picture is no longer read; the table has the others.
    fn rows(self) -> usize {
        match self {
            Kind::Bars => 15,
            Kind::Columns => 60,
            Kind::Lines => 1000,
            Kind::Flow => 40,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Bars => "bars",
            Kind::Columns => "columns",
            Kind::Lines => "lines",
            Kind::Flow => "flow",
        }
    }
}

/// A picture of a table whose first column names the rows. Of a flow, the second names where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    kind: Kind,
    series: Vec<usize>,
    shown: Vec<usize>,
    max: Option<u32>,
}

impl Chart {
    /// Of these columns.
    pub fn new(kind: Kind, series: impl IntoIterator<Item = usize>) -> Self {
        let series: Vec<usize> = series.into_iter().collect();
        Self { kind, shown: series.clone(), series, max: None }
    }

    /// Only these columns at first; the reader can switch the others on.
    pub fn showing(mut self, columns: impl IntoIterator<Item = usize>) -> Self {
        self.shown = columns.into_iter().collect();
        self
    }

    /// The axis ends here.
    pub fn up_to(mut self, max: u32) -> Self {
        self.max = Some(max);
        self
    }

    /// The picture's place, hidden until the script draws it. Nothing where there is nothing to draw.
    pub fn html(&self, id: &str, title: &str, table: &Table) -> Markup {
        let drawable: Vec<usize> = (0..table.rows.len())
            .filter(|row| self.series.iter().any(|column| table.rows[*row][*column].value().is_some()))
            .collect();
        let drawn = &drawable[..drawable.len().min(self.kind.rows())];
        html! {
            @if !drawn.is_empty() {
                figure hidden {
                    div.legend {}
                    div.chart role="img" id=(id) aria-label={ (title) "; the table below has the numbers" } {}
                    @if drawn.len() < table.count {
                        figcaption { "Drawn: " (drawn.len()) " of " (table.count) " rows." }
                    }
                    script type="application/json" { (PreEscaped(safe_json(&self.json(table, drawn)))) }
                }
            }
        }
    }

    fn json(&self, table: &Table, rows: &[usize]) -> Value {
        let labels: Vec<String> = rows.iter().map(|row| table.rows[*row][0].label()).collect();
        let targets = (self.kind == Kind::Flow)
            .then(|| rows.iter().map(|row| table.rows[*row][1].label()).collect::<Vec<String>>());
        let series = self.series.iter().map(|column| {
            let values: Vec<Option<f64>> = rows.iter().map(|row| table.rows[*row][*column].value()).collect();
            json!({"name": table.columns[*column], "values": values, "shown": self.shown.contains(column)})
        });
        json!({"kind": self.kind.name(), "labels": labels, "targets": targets, "max": self.max,
            "series": series.collect::<Vec<_>>()})
    }
}

/// JSON that can stand in a script element: nothing in it ends the element or a line.
fn safe_json(value: &Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn json_cannot_leave_its_script() {
        let hostile = json!({"</script><!--": "a\u{2028}b\u{2029}&\"'\\"});
        let text = safe_json(&hostile);
        assert!(!text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), hostile);
    }
}
