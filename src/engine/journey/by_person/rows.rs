//! Rows that were set aside, and whose they are: a person's rows of a visitor are runs.

use std::ops::RangeInclusive;

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

/// Of rows in order those of some times, microseconds.
pub(super) fn within<'r>(rows: &'r [AsideRow], times: &RangeInclusive<i64>) -> &'r [AsideRow] {
    let from = rows.partition_point(|row| row.time < *times.start());
    &rows[from..from + rows[from..].partition_point(|row| row.time <= *times.end())]
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

    /// Ends the hits of an instant at which the person changes: a run for each whose they may be.
    pub fn end(&mut self, change: Option<Change>) {
        let Some(Change { visitor, time, from, converts, persons }) = change else { return };
        let (to, converting) = (self.rows.len(), converts.then_some((time, time)));
        let runs = persons.into_iter().map(|(person, between)| Run { person, visitor, from, to, between, converting });
        self.runs.extend(runs);
    }
}
