//! Rows that convert in parts: the product lines of an order, each of them a conversion of its own product.
//!
//! To a part, the row that it stands on is a touch of its own item alone; touches on other rows are for every part what
//! they are for the whole. All shares hang on the touches' ranks and times, which are the same for every part; so a model
//! first gives the row's touch what the whole conversion gives it, in full to each item, and [`divide`] then leaves
//! every item only its own part of that. An item of several parts has their sum.

use super::credit::CreditSink;
use super::journey::{Journey, NONE, Part};
use super::reach::Reach;

/// Where the conversion listed at `c` stands on the row of a touch that has parts: the touch's number, and the parts.
pub(super) fn own_parts<'j>(journey: &'j Journey, reach: &Reach, c: usize) -> Option<(usize, &'j [Part])> {
    let touch = reach.touch(reach.range(c).next_back()?);
    let parts = journey.parts(touch);
    let own = journey.position(touch) == reach.conversion(journey, c).position;
    (own && !parts.is_empty()).then_some((touch, parts))
}

/// Corrects the credit of every conversion that comes in parts; `own(c)` is what its own row's touch has been given.
pub(super) fn divide(journey: &Journey, reach: &Reach, own: impl Fn(usize) -> f64, sink: &mut impl CreditSink) {
    for c in 0..reach.len() {
        let Some((touch, parts)) = own_parts(journey, reach, c) else { continue };
        let amount = own(c);
        if amount != 0.0 {
            let row = reach.conversion(journey, c).row;
            parts.iter().for_each(|part| divide_one(journey, touch, row, part, amount, sink));
        }
    }
}

/// Leaves the item of a part only its part of `amount`, of which it has been given all.
pub(super) fn divide_one(
    journey: &Journey,
    touch: usize,
    row: u32,
    part: &Part,
    amount: f64,
    sink: &mut impl CreditSink,
) {
    if part.item == NONE {
        sink.credit(NONE, row, part.of(amount));
    } else {
        // two amounts, not their difference: sinks add up without loss
        sink.credit(part.item, journey.position(touch), part.of(amount));
        sink.credit(part.item, journey.position(touch), -amount);
    }
}
