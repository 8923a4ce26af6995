//! Which rows of the visitor at hand count, and in which of its visits each is.

use std::collections::HashSet;

use arrow::array::Array;

use super::columns::{Columns, Visits};
use crate::attribution::NO_VISIT;
use crate::columns::is_keyed;
use crate::engine::visits::{Rising, VisitCounter};

/// Which rows of the visitor at hand count.
#[derive(Default)]
pub(super) struct CountedRows {
    /// Time, sequence and rest of the hit that was taken last, where hits may be there twice.
    last_hit: Option<(i64, i128, i64)>,
    /// The keys of the hits so far, where hits may be there twice.
    keys: HashSet<(i128, i64)>,
    pub visits: VisitOrdinals,
}

impl CountedRows {
    /// The number of the visit of a row, 0 where visits are not asked for; None for a row that does not count: of another
    /// suite, without a visitor, not reported, or a hit that was there before.
    #[inline]
    pub fn visit_of(&mut self, columns: &Columns, row: usize) -> Option<u32> {
        // mostly all rows count, and visits are not asked for
        let all_count = columns.all_take_part() && !columns.may_repeat();
        match all_count && matches!(columns.visits, Visits::Untold) {
            true => Some(0),
            false => self.looked_at(columns, row),
        }
    }

    fn looked_at(&mut self, columns: &Columns, row: usize) -> Option<u32> {
        let all_take_part = columns.all_take_part();
        if !all_take_part && !columns.is_of_suite(row) {
            return None;
        }
        let time = columns.time(row);
        if columns.may_repeat()
            && let Some(rest) = columns.hit_rest(row)
        {
            let hit = (time, columns.sequence(row), rest);
            let repeats = match is_keyed(rest) {
                true => !self.keys.insert((columns.sequence(row), rest)),
                false => self.last_hit.replace(hit) == Some(hit),
            };
            if repeats {
                return None;
            }
        }
        // a visit is made of all hits, reported or not
        let visit = match columns.visits {
            Visits::Untold => 0,
            _ => self.visits.of(&columns.visits, time, row),
        };
        (all_take_part || columns.is_reported(row)).then_some(visit)
    }

    /// True where a row that is passed over would be missed by others: by a hit that was there before, or by the visits where these
    /// are computed.
    pub fn needs_all(columns: &Columns) -> bool {
        let tells_visits = match &columns.visits {
            Visits::Untold | Visits::Never | Visits::Given(..) => true,
            Visits::Stored { start, .. } => start.as_ref().is_some_and(|start| start.null_count() == 0),
        };
        columns.may_repeat() || !tells_visits
    }

    /// Turns to the next visitor.
    pub fn clear(&mut self) {
        self.last_hit = None;
        self.keys.clear();
        self.visits.clear();
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        self.keys.capacity() * 32 + self.visits.met.capacity() * 16
    }
}

/// The visits of one visitor by number.
#[derive(Default)]
pub(super) struct VisitOrdinals {
    counter: VisitCounter,
    ordinals: Rising<(i64, i64), u32>,
    /// Number and start of each, by ordinal.
    met: Vec<(i64, i64)>,
    /// A visit that is identified by its number alone, for the rows after it.
    numbered: Option<(i64, u32)>,
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
        let Self { ordinals, met, .. } = self;
        ordinals.get_or_insert(visit, |before| {
            met.push(visit);
            before as u32
        })
    }

    /// Number and start of a visit, where visits are distinguished.
    pub(super) fn visit(&self, ordinal: u32) -> Option<(i64, i64)> {
        self.met.get(ordinal as usize).copied()
    }

    pub(super) fn clear(&mut self) {
        self.numbered = None;
        self.ordinals.clear();
        self.met.clear();
        self.counter.clear();
    }
}
