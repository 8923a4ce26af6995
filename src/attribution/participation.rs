//! Deduplicated participation: a conversion's full value to every distinct item in its reach, on the item's first touch
//! there.
//!
//! A touch opens a range of conversions, and what the item's touch before it opened already does not count again. So each
//! touch earns one difference of prefix sums, and the touch that earns a conversion is the item's first in its reach: the
//! window form and the report form are the same numbers.

use super::credit::CreditSink;
use super::journey::{Journey, NONE};
use super::parts::{divide_one, own_parts};
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

    /// Corrects the credit of conversions that come in parts, where the part's item took part by its own row only: an item
    /// with another touch in reach has the full value from there.
    pub fn divide(&mut self, journey: &Journey, reach: &Reach, sink: &mut impl CreditSink) {
        // here per item, one above its last touch listed before the row
        let (before, mut seen) = (&mut self.open_from, 0);
        for c in 0..reach.len() {
            let Some((touch, parts)) = own_parts(journey, reach, c) else { continue };
            let (range, conversion) = (reach.range(c), reach.conversion(journey, c));
            for k in seen..range.end - 1 {
                journey.items(reach.touch(k)).iter().for_each(|item| before[*item as usize] = k as u32 + 1);
            }
            seen = seen.max(range.end - 1);
            let by_own_row = |item: u32| item == NONE || before[item as usize] as usize <= range.start;
            for part in parts.iter().filter(|part| by_own_row(part.item)) {
                divide_one(journey, touch, conversion.row, part, conversion.value, sink);
            }
        }
        for k in 0..seen {
            journey.items(reach.touch(k)).iter().for_each(|item| self.open_from[*item as usize] = 0);
        }
    }
}
