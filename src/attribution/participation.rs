//! Deduplicated participation: a conversion's full value to every distinct item in its reach, on the item's first touch
//! there.
//!
//! A touch opens a range of conversions, and what the item's touch before it opened already does not count again. So each
//! touch earns one difference of prefix sums, and the touch that earns a conversion is the item's first in its reach: the
//! window form and the report form are the same numbers.

use super::credit::CreditSink;
use super::journey::Journey;
use super::reach::Reach;
use super::sum::Sum;

/// Scratch for one visitor at a time.
#[derive(Debug, Default)]
pub(super) struct Participation {
    prefix: Vec<Sum>,
    /// Per item, the first conversion that none of its touches so far has opened.
    open_from: Vec<u32>,
}

impl Participation {
    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        self.prefix.capacity() * size_of::<Sum>() + self.open_from.capacity() * size_of::<u32>()
    }

    /// Credits `value(c)` of every conversion `c`, once per distinct item in its reach.
    pub fn credit(
        &mut self,
        journey: &Journey,
        reach: &Reach,
        value: impl Fn(usize) -> f64,
        sink: &mut impl CreditSink,
    ) {
        self.prefix.clear();
        let mut sum = Sum::default();
        self.prefix.push(sum);
        for c in 0..reach.len() {
            sum += value(c);
            self.prefix.push(sum);
        }
        if self.open_from.len() < journey.item_count() {
            self.open_from.resize(journey.item_count(), 0);
        }
        for (k, conversions) in reach.reached() {
            let touch = reach.touch(k);
            for &item in journey.items(touch) {
                let open_from = &mut self.open_from[item as usize];
                let first = conversions.start.max(*open_from as usize);
                if first < conversions.end {
                    let mut amount = self.prefix[conversions.end];
                    amount -= self.prefix[first];
                    sink.credit(item, journey.position(touch), amount.value());
                }
                *open_from = conversions.end as u32;
            }
        }
        for (k, _) in reach.reached() {
            for &item in journey.items(reach.touch(k)) {
                self.open_from[item as usize] = 0;
            }
        }
    }
}
