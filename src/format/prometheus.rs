//! Prometheus' text format (0.0.4): numbers with their names and what they say.

use std::fmt::Write;

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page of metrics. One without a value is left out.
#[derive(Default)]
pub struct Page(String);

impl Page {
    /// A metric of one value; `kind` is gauge or counter.
    pub fn one(&mut self, name: &str, kind: &str, help: &str, value: Option<f64>) {
        if let Some(value) = value {
            self.head(name, kind, help);
            self.line(format_args!("{name} {value}"));
        }
    }

    /// A metric of a value for each of some labels.
    pub fn by<'v>(
        &mut self,
        name: &str,
        kind: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, f64)>,
    ) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_some() {
            self.head(name, kind, help);
        }
        for (of, value) in values {
            self.line(format_args!("{name}{{{label}=\"{of}\"}} {value}"));
        }
    }

    /// The page.
    pub fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // writing to a String does not fail
        let _ = writeln!(self.0, "{line}");
    }
}
