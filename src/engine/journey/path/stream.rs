//! The rows of one visitor after another, and what is shown of them.

use std::collections::VecDeque;
use std::future::ready;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::stream::iter;
use futures::{Stream, StreamExt, TryStreamExt};

use super::metrics::PathMetrics;
use super::node::{PathSpec, Wanted};
use super::paths::Paths;
use super::shown::{Credits, ROWS_PER_BATCH, column, conversions, path, unknown_event};

/// All that is shown of the visitors of an input; `schema` is that of the result.
pub(super) fn rows(
    spec: PathSpec,
    input: SendableRecordBatchStream,
    schema: SchemaRef,
    reservation: MemoryReservation,
    metrics: PathMetrics,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let PathMetrics { baseline, visitors: count } = metrics;
    let visitors = visitors(input, reservation).inspect_ok(move |_| count.add(1));
    let batches = match spec.wanted {
        Wanted::Conversions => {
            gathered(visitors.and_then(move |rows| ready(conversions(&spec, &rows))), schema).boxed()
        }
        Wanted::Credits => {
            let credits = visitors.and_then(move |rows| ready(Credits::new(spec.clone(), rows)));
            gathered(credits.map_ok(iter).try_flatten(), schema).boxed()
        }
        Wanted::Paths { unconverted } => {
            let paths = visitors.and_then(move |rows| ready(Paths::new(spec.clone(), rows, unconverted)));
            gathered(paths.map_ok(iter).try_flatten(), schema).boxed()
        }
        Wanted::Path { .. } => {
            // the event is one visitor's: the input holds that visitor or nobody
            let result = async move {
                let found = std::pin::pin!(visitors).try_next().await?;
                found.map_or_else(|| Err(unknown_event(&spec)), |rows| path(&spec, &rows))
            };
            futures::stream::once(result).boxed()
        }
    };
    batches.inspect_ok(move |batch| baseline.record_output(batch.num_rows()))
}

/// A visitor has few conversions: those of many make a batch.
fn gathered(
    batches: impl Stream<Item = Result<RecordBatch>> + Send,
    schema: SchemaRef,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    futures::stream::try_unfold(Box::pin(batches), move |mut batches| {
        let schema = schema.clone();
        async move {
            let (mut own, mut count) = (vec![], 0);
            while count < ROWS_PER_BATCH
                && let Some(batch) = batches.try_next().await?
            {
                if batch.num_rows() > 0 {
                    count += batch.num_rows();
                    own.push(batch);
                }
            }
            Ok((count > 0).then_some((concat_batches(&schema, &own)?, batches)))
        }
    })
}

/// The rows of one visitor after another.
fn visitors(
    input: SendableRecordBatchStream,
    reservation: MemoryReservation,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let schema = input.schema();
    // what has come of the visitor at hand, and what has been cut off behind it
    let state = (input, VecDeque::<RecordBatch>::new(), reservation);
    futures::stream::try_unfold(state, move |(mut input, mut held, reservation)| {
        let schema = schema.clone();
        async move {
            let mut own: Vec<RecordBatch> = vec![];
            loop {
                let batch = match held.pop_front() {
                    Some(batch) => batch,
                    None => match input.try_next().await? {
                        Some(batch) if batch.num_rows() == 0 => continue,
                        Some(batch) => batch,
                        None if own.is_empty() => return Ok(None),
                        None => break,
                    },
                };
                let first = own.first().unwrap_or(&batch).slice(0, 1);
                let len = same_visitor(&first, &batch)?;
                if len > 0 {
                    reservation.try_grow(batch.slice(0, len).get_array_memory_size())?;
                    own.push(batch.slice(0, len));
                }
                if len < batch.num_rows() {
                    held.push_front(batch.slice(len, batch.num_rows() - len));
                    break;
                }
            }
            reservation.free();
            Ok(Some((concat_batches(&schema, &own)?, (input, held, reservation))))
        }
    })
}

/// How many rows at the head of `batch` are of the visitor of the row `first`.
fn same_visitor(first: &RecordBatch, batch: &RecordBatch) -> Result<usize> {
    let ids = |batch: &RecordBatch| column(batch, "visitor_id");
    let (own, ids) = (ids(first)?, ids(batch)?);
    let other = (0..ids.len()).find(|&row| ids.is_null(row) || ids.value(row) != own.value(0));
    Ok(other.unwrap_or(ids.len()))
}
