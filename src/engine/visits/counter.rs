//! The visits of one visitor as they unfold.

use std::collections::HashMap;
use std::hash::Hash;

use super::rules::{BURST_HITS, VisitRules};

/// The visits of one visitor as they unfold.
#[derive(Debug, Default)]
pub struct VisitCounter {
    number: i64,
    start: i64,
    last: i64,
    hits: u64,
    named: HashMap<String, (i64, i64)>,
    numbered: Rising<i64, i64>,
}

/// Values by keys that mostly rise, such as the numbers of visits: those are kept in a row, and only others are hashed.
#[derive(Debug)]
pub struct Rising<K, V> {
    rising: Vec<(K, V)>,
    others: HashMap<K, V>,
}

impl<K, V> Default for Rising<K, V> {
    fn default() -> Self {
        Self { rising: vec![], others: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash, V: Copy> Rising<K, V> {
    /// The value of a key; when it is new, what `value` makes of the number of keys before.
    #[inline]
    pub fn get_or_insert(&mut self, key: K, value: impl FnOnce(usize) -> V) -> V {
        let count = self.rising.len() + self.others.len();
        match self.rising.last() {
            Some((last, known)) if *last == key => return *known,
            Some((last, _)) if *last > key => {}
            _ => {
                let value = value(count);
                self.rising.push((key, value));
                return value;
            }
        }
        match self.rising.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(place) => self.rising[place].1,
            Err(_) => *self.others.entry(key).or_insert_with(|| value(count)),
        }
    }

    /// Forgets them, keeps the memory.
    pub fn clear(&mut self) {
        self.rising.clear();
        if !self.others.is_empty() {
            self.others.clear();
        }
    }
}

impl VisitCounter {
    /// Forgets the visitor, keeps the memory.
    pub fn clear(&mut self) {
        (self.number, self.hits) = (0, 0);
        if !self.named.is_empty() {
            self.named.clear();
        }
        self.numbered.clear();
    }

    /// The visit (number, start) of the next hit, by the rules.
    pub fn next(&mut self, time: i64, rules: &VisitRules) -> (i64, i64) {
        let new = self.number == 0
            || time - self.last > rules.timeout
            || time - self.start > rules.activity
            || self.hits >= rules.hits
            || (self.hits >= BURST_HITS && time - self.start <= rules.burst);
        if new {
            self.number += 1;
            self.start = time;
            self.hits = 0;
        }
        self.hits += 1;
        self.last = time;
        (self.number, self.start)
    }

    /// The visit of a hit whose source gives it a number: its start is its first hit.
    pub fn numbered(&mut self, number: i64, time: i64) -> (i64, i64) {
        (number, self.numbered.get_or_insert(number, |_| time))
    }

    /// The visit of a hit whose source gives it a name: numbered in the order of first hits.
    pub fn named(&mut self, name: &str, time: i64) -> (i64, i64) {
        if let Some(visit) = self.named.get(name) {
            return *visit;
        }
        let visit = (self.named.len() as i64 + 1, time);
        self.named.insert(name.to_string(), visit);
        visit
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::visits::rules::SECOND;

    fn visits(times: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let (mut counter, rules) = (VisitCounter::default(), VisitRules::default());
        times.into_iter().map(|t| counter.next(t * SECOND, &rules).0).collect()
    }

    #[test]
    fn half_an_hour_without_a_hit_ends_a_visit() {
        assert_eq!(visits([0, 1799, 3599, 5400]), [1, 1, 1, 2]);
    }

    #[test]
    fn twelve_hours_of_activity_end_a_visit() {
        let numbers = visits((0..=49).map(|i| i * 900));
        assert_eq!((numbers[48], numbers[49]), (1, 2));
    }

    #[test]
    fn many_hits_end_a_visit() {
        let numbers = visits((0..2501).map(|i| i * 10));
        assert_eq!((numbers[2499], numbers[2500]), (1, 2));
        let burst = visits((0..102).map(|i| i / 2));
        assert_eq!((burst[99], burst[100], burst[101]), (1, 2, 2));
        assert_eq!(visits(0..=100)[100], 2);
        assert_eq!(visits((0..=100).map(|i| i + i / 100)), [1; 101]);
        // only the first 100 seconds: later a visitor may be as fast as he likes
        let late = [0].into_iter().chain((0..1000).map(|i| 101 + i / 20));
        assert_eq!(visits(late), [1; 1001]);
    }

    proptest! {
        /// Keys are numbered in the order in which they come first, however they come.
        #[test]
        fn keys_are_numbered_as_they_come(visitors in vec(vec(0..12i64, 0..40), 1..4)) {
            let mut rising = Rising::default();
            for keys in visitors {
                let mut met: Vec<i64> = vec![];
                for key in keys {
                    if !met.contains(&key) {
                        met.push(key);
                    }
                    let number = met.iter().position(|k| *k == key);
                    prop_assert_eq!(Some(rising.get_or_insert(key, |before| before)), number);
                }
                rising.clear();
            }
        }
    }
}
