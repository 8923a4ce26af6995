//! When a computed visit ends.

use serde::{Deserialize, Serialize};

use crate::lake::records::Suite;

pub(super) const SECOND: i64 = 1_000_000;

/// When a computed visit ends: by more than any of the four.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VisitRules {
    /// This long without a hit, microseconds.
    pub timeout: i64,
    /// This long since the visit's first hit, microseconds.
    pub activity: i64,
    /// This many hits.
    pub hits: u64,
    /// More than `BURST_HITS` hits within this time from the visit's first, microseconds.
    pub burst: i64,
}

/// Hits that a visit may have within [`VisitRules::burst`]: no person clicks faster.
pub(super) const BURST_HITS: u64 = 100;

impl Default for VisitRules {
    fn default() -> Self {
        Self::of(&Suite::new(""))
    }
}

impl VisitRules {
    /// The rules of a suite.
    pub fn of(suite: &Suite) -> Self {
        Self {
            timeout: suite.visit_timeout_minutes * 60 * SECOND,
            activity: suite.visit_hours * 3600 * SECOND,
            hits: suite.visit_hits.max(1).unsigned_abs(),
            burst: 100 * SECOND,
        }
    }
}
