//! `regexp_matches(text, pattern [, flags])`: what a pattern's parentheses match, or the whole match where it has none, an array a match.
//! With the flag `g` all matches, else the first one. Where it stands in a FROM each match is a row, see `engine::list_rows`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ListBuilder, StringArray, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::error::Result;
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};
use regex::{Regex, RegexBuilder};

use super::rows::function_of;
use crate::Error;

/// Bytes of the matches of a call, at most.
const MOST: usize = 80 << 20;

/// The function.
pub fn udf() -> ScalarUDF {
    let list_of = |item| DataType::List(Arc::new(Field::new_list_field(item, true)));
    let texts = |count| TypeSignature::Exact(vec![DataType::Utf8; count]);
    let signature = Signature::one_of(vec![texts(2), texts(3)], Volatility::Immutable);
    function_of("regexp_matches", signature, list_of(list_of(DataType::Utf8)), |rows| {
        let (texts, patterns) = (rows.text(0)?, rows.text(1)?);
        let flags = if rows.width() > 2 { rows.text(2)? } else { StringArray::from(vec![""; rows.len]) };
        matches(&texts, &patterns, &flags)
    })
}

fn matches(texts: &StringArray, patterns: &StringArray, flags: &StringArray) -> Result<ArrayRef> {
    let mut lists = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    let mut bytes = 0;
    // of the row before, most likely of all
    let mut known: Option<(&str, &str, Regex)> = None;
    for i in 0..texts.len() {
        if texts.is_null(i) || patterns.is_null(i) || flags.is_null(i) {
            lists.append(false);
            continue;
        }
        let (text, pattern, said) = (texts.value(i), patterns.value(i), flags.value(i));
        if known.as_ref().is_none_or(|(of, with, _)| (*of, *with) != (pattern, said)) {
            known = Some((pattern, said, regex(pattern, said)?));
        }
        let Some((_, _, regex)) = &known else { continue };
        let most = if said.contains('g') { usize::MAX } else { 1 };
        // a pattern without parentheses is one as a whole
        let first = usize::from(regex.captures_len() > 1);
        for captures in regex.captures_iter(text).take(most) {
            for part in captures.iter().skip(first) {
                let part = part.map(|part| part.as_str());
                bytes += size_of::<i32>() + part.map_or(0, str::len);
                lists.values().values().append_option(part);
            }
            lists.values().append(true);
            if bytes > MOST {
                let message = format!("regexp_matches finds more than {} MB at once", MOST >> 20);
                return Err(Error::out_of_memory(message).into());
            }
        }
        lists.append(true);
    }
    Ok(Arc::new(lists.finish()))
}

/// A pattern as its flags say: `i` for either case, `n` and `m` for lines, `s` for a dot that is also the end of a line, `x` for blanks
/// that mean nothing, `c` and `g` for nothing of it.
fn regex(pattern: &str, flags: &str) -> Result<Regex> {
    let mut builder = RegexBuilder::new(pattern);
    for flag in flags.chars() {
        match flag {
            'i' => builder.case_insensitive(true),
            'm' | 'n' => builder.multi_line(true),
            's' => builder.dot_matches_new_line(true),
            'x' => builder.ignore_whitespace(true),
            'c' => builder.case_insensitive(false),
            'g' => &mut builder,
            other => return Err(Error::query(format!("regexp_matches knows no flag {other}")).into()),
        };
    }
    let why = "regexp_matches: the pattern is no regular expression, or too large";
    builder.build().map_err(|_| Error::query(why).into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::AsArray;

    use super::*;

    #[test]
    fn flags_of_patterns() {
        assert!(regex("A b", "ix").unwrap().is_match("xaB"));
        assert!(regex("^b$", "gn").unwrap().is_match("a\nb"));
        assert!(!regex("^b$", "g").unwrap().is_match("a\nb"));
        assert!(regex("a.b", "s").unwrap().is_match("a\nb"));
        let texts = |texts: &[&str]| StringArray::from(texts.to_vec());
        let found = matches(&texts(&["xaxb", "q"]), &texts(&["x(.)", "x"]), &texts(&["g", ""])).unwrap();
        let lists = found.as_list::<i32>();
        assert_eq!((lists.value(0).len(), lists.value(1).len()), (2, 0));
        let second = lists.value(0).as_list::<i32>().value(1);
        assert_eq!(second.as_string::<i32>(), &texts(&["b"]));
        for (pattern, flags) in [("a", "q"), ("(", ""), ("(a{1000}){1000}", "")] {
            assert!(regex(pattern, flags).is_err(), "{pattern:?} {flags:?}");
        }
    }
}
