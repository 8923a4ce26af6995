//! Keys of visitors, of which a plan can hold many.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Keys of visitors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VisitorKeys(Arc<HashSet<i64>>);

impl VisitorKeys {
    /// How many they are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True for one of them.
    pub fn contains(&self, key: i64) -> bool {
        self.0.contains(&key)
    }

    /// Each of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.0.iter().copied()
    }

    /// One more.
    pub(super) fn add(&mut self, key: i64) {
        Arc::make_mut(&mut self.0).insert(key);
    }
}

impl FromIterator<i64> for VisitorKeys {
    fn from_iter<T: IntoIterator<Item = i64>>(keys: T) -> Self {
        Self(Arc::new(keys.into_iter().collect()))
    }
}

impl Serialize for VisitorKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for VisitorKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(HashSet::deserialize(deserializer)?)))
    }
}
