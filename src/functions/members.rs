//! Who belongs to a segment: what `in_segment` is made of.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Who belongs to a segment.
#[derive(Clone, Debug)]
pub struct Members(Arc<Parts>);

/// What the members of a segment are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberKind {
    /// Visitors.
    Visitors,
    /// Persons.
    Persons,
    /// Visits of visitors.
    Visits,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    kind: MemberKind,
    /// Visitors or persons by id; of a segment of visits, their number and start in microseconds.
    ids: HashMap<String, Vec<(i64, i64)>>,
}

impl Members {
    /// These visitors or persons, or these visits of visitors.
    pub fn new(kind: MemberKind, ids: HashMap<String, Vec<(i64, i64)>>) -> Self {
        Self(Arc::new(Parts { kind, ids }))
    }

    /// The columns of `events` that tell who a row is of.
    pub fn columns(&self) -> &'static [&'static str] {
        match self.0.kind {
            MemberKind::Visitors => &["visitor_id"],
            MemberKind::Persons => &["person_id"],
            MemberKind::Visits => &["visitor_id", "visit_num", "visit_start"],
        }
    }

    /// True where they are visits.
    pub(super) fn in_visits(&self) -> bool {
        self.0.kind == MemberKind::Visits
    }

    /// True where they are persons.
    pub(super) fn are_persons(&self) -> bool {
        self.0.kind == MemberKind::Persons
    }

    /// True for a visitor or a person who belongs to it.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.ids.contains_key(id)
    }

    /// True for a visit, its number and start in microseconds, that belongs to it.
    pub(super) fn has_visit(&self, id: &str, visit: (i64, i64)) -> bool {
        self.0.ids.get(id).is_some_and(|visits| visits.contains(&visit))
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
