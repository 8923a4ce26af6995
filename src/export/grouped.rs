//! Rows of a query that come in the order of ids, those that are called alike together.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use crate::Result;

/// Reads batches into rows, and gives the rows of one key at a time.
pub struct Grouped<T> {
    batches: SendableRecordBatchStream,
    read: fn(&RecordBatch) -> Result<Vec<T>>,
    key: fn(&T) -> &str,
    ahead: VecDeque<T>,
}

impl<T> Grouped<T> {
    /// Of batches in the order of `key`.
    pub fn new(
        batches: SendableRecordBatchStream,
        read: fn(&RecordBatch) -> Result<Vec<T>>,
        key: fn(&T) -> &str,
    ) -> Self {
        Self { batches, read, key, ahead: VecDeque::new() }
    }

    /// The rows of the next key; None after the last.
    pub async fn next(&mut self) -> Result<Option<Vec<T>>> {
        let mut group: Vec<T> = vec![];
        loop {
            while let Some(row) = self.ahead.pop_front() {
                if group.first().is_some_and(|first| (self.key)(first) != (self.key)(&row)) {
                    self.ahead.push_front(row);
                    return Ok(Some(group));
                }
                group.push(row);
            }
            match self.batches.try_next().await? {
                Some(batch) => self.ahead.extend((self.read)(&batch)?),
                None => return Ok((!group.is_empty()).then_some(group)),
            }
        }
    }
}
