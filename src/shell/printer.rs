//! Output as the shell needs it: results in a format that can be changed, to a place that can be changed.

use std::path::Path;

use arrow::array::RecordBatch;
use async_trait::async_trait;

use crate::Result;
use crate::engine::Running;
use crate::format::Expanded;

/// Prints results and texts.
#[async_trait]
pub trait Printer: Send {
    /// A result while it is computed; the number of its rows. Dropping the future leaves the rest unprinted.
    async fn print(&mut self, running: Running) -> Result<u64>;
    /// A small listing, as a table whatever the format.
    fn table(&mut self, batch: &RecordBatch) -> Result<()>;
    /// A line for a person.
    fn text(&mut self, text: &str) -> Result<()>;
    /// Chooses the format of the results to come, by name.
    fn set_format(&mut self, name: &str) -> Result<()>;
    /// Sends the results to come to a file, which is complete at the next call; None is stdout.
    fn set_file(&mut self, path: Option<&Path>) -> Result<()>;
    /// When results to come are shown as one line a column; None turns it on or off. What holds then.
    fn set_expanded(&mut self, expanded: Option<Expanded>) -> Expanded;
    /// How a missing value is shown in tables.
    fn set_null(&mut self, null: &str);
    /// Whether results to come go through a pager; None turns it on or off. What holds then.
    fn set_pager(&mut self, on: Option<bool>) -> bool;
    /// Completes what is open.
    fn finish(&mut self) -> Result<()>;
}
