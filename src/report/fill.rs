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
                None => out.push_str(&token.to_string()),
            },
            Token::SingleQuotedString(text) => out.push_str(&literal(value(text).unwrap_or(text))),
            _ => out.push_str(&token.to_string()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

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
