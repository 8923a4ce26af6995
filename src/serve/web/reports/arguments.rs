//! What a question says, as arguments of table functions in SQL. Whatever was typed stays a text.

use super::filters::{WHOSE, condition};
use super::period::Period;
use super::question::Question;
use crate::Result;
use crate::quote::literal;

/// What conversions and their sums depend on.
pub(super) const OF_CONVERSIONS: [&str; 8] =
    ["since", "until", "segment", "conversions", "touches", "visitors", "visits", "last_resort"];

/// What a list of credits, the path of one conversion, and a list of paths depend on.
pub(super) const OF_CREDITS: [&[&str]; 2] = [&["container", "model", "lookback", "by"], &OF_CONVERSIONS];
pub(super) const OF_ONE_PATH: [&str; 7] =
    ["container", "lookback", "segment", "touches", "visitors", "visits", "last_resort"];
pub(super) const OF_PATHS: [&[&str]; 3] = [&["container", "lookback"], &OF_CONVERSIONS, &["repeats"]];

/// `, name => 'value'` for each of these arguments that the question has a value for.
pub(super) fn arguments(question: &Question, period: &Period, names: &[&str]) -> Result<String> {
    let mut written = String::new();
    for name in names {
        let value = match *name {
            "since" => period.since.clone(),
            "until" => period.until.clone(),
            name if WHOSE.iter().any(|(whose, _)| *whose == name) => condition(question, name)?.unwrap_or_default(),
            name => question.get(name).to_string(),
        };
        if !value.is_empty() {
            written.push_str(&format!(", {name} => {}", literal(&value)));
        }
    }
    Ok(written)
}

/// The condition that an item's name holds what is looked for, in either case; nothing where nothing is.
pub(super) fn found_in(item: &str, question: &Question) -> String {
    match question.get("find") {
        "" => String::new(),
        text => format!("\nWHERE strpos(lower({item}), lower({})) > 0", literal(text)),
    }
}

/// The rows of an answer that are shown, unless asked otherwise, and at most.
const ROWS: u32 = 50;
pub(super) const MOST_ROWS: u32 = 1000;

/// As many rows as are asked for.
pub(super) fn limit(question: &Question) -> u32 {
    question.get("limit").parse().unwrap_or(ROWS).clamp(1, MOST_ROWS)
}

/// The order that is asked for, by a column's number, with `-` from the largest down; of rows that are alike there the usual one.
pub(super) fn order(question: &Question, columns: usize, usual: &str) -> String {
    match sorted_by(question, columns) {
        Some((column, true)) => format!("{column} DESC NULLS LAST, {usual}"),
        Some((column, false)) => format!("{column} NULLS LAST, {usual}"),
        None => usual.to_string(),
    }
}

/// The number of the column, and whether it is sorted from the largest down.
pub(super) fn sorted_by(question: &Question, columns: usize) -> Option<(usize, bool)> {
    let text = question.get("sort");
    let column = text.trim_start_matches('-').parse::<usize>().ok()?;
    (1..=columns).contains(&column).then_some((column, text.starts_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_their_order() {
        let of = Question::parse;
        assert_eq!((limit(&of("limit=5;+DROP")), limit(&of("limit=0")), limit(&of("limit=9999"))), (50, 1, 1000));
        assert_eq!(order(&of("sort=-2"), 3, "1"), "2 DESC NULLS LAST, 1");
        assert_eq!(order(&of("sort=3"), 3, "1"), "3 NULLS LAST, 1");
        for other in ["sort=4", "sort=0", "sort=-", "sort=1;DROP", ""] {
            assert_eq!(order(&of(other), 3, "1"), "1", "{other}");
        }
        assert_eq!(found_in("item", &of("find=O'R")), "\nWHERE strpos(lower(item), lower('O''R')) > 0");
    }
}
