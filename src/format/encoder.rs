//! What encoders have in common: batches of one result in, bytes out, and how they look.

use arrow::array::RecordBatch;

use crate::Result;

/// Takes the batches of one result.
pub trait Encoder: Send {
    /// Writes rows, or keeps them for a moment.
    fn rows(&mut self, batch: &RecordBatch) -> Result<()>;
    /// Writes what was kept, and the end.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// How and where text is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextStyle {
    /// Columns of the terminal; None when the output is none.
    pub terminal: Option<usize>,
    /// Colours are welcome.
    pub colour: bool,
    /// One line a column instead of one line a row (tables only).
    pub expanded: Expanded,
    /// How a missing value is shown in a table; `NULL` by default.
    pub null: Option<&'static str>,
}

/// When a row is shown as one line a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expanded {
    #[default]
    Off,
    On,
    /// Where the columns do not fit the terminal.
    Auto,
    /// Where they do not fit even with their texts cut; what a terminal begins with.
    Needed,
}
