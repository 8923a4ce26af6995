//! Persons: found anew by each rebuild from the customer IDs on hits and from the user's rules, in the suites that have them.
//!
//! In: the hits, suites and rules that the rebuild reads. Out: the tables `persons` and `person_audit`, each written whole where it
//! differs from what the rebuild before left. Memory: the IDs of a suite's visitors where they change, and the spans, taken
//! from the session's. The order of rows is that of the lake, so that nothing is sorted.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hasher;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, TimestampMicrosecondType};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use futures::TryStreamExt;
use xxhash_rust::xxh3::Xxh3Default;

use super::inputs::Versions;
use crate::columns::{sequence, timestamp};
use crate::engine::Engine;
use crate::lake::layout::TAG_CONTENT;
use crate::lake::person_rules;
use crate::lake::records::{PersonAudit, PersonRule, PersonSpan, Suite};
use crate::lake::write::{discard_uncommitted, write_plain};
use crate::lake::{Record, Snapshot};
use crate::persons::{Audit, Borne, Found, Moment, Rules, Span, persons};
use crate::quote::literal;
use crate::{Error, Result};

const BORNE_SQL: &str = include_str!("../../queries/integrate/persons.sql");

/// Bytes that a visitor with an ID, an ID of one, and a span take, about.
const VISITOR_BYTES: usize = 120;
const ID_BYTES: usize = 48;
const SPAN_BYTES: usize = 112;

/// Finds the persons of the suites that have them; the versions of the tables that say so.
pub async fn find_persons(
    engine: &Engine,
    suites: &[Suite],
    rules: &[PersonRule],
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Versions> {
    let with_persons: Vec<&Suite> = suites.iter().filter(|suite| suite.has_persons()).collect();
    let mut all = vec![];
    let memory = MemoryConsumer::new("Persons").register(&engine.context().runtime_env().memory_pool);
    for suite in with_persons {
        progress("persons");
        let forgotten = person_rules::forgotten(rules, &suite.suite)?;
        let rules = Rules::new(&person_rules::of_suite(rules, &suite.suite)?).forgetting(forgotten);
        let borne = borne(engine, suite, &rules, &memory).await?;
        let method = suite.persons.parse().map_err(Error::configuration)?;
        let found = persons(method, usize::try_from(suite.person_limit).unwrap_or(usize::MAX), &rules, &borne);
        grow(&memory, found.spans.len() * SPAN_BYTES, &suite.suite)?;
        all.push((suite.suite.as_str(), found));
    }
    let mut versions = Versions::new();
    // a lake that never had persons has no such tables
    let wanted = !all.is_empty();
    versions.extend(written::<PersonSpan>(engine, spans_of(&all)?, wanted).await?);
    versions.extend(written::<PersonAudit>(engine, audit_of(&all)?, wanted).await?);
    Ok(versions)
}

fn grow(memory: &MemoryReservation, bytes: usize, suite: &str) -> Result<()> {
    memory.try_grow(bytes).map_err(|error| {
        Error::configuration(format!(
            "suite {suite}: its persons need more memory than there is; give more with --memory, or set persons off"
        ))
        .caused_by(error)
    })
}

/// The visitors that bear IDs, and those with hits that rules name.
async fn borne(engine: &Engine, suite: &Suite, rules: &Rules, memory: &MemoryReservation) -> Result<Vec<Borne>> {
    let named = rules.named_visitors();
    let sql =
        BORNE_SQL.replace("$suite", &literal(&suite.suite)).replace("$placeholders", &literal(&suite.placeholders));
    let mut rows = engine.run(&sql).await?.rows;
    let mut ids: HashMap<String, Arc<str>> = HashMap::new();
    let mut all: Vec<Borne> = vec![];
    while let Some(batch) = rows.try_next().await? {
        let mut bytes = 0;
        let texts = [cast(batch.column(0), &DataType::Utf8)?, cast(batch.column(3), &DataType::Utf8)?];
        let [visitors, borne] = texts.each_ref().map(|array| array.as_string::<i32>());
        let times = cast(batch.column(1), &timestamp())?;
        let sequences = cast(batch.column(2), &sequence())?;
        let (times, sequences) =
            (times.as_primitive::<TimestampMicrosecondType>(), sequences.as_primitive::<Decimal128Type>());
        for row in 0..batch.num_rows() {
            let (visitor, id) = (visitors.value(row), borne.value(row));
            if all.last().is_none_or(|last| &*last.visitor != visitor) {
                all.push(Borne { visitor: visitor.into(), ids: vec![] });
                bytes += visitor.len() + VISITOR_BYTES;
            }
            let Some(own) = all.last_mut() else { continue };
            if own.ids.last().is_some_and(|(_, last)| &**last == id) && !named.contains(visitor) {
                continue;
            }
            let id = match ids.get(id) {
                Some(known) => known.clone(),
                None => {
                    bytes += 2 * (id.len() + ID_BYTES);
                    ids.entry(id.to_string()).or_insert_with(|| id.into()).clone()
                }
            };
            bytes += ID_BYTES;
            own.ids.push(((times.value(row), sequences.value(row)), id));
        }
        grow(memory, bytes, &suite.suite)?;
    }
    let known: BTreeSet<Arc<str>> = match named.is_empty() {
        true => BTreeSet::new(),
        false => all.iter().map(|one| one.visitor.clone()).collect(),
    };
    let without: Vec<&str> = named.into_iter().filter(|visitor| !known.contains(*visitor)).collect();
    for some in without.chunks(1000) {
        let list = some.iter().map(|visitor| literal(visitor)).collect::<Vec<_>>().join(", ");
        let suite = literal(&suite.suite);
        let sql =
            format!("SELECT DISTINCT visitor_id FROM reported_hits WHERE suite = {suite} AND visitor_id IN ({list})");
        for batch in engine.collect(&sql).await? {
            let visitors = cast(batch.column(0), &DataType::Utf8)?;
            let found = visitors.as_string::<i32>().iter().flatten();
            all.extend(found.map(|visitor| Borne { visitor: visitor.into(), ids: vec![] }));
        }
    }
    Ok(all)
}

fn spans_of(all: &[(&str, Found)]) -> Result<RecordBatch> {
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

fn audit_of(all: &[(&str, Found)]) -> Result<RecordBatch> {
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
        let texts = cast(column, &DataType::Utf8)?;
        for text in texts.as_string::<i32>() {
            // the length tells NULL, an empty text, and where one ends
            hash.write_u64(text.map_or(u64::MAX, |text| text.len() as u64));
            hash.write(text.unwrap_or_default().as_bytes());
        }
    }
    Ok(format!("{:032x}", hash.digest128()))
}
