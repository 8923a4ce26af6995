//! Data source files (`.txt`, however it is packed, or the Data Sources API's JSON) become offline records.
//!
//! In: a file; which source it belongs to, its folder, its name or its body says. Out: batches for `offline`, whose times are those of the suite's clock
//! (a rebuild converts them, so that a change of the suite's zone holds for all rows), and the rows that break a rule.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::{DateTime, NaiveDateTime, Utc};

use super::content::{Content, content_of};
use super::decoding::{Piece, PieceSender};
use super::input_file::InputFile;
use super::kind::{Context, InputKind, InputRows, Owner, Prepared};
use super::offline_rows::{Origin, Records, offline_batch};
use super::options::IngestOptions;
use super::paths::{FILES_WITH_ERRORS, file_name, folder_of};
use super::refusal::refused;
use super::suites_and_sources::SuitesAndSources;
use super::unpack::unpacked;
use crate::columns::{CUSTOMER_ID, TRANSACTION_ID};
use crate::feed::source_columns::{SourceColumn, SourceKind};
use crate::feed::source_file::{SourceOptions, SourceReader};
use crate::feed::source_json::SourceJson;
use crate::feed::text::Encoding;
use crate::feed::{Decoded, RowIssue};
use crate::lake::bindings::Bindings;
use crate::lake::records::{Source, Suite};
use crate::{Error, Result};

/// How a data source file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceFormat {
    /// `.txt`, packed or not, or a `.txt` in a `.zip`.
    Text,
    /// `.json`, packed or not.
    Json,
}

/// A data source file that is there in full.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// Its bytes.
    pub file: InputFile,
    /// How it is written.
    pub format: SourceFormat,
    /// The `.fin` beside it, or beside its archive, where that says that it is whole.
    pub fin: Option<PathBuf>,
}

impl SourceFile {
    /// The files on disk that it consists of.
    pub fn files(&self) -> Vec<PathBuf> {
        [self.file.path().to_path_buf()].into_iter().chain(self.fin.clone()).collect()
    }
}

/// What to do with JSON that no data source takes as it is.
const OTHER_JSON: &str =
    "JSON that is not the Data Sources API's loads with --mapping FILE (rejoin mapping guess FILE writes a first one)";

/// A data source file as it was found.
pub struct SourceInput {
    file: InputFile,
    format: SourceFormat,
    /// Known when it was looked through.
    encoding: Option<Encoding>,
}

impl SourceInput {
    /// Nothing of it is read yet.
    pub fn new(found: SourceFile) -> Self {
        Self { file: found.file, format: found.format, encoding: None }
    }
}

impl InputKind for SourceInput {
    fn owner(&mut self, lake_has: &SuitesAndSources, options: &IngestOptions) -> Result<Owner> {
        let (mut said_suite, mut said_source, mut waits) = (None, None, None);
        if self.format == SourceFormat::Json {
            let json = SourceJson::new(unpacked(&self.file)?, &self.file.name(), NaiveDateTime::default());
            let json = json.map_err(|e| Error::refused(format!("{e}; {OTHER_JSON}")).caused_by(e))?;
            (said_suite, said_source) = (json.report_suite_id, json.data_source_id);
            if json.finished == Some(false) {
                waits = Some("it says \"finished\": false, so that more is to come".to_string());
            }
        }
        let place = self.file.place();
        let asked = options.source.as_deref();
        let suite = lake_has.suite_of_records(options.suite.as_deref(), said_suite.as_deref(), &place, asked)?;
        // the id is one of Adobe's, and the user who loads the file knows better which source of ours it is
        let source = match (asked, said_source) {
            (None, Some(said)) => lake_has.source_of(suite, None, Some(&said), "the file")?,
            (asked, _) => lake_has.source_of_file(suite, &place, asked)?,
        };
        let format = match self.format {
            SourceFormat::Text => "source_text",
            SourceFormat::Json => "source_json",
        };
        let (suite, source) = (suite.clone(), Some(source.clone()));
        let (bindings, persistence) = (Bindings::new(), BTreeMap::new());
        Ok(Owner {
            suite,
            source,
            format,
            snapshot: None,
            bindings,
            persistence,
            rates: None,
            waits,
            lacks_headers: false,
        })
    }

    fn content(&mut self) -> Result<Content> {
        let (content, encoding) = content_of(&self.file, "", "")?;
        self.encoding = encoding;
        Ok(content)
    }

    fn prepare(self: Box<Self>, context: &Context) -> Result<Prepared> {
        let source = context.owner.source.as_ref().ok_or_else(|| Error::bug("a data source file without a source"))?;
        let now_local = local(context.received, &context.owner.suite)?;
        let encoding = match (self.format, self.encoding) {
            (SourceFormat::Json, _) => Encoding::Utf8,
            (SourceFormat::Text, Some(known)) => known,
            (SourceFormat::Text, None) => {
                let detected = Encoding::detect(unpacked(&self.file)?);
                detected.map_err(|e| Error::refused(format!("{}: {e}", self.file.name())))?
            }
        };
        let rows = SourceRows { input: *self, options: SourceOptions { now_local, encoding } };
        let reader = rows.open()?;
        let has = |kind| reader.columns().iter().any(|c| c.kind == kind);
        let (transaction, customer) = (has(SourceKind::TransactionId), has(SourceKind::CustomerId));
        check_kind(source, transaction, customer, ["transactionID", "VisitorID"])?;
        let offline_source = source.source.clone();
        let rows = Box::new(rows);
        Ok(Prepared { rows, visits: None, offline_source })
    }

    fn counter(&self) -> Arc<AtomicU64> {
        self.file.counter().clone()
    }
}

/// The records of a data source file.
struct SourceRows {
    input: SourceInput,
    options: SourceOptions,
}

impl SourceRows {
    fn open(&self) -> Result<Reader> {
        let SourceInput { file, format, .. } = &self.input;
        let (stream, name) = (unpacked(file)?, file.name());
        Ok(match format {
            SourceFormat::Text => {
                Reader::Text(Box::new(SourceReader::new(stream, &name, self.options).map_err(refused)?))
            }
            SourceFormat::Json => {
                Reader::Json(Box::new(SourceJson::new(stream, &name, self.options.now_local).map_err(refused)?))
            }
        })
    }
}

impl InputRows for SourceRows {
    fn first_issue(&self) -> Result<Option<RowIssue>> {
        let mut reader = self.open()?;
        while let Some(decoded) = reader.next_batch()? {
            if let Some(issue) = decoded.issues.into_iter().next() {
                return Ok(Some(issue));
            }
        }
        Ok(None)
    }

    fn decode(self: Box<Self>, origin: &Arc<Origin>, pieces: &PieceSender) -> Result<()> {
        let mut reader = self.open()?;
        while let Some(Decoded { batch, issues, warnings }) = reader.next_batch()? {
            let offline = Some(records(origin, &batch)?);
            pieces.send(move || Ok(Piece { offline, issues, warnings, ..Default::default() }))?;
        }
        Ok(())
    }
}

/// A data source file, read up to its headers.
enum Reader {
    Text(Box<SourceReader<Box<dyn Read + Send>>>),
    Json(Box<SourceJson>),
}

impl Reader {
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

/// Moves the files of an input that stopped its source out of the way. Says where they are now.
pub fn set_aside(files: &[PathBuf]) -> Result<String> {
    let folder = files.first().map(|file| folder_of(file)).unwrap_or_default().join(FILES_WITH_ERRORS);
    let moved = fs::create_dir_all(&folder).and_then(|()| {
        // what says that the file is whole goes first
        files.iter().rev().try_for_each(|file| fs::rename(file, folder.join(file_name(file))))
    });
    match moved {
        Ok(()) => Ok(format!("the file is in {}", folder.display())),
        Err(error) => Err(Error::refused(format!("the file could not be moved to {}: {error}", folder.display()))),
    }
}

/// An instant on the suite's clock.
fn local(instant: DateTime<Utc>, suite: &Suite) -> Result<NaiveDateTime> {
    let zone: chrono_tz::Tz = suite.time_zone.parse().map_err(|_| {
        let Suite { suite, time_zone, .. } = suite;
        Error::configuration(format!(
            "suite {suite} has the unknown time zone {time_zone}; run `rejoin suite set {suite} --time-zone ZONE`"
        ))
    })?;
    Ok(instant.with_timezone(&zone).naive_local())
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
