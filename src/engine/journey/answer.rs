//! What is found out about journeys: credit or paths by a walk, conversions one by one, or the order of rows.

use std::fmt;

use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use super::node::{JourneySpec, describe};
use super::path::ShownSpec;
use super::sequence::SequenceSpec;

/// What is found out about journeys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// Credit per item, or paths.
    Credit(JourneySpec),
    /// Each conversion, or what it gives to each item.
    Shown(ShownSpec),
    /// In which order rows come.
    Order(SequenceSpec),
}

impl Answer {
    /// Columns of the result.
    pub fn output(&self) -> SchemaRef {
        match self {
            Self::Credit(spec) => spec.output(),
            Self::Shown(spec) => spec.output(),
            Self::Order(spec) => spec.output(),
        }
    }

    /// True where one partition goes over all visitors.
    pub fn is_in_one_part(&self) -> bool {
        match self {
            Self::Credit(spec) => spec.is_in_one_part(),
            Self::Shown(_) | Self::Order(_) => false,
        }
    }

    /// The same for the buckets of each partition alone, where equal rows are then added up.
    pub fn in_parts(&self) -> Option<Self> {
        match self {
            Self::Credit(spec) => spec.in_parts().map(Self::Credit),
            Self::Shown(_) | Self::Order(_) => None,
        }
    }

    /// What walks count for it, and the specification of who makes credit of that, where a model needs the journeys of all visitors
    /// at once.
    pub(super) fn tallied(&self) -> Option<(Self, &JourneySpec)> {
        match self {
            Self::Credit(spec) => spec.tallied().map(|tallied| (Self::Credit(tallied), spec)),
            Self::Shown(_) | Self::Order(_) => None,
        }
    }

    /// True where visitors are identified by their ids, which are read then.
    pub(super) fn tells_visitors(&self) -> bool {
        match self {
            Self::Order(spec) => spec.tells_visitors(),
            Self::Credit(_) | Self::Shown(_) => false,
        }
    }

    /// What is read of stored rows for it.
    pub(super) fn reads(&self) -> JourneySpec {
        match self {
            Self::Credit(spec) => spec.clone(),
            Self::Shown(spec) => spec.journey.clone(),
            Self::Order(spec) => spec.reads(),
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credit(spec) => f.write_str(&describe(spec)),
            Self::Shown(spec) => f.write_str(&spec.describe()),
            Self::Order(spec) => f.write_str(&spec.describe()),
        }
    }
}
