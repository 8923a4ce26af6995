//! How a delimited text is written: what stands before its line of names, and what its cells say where they say nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use arrow::array::{AsArray, RecordBatch};

use super::column::quoted;
use crate::feed::text::{Encoding, Utf8Reader};
use crate::ingest::cells::time_in;
use crate::ingest::delimited::{DELIMITERS, Delimited};
use crate::ingest::input_file::InputFile;
use crate::ingest::unpack::unpacked;

/// So much of a file is looked at for its line of names, in so many lines.
const MAX_BYTES: u64 = 64 << 10;
const MAX_LINES: usize = 50;
/// Rows below it that have as many fields.
const MIN_ROWS: usize = 1;
/// What programs write where there is no value.
const NOTHING: [&str; 10] =
    ["\\N", "NULL", "null", "(null)", "<null>", "None", "N/A", "#N/A", "undefined", "(not set)"];

/// How a file is written whose line of names does not come first: reports begin with titles, or with comments.
pub(super) fn preamble(input: &InputFile) -> Option<Delimited> {
    let encoding = Encoding::detect(unpacked(input).ok()?).ok()?;
    let mut start = vec![];
    Utf8Reader::new(unpacked(input).ok()?, encoding).take(MAX_BYTES).read_to_end(&mut start).ok()?;
    preamble_of(&String::from_utf8_lossy(&start))
}

fn preamble_of(text: &str) -> Option<Delimited> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.skip_while(|line| line.to_lowercase().starts_with("sep=")).take(MAX_LINES).collect();
    let says_nothing = |rest: &str| rest.is_empty() || rest.starts_with([' ', '-']);
    let is_comment = |line: &str| line.strip_prefix('#').is_some_and(says_nothing);
    let comment = lines.first().is_some_and(|line| is_comment(line)).then_some(b'#');
    let lines: Vec<&str> = lines.into_iter().filter(|line| comment.is_none() || !line.starts_with('#')).collect();
    let found = DELIMITERS.into_iter().filter_map(|sign| Some((sign, names_at(&lines, sign)?)));
    // commas within texts separate other lines than those that have names
    let (delimiter, (_, skip)) = found.max_by_key(|(_, (names, before))| (Reverse(*before), *names))?;
    let delimiter = Some(delimiter).filter(|_| skip > 0);
    (skip > 0 || comment.is_some()).then(|| Delimited { delimiter, skip, comment, ..Delimited::default() })
}

/// Where lines that this sign separates have their names: how many there are, and how many lines are before them.
fn names_at(lines: &[&str], sign: u8) -> Option<(usize, usize)> {
    let widths: Vec<usize> = lines.iter().map(|line| cells(line, sign).len()).collect();
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    widths.iter().filter(|width| **width > 1).for_each(|width| *counts.entry(*width).or_default() += 1);
    let (width, rows) = counts.into_iter().max_by_key(|(width, rows)| (*rows, *width))?;
    let names = widths.iter().position(|other| *other == width)?;
    // a title has few fields, and a name is no number
    let are_titles = widths[..names].iter().all(|other| 2 * other <= width);
    let is_value = |cell: &&str| cell.parse::<f64>().is_ok() || time_in(cell).is_some();
    let has_value = cells(lines[names], sign).iter().any(is_value);
    (rows > MIN_ROWS && are_titles && !has_value).then_some((width, names))
}

/// The cells of a line, without quotes.
fn cells(line: &str, sign: u8) -> Vec<&str> {
    let mut is_quoted = false;
    let ends = |byte: char| {
        is_quoted ^= byte == '"';
        !is_quoted && byte == char::from(sign)
    };
    line.split(ends).map(|cell| cell.trim().trim_matches('"')).collect()
}

/// The texts that say that there is no value, as far as some row has them.
pub(super) fn nothing_in(rows: &RecordBatch) -> Vec<String> {
    let columns = rows.columns().iter().filter_map(|column| column.as_string_opt::<i32>());
    let texts = columns.flat_map(|texts| texts.iter().flatten()).filter(|text| NOTHING.contains(text));
    let texts: BTreeSet<&str> = texts.collect();
    texts.into_iter().map(String::from).collect()
}

/// What a mapping says of it.
pub(super) fn settings(delimited: &Delimited) -> Vec<String> {
    let sign = |sign: u8| if sign == b'\t' { quoted("\\t") } else { quoted(&char::from(sign).to_string()) };
    let nothing: Vec<String> = delimited.null_values.iter().map(|text| quoted(text)).collect();
    let settings = [
        delimited.delimiter.map(|delimiter| format!("delimiter = {}", sign(delimiter))),
        delimited.comment.map(|comment| format!("comment = {}", sign(comment))),
        (delimited.skip > 0).then(|| format!("skip = {}   # lines before the one of names", delimited.skip)),
        (!nothing.is_empty()).then(|| format!("null_values = [{}]", nothing.join(", "))),
    ];
    settings.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_the_names() {
        let of = |text: &str| preamble_of(text).map(|found| (found.delimiter, found.comment, found.skip));
        let ads = "Campaign report\n\"Sep 1, 2026 - Sep 30, 2026\"\nDay,Campaign,Currency,Cost\n";
        let rows = "2026-09-01,a,EUR,\"1,5\"\nTotal,--,EUR,2\n";
        assert_eq!(of(&format!("{ads}{rows}")), Some((Some(b','), None, 2)));
        let titles = "\"Konto:\";\"DE12\";\n\n\"Von:\";\"01.09.2026\";\r\n";
        let names = "\"Tag\";\"Wert\";\"Text\";\"Betrag\";\"Art\";\"x\"\r\n";
        assert_eq!(of(&format!("{titles}{names}{}", "1;2;3;4;5;6\n".repeat(2))), Some((Some(b';'), None, 2)));
        let analytics = "# ------\n# Traffic\n# 20260901-20260930\n\nDate,Campaign,Sessions\n20260901,a,3\n";
        assert_eq!(of(analytics), Some((None, Some(b'#'), 0)));
        for plain in [
            "a,b\n1,2\n",
            "a,b,c\n1,2\n3,4\n",
            "user\n1,2,3,4\n5,6,7,8\n",
            "#,name\n1,x\n2,y\n",
            "sep=;\na;b\n1;2\n",
            "n;a;b\nabc, def, ghi;1,5;2,5 €\njkl, mno, pqr;1,5;2,5 €\n",
            "a\n1\n",
            "a,b,,,\n1,2,3,4,5\n",
            "",
        ] {
            assert_eq!(of(plain), None, "{plain}");
        }
    }
}
