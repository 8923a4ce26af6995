//! PostgreSQL's patterns of numbers (`9,990.00`), as its manual has them under "Data Type Formatting".

/// A pattern that has been read.
#[derive(Debug, PartialEq)]
pub struct NumberPattern {
    parts: Vec<Part>,
    /// Digits before and after the decimal point.
    whole: usize,
    fraction: usize,
    fill: bool,
    sign: Sign,
    /// `th` after it.
    ordinal: Option<bool>,
}

#[derive(Debug, PartialEq, Clone)]
enum Part {
    /// `9`, or `0`, which is always shown.
    Digit {
        shown: bool,
    },
    Point,
    Group,
    Sign,
    Text(String),
}

#[derive(Debug, PartialEq, Clone, Copy)]
enum Sign {
    /// A minus, or a blank, right before the first digit.
    Before,
    /// Where `S` or `MI` stands: minus, and else this.
    There(&'static str),
    /// Angle brackets.
    Brackets,
}

impl NumberPattern {
    /// Reads a pattern.
    pub fn read(pattern: &str) -> Result<Self, String> {
        let mut read = Self { parts: vec![], whole: 0, fraction: 0, fill: true, sign: Sign::Before, ordinal: None };
        let (mut rest, mut point) = (pattern, false);
        let starts = |text: &str, word: &str| text.get(..word.len()).is_some_and(|t| t.eq_ignore_ascii_case(word));
        while let Some(next) = rest.chars().next() {
            let mut length = next.len_utf8();
            match next {
                '9' | '0' => {
                    read.parts.push(Part::Digit { shown: next == '0' });
                    if point { read.fraction += 1 } else { read.whole += 1 }
                }
                '.' | 'D' | 'd' if !point => {
                    read.parts.push(Part::Point);
                    point = true;
                }
                ',' | 'G' | 'g' => read.parts.push(Part::Group),
                '"' => {
                    let quoted = rest[1..].split('"').next().unwrap_or_default();
                    read.parts.push(Part::Text(quoted.to_string()));
                    length = (quoted.len() + 2).min(rest.len());
                }
                _ if starts(rest, "FM") => (read.fill, length) = (false, 2),
                _ if starts(rest, "MI") => {
                    read.parts.push(Part::Sign);
                    (read.sign, length) = (Sign::There(" "), 2);
                }
                _ if starts(rest, "PR") => (read.sign, length) = (Sign::Brackets, 2),
                _ if starts(rest, "TH") => (read.ordinal, length) = (Some(next == 'T'), 2),
                'S' | 's' => {
                    read.parts.push(Part::Sign);
                    // SG is the same where it stands
                    (read.sign, length) = (Sign::There("+"), if starts(rest, "SG") { 2 } else { 1 });
                }
                '.' | 'V' | 'v' | 'E' | 'e' | 'L' | 'l' | 'R' | 'r' => {
                    return Err(format!(
                        "{rest:?} in the pattern {pattern:?} is not offered; there are 9 0 . , D G S SG MI PR FM TH"
                    ));
                }
                other => read.parts.push(Part::Text(other.to_string())),
            }
            rest = &rest[length..];
        }
        if read.sign == Sign::Brackets && read.parts.contains(&Part::Sign) {
            return Err(format!("the pattern {pattern:?} has two signs"));
        }
        Ok(read)
    }

    /// A number, given by its decimal digits, by this pattern.
    pub fn write(&self, number: &str) -> Result<String, String> {
        let (negative, digits) = match number.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, number),
        };
        let Some((whole, fraction)) = rounded(digits, self.fraction) else {
            // NaN and the infinities have no digits
            return Ok("#".repeat(self.whole) + &"#".repeat(self.fraction));
        };
        let negative = negative && (whole != "0" || fraction.bytes().any(|digit| digit != b'0'));
        let significant = if whole == "0" && self.fraction > 0 { "" } else { whole.as_str() };
        let too_large = significant.len() > self.whole;
        let first_zero = self.parts.iter().filter(|part| matches!(part, Part::Digit { .. }));
        let first_zero = first_zero.take(self.whole).position(|part| *part == Part::Digit { shown: true });
        // the place, from the left, of the first digit that is shown
        let first = (self.whole - significant.len().min(self.whole)).min(first_zero.unwrap_or(self.whole));
        let padded = format!("{significant:0>width$}", width = self.whole);
        let mut whole_digits = padded.bytes();
        // without filling, the last zeros of nines are left out
        let kept = match self.fill {
            true => self.fraction,
            false => {
                let places = self.parts.iter().filter(|part| matches!(part, Part::Digit { .. })).skip(self.whole);
                let forced = places.enumerate().filter(|(_, part)| **part == Part::Digit { shown: true });
                let forced = forced.map(|(place, _)| place + 1).last().unwrap_or(0);
                forced.max(fraction.trim_end_matches('0').len())
            }
        };
        let before = match self.sign {
            Sign::Before if negative => "-",
            Sign::Brackets if negative => "<",
            Sign::Before | Sign::Brackets if self.fill => " ",
            _ => "",
        };
        let mut out = String::new();
        let mut signed = false;
        let (mut place, mut after) = (0, None);
        let mut sign = |out: &mut String| {
            if !std::mem::replace(&mut signed, true) {
                out.push_str(before);
            }
        };
        for part in &self.parts {
            match part {
                Part::Digit { .. } => match &mut after {
                    None => {
                        let digit = whole_digits.next().unwrap_or(b'0');
                        if place >= first {
                            sign(&mut out);
                            out.push(if too_large { '#' } else { digit.into() });
                        } else if self.fill {
                            out.push(' ');
                        }
                        place += 1;
                    }
                    Some(shown) => {
                        if *shown < kept {
                            let digit = fraction.as_bytes().get(*shown).copied().unwrap_or(b'0');
                            out.push(if too_large { '#' } else { digit.into() });
                        }
                        *shown += 1;
                    }
                },
                Part::Point => {
                    sign(&mut out);
                    out.push('.');
                    after = Some(0);
                }
                Part::Group => {
                    if place > first || place == 0 && first == 0 {
                        out.push(',');
                    } else if self.fill {
                        out.push(' ');
                    }
                }
                Part::Sign => match self.sign {
                    _ if negative => out.push('-'),
                    Sign::There(plus) if plus != " " || self.fill => out.push_str(plus),
                    _ => {}
                },
                Part::Text(text) => out.push_str(text),
            }
        }
        if self.sign == Sign::Brackets {
            out.push_str(if negative {
                ">"
            } else if self.fill {
                " "
            } else {
                ""
            });
        }
        if let (Some(upper), false) = (self.ordinal, negative || self.fraction > 0) {
            let tens = whole.len() >= 2 && whole.as_bytes()[whole.len() - 2] == b'1';
            let end = match whole.as_bytes().last() {
                Some(b'1') if !tens => "st",
                Some(b'2') if !tens => "nd",
                Some(b'3') if !tens => "rd",
                _ => "th",
            };
            out.push_str(&if upper { end.to_uppercase() } else { end.to_string() });
        }
        Ok(out)
    }
}

/// Decimal digits before and after the point, with `places` of them after it, half away from zero. None for no number.
fn rounded(digits: &str, places: usize) -> Option<(String, String)> {
    let (mantissa, exponent) = match digits.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit()) || exponent.abs() > 400 {
        return None;
    }
    let mut all: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|b| b - b'0').collect();
    let mut point = whole.len() as i32 + exponent;
    while point <= 0 {
        all.insert(0, 0);
        point += 1;
    }
    let keep = point as usize + places;
    all.resize(all.len().max(keep + 1), 0);
    let up = all[keep] >= 5;
    all.truncate(keep);
    if up {
        let mut at = all.len();
        loop {
            if at == 0 {
                all.insert(0, 1);
                point += 1;
                break;
            }
            at -= 1;
            all[at] += 1;
            if all[at] < 10 {
                break;
            }
            all[at] = 0;
        }
    }
    let text: String = all.iter().map(|digit| char::from(b'0' + digit)).collect();
    let (whole, fraction) = text.split_at(point as usize);
    let whole = whole.trim_start_matches('0');
    Some((if whole.is_empty() { "0".into() } else { whole.to_string() }, fraction.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Expected texts are those of PostgreSQL 15.
    #[test]
    fn as_postgres_writes_them() {
        for (number, pattern, expected) in [
            ("-0.1", "99.99", "  -.10"),
            ("-0.1", "FM9.99", "-.1"),
            ("0.1", "0.9", " 0.1"),
            ("12", "9990999.9", "    0012.0"),
            ("12", "FM9990999.9", "0012."),
            ("485", "999", " 485"),
            ("-485", "999", "-485"),
            ("1485", "9,999", " 1,485"),
            ("148.5", "999.999", " 148.500"),
            ("148.5", "FM999.999", "148.5"),
            ("148.5", "FM999.990", "148.500"),
            ("3148.5", "9G999D999", " 3,148.500"),
            ("-485", "999S", "485-"),
            ("-485", "999MI", "485-"),
            ("485", "999MI", "485 "),
            ("485", "FM999MI", "485"),
            ("12", "SG99", "+12"),
            ("-12", "99SG", "12-"),
            ("-485", "999PR", "<485>"),
            ("485", "\"Good number:\"999", "Good number: 485"),
            ("0", "999", "   0"),
            ("12345", "999", " ###"),
            ("1234567.891", "FM9,999,990.00", "1,234,567.89"),
            ("12.5", "9,999.00", "    12.50"),
            ("0.999", "0.99", " 1.00"),
            ("1e3", "9999", " 1000"),
            ("21", "99TH", " 21ST"),
        ] {
            assert_eq!(NumberPattern::read(pattern).unwrap().write(number).unwrap(), expected, "{number} {pattern}");
        }
        assert!(NumberPattern::read("9.99EEEE").unwrap_err().contains("not offered"));
    }
}
