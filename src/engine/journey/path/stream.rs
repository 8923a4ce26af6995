//! The rows of one visitor after another, and what is shown of them.

use std::future::ready;

use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{Float64Type, SchemaRef};
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::stream::iter;
use futures::{Stream, StreamExt, TryStreamExt};

use super::metrics::PathMetrics;
use super::node::{PathSpec, Wanted};
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
    let matters = matters(&spec);
    let visitors = visitors(input, matters, reservation).inspect_ok(move |_| count.add(1));
    let batches = match spec.wanted {
        Wanted::Conversions => {
            gathered(visitors.and_then(move |rows| ready(conversions(&spec, &rows))), schema).boxed()
        }
        Wanted::Credits => {
            let credits = visitors.and_then(move |rows| ready(Credits::new(spec.clone(), rows)));
            gathered(credits.map_ok(iter).try_flatten(), schema).boxed()
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

/// Tells the visitors who may convert, where only these are shown.
fn matters(spec: &PathSpec) -> impl Fn(&RecordBatch) -> bool + Clone + Send + use<> {
    let all = matches!(spec.wanted, Wanted::Path { .. });
    // at its hit a record may convert in lines that add up to nothing
    let all = all || (spec.journey.anchored && spec.journey.in_lines);
    move |rows: &RecordBatch| {
        let values = rows.column_by_name("value").and_then(|values| values.as_primitive_opt::<Float64Type>());
        all || values.is_none_or(|values| values.iter().flatten().any(|value| value != 0.0))
    }
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

/// The rows of one visitor after another, of those that `matters` says of.
fn visitors(
    input: SendableRecordBatchStream,
    matters: impl Fn(&RecordBatch) -> bool + Clone + Send,
    reservation: MemoryReservation,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let cut = Cut { schema: input.schema(), input, batch: None, begun: vec![], reservation };
    futures::stream::try_unfold(cut, move |mut cut| {
        let matters = matters.clone();
        async move {
            while let Some(rows) = cut.next().await? {
                if matters(&rows) {
                    return Ok(Some((rows, cut)));
                }
            }
            Ok(None)
        }
    })
}

/// A batch, and where the rows of its visitors end.
struct Visited {
    rows: RecordBatch,
    ids: StringArray,
    /// Ends of its visitors, the first one that was not taken yet last.
    ends: Vec<usize>,
    /// Rows before it were taken.
    from: usize,
}

impl Visited {
    fn new(rows: RecordBatch) -> Result<Self> {
        let ids = column(&rows, "visitor_id")?;
        let same = |row: usize| ids.is_valid(row) && ids.is_valid(row - 1) && ids.value(row) == ids.value(row - 1);
        let mut ends: Vec<usize> = (1..rows.num_rows()).filter(|row| !same(*row)).collect();
        ends.extend((rows.num_rows() > 0).then(|| rows.num_rows()));
        ends.reverse();
        Ok(Self { rows, ids, ends, from: 0 })
    }

    /// The rows of the next visitor.
    fn take(&mut self) -> Option<RecordBatch> {
        let end = self.ends.pop()?;
        let rows = self.rows.slice(self.from, end - self.from);
        self.from = end;
        Some(rows)
    }

    /// True where its next visitor is that of the last row of another.
    fn goes_on(&self, begun: &RecordBatch) -> Result<bool> {
        let last = column(&begun.slice(begun.num_rows() - 1, 1), "visitor_id")?;
        Ok(last.is_valid(0) && self.ids.is_valid(self.from) && last.value(0) == self.ids.value(self.from))
    }
}

/// An input that is cut into visitors.
struct Cut {
    schema: SchemaRef,
    input: SendableRecordBatchStream,
    batch: Option<Visited>,
    /// Rows of a visitor who may go on in the next batch.
    begun: Vec<RecordBatch>,
    reservation: MemoryReservation,
}

impl Cut {
    /// The rows of the next visitor.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let Some(batch) = self.batch.as_mut().filter(|batch| !batch.ends.is_empty()) else {
                match self.input.try_next().await? {
                    Some(rows) => self.batch = Some(Visited::new(rows)?),
                    None if self.begun.is_empty() => return Ok(None),
                    None => return self.whole(),
                }
                continue;
            };
            if let Some(begun) = self.begun.last()
                && !batch.goes_on(begun)?
            {
                return self.whole();
            }
            let Some(rows) = batch.take() else { continue };
            match batch.ends.is_empty() {
                true => {
                    self.reservation.try_grow(rows.get_array_memory_size())?;
                    self.begun.push(rows);
                }
                false if self.begun.is_empty() => return Ok(Some(rows)),
                false => {
                    self.begun.push(rows);
                    return self.whole();
                }
            }
        }
    }

    /// The visitor whose rows have come from several batches.
    fn whole(&mut self) -> Result<Option<RecordBatch>> {
        let rows = concat_batches(&self.schema, &self.begun)?;
        self.begun.clear();
        self.reservation.free();
        Ok(Some(rows))
    }
}
