//! Time decay whose ages count in whole days, the floor of 24 hour spans.
//!
//! The age in days of a touch at day `d` plus rest `r` of a day, seen at day `D` plus rest `R`, is `D - d`, less one if
//! `r > R`. Few pairs of touches and conversions are simply gone through. Else the weights are in a tree over the rests: a
//! sum of weights is a sum below `R` and one above it, each times a factor for `D`. That costs n log n, whatever the
//! lookback; weights leave the tree without being subtracted.

use std::ops::Range;

use super::credit::CreditSink;
use super::journey::Journey;
use super::reach::{Reach, covers};
use super::shares::to_touch;
use crate::time::DAY_US;

/// Up to so many pairs per touch and conversion, going through them is faster than the tree.
const PAIRS_PER_ROW: usize = 64;
/// A weight may fall to 2^-128 a day; below that the share is nothing in any sum of doubles.
const MOST_HALVINGS_PER_DAY: f64 = 128.0;
/// The tree is scaled down when new weights exceed 2^256; what is then below 2^-900 is nothing beside them.
const RESCALE_EXPONENT: f64 = 256.0;
const NOTHING_EXPONENT: f64 = -900.0;

/// Children of a node of the tree; eight sums are a cache line.
const FAN_OUT: usize = 8;

/// Scratch for one visitor at a time.
#[derive(Debug, Default)]
pub(super) struct WholeDays {
    weights: Vec<f64>,
    touches: ByRest,
    conversions: ByRest,
    tree: DayTree,
    /// Per conversion, its value over the sum of weights, and its moment less the age of its newest touch.
    amounts: Vec<f64>,
    moments: Vec<Moment>,
}

impl WholeDays {
    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        (self.weights.capacity() + self.amounts.capacity() + self.tree.sums.capacity()) * size_of::<f64>()
            + self.moments.capacity() * size_of::<Moment>()
            + (self.touches.0.capacity() + self.conversions.0.capacity()) * size_of::<(i64, u32)>()
            + (self.tree.ranks.capacity() + self.tree.asked_ranks.capacity()) * size_of::<u32>()
    }

    /// What the conversion listed at `c` gave the newest touch in its reach, after [`WholeDays::credit`].
    pub fn newest_amount(&self, c: usize) -> f64 {
        self.amounts[c]
    }

    /// Credits every conversion that has a touch in reach.
    pub fn credit(&mut self, journey: &Journey, reach: &Reach, half_life_us: i64, sink: &mut impl CreditSink) {
        let halvings = (DAY_US as f64 / half_life_us as f64).min(MOST_HALVINGS_PER_DAY);
        let pairs: u128 = (0..reach.len()).map(|c| reach.range(c).len() as u128).sum();
        if pairs <= (PAIRS_PER_ROW * (reach.len() + reach.touches())) as u128 {
            self.credit_pairs(journey, reach, halvings, sink);
        } else {
            self.credit_by_tree(journey, reach, halvings, sink);
        }
    }

    fn credit_pairs(&mut self, journey: &Journey, reach: &Reach, halvings: f64, sink: &mut impl CreditSink) {
        self.amounts.clear();
        for c in 0..reach.len() {
            let range = reach.range(c);
            let conversion = reach.conversion(journey, c);
            let age = |k: usize| Moment::of(conversion.time).days_since(Moment::of(journey.time(reach.touch(k))));
            self.weights.clear();
            let (mut sum, mut last) = (0.0, (0, 1.0));
            for k in range.clone() {
                let younger = age(k) - age(range.end - 1);
                if younger != last.0 {
                    last = (younger, (-(younger as f64) * halvings).exp2());
                }
                sum += last.1;
                self.weights.push(last.1);
            }
            self.amounts.push(if sum == 0.0 { 0.0 } else { conversion.value / sum });
            for (k, weight) in range.zip(&self.weights) {
                to_touch(journey, reach, k, conversion.value * (weight / sum), sink);
            }
        }
    }

    fn credit_by_tree(&mut self, journey: &Journey, reach: &Reach, halvings: f64, sink: &mut impl CreditSink) {
        let touched = |k: usize| Moment::of(journey.time(reach.touch(k)));
        let converted = |c: usize| Moment::of(reach.conversion(journey, c).time);
        let (conversions, touches) = (reach.len(), reach.touches());
        self.touches.list(touches, touched);
        self.conversions.list(conversions, converted);

        self.tree.begin(halvings, &self.touches, &self.conversions);
        self.amounts.clear();
        self.moments.clear();
        for c in 0..conversions {
            let (range, mut moment) = (reach.range(c), converted(c));
            self.amounts.push(match range.len() {
                0 => 0.0,
                _ => {
                    moment.day -= moment.days_since(touched(range.end - 1));
                    reach.conversion(journey, c).value / self.tree.sum(range, c, moment, touched, |_| 1.0)
                }
            });
            self.moments.push(moment);
        }

        // the same backwards in time: a touch gathers from the conversions after it
        let mirrored = |c: usize| {
            let Range { start, end } = reach.range(conversions - 1 - c);
            touches - end..touches - start
        };
        let moment = |c: usize| self.moments[conversions - 1 - c].mirrored();
        let amount = |c: usize| self.amounts[conversions - 1 - c];
        self.touches.mirror();
        self.conversions.mirror();
        self.tree.begin(halvings, &self.conversions, &self.touches);
        for (asked, conversions) in covers(conversions, mirrored) {
            for asked in asked {
                let k = touches - 1 - asked;
                let amount = self.tree.sum(conversions.clone(), asked, touched(k).mirrored(), moment, amount);
                to_touch(journey, reach, k, amount, sink);
            }
        }
    }
}

/// A time as days of 24 hours since 1970 and the rest in microseconds.
#[derive(Debug, Clone, Copy)]
struct Moment {
    day: i64,
    rest: i64,
}

impl Moment {
    fn of(time_us: i64) -> Self {
        Self { day: time_us.div_euclid(DAY_US), rest: time_us.rem_euclid(DAY_US) }
    }

    /// Whole days from `earlier` to this.
    fn days_since(self, earlier: Self) -> i64 {
        self.day - earlier.day - i64::from(earlier.rest > self.rest)
    }

    /// Turns before and after round.
    fn mirrored(self) -> Self {
        Self { day: -self.day, rest: -self.rest }
    }
}

/// Rests of days in rising order, each with the number of its touch or conversion.
#[derive(Debug, Default)]
struct ByRest(Vec<(i64, u32)>);

impl ByRest {
    fn list(&mut self, len: usize, moment: impl Fn(usize) -> Moment) {
        self.0.clear();
        self.0.extend((0..len as u32).map(|i| (moment(i as usize).rest, i)));
        self.0.sort_unstable();
    }

    /// Turns before and after round, and with them the numbers.
    fn mirror(&mut self) {
        let last = (self.0.len() as u32).saturating_sub(1);
        self.0.iter_mut().for_each(|(rest, i)| (*rest, *i) = (-*rest, last - *i));
        self.0.reverse();
    }
}

/// Decayed sum over a window whose ends never fall, as a tree of sums over the elements in the order of their rests.
#[derive(Debug, Default)]
struct DayTree {
    halvings: f64,
    /// Level after level from the leaves up; a node sums [`FAN_OUT`] neighbours of the level below.
    sums: Vec<f64>,
    /// Where each level begins in `sums`.
    levels: Vec<usize>,
    /// Place of each element among the elements, and of each query behind the elements of no greater rest.
    ranks: Vec<u32>,
    asked_ranks: Vec<u32>,
    held: Range<usize>,
    /// Weights are relative to this day.
    day: i64,
}

impl DayTree {
    fn begin(&mut self, halvings: f64, elements: &ByRest, queries: &ByRest) {
        self.halvings = halvings;
        self.ranks.resize(elements.0.len(), 0);
        for (rank, (_, i)) in (0u32..).zip(&elements.0) {
            self.ranks[*i as usize] = rank;
        }
        self.asked_ranks.resize(queries.0.len(), 0);
        let mut rank = 0;
        for (rest, i) in &queries.0 {
            while elements.0.get(rank).is_some_and(|(other, _)| other <= rest) {
                rank += 1;
            }
            self.asked_ranks[*i as usize] = rank as u32;
        }
        self.levels.clear();
        // one leaf more than elements: the place after the last one is asked for, too
        let (mut nodes, mut total) = (elements.0.len() + 1, 0);
        while self.levels.is_empty() || nodes > 1 {
            self.levels.push(total);
            total += nodes.next_multiple_of(FAN_OUT);
            nodes = nodes.div_ceil(FAN_OUT);
        }
        self.sums.clear();
        self.sums.resize(total, 0.0);
        self.held = 0..0;
    }

    /// The amounts of a window, each halved `halvings` times for every whole day from its moment to `now`, that of the
    /// query number `asked`.
    fn sum(
        &mut self,
        window: Range<usize>,
        asked: usize,
        now: Moment,
        moment: impl Fn(usize) -> Moment,
        amount: impl Fn(usize) -> f64,
    ) -> f64 {
        for i in self.held.start..window.start.min(self.held.end) {
            self.set(i, 0.0);
        }
        self.held = self.held.start.max(window.start)..self.held.end.max(window.start);
        for i in self.held.end..window.end {
            let day = moment(i).day;
            if self.held.is_empty() {
                self.day = day;
            } else if (day - self.day) as f64 * self.halvings > RESCALE_EXPONENT {
                self.rescale(day, &moment);
            }
            self.set(i, amount(i) * self.halved(self.day - day));
            self.held.end = i + 1;
        }
        let (same, less) = self.sums_around(self.asked_ranks[asked] as usize);
        let age = now.day - self.day;
        let part = |sum: f64, days: i64| if sum == 0.0 { 0.0 } else { sum * self.halved(days) };
        part(same, age) + part(less, age - 1)
    }

    /// Makes `day` the one that weights are relative to, and lets go what has become nothing.
    fn rescale(&mut self, day: i64, moment: impl Fn(usize) -> Moment) {
        let factor = self.halved(day - self.day);
        for i in self.held.clone() {
            let nothing = (moment(i).day - day) as f64 * self.halvings < NOTHING_EXPONENT;
            if nothing && i == self.held.start {
                self.held.start += 1;
            }
            let weight = if nothing { 0.0 } else { self.sums[self.ranks[i] as usize] * factor };
            self.set(i, weight);
        }
        self.day = day;
    }

    fn halved(&self, days: i64) -> f64 {
        (-(days as f64) * self.halvings).exp2()
    }

    fn set(&mut self, element: usize, weight: f64) {
        let (mut at, mut sum) = (self.ranks[element] as usize, weight);
        for level in &self.levels {
            self.sums[level + at] = sum;
            at /= FAN_OUT;
            let children = &self.sums[level + at * FAN_OUT..][..FAN_OUT];
            sum = children.iter().sum();
        }
    }

    /// The sums of the weights of lower ranks, and of `rank` and higher ones.
    fn sums_around(&self, rank: usize) -> (f64, f64) {
        let (mut below, mut above) = (0.0, self.sums[rank]);
        let mut at = rank;
        for level in &self.levels {
            let siblings = &self.sums[level + at / FAN_OUT * FAN_OUT..][..FAN_OUT];
            let (lower, higher) = siblings.split_at(at % FAN_OUT);
            below += lower.iter().sum::<f64>();
            above += higher[1..].iter().sum::<f64>();
            at /= FAN_OUT;
        }
        (below, above)
    }
}
