//! Rows flow from an input into sorted files: one thread reads, others decode what it has read, in turn it is sorted.
//!
//! In: a function that reads an input and says how each piece of it is decoded. Out: its rows, held, which can then be
//! written to files that are not committed; and the rows that were not taken, all in the input's order. A few pieces are
//! in memory at once, as many as there are threads; an error on either side stops the other and leaves no file.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::lookups::Lookups;
use super::preview::Preview;
use super::rejects::Rejects;
use crate::feed::RowIssue;
use crate::feed::product_list::Evars;
use crate::feed::touches::ToldBy;
use crate::lake::Lake;
use crate::lake::tables::{HITS, OFFLINE};
use crate::lake::write::{SortedWriter, Written, discard_uncommitted, sort_context};
use crate::{Error, Result};

/// Warnings that are told; the others are counted.
const FIRST_WARNINGS: usize = 5;

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
    pub touches: Option<ToldBy>,
    /// The dimensions that a data feed has with processed values, comma separated.
    pub processed: Option<String>,
    /// Lookup tables that the input brings.
    pub lookups: Lookups,
    /// The eVars whose instances product lines of a feed bear.
    pub binding_instances: Evars,
    /// True where all pieces before this one were wrong: the input is read once more.
    pub start_over: bool,
}

/// Where the reader of an input puts its pieces.
pub struct Outlet {
    pieces: mpsc::Sender<JoinHandle<Result<Piece>>>,
    runtime: Handle,
}

impl Outlet {
    /// Has a piece decoded on another thread; pieces are taken in the order in which they were sent. Waits while all
    /// threads are busy. Fails when the writers have stopped, whose error is then told.
    pub fn send(&self, decode: impl FnOnce() -> Result<Piece> + Send + 'static) -> Result<()> {
        // the place comes before the work, which bounds the pieces that are in memory
        let place = self.runtime.block_on(self.pieces.reserve());
        let place = place.map_err(|_| Error::bug("the writers stopped before their input ended"))?;
        place.send(self.runtime.spawn_blocking(decode));
        Ok(())
    }
}

/// Where rows go.
pub struct Basin {
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

/// What came out.
#[derive(Default)]
pub struct Poured {
    /// Files of `hits`.
    pub hits: Written,
    /// Files of `offline`.
    pub offline: Written,
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
    pub touches: Option<ToldBy>,
    /// The eVars whose instances product lines of a feed bear.
    pub binding_instances: Evars,
    /// The dimensions that a data feed has with processed values, comma separated.
    pub processed: Option<String>,
}

/// Runs `read` on a blocking thread and holds what is decoded of it. `tick` is called after each piece.
pub async fn pour(
    basin: Basin,
    read: impl FnOnce(&Outlet) -> Result<()> + Send + 'static,
    tick: &(dyn Fn() + Send + Sync),
) -> Result<Held> {
    let basin = Arc::new(basin);
    let runtime = Handle::current();
    let (pieces, mut receiver) = mpsc::channel(runtime.metrics().num_workers());
    let reader = tokio::task::spawn_blocking(move || read(&Outlet { pieces, runtime }));
    let mut sink = Sink::new(&basin)?;
    let pushed = async {
        while let Some(decoding) = receiver.recv().await {
            let piece: Piece = decoding.await.map_err(|e| Error::bug(format!("decoder: {e}")))??;
            if piece.start_over {
                sink = Sink::new(&basin)?;
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
    Ok(Held(sink))
}

/// All rows of an input, decoded and not yet written.
pub struct Held(Sink);

impl Held {
    /// What came out, but for the files.
    pub fn poured(&self) -> &Poured {
        &self.0.poured
    }

    /// Memory that the rows take.
    pub fn bytes(&self) -> usize {
        self.0.channels().map(SortedWriter::held_bytes).sum()
    }

    /// True where rows are on disk.
    pub fn has_spilled(&self) -> bool {
        self.0.channels().any(SortedWriter::has_spilled)
    }

    /// Writes the files.
    pub async fn write(self) -> Result<Poured> {
        self.0.finish().await
    }
}

/// Takes pieces in turn.
struct Sink {
    basin: Arc<Basin>,
    poured: Poured,
    hits: Channel,
    offline: Channel,
}

impl Sink {
    fn new(basin: &Arc<Basin>) -> Result<Self> {
        let context = sort_context(basin.memory_bytes)?;
        let hits = Channel { table: HITS, tags: basin.hits_tags.clone(), context: context.clone(), writer: None };
        let offline = Channel { table: OFFLINE, tags: basin.offline_tags.clone(), context, writer: None };
        Ok(Self { basin: basin.clone(), poured: Poured::default(), hits, offline })
    }

    fn channels(&self) -> impl Iterator<Item = &SortedWriter> {
        [&self.hits, &self.offline].into_iter().filter_map(|channel| channel.writer.as_ref())
    }

    async fn take(&mut self, piece: Piece) -> Result<()> {
        let Self { basin, poured, hits, offline } = self;
        for issue in piece.issues {
            poured.rejects.push(issue);
        }
        poured.lookups.extend(piece.lookups);
        poured.warnings += piece.warnings.len() as u64;
        poured.disagreeing += piece.disagreeing;
        poured.binding_instances = poured.binding_instances.and(piece.binding_instances);
        poured.touches = poured.touches.or(piece.touches);
        poured.processed = poured.processed.take().or(piece.processed);
        let more = FIRST_WARNINGS.saturating_sub(poured.first_warnings.len());
        poured.first_warnings.extend(piece.warnings.into_iter().take(more));
        for (channel, batch) in [(hits, piece.hits), (offline, piece.offline)] {
            let Some(batch) = batch.filter(|b| b.num_rows() > 0) else { continue };
            poured.rows += batch.num_rows() as u64;
            match basin.write {
                true => channel.push(&basin.lake, batch).await?,
                false => poured.preview.add(&batch)?,
            }
        }
        Ok(())
    }

    async fn finish(self) -> Result<Poured> {
        let Self { basin, mut poured, hits, offline } = self;
        poured.offline = offline.finish().await?;
        match hits.finish().await {
            Ok(written) => poured.hits = written,
            Err(error) => {
                discard_uncommitted(&basin.lake, OFFLINE, &poured.offline.files.iter().collect::<Vec<_>>()).await;
                return Err(error);
            }
        }
        Ok(poured)
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

    async fn finish(self) -> Result<Written> {
        match self.writer {
            Some(writer) => writer.finish().await,
            None => Ok(Written::default()),
        }
    }
}
