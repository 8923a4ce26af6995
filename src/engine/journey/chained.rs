//! The model `markov` at work: the paths of one visitor after another, and the credit once all are known.

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};

use super::JourneySpec;
use super::selected::Selected;
use super::tallies::{Tallied, Tallies, Tally};
use crate::attribution::{
    Chain, ChainCount, CreditSink, ItemCredits, Journey, Model, NONE, Reach, Sum, TooLarge, Unconverted,
};

/// The chain of one model, and what its weights share out.
pub(super) struct Chained {
    /// Which of the question's models it is.
    pub number: usize,
    order: u8,
    chain: Chain,
    /// Per group of conversions, the value of those with a touch and of those without.
    touched: ItemCredits,
    untouched: ItemCredits,
    unconverted: Unconverted,
}

impl Chained {
    /// Of those models of a question that are chains.
    pub fn of(spec: &JourneySpec) -> Vec<Self> {
        let chain = |(number, (_, model)): (usize, &(String, Model))| {
            let Model::Markov { order } = model else { return None };
            Some(Self {
                number,
                order: *order,
                chain: Chain::new(*order),
                touched: ItemCredits::new(),
                untouched: ItemCredits::new(),
                unconverted: Unconverted::new(spec.container, spec.lookback_us),
            })
        };
        spec.models.iter().enumerate().filter_map(chain).collect()
    }

    /// Adds the paths of a settled visitor, of which a selection may leave a part.
    pub fn add(&mut self, journey: &Journey, reach: &Reach, selected: &mut Option<Selected>, names: &[Arc<str>]) {
        for listed in 0..reach.conversions() {
            let number = reach.number(listed);
            let group = selected.as_ref().map_or(0, |selected| selected.group_of(number));
            let value = journey.conversions()[number].value;
            let sums = if reach.sees_touches(listed) { &mut self.touched } else { &mut self.untouched };
            sums.credit(group, 0, value);
        }
        let Self { chain, unconverted, .. } = self;
        add_paths(chain, (journey, reach), true, selected, names);
        if unconverted.find(journey, reach) {
            add_paths(chain, (&unconverted.journey, &unconverted.reach), false, selected, names);
        }
    }

    /// What was counted, as rows; nothing of it is left.
    pub fn take(&mut self) -> Tallies {
        let model = self.number as u32;
        let chain = std::mem::replace(&mut self.chain, Chain::new(self.order));
        let counts = chain.into_counts().map(move |(items, count)| {
            let (kind, counts) = match count {
                ChainCount::Steps(times) => (Tallied::Step, [times, 0]),
                ChainCount::Ends(ends) => (Tallied::End, ends),
            };
            Tally { kind, model, group: 0, items, counts, sums: [Sum::default(); 2] }
        });
        let touched = values(model, Tallied::Touched, std::mem::take(&mut self.touched));
        let untouched = values(model, Tallied::Untouched, std::mem::take(&mut self.untouched));
        Box::new(counts.chain(touched).chain(untouched))
    }

    /// Adds a row of what was counted of other visitors, with items and groups as they are numbered here.
    pub fn add_tally(&mut self, tally: &Tally) {
        let Tally { kind, group, items, counts, sums, .. } = tally;
        match kind {
            Tallied::Step => self.chain.add_count(items, ChainCount::Steps(counts[0])),
            Tallied::End => self.chain.add_count(items, ChainCount::Ends(*counts)),
            Tallied::Touched => self.touched.add(*group, sums[0]),
            Tallied::Untouched => self.untouched.add(*group, sums[0]),
            Tallied::Credit | Tallied::Direct | Tallied::Set => {}
        }
    }

    /// Hands out the credit: to a group of conversions, to an item, so much. Items by number; `rank` orders them.
    pub fn credit(&self, mut give: impl FnMut(u32, u32, f64), rank: &[u32], ranked: &[u32]) -> Result<()> {
        let mut in_order = Chain::new(self.order);
        in_order.merge(&self.chain, |item| rank[item as usize]);
        let weights = in_order.weights().map_err(|TooLarge { states }| self.too_large(states))?;
        let weighted = weights.iter().any(|(_, weight)| *weight > 0.0);
        for (group, value) in self.touched.iter() {
            for (place, weight) in weights.iter().filter(|(_, weight)| *weight > 0.0) {
                give(group, ranked[*place as usize], value * weight);
            }
            if !weighted {
                give(group, NONE, value);
            }
        }
        self.untouched.iter().for_each(|(group, value)| give(group, NONE, value));
        Ok(())
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        let sums = self.touched.memory_bytes() + self.untouched.memory_bytes();
        self.chain.memory_bytes() + sums + self.unconverted.memory_bytes()
    }

    fn too_large(&self, states: usize) -> DataFusionError {
        let (order, model) = (self.order, Model::Markov { order: self.order });
        DataFusionError::Plan(format!(
            "{model}: the chain of all paths has {states} states (the last {order} items of a path), linked too closely to be \
             solved exactly; ask for a lower order, a dimension with fewer items or classes of them, or a shorter lookback"
        ))
    }
}

/// Values by group of conversions, as rows.
fn values(model: u32, kind: Tallied, by_group: ItemCredits) -> impl Iterator<Item = Tally> + Send + Sync {
    by_group.into_sums().map(move |(group, value)| Tally::value(kind, model, group, Box::default(), value))
}

/// The paths of a visitor, or what a selection leaves of each.
fn add_paths(
    chain: &mut Chain,
    (journey, reach): (&Journey, &Reach),
    success: bool,
    selected: &mut Option<Selected>,
    names: &[Arc<str>],
) {
    match selected.as_mut().filter(|selected| selected.filters_paths()) {
        Some(selected) => {
            for listed in 0..reach.conversions() {
                let (path, path_reach) = selected.path(journey, reach, (listed, None), names, false);
                chain.add(path, path_reach, success);
            }
        }
        None => chain.add(journey, reach, success),
    }
}
