//! Whose rows are whose: what functions of persons are made of, from the tables of a rebuild.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::visitor_keys::VisitorKeys;
use crate::columns;
use crate::persons::Moment;

/// The persons of the suites that have them.
#[derive(Clone, Debug)]
pub struct Persons(Arc<BTreeMap<String, Arc<PersonsOfSuite>>>);

/// The persons of a suite.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    in_order: OnceLock<InOrder>,
    #[serde(skip)]
    hashes: OnceLock<Hashes>,
}

/// Where each person of a visitor's rows begins, and the person's number.
pub type Spans = [(Moment, u32)];

/// The spans of visitors in the order of their keys, in which rows come, too.
#[derive(Clone, Debug, Default)]
struct InOrder {
    /// Each once.
    keys: Vec<i64>,
    /// Where the spans of each begin, and where the last end; none of a key that several visitors have.
    begins: Vec<usize>,
    spans: Vec<(Moment, u32)>,
    /// What stands for the person of each span in short.
    hashes: Vec<u128>,
    /// What is asked most of each key's visitor, side by side.
    in_short: Vec<VisitorInShort>,
    /// Each is one visitor's.
    keys_identify_visitors: bool,
}

/// What is mostly enough to know of the visitor that has a key.
#[derive(Clone, Copy, Debug)]
struct VisitorInShort {
    /// What stands for its person.
    person: u128,
    /// All of its rows are one person's; false of a key that several visitors have.
    is_one: bool,
    /// Its place among all of these visitors in the order of ids, of several the first.
    rank: u32,
}

/// What stands for the persons in short, and the seed that nobody knows before.
#[derive(Clone, Debug)]
struct Hashes {
    seed: u64,
    /// By the number of the person.
    of: Vec<u128>,
}

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

    /// Bytes that are allocated, about, with what is made of it for questions.
    pub fn memory_bytes(&self) -> usize {
        let hashes = self.persons.len() * size_of::<u128>();
        let texts = self.persons.iter().chain(self.visitors.keys()).chain(self.ids.keys()).map(|text| text.len() + 56);
        let spans = self.visitors.values().map(|spans| 24 + spans.capacity() * size_of::<(Moment, u32)>());
        // keys, what is known in short, and the spans once more in their order, with hashes
        let in_order = self.shared.len() * (140 + size_of::<VisitorInShort>());
        texts.sum::<usize>() + spans.sum::<usize>() + in_order + hashes
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
        &self.in_order().keys
    }

    /// The persons of a visitor's rows in order; none where the tables say nothing of the visitor.
    pub fn spans_of(&self, visitor: &str) -> &Spans {
        self.visitors.get(visitor).map_or(&[], Vec::as_slice)
    }

    /// The same of the visitor with the key at a place of [`Self::shared_in_order`], and what [`Self::hash_of`] says of each; none
    /// where several visitors have it.
    pub fn spans_at(&self, place: usize) -> (&Spans, &[u128]) {
        let InOrder { begins, spans, hashes, .. } = self.in_order();
        match begins.get(place..place + 2) {
            Some([from, to]) => (&spans[*from..*to], &hashes[*from..*to]),
            _ => (&[], &[]),
        }
    }

    /// Of the visitor with the key at a place of [`Self::shared_in_order`]: what [`Self::hash_of`] says of the person, where all of its
    /// rows are one person's, and where it stands among all of these in the order of ids. Of a key that several visitors have no person
    /// is told.
    #[inline]
    pub fn in_short_at(&self, place: usize) -> (Option<u128>, u32) {
        match self.in_order().in_short.get(place) {
            Some(VisitorInShort { person, is_one, rank }) => (is_one.then_some(*person), *rank),
            None => (None, 0),
        }
    }

    /// False where two of the visitors whose rows are shared have one key.
    pub fn keys_identify_visitors(&self) -> bool {
        self.in_order().keys_identify_visitors
    }

    /// What stands for a person of these in short: the same as [`Self::hash`] of what it is called.
    pub fn hash_of(&self, person: u32) -> u128 {
        self.hashes().of.get(person as usize).copied().unwrap_or_else(|| self.hash(""))
    }

    /// What stands in short for somebody who is called so, one of these persons or not.
    pub fn hash(&self, person: &str) -> u128 {
        xxh3_128_with_seed(person.as_bytes(), self.seed())
    }

    /// By which names are hashed; another one for each that are read.
    pub fn seed(&self) -> u64 {
        self.hashes().seed
    }

    fn hashes(&self) -> &Hashes {
        self.hashes.get_or_init(|| {
            let seed = RandomState::new().hash_one(0);
            let of = self.persons.iter().map(|person| xxh3_128_with_seed(person.as_bytes(), seed)).collect();
            Hashes { seed, of }
        })
    }

    fn in_order(&self) -> &InOrder {
        self.in_order.get_or_init(|| {
            let visitors = self.visitors.iter().map(|(id, spans)| (columns::visitor_key(id), id.as_str(), spans));
            let mut visitors: Vec<_> = visitors.filter(|(key, ..)| self.shared.contains(*key)).collect();
            visitors.sort_unstable_by_key(|(key, id, _)| (*key, *id));
            let mut all = InOrder { begins: vec![0], keys_identify_visitors: true, ..InOrder::default() };
            let (mut firsts, mut only_persons) = (vec![], vec![]);
            for own in visitors.chunk_by(|a, b| a.0 == b.0) {
                all.keys.push(own[0].0);
                firsts.push(own[0].1);
                only_persons.push(match own {
                    [(.., spans)] => {
                        all.spans.extend_from_slice(spans);
                        all.hashes.extend(spans.iter().map(|(_, person)| self.hash_of(*person)));
                        match spans.as_slice() {
                            [(EVER, person)] => Some(self.hash_of(*person)),
                            _ => None,
                        }
                    }
                    _ => {
                        all.keys_identify_visitors = false;
                        None
                    }
                });
                all.begins.push(all.spans.len());
            }
            let in_short = |(person, rank): (Option<u128>, u32)| VisitorInShort {
                person: person.unwrap_or_default(),
                is_one: person.is_some(),
                rank,
            };
            all.in_short = only_persons.into_iter().zip(ranks(&firsts)).map(in_short).collect();
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

/// The place of each text among all of them in order; no two are the same.
fn ranks(texts: &[&str]) -> Vec<u32> {
    // most differ in their first bytes, which are compared at once
    let begin = |text: &str| {
        let mut bytes = [0; 8];
        let some = text.len().min(bytes.len());
        bytes[..some].copy_from_slice(&text.as_bytes()[..some]);
        u64::from_be_bytes(bytes)
    };
    let texts_in_place = (0..).zip(texts.iter().copied());
    let mut order: Vec<(u64, &str, u32)> = texts_in_place.map(|(place, text)| (begin(text), text, place)).collect();
    order.sort_unstable();
    let mut ranks = vec![0; texts.len()];
    for (rank, (.., place)) in (0..).zip(order) {
        ranks[place as usize] = rank;
    }
    ranks
}

// what is made of it says nothing more
impl PartialEq for PersonsOfSuite {
    fn eq(&self, other: &Self) -> bool {
        let Self { persons, visitors, ids, shared, numbers: _, in_order: _, hashes: _ } = self;
        *persons == other.persons && *visitors == other.visitors && *ids == other.ids && *shared == other.shared
    }
}

impl Eq for PersonsOfSuite {}

impl Persons {
    /// Of suites by name.
    pub fn new(suites: BTreeMap<String, PersonsOfSuite>) -> Self {
        Self(Arc::new(suites.into_iter().map(|(suite, own)| (suite, Arc::new(own))).collect()))
    }

    /// Those of a suite, if it has them.
    pub fn of(&self, suite: &str) -> Option<&PersonsOfSuite> {
        self.0.get(suite).map(Arc::as_ref)
    }

    /// Those of one suite alone.
    pub fn alone(&self, suite: &str) -> Self {
        let own = self.0.get_key_value(suite).map(|(suite, own)| (suite.clone(), own.clone()));
        Self(Arc::new(own.into_iter().collect()))
    }

    /// Those of the first suite, if there is one; it need not be looked for.
    pub fn first(&self) -> Option<&PersonsOfSuite> {
        self.0.first_key_value().map(|(_, own)| own.as_ref())
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
        serializer.collect_map(self.0.iter().map(|(suite, own)| (suite, &**own)))
    }
}

impl<'de> Deserialize<'de> for Persons {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::new(BTreeMap::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Forty visitors, of whom every third one shares a person, and the first has two.
    fn persons() -> PersonsOfSuite {
        let mut own = PersonsOfSuite::default();
        for number in 0..40 {
            own.add(&format!("v{number}"), None, &format!("id:{}", number / 2), number % 3 == 0);
        }
        own.add("v0", Some((7, 5)), "id:eve", true);
        own.add_id("pc", None);
        own
    }

    #[test]
    fn what_was_asked_before_makes_no_difference() {
        let (asked, fresh) = (persons(), persons());
        assert!(asked.keys_identify_visitors() && asked.hash_of(0) == asked.hash("id:0"));
        assert_eq!(asked, fresh);
        let mut complete = persons();
        complete.complete();
        assert_eq!(asked, complete);
        let read: PersonsOfSuite = serde_json::from_slice(&serde_json::to_vec(&asked).unwrap()).unwrap();
        assert_eq!(read, asked);
        let others: [fn(&mut PersonsOfSuite); 4] = [
            |own| own.add("v1", Some((9, 0)), "id:0", false),
            |own| own.add("v1", Some((9, 0)), "id:zoe", false),
            |own| own.add("v40", None, "id:0", true),
            |own| own.add_id("pc", Some("id:0")),
        ];
        for change in others {
            let mut other = persons();
            change(&mut other);
            assert_ne!(other, fresh);
        }
    }

    #[test]
    fn spans_are_found_by_the_places_of_keys() {
        let own = persons();
        let shared: BTreeMap<i64, String> =
            (0..40).step_by(3).map(|n| format!("v{n}")).map(|name| (columns::visitor_key(&name), name)).collect();
        assert_eq!(own.shared_in_order(), shared.keys().copied().collect::<Vec<_>>());
        for (place, name) in shared.values().enumerate() {
            let (spans, hashes) = own.spans_at(place);
            assert_eq!(spans, own.spans_of(name), "{name}");
            assert!(spans.iter().map(|(_, person)| own.hash_of(*person)).eq(hashes.iter().copied()), "{name}");
        }
        let mut ids: Vec<&String> = shared.values().collect();
        ids.sort();
        for (place, name) in shared.values().enumerate() {
            let (person, rank) = own.in_short_at(place);
            assert_eq!(ids[rank as usize], name);
            let only_person = (name != "v0").then(|| own.hash_of(own.spans_of(name)[0].1));
            assert_eq!(person, only_person, "{name}");
        }
        assert_eq!(own.in_short_at(shared.len()), (None, 0));
        assert_eq!(own.spans_of("v0").len(), 2);
        assert!(own.spans_at(shared.len()).0.is_empty() && own.spans_of("nobody").is_empty());
    }

    #[test]
    fn persons_of_one_suite_are_those_of_all() {
        let suites = [("web".to_string(), persons()), ("app".to_string(), PersonsOfSuite::default())];
        let all = Persons::new(BTreeMap::from(suites));
        let web = all.alone("web");
        assert_eq!((web.first(), web.of("app")), (all.of("web"), None));
        assert!(web.first().is_some() && all.alone("shop").first().is_none());
        for persons in [all, web] {
            let text = serde_json::to_vec(&persons).unwrap();
            assert_eq!(serde_json::from_slice::<Persons>(&text).unwrap(), persons);
        }
    }

    #[test]
    fn texts_have_the_ranks_of_their_order() {
        let texts = ["visitor 10", "", "visitor", "visitor 1", "a", "visitor\u{0}", "b", "visitor 2", "\u{e4}"];
        let mut sorted = texts;
        sorted.sort();
        assert_eq!(ranks(&texts).into_iter().map(|rank| sorted[rank as usize]).collect::<Vec<_>>(), texts);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn persons_are_told_by_what_they_are_called() {
        let (own, other) = (persons(), persons());
        assert_eq!(own.hash_of(20), own.hash("id:eve"));
        assert_eq!(own.clone().seed(), own.seed());
        assert_ne!((own.hash("id:eve"), own.seed()), (other.hash("id:eve"), other.seed()));
        let alone = PersonsOfSuite::default();
        assert!(alone.keys_identify_visitors() && alone.shared_in_order().is_empty());
    }
}
