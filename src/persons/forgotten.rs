//! Rows without a customer ID that a forgotten person had: they are their visitor's from then on, and no other person's.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

use super::moment::Moment;

/// What stands for a bound that is none.
const EVER: &str = "ever";

/// The rows of a visitor from one place (inclusive) to another (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Between {
    /// The first place that is in it; None from ever.
    pub from: Option<Moment>,
    /// The first place that is no longer in it; None for ever.
    pub until: Option<Moment>,
}

impl Between {
    /// True for a place in it.
    pub fn holds(&self, at: Moment) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

/// `2026-09-01T10:00:00.000000Z/12 .. ever`: times, each with the sequence among rows of one instant.
impl fmt::Display for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |moment: Option<Moment>| match moment {
            None => EVER.to_string(),
            Some((time, sequence)) => match DateTime::<Utc>::from_timestamp_micros(time) {
                Some(instant) => format!("{}/{sequence}", instant.to_rfc3339_opts(SecondsFormat::Micros, true)),
                None => format!("{time}/{sequence}"),
            },
        };
        write!(f, "{} .. {}", bound(self.from), bound(self.until))
    }
}

impl FromStr for Between {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no part of a visitor's rows");
        let bound = |text: &str| -> Option<Option<Moment>> {
            if text == EVER {
                return Some(None);
            }
            let (time, sequence) = text.split_once('/')?;
            let instant = DateTime::parse_from_rfc3339(time).map(|instant| instant.timestamp_micros());
            let time = instant.ok().or_else(|| time.parse().ok())?;
            Some(Some((time, sequence.parse().ok()?)))
        };
        let (from, until) = text.split_once(" .. ").ok_or_else(wrong)?;
        let (from, until) = (bound(from).ok_or_else(wrong)?, bound(until).ok_or_else(wrong)?);
        Ok(Self { from, until })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn as_text_and_back() {
        let between = |from, until| Between { from, until };
        for one in [
            between(None, None),
            between(Some((1_756_720_800_000_001, 17)), None),
            between(None, Some((i64::MAX, i128::MAX))),
            between(Some((-1, -5)), Some((0, 0))),
        ] {
            assert_eq!(one.to_string().parse::<Between>().unwrap(), one, "{one}");
        }
        assert_eq!(between(Some((0, 3)), None).to_string(), "1970-01-01T00:00:00.000000Z/3 .. ever");
        for wrong in ["", "ever", "ever .. x", "2026-09-01/1 .. ever", "1/2..3/4"] {
            assert!(wrong.parse::<Between>().is_err(), "{wrong}");
        }
    }
}
