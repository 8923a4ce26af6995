//! `parse_number(text, decimal_sign)`: a number as people write it: `1.234,56`, `1 234.56`, `EUR 1'234.56`.

use std::sync::Arc;

use arrow::array::{Array, Float64Array};
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::feed::number;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "parse_number",
    kind: "scalar",
    signature: "parse_number(text, decimal_sign)",
    description: "A number as people write it, with signs between thousands and a currency: parse_number('EUR 1.234,56', ','). \
What a bank calls a debit is below 0: '12 DR', '12-', '(12)'. NULL for what is no number. Dates in such files: to_date('31.12.2026', '%d.%m.%Y').",
    example: "SELECT parse_number('1.234,56', ',')",
};

pub(super) fn udf() -> ScalarUDF {
    function("parse_number", vec![DataType::Utf8, DataType::Utf8], DataType::Float64, |rows| {
        let (texts, signs) = (rows.text(0)?, rows.text(1)?);
        let number = |row: usize| -> Result<Option<f64>> {
            if texts.is_null(row) || signs.is_null(row) {
                return Ok(None);
            }
            match signs.value(row) {
                "," => Ok(parse(texts.value(row), ',')),
                "." => Ok(parse(texts.value(row), '.')),
                _ => Err(DataFusionError::Execution("parse_number: the decimal sign is ',' or '.'".into())),
            }
        };
        Ok(Arc::new((0..rows.len).map(number).collect::<Result<Float64Array>>()?))
    })
}

/// Signs of currencies, as far as they are no letters.
const CURRENCIES: [char; 16] = ['$', '€', '£', '¥', '₹', '₽', '₺', '₩', '₪', '₫', '₴', '₦', '₱', '₡', '฿', '¢'];

/// What stands for a minus: also the sign of mathematics, and hyphens and dashes that programs of text put in its place.
const MINUS: [char; 7] = ['-', '\u{2212}', '\u{2010}', '\u{2011}', '\u{2013}', '\u{fe63}', '\u{ff0d}'];

/// The side of an account that an amount stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It came in.
    Credit,
    /// It went out.
    Debit,
}

/// The side that a word at an amount says: `CR` or `DR`; in German `H` (Haben) or `S` (Soll).
pub fn side(word: &str) -> Option<Side> {
    match word {
        "H" => Some(Side::Credit),
        "S" => Some(Side::Debit),
        _ if word.eq_ignore_ascii_case("cr") => Some(Side::Credit),
        _ if word.eq_ignore_ascii_case("dr") => Some(Side::Debit),
        _ => None,
    }
}

/// The side that an amount says: `12.50 CR`, `DR 12.50`. Single letters stand behind it, for `S$` is a currency.
fn side_of(text: &str) -> Option<Side> {
    let mut words = text.trim_end().rsplit(|c: char| !c.is_alphabetic());
    let behind = words.next().and_then(side);
    behind.or_else(|| words.filter(|word| word.len() > 1).find_map(side))
}

/// A number as people write it; None for what is none. Signs between groups of digits and a currency before or after are
/// passed over.
pub fn parse(text: &str, decimal_sign: char) -> Option<f64> {
    let side = side_of(text);
    let text = without_currency(text);
    // accountants' (1.234,56) is a loss
    let (text, in_brackets) = match text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        Some(inner) => (without_currency(inner), true),
        None => (text, false),
    };
    let (mut sign, mut text) = match text.strip_prefix(MINUS).filter(|_| !in_brackets) {
        Some(rest) => ("-", without_currency(rest)),
        None => ("", text.strip_prefix('+').map_or(text, without_currency)),
    };
    let before = text.trim_end_matches(|c: char| MINUS.contains(&c) || c == '\u{2014}');
    if let Some(whole) = before.strip_suffix(decimal_sign).filter(|_| before.len() < text.len()) {
        // a price without cents: 12,-
        text = whole;
    } else if let Some(number) = text.strip_suffix(MINUS).filter(|_| sign.is_empty() && !in_brackets) {
        // books have the sign of a loss behind it: 1.234,56-
        (sign, text) = ("-", without_currency(number));
    }
    let (whole, fraction) = text.split_once(decimal_sign).unwrap_or((text, ""));
    let mut groups = whole
        .split(|c: char| matches!(c, '.' | ',' | '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{202f}') && c != decimal_sign);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let of = |length: usize| rest.iter().rev().skip(1).all(|group| group.len() == length);
    // groups of three, or as in India of two before the last
    let grouped = match rest.last() {
        None => true,
        // 0.125 is a fraction
        Some(_) if first.starts_with('0') => false,
        Some(last) => last.len() == 3 && (1..=3).contains(&first.len()) && (of(3) || of(2) && first.len() < 3),
    };
    if !grouped || !digits(first) || !rest.iter().all(|group| digits(group)) || !digits(fraction) {
        return None;
    }
    let value = number::parse(&format!("{sign}{first}{}.{fraction}", rest.concat()))?;
    match side {
        // which of the two counts is not known
        Some(_) if in_brackets || !sign.is_empty() => None,
        Some(Side::Debit) => Some(-value),
        _ => Some(if in_brackets { -value } else { value }),
    }
}

/// The text without what stands before and after the number; a dot behind a letter ends an abbreviation, as in `kr.` and `Rs.`
fn without_currency(text: &str) -> &str {
    let is_currency = |c: char| c.is_alphabetic() || CURRENCIES.contains(&c) || c.is_whitespace();
    let (mut text, mut is_letter) = (text, false);
    while let Some(first) = text.chars().next().filter(|c| is_currency(*c) || is_letter && *c == '.') {
        is_letter = first.is_alphabetic();
        text = &text[first.len_utf8()..];
    }
    loop {
        text = text.trim_end_matches(is_currency);
        match text.strip_suffix('.').filter(|before| before.ends_with(char::is_alphabetic)) {
            Some(before) => text = before,
            None => return text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_write_them() {
        for (text, sign, number) in [
            ("1.234,56", ',', Some(1234.56)),
            ("1,234.56", '.', Some(1234.56)),
            ("1 234 567,8", ',', Some(1_234_567.8)),
            ("1'234.50 CHF", '.', Some(1234.5)),
            ("EUR -19,99", ',', Some(-19.99)),
            ("-€ 19,99", ',', Some(-19.99)),
            ("(1.000,00)", ',', Some(-1000.0)),
            ("1\u{a0}000 €", ',', Some(1000.0)),
            ("7", ',', Some(7.0)),
            ("1.234,56-", ',', Some(-1234.56)),
            ("1.234,56- EUR", ',', Some(-1234.56)),
            ("19,99 €-", ',', Some(-19.99)),
            ("12,- €", ',', Some(12.0)),
            ("CHF 12.\u{2013}", '.', Some(12.0)),
            ("-12,--", ',', Some(-12.0)),
            ("1.234,50 kr.", ',', Some(1234.5)),
            ("Rs.1,23,45,678.90", '.', Some(12_345_678.9)),
            ("Fr. 12.50", '.', Some(12.5)),
            ("CHF .50", '.', Some(0.5)),
            ("\u{20bd}1\u{202f}000,5", ',', Some(1000.5)),
            ("123,45,678", '.', None),
            ("-1-", ',', None),
            ("1-2", ',', None),
            ("12-", ',', Some(-12.0)),
            ("- 12,50", ',', Some(-12.5)),
            ("+ 12,50 €", ',', Some(12.5)),
            ("1.234,56 -", ',', Some(-1234.56)),
            ("\u{2013}7", '.', Some(-7.0)),
            ("\u{ff0d}7", '.', Some(-7.0)),
            ("EUR (12,50)", ',', Some(-12.5)),
            ("(EUR 12,50)", ',', Some(-12.5)),
            ("($1,234.50) USD", '.', Some(-1234.5)),
            ("12 CR", '.', Some(12.0)),
            ("12 DR", '.', Some(-12.0)),
            ("1,234.56Dr.", '.', Some(-1234.56)),
            ("cr. 12.50", '.', Some(12.5)),
            ("DR 12.50", '.', Some(-12.5)),
            ("\u{20b9} 1,00,000.00 Dr", '.', Some(-100_000.0)),
            ("12.50 DR EUR", '.', Some(-12.5)),
            ("1.234,56 EUR S", ',', Some(-1234.56)),
            ("1.234,56 H", ',', Some(1234.56)),
            ("S$ 12.50", '.', Some(12.5)),
            ("12.50 S$", '.', Some(12.5)),
            ("12,50 Drs", ',', Some(12.5)),
            ("(12)", '.', Some(-12.0)),
            ("-12 DR", '.', None),
            ("(12) CR", '.', None),
            ("12- DR", '.', None),
            ("DR", '.', None),
            ("(12,50-)", ',', None),
            ("(-12,50)", ',', None),
            ("-(12,50)", ',', None),
            ("0.125", ',', None),
            ("0.125", '.', Some(0.125)),
            (",5", ',', Some(0.5)),
            ("1.23", ',', None),
            ("1234.567", ',', None),
            ("12,34,56", '.', None),
            ("1,2,3", ',', None),
            ("12 apples 3", '.', None),
            ("--1", '.', None),
            ("", ',', None),
            ("-", ',', None),
        ] {
            assert_eq!(parse(text, sign), number, "{text}");
        }
    }
}
