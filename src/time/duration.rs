//! Lengths of time as people write them: text in, days and microseconds out.

use crate::error::did_you_mean;

/// A day of 24 hours in microseconds.
pub const DAY_US: i64 = 86_400_000_000;

/// The units that are understood, with their length in microseconds. A year has 365 days.
const UNITS: &[(&[&str], i64)] = &[
    (&["year", "years", "y"], 365 * DAY_US),
    (&["week", "weeks", "w"], 7 * DAY_US),
    (&["day", "days", "d"], DAY_US),
    (&["hour", "hours", "h"], 3_600_000_000),
    (&["minute", "minutes", "min", "m"], 60_000_000),
    (&["second", "seconds", "sec", "s"], 1_000_000),
    (&["millisecond", "milliseconds", "ms"], 1_000),
    (&["microsecond", "microseconds", "us"], 1),
];

/// A length of time, with its whole days apart: days of a calendar are not always 24 hours long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Whole days that were written as days, weeks or years.
    pub days: i64,
    /// The rest in microseconds.
    pub rest_us: i64,
}

impl Span {
    /// All of it in microseconds, a day being 24 hours.
    pub fn micros(self) -> i64 {
        self.days * DAY_US + self.rest_us
    }

    fn checked_micros(self) -> Option<i64> {
        self.days.checked_mul(DAY_US)?.checked_add(self.rest_us)
    }
}

/// Microseconds of `30 days`, `90d`, `1.5 hours`, `1h30m`, `1 week`; 0 is allowed, less is not.
///
/// # Errors
/// What is wrong with the text and what to write instead.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    match parse_span(text, None) {
        Ok(span) => Ok(span.micros()),
        Err(why) => Err(format!("{:?}: {why}; write e.g. '30 days' or '12 hours'", text.trim())),
    }
}

/// One or more numbers with their units; `bare` is the unit of a number that stands alone, if it may.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_span(text: &str, bare: Option<&str>) -> Result<Span, String> {
    let text = text.trim().to_ascii_lowercase();
    if text.starts_with('-') {
        return Err("a duration cannot be negative".into());
    }
    let (mut span, mut rest) = (Span::default(), text.as_str());
    loop {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = (&rest[..end], rest[end..].trim_start());
        if number.is_empty() {
            return Err("a duration begins with a number".into());
        }
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.' || c.is_whitespace()).unwrap_or(after.len());
        let unit = match (&after[..end], bare) {
            ("", Some(bare)) if number.len() == text.len() => bare,
            ("", _) => return Err("the unit is missing".into()),
            (unit, _) => unit,
        };
        span = add(span, number, unit)?;
        rest = after[end..].trim_start();
        if rest.is_empty() {
            return Ok(span);
        }
    }
}

fn add(mut span: Span, number: &str, unit: &str) -> Result<Span, String> {
    let too_long = || "the duration is too long".to_string();
    let Some((_, unit_us)) = UNITS.iter().find(|(names, _)| names.contains(&unit)) else {
        let near = did_you_mean(unit, UNITS.iter().map(|(names, _)| if number == "1" { names[0] } else { names[1] }));
        return Err(format!("unknown unit {unit:?}{near}"));
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return Err("the number cannot be read".into());
    }
    // whole numbers never pass through a double
    let count = if whole.is_empty() { 0 } else { whole.parse::<i64>().map_err(|_| too_long())? };
    let part = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse::<f64>().unwrap_or_default() };
    let (to, unit) =
        if unit_us % DAY_US == 0 { (&mut span.days, unit_us / DAY_US) } else { (&mut span.rest_us, *unit_us) };
    *to = count.checked_mul(unit).and_then(|n| to.checked_add(n)).ok_or_else(too_long)?;
    span.rest_us = span.rest_us.checked_add((part * *unit_us as f64).round() as i64).ok_or_else(too_long)?;
    span.checked_micros().map(|_| span).ok_or_else(too_long)
}

/// The shortest exact way to write a duration; [`parse_duration`] reads it back.
pub fn duration_text(us: i64) -> String {
    let day = UNITS.iter().position(|(_, unit_us)| *unit_us == DAY_US).unwrap_or_default();
    let exact = UNITS[day..].iter().find(|(_, unit_us)| us != 0 && us % unit_us == 0);
    let (names, unit_us) = exact.unwrap_or(&UNITS[day]);
    let count = us / unit_us;
    format!("{count} {}", if count == 1 { names[0] } else { names[1] })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_people_write() {
        for (text, us) in [
            ("30 days", 30 * DAY_US),
            ("90d", 90 * DAY_US),
            (" 12 Hours ", DAY_US / 2),
            ("45 minutes", 2_700_000_000),
            ("1 week", 7 * DAY_US),
            ("2y", 730 * DAY_US),
            ("1.5 days", DAY_US + DAY_US / 2),
            (".5h", 1_800_000_000),
            ("1h30m", 5_400_000_000),
            ("1 h 30 min", 5_400_000_000),
            ("1d12h", DAY_US + DAY_US / 2),
            ("0 days", 0),
            ("3us", 3),
            ("9223372036854775807 us", i64::MAX),
        ] {
            assert_eq!(parse_duration(text), Ok(us), "{text}");
            assert_eq!(parse_duration(&duration_text(us)), Ok(us), "{text}");
        }
    }

    #[test]
    fn days_stay_apart_from_time_that_passes() {
        let span = |days, rest_us| Ok(Span { days, rest_us });
        assert_eq!(parse_span("2 weeks", None), span(14, 0));
        assert_eq!(parse_span("24h", None), span(0, DAY_US));
        assert_eq!(parse_span("1.5d", None), span(1, DAY_US / 2));
        assert_eq!(parse_span("7", Some("d")), span(7, 0));
        assert_eq!(parse_span("250", Some("ms")), span(0, 250_000));
        assert!(
            parse_span("1h 7", Some("d")).unwrap_err().contains("unit is missing"),
            "a unit for one, not for the other"
        );
    }

    #[test]
    fn durations_that_are_none() {
        for (text, why) in [
            ("-3 days", "cannot be negative"),
            ("30", "unit is missing"),
            ("", "begins with a number"),
            ("days", "begins with a number"),
            ("30 dais", "did you mean days?"),
            ("1 mont", "unknown unit"),
            ("1.2.3 days", "cannot be read"),
            (". days", "cannot be read"),
            ("106751992 days", "too long"),
            ("99999999999999999999 us", "too long"),
            ("106751991 days 24h", "too long"),
            ("3 days 2", "unit is missing"),
            ("3 days -2h", "begins with a number"),
            ("3é", "unknown unit"),
        ] {
            let message = parse_duration(text).unwrap_err();
            assert!(message.contains(why) && message.contains("write e.g."), "{text}: {message}");
        }
    }
}
