//! Which of several values counts, and how long it lasts: the words of persistence and of values bound to products.
//!
//! Text in (of a suite's settings or of a mapping), [`Allocation`] and [`Expiry`] out, and back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::did_you_mean;
use crate::time::{duration_text, parse_duration};

/// Which of several values counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Allocation {
    /// The latest that was set.
    #[default]
    MostRecent,
    /// The first, as long as it lives.
    Original,
    /// The first of the span, on the rows before it as well.
    FirstKnown,
    /// The last of the span, on all of its rows.
    LastKnown,
}

/// How long a value lasts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Expiry {
    /// Until the visit ends.
    Visit,
    /// For ever.
    Visitor,
    /// So many microseconds after the row that set it, the edge included.
    After(i64),
    /// Until a row on which this metric is not zero; that row still has the value.
    Metric(String),
}

impl Allocation {
    const NAMES: [&str; 4] = ["most_recent", "original", "first_known", "last_known"];
}

impl FromStr for Allocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim().to_lowercase();
        match word.as_str() {
            "most_recent" => Ok(Self::MostRecent),
            "original" => Ok(Self::Original),
            "first_known" => Ok(Self::FirstKnown),
            "last_known" => Ok(Self::LastKnown),
            _ => {
                let near = did_you_mean(&word, Self::NAMES);
                Err(format!("there is no allocation {word:?}{near}; it is one of {}", Self::NAMES.join(", ")))
            }
        }
    }
}

impl fmt::Display for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

impl FromStr for Expiry {
    type Err = String;

    /// `visit`, `visitor`, `30 days` (or another duration), or the name of a metric.
    fn from_str(text: &str) -> Result<Self, String> {
        let word = text.trim();
        match word.to_lowercase().as_str() {
            "visit" => Ok(Self::Visit),
            "visitor" => Ok(Self::Visitor),
            lower if lower.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-')) => {
                match parse_duration(word).map_err(|e| format!("expiry {e}"))? {
                    0 => Err("an expiry is longer than 0".into()),
                    us => Ok(Self::After(us)),
                }
            }
            _ if is_name(word) => Ok(Self::Metric(word.to_string())),
            _ => Err(format!("expiry {word:?}: write visit, visitor, e.g. '30 days', or the name of a metric")),
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Visit => f.write_str("visit"),
            Self::Visitor => f.write_str("visitor"),
            Self::After(us) => f.write_str(&duration_text(*us)),
            Self::Metric(name) => f.write_str(name),
        }
    }
}

// written down as the words that people write
impl From<Allocation> for String {
    fn from(allocation: Allocation) -> Self {
        allocation.to_string()
    }
}

impl TryFrom<String> for Allocation {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Expiry> for String {
    fn from(expiry: Expiry) -> Self {
        expiry.to_string()
    }
}

impl TryFrom<String> for Expiry {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_') && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::time::DAY_US;

    #[test]
    fn words_read_back() {
        for name in Allocation::NAMES {
            assert_eq!(name.parse::<Allocation>().unwrap().to_string(), name);
        }
        for (text, expiry) in [
            ("visit", Expiry::Visit),
            (" Visitor ", Expiry::Visitor),
            ("30 days", Expiry::After(30 * DAY_US)),
            ("1 day", Expiry::After(DAY_US)),
            ("12 hours", Expiry::After(DAY_US / 2)),
            ("event5", Expiry::Metric("event5".into())),
            ("Leads", Expiry::Metric("Leads".into())),
        ] {
            assert_eq!(text.parse(), Ok(expiry.clone()), "{text}");
            assert_eq!(expiry.to_string().parse(), Ok(expiry));
        }
    }

    #[test]
    fn wrong_words_say_the_right_one() {
        assert!("most recent".parse::<Allocation>().unwrap_err().contains("did you mean most_recent?"));
        for (text, why) in [
            ("", "write visit, visitor"),
            ("30", "unit is missing"),
            ("0 days", "longer than 0"),
            ("-3 days", "cannot be negative"),
            ("after a while", "the name of a metric"),
        ] {
            let message = text.parse::<Expiry>().unwrap_err();
            assert!(message.contains(why), "{text}: {message}");
        }
    }
}
