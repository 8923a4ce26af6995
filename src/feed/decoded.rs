//! What decoding a piece of an input gives: the rows, and the rows that were not taken.

use arrow::record_batch::RecordBatch;

use super::RowIssue;

/// Rows of one piece of an input. Each record of the piece is either in `batch` or in `issues`.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The rows that were taken, in the input's order.
    pub batch: RecordBatch,
    /// The rows that were rejected, in the input's order.
    pub issues: Vec<RowIssue>,
    /// Rows that were taken, but not all of them (transaction IDs beyond the first 100 bytes, numbers that are none).
    pub warnings: Vec<RowIssue>,
}

impl Decoded {
    /// Records that the piece held.
    pub fn records(&self) -> u64 {
        (self.batch.num_rows() + self.issues.len()) as u64
    }
}
