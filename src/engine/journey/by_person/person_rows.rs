//! Whose rows a visitor's are: one person's, or from some places on another's.

use std::cmp::Ordering;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::engine::journey::lane::first_from;
use crate::engine::journey::ties::SequenceFiles;
use crate::functions::{Persons, PersonsOfSuite, Spans};
use crate::persons::{Moment, Subject};

/// A person: a hash of what it is called.
pub(super) type Person = u128;

/// Sequences from the first (inclusive) to the second (exclusive).
pub(super) type Between = (i128, i128);

/// All sequences.
pub(super) const ANY: Between = (i128::MIN, i128::MAX);

/// Whose rows are whose, in the suite that a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRows {
    /// Of that suite alone.
    persons: Persons,
    /// Where the sequences of hits are, if these are read without them.
    pub(super) sequences: Option<SequenceFiles>,
}

impl PersonRows {
    /// Of a suite that has persons.
    pub fn new(persons: Persons, suite: &str) -> Self {
        Self { persons: persons.alone(suite), sequences: None }
    }

    /// Of hits that are read without their sequences, which are in these files.
    pub(in crate::engine::journey) fn without_sequences(self, files: SequenceFiles) -> Self {
        Self { sequences: Some(files), ..self }
    }

    fn own(&self) -> Option<&PersonsOfSuite> {
        self.persons.first()
    }

    /// True where the keys of shared visitors tell them apart.
    pub fn keys_identify_visitors(&self) -> bool {
        self.own().is_none_or(PersonsOfSuite::keys_identify_visitors)
    }

    /// The person that is called so.
    pub(super) fn hashed(&self, person: &str) -> Person {
        hashed(self.own(), person)
    }

    /// By which visitors and persons are hashed.
    pub(super) fn seed(&self) -> u64 {
        self.own().map_or(0, PersonsOfSuite::seed)
    }

    /// The place of a key among those of visitors whose rows are not exactly those of one person, if it is one of them. It is
    /// looked for from `near` on first, which becomes where it is, or would be.
    pub(super) fn shared_place(&self, key: i64, near: &mut usize) -> Option<usize> {
        let shared = self.shared_in_order();
        *near = first_near(shared, *near, key);
        (shared.get(*near) == Some(&key)).then_some(*near)
    }

    /// The key at a place; the highest of all numbers after the last of them.
    pub(super) fn shared_key(&self, place: usize) -> i64 {
        self.shared_in_order().get(place).copied().unwrap_or(i64::MAX)
    }

    /// The person of the visitor at a [`Self::shared_place`], where its key says that all of its rows are one person's; and where it
    /// stands among these visitors in the order of ids.
    #[inline]
    pub(super) fn in_short(&self, place: Option<usize>) -> (Option<Person>, u32) {
        self.own().zip(place).map_or((None, 0), |(own, place)| own.in_short_at(place))
    }

    fn shared_in_order(&self) -> &[i64] {
        self.own().map_or(&[], PersonsOfSuite::shared_in_order)
    }

    /// Of rising keys the places of those that [`Self::shared_place`] finds, a range for each key. The first is looked for from
    /// `near` on first.
    pub(super) fn shared_among<'k>(&'k self, keys: &'k [i64], near: usize) -> impl Iterator<Item = Range<usize>> + 'k {
        let shared = self.shared_in_order();
        let (mut row, mut at) = (0, keys.first().map_or(0, |key| first_near(shared, near, *key)));
        std::iter::from_fn(move || {
            while row < keys.len() && at < shared.len() {
                match keys[row].cmp(&shared[at]) {
                    Ordering::Less => row = first_from(keys, row, shared[at]),
                    Ordering::Greater => at = first_from(shared, at, keys[row]),
                    Ordering::Equal => {
                        let first = row;
                        row += keys[row..].iter().take_while(|key| **key == shared[at]).count();
                        return Some(first..row);
                    }
                }
            }
            None
        })
    }

    /// Of the visitors with rising keys that [`Self::shared_place`] finds a row, the first of those that have the key.
    pub(super) fn first_rows_among<'k>(&'k self, keys: &'k [i64], near: usize) -> impl Iterator<Item = usize> + 'k {
        let shared = self.shared_in_order();
        let (mut row, mut at) = (0, keys.first().map_or(0, |key| first_near(shared, near, *key)));
        std::iter::from_fn(move || {
            while row < keys.len() && at < shared.len() {
                row = first_from(keys, row, shared[at]);
                match keys.get(row)? == &shared[at] {
                    true => {
                        at += 1;
                        return Some(row);
                    }
                    false => at = first_from(shared, at, keys[row]),
                }
            }
            None
        })
    }

    /// The timeline of a visitor, by its id, or, where keys tell visitors apart, by the [`Self::shared_place`] of its key.
    pub(super) fn timeline(&self, place: Option<usize>, id: Option<&str>) -> Timeline<'_> {
        let own = self.own();
        let (spans, hashes): (&Spans, &[Person]) = match (own, id, place) {
            (Some(own), Some(id), _) => (own.spans_of(id), &[]),
            (Some(own), None, Some(place)) => own.spans_at(place),
            _ => (&[], &[]),
        };
        let is_one = matches!(spans, [((i64::MIN, i128::MIN), _)]);
        let mut timeline = Timeline { own, spans, hashes, is_one, current: None };
        if spans.is_empty() {
            // of whom the tables say nothing is a person of its own
            let alone = Subject::Visitor(id.unwrap_or_default().to_string());
            let person = hashed(own, &alone.to_string());
            timeline.current = Some(CurrentPerson { begun: 0, person, after: i64::MIN, before: i64::MAX });
        }
        timeline
    }
}

/// The first of the rising `shared` keys that is not below `key`: mostly at `near` or soon after, for keys mostly rise.
fn first_near(shared: &[i64], near: usize, key: i64) -> usize {
    let is_after = near.checked_sub(1).is_none_or(|before| shared.get(before).is_some_and(|known| *known < key));
    first_from(shared, if is_after { near } else { 0 }, key)
}

/// Whose rows a visitor's are, from which time on.
pub(super) struct Timeline<'a> {
    own: Option<&'a PersonsOfSuite>,
    spans: &'a Spans,
    /// The person of each span, where they are at hand.
    hashes: &'a [Person],
    /// All rows are one person's.
    is_one: bool,
    /// Whose row the last one was that was asked for.
    current: Option<CurrentPerson>,
}

/// Whose a visitor's rows are for some time.
#[derive(Clone, Copy)]
struct CurrentPerson {
    /// How many spans have begun.
    begun: usize,
    person: Person,
    /// The instants, microseconds, at which these and the next one begin: all rows between them are the person's.
    after: i64,
    before: i64,
}

impl CurrentPerson {
    fn is_of(&self, time: i64) -> bool {
        self.after < time && time < self.before
    }
}

impl Timeline<'_> {
    /// Whose a row at a place is.
    #[inline]
    pub fn at(&mut self, place: Moment) -> Person {
        match self.current {
            Some(current) if current.is_of(place.0) => current.person,
            _ => self.looked_up(place),
        }
    }

    /// Whose all rows from the first instant to the last one are, if they are one person's, and none begins at these or between.
    pub fn of_all(&mut self, first: i64, last: i64) -> Option<Person> {
        let person = self.at((first, i128::MIN));
        self.current.is_some_and(|current| current.is_of(first) && current.is_of(last)).then_some(person)
    }

    fn looked_up(&mut self, place: Moment) -> Person {
        let begun = if self.is_one { 1 } else { self.spans.partition_point(|(from, _)| *from <= place) };
        self.after(begun)
    }

    /// The spans that begin at an instant.
    #[inline]
    pub fn beginning_at(&self, time: i64) -> Range<usize> {
        if self.is_one || self.current.is_some_and(|current| current.is_of(time)) {
            return 0..0;
        }
        let from = self.spans.partition_point(|((begins, _), _)| *begins < time);
        from..from + self.spans[from..].partition_point(|((begins, _), _)| *begins == time)
    }

    /// Whose the hits of an instant are at which these spans begin, each between which sequences.
    pub fn between(&mut self, spans: Range<usize>) -> Vec<(Person, Between)> {
        let begins: Vec<i128> = self.spans[spans.clone()].iter().map(|((_, sequence), _)| *sequence).collect();
        let froms = [i128::MIN].into_iter().chain(begins.iter().copied());
        let untils = begins.iter().copied().chain([i128::MAX]);
        (spans.start..).zip(froms.zip(untils)).map(|(begun, between)| (self.after(begun), between)).collect()
    }

    /// The person when so many spans have begun.
    fn after(&mut self, begun: usize) -> Person {
        if let Some(current) = self.current
            && current.begun == begun
        {
            return current.person;
        }
        let span = begun.checked_sub(1);
        let last = span.map(|span| self.spans[span]);
        let at_hand = span.and_then(|span| self.hashes.get(span)).copied();
        let person = at_hand.or_else(|| last.and_then(|(_, number)| Some(self.own?.hash_of(number))));
        let person = person.unwrap_or_else(|| hashed(self.own, ""));
        let after = last.map_or(i64::MIN, |((time, _), _)| time);
        let before = self.spans.get(begun).map_or(i64::MAX, |((time, _), _)| *time);
        self.current = Some(CurrentPerson { begun, person, after, before });
        person
    }
}

/// The person of these that is called so.
fn hashed(own: Option<&PersonsOfSuite>, person: &str) -> Person {
    own.map_or(0, |own| own.hash(person))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::columns::visitor_key;

    proptest! {
        /// Whichever rows were asked for before.
        #[test]
        fn the_person_of_a_row_is_that_of_the_last_span(
            spans in vec(((0..5_i64, 0..3_i64), 0..4_u8), 0..6),
            places in vec((0..6_i64, 0..4_i64), 1..30),
        ) {
            let mut spans: Vec<(Moment, u8)> =
                spans.into_iter().map(|((time, sequence), person)| ((time, i128::from(sequence)), person)).collect();
            spans.sort();
            spans.dedup_by_key(|(from, _)| *from);
            let mut own = PersonsOfSuite::default();
            own.add("v", None, "9", true);
            spans.iter().for_each(|(from, person)| own.add("v", Some(*from), &person.to_string(), true));
            let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
            // by its id, and by the place of its key
            for mut timeline in [persons.timeline(None, Some("v")), persons.timeline(Some(0), None)] {
                for (time, sequence) in &places {
                    let (time, place) = (*time, (*time, i128::from(*sequence)));
                    let last = spans.iter().rfind(|(from, _)| *from <= place);
                    let person = persons.hashed(&last.map_or("9".to_string(), |(_, person)| person.to_string()));
                    let beginning = spans.iter().filter(|((begins, _), _)| *begins == time).count();
                    prop_assert_eq!(timeline.beginning_at(time).len(), beginning);
                    prop_assert_eq!(timeline.at(place), person);
                    prop_assert_eq!(timeline.beginning_at(time).len(), beginning);
                    for until in time..7 {
                        let none_begins = spans.iter().all(|((begins, _), _)| !(time..=until).contains(begins));
                        prop_assert_eq!(timeline.of_all(time, until), none_begins.then_some(person));
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_shared_visitors_are_found_among_rising_keys() {
        let mut own = PersonsOfSuite::default();
        let names: Vec<String> = (0..40).map(|n| format!("v{n}")).collect();
        names.iter().step_by(3).for_each(|name| own.add(name, None, "id:bob", true));
        let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
        let mut keys: Vec<i64> = names.iter().chain(&names[5..20]).map(|name| visitor_key(name)).collect();
        keys.sort_unstable();
        let shared: BTreeSet<i64> = names.iter().step_by(3).map(|name| visitor_key(name)).collect();
        for keys in [&keys[..], &keys[7..30], &keys[..1], &keys[..0]] {
            let expected: Vec<usize> = (0..keys.len()).filter(|row| shared.contains(&keys[*row])).collect();
            let firsts: Vec<usize> =
                expected.iter().copied().filter(|row| *row == 0 || keys[row - 1] != keys[*row]).collect();
            for near in 0..=shared.len() + 1 {
                let found: Vec<usize> = persons.shared_among(keys, near).flatten().collect();
                assert_eq!(found, expected, "{near}");
                assert_eq!(persons.first_rows_among(keys, near).collect::<Vec<_>>(), firsts, "{near}");
            }
            assert!(persons.shared_among(keys, 0).all(|own| keys[own.start] == keys[own.end - 1]));
        }
        // one after the other, rising or not, each from where the one before was
        let orders = [keys.clone(), keys.iter().rev().copied().collect(), [&keys[30..], &keys[..30]].concat()];
        for order in orders {
            let mut near = 0;
            for key in order.into_iter().chain([i64::MIN, i64::MAX, i64::MIN]) {
                let expected = shared.iter().position(|known| *known == key);
                assert_eq!(persons.shared_place(key, &mut near), expected);
            }
        }
        let nobody = PersonRows::new(Persons::new(BTreeMap::new()), "web");
        assert_eq!((nobody.shared_place(keys[0], &mut 3), nobody.seed()), (None, 0));
    }
}
