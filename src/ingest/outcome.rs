//! What is reported of a load: while it runs, and what became of each input.

use std::path::PathBuf;

use super::preview::Preview;
use crate::Error;
use crate::feed::RowIssue;
use crate::lake::records::FileEntry;

/// What an [`ingest`](super::ingest) tells while it runs.
#[derive(Clone, Debug)]
pub enum Progress {
    /// So many files of searched folders are no input.
    Ignored(usize),
    /// A mapping says which files are its own, and none of what was given is: which one, and what to do.
    Idle(String),
    /// An input begins, of so many bytes to read in all passes.
    Start {
        /// Its name in the file log.
        file: String,
        /// Bytes to be read.
        bytes: u64,
    },
    /// So many of its bytes are read.
    Bytes(u64),
    /// It is read, or cannot be. The next one may begin while it is written.
    Read,
    /// The commits of inputs that were read begin: an ingest that is dropped now leaves them as a crash does, to be finished by the
    /// next one.
    Committing,
    /// They are over.
    Committed,
}

/// What became of one input.
#[derive(Debug)]
pub struct Outcome {
    /// Its row of the file log (as far as it is known, where nothing was logged).
    pub entry: FileEntry,
    /// The file that stands for it; in a bucket, its URL.
    pub path: PathBuf,
    /// What happened.
    pub status: Status,
    /// The first few rejected rows.
    pub rejects: Vec<RowIssue>,
    /// The first few warnings.
    pub warnings: Vec<RowIssue>,
    /// What would be loaded, where it was only validated.
    pub preview: Option<Preview>,
    /// How many bytes of its files were read; less than their size where nothing of it was needed.
    pub bytes_read: u64,
}

/// What happened to an input.
#[derive(Debug)]
pub enum Status {
    /// It is loaded.
    Loaded,
    /// It was loaded before; nothing was done.
    Unchanged,
    /// Its bytes are loaded already under another name; nothing was done. The text says which one, and what to do.
    Copy(String),
    /// It is loaded in place of its former content.
    Replaced,
    /// It could be loaded; nothing was written.
    Validated,
    /// It is not complete, or its source is stopped.
    Waiting(String),
    /// It was not loaded. The error's kind says whether the input, a setting, a former load or the store is to blame.
    Refused(Error),
}
