//! The ledger: of each export a row a conversion that was sent to the target, or could not be sent, by the last run that
//! had something new about it.
//!
//! A run adds one file, whose tags hold the run, so that the commit alone makes the run be there. Now and then the rows of
//! earlier runs are folded to the last one of each conversion; always after a run that took something back, for what was kept
//! to do so is needed no more. The commit is against the rows that were read: of two runners one wins.

use std::collections::HashMap;

use arrow::array::RecordBatch;

use super::query::ID_DIGITS;
use crate::lake::records::{ExportEvent, ExportRun};
use crate::lake::registry::{from_batches, to_batch};
use crate::lake::retry::Retry;
use crate::lake::write::{PlainWriter, discard_uncommitted};
use crate::lake::{Change, DataFile, Lake, NewFile, Record, Snapshot};
use crate::quote::literal;
use crate::{Error, ErrorKind, Result};

/// Of a file: the export.
const TAG_EXPORT: &str = "export";
/// Of a file that a run made: the run, JSON.
const TAG_RUN: &str = "export_run";

/// Files of an export before its rows are folded.
const MOST_FILES: usize = 8;

/// Rows that are made a batch.
const BATCH_ROWS: usize = 8192;

/// The ledger of one export at one version.
pub struct Ledger {
    name: String,
    snapshot: Snapshot,
}

impl Ledger {
    /// Reads it.
    pub async fn open(lake: &Lake, name: &str) -> Result<Self> {
        Ok(Self { name: name.into(), snapshot: Snapshot::open(lake, ExportEvent::TABLE, None).await? })
    }

    /// The version of the table; None where it does not exist.
    pub fn version(&self) -> Option<u64> {
        self.snapshot.version
    }

    fn files(&self) -> Vec<DataFile> {
        of_export(&self.snapshot, &self.name)
    }

    /// The runs whose files are there as they made them.
    pub fn runs(&self) -> Result<Vec<ExportRun>> {
        let tags = self.files().into_iter().filter_map(|mut file| file.tags.remove(TAG_RUN));
        tags.map(|tag| serde_json::from_str(&tag).map_err(|e| Error::bug(format!("table exports: a run: {e}"))))
            .collect()
    }

    /// True where rows are to be folded.
    pub fn is_to_fold(&self) -> Result<bool> {
        Ok(self.files().len() >= MOST_FILES || self.runs()?.iter().any(|run| run.retracted > 0))
    }

    /// The rows of the export, in the order of ids and runs.
    pub fn query(&self) -> String {
        // what came after this ledger was read is not in it
        let none = if self.version().is_none() { " AND false" } else { "" };
        format!("SELECT * FROM exports WHERE export = {}{none} ORDER BY event, run", literal(&self.name))
    }

    /// A writer of rows.
    pub fn writer(&self, lake: &Lake) -> LedgerWriter {
        let tags = HashMap::from([(TAG_EXPORT.to_string(), self.name.clone())]);
        LedgerWriter { writer: PlainWriter::start(lake, ExportEvent::TABLE, ExportEvent::schema(), tags), rows: vec![] }
    }

    /// Commits a run's rows and, where they were folded, the earlier ones in place of what was there. A conflict, which changes
    /// nothing, where another run came before.
    pub async fn commit(
        self,
        lake: &Lake,
        run: &ExportRun,
        new_rows: Option<NewFile>,
        folded: Option<Option<NewFile>>,
    ) -> Result<()> {
        let remove = if folded.is_some() { self.files() } else { vec![] };
        let new_rows = match new_rows {
            Some(mut file) => {
                let tag = serde_json::to_string(run).map_err(|e| Error::bug(format!("run: {e}")))?;
                file.tags.insert(TAG_RUN.into(), tag);
                Some(file)
            }
            None => None,
        };
        let add: Vec<NewFile> = folded.flatten().into_iter().chain(new_rows).collect();
        self.change(lake, add, remove).await
    }

    /// Takes the rows of a run away, if they are there as it made them.
    pub async fn without(self, lake: &Lake, attempt: &str) -> Result<()> {
        let mut remove = vec![];
        for file in self.files() {
            let made = file.tags.get(TAG_RUN).map(|tag| serde_json::from_str::<ExportRun>(tag));
            if made.is_some_and(|made| made.is_ok_and(|made| made.attempt == attempt)) {
                remove.push(file);
            }
        }
        match remove.is_empty() {
            true => Ok(()),
            false => self.change(lake, vec![], remove).await,
        }
    }

    async fn change(self, lake: &Lake, add: Vec<NewFile>, remove: Vec<DataFile>) -> Result<()> {
        let read = names(&of_export(&self.snapshot, &self.name));
        let mut snapshot = self.snapshot;
        let columns: Vec<_> = ExportEvent::schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        let mut retry = Retry::default();
        let failed = loop {
            let change = Change { add: add.clone(), remove: remove.clone(), columns: columns.clone() };
            let Err(error) = snapshot.commit(lake, change).await else { return Ok(()) };
            if error.kind() != ErrorKind::Conflict {
                break error;
            }
            // another export's run is none of ours
            if let Err(error) = retry.after(error).await {
                break error;
            }
            snapshot = match Snapshot::open(lake, ExportEvent::TABLE, None).await {
                Ok(snapshot) => snapshot,
                Err(error) => break error,
            };
            if names(&of_export(&snapshot, &self.name)) != read {
                break Error::conflict(format!(
                    "another run of export {} was faster; see what it made: rejoin export show {}",
                    self.name, self.name
                ));
            }
        };
        discard_uncommitted(lake, ExportEvent::TABLE, &add.iter().collect::<Vec<_>>()).await;
        Err(failed)
    }
}

fn of_export(snapshot: &Snapshot, name: &str) -> Vec<DataFile> {
    let own = |file: &&DataFile| file.tags.get(TAG_EXPORT).is_some_and(|export| export == name);
    snapshot.files.iter().filter(own).cloned().collect()
}

fn names(files: &[DataFile]) -> Vec<String> {
    files.iter().map(|file| file.relative.clone()).collect()
}

/// Rows on their way into a file.
pub struct LedgerWriter {
    writer: PlainWriter,
    rows: Vec<ExportEvent>,
}

impl LedgerWriter {
    /// Hands over a row.
    pub async fn push(&mut self, row: ExportEvent) -> Result<()> {
        self.rows.push(row);
        if self.rows.len() == BATCH_ROWS {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        if !self.rows.is_empty() {
            self.writer.push(&to_batch(&self.rows)?).await?;
            self.rows.clear();
        }
        Ok(())
    }

    /// The file, uncommitted; None without rows.
    pub async fn finish(mut self) -> Result<Option<NewFile>> {
        self.flush().await?;
        self.writer.finish().await
    }
}

/// The rows of a batch.
pub fn read(batch: &RecordBatch) -> Result<Vec<ExportEvent>> {
    from_batches(std::slice::from_ref(batch))
}

/// What a row's id shares with those that are called alike.
pub fn called(row: &ExportEvent) -> &str {
    row.event.get(..ID_DIGITS).unwrap_or(&row.event)
}
