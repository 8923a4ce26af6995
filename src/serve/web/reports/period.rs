//! The days that a question is about: named ones count from today, others are given by their first and last day, which both
//! belong to them. Out come the arguments `since` and `until`, and the period before.

use chrono::{Datelike, Days, Months, NaiveDate};

use super::question::Question;
use crate::{Error, Result};

/// Days by name, in words.
pub(super) const NAMED: [(&str, &str); 13] = [
    ("", "Days as given"),
    ("today", "Today"),
    ("yesterday", "Yesterday"),
    ("last_7_days", "Last 7 days, with today"),
    ("last_30_days", "Last 30 days, with today"),
    ("last_90_days", "Last 90 days, with today"),
    ("this_week", "This week"),
    ("last_week", "Last week"),
    ("this_month", "This month"),
    ("last_month", "Last month"),
    ("this_year", "This year"),
    ("last_year", "Last year"),
    ("all", "All history"),
];

/// From an instant on, before another; an empty one is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Period {
    pub since: String,
    pub until: String,
    /// First and last day, where both are days.
    days: Option<(NaiveDate, NaiveDate)>,
}

impl Period {
    /// The period of a question that is asked today.
    pub fn of(question: &Question, today: NaiveDate) -> Result<Self> {
        let name = question.get("period");
        if name == "all" {
            return Ok(Self::default());
        }
        if !name.is_empty() {
            let days = named(name, today).ok_or_else(|| {
                let names: Vec<&str> = NAMED.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect();
                Error::usage(format!("there is no period of this name; there are {}", names.join(", ")))
            })?;
            return Ok(Self::from_to(days.0, days.1));
        }
        let since = question.get("since");
        let last = day(question.get("last"));
        let until = match (question.get("last"), last.and_then(|last| last.succ_opt())) {
            ("", _) => question.get("until").to_string(),
            (_, Some(next)) => next.to_string(),
            (last, None) => return Err(Error::usage(format!("the last day is written like 2026-09-30, not {last:?}"))),
        };
        Ok(Self { since: since.to_string(), until, days: day(since).zip(last) })
    }

    fn from_to(first: NaiveDate, last: NaiveDate) -> Self {
        let until = last.succ_opt().unwrap_or(last);
        Self { since: first.to_string(), until: until.to_string(), days: Some((first, last)) }
    }

    /// As long a period right before this one: of whole months as many months, else as many days. None of an open one.
    pub fn before(&self) -> Option<Self> {
        let (first, last) = self.days.filter(|(first, last)| first <= last)?;
        let end = first.pred_opt()?;
        let next = last.succ_opt()?;
        let begin = if first.day() == 1 && next.day() == 1 {
            let months = (next.year() - first.year()) * 12 + next.month() as i32 - first.month() as i32;
            first.checked_sub_months(Months::new(months.unsigned_abs()))?
        } else {
            first.checked_sub_days(Days::new((next - first).num_days().unsigned_abs()))?
        };
        Some(Self::from_to(begin, end))
    }

    /// In words.
    pub fn words(&self) -> String {
        match (self.days, self.since.as_str(), self.until.as_str()) {
            (Some((first, last)), _, _) if first == last => first.to_string(),
            (Some((first, last)), _, _) => format!("{first} to {last}"),
            (None, "", "") => "all history".into(),
            (None, since, "") => format!("from {since}"),
            (None, "", until) => format!("before {until}"),
            (None, since, until) => format!("from {since}, before {until}"),
        }
    }
}

/// Gives a question that came with an exclusive end the last day instead, where it ends with a day.
pub(super) fn with_last_day(question: &mut Question) {
    if question.has("last") || question.has("period") {
        question.set("until", "");
    } else if let Some(last) = day(question.get("until")).and_then(|until| until.pred_opt()) {
        question.set("last", &last.to_string());
        question.set("until", "");
    }
}

/// A day as browsers send it.
fn day(text: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == "2026-01-01".len())
}

/// First and last day.
fn named(name: &str, today: NaiveDate) -> Option<(NaiveDate, NaiveDate)> {
    let ago = |days: u64| today.checked_sub_days(Days::new(days));
    let monday = || ago(u64::from(today.weekday().num_days_from_monday()));
    let of_month = || today.with_day(1);
    let of_year = || NaiveDate::from_ymd_opt(today.year(), 1, 1);
    Some(match name {
        "today" => (today, today),
        "yesterday" => (ago(1)?, ago(1)?),
        "last_7_days" => (ago(6)?, today),
        "last_30_days" => (ago(29)?, today),
        "last_90_days" => (ago(89)?, today),
        "this_week" => (monday()?, today),
        "last_week" => (monday()?.checked_sub_days(Days::new(7))?, monday()?.pred_opt()?),
        "this_month" => (of_month()?, today),
        "last_month" => (of_month()?.checked_sub_months(Months::new(1))?, of_month()?.pred_opt()?),
        "this_year" => (of_year()?, today),
        "last_year" => (NaiveDate::from_ymd_opt(today.year() - 1, 1, 1)?, of_year()?.pred_opt()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn period(question: &str) -> Period {
        // a Thursday
        let today = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap();
        let mut question = Question::parse(question);
        with_last_day(&mut question);
        Period::of(&question, today).unwrap()
    }

    #[test]
    fn ends_belong_to_it() {
        let days = |question: &str| {
            let period = period(question);
            let before = period.before().map(|before| before.words()).unwrap_or_default();
            (period.since.clone(), period.until.clone(), before)
        };
        let all = |since: &str, until: &str, before: &str| (since.to_string(), until.to_string(), before.to_string());
        assert_eq!(days("period=today"), all("2026-10-01", "2026-10-02", "2026-09-30"));
        assert_eq!(days("period=last_week"), all("2026-09-21", "2026-09-28", "2026-09-14 to 2026-09-20"));
        assert_eq!(days("period=last_month"), all("2026-09-01", "2026-10-01", "2026-08-01 to 2026-08-31"));
        assert_eq!(days("period=last_year"), all("2025-01-01", "2026-01-01", "2024-01-01 to 2024-12-31"));
        assert_eq!(days("period=last_7_days"), all("2026-09-25", "2026-10-02", "2026-09-18 to 2026-09-24"));
        assert_eq!(days("since=2026-09-03&last=2026-09-03"), all("2026-09-03", "2026-09-04", "2026-09-02"));
        // links of before the last day was asked for
        assert_eq!(
            days("since=2026-09-01&until=2026-10-01"),
            all("2026-09-01", "2026-10-01", "2026-08-01 to 2026-08-31")
        );
        assert_eq!(days("until=2026-10-01T12:00:00Z"), all("", "2026-10-01T12:00:00Z", ""));
        assert_eq!(days("period=all&since=2026-09-01"), all("", "", ""));
        assert_eq!(period("").words(), "all history");
    }

    #[test]
    fn what_is_no_day_is_said() {
        let wrong =
            |question: &str| Period::of(&Question::parse(question), NaiveDate::default()).unwrap_err().to_string();
        assert!(wrong("last=2026-02-30").contains("2026-02-30"));
        assert!(wrong("period=yesterweek").contains("last_week"));
    }
}
