//! Data source files (`.txt`, or the Data Sources API's JSON) become offline records.
//!
//! In: a file, and the source that it belongs to. Out: batches for `offline`, whose times are those of the suite's clock
//! (a rebuild converts them, so that a change of the suite's zone holds for all rows), and the rows that break a rule.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::NaiveDateTime;

use super::find::{FILES_WITH_ERRORS, file_name, folder_of};
use super::offline_rows::{Origin, Records, offline_batch};
use super::pour::{Outlet, Piece};
use super::refusal::refused;
use crate::columns::{CUSTOMER_ID, TRANSACTION_ID};
use crate::feed::source_columns::{SourceColumn, SourceKind};
use crate::feed::source_file::{SourceOptions, SourceReader};
use crate::feed::source_json::SourceJson;
use crate::feed::text::Encoding;
use crate::feed::{Decoded, RowIssue};
use crate::lake::records::Source;
use crate::{Error, Result};

/// A data source file, read up to its headers.
pub enum SourceInput {
    /// `.txt`
    Text(Box<SourceReader<File>>),
    /// `.json`
    Json(Box<SourceJson>),
}

impl SourceInput {
    /// Opens a `.txt`. `now_local` is the present on the suite's clock.
    pub fn text(path: &Path, now_local: NaiveDateTime) -> Result<Self> {
        let name = file_name(path);
        let encoding = Encoding::detect(open(path)?).map_err(|e| Error::refused(format!("{name}: {e}")))?;
        let options = SourceOptions { now_local, encoding };
        Ok(Self::Text(Box::new(SourceReader::new(open(path)?, &name, options).map_err(refused)?)))
    }

    /// Opens a `.json`.
    pub fn json(path: &Path, now_local: NaiveDateTime) -> Result<Self> {
        let json = SourceJson::new(BufReader::new(open(path)?), &file_name(path), now_local).map_err(refused)?;
        Ok(Self::Json(Box::new(json)))
    }

    /// A transaction source needs a transaction ID, a customer source a visitor ID, a summary source has neither.
    pub fn check_kind(&self, source: &Source) -> Result<()> {
        let has = |kind| self.columns().iter().any(|c| c.kind == kind);
        check_kind(source, has(SourceKind::TransactionId), has(SourceKind::CustomerId), ["transactionID", "VisitorID"])
    }

    /// Decodes all records.
    pub fn decode(mut self, origin: &Origin, outlet: &Outlet) -> Result<()> {
        while let Some(Decoded { batch, issues, warnings }) = self.next_batch()? {
            let offline = Some(records(origin, &batch)?);
            outlet.send(move || Ok(Piece { offline, issues, warnings, ..Default::default() }))?;
        }
        Ok(())
    }

    /// The first bad row, when there is one.
    pub fn first_issue(mut self) -> Result<Option<RowIssue>> {
        while let Some(decoded) = self.next_batch()? {
            if let Some(issue) = decoded.issues.into_iter().next() {
                return Ok(Some(issue));
            }
        }
        Ok(None)
    }

    fn columns(&self) -> &[SourceColumn] {
        match self {
            Self::Text(reader) => reader.columns(),
            Self::Json(reader) => reader.columns(),
        }
    }

    fn next_batch(&mut self) -> Result<Option<Decoded>> {
        match self {
            Self::Text(reader) => reader.next_batch(),
            Self::Json(reader) => reader.next_batch(),
        }
        .map_err(refused)
    }
}

/// Compares the ids that a file has with the kind of its source. `names` are the file's words for the two ids.
pub fn check_kind(source: &Source, transaction: bool, customer: bool, names: [&str; 2]) -> Result<()> {
    let Source { suite, source: name, kind, .. } = source;
    let [transaction_id, customer_id] = names;
    let wrong = |what: String| {
        Err(Error::refused(format!(
            "{what}; source {name} is of kind {kind}: correct the file, or give --source with one of the right kind \
             (`rejoin source create {suite} NAME --kind ...` makes one)"
        )))
    };
    match (kind.as_str(), transaction, customer) {
        ("transaction", false, _) => wrong(format!("no column {transaction_id}")),
        ("customer", _, false) => wrong(format!("no column {customer_id}")),
        ("summary", true, _) => wrong(format!("a column {transaction_id}")),
        ("summary", _, true) => wrong(format!("a column {customer_id}")),
        _ => Ok(()),
    }
}

/// Moves a file that stopped its source, and its `.fin`, out of the way. Says where it is now.
pub fn set_aside(path: &Path) -> Result<String> {
    let folder = folder_of(path).join(FILES_WITH_ERRORS);
    let moved = fs::create_dir_all(&folder).and_then(|()| {
        let fin = path.with_extension("fin");
        if fin.exists() {
            fs::rename(&fin, folder.join(file_name(&fin)))?;
        }
        fs::rename(path, folder.join(file_name(path)))
    });
    match moved {
        Ok(()) => Ok(format!("the file is in {}", folder.display())),
        Err(error) => Err(Error::refused(format!("the file could not be moved to {}: {error}", folder.display()))),
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(|e| Error::refused(format!("{}: {e}", path.display())))
}

fn records(origin: &Origin, batch: &RecordBatch) -> Result<RecordBatch> {
    let column =
        |name: &str| batch.column_by_name(name).ok_or_else(|| Error::bug(format!("decoded records without {name}")));
    let keys = ["row", "record_local", "has_time", TRANSACTION_ID, CUSTOMER_ID];
    let schema = batch.schema();
    let values = schema.fields().iter().zip(batch.columns()).filter(|(f, _)| !keys.contains(&f.name().as_str()));
    let records = Records {
        row: column("row")?.as_primitive::<Int64Type>().clone(),
        record_time: None,
        record_local: Some(column("record_local")?.as_primitive::<TimestampMicrosecondType>().clone()),
        has_time: column("has_time")?.as_boolean().clone(),
        transaction_id: batch.column_by_name(TRANSACTION_ID).cloned(),
        customer_id: batch.column_by_name(CUSTOMER_ID).cloned(),
        values: values.map(|(f, a)| (f.clone(), Arc::clone(a))).collect(),
    };
    offline_batch(origin, records)
}
