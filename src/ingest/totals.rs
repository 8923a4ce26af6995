//! Lines at the end of a file that only add up those before it, as tills and reports write them.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};

use super::amounts::is_amount;
use crate::distinct_texts::coded_texts;

/// What such a line says in one of its cells, in small letters.
const WORDS: [&str; 12] = [
    "total",
    "totals",
    "grand total",
    "subtotal",
    "sum",
    "summe",
    "gesamt",
    "gesamtsumme",
    "gesamtbetrag",
    "totale",
    "totaal",
    "somme",
];

/// True where a cell of the row says so.
pub fn says_total(rows: &RecordBatch, row: usize) -> bool {
    cells(rows, row).any(is_total)
}

/// True where the first cell that says something of a line of delimited text says so.
pub fn begins_with_total(line: &str) -> bool {
    let mut cells = line.split([';', ',', '|', '\t']).map(|cell| cell.trim().trim_matches('"'));
    cells.find(|cell| !cell.is_empty()).is_some_and(is_total)
}

/// True where the row says nothing but amounts, whatever its other columns are for.
pub fn has_amounts_alone(rows: &RecordBatch, row: usize) -> bool {
    let is_either = |text: &str| ['.', ','].iter().any(|sign| is_amount(text, *sign));
    cells(rows, row).next().is_some() && cells(rows, row).all(is_either)
}

/// The texts of a row, without those that are empty.
fn cells(rows: &RecordBatch, row: usize) -> impl Iterator<Item = &str> {
    let texts = rows.columns().iter().filter_map(move |column| text_at(column, row));
    texts.map(str::trim).filter(|text| !text.is_empty())
}

fn text_at(column: &ArrayRef, row: usize) -> Option<&str> {
    let (texts, at) = match coded_texts(column) {
        Some((rows, texts)) => (texts, rows.key(row)?),
        None => (column.as_string_opt::<i32>()?, row),
    };
    texts.is_valid(at).then(|| texts.value(at))
}

/// True for such a word, whatever count stands behind it: `Total:`, `TOTAL (5 rows)`.
pub fn is_total(text: &str) -> bool {
    let text = text.trim().to_lowercase();
    WORDS.iter().any(|word| {
        let rest = text.strip_prefix(*word).map(str::trim_start);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '(']))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::StringArray;
    use arrow::compute::cast;

    use super::*;
    use crate::distinct_texts::coded_type;

    #[test]
    fn words_of_totals() {
        for text in ["Total", "TOTAL (5 rows)", "Summe:", " grand total ", "Gesamt"] {
            assert!(is_total(text), "{text}");
        }
        for text in ["", "totally", "Summer sale", "T-1", "total eclipse"] {
            assert!(!is_total(text), "{text}");
        }
        assert!(begins_with_total(";;\"Summe\";12,50") && begins_with_total("TOTAL"));
        assert!(!begins_with_total("4711|Total|3") && !begins_with_total(""));
    }

    #[test]
    fn lines_that_add_up() {
        let texts = |texts: [Option<&str>; 4]| Arc::new(StringArray::from(texts.to_vec())) as ArrayRef;
        let rows = RecordBatch::try_from_iter([
            ("receipt", texts([Some("4711"), Some("SUMME"), None, Some("")])),
            ("day", texts([Some("05.10.2026"), None, Some(" "), None])),
            ("amount", texts([Some("19,90"), Some("1.099,60"), Some("-1.099,60 €"), None])),
        ])
        .unwrap();
        assert_eq!([0, 1, 2, 3].map(|row| says_total(&rows, row)), [false, true, false, false]);
        assert_eq!([1, 2, 3].map(|row| has_amounts_alone(&rows, row)), [false, true, false]);
        let coded = rows.columns().iter().map(|column| cast(column, &coded_type()).unwrap());
        let coded = RecordBatch::try_from_iter(["receipt", "day", "amount"].into_iter().zip(coded)).unwrap();
        assert_eq!([0, 1, 2, 3].map(|row| says_total(&coded, row)), [false, true, false, false]);
        let days = [Some("soon"), Some("05.13.2026"), Some("2026-13-05"), Some("1:00")];
        let wrong = RecordBatch::try_from_iter([("day", texts(days)), ("n", texts([Some("1"); 4]))]).unwrap();
        assert!((0..4).all(|row| !has_amounts_alone(&wrong, row)));
    }
}
