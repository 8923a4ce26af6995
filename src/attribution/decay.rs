//! Time decay with exact ages: a touch's weight is 2^(-age / half-life), normalised over the touches in reach.
//!
//! The weight of a touch and the sum of weights of a conversion's reach are both sums over sliding windows: of touches
//! for the sum, of conversions for what a touch earns. Each sum is kept relative to the newest touch concerned and only
//! ever multiplied by factors of at most 1, and terms leave a window without being subtracted. So nothing overflows, and
//! nothing cancels, however long the journey and however short the half-life.

use std::ops::Range;

use super::credit::CreditSink;
use super::journey::Journey;
use super::reach::{Reach, covers};
use super::shares::to_touch;

/// Scratch for one visitor at a time.
#[derive(Debug, Default)]
pub(super) struct Decay {
    window: Window,
    /// Per conversion, its value over the sum of weights in its reach, relative to the newest touch there.
    amounts: Vec<f64>,
}

impl Decay {
    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        (self.amounts.capacity() + self.window.older.capacity()) * size_of::<f64>()
    }

    /// What the conversion listed at `c` gave the newest touch in its reach, after [`Decay::credit`].
    pub fn newest_amount(&self, c: usize) -> f64 {
        self.amounts[c]
    }

    /// Credits every conversion that has a touch in reach.
    pub fn credit(&mut self, journey: &Journey, reach: &Reach, half_life_us: i64, sink: &mut impl CreditSink) {
        let time = |k: usize| journey.time(reach.touch(k));
        let window = &mut self.window;

        window.begin(half_life_us);
        self.amounts.clear();
        for c in 0..reach.len() {
            let range = reach.range(c);
            self.amounts.push(match range.len() {
                0 => 0.0,
                _ => {
                    let newest = time(range.end - 1);
                    reach.conversion(journey, c).value / window.sum(range, newest, time, |_| 1.0)
                }
            });
        }

        // the same backwards in time: a touch gathers from the conversions after it
        let (conversions, touches) = (reach.len(), reach.touches());
        let mirrored = |c: usize| {
            let Range { start, end } = reach.range(conversions - 1 - c);
            touches - end..touches - start
        };
        let newest = |c: usize| time(reach.range(conversions - 1 - c).end - 1);
        let amount = |c: usize| self.amounts[conversions - 1 - c];
        window.begin(half_life_us);
        for (mirrored, conversions) in covers(conversions, mirrored) {
            for k in mirrored.map(|k| touches - 1 - k) {
                to_touch(journey, reach, k, window.sum(conversions.clone(), time(k), newest, amount), sink);
            }
        }
    }
}

/// Decayed sum over a window whose ends never fall: sums from each older element up to a middle, and one from there on.
#[derive(Debug, Default)]
struct Window {
    half_life_us: f64,
    /// For the elements before `middle`, from the last to the first, the sum up to `middle` relative to the last's time.
    older: Vec<f64>,
    middle: usize,
    /// Sum of the elements `middle..end`, relative to the last's time.
    newer: f64,
    end: usize,
}

impl Window {
    fn begin(&mut self, half_life_us: i64) {
        self.half_life_us = half_life_us as f64;
        (self.middle, self.newer, self.end) = (0, 0.0, 0);
    }

    /// The amounts of a window that is not empty, each halved for every half-life between its time and `now`.
    fn sum(
        &mut self,
        window: Range<usize>,
        now: i64,
        time: impl Fn(usize) -> i64,
        amount: impl Fn(usize) -> f64,
    ) -> f64 {
        if window.start >= self.middle {
            let last = time(window.end - 1);
            let mut sum = 0.0;
            self.older.clear();
            for i in window.clone().rev() {
                sum += amount(i) * self.decay(time(i), last);
                self.older.push(sum);
            }
            (self.middle, self.newer, self.end) = (window.end, 0.0, window.end);
        }
        for i in self.end..window.end {
            if i > self.middle {
                self.newer *= self.decay(time(i - 1), time(i));
            }
            self.newer += amount(i);
        }
        self.end = window.end;
        let mut sum = self.older[self.middle - 1 - window.start] * self.decay(time(self.middle - 1), now);
        if self.end > self.middle {
            sum += self.newer * self.decay(time(self.end - 1), now);
        }
        sum
    }

    fn decay(&self, one: i64, other: i64) -> f64 {
        match one.abs_diff(other) {
            0 => 1.0,
            age_us => (-(age_us as f64) / self.half_life_us).exp2(),
        }
    }
}
