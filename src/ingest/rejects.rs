//! Rows that were not loaded, and why: collected while an input is read, then one file of the table `rejects`.
//!
//! In: file, line, column, reason and text of bad rows. Invariants: the count is exact; memory is bounded, so that beyond
//! `KEPT_BYTES` only the number of further rows is kept, in a last row that says so.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::key::Key;
use crate::Result;
use crate::feed::RowIssue;
use crate::lake::Lake;
use crate::lake::tables::REJECTS;
use crate::lake::write::{Written, write_plain};

/// Bytes of rejects of one input that are kept; about a hundred thousand rows.
const KEPT_BYTES: usize = 64 << 20;

/// Rows of one batch of the table.
const BATCH_ROWS: usize = 8192;

/// The rejects of one input.
#[derive(Debug, Default)]
pub struct Rejects {
    kept: Vec<RowIssue>,
    kept_bytes: usize,
    count: u64,
}

impl Rejects {
    /// Notes a bad row.
    pub fn push(&mut self, issue: RowIssue) {
        self.count += 1;
        if self.kept_bytes < KEPT_BYTES {
            self.kept_bytes += size_of::<RowIssue>() + issue.column.len() + issue.reason.len() + issue.text.len();
            self.kept.push(issue);
        }
    }

    /// How many rows were rejected.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Bytes of those that are kept.
    pub fn bytes(&self) -> usize {
        self.kept_bytes
    }

    /// The first few, for a message.
    pub fn first(&self) -> Vec<RowIssue> {
        self.kept.iter().take(5).cloned().collect()
    }

    /// Writes them, uncommitted.
    pub async fn write(self, lake: &Lake, key: &Key, content: &str) -> Result<Written> {
        let Self { mut kept, count, .. } = self;
        if count > kept.len() as u64 {
            let reason = format!("{} more rows were rejected", count - kept.len() as u64);
            kept.push(RowIssue { line: 0, column: String::new(), reason, text: String::new() });
        }
        let batches = kept.chunks(BATCH_ROWS).map(|rows| batch(key, rows)).collect::<Result<Vec<_>>>()?;
        drop(kept);
        let file = write_plain(lake, REJECTS, &batches, key.tags(content, &key.source, None)).await?;
        let columns = schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        Ok(Written { rows: file.as_ref().map_or(0, |f| f.rows), files: file.into_iter().collect(), columns })
    }
}

fn schema() -> Schema {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let line = Field::new("line", DataType::Int64, true);
    Schema::new(vec![text("suite"), text("source"), text("file"), line, text("column"), text("reason"), text("text")])
}

fn batch(key: &Key, rows: &[RowIssue]) -> Result<RecordBatch> {
    let constant =
        |text: &str| Arc::new(StringArray::from(vec![Some(text).filter(|t| !t.is_empty()); rows.len()])) as ArrayRef;
    let column = |text: fn(&RowIssue) -> &str| {
        Arc::new(rows.iter().map(|r| Some(text(r)).filter(|t| !t.is_empty())).collect::<StringArray>()) as ArrayRef
    };
    let line = rows.iter().map(|r| (r.line > 0).then_some(r.line as i64)).collect::<Int64Array>();
    let columns = vec![
        constant(&key.suite),
        constant(&key.source),
        constant(&key.file),
        Arc::new(line),
        column(|r| &r.column),
        column(|r| &r.reason),
        column(|r| &r.text),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema()), columns)?)
}
