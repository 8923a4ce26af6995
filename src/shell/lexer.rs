//! Where SQL statements end and what their words are, also in text that is not finished.
//!
//! Follows the engine's dialect: `'text'`, `"name"`, `-- comment`, `/* comment */` (nested). Every byte of the input is
//! in exactly one token.

use std::ops::Range;

/// What a piece of SQL is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Word,
    Number,
    Text,
    Name,
    Comment,
    Semicolon,
    Space,
    Symbol,
}

/// A piece of SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it is, in bytes.
    pub range: Range<usize>,
    /// A quote or comment that is still open.
    pub open: bool,
}

/// The tokens of a text.
pub fn tokens(sql: &str) -> Vec<Token> {
    let mut found = vec![];
    let mut start = 0;
    while let Some(first) = sql[start..].chars().next() {
        let (kind, length, open) = next(&sql[start..], first);
        found.push(Token { kind, range: start..start + length, open });
        start += length;
    }
    found
}

/// The end of the last complete statement, after its semicolon.
pub fn complete_until(sql: &str) -> Option<usize> {
    tokens(sql).iter().rfind(|t| t.kind == Kind::Semicolon).map(|t| t.range.end)
}

/// True when nothing but spaces and comments is there.
pub fn is_blank(sql: &str) -> bool {
    tokens(sql).iter().all(|t| matches!(t.kind, Kind::Space | Kind::Comment | Kind::Semicolon) && !t.open)
}

/// Kind and length of the token that `rest` begins with.
fn next(rest: &str, first: char) -> (Kind, usize, bool) {
    let run = |kind, belongs: fn(char) -> bool| (kind, rest.find(|c| !belongs(c)).unwrap_or(rest.len()), false);
    match first {
        ';' => (Kind::Semicolon, 1, false),
        '\'' => quoted(Kind::Text, rest, '\''),
        '"' => quoted(Kind::Name, rest, '"'),
        '-' if rest.starts_with("--") => (Kind::Comment, rest.find('\n').unwrap_or(rest.len()), false),
        '/' if rest.starts_with("/*") => block_comment(rest),
        c if c.is_whitespace() => run(Kind::Space, char::is_whitespace),
        c if c.is_ascii_digit() => run(Kind::Number, |c| c.is_ascii_alphanumeric() || c == '.'),
        c if c.is_alphabetic() || c == '_' => run(Kind::Word, |c| c.is_alphanumeric() || c == '_'),
        c => (Kind::Symbol, c.len_utf8(), false),
    }
}

/// A doubled quote inside is one token's end and the next one's begin, which changes nothing for our use.
fn quoted(kind: Kind, rest: &str, quote: char) -> (Kind, usize, bool) {
    match rest[1..].find(quote) {
        Some(at) => (kind, at + 2, false),
        None => (kind, rest.len(), true),
    }
}

fn block_comment(rest: &str) -> (Kind, usize, bool) {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = rest.as_bytes();
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => (depth, at) = (depth + 1, at + 2),
            b"*/" => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return (Kind::Comment, at, false);
        }
    }
    (Kind::Comment, rest.len(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_at_semicolons_outside_quotes_and_comments() {
        assert_eq!(complete_until("SELECT 1; SELECT"), Some(9));
        assert_eq!(complete_until("SELECT 1"), None);
        for open in ["SELECT ';", "SELECT \";", "-- ;", "/* ; ", "/* /* */ ; ", "SELECT 'it''s ;"] {
            assert_eq!(complete_until(open), None, "{open}");
        }
        for whole in ["SELECT ';';", "SELECT 'it''s';", "-- ;\nSELECT 1;", "/* /* */ ; */ SELECT 1;", "SELECT '\\';"] {
            assert_eq!(complete_until(whole), Some(whole.len()), "{whole}");
        }
    }

    #[test]
    fn tokens_cover_every_byte() {
        for sql in ["SELECT größe, 1.5e3 FROM \"Plan x\" -- ende", "'/*", "/*/", "/*", "é;ü", "\"", "/**/", "-"] {
            let mut end = 0;
            for token in tokens(sql) {
                assert_eq!(token.range.start, end);
                assert!(token.range.end > end);
                end = token.range.end;
            }
            assert_eq!(end, sql.len(), "{sql}");
        }
    }

    #[test]
    fn blank() {
        assert!(is_blank(" \n-- nothing\n;;") && is_blank(""));
        assert!(!is_blank("SELECT") && !is_blank("/* open"));
    }
}
