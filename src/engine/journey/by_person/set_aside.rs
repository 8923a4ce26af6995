//! Sets the rows of one walk aside, those of visitors that share a person or have several; they go to disk where memory ends.

use std::ops::Range;
use std::sync::Arc;

use datafusion::error::Result;
use datafusion::execution::DiskManager;

use super::person_rows::{ANY, Person, PersonRows, Timeline};
use super::rows::{AsideRow, AsideRows, Change, Rows, Run, Visitor};
use super::spilled::Spilled;
use crate::attribution::{NO_VISIT, NONE};
use crate::engine::journey::columns::Columns;
use crate::engine::journey::items::{Codes, Items};
use crate::engine::journey::ties::{SequenceFiles, Sequences};

/// Rows after which another part of them begins, so that few are copied to make room for more.
const PART_ROWS: usize = 1 << 16;

/// What is known of a row beside its place.
pub(in crate::engine::journey) struct RowDetails {
    pub visit: u32,
    pub item: u32,
    pub value: f64,
    pub group: u32,
}

/// The rows that were set aside.
pub(in crate::engine::journey) struct RowsByPerson {
    persons: PersonRows,
    /// Of what persons are called: the same for all that are brought together.
    seed: u64,
    /// Where the last key that was looked for is among those of shared visitors, or would be.
    near: usize,
    /// That key, its place if it is one of them, and the next of them after it.
    asked: Option<(i64, Option<usize>, i64)>,
    /// Parts, of whole visitors; and the one at hand.
    parts: Vec<Rows>,
    all: Rows,
    /// The visitor at hand: its number, where its rows and runs begin, and the visits that are marked.
    visitor: u32,
    begins: (usize, usize),
    is_at_visitor: bool,
    marked_visits: Vec<bool>,
    /// Of the rows that are set aside together, where they are in a batch that says whose they are.
    taken: Vec<u32>,
    /// The instant of its last hit, and how many hits it has there so far.
    last_instant: Option<(i64, u32)>,
    /// Its last hits, where their person is not known yet.
    change: Option<Change>,
    disk: Arc<DiskManager>,
    spilled: Option<Spilled>,
}

impl RowsByPerson {
    /// Without rows; what is brought together is of the same persons.
    pub fn new(persons: PersonRows, disk: Arc<DiskManager>) -> Self {
        Self {
            seed: persons.seed(),
            persons,
            near: 0,
            asked: None,
            parts: vec![],
            all: Rows::default(),
            visitor: 0,
            begins: (0, 0),
            is_at_visitor: false,
            marked_visits: vec![],
            taken: vec![],
            last_instant: None,
            change: None,
            disk,
            spilled: None,
        }
    }

    /// True for the key of a visitor whose rows are set aside.
    pub fn takes(&mut self, key: i64) -> bool {
        self.place_of(key).is_some()
    }

    /// The place of a key among those of shared visitors. Of the visitor at hand it is asked several times, and keys mostly rise.
    #[inline]
    fn place_of(&mut self, key: i64) -> Option<usize> {
        match self.asked {
            Some((asked, place, _)) if asked == key => place,
            Some((asked, _, next)) if asked < key && key < next => None,
            _ => {
                let place = self.persons.shared_place(key, &mut self.near);
                let next = self.persons.shared_key(place.map_or(self.near, |place| place + 1));
                self.asked = Some((key, place, next));
                place
            }
        }
    }

    /// The rows of a batch that are set aside.
    pub fn rows_among<'k>(&'k self, keys: &'k [i64]) -> impl Iterator<Item = u32> + 'k {
        self.persons.shared_among(keys, self.near).flatten().map(|row| row as u32)
    }

    /// Adds the first row of each visitor whose rows are set aside to `rows` that matter, both in order.
    pub fn add_set_aside(&self, columns: &Columns, rows: &mut Vec<u32>) {
        let before = rows.len();
        match &columns.ids {
            None => rows.extend(self.persons.first_rows_among(&columns.keys, self.near).map(|row| row as u32)),
            // two visitors may have one key
            Some(ids) => {
                for own in self.persons.shared_among(&columns.keys, self.near) {
                    rows.push(own.start as u32);
                    rows.extend((own.start + 1..own.end).filter(|row| !ids.same(row - 1, *row)).map(|row| row as u32));
                }
            }
        }
        if before > 0 && before < rows.len() {
            rows.sort();
            rows.dedup();
        }
    }

    /// Sets rows of one visitor aside, those of `range`, of which nothing counts but when they touch which item; `times` are those of
    /// the batch. False where more counts: of several hits of one instant their order.
    #[inline]
    pub fn push_touches(
        &mut self,
        columns: &Columns,
        times: &[i64],
        id: Option<&str>,
        range: Range<usize>,
        (codes, items): (&mut Codes, &mut Items),
    ) -> bool {
        let own = &times[range.clone()];
        if self.persons.sequences.is_some() {
            let is_new = self.last_instant.is_none_or(|(instant, _)| Some(&instant) != own.first());
            // looked at together, which takes less time than one by one
            if !is_new || own.windows(2).fold(false, |same, two| same | (two[0] == two[1])) {
                return false;
            }
            self.last_instant = own.last().map(|time| (*time, 1));
        }
        self.is_at_visitor = true;
        let (key, from, text) = (columns.keys[range.start], self.all.rows.len(), &columns.items);
        let rows = &mut self.all.rows;
        if !rows.push_touches(own, |all| codes.add_known_items(text, range.clone(), all)) {
            for (row, time) in range.zip(own) {
                if let Some(item) = codes.items_of(text, row, items, false).first() {
                    rows.push_touch(*time, *item);
                }
            }
        }
        if from < self.all.rows.len() {
            self.taken.clear();
            self.tell_persons(columns, (key, id), from, None);
        }
        true
    }

    /// Sets rows of one visitor aside, those of `range`, which are all of the visitor, of which `told` knows something.
    // inlined, and so is `told`: a call for each row took as long as all else
    #[inline]
    pub fn push(
        &mut self,
        columns: &Columns,
        id: Option<&str>,
        range: Range<usize>,
        mut told: impl FnMut(usize) -> Option<RowDetails>,
    ) {
        self.is_at_visitor = true;
        let (key, offline, from) = (columns.keys[range.start], columns.offline, self.all.rows.len());
        let mut ordinals = (self.persons.sequences.is_some() && !offline)
            .then(|| Ordinals::new(columns, range.clone(), self.last_instant));
        let mut converting: Option<(i64, i64)> = None;
        self.taken.clear();
        for row in range {
            let Some(RowDetails { visit, item, value, group }) = told(row) else { continue };
            if visit != NO_VISIT && columns.marks_visit(row) {
                let visit = visit as usize;
                if self.marked_visits.len() <= visit {
                    self.marked_visits.resize(visit + 1, false);
                }
                self.marked_visits[visit] = true;
            }
            let marks_visitor = columns.marks_visitor(row);
            if item == NONE && value == 0.0 && !marks_visitor {
                continue;
            }
            let sequence = match &mut ordinals {
                Some(ordinals) => i128::from(ordinals.of(row)),
                None => columns.sequence(row),
            };
            let (time, after, in_marked_visit) = (columns.time(row), offline && !columns.stands_at_hit(row), false);
            if value != 0.0 {
                converting = Some((converting.map_or(time, |(first, _)| first), time));
            }
            if columns.tell_persons() {
                self.taken.push(row as u32);
            }
            self.all.rows.push(AsideRow {
                sequence,
                time,
                value,
                item,
                group,
                visit,
                after,
                offline,
                marks_visitor,
                in_marked_visit,
            });
        }
        if let Some(ordinals) = ordinals {
            self.last_instant = ordinals.at_end();
        }
        if from < self.all.rows.len() {
            self.tell_persons(columns, (key, id), from, converting);
        }
    }

    /// Says whose the rows from `from` on are, which were taken from a batch: of the visitor with this key, and id if it is read.
    /// Of those that have a value the first and the last are of the times `converting`. Mostly they are one person's, which is seen
    /// at once.
    fn tell_persons(
        &mut self,
        columns: &Columns,
        (key, id): (i64, Option<&str>),
        from: usize,
        converting: Option<(i64, i64)>,
    ) {
        let place = self.place_of(key);
        let Self { persons, seed, all, visitor: number, change, taken, .. } = self;
        let id_hash = persons.sequences.as_ref().map_or(0, |files| files.id(id, *seed));
        let (only_person, rank) = persons.in_short(place);
        let visitor = Visitor { key, id: id_hash, number: *number, rank };
        if let Some(person) = only_person.filter(|_| id.is_none() && taken.is_empty()) {
            all.end(change.take(), from);
            return all.tell(person, visitor, from..all.rows.len(), converting);
        }
        let mut timeline: Option<Timeline<'_>> = None;
        if taken.is_empty() {
            let (timeline, to) = (timeline.insert(persons.timeline(place, id)), all.rows.len());
            if let Some(person) = timeline.of_all(all.rows.time(from), all.rows.time(to - 1)) {
                all.end(change.take(), from);
                return all.tell(person, visitor, from..to, converting);
            }
        }
        let lack_sequences = persons.sequences.is_some() && !columns.offline;
        for at in from..all.rows.len() {
            let AsideRow { sequence, time, value, .. } = all.rows.row(at);
            let converting = (value != 0.0).then_some((time, time));
            if let Some(person) = taken.get(at - from).and_then(|row| columns.person(*row as usize)) {
                all.end(change.take(), at);
                all.tell(persons.hashed(person), visitor, at..at + 1, converting);
                continue;
            }
            let timeline = timeline.get_or_insert_with(|| persons.timeline(place, id));
            let changes = if lack_sequences { timeline.beginning_at(time) } else { 0..0 };
            if changes.is_empty() {
                all.end(change.take(), at);
                all.tell(timeline.at((time, sequence)), visitor, at..at + 1, converting);
                continue;
            }
            // whose it is says its sequence
            if change.as_ref().is_none_or(|change| change.time != time) {
                all.end(change.take(), at);
                let persons = timeline.between(changes);
                *change = Some(Change { visitor, time, from: at, converts: false, persons });
            }
            if let Some(change) = change.as_mut() {
                change.converts |= converting.is_some();
            }
        }
    }

    /// Turns to the next visitor; false where none of whose rows was met.
    pub fn close_visitor(&mut self) -> bool {
        let was_at_visitor = std::mem::take(&mut self.is_at_visitor);
        if was_at_visitor {
            self.all.end(self.change.take(), self.all.rows.len());
            self.last_instant = None;
            if !self.marked_visits.is_empty() {
                let marked = &self.marked_visits;
                let is_marked = |visit: u32| marked.get(visit as usize).copied().unwrap_or_default();
                self.all.rows.mark_visits(self.begins.0, is_marked);
                self.marked_visits.clear();
            }
            self.begins = (self.all.rows.len(), self.all.runs.len());
            self.visitor += 1;
            if self.all.rows.len() > PART_ROWS - PART_ROWS / 16 {
                let rows = AsideRows::with_capacity(PART_ROWS);
                let runs = Vec::with_capacity(self.all.runs.capacity());
                self.parts.push(std::mem::replace(&mut self.all, Rows::new(rows, runs)));
                self.begins = (0, 0);
            }
        }
        was_at_visitor
    }

    /// Writes the rows of the visitors before the one at hand to disk, but for those whose person is not known yet; false where
    /// there are none.
    pub fn spill(&mut self) -> Result<bool> {
        let (rows, runs) = self.begins;
        let of_parts = self.parts.iter().flat_map(|part| &part.runs);
        if of_parts.chain(&self.all.runs[..runs]).all(|run| !run.is_clear()) {
            return Ok(false);
        }
        let mut spilled = match self.spilled.take() {
            Some(spilled) => spilled,
            None => Spilled::new(&self.disk)?,
        };
        for Rows { rows, runs, .. } in std::mem::take(&mut self.parts) {
            let (gone, mut stay): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(Run::is_clear);
            spilled.write(gone, &rows)?;
            if !stay.is_empty() {
                let rows = rows_of(&mut stay, &rows);
                self.parts.push(Rows::new(rows, stay));
            }
        }
        let (gone, stay): (Vec<Run>, Vec<Run>) = self.all.runs.drain(..runs).partition(Run::is_clear);
        spilled.write(gone, &self.all.rows)?;
        self.spilled = Some(spilled);
        self.keep(rows, stay);
        Ok(true)
    }

    /// Of the first rows, so many, keeps those of these runs, which are of no other.
    fn keep(&mut self, rows: usize, mut runs: Vec<Run>) {
        let mut kept = rows_of(&mut runs, &self.all.rows);
        let gone = rows - kept.len();
        for run in &mut self.all.runs {
            (run.from, run.to) = (run.from - gone, run.to - gone);
        }
        if let Some(change) = &mut self.change {
            change.from -= gone;
        }
        self.begins = (kept.len(), runs.len());
        runs.append(&mut self.all.runs);
        kept.extend(&self.all.rows, rows..self.all.rows.len());
        kept.shrink_to_fit();
        runs.shrink_to_fit();
        self.all = Rows::new(kept, runs);
    }

    /// The rows in memory, those of a visitor in one part.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Rows> {
        self.parts.iter().chain([&self.all])
    }

    /// The rows of some persons, all of whom are of these parts; those on disk, too. Of hits whose person is not known yet, the
    /// first stands for all until their sequences are there.
    pub(super) fn of(
        &self,
        parts: Range<usize>,
        takes: impl Fn(Person) -> bool,
        sequences: Option<&Sequences>,
    ) -> Result<Rows> {
        let mut found = Rows::default();
        for Rows { rows, runs, .. } in self.parts() {
            for run in runs.iter().filter(|run| takes(run.person)) {
                match (run.is_clear(), sequences) {
                    (false, None) => found.add(run, run.between, rows.some(run.from..run.from + 1)),
                    _ => found.add(run, ANY, rows.some(run.of(rows, sequences)?)),
                }
            }
        }
        let Some(spilled) = &self.spilled else { return Ok(found) };
        spilled.read(parts, takes, &mut found)?;
        // what stayed here of a visitor comes between what went to disk
        found.runs.sort_by_key(|run| (run.visitor.number, found.rows.time(run.from)));
        Ok(found)
    }

    /// True where some of its rows went to disk.
    pub fn is_on_disk(&self) -> bool {
        self.spilled.is_some()
    }

    /// How many rows were set aside, those on disk among them.
    pub(super) fn rows(&self) -> usize {
        let here: usize = self.parts().map(|part| part.rows.len()).sum();
        here + self.spilled.as_ref().map_or(0, Spilled::rows)
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        self.parts().map(Rows::memory_bytes).sum()
    }
}

/// The rows of these runs alone, which are told their places among them.
fn rows_of(runs: &mut [Run], rows: &AsideRows) -> AsideRows {
    let mut kept = AsideRows::default();
    let mut last = None;
    for run in runs {
        // all that share an instant's hits are side by side
        let from = match last {
            Some((before, now)) if before == run.from => now,
            _ => {
                let now = kept.len();
                kept.extend(rows, run.from..run.to);
                last = Some((run.from, now));
                now
            }
        };
        (run.from, run.to) = (from, from + (run.to - run.from));
    }
    kept
}

/// Counts the hits of a visitor within each instant, whether they are set aside or not.
struct Ordinals<'c> {
    columns: &'c Columns,
    range: Range<usize>,
    /// The instant of the last hit before the range, and how many hits it has there.
    last_instant: Option<(i64, u32)>,
    /// The last row that was asked for, and its ordinal.
    last: Option<(usize, u32)>,
    /// Each hit has an instant of its own.
    all_differ: bool,
}

impl<'c> Ordinals<'c> {
    /// Of the rows of a range, which has some, after hits of which the last was at `last_instant`.
    #[inline]
    fn new(columns: &'c Columns, range: Range<usize>, last_instant: Option<(i64, u32)>) -> Self {
        let is_new = last_instant.is_none_or(|(instant, _)| instant != columns.time(range.start));
        let all_differ = is_new && (range.start + 1..range.end).all(|row| columns.time(row) != columns.time(row - 1));
        Self { columns, range, last_instant, last: None, all_differ }
    }

    /// How many hits of a row's instant are before it; rows rise.
    #[inline]
    fn of(&mut self, row: usize) -> u32 {
        if self.all_differ { 0 } else { self.counted(row) }
    }

    fn counted(&mut self, row: usize) -> u32 {
        let (columns, time) = (self.columns, self.columns.time(row));
        let least = self.last.map_or(self.range.start, |(last, _)| last);
        let mut first = row;
        while first > least && columns.time(first - 1) == time {
            first -= 1;
        }
        let before = match (self.last, self.last_instant) {
            _ if first > least => 0,
            (Some((_, ordinal)), _) => ordinal,
            (None, Some((instant, hits))) if instant == time => hits,
            _ => 0,
        };
        let ordinal = before + (row - first) as u32;
        self.last = Some((row, ordinal));
        ordinal
    }

    /// The instant of the last row of the range, and how many hits it has so far.
    fn at_end(mut self) -> Option<(i64, u32)> {
        let last = self.range.end - 1;
        Some((self.columns.time(last), self.of(last) + 1))
    }
}

/// What one walk set aside, with the names of its numbers.
pub(in crate::engine::journey) struct SetAsideRows {
    pub rows: RowsByPerson,
    pub items: Vec<Arc<str>>,
    pub groups: Vec<Arc<[u8]>>,
}

/// True where some rows went to disk.
pub(in crate::engine::journey) fn is_on_disk(asides: &[SetAsideRows]) -> bool {
    asides.iter().any(|aside| aside.rows.is_on_disk())
}

/// Where the sequences of hits are, if they were read without them, and the seed by which their visitors are told apart.
pub(in crate::engine::journey) fn sequence_files(asides: &[SetAsideRows]) -> Option<(&SequenceFiles, u64)> {
    let rows = &asides.first()?.rows;
    Some((rows.persons.sequences.as_ref()?, rows.seed))
}
