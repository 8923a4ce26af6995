//! Decoded rows flow from a blocking thread into sorted files: one core decodes while the other sorts and writes.
//!
//! In: a function that decodes an input piece by piece. Out: files that are not committed, and the rows that were not
//! taken. At most a few pieces are in memory at once; an error on either side stops the other and leaves no file.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use tokio::sync::mpsc;

use super::load::{HITS, OFFLINE};
use super::rejects::Rejects;
use crate::feed::RowIssue;
use crate::lake::Lake;
use crate::lake::write::{SortedWriter, Written, discard_uncommitted, sort_context};
use crate::{Error, Result};

/// Pieces that wait between decoder and writer.
const WAITING_PIECES: usize = 2;

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
}

/// Where a decoder puts its pieces.
pub struct Outlet(mpsc::Sender<Piece>);

impl Outlet {
    /// Hands a piece over; waits while the writers are busy. Fails when they have stopped, whose error is then told.
    pub fn send(&self, piece: Piece) -> Result<()> {
        self.0.blocking_send(piece).map_err(|_| Error::bug("the writers stopped before their input ended"))
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
    /// How many rows lost a part, and the first of them.
    pub warnings: u64,
    /// The first warning.
    pub first_warning: Option<RowIssue>,
}

/// Runs `decode` on a blocking thread and writes what it sends. `tick` is called after each piece.
pub async fn pour(
    basin: Basin,
    decode: impl FnOnce(&Outlet) -> Result<()> + Send + 'static,
    tick: &(dyn Fn() + Send + Sync),
) -> Result<Poured> {
    let (sender, mut receiver) = mpsc::channel(WAITING_PIECES);
    let decoder = tokio::task::spawn_blocking(move || decode(&Outlet(sender)));
    let context = sort_context(basin.memory_bytes)?;
    let mut poured = Poured::default();
    let mut hits = Channel::new(HITS, basin.hits_tags, context.clone());
    let mut offline = Channel::new(OFFLINE, basin.offline_tags, context);
    let pushed = async {
        while let Some(piece) = receiver.recv().await {
            for issue in piece.issues {
                poured.rejects.push(issue);
            }
            poured.warnings += piece.warnings.len() as u64;
            poured.first_warning = poured.first_warning.take().or(piece.warnings.into_iter().next());
            for (channel, batch) in [(&mut hits, piece.hits), (&mut offline, piece.offline)] {
                let Some(batch) = batch.filter(|b| b.num_rows() > 0) else { continue };
                poured.rows += batch.num_rows() as u64;
                if basin.write {
                    channel.push(&basin.lake, batch).await?;
                }
            }
            tick();
        }
        Ok::<_, Error>(())
    }
    .await;
    // a closed channel stops the decoder
    drop(receiver);
    let decoded = decoder.await.map_err(|e| Error::bug(format!("decoder: {e}")))?;
    pushed?;
    decoded?;
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

/// The writer of one table, started with its first rows.
struct Channel {
    table: &'static str,
    tags: HashMap<String, String>,
    context: Arc<TaskContext>,
    writer: Option<SortedWriter>,
}

impl Channel {
    fn new(table: &'static str, tags: HashMap<String, String>, context: Arc<TaskContext>) -> Self {
        Self { table, tags, context, writer: None }
    }

    async fn push(&mut self, lake: &Lake, batch: RecordBatch) -> Result<()> {
        if self.writer.is_none() {
            let tags = std::mem::take(&mut self.tags);
            self.writer = Some(SortedWriter::start(lake, self.table, batch.schema(), tags, self.context.clone())?);
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
