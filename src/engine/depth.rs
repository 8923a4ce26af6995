//! Refuses statements whose operators stand in chains that no stack holds: `1 + 1 + 1 + ...`, `UNION ALL ... UNION ALL ...`.
//!
//! Planning walks a chain recursively, so that a long one would end the process. The parser bounds what is nested in
//! parentheses, not what stands side by side.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::{Error, Result};

/// Links of a chain. Planning takes time by their square: 1,000 are 2 seconds in a debug build, and fit a stack of 8 MB.
const LONGEST: usize = 1_000;

/// Counts in one pair of parentheses, or in one CASE.
#[derive(Default)]
struct Level {
    /// It ends with END. A CASE has its branches side by side.
    is_case: bool,
    /// Operators since the last comma or clause.
    operators: usize,
    /// The same of comparisons.
    comparisons: usize,
    /// Joins and set operations; a comma does not part them.
    relations: usize,
}

impl Level {
    /// What follows stands in another chain.
    fn begin_anew(&mut self) {
        (self.operators, self.comparisons) = (0, 0);
    }
}

/// Refuses a text with too long a chain.
pub fn check(sql: &str) -> Result<()> {
    // each link has an operator and an operand
    if sql.len() <= 2 * LONGEST {
        return Ok(());
    }
    // what is no token is for the parser to tell
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return Ok(()) };
    let mut levels = vec![Level::default()];
    for token in &tokens {
        match token {
            Token::LParen => levels.push(Level::default()),
            Token::RParen => {
                // a CASE that is open here never ends
                while levels.len() > 1 && levels.pop().is_some_and(|level| level.is_case) {}
            }
            Token::SemiColon => levels = vec![Level::default()],
            Token::Word(word) if word.keyword == Keyword::CASE => {
                levels.push(Level { is_case: true, ..Level::default() });
            }
            Token::Word(word) if word.keyword == Keyword::END && levels.last().is_some_and(|level| level.is_case) => {
                levels.pop();
            }
            _ => {}
        }
        let Some(level) = levels.last_mut() else { continue };
        match token {
            Token::Comma => level.begin_anew(),
            Token::Whitespace(_) | Token::Number(..) | Token::SingleQuotedString(_) | Token::Placeholder(_) => {}
            Token::LParen | Token::RParen | Token::SemiColon => {}
            // mostly a comparison stands between two operators, so that these are as many
            Token::Eq | Token::Neq | Token::Lt | Token::Gt | Token::LtEq | Token::GtEq => level.comparisons += 1,
            Token::Word(word) => match word.keyword {
                Keyword::NoKeyword => {}
                Keyword::WHEN | Keyword::THEN | Keyword::ELSE if level.is_case => level.begin_anew(),
                Keyword::SELECT | Keyword::FROM | Keyword::WHERE | Keyword::ON | Keyword::GROUP | Keyword::HAVING => {
                    level.begin_anew();
                }
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::JOIN => level.relations += 1,
                _ => level.operators += 1,
            },
            _ => level.operators += 1,
        }
        if level.operators.max(level.relations) > LONGEST || level.comparisons > LONGEST + 1 {
            return Err(Error::query(format!(
                "more than {LONGEST} operators in a row; use IN (...) for many values, or a table that is joined"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn long_chains_are_refused() {
        let many = |link: &str| link.repeat(LONGEST + 1);
        for sql in [
            format!("SELECT {}1", many("1+")),
            format!("SELECT 1{}", many(" UNION ALL SELECT 1")),
            format!("SELECT 1{}", many("::int")),
            format!("SELECT count(*) FROM t WHERE {} true", many("a = 1 OR ")),
            format!("SELECT (a{})", many("[1]")),
            format!("SELECT a{} = a", many(" = a")),
            format!("SELECT 1; SELECT 1 FROM a{}", many(" CROSS JOIN a")),
            format!("SELECT a {}", many("IS NULL ")),
            format!("SELECT {}1", many("CASE WHEN a THEN b ELSE c END + ")),
            format!("SELECT CASE WHEN {}1 THEN b END", many("1 + ")),
            format!("SELECT (CASE WHEN a THEN b) + {}1", many("1 + ")),
        ] {
            assert!(check(&sql).is_err(), "{}", &sql[..40]);
        }
    }

    #[test]
    fn long_statements_are_not() {
        for sql in [
            format!("SELECT {}1", "a + b AS c, ".repeat(5_000)),
            format!("SELECT 1 WHERE a IN ({}1)", "1, ".repeat(50_000)),
            format!("SELECT 1 WHERE {} true", "(a = 1 AND b > 2) OR ".repeat(400)),
            format!("SELECT 1 WHERE {} a = 1", "a = 1 OR ".repeat(LONGEST)),
            "SELECT 1 + 1;".repeat(2_000),
            format!("SELECT CASE {}ELSE 1 END", "WHEN t.oid = 16 THEN -7 ".repeat(5_000)),
            format!("VALUES {}(1)", "(-1, 2 * 3), ".repeat(9_000)),
            format!("SELECT '{}'", "+".repeat(9_000)),
            format!("SELECT '{}", "+".repeat(9_000)),
        ] {
            check(&sql).unwrap();
        }
    }
}
