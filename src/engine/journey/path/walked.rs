//! One visitor on the time line, with the way back from touches and conversions to its rows.

use arrow::array::RecordBatch;
use datafusion::error::Result;

use crate::attribution::{BoundStep, Ends, Model, NONE, explain};
use crate::engine::journey::JourneySpec;
use crate::engine::journey::columns::Columns;
use crate::engine::journey::items::Codes;
use crate::engine::journey::metrics::Counts;
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
        let mut walk = Walk::new(journey.clone(), None, Counts::default());
        let columns = Columns::evaluated(rows, journey)?;
        let mut codes = (Codes::default(), Codes::default());
        codes.0.turn_to(&columns.items);
        let (mut row_at, mut converted, mut anchored) = (vec![], vec![], vec![]);
        for row in 0..rows.num_rows() {
            let before = walk.conversions();
            walk.rows(&columns, &mut codes, row..row + 1);
            if columns.anchor(row).is_some() {
                // converts when all rows of the visitor are known, in the order of the rows
                anchored.extend((columns.value(row) != 0.0 && columns.value(row).is_finite()).then_some(row));
            } else {
                row_at.push(row);
                converted.extend((walk.conversions() > before).then_some(row));
            }
        }
        walk.settle();
        converted.extend(anchored);
        if let Some(bindings) = walk.bindings() {
            bindings.settle();
            converted = bindings.converted().map(|(row, ..)| row as usize).collect();
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
        let (journey, reach) = self.walk.journey();
        let touch = |touch| Touch { row: self.row(journey.position(touch)), time: journey.time(touch), item: None };
        let found = reach.ends().filter_map(|end: Ends| {
            let (first, last) = end.first_and_last.map(|(first, last)| (touch(first), touch(last))).unzip();
            let (row, touches) = (*self.converted.get(end.conversion)?, end.touches);
            Some(Found { row, value: journey.conversions()[end.conversion].value, touches, first, last })
        });
        found.collect()
    }

    /// The touches of the conversion on a row, in order, and the conversion's time; None where the row does not convert.
    pub fn steps(&mut self, row: usize, models: &[(String, Model)]) -> Option<(Vec<Step>, i64)> {
        let number = self.converted.iter().position(|converted| *converted == row)?;
        let mut steps: Vec<Step> = vec![];
        let mut add = |model: usize, place: u32, of: Option<usize>, time: i64, item: u32, share: f64| {
            let at = steps.iter().position(|step| (step.place, step.item) == (place, item)).unwrap_or_else(|| {
                // the item NULL belongs to no row but the conversion's own
                let row = if item == NONE { Some(row) } else { of };
                steps.push(Step { place, row, time, item, shares: vec![None; models.len()] });
                steps.len() - 1
            });
            steps[at].shares[model] = Some(share);
        };
        let time = match self.walk.bindings() {
            Some(bindings) => {
                for (model, (_, rules)) in models.iter().enumerate() {
                    for step in bindings.explain(number, *rules) {
                        add(model, step.line, Some(step.row as usize), step.time, step.item, step.share);
                    }
                }
                bindings.converted().nth(number)?.1
            }
            None => {
                let (journey, reach) = self.walk.journey();
                for (model, (_, rules)) in models.iter().enumerate() {
                    for step in explain(journey, reach, *rules, None, number) {
                        add(model, step.position, self.row(step.position), step.time, step.item, step.share);
                    }
                }
                journey.conversions()[number].time
            }
        };
        steps.sort_by_key(|step| (step.place, step.item));
        Some((steps, time))
    }

    /// The row of a touch at a position; gaps between rows have none.
    fn row(&self, position: u32) -> Option<usize> {
        self.row_at.get((position as usize).saturating_sub(1) / 2).copied()
    }
}
