//! What a kind of input knows of itself, for the one driver in [`super::run`].
//!
//! A kind is found by [`super::find`]; then it says whose it is and what its content is, gets ready, and decodes its
//! rows. To add one: a variant of [`super::find::InputType`], and these steps in a file of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use chrono::{DateTime, Utc};

use super::content::Content;
use super::decoding::PieceSender;
use super::exchange::Rates;
use super::offline_rows::Origin;
use super::options::IngestOptions;
use super::suites_and_sources::SuitesAndSources;
use crate::Result;
use crate::attribution::Persistence;
use crate::feed::RowIssue;
use crate::feed::records::SpareBytes;
use crate::lake::bindings::Bindings;
use crate::lake::records::{Source, Suite};

/// An input that is found: nothing of its rows is known. Its steps block.
pub trait InputKind: Send {
    /// Whose it is and what it is called in the file log.
    fn owner(&mut self, lake_has: &SuitesAndSources, options: &IngestOptions) -> Result<Owner>;

    /// What it is, as far as that is known before it is decoded.
    fn content(&mut self) -> Result<Content>;

    /// Reads what must be known before the first row: headers, columns, lookups.
    fn prepare(self: Box<Self>, context: &Context) -> Result<Prepared>;

    /// How many bytes of its files were read so far.
    fn counter(&self) -> Arc<AtomicU64>;
}

/// An input whose rows can be decoded.
pub trait InputRows: Send {
    /// The first row that cannot be taken, when there is one; asked where such a row stops the source.
    fn first_issue(&self) -> Result<Option<RowIssue>>;

    /// Decodes all rows.
    fn decode(self: Box<Self>, origin: &Arc<Origin>, pieces: &PieceSender) -> Result<()>;
}

/// Whose an input is.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The suite of all its rows.
    pub suite: Suite,
    /// Its data source; None for online input.
    pub source: Option<Source>,
    /// The input's format, as the file log calls it.
    pub format: &'static str,
    /// The dimensions that a snapshot takes, where its mapping says.
    pub snapshot: Option<String>,
    /// What its mapping binds to products: settings of the suite.
    pub bindings: Bindings,
    /// The dimensions that persist, where its mapping says.
    pub persistence: BTreeMap<String, Persistence>,
    /// The lookup table with the rates of currencies, where its mapping says.
    pub rates: Option<String>,
    /// Why it is not taken yet, where it says so itself.
    pub waits: Option<String>,
    /// It may need the headers of the suite's delivery before it.
    pub lacks_headers: bool,
}

/// What the driver tells an input that gets ready.
pub struct Context {
    /// Whose it is.
    pub owner: Owner,
    /// When it was received.
    pub received: DateTime<Utc>,
    /// The rates that [`Owner::rates`] asks for.
    pub rates: Option<Arc<Rates>>,
    /// Counts the bytes that are decoded, for progress.
    pub read: Arc<AtomicU64>,
    /// Memory that blocks of other feeds have left.
    pub spare: SpareBytes,
}

/// An input that is ready.
pub struct Prepared {
    /// Its rows.
    pub rows: Box<dyn InputRows>,
    /// How visits are known, as the tag of the files of `hits` says it; None where it has no hits.
    pub visits: Option<&'static str>,
    /// The source of the rows of `offline` that it has.
    pub offline_source: String,
}
