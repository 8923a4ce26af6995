//! The window functions of journeys as an operator: every row of the input, with the credit that its touch earns.
//!
//! In: rows in which those of a visitor stand together, in order of time. Out: the same rows in the same order, and a
//! column a call. One visitor in memory at a time, accounted in the memory pool, where DataFusion's own window operator
//! would hold the whole input. Over the lake's own order nothing is sorted: equal visitor ids have equal keys, which the
//! planner does not know.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Float64Builder, Int64Array, RecordBatch};
use arrow::compute::{SortOptions, cast, partition};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::catalog::Session;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties,
};
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

use super::items::{Codes, Items, Text};
use crate::attribution::{Attributor, Container, Conversion, Journey, Model, Reach, RowCredits};
use crate::columns::visitor_key;

/// A window function, understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Name of its column.
    pub name: String,
    /// How a conversion is shared.
    pub model: Model,
    /// How long before a conversion a touch still counts, microseconds; None for all history.
    pub lookback_us: Option<i64>,
}

/// What rows belong together, in which order: expressions over the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct Window {
    /// Rows that are equal in these stand together: key and id of the visitor in the lake's order, else what the window
    /// is partitioned by.
    pub visitor: Vec<Expr>,
    /// True if [`Self::visitor`] is the lake's.
    pub in_lake_order: bool,
    /// What else the window is partitioned by.
    pub within: Vec<Expr>,
    /// What a visitor's rows are ordered by, rising.
    pub order: Vec<Expr>,
}

/// The logical node: all columns of the input, and one of credit a call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowNode {
    window: Window,
    calls: Vec<Call>,
    /// Item, value and time in microseconds of each call.
    arguments: Vec<Expr>,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl WindowNode {
    /// Over `input`; `arguments` are three a call.
    pub fn try_new(window: Window, calls: Vec<Call>, arguments: Vec<Expr>, input: LogicalPlan) -> Result<Self> {
        let fields = calls.iter().map(|call| (None, Arc::new(Field::new(&call.name, DataType::Float64, true))));
        let credits = DFSchema::new_with_metadata(fields.collect(), HashMap::new())?;
        let schema = Arc::new(input.schema().as_ref().join(&credits)?);
        Ok(Self { window, calls, arguments, input, schema })
    }

    /// The operator over the planned input.
    pub fn plan(&self, input: Arc<dyn ExecutionPlan>, session: &dyn Session) -> Result<WindowExec> {
        let physical = |exprs: &[Expr]| {
            let one = |expr: &Expr| session.create_physical_expr(expr.clone(), self.input.schema());
            exprs.iter().map(one).collect::<Result<Vec<_>>>()
        };
        let window = PhysicalWindow {
            visitor: physical(&self.window.visitor)?,
            in_lake_order: self.window.in_lake_order,
            within: physical(&self.window.within)?,
            order: physical(&self.window.order)?,
        };
        WindowExec::try_new(Arc::new(window), self.calls.clone(), physical(&self.arguments)?, input)
    }
}

impl PartialOrd for WindowNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let order =
            (&self.window, &self.calls, &self.arguments).partial_cmp(&(&other.window, &other.calls, &other.arguments));
        order.filter(|o| o.is_ne() || self == other)
    }
}

impl UserDefinedLogicalNodeCore for WindowNode {
    fn name(&self) -> &str {
        "JourneyWindow"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let Window { visitor, within, order, .. } = &self.window;
        visitor.iter().chain(within).chain(order).chain(&self.arguments).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JourneyWindow: {}", names(&self.calls))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut exprs = exprs.into_iter();
        let mut next = |count: usize| exprs.by_ref().take(count).collect::<Vec<_>>();
        let window = Window {
            visitor: next(self.window.visitor.len()),
            in_lake_order: self.window.in_lake_order,
            within: next(self.window.within.len()),
            order: next(self.window.order.len()),
        };
        let arguments = next(self.arguments.len());
        Self::try_new(window, self.calls.clone(), arguments, inputs.swap_remove(0))
    }

    fn necessary_children_exprs(&self, outputs: &[usize]) -> Option<Vec<Vec<usize>>> {
        let schema = self.input.schema();
        let mut needed: Vec<usize> = outputs.iter().copied().filter(|i| *i < schema.fields().len()).collect();
        for expr in self.expressions() {
            for column in expr.column_refs() {
                needed.push(schema.maybe_index_of_column(column)?);
            }
        }
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }

    fn prevent_predicate_push_down_columns(&self) -> std::collections::HashSet<String> {
        // a filter on what the window is partitioned by keeps or drops whole windows
        let partitioned = |name: &str| {
            let by = self.window.visitor.iter().chain(&self.window.within);
            by.clone().any(|e| matches!(e, Expr::Column(Column { name: known, .. }) if known == name))
        };
        let names = self.schema.fields().iter().map(|f| f.name().clone());
        names.filter(|name| !partitioned(name)).collect()
    }
}

fn names(calls: &[Call]) -> String {
    calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// [`Window`] over the physical input.
#[derive(Debug)]
pub struct PhysicalWindow {
    /// As in [`Window`].
    pub visitor: Vec<Arc<dyn PhysicalExpr>>,
    /// As in [`Window`].
    pub in_lake_order: bool,
    /// As in [`Window`].
    pub within: Vec<Arc<dyn PhysicalExpr>>,
    /// As in [`Window`].
    pub order: Vec<Arc<dyn PhysicalExpr>>,
}

/// The operator.
#[derive(Debug)]
pub struct WindowExec {
    window: Arc<PhysicalWindow>,
    calls: Vec<Call>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl WindowExec {
    /// Over `input`; `arguments` are item, value and time in microseconds of each call.
    pub fn try_new(
        window: Arc<PhysicalWindow>,
        calls: Vec<Call>,
        arguments: Vec<Arc<dyn PhysicalExpr>>,
        input: Arc<dyn ExecutionPlan>,
    ) -> Result<Self> {
        let mut fields = input.schema().fields().to_vec();
        fields.extend(calls.iter().map(|call| Arc::new(Field::new(&call.name, DataType::Float64, true))));
        let schema: SchemaRef = Arc::new(Schema::new_with_metadata(fields, input.schema().metadata().clone()));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(schema),
            input.output_partitioning().clone(),
            input.properties().emission_type,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Ok(Self { window, calls, arguments, input, properties: Arc::new(properties), metrics })
    }

    /// What rows belong together.
    pub fn window(&self) -> &PhysicalWindow {
        &self.window
    }

    /// The window functions.
    pub fn calls(&self) -> &[Call] {
        &self.calls
    }

    /// Item, value and time of each call.
    pub fn arguments(&self) -> &[Arc<dyn PhysicalExpr>] {
        &self.arguments
    }

    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (window, input) = (self.window.clone(), children.swap_remove(0));
        Ok(Arc::new(Self::try_new(window, self.calls.clone(), self.arguments.clone(), input)?))
    }
}

impl DisplayAs for WindowExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JourneyWindowExec: {}", names(&self.calls))
    }
}

impl ExecutionPlan for WindowExec {
    fn name(&self) -> &str {
        "JourneyWindowExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let by = if self.window.in_lake_order { &self.window.visitor[..1] } else { &self.window.visitor[..] };
        InputDistributionRequirements::new(vec![Distribution::KeyPartitioned(by.to_vec())])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let options = SortOptions { descending: false, nulls_first: false };
        let by = self.window.visitor.iter().chain(&self.window.order);
        let order = LexOrdering::new(by.map(|expr| PhysicalSortExpr::new(expr.clone(), options)));
        vec![order.map(OrderingRequirements::from)]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let PhysicalWindow { visitor, within, order, .. } = self.window.as_ref();
        for expr in visitor.iter().chain(within).chain(order).chain(&self.arguments) {
            if f(expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let count = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let reservation = MemoryConsumer::new(format!("JourneyWindow[{partition}]")).register(context.memory_pool());
        let state = Credited {
            schema: self.schema(),
            window: self.window.clone(),
            arguments: self.arguments.clone(),
            calls: self.calls.iter().map(Credits::new).collect::<Result<_>>()?,
            held: vec![],
            ready: VecDeque::new(),
            reservation,
            baseline: BaselineMetrics::new(&self.metrics, partition),
            visitors: count("visitors"),
            conversions: count("conversions"),
        };
        let batches =
            futures::stream::try_unfold((input, state, false), |(mut input, mut state, mut ended)| async move {
                loop {
                    if let Some(batch) = state.ready.pop_front() {
                        state.baseline.record_output(batch.num_rows());
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
            });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

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
struct Credited {
    schema: SchemaRef,
    window: Arc<PhysicalWindow>,
    arguments: Vec<Arc<dyn PhysicalExpr>>,
    calls: Vec<Credits>,
    /// The visitor that may go on in the next batch.
    held: Vec<Piece>,
    ready: VecDeque<RecordBatch>,
    reservation: MemoryReservation,
    baseline: BaselineMetrics,
    visitors: Count,
    conversions: Count,
}

impl Credited {
    /// Takes a batch; what is complete is ready.
    fn take(&mut self, batch: RecordBatch) -> Result<()> {
        let timer = self.baseline.elapsed_compute().clone();
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
        self.visitors.add(1);
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
            self.conversions.add(call.credit(number, pieces, &order, column));
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

/// Where the windows of a visitor lie: row numbers, those of one window together, and the ends of the windows.
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
