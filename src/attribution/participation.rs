//! Deduplicated participation: a conversion's full value to every distinct item in its reach, on the item's first touch
//! there.
//!
//! A touch opens a range of conversions, and what the item's touch before it opened already does not count again. So each
//! touch earns one difference of prefix sums, and the touch that earns a conversion is the item's first in its reach: the
//! window form and the report form are the same numbers.

use super::credit::CreditSink;
use super::journey::Journey;
use super::parts::{divide_one, own_parts};
use super::reach::Reach;
use super::sum::Sum;

/// Scratch for one visitor at a time.
#[derive(Debug, Default)]
pub(super) struct Participation {
    prefix: Vec<Sum>,
    items: PerItem,
}

/// A number for each item, which is 0 at first for every visitor: nothing is set back for the next.
#[derive(Debug, Default)]
struct PerItem {
    visitor: u32,
    /// Of which visitor, and the number.
    numbers: Vec<(u32, u32)>,
}

impl PerItem {
    /// Turns to the next visitor.
    fn begin(&mut self, items: usize) {
        self.visitor = self.visitor.wrapping_add(1);
        if self.visitor == 0 {
            self.numbers.clear();
            self.visitor = 1;
        }
        if self.numbers.len() < items {
            self.numbers.resize(items, (0, 0));
        }
    }

    #[inline]
    fn get(&self, item: u32) -> usize {
        let (visitor, number) = self.numbers[item as usize];
        if visitor == self.visitor { number as usize } else { 0 }
    }

    #[inline]
    fn set(&mut self, item: u32, number: usize) {
        self.numbers[item as usize] = (self.visitor, number as u32);
    }
}

impl Participation {
    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        self.prefix.capacity() * size_of::<Sum>() + self.items.numbers.capacity() * size_of::<(u32, u32)>()
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
        // per item, the first conversion that none of its touches so far has opened
        let open_from = &mut self.items;
        open_from.begin(journey.item_count());
        for (touches, conversions) in reach.reached() {
            let since = |first: usize| {
                let mut amount = self.prefix[conversions.end];
                amount -= self.prefix[first];
                amount.value()
            };
            let all = since(conversions.start);
            for touch in touches.map(|k| reach.touch(k)) {
                for &item in journey.items(touch) {
                    let opened = open_from.get(item);
                    if opened <= conversions.start {
                        sink.credit(item, journey.position(touch), all);
                    } else if opened < conversions.end {
                        sink.credit(item, journey.position(touch), since(opened));
                    }
                    open_from.set(item, conversions.end);
                }
            }
        }
    }

    /// Corrects the credit of conversions that come in parts, each with an item, where the item took part by its own row only:
    /// an item with another touch in reach has the full value from there.
    pub fn divide(&mut self, journey: &Journey, reach: &Reach, sink: &mut impl CreditSink) {
        // per item, one above its last touch listed before the row
        let (before, mut seen) = (&mut self.items, 0);
        before.begin(journey.item_count());
        for c in 0..reach.len() {
            let Some((touch, parts)) = own_parts(journey, reach, c) else { continue };
            let (range, conversion) = (reach.range(c), reach.conversion(journey, c));
            for k in seen..range.end - 1 {
                journey.items(reach.touch(k)).iter().for_each(|item| before.set(*item, k + 1));
            }
            seen = seen.max(range.end - 1);
            for part in parts.iter().filter(|part| before.get(part.item) <= range.start) {
                divide_one(journey, touch, part, conversion.value, sink);
            }
        }
    }
}
