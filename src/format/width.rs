//! How wide text is on a terminal, and text that cannot drive one.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Columns that the text takes on a terminal: 2 for East Asian wide characters and emoji, 0 for combining marks.
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char_width).sum() }
}

/// The text with everything escaped that moves a cursor, changes colours, or reorders the line.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        // writing to a String cannot fail
        let _ = match c {
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if is_unprintable(c) && c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)),
            c if is_unprintable(c) => write!(out, "\\u{{{:x}}}", u32::from(c)),
            c => out.write_char(c),
        };
    }
    Cow::Owned(out)
}

/// The text cut to `columns`: its beginning and its end, with an ellipsis for what is missing between them.
pub fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let room = columns.saturating_sub(1);
    let begin = bytes_within(text.chars(), room.div_ceil(2));
    let end = bytes_within(text.chars().rev(), room / 2);
    // a mark without its letter would stand on the ellipsis
    let end = text[text.len() - end..].trim_start_matches(|c| char_width(c) == 0);
    Cow::Owned(format!("{}…{end}", &text[..begin]))
}

/// Bytes of the first characters that take no more than `columns`.
fn bytes_within(chars: impl Iterator<Item = char>, columns: usize) -> usize {
    let mut used = 0;
    let within = chars.take_while(|c| {
        used += char_width(*c);
        used <= columns
    });
    within.map(char::len_utf8).sum()
}

/// Control characters, line and paragraph separators, and marks that turn the direction of text.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Ranges of characters that take no column (combining marks, joiners) and two (East Asian wide, emoji), after
/// Unicode's EastAsianWidth and general categories; scripts that stack marks are covered coarsely.
const ZERO: &[(u32, u32)] = &[
    (0x0300, 0x036f),
    (0x0483, 0x0489),
    (0x0591, 0x05bd),
    (0x0610, 0x061a),
    (0x064b, 0x065f),
    (0x0e31, 0x0e31),
    (0x0e34, 0x0e3a),
    (0x0e47, 0x0e4e),
    (0x1ab0, 0x1aff),
    (0x1dc0, 0x1dff),
    (0x200b, 0x200f),
    (0x2060, 0x2064),
    (0x20d0, 0x20ff),
    (0xfe00, 0xfe0f),
    (0xfe20, 0xfe2f),
    (0xfeff, 0xfeff),
    (0xe0100, 0xe01ef),
];
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115f),
    (0x231a, 0x231b),
    (0x23e9, 0x23ec),
    (0x25fd, 0x25fe),
    (0x2614, 0x2615),
    (0x2648, 0x2653),
    (0x26a1, 0x26a1),
    (0x26bd, 0x26be),
    (0x26d4, 0x26d4),
    (0x2705, 0x2705),
    (0x270a, 0x270b),
    (0x2728, 0x2728),
    (0x274c, 0x274c),
    (0x2753, 0x2755),
    (0x2757, 0x2757),
    (0x2795, 0x2797),
    (0x2b1b, 0x2b1c),
    (0x2b50, 0x2b50),
    (0x2e80, 0x303e),
    (0x3041, 0xa4cf),
    (0xa960, 0xa97f),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff00, 0xff60),
    (0xffe0, 0xffe6),
    (0x16fe0, 0x18cff),
    (0x1b000, 0x1b2ff),
    (0x1f004, 0x1f004),
    (0x1f0cf, 0x1f0cf),
    (0x1f18e, 0x1f19a),
    (0x1f200, 0x1f320),
    (0x1f32d, 0x1f64f),
    (0x1f680, 0x1f6ff),
    (0x1f7e0, 0x1f7eb),
    (0x1f90c, 0x1f9ff),
    (0x1fa70, 0x1faff),
    (0x20000, 0x3fffd),
];

fn char_width(c: char) -> usize {
    let within = |ranges: &[(u32, u32)]| {
        let at = ranges.partition_point(|&(_, end)| end < u32::from(c));
        ranges.get(at).is_some_and(|&(start, _)| start <= u32::from(c))
    };
    match c {
        ' '..='~' => 1,
        _ if within(ZERO) => 0,
        _ if within(WIDE) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        assert_eq!(width("plan"), 4);
        assert_eq!(width("größe"), 5);
        assert_eq!(width("cafe\u{301}"), 4);
        assert_eq!(width("東京"), 4);
        assert_eq!(width("🎉 ok"), 5);
        assert!(ZERO.is_sorted() && WIDE.is_sorted());
    }

    #[test]
    fn text_is_cut_by_width() {
        assert_eq!(fit("plan", 4), "plan");
        assert_eq!(fit("plans", 4), "pl…s");
        assert_eq!(fit("https://example.com/a/long/path?id=7", 20), "https://ex…path?id=7");
        assert_eq!(fit("東京都", 5), "東…都");
        assert_eq!(fit("東京都", 4), "東…");
        assert_eq!(fit("abcde\u{301}f", 4), "ab…f");
        assert_eq!(fit("ab\u{301}cd\u{301}", 3), "a…d\u{301}");
        assert_eq!(fit("plans", 1), "…");
    }

    #[test]
    fn nothing_drives_the_terminal() {
        assert_eq!(printable("größe 東京"), "größe 東京");
        assert_eq!(printable("a\tb\nc\r"), "a\\tb\\nc\\r");
        assert_eq!(printable("\x1b[31mred\u{9b}2J\u{7f}"), "\\x1b[31mred\\u{9b}2J\\x7f");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(printable("\u{5d0}\u{200f}\u{61c}\u{200e}"), "\u{5d0}\\u{200f}\\u{61c}\\u{200e}");
    }
}
