//! Intervals as PostgreSQL reads them: `1 day 02:00`, `1.5 hours`, `2 hours ago`, `1-2`, `P1DT2H`.
//!
//! Months, days and the rest are told apart, for a month has no certain number of days, nor a day of hours.

use super::reading::{Unread, nanos_of};

/// Nanoseconds of a second.
const SECOND: i64 = 1_000_000_000;
/// Nanoseconds of a day.
const DAY: i64 = 86_400 * SECOND;
/// Places of a fraction that count.
const PLACES: usize = 15;
/// What a fraction of one is.
const ONE: i128 = 1_000_000_000_000_000;

/// A length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    /// Months.
    pub months: i32,
    /// Days.
    pub days: i32,
    /// Nanoseconds.
    pub nanos: i64,
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Years of 12 months, or as many years.
    Years(i32),
    /// Months.
    Months,
    /// Days, or as many days.
    Days(i32),
    /// Nanoseconds, so many.
    Nanos(i64),
}

impl Unit {
    /// Years.
    pub const YEAR: Self = Self::Years(1);
    /// Days.
    pub const DAY: Self = Self::Days(1);
    /// Hours.
    pub const HOUR: Self = Self::Nanos(3_600 * SECOND);
    /// Minutes.
    pub const MINUTE: Self = Self::Nanos(60 * SECOND);
    /// Seconds.
    pub const SECOND: Self = Self::Nanos(SECOND);

    /// By its name, in either case, also of several.
    pub fn named(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "mil" | "mils" | "millennium" | "millennia" => Self::Years(1000),
            "c" | "cent" | "cents" | "century" | "centuries" => Self::Years(100),
            "dec" | "decs" | "decade" | "decades" => Self::Years(10),
            "y" | "yr" | "yrs" | "year" | "years" => Self::YEAR,
            "mon" | "mons" | "month" | "months" => Self::Months,
            "w" | "week" | "weeks" => Self::Days(7),
            "d" | "day" | "days" => Self::DAY,
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::HOUR,
            "m" | "min" | "mins" | "minute" | "minutes" => Self::MINUTE,
            "s" | "sec" | "secs" | "second" | "seconds" => Self::SECOND,
            "ms" | "msec" | "msecs" | "msecond" | "mseconds" | "millisecond" | "milliseconds" => Self::Nanos(1_000_000),
            "us" | "usec" | "usecs" | "usecond" | "useconds" | "microsecond" | "microseconds" => Self::Nanos(1_000),
            "nanosecond" | "nanoseconds" => Self::Nanos(1),
            _ => return None,
        })
    }
}

/// A number as it is written: its whole part, and what is left in parts of [`ONE`], both with its sign.
#[derive(Clone, Copy)]
struct Amount {
    whole: i64,
    part: i128,
}

impl Amount {
    fn read(text: &str) -> Result<Self, Unread> {
        let (minus, digits) = signed(text);
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !is_digits(whole) || !is_digits(part) || whole.is_empty() && part.is_empty() {
            return Err(Unread::Form);
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| Unread::Range)? };
        let place = |i: usize| part.as_bytes().get(i).map_or(0, |digit| i128::from(digit - b'0'));
        let part = (0..PLACES).fold(0, |sum, i| sum * 10 + place(i));
        Ok(if minus { Self { whole: -whole, part: -part } } else { Self { whole, part } })
    }

    /// So many of what `each` says: the whole ones, and the rest in parts of [`ONE`].
    fn times(self, each: i64) -> (i128, i128) {
        let of_part = self.part * i128::from(each);
        (i128::from(self.whole) * i128::from(each) + of_part / ONE, of_part % ONE)
    }
}

/// A text without its sign, and whether that is a minus.
fn signed(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn within<T: TryFrom<i128>>(value: i128) -> Result<T, Unread> {
    T::try_from(value).map_err(|_| Unread::Range)
}

impl Interval {
    /// With so many of a unit more; a part of a month is days of a 30th, a part of a day its nanoseconds.
    fn add(self, amount: Amount, unit: Unit) -> Result<Self, Unread> {
        let (months, days, nanos) = match unit {
            Unit::Years(years) => {
                let (months, rest) = amount.times(i64::from(years) * 12);
                // a part of a month is none where years are counted
                (months + (2 * rest) / ONE, 0, 0)
            }
            Unit::Months => {
                let (days, rest) = Amount { whole: 0, part: amount.part }.times(30);
                (i128::from(amount.whole), days, rest * i128::from(DAY) / ONE)
            }
            Unit::Days(each) => {
                let (days, rest) = amount.times(each.into());
                (0, days, rest * i128::from(DAY) / ONE)
            }
            Unit::Nanos(each) => (0, 0, amount.times(each).0),
        };
        Ok(Self {
            months: within(i128::from(self.months) + months)?,
            days: within(i128::from(self.days) + days)?,
            nanos: within(i128::from(self.nanos) + nanos)?,
        })
    }

    /// The same length the other way.
    ///
    /// # Errors
    /// It is too long for that.
    pub fn back(self) -> Result<Self, Unread> {
        let back = |value: i64| value.checked_neg().ok_or(Unread::Range);
        Ok(Self {
            months: within(-i128::from(self.months))?,
            days: within(-i128::from(self.days))?,
            nanos: back(self.nanos)?,
        })
    }

    /// To so many places of a second; None where it would be too long. What is as near to two goes away from 0.
    pub fn rounded(self, places: u32) -> Option<Self> {
        let step = 10_i64.pow(9 - places.min(9));
        let size = self.nanos.checked_abs()?.checked_add(step / 2)? / step * step;
        Some(Self { nanos: if self.nanos < 0 { -size } else { size }, ..self })
    }

    /// Without what is less than a unit; nothing is less than a second here.
    pub fn down_to(self, unit: Unit) -> Self {
        match unit {
            Unit::Years(years) => Self { months: self.months - self.months % (12 * years), days: 0, nanos: 0 },
            Unit::Months => Self { days: 0, nanos: 0, ..self },
            Unit::Days(_) => Self { nanos: 0, ..self },
            Unit::Nanos(each) if each > SECOND => Self { nanos: self.nanos - self.nanos % each, ..self },
            Unit::Nanos(_) => self,
        }
    }
}

/// An interval as it is written; `bare` is what a number without a unit counts.
///
/// # Errors
/// Why it is none.
pub fn read_interval(text: &str, bare: Unit) -> Result<Interval, Unread> {
    let text = text.trim();
    if text.len() > 200 {
        return Err(Unread::Form);
    }
    if let Some(iso) = text.strip_prefix('P') {
        return of_iso(iso);
    }
    let text = with_signs(text);
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let ago = words.last().is_some_and(|last| last.eq_ignore_ascii_case("ago"));
    if ago {
        words.pop();
    }
    let mut words = words.into_iter().peekable();
    // it says nothing
    let _ = words.next_if_eq(&"@");
    let (mut all, mut told) = (None, vec![]);
    while let Some(word) = words.next() {
        let so_far: Interval = all.unwrap_or_default();
        let mut once = |unit: Unit| match told.contains(&unit) {
            true => Err(Unread::Form),
            false => {
                told.push(unit);
                Ok(())
            }
        };
        all = Some(if word.contains(':') {
            [Unit::HOUR, Unit::MINUTE, Unit::SECOND].into_iter().try_for_each(&mut once)?;
            so_far.add(Amount { whole: clock_of(word)?, part: 0 }, Unit::Nanos(1))?
        } else if let Some((years, months)) = years_and_months(word)? {
            [Unit::YEAR, Unit::Months].into_iter().try_for_each(&mut once)?;
            so_far.add(years, Unit::YEAR)?.add(months, Unit::Months)?
        } else {
            let end = word.find(|sign: char| !(sign.is_ascii_digit() || "+-.".contains(sign))).unwrap_or(word.len());
            let (amount, behind) = word.split_at(end);
            if amount.is_empty() {
                let endless = signed(behind).1.eq_ignore_ascii_case("infinity");
                return Err(if endless { Unread::Endless } else { Unread::Form });
            }
            let next = words.peek().copied();
            let unit = match (behind, next) {
                // days before a clock
                ("", Some(next)) if next.contains(':') => Unit::DAY,
                ("", Some(next)) => {
                    let unit = Unit::named(next).ok_or(Unread::Form)?;
                    words.next();
                    unit
                }
                ("", None) => bare,
                (name, _) => Unit::named(name).ok_or(Unread::Form)?,
            };
            once(unit)?;
            so_far.add(Amount::read(amount)?, unit)?
        });
    }
    let all = all.ok_or(Unread::Form)?;
    if ago { all.back() } else { Ok(all) }
}

/// The same with signs that stand alone before their numbers: `1 month - 1 day`.
fn with_signs(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut is_sign = false;
    for word in text.split_whitespace() {
        if !joined.is_empty() && !is_sign {
            joined.push(' ');
        }
        is_sign = matches!(word, "-" | "+");
        joined.push_str(word);
    }
    joined
}

/// The nanoseconds of `-04:05:06.5`; of two fields the first is hours, or minutes where there is a fraction.
fn clock_of(word: &str) -> Result<i64, Unread> {
    let (minus, shown) = signed(word);
    let (whole, part) = shown.split_once('.').unwrap_or((shown, ""));
    let field = |text: &str| match !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<i64>().map_err(|_| Unread::Range),
        false => Err(Unread::Form),
    };
    let fields: Vec<&str> = whole.split(':').collect();
    let (hours, minutes, seconds) = match fields.as_slice() {
        [minutes, seconds] if shown.contains('.') => (0, field(minutes)?, field(seconds)?),
        [hours, minutes] => (field(hours)?, field(minutes)?, 0),
        [hours, minutes, seconds] => (field(hours)?, field(minutes)?, field(seconds)?),
        _ => return Err(Unread::Form),
    };
    if minutes > 59 || seconds > 60 {
        return Err(Unread::Range);
    }
    let seconds = hours.checked_mul(3_600).and_then(|s| s.checked_add(minutes * 60 + seconds)).ok_or(Unread::Range)?;
    let nanos = seconds.checked_mul(SECOND).and_then(|n| n.checked_add(nanos_of(part).ok()?)).ok_or(Unread::Range)?;
    Ok(if minus { -nanos } else { nanos })
}

/// `1-2`, `-1-2`: years and months of one sign; None for another form.
fn years_and_months(word: &str) -> Result<Option<(Amount, Amount)>, Unread> {
    let (minus, digits) = signed(word);
    let Some((years, months)) = digits.split_once('-') else { return Ok(None) };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(years) || !is_number(months) {
        return Err(Unread::Form);
    }
    let amount = |text: &str| -> Result<Amount, Unread> {
        let amount = Amount::read(text)?;
        Ok(if minus { Amount { whole: -amount.whole, part: 0 } } else { amount })
    };
    let (years, months) = (amount(years)?, amount(months)?);
    match months.whole.abs() {
        0..12 => Ok(Some((years, months))),
        _ => Err(Unread::Range),
    }
}

/// What ISO 8601 has behind its `P`: `1Y2M3DT4H5M6S`, `0001-02-03T04:05:06`.
fn of_iso(text: &str) -> Result<Interval, Unread> {
    let (days, clock) = match text.split_once('T') {
        Some((days, clock)) if !clock.is_empty() => (days, clock),
        Some(_) => return Err(Unread::Form),
        None => (text, ""),
    };
    if days.is_empty() && clock.is_empty() {
        return Err(Unread::Form);
    }
    let mut all = Interval::default();
    let fields: Vec<&str> = days.split('-').collect();
    if let [years, months, days] = fields.as_slice()
        && [years, months, days].into_iter().all(|field| field.bytes().all(|b| b.is_ascii_digit()))
    {
        for (amount, unit) in [(years, Unit::YEAR), (months, Unit::Months), (days, Unit::DAY)] {
            all = all.add(Amount::read(amount)?, unit)?;
        }
    } else {
        all = designated(days, &[('Y', Unit::YEAR), ('M', Unit::Months), ('W', Unit::Days(7)), ('D', Unit::DAY)], all)?;
    }
    if clock.contains(':') {
        return all.add(Amount { whole: clock_of(clock)?, part: 0 }, Unit::Nanos(1));
    }
    designated(clock, &[('H', Unit::HOUR), ('M', Unit::MINUTE), ('S', Unit::SECOND)], all)
}

/// Numbers, each with a letter of these behind it, in this order.
fn designated(text: &str, letters: &[(char, Unit)], mut all: Interval) -> Result<Interval, Unread> {
    let (mut rest, mut letters) = (text, letters.iter());
    while !rest.is_empty() {
        let end = rest.find(|sign: char| sign.is_ascii_alphabetic()).ok_or(Unread::Form)?;
        let letter = rest[end..].chars().next();
        let (_, unit) = letters.find(|(known, _)| Some(*known) == letter).ok_or(Unread::Form)?;
        all = all.add(Amount::read(&rest[..end])?, *unit)?;
        rest = &rest[end + 1..];
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(i32, i32, i64), Unread> {
        read_interval(text, Unit::SECOND).map(|found| (found.months, found.days, found.nanos / 1_000_000))
    }

    // as PostgreSQL 15 answers

    #[test]
    fn intervals() {
        for (text, expected) in [
            ("1 day 02:00", (0, 1, 7_200_000)),
            ("1 day", (0, 1, 0)),
            ("-1 day +02:00", (0, -1, 7_200_000)),
            ("3 4:05:06", (0, 3, 14_706_000)),
            ("1 day 25:00", (0, 1, 90_000_000)),
            ("02:00", (0, 0, 7_200_000)),
            ("1:02.5", (0, 0, 62_500)),
            ("-04:05", (0, 0, -14_700_000)),
            ("1 year 2 mons -3 days -04:05:06.5", (14, -3, -14_706_500)),
            ("@ 1 day 2 hours ago", (0, -1, -7_200_000)),
            ("2 hours ago", (0, 0, -7_200_000)),
            ("1-2", (14, 0, 0)),
            ("-1-2", (-14, 0, 0)),
            ("+1-2", (14, 0, 0)),
            ("1.5 years", (18, 0, 0)),
            ("1.5 months", (1, 15, 0)),
            ("1.5 weeks", (0, 10, 43_200_000)),
            ("-1.5 days", (0, -1, -43_200_000)),
            (".5 hour", (0, 0, 1_800_000)),
            ("1d 2h 3m 4s", (0, 1, 7_384_000)),
            ("90", (0, 0, 90_000)),
            ("10.5", (0, 0, 10_500)),
            ("1 day 2", (0, 1, 2_000)),
            ("1 month - 1 day", (1, -1, 0)),
            ("- 1 day + 02:00", (0, -1, 7_200_000)),
            ("1 MIL", (12_000, 0, 0)),
            ("100 ms", (0, 0, 100)),
            ("P1D", (0, 1, 0)),
            ("P1.5D", (0, 1, 43_200_000)),
            ("P-1D", (0, -1, 0)),
            ("P1Y2M3DT4H5M6S", (14, 3, 14_706_000)),
            ("P0001-02-03T04:05:06", (14, 3, 14_706_000)),
            ("P2W", (0, 14, 0)),
            ("PT1H30M", (0, 0, 5_400_000)),
            ("PT1.5S", (0, 0, 1_500)),
        ] {
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_interval() {
        for text in [
            "",
            "ago",
            "P",
            "PT",
            "P1",
            "P1H",
            "PT5",
            "P1D1Y",
            "nonsense",
            "1 fortnight",
            "1 day 1 day",
            "02:00 03:00",
            "1 day 02:00 3 hours",
            "1-",
            "1-2-3",
            "1..5 days",
            "- days",
            "1ä",
            ":",
            "1:",
        ] {
            assert_eq!(read(text), Err(Unread::Form), "{text}");
        }
        let long = format!("{}:00:00", i64::MAX);
        for text in ["1 day 00:61", "1-12", "99999999999 days", long.as_str(), "99999999999999999999 hours"] {
            assert_eq!(read(text), Err(Unread::Range), "{text}");
        }
        assert_eq!(read("infinity"), Err(Unread::Endless));
    }

    #[test]
    fn fields() {
        let of = |text: &str, bare: Unit| read_interval(text, bare).map(|found| found.down_to(bare));
        let days = |days| Ok(Interval { days, ..Interval::default() });
        assert_eq!(of("1.5", Unit::DAY), days(1));
        assert_eq!(of("3", Unit::DAY), days(3));
        let minutes = |nanos: i64| Ok(Interval { nanos: nanos * SECOND, ..Interval::default() });
        assert_eq!(of("90", Unit::MINUTE), minutes(5_400));
        assert_eq!(of("1-2", Unit::YEAR), Ok(Interval { months: 12, ..Interval::default() }));
        assert_eq!(of("1-2", Unit::Months), Ok(Interval { months: 14, ..Interval::default() }));
    }
}
