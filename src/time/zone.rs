//! Time zones by name, and their clocks.

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
    let found = chrono_tz::TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name.trim()));
    found.copied().map_or_else(|| zone(name.trim()), Ok)
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
pub fn from_local(clock: i64, zone: Tz) -> Option<i64> {
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
pub fn to_local(instant: i64, zone: Tz) -> Option<i64> {
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
    fn zones_have_names() {
        assert_eq!(zone("Europe/Berlin"), Ok(chrono_tz::Europe::Berlin));
        assert_eq!(zone("Europe/Berln"), Err("there is no time zone Europe/Berln; did you mean Europe/Berlin?".into()));
    }
}
