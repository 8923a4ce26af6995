//! Times as people and files write them: a day, a clock's time, or an instant with its offset from UTC.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;

use super::zone::from_local;

/// A time with an offset of its own, or with `Z` or ` UTC` behind it.
const ZONED: [&str; 6] = [
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M:%S%.f %#z",
    "%Y-%m-%dT%H:%M%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y-%m-%d %H:%M %#z",
];

/// What a clock shows.
const CLOCK: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

/// A time as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Microseconds since 1970 UTC.
    Instant(i64),
    /// What a clock shows, in a zone that is known from elsewhere.
    Clock(NaiveDateTime),
    /// A day of such a clock.
    Day(NaiveDate),
}

impl Written {
    /// Microseconds since 1970 UTC; a day is its first instant. None beyond the calendar.
    pub fn in_zone(self, zone: Tz) -> Option<i64> {
        match self {
            Self::Instant(micros) => Some(micros),
            Self::Clock(clock) => from_local(clock.and_utc().timestamp_micros(), zone),
            Self::Day(day) => from_local(day.and_time(NaiveTime::MIN).and_utc().timestamp_micros(), zone),
        }
    }
}

/// A time in ISO 8601, with `T` or a space before the clock's time. None for what is none.
pub fn parse_time(text: &str) -> Option<Written> {
    let text = text.trim();
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(Written::Day(day));
    }
    let utc;
    let text = match text.strip_suffix(" UTC") {
        Some(clock) => {
            utc = format!("{clock}Z");
            utc.as_str()
        }
        None => text,
    };
    let instant = |time: DateTime<chrono::FixedOffset>| Written::Instant(time.timestamp_micros());
    let zoned = || ZONED.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()).map(instant);
    let clock = || CLOCK.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()).map(Written::Clock);
    let exact = || DateTime::parse_from_rfc3339(text).ok().map(instant);
    zoned().or_else(clock).or_else(exact)
}

/// A text without what the zone is called of which it says the offset: `2026-09-01 10:00:00 +0200 CEST` as Go writes a time,
/// `Sep 01 2026 10:00:00 GMT+0200 (Central European Summer Time)` as JavaScript does.
pub fn without_zone_name(text: &str) -> String {
    let is_offset = |word: &str| {
        let digits = word.strip_prefix(['+', '-']).filter(|digits| digits.len() >= 2);
        digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'))
    };
    let named = text.trim_end().strip_suffix(')').and_then(|text| text.rsplit_once(" ("));
    let mut words: Vec<&str> = named.map_or(text, |(time, _)| time).split_whitespace().collect();
    // what a clock of Go's shows that only runs forward
    words.pop_if(|word| word.starts_with("m="));
    if let [.., offset, name] = words.as_slice()
        && is_offset(offset)
        && (name == offset || name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_uppercase()))
    {
        words.pop();
    }
    if let Some(word) = words.last_mut()
        && let Some(offset) = word.strip_prefix("GMT").or(word.strip_prefix("UTC")).filter(|offset| is_offset(offset))
    {
        *word = offset;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn times_people_write() {
        let utc = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros();
        for (text, expected) in [
            ("2026-09-01", "2026-08-31T22:00:00Z"),
            ("2026-09-01 12:00", "2026-09-01T10:00:00Z"),
            ("2026-09-01T12:00", "2026-09-01T10:00:00Z"),
            (" 2026-09-01 12:00:07.5 ", "2026-09-01T10:00:07.5Z"),
            ("2026-09-01T12:00:00Z", "2026-09-01T12:00:00Z"),
            ("2026-09-01t12:00:00z", "2026-09-01T12:00:00Z"),
            ("2026-09-01 12:00Z", "2026-09-01T12:00:00Z"),
            ("2026-09-01 12:00:00 UTC", "2026-09-01T12:00:00Z"),
            ("2026-09-01 12:00:00 +0530", "2026-09-01T06:30:00Z"),
            ("2026-09-01T12:00:00.25+02", "2026-09-01T10:00:00.25Z"),
            // not there, and there twice
            ("2026-03-29 02:30", "2026-03-29T01:30:00Z"),
            ("2026-10-25 02:30", "2026-10-25T00:30:00Z"),
        ] {
            let written = parse_time(text).unwrap();
            assert_eq!(written.in_zone(chrono_tz::Europe::Berlin), Some(utc(expected)), "{text}");
        }
        assert_eq!(parse_time("2026-09-01"), Some(Written::Day(NaiveDate::from_ymd_opt(2026, 9, 1).unwrap())));
    }

    #[test]
    fn offsets_stand_for_their_zones() {
        for (text, expected) in [
            ("2026-09-01 10:00:03.123 +0000 UTC", "2026-09-01 10:00:03.123 +0000"),
            ("2026-09-01 10:00:03 -0700 PDT m=+0.000121", "2026-09-01 10:00:03 -0700"),
            ("2026-09-01 10:00:03 +0530 +0530", "2026-09-01 10:00:03 +0530"),
            ("Tue Sep 01 2026 10:00:00 GMT+0200 (Central European Summer Time)", "Tue Sep 01 2026 10:00:00 +0200"),
            ("Sep 1, 2026 10:00:00 UTC+02:00", "Sep 1, 2026 10:00:00 +02:00"),
            // nothing else is taken away
            ("Tue, 01 Sep 2026 10:00:00 PDT", "Tue, 01 Sep 2026 10:00:00 PDT"),
            ("2026-09-01 10:00 UTC", "2026-09-01 10:00 UTC"),
            ("2026-09-01 - AB", "2026-09-01 - AB"),
            ("(", "("),
            ("", ""),
        ] {
            assert_eq!(without_zone_name(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in ["", "now", "2026-13-01", "2026-02-30", "09/01/2026", "1788256800", "2026-09-01 25:00", "12:00"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
