//! Explains one conversion: the touches in its reach and the share of each in a model, written straight from the rules.

use super::journey::{Conversion, ItemShare, Journey, NONE};
use super::model::Model;
use super::parts::own_parts;
use super::reach::Reach;
use super::shapley::Game;
use crate::time::DAY_US;

/// One item of one touch in reach of the conversion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Row of the touch; of the conversion for the item [`NONE`].
    pub position: u32,
    /// Microseconds.
    pub time: i64,
    /// The item, or [`NONE`] where no touch gets the conversion.
    pub item: u32,
    /// Part of the conversion's value; in participation 1 for every item.
    pub share: f64,
}

/// The touches in reach of the journey's conversion number `conversion`, in order, one step per item.
///
/// `reach` has been found in this very `journey`. `game` is needed for [`Model::Algorithmic`] (without it, distinct items
/// share equally), which looks at the conversion as a whole. Shares that belong to an item, not to a touch, sit on the item's first touch. No steps: the conversion
/// is outside the container.
pub fn explain(journey: &Journey, reach: &Reach, model: Model, game: Option<&Game>, conversion: usize) -> Vec<Step> {
    let listed = reach.find_conversion(conversion);
    listed.map_or(vec![], |listed| explain_listed(journey, reach, model, game, listed))
}

/// [`explain`] of the conversion that `reach` lists at `listed`.
pub fn explain_listed(journey: &Journey, reach: &Reach, model: Model, game: Option<&Game>, listed: usize) -> Vec<Step> {
    let converted = *reach.conversion(journey, listed);
    let touches: Vec<usize> = reach.range(listed).map(|k| reach.touch(k)).collect();
    let shares_of = |touches: &[usize]| shares(journey, model, touches, converted.position, converted.time);
    let mut shares = shares_of(&touches);
    let parts = own_parts(journey, reach, listed).filter(|_| !model.needs_all_visitors());
    let parts = parts.map(|(_, parts)| parts).unwrap_or_default();
    let mut of_nobody = 0.0;
    if let (Some(none), Some((_, before))) = (parts.iter().find(|part| part.item == NONE), touches.split_last()) {
        // to a part without an item, the row is no touch
        let (with_item, without) = (ItemShare::with_items(parts).1 / none.total, none.of(1.0));
        let others = shares_of(before);
        shares.iter_mut().zip(&others).for_each(|(share, other)| *share = *share * with_item + other * without);
        of_nobody = if others.iter().all(|other| *other == 0.0) { without } else { 0.0 };
    }
    let mut steps: Vec<Step> = vec![];
    for (&touch, share) in touches.iter().zip(shares) {
        let (position, time) = (journey.position(touch), journey.time(touch));
        steps.extend(journey.items(touch).iter().map(|&item| Step { position, time, item, share }));
    }
    match model {
        Model::Participation { deduplicate: true } => on_first_touches(&mut steps, |_| 1.0),
        Model::Algorithmic => {
            let mut set: Vec<u32> = steps.iter().map(|step| step.item).collect();
            set.sort_unstable();
            set.dedup();
            let shares = game.map_or_else(|| vec![1.0 / set.len() as f64; set.len()], |game| game.shares(&set));
            on_first_touches(&mut steps, |item| set.binary_search(&item).map_or(0.0, |at| shares[at]));
        }
        _ => {}
    }
    if !parts.is_empty() {
        divide(&mut steps, parts, &converted);
    }
    if of_nobody != 0.0 {
        steps.push(Step { position: converted.row, time: converted.time, item: NONE, share: of_nobody });
    }
    if steps.iter().all(|step| step.share == 0.0) {
        steps.push(Step { position: converted.row, time: converted.time, item: NONE, share: 1.0 });
    }
    steps
}

/// The share of each touch in reach.
fn shares(journey: &Journey, model: Model, touches: &[usize], position: u32, time: i64) -> Vec<f64> {
    let n = touches.len();
    let only = |chosen: Option<usize>| (0..n).map(|k| f64::from(u8::from(Some(k) == chosen))).collect();
    match model {
        Model::FirstTouch => only(Some(0)),
        Model::LastTouch => only(n.checked_sub(1)),
        Model::SameTouch => only(touches.iter().position(|t| journey.position(*t) == position)),
        Model::Linear => vec![1.0 / n as f64; n],
        Model::Participation { .. } | Model::Algorithmic | Model::Markov { .. } => vec![1.0; n],
        Model::UShaped | Model::JShaped | Model::InverseJ | Model::Custom(_) => {
            let (first, middle, last) = model.weights().map_or((0.0, 0.0, 0.0), |weights| weights.of_path(n));
            let share = |k: usize| match k {
                0 => first,
                _ if k == n - 1 => last,
                _ => middle / (n - 2) as f64,
            };
            (0..n).map(share).collect()
        }
        Model::TimeDecay { half_life_us, whole_days } => {
            let span = if whole_days { DAY_US } else { 1 };
            let age = |t: &usize| time.saturating_sub(journey.time(*t)).div_euclid(span);
            let youngest = touches.iter().map(age).min().unwrap_or_default();
            let halvings = |t: &usize| (age(t) - youngest) as f64 * span as f64 / half_life_us as f64;
            let weights: Vec<f64> = touches.iter().map(|t| (-halvings(t)).exp2()).collect();
            let total: f64 = weights.iter().sum();
            weights.iter().map(|w| w / total).collect()
        }
    }
}

/// Leaves every item of the conversion's own row its own part of what is the row's share.
fn divide(steps: &mut [Step], parts: &[ItemShare], converted: &Conversion) {
    let of = |item: u32| parts.iter().find(|part| part.item == item).map_or(0.0, |part| part.of(1.0));
    steps.iter_mut().filter(|s| s.position == converted.position).for_each(|step| step.share *= of(step.item));
}

fn on_first_touches(steps: &mut [Step], share: impl Fn(u32) -> f64) {
    let mut seen = std::collections::HashSet::new();
    for step in steps {
        step.share = if seen.insert(step.item) { share(step.item) } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::super::journey::NO_VISIT;
    use super::super::model::Container;
    use super::super::paths::PathCounts;
    use super::*;

    #[test]
    fn steps_of_a_conversion() {
        let mut journey = Journey::new();
        journey.touch(0, 0, 0, 5);
        journey.touch_all(1, 10, 0, [6, 7]);
        journey.touch(2, 20, 0, 5);
        let conversion = Conversion { row: 3, position: 3, time: 20, visit: NO_VISIT, value: 8.0 };
        journey.convert(conversion);
        journey.convert(Conversion { row: 4, position: 2, ..conversion });
        let mut reach = Reach::new(Container::Visitor, None);
        reach.find(&journey);
        let shares = |model: Model, c: usize| {
            explain(&journey, &reach, model, None, c).iter().map(|s| (s.position, s.item, s.share)).collect::<Vec<_>>()
        };
        assert_eq!(shares(Model::JShaped, 0), [(0, 5, 0.2), (1, 6, 0.2), (1, 7, 0.2), (2, 5, 0.6)]);
        assert_eq!(shares(Model::SameTouch, 0), [(0, 5, 0.0), (1, 6, 0.0), (1, 7, 0.0), (2, 5, 0.0), (3, NONE, 1.0)]);
        assert_eq!(shares(Model::SameTouch, 1)[3], (2, 5, 1.0));
        let once = Model::Participation { deduplicate: true };
        assert_eq!(shares(once, 0), [(0, 5, 1.0), (1, 6, 1.0), (1, 7, 1.0), (2, 5, 0.0)]);
        let third = 1.0 / 3.0;
        assert_eq!(shares(Model::Algorithmic, 0), [(0, 5, third), (1, 6, third), (1, 7, third), (2, 5, 0.0)]);

        let mut counts = PathCounts::new();
        counts.add(&journey, &reach);
        let game = Game::new(&counts);
        assert_eq!(explain(&journey, &reach, Model::Algorithmic, Some(&game), 0).len(), 4);

        // the touch on row 2 comes in parts
        journey.divide([(5, 3.0), (9, 1.0)]);
        reach.find(&journey);
        let shares = |model: Model| {
            explain(&journey, &reach, model, None, 1).iter().map(|s| (s.position, s.item, s.share)).collect::<Vec<_>>()
        };
        // to the fourth that is no item's, the row is no touch
        assert_eq!(shares(Model::JShaped)[3..], [(2, 5, 0.6 * 0.75)]);
        assert_eq!(shares(Model::JShaped)[1], (1, 6, 0.2 * 0.75 + 0.75 * 0.25));
        assert_eq!(shares(Model::LastTouch)[1..], [(1, 6, 0.25), (1, 7, 0.25), (2, 5, 0.75)]);
        assert_eq!(shares(Model::SameTouch)[3..], [(2, 5, 0.75), (4, NONE, 0.25)]);
        assert_eq!(shares(once)[..], [(0, 5, 1.0), (1, 6, 1.0), (1, 7, 1.0), (2, 5, 0.0)]);

        let mut visits = Reach::new(Container::Visit, None);
        visits.find(&journey);
        assert_eq!(explain(&journey, &visits, Model::Linear, None, 0), []);
    }
}
