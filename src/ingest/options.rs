//! What a user asks of a load.

use std::path::PathBuf;

/// What a user asked for.
#[derive(Clone, Debug)]
pub struct IngestOptions {
    /// Suite, where neither name nor mapping says it.
    pub suite: Option<String>,
    /// Data source, where neither name nor mapping says it.
    pub source: Option<String>,
    /// Mapping files for Parquet, delimited texts and JSON lines.
    pub mappings: Vec<PathBuf>,
    /// Only report; nothing is written.
    pub validate: bool,
    /// Replace a load of the same name.
    pub replace: bool,
    /// Load bytes again that are loaded already under another name or source.
    pub again: bool,
    /// The files are copies that go away afterwards: one that stops its source is not set aside.
    pub copies: bool,
    /// Memory of a load as a whole; a quarter of it is for sorting, and what does not fit there spills to disk.
    pub memory_bytes: usize,
}

impl Default for IngestOptions {
    fn default() -> Self {
        Self {
            suite: None,
            source: None,
            mappings: vec![],
            validate: false,
            replace: false,
            again: false,
            copies: false,
            memory_bytes: 1 << 30,
        }
    }
}
