//! Rows that were set aside, in columns, and whose they are: a person's rows of a visitor are runs.

use std::hint::black_box;
use std::ops::{Range, RangeInclusive};

use datafusion::error::{DataFusionError, Result};

use super::person_rows::{ANY, Between, Person};
use crate::engine::journey::ties::{Instant, Sequences};

/// A row that was set aside.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct AsideRow {
    /// Of a hit without one, its ordinal among those of its visitor and instant.
    pub sequence: i128,
    pub time: i64,
    pub value: f64,
    /// By number, as all that walks number.
    pub item: u32,
    pub group: u32,
    /// Of its visitor.
    pub visit: u32,
    pub after: bool,
    pub offline: bool,
    pub marks_visitor: bool,
    pub in_marked_visit: bool,
}

/// Of rows in order the times, microseconds, of the first and the last that has a value.
pub(super) fn converting(rows: &[AsideRow]) -> Option<(i64, i64)> {
    let has_value = |row: &&AsideRow| row.value != 0.0;
    Some((rows.iter().find(has_value)?.time, rows.iter().rfind(has_value)?.time))
}

/// Rows in columns. Most are hits of which nothing counts but when they touch which item; what else there is to tell of a row stands
/// apart.
#[derive(Default)]
pub(super) struct AsideRows {
    times: Vec<i64>,
    items: Vec<u32>,
    /// Of the first rows; 0 of those after them.
    visits: Vec<u32>,
    /// Of the first rows whether their visits are marked; those after them are in no such visit.
    marked: Vec<bool>,
    /// Of some rows, which rise.
    others: Vec<Other>,
    /// A bit for each row, set for those of [`Self::others`]; what is missing is not set.
    has_other: Vec<u64>,
}

/// What there is to tell of some rows.
struct Other {
    /// The place of the row.
    row: u32,
    group: u32,
    value: f64,
    /// In two halves, which take less room: the upper one first.
    sequence: (i64, u64),
    after: bool,
    offline: bool,
    marks_visitor: bool,
}

/// Rows of which nothing counts but their times and items.
#[derive(Default)]
pub(super) struct Touches<'a> {
    pub times: &'a [i64],
    pub items: &'a [u32],
}

impl AsideRows {
    /// With room for so many.
    pub fn with_capacity(rows: usize) -> Self {
        Self { times: Vec::with_capacity(rows), items: Vec::with_capacity(rows), ..Self::default() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Adds one.
    #[inline]
    pub fn push(&mut self, row: AsideRow) {
        let at = self.times.len();
        self.times.push(row.time);
        self.items.push(row.item);
        if row.visit != 0 || !self.visits.is_empty() {
            self.visits.resize(at, 0);
            self.visits.push(row.visit);
        }
        if row.in_marked_visit {
            self.marked.resize(at, false);
            self.marked.push(true);
        }
        if row.value != 0.0 || row.sequence != 0 || row.offline || row.marks_visitor {
            let AsideRow { sequence, value, group, after, offline, marks_visitor, .. } = row;
            let sequence = ((sequence >> 64) as i64, sequence as u64);
            self.others.push(Other { row: at as u32, group, value, sequence, after, offline, marks_visitor });
            self.has_other.resize(self.has_other.len().max(at / 64 + 1), 0);
            self.has_other[at / 64] |= 1 << (at % 64);
        }
    }

    /// Adds a row of which nothing counts but its time and item.
    #[inline]
    pub fn push_touch(&mut self, time: i64, item: u32) {
        self.times.push(time);
        self.items.push(item);
    }

    /// The same for some rows, whose items `add_items` adds to those of all; none where it adds nothing and is false.
    #[inline]
    pub fn push_touches(&mut self, times: &[i64], add_items: impl FnOnce(&mut Vec<u32>) -> bool) -> bool {
        let are_added = add_items(&mut self.items);
        if are_added {
            self.times.extend_from_slice(times);
        }
        are_added
    }

    /// Of the rows of a range, the first that are before an instant, microseconds, if one is given, and of which nothing counts but
    /// their times and items; `others` is what [`Self::others_among`] gives for the first.
    #[inline]
    pub fn touches(&self, rows: Range<usize>, others: usize, before: Option<i64>) -> Touches<'_> {
        let have_visits = self.visits.len().max(self.marked.len());
        let end = self.others.get(others).map_or(rows.end, |other| rows.end.min(other.row as usize));
        if have_visits > rows.start || end <= rows.start {
            return Touches::default();
        }
        let times = &self.times[rows.start..end];
        let own = before.map_or(times.len(), |before| times.iter().take_while(|time| **time < before).count());
        Touches { times: &times[..own], items: &self.items[rows.start..rows.start + own] }
    }

    /// Adds some of others.
    pub fn extend(&mut self, others: &Self, rows: Range<usize>) {
        others.some(rows).for_each(|row| self.push(row));
    }

    /// Says of the rows from one on whether their visits are marked.
    pub fn mark_visits(&mut self, from: usize, is_marked: impl Fn(u32) -> bool) {
        let Self { times, visits, marked, .. } = self;
        marked.resize(from, false);
        marked.extend((from..times.len()).map(|row| is_marked(visits.get(row).copied().unwrap_or_default())));
    }

    /// The time of a row.
    #[inline]
    pub fn time(&self, row: usize) -> i64 {
        self.times[row]
    }

    /// Brings the first and the last of some rows near the processor.
    #[inline]
    pub fn fetch(&self, rows: Range<usize>) {
        for row in [rows.start, rows.end - 1] {
            black_box((self.times[row], self.items[row]));
        }
    }

    /// A row.
    pub fn row(&self, row: usize) -> AsideRow {
        self.row_from(row, &mut self.others_among(row..row + 1))
    }

    /// Some rows, in order.
    pub fn some(&self, rows: Range<usize>) -> impl Iterator<Item = AsideRow> {
        let mut others = self.others_among(rows.clone());
        rows.map(move |row| self.row_from(row, &mut others))
    }

    /// Where, of some rows, the first is of which there is more to tell, among all such; where there is none, after all of these.
    #[inline]
    pub fn others_among(&self, rows: Range<usize>) -> usize {
        // most rows only touch, which is seen sooner than they are looked for
        let bits = |word: usize| {
            let from = if word == rows.start / 64 { u64::MAX << (rows.start % 64) } else { u64::MAX };
            self.has_other.get(word).is_some_and(|bits| bits & from != 0)
        };
        match (rows.start / 64..rows.end.div_ceil(64)).any(bits) {
            true => self.others.partition_point(|other| (other.row as usize) < rows.start),
            false => self.others.len(),
        }
    }

    /// A row; `others` is what [`Self::others_among`] gives for it, or for one before it.
    #[inline]
    pub fn row_from(&self, row: usize, others: &mut usize) -> AsideRow {
        let visit = self.visits.get(row).copied().unwrap_or_default();
        let in_marked_visit = self.marked.get(row).copied().unwrap_or_default();
        let (time, item) = (self.times[row], self.items[row]);
        let touch = AsideRow { time, item, visit, in_marked_visit, ..AsideRow::default() };
        while let Some(other) = self.others.get(*others)
            && other.row as usize <= row
        {
            if other.row as usize == row {
                let Other { group, value, sequence: (upper, lower), after, offline, marks_visitor, .. } = *other;
                let sequence = (i128::from(upper) << 64) | i128::from(lower);
                return AsideRow { sequence, value, group, after, offline, marks_visitor, ..touch };
            }
            *others += 1;
        }
        touch
    }

    /// Of some rows, which are in order, those of some times, microseconds. Most are, in a place where none was read lately: steps from
    /// both ends take less time than the leaps of a binary search.
    pub fn within(&self, among: Range<usize>, times: &RangeInclusive<i64>) -> Range<usize> {
        let own = &self.times[among.clone()];
        let to = own.iter().rposition(|time| time <= times.end()).map_or(0, |last| last + 1);
        let from = own[..to].iter().position(|time| time >= times.start()).unwrap_or(to);
        among.start + from..among.start + to
    }

    /// Gives back what room is left.
    pub fn shrink_to_fit(&mut self) {
        self.times.shrink_to_fit();
        self.items.shrink_to_fit();
        self.visits.shrink_to_fit();
        self.marked.shrink_to_fit();
        self.others.shrink_to_fit();
        self.has_other.shrink_to_fit();
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        let touches = self.times.capacity() * size_of::<i64>() + self.items.capacity() * size_of::<u32>();
        let visits = self.visits.capacity() * size_of::<u32>() + self.marked.capacity();
        let others = self.others.capacity() * size_of::<Other>() + self.has_other.capacity() * size_of::<u64>();
        touches + visits + others
    }
}

/// What tells a visitor from others of one walk.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Visitor {
    pub key: i64,
    /// As in [`Instant`].
    pub id: u64,
    pub number: u32,
    /// Where it stands among all whose rows are set aside, in the order of ids.
    pub rank: u32,
}

impl Visitor {
    /// An instant of it.
    pub fn instant(self, time: i64) -> Instant {
        Instant { key: self.key, id: self.id, time }
    }
}

/// Rows of a visitor in a row that are one person's.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub person: Person,
    pub visitor: Visitor,
    pub from: usize,
    pub to: usize,
    /// Where the person changes at the instant of these rows: between which sequences they are the person's.
    pub between: Between,
    /// The times of the first and the last row that has a value; of hits at an instant at which the person changes, of one that
    /// may be the person's.
    pub converting: Option<(i64, i64)>,
}

impl Run {
    /// True where the row at a place goes on with this run, if it is the person's.
    pub fn goes_on(&self, at: usize, person: Person, visitor: Visitor) -> bool {
        self.to == at && self.person == person && self.visitor == visitor && self.is_clear()
    }

    /// False where not all of the rows need be the person's.
    pub fn is_clear(&self) -> bool {
        self.between == ANY
    }

    /// Where the person's rows are among those of all; all that may be, where sequences are not known.
    pub fn of(&self, rows: &AsideRows, sequences: Option<&Sequences>) -> Result<Range<usize>> {
        let (Some(sequences), false) = (sequences, self.is_clear()) else { return Ok(self.from..self.to) };
        let first_at = |sequence: i128| {
            let (mut from, mut to) = (self.from, self.to);
            while from < to {
                let middle = from + (to - from) / 2;
                let row = rows.row(middle);
                let own = sequences.of(&self.visitor.instant(row.time), row.sequence)?;
                match own.is_some_and(|own| own < sequence) {
                    true => from = middle + 1,
                    false => to = middle,
                }
            }
            Ok::<_, DataFusionError>(from)
        };
        Ok(first_at(self.between.0)?..first_at(self.between.1)?)
    }
}

/// Hits of a visitor at an instant at which its person changes.
pub(super) struct Change {
    pub visitor: Visitor,
    pub time: i64,
    /// The first of them.
    pub from: usize,
    pub converts: bool,
    /// Whose they may be, between which sequences.
    pub persons: Vec<(Person, Between)>,
}

/// Rows and whose they are.
#[derive(Default)]
pub(super) struct Rows {
    pub rows: AsideRows,
    pub runs: Vec<Run>,
    /// The persons of the runs with a row that has a value, in their order.
    pub converting: Vec<Person>,
}

impl Rows {
    /// Rows and their runs.
    pub fn new(rows: AsideRows, runs: Vec<Run>) -> Self {
        let converting = runs.iter().filter(|run| run.converting.is_some()).map(|run| run.person).collect();
        Self { rows, runs, converting }
    }

    /// Rows like those of a run.
    pub fn add(&mut self, run: &Run, between: Between, rows: impl Iterator<Item = AsideRow>) {
        let from = self.rows.len();
        rows.for_each(|row| self.rows.push(row));
        if from < self.rows.len() {
            self.runs.push(Run { from, to: self.rows.len(), between, ..*run });
            self.converting.extend(run.converting.map(|_| run.person));
        }
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        let persons = self.converting.capacity() * size_of::<Person>();
        self.rows.memory_bytes() + self.runs.capacity() * size_of::<Run>() + persons
    }

    /// Says that rows are a person's, after those before them: they go on with the last run, or are another one.
    pub fn tell(&mut self, person: Person, visitor: Visitor, rows: Range<usize>, converting: Option<(i64, i64)>) {
        let (from, to) = (rows.start, rows.end);
        let mut converts = converting.is_some();
        match self.runs.last_mut() {
            Some(run) if run.goes_on(from, person, visitor) => {
                converts &= run.converting.is_none();
                run.to = to;
                run.converting = match (run.converting, converting) {
                    (Some((first, _)), Some((_, last))) => Some((first, last)),
                    (before, now) => before.or(now),
                };
            }
            _ => self.runs.push(Run { person, visitor, from, to, between: ANY, converting }),
        }
        if converts {
            self.converting.push(person);
        }
    }

    /// Ends the hits of an instant at which the person changes, those before the row `to`: a run for each whose they may be.
    pub fn end(&mut self, change: Option<Change>, to: usize) {
        let Some(Change { visitor, time, from, converts, persons }) = change else { return };
        let converting = converts.then_some((time, time));
        if converts {
            self.converting.extend(persons.iter().map(|(person, _)| *person));
        }
        let runs = persons.into_iter().map(|(person, between)| Run { person, visitor, from, to, between, converting });
        self.runs.extend(runs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of every kind: of some only time and item are told, of others more.
    fn rows_of_every_kind() -> Vec<AsideRow> {
        let kind = |kind: u32| {
            let is = |bit: u32| (kind >> bit) & 1 == 1;
            let sequence = [0, 7, -5 << 70, i128::from(u64::MAX)][kind as usize % 4];
            AsideRow {
                sequence: if is(6) { sequence } else { 0 },
                time: i64::from(kind / 5),
                value: if is(2) { -0.5 } else { 0.0 },
                item: kind,
                group: if is(2) { kind + 1 } else { 0 },
                visit: if is(7) { kind / 3 } else { 0 },
                after: is(3) && is(4),
                offline: is(4),
                marks_visitor: is(5),
                in_marked_visit: false,
            }
        };
        // the first are simple ones, then all kinds in turn
        (0..40).map(|_| 0).chain(0..256).chain([0, 256, 0]).map(kind).collect()
    }

    #[test]
    fn rows_in_columns_are_the_same() {
        let rows = rows_of_every_kind();
        let mut all = AsideRows::with_capacity(10);
        rows.iter().for_each(|row| all.push(*row));
        assert_eq!(all.len(), rows.len());
        for (place, row) in rows.iter().enumerate() {
            assert_eq!((all.row(place), all.time(place)), (*row, row.time));
        }
        for range in [0..rows.len(), 30..200, 45..46, 7..7, 250..299] {
            assert_eq!(all.some(range.clone()).collect::<Vec<_>>(), rows[range.clone()]);
            let mut part = AsideRows::default();
            part.push(rows[100]);
            part.extend(&all, range.clone());
            let expected: Vec<AsideRow> = [rows[100]].into_iter().chain(rows[range].iter().copied()).collect();
            assert_eq!(part.some(0..part.len()).collect::<Vec<_>>(), expected);
        }
        // a place before it is as good as its own
        let mut others = 0;
        assert_eq!(all.row_from(200, &mut others), rows[200]);
        assert_eq!(all.row_from(200, &mut others), rows[200]);
    }

    #[test]
    fn visits_are_marked_visitor_by_visitor() {
        let (rows, mut all) = (rows_of_every_kind(), AsideRows::default());
        rows.iter().for_each(|row| all.push(*row));
        all.mark_visits(200, |visit| visit % 2 == 1);
        let more = AsideRow { visit: 1, ..AsideRow::default() };
        all.push(more);
        let marked = |place: usize| (200..rows.len()).contains(&place) && rows[place].visit % 2 == 1;
        let expected = |place: usize| AsideRow { in_marked_visit: marked(place), ..rows[place] };
        assert!((0..rows.len()).all(|place| all.row(place) == expected(place)) && (0..rows.len()).any(marked));
        assert_eq!(all.row(rows.len()), more);
        // marks go with their rows
        let mut part = AsideRows::default();
        part.extend(&all, 190..250);
        assert!((190..250).all(|place| part.row(place - 190) == expected(place)));
        all.mark_visits(rows.len(), |_| true);
        assert_eq!(all.row(rows.len()), AsideRow { in_marked_visit: true, ..more });
    }

    #[test]
    fn rows_that_only_touch_are_set_aside_and_read_together() {
        let touch = |time: i64, item: u32| AsideRow { time, item, ..AsideRow::default() };
        let mut all = AsideRows::default();
        let add = |own: &'static [u32]| {
            move |all: &mut Vec<u32>| {
                all.extend_from_slice(own);
                !own.is_empty()
            }
        };
        assert!(all.push_touches(&[1, 2], add(&[7, 8])) && !all.push_touches(&[3], add(&[])));
        all.push(AsideRow { value: 2.5, ..touch(3, 9) });
        all.push_touch(4, 10);
        assert!(all.push_touches(&[5], add(&[11])));
        let rows: Vec<AsideRow> = all.some(0..all.len()).collect();
        let valued = AsideRow { value: 2.5, ..touch(3, 9) };
        assert_eq!(rows, [touch(1, 7), touch(2, 8), valued, touch(4, 10), touch(5, 11)]);
        // together up to the row that has more, the end, or the instant before which they are
        for (from, before, expected) in [
            (0, None, &[1, 2][..]),
            (0, Some(2), &[1]),
            (0, Some(1), &[]),
            (2, None, &[]),
            (3, None, &[4, 5]),
            (3, Some(9), &[4, 5]),
        ] {
            let touches = all.touches(from..all.len(), all.others_among(from..all.len()), before);
            assert_eq!((touches.times, touches.items.len()), (expected, expected.len()), "{from} {before:?}");
        }
        assert_eq!(all.touches(0..1, all.others_among(0..1), None).items, [7]);
        // where visits are known none only touches, up to the last of which they are
        all.push(AsideRow { visit: 3, ..touch(6, 12) });
        assert!(all.touches(0..1, all.others_among(0..1), None).times.is_empty());
        all.push_touch(7, 13);
        assert_eq!(all.touches(6..7, all.others_among(6..7), None).times, [7]);
        assert_eq!((all.row(5).visit, all.row(6)), (3, touch(7, 13)));
    }

    #[test]
    fn rows_of_which_there_is_more_to_tell_are_found() {
        let (rows, mut all) = (rows_of_every_kind(), AsideRows::default());
        rows.iter().for_each(|row| all.push(*row));
        let has_more = |row: &AsideRow| row.value != 0.0 || row.sequence != 0 || row.offline || row.marks_visitor;
        for range in [0..40, 0..41, 39..64, 63..65, 64..128, 100..101, 290..299] {
            let before = rows[..range.start].iter().filter(|row| has_more(row)).count();
            let found = all.others_among(range.clone());
            // past all where there is none
            let expected = if rows[range.clone()].iter().any(has_more) { before } else { found };
            assert_eq!(found, expected, "{range:?}");
            assert_eq!(all.some(range.clone()).collect::<Vec<_>>(), rows[range]);
        }
    }

    #[test]
    fn rows_of_some_times_are_found() {
        let times = [1, 3, 3, 4, 7];
        for among in (0..=times.len()).flat_map(|to| (0..=to).map(move |from| from..to)) {
            let mut rows = AsideRows::default();
            times.iter().for_each(|time| rows.push(AsideRow { time: *time, ..AsideRow::default() }));
            for (from, to) in (0..9).flat_map(|from| (from..9).map(move |to| (from, to))) {
                let found = &times[rows.within(among.clone(), &(from..=to))];
                let own = times[among.clone()].iter().copied();
                let expected: Vec<i64> = own.filter(|time| (from..=to).contains(time)).collect();
                assert_eq!(found, expected, "{from} {to} {among:?}");
            }
        }
    }

    #[test]
    fn rows_of_a_person_that_follow_each_other_are_one_run() {
        let visitor = |number: u32| Visitor { key: 1, id: 0, number, rank: 0 };
        let mut all = Rows::default();
        all.tell(7, visitor(0), 0..2, None);
        all.tell(7, visitor(0), 2..3, Some((20, 25)));
        all.tell(7, visitor(0), 3..5, Some((30, 35)));
        all.tell(7, visitor(0), 5..6, None);
        all.tell(8, visitor(0), 6..7, Some((40, 40)));
        all.tell(8, visitor(1), 7..8, None);
        // the row between is somebody else's
        all.tell(8, visitor(1), 9..10, Some((50, 50)));
        let runs = all.runs.iter().map(|run| (run.person, run.visitor.number, run.from..run.to, run.converting));
        let expected = [
            (7, 0, 0..6, Some((20, 35))),
            (8, 0, 6..7, Some((40, 40))),
            (8, 1, 7..8, None),
            (8, 1, 9..10, Some((50, 50))),
        ];
        assert_eq!(runs.collect::<Vec<_>>(), expected);
        // once for each run that converts, in their order
        assert_eq!(all.converting, [7, 8, 8]);
        let hits = |converts: bool| {
            let persons = vec![(9, ANY), (7, ANY)];
            Change { visitor: visitor(2), time: 60, from: 10, converts, persons }
        };
        all.end(Some(hits(false)), 11);
        assert_eq!((all.runs.len(), all.converting.len()), (6, 3));
        all.end(Some(hits(true)), 11);
        assert_eq!(all.converting, [7, 8, 8, 9, 7]);
        let (rows, runs) = (AsideRows::default(), all.runs.clone());
        assert_eq!(Rows::new(rows, runs).converting, all.converting);
        // rows go on in another place, where they convert as before
        let mut copied = Rows::default();
        all.runs.iter().for_each(|run| copied.add(run, ANY, [AsideRow::default()].into_iter()));
        assert_eq!((copied.runs.len(), &copied.converting), (8, &all.converting));
        copied.add(&all.runs[0], ANY, [].into_iter());
        assert_eq!(copied.converting.len(), 5);
    }
}
