//! The place in the SQL that an error is about: the line, and a caret under the word.
//!
//! In: the SQL as it was typed, and an error. Out: the error, with the place where one is known.

use super::lexer::{Kind, tokens};
use crate::Error;

/// Longest part of a line that is shown.
const SHOWN: usize = 100;

/// The error with the line of SQL below it, as psql shows it.
pub fn marked(sql: &str, error: Error) -> Error {
    match spot(sql, &error.to_string()) {
        Some(at) => Error::new(error.kind(), format!("{error}\n{}", picture(sql, at))),
        None => error,
    }
}

/// Where in `sql` a message points to, in bytes.
fn spot(sql: &str, message: &str) -> Option<usize> {
    if let Some((line, column)) = line_and_column(message) {
        let start = match line {
            1 => 0,
            _ => sql.match_indices('\n').nth(line - 2)?.0 + 1,
        };
        let rest = &sql[start..];
        return rest.char_indices().nth(column - 1).map(|(at, _)| start + at).or(Some(sql.trim_end().len()));
    }
    let name = ["there is no column ", "there is no table ", "Invalid function '", "table function '"]
        .into_iter()
        .find_map(|before| message.split_once(before))?
        .1;
    let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '.').collect();
    let last = name.rsplit('.').next().filter(|n| !n.is_empty())?;
    tokens(sql)
        .into_iter()
        .filter(|t| matches!(t.kind, Kind::Word | Kind::Name))
        .find(|t| sql[t.range.clone()].trim_matches('"').eq_ignore_ascii_case(last))
        .map(|t| t.range.start)
}

/// The parser's `Line: 1, Column: 8`, both from 1.
fn line_and_column(message: &str) -> Option<(usize, usize)> {
    let number = |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<usize>().ok();
    let rest = message.split_once("Line: ")?.1;
    let line = number(rest)?;
    let column = number(rest.split_once("Column: ")?.1)?;
    (line > 0 && column > 0).then_some((line, column))
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

    fn shown(sql: &str, message: &str) -> String {
        marked(sql, Error::query(message)).to_string()
    }

    #[test]
    fn the_caret_stands_under_the_place() {
        assert_eq!(
            shown("SELECT 1,\n  nme FROM x", "there is no column x.nme; did you mean name?"),
            "there is no column x.nme; did you mean name?\nLINE 2:   nme FROM x\n          ^"
        );
        assert_eq!(
            shown("SELEC 1", "expected a statement at Line: 1, Column: 1"),
            "expected a statement at Line: 1, Column: 1\nLINE 1: SELEC 1\n        ^"
        );
        assert_eq!(shown("SELECT 1", "too hot"), "too hot");
    }

    #[test]
    fn odd_places_do_no_harm() {
        for (line, column) in [(1, 99), (9, 1), (2, 1), (0, 0), (1, 5)] {
            for sql in ["", "ä\nö", "SELECT 'größe'", "\n\n"] {
                assert!(shown(sql, &format!("x at Line: {line}, Column: {column}")).starts_with("x at"));
            }
        }
        let long = format!("SELECT {} nme", "a, ".repeat(200));
        assert!(shown(&long, "there is no column nme").lines().all(|l| l.len() < 130));
    }
}
