//! Rows flow from an input into sorted files: one thread reads, others decode what it has read, in turn it is sorted.
//!
//! In: a function that reads an input and says how each piece of it is decoded. Out: its rows, held, which can then be
//! written to files that are not committed, alone or together with those of other inputs; and the rows that were not taken, all in
//! the input's order. A few pieces are in memory at once, as many as there are threads and memory is for; an error on either side
//! stops the other and leaves no file.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Field;
use datafusion::execution::TaskContext;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::lookups::Lookups;
use super::preview::Preview;
use super::rejects::Rejects;
use crate::feed::RowIssue;
use crate::feed::product_list::Evars;
use crate::feed::touches::TouchSource;
use crate::lake::Lake;
use crate::lake::rough_order::in_rough_order;
use crate::lake::tables::{HITS, OFFLINE};
use crate::lake::write::{SortedWriter, Written, discard_uncommitted, sort_context};
use crate::{Error, Result};

/// Warnings that are shown; the others are counted.
const FIRST_WARNINGS: usize = 5;

/// What a piece takes on its way: its text, and the rows that come of it, some MiB each.
const PIECE_BYTES: usize = 16 << 20;

/// Some decoded rows of an input.
#[derive(Default)]
pub struct Piece {
    /// Rows of `hits`.
    pub hits: Option<RecordBatch>,
    /// Rows of `offline`.
    pub offline: Option<RecordBatch>,
    /// Rows that were not taken.
    pub issues: Vec<RowIssue>,
    /// Rows of which something was left out.
    pub warnings: Vec<RowIssue>,
    /// Rows on which raw columns would tell other touches than instances do.
    pub disagreeing: u64,
    /// What says where values were set, where the input can say it.
    pub touches: Option<TouchSource>,
    /// The dimensions that a data feed has with processed values, comma separated.
    pub processed: Option<String>,
    /// The headers of a data feed, where they are not the last ones that its suite knows.
    pub headers: Option<String>,
    /// Lookup tables that the input brings.
    pub lookups: Lookups,
    /// What the input holds unpacked, where only its rows' reader learns it.
    pub unpacked: Option<String>,
    /// The eVars whose instances product lines of a feed bear.
    pub binding_instances: Evars,
    /// True where all pieces before this one were wrong: the input is read once more.
    pub start_over: bool,
}

impl Piece {
    /// As its rows are kept until they are sorted: in a rough order, and without the memory that columns have in reserve from their
    /// making, for many batches wait.
    fn ready_to_sort(self) -> Result<Self> {
        let kept = |batch: RecordBatch| {
            let (schema, mut columns, rows) = in_rough_order(&batch)?.unwrap_or(batch).into_parts();
            columns.iter_mut().for_each(|column| column.shrink_to_fit());
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            Ok::<_, Error>(RecordBatch::try_new_with_options(schema, columns, &options)?)
        };
        let (hits, offline) = (self.hits.map(kept).transpose()?, self.offline.map(kept).transpose()?);
        Ok(Self { hits, offline, ..self })
    }
}

/// Where the reader of an input puts its pieces.
pub struct PieceSender {
    pieces: mpsc::Sender<JoinHandle<Result<Piece>>>,
    runtime: Handle,
    /// True where rows are written; else they are shown, in the order that they have.
    writes: bool,
}

impl PieceSender {
    /// Has a piece decoded on another thread; pieces are taken in the order in which they were sent. Waits while all
    /// threads are busy. Fails when the writers have stopped, whose error is then returned.
    pub fn send(&self, decode: impl FnOnce() -> Result<Piece> + Send + 'static) -> Result<()> {
        // the place comes before the work, which bounds the pieces that are in memory
        let place = self.runtime.block_on(self.pieces.reserve());
        let place = place.map_err(|_| Error::bug("the writers stopped before their input ended"))?;
        let writes = self.writes;
        place.send(self.runtime.spawn_blocking(move || {
            let piece = decode()?;
            if writes { piece.ready_to_sort() } else { Ok(piece) }
        }));
        Ok(())
    }
}

/// Where rows go.
pub struct Destination {
    /// The lake.
    pub lake: Lake,
    /// False to count only.
    pub write: bool,
    /// Memory of all sorts.
    pub memory_bytes: usize,
    /// Tags of files of `hits`.
    pub hits_tags: HashMap<String, String>,
    /// Tags of files of `offline`.
    pub offline_tags: HashMap<String, String>,
}

/// The files of a load's rows, or of those of several.
#[derive(Default)]
pub struct LoadFiles {
    /// Files of `hits`.
    pub hits: Written,
    /// Files of `offline`.
    pub offline: Written,
}

/// What came out beside the rows.
#[derive(Default)]
pub struct Decoded {
    /// Rows for both tables.
    pub rows: u64,
    /// Rows that were not taken.
    pub rejects: Rejects,
    /// How many rows lost a part.
    pub warnings: u64,
    /// The first few of them.
    pub first_warnings: Vec<RowIssue>,
    /// What would be written, where nothing is.
    pub preview: Preview,
    /// Lookup tables.
    pub lookups: Lookups,
    /// Rows on which raw columns would tell other touches than instances do.
    pub disagreeing: u64,
    /// What says where values were set, where the input can say it.
    pub touches: Option<TouchSource>,
    /// The eVars whose instances product lines of a feed bear.
    pub binding_instances: Evars,
    /// The dimensions that a data feed has with processed values, comma separated.
    pub processed: Option<String>,
    /// The headers of a data feed, where they are not the last ones that its suite knows.
    pub headers: Option<String>,
    /// What the input holds unpacked, where only its rows' reader learns it.
    pub unpacked: Option<String>,
}

/// Runs `read` on a blocking thread and holds what is decoded of it. `tick` is called after each piece.
pub async fn decode_input(
    destination: Destination,
    read: impl FnOnce(&PieceSender) -> Result<()> + Send + 'static,
    tick: &(dyn Fn() + Send + Sync),
) -> Result<(DecodedRows, Decoded)> {
    let destination = Arc::new(destination);
    let runtime = Handle::current();
    // they have as much memory as what is sorted has
    let at_once = runtime.metrics().num_workers().min(destination.memory_bytes / PIECE_BYTES).max(1);
    let (pieces, mut receiver) = mpsc::channel(at_once);
    let writes = destination.write;
    let reader = tokio::task::spawn_blocking(move || read(&PieceSender { pieces, runtime, writes }));
    let mut sink = Sink::new(&destination)?;
    let pushed = async {
        while let Some(decoding) = receiver.recv().await {
            let piece: Piece = decoding.await.map_err(|e| Error::bug(format!("decoder: {e}")))??;
            if piece.start_over {
                sink = Sink::new(&destination)?;
            }
            sink.take(piece).await?;
            tick();
        }
        Ok::<_, Error>(())
    }
    .await;
    // a closed channel stops the reader
    drop(receiver);
    let read = reader.await.map_err(|e| Error::bug(format!("reader: {e}")))?;
    pushed?;
    read?;
    let Sink { destination, decoded, hits, offline } = sink;
    let lake = destination.lake.clone();
    Ok((DecodedRows { lake, hits: hits.writer, offline: offline.writer }, decoded))
}

/// All rows of an input, or of several, decoded and not yet written.
pub struct DecodedRows {
    lake: Lake,
    hits: Option<SortedWriter>,
    offline: Option<SortedWriter>,
}

impl DecodedRows {
    fn writers(&self) -> impl Iterator<Item = &SortedWriter> {
        [&self.hits, &self.offline].into_iter().filter_map(Option::as_ref)
    }

    /// Memory that the rows take.
    pub fn bytes(&self) -> usize {
        self.writers().map(SortedWriter::held_bytes).sum()
    }

    /// True where rows are on disk.
    pub fn has_spilled(&self) -> bool {
        self.writers().any(SortedWriter::has_spilled)
    }

    /// The columns that the files of each table, `hits` and `offline`, would have.
    pub fn fields(&self) -> [Vec<Field>; 2] {
        [&self.hits, &self.offline].map(|writer| writer.as_ref().map_or_else(Vec::new, SortedWriter::fields_in_use))
    }

    /// True where the rows of an input can be written together with these, see [`SortedWriter::can_append`].
    pub fn can_append(&self, other: &Self) -> bool {
        let hits = match (&self.hits, &other.hits) {
            (Some(own), Some(others)) => own.can_append(others),
            (own, others) => own.is_none() && others.is_none(),
        };
        hits && self.offline.as_ref().zip(other.offline.as_ref()).is_none_or(|(own, others)| own.can_append(others))
    }

    /// Takes the rows of an input that [`Self::can_append`] is true for.
    pub fn append(&mut self, other: Self) -> Result<()> {
        for (own, others) in [(&mut self.hits, other.hits), (&mut self.offline, other.offline)] {
            match (own, others) {
                (Some(own), Some(others)) => own.append(others)?,
                (_, None) => {}
                (own, others) => *own = others,
            }
        }
        Ok(())
    }

    /// Writes the files.
    pub async fn write(self) -> Result<LoadFiles> {
        let Self { lake, hits, offline } = self;
        let offline = finish(offline).await?;
        match finish(hits).await {
            Ok(hits) => Ok(LoadFiles { hits, offline }),
            Err(error) => {
                discard_uncommitted(&lake, OFFLINE, &offline.files.iter().collect::<Vec<_>>()).await;
                Err(error)
            }
        }
    }
}

async fn finish(writer: Option<SortedWriter>) -> Result<Written> {
    match writer {
        Some(writer) => writer.finish().await,
        None => Ok(Written::default()),
    }
}

/// Takes pieces in turn.
struct Sink {
    destination: Arc<Destination>,
    decoded: Decoded,
    hits: Channel,
    offline: Channel,
}

impl Sink {
    fn new(destination: &Arc<Destination>) -> Result<Self> {
        let context = sort_context(destination.memory_bytes)?;
        let hits = Channel { table: HITS, tags: destination.hits_tags.clone(), context: context.clone(), writer: None };
        let offline = Channel { table: OFFLINE, tags: destination.offline_tags.clone(), context, writer: None };
        Ok(Self { destination: destination.clone(), decoded: Decoded::default(), hits, offline })
    }

    async fn take(&mut self, piece: Piece) -> Result<()> {
        let Self { destination, decoded, hits, offline } = self;
        for issue in piece.issues {
            decoded.rejects.push(issue);
        }
        decoded.lookups.extend(piece.lookups);
        decoded.warnings += piece.warnings.len() as u64;
        decoded.disagreeing += piece.disagreeing;
        decoded.binding_instances = decoded.binding_instances.and(piece.binding_instances);
        decoded.touches = decoded.touches.or(piece.touches);
        decoded.processed = decoded.processed.take().or(piece.processed);
        decoded.headers = decoded.headers.take().or(piece.headers);
        decoded.unpacked = decoded.unpacked.take().or(piece.unpacked);
        let more = FIRST_WARNINGS.saturating_sub(decoded.first_warnings.len());
        decoded.first_warnings.extend(piece.warnings.into_iter().take(more));
        for (channel, batch) in [(hits, piece.hits), (offline, piece.offline)] {
            let Some(batch) = batch.filter(|b| b.num_rows() > 0) else { continue };
            decoded.rows += batch.num_rows() as u64;
            match destination.write {
                true => channel.push(&destination.lake, batch).await?,
                false => decoded.preview.add(&batch)?,
            }
        }
        Ok(())
    }
}

/// The writer of one table, started with its first rows.
struct Channel {
    table: &'static str,
    tags: HashMap<String, String>,
    context: Arc<TaskContext>,
    writer: Option<SortedWriter>,
}

impl Channel {
    async fn push(&mut self, lake: &Lake, batch: RecordBatch) -> Result<()> {
        if self.writer.is_none() {
            let (tags, context) = (self.tags.clone(), self.context.clone());
            self.writer = Some(SortedWriter::start(lake, self.table, batch.schema(), tags, context)?);
        }
        match &mut self.writer {
            Some(writer) => writer.push(batch).await,
            None => Err(Error::bug("a writer was started and is not there")),
        }
    }
}
