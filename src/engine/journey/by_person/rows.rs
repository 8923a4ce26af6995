//! Rows that were set aside, and whose they are: a person's rows of a visitor are runs.

use std::ops::{Range, RangeInclusive};

use datafusion::error::{DataFusionError, Result};

use super::person_rows::{ANY, Between, Person};
use crate::attribution::NONE;
use crate::engine::journey::ties::{Instant, Sequences};

/// A row that was set aside.
#[derive(Clone, Copy)]
pub(in crate::engine::journey) struct AsideRow {
    /// Of a hit without one, its ordinal among those of its visitor and instant.
    pub(super) sequence: i128,
    pub time: i64,
    pub value: f64,
    /// By number, as all that walks number.
    pub item: u32,
    pub group: u32,
    /// Of its visitor.
    pub(super) visit: u32,
    pub(super) after: bool,
    pub(super) offline: bool,
    pub marks_visitor: bool,
    pub in_marked_visit: bool,
}

impl AsideRow {
    /// True where it matters which of two such rows comes first.
    pub(super) fn has_a_turn(&self) -> bool {
        self.item != NONE || self.value != 0.0
    }
}

/// Of rows in order the times, microseconds, of the first and the last that has a value.
pub(super) fn converting(rows: &[AsideRow]) -> Option<(i64, i64)> {
    let has_value = |row: &&AsideRow| row.value != 0.0;
    Some((rows.iter().find(has_value)?.time, rows.iter().rfind(has_value)?.time))
}

/// Of rows in order those of some times, microseconds. Most rows are of these, and lie where none was read lately: steps from both
/// ends take less time than the leaps of a binary search.
pub(super) fn within<'r>(rows: &'r [AsideRow], times: &RangeInclusive<i64>) -> &'r [AsideRow] {
    let to = rows.iter().rposition(|row| row.time <= *times.end()).map_or(0, |last| last + 1);
    let from = rows[..to].iter().position(|row| row.time >= *times.start()).unwrap_or(to);
    &rows[from..to]
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

    /// The person's rows among those of all; all that may be, where sequences are not known.
    pub fn of<'r>(&self, rows: &'r [AsideRow], sequences: Option<&Sequences>) -> Result<&'r [AsideRow]> {
        let rows = &rows[self.from..self.to];
        let (Some(sequences), false) = (sequences, self.is_clear()) else { return Ok(rows) };
        let first_at = |sequence: i128| {
            let (mut from, mut to) = (0, rows.len());
            while from < to {
                let middle = from + (to - from) / 2;
                let row = &rows[middle];
                let own = sequences.of(&self.visitor.instant(row.time), row.sequence)?;
                match own.is_some_and(|own| own < sequence) {
                    true => from = middle + 1,
                    false => to = middle,
                }
            }
            Ok::<_, DataFusionError>(from)
        };
        Ok(&rows[first_at(self.between.0)?..first_at(self.between.1)?])
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
    pub rows: Vec<AsideRow>,
    pub runs: Vec<Run>,
}

impl Rows {
    /// Rows like those of a run.
    pub fn add(&mut self, run: &Run, between: Between, rows: &[AsideRow]) {
        if !rows.is_empty() {
            let from = self.rows.len();
            self.rows.extend_from_slice(rows);
            self.runs.push(Run { from, to: self.rows.len(), between, ..*run });
        }
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<AsideRow>() + self.runs.capacity() * size_of::<Run>()
    }

    /// Says that rows are a person's, after those before them: they go on with the last run, or are another one.
    pub fn tell(&mut self, person: Person, visitor: Visitor, rows: Range<usize>, converting: Option<(i64, i64)>) {
        let (from, to) = (rows.start, rows.end);
        match self.runs.last_mut() {
            Some(run) if run.goes_on(from, person, visitor) => {
                run.to = to;
                run.converting = match (run.converting, converting) {
                    (Some((first, _)), Some((_, last))) => Some((first, last)),
                    (before, now) => before.or(now),
                };
            }
            _ => self.runs.push(Run { person, visitor, from, to, between: ANY, converting }),
        }
    }

    /// Ends the hits of an instant at which the person changes, those before the row `to`: a run for each whose they may be.
    pub fn end(&mut self, change: Option<Change>, to: usize) {
        let Some(Change { visitor, time, from, converts, persons }) = change else { return };
        let converting = converts.then_some((time, time));
        let runs = persons.into_iter().map(|(person, between)| Run { person, visitor, from, to, between, converting });
        self.runs.extend(runs);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(time: i64) -> AsideRow {
        let (after, offline, marks_visitor, in_marked_visit) = (false, false, false, false);
        let (sequence, value, item, group, visit) = (0, 0.0, 0, 0, 0);
        AsideRow { sequence, time, value, item, group, visit, after, offline, marks_visitor, in_marked_visit }
    }

    #[test]
    fn rows_of_some_times_are_found() {
        let times = [1, 3, 3, 4, 7];
        for some in (0..=times.len()).map(|some| &times[..some]) {
            let rows: Vec<AsideRow> = some.iter().copied().map(row).collect();
            for (from, to) in (0..9).flat_map(|from| (from..9).map(move |to| (from, to))) {
                let found: Vec<i64> = within(&rows, &(from..=to)).iter().map(|row| row.time).collect();
                let expected: Vec<i64> = some.iter().copied().filter(|time| (from..=to).contains(time)).collect();
                assert_eq!(found, expected, "{from} {to}");
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
    }
}
