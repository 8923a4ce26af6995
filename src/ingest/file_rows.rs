//! Rows of a file, a batch at a time, with where each stands in it.

use std::ops::ControlFlow;

use arrow::array::RecordBatch;

use crate::Result;
use crate::feed::RowIssue;

/// Rows of a batch.
pub const BATCH_ROWS: usize = 8192;

/// Some rows of a file.
pub struct FileRows {
    /// The columns that were asked for.
    pub batch: RecordBatch,
    /// The line of each row, or its number where the format has no lines.
    pub lines: Vec<u64>,
    /// Rows that are none.
    pub issues: Vec<RowIssue>,
}

/// Takes some rows, and says whether it wants more.
pub type Visit<'a> = &'a mut dyn FnMut(FileRows) -> Result<ControlFlow<()>>;
