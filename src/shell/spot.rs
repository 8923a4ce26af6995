//! The place in the SQL that an error is about: the line, and a caret under the word.
//!
//! In: the SQL as it was typed, and an error. Out: the error, with the place where one is known.

use super::lexer::{Kind, tokens};
use crate::Error;
use crate::error::Spot;

/// Longest part of a line that is shown.
const SHOWN: usize = 100;

/// The error with the line of SQL below it, as psql shows it.
pub fn marked(sql: &str, error: Error) -> Error {
    match error.spot().and_then(|about| place(sql, about)) {
        Some(at) => error.followed_by(&picture(sql, at)),
        None => error,
    }
}

/// Where in `sql` that is, in bytes.
pub fn place(sql: &str, about: &Spot) -> Option<usize> {
    let name = match about {
        Spot::LineAndColumn(line, column) => {
            let start = match line {
                1 => 0,
                _ => sql.match_indices('\n').nth(line - 2)?.0 + 1,
            };
            let rest = &sql[start..];
            return rest.char_indices().nth(column - 1).map(|(at, _)| start + at).or(Some(sql.trim_end().len()));
        }
        Spot::Name(name) => name.rsplit('.').next().filter(|n| !n.is_empty())?,
    };
    tokens(sql)
        .into_iter()
        .filter(|t| matches!(t.kind, Kind::Word | Kind::Name))
        .find(|t| sql[t.range.clone()].trim_matches('"').eq_ignore_ascii_case(name))
        .map(|t| t.range.start)
}

/// `LINE 2: SELECT nme FROM x` with a caret below; of a long line the part around the place.
fn picture(sql: &str, at: usize) -> String {
    let start = sql[..at].rfind('\n').map_or(0, |n| n + 1);
    let end = sql[at..].find('\n').map_or(sql.len(), |n| at + n);
    let before: Vec<char> = sql[start..at].chars().collect();
    let from = before.len().saturating_sub(SHOWN / 2);
    let cut = if from > 0 { "..." } else { "" };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = sql[start..end].chars().skip(from).take(SHOWN).map(plain).collect();
    let title = format!("LINE {}: {cut}", sql[..at].matches('\n').count() + 1);
    let indent = title.chars().count() + before.len() - from;
    format!("{title}{text}\n{}^", " ".repeat(indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str, message: &str, about: Spot) -> String {
        marked(sql, Error::query(message).at_spot(about)).to_string()
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        assert_eq!(
            shown("SELECT 1,\n  nme FROM x", "there is no column x.nme; did you mean name?", Spot::Name("nme".into())),
            "there is no column x.nme; did you mean name?\nLINE 2:   nme FROM x\n          ^"
        );
        assert_eq!(
            shown("SELEC 1", "expected a statement", Spot::LineAndColumn(1, 1)),
            "expected a statement\nLINE 1: SELEC 1\n        ^"
        );
        assert_eq!(marked("SELECT 1", Error::query("too hot")).to_string(), "too hot");
    }

    #[test]
    fn odd_places_do_no_harm() {
        for (line, column) in [(1, 99), (9, 1), (2, 1), (1, 5)] {
            for sql in ["", "ä\nö", "SELECT 'größe'", "\n\n"] {
                assert!(shown(sql, "x", Spot::LineAndColumn(line, column)).starts_with('x'));
            }
        }
        let long = format!("SELECT {} nme", "a, ".repeat(200));
        assert!(shown(&long, "no", Spot::Name("nme".into())).lines().all(|l| l.len() < 130));
    }
}
