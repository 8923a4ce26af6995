//! Who belongs to a segment: what `in_segment` is made of.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Who belongs to a segment.
#[derive(Clone, Debug)]
pub struct Members(Arc<Parts>);

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    in_visits: bool,
    /// Visitors by id; of a segment of visits, their number and start in microseconds.
    visitors: HashMap<String, Vec<(i64, i64)>>,
}

impl Members {
    /// These visitors, or with `in_visits` these visits of theirs.
    pub fn new(in_visits: bool, visitors: HashMap<String, Vec<(i64, i64)>>) -> Self {
        Self(Arc::new(Parts { in_visits, visitors }))
    }

    /// The columns of `events` that tell who a row is of.
    pub fn columns(&self) -> &'static [&'static str] {
        if self.0.in_visits { &["visitor_id", "visit_num", "visit_start"] } else { &["visitor_id"] }
    }

    /// True where they are visits.
    pub(super) fn in_visits(&self) -> bool {
        self.0.in_visits
    }

    /// True for a visitor who belongs to it.
    pub(super) fn has_visitor(&self, id: &str) -> bool {
        self.0.visitors.contains_key(id)
    }

    /// True for a visit, its number and start in microseconds, that belongs to it.
    pub(super) fn has_visit(&self, id: &str, visit: (i64, i64)) -> bool {
        self.0.visitors.get(id).is_some_and(|visits| visits.contains(&visit))
    }
}

impl PartialEq for Members {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Members {}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(Parts::deserialize(deserializer)?)))
    }
}
