//! Items of a row that converts in parts, none of which is theirs: a product line without the event took part in nothing,
//! and is listed only where something else says that its item did.
//!
//! Models give such an item the whole conversion first, and take it back when they divide it. What comes and goes is held
//! back here, and handed on if the row was a touch of another conversion as well.

use super::credit::CreditSink;
use super::journey::Journey;
use super::model::Model;
use super::parts::own_parts;
use super::reach::Reach;
use super::sum::Sum;

/// A sink before another one.
pub(super) struct Bystanders<'s, S> {
    sink: &'s mut S,
    /// In rising order of touch and item.
    held: Vec<Bystander>,
}

/// An item of a touch that has no part of what converts on its row.
struct Bystander {
    touch: u32,
    position: u32,
    item: u32,
    credit: Option<Sum>,
}

impl<'s, S: CreditSink> Bystanders<'s, S> {
    /// Before `sink`; None where every item of a row that converts in parts has one of them.
    pub fn of(journey: &Journey, sink: &'s mut S) -> Result<Self, &'s mut S> {
        let without = journey.all_parts().iter().filter(|part| !part.converts);
        let held: Vec<Bystander> = without
            .map(|part| Bystander {
                touch: part.touch,
                position: journey.position(part.touch as usize),
                item: part.item,
                credit: None,
            })
            .collect();
        if held.is_empty() { Err(sink) } else { Ok(Self { sink, held }) }
    }

    /// Hands on what belongs to items that took part.
    pub fn settle(self, model: Model, journey: &Journey, reach: &Reach) {
        for Bystander { touch, position, item, credit } in self.held {
            let Some(credit) = credit.map(Sum::value) else { continue };
            if credit != 0.0 || took_part(model, journey, reach, touch) {
                self.sink.credit(item, position, credit);
            }
        }
    }
}

impl<S: CreditSink> CreditSink for Bystanders<'_, S> {
    fn credit(&mut self, item: u32, position: u32, amount: f64) {
        match self.held.binary_search_by_key(&(position, item), |held| (held.position, held.item)) {
            Ok(at) => *self.held[at].credit.get_or_insert_default() += amount,
            Err(_) => self.sink.credit(item, position, amount),
        }
    }
}

/// True if the touch has a share of a conversion that is not its own row's, divided.
fn took_part(model: Model, journey: &Journey, reach: &Reach, touch: u32) -> bool {
    let Some(k) = (0..reach.touches()).find(|k| reach.touch(*k) == touch as usize) else { return false };
    // ends and starts of ranges never fall
    let reaching = (0..reach.len()).skip_while(|c| reach.range(*c).end <= k).take_while(|c| reach.range(*c).start <= k);
    let own = |c: usize| own_parts(journey, reach, c).is_some_and(|(own, _)| own == touch as usize);
    let shares = |c: usize| {
        let range = reach.range(c);
        let (is_first, is_last) = (range.start == k, range.end - 1 == k);
        match model {
            Model::FirstTouch => is_first,
            Model::LastTouch => is_last,
            Model::SameTouch => is_last && journey.position(touch as usize) == reach.conversion(journey, c).position,
            Model::UShaped | Model::JShaped | Model::InverseJ | Model::Custom(_) => {
                let (first, middle, last) = model.weights().map_or((0.0, 0.0, 0.0), |w| w.of_path(range.len()));
                (is_first && first > 0.0) || (is_last && last > 0.0) || (!is_first && !is_last && middle > 0.0)
            }
            Model::Linear | Model::TimeDecay { .. } | Model::Participation { .. } => true,
            Model::Algorithmic | Model::Markov { .. } => true,
        }
    };
    reaching.filter(|c| !own(*c)).any(shares)
}
