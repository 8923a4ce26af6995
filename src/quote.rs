//! Names and texts as SQL needs them: the one way to quote.

/// A quoted identifier.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// An identifier, quoted where it has to be: friendly names have spaces and capitals.
pub fn quoted_where_needed(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_string() } else { quoted(name) }
}

/// A text literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Text literals, separated by commas.
pub fn literals<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    texts.into_iter().map(literal).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_quotes_stays_there() {
        assert_eq!((quoted("a\"b"), literal("it's")), ("\"a\"\"b\"".into(), "'it''s'".into()));
        assert_eq!(
            (quoted_where_needed("evar5"), quoted_where_needed("Plan A")),
            ("evar5".into(), "\"Plan A\"".into())
        );
        assert_eq!(literals(["a", "b"]), "'a', 'b'");
    }
}
