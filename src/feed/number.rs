//! Numbers as Adobe's files write them: decimal, with a point, finite.

/// The number, or `None` where `text` is none: `inf`, `nan`, hex, units and decimal commas are no numbers.
pub fn parse(text: &str) -> Option<f64> {
    let plain = |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E');
    if !text.bytes().all(plain) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Why `text` is no number, with a hint where the mistake is a known one.
pub fn why_not(text: &str) -> String {
    let shown = super::row_issue::clip(text, 60);
    let hint = if text.contains(',') && parse(&text.replace(',', ".")).is_some() {
        "; write the decimal sign as a point, without thousands separators"
    } else if text.contains(',') && parse(&text.replace(',', "")).is_some() {
        "; leave out thousands separators"
    } else {
        ""
    };
    format!("{shown:?} is no number{hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_decimals_only() {
        for (text, number) in [("1", 1.0), ("-0.5", -0.5), ("+3", 3.0), ("1e3", 1000.0), (".5", 0.5), ("0", 0.0)] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "inf", "NaN", "-inf", "1,5", "0x10", "1e999", "--1", "e", ".", "1 2", "١"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn hints() {
        assert!(why_not("1,5").contains("point"));
        assert!(why_not("1,234,567.5").contains("thousands"));
        assert_eq!(why_not("x"), "\"x\" is no number");
    }
}
