//! Times as PostgreSQL reads them: `2026-01-31 12:00`, `20260131T123000`, `Jan 31, 2026`, `1/31/2026`, `04:05 PM`, with `Z`, `+02`,
//! `CET` or `Europe/Berlin` behind them. Of days in digits the month comes first where the year does not (its `DateStyle` ISO, MDY).
//!
//! What PostgreSQL takes and this does not: years before Christ, and times of no end (`infinity`).

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;

use super::zone::named_zone;

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;

/// A time as a text tells it; what it does not tell is None.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeText {
    /// The day.
    pub day: Option<NaiveDate>,
    /// What the clock shows, nanoseconds since midnight; midnight itself can be the one that ends the day.
    pub clock: Option<i64>,
    /// Whose clock.
    pub zone: Option<ZoneText>,
}

/// A zone as a text tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZoneText {
    /// Seconds ahead of UTC.
    Ahead(i32),
    /// By its name.
    Named(Tz),
}

/// Why a text could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is none.
    Form,
    /// There is no such day, or hour.
    Range,
    /// It has no end.
    Endless,
    /// The zone's clock shows it twice.
    Twice,
}

/// A time that is told from where one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// This instant.
    Now,
    /// The begin of a day, so many after the present one.
    Day(i32),
}

/// What `now`, `today`, `tomorrow` and `yesterday` mean; None for another text.
pub fn moment(text: &str) -> Option<Moment> {
    match text.trim().to_ascii_lowercase().as_str() {
        "now" => Some(Moment::Now),
        "today" => Some(Moment::Day(0)),
        "tomorrow" => Some(Moment::Day(1)),
        "yesterday" => Some(Moment::Day(-1)),
        _ => None,
    }
}

/// A time as it is written.
///
/// # Errors
/// Why it is none.
pub fn read_time(text: &str) -> Result<TimeText, Unread> {
    let text = text.trim();
    if let Some(day) = iso_day(text.as_bytes()) {
        return Ok(TimeText { day: Some(day?), ..TimeText::default() });
    }
    if text.len() > 100 {
        return Err(Unread::Form);
    }
    let mut parts = TimeParts::default();
    for word in text.split(|sign: char| sign.is_whitespace() || sign == ',').filter(|word| !word.is_empty()) {
        parts.take(word)?;
    }
    parts.whole()
}

/// `2026-01-31` as most have it; None for another form.
fn iso_day(text: &[u8]) -> Option<Result<NaiveDate, Unread>> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let number = |digits: &[u8]| {
        digits.iter().try_fold(0u32, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + u32::from(digit - b'0')))
    };
    let (year, month, day) = (number(&[*y1, *y2, *y3, *y4])?, number(&[*m1, *m2])?, number(&[*d1, *d2])?);
    Some(day_of(i32::try_from(year).ok()?, month, day))
}

fn day_of(year: i32, month: u32, day: u32) -> Result<NaiveDate, Unread> {
    if year == 0 {
        return Err(Unread::Range);
    }
    NaiveDate::from_ymd_opt(year, month, day).ok_or(Unread::Range)
}

/// A year of two digits is one of 1970 to 2069.
fn full_year(digits: &str) -> Result<i32, Unread> {
    let year = number(digits)?;
    let year = i32::try_from(year).map_err(|_| Unread::Range)?;
    Ok(match (digits.len(), year) {
        (1 | 2, 0..70) => year + 2000,
        (1 | 2, _) => year + 1900,
        _ => year,
    })
}

fn number(digits: &str) -> Result<u32, Unread> {
    match !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => digits.parse().map_err(|_| Unread::Range),
        false => Err(Unread::Form),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The number of a month of this name, from 1.
pub fn month_named(name: &str) -> Option<u32> {
    const MONTHS: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let name = name.to_ascii_lowercase();
    let name = if name == "sept" { "sep" } else { name.as_str() };
    let place = MONTHS.iter().position(|month| name == *month || name == &month[..3])?;
    u32::try_from(place + 1).ok()
}

fn is_weekday(name: &str) -> bool {
    const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let name = name.to_ascii_lowercase();
    let other = ["tues", "weds", "thur", "thurs"].contains(&name.as_str());
    other || DAYS.iter().any(|day| name == *day || name == day[..3])
}

/// Minutes ahead of UTC that short names of zones mean, whatever the season; those of PostgreSQL's default set that mean one thing.
const SHORT_ZONES: &[(&str, i32)] = &[
    ("z", 0),
    ("zulu", 0),
    ("utc", 0),
    ("ut", 0),
    ("gmt", 0),
    ("wet", 0),
    ("bst", 60),
    ("cet", 60),
    ("cest", 120),
    ("met", 60),
    ("mest", 120),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("jst", 540),
    ("kst", 540),
    ("awst", 480),
    ("acst", 570),
    ("acdt", 630),
    ("aest", 600),
    ("aedt", 660),
    ("nzst", 720),
    ("nzdt", 780),
    ("nst", -210),
    ("ndt", -150),
    ("ast", -240),
    ("adt", -180),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
    ("akst", -540),
    ("akdt", -480),
    ("hst", -600),
];

fn zone_named(name: &str) -> Result<ZoneText, Unread> {
    let short = SHORT_ZONES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    match short {
        Some((_, minutes)) => Ok(ZoneText::Ahead(minutes * 60)),
        None if name.contains('/') => named_zone(name).map(ZoneText::Named).map_err(|_| Unread::Form),
        None => Err(Unread::Form),
    }
}

/// `+02`, `-0530`, `+05:30:00`.
fn offset_of(text: &str) -> Result<ZoneText, Unread> {
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'+') => (1, &text[1..]),
        Some(b'-') => (-1, &text[1..]),
        _ => return Err(Unread::Form),
    };
    let mut fields = rest.split(':');
    let first = fields.next().unwrap_or_default();
    let (hours, minutes) = match (first.len(), fields.next()) {
        (1 | 2, None) => (number(first)?, 0),
        (1 | 2, Some(minutes)) => (number(first)?, number(minutes)?),
        (3 | 4, None) if is_digits(first) => {
            let (hours, minutes) = first.split_at(first.len() - 2);
            (number(hours)?, number(minutes)?)
        }
        _ => return Err(Unread::Form),
    };
    let seconds = fields.next().map_or(Ok(0), number)?;
    if fields.next().is_some() {
        return Err(Unread::Form);
    }
    if hours > 15 || minutes > 59 || seconds > 59 {
        return Err(Unread::Range);
    }
    let all = i32::try_from(hours * 3600 + minutes * 60 + seconds).map_err(|_| Unread::Range)?;
    Ok(ZoneText::Ahead(sign * all))
}

/// The nanoseconds that the digits behind a second's point mean, rounded.
pub(super) fn nanos_of(digits: &str) -> Result<i64, Unread> {
    if !digits.is_empty() && !is_digits(digits) {
        return Err(Unread::Form);
    }
    let place = |i: usize| digits.as_bytes().get(i).map_or(0, |digit| i64::from(digit - b'0'));
    let nanos = (0..9).fold(0, |sum, i| sum * 10 + place(i));
    Ok(nanos + i64::from(place(9) >= 5))
}

/// What has been found of a time.
#[derive(Default)]
struct TimeParts<'t> {
    day: Option<NaiveDate>,
    /// Hour, minute, nanosecond of the minute.
    clock: Option<(u32, u32, i64)>,
    /// Of a clock of twelve hours, whether it is the second half of the day.
    afternoon: Option<bool>,
    zone: Option<ZoneText>,
    month: Option<u32>,
    /// Numbers beside a month's name, in their order.
    numbers: [Option<&'t str>; 2],
}

/// Sets what may be told once.
fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Unread> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Unread::Form),
    }
}

impl<'t> TimeParts<'t> {
    fn take(&mut self, word: &'t str) -> Result<(), Unread> {
        let first = word.as_bytes().first().copied().unwrap_or_default();
        match first {
            b'+' | b'-' if self.clock.is_some() || self.day.is_some() => once(&mut self.zone, offset_of(word)?),
            digit if digit.is_ascii_digit() => self.take_digits(word),
            letter if letter.is_ascii_alphabetic() => self.take_name(word),
            _ => Err(match word.trim_start_matches(['+', '-']).eq_ignore_ascii_case("infinity") {
                true => Unread::Endless,
                false => Unread::Form,
            }),
        }
    }

    fn take_name(&mut self, word: &'t str) -> Result<(), Unread> {
        if let Some(month) = month_named(word) {
            return once(&mut self.month, month);
        }
        if word.split_once(['-', '/', '.']).is_some_and(|(first, _)| month_named(first).is_some()) {
            return self.take_day(word);
        }
        if is_weekday(word) {
            return Ok(());
        }
        match word.to_ascii_lowercase().as_str() {
            "am" => once(&mut self.afternoon, false),
            "pm" => once(&mut self.afternoon, true),
            "ad" => Ok(()),
            "infinity" => Err(Unread::Endless),
            "epoch" => {
                once(&mut self.day, NaiveDate::default())?;
                once(&mut self.clock, (0, 0, 0))?;
                once(&mut self.zone, ZoneText::Ahead(0))
            }
            "allballs" => {
                once(&mut self.clock, (0, 0, 0))?;
                once(&mut self.zone, ZoneText::Ahead(0))
            }
            other => match (other.as_bytes()[0], &word[1..]) {
                (b't', digits) if digits.starts_with(|sign: char| sign.is_ascii_digit()) => self.take_clock(digits),
                // a Julian day: those of the calendar, and their number before 1970
                (b'j', digits) if is_digits(digits) => {
                    let days = i32::try_from(number(digits)?).ok().and_then(|days| days.checked_sub(2_440_588));
                    let day = days.and_then(NaiveDate::from_epoch_days).filter(|day| day.year() > 0);
                    once(&mut self.day, day.ok_or(Unread::Range)?)
                }
                // a day alone has no zone
                _ => once(&mut self.zone, zone_named(word)?),
            },
        }
    }

    /// A word that begins with a digit.
    fn take_digits(&mut self, word: &'t str) -> Result<(), Unread> {
        let colon = word.find(':');
        let before_clock = word.find(['T', 't']).filter(|at| {
            colon.is_none_or(|colon| *at < colon) && word[at + 1..].starts_with(|sign: char| sign.is_ascii_digit())
        });
        if let Some(at) = before_clock {
            self.take_day(&word[..at])?;
            return self.take_clock(&word[at + 1..]);
        }
        if colon.is_some() {
            return self.take_clock(word);
        }
        match (is_digits(word), word.len()) {
            (true, 8) => self.take_day(word),
            // a clock without colons, where the day is known
            (true, 4 | 6) if self.day.is_some() => self.take_clock(word),
            (true, 6) if self.month.is_none() => self.take_day(word),
            (true, 1..=6) => match self.numbers.iter_mut().find(|place| place.is_none()) {
                Some(place) => {
                    *place = Some(word);
                    Ok(())
                }
                None => Err(Unread::Form),
            },
            (true, _) => Err(Unread::Form),
            (false, _) => self.take_day(word),
        }
    }

    fn take_day(&mut self, word: &str) -> Result<(), Unread> {
        let day = if is_digits(word) {
            let year = match word.len() {
                6 => 2,
                8 => 4,
                _ => return Err(Unread::Form),
            };
            day_of(full_year(&word[..year])?, number(&word[year..year + 2])?, number(&word[year + 2..])?)?
        } else {
            let separator = word.chars().find(|sign| !sign.is_ascii_alphanumeric()).ok_or(Unread::Form)?;
            if !matches!(separator, '-' | '/' | '.') {
                return Err(Unread::Form);
            }
            let fields: Vec<&str> = word.split(separator).collect();
            match fields.as_slice() {
                // a day of the year
                [year, day] if year.len() > 2 && day.len() == 3 => {
                    NaiveDate::from_yo_opt(full_year(year)?, number(day)?).ok_or(Unread::Range)?
                }
                [one, two, three] => match (month_named(one), month_named(two)) {
                    (Some(month), None) => day_of(full_year(three)?, month, number(two)?)?,
                    (None, Some(month)) if one.len() > 2 => day_of(full_year(one)?, month, number(three)?)?,
                    (None, Some(month)) => day_of(full_year(three)?, month, number(one)?)?,
                    _ if one.len() > 2 => day_of(full_year(one)?, number(two)?, number(three)?)?,
                    _ => day_of(full_year(three)?, number(one)?, number(two)?)?,
                },
                _ => return Err(Unread::Form),
            }
        };
        once(&mut self.day, day)
    }

    /// A clock with what is written right behind it.
    fn take_clock(&mut self, word: &str) -> Result<(), Unread> {
        let end = word.find(|sign: char| !(sign.is_ascii_digit() || sign == ':' || sign == '.')).unwrap_or(word.len());
        let (shown, rest) = word.split_at(end);
        let (whole, part) = shown.split_once('.').unwrap_or((shown, ""));
        let fields: Vec<&str> = match (is_digits(whole), whole.len()) {
            (true, 4) => vec![&whole[..2], &whole[2..]],
            (true, 6) => vec![&whole[..2], &whole[2..4], &whole[4..]],
            _ => whole.split(':').collect(),
        };
        let (hours, minutes, seconds) = match fields.as_slice() {
            [hours, minutes] if part.is_empty() => (number(hours)?, number(minutes)?, 0),
            [hours, minutes, seconds] => (number(hours)?, number(minutes)?, number(seconds)?),
            _ => return Err(Unread::Form),
        };
        if minutes > 59 || seconds > 60 {
            return Err(Unread::Range);
        }
        once(&mut self.clock, (hours, minutes, i64::from(seconds) * SECOND + nanos_of(part)?))?;
        match rest.to_ascii_lowercase().as_str() {
            "" => Ok(()),
            "am" => once(&mut self.afternoon, false),
            "pm" => once(&mut self.afternoon, true),
            other if other.starts_with(['+', '-']) => once(&mut self.zone, offset_of(rest)?),
            _ => once(&mut self.zone, zone_named(rest)?),
        }
    }

    fn whole(mut self) -> Result<TimeText, Unread> {
        match (self.month, self.numbers) {
            (Some(month), [Some(one), Some(two)]) => {
                let (year, day) = if one.len() > 2 { (one, two) } else { (two, one) };
                once(&mut self.day, day_of(full_year(year)?, month, number(day)?)?)?;
            }
            // a clock in digits alone
            (None, [Some(shown), None]) if self.day.is_none() && self.clock.is_none() && shown.len() == 4 => {
                self.take_clock(shown)?;
            }
            (None, [None, None]) => {}
            _ => return Err(Unread::Form),
        }
        let clock = match (self.clock, self.afternoon) {
            (None, None) => None,
            (None, Some(_)) => return Err(Unread::Form),
            (Some((hours, minutes, nanos)), half) => {
                let hours = match (half, hours) {
                    (None, 0..=24) => hours,
                    (Some(false), 12) => 0,
                    (Some(true), 1..12) => hours + 12,
                    (Some(_), 0..=12) => hours,
                    _ => return Err(Unread::Range),
                };
                let shown = i64::from(hours * 60 + minutes) * 60 * SECOND + nanos;
                if shown > 86_400 * SECOND {
                    return Err(Unread::Range);
                }
                Some(shown)
            }
        };
        match (self.day, clock) {
            (None, None) => Err(Unread::Form),
            (day, clock) => Ok(TimeText { day, clock, zone: self.zone }),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shown(text: &str) -> Result<String, Unread> {
        let TimeText { day, clock, zone } = read_time(text)?;
        let day = day.map(|day| day.to_string()).unwrap_or_default();
        let clock = clock.map(|nanos| format!(" {}.{:09}", nanos / SECOND, nanos % SECOND)).unwrap_or_default();
        let zone = match zone {
            None => String::new(),
            Some(ZoneText::Ahead(seconds)) => format!(" {seconds}"),
            Some(ZoneText::Named(zone)) => format!(" {zone}"),
        };
        Ok(format!("{day}{clock}{zone}"))
    }

    // as PostgreSQL 15 answers

    #[test]
    fn days() {
        for text in [
            "2026-01-31",
            "20260131",
            "260131",
            "2026-1-31",
            "2026/1/31",
            "2026.01.31",
            "1/31/2026",
            "1-31-2026",
            "1.31.26",
            "Jan 31, 2026",
            "31 Jan 2026",
            "January 31, 2026",
            "2026 Jan 31",
            "2026-Jan-31",
            "31-Jan-26",
            "Jan-31-2026",
            "2026-031",
            "J2461072",
            "Saturday, 31 Jan 2026",
            "  2026-01-31 ",
            "2026-01-31 AD",
        ] {
            assert_eq!(shown(text).as_deref(), Ok("2026-01-31"), "{text}");
        }
        assert_eq!(shown("08-Jan-99").as_deref(), Ok("1999-01-08"));
    }

    #[test]
    fn clocks_and_zones() {
        for (text, expected) in [
            ("2026-01-31 12:00", "2026-01-31 43200.000000000"),
            ("2026-01-31T12:00Z", "2026-01-31 43200.000000000 0"),
            ("20260131T123000", "2026-01-31 45000.000000000"),
            ("20260131 123000", "2026-01-31 45000.000000000"),
            ("2026-01-31 12:00 +02", "2026-01-31 43200.000000000 7200"),
            ("2026-01-31 +02", "2026-01-31 7200"),
            ("2026-01-31 -05:30", "2026-01-31 -19800"),
            ("2026-01-31 12:00:00.5 -05:30", "2026-01-31 43200.500000000 -19800"),
            ("2026-01-31 12:00:00-0530", "2026-01-31 43200.000000000 -19800"),
            ("2026-07-31 12:00 CET", "2026-07-31 43200.000000000 3600"),
            ("2026-01-31 12:00 europe/berlin", "2026-01-31 43200.000000000 Europe/Berlin"),
            ("Sat Jan 31 12:00:00 2026", "2026-01-31 43200.000000000"),
            ("Sat, 31 Jan 2026 12:00:00 GMT", "2026-01-31 43200.000000000 0"),
            ("2026-01-31 24:00:00", "2026-01-31 86400.000000000"),
            ("12:00:60", " 43260.000000000"),
            ("1:2:3", " 3723.000000000"),
            ("04:05 PM", " 57900.000000000"),
            ("04:05pm", " 57900.000000000"),
            ("12:30 AM", " 1800.000000000"),
            ("0400", " 14400.000000000"),
            ("T040506", " 14706.000000000"),
            ("12:00:00.1234567894", " 43200.123456789"),
            ("12:00:00.1234567895", " 43200.123456790"),
            ("allballs", " 0.000000000 0"),
            ("epoch", "1970-01-01 0.000000000 0"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            " ",
            "not a date",
            "2026-01-31 12",
            "2026-01-31T12",
            "31",
            "Jan 31",
            "Jan 1 2 3",
            "12:00 13:00",
            "2026-01-31 2026-01-31",
            "12:",
            ":",
            "2026-01-31 12:00 NOWHERE",
            "2026-01-31 12:00 No/Where",
            "2026--31",
            "+02",
            "PM",
            "44 BC",
            "9999999999",
            "T",
            "J",
            "2026-01-31 12:00:00.5.5",
            "ä",
            "2026-01-3ä",
        ] {
            assert_eq!(shown(text), Err(Unread::Form), "{text}");
        }
        for text in
            ["2026-02-30", "2026-13-01", "31/1/2026", "25:00", "2026-01-31 24:00:01", "13:00 PM", "12:61", "0000-01-01"]
        {
            assert_eq!(shown(text), Err(Unread::Range), "{text}");
        }
        for text in ["infinity", "-infinity", "+Infinity"] {
            assert_eq!(shown(text), Err(Unread::Endless), "{text}");
        }
    }

    #[test]
    fn moments() {
        assert_eq!(moment(" Now "), Some(Moment::Now));
        assert_eq!(moment("yesterday"), Some(Moment::Day(-1)));
        assert_eq!(moment("today 12:00"), None);
    }
}
