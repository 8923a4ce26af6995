//! The operator: fills persisted columns of hits.
//!
//! In: hits sorted by visitor and time, with their visits and what they set. Out: the same rows, where each persisted
//! column holds the value that its row has by the rule of its suite; NULL on rows that are not reported. State is one visitor's; the
//! rows of a visitor are held only where later ones decide (`first_known`, `last_known`), accounted in the memory pool.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringBuilder};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, PlanProperties,
};
use futures::{Stream, StreamExt, TryStreamExt};

use super::ahead::Ahead;
use super::carry::Carry;
use super::persisting::Persisting;
use super::rows::{TypedRows, Visitor};
use crate::attribution::{Expiry, Persistence};
use crate::engine::by_visitor;

/// Fills persisted columns of its input.
#[derive(Debug)]
pub struct PersistenceExec {
    input: Arc<dyn ExecutionPlan>,
    what: Arc<Persisting>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl PersistenceExec {
    /// Over an input with the columns of the layout's order, `suite`, the columns that are filled and what was set of
    /// each; the visit and the metrics, where a rule asks for them.
    pub fn new(input: Arc<dyn ExecutionPlan>, what: Arc<Persisting>) -> Self {
        let properties = by_visitor::properties(input.schema(), &input);
        Self { input, what, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// What is filled.
    pub fn what(&self) -> &Persisting {
        &self.what
    }
}

impl DisplayAs for PersistenceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PersistenceExec: {}", self.what.columns.join(", "))
    }
}

impl ExecutionPlan for PersistenceExec {
    fn name(&self) -> &str {
        "PersistenceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        by_visitor::distribution(&self.input)
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        by_visitor::ordering(&self.input)
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.what.clone())))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.what.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut filler = Filler::new(self.what.clone());
        let filled = if self.what.rules_at_work().any(Persistence::fills_spans) {
            let reservation = MemoryConsumer::new(format!("Persistence[{partition}]")).register(context.memory_pool());
            whole_visitors(input, filler, metrics, reservation).boxed()
        } else {
            let fill = move |batch: Result<RecordBatch>| {
                let _timer = metrics.elapsed_compute().timer();
                let batch = filler.fill(&[], &batch?)?;
                metrics.record_output(batch.num_rows());
                Ok(batch)
            };
            input.map(fill).boxed()
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), filled)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// Fills batches as soon as their last visitor is whole.
fn whole_visitors(
    input: SendableRecordBatchStream,
    filler: Filler,
    metrics: BaselineMetrics,
    reservation: MemoryReservation,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let state = FillState { input: Some(input), filler, metrics, reservation, held: vec![], filled: VecDeque::new() };
    futures::stream::try_unfold(state, |mut state| async move { Ok(state.next().await?.map(|batch| (batch, state))) })
}

struct FillState {
    /// None when it has ended.
    input: Option<SendableRecordBatchStream>,
    filler: Filler,
    metrics: BaselineMetrics,
    reservation: MemoryReservation,
    /// Rows of visitors of whom more may come.
    held: Vec<RecordBatch>,
    filled: VecDeque<RecordBatch>,
}

impl FillState {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if let Some(batch) = self.filled.pop_front() {
                self.metrics.record_output(batch.num_rows());
                return Ok(Some(batch));
            }
            let Some(input) = &mut self.input else { return Ok(None) };
            match input.try_next().await? {
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => {
                    self.reservation.try_grow(batch.get_array_memory_size())?;
                    let last = self.filler.rows(&batch)?.last_visitor();
                    let goes_on = last == 0 && self.filler.continues(&batch)?;
                    self.filler.remember(&batch)?;
                    let (whole, rest) = (batch.slice(0, last), batch.slice(last, batch.num_rows() - last));
                    if goes_on {
                        self.held.push(batch);
                        continue;
                    }
                    if whole.num_rows() > 0 {
                        self.held.push(whole);
                    }
                    self.fill()?;
                    if rest.num_rows() > 0 {
                        self.reservation.try_resize(rest.get_array_memory_size())?;
                        self.held.push(rest);
                    }
                }
                None => {
                    self.input = None;
                    self.fill()?;
                }
            }
        }
    }

    fn fill(&mut self) -> Result<()> {
        let _timer = self.metrics.elapsed_compute().timer();
        let held = std::mem::take(&mut self.held);
        let rows = held.iter().map(|batch| self.filler.rows(batch)).collect::<Result<Vec<_>>>()?;
        self.filler.look_ahead(&rows);
        for batch in &held {
            self.filled.push_back(self.filler.fill(&rows, batch)?);
        }
        self.reservation.free();
        Ok(())
    }
}

/// The columns of a suite.
struct Suite {
    name: String,
    counts_background: bool,
    column_states: Vec<Option<ColumnState>>,
}

/// A column by the rule of a suite.
struct ColumnState {
    rule: Persistence,
    /// Number of the metric that ends values.
    metric: Option<usize>,
    carry: Carry,
    ahead: Ahead,
}

struct Filler {
    what: Arc<Persisting>,
    metrics: Vec<String>,
    suites: Vec<Suite>,
    /// Number of the suite of the last row.
    suite: Option<usize>,
    visitor: Visitor,
    /// The visitor of the last row that came; the rows of a visitor are held till it is whole.
    came: Visitor,
}

impl Filler {
    fn new(what: Arc<Persisting>) -> Self {
        let metrics = what.metrics();
        let suites = what.rules.iter().map(|(name, rules)| {
            let column_state = |column: &String| {
                let rule = rules.get(column)?.clone();
                let metric = match &rule.expiry {
                    Expiry::Metric(name) => metrics.iter().position(|metric| metric == name),
                    _ => None,
                };
                Some(ColumnState { rule, metric, carry: Carry::default(), ahead: Ahead::default() })
            };
            let counts_background = what.counting_background.contains(name);
            Suite {
                name: name.clone(),
                counts_background,
                column_states: what.columns.iter().map(column_state).collect(),
            }
        });
        let suites = suites.collect();
        Self { metrics, suites, suite: None, visitor: Visitor::default(), came: Visitor::default(), what }
    }

    fn rows<'b>(&self, batch: &'b RecordBatch) -> Result<TypedRows<'b>> {
        TypedRows::of(batch, &self.what, &self.metrics)
    }

    /// True where the first row of a batch is of the visitor of the last one that came.
    fn continues(&self, batch: &RecordBatch) -> Result<bool> {
        Ok(!self.came.begins(&self.rows(batch)?, 0))
    }

    fn remember(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = TypedRows::of(batch, &self.what, &self.metrics)?;
        self.came.remember(&rows);
        Ok(())
    }

    /// The suite of a row, if some column persists in it.
    fn suite_of(&mut self, rows: &TypedRows<'_>, row: usize) -> Option<usize> {
        let name = rows.suite(row);
        if self.suite.is_none_or(|suite| self.suites[suite].name != name) {
            self.suite = self.suites.iter().position(|suite| suite.name == name);
        }
        self.suite
    }

    fn column_states(&mut self) -> impl Iterator<Item = &mut ColumnState> {
        self.suites.iter_mut().flat_map(|suite| &mut suite.column_states).flatten()
    }

    /// Finds what whole visitors are filled with.
    fn look_ahead(&mut self, batches: &[TypedRows<'_>]) {
        self.column_states().for_each(|column_state| column_state.ahead.clear());
        let mut visitor = Visitor::default();
        for (number, rows) in batches.iter().enumerate() {
            for row in 0..rows.len {
                if visitor.begins(rows, row) {
                    self.column_states().for_each(|column_state| column_state.ahead.next_visitor());
                }
                let Some(suite) = self.suite_of(rows, row) else { continue };
                let takes_part = rows.has_visitor(row) && rows.is_reported(row, self.suites[suite].counts_background);
                for (column, column_state) in self.suites[suite].column_states.iter_mut().enumerate() {
                    if let Some(column_state) =
                        column_state.as_mut().filter(|column_state| column_state.rule.fills_spans())
                    {
                        let seen = takes_part.then(|| rows.row(column, None, row));
                        column_state.ahead.see(&column_state.rule, seen.as_ref(), (number, row));
                    }
                }
            }
            visitor.remember(rows);
        }
    }

    /// The batch with its columns filled; `whole` are the batches that [`Self::look_ahead`] has seen.
    fn fill(&mut self, whole: &[TypedRows<'_>], batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = self.rows(batch)?;
        let bytes = |column: usize| rows.sets[column].value_data().len().max(rows.len * 8);
        let mut filled: Vec<StringBuilder> =
            (0..self.what.columns.len()).map(|c| StringBuilder::with_capacity(rows.len, bytes(c))).collect();
        for row in 0..rows.len {
            if self.visitor.begins(&rows, row) {
                self.column_states().for_each(|column_state| column_state.carry.clear());
            }
            let suite = self.suite_of(&rows, row);
            let counts_background = suite.is_some_and(|suite| self.suites[suite].counts_background);
            let (has_visitor, is_reported) = (rows.has_visitor(row), rows.is_reported(row, counts_background));
            for (column, out) in filled.iter_mut().enumerate() {
                let column_state = suite.and_then(|suite| self.suites[suite].column_states[column].as_mut());
                let Some(column_state) = column_state else {
                    let own = rows.own[column];
                    out.append_option(own.is_valid(row).then(|| own.value(row)));
                    continue;
                };
                let value = if column_state.rule.fills_spans() {
                    let place = column_state.ahead.next();
                    place.and_then(|(batch, row)| whole[batch].set(column, row))
                } else if has_visitor && is_reported {
                    column_state.carry.next(&column_state.rule, &rows.row(column, column_state.metric, row))
                } else {
                    None
                };
                // a row without a visitor has what it set itself
                out.append_option(if has_visitor { value } else { rows.set(column, row).filter(|_| is_reported) });
            }
        }
        self.visitor.remember(&rows);
        let mut columns = batch.columns().to_vec();
        for (name, mut values) in self.what.columns.iter().zip(filled) {
            columns[batch.schema().index_of(name)?] = Arc::new(values.finish()) as ArrayRef;
        }
        Ok(RecordBatch::try_new(batch.schema(), columns)?)
    }
}
