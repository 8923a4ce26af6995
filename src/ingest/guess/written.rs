//! How texts say days and clocks: the formats of strftime that fit them.

use std::ops::RangeInclusive;

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};

/// What a clock shows.
const CLOCKS: [&str; 16] = [
    "%H:%M:%S",
    "%H:%M",
    "%I:%M:%S %p",
    "%I:%M %p",
    WHOLE_CLOCK,
    "%H:%M:%S %#z",
    "%H:%M %#z",
    "%H:%M:%S Uhr",
    "%H:%M Uhr",
    "%Hh%M",
    // what spreadsheets and databases write where there is no day
    "30.12.1899 %H:%M:%S",
    "30.12.1899 %H:%M",
    "1899-12-30 %H:%M:%S",
    "1899-12-30T%H:%M:%S",
    "12/30/1899 %H:%M:%S",
    "12/30/1899 %I:%M:%S %p",
];
/// How many of them may stand behind a day.
const CLOCKS_ALONE: usize = 10;
/// The same in digits that could be a number, with the lengths of such texts.
const CLOCK_NUMBERS: [(&str, RangeInclusive<usize>); 4] =
    [("%H%M%S", 6..=6), ("%H%M", 4..=4), ("%H.%M.%S", 7..=8), ("%H.%M", 4..=5)];
/// What a clock shows, with a fraction of a second or without one.
pub(super) const WHOLE_CLOCK: &str = "%H:%M:%S%.f";
/// The day in ISO 8601, which needs no format.
pub(super) const ISO_DAY: &str = "%Y-%m-%d";
/// A day as a number of eight digits.
pub(super) const DAY_NUMBER: &str = "%Y%m%d";
const DAYS: [&str; 12] = [
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y/%m/%d", "%d.%m.%y", "%d/%m/%y",
    "%m/%d/%y", "%d-%m-%y", "%m-%d-%y",
];
/// What stands behind a day, where a system has no type for days alone.
const MIDNIGHTS: [&str; 6] = [" 00:00:00", " 00:00", " 0:00", "T00:00:00", " 00:00:00.000", " 12:00:00 AM"];
/// What may stand between a day and a clock.
const BETWEEN: [&str; 3] = [" ", ", ", "T"];

/// A way in which texts say days or times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub format: String,
    /// They say days alone.
    pub is_day: bool,
}

/// Everything that needs a format, days before times.
fn forms() -> impl Iterator<Item = Form> {
    let days = DAYS.into_iter().map(|format| Form { format: format.into(), is_day: true });
    let with_clock = |day: &'static str| {
        let clocks = CLOCKS.into_iter().take(CLOCKS_ALONE);
        let formats = clocks.flat_map(move |clock| BETWEEN.map(|between| format!("{day}{between}{clock}")));
        formats.map(|format| Form { format, is_day: false })
    };
    let iso = [2, 3].map(|clock| Form { format: format!("{ISO_DAY} {}", CLOCKS[clock]), is_day: false });
    days.chain(DAYS.into_iter().flat_map(with_clock)).chain(iso)
}

/// The forms that fit all texts, and of those that fit most the first with the number of texts that it fits.
pub(super) fn forms_of(texts: &[String]) -> (Vec<Form>, Option<(Form, usize)>) {
    let mut best: Option<(Form, usize)> = None;
    let mut all = vec![];
    for form in forms() {
        let fits = texts.iter().filter(|text| form.fits(text)).count();
        if fits == texts.len() && fits > 0 {
            all.push(form);
        } else if best.as_ref().is_none_or(|(_, before)| fits > *before) && 2 * fits > texts.len() {
            best = Some((form, fits));
        }
    }
    (all, best)
}

/// True where some form fits all texts.
pub(super) fn has_form(texts: &[String]) -> bool {
    let may_be = texts.first().is_some_and(|text| text.bytes().any(|byte| byte.is_ascii_digit()));
    may_be && forms().any(|form| texts.iter().all(|text| form.fits(text)))
}

impl Form {
    pub fn fits(&self, text: &str) -> bool {
        if self.is_day {
            return is_day(text, &self.format);
        }
        NaiveDateTime::parse_from_str(text, &self.format).is_ok_and(|time| is_year(time.year()))
    }

    /// The same with the month in the place of the day.
    pub fn swapped(&self) -> Self {
        let parts = self.format.split("%d").map(|part| part.replace("%m", "%d"));
        Self { format: parts.collect::<Vec<_>>().join("%m"), is_day: self.is_day }
    }
}

/// The formats in which all texts say days, also with midnight behind them.
pub(super) fn days_of(texts: &[String]) -> Vec<String> {
    let fit = |format: &String| !texts.is_empty() && texts.iter().all(|text| is_day(text, format));
    let known = || [ISO_DAY].into_iter().chain(DAYS);
    let plain: Vec<String> = known().map(String::from).filter(fit).collect();
    if !plain.is_empty() {
        return plain;
    }
    known().flat_map(|day| MIDNIGHTS.map(|midnight| format!("{day}{midnight}"))).filter(fit).collect()
}

/// The format in which all texts say what a clock shows; with `named` also in digits alone.
pub(super) fn clock_of(texts: &[String], named: bool) -> Option<&'static str> {
    let is_clock = |format: &&str| texts.iter().all(|text| NaiveTime::parse_from_str(text, format).is_ok());
    let are_long = |lengths: &RangeInclusive<usize>| texts.iter().all(|text| lengths.contains(&text.len()));
    let numbers = CLOCK_NUMBERS.into_iter().filter(|(_, lengths)| named && are_long(lengths)).map(|(format, _)| format);
    CLOCKS.into_iter().chain(numbers).find(is_clock).filter(|_| !texts.is_empty())
}

/// True for days as numbers of eight digits.
pub(super) fn are_day_numbers(texts: &[String]) -> bool {
    !texts.is_empty() && texts.iter().all(|text| text.len() == 8 && is_day(text, DAY_NUMBER))
}

fn is_day(text: &str, format: &str) -> bool {
    NaiveDate::parse_from_str(text, format).is_ok_and(|day| is_year(day.year()))
}

fn is_year(year: i32) -> bool {
    (1970..3000).contains(&year)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| text.to_string()).collect()
    }

    #[test]
    fn clocks() {
        for (shown, format) in [
            (vec!["10:00", "9:30"], Some("%H:%M")),
            (vec!["10:00:07"], Some("%H:%M:%S")),
            (vec!["2:05 PM", "11:59am"], Some("%I:%M %p")),
            (vec!["10:00:07.25"], Some("%H:%M:%S%.f")),
            (vec!["10:00 Uhr"], Some("%H:%M Uhr")),
            (vec!["10h30"], Some("%Hh%M")),
            (vec!["30.12.1899 10:00:00"], Some("30.12.1899 %H:%M:%S")),
            (vec!["10:00:00 +0200"], Some("%H:%M:%S %#z")),
            (vec!["25:00"], None),
            (vec!["1000"], None),
            (vec![], None),
        ] {
            assert_eq!(clock_of(&texts(&shown), false), format, "{shown:?}");
        }
        let named = |shown: &[&str]| clock_of(&texts(shown), true);
        assert_eq!((named(&["093000", "101500"]), named(&["0930"])), (Some("%H%M%S"), Some("%H%M")));
        assert_eq!((named(&["10.30"]), named(&["10.30.05"])), (Some("%H.%M"), Some("%H.%M.%S")));
        assert_eq!((named(&["99"]), named(&["9999"]), named(&["1"])), (None, None, None));
    }

    #[test]
    fn days_and_times() {
        let days = |said: &[&str]| days_of(&texts(said));
        assert_eq!(days(&["2026-10-05", "2026-10-06"]), ["%Y-%m-%d"]);
        assert_eq!(days(&["05.10.2026 00:00:00", "13.10.2026 00:00:00"]), ["%d.%m.%Y 00:00:00"]);
        assert_eq!(days(&["31-12-2026"]), ["%d-%m-%Y"]);
        assert_eq!(days(&["05/06/2026"]), ["%d/%m/%Y", "%m/%d/%Y"]);
        assert!(days(&["05.10.2026 10:00"]).is_empty() && days(&[]).is_empty());
        let all = |said: &[&str]| forms_of(&texts(said)).0.into_iter().map(|form| form.format).collect::<Vec<_>>();
        assert_eq!(all(&["05/31/2026 10:00"]), ["%m/%d/%Y %H:%M"]);
        assert_eq!(all(&["9/13/2026, 2:05:00 PM"]), ["%m/%d/%Y, %I:%M:%S %p"]);
        assert_eq!(all(&["2026-10-05 02:05 PM"]), ["%Y-%m-%d %I:%M %p"]);
        let mixed = texts(&["13/05/2026", "14/05/2026", "05/13/2026"]);
        let (whole, most) = forms_of(&mixed);
        assert!(whole.is_empty() && !has_form(&mixed));
        assert_eq!(most, Some((Form { format: "%d/%m/%Y".into(), is_day: true }, 2)));
        assert_eq!(forms_of(&texts(&["13/05/2026", "soon"])), (vec![], None));
    }
}
