//! The tables `persons` and `person_audit`, each written whole where it differs from what the rebuild before left.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, TimestampMicrosecondType};
use xxhash_rust::xxh3::Xxh3Default;

use crate::Result;
use crate::engine::Engine;
use crate::lake::layout::TAG_CONTENT;
use crate::lake::records::{PersonAudit, PersonSpan};
use crate::lake::write::{discard_uncommitted, write_plain};
use crate::lake::{Record, Snapshot};
use crate::persons::{Audit, Moment, Span, SpansAndAudit};
use crate::rebuild::inputs::Versions;

/// Writes the persons of suites; the versions of the tables.
pub async fn write(engine: &Engine, all: &[(&str, SpansAndAudit)]) -> Result<Versions> {
    let mut versions = Versions::new();
    // a lake that never had persons has no such tables
    let wanted = !all.is_empty();
    versions.extend(written::<PersonSpan>(engine, spans_of(all)?, wanted).await?);
    versions.extend(written::<PersonAudit>(engine, audit_of(all)?, wanted).await?);
    Ok(versions)
}

fn spans_of(all: &[(&str, SpansAndAudit)]) -> Result<RecordBatch> {
    let spans = || all.iter().flat_map(|(_, found)| &found.spans);
    let suites = all.iter().flat_map(|(suite, found)| found.spans.iter().map(|_| *suite));
    let times = |of: fn(&Span) -> Option<Moment>| -> ArrayRef {
        let times: TimestampMicrosecondArray = spans().map(|span| of(span).map(|(time, _)| time)).collect();
        Arc::new(times.with_timezone("UTC"))
    };
    let sequences = |of: fn(&Span) -> Option<Moment>| -> Result<ArrayRef> {
        let sequences: Decimal128Array = spans().map(|span| of(span).map(|(_, sequence)| sequence)).collect();
        Ok(Arc::new(sequences.with_precision_and_scale(38, 0)?))
    };
    let texts =
        |of: fn(&Span) -> &str| -> ArrayRef { Arc::new(spans().map(|span| Some(of(span))).collect::<StringArray>()) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(suites.map(Some).collect::<StringArray>()),
        texts(|span| &span.visitor),
        times(|span| span.from),
        sequences(|span| span.from)?,
        times(|span| span.until),
        sequences(|span| span.until)?,
        texts(|span| &span.person),
        texts(|span| span.why),
        Arc::new(spans().map(|span| Some(span.shared)).collect::<BooleanArray>()),
    ];
    Ok(RecordBatch::try_new(PersonSpan::schema(), columns)?)
}

fn audit_of(all: &[(&str, SpansAndAudit)]) -> Result<RecordBatch> {
    let rows = || all.iter().flat_map(|(suite, found)| found.audit.iter().map(move |audit| (*suite, audit)));
    let texts = |of: fn(&Audit) -> &str| -> ArrayRef {
        Arc::new(rows().map(|(_, audit)| Some(of(audit))).collect::<StringArray>())
    };
    let persons = rows().map(|(_, audit)| audit.person.as_deref());
    let visitors = rows().map(|(_, audit)| i64::try_from(audit.visitors).ok());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows().map(|(suite, _)| Some(suite)).collect::<StringArray>()),
        texts(|audit| &audit.id),
        texts(|audit| audit.verdict),
        Arc::new(persons.collect::<StringArray>()),
        Arc::new(visitors.collect::<Int64Array>()),
    ];
    Ok(RecordBatch::try_new(PersonAudit::schema(), columns)?)
}

/// Writes a table whole, where its rows are not those that it has; its name and version, once it has one. One that is not
/// `wanted` is not made for it.
async fn written<T: Record>(engine: &Engine, rows: RecordBatch, wanted: bool) -> Result<Option<(String, u64)>> {
    let lake = engine.lake();
    let former = Snapshot::open(lake, T::TABLE, None).await?;
    let content = (rows.num_rows() > 0).then(|| content_of(&rows)).transpose()?;
    let known = former.files.first().and_then(|file| file.tags.get(TAG_CONTENT));
    let same = known == content.as_ref() && former.files.len() <= 1;
    if same && (former.version.is_some() || !wanted) {
        return Ok(former.version.map(|version| (T::TABLE.to_string(), version)));
    }
    let add = match content {
        Some(content) => {
            let tags = HashMap::from([(TAG_CONTENT.to_string(), content)]);
            write_plain(lake, T::TABLE, &[rows], tags).await?
        }
        None => None,
    };
    let columns = T::schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    match former.commit_whole(lake, add.iter().cloned().collect(), columns).await {
        Ok(now) => Ok(now.version.map(|version| (T::TABLE.to_string(), version))),
        Err(error) => {
            discard_uncommitted(lake, T::TABLE, &add.iter().collect::<Vec<_>>()).await;
            Err(error)
        }
    }
}

/// A hash of rows.
fn content_of(rows: &RecordBatch) -> Result<String> {
    let mut hash = Xxh3Default::new();
    for column in rows.columns() {
        match column.data_type() {
            DataType::Timestamp(..) => {
                let times = column.as_primitive::<TimestampMicrosecondType>();
                times.iter().for_each(|time| add_number(&mut hash, time.map(i128::from)));
            }
            DataType::Decimal128(..) => {
                let numbers = column.as_primitive::<Decimal128Type>();
                numbers.iter().for_each(|number| add_number(&mut hash, number));
            }
            _ => {
                for text in cast(column, &DataType::Utf8)?.as_string::<i32>() {
                    // the length tells NULL, an empty text, and where one ends
                    hash.write_u64(text.map_or(u64::MAX, |text| text.len() as u64));
                    hash.write(text.unwrap_or_default().as_bytes());
                }
            }
        }
    }
    Ok(format!("{:032x}", hash.digest128()))
}

fn add_number(hash: &mut Xxh3Default, number: Option<i128>) {
    hash.write_u8(u8::from(number.is_some()));
    hash.write_i128(number.unwrap_or_default());
}
