//! The work: batches in, the same rows with their credit out, as soon as their visitor is complete.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder, Int64Array, RecordBatch};
use arrow::compute::{SortOptions, cast, partition};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_expr::PhysicalExpr;
use futures::{Stream, TryStreamExt};

use super::call::{Call, PhysicalWindow};
use super::metrics::WindowMetrics;
use crate::attribution::{Attributor, Container, Conversion, Journey, Reach, RowCredits};
use crate::columns::visitor_key;
use crate::engine::journey::items::{Codes, Items, Text};

/// A batch and what its rows are.
struct Evaluated {
    batch: RecordBatch,
    visitor: Vec<ArrayRef>,
    within: Option<Rows>,
    /// Item, value and time, a call.
    arguments: Vec<(Text, Float64Array, Int64Array)>,
}

/// Rows of one visitor in one batch.
type Piece = (Arc<Evaluated>, Range<usize>);

/// The rows so far, with their credit.
pub(super) struct Credited {
    schema: SchemaRef,
    window: Arc<PhysicalWindow>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    calls: Vec<Credits>,
    /// The visitor that may go on in the next batch.
    held: Vec<Piece>,
    ready: VecDeque<RecordBatch>,
    reservation: MemoryReservation,
    metrics: WindowMetrics,
}

impl Credited {
    /// No rows yet.
    pub fn new(
        schema: SchemaRef,
        window: Arc<PhysicalWindow>,
        arguments: Vec<Arc<dyn PhysicalExpr>>,
        calls: &[Call],
        reservation: MemoryReservation,
        metrics: WindowMetrics,
    ) -> Result<Self> {
        let calls = calls.iter().map(Credits::new).collect::<Result<_>>()?;
        let (held, ready) = (vec![], VecDeque::new());
        Ok(Self { schema, window, arguments, calls, held, ready, reservation, metrics })
    }

    /// All batches of the input, with their credit.
    pub fn batches(self, input: SendableRecordBatchStream) -> impl Stream<Item = Result<RecordBatch>> + Send {
        futures::stream::try_unfold((input, self, false), |(mut input, mut state, mut ended)| async move {
            loop {
                if let Some(batch) = state.ready.pop_front() {
                    state.metrics.baseline.record_output(batch.num_rows());
                    return Ok(Some((batch, (input, state, ended))));
                }
                if ended {
                    return Ok(None);
                }
                match input.try_next().await? {
                    Some(batch) if batch.num_rows() == 0 => {}
                    Some(batch) => state.take(batch)?,
                    None => {
                        state.release()?;
                        ended = true;
                    }
                }
            }
        })
    }

    /// Takes a batch; what is complete is ready.
    fn take(&mut self, batch: RecordBatch) -> Result<()> {
        let timer = self.metrics.baseline.elapsed_compute().clone();
        let _timer = timer.timer();
        let rows = Arc::new(self.evaluate(batch)?);
        let visitors = partition(&rows.visitor)?.ranges();
        let mut visitors = visitors.into_iter().peekable();
        if let Some((last, at)) = self.held.last()
            && let Some(first) = visitors.peek()
            && same(&last.visitor, at.end - 1, &rows.visitor, 0)?
        {
            self.held.push((rows.clone(), first.clone()));
            visitors.next();
            if visitors.peek().is_none() {
                return self.account();
            }
        }
        self.release()?;
        let begin = visitors.peek().map_or(0, |first| first.start);
        let mut columns: Vec<Float64Builder> = self.calls.iter().map(|_| Float64Builder::new()).collect();
        let mut end = begin;
        while let Some(range) = visitors.next() {
            if visitors.peek().is_none() {
                self.held.push((rows.clone(), range));
                break;
            }
            end = range.end;
            self.credit(&[(rows.clone(), range)], &mut columns)?;
        }
        if end > begin {
            self.emit(&rows.batch.slice(begin, end - begin), columns)?;
        }
        self.account()
    }

    /// The visitor that was held is complete.
    fn release(&mut self) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        if held.is_empty() {
            return Ok(());
        }
        let mut columns: Vec<Float64Builder> = self.calls.iter().map(|_| Float64Builder::new()).collect();
        self.credit(&held, &mut columns)?;
        let columns: Vec<Float64Array> = columns.iter_mut().map(Float64Builder::finish).collect();
        let mut start = 0;
        for (rows, range) in held {
            let credits = columns.iter().map(|column| Arc::new(column.slice(start, range.len())) as ArrayRef);
            let own = rows.batch.slice(range.start, range.len());
            let all = own.columns().iter().cloned().chain(credits).collect();
            self.ready.push_back(RecordBatch::try_new(self.schema.clone(), all)?);
            start += range.len();
        }
        Ok(())
    }

    fn emit(&mut self, rows: &RecordBatch, columns: Vec<Float64Builder>) -> Result<()> {
        let credits = columns.into_iter().map(|mut column| Arc::new(column.finish()) as ArrayRef);
        let all = rows.columns().iter().cloned().chain(credits).collect();
        self.ready.push_back(RecordBatch::try_new(self.schema.clone(), all)?);
        Ok(())
    }

    /// Appends the credit of one visitor's rows.
    fn credit(&mut self, pieces: &[Piece], columns: &mut [Float64Builder]) -> Result<()> {
        self.metrics.visitors.add(1);
        if self.window.in_lake_order {
            let (rows, range) = &pieces[0];
            let (keys, ids) = (rows.visitor[0].as_primitive::<Int64Type>(), Text::of(&rows.visitor[1])?);
            if ids.is_valid(range.start) && visitor_key(ids.value(range.start)) != keys.value(range.start) {
                return Err(DataFusionError::Execution(
                    "the column visitor_key does not belong to visitor_id here; give it another name".into(),
                ));
            }
        }
        let order = order_of_windows(pieces);
        for (number, (call, column)) in self.calls.iter_mut().zip(columns).enumerate() {
            self.metrics.conversions.add(call.credit(number, pieces, &order, column));
        }
        Ok(())
    }

    fn evaluate(&self, batch: RecordBatch) -> Result<Evaluated> {
        let arrays = |exprs: &[Arc<dyn PhysicalExpr>]| {
            let one = |expr: &Arc<dyn PhysicalExpr>| expr.evaluate(&batch)?.into_array(batch.num_rows());
            exprs.iter().map(one).collect::<Result<Vec<_>>>()
        };
        let within = arrays(&self.window.within)?;
        let within = match within.is_empty() {
            true => None,
            false => {
                let fields = within.iter().map(|array| SortField::new(array.data_type().clone())).collect();
                Some(RowConverter::new(fields)?.convert_columns(&within)?)
            }
        };
        let arguments = arrays(&self.arguments)?;
        let typed = arguments.chunks_exact(3).map(|call| {
            let value = cast(&call[1], &DataType::Float64)?.as_primitive::<Float64Type>().clone();
            let time = cast(&call[2], &DataType::Int64)?.as_primitive::<Int64Type>().clone();
            Ok((Text::of(&call[0])?, value, time))
        });
        let arguments = typed.collect::<Result<Vec<_>>>()?;
        Ok(Evaluated { visitor: arrays(&self.window.visitor)?, within, arguments, batch })
    }

    fn account(&self) -> Result<()> {
        let held: usize = self.held.iter().map(|(rows, _)| rows.batch.get_array_memory_size()).sum();
        self.reservation.try_resize(held + self.calls.iter().map(Credits::memory_bytes).sum::<usize>())
    }
}

/// True if two rows are equal in all columns; NULL equals NULL.
fn same(left: &[ArrayRef], left_row: usize, right: &[ArrayRef], right_row: usize) -> Result<bool> {
    for (left, right) in left.iter().zip(right) {
        let compare = arrow::array::make_comparator(left, right, SortOptions::default())?;
        if compare(left_row, right_row).is_ne() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Where the windows of a visitor are: row numbers, those of one window together, and the ends of the windows.
fn order_of_windows(pieces: &[Piece]) -> (Vec<u32>, Vec<usize>) {
    let count = pieces.iter().map(|(_, range)| range.len()).sum::<usize>();
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    let mut window_of: Vec<u32> = Vec::with_capacity(count);
    for (rows, range) in pieces {
        let Some(within) = &rows.within else { continue };
        for row in range.clone() {
            let next = numbers.len() as u32;
            window_of.push(*numbers.entry(within.row(row).data()).or_insert(next));
        }
    }
    let mut order: Vec<u32> = (0..count as u32).collect();
    if numbers.len() < 2 {
        return (order, vec![count]);
    }
    // stable: within a window, time goes on rising
    order.sort_by_key(|row| window_of[*row as usize]);
    let ends = order.chunk_by(|a, b| window_of[*a as usize] == window_of[*b as usize]).scan(0, |end, chunk| {
        *end += chunk.len();
        Some(*end)
    });
    let ends = ends.collect();
    (order, ends)
}

/// One call at work.
struct Credits {
    attributor: Attributor,
    reach: Reach,
    journey: Journey,
    credits: RowCredits,
    items: Items,
    codes: Codes,
}

impl Credits {
    fn new(call: &Call) -> Result<Self> {
        let attributor = Attributor::new(call.model)
            .ok_or_else(|| DataFusionError::Internal(format!("{} does not work on one journey", call.name)))?;
        Ok(Self {
            attributor,
            reach: Reach::new(Container::Visitor, call.lookback_us),
            journey: Journey::new(),
            credits: RowCredits::new(),
            items: Items::default(),
            codes: Codes::default(),
        })
    }

    /// Appends the credit of a visitor's rows, and says how many conversions there were.
    fn credit(
        &mut self,
        number: usize,
        pieces: &[Piece],
        (order, ends): &(Vec<u32>, Vec<usize>),
        column: &mut Float64Builder,
    ) -> usize {
        self.credits.reset(order.len());
        let (mut start, mut conversions) = (0, 0);
        for &end in ends {
            self.journey.clear();
            let (mut piece, mut before) = (0, 0);
            for &position in &order[start..end] {
                while position as usize >= before + pieces[piece].1.len() {
                    before += pieces[piece].1.len();
                    piece += 1;
                }
                let (rows, range) = &pieces[piece];
                let row = range.start + position as usize - before;
                let (items, values, times) = &rows.arguments[number];
                let time = times.value(row);
                self.codes.turn_to(items);
                if let [item] = self.codes.items_of(items, row, &mut self.items, false) {
                    self.journey.touch(position, time, 0, *item);
                }
                if values.is_valid(row) {
                    let value = values.value(row);
                    self.journey.convert(Conversion { row: position, position, time, visit: 0, value });
                }
            }
            conversions += self.journey.conversions().len();
            if !self.journey.conversions().is_empty() {
                self.reach.find(&self.journey);
                self.attributor.credit(&self.journey, &self.reach, &mut self.credits);
            }
            start = end;
        }
        self.credits.iter().for_each(|credit| column.append_option(credit));
        conversions
    }

    fn memory_bytes(&self) -> usize {
        self.items.memory_bytes()
            + self.codes.memory_bytes()
            + self.journey.memory_bytes()
            + self.reach.memory_bytes()
            + self.attributor.memory_bytes()
    }
}
