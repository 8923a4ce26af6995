//! The caret escapes of Adobe's lists (`event_list`, `product_list`, list variables): `^` before `,` `;` `=` `^` makes
//! it data. A caret before anything else stands for itself.

use std::borrow::Cow;

use crate::columns::LIST_SEPARATOR;

/// The parts of `text` between those `separator`s (an ASCII character) that no caret escapes; still escaped.
pub fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut from = 0;
        while let Some(found) = memchr::memchr2(separator, b'^', &text.as_bytes()[from..]) {
            let at = from + found;
            if text.as_bytes()[at] == separator {
                rest = Some(&text[at + 1..]);
                return Some(&text[..at]);
            }
            from = at + if escapes(text.as_bytes(), at) { 2 } else { 1 };
        }
        rest = None;
        Some(text)
    })
}

/// `text` at the first `separator` that no caret escapes.
pub fn split_once(text: &str, separator: u8) -> Option<(&str, &str)> {
    let first = split(text, separator).next()?;
    (first.len() < text.len()).then(|| (first, &text[first.len() + 1..]))
}

/// `text` with its escapes resolved.
pub fn unescape(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let Some(first) = memchr::memchr_iter(b'^', bytes).find(|at| escapes(bytes, *at)) else {
        return Cow::Borrowed(text);
    };
    let mut plain = String::with_capacity(text.len());
    let (mut copied, mut at) = (0, first);
    while at < bytes.len() {
        if escapes(bytes, at) {
            plain.push_str(&text[copied..at]);
            copied = at + 1;
            at += 2;
        } else {
            at += 1;
        }
    }
    plain.push_str(&text[copied..]);
    Cow::Owned(plain)
}

/// The values of a cell of a multi-valued dimension: parts between `--**--`, escapes resolved, empty ones left out.
pub fn list_values(cell: &str) -> impl Iterator<Item = Cow<'_, str>> {
    cell.split(LIST_SEPARATOR).filter(|value| !value.is_empty()).map(unescape)
}

/// The inverse of [`list_values`]: a value is escaped only where it would not come back otherwise.
pub fn join_list<'a>(values: impl Iterator<Item = &'a str>, cell: &mut String) {
    for value in values {
        if !cell.is_empty() {
            cell.push_str(LIST_SEPARATOR);
        }
        match unescape(value) {
            Cow::Borrowed(_) => cell.push_str(value),
            Cow::Owned(_) => cell.push_str(&value.replace('^', "^^")),
        }
    }
}

/// Appends `text` with the escapes that [`unescape`] resolves.
pub fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        if matches!(c, ',' | ';' | '=' | '^') {
            out.push('^');
        }
        out.push(c);
    }
}

fn escapes(bytes: &[u8], at: usize) -> bool {
    bytes[at] == b'^' && matches!(bytes.get(at + 1), Some(b',' | b';' | b'=' | b'^'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_between_unescaped_separators() {
        let parts = |text, separator| split(text, separator).collect::<Vec<_>>();
        assert_eq!(parts("a^,b,c^^,d", b','), ["a^,b", "c^^", "d"]);
        assert_eq!(parts("", b','), [""]);
        assert_eq!(parts(",", b','), ["", ""]);
        assert_eq!(parts("a^", b','), ["a^"]);
        assert_eq!(parts("a^|b", b'|'), ["a^", "b"]);
        assert_eq!(split_once("a^=b=c=d", b'='), Some(("a^=b", "c=d")));
        assert_eq!(split_once("a=", b'='), Some(("a", "")));
        assert_eq!(split_once("a", b'='), None);
    }

    #[test]
    fn unescapes() {
        for (text, plain) in
            [("a^,b", "a,b"), ("^^^^", "^^"), ("^", "^"), ("a^b", "a^b"), ("é^;é", "é;é"), ("^^,", "^,"), ("", "")]
        {
            assert_eq!(unescape(text), plain, "{text}");
            let mut escaped = String::new();
            escape(text, &mut escaped);
            assert_eq!(unescape(&escaped), text, "{escaped}");
        }
    }

    #[test]
    fn lists_come_back() {
        assert_eq!(list_values("a^,b--**----**--c").collect::<Vec<_>>(), ["a,b", "c"]);
        assert_eq!(list_values("").count(), 0);
        for value in ["Socks, red", "a^b", "a^,b", "^^", "^", "^,", "^^^", "a;b=c"] {
            let mut cell = String::new();
            join_list([value, "x"].into_iter(), &mut cell);
            assert_eq!(list_values(&cell).collect::<Vec<_>>(), [value, "x"], "{cell}");
        }
        let mut cell = String::new();
        join_list(["Socks, red"].into_iter(), &mut cell);
        assert_eq!(cell, "Socks, red");
    }
}
