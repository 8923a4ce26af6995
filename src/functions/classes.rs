//! What becomes of the values of a dimension before they are items: the class that a lookup table makes of them, and the
//! spelling in which those that differ only in case are one.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The class of values that a lookup table does not name, as Adobe's reports call it.
const UNSPECIFIED: &str = "Unspecified";

/// What becomes of each value of a dimension.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Classes(Arc<Parts>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    /// The class of each value; None where values stay what they are.
    classes: Option<HashMap<String, String>>,
    /// Values are looked up without their case.
    folded: bool,
    /// How values without their case are written, where that is not the way they are shown.
    spellings: Option<HashMap<String, String>>,
}

impl Classes {
    /// The classes of a lookup table's rows, the later ones first to count; with `folded`, of values without their case.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>, folded: bool) -> Self {
        let key = |value: String| if folded { fold_case(&value).into_owned() } else { value };
        let classes = pairs.into_iter().map(|(value, class)| (key(value), class)).collect();
        Self(Arc::new(Parts { classes: Some(classes), folded, spellings: None }))
    }

    /// The same, where items that differ only in case are one; `spellings` says how those without their case are written
    /// which are not written so.
    pub fn spelled(&self, spellings: HashMap<String, String>) -> Self {
        Self(Arc::new(Parts { spellings: Some(spellings), ..self.0.as_ref().clone() }))
    }

    /// True where items that differ only in case are one.
    pub fn folds_case(&self) -> bool {
        self.0.spellings.is_some()
    }

    /// What becomes of a value.
    pub fn of<'v>(&'v self, value: &'v str) -> Cow<'v, str> {
        let class = match &self.0.classes {
            None => value,
            Some(classes) if self.0.folded => classes.get(&*fold_case(value)).map_or(UNSPECIFIED, String::as_str),
            Some(classes) => classes.get(value).map_or(UNSPECIFIED, String::as_str),
        };
        self.spelling_of(class)
    }

    /// How an item is written that a question names.
    pub fn spelling_of<'v>(&'v self, item: &'v str) -> Cow<'v, str> {
        let Some(spellings) = &self.0.spellings else { return Cow::Borrowed(item) };
        let folded = fold_case(item);
        spellings.get(&*folded).map_or(folded, |shown| Cow::Borrowed(shown))
    }
}

/// A value without its case, as SQL's `lower` has it.
pub fn fold_case(value: &str) -> Cow<'_, str> {
    let is_folded = value.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase());
    if is_folded { Cow::Borrowed(value) } else { Cow::Owned(value.to_lowercase()) }
}

// as far as plans need it: equal ones are alike, and no others
impl PartialOrd for Classes {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl Hash for Classes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.folded.hash(state);
        self.0.classes.as_ref().map(HashMap::len).hash(state);
    }
}

impl Serialize for Classes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Classes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(Parts::deserialize(deserializer)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(a, b)| (a.to_string(), b.to_string())).collect()
    }

    #[test]
    fn values_classes_and_spellings() {
        let table = pairs(&[("Snow", "Weather"), ("snow", "WEATHER"), ("sun", "weather")]);
        let exact = Classes::new(table.clone(), false);
        assert_eq!(["Snow", "snow", "SNOW"].map(|v| exact.of(v).into_owned()), ["Weather", "WEATHER", "Unspecified"]);
        let folded = Classes::new(table, true);
        assert_eq!(
            ["Snow", "SNOW", "Sun", "x"].map(|v| folded.of(v).into_owned()),
            ["WEATHER", "WEATHER", "weather", "Unspecified"]
        );
        let spelled = folded.spelled(pairs(&[("weather", "WeatheR")]).into_iter().collect());
        assert_eq!(["Snow", "sun", "x"].map(|v| spelled.of(v).into_owned()), ["WeatheR", "WeatheR", "unspecified"]);
        let plain = Classes::default().spelled(pairs(&[("äpfel", "ÄPFEL")]).into_iter().collect());
        assert_eq!(["Äpfel", "äpfel", "B", "b"].map(|v| plain.of(v).into_owned()), ["ÄPFEL", "ÄPFEL", "b", "b"]);
    }
}
