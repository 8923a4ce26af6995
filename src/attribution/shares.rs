//! The models whose shares hang on the rank of a touch only: first, last and same touch, equal and weighted shares.
//!
//! What goes to a single touch is handed over at once; what many touches get alike is a running sum over the touches, to
//! which a conversion is added where its reach begins and from which it is taken where its reach ends.

use std::ops::Range;

use super::credit::CreditSink;
use super::journey::{Conversion, Journey, NONE};
use super::model::Weights;
use super::reach::{Reach, covers};
use super::sum::Sum;

/// Gives every conversion to the one touch that `pick` chooses (its place in the list of the reach), else to none.
pub(super) fn all_to_one(
    journey: &Journey,
    reach: &Reach,
    pick: impl Fn(&Conversion, Range<usize>) -> Option<usize>,
    sink: &mut impl CreditSink,
) {
    for c in 0..reach.len() {
        let conversion = reach.conversion(journey, c);
        match pick(conversion, reach.range(c)) {
            Some(k) => to_touch(journey, reach, k, conversion.value, sink),
            None => sink.credit(NONE, conversion.row, conversion.value),
        }
    }
}

/// Gives the conversions without a touch in reach to the item [`NONE`].
pub(super) fn unreached_to_none(journey: &Journey, reach: &Reach, sink: &mut impl CreditSink) {
    for c in (0..reach.len()).filter(|c| reach.range(*c).is_empty()) {
        let conversion = reach.conversion(journey, c);
        sink.credit(NONE, conversion.row, conversion.value);
    }
}

/// Gives `amount(c)` of every conversion `c` to each touch in its reach.
pub(super) fn to_each(journey: &Journey, reach: &Reach, amount: impl Fn(usize) -> f64, sink: &mut impl CreditSink) {
    spread(journey, reach, |c| reach.range(c), amount, sink);
}

/// Shares by the weights of the first touch, the last, and those between.
pub(super) fn weighted(journey: &Journey, reach: &Reach, weights: Weights, sink: &mut impl CreditSink) {
    let mut some_between = false;
    for c in 0..reach.len() {
        let range = reach.range(c);
        if range.is_empty() {
            continue;
        }
        let value = reach.conversion(journey, c).value;
        let (first, middle, last) = weights.of_path(range.len());
        some_between |= middle > 0.0;
        for (k, share) in [(range.start, first), (range.end - 1, last)] {
            if share > 0.0 {
                to_touch(journey, reach, k, value * share, sink);
            }
        }
    }
    if some_between {
        let between = |c: usize| {
            let Range { start, end } = reach.range(c);
            start + 1..end.saturating_sub(1).max(start + 1)
        };
        let share = |c: usize| {
            let middle = weights.of_path(reach.range(c).len()).1;
            reach.conversion(journey, c).value * middle / between(c).len() as f64
        };
        spread(journey, reach, between, share, sink);
    }
}

/// Gives `amount` to each item of a touch.
#[inline]
pub(super) fn to_touch(journey: &Journey, reach: &Reach, k: usize, amount: f64, sink: &mut impl CreditSink) {
    let touch = reach.touch(k);
    for &item in journey.items(touch) {
        sink.credit(item, journey.position(touch), amount);
    }
}

/// Gives `amount(c)` to each touch in `range(c)`, whose ends never fall; it is asked of ranges that are not empty only.
fn spread(
    journey: &Journey,
    reach: &Reach,
    range: impl Fn(usize) -> Range<usize>,
    amount: impl Fn(usize) -> f64,
    sink: &mut impl CreditSink,
) {
    let (mut sum, mut held) = (Sum::default(), 0..0);
    for (touches, conversions) in covers(reach.len(), range) {
        if conversions.start >= held.end {
            (sum, held) = (Sum::default(), conversions.start..conversions.start);
        }
        (held.end..conversions.end).for_each(|c| sum += amount(c));
        (held.start..conversions.start).for_each(|c| sum -= amount(c));
        held = conversions;
        touches.for_each(|k| to_touch(journey, reach, k, sum.value(), sink));
    }
}
