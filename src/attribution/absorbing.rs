//! Absorbing chains: how likely a walk from the start ends in success, and how likely without passing through a state.
//!
//! States are eliminated one after the other, the least connected first, as Grassmann, Taksar and Heyman do it: only sums,
//! products and quotients of numbers that are not negative, so nothing cancels and every answer is exact to a few units in
//! the last place, without a step size or a number of rounds. Work and memory follow the links that arise on the way, and
//! both are bounded.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

/// Links that may arise, 16 bytes each.
const MOST_LINKS: usize = 40_000_000;
/// Steps of work: a sum and a product each.
pub(super) const MOST_STEPS: u64 = 60_000_000_000;

/// What is too much of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// States that can be reached.
    pub states: usize,
}

/// States by number; state 0 is the start, which no state leads to.
#[derive(Debug, Clone, Default)]
pub(super) struct Absorbing {
    /// Per state: the states that follow, in rising order, with how often.
    next: Vec<Vec<(u32, f64)>>,
    /// Per state: how often the walk ends there, with and without success.
    ends: Vec<[f64; 2]>,
}

/// A chain whose states are eliminated.
#[derive(Debug)]
pub(super) struct Eliminated {
    /// The turn of each state.
    turn: Vec<u32>,
    /// The states in their turns; the start is the last.
    order: Vec<u32>,
    /// Per state: what leads from it to states of later turns, and all that leads from it.
    later: Vec<Vec<(u32, f64)>>,
    out: Vec<f64>,
    /// Per state: the states of later turns that led to it, with the part of all that leads from it.
    before: Vec<Vec<(u32, f64)>>,
    /// Per state: the probability of success.
    success: Vec<f64>,
    /// Steps of work that it took.
    pub steps: u64,
}

impl Absorbing {
    /// So many states that nothing leads from.
    pub fn new(states: usize) -> Self {
        Self { next: vec![vec![]; states], ends: vec![[0.0; 2]; states] }
    }

    /// Adds a step, so often; for each state the states that follow come in rising order.
    pub fn step(&mut self, from: u32, to: u32, times: u64) {
        // to stay changes nothing about where a walk ends
        if from != to {
            self.next[from as usize].push((to, times as f64));
        }
    }

    /// Adds ends of the walk.
    pub fn end(&mut self, at: u32, success: bool, times: u64) {
        self.ends[at as usize][usize::from(!success)] += times as f64;
    }

    /// Without the states that `gone` names: a walk that would enter one ends there, without success.
    pub fn without(&self, gone: impl Fn(u32) -> bool) -> Self {
        let mut left = Self::new(self.next.len());
        for (state, next) in self.next.iter().enumerate().filter(|(state, _)| !gone(*state as u32)) {
            left.ends[state] = self.ends[state];
            for &(to, times) in next {
                match gone(to) {
                    true => left.ends[state][1] += times,
                    false => left.next[state].push((to, times)),
                }
            }
        }
        left
    }

    /// Eliminates all states, the start last. `most_steps` of work are allowed.
    pub fn eliminate(mut self, most_steps: u64) -> Result<Eliminated, TooLarge> {
        let count = self.next.len();
        let too_large = TooLarge { states: count };
        // which states lead to a state, of those that are left
        let mut leading: Vec<BTreeSet<u32>> = vec![BTreeSet::new(); count];
        for (from, next) in self.next.iter().enumerate() {
            for (to, _) in next {
                leading[*to as usize].insert(from as u32);
            }
        }
        let degree = |state: u32, next: &[Vec<(u32, f64)>], leading: &[BTreeSet<u32>]| {
            next[state as usize].len() as u64 * leading[state as usize].len() as u64
        };
        let queued = (1..count as u32).map(|state| Reverse((degree(state, &self.next, &leading), state)));
        let mut queue: BinaryHeap<Reverse<(u64, u32)>> = queued.collect();
        let mut done = Eliminated {
            turn: vec![u32::MAX; count],
            order: Vec::with_capacity(count),
            later: vec![vec![]; count],
            out: vec![0.0; count],
            before: vec![vec![]; count],
            success: vec![0.0; count],
            steps: 0,
        };
        let mut links: usize = self.next.iter().map(Vec::len).sum();
        let mut merged = vec![];
        loop {
            let state = match queue.pop() {
                Some(Reverse((_, state))) if done.turn[state as usize] != u32::MAX => continue,
                Some(Reverse((known, state))) => {
                    let now = degree(state, &self.next, &leading);
                    if now > known {
                        queue.push(Reverse((now, state)));
                        continue;
                    }
                    state
                }
                None => 0,
            };
            done.turn[state as usize] = done.order.len() as u32;
            done.order.push(state);
            let next = std::mem::take(&mut self.next[state as usize]);
            let ends = self.ends[state as usize];
            let out = next.iter().map(|(_, times)| times).sum::<f64>() + ends[0] + ends[1];
            for from in std::mem::take(&mut leading[state as usize]) {
                let row = &mut self.next[from as usize];
                let at =
                    row.binary_search_by_key(&state, |(to, _)| *to).expect("who leads to a state has it in its row");
                let (_, times) = row.remove(at);
                let part = if out > 0.0 { times / out } else { 0.0 };
                if out == 0.0 {
                    // nobody leaves it again
                    self.ends[from as usize][1] += times;
                }
                done.before[state as usize].push((from, part));
                merge(row, &next, part, from, &mut merged, |to| {
                    leading[to as usize].insert(from);
                });
                done.steps += (row.len() + next.len()) as u64;
                links = links + merged.len() + 1 - row.len();
                std::mem::swap(row, &mut merged);
                let own = &mut self.ends[from as usize];
                (own[0], own[1]) = (own[0] + part * ends[0], own[1] + part * ends[1]);
            }
            for (to, _) in &next {
                leading[*to as usize].remove(&state);
            }
            (done.later[state as usize], done.out[state as usize]) = (next, out);
            if links > MOST_LINKS || done.steps > most_steps {
                return Err(too_large);
            }
            if state == 0 {
                break;
            }
        }
        for &state in done.order.iter().rev() {
            let state = state as usize;
            let later: f64 = done.later[state].iter().map(|(to, times)| times * done.success[*to as usize]).sum();
            let whole = self.ends[state][0] + later;
            done.success[state] = if done.out[state] > 0.0 { whole / done.out[state] } else { 0.0 };
        }
        Ok(done)
    }
}

/// `row` and `part` of `more` into `merged`, without the row's own state; `new` hears of states that the row had not.
fn merge(
    row: &[(u32, f64)],
    more: &[(u32, f64)],
    part: f64,
    own: u32,
    merged: &mut Vec<(u32, f64)>,
    mut new: impl FnMut(u32),
) {
    merged.clear();
    let mut row = row.iter().copied().peekable();
    for (to, times) in more.iter().copied().filter(|(to, _)| *to != own) {
        while let Some(entry) = row.next_if(|(other, _)| *other < to) {
            merged.push(entry);
        }
        match row.next_if(|(other, _)| *other == to) {
            Some((_, known)) => merged.push((to, known + part * times)),
            None => {
                new(to);
                merged.push((to, part * times));
            }
        }
    }
    merged.extend(row);
}

impl Eliminated {
    /// The probability of success from the start.
    pub fn success(&self) -> f64 {
        self.success[0]
    }

    /// The probabilities that a walk from the start passes through each of some states and then succeeds.
    pub fn success_through(&self, states: &[u32]) -> Vec<f64> {
        // how often a walk from the start leaves each state, by the time that it takes to leave it
        let mut visits = vec![0.0; self.order.len()];
        for &state in self.order.iter().rev() {
            let own = if state == 0 && self.out[0] > 0.0 { 1.0 / self.out[0] } else { 0.0 };
            let before = self.before[state as usize].iter();
            visits[state as usize] = own + before.map(|(from, part)| part * visits[*from as usize]).sum::<f64>();
        }
        let mut room = Workspace { visits: vec![0.0; self.order.len()], linked: vec![false; self.order.len()] };
        let through = |&state: &u32| {
            let returns = self.visits_from_itself(state, &mut room);
            let reached = if returns > 0.0 { visits[state as usize] / returns } else { 0.0 };
            reached * self.success[state as usize]
        };
        states.iter().map(through).collect()
    }

    /// The same of a walk that begins in the state itself.
    fn visits_from_itself(&self, state: u32, room: &mut Workspace) -> f64 {
        let Workspace { visits, linked } = room;
        let first = self.turn[state as usize] as usize;
        let mut left = 1;
        linked[first] = true;
        visits[state as usize] = 1.0;
        for turn in first..self.order.len() {
            if !linked[turn] {
                continue;
            }
            left -= 1;
            let at = self.order[turn] as usize;
            let own = visits[at];
            for &(from, part) in &self.before[at] {
                visits[from as usize] += part * own;
            }
            // only states of later turns that are linked with it, in the end, have a part in it; often all that are left
            if left < self.order.len() - turn - 1 {
                for &(other, _) in self.before[at].iter().chain(&self.later[at]) {
                    let other = self.turn[other as usize] as usize;
                    left += usize::from(!linked[other]);
                    linked[other] = true;
                }
            }
        }
        for turn in (first..self.order.len()).rev().filter(|turn| linked[*turn]) {
            let at = self.order[turn] as usize;
            let later: f64 = self.later[at].iter().map(|(to, times)| times * visits[*to as usize]).sum();
            visits[at] = if self.out[at] > 0.0 { (visits[at] + later) / self.out[at] } else { 0.0 };
        }
        let own = visits[state as usize];
        for turn in first..self.order.len() {
            if std::mem::take(&mut linked[turn]) {
                visits[self.order[turn] as usize] = 0.0;
            }
        }
        own
    }
}

/// Room to work in, all zero and false between two states.
struct Workspace {
    /// By state.
    visits: Vec<f64>,
    /// By turn.
    linked: Vec<bool>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use super::*;

    /// What a chain says when it is walked step by step until nothing is left to walk.
    fn walked(steps: &[(u32, u32, u64)], ends: &[(u32, bool, u64)], without: Option<u32>) -> f64 {
        let of = |state: u32| {
            let steps = steps.iter().filter(|step| step.0 == state).map(|step| step.2).sum::<u64>();
            (steps + ends.iter().filter(|end| end.0 == state).map(|end| end.2).sum::<u64>()) as f64
        };
        let (mut here, mut success) = (BTreeMap::from([(0, 1.0)]), 0.0);
        while here.values().sum::<f64>() > 1e-17 {
            let mut then: BTreeMap<u32, f64> = BTreeMap::new();
            for (state, likely) in here.into_iter().filter(|(state, _)| Some(*state) != without) {
                let all = of(state);
                success += ends
                    .iter()
                    .filter(|end| end.0 == state && end.1)
                    .map(|end| likely * end.2 as f64 / all)
                    .sum::<f64>();
                for step in steps.iter().filter(|step| step.0 == state) {
                    *then.entry(step.1).or_default() += likely * step.2 as f64 / all;
                }
            }
            here = then;
        }
        success
    }

    fn chain(states: usize, steps: &[(u32, u32, u64)], ends: &[(u32, bool, u64)]) -> Absorbing {
        let mut chain = Absorbing::new(states);
        let mut steps = steps.to_vec();
        steps.sort_unstable();
        steps.iter().for_each(|(from, to, times)| chain.step(*from, *to, *times));
        ends.iter().for_each(|(at, success, times)| chain.end(*at, *success, *times));
        chain
    }

    #[test]
    fn it_says_what_a_walk_finds() {
        let mut dice = 7_u64;
        let mut roll = |sides: u64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) % sides
        };
        for round in 0..60 {
            let states = 2 + roll(9) as usize;
            let mut steps = BTreeMap::new();
            for _ in 0..roll(30) + 1 {
                let (from, to) = (roll(states as u64) as u32, 1 + roll(states as u64 - 1) as u32);
                *steps.entry((from, to)).or_insert(0) += 1 + roll(3);
            }
            let steps: Vec<(u32, u32, u64)> = steps.into_iter().map(|((from, to), times)| (from, to, times)).collect();
            // a walk may end everywhere, else it could go on for ever
            let mut ends = vec![];
            for state in 0..states as u32 {
                ends.push((state, false, 1 + roll(2)));
                if roll(2) == 0 {
                    ends.push((state, true, 1 + roll(4)));
                }
            }
            let chain = chain(states, &steps, &ends);
            let done = chain.clone().eliminate(MOST_STEPS).unwrap();
            let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
            assert!(near(done.success(), walked(&steps, &ends, None)), "round {round}");
            let all: Vec<u32> = (1..states as u32).collect();
            for (state, through) in all.iter().zip(done.success_through(&all)) {
                let without = walked(&steps, &ends, Some(*state));
                assert!(near(done.success() - through, without), "round {round}, state {state}");
                let reduced = chain.without(|other| other == *state).eliminate(MOST_STEPS).unwrap();
                assert!(near(reduced.success(), without), "round {round}, state {state}");
            }
        }
    }

    #[test]
    fn what_is_never_left_and_what_is_too_much() {
        // nobody leaves 1 and 2 again
        let endless = chain(3, &[(0, 1, 1), (1, 2, 1), (2, 1, 1)], &[(0, true, 1)]);
        assert_eq!(endless.eliminate(MOST_STEPS).unwrap().success(), 0.5);
        let steps: Vec<(u32, u32, u64)> = (0..30).flat_map(|from| (1..30).map(move |to| (from, to, 1))).collect();
        let much = chain(30, &steps, &[(5, true, 1)]);
        assert_eq!(much.eliminate(100).unwrap_err(), TooLarge { states: 30 });
    }
}
