//! One sorted input of the walk: the batch at hand and the row that comes next.

use arrow::array::RecordBatch;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use super::JourneySpec;
use super::columns::Columns;
use super::exec::Lane as Kind;
use super::items::Codes;

/// A row's place among the rows of its visitor: time, online before offline, sequence.
pub(super) type Place = (i64, bool, i128);

/// A stream of rows, sorted by visitor and time, at one of its rows.
pub(super) struct Lane {
    stream: Option<SendableRecordBatchStream>,
    kind: Kind,
    pub columns: Columns,
    pub row: usize,
    pub codes: (Codes, Codes),
    /// Rows of the batch on which the metric is not zero; those before `next_converting` have been passed.
    converting: Vec<u32>,
    next_converting: usize,
    batch_bytes: usize,
}

impl Lane {
    /// At the first row of a stream; None if it has no rows. `rows` counts what is read.
    pub async fn open(mut stream: SendableRecordBatchStream, kind: Kind, spec: &JourneySpec) -> Result<Option<Self>> {
        let Some(batch) = next_rows(&mut stream).await? else { return Ok(None) };
        let columns = kind.columns(&batch, spec)?;
        let mut lane = Self {
            stream: Some(stream),
            kind,
            columns,
            row: 0,
            codes: Default::default(),
            converting: vec![],
            next_converting: 0,
            batch_bytes: batch.get_array_memory_size(),
        };
        lane.turn_to_batch();
        Ok(Some(lane))
    }

    /// Reads the next batch when the one at hand has been passed; false at the end.
    pub async fn refill(&mut self, spec: &JourneySpec) -> Result<bool> {
        if self.row < self.columns.rows {
            return Ok(true);
        }
        let Some(stream) = &mut self.stream else { return Ok(false) };
        let Some(batch) = next_rows(stream).await? else {
            self.stream = None;
            return Ok(false);
        };
        self.columns = self.kind.columns(&batch, spec)?;
        self.batch_bytes = batch.get_array_memory_size();
        self.row = 0;
        self.turn_to_batch();
        Ok(true)
    }

    fn turn_to_batch(&mut self) {
        self.codes.0.turn_to(&self.columns.items);
        if let Some((_, set)) = &self.columns.set {
            self.codes.1.turn_to(set);
        }
        self.columns.converting(&mut self.converting);
        self.next_converting = 0;
    }

    /// The visitor key of the row at hand.
    pub fn key(&self) -> i64 {
        self.columns.keys[self.row]
    }

    /// The visitor id of the row at hand, if it has one.
    pub fn id(&self) -> Option<&str> {
        self.columns.ids.is_valid(self.row).then(|| self.columns.ids.value(self.row))
    }

    /// The place of a row of this batch.
    pub fn place(&self, row: usize) -> Place {
        (self.columns.times[row], !self.kind.is_online(), self.columns.sequence(row))
    }

    /// True if the metric is not zero on some row from the one at hand to before `end`.
    pub fn converts_before(&mut self, end: usize) -> bool {
        while self.converting.get(self.next_converting).is_some_and(|row| (*row as usize) < self.row) {
            self.next_converting += 1;
        }
        self.converting.get(self.next_converting).is_some_and(|row| (*row as usize) < end)
    }

    /// Bytes of the batch at hand and of what is remembered of its dictionary.
    pub fn memory_bytes(&self) -> usize {
        self.batch_bytes + self.codes.0.memory_bytes() + self.codes.1.memory_bytes() + self.converting.capacity() * 4
    }
}

async fn next_rows(stream: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>> {
    while let Some(batch) = stream.try_next().await? {
        if batch.num_rows() > 0 {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}
