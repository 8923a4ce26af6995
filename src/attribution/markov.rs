//! The model `markov`: paths in, the weight of each item out, by how many conversions would be lost without it.
//!
//! The paths of conversions, and of journeys without one, are walks over the items, which end in success or not. What comes
//! next hangs on the last items, `order` of them. An item's effect is the part of all success that passes through it; the
//! weight is the effect over the sum of all effects. The chain is fitted once on all journeys, by number of conversions.

use std::collections::HashMap;
use std::sync::Arc;

use super::absorbing::{Absorbing, MOST_STEPS, TooLarge};
use super::journey::{Conversion, Journey, NO_VISIT};
use super::model::Container;
use super::reach::Reach;

/// The steps of all paths.
#[derive(Debug)]
pub struct Chain {
    order: usize,
    /// The last items of a path by number; the start is the first.
    numbers: HashMap<Box<[u32]>, u32>,
    states: Vec<Box<[u32]>>,
    steps: HashMap<(u32, u32), u64>,
    /// Per state: how many paths end there, in a conversion and without.
    ends: Vec<[u64; 2]>,
    items: Vec<u32>,
    /// Per touch, how many more paths have the step to it than to the touch before.
    more: Vec<i64>,
}

/// What is counted of all paths at some of their items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainCount {
    /// How often the last item came after those before it.
    Steps(u64),
    /// How many paths end with these items, in a conversion and without.
    Ends([u64; 2]),
}

/// The journeys of a visitor that do not convert, each with what would be a conversion at its last touch.
#[derive(Debug)]
pub struct Unconverted {
    /// The touches with those conversions.
    pub journey: Journey,
    /// What they have in reach.
    pub reach: Reach,
}

impl Unconverted {
    /// In this container, with this lookback in microseconds.
    pub fn new(container: Container, lookback_us: Option<i64>) -> Self {
        Self { journey: Journey::new(), reach: Reach::new(container, lookback_us) }
    }

    /// Finds them; false where there are none. `reach` has been found in this very `journey`.
    pub fn find(&mut self, journey: &Journey, reach: &Reach) -> bool {
        let at = |touch: usize| {
            let (position, time, visit) = (journey.position(touch), journey.time(touch), journey.visit(touch));
            Conversion { row: position, position, time, visit, value: 1.0 }
        };
        let mut last: Vec<usize> = match reach.container() {
            Container::Visitor => journey.touches().checked_sub(1).filter(|_| reach.len() == 0).into_iter().collect(),
            Container::Visit => {
                // a visitor who does not convert at all has nothing in reach
                let in_visits = (0..journey.touches()).filter(|touch| journey.visit(*touch) != NO_VISIT);
                let mut of_visit: HashMap<u32, usize> = in_visits.map(|touch| (journey.visit(touch), touch)).collect();
                for conversion in journey.conversions() {
                    of_visit.remove(&conversion.visit);
                }
                of_visit.into_values().collect()
            }
        };
        last.sort_unstable();
        self.journey.become_part(journey, last.iter().map(|touch| at(*touch)));
        self.reach.find(&self.journey);
        !last.is_empty()
    }

    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        self.journey.memory_bytes() + self.reach.memory_bytes()
    }
}

impl Chain {
    /// Without paths, over the last `order` items.
    pub fn new(order: u8) -> Self {
        let mut chain = Self {
            order: order.into(),
            numbers: HashMap::new(),
            states: vec![],
            steps: HashMap::new(),
            ends: vec![],
            items: vec![],
            more: vec![],
        };
        chain.state(&[]);
        chain
    }

    /// Adds the path of each conversion in the container; with `success` false, of what would have been one. A touch has
    /// one item. `reach` has been found in this very `journey`.
    pub fn add(&mut self, journey: &Journey, reach: &Reach, success: bool) {
        let mut items = std::mem::take(&mut self.items);
        let mut more = std::mem::take(&mut self.more);
        items.clear();
        items.extend((0..reach.touches()).map(|k| journey.items(reach.touch(k))[0]));
        more.clear();
        more.resize(items.len() + 1, 0);
        for range in (0..reach.len()).map(|c| reach.range(c)).filter(|range| !range.is_empty()) {
            // what comes after `order` touches hangs on those alone, whichever path they are of
            let full = range.end.min(range.start + self.order);
            for at in range.start..full {
                self.step(&items[range.start..at], items[at], 1);
            }
            more[full] += 1;
            more[range.end] -= 1;
            let last = self.state(&items[range.start.max(range.end.saturating_sub(self.order))..range.end]);
            self.ends[last as usize][usize::from(!success)] += 1;
        }
        let mut times = 0;
        for at in 0..items.len() {
            times += more[at];
            if times > 0 {
                self.step(&items[at - self.order..at], items[at], times as u64);
            }
        }
        (self.items, self.more) = (items, more);
    }

    /// Takes the chain apart: items of paths, with what is counted there. In no order.
    pub fn into_counts(self) -> impl Iterator<Item = (Box<[u32]>, ChainCount)> {
        let states = Arc::new(self.states);
        let ending = states.clone();
        let steps = self.steps.into_iter().map(move |((from, to), times)| {
            let then = states[to as usize].last();
            let items: Box<[u32]> = states[from as usize].iter().chain(then).copied().collect();
            (items, ChainCount::Steps(times))
        });
        let ends = self.ends.into_iter().enumerate().filter(|(_, ends)| *ends != [0; 2]);
        steps.chain(ends.map(move |(state, ends)| (ending[state].clone(), ChainCount::Ends(ends))))
    }

    /// Adds what was counted at some items of other paths.
    pub fn add_count(&mut self, items: &[u32], count: ChainCount) {
        match (count, items.split_last()) {
            (ChainCount::Steps(times), Some((item, before))) => self.step(before, *item, times),
            (ChainCount::Ends(ends), Some(_)) => {
                let last = self.state(items);
                (0..2).for_each(|kind| self.ends[last as usize][kind] += ends[kind]);
            }
            // a path has an item
            (_, None) => {}
        }
    }

    /// Adds the paths of other visitors, whose item `i` is `rename(i)` here.
    pub fn merge(&mut self, other: &Self, rename: impl Fn(u32) -> u32) {
        let renamed = |state: &[u32]| state.iter().map(|item| rename(*item)).collect::<Vec<u32>>();
        let numbers: Vec<u32> = other.states.iter().map(|state| self.state(&renamed(state))).collect();
        for (&(from, to), times) in &other.steps {
            *self.steps.entry((numbers[from as usize], numbers[to as usize])).or_default() += times;
        }
        for (number, ends) in numbers.iter().zip(&other.ends) {
            (0..2).for_each(|kind| self.ends[*number as usize][kind] += ends[kind]);
        }
    }

    /// The weight of each item that some path has, by number; in sum 1, or all 0 where no path converts.
    pub fn weights(&self) -> Result<Vec<(u32, f64)>, TooLarge> {
        // in one order, regardless of who came first
        let mut sorted: Vec<u32> = (0..self.states.len() as u32).collect();
        sorted.sort_unstable_by_key(|state| &self.states[*state as usize]);
        let mut rank = vec![0; sorted.len()];
        (0u32..).zip(&sorted).for_each(|(place, state)| rank[*state as usize] = place);
        let mut steps: Vec<(u32, u32, u64)> =
            self.steps.iter().map(|(&(from, to), times)| (rank[from as usize], rank[to as usize], *times)).collect();
        steps.sort_unstable();
        let mut chain = Absorbing::new(self.states.len());
        steps.into_iter().for_each(|(from, to, times)| chain.step(from, to, times));
        for (ends, place) in self.ends.iter().zip(&rank) {
            chain.end(*place, true, ends[0]);
            chain.end(*place, false, ends[1]);
        }
        // the states that a path comes to with an item
        let mut of_item: HashMap<u32, Vec<u32>> = HashMap::new();
        for (place, state) in (0u32..).zip(&sorted) {
            if let Some(item) = self.states[*state as usize].last() {
                of_item.entry(*item).or_default().push(place);
            }
        }
        let mut items: Vec<(u32, Vec<u32>)> = of_item.into_iter().collect();
        items.sort_unstable();
        let several = items.iter().filter(|(_, states)| states.len() > 1).count() as u64;
        let done = chain.clone().eliminate(MOST_STEPS)?;
        if done.steps.saturating_mul(several) > MOST_STEPS {
            return Err(TooLarge { states: self.states.len() });
        }
        let alone: Vec<u32> =
            items.iter().filter(|(_, states)| states.len() == 1).map(|(_, states)| states[0]).collect();
        let mut through = done.success_through(&alone).into_iter();
        let mut effects = vec![];
        for (item, states) in &items {
            let lost = match states.len() {
                1 => through.next().unwrap_or_default(),
                _ => {
                    let left = chain.without(|state| states.binary_search(&state).is_ok());
                    (done.success() - left.eliminate(MOST_STEPS)?.success()).max(0.0)
                }
            };
            effects.push((*item, lost));
        }
        let sum: f64 = effects.iter().map(|(_, lost)| lost).sum();
        Ok(effects.into_iter().map(|(item, lost)| (item, if sum > 0.0 { lost / sum } else { 0.0 })).collect())
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        let state = 3 * size_of::<Box<[u32]>>() + 2 * self.order * 4 + 24;
        let rows = self.items.capacity() * 4 + self.more.capacity() * 8;
        self.states.len() * state + self.steps.capacity() * 17 + rows
    }

    fn step(&mut self, before: &[u32], item: u32, times: u64) {
        let from = self.state(before);
        let mut then = before.to_vec();
        then.push(item);
        let to = self.state(&then[then.len().saturating_sub(self.order)..]);
        *self.steps.entry((from, to)).or_default() += times;
    }

    /// The number of the last items of a path.
    fn state(&mut self, items: &[u32]) -> u32 {
        if let Some(number) = self.numbers.get(items) {
            return *number;
        }
        let number = self.states.len() as u32;
        self.numbers.insert(items.into(), number);
        self.states.push(items.into());
        self.ends.push([0; 2]);
        number
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Paths of items, a journey each; a number of conversions, or none.
    fn chain(order: u8, paths: &[(&[u32], u64)]) -> Chain {
        let (mut chain, mut unconverted) = (Chain::new(order), Unconverted::new(Container::Visitor, None));
        let (mut journey, mut reach) = (Journey::new(), Reach::new(Container::Visitor, None));
        for (items, conversions) in paths {
            for _ in 0..(*conversions).max(1) {
                journey.clear();
                for (at, item) in (1u32..).zip(*items) {
                    journey.touch(at, at.into(), NO_VISIT, *item);
                }
                let row = items.len() as u32 + 1;
                if *conversions > 0 {
                    journey.convert(Conversion { row, position: row, time: row.into(), visit: NO_VISIT, value: 1.0 });
                }
                reach.find(&journey);
                chain.add(&journey, &reach, true);
                if unconverted.find(&journey, &reach) {
                    chain.add(&unconverted.journey, &unconverted.reach, false);
                }
            }
        }
        chain
    }

    fn near(found: &[(u32, f64)], wanted: &[(u32, f64)]) {
        assert_eq!(found.len(), wanted.len(), "{found:?}");
        for ((item, weight), (wanted_item, wanted)) in found.iter().zip(wanted) {
            assert!(item == wanted_item && (weight - wanted).abs() < 1e-12, "{found:?}");
        }
    }

    #[test]
    fn the_effect_of_taking_an_item_away() {
        // G twice, M, G > M, and G without a conversion: P = 0.8, effects 0.75 and 0.5
        let (g, m) = (0, 1);
        let paths: &[(&[u32], u64)] = &[(&[g], 2), (&[m], 1), (&[g, m], 1), (&[g], 0)];
        near(&chain(1, paths).weights().unwrap(), &[(g, 0.6), (m, 0.4)]);
        // by the last two items M after G is another state than M alone: without M 0.4 are left, as before
        near(&chain(2, paths).weights().unwrap(), &[(g, 0.6), (m, 0.4)]);
    }

    #[test]
    fn visits_without_a_conversion_are_paths() {
        // three visits, of which the second one converts, or none does; rows without a visit are no path
        for converts in [true, false] {
            let mut journey = Journey::new();
            for (at, visit) in [(1, 0), (2, 1), (3, 0), (4, NO_VISIT), (5, 2)] {
                journey.touch(at, at.into(), visit, at);
            }
            if converts {
                journey.convert(Conversion { row: 6, position: 6, time: 6, visit: 1, value: 1.0 });
            }
            let mut reach = Reach::new(Container::Visit, None);
            reach.find(&journey);
            let mut unconverted = Unconverted::new(Container::Visit, None);
            assert!(unconverted.find(&journey, &reach));
            let seen = |listed: usize| {
                let mut items = vec![];
                unconverted.reach.see(&unconverted.journey, listed, &mut items);
                items
            };
            let paths: Vec<Vec<u32>> = (0..unconverted.reach.conversions()).map(seen).collect();
            let wanted: &[&[u32]] = if converts { &[&[1, 3], &[5]] } else { &[&[1, 3], &[2], &[5]] };
            assert_eq!(paths, wanted);
        }
    }

    #[test]
    fn loops_orders_and_parts() {
        let paths: &[(&[u32], u64)] = &[(&[0, 0, 1, 0], 1), (&[1, 1], 0), (&[2, 0, 1], 3), (&[2], 1)];
        let one = chain(1, paths).weights().unwrap();
        assert!((one.iter().map(|(_, weight)| weight).sum::<f64>() - 1.0).abs() < 1e-12);
        // in two parts, with other numbers
        let (mut first, second) = (chain(3, &paths[..2]), chain(3, &paths[2..]));
        first.merge(&second, |item| item);
        near(&first.weights().unwrap(), &chain(3, paths).weights().unwrap());
        // taken apart and put together again
        for order in 1..=3 {
            let mut again = Chain::new(order);
            for paths in [&paths[..2], &paths[2..]] {
                chain(order, paths).into_counts().for_each(|(items, count)| again.add_count(&items, count));
            }
            assert_eq!(again.weights().unwrap(), chain(order, paths).weights().unwrap());
        }
        // no conversion: no weight
        near(&chain(1, &[(&[0, 1], 0)]).weights().unwrap(), &[(0, 0.0), (1, 0.0)]);
        near(&chain(1, &[]).weights().unwrap(), &[]);
    }
}
