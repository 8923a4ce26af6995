//! The walk: what happened to one visitor after another in, credit per item out, or the paths of conversions.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use datafusion::error::Result;

use super::bound::BoundState;
use super::by_person::{PersonBatch, PersonRow, RowDetails, RowsByPerson, SetAsideRows, WaitingPersons, each_person};
use super::chained::Chained;
use super::columns::{Columns, Visits};
use super::counted::CountedRows;
use super::credit_rows::credit_rows;
use super::input::InputColumns;
use super::items::{Codes, Items};
use super::metrics::Counts;
use super::path_sums::PathSums;
use super::selected::Selected;
use super::tallies::{Tallied, Tallies, Tally, TallyBatches};
use super::terms::DictionaryAnswers;
use super::ties::Sequences;
use super::visitors::{RelevantRows, Visitors};
use super::{JourneyOutput, JourneySpec};
use crate::attribution::{
    Attributor, Bindings, Container, Conversion, ItemCredits, Journey, Model, NO_VISIT, NONE, PathCounts, Place,
    ProductLine, Reach, find_place,
};

/// Bytes of what models count that are kept from bucket to bucket.
const KEPT_BYTES: usize = 32 << 20;

/// What leaves less than the reach of conversions, with the items' names.
pub(super) type SelectionWithNames<'w> = Option<(&'w mut Selected, &'w [Arc<str>])>;

/// How much there is of a visitor.
pub(super) struct Progress {
    /// Rows on its time line.
    pub rows: u32,
    /// Conversions there.
    pub conversions: usize,
    /// Conversions that are put there once all rows are known.
    pub anchored: usize,
}

/// The state of a walk: one visitor, and the credit of those before it.
pub(super) struct Walk {
    spec: JourneySpec,
    pub(super) models: Vec<(Option<Attributor>, ItemCredits)>,
    pub(super) paths: PathCounts,
    /// The models that are chains of all paths.
    chains: Vec<Chained>,
    /// Where items are values that are bound to products, in place of the journey.
    pub(super) bound: Option<BoundState>,
    reach: Reach,
    journey: Journey,
    /// Where not all of the journeys counts alike.
    pub(super) selected: Option<Selected>,
    /// Anchored conversions of this visitor by place, value and group, put on the time line once all of its
    /// rows are known; and the places of its rows, with their visits.
    anchored: Vec<(Place, f64, u32)>,
    places: Vec<(Place, u32)>,
    counted: CountedRows,
    /// Where rows of some visitors are brought together by person.
    by_person: Option<RowsByPerson>,
    pub(super) rows: u32,
    pub(super) items: Items,
    /// Where paths are asked for.
    path_sums: Option<PathSums>,
    /// True if visitors without a conversion matter, too.
    pub(super) all_visitors: bool,
    /// Which rows of the others matter, of visitors as of persons.
    rows_that_matter: RelevantRows,
    /// True if the sets of items on all paths matter.
    shares_sets: bool,
    /// The credit has been handed out.
    told: bool,
    /// What models counted, while it leaves.
    leaving: Option<TallyBatches>,
    pub(super) counts: Counts,
}

impl Walk {
    /// A walk that has seen nobody.
    pub fn new(spec: JourneySpec, counts: Counts) -> Self {
        let models = spec.models.iter().map(|(_, model)| (Attributor::new(*model), ItemCredits::new())).collect();
        Self {
            all_visitors: spec.all_visitors_matter(),
            rows_that_matter: rows_that_matter(&spec),
            shares_sets: spec.models.iter().any(|(_, model)| *model == Model::Algorithmic),
            reach: Reach::new(spec.container, spec.lookback_us),
            chains: Chained::of(&spec),
            bound: BoundState::new(&spec),
            selected: Selected::new(&spec.selection, spec.container, spec.lookback_us),
            path_sums: match spec.gives {
                JourneyOutput::Credit | JourneyOutput::Tallies => None,
                JourneyOutput::Paths { unconverted, .. } => Some(PathSums::new(&spec, unconverted)),
            },
            spec,
            models,
            paths: PathCounts::new(),
            journey: Journey::new(),
            anchored: vec![],
            places: vec![],
            counted: CountedRows::default(),
            by_person: None,
            rows: 0,
            items: Items::default(),
            told: false,
            leaving: None,
            counts,
        }
    }

    /// Brings rows of some visitors together by person.
    pub fn by_person(self, by_person: Option<RowsByPerson>) -> Self {
        Self { by_person, ..self }
    }

    /// True where rows that were set aside for that went to disk.
    pub fn is_on_disk(&self) -> bool {
        self.by_person.as_ref().is_some_and(RowsByPerson::is_on_disk)
    }

    /// What was set aside for that, once all visitors were there.
    pub fn take_aside(&mut self) -> Option<SetAsideRows> {
        let rows = self.by_person.take()?;
        let groups = self.selected.as_ref().map_or(vec![], |selected| selected.groups.keys().to_vec());
        Some(SetAsideRows { rows, items: self.items.names().to_vec(), groups })
    }

    /// Sets rows of the current visitor aside.
    fn set_aside(&mut self, columns: &Columns, codes: &mut (Codes, Codes), range: Range<usize>) {
        let Self { by_person: Some(by_person), counted, items, selected, .. } = self else { return };
        let id = columns.ids.as_ref().filter(|ids| ids.is_valid(range.start)).map(|ids| ids.value(range.start));
        if let Some(times) = columns.times_of_touches(range.clone())
            && by_person.push_touches(columns, times, id, range.clone(), (&mut codes.0, &mut *items))
        {
            return;
        }
        let told = |row: usize| {
            let visit = counted.visit_of(columns, row)?;
            let value = columns.value(row);
            let group = match selected.as_mut() {
                Some(selected) if value != 0.0 => selected.group(columns, row),
                _ => 0,
            };
            let (text, codes) = columns.item_of(row, codes);
            let item = codes.items_of(text, row, items, false).first().copied().unwrap_or(NONE);
            Some(RowDetails { visit, item, value, group })
        };
        by_person.push(columns, id, range, told);
    }

    /// Walks over the persons of a part, of so many, of those whose rows were set aside; or, of those who wait, whose sequences
    /// are there now. Gives back who must wait.
    pub fn bring_together(
        &mut self,
        asides: &[SetAsideRows],
        part: (usize, usize),
        waiting: Option<(&WaitingPersons, &Sequences)>,
    ) -> Result<WaitingPersons> {
        let numbers =
            |aside: &SetAsideRows| -> Vec<u32> { aside.items.iter().map(|name| self.items.number(name)).collect() };
        let items: Vec<Vec<u32>> = asides.iter().map(numbers).collect();
        let groups = |aside: &SetAsideRows| match &mut self.selected {
            Some(selected) => aside.groups.iter().map(|key| selected.groups.number_of(key)).collect(),
            None => vec![],
        };
        let groups: Vec<Vec<u32>> = asides.iter().map(groups).collect();
        let turn = PersonBatch { part, all_matter: self.all_visitors, matter: self.rows_that_matter, waiting };
        each_person(asides, &turn, |rows| {
            for row in rows {
                let PersonRow { time, value, aside, visit, .. } = *row;
                if let Some(selected) = &mut self.selected {
                    selected.note(row.marks_visitor, row.in_marked_visit.then_some(visit));
                }
                let position = row_position(self.rows as usize);
                self.rows += 1;
                let item = items[aside].get(row.item as usize).copied().unwrap_or(NONE);
                self.journey.touch(position, time, visit, item);
                if value != 0.0 {
                    let group = groups[aside].get(row.group as usize).copied().unwrap_or_default();
                    self.convert(Conversion { row: position, position, time, visit, value }, group);
                }
            }
            self.close();
        })
    }

    /// Takes rows of the current visitor.
    pub fn take(&mut self, columns: &Columns, codes: &mut (Codes, Codes), range: Range<usize>) {
        if self.bound.is_some() {
            return self.bound_rows(columns, range);
        }
        for row in range {
            let Some(visit) = self.counted.visit_of(columns, row) else { continue };
            let time = columns.time(row);
            let (value, mut group) = (columns.value(row), 0);
            let mut lines = None;
            if let Some(selected) = &mut self.selected {
                selected.mark(columns, row, visit);
                if value != 0.0 {
                    group = selected.group(columns, row);
                    lines = selected.line_groups(columns, row);
                }
            }
            if let Some(place) = columns.anchor(row) {
                match lines {
                    _ if value == 0.0 => {}
                    Some(lines) => {
                        self.anchored.extend(lines.iter().map(|(share, group)| (place, value * share, *group)))
                    }
                    None => self.anchored.push((place, value, group)),
                }
                continue;
            }
            if self.spec.anchored {
                self.places.push((columns.place(row), visit));
            }
            let position = row_position(self.rows as usize);
            self.rows += 1;
            let (text, codes) = columns.item_of(row, codes);
            let touched = codes.items_of(text, row, &mut self.items, self.spec.multi_valued);
            let touched = match touched {
                [] => false,
                [item] => {
                    self.journey.touch(position, time, visit, *item);
                    true
                }
                items => self.journey.touch_all(position, time, visit, items.iter().copied()),
            };
            if let Some(lines) = columns.lines(row) {
                self.divide(&lines, (!touched).then_some(position));
            }
            let conversion = Conversion { row: position, position, time, visit, value };
            match lines {
                _ if value == 0.0 => {}
                Some(lines) => lines.into_iter().for_each(|(share, group)| {
                    self.convert(Conversion { value: value * share, ..conversion }, group);
                }),
                None => self.convert(conversion, group),
            }
        }
    }

    /// Puts a conversion of a group on the time line.
    #[inline]
    fn convert(&mut self, conversion: Conversion, group: u32) {
        if self.journey.convert(conversion) {
            self.counts.conversions.add(1);
            if let Some(selected) = &mut self.selected {
                selected.converted(group);
            }
        }
    }

    /// Lets what converts on the row of the newest touch convert line by line; or on the row at `untouched`, which is none.
    fn divide(&mut self, lines: &ArrayRef, untouched: Option<u32>) {
        let (items, amounts) = (lines.as_struct().column(0), lines.as_struct().column(1));
        let pairs = items.as_string::<i32>().iter().zip(amounts.as_primitive::<Float64Type>());
        let pairs = pairs.map(|(item, amount)| (item, amount.unwrap_or(0.0)));
        match untouched {
            None => {
                let number = |item: Option<&str>| item.and_then(|item| self.items.known(item)).unwrap_or(NONE);
                self.journey.divide(pairs.map(|(item, amount)| (number(item), amount)));
            }
            // its lines see the same, and how many they are matters to sets alone
            Some(position) if self.shares_sets => self.journey.divide_untouched(position, pairs),
            Some(_) => {}
        }
    }

    /// How much there is of the visitor so far.
    pub fn progress(&self) -> Progress {
        let (conversions, anchored) = (self.journey.conversions().len(), self.anchored.len());
        Progress { rows: self.rows, conversions, anchored }
    }

    /// Forgets the visitor, but not what was found.
    pub fn forget(&mut self) {
        if let Some(bindings) = self.bindings() {
            bindings.clear();
        }
        self.journey.clear();
        self.places.clear();
        self.counted.clear();
        self.rows = 0;
        self.selected.iter_mut().for_each(Selected::clear);
    }

    /// Places the anchored conversions, once all rows of the visitor are there, and finds what each can reach.
    pub fn settle(&mut self) {
        for (place, value, group) in std::mem::take(&mut self.anchored) {
            // the hit itself when it is there, else the gap where it would stand
            let (position, visit) = match find_place(self.places.len(), |row| self.places[row].0, place) {
                Ok(row) => (row_position(row), self.places[row].1),
                Err(after) => (row_position(after) - 1, NO_VISIT),
            };
            self.convert(Conversion { row: position, position, time: place.0, visit, value }, group);
        }
        if let Some(selected) = &mut self.selected {
            selected.settle(&mut self.journey);
        }
        self.reach.find(&self.journey);
    }

    /// The settled visitor; where less than the reach of its conversions may count, what leaves it, and the items' names.
    pub fn journey(&mut self) -> (&Journey, &Reach, SelectionWithNames<'_>) {
        let selected = self.selected.as_mut().filter(|_| self.spec.selection.filters_paths());
        (&self.journey, &self.reach, selected.map(|selected| (selected, self.items.names())))
    }

    /// The product lines of the visitor, where values are bound to products.
    pub fn bindings(&mut self) -> Option<&mut Bindings> {
        self.bound.as_mut().map(|state| &mut state.bindings)
    }

    /// The items by number.
    pub fn item_names(&self) -> &[Arc<str>] {
        self.items.names()
    }

    /// Hands out the credit of the visitor whose rows are complete, and forgets them.
    fn close(&mut self) {
        if self.bound.is_some() {
            return self.close_bound();
        }
        if self.by_person.as_mut().is_some_and(RowsByPerson::close_visitor) {
            return self.counted.clear();
        }
        self.settle();
        match (&mut self.path_sums, &mut self.selected) {
            (Some(paths), selected) => paths.add(&self.journey, &self.reach, selected, self.items.names()),
            (None, Some(selected)) if selected.divides() => {
                selected.credit(&self.journey, &self.reach, self.items.names(), &mut self.models);
            }
            _ => {
                for (attributor, credits) in &mut self.models {
                    if let Some(attributor) = attributor {
                        attributor.credit(&self.journey, &self.reach, credits);
                    }
                }
            }
        }
        if self.shares_sets {
            self.paths.add(&self.journey, &self.reach);
        }
        for chain in &mut self.chains {
            chain.add(&self.journey, &self.reach, &mut self.selected, self.items.names());
        }
        self.forget();
    }

    /// Adds the credit and the paths of other visitors. What models count is added up elsewhere.
    pub fn merge(&mut self, other: &Self) {
        let numbers: Vec<u32> = other.items.names().iter().map(|name| self.items.number(name)).collect();
        let item = |item: u32| numbers[item as usize];
        let (mut groups, mut pairs) = (vec![], vec![]);
        if let (Some(ours), Some(theirs)) = (&mut self.selected, &other.selected) {
            (groups, pairs) = ours.groups.merge(&theirs.groups, item);
        }
        let broken_down = !self.spec.selection.by.is_empty();
        for ((_, ours), (_, theirs)) in self.models.iter_mut().zip(&other.models) {
            ours.merge(theirs, |number| if broken_down { pairs[number as usize] } else { item(number) });
        }
        if let (Some(ours), Some(theirs)) = (&mut self.path_sums, &other.path_sums) {
            ours.merge(theirs, item, |group| if broken_down { groups[group as usize] } else { group });
        }
    }

    /// True where it gives what models count, which is added up elsewhere.
    pub fn gives_tallies(&self) -> bool {
        self.spec.gives == JourneyOutput::Tallies
    }

    /// Bytes of the paths that were found, about: what another walk needs at most to take them over.
    pub fn paths_bytes(&self) -> usize {
        self.path_sums.as_ref().map_or(0, PathSums::paths_bytes)
    }

    /// The credit of all visitors, an item a row.
    fn finish(&self) -> Result<RecordBatch> {
        let groups = self.selected.as_ref().map(|selected| &selected.groups);
        credit_rows(&self.spec, self.items.names(), groups, self.models.iter().map(|(_, credits)| credits))
    }

    /// A batch of what models counted, `at_end` or where it is much.
    fn tallies(&mut self, at_end: bool) -> Result<Option<RecordBatch>> {
        if self.leaving.is_none() && (at_end || self.tallies_are_much()) {
            self.leaving = Some(TallyBatches::new(self.take_tallies()));
        }
        let Some(leaving) = &mut self.leaving else { return Ok(None) };
        let groups = self.selected.as_ref().map(|selected| &selected.groups);
        let batch = leaving.batch(self.spec.output(), &self.spec.selection.by, groups, self.items.names())?;
        if batch.is_none() {
            self.leaving = None;
        }
        Ok(batch)
    }

    /// What models counted, as rows; nothing of it is left.
    fn take_tallies(&mut self) -> Tallies {
        let selected = self.selected.as_ref().filter(|_| !self.spec.selection.by.is_empty());
        let pairs: Option<Arc<[(u32, u32)]>> = selected.map(|selected| Arc::from(selected.groups.pairs()));
        let mut all: Vec<Tallies> = vec![];
        for (model, (_, credits)) in (0u32..).zip(&mut self.models) {
            let pairs = pairs.clone();
            all.push(Box::new(std::mem::take(credits).into_sums().map(move |(number, value)| {
                let (group, item) = pairs.as_ref().map_or((0, number), |pairs| pairs[number as usize]);
                Tally::value(Tallied::Credit, model, group, Box::new([item]), value)
            })));
        }
        let direct = std::mem::take(self.paths.direct()).into_sums();
        all.push(Box::new(direct.map(|(item, value)| Tally::value(Tallied::Direct, 0, 0, Box::new([item]), value))));
        all.push(Box::new(self.paths.take_sets().into_iter().map(|(items, count)| {
            let (counts, sums) = ([count.paths, 0], [count.value, count.magnitude]);
            Tally { kind: Tallied::Set, model: 0, group: 0, items, counts, sums }
        })));
        all.extend(self.chains.iter_mut().map(Chained::take));
        Box::new(all.into_iter().flatten())
    }

    /// True where these are more than is kept from bucket to bucket.
    fn tallies_are_much(&self) -> bool {
        let chains: usize = self.chains.iter().map(Chained::memory_bytes).sum();
        self.paths.memory_bytes() + chains > KEPT_BYTES
    }
}

impl Visitors for Walk {
    fn columns(&self, kind: &InputColumns, batch: &RecordBatch, known: &mut DictionaryAnswers) -> Result<Columns> {
        let InputColumns::Stored(rows, terms) = kind else { return Columns::evaluated(batch, &self.spec) };
        let mut columns = Columns::stored(batch, &self.spec, rows, terms, known)?;
        if let (Some(person), Some(by_person)) = (&terms.person, &self.by_person) {
            // of the others none is set aside
            let says_something = |row: &u32| columns.says_something(*row as usize);
            let rows: Vec<u32> = by_person.rows_among(&columns.keys).filter(says_something).collect();
            if !rows.is_empty() {
                columns.look_at_persons(batch, person, rows)?;
            }
        }
        Ok(columns)
    }

    fn add_set_aside(&self, columns: &Columns, rows: &mut Vec<u32>) {
        let Some(by_person) = &self.by_person else { return };
        // records that say nothing are never set aside
        let says_nothing = columns.offline && rows.is_empty() && !columns.have_items();
        if !says_nothing || self.rows_that_matter == RelevantRows::All {
            by_person.add_set_aside(columns, rows);
        }
    }

    fn all_matter(&self) -> bool {
        self.all_visitors
    }

    fn rows_that_matter(&self) -> RelevantRows {
        self.rows_that_matter
    }

    fn rows_that_matter_of(&mut self, key: i64) -> RelevantRows {
        match self.by_person.as_mut().is_some_and(|by_person| by_person.takes(key)) {
            // a conversion of another visitor may look back on them
            true => RelevantRows::All,
            false => self.rows_that_matter,
        }
    }

    fn rows(&mut self, columns: &Columns, codes: &mut (Codes, Codes), range: Range<usize>) {
        let by_person = self.by_person.as_mut();
        match by_person.is_some_and(|by_person| by_person.takes(columns.keys[range.start])) {
            true => self.set_aside(columns, codes, range),
            false => self.take(columns, codes, range),
        }
    }

    fn close_visitor(&mut self) {
        self.close();
    }

    fn found(&mut self, at_end: bool) -> Result<Option<RecordBatch>> {
        if let Some(paths) = &mut self.path_sums {
            let groups = self.selected.as_ref().map(|selected| &selected.groups);
            return paths.found(at_end, &self.spec, groups, self.items.names());
        }
        if self.gives_tallies() {
            return self.tallies(at_end);
        }
        if !at_end || self.told {
            return Ok(None);
        }
        self.told = true;
        self.finish().map(Some)
    }

    fn found_much(&self) -> bool {
        let is_much = match &self.path_sums {
            Some(paths) => paths.are_much(),
            None => self.gives_tallies() && self.tallies_are_much(),
        };
        self.by_person.is_none() && is_much
    }

    fn spill(&mut self) -> Result<bool> {
        self.by_person.as_mut().map_or(Ok(false), RowsByPerson::spill)
    }

    fn memory_bytes(&self) -> usize {
        let credits: usize = self.models.iter().map(|(_, credits)| credits.memory_bytes()).sum();
        let scratch: usize = self.models.iter().flat_map(|(model, _)| model).map(Attributor::memory_bytes).sum();
        let rows = self.places.capacity() * size_of::<(Place, u32)>() + self.counted.memory_bytes();
        let visitor = self.journey.memory_bytes() + self.reach.memory_bytes() + rows;
        let visitor = visitor + self.selected.as_ref().map_or(0, Selected::memory_bytes);
        let bound = self.bound.as_ref().map_or(0, BoundState::memory_bytes);
        let chains: usize = self.chains.iter().map(Chained::memory_bytes).sum();
        let paths = self.paths.memory_bytes() + self.path_sums.as_ref().map_or(0, PathSums::memory_bytes);
        let aside = self.by_person.as_ref().map_or(0, RowsByPerson::memory_bytes);
        credits + scratch + visitor + self.items.memory_bytes() + paths + bound + chains + aside
    }
}

/// Which rows of a visitor who converts matter to a question.
fn rows_that_matter(spec: &JourneySpec) -> RelevantRows {
    // any row may select its visitor, be the hit of a record, or bind a value
    let selects = spec.selection.visitors || spec.selection.visits;
    // whole days are summed up in an order, and so to a last digit, that hangs on all touches
    let in_whole_days = |model: &Model| matches!(model, Model::TimeDecay { whole_days: true, .. });
    let sums_all = spec.models.iter().any(|(_, model)| in_whole_days(model));
    if spec.all_visitors_matter() || spec.anchored || spec.bound.is_some() || selects || sums_all {
        return RelevantRows::All;
    }
    RelevantRows::UpToConversions { lookback_us: spec.lookback_us.filter(|_| spec.container == Container::Visitor) }
}

/// Rows stand at 1, 3, 5, ...; a gap before a row is one less.
fn row_position(row: usize) -> u32 {
    2 * row as u32 + 1
}

/// Values that are bound to products.
impl Walk {
    /// Takes rows of the current visitor. Rows have numbers, from 0.
    fn bound_rows(&mut self, columns: &Columns, range: Range<usize>) {
        let (Some(state), Some(lines)) = (&mut self.bound, &columns.bound) else { return };
        let in_visits = !matches!(columns.visits, Visits::Untold);
        for row in range {
            let (time, value, number) = (columns.time(row), columns.value(row), self.rows);
            self.rows += 1;
            if let Some(selected) = &mut self.selected {
                selected.mark(columns, row, NO_VISIT);
            }
            if let Some(place) = columns.anchor(row) {
                self.counts.conversions.add(usize::from(state.bindings.anchor(number, place, value)));
                continue;
            }
            let visit = if in_visits { self.counted.visits.of(&columns.visits, time, row) } else { 0 };
            let own = lines.of(row).map(|n| {
                let known = |texts: &StringArray, items: &mut Items| match texts.is_valid(n) {
                    true => items.number(texts.value(n)),
                    false => NONE,
                };
                ProductLine {
                    product: known(&lines.products, &mut state.products),
                    value: known(&lines.values, &mut self.items),
                    amount: lines.amounts.is_valid(n).then(|| lines.amounts.value(n)),
                }
            });
            state.bindings.row(number, columns.place(row), visit, own);
            self.counts.conversions.add(usize::from(state.bindings.convert(number, time, value)));
            if columns.ends_bindings(row) {
                state.bindings.end();
            }
        }
    }

    /// Hands out the credit of a visitor whose values are bound, and forgets it.
    fn close_bound(&mut self) {
        let Some(BoundState { bindings, .. }) = &mut self.bound else { return };
        let takes_visitor = self.selected.as_ref().is_none_or(Selected::takes_visitor);
        if takes_visitor && (self.all_visitors || bindings.conversions() > 0) {
            bindings.settle();
            bindings.credit(&mut self.models, self.all_visitors.then_some(&mut self.paths));
        }
        self.forget();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use arrow::array::Int64Array;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::columns::{HIT_TIME, VISITOR_KEY, visitor_key};
    use crate::engine::journey::stored_rows::{Metric, StoredRows};
    use crate::engine::journey::terms::RowTerms;
    use crate::engine::journey::{EVER, PersonRows, Selection};
    use crate::functions::{Persons, PersonsOfSuite};

    /// A row of a visitor that converts nothing.
    fn columns(spec: &JourneySpec, visitor: &str, online: bool, page: Option<&str>) -> Columns {
        let stored = StoredRows {
            online,
            metric: Metric::None,
            counted: false,
            dimension: Some("page".into()),
            classes: None,
            set: None,
            window: EVER,
            suite: None,
            visit_rules: None,
            anchored: false,
            repeats: false,
            background_hits: true,
            all_reported: false,
            at_hits: false,
        };
        let columns: [(&str, ArrayRef); 3] = [
            (VISITOR_KEY, Arc::new(Int64Array::from(vec![visitor_key(visitor)]))),
            (HIT_TIME, Arc::new(Int64Array::from(vec![0]))),
            ("page", Arc::new(StringArray::from(vec![page]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        Columns::stored(&batch, spec, &stored, &RowTerms::default(), &mut DictionaryAnswers::default()).unwrap()
    }

    #[test]
    fn of_whoever_shares_a_person_all_rows_matter_but_records_that_say_nothing() {
        let mut own = PersonsOfSuite::default();
        own.add("phone", None, "id:bob", true);
        own.add("desk", None, "id:bob", true);
        own.add("solo", None, "id:zoe", false);
        let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
        let disk = SessionContext::new().runtime_env().disk_manager.clone();
        for marks in [false, true] {
            let selection = Selection { visitors: marks, ..Selection::default() };
            let spec = JourneySpec { by_person: true, selection, ..JourneySpec::without_models(Container::Visitor) };
            let by_person = RowsByPerson::new(persons.clone(), disk.clone());
            let mut walk = Walk::new(spec.clone(), Counts::default()).by_person(Some(by_person));
            let of_others = if marks { RelevantRows::All } else { RelevantRows::UpToConversions { lookback_us: None } };
            for (visitor, matter) in [("phone", RelevantRows::All), ("solo", of_others), ("nobody", of_others)] {
                assert_eq!(walk.rows_that_matter_of(visitor_key(visitor)), matter, "{visitor}");
            }
            let minds = |visitor: &str, online: bool, page: Option<&str>| {
                let mut rows = vec![];
                walk.add_set_aside(&columns(&spec, visitor, online, page), &mut rows);
                !rows.is_empty()
            };
            assert!(minds("phone", true, None) && minds("phone", true, Some("home")));
            assert!(minds("desk", false, Some("home")));
            assert_eq!(minds("desk", false, None), marks);
            assert!(!minds("solo", true, Some("home")) && !minds("solo", false, Some("home")));
        }
    }
}
