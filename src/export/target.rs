//! Where conversions are sent, and what each of them takes.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::error::did_you_mean;
use crate::time::DAY_US;
use crate::{Error, Result};

const HOUR_US: i64 = DAY_US / 24;

/// Where conversions are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// The open standard: IAB Tech Lab's Event and Conversion API 1.0.
    Ecapi,
    /// Google's Data Manager API, method IngestEvents.
    Google,
    /// Meta's Conversions API.
    Meta,
    /// A file, for people and other programs.
    Csv,
}

impl Target {
    /// All of them.
    pub const ALL: [Target; 4] = [Target::Ecapi, Target::Google, Target::Meta, Target::Csv];

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Target::Ecapi => "ecapi",
            Target::Google => "google",
            Target::Meta => "meta",
            Target::Csv => "csv",
        }
    }

    /// Conversions that a body holds at most. Google takes 2,000 (Data Manager API, Limits and quotas), Meta 1,000 (Conversions
    /// API, Using the API); the standard leaves it to who receives.
    pub fn most_events(self) -> usize {
        match self {
            Target::Ecapi | Target::Meta => 1000,
            Target::Google => 2000,
            Target::Csv => 100_000,
        }
    }

    /// How old a conversion may be that is sent, where the export does not say, microseconds. None: as old as it likes.
    /// `in_store`: it happened in a shop.
    ///
    /// Google counts from the last click, which is older still: 63 days where persons are found by address or number, 90 days
    /// where clicks are (Google Ads Help, Guidelines for importing offline conversions). The lesser holds for both.
    pub fn oldest_us(self, in_store: bool) -> Option<i64> {
        match self {
            Target::Google => Some(63 * DAY_US),
            _ => self.most_us(in_store),
        }
    }

    /// How old a conversion may be at all, microseconds. Meta takes 7 days, and 62 days of what happened in a shop, and refuses a
    /// whole request for one event that is older (Conversions API, Using the API: upload time and event time). The standard
    /// sets no limit.
    pub fn most_us(self, in_store: bool) -> Option<i64> {
        match self {
            Target::Google => Some(90 * DAY_US),
            Target::Meta if in_store => Some(62 * DAY_US),
            Target::Meta => Some(7 * DAY_US),
            Target::Ecapi | Target::Csv => None,
        }
    }

    /// How long a body may be on its way, microseconds, where one event that grows too old meanwhile spoils all others.
    pub fn on_its_way_us(self) -> i64 {
        if self == Target::Meta { HOUR_US } else { 0 }
    }

    /// What was sent can be changed and taken back.
    pub fn takes_back(self) -> bool {
        self != Target::Meta
    }

    /// A value may be less than 0.
    pub fn takes_negative(self) -> bool {
        matches!(self, Target::Ecapi | Target::Csv)
    }

    /// How its files end.
    pub fn ending(self) -> &'static str {
        if self == Target::Csv { "csv" } else { "json" }
    }

    /// What its bodies are.
    pub fn content_type(self) -> &'static str {
        if self == Target::Csv { "text/csv; charset=utf-8" } else { "application/json" }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Target::ALL.into_iter().find(|target| target.word() == text).ok_or_else(|| {
            let hint = did_you_mean(text, Target::ALL.map(Target::word));
            Error::configuration(format!("there is no target {text}{hint} (targets: ecapi, google, meta, csv)"))
        })
    }
}
