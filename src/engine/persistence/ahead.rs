//! The values of `first_known` and `last_known`: those of a whole visit or visitor, which later rows decide.

use std::collections::HashMap;

use super::carry::Row;
use crate::attribution::{Allocation, Expiry, Persistence};

/// A row that set a value: number of its batch, and of the row in it.
type RowInBatch = (usize, usize);

/// What the spans of some whole visitors hold.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    /// The span of each row, in the order of the rows; None where a row is in none.
    spans: Vec<Option<usize>>,
    /// The row that decides each span.
    values: Vec<Option<RowInBatch>>,
    /// The spans of the visitor at hand.
    own: HashMap<Option<(i64, i64)>, usize>,
    last: Option<(Option<(i64, i64)>, usize)>,
    /// How many rows have been given their values.
    given: usize,
}

impl Ahead {
    /// Forgets all visitors.
    pub fn clear(&mut self) {
        self.spans.clear();
        self.values.clear();
        self.next_visitor();
        self.given = 0;
    }

    /// The rows that follow are of another visitor.
    pub fn next_visitor(&mut self) {
        self.own.clear();
        self.last = None;
    }

    /// Takes note of the next row; None is one that neither sets nor gets a value.
    pub fn see(&mut self, rule: &Persistence, row: Option<&Row<'_>>, place: RowInBatch) {
        let Some(row) = row else { return self.spans.push(None) };
        let span = match (&rule.expiry, row.visit) {
            // a row of no visit is alone
            (Expiry::Visit, None) => self.new_span(),
            (Expiry::Visit, visit) => self.span_of(visit),
            _ => self.span_of(None),
        };
        self.spans.push(Some(span));
        if row.set.is_some() && (rule.allocation == Allocation::LastKnown || self.values[span].is_none()) {
            self.values[span] = Some(place);
        }
    }

    /// The row whose value the next row has.
    pub fn next(&mut self) -> Option<RowInBatch> {
        let span = self.spans.get(self.given).copied().flatten();
        self.given += 1;
        self.values[span?]
    }

    fn new_span(&mut self) -> usize {
        self.values.push(None);
        self.values.len() - 1
    }

    fn span_of(&mut self, key: Option<(i64, i64)>) -> usize {
        if let Some((last, span)) = self.last
            && last == key
        {
            return span;
        }
        let span = match self.own.get(&key) {
            Some(span) => *span,
            None => {
                let span = self.new_span();
                self.own.insert(key, span);
                span
            }
        };
        self.last = Some((key, span));
        span
    }
}
