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
NULL for what is no number. Dates in such files: to_date('31.12.2026', '%d.%m.%Y').",
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

/// None for what is no number. Signs between groups of three digits and a currency before or after are passed over.
fn parse(text: &str, decimal_sign: char) -> Option<f64> {
    let text = text.trim();
    // accountants' (1.234,56) is a loss
    let (text, in_brackets) = match text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        Some(inner) => (inner, true),
        None => (text, false),
    };
    let is_currency = |c: char| c.is_alphabetic() || matches!(c, '$' | '€' | '£' | '¥' | '₹') || c.is_whitespace();
    let text = text.trim_matches(is_currency);
    let (sign, text) = match text.strip_prefix(['-', '\u{2212}']) {
        Some(rest) => ("-", rest.trim_start_matches(is_currency)),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once(decimal_sign).unwrap_or((text, ""));
    let mut groups = whole
        .split(|c: char| matches!(c, '.' | ',' | '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{202f}') && c != decimal_sign);
    let first = groups.next().unwrap_or_default();
    let rest: Vec<&str> = groups.collect();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let grouped = rest.is_empty() || (1..=3).contains(&first.len()) && rest.iter().all(|group| group.len() == 3);
    if !grouped || !digits(first) || !rest.iter().all(|group| digits(group)) || !digits(fraction) {
        return None;
    }
    let value = number::parse(&format!("{sign}{first}{}.{fraction}", rest.concat()))?;
    Some(if in_brackets { -value } else { value })
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
