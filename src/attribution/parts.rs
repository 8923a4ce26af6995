//! Rows that convert in parts: the product lines of an order, each of them a conversion of its own product.
//!
//! To a part, the row that it stands on is a touch of its own item alone, and no touch where the part has no item; touches on
//! other rows are for every part what they are for the whole.
//!
//! All shares hang on the touches' ranks and times, which are the same for every part that has an item; so a model first
//! gives the row's touch what the whole conversion gives it, in full to each item, and [`divide`] then leaves every item
//! only its own part of that. An item of several parts has their sum. Parts without an item convert just before the row
//! instead: [`take_apart`].

use super::credit::CreditSink;
use super::journey::{Conversion, ItemShare, Journey};
use super::reach::Reach;

/// What one part has of a conversion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Portion {
    /// The item of which alone the conversion's row is a touch to it; [`super::journey::NONE`]: the row is no touch to it.
    pub item: u32,
    /// Of the conversion's value.
    pub value: f64,
    /// False where the item only stands on the row, and nothing of what converts is its own.
    pub converts: bool,
}

impl Portion {
    fn of(part: &ItemShare, conversion: &Conversion) -> Self {
        Self { item: part.item, value: part.of(conversion.value), converts: part.converts }
    }
}

/// The portions of the conversion that `reach` lists at `listed`; one `None` where it converts as a whole.
pub fn portions(journey: &Journey, reach: &Reach, listed: usize) -> impl Iterator<Item = Option<Portion>> {
    let conversion = *reach.conversion(journey, listed);
    let parts = own_parts(journey, reach, listed).map(|(_, parts)| parts).unwrap_or_default();
    let whole = parts.is_empty().then_some(None);
    whole.into_iter().chain(parts.iter().map(move |part| Some(Portion::of(part, &conversion))))
}

/// Where the conversion listed at `c` stands on the row of a touch that has parts: the touch's number, and the parts.
pub(super) fn own_parts<'j>(journey: &'j Journey, reach: &Reach, c: usize) -> Option<(usize, &'j [ItemShare])> {
    let touch = reach.touch(reach.range(c).next_back()?);
    let parts = journey.parts(touch);
    let own = journey.position(touch) == reach.conversion(journey, c).position;
    (own && !parts.is_empty()).then_some((touch, parts))
}

/// Makes `apart` a journey that converts what `journey` does in the container, where every part has an item. Gives back the
/// portions that have no share there, with where their conversions are listed: items whose parts sum to 0 on a row where others have
/// none.
pub(super) fn take_apart(journey: &Journey, reach: &Reach, apart: &mut Journey) -> Vec<(usize, Portion)> {
    let (mut conversions, mut alone) = (vec![], vec![]);
    for c in 0..reach.len() {
        let conversion = *reach.conversion(journey, c);
        let parts = own_parts(journey, reach, c).map(|(_, parts)| parts).unwrap_or_default();
        let (own, total) = ItemShare::with_items(parts);
        let Some(none) = parts.get(own.len()) else {
            conversions.push(conversion);
            continue;
        };
        debug_assert!(conversion.position > 0, "there is a place before a row that is divided");
        let before = conversion.position.saturating_sub(1);
        conversions.push(Conversion { position: before, value: none.of(conversion.value), ..conversion });
        if total != 0.0 {
            conversions.push(Conversion { value: conversion.value / none.total * total, ..conversion });
        } else {
            let converting = own.iter().filter(|part| part.converts);
            alone.extend(converting.map(|part| (c, Portion::of(part, &conversion))));
        }
    }
    apart.become_divided(journey, conversions);
    alone
}

/// Corrects the credit of every conversion that comes in parts, each with an item; `own(c)` is what its own row's touch has been
/// given.
pub(super) fn divide(journey: &Journey, reach: &Reach, own: impl Fn(usize) -> f64, sink: &mut impl CreditSink) {
    for c in 0..reach.len() {
        let Some((touch, parts)) = own_parts(journey, reach, c) else { continue };
        let amount = own(c);
        if amount != 0.0 {
            parts.iter().for_each(|part| divide_one(journey, touch, part, amount, sink));
        }
    }
}

/// Leaves the item of a part only its part of `amount`, of which it has been given all.
pub(super) fn divide_one(journey: &Journey, touch: usize, part: &ItemShare, amount: f64, sink: &mut impl CreditSink) {
    // two amounts, not their difference: sinks add up without loss
    sink.credit(part.item, journey.position(touch), part.of(amount));
    sink.credit(part.item, journey.position(touch), -amount);
}
