//! How a dimension persists: which of the values that a visitor set a row has, and how long.
//!
//! Text in (`most_recent, 30 days`, of a suite's settings; the two words of a mapping), [`Persistence`] out, and back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::lifetime::{Allocation, Expiry};

/// The rule of one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persistence {
    /// Which value counts.
    pub allocation: Allocation,
    /// How long it lasts.
    pub expiry: Expiry,
}

impl Persistence {
    /// Of the words of a mapping; without them the latest value of the visit.
    ///
    /// # Errors
    /// An unknown word; a span that `first_known` and `last_known` cannot fill.
    pub fn of(allocation: Option<&str>, expiry: Option<&str>) -> Result<Self, String> {
        let allocation = allocation.map_or(Ok(Allocation::default()), str::parse)?;
        let expiry = expiry.map_or(Ok(Expiry::Visit), str::parse)?;
        let rule = Self { allocation, expiry };
        if rule.fills_spans() && !matches!(rule.expiry, Expiry::Visit | Expiry::Visitor) {
            return Err(format!("{allocation} fills the visit or the visitor; its expiry is visit or visitor"));
        }
        Ok(rule)
    }

    /// True where rows before the one that set the value have it as well.
    pub fn fills_spans(&self) -> bool {
        matches!(self.allocation, Allocation::FirstKnown | Allocation::LastKnown)
    }
}

impl FromStr for Persistence {
    type Err = String;

    /// `most_recent, 30 days`, or the allocation alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let (allocation, expiry) = text.split_once(',').map_or((text, None), |(a, e)| (a, Some(e)));
        Self::of(Some(allocation), expiry)
    }
}

impl fmt::Display for Persistence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.allocation, self.expiry)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_read_back() {
        for (text, shown) in [
            ("most_recent,30 days", "most_recent, 30 days"),
            ("original", "original, visit"),
            (" last_known , Visitor", "last_known, visitor"),
            ("most_recent, orders", "most_recent, orders"),
        ] {
            let rule: Persistence = text.parse().unwrap();
            assert_eq!(rule.to_string(), shown);
            assert_eq!(shown.parse(), Ok(rule));
        }
        assert_eq!(Persistence::of(None, None).unwrap().to_string(), "most_recent, visit");
    }

    #[test]
    fn what_fills_a_span_needs_one() {
        for expiry in ["30 days", "orders"] {
            for allocation in ["first_known", "last_known"] {
                let message = Persistence::of(Some(allocation), Some(expiry)).unwrap_err();
                assert!(message.contains("visit or visitor"), "{message}");
            }
        }
        assert!("latest".parse::<Persistence>().is_err());
        assert!("original, ".parse::<Persistence>().is_err());
    }
}
