//! Completion of the word at the cursor: keywords, tables, columns, functions, and backslash commands.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use arrow::datatypes::Field;
use reedline::{Completer, CompletionResult, Span, Suggestion};

use super::command::COMMANDS;
use super::lexer::{Kind, tokens};
use crate::engine::Engine;
use crate::functions::documentation;
use crate::lake::tables::EVENTS;
use crate::quote::quoted_where_needed;

/// Names to complete, filled in while the user types.
#[derive(Clone, Default)]
pub struct CompletionNames(Arc<Mutex<NameLists>>);

#[derive(Default)]
struct NameLists {
    /// Tables and functions.
    names: Vec<Named>,
    /// A table's columns.
    columns: BTreeMap<String, Vec<Named>>,
    suites: Vec<String>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    name: String,
    what: String,
}

/// What a text in quotes stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument {
    Suite,
    Metric,
    Dimension,
    Words(&'static [&'static str]),
}

const MODELS: &[&str] = &[
    "algorithmic",
    "custom(50,20,30)",
    "first_touch",
    "inverse_j",
    "j_shaped",
    "last_touch",
    "linear",
    "participation",
    "same_touch",
    "time_decay(7 days)",
    "u_shaped",
];
const CONTAINERS: &[&str] = &["visit", "visitor"];
const BASES: &[&str] = &["event", "snapshot"];
const LOOKBACKS: &[&str] = &["30 days", "7 days", "90 days", "all"];

impl CompletionNames {
    /// Reads tables, columns and functions. A failure leaves the names as they were.
    pub async fn load(&self, engine: &Engine) {
        let functions = documentation();
        let mut columns = BTreeMap::new();
        let mut found: Vec<Named> =
            functions.iter().map(|f| Named { name: f.name.to_string(), what: f.signature.to_string() }).collect();
        for table in engine.tables().await.unwrap_or_default() {
            found.push(Named { name: table.clone(), what: "table".into() });
            if let Ok(schema) = engine.columns(&table).await {
                let number = |f: &Field| f.data_type().is_numeric();
                let what = |f: &Field| if number(f) { "number" } else { "column" }.to_string();
                let of = schema
                    .fields()
                    .iter()
                    .map(|f| Named { name: quoted_where_needed(f.name()), what: what(f) })
                    .collect();
                columns.insert(table, of);
            }
        }
        found.sort();
        found.dedup_by(|a, b| a.name == b.name);
        let batches = engine.collect("SELECT suite FROM suites ORDER BY suite").await.unwrap_or_default();
        let texts = batches.iter().filter_map(|b| b.column(0).as_string_opt::<i32>());
        let suites = texts.flatten().flatten().map(str::to_string).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = NameLists { names: found, columns, suites };
    }

    /// Columns of the tables that a statement names, or of `events` before it names one.
    fn columns(&self, statement: &str) -> Vec<Named> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let words: Vec<String> = tokens(statement)
            .into_iter()
            .filter(|t| matches!(t.kind, Kind::Word | Kind::Name))
            .map(|t| statement[t.range].trim_matches('"').to_lowercase())
            .collect();
        let named = known.columns.iter().filter(|(table, _)| words.contains(table));
        let mut found: Vec<Named> = named.flat_map(|(_, columns)| columns.iter().cloned()).collect();
        if found.is_empty() {
            found = known.columns.get(EVENTS).cloned().unwrap_or_default();
        }
        found.sort();
        found.dedup();
        found
    }

    /// What can stand in the quotes that are open at the end of `before`.
    fn argument(&self, argument: Argument) -> Vec<Named> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let events = known.columns.get(EVENTS).map(Vec::as_slice).unwrap_or_default();
        let plain = |n: &Named| named(n.name.trim_matches('"'), &n.what);
        match argument {
            Argument::Suite => known.suites.iter().map(|s| named(s, "suite")).collect(),
            Argument::Metric => events.iter().filter(|n| n.what == "number").map(plain).collect(),
            Argument::Dimension => events.iter().filter(|n| n.what == "column").map(plain).collect(),
            Argument::Words(words) => words.iter().map(|w| named(w, "")).collect(),
        }
    }

    fn starting_with(&self, start: &str) -> Vec<Named> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = |name: &str| name.trim_start_matches('"').to_lowercase().starts_with(start);
        known.names.iter().filter(|n| begins(&n.name)).cloned().collect()
    }
}

impl Completer for CompletionNames {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let before = &line[..pos];
        if let Some((start, argument)) = open_text(before) {
            let typed = before[start..].to_lowercase();
            let fitting = self.argument(argument).into_iter().filter(|n| n.name.to_lowercase().starts_with(&typed));
            return CompletionResult::fresh(fitting.map(|n| suggestion(n, start, pos, false)).collect::<Vec<_>>());
        }
        // no word of SQL stands in a text
        if tokens(before).last().is_some_and(|t| t.kind == Kind::Text && t.open) {
            return CompletionResult::fresh(Vec::<Suggestion>::new());
        }
        let start = before
            .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '\\'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
        let word = before[start..].to_lowercase();
        let table_only = before.trim_start().starts_with("\\d ");
        let mut found = vec![];
        if word.starts_with('\\') {
            found.extend(COMMANDS.iter().filter(|c| c.starts_with(&word)).map(|c| named(c, "")));
        } else if !word.is_empty() || table_only {
            found.extend(self.starting_with(&word).into_iter().filter(|n| !table_only || n.what == "table"));
            if !table_only {
                let begins = |n: &Named| n.name.trim_start_matches('"').to_lowercase().starts_with(&word);
                found.extend(self.columns(line).into_iter().filter(begins));
                // as the user writes: lower or upper case
                let upper = before[start..].starts_with(char::is_uppercase);
                let keywords = KEYWORDS.iter().filter(|k| k.starts_with(&word));
                found.extend(keywords.map(|k| named(&if upper { k.to_uppercase() } else { k.to_string() }, "")));
            }
        }
        let suggestions: Vec<Suggestion> = found
            .into_iter()
            .map(|n| {
                let space = !n.what.contains('(');
                suggestion(n, start, pos, space)
            })
            .collect();
        CompletionResult::fresh(suggestions)
    }
}

fn suggestion(found: Named, start: usize, end: usize, append_whitespace: bool) -> Suggestion {
    Suggestion {
        append_whitespace,
        value: found.name,
        description: (!found.what.is_empty()).then_some(found.what),
        span: Span::new(start, end),
        ..Default::default()
    }
}

/// The text in quotes that is open at the end: where it begins, and what belongs there.
fn open_text(before: &str) -> Option<(usize, Argument)> {
    let all = tokens(before);
    let last = all.last().filter(|t| t.kind == Kind::Text && t.open)?;
    let start = last.range.start + 1;
    let mut words = vec![];
    // from the quote back to the open bracket: how many commas, and the name of the argument if it is written
    let (mut depth, mut commas, mut named) = (0, 0, None);
    let mut inside = all[..all.len() - 1].iter().filter(|t| !matches!(t.kind, Kind::Space | Kind::Comment)).rev();
    let mut function = None;
    while let Some(token) = inside.next() {
        let text = &before[token.range.clone()];
        match (text, depth) {
            (")", _) => depth += 1,
            ("(", 0) => {
                function = inside.next().map(|t| before[t.range.clone()].to_lowercase());
                break;
            }
            ("(", _) => depth -= 1,
            (",", 0) => commas += 1,
            (";", _) => break,
            (_, 0) if commas == 0 && token.kind == Kind::Word => {
                named = named.or(Some(text.to_lowercase()));
                words.push(text.to_lowercase());
            }
            _ => {}
        }
    }
    let Some(function) = function else {
        let suite = words.iter().any(|w| w == "suite") && words.iter().any(|w| w == "rejoin" || w == "where");
        return suite.then_some((start, Argument::Suite));
    };
    let signature = documentation().into_iter().find(|f| f.kind == "table" && f.name == function)?.signature;
    let place = signature.split(['(', ',']).nth(commas + 1)?;
    let place = place.trim_matches([' ', '[', ']', ')']).split([' ', '=']).next()?.to_string();
    let argument = match named.unwrap_or(place).as_str() {
        "metric" => Argument::Metric,
        "dimension" => Argument::Dimension,
        "model" | "models" => Argument::Words(MODELS),
        "container" => Argument::Words(CONTAINERS),
        "basis" => Argument::Words(BASES),
        "lookback" => Argument::Words(LOOKBACKS),
        _ => return None,
    };
    Some((start, argument))
}

fn named(name: &str, what: &str) -> Named {
    Named { name: name.to_string(), what: what.to_string() }
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
        let names = CompletionNames::default();
        let columns = vec![named("\"Plan\"", "column"), named("evar5", "column"), named("orders", "number")];
        let other = vec![named("shoe", "column")];
        *names.0.lock().unwrap() = NameLists {
            names: vec![named("events", "table"), named("participation", "f(x)")],
            columns: [("events".to_string(), columns), ("shoes".to_string(), other)].into(),
            suites: vec!["acme".into(), "web".into()],
        };
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

    #[test]
    fn columns_are_those_of_the_tables_that_are_named() {
        assert_eq!(complete("SELECT * FROM shoes WHERE sh"), ["shoe", "SHOW"].map(str::to_lowercase));
        assert!(complete("SELECT * FROM shoes WHERE evar").is_empty());
    }

    #[test]
    fn texts_are_completed_by_what_they_stand_for() {
        assert_eq!(complete("SELECT * FROM participation('o"), ["orders"]);
        assert_eq!(complete("SELECT * FROM participation('orders', 'ev"), ["evar5"]);
        assert_eq!(complete("SELECT * FROM participation('orders', '"), ["Plan", "evar5"]);
        assert_eq!(complete("SELECT * FROM participation('orders', 'evar5', '"), ["visit", "visitor"]);
        assert_eq!(complete("SELECT * FROM attribution('orders', 'evar5', model => 'li"), ["linear"]);
        assert_eq!(complete("SELECT * FROM attribution('orders', 'evar5', 'first"), ["first_touch"]);
        assert_eq!(complete("SET rejoin.suite = 'a"), ["acme"]);
        assert_eq!(complete("SELECT * FROM participation('orders', 'evar5') WHERE item = 'o"), [""; 0]);
    }
}
