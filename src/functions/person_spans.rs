//! Whose rows are whose: what functions of persons are made of, from the tables of a rebuild.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::visitor_keys::VisitorKeys;
use crate::columns;
use crate::persons::Moment;

/// The persons of the suites that have them.
#[derive(Clone, Debug)]
pub struct Persons(Arc<BTreeMap<String, PersonsOfSuite>>);

/// The persons of a suite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonsOfSuite {
    /// Persons by their number.
    persons: Vec<String>,
    /// Spans of visitors in order: where each begins, and its person.
    visitors: HashMap<String, Vec<(Moment, u32)>>,
    /// IDs that are not simply a person: the person whose they are; None where they count as no ID.
    ids: HashMap<String, Option<String>>,
    /// Keys of the visitors whose rows are not exactly those of one person.
    shared: VisitorKeys,
    #[serde(skip)]
    numbers: HashMap<String, u32>,
    #[serde(skip)]
    by_key: OnceLock<SpansByKey>,
    #[serde(skip)]
    shared_in_order: OnceLock<Vec<i64>>,
}

/// Where each person of a visitor's rows begins, and the person's number.
pub type Spans = [(Moment, u32)];

/// Spans of visitors by their keys; None where several visitors have one.
type SpansByKey = HashMap<i64, Option<Box<Spans>>>;

/// Before all rows.
const EVER: Moment = (i64::MIN, i128::MIN);

impl PersonsOfSuite {
    /// A visitor's rows from `from` on are a person's; spans of one visitor come in order.
    pub fn add(&mut self, visitor: &str, from: Option<Moment>, person: &str, shared: bool) {
        let number = match self.numbers.get(person) {
            Some(number) => *number,
            None => {
                let number = self.persons.len() as u32;
                self.persons.push(person.to_string());
                self.numbers.insert(person.to_string(), number);
                number
            }
        };
        let spans = match self.visitors.get_mut(visitor) {
            Some(spans) => spans,
            None => self.visitors.entry(visitor.to_string()).or_default(),
        };
        spans.push((from.unwrap_or(EVER), number));
        if shared {
            self.shared.add(columns::visitor_key(visitor));
        }
    }

    /// An ID that is another person's, or counts as no ID.
    pub fn add_id(&mut self, id: &str, person: Option<&str>) {
        self.ids.insert(id.to_string(), person.map(str::to_string));
    }

    /// No more will be added.
    pub fn complete(&mut self) {
        self.numbers = HashMap::new();
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        let texts = self.persons.iter().chain(self.visitors.keys()).chain(self.ids.keys()).map(|text| text.len() + 56);
        let spans = self.visitors.values().map(|spans| 24 + spans.capacity() * size_of::<(Moment, u32)>());
        // keys, once more in order, and the spans once more by key
        texts.sum::<usize>() + spans.sum::<usize>() + self.shared.len() * 120
    }

    /// What an ID stands for, that is not simply a person: another person, or None where it counts as no ID.
    pub(super) fn of_id(&self, id: &str) -> Option<Option<&str>> {
        self.ids.get(id).map(Option::as_deref)
    }

    /// Keys of the visitors whose rows are not exactly those of one person.
    pub fn shared(&self) -> &VisitorKeys {
        &self.shared
    }

    /// The same, rising.
    pub fn shared_in_order(&self) -> &[i64] {
        self.shared_in_order.get_or_init(|| {
            let mut keys: Vec<i64> = self.shared.iter().collect();
            keys.sort_unstable();
            keys
        })
    }

    /// The persons of a visitor's rows in order, by its id, or by its key where it is one of [`Self::shared`] and keys tell
    /// visitors apart; none where the tables say nothing of the visitor.
    pub fn spans_of(&self, key: i64, id: Option<&str>) -> &Spans {
        match id {
            Some(id) => self.visitors.get(id).map_or(&[], Vec::as_slice),
            None => self.by_key().get(&key).and_then(Option::as_deref).unwrap_or_default(),
        }
    }

    /// False where two of the visitors whose rows are shared have one key.
    pub fn keys_tell_visitors(&self) -> bool {
        self.by_key().values().all(Option::is_some)
    }

    /// The person of a number.
    pub fn person(&self, number: u32) -> &str {
        self.persons.get(number as usize).map_or("", String::as_str)
    }

    fn by_key(&self) -> &SpansByKey {
        self.by_key.get_or_init(|| {
            let mut all = SpansByKey::with_capacity(self.shared.len());
            for (visitor, spans) in &self.visitors {
                let key = columns::visitor_key(visitor);
                if !self.shared.contains(key) {
                    continue;
                }
                match all.entry(key) {
                    Entry::Vacant(place) => _ = place.insert(Some(spans.as_slice().into())),
                    Entry::Occupied(mut known) => _ = known.insert(None),
                }
            }
            all
        })
    }

    /// The person of a visitor's row; None where the tables say nothing of the visitor.
    pub(super) fn of_visitor(&self, visitor: &str, at: Moment) -> Option<&str> {
        let spans = self.visitors.get(visitor)?;
        let after = spans.partition_point(|(from, _)| *from <= at);
        let (_, person) = spans.get(after.checked_sub(1)?)?;
        self.persons.get(*person as usize).map(String::as_str)
    }
}

impl Persons {
    /// Of suites by name.
    pub fn new(suites: BTreeMap<String, PersonsOfSuite>) -> Self {
        Self(Arc::new(suites))
    }

    /// Those of a suite, if it has them.
    pub fn of(&self, suite: &str) -> Option<&PersonsOfSuite> {
        self.0.get(suite)
    }
}

impl PartialEq for Persons {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

impl Eq for Persons {}

impl Serialize for Persons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Persons {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Arc::new(BTreeMap::deserialize(deserializer)?)))
    }
}
