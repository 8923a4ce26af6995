//! Durations as people write them: text in, microseconds out.

use crate::error::did_you_mean;

/// The units that are understood, with their length in microseconds.
const UNITS: &[(&[&str], i64)] = &[
    (&["week", "weeks", "w"], 604_800_000_000),
    (&["day", "days", "d"], DAY_US),
    (&["hour", "hours", "h"], 3_600_000_000),
    (&["minute", "minutes", "min", "m"], 60_000_000),
    (&["second", "seconds", "sec", "s"], 1_000_000),
    (&["millisecond", "milliseconds", "ms"], 1_000),
    (&["microsecond", "microseconds", "us"], 1),
];

/// A span of 24 hours in microseconds.
pub(super) const DAY_US: i64 = 86_400_000_000;

/// A lookback: `all` is no limit, else a duration as of [`parse_duration`].
///
/// # Errors
/// What is wrong with the text and what to write instead.
pub fn parse_lookback(text: &str) -> Result<Option<i64>, String> {
    if text.trim().eq_ignore_ascii_case("all") {
        return Ok(None);
    }
    parse_duration(text).map(Some).map_err(|e| format!("lookback {e}"))
}

/// Microseconds of `30 days`, `90d`, `1.5 hours`, `45 minutes`, `1 week`; 0 is allowed, less is not.
///
/// # Errors
/// What is wrong with the text and what to write instead.
pub fn parse_duration(text: &str) -> Result<i64, String> {
    let trimmed = text.trim();
    let bad = |why: &str| Err(format!("{trimmed:?}: {why}; write e.g. '30 days' or '12 hours'"));
    if trimmed.starts_with('-') {
        return bad("a duration cannot be negative");
    }
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = (&trimmed[..split], trimmed[split..].trim().to_ascii_lowercase());
    if number.is_empty() {
        return bad("a duration begins with a number");
    }
    if unit.is_empty() {
        return bad("the unit is missing");
    }
    let Some((_, unit_us)) = UNITS.iter().find(|(names, _)| names.contains(&unit.as_str())) else {
        let near = did_you_mean(&unit, UNITS.iter().map(|(names, _)| if number == "1" { names[0] } else { names[1] }));
        return bad(&format!("unknown unit {unit:?}{near}"));
    };
    match microseconds(number, *unit_us) {
        Some(Some(us)) => Ok(us),
        Some(None) => bad("the duration is too long"),
        None => bad("the number cannot be read"),
    }
}

/// The shortest exact way to write a duration; [`parse_duration`] reads it back.
pub(super) fn duration_text(us: i64) -> String {
    let (names, unit_us) =
        UNITS.iter().find(|(_, unit_us)| us != 0 && us % unit_us == 0 && *unit_us <= DAY_US).unwrap_or(&UNITS[1]);
    let count = us / unit_us;
    format!("{count} {}", if count == 1 { names[0] } else { names[1] })
}

/// `None`: no number. `Some(None)`: beyond 64 bits. Whole numbers never pass through a double.
fn microseconds(number: &str, unit_us: i64) -> Option<Option<i64>> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let part = if fraction.is_empty() { 0.0 } else { format!("0.{fraction}").parse::<f64>().ok()? };
    let whole = if whole.is_empty() { Ok(0) } else { whole.parse::<i64>() };
    let part_us = (part * unit_us as f64).round() as i64;
    Some(whole.ok().and_then(|n| n.checked_mul(unit_us)).and_then(|us| us.checked_add(part_us)))
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
            ("1.5 days", DAY_US + DAY_US / 2),
            (".5h", 1_800_000_000),
            ("0 days", 0),
            ("3us", 3),
            ("9223372036854775807 us", i64::MAX),
        ] {
            assert_eq!(parse_lookback(text), Ok(Some(us)), "{text}");
            assert_eq!(parse_duration(&duration_text(us)), Ok(us), "{text}");
        }
        assert_eq!(parse_lookback("ALL"), Ok(None));
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
            ("3 days 2", "unknown unit"),
            ("3é", "unknown unit"),
        ] {
            let message = parse_lookback(text).unwrap_err();
            assert!(message.contains(why) && message.starts_with("lookback"), "{text}: {message}");
        }
    }
}
