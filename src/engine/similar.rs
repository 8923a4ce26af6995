//! `SIMILAR TO`: SQL's regular expressions, which hold for the whole text and know `%` and `_`. DataFusion takes the pattern for
//! a regular expression as it stands.

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{BinaryExpr, Like};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, Operator, lit};

/// Makes a regular expression of the pattern of each `SIMILAR TO`.
#[derive(Debug)]
pub(super) struct RewriteSimilar;

impl FunctionRewrite for RewriteSimilar {
    fn name(&self) -> &str {
        "similar_to"
    }

    fn rewrite(&self, expr: Expr, _: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        as_regex(expr)
    }
}

/// An expression that is a `SIMILAR TO`, as a match of a regular expression.
pub(super) fn as_regex(expr: Expr) -> Result<Transformed<Expr>> {
    let Like { negated, expr: value, pattern, escape_char, .. } = match expr {
        Expr::SimilarTo(like) => like,
        other => return Ok(Transformed::no(other)),
    };
    let pattern = match pattern.as_ref() {
        Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => {
            let regex = regex_of(text, escape_char.unwrap_or('\\'));
            lit(regex.map_err(|why| DataFusionError::Plan(format!("SIMILAR TO {text:?}: {why}")))?)
        }
        Expr::Literal(value, _) if value.is_null() => lit(ScalarValue::Utf8(None)),
        _ => {
            let message =
                "SIMILAR TO takes a pattern that is written as a text; ~ takes a regular expression that is computed";
            return Err(DataFusionError::Plan(message.into()));
        }
    };
    let operator = if negated { Operator::RegexNotMatch } else { Operator::RegexMatch };
    Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(value, operator, Box::new(pattern)))))
}

/// The regular expression of a pattern in SQL, in which a sign takes the one after it as it is.
fn regex_of(pattern: &str, escape: char) -> Result<String, &'static str> {
    let mut out = String::from("(?s)^(?:");
    let mut signs = pattern.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            sign if sign == escape => match signs.next() {
                None => return Err("it ends with the sign that takes the next one as it is"),
                Some('"') => return Err("parts of a match are not told apart here"),
                Some(next) => literal(next, &mut out),
            },
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '[' => {
                out.push('[');
                let mut first = true;
                loop {
                    match signs.next() {
                        None => return Err("a bracket is open"),
                        Some(']') if !first => break,
                        Some('^') if first => {
                            out.push('^');
                            continue;
                        }
                        Some(sign) if sign == escape => match signs.next() {
                            Some(next) => literal(next, &mut out),
                            None => return Err("a bracket is open"),
                        },
                        // classes such as [:alpha:] are those of regular expressions
                        Some('[') if signs.peek() == Some(&':') => {
                            out.push('[');
                            for sign in signs.by_ref() {
                                out.push(sign);
                                if sign == ']' {
                                    break;
                                }
                            }
                        }
                        Some('-') => out.push('-'),
                        Some(sign) => literal(sign, &mut out),
                    }
                    first = false;
                }
                out.push(']');
            }
            '|' | '*' | '+' | '?' | '{' | '}' | ')' => out.push(sign),
            other => literal(other, &mut out),
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// A sign that stands for itself.
fn literal(sign: char, out: &mut String) {
    if sign.is_ascii_punctuation() {
        out.push('\\');
    }
    out.push(sign);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn patterns_of_sql() {
        for (pattern, expected) in [
            ("a%", "(?s)^(?:a.*)$"),
            ("%(b|d)%", "(?s)^(?:.*(?:b|d).*)$"),
            ("a_c.", "(?s)^(?:a.c\\.)$"),
            ("10\\%", "(?s)^(?:10\\%)$"),
            ("[^a-c]{2}", "(?s)^(?:[^a-c]{2})$"),
            ("[[:digit:]]+", "(?s)^(?:[[:digit:]]+)$"),
            ("^$", "(?s)^(?:\\^\\$)$"),
        ] {
            assert_eq!(regex_of(pattern, '\\').unwrap(), expected, "{pattern}");
        }
        assert_eq!(regex_of("a#%b\\", '#').unwrap(), "(?s)^(?:a\\%b\\\\)$");
        for wrong in ["a\\", "[a", "a\\\"b"] {
            assert!(regex_of(wrong, '\\').is_err(), "{wrong}");
        }
    }
}
