//! What a traversal hands its rows to: the rows of one visitor after another.

use std::ops::Range;

use arrow::array::RecordBatch;
use datafusion::error::Result;

use super::columns::Columns;
use super::input::InputColumns;
use super::items::Codes;
use super::terms::DictionaryAnswers;

/// Which rows of a visitor who converts matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RelevantRows {
    /// All of them.
    All,
    /// Those that convert or have an item, up to the last that converts; of those before the first, with a lookback (microseconds),
    /// the ones that it reaches.
    UpToConversions { lookback_us: Option<i64> },
}

/// What is done with the rows of one visitor after another.
pub(super) trait Visitors: Send {
    /// True where what is found is handed on while a bucket is read, and not only between two.
    const HANDS_ON: bool = false;

    /// The typed columns of a batch of an input; what predicates say of its dictionaries is `known` from batch to batch.
    fn columns(&self, kind: &InputColumns, batch: &RecordBatch, known: &mut DictionaryAnswers) -> Result<Columns>;

    /// True where visitors without a row that converts matter, too.
    fn all_matter(&self) -> bool {
        false
    }

    /// Which rows of a visitor who converts must be handed over; others may be, too.
    fn rows_that_matter(&self) -> RelevantRows {
        RelevantRows::All
    }

    /// The same of the visitor with a key.
    fn rows_that_matter_of(&mut self, _key: i64) -> RelevantRows {
        self.rows_that_matter()
    }

    /// Adds rows that matter though they do not convert to those that do; both in order.
    fn add_set_aside(&self, _columns: &Columns, _rows: &mut Vec<u32>) {}

    /// Takes rows of the visitor at hand, in order.
    fn rows(&mut self, columns: &Columns, codes: &mut (Codes, Codes), range: Range<usize>);

    /// Turns to the next visitor: all rows of the one at hand are there.
    fn close_visitor(&mut self);

    /// What was found, a batch at a time, between two buckets or at the end; None where nothing is left, or not enough yet.
    fn found(&mut self, at_end: bool) -> Result<Option<RecordBatch>>;

    /// The next batch of what is found, once a visitor was closed; None where nothing more is left of it, or not enough yet.
    fn hand_on(&mut self) -> Result<Option<RecordBatch>> {
        Ok(None)
    }

    /// True where so much was found that it had better leave before the end.
    fn found_much(&self) -> bool {
        false
    }

    /// Writes what can wait to disk; false where nothing can.
    fn spill(&mut self) -> Result<bool> {
        Ok(false)
    }

    /// Bytes that are allocated, about.
    fn memory_bytes(&self) -> usize;
}
