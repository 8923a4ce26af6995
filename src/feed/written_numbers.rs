//! Numbers of JSON as they stand in its text. A reader makes numbers of 64 bits of them, which loses digits of long ones and zeros
//! at the end (`1.10`, a version, becomes 1.1).
//!
//! In: JSON. Out: the same, in which a number that a reader would write differently is a text with a mark; and the number that such a
//! text stands for.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// Begins a text that is a number.
const MARK: char = '\0';

/// The same in JSON, after the quote that begins a text.
const MARK_IN_JSON: &[u8] = br"\u0000";

/// What Python and others write for what is no number.
const NO_NUMBERS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];

/// A decimal number with at most so many digits is written by a reader as it was.
const DIGITS: usize = 15;

/// The JSON with marks. What is none is as it was, for its reader to tell; so is what has a NUL in a text of its own, which would
/// be taken for a mark.
pub fn marked(json: &[u8]) -> Cow<'_, [u8]> {
    let (mut out, mut done, mut at) = (vec![], 0, 0);
    while at < json.len() {
        match json[at] {
            b'"' => at = end_of_text(json, at + 1),
            b'-' | b'0'..=b'9' => {
                let is_of_number = |byte: &&u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let end = at + json[at..].iter().take_while(is_of_number).count();
                if !is_kept(&json[at..end]) {
                    out.extend_from_slice(&json[done..at]);
                    out.push(b'"');
                    out.extend_from_slice(MARK_IN_JSON);
                    out.extend_from_slice(&json[at..end]);
                    out.push(b'"');
                    done = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    let is_plain = done == 0 || memchr::memmem::find(json, MARK_IN_JSON).is_some();
    if is_plain || serde_json::from_slice::<IgnoredAny>(json).is_err() {
        return Cow::Borrowed(json);
    }
    out.extend_from_slice(&json[done..]);
    Cow::Owned(out)
}

/// The number that a text stands for, as it was written; None for a text that is one.
pub fn number(text: &str) -> Option<&str> {
    text.strip_prefix(MARK)
}

/// The JSON with null for what some write where there is no number, and JSON does not know; None where there is none of it.
pub fn without_nan(json: &[u8]) -> Option<Vec<u8>> {
    let (mut out, mut done, mut at) = (vec![], 0, 0);
    while at < json.len() {
        if json[at] == b'"' {
            at = end_of_text(json, at + 1);
            continue;
        }
        match NO_NUMBERS.iter().find(|word| json[at..].starts_with(word)) {
            Some(word) => {
                out.extend_from_slice(&json[done..at]);
                out.extend_from_slice(b"null");
                at += word.len();
                done = at;
            }
            None => at += 1,
        }
    }
    if done == 0 {
        return None;
    }
    out.extend_from_slice(&json[done..]);
    Some(out)
}

fn end_of_text(json: &[u8], mut at: usize) -> usize {
    while let Some(next) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += next;
        if json[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

/// True where a reader writes this number as it stands here.
fn is_kept(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    if digits.iter().all(u8::is_ascii_digit) {
        // whatever has 18 digits fits 64 bits
        let fits = |text: &str| text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok();
        return digits.len() <= 18 || std::str::from_utf8(number).is_ok_and(fits);
    }
    let Some(point) = memchr::memchr(b'.', digits) else { return false };
    let part = &digits[point + 1..];
    // tiny ones are written with an exponent
    part.iter().all(u8::is_ascii_digit)
        && digits.len() <= DIGITS + 1
        && !digits.starts_with(b"0.000")
        && (part == b"0" || part.last() != Some(&b'0'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::Value;

    use super::*;

    #[test]
    fn numbers_are_kept_as_they_are_written() {
        for number in [
            "0",
            "-1",
            "9223372036854775807",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "340282366920938463463374607431768211456",
            "1.5",
            "1.10",
            "5.0",
            "0.00",
            "0.1234567890123456789",
            "123456789.123456789",
            "0.00001",
            "1e3",
            "1E400",
            "-2.50e-7",
        ] {
            let json = format!("{{\"a\":[{number}, \"{number}\"]}}");
            let value: Value = serde_json::from_slice(&marked(json.as_bytes())).unwrap();
            let written = match &value["a"][0] {
                Value::String(text) => super::number(text).unwrap().to_string(),
                other => other.to_string(),
            };
            assert_eq!(written, number);
            // a text is one whatever is in it
            assert_eq!(value["a"][1], number);
        }
    }

    #[test]
    fn what_is_no_number_is_null() {
        for (json, expected) in [
            ("{\"a\":NaN,\"b\":[-Infinity, 1.10,Infinity]}", Some("{\"a\":null,\"b\":[null, 1.10,null]}")),
            ("{\"NaN\":\"a\\\"NaN\",\"b\":NaN}", Some("{\"NaN\":\"a\\\"NaN\",\"b\":null}")),
            ("NaN", Some("null")),
            ("{\"a\":\"NaN\",\"b\":nan}", None),
            ("{\"a\":\"Infinity", None),
            ("", None),
        ] {
            assert_eq!(without_nan(json.as_bytes()).as_deref(), expected.map(str::as_bytes), "{json}");
        }
    }

    #[test]
    fn everything_else_is_as_it_was() {
        for json in [
            "{}",
            "[1, 2.5, \"1.10\", \"a\\\"1.10\"]",
            "{\"a\": 1.10",
            "{1.10: 1}",
            "[1.10.1]",
            "[01.10]",
            "[\"\\u0000x\", 1.10]",
            "\"\\",
            "\"1.10",
            "",
        ] {
            assert!(matches!(marked(json.as_bytes()), Cow::Borrowed(_)), "{json}");
        }
    }
}
