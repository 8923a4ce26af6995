//! The sets of items seen on converting and on non-converting paths: journeys in, one count per distinct set out.
//!
//! A path is what one conversion has in reach; where it comes in parts, what each of them has. A journey (in the container
//! `visit`: a visit) without a conversion is one path, too: what a conversion at its last touch would have had in reach. Sets are
//! sorted, and counts of parts add up, so neither the order of visitors nor their partition matters.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use super::credit::{CreditSink, ItemCredits};
use super::journey::{Conversion, ItemShare, Journey, NO_VISIT, NONE};
use super::model::Container;
use super::participation::Participation;
use super::parts::own_parts;
use super::reach::{Reach, sort_unless_sorted};
use super::sum::Sum;

/// Paths with more distinct items than this share their value equally and say nothing about other paths: a robot's path
/// through a million pages must not make a million sets of a million items.
pub const LARGEST_PATH: usize = 64;

/// What happened on the paths that saw one set of items.
#[derive(Debug, Clone, Copy, Default)]
pub struct PathCount {
    /// Sum of the values of its conversions.
    pub value: Sum,
    /// Sum of their amounts without the sign.
    pub magnitude: Sum,
    /// Conversions, and journeys without one.
    pub paths: u64,
}

/// Counts of paths per set of items.
#[derive(Debug, Default)]
pub struct PathCounts {
    pub(super) sets: HashMap<Box<[u32]>, PathCount>,
    /// Items of all sets, one with each set that has it.
    listed: usize,
    /// Credit that needs no game: paths without a touch, and those beyond [`LARGEST_PATH`].
    pub(super) direct: ItemCredits,
    seen: ItemsInWindow,
    participation: Participation,
    /// Conversions with paths beyond [`LARGEST_PATH`]; the value of each is what every item of its path gets.
    equal: Vec<Conversion>,
    set: Vec<u32>,
    order: Vec<u32>,
}

impl PathCounts {
    /// No paths yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts the paths of one visitor. `reach` has been found in this very `journey`.
    ///
    /// A journey whose conversions all are outside the caller's reporting window counts as non-converting.
    pub fn add(&mut self, journey: &Journey, reach: &Reach) {
        self.add_converting(journey, reach);
        match reach.container() {
            Container::Visitor if reach.len() == 0 => self.add_unconverted_visitor(journey, reach.lookback_us()),
            Container::Visitor => {}
            Container::Visit => self.add_unconverted_visits(journey, reach),
        }
    }

    /// A conversion that saw no touch, as [`Self::add`] finds them.
    pub(super) fn add_direct(&mut self, value: f64) {
        self.direct.credit(NONE, 0, value);
    }

    /// Adds the counts of another part of the visitors, whose item `i` is `rename(i)` here; different items stay different.
    pub fn merge(&mut self, other: &Self, rename: impl Fn(u32) -> u32) {
        for (set, count) in &other.sets {
            self.add_set(set.iter().map(|item| rename(*item)).collect(), *count);
        }
        self.direct.merge(&other.direct, rename);
    }

    /// Adds what happened on paths that saw the items of a set, which come in any order.
    pub fn add_set(&mut self, mut set: Box<[u32]>, more: PathCount) {
        set.sort_unstable();
        match self.sets.entry(set) {
            Entry::Occupied(mut known) => known.get_mut().add(more),
            Entry::Vacant(new) => {
                self.listed += new.key().len();
                new.insert(more);
            }
        }
    }

    /// Takes the sets, in no order, with what happened on their paths; none are left.
    pub fn take_sets(&mut self) -> HashMap<Box<[u32]>, PathCount> {
        self.listed = 0;
        std::mem::take(&mut self.sets)
    }

    /// The credit that hangs on no other path: of paths without a touch, and of those beyond [`LARGEST_PATH`].
    pub fn direct(&mut self) -> &mut ItemCredits {
        &mut self.direct
    }

    /// Number of distinct sets.
    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// True if no path with a touch has been counted.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// Bytes that are allocated for the counts, about.
    pub fn memory_bytes(&self) -> usize {
        let entry = size_of::<(Box<[u32]>, PathCount)>() + 1;
        self.sets.capacity() * entry + self.listed * size_of::<u32>() + self.direct.memory_bytes()
    }

    fn add_converting(&mut self, journey: &Journey, reach: &Reach) {
        self.seen.begin(journey.item_count());
        let mut pending = PathCount::default();
        for c in 0..reach.len() {
            let (conversion, mut range) = (reach.conversion(journey, c), reach.range(c));
            // to a part, the row is a touch of the part's own item alone: the window ends before it
            let own = own_parts(journey, reach, c);
            range.end -= usize::from(own.is_some());
            let changed = self.seen.slide(range, |k| journey.items(reach.touch(k)));
            if (changed || own.is_some()) && pending.paths > 0 {
                self.count_set(std::mem::take(&mut pending));
            }
            let distinct = self.seen.items.len();
            if let Some((_, parts)) = own {
                self.add_parts(parts, conversion);
            } else if distinct == 0 {
                self.direct.credit(NONE, conversion.row, conversion.value);
            } else if distinct > LARGEST_PATH {
                self.equal.push(Conversion { value: conversion.value / distinct as f64, ..*conversion });
            } else {
                if pending.paths == 0 {
                    self.seen.sorted_into(&mut self.set);
                }
                let (paths, magnitude) =
                    journey.untouched(conversion.position).map_or((1, 1.0), |row| (row.parts, row.magnitude));
                pending.value += conversion.value;
                pending.magnitude += conversion.value.abs() * magnitude;
                pending.paths += paths;
            }
        }
        if pending.paths > 0 {
            self.count_set(pending);
        }
        if !self.equal.is_empty() {
            let (mut long, mut found) = (Journey::new(), Reach::new(reach.container(), reach.lookback_us()));
            long.become_part(journey, self.equal.drain(..));
            found.find(&long);
            self.participation.credit(&long, &found, |c| found.conversion(&long, c).value, &mut self.direct);
        }
    }

    /// Each part is a conversion of its own, whose path is what was seen before its row, and its own item.
    fn add_parts(&mut self, parts: &[ItemShare], conversion: &Conversion) {
        let mut equal = 0.0;
        for part in parts.iter().filter(|part| part.converts) {
            let value = part.of(conversion.value);
            let sees_nothing = part.item == NONE && self.seen.items.is_empty();
            if value == 0.0 || sees_nothing {
                // what was seen before lines that sum to 0 is on the paths of others of the row
                if sees_nothing || part.item != NONE {
                    self.direct.credit(part.item, conversion.row, value);
                }
                continue;
            }
            let distinct = self.seen.items.len() + self.seen.missing(part.item);
            if distinct > LARGEST_PATH {
                equal += value / distinct as f64;
                if distinct > self.seen.items.len() {
                    self.direct.credit(part.item, conversion.row, value / distinct as f64);
                }
                continue;
            }
            if part.item != NONE {
                self.seen.enter(part.item);
            }
            self.seen.sorted_into(&mut self.set);
            if part.item != NONE {
                self.seen.leave(part.item);
            }
            let path = PathCount { value: Sum::from_iter([value]), magnitude: Sum::from_iter([value.abs()]), paths: 1 };
            self.count_set(path);
        }
        if equal != 0.0 {
            // what was seen before the row
            self.equal.push(Conversion {
                position: conversion.position.saturating_sub(1),
                value: equal,
                ..*conversion
            });
        }
    }

    fn add_unconverted_visitor(&mut self, journey: &Journey, lookback_us: Option<i64>) {
        let touches = journey.touches();
        let Some(last) = touches.checked_sub(1) else { return };
        let oldest = lookback_us.map_or(i64::MIN, |us| journey.time(last).saturating_sub(us));
        let recent = (0..touches).rev().take_while(|t| journey.time(*t) >= oldest);
        self.count_unconverted(journey.item_count(), recent.map(|t| journey.items(t)));
    }

    fn add_unconverted_visits(&mut self, journey: &Journey, reach: &Reach) {
        let visit = |t: u32| journey.visit(t as usize);
        let mut order = std::mem::take(&mut self.order);
        order.clear();
        order.extend((0..journey.touches() as u32).filter(|t| visit(*t) != NO_VISIT));
        sort_unless_sorted(&mut order, visit);
        let mut converted = (0..reach.len()).map(|c| reach.conversion(journey, c).visit).peekable();
        for touches in order.chunk_by(|a, b| visit(*a) == visit(*b)) {
            while converted.next_if(|v| *v < visit(touches[0])).is_some() {}
            if converted.peek() != Some(&visit(touches[0])) {
                self.count_unconverted(journey.item_count(), touches.iter().map(|t| journey.items(*t as usize)));
            }
        }
        self.order = order;
    }

    fn count_unconverted<'j>(&mut self, item_count: usize, touches: impl Iterator<Item = &'j [u32]>) {
        self.seen.begin(item_count);
        touches.flatten().for_each(|item| self.seen.enter(*item));
        if self.seen.items.len() <= LARGEST_PATH {
            self.seen.sorted_into(&mut self.set);
            self.count_set(PathCount { paths: 1, ..PathCount::default() });
        }
    }

    /// Adds to the set at hand.
    fn count_set(&mut self, more: PathCount) {
        match self.sets.get_mut(&*self.set) {
            Some(count) => count.add(more),
            None => {
                self.listed += self.set.len();
                self.sets.insert(self.set.as_slice().into(), more);
            }
        }
    }
}

impl PathCount {
    fn add(&mut self, other: Self) {
        self.value += other.value;
        self.magnitude += other.magnitude;
        self.paths += other.paths;
    }
}

/// The distinct items of a window of touches, whose ends never fall.
#[derive(Debug, Default)]
struct ItemsInWindow {
    window: Range<usize>,
    items: Vec<u32>,
    /// Per item, how many touches of the window have it, and where it is in `items`.
    times: Vec<u32>,
    places: Vec<u32>,
}

impl ItemsInWindow {
    /// An empty window at the first touch.
    fn begin(&mut self, item_count: usize) {
        self.items.drain(..).for_each(|item| self.times[item as usize] = 0);
        self.window = 0..0;
        if self.times.len() < item_count {
            self.times.resize(item_count, 0);
            self.places.resize(item_count, 0);
        }
    }

    /// Moves the window; true if an item came or went.
    fn slide<'j>(&mut self, to: Range<usize>, items: impl Fn(usize) -> &'j [u32]) -> bool {
        let mut changed = false;
        for k in self.window.end..to.end {
            for item in items(k) {
                self.enter(*item);
                changed |= self.times[*item as usize] == 1;
            }
        }
        for k in self.window.start..to.start {
            for item in items(k) {
                self.leave(*item);
                changed |= self.times[*item as usize] == 0;
            }
        }
        self.window = to;
        changed
    }

    /// 1 if an item is not in the window; [`NONE`] is no item.
    fn missing(&self, item: u32) -> usize {
        usize::from(item != NONE && self.times[item as usize] == 0)
    }

    fn sorted_into(&self, set: &mut Vec<u32>) {
        set.clear();
        set.extend(&self.items);
        set.sort_unstable();
    }

    fn enter(&mut self, item: u32) {
        let times = &mut self.times[item as usize];
        *times += 1;
        if *times == 1 {
            self.places[item as usize] = self.items.len() as u32;
            self.items.push(item);
        }
    }

    fn leave(&mut self, item: u32) {
        let times = &mut self.times[item as usize];
        *times -= 1;
        if *times == 0 {
            let place = self.places[item as usize] as usize;
            self.items.swap_remove(place);
            if let Some(moved) = self.items.get(place) {
                self.places[*moved as usize] = place as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journey(touches: &[(u32, u32, u32)], conversions: &[(u32, u32, f64)]) -> Journey {
        let mut journey = Journey::new();
        touches.iter().for_each(|(p, visit, item)| journey.touch(*p, i64::from(*p), *visit, *item));
        for &(position, visit, value) in conversions {
            journey.convert(Conversion { row: position, position, time: i64::from(position), visit, value });
        }
        journey
    }

    fn counted(
        container: Container,
        lookback: Option<i64>,
        journeys: &[Journey],
    ) -> (PathCounts, Vec<(Vec<u32>, f64, u64)>) {
        let (mut counts, mut reach) = (PathCounts::new(), Reach::new(container, lookback));
        for journey in journeys {
            reach.find(journey);
            counts.add(journey, &reach);
        }
        let mut sets: Vec<_> = counts.sets.iter().map(|(s, n)| (s.to_vec(), n.value.value(), n.paths)).collect();
        sets.sort_by(|a, b| a.0.cmp(&b.0));
        (counts, sets)
    }

    #[test]
    fn paths_are_what_conversions_see() {
        let journeys = [
            journey(
                &[(1, 0, 2), (2, 0, 1), (4, 1, 2), (8, 1, 3)],
                &[(0, 0, 5.0), (3, 0, 1.0), (5, 1, 2.0), (9, 1, -4.0)],
            ),
            journey(&[(0, 0, 4), (10, 0, 3), (11, 1, 1)], &[]),
        ];
        let (counts, sets) = counted(Container::Visitor, None, &journeys);
        assert_eq!(sets, [(vec![1, 2], 3.0, 2), (vec![1, 2, 3], -4.0, 1), (vec![1, 3, 4], 0.0, 1)]);
        assert_eq!(counts.direct.iter().collect::<Vec<_>>(), [(NONE, 5.0)]);
        assert_eq!(counts.sets[&[1, 2, 3][..]].magnitude.value(), 4.0);

        let (_, sets) = counted(Container::Visitor, Some(1), &journeys);
        assert_eq!(sets, [(vec![1], 1.0, 1), (vec![1, 3], 0.0, 1), (vec![2], 2.0, 1), (vec![3], -4.0, 1)]);

        let (_, sets) = counted(Container::Visit, None, &journeys);
        assert_eq!(
            sets,
            [(vec![1], 0.0, 1), (vec![1, 2], 1.0, 1), (vec![2], 2.0, 1), (vec![2, 3], -4.0, 1), (vec![3, 4], 0.0, 1)]
        );
    }

    #[test]
    fn each_part_has_a_path_of_its_own() {
        let mut journey = journey(&[(0, 0, 1)], &[]);
        journey.touch_all(1, 1, 0, [1, 2, 3]);
        journey.divide([(1, 6.0), (2, 3.0), (NONE, 1.0)]);
        journey.convert(Conversion { row: 1, position: 1, time: 1, visit: 0, value: 20.0 });
        journey.convert(Conversion { row: 2, position: 2, time: 2, visit: 0, value: 5.0 });
        let (counts, sets) = counted(Container::Visitor, None, &[journey]);
        assert_eq!(sets, [(vec![1], 14.0, 2), (vec![1, 2], 6.0, 1), (vec![1, 2, 3], 5.0, 1)]);
        // a line without an amount took part in nothing
        assert_eq!(counts.direct.iter().count(), 0);
    }

    #[test]
    fn parts_that_sum_to_0_are_no_paths_and_took_part() {
        let part_of = |before: &[(u32, u32, u32)]| {
            let mut journey = journey(before, &[]);
            journey.touch_all(5, 5, 0, [2, 3]);
            journey.divide([(2, 6.0), (3, 1.0), (NONE, 4.0), (NONE, -4.0), (3, -1.0)]);
            journey.convert(Conversion { row: 5, position: 5, time: 5, visit: 0, value: 6.0 });
            let (counts, sets) = counted(Container::Visitor, None, &[journey]);
            (sets, counts.direct.iter().collect::<Vec<_>>())
        };
        assert_eq!(part_of(&[]), (vec![(vec![2], 6.0, 1)], vec![(3, 0.0), (NONE, 0.0)]));
        assert_eq!(part_of(&[(0, 0, 1)]), (vec![(vec![1, 2], 6.0, 1)], vec![(3, 0.0)]));
    }

    #[test]
    fn each_part_has_a_path_where_its_row_is_no_touch() {
        let mut journey = journey(&[(0, 0, 1)], &[(1, 0, 20.0), (2, 0, 5.0), (3, 1, 8.0)]);
        journey.divide_untouched(1, [(Some(2), 6.0), (None, -1.0)]);
        journey.divide_untouched(3, [(Some(2), 6.0), (None, 2.0)]);
        let (counts, sets) = counted(Container::Visitor, None, &[journey]);
        assert_eq!(sets, [(vec![1], 33.0, 5)]);
        assert_eq!(counts.sets[&[1][..]].magnitude.value(), 28.0 + 5.0 + 8.0);
        // nothing in reach
        let mut journey = Journey::new();
        journey.divide_untouched(3, [(Some(2), 6.0), (None, 2.0)]);
        journey.convert(Conversion { row: 3, position: 3, time: 3, visit: 0, value: 8.0 });
        let (counts, sets) = counted(Container::Visitor, None, &[journey]);
        assert_eq!((sets, counts.direct.iter().collect::<Vec<_>>()), (vec![], vec![(NONE, 8.0)]));
    }

    #[test]
    fn counts_merge_under_other_numbers() {
        let one = [journey(&[(0, 0, 0), (1, 0, 1)], &[(2, 0, 3.0)])];
        let (mut counts, _) = counted(Container::Visitor, None, &one);
        let (other, _) = counted(Container::Visitor, None, &one);
        counts.merge(&other, |item| 1 - item);
        assert_eq!((counts.len(), counts.is_empty()), (1, false));
        assert_eq!(counts.sets[&[0, 1][..]].value.value(), 6.0);
        assert!(counts.memory_bytes() > 0);
        // taken apart and put together again, a set at a time
        let mut whole = PathCounts::new();
        for (set, count) in counts.take_sets() {
            whole.add_set(set.iter().rev().copied().collect(), count);
            whole.add_set(set, count);
        }
        assert_eq!((counts.len(), counts.listed, whole.len(), whole.listed), (0, 0, 1, 2));
        assert_eq!((whole.sets[&[0, 1][..]].value.value(), whole.sets[&[0, 1][..]].paths), (12.0, 4));
    }

    #[test]
    fn a_robots_path_is_shared_equally() {
        let touches: Vec<_> = (0..100).map(|i| (i, 0, i)).collect();
        let (counts, sets) = counted(Container::Visitor, None, &[journey(&touches, &[(9, 0, 1.0), (99, 0, 50.0)])]);
        assert_eq!(sets, [((0..10).collect(), 1.0, 1)]);
        assert!(counts.direct.iter().all(|(_, credit)| credit == 0.5));
        assert_eq!(counts.direct.iter().count(), 100);
    }

    #[test]
    fn parts_of_many_items_have_paths_of_their_own() {
        // 70 lines, of which one sees its own item alone; then as many more, which have seen those
        let mut journey = Journey::new();
        for (row, first) in [(1, 0), (3, 100)] {
            journey.touch_all(row, 0, 0, first..first + 71);
            journey.divide((first..first + 70).map(|item| (item, 2.0)));
            journey.convert(Conversion { row, position: row, time: 0, visit: 0, value: 140.0 });
        }
        let (counts, sets) = counted(Container::Visitor, None, &[journey]);
        assert_eq!(sets, (0..70u32).map(|item| (vec![item], 2.0, 1u64)).collect::<Vec<_>>());
        // each of 70 lines gives 2 to its own item and the 71 before it alike
        let given: Vec<(u32, f64)> = counts.direct.iter().collect();
        assert_eq!(given.len(), 71 + 70);
        let near = |(item, credit): &(u32, f64)| {
            let lines = if *item < 100 { 70.0 } else { 1.0 };
            (credit - lines * 2.0 / 72.0).abs() < 1e-12
        };
        assert!(given.iter().all(near), "{given:?}");
    }
}
