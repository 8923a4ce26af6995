//! One sorted input of a traversal: the batch at hand and the row that comes next.

use std::cmp::Reverse;

use arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use super::columns::Columns;
use super::counted::CountedRows;
use super::input::InputColumns;
use super::items::Codes;
use super::terms::DictionaryAnswers;
use super::visitors::{RelevantRows, Visitors};

/// A row's place among the rows of its visitor: time, what stands at a hit before other offline rows, sequence, online before
/// offline, what is left of the hit id.
pub(super) type RowPlace = (i64, bool, i128, bool, Option<i64>);

/// A stream of rows, sorted by visitor and time, at one of its rows.
pub(super) struct Lane {
    stream: Option<SendableRecordBatchStream>,
    kind: InputColumns,
    known: DictionaryAnswers,
    pub columns: Columns,
    pub row: usize,
    pub codes: (Codes, Codes),
    /// Rows of the batch on which the metric is not zero, or that matter otherwise; those before `next_converting` have been passed.
    converting: Vec<u32>,
    next_converting: usize,
    batch_bytes: usize,
    lacks_visitors: bool,
}

impl Lane {
    /// At the first row of a stream, whose first batch has rows.
    pub fn new<V: Visitors>(
        stream: SendableRecordBatchStream,
        kind: InputColumns,
        batch: &RecordBatch,
        visitors: &V,
    ) -> Result<Self> {
        let mut known = DictionaryAnswers::default();
        let columns = visitors.columns(&kind, batch, &mut known)?;
        let codes = (Codes::of_classes(kind.classes()), Codes::of_classes(kind.classes()));
        let mut lane = Self {
            stream: Some(stream),
            kind,
            known,
            columns,
            row: 0,
            codes,
            converting: vec![],
            next_converting: 0,
            batch_bytes: batch.get_array_memory_size(),
            lacks_visitors: false,
        };
        lane.inspect_batch(visitors);
        Ok(lane)
    }

    /// The next batch of the stream; None at its end.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        let batch = next_batch(stream).await?;
        if batch.is_none() {
            self.stream = None;
        }
        Ok(batch)
    }

    /// Turns to the next batch.
    pub fn turn_to<V: Visitors>(&mut self, batch: &RecordBatch, visitors: &V) -> Result<()> {
        self.columns = visitors.columns(&self.kind, batch, &mut self.known)?;
        self.batch_bytes = batch.get_array_memory_size();
        self.row = 0;
        self.inspect_batch(visitors);
        Ok(())
    }

    fn inspect_batch<V: Visitors>(&mut self, visitors: &V) {
        self.codes.0.turn_to(&self.columns.items);
        if let Some((_, set)) = &self.columns.set {
            self.codes.1.turn_to(set);
        }
        self.lacks_visitors |= self.columns.ids.as_ref().is_some_and(|ids| !ids.all_valid());
        self.columns.converting(&mut self.converting);
        visitors.add_set_aside(&self.columns, &mut self.converting);
        self.next_converting = 0;
    }

    /// The visitor key of the row at hand.
    pub fn key(&self) -> i64 {
        self.columns.keys[self.row]
    }

    /// The visitor id of the row at hand, if it has one and ids are read.
    pub fn id(&self) -> Option<&str> {
        self.columns.ids.as_ref().filter(|ids| ids.is_valid(self.row)).map(|ids| ids.value(self.row))
    }

    /// True where ids are read; where they are not, a key is one visitor.
    pub fn reads_ids(&self) -> bool {
        self.columns.ids.is_some()
    }

    /// True when the row at hand is of the visitor with this key and id.
    pub fn is_at(&self, key: i64, id: Option<&str>) -> bool {
        self.key() == key && (!self.reads_ids() || self.id() == id)
    }

    /// True when the rows at hand of two lanes, which have one key, are of one visitor.
    pub fn same_visitor(&self, other: &Self) -> bool {
        !self.reads_ids() || !other.reads_ids() || self.id() == other.id()
    }

    /// True for a lane of hits that has met some without a visitor.
    pub fn lacks_visitors(&self) -> bool {
        self.lacks_visitors && self.kind.is_online()
    }

    /// The place of a row of this batch.
    pub fn place(&self, row: usize) -> RowPlace {
        let offline = !self.kind.is_online();
        let after = offline && !self.columns.stands_at_hit(row);
        (self.columns.time(row), after, self.columns.sequence(row), offline, self.columns.hit_rest(row))
    }

    /// Which row of one place comes first: of one hit that of the last file.
    pub fn turn(&self, row: usize) -> Reverse<Option<&str>> {
        Reverse(self.columns.hit_rest(row).and_then(|_| self.columns.file(row)))
    }

    /// The first row of this batch, from the one at hand on, where the metric is not zero.
    fn next_converting(&mut self) -> Option<usize> {
        while self.converting.get(self.next_converting).is_some_and(|row| (*row as usize) < self.row) {
            self.next_converting += 1;
        }
        self.converting.get(self.next_converting).map(|row| *row as usize)
    }

    /// True if the metric is not zero on some row from the one at hand to before `end`.
    pub fn converts_before(&mut self, end: usize) -> bool {
        self.next_converting().is_some_and(|row| row < end)
    }

    /// The first and the last row, from the one at hand to before `end`, where the metric is not zero.
    pub fn converting_before(&self, end: usize) -> Option<(usize, usize)> {
        let left = self.converting[self.next_converting..].iter().map(|row| *row as usize);
        let mut own = left.skip_while(|row| *row < self.row).take_while(|row| *row < end);
        let first = own.next()?;
        Some((first, own.last().unwrap_or(first)))
    }

    /// Passes over rows of the visitor at hand, which are those before `end`, that are too old to matter; where those that do end.
    pub fn narrow(&mut self, end: usize, matter: RelevantRows) -> usize {
        let RelevantRows::UpToConversions { lookback_us } = matter else { return end };
        let Some((first, last)) = self.converting_before(end) else { return end };
        if let Some(lookback_us) = lookback_us {
            self.pass_older(first, self.columns.time(first).saturating_sub(lookback_us));
        }
        last + 1
    }

    /// Passes over those rows before `end`, which are of the visitor at hand, that are older than `oldest` microseconds, unless later
    /// rows would miss them.
    pub fn pass_older(&mut self, end: usize, oldest: i64) {
        if !CountedRows::needs_all(&self.columns) {
            self.row = self.columns.first_since(self.row..end, oldest);
        }
    }

    /// True where no row of the batch converts or has an item, and no later row would miss it.
    pub fn says_nothing(&self) -> bool {
        self.converting.is_empty() && !self.columns.have_items() && !CountedRows::needs_all(&self.columns)
    }

    /// Passes over all rows of the batch.
    pub fn pass_batch(&mut self) {
        self.row = self.columns.rows;
    }

    /// The key at hand, and the first from there on that may matter: where visitors are passed over, that of the next row that
    /// converts, or of the last row of the batch, whose visitor may go on in the next one. The row at hand is in the batch.
    pub fn head(&mut self, passes: bool) -> (i64, i64) {
        let next = match passes {
            true => self.next_converting().unwrap_or(self.columns.rows - 1),
            false => self.row,
        };
        (self.key(), self.columns.keys[next])
    }

    /// Passes over the rows before the first of `key`, which the batch has.
    pub fn pass_to(&mut self, key: i64) {
        self.row = first_from(&self.columns.keys, self.row, key);
    }

    /// Where the rows before the key `until` end in this batch; those from the one at hand on.
    pub fn end_before(&self, until: Option<i64>) -> usize {
        until.map_or(self.columns.rows, |key| first_from(&self.columns.keys, self.row, key))
    }

    /// Passes over the visitors before `end` that are seen to convert nowhere. The row at hand is a visitor's first, and so is
    /// that at `end`. What is left is of a visitor that converts, or that may go on in the next batch.
    pub fn pass(&mut self, end: usize) {
        let converting = self.next_converting();
        let keys = &self.columns.keys;
        self.row = match converting.filter(|row| *row < end) {
            Some(row) => first_of_visitor(keys, self.row, row),
            None if end < keys.len() => end,
            None => first_of_visitor(keys, self.row, end - 1),
        };
    }

    /// Bytes of the batch at hand and of what is remembered of its dictionary.
    pub fn memory_bytes(&self) -> usize {
        let codes = self.codes.0.memory_bytes() + self.codes.1.memory_bytes();
        self.batch_bytes + codes + self.known.memory_bytes() + self.converting.capacity() * 4
    }
}

/// The first of the rising `keys` from `row` on that is not below `key`; it is looked for nearby first.
pub(super) fn first_from(keys: &[i64], row: usize, key: i64) -> usize {
    let (mut from, mut step) = (row, 1);
    while from + step < keys.len() && keys[from + step] < key {
        from += step;
        step *= 2;
    }
    let to = keys.len().min(from + step);
    from + keys[from..to].partition_point(|other| *other < key)
}

/// The first row, not before `least`, that has the key of `row`.
fn first_of_visitor(keys: &[i64], least: usize, row: usize) -> usize {
    let mut first = row;
    while first > least && keys[first - 1] == keys[row] {
        first -= 1;
    }
    first
}

/// The next batch of a stream that has rows; None at its end.
pub(super) async fn next_batch(stream: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>> {
    while let Some(batch) = stream.try_next().await? {
        if batch.num_rows() > 0 {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}
