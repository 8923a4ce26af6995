//! The time of an offline record: `MM/DD/YYYY` or `MM/DD/YYYY/HH/mm/SS`, one or two digits each, in the suite's zone.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};

/// When an offline record happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordTime {
    /// The suite's wall clock; noon where the file gives the date alone.
    pub local: NaiveDateTime,
    /// False where the file gives the date alone.
    pub has_time: bool,
}

/// Reads a record's time.
///
/// # Errors
/// Says why `text` is no time, with a hint where the mistake is a known one.
pub fn parse(text: &str) -> Result<RecordTime, String> {
    let bad = |hint: &str| Err(format!("{:?} is no date, expected {FORMAT}{hint}", super::row_issue::clip(text, 40)));
    let mut parts = [0_u32; 6];
    let mut count = 0;
    for (place, part) in text.trim().split('/').enumerate() {
        let digits = if place == 2 { 4..=4 } else { 1..=2 };
        let number = digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        match (parts.get_mut(place), number.then(|| part.parse()).and_then(Result::ok)) {
            (Some(slot), Some(number)) => *slot = number,
            _ => return bad(hint(text)),
        }
        count = place + 1;
    }
    let [month, day, year, hour, minute, second] = parts;
    let time = match count {
        3 => NaiveTime::from_hms_opt(12, 0, 0),
        6 => NaiveTime::from_hms_opt(hour, minute, second),
        _ => return bad(hint(text)),
    };
    let date = NaiveDate::from_ymd_opt(year as i32, month, day).filter(|_| year >= FIRST_YEAR);
    match (date, time) {
        (Some(date), Some(time)) => Ok(RecordTime { local: date.and_time(time), has_time: count == 6 }),
        _ if (13..=31).contains(&month) && (1..=12).contains(&day) => bad("; the order is month/day/year"),
        _ => bad(""),
    }
}

impl RecordTime {
    /// True where the record is more than a day after `now`: a day and a time after it, or, without a time, a later
    /// date than tomorrow's.
    pub fn is_after_tomorrow(&self, now: NaiveDateTime) -> bool {
        match self.has_time {
            true => self.local.signed_duration_since(now) > TimeDelta::days(1),
            false => self.local.date().signed_duration_since(now.date()) > TimeDelta::days(1),
        }
    }
}

const FORMAT: &str = "MM/DD/YYYY or MM/DD/YYYY/HH/mm/SS";
/// Earlier years are typing errors.
const FIRST_YEAR: u32 = 1970;

fn hint(text: &str) -> &'static str {
    let text = text.trim();
    let iso = text.len() >= 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[..4].iter().all(u8::is_ascii_digit);
    if iso {
        "; write 2025-12-31 as 12/31/2025"
    } else if text.contains(':') && text.contains('/') {
        "; write 12/31/2025 08:30:00 as 12/31/2025/08/30/00"
    } else if text.contains('.') {
        "; write 31.12.2025 as 12/31/2025"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap()
    }

    #[test]
    fn dates_and_times() {
        for (text, local, has_time) in [
            ("12/31/2025", "2025-12-31 12:00:00", false),
            ("1/2/2025", "2025-01-02 12:00:00", false),
            (" 01/02/2025 ", "2025-01-02 12:00:00", false),
            ("12/31/2025/23/59/59", "2025-12-31 23:59:59", true),
            ("1/2/2025/0/0/0", "2025-01-02 00:00:00", true),
            ("2/29/2024", "2024-02-29 12:00:00", false),
        ] {
            assert_eq!(parse(text), Ok(RecordTime { local: at(local), has_time }), "{text}");
        }
    }

    #[test]
    fn no_dates() {
        for (text, hint) in [
            ("31/12/2025", "the order is month/day/year"),
            ("2025-12-31", "as 12/31/2025"),
            ("12/31/2025 08:30:00", "as 12/31/2025/08/30/00"),
            ("31.12.2025", "as 12/31/2025"),
            ("", "is no date"),
            ("12/31/25", "is no date"),
            ("2/29/2025", "is no date"),
            ("0/1/2025", "is no date"),
            ("1/1/0001", "is no date"),
            ("1/1/2025/24/0/0", "is no date"),
            ("1/1/2025/1/1", "is no date"),
            ("1/1/2025/1/1/1/1", "is no date"),
            ("1/1/2025/", "is no date"),
            ("+1/1/2025", "is no date"),
            ("١/1/2025", "is no date"),
            ("ééééé-", "is no date"),
        ] {
            let reason = parse(text).unwrap_err();
            assert!(reason.contains(hint), "{text}: {reason}");
        }
    }

    #[test]
    fn future() {
        let now = at("2026-01-10 10:00:00");
        for (text, after) in [
            ("1/11/2026", false),
            ("1/12/2026", true),
            ("1/11/2026/10/0/0", false),
            ("1/11/2026/10/0/1", true),
            ("1/1/2020", false),
            ("1/1/9999", true),
        ] {
            assert_eq!(parse(text).unwrap().is_after_tomorrow(now), after, "{text}");
        }
    }
}
