//! Amounts as people write them, in cells of which nobody said what they are.

use crate::functions::parse_number::parse;

/// Longer words beside a number are no currency: `EUR`, `kr`, `Rs`.
const CURRENCY_LETTERS: usize = 3;

/// True for what is an amount where this sign stands before a fraction: `12`, `-1.234,50`, `99,95 €`, `EUR 1.234,50-`.
pub fn is_amount(text: &str, decimal_sign: char) -> bool {
    let mut words = text.split(|c: char| !c.is_alphabetic());
    words.all(|word| word.chars().count() <= CURRENCY_LETTERS) && parse(text, decimal_sign).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_what_is_none() {
        let amounts = ["12", "-1.234,50", "99,95 €", "1.234,56-", "1.234,56 -", "(1.234,50)", "EUR (12,50)", "kr 5"];
        for text in amounts.into_iter().chain(["\u{2212}5", "$ -5", "12 CR", "12,50 DR"]) {
            assert!(is_amount(text, ','), "{text}");
        }
        for text in ["", "-", "5 apples", "Halle 7", "1:00", "2026-10-05", "05.10.2026", "1,2,3", "#1001"] {
            assert!(!is_amount(text, ',') && !is_amount(text, '.'), "{text}");
        }
        assert!(is_amount("1,234.5", '.') && !is_amount("1,234.5", ','));
    }
}
