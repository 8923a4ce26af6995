//! One visitor on the time line, with the way back from touches and conversions to its rows.

use std::collections::HashMap;

use crate::attribution::{self, BoundStep, Ends, Journey, Model, NONE, explain_listed, portions};
use crate::engine::journey::JourneySpec;
use crate::engine::journey::columns::Columns;
use crate::engine::journey::items::Codes;
use crate::engine::journey::metrics::Counts;
use crate::engine::journey::selected::Selected;
use crate::engine::journey::visitors::{RelevantRows, Visitors};
use crate::engine::journey::walk::Walk;

/// A touch.
pub(super) struct Touch<R> {
    /// Its row; a gap between rows has none.
    pub row: Option<R>,
    pub time: i64,
    /// The item, where it is not all that the row has.
    pub item: Option<u32>,
}

/// A conversion, and the ends of its path.
pub(super) struct WalkedConversion<R> {
    pub row: R,
    pub value: f64,
    pub touches: usize,
    pub first: Option<Touch<R>>,
    pub last: Option<Touch<R>>,
}

/// An item of a touch of one conversion, with its shares.
pub(super) struct Step<R> {
    /// Rising in time.
    place: u32,
    pub row: Option<R>,
    pub time: i64,
    /// The item, or [`NONE`].
    pub item: u32,
    /// Per model.
    pub shares: Vec<Option<f64>>,
}

/// A conversion by its numbers.
pub(super) struct Numbered<R> {
    number: usize,
    listed: usize,
    pub row: R,
    pub value: f64,
}

/// What one conversion gives to one item.
pub(super) struct Credited<R> {
    /// The item, or [`NONE`].
    pub item: u32,
    /// Touches of the item that count.
    pub touches: usize,
    /// The first and the last of them: row and time.
    pub first: Option<(Option<R>, i64)>,
    pub last: Option<(Option<R>, i64)>,
    /// Per model, parts of the conversion's value.
    pub shares: Vec<f64>,
}

/// An item of a touch with its share in one model.
struct Explained<R> {
    place: u32,
    row: Option<R>,
    time: i64,
    item: u32,
    share: f64,
}

/// One visitor's rows, which are called what the caller calls them: taken, then settled, then looked at, then forgotten.
pub(super) struct Walked<R> {
    walk: Walk,
    /// Where values are bound to products: row of each number. Else: row of each place that a touch can have.
    row_at: Vec<R>,
    /// Row of each conversion, in the journey's order.
    converted: Vec<R>,
    /// Rows that convert when all rows of the visitor are known, in their order.
    anchored: Vec<R>,
    is_bound: bool,
    multi_valued: bool,
}

impl<R: Copy + PartialEq> Walked<R> {
    /// Nobody's rows.
    pub fn new(journey: &JourneySpec, counts: Counts) -> Self {
        Self {
            walk: Walk::new(journey.clone(), counts),
            row_at: vec![],
            converted: vec![],
            anchored: vec![],
            is_bound: journey.bound.is_some(),
            multi_valued: journey.multi_valued,
        }
    }

    /// Which rows of a visitor who converts matter.
    pub fn rows_that_matter(&self) -> RelevantRows {
        self.walk.rows_that_matter()
    }

    /// Takes rows of the visitor.
    pub fn take(&mut self, columns: &Columns, codes: &mut (Codes, Codes), rows: impl Iterator<Item = (usize, R)>) {
        for (row, own) in rows {
            let before = self.walk.progress();
            self.walk.take(columns, codes, row..row + 1);
            let after = self.walk.progress();
            if self.is_bound || after.rows > before.rows {
                self.row_at.push(own);
            }
            self.converted.extend((after.conversions > before.conversions).then_some(own));
            let anchored = after.anchored > before.anchored && columns.value(row).is_finite();
            self.anchored.extend(anchored.then_some(own));
        }
    }

    /// Finds what counts, once all rows of the visitor are there.
    pub fn settle(&mut self) {
        let Self { walk, row_at, converted, anchored, .. } = self;
        converted.append(anchored);
        walk.settle();
        if let Some(stayed) = walk.selected.as_ref().and_then(Selected::kept_conversions) {
            let mut stayed = stayed.iter();
            converted.retain(|_| stayed.next().copied().unwrap_or_default());
        }
        let takes_visitor = walk.selected.as_ref().is_none_or(Selected::takes_visitor);
        if let Some(bindings) = walk.bindings() {
            bindings.settle();
            converted.clear();
            match takes_visitor {
                true => converted.extend(bindings.converted().filter_map(|(row, ..)| row_at.get(row as usize))),
                false => bindings.clear(),
            }
        }
    }

    /// Turns to the next visitor.
    pub fn forget(&mut self) {
        self.walk.forget();
        self.row_at.clear();
        self.converted.clear();
        self.anchored.clear();
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        let rows = self.row_at.capacity() + self.converted.capacity() + self.anchored.capacity();
        self.walk.memory_bytes() + rows * size_of::<R>()
    }

    /// The items by number.
    pub fn item_name(&self, item: u32) -> Option<&str> {
        self.walk.item_names().get(item as usize).map(|name| &**name)
    }

    /// Every conversion in the container.
    pub fn conversions(&mut self) -> Vec<WalkedConversion<R>> {
        let (row_at, multi_valued) = (&self.row_at, self.multi_valued);
        if let Some(bindings) = self.walk.bindings() {
            let row_of = |row: u32| row_at.get(row as usize).copied();
            let touch = |step: BoundStep| Touch { row: row_of(step.row), time: step.time, item: Some(step.item) };
            let found = bindings.converted().enumerate().filter_map(|(number, (row, _, value))| {
                let (touches, ends) = bindings.ends(number);
                let (first, last) = ends.map(|(first, last)| (touch(first), touch(last))).unzip();
                Some(WalkedConversion { row: row_of(row)?, value, touches, first, last })
            });
            return found.collect();
        }
        let (journey, reach, mut selected) = self.walk.journey();
        let ends: Vec<Ends> = reach.ends().collect();
        let mut found = vec![];
        for (listed, end) in ends.into_iter().enumerate() {
            let Some(&row) = self.converted.get(end.conversion) else { continue };
            let value = journey.conversions()[end.conversion].value;
            let place = |path: &Journey, touch: usize| {
                (path.position(touch), path.time(touch), path.items(touch).first().copied())
            };
            let touch = |(position, time, item): (u32, i64, Option<u32>)| Touch {
                row: row_of(row_at, position),
                time,
                item: item.filter(|_| !multi_valued),
            };
            let (touches, ends) = match &mut selected {
                Some((selected, names)) => {
                    // of several portions, what any of them is left with
                    let mut left = vec![];
                    for portion in portions(journey, reach, listed) {
                        let (path, _) = selected.path(journey, reach, (listed, portion), names, false);
                        left.extend((0..path.touches()).map(|touch| place(path, touch)));
                    }
                    left.sort_unstable();
                    left.dedup_by_key(|(position, ..)| *position);
                    (left.len(), left.first().copied().zip(left.last().copied()))
                }
                None => (end.touches, end.first_and_last.map(|(a, b)| (place(journey, a), place(journey, b)))),
            };
            let (first, last) = ends.map(|(first, last)| (touch(first), touch(last))).unzip();
            found.push(WalkedConversion { row, value, touches, first, last });
        }
        found
    }

    /// Every conversion in the container: its number, where its reach is listed, its row and value.
    pub fn numbered(&mut self) -> Vec<Numbered<R>> {
        let row_at = &self.row_at;
        if let Some(bindings) = self.walk.bindings() {
            let all = bindings.converted().enumerate().filter_map(|(number, (row, _, value))| {
                Some(Numbered { number, listed: 0, row: *row_at.get(row as usize)?, value })
            });
            return all.collect();
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
    pub fn credited(&mut self, conversion: &Numbered<R>, models: &[(String, Model)]) -> Vec<Credited<R>> {
        let mut found: Vec<Credited<R>> = vec![];
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
    fn explained(&mut self, number: usize, listed: usize, model: Model) -> Vec<Explained<R>> {
        let row_at = &self.row_at;
        if let Some(bindings) = self.walk.bindings() {
            let step = |step: BoundStep| Explained {
                place: step.line,
                row: row_at.get(step.row as usize).copied(),
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
                let value = journey.conversions()[number].value;
                let mut steps = vec![];
                for portion in portions(journey, reach, listed) {
                    let (path, reach) = selected.path(journey, reach, (listed, portion), names, whole);
                    let part = portion.map_or(1.0, |portion| portion.value / value);
                    let own = explain_listed(path, reach, model, None, 0).into_iter();
                    steps.extend(own.map(|step| attribution::Step { share: step.share * part, ..step }));
                }
                added_up(steps)
            }
            None => explain_listed(journey, reach, model, None, listed),
        };
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
    pub fn steps(&mut self, row: R, models: &[(String, Model)]) -> Option<(Vec<Step<R>>, i64)> {
        let number = self.converted.iter().position(|converted| *converted == row)?;
        let listed = match self.walk.bindings() {
            Some(_) => Some(0),
            None => self.walk.journey().1.find_conversion(number),
        };
        let mut steps: Vec<Step<R>> = vec![];
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

/// The steps of all portions of a conversion, each touch and item once. What of nothing goes to nobody is no step.
fn added_up(mut steps: Vec<attribution::Step>) -> Vec<attribution::Step> {
    steps.sort_by_key(|step| (step.position, step.item));
    steps.dedup_by(|step, before| {
        let same = (step.position, step.item) == (before.position, before.item);
        if same {
            before.share += step.share;
        }
        same
    });
    steps.retain(|step| step.item != NONE || step.share != 0.0);
    steps
}

/// The row of a touch at a position; gaps between rows have none.
fn row_of<R: Copy>(row_at: &[R], position: u32) -> Option<R> {
    row_at.get((position as usize).saturating_sub(1) / 2).copied()
}
