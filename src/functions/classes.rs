//! What a column of a lookup table makes of the values of a dimension.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The class of values that a lookup table does not name, as Adobe's reports call it.
const UNSPECIFIED: &str = "Unspecified";

/// What a column of a lookup table makes of each value of a dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes(Arc<HashMap<String, String>>);

impl Classes {
    /// The class of a value.
    pub fn of(&self, value: &str) -> &str {
        self.0.get(value).map_or(UNSPECIFIED, String::as_str)
    }
}

impl FromIterator<(String, String)> for Classes {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(Arc::new(pairs.into_iter().collect()))
    }
}

impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Classes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(HashMap::deserialize(deserializer)?)))
    }
}
