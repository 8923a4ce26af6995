//! Values into SQL: wherever a default stands as a name or a literal of its own, another value takes its place, quoted.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::quote::{literal, quoted};
use crate::{Error, Result};

/// The statement with the changes (default, value). Comments stay as they are.
pub(super) fn fill(sql: &str, changes: &[(&str, &str)]) -> Result<String> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize().map_err(|e| Error::bug(format!("report: {e}")))?;
    let value = |default: &str| changes.iter().find(|(d, _)| *d == default).map(|(_, value)| *value);
    let mut out = String::with_capacity(sql.len());
    for token in tokens {
        match &token {
            Token::Word(word) => match value(&word.value) {
                Some(value) => out.push_str(&quoted(value)),
                None => out.push_str(&written(&token)),
            },
            Token::SingleQuotedString(text) => out.push_str(&literal(value(text).unwrap_or(text))),
            _ => out.push_str(&written(&token)),
        }
    }
    Ok(out)
}

/// A token as it is read: the tokenizer takes the second of two quotes away.
fn written(token: &Token) -> String {
    match token {
        Token::SingleQuotedString(text) => literal(text),
        Token::Word(word) if word.quote_style == Some('"') => quoted(&word.value),
        _ => token.to_string(),
    }
}

/// The statement with further arguments (name, value as SQL) at the end of each call of a table function that knows them.
/// None where no call does.
pub(super) fn with_arguments(
    sql: &str,
    arguments: &[(&str, String)],
    knows: impl Fn(&str, &str) -> bool,
) -> Result<Option<String>> {
    let dialect = PostgreSqlDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize().map_err(|e| Error::bug(format!("report: {e}")))?;
    let (mut out, mut open, mut name) = (String::with_capacity(sql.len()), vec![], String::new());
    let mut told = vec![false; arguments.len()];
    for token in tokens {
        match &token {
            Token::LParen => open.push(std::mem::take(&mut name)),
            Token::RParen => {
                let function = open.pop().unwrap_or_default();
                for ((argument, value), told) in arguments.iter().zip(&mut told) {
                    if knows(&function, argument) {
                        out.push_str(&format!(", {argument} => {value}"));
                        *told = true;
                    }
                }
            }
            Token::Word(word) => name = word.value.to_lowercase(),
            Token::Whitespace(_) => {}
            _ => name.clear(),
        }
        out.push_str(&written(&token));
    }
    Ok(told.iter().all(|told| *told).then_some(out))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn calls_get_the_arguments_that_they_know() {
        let knows = |function: &str, argument: &str| function == "f" && argument != "b";
        let with = |sql, name| with_arguments(sql, &[(name, "'1'".to_string())], knows).unwrap();
        let sql = "SELECT sum(\"x\"\"y\"), 'it''s f(' FROM f('a', g(1)) JOIN f (2) -- f(3)";
        let wanted = "SELECT sum(\"x\"\"y\"), 'it''s f(' FROM f('a', g(1), a => '1') JOIN f (2, a => '1') -- f(3)";
        assert_eq!((with(sql, "a").as_deref(), with(sql, "b")), (Some(wanted), None));
    }

    #[test]
    fn names_and_literals_are_quoted_as_what_they_are() {
        let sql = "-- orders\nSELECT sum(orders) AS orders, 'orders', 'it''s', \"orders\", orders2 FROM f('30 days')\n";
        assert_eq!(fill(sql, &[]).unwrap(), sql);
        assert_eq!(
            fill(sql, &[("orders", "it's \"ours\""), ("30 days", "all")]).unwrap(),
            "-- orders\nSELECT sum(\"it's \"\"ours\"\"\") AS \"it's \"\"ours\"\"\", 'it''s \"ours\"', 'it''s', \
             \"it's \"\"ours\"\"\", orders2 FROM f('all')\n"
        );
    }
}
