//! Output as the shell needs it: results in a format that can be changed, to a place that can be changed.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::execution::SendableRecordBatchStream;

use crate::Result;

/// Prints results and texts.
#[async_trait]
pub trait Printer: Send {
    /// A result while it is computed; the number of its rows. Dropping the future leaves the rest unprinted.
    async fn print(&mut self, schema: &SchemaRef, rows: SendableRecordBatchStream) -> Result<u64>;
    /// A small listing, as a table whatever the format.
    fn table(&mut self, batch: &RecordBatch) -> Result<()>;
    /// A line for a person.
    fn text(&mut self, text: &str) -> Result<()>;
    /// Chooses the format of the results to come, by name.
    fn set_format(&mut self, name: &str) -> Result<()>;
    /// Sends the results to come to a file, which is complete at the next call; None is stdout.
    fn set_file(&mut self, path: Option<&Path>) -> Result<()>;
    /// Turns the display of one line a column on or off; true when on.
    fn toggle_expanded(&mut self) -> bool;
    /// Completes what is open.
    fn finish(&mut self) -> Result<()>;
}
