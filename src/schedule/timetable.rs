//! When runs are due: a cron expression or an interval, on the clock of a time zone.
//!
//! Where the clock is put forward or back:
//! * A cron expression that names hours (`30 2 * * *`, `0 */6 * * *`) follows the wall clock: a time in the hour that is
//!   skipped is due once, right after the gap; a time in the hour that is repeated is due once, the first time.
//! * One that runs in every hour (`*/15 * * * *`) follows the time that passes: its runs stay as far apart as ever.
//! * An interval of seconds, minutes and hours is time that passes; one of days or weeks keeps the time of day.

use chrono::offset::LocalResult;
use chrono::{DateTime, Days, Duration, NaiveDateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};

use crate::time::{DAY_US, Span, parse_span};
use crate::{Error, Result};

const SECOND_US: i64 = 1_000_000;

/// The longest interval that makes sense.
const MAX_DAYS: i64 = 366;

/// Gaps of zones that lost a whole day (Samoa 2011) included.
const MAX_GAP_MINUTES: i64 = 25 * 60;

/// The times at which runs are due.
#[derive(Clone, Debug)]
pub enum Timetable {
    /// By a cron expression of five fields.
    Cron {
        /// The expression.
        cron: Box<Cron>,
        /// It runs in every hour of its days.
        every_hour: bool,
        /// The zone of its clock.
        zone: Tz,
    },
    /// Again and again after the same time.
    Interval {
        /// How long.
        every: Every,
        /// The zone whose days count.
        zone: Tz,
    },
}

/// The length of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Time that passes.
    Seconds(i64),
    /// Days of the calendar.
    Days(i64),
}

impl Timetable {
    /// By an expression of the fields minute, hour, day of month, month, day of week (or `@daily` and the like).
    pub fn cron(expression: &str, zone: Tz) -> Result<Self> {
        let wrong = |e: CronError| {
            let reason = e.to_string();
            let reason = reason.trim_end_matches('.');
            Error::usage(format!(
                "--cron '{expression}': {reason}; expected minute, hour, day of month, month, day of week, \
                 e.g. '30 4 * * *' (daily at 4:30) or '*/15 * * * 1-5'"
            ))
        };
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(wrong)?;
        // an expression such as '0 0 30 2 *' is never due
        cron.find_next_occurrence(&crate::clock::now().naive_utc(), false).map_err(|_| {
            Error::usage(format!("--cron '{expression}': there is no such day in any year; see: rejoin help schedule"))
        })?;
        let every_hour = (0..24).all(|hour| cron.pattern.hour_match(hour).unwrap_or(false));
        Ok(Self::Cron { cron: Box::new(cron), every_hour, zone })
    }

    /// By an interval such as `15m`, `6h`, `1d` or `1h30m`.
    pub fn every(interval: &str, zone: Tz) -> Result<Self> {
        let every = Every::parse(interval).ok_or_else(|| {
            Error::usage(format!(
                "--every {interval}: expected a time from a second to a year, e.g. 15m, 6h, 1h30m, 1d or 2w (days stand alone)"
            ))
        })?;
        Ok(Self::Interval { every, zone })
    }

    /// The first time that is due after `time`. `anchor` is when an interval was due once.
    pub fn after(&self, time: DateTime<Utc>, anchor: DateTime<Utc>) -> Result<DateTime<Utc>> {
        match self {
            Self::Cron { cron, every_hour: true, zone } => {
                let next = cron.find_next_occurrence(&time.with_timezone(zone), false).map_err(unfound)?;
                Ok(next.with_timezone(&Utc))
            }
            Self::Cron { cron, zone, .. } => {
                // wall clock times map to instants in order, so the first that is after `time` is it
                let mut wall = time.with_timezone(zone).naive_local();
                let mut inclusive = true;
                loop {
                    wall = cron.find_next_occurrence(&wall, inclusive).map_err(unfound)?;
                    let due = instant(wall, *zone)?;
                    if due > time {
                        return Ok(due);
                    }
                    inclusive = false;
                }
            }
            Self::Interval { every: Every::Seconds(seconds), .. } => {
                let passed = (time - anchor).num_milliseconds().div_euclid(seconds * 1000);
                Ok(anchor + Duration::seconds((passed + 1) * seconds))
            }
            Self::Interval { every: Every::Days(days), zone } => {
                let first = anchor.with_timezone(zone).naive_local();
                let passed = (time - anchor).num_days().div_euclid(*days);
                // a day with a change of the clock is not 24 hours long
                for count in passed.max(1) - 1.. {
                    let due = instant(first + Days::new((count * days).unsigned_abs()), *zone)?;
                    if due > time {
                        return Ok(due);
                    }
                }
                Err(Error::bug("no day follows"))
            }
        }
    }
}

impl Every {
    /// Days and weeks stand alone: they follow the calendar.
    fn parse(text: &str) -> Option<Self> {
        match parse_span(text, None).ok()? {
            Span { days: 0, rest_us } if rest_us > 0 && rest_us % SECOND_US == 0 && rest_us <= MAX_DAYS * DAY_US => {
                Some(Self::Seconds(rest_us / SECOND_US))
            }
            Span { days: days @ 1..=MAX_DAYS, rest_us: 0 } => Some(Self::Days(days)),
            _ => None,
        }
    }
}

/// The instant of a wall clock time: the first of two, and the end of the gap where the clock never shows it.
fn instant(wall: NaiveDateTime, zone: Tz) -> Result<DateTime<Utc>> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(time) | LocalResult::Ambiguous(time, _) => Ok(time.with_timezone(&Utc)),
        LocalResult::None => after_gap(wall, zone),
    }
}

/// Clocks are put forward at whole minutes.
fn after_gap(wall: NaiveDateTime, zone: Tz) -> Result<DateTime<Utc>> {
    let minute = wall - Duration::seconds(wall.and_utc().timestamp().rem_euclid(60));
    (1..=MAX_GAP_MINUTES)
        .find_map(|minutes| zone.from_local_datetime(&(minute + Duration::minutes(minutes))).earliest())
        .map(|time| (time - Duration::nanoseconds(time.timestamp_subsec_nanos().into())).with_timezone(&Utc))
        .ok_or_else(|| Error::bug(format!("the clock of {zone} never gets past {wall}")))
}

fn unfound(error: CronError) -> Error {
    Error::configuration(format!("no further run: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use chrono::{Datelike, Timelike};

    use super::*;

    const BERLIN: Tz = chrono_tz::Europe::Berlin;
    const NEW_YORK: Tz = chrono_tz::America::New_York;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// All due times of 2026 on the zone's clock.
    fn year(timetable: &Timetable, zone: Tz) -> Vec<DateTime<Tz>> {
        let start = zone.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap().with_timezone(&Utc);
        let end = zone.with_ymd_and_hms(2027, 1, 1, 0, 0, 0).unwrap().with_timezone(&Utc);
        let mut due = vec![];
        let mut time = start - Duration::seconds(1);
        loop {
            time = timetable.after(time, start).unwrap();
            if time >= end {
                return due.iter().map(|t: &DateTime<Utc>| t.with_timezone(&zone)).collect();
            }
            due.push(time);
        }
    }

    fn on(due: &[DateTime<Tz>], month: u32, day: u32) -> Vec<String> {
        let of_day = due.iter().filter(|t| (t.month(), t.day()) == (month, day));
        of_day.map(|t| t.format("%H:%M%:z").to_string()).collect()
    }

    #[test]
    fn a_daily_run_is_due_once_on_every_day_of_a_year() {
        for zone in [BERLIN, NEW_YORK] {
            for (expression, hour, minute) in [("30 2 * * *", 2, 30), ("0 4 * * *", 4, 0), ("30 1 * * *", 1, 30)] {
                let due = year(&Timetable::cron(expression, zone).unwrap(), zone);
                assert_eq!(due.len(), 365, "{expression} {zone}");
                let days: std::collections::BTreeSet<u32> = due.iter().map(|t| t.ordinal()).collect();
                assert_eq!(days.len(), 365, "{expression} {zone}");
                let odd = due.iter().filter(|t| (t.hour(), t.minute()) != (hour, minute)).count();
                assert_eq!(odd, usize::from(expression.starts_with("30 2")), "{expression} {zone}");
            }
        }
        let berlin = year(&Timetable::cron("30 2 * * *", BERLIN).unwrap(), BERLIN);
        assert_eq!(on(&berlin, 3, 29), ["03:00+02:00"]);
        assert_eq!(on(&berlin, 10, 25), ["02:30+02:00"]);
        let york = year(&Timetable::cron("30 1,2 * * *", NEW_YORK).unwrap(), NEW_YORK);
        assert_eq!(on(&york, 3, 8), ["01:30-05:00", "03:00-04:00"]);
        assert_eq!(on(&york, 11, 1), ["01:30-04:00", "02:30-05:00"]);
    }

    #[test]
    fn several_times_in_a_gap_are_one_run() {
        let due = year(&Timetable::cron("*/10 2,3 * * *", BERLIN).unwrap(), BERLIN);
        assert_eq!(on(&due, 3, 28).len(), 12);
        let three = ["03:00+02:00", "03:10+02:00", "03:20+02:00", "03:30+02:00", "03:40+02:00", "03:50+02:00"];
        assert_eq!(on(&due, 3, 29), three);
        // each of the repeated hour's times once, and no gap of two hours
        assert_eq!(on(&due, 10, 25).len(), 12);
        let six = year(&Timetable::cron("0 */2 * * *", BERLIN).unwrap(), BERLIN);
        assert_eq!(on(&six, 3, 29)[..3], ["00:00+01:00", "03:00+02:00", "04:00+02:00"]);
    }

    /// Compared with a clock that is looked at every minute of the year.
    #[test]
    fn every_hour_follows_the_time_that_passes() {
        for zone in [BERLIN, NEW_YORK, chrono_tz::Australia::Lord_Howe] {
            for (expression, minutes) in [("*/15 * * * *", vec![0, 15, 30, 45]), ("30 * * * *", vec![30])] {
                let due = year(&Timetable::cron(expression, zone).unwrap(), zone);
                let start = zone.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
                let end = zone.with_ymd_and_hms(2027, 1, 1, 0, 0, 0).unwrap();
                let looked = (0..(end - start).num_minutes()).map(|m| start + Duration::minutes(m));
                let expected: Vec<DateTime<Tz>> = looked.filter(|t| minutes.contains(&t.minute())).collect();
                assert_eq!(due, expected, "{expression} {zone}");
            }
        }
    }

    #[test]
    fn weekdays_and_months() {
        let due = year(&Timetable::cron("0 6 * * 1-5", BERLIN).unwrap(), BERLIN);
        assert_eq!(due.len(), 261);
        let due = year(&Timetable::cron("@monthly", BERLIN).unwrap(), BERLIN);
        assert_eq!(due.len(), 12);
    }

    #[test]
    fn intervals_of_hours_pass_and_days_keep_the_time_of_day() {
        for zone in [BERLIN, NEW_YORK] {
            for (text, seconds) in [("90m", 5400), ("6h", 21_600), ("24h", 86_400)] {
                let due = year(&Timetable::every(text, zone).unwrap(), zone);
                assert!(due.windows(2).all(|w| (w[1] - w[0]).num_seconds() == seconds), "{text}");
            }
            let timetable = Timetable::every("1d", zone).unwrap();
            // at 2:30, which does not exist in spring and exists twice in autumn
            let anchor = zone.with_ymd_and_hms(2026, 1, 1, 2, 30, 0).unwrap().with_timezone(&Utc);
            let mut time = anchor;
            let mut odd = vec![];
            for day in 2..=365 {
                time = timetable.after(time, anchor).unwrap();
                let local = time.with_timezone(&zone);
                assert_eq!(local.ordinal(), day);
                if (local.hour(), local.minute()) != (2, 30) {
                    odd.push(local.format("%m-%d %H:%M").to_string());
                }
            }
            assert_eq!(odd, [if zone == BERLIN { "03-29 03:00" } else { "03-08 03:00" }]);
            let weeks = year(&Timetable::every("2 weeks", zone).unwrap(), zone);
            assert!(weeks.iter().all(|t| t.hour() == 0) && weeks.len() == 27, "{}", weeks.len());
        }
    }

    #[test]
    fn an_interval_keeps_its_beat_however_late_a_run_starts() {
        let timetable = Timetable::every("1h", BERLIN).unwrap();
        let anchor = utc("2026-05-01T10:00:00Z");
        assert_eq!(timetable.after(utc("2026-05-01T10:00:00.5Z"), anchor).unwrap(), utc("2026-05-01T11:00:00Z"));
        assert_eq!(timetable.after(utc("2026-05-03T17:20:00Z"), anchor).unwrap(), utc("2026-05-03T18:00:00Z"));
        let days = Timetable::every("3d", BERLIN).unwrap();
        assert_eq!(days.after(utc("2026-05-03T17:20:00Z"), anchor).unwrap(), utc("2026-05-04T10:00:00Z"));
        assert_eq!(days.after(utc("2026-05-04T10:00:00Z"), anchor).unwrap(), utc("2026-05-07T10:00:00Z"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_an_example() {
        for wrong in ["", "5", "0m", "-1h", "1x", "1d12h", "2y", "99999999999999999999h", "999999999999999999h"] {
            let error = Timetable::every(wrong, BERLIN).unwrap_err();
            assert!(error.kind() == crate::ErrorKind::Usage && error.to_string().contains("15m"), "{error}");
        }
        assert_eq!(Every::parse("1h 30 min"), Some(Every::Seconds(5400)));
        for wrong in ["", "* * *", "61 * * * *", "* * * * * *", "0 0 30 2 *", "every day"] {
            let error = Timetable::cron(wrong, BERLIN).unwrap_err();
            assert!(error.kind() == crate::ErrorKind::Usage && error.to_string().contains("--cron"), "{error}");
            assert!(!error.to_string().contains(".;"), "{error}");
        }
    }
}
