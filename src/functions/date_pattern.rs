//! PostgreSQL's patterns of times and days (`YYYY-MM-DD HH24:MI`), as its manual has them under "Data Type Formatting".

use chrono::{Datelike, NaiveDateTime, NaiveTime, Timelike};

/// What a clock and a calendar show.
pub struct Clock {
    /// None for a time of no day.
    day: Option<chrono::NaiveDate>,
    time: NaiveTime,
    /// Seconds east of Greenwich, and the zone's short name.
    zone: Option<(i32, String)>,
}

impl Clock {
    /// Without a zone.
    pub fn at(time: NaiveDateTime) -> Self {
        Self { day: Some(time.date()), time: time.time(), zone: None }
    }

    /// In a zone.
    pub fn zoned(time: NaiveDateTime, offset: i32, name: &str) -> Self {
        Self { zone: Some((offset, name.to_string())), ..Self::at(time) }
    }

    /// A time of day, microseconds from midnight.
    pub fn of_day(micros: i64) -> Self {
        let (seconds, rest) = (micros.div_euclid(1_000_000) as u32, micros.rem_euclid(1_000_000) as u32);
        let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest * 1000).unwrap_or(NaiveTime::MIN);
        Self { day: None, time, zone: None }
    }
}

/// A pattern that has been read.
#[derive(Debug, PartialEq)]
pub struct DatePattern(Vec<Part>);

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Field { word: &'static str, fill: bool, ordinal: Option<&'static str> },
}

/// The words of patterns, a longer one before its beginning. Those of texts are written as their result is.
const WORDS: &[&str] = &[
    "SSSSS", "SSSS", "SS", "HH24", "HH12", "HH", "MONTH", "Month", "month", "MON", "Mon", "mon", "MS", "MI", "MM",
    "FF1", "FF2", "FF3", "FF4", "FF5", "FF6", "US", "IYYY", "IYY", "IY", "IDDD", "ID", "IW", "I", "Y,YYY", "YYYY",
    "YYY", "YY", "Y", "DAY", "Day", "day", "DDD", "DD", "DY", "Dy", "dy", "D", "WW", "W", "Q", "J", "CC", "RM", "rm",
    "A.M.", "P.M.", "a.m.", "p.m.", "AM", "PM", "am", "pm", "A.D.", "B.C.", "a.d.", "b.c.", "AD", "BC", "ad", "bc",
    "TZH", "TZM", "TZ", "tz", "OF",
];

/// Words whose case is that of the result; others may be in either case.
fn has_case(word: &str) -> bool {
    let text = ["MONTH", "MON", "DAY", "DY", "RM", "A.M.", "P.M.", "AM", "PM", "A.D.", "B.C.", "AD", "BC", "TZ"];
    text.contains(&word.to_uppercase().as_str())
}

/// The word at the beginning of a text.
fn word_of(text: &str) -> Option<&'static str> {
    WORDS.iter().copied().find(|word| {
        let start = text.get(..word.len());
        start.is_some_and(|start| if has_case(word) { start == *word } else { start.eq_ignore_ascii_case(word) })
    })
}

impl DatePattern {
    /// Reads a pattern.
    pub fn read(pattern: &str) -> Result<Self, String> {
        let mut parts = vec![];
        let (mut rest, mut fill) = (pattern, true);
        let text = |parts: &mut Vec<Part>, piece: &str| match parts.last_mut() {
            Some(Part::Text(before)) => before.push_str(piece),
            _ => parts.push(Part::Text(piece.to_string())),
        };
        while let Some(next) = rest.chars().next() {
            if let Some(quoted) = rest.strip_prefix('"') {
                // a backslash takes the sign after it as it is
                let (mut end, mut taken) = (quoted.len(), String::new());
                let mut signs = quoted.char_indices();
                while let Some((at, sign)) = signs.next() {
                    match sign {
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        '\\' => taken.extend(signs.next().map(|(_, sign)| sign)),
                        sign => taken.push(sign),
                    }
                }
                text(&mut parts, &taken);
                rest = &quoted[end..];
                continue;
            }
            if let Some(after) = rest.strip_prefix("\\\"") {
                text(&mut parts, "\"");
                rest = after;
                continue;
            }
            let prefix = |name: &str| rest.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(name));
            // names in another language are as long as they are
            if prefix("FM") || prefix("TM") && word_of(&rest[2..]).is_some() {
                (rest, fill) = (&rest[2..], false);
                continue;
            }
            if prefix("FX") {
                rest = &rest[2..];
                continue;
            }
            match word_of(rest) {
                Some(word) => {
                    rest = &rest[word.len()..];
                    let ordinal = ["TH", "th"].into_iter().find(|end| rest.starts_with(end));
                    rest = &rest[ordinal.map_or(0, str::len)..];
                    parts.push(Part::Field { word, fill, ordinal });
                    fill = true;
                }
                None => {
                    let length = next.len_utf8();
                    text(&mut parts, &rest[..length]);
                    rest = &rest[length..];
                }
            }
        }
        Ok(Self(parts))
    }

    /// A time by this pattern.
    pub fn write(&self, clock: &Clock) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Field { word, fill, ordinal } => {
                    let (text, width, zeros) = field(word, clock)?;
                    let missing = width.saturating_sub(text.trim_start_matches('-').chars().count());
                    match (fill, zeros) {
                        (false, true) => out.push_str(unfilled(&text)),
                        (false, false) => out.push_str(text.trim()),
                        (true, true) => {
                            let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |d| ("-", d));
                            out.push_str(&format!("{sign}{}{digits}", "0".repeat(missing)));
                        }
                        (true, false) => out.push_str(&format!("{text}{}", " ".repeat(missing))),
                    }
                    if let Some(case) = ordinal {
                        let end = ordinal_of(&text);
                        out.push_str(&if *case == "TH" { end.to_uppercase() } else { end.to_string() });
                    }
                }
            }
        }
        Ok(out)
    }
}

/// A number without zeros before it.
fn unfilled(text: &str) -> &str {
    let trimmed = text.trim_start_matches('0');
    if trimmed.is_empty() { "0" } else { trimmed }
}

fn ordinal_of(number: &str) -> &'static str {
    let tens = number.len() >= 2 && number.as_bytes()[number.len() - 2] == b'1';
    match number.as_bytes().last() {
        Some(b'1') if !tens => "st",
        Some(b'2') if !tens => "nd",
        Some(b'3') if !tens => "rd",
        _ => "th",
    }
}

/// A field's text, the width to which it is filled, and whether with zeros.
fn field(word: &str, clock: &Clock) -> Result<(String, usize, bool), String> {
    let number = |value: i64, width: usize| Ok((value.to_string(), width, true));
    let text = |value: String, width: usize| Ok((value, width, false));
    let (time, upper) = (clock.time, word.to_uppercase());
    let seconds = i64::from(time.num_seconds_from_midnight());
    let micros = i64::from(time.nanosecond() / 1000 % 1_000_000);
    let half = |dots: bool| {
        let name = if time.hour() < 12 { "AM" } else { "PM" };
        if dots { format!("{}.M.", &name[..1]) } else { name.to_string() }
    };
    let cased = |name: String| if word.starts_with(|c: char| c.is_lowercase()) { name.to_lowercase() } else { name };
    match upper.as_str() {
        "HH24" => return number(time.hour().into(), 2),
        "HH12" | "HH" => return number(time.hour12().1.into(), 2),
        "MI" => return number(time.minute().into(), 2),
        "SS" => return number(time.second().into(), 2),
        "SSSS" | "SSSSS" => return number(seconds, 0),
        "MS" | "FF3" => return number(micros / 1_000, 3),
        "US" | "FF6" => return number(micros, 6),
        "FF1" => return number(micros / 100_000, 1),
        "FF2" => return number(micros / 10_000, 2),
        "FF4" => return number(micros / 100, 4),
        "FF5" => return number(micros / 10, 5),
        "AM" | "PM" => return text(cased(half(false)), 0),
        "A.M." | "P.M." => return text(cased(half(true)), 0),
        "TZ" => return text(cased(clock.zone.as_ref().map(|(_, name)| name.clone()).unwrap_or_default()), 0),
        "TZH" | "TZM" | "OF" => {
            let offset = clock.zone.as_ref().map_or(0, |(offset, _)| *offset);
            let (hours, minutes) = (offset.abs() / 3600, offset.abs() / 60 % 60);
            let sign = if offset < 0 { '-' } else { '+' };
            return text(
                match upper.as_str() {
                    "TZH" => format!("{sign}{hours:02}"),
                    "TZM" => format!("{minutes:02}"),
                    _ if minutes == 0 => format!("{sign}{hours:02}"),
                    _ => format!("{sign}{hours:02}:{minutes:02}"),
                },
                0,
            );
        }
        _ => {}
    }
    let day = clock.day.ok_or_else(|| format!("a time of day has no {word}"))?;
    // there is no year 0: before the year 1 is 1 BC
    let era = |year: i32| if year > 0 { i64::from(year) } else { 1 - i64::from(year) };
    let (year, week) = (era(day.year()), day.iso_week());
    let written = |name: &str, width: usize| {
        let name = if word.starts_with(|c: char| c.is_lowercase()) {
            name.to_lowercase()
        } else if *word == upper {
            name.to_uppercase()
        } else {
            name.to_string()
        };
        text(name, width)
    };
    let before = day.year() <= 0;
    match upper.as_str() {
        "YYYY" => number(year, 4),
        "Y,YYY" => text(format!("{},{:03}", year / 1000, year % 1000), 0),
        "YYY" => number(year % 1000, 3),
        "YY" => number(year % 100, 2),
        "Y" => number(year % 10, 1),
        "IYYY" => number(era(week.year()), 4),
        "IYY" => number(era(week.year()) % 1000, 3),
        "IY" => number(era(week.year()) % 100, 2),
        "I" => number(era(week.year()) % 10, 1),
        "MM" => number(day.month().into(), 2),
        "DD" => number(day.day().into(), 2),
        "DDD" => number(day.ordinal().into(), 3),
        "IDDD" => number(i64::from(week.week0() * 7 + day.weekday().number_from_monday()), 3),
        "D" => number(day.weekday().number_from_sunday().into(), 1),
        "ID" => number(day.weekday().number_from_monday().into(), 1),
        "W" => number(i64::from(day.day0() / 7 + 1), 1),
        "WW" => number(i64::from(day.ordinal0() / 7 + 1), 2),
        "IW" => number(week.week().into(), 2),
        "Q" => number(i64::from(day.month0() / 3 + 1), 1),
        "CC" if before => number(-((year - 1) / 100 + 1), 2),
        "CC" => number((year - 1) / 100 + 1, 2),
        // days from 4713 BC
        "J" => number(i64::from(day.num_days_from_ce()) + 1_721_425, 0),
        "MONTH" => written(&day.format("%B").to_string(), 9),
        "MON" => written(&day.format("%b").to_string(), 0),
        "DAY" => written(&day.format("%A").to_string(), 9),
        "DY" => written(&day.format("%a").to_string(), 0),
        "RM" => {
            let roman = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];
            written(roman[day.month0() as usize], 4)
        }
        "AD" | "BC" => text(cased(if before { "BC" } else { "AD" }.to_string()), 0),
        "A.D." | "B.C." => text(cased(if before { "B.C." } else { "A.D." }.to_string()), 0),
        other => Err(format!("{other} is not known")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::NaiveDate;

    use super::*;

    /// Expected texts are those of PostgreSQL 15.
    #[test]
    fn as_postgres_writes_them() {
        let time = NaiveDate::from_ymd_opt(2026, 9, 1).unwrap().and_hms_micro_opt(15, 4, 5, 250_001).unwrap();
        for (pattern, expected) in [
            ("YYYY-MM", "2026-09"),
            ("yyyy-mm-dd", "2026-09-01"),
            ("YYYY-MM-DD HH24:MI:SS.US", "2026-09-01 15:04:05.250001"),
            ("HH12:MI:SS AM", "03:04:05 PM"),
            ("HH:MI p.m.", "03:04 p.m."),
            ("Month|MONTH|month|Mon", "September|SEPTEMBER|september|Sep"),
            ("Day, DD", "Tuesday  , 01"),
            ("FMDay, FMDDth Mon YYYY", "Tuesday, 1st Sep 2026"),
            ("IYYY-\"W\"IW-ID", "2026-W36-2"),
            ("Q CC J DDD D W WW", "3 21 2461285 244 3 1 35"),
            ("Y,YYY YYY YY Y", "2,026 026 26 6"),
            ("SSSS MS", "54245 250"),
            ("\"Year: \"YYYY \\\"x\\\"", "Year: 2026 \"x\""),
            ("RM|FMRM", "IX  |IX"),
            ("FMMM/FMDD BC", "9/1 AD"),
            ("DDTH", "01ST"),
            ("TZ|OF", "|+00"),
        ] {
            assert_eq!(DatePattern::read(pattern).unwrap().write(&Clock::at(time)).unwrap(), expected, "{pattern}");
        }
        let zoned = Clock::zoned(time, -12_600, "NDT");
        assert_eq!(DatePattern::read("TZ tz OF TZH:TZM").unwrap().write(&zoned).unwrap(), "NDT ndt -03:30 -03:30");
        let of_day = Clock::of_day(3_661_000_000);
        assert_eq!(DatePattern::read("HH24:MI:SS").unwrap().write(&of_day).unwrap(), "01:01:01");
        assert!(DatePattern::read("YYYY").unwrap().write(&of_day).unwrap_err().contains("YYYY"));
    }
}
