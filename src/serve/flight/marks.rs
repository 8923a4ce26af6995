//! `?` of a statement, as drivers of ODBC, JDBC and ADBC write parameters: `$1`, `$2`, ... in their order.

use crate::ErrorKind;
use crate::serve::failure::{Failure, Reason};

/// A statement with numbers in place of question marks. What stands in quotes and comments stays as it is.
///
/// # Errors
/// It has parameters of both kinds, so that it is not known which is which.
pub fn numbered(sql: &str) -> Result<String, Failure> {
    if !sql.contains('?') {
        return Ok(sql.to_string());
    }
    let (mut out, mut rest) = (String::with_capacity(sql.len() + 8), sql);
    let (mut count, mut has_numbers) = (0, false);
    while let Some(sign) = rest.chars().next() {
        let length = match sign {
            '\'' => quoted(rest, '\'', is_escaped(&out)),
            '"' => quoted(rest, '"', false),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '$' => match rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
                true => {
                    has_numbers = true;
                    1
                }
                false => dollars(rest),
            },
            '?' => {
                count += 1;
                out.push_str(&format!("${count}"));
                rest = &rest[1..];
                continue;
            }
            other => other.len_utf8(),
        };
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    match count > 0 && has_numbers {
        true => {
            let message = "the statement has parameters of both kinds, ? and $1; write one kind";
            Err(Failure::new(Reason::Engine(ErrorKind::Query), message))
        }
        false => Ok(out),
    }
}

/// True where the text before a quote ends with the `E` of a text with escapes.
fn is_escaped(before: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    before.strip_suffix(['e', 'E']).is_some_and(|rest| !rest.ends_with(part))
}

/// Bytes of what stands in quotes at the beginning; a doubled quote is one of the text.
fn quoted(text: &str, quote: char, escapes: bool) -> usize {
    let mut signs = text.char_indices().skip(1).peekable();
    while let Some((at, sign)) = signs.next() {
        if escapes && sign == '\\' {
            signs.next();
        } else if sign == quote {
            match signs.peek() {
                Some((_, next)) if *next == quote => drop(signs.next()),
                _ => return at + sign.len_utf8(),
            }
        }
    }
    text.len()
}

/// Bytes of a comment at the beginning, which may have others within.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Bytes of `$tag$ ... $tag$` at the beginning, or of the sign alone.
fn dollars(text: &str) -> usize {
    let Some(tag) = text[1..].find('$').map(|end| &text[..end + 2]) else { return 1 };
    if !tag[1..tag.len() - 1].chars().all(|c| c.is_alphanumeric() || c == '_') {
        return 1;
    }
    text[tag.len()..].find(tag).map_or(text.len(), |end| end + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn marks_are_counted_where_they_are_parameters() {
        for (sql, expected) in [
            ("SELECT ?, a FROM t WHERE b >? AND c IN (?,?)", "SELECT $1, a FROM t WHERE b >$2 AND c IN ($3,$4)"),
            ("SELECT '?''?', \"a?\", E'\\'?', ?", "SELECT '?''?', \"a?\", E'\\'?', $1"),
            ("SELECT 1 -- ?\n, ? /* ? /* ? */ ? */ , ?", "SELECT 1 -- ?\n, $1 /* ? /* ? */ ? */ , $2"),
            ("SELECT $$?$$, $a$ ? $a$, ?", "SELECT $$?$$, $a$ ? $a$, $1"),
            ("SELECT 'ä', ?", "SELECT 'ä', $1"),
            ("SELECT date'\\', ?", "SELECT date'\\', $1"),
            ("SELECT $1", "SELECT $1"),
            ("SELECT 'open ?", "SELECT 'open ?"),
        ] {
            assert_eq!(numbered(sql).unwrap(), expected, "{sql}");
        }
        assert!(numbered("SELECT $1, ?").unwrap_err().message.contains("both kinds"));
    }
}
