//! The walk over the sorted inputs of a bucket: visitor after visitor, credit per item in the end.
//!
//! A visitor's rows are usually all in one batch of one input. A visitor of several inputs (generations of a bucket,
//! online and offline rows) is joined by time while its rows are taken, so that no more than a batch of each input is in
//! memory. Visitors without a conversion are passed over.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::future::{BoxFuture, try_join_all};

use super::JourneySpec;
use super::bound::BoundState;
use super::chained::Chained;
use super::columns::{Columns, Visits};
use super::input::InputColumns;
use super::items::{Codes, Items};
use super::lane::Lane;
use super::metrics::Counts;
use super::selected::Selected;
use crate::attribution::{
    Attributor, Bindings, Conversion, CreditSink, Game, ItemCredits, Journey, Line, Model, NO_VISIT, NONE, PathCounts,
    Place, Reach, find_place,
};
use crate::columns::is_keyed;
use crate::engine::visits::{Rising, VisitCounter};

/// What leaves less than the reach of conversions, with the items' names.
pub(super) type Leaving<'w> = Option<(&'w mut Selected, &'w [Arc<str>])>;

/// A sorted input that is being opened.
pub(super) type Opening = BoxFuture<'static, Result<(SendableRecordBatchStream, InputColumns)>>;

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
    /// Time, sequence and rest of the visitor's hit that was taken last, where hits may be there twice.
    last_hit: Option<(i64, i128, i64)>,
    /// The keys of the visitor's hits so far, where hits may be there twice.
    keys: HashSet<(i128, i64)>,
    pub(super) rows: u32,
    pub(super) visits: VisitOrdinals,
    pub(super) items: Items,
    /// True if visitors without a conversion matter, too.
    pub(super) all_visitors: bool,
    /// True if the sets of items on all paths matter.
    shares_sets: bool,
    /// Lanes that have the visitor at hand, and where its rows end in their batches; empty between visitors.
    ends: Vec<(usize, usize)>,
    /// The key of the visitor at hand or the one before, and whether two visitors of this bucket had one.
    last_key: Option<i64>,
    shared_key: bool,
    /// Of the batches at hand.
    lane_bytes: usize,
    reservation: Option<MemoryReservation>,
    pub(super) counts: Counts,
}

/// The visits of one visitor by number.
#[derive(Default)]
pub(super) struct VisitOrdinals {
    counter: VisitCounter,
    ordinals: Rising<(i64, i64), u32>,
    /// A visit that is told by its number alone, for the rows after it.
    numbered: Option<(i64, u32)>,
}

impl Walk {
    /// A walk that accounts for its memory in `reservation`; without one, the caller does.
    pub fn new(spec: JourneySpec, reservation: Option<MemoryReservation>, counts: Counts) -> Self {
        let models = spec.models.iter().map(|(_, model)| (Attributor::new(*model), ItemCredits::new())).collect();
        Self {
            all_visitors: spec.needs_all_visitors(),
            shares_sets: spec.models.iter().any(|(_, model)| *model == Model::Algorithmic),
            reach: Reach::new(spec.container, spec.lookback_us),
            chains: Chained::of(&spec),
            bound: BoundState::new(&spec),
            selected: Selected::new(&spec.selection, spec.container, spec.lookback_us),
            spec,
            models,
            paths: PathCounts::new(),
            journey: Journey::new(),
            anchored: vec![],
            places: vec![],
            last_hit: None,
            keys: HashSet::new(),
            rows: 0,
            visits: VisitOrdinals::default(),
            items: Items::default(),
            ends: vec![],
            last_key: None,
            shared_key: false,
            lane_bytes: 0,
            reservation,
            counts,
        }
    }

    /// Walks over all visitors of one bucket: `streams` are sorted by visitor and time, and opened side by side. True when
    /// no two of them share a key and all hits have a visitor.
    pub async fn bucket(&mut self, streams: Vec<Opening>) -> Result<bool> {
        (self.last_key, self.shared_key) = (None, false);
        let spec = &self.spec;
        let open = |stream: Opening| async move {
            let (stream, kind) = stream.await?;
            Lane::open(stream, kind, spec).await
        };
        let opened = try_join_all(streams.into_iter().map(open)).await?;
        let mut lanes: Vec<Lane> = opened.into_iter().flatten().collect();
        self.counts.rows.add(lanes.iter().map(|lane| lane.columns.rows).sum());
        self.lane_bytes = lanes.iter().map(Lane::memory_bytes).sum();
        self.account()?;
        let mut heads: BinaryHeap<Reverse<(i64, usize)>> =
            lanes.iter().enumerate().map(|(number, lane)| Reverse((lane.key(), number))).collect();
        let mut together: Vec<usize> = vec![];
        while let Some(Reverse((key, first))) = heads.pop() {
            together.clear();
            together.push(first);
            while let Some(Reverse((_, other))) = heads.peek().copied().filter(|Reverse((other, _))| *other == key) {
                heads.pop();
                together.push(other);
            }
            if together.len() == 1 {
                let until = heads.peek().map(|Reverse((key, _))| *key);
                self.alone(&mut lanes[first], until).await?;
            } else {
                self.joined(&mut lanes, &together).await?;
            }
            for &number in &together {
                if self.refill(&mut lanes[number]).await? {
                    heads.push(Reverse((lanes[number].key(), number)));
                }
            }
        }
        self.lane_bytes = 0;
        self.account()?;
        Ok(!self.shared_key && !lanes.iter().any(Lane::lacks_visitors))
    }

    /// Turns to the next visitor.
    fn turn_to(&mut self, key: i64) {
        self.shared_key |= self.last_key.replace(key) == Some(key);
    }

    /// The visitors of one lane that no other lane has: those before the key `until`.
    async fn alone(&mut self, lane: &mut Lane, until: Option<i64>) -> Result<()> {
        loop {
            if !self.all_visitors && !lane.reads_ids() && lane.row < lane.columns.rows {
                self.counts.visitors.add(lane.pass(until));
            }
            if lane.row == lane.columns.rows || until.is_some_and(|key| lane.key() >= key) {
                return Ok(());
            }
            let end = lane.columns.end_of_visitor(lane.row);
            self.turn_to(lane.key());
            self.counts.visitors.add(usize::from(lane.columns.has_visitor(lane.row)));
            if end < lane.columns.rows {
                if self.all_visitors || lane.converts_before(end) {
                    self.take(lane, end);
                    self.close_visitor();
                } else {
                    lane.row = end;
                }
                continue;
            }
            // it may go on in the next batch
            let (key, id) = (lane.key(), lane.id().map(str::to_string));
            self.take(lane, end);
            while self.refill(lane).await? && lane.is_at(key, id.as_deref()) {
                let end = lane.columns.end_of_visitor(lane.row);
                self.take(lane, end);
            }
            self.close_visitor();
        }
    }

    /// One visitor of several lanes, whose rows at hand have one key. Of two visitors with that key, the first.
    async fn joined(&mut self, lanes: &mut [Lane], together: &[usize]) -> Result<()> {
        let (mut first, others) =
            together.split_first().map(|(first, others)| (*first, others)).expect("there are lanes");
        // two visitors with one key are so rare that ids are compared only to see that they are none
        let one = others.iter().all(|&n| lanes[n].same_visitor(&lanes[first]));
        if !one {
            first = together.iter().copied().min_by_key(|&n| lanes[n].id()).expect("there are lanes");
        }
        let key = lanes[first].key();
        self.turn_to(key);
        let mut ends = std::mem::take(&mut self.ends);
        let (mut whole, mut converts) = (true, self.all_visitors);
        for &number in together.iter().filter(|&&n| one || lanes[n].same_visitor(&lanes[first])) {
            ends.push((number, lanes[number].columns.end_of_visitor(lanes[number].row)));
        }
        for &(number, end) in &ends {
            whole &= end < lanes[number].columns.rows;
            converts |= lanes[number].converts_before(end);
        }
        self.counts.visitors.add(usize::from(lanes[first].columns.has_visitor(lanes[first].row)));
        if whole && !converts {
            ends.drain(..).for_each(|(number, end)| lanes[number].row = end);
            self.ends = ends;
            return Ok(());
        }
        // of those that read it, all have the same
        let telling = ends.iter().map(|(number, _)| &lanes[*number]).find(|lane| !whole && lane.reads_ids());
        let id = telling.and_then(Lane::id).map(str::to_string);
        while !ends.is_empty() {
            let (at, stop) = next_rows(lanes, &ends);
            let (number, end) = ends[at];
            let lane = &mut lanes[number];
            self.take(lane, stop);
            if stop < end {
                continue;
            }
            let goes_on = stop == lane.columns.rows && self.refill(lane).await? && lane.is_at(key, id.as_deref());
            if goes_on {
                ends[at].1 = lane.columns.end_of_visitor(lane.row);
            } else {
                ends.swap_remove(at);
            }
        }
        self.ends = ends;
        self.close_visitor();
        Ok(())
    }

    /// The lane's next batch, when the one at hand has been passed; false at the end.
    async fn refill(&mut self, lane: &mut Lane) -> Result<bool> {
        if lane.row < lane.columns.rows {
            return Ok(true);
        }
        self.lane_bytes = self.lane_bytes.saturating_sub(lane.memory_bytes());
        let some = lane.refill(&self.spec).await?;
        if some {
            self.counts.rows.add(lane.columns.rows);
            self.lane_bytes += lane.memory_bytes();
        }
        self.account()?;
        Ok(some)
    }

    /// Takes the rows of the current visitor from the one at hand to before `end`.
    fn take(&mut self, lane: &mut Lane, end: usize) {
        self.rows(&lane.columns, &mut lane.codes, lane.row..end);
        lane.row = end;
    }

    /// Tells the memory pool what is held; about once a batch.
    fn account(&mut self) -> Result<()> {
        let Some(reservation) = &self.reservation else { return Ok(()) };
        let credits: usize = self.models.iter().map(|(_, credits)| credits.memory_bytes()).sum();
        let scratch: usize = self.models.iter().flat_map(|(model, _)| model).map(Attributor::memory_bytes).sum();
        let rows = self.places.capacity() * size_of::<(Place, u32)>() + self.keys.capacity() * 32;
        let visitor = self.journey.memory_bytes() + self.reach.memory_bytes() + rows;
        let visitor = visitor + self.selected.as_ref().map_or(0, Selected::memory_bytes);
        let bound = self.bound.as_ref().map_or(0, BoundState::memory_bytes);
        let chains: usize = self.chains.iter().map(Chained::memory_bytes).sum();
        let kept = self.items.memory_bytes() + self.paths.memory_bytes() + bound + chains;
        reservation.try_resize(self.lane_bytes + credits + scratch + visitor + kept)
    }

    /// Takes rows of the current visitor.
    pub fn rows(&mut self, columns: &Columns, codes: &mut (Codes, Codes), range: Range<usize>) {
        if self.bound.is_some() {
            return self.bound_rows(columns, range);
        }
        let all_take_part = columns.all_take_part();
        let in_visits = !matches!(columns.visits, Visits::Untold);
        let may_repeat = columns.may_repeat();
        for row in range {
            if !all_take_part && !columns.is_of_suite(row) {
                continue;
            }
            let time = columns.time(row);
            if may_repeat && let Some(rest) = columns.hit_rest(row) {
                let hit = (time, columns.sequence(row), rest);
                let repeats = match is_keyed(rest) {
                    true => !self.keys.insert((columns.sequence(row), rest)),
                    false => self.last_hit.replace(hit) == Some(hit),
                };
                if repeats {
                    continue;
                }
            }
            // a visit is made of all hits, reported or not
            let visit = if in_visits { self.visits.of(&columns.visits, time, row) } else { 0 };
            if !all_take_part && !columns.is_reported(row) {
                continue;
            }
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
            let (text, codes) = match &columns.set {
                Some((persisted, set)) if persisted.is_valid(row) && persisted.value(row) => (set, &mut codes.1),
                _ => (&columns.items, &mut codes.0),
            };
            let touched = codes.items_of(text, row, &mut self.items, self.spec.multi_valued);
            let touched = match touched {
                [] => false,
                [item] => {
                    self.journey.touch(position, time, visit, *item);
                    true
                }
                items => self.journey.touch_all(position, time, visit, items.iter().copied()),
            };
            if let Some(lines) = columns.lines(row)
                && touched
            {
                self.divide(&lines);
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

    /// Lets what converts on the row of the newest touch convert line by line.
    fn divide(&mut self, lines: &ArrayRef) {
        let (items, amounts) = (lines.as_struct().column(0), lines.as_struct().column(1));
        let pairs = items.as_string::<i32>().iter().zip(amounts.as_primitive::<Float64Type>());
        let number = |item: Option<&str>| item.and_then(|item| self.items.known(item)).unwrap_or(NONE);
        self.journey.divide(pairs.map(|(item, amount)| (number(item), amount.unwrap_or(0.0))));
    }

    /// Conversions that stand on the time line so far.
    pub fn conversions(&self) -> usize {
        self.journey.conversions().len()
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
    pub fn journey(&mut self) -> (&Journey, &Reach, Leaving<'_>) {
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
    fn close_visitor(&mut self) {
        if self.bound.is_some() {
            return self.close_bound();
        }
        self.settle();
        match &mut self.selected {
            Some(selected) if selected.divides() => {
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
        self.journey.clear();
        self.places.clear();
        self.last_hit = None;
        self.keys.clear();
        self.rows = 0;
        self.visits.clear();
        self.selected.iter_mut().for_each(Selected::clear);
    }

    /// Adds the credit and the paths of other visitors.
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
        self.paths.merge(&other.paths, item);
        let group = |group: u32| if broken_down { groups[group as usize] } else { group };
        for (ours, theirs) in self.chains.iter_mut().zip(&other.chains) {
            ours.merge(theirs, item, group);
        }
    }

    /// The credit of all visitors, an item a row.
    pub fn finish(mut self) -> Result<RecordBatch> {
        let count = self.items.names().len();
        if self.spec.needs_all_visitors() {
            self.credit_of_all()?;
        }
        if let Some(selected) = self.selected.as_ref().filter(|_| !self.spec.selection.by.is_empty()) {
            return self.broken_down(selected);
        }
        // an item is listed when any model lists it; the others say NULL
        let mut credit: Vec<Vec<Option<f64>>> = vec![vec![None; count + 1]; self.models.len()];
        for (column, (_, credits)) in credit.iter_mut().zip(&self.models) {
            for (item, amount) in credits.iter() {
                let slot = if item == NONE { count } else { item as usize };
                column[slot] = Some(amount);
            }
        }
        let listed: Vec<usize> = (0..=count).filter(|&slot| credit.iter().any(|c| c[slot].is_some())).collect();
        let names = self.items.names();
        let listed_names: StringArray = listed.iter().map(|&slot| names.get(slot).map(|name| &**name)).collect();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(listed_names)];
        for column in &credit {
            columns.push(Arc::new(listed.iter().map(|&slot| column[slot]).collect::<Float64Array>()));
        }
        Ok(RecordBatch::try_new(self.spec.output(), columns)?)
    }
}

impl Walk {
    /// The credit of the models that look at all journeys at once.
    fn credit_of_all(&mut self) -> Result<()> {
        // numbered by name, so that nothing depends on the order in which items were met
        let mut ranked: Vec<u32> = (0..self.items.names().len() as u32).collect();
        ranked.sort_unstable_by_key(|item| &self.items.names()[*item as usize]);
        let mut rank = vec![0; ranked.len()];
        (0u32..).zip(&ranked).for_each(|(place, item)| rank[*item as usize] = place);
        if self.shares_sets {
            let mut paths = PathCounts::new();
            paths.merge(&self.paths, |item| rank[item as usize]);
            let mut credits = ItemCredits::new();
            credits.merge(&Game::new(&paths).credits(), |place| ranked[place as usize]);
            let algorithmic = self.models.iter_mut().zip(&self.spec.models);
            algorithmic
                .filter(|(_, (_, model))| *model == Model::Algorithmic)
                .for_each(|((_, slot), _)| *slot = credits.clone());
        }
        let by_group = !self.spec.selection.by.is_empty();
        for chain in &self.chains {
            let credits = &mut self.models[chain.number].1;
            let groups = self.selected.as_mut().map(|selected| &mut selected.groups).filter(|_| by_group);
            match groups {
                None => chain.credit(|_, item, amount| credits.credit(item, 0, amount), &rank, &ranked)?,
                Some(groups) => {
                    let give = |group, item, amount| groups.sink(group, credits).credit(item, 0, amount);
                    chain.credit(give, &rank, &ranked)?;
                }
            }
        }
        Ok(())
    }

    /// The credit of all visitors, a group and item a row.
    fn broken_down(&self, selected: &Selected) -> Result<RecordBatch> {
        let (pairs, names) = (selected.groups.pairs(), self.items.names());
        let mut columns = selected.groups.columns(&self.spec.selection.by, pairs.iter().map(|(group, _)| *group))?;
        let items = pairs.iter().map(|(_, item)| names.get(*item as usize).map(|name| &**name));
        columns.push(Arc::new(items.collect::<StringArray>()));
        for (_, credits) in &self.models {
            let mut column: Vec<Option<f64>> = vec![None; pairs.len()];
            credits.iter().for_each(|(pair, amount)| column[pair as usize] = Some(amount));
            columns.push(Arc::new(Float64Array::from(column)));
        }
        Ok(RecordBatch::try_new(self.spec.output(), columns)?)
    }
}

/// Of the lanes in `ends` (number, end of the visitor's rows), the one whose row comes first, and where its rows stop
/// being the first.
fn next_rows(lanes: &[Lane], ends: &[(usize, usize)]) -> (usize, usize) {
    let place_of = |number: usize, row: usize| (lanes[number].place(row), lanes[number].turn(row), number);
    let place = |(number, _): &(usize, usize)| place_of(*number, lanes[*number].row);
    let (at, &(number, end)) = ends.iter().enumerate().min_by_key(|(_, end)| place(end)).expect("some lane is left");
    let bound = ends.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, end)| place(end)).min();
    let lane = &lanes[number];
    let is_first = |row: usize| bound.is_none_or(|bound| place_of(number, row) < bound);
    // generations are mostly of different times
    if is_first(end - 1) {
        return (at, end);
    }
    let mut stop = lane.row + 1;
    while is_first(stop) {
        stop += 1;
    }
    (at, stop)
}

impl VisitOrdinals {
    /// The ordinal of the visit of a row.
    pub(super) fn of(&mut self, visits: &Visits, time: i64, row: usize) -> u32 {
        let visit = match visits {
            Visits::Untold => return 0,
            Visits::Never => return NO_VISIT,
            Visits::Given(number, start) => number.is_valid(row).then(|| (number.value(row), start.value(row))),
            Visits::Stored { number, start, name, rules } => {
                let number = number.as_ref().filter(|n| n.is_valid(row)).map(|n| n.value(row));
                let start = start.as_ref().filter(|s| s.is_valid(row)).map(|s| s.value(row));
                let name = name.as_ref().filter(|n| n.is_valid(row)).map(|n| n.value(row));
                match (start, number, name) {
                    (Some(start), number, _) => number.map(|number| (number, start)),
                    (None, Some(number), _) => {
                        if let Some((known, ordinal)) = self.numbered
                            && known == number
                        {
                            return ordinal;
                        }
                        let visit = self.counter.numbered(number, time);
                        let ordinal = self.ordinal(visit);
                        self.numbered = Some((number, ordinal));
                        return ordinal;
                    }
                    (None, None, Some(name)) => Some(self.counter.named(name, time)),
                    (None, None, None) => Some(self.counter.next(time, rules)),
                }
            }
        };
        visit.map_or(NO_VISIT, |visit| self.ordinal(visit))
    }

    fn ordinal(&mut self, visit: (i64, i64)) -> u32 {
        self.ordinals.get_or_insert(visit, |before| before as u32)
    }

    pub(super) fn clear(&mut self) {
        self.numbered = None;
        self.ordinals.clear();
        self.counter.clear();
    }
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
            let visit = if in_visits { self.visits.of(&columns.visits, time, row) } else { 0 };
            let own = lines.of(row).map(|n| {
                let known = |texts: &StringArray, items: &mut Items| match texts.is_valid(n) {
                    true => items.number(texts.value(n)),
                    false => NONE,
                };
                Line {
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
        bindings.clear();
        self.rows = 0;
        self.visits.clear();
        self.selected.iter_mut().for_each(Selected::clear);
    }
}
