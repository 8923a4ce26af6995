//! Time zones by name, or by hours, and their clocks.

use std::collections::HashMap;

use chrono::{DateTime, Duration, LocalResult, Offset, TimeZone};
use chrono_tz::{OffsetComponents, OffsetName, Tz};

use crate::error::did_you_mean;

/// The zone of an IANA name such as `Europe/Berlin`.
///
/// # Errors
/// That there is none, with the nearest name.
pub fn zone(name: &str) -> Result<Tz, String> {
    let known = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    name.parse().map_err(|_| format!("there is no time zone {name}{}", did_you_mean(name, known())))
}

/// The zone of a name in either case, as people and settings write it.
///
/// # Errors
/// That there is none, with the nearest name.
pub fn named_zone(name: &str) -> Result<Tz, String> {
    let name = name.trim();
    in_either_case(name).map_or_else(|| zone(name), Ok)
}

fn in_either_case(name: &str) -> Option<Tz> {
    let by_name = || chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name)).copied();
    name.parse().ok().or_else(by_name)
}

/// A zone by its name, or seconds ahead of UTC, whenever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// By its name.
    Named(Tz),
    /// So many seconds ahead of UTC, whole minutes.
    Fixed(i32),
}

impl From<Tz> for Zone {
    fn from(zone: Tz) -> Self {
        Self::Named(zone)
    }
}

impl Zone {
    /// UTC.
    pub const UTC: Self = Self::Named(Tz::UTC);

    /// A zone as a type names it: `Europe/Berlin`, `+05:30`, which is ahead of UTC.
    ///
    /// # Errors
    /// That there is none, with the nearest name.
    pub fn of_type(name: &str) -> Result<Self, String> {
        match name.parse() {
            Ok(zone) => Ok(Self::Named(zone)),
            Err(_) => east(name).map_or_else(|| zone(name).map(Self::Named), |seconds| Ok(Self::Fixed(seconds))),
        }
    }

    /// A zone as PostgreSQL reads a text: a name in either case, or hours and minutes west of UTC, as POSIX has them: `+05:30`, `UTC-2`,
    /// `<+0530>-5:30`.
    ///
    /// # Errors
    /// That there is none, with the nearest name.
    pub fn of_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let of_hours = || west(text).map(|west| Self::Fixed(-west));
        match in_either_case(text).map(Self::Named).or_else(of_hours) {
            Some(zone) => Ok(zone),
            // only now, for the nearest name costs a look at all of them
            None => zone(text).map(Self::Named),
        }
    }

    /// A zone as PostgreSQL reads it where a time is made: a name, or hours and minutes ahead of UTC, as they stand behind a time: `+2`,
    /// `-05:30`.
    ///
    /// # Errors
    /// That there is none, with the nearest name.
    pub fn behind_time(text: &str) -> Result<Self, String> {
        let text = text.trim();
        match text.bytes().next() {
            // written the same, but counted eastward
            Some(b'+' | b'-') => match west(text).or_else(|| east(text)) {
                Some(ahead) => Ok(Self::Fixed(ahead)),
                None => zone(text).map(Self::Named),
            },
            // hours need a sign
            Some(b'0'..=b'9') => zone(text).map(Self::Named),
            _ => Self::of_text(text),
        }
    }

    /// So many seconds ahead of UTC; None for a day and more, and for parts of minutes.
    pub fn ahead(seconds: i32) -> Option<Self> {
        (seconds % 60 == 0 && seconds.abs() < 86_400).then_some(Self::Fixed(seconds))
    }

    /// Its name in a type.
    pub fn type_name(self) -> String {
        match self {
            Self::Named(zone) => zone.name().to_string(),
            Self::Fixed(seconds) => {
                let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
                format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }

    /// As [`offset`].
    pub fn offset(self, instant: i64) -> Option<(i32, String)> {
        match self {
            Self::Named(zone) => offset(instant, zone),
            Self::Fixed(0) => Some((0, "UTC".to_string())),
            Self::Fixed(seconds) => Some((seconds, written_offset(seconds))),
        }
    }
}

/// The seconds ahead of UTC that are written as `+02`, `+0530` or `+05:30`.
fn east(name: &str) -> Option<i32> {
    let clock = name.strip_prefix(['+', '-'])?;
    let (hours, minutes) = match clock.len() {
        2 => (clock, "00"),
        4 => clock.split_at_checked(2)?,
        _ => clock.split_once(':')?,
    };
    let seconds = west(&format!("{hours}:{minutes}"))?;
    Some(if name.starts_with('-') { -seconds } else { seconds })
}

/// The seconds west of UTC that POSIX writes as `<+02>-02`, `UTC+2` or `+05:30`.
fn west(text: &str) -> Option<i32> {
    let clock = match text.strip_prefix('<') {
        Some(named) => named.split_once('>')?.1,
        None => text.trim_start_matches(|sign: char| sign.is_ascii_alphabetic()),
    };
    let (sign, clock) = match clock.strip_prefix('-') {
        Some(clock) => (-1, clock),
        None => (1, clock.strip_prefix('+').unwrap_or(clock)),
    };
    let is_number = |part: &str| (1..=2).contains(&part.len()) && part.bytes().all(|digit| digit.is_ascii_digit());
    let part = |part: &str| if is_number(part) { part.parse::<i32>().ok() } else { None };
    let parts: Vec<i32> = clock.split(':').map(part).collect::<Option<_>>()?;
    let (hours, minutes) = match parts.as_slice() {
        [hours] => (*hours, 0),
        // no type knows seconds
        [hours, minutes] | [hours, minutes, 0] => (*hours, *minutes),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// The seconds that a clock is ahead of UTC at an instant of so many microseconds, and what the zone calls itself then (`CEST`; `+03` where
/// it has no letters). None beyond the calendar.
pub fn offset(instant: i64, zone: Tz) -> Option<(i32, String)> {
    let offset = zone.offset_from_utc_datetime(&DateTime::from_timestamp_micros(instant)?.naive_utc());
    let seconds = offset.fix().local_minus_utc();
    Some((seconds, offset.abbreviation().map_or_else(|| written_offset(seconds), str::to_string)))
}

/// True while a zone's clock is ahead of its usual time.
pub fn is_summer_time(instant: i64, zone: Tz) -> bool {
    DateTime::from_timestamp_micros(instant)
        .is_some_and(|time| !zone.offset_from_utc_datetime(&time.naive_utc()).dst_offset().is_zero())
}

/// `+02`, `-03:30`, `+00:53:28`.
pub fn written_offset(seconds: i32) -> String {
    let (sign, all) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs());
    let (hours, minutes, rest) = (all / 3600, all / 60 % 60, all % 60);
    match (minutes, rest) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// Zones by name, each looked up once.
#[derive(Default)]
pub struct Zones(HashMap<String, Tz>);

impl Zones {
    /// As [`zone`].
    ///
    /// # Errors
    /// That there is none, with the nearest name.
    pub fn get(&mut self, name: &str) -> Result<Tz, String> {
        if let Some(zone) = self.0.get(name) {
            return Ok(*zone);
        }
        let zone = zone(name)?;
        self.0.insert(name.to_string(), zone);
        Ok(zone)
    }
}

/// The instant of a clock's time, both in microseconds. A time that the clock shows twice is the first of the two; one that
/// it skips is read with the offset of before, as if the clock had gone on. None beyond the calendar.
pub fn from_local(clock: i64, zone: impl Into<Zone>) -> Option<i64> {
    let zone = match zone.into() {
        Zone::Named(zone) => zone,
        Zone::Fixed(seconds) => return clock.checked_sub(i64::from(seconds) * 1_000_000),
    };
    let naive = DateTime::from_timestamp_micros(clock)?.naive_utc();
    match zone.from_local_datetime(&naive) {
        LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => Some(t.timestamp_micros()),
        LocalResult::None => {
            // no clock jumps by more than a day
            let before = naive.checked_sub_signed(Duration::days(1))?;
            let offset =
                before.and_utc().timestamp_micros() - zone.from_local_datetime(&before).earliest()?.timestamp_micros();
            Some(clock - offset)
        }
    }
}

/// What a clock shows at an instant, both in microseconds. None beyond the calendar.
pub fn to_local(instant: i64, zone: impl Into<Zone>) -> Option<i64> {
    let zone = match zone.into() {
        Zone::Named(zone) => zone,
        Zone::Fixed(seconds) => return instant.checked_add(i64::from(seconds) * 1_000_000),
    };
    let utc = DateTime::from_timestamp_micros(instant)?.naive_utc();
    Some(instant + i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daylight_saving() {
        let micros = |text: &str| {
            chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").map(|t| t.and_utc().timestamp_micros())
        };
        let utc = |text, zone| micros(text).ok().and_then(|t| from_local(t, zone));
        let berlin = chrono_tz::Europe::Berlin;
        assert_eq!(utc("2026-03-29 01:59", berlin), micros("2026-03-29 00:59").ok());
        assert_eq!(utc("2026-03-29 02:30", berlin), micros("2026-03-29 01:30").ok());
        assert_eq!(utc("2026-10-25 02:30", berlin), micros("2026-10-25 00:30").ok());
        // a whole day that a clock left out
        assert_eq!(utc("2011-12-30 12:00", chrono_tz::Pacific::Apia), micros("2011-12-30 22:00").ok());
    }

    #[test]
    fn offsets_have_names() {
        let at = |micros, zone| offset(micros, zone).map(|(seconds, name)| (written_offset(seconds), name));
        let named = |seconds: &str, name: &str| Some((seconds.to_string(), name.to_string()));
        assert_eq!(at(1_782_900_000_000_000, chrono_tz::Europe::Berlin), named("+02", "CEST"));
        assert_eq!(at(0, chrono_tz::UTC), named("+00", "UTC"));
        assert_eq!(at(0, chrono_tz::Asia::Kolkata), named("+05:30", "IST"));
        assert_eq!(at(1_782_900_000_000_000, chrono_tz::America::Sao_Paulo), named("-03", "-03"));
        assert_eq!(at(-3_000_000_000_000_000, chrono_tz::America::New_York), named("-04:56:02", "LMT"));
    }

    #[test]
    fn zones_of_hours() {
        let minutes = |minutes: i32| Ok(Zone::Fixed(minutes * 60));
        for (text, expected) in [
            // west of UTC, as POSIX has them
            ("+05:30", minutes(-330)),
            ("-5:30", minutes(330)),
            ("UTC+2", minutes(-120)),
            ("<+0530>-5:30", minutes(330)),
            ("<+05:45>-05:45:00", minutes(345)),
            ("EST5EDT", Ok(Zone::Named(chrono_tz::EST5EDT))),
            ("asia/kolkata", Ok(Zone::Named(chrono_tz::Asia::Kolkata))),
        ] {
            assert_eq!(Zone::of_text(text), expected, "{text}");
        }
        for text in ["+24", "+05:60", "+05:30:15", "+0530", "<+02", "EST5EDT4", "", "+"] {
            assert!(Zone::of_text(text).is_err(), "{text}");
        }
        // ahead of it, as they stand behind times
        for (text, expected) in [
            ("+2", minutes(120)),
            ("-2", minutes(-120)),
            ("+05:30", minutes(330)),
            ("-0530", minutes(-330)),
            ("UTC-2", minutes(120)),
            ("europe/berlin", Ok(Zone::Named(chrono_tz::Europe::Berlin))),
        ] {
            assert_eq!(Zone::behind_time(text), expected, "{text}");
        }
        for text in ["2", "05:30", "+24", "+05:60", "+", ""] {
            assert!(Zone::behind_time(text).is_err(), "{text}");
        }
        // as types have them
        for (name, expected) in [("+05:30", minutes(330)), ("-02:00", minutes(-120)), ("UTC", Ok(Zone::UTC))] {
            assert_eq!(Zone::of_type(name), expected, "{name}");
            assert_eq!(expected.map(Zone::type_name), Ok(name.to_string()));
        }
        assert_eq!((Zone::of_type("-0530"), Zone::of_type("+02")), (minutes(-330), minutes(120)));
        assert!(Zone::of_type("UTC+2").is_err());
        assert_eq!(Zone::Fixed(330 * 60).offset(0), Some((330 * 60, "+05:30".to_string())));
        assert_eq!(to_local(0, Zone::Fixed(60)), Some(60_000_000));
        assert_eq!(from_local(0, Zone::Fixed(60)), Some(-60_000_000));
        assert_eq!(Zone::ahead(5 * 3600), Some(Zone::Fixed(18_000)));
        assert_eq!((Zone::ahead(30), Zone::ahead(86_400)), (None, None));
    }

    #[test]
    fn zones_have_names() {
        assert_eq!(zone("Europe/Berlin"), Ok(chrono_tz::Europe::Berlin));
        assert_eq!(zone("Europe/Berln"), Err("there is no time zone Europe/Berln; did you mean Europe/Berlin?".into()));
    }
}
