//! One visitor on the time line, with the way back from touches and conversions to its rows.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use datafusion::error::Result;

use crate::attribution::{self, BoundStep, Ends, Model, NONE, explain_listed};
use crate::engine::journey::JourneySpec;
use crate::engine::journey::columns::Columns;
use crate::engine::journey::items::Codes;
use crate::engine::journey::metrics::Counts;
use crate::engine::journey::selected::Selected;
use crate::engine::journey::walk::Walk;

/// A touch.
pub(super) struct Touch {
    /// Its row; a gap between rows has none.
    pub row: Option<usize>,
    pub time: i64,
    /// The item, where it is not all that the row has.
    pub item: Option<u32>,
}

/// A conversion, and the ends of its path.
pub(super) struct Found {
    pub row: usize,
    pub value: f64,
    pub touches: usize,
    pub first: Option<Touch>,
    pub last: Option<Touch>,
}

/// An item of a touch of one conversion, with its shares.
pub(super) struct Step {
    /// Rising in time.
    place: u32,
    pub row: Option<usize>,
    pub time: i64,
    /// The item, or [`NONE`].
    pub item: u32,
    /// Per model.
    pub shares: Vec<Option<f64>>,
}

/// A conversion by its numbers.
pub(super) struct Numbered {
    number: usize,
    listed: usize,
    pub row: usize,
    pub value: f64,
}

/// What one conversion gives to one item.
pub(super) struct Credited {
    /// The item, or [`NONE`].
    pub item: u32,
    /// Touches of the item that count.
    pub touches: usize,
    /// The first and the last of them: row and time.
    pub first: Option<(Option<usize>, i64)>,
    pub last: Option<(Option<usize>, i64)>,
    /// Per model, parts of the conversion's value.
    pub shares: Vec<f64>,
}

/// An item of a touch with its share in one model.
struct Explained {
    place: u32,
    row: Option<usize>,
    time: i64,
    item: u32,
    share: f64,
}

/// A visitor whose rows have been walked.
pub(super) struct Walked {
    walk: Walk,
    /// Row of each place that a touch can have.
    row_at: Vec<usize>,
    /// Row of each conversion, in the journey's order.
    converted: Vec<usize>,
}

impl Walked {
    /// Walks the rows of one visitor.
    pub fn new(journey: &JourneySpec, rows: &RecordBatch) -> Result<Self> {
        let mut walk = Walk::new(journey.clone(), Counts::default());
        let columns = Columns::evaluated(rows, journey)?;
        let mut codes = (Codes::default(), Codes::default());
        codes.0.turn_to(&columns.items);
        let (mut row_at, mut converted, mut anchored) = (vec![], vec![], vec![]);
        for row in 0..rows.num_rows() {
            let before = walk.conversions();
            walk.take(&columns, &mut codes, row..row + 1);
            if columns.anchor(row).is_some() {
                // converts when all rows of the visitor are known, in the order of the rows
                anchored.extend((columns.value(row) != 0.0 && columns.value(row).is_finite()).then_some(row));
            } else {
                row_at.push(row);
                converted.extend((walk.conversions() > before).then_some(row));
            }
        }
        converted.extend(anchored);
        walk.settle();
        if let Some(stayed) = walk.selected.as_ref().and_then(Selected::stayed) {
            let mut stayed = stayed.iter();
            converted.retain(|_| stayed.next().copied().unwrap_or_default());
        }
        let takes_visitor = walk.selected.as_ref().is_none_or(Selected::takes_visitor);
        if let Some(bindings) = walk.bindings() {
            bindings.settle();
            converted = bindings.converted().map(|(row, ..)| row as usize).collect();
            if !takes_visitor {
                bindings.clear();
                converted.clear();
            }
        }
        Ok(Self { walk, row_at, converted })
    }

    /// The items by number.
    pub fn item_name(&self, item: u32) -> Option<&str> {
        self.walk.item_names().get(item as usize).map(|name| &**name)
    }

    /// Every conversion in the container.
    pub fn conversions(&mut self) -> Vec<Found> {
        if let Some(bindings) = self.walk.bindings() {
            let touch =
                |step: BoundStep| Touch { row: Some(step.row as usize), time: step.time, item: Some(step.item) };
            let found = bindings.converted().enumerate().map(|(number, (row, _, value))| {
                let (touches, ends) = bindings.ends(number);
                let (first, last) = ends.map(|(first, last)| (touch(first), touch(last))).unzip();
                Found { row: row as usize, value, touches, first, last }
            });
            return found.collect();
        }
        let (journey, reach, mut selected) = self.walk.journey();
        let ends: Vec<Ends> = reach.ends().collect();
        let row_at = &self.row_at;
        let mut found = vec![];
        for (listed, end) in ends.into_iter().enumerate() {
            let Some(&row) = self.converted.get(end.conversion) else { continue };
            let value = journey.conversions()[end.conversion].value;
            let ((path, _), ends) = match &mut selected {
                Some((selected, names)) => {
                    let (path, reach) = selected.path(journey, reach, listed, names, false);
                    ((path, reach), reach.ends().next().unwrap_or(end))
                }
                None => ((journey, reach), end),
            };
            let touch = |touch| Touch { row: row_of(row_at, path.position(touch)), time: path.time(touch), item: None };
            let (first, last) = ends.first_and_last.map(|(first, last)| (touch(first), touch(last))).unzip();
            found.push(Found { row, value, touches: ends.touches, first, last });
        }
        found
    }

    /// Every conversion in the container: its number, where its reach is listed, its row and value.
    pub fn numbered(&mut self) -> Vec<Numbered> {
        if let Some(bindings) = self.walk.bindings() {
            let all = bindings.converted().enumerate();
            return all
                .map(|(number, (row, _, value))| Numbered { number, listed: 0, row: row as usize, value })
                .collect();
        }
        let (journey, reach, _) = self.walk.journey();
        let all = (0..reach.conversions()).filter_map(|listed| {
            let number = reach.number(listed);
            let row = *self.converted.get(number)?;
            Some(Numbered { number, listed, row, value: journey.conversions()[number].value })
        });
        all.collect()
    }

    /// The items of a conversion to which some model gives a part of it.
    pub fn credited(&mut self, conversion: &Numbered, models: &[(String, Model)]) -> Vec<Credited> {
        let mut found: Vec<Credited> = vec![];
        let mut known: HashMap<u32, usize> = HashMap::new();
        // what is left of a path is the same for all models but one
        let counting = models.iter().position(|(_, model)| *model != Model::SameTouch);
        for (n, (_, model)) in models.iter().enumerate() {
            for step in self.explained(conversion.number, conversion.listed, *model) {
                let at = *known.entry(step.item).or_insert_with(|| {
                    let shares = vec![0.0; models.len()];
                    found.push(Credited { item: step.item, touches: 0, first: None, last: None, shares });
                    found.len() - 1
                });
                let item = &mut found[at];
                item.shares[n] += step.share;
                let counts = match counting {
                    Some(counting) => counting == n,
                    None => step.share != 0.0,
                };
                if counts && step.item != NONE {
                    item.touches += 1;
                    let ends = (step.row, step.time);
                    item.last = Some(item.last.filter(|last| last.1 > ends.1).unwrap_or(ends));
                    item.first = Some(item.first.filter(|first| first.1 <= ends.1).unwrap_or(ends));
                }
            }
        }
        found.retain(|item| item.shares.iter().any(|share| *share != 0.0));
        found
    }

    /// The items of the touches in reach of a conversion, with their shares in a model.
    fn explained(&mut self, number: usize, listed: usize, model: Model) -> Vec<Explained> {
        if let Some(bindings) = self.walk.bindings() {
            let step = |step: BoundStep| Explained {
                place: step.line,
                row: Some(step.row as usize),
                time: step.time,
                item: step.item,
                share: step.share,
            };
            return bindings.explain(number, model).into_iter().map(step).collect();
        }
        let (journey, reach, selected) = self.walk.journey();
        let steps = match selected {
            Some((selected, names)) => {
                let whole = model == Model::SameTouch;
                let (path, reach) = selected.path(journey, reach, listed, names, whole);
                explain_listed(path, reach, model, None, 0)
            }
            None => explain_listed(journey, reach, model, None, listed),
        };
        let row_at = &self.row_at;
        let step = |step: attribution::Step| Explained {
            place: step.position,
            row: row_of(row_at, step.position),
            time: step.time,
            item: step.item,
            share: step.share,
        };
        steps.into_iter().map(step).collect()
    }

    /// The touches of the conversion on a row, in order, and the conversion's time; None where the row does not convert.
    pub fn steps(&mut self, row: usize, models: &[(String, Model)]) -> Option<(Vec<Step>, i64)> {
        let number = self.converted.iter().position(|converted| *converted == row)?;
        let listed = match self.walk.bindings() {
            Some(_) => Some(0),
            None => self.walk.journey().1.find_conversion(number),
        };
        let mut steps: Vec<Step> = vec![];
        for (model, (_, rules)) in models.iter().enumerate() {
            let explained = listed.map_or(vec![], |listed| self.explained(number, listed, *rules));
            for Explained { place, row: of, time, item, share } in explained {
                let at = steps.iter().position(|step| (step.place, step.item) == (place, item)).unwrap_or_else(|| {
                    // the item NULL belongs to no row but the conversion's own
                    let row = if item == NONE { Some(row) } else { of };
                    steps.push(Step { place, row, time, item, shares: vec![None; models.len()] });
                    steps.len() - 1
                });
                steps[at].shares[model] = Some(share);
            }
        }
        let time = match self.walk.bindings() {
            Some(bindings) => bindings.converted().nth(number)?.1,
            None => self.walk.journey().0.conversions()[number].time,
        };
        steps.sort_by_key(|step| (step.place, step.item));
        Some((steps, time))
    }
}

/// The row of a touch at a position; gaps between rows have none.
fn row_of(row_at: &[usize], position: u32) -> Option<usize> {
    row_at.get((position as usize).saturating_sub(1) / 2).copied()
}
