//! Offline records in the shape of the table `offline`, whatever file they come from.
//!
//! In: ids, times, dimensions and metrics of some records. Out: a batch with keys: `visitor_key` of the transaction or
//! customer id, so that equal ids are together until a rebuild knows the visitor; `hit_time` only orders; `hit_seq` orders
//! by file name and row, so that the order in which files are loaded changes nothing.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Schema, SchemaRef};

use super::content_hash::hash_rows;
use crate::columns::{self, CUSTOMER_ID, FILE, HIT_SEQ, HIT_TIME, SUITE, TRANSACTION_ID, VISITOR_ID, VISITOR_KEY};
use crate::{Error, Result};

/// The columns that every offline batch has, in order.
const KEYS: [&str; 15] = [
    SUITE,
    "source",
    "kind",
    FILE,
    "row",
    "received",
    VISITOR_KEY,
    VISITOR_ID,
    HIT_TIME,
    HIT_SEQ,
    TRANSACTION_ID,
    CUSTOMER_ID,
    "record_time",
    "record_local",
    "has_time",
];

/// What all records of a file share.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Suite.
    pub suite: String,
    /// Data source.
    pub source: String,
    /// Kind of the source: `summary`, `transaction` or `customer`.
    pub kind: String,
    /// File.
    pub file: String,
    /// When the file was received, in microseconds since 1970.
    pub received: i64,
}

/// Some records of one file. All arrays have one length.
pub struct Records {
    /// Line or number of the row in its file.
    pub row: Int64Array,
    /// The instant, where the file says one.
    pub record_time: Option<TimestampMicrosecondArray>,
    /// The time on the suite's clock, where it says that; stored under the type of an instant.
    pub record_local: Option<TimestampMicrosecondArray>,
    /// False for a date without a time.
    pub has_time: BooleanArray,
    /// Transaction IDs.
    pub transaction_id: Option<ArrayRef>,
    /// Customer IDs.
    pub customer_id: Option<ArrayRef>,
    /// Dimensions and metrics.
    pub values: Vec<(Arc<Field>, ArrayRef)>,
}

/// The schema of batches with these dimensions and metrics.
pub fn offline_schema(values: &[Arc<Field>]) -> Result<SchemaRef> {
    let key = |name: &str| columns::key_field(name).ok_or_else(|| Error::bug(format!("{name} is no key")));
    let keys = KEYS.iter().map(|name| key(name).map(Arc::new)).collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(Schema::new(keys.into_iter().chain(values.iter().cloned()).collect::<Vec<_>>())))
}

/// The records as rows of the table.
pub fn offline_batch(origin: &Origin, records: Records) -> Result<RecordBatch> {
    let rows = records.row.len();
    let nulls = || TimestampMicrosecondArray::from(vec![None; rows]);
    let text_nulls = || Arc::new(StringArray::new_null(rows)) as ArrayRef;
    let record_time = records.record_time.unwrap_or_else(nulls).with_timezone("UTC");
    let record_local = records.record_local.unwrap_or_else(nulls).with_timezone("UTC");
    let transaction_id = records.transaction_id.unwrap_or_else(text_nulls);
    let customer_id = records.customer_id.unwrap_or_else(text_nulls);
    let time = |row: usize| if record_time.is_valid(row) { record_time.value(row) } else { record_local.value(row) };
    let hit_time: TimestampMicrosecondArray = (0..rows).map(|row| Some(time(row))).collect();
    let constant = |text: &str| Arc::new(StringArray::from(vec![text; rows])) as ArrayRef;
    let [record_time, record_local, has_time]: [ArrayRef; 3] =
        [Arc::new(record_time), Arc::new(record_local), Arc::new(records.has_time)];
    let source = constant(&origin.source);

    let content = [
        ("source", &source),
        (TRANSACTION_ID, &transaction_id),
        (CUSTOMER_ID, &customer_id),
        ("record_time", &record_time),
        ("record_local", &record_local),
        ("has_time", &has_time),
    ];
    let content = content.into_iter().chain(records.values.iter().map(|(f, a)| (f.name().as_str(), a)));
    let hashes = hash_rows(&RecordBatch::try_from_iter_with_nullable(content.map(|(n, a)| (n, a.clone(), true)))?)?;

    let id = if origin.kind == "customer" { &customer_id } else { &transaction_id };
    let id = id.as_any().downcast_ref::<StringArray>().ok_or_else(|| Error::bug("an id column is not text"))?;
    let key = |(row, hash): (usize, &u64)| {
        let named = origin.kind != "summary" && id.is_valid(row);
        if named { columns::visitor_key(id.value(row)) } else { *hash as i64 }
    };
    let keys: Int64Array = hashes.iter().enumerate().map(key).map(Some).collect();
    let sequence: Decimal128Array =
        records.row.values().iter().map(|row| Some(columns::record_sequence(&origin.file, *row))).collect();
    let arrays: [ArrayRef; KEYS.len()] = [
        constant(&origin.suite),
        source.clone(),
        constant(&origin.kind),
        constant(&origin.file),
        Arc::new(records.row),
        Arc::new(TimestampMicrosecondArray::from(vec![origin.received; rows]).with_timezone("UTC")),
        Arc::new(keys),
        text_nulls(),
        Arc::new(hit_time.with_timezone("UTC")),
        Arc::new(sequence.with_data_type(columns::sequence())),
        transaction_id.clone(),
        customer_id.clone(),
        record_time.clone(),
        record_local.clone(),
        has_time.clone(),
    ];
    let (fields, values): (Vec<_>, Vec<_>) = records.values.into_iter().unzip();
    Ok(RecordBatch::try_new(offline_schema(&fields)?, arrays.into_iter().chain(values).collect())?)
}
