//! Completion of the word at the cursor: keywords, tables, columns, functions, and backslash commands.

use std::sync::{Arc, Mutex, PoisonError};

use reedline::{Completer, CompletionResult, Span, Suggestion};

use crate::engine::Engine;
use crate::functions::documentation;

/// Names to complete, filled in while the user types.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<Vec<Named>>>);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    name: String,
    what: String,
}

impl Names {
    /// Reads tables, columns and functions. A failure leaves the names as they were.
    pub async fn load(&self, engine: &Engine) {
        let functions = documentation();
        let mut found: Vec<Named> =
            functions.iter().map(|f| Named { name: f.name.to_string(), what: f.signature.to_string() }).collect();
        for table in engine.tables().await.unwrap_or_default() {
            found.push(Named { name: table.clone(), what: "table".into() });
            // what the words of a query mostly are; other tables' columns would drown them
            if matches!(table.as_str(), "events" | "visits" | "visitors" | "join_report" | "files") {
                let schema = engine.columns(&table).await.ok();
                let fields = schema.iter().flat_map(|s| s.fields().iter());
                found.extend(fields.map(|f| Named { name: quoted(f.name()), what: "column".into() }));
            }
        }
        found.sort();
        found.dedup_by(|a, b| a.name == b.name);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    fn starting_with(&self, start: &str) -> Vec<Named> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = |name: &str| name.trim_start_matches('"').to_lowercase().starts_with(start);
        known.iter().filter(|n| begins(&n.name)).cloned().collect()
    }
}

impl Completer for Names {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let before = &line[..pos];
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\\'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        let word = before[start..].to_lowercase();
        let table_only = before.trim_start().starts_with("\\d ");
        let mut found = vec![];
        if word.starts_with('\\') {
            let commands = ["\\q", "\\?", "\\d", "\\dt", "\\df", "\\x", "\\timing", "\\format", "\\i", "\\o"];
            found.extend(commands.iter().filter(|c| c.starts_with(&word)).map(|c| named(c, "")));
        } else if !word.is_empty() || table_only {
            found.extend(self.starting_with(&word).into_iter().filter(|n| !table_only || n.what == "table"));
            if !table_only {
                // as the user writes: lower or upper case
                let upper = before[start..].starts_with(char::is_uppercase);
                let keywords = KEYWORDS.iter().filter(|k| k.starts_with(&word));
                found.extend(keywords.map(|k| named(&if upper { k.to_uppercase() } else { k.to_string() }, "")));
            }
        }
        let suggestions: Vec<Suggestion> = found
            .into_iter()
            .map(|n| Suggestion {
                append_whitespace: !n.what.contains('('),
                value: n.name,
                description: (!n.what.is_empty()).then_some(n.what),
                span: Span::new(start, pos),
                ..Default::default()
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

fn named(name: &str, what: &str) -> Named {
    Named { name: name.to_string(), what: what.to_string() }
}

/// A name as SQL needs it: friendly names have spaces and capitals.
fn quoted(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// True for a word of the SQL language.
pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word.to_lowercase().as_str()).is_ok()
}

/// Sorted.
const KEYWORDS: &[&str] = &[
    "all",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "between",
    "by",
    "case",
    "cast",
    "copy",
    "create",
    "cross",
    "current",
    "date",
    "desc",
    "describe",
    "distinct",
    "drop",
    "else",
    "end",
    "except",
    "exists",
    "explain",
    "extract",
    "false",
    "filter",
    "first",
    "following",
    "from",
    "full",
    "group",
    "having",
    "ilike",
    "in",
    "inner",
    "insert",
    "intersect",
    "interval",
    "into",
    "is",
    "join",
    "last",
    "left",
    "like",
    "limit",
    "not",
    "null",
    "nulls",
    "offset",
    "on",
    "or",
    "order",
    "outer",
    "over",
    "partition",
    "preceding",
    "qualify",
    "range",
    "right",
    "row",
    "rows",
    "select",
    "set",
    "show",
    "table",
    "then",
    "timestamp",
    "to",
    "true",
    "unbounded",
    "union",
    "using",
    "values",
    "view",
    "when",
    "where",
    "window",
    "with",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn complete(line: &str) -> Vec<String> {
        let names = Names::default();
        *names.0.lock().unwrap() = vec![
            named("\"Plan\"", "column"),
            named("events", "table"),
            named("evar5", "column"),
            named("participation", "f(x)"),
        ];
        names.clone().complete(line, line.len()).suggestions().iter().map(|s| s.value.clone()).collect()
    }

    #[test]
    fn words_are_completed() {
        assert!(KEYWORDS.is_sorted());
        assert_eq!(complete("select * from ev"), ["events", "evar5"]);
        assert_eq!(complete("SELECT pl"), ["\"Plan\""]);
        assert_eq!(complete("SEL"), ["SELECT"]);
        assert_eq!(complete("\\d e"), ["events"]);
        assert_eq!(complete("\\ti"), ["\\timing"]);
        assert!(complete("größe ").is_empty());
    }
}
