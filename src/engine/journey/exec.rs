//! The operator: goes over rows sorted by visitor and time, one visitor at a time, and adds up credit per item, paths, or in
//! which order rows come.
//!
//! In: one or several inputs, cut into the same buckets, each sorted by visitor and time. Out: batches of partial sums, or of
//! paths, each once; a partition works through its share of the buckets one after the other. Rows that those above refuse by the time
//! that they are found, such as paths that are behind the first of an order, do not leave. Memory: a batch of each input of a
//! bucket, one visitor's rows, the items, and what was found; all accounted in the memory pool.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter_pushdown::{ChildPushdownResult, FilterPushdownPhase, FilterPushdownPropagation};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties, apply_expression_roots,
};
use futures::stream::once;
use futures::{StreamExt, TryStreamExt};

use super::answer::Answer;
use super::by_person::{PersonRows, RowsByPerson};
use super::input::{Input, InputColumns};
use super::metrics::JourneyMetrics;
use super::path::ShownWalk;
use super::sequence::SequenceWalk;
use super::stream::{Share, found_together};
use super::terms::holds;
use super::traversal::Traversal;
use super::visitors::Visitors;
use super::walk::Walk;
use super::walked_keys::WalkedKeys;
use crate::columns::VISITOR_KEY;
use crate::engine::by_visitor;
use crate::lake::keys::KnownKeys;
use crate::lake::layout;

/// What is found out about all visitors of a partition.
#[derive(Debug)]
pub struct JourneyExec {
    answer: Answer,
    inputs: Vec<Input>,
    /// Buckets worked on at once.
    threads: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// Whose rows are whose, where they are brought together by person.
    persons: Option<PersonRows>,
    /// Where the walk notes what it finds out about visitor keys.
    keys: Option<WalkedKeys>,
    /// On what is found: which rows those above still want. They narrow while rows come.
    filters: Vec<Arc<dyn PhysicalExpr>>,
}

impl JourneyExec {
    /// Over inputs with the same number of partitions: a visitor's rows are in one of them, the same in each input.
    pub fn new(answer: Answer, inputs: Vec<Input>, threads: usize) -> Self {
        let buckets = inputs.first().map_or(1, |input| input.plan.output_partitioning().partition_count());
        let partitions = match answer.is_in_one_part() {
            true => 1,
            false => threads.clamp(1, buckets.max(1)),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(answer.output()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
        Self { answer, inputs, threads, properties, metrics, persons: None, keys: None, filters: vec![] }
    }

    /// Tells `keys` of the files whose visitor keys each are one visitor's.
    pub fn telling(self, keys: KnownKeys) -> Self {
        Self { keys: Some(WalkedKeys::new(keys, self.buckets())), ..self }
    }

    /// Brings rows together by person, where the answer asks for it.
    pub fn by_person(self, persons: Option<PersonRows>) -> Self {
        Self { persons, ..self }
    }

    /// Whose rows are whose, where they are brought together by person.
    pub fn persons(&self) -> Option<&PersonRows> {
        self.persons.as_ref()
    }

    /// What is found out.
    pub fn answer(&self) -> &Answer {
        &self.answer
    }

    /// What the columns of each input mean.
    pub fn input_columns(&self) -> Vec<InputColumns> {
        self.inputs.iter().map(|input| input.columns.clone()).collect()
    }

    /// How many walks share its buckets, each on a core; None where much is left to do when they have ended.
    pub fn shares(&self) -> Option<usize> {
        (!self.answer.is_in_one_part()).then(|| self.properties.output_partitioning().partition_count())
    }

    fn buckets(&self) -> usize {
        self.inputs.first().map_or(0, |input| input.plan.output_partitioning().partition_count())
    }

    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        let columns = self.inputs.iter().map(|input| input.columns.clone());
        let inputs = columns.zip(children).map(|(columns, plan)| Input { columns, plan }).collect();
        Arc::new(self.anew(inputs, self.filters.clone()))
    }

    /// The same with other inputs and filters, to be run again.
    fn anew(&self, inputs: Vec<Input>, filters: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        let (persons, keys) = (self.persons.clone(), self.keys.clone());
        Self { persons, keys, filters, ..Self::new(self.answer.clone(), inputs, self.threads) }
    }

    /// Every `step`-th bucket from `first`, counted with `metrics`.
    fn share<V: Visitors>(
        &self,
        visitors: V,
        (first, step): (usize, usize),
        metrics: JourneyMetrics,
        context: &Arc<TaskContext>,
    ) -> Share<V> {
        let reservation = MemoryConsumer::new(format!("Journey[{first}]")).register(context.memory_pool());
        Share {
            visitors,
            traversal: Traversal::new(reservation, metrics.counts, self.keys.is_some()),
            inputs: self.inputs.clone(),
            buckets: (first..self.buckets()).step_by(step).collect(),
            begun: VecDeque::new(),
            context: context.clone(),
            keys: self.keys.clone(),
            work: metrics.walk_time,
        }
    }
}

impl DisplayAs for JourneyExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.inputs.iter().any(|input| matches!(input.columns, InputColumns::Stored(..)));
        let inputs = if stored { format!(", inputs={}", self.inputs.len()) } else { String::new() };
        write!(f, "JourneyExec: {}{inputs}", self.answer)
    }
}

impl ExecutionPlan for JourneyExec {
    fn name(&self) -> &str {
        "JourneyExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let of_input = |input: &Input| match (&input.columns, col(VISITOR_KEY, &input.plan.schema())) {
            (InputColumns::Evaluated, Ok(key)) => Distribution::KeyPartitioned(vec![key]),
            (InputColumns::Evaluated, Err(_)) => Distribution::SinglePartition,
            // scans of the lake's own buckets
            (InputColumns::Stored(..), _) => Distribution::UnspecifiedDistribution,
        };
        InputDistributionRequirements::new(self.inputs.iter().map(of_input).collect())
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let of_input = |input: &Input| match input.columns {
            InputColumns::Evaluated => {
                by_visitor::journey_ordering(&input.plan.schema()).map(OrderingRequirements::from)
            }
            InputColumns::Stored(..) => layout::visitor_ordering(&input.plan.schema()).map(OrderingRequirements::from),
        };
        self.inputs.iter().map(of_input).collect()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.inputs.len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().map(|input| &input.plan).collect()
    }

    fn apply_expressions(
        &self,
        look: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(&self.filters, look)
    }

    // after all others, DataFusion offers the filters that narrow while a plan runs; what offers them filters, too
    fn handle_child_pushdown_result(
        &self,
        phase: FilterPushdownPhase,
        offered: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        if phase != FilterPushdownPhase::Post || offered.parent_filters.is_empty() {
            return Ok(FilterPushdownPropagation::if_all(offered));
        }
        let filters = offered.parent_filters.iter().map(|parent| parent.filter.clone()).collect();
        let node: Arc<dyn ExecutionPlan> = Arc::new(self.anew(self.inputs.clone(), filters));
        Ok(FilterPushdownPropagation::if_all(offered).with_updated_node(node))
    }

    // what those above refused belongs to the run before
    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.anew(self.inputs.clone(), vec![])))
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over(children))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over(children))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let partitions = self.properties.output_partitioning().partition_count();
        let metrics = || JourneyMetrics::new(&self.metrics, partition);
        let own = (partition, partitions);
        let found = match &self.answer {
            Answer::Credit(spec) if spec.is_in_one_part() => {
                // a person's rows may be in the shares of all threads, and equal paths are one
                let threads = self.threads.clamp(1, self.buckets().max(1));
                let share = |first: usize| {
                    let metrics = metrics();
                    let walk = Walk::new(spec.clone(), metrics.counts.clone());
                    let disk = || context.runtime_env().disk_manager.clone();
                    let by_person = self.persons.clone().map(|persons| RowsByPerson::new(persons, disk()));
                    self.share(walk.by_person(by_person), (first, threads), metrics, &context)
                };
                let shares = (0..threads).map(share).collect();
                once(found_together(shares, self.schema())).try_flatten().boxed()
            }
            Answer::Credit(spec) => {
                let metrics = metrics();
                let walk = Walk::new(spec.clone(), metrics.counts.clone());
                self.share(walk, own, metrics, &context).found().boxed()
            }
            Answer::Shown(spec) => {
                let metrics = metrics();
                let walk = ShownWalk::new(spec.clone(), metrics.counts.clone());
                self.share(walk, own, metrics, &context).handed_on().boxed()
            }
            Answer::Order(spec) => {
                self.share(SequenceWalk::new(spec.clone()), own, metrics(), &context).found().boxed()
            }
        };
        let filters = self.filters.clone();
        let wanted = found.map(move |batch| still_wanted(batch?, &filters));
        let counted = wanted.inspect_ok(move |batch| baseline.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The rows that nobody above refuses by now. A filter that fails says nothing: others may take rows away before it sees them.
fn still_wanted(batch: RecordBatch, filters: &[Arc<dyn PhysicalExpr>]) -> Result<RecordBatch> {
    filters.iter().try_fold(batch, |batch, filter| match holds(filter, &batch) {
        Ok(wanted) => Ok(filter_record_batch(&batch, &wanted)?),
        Err(_) => Ok(batch),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::{Float64Type, Int64Type};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{binary, lit};
    use datafusion::physical_plan::ChildrenPropertiesMode;
    use datafusion::physical_plan::filter_pushdown::ChildFilterPushdownResult;

    use super::*;
    use crate::attribution::Container;
    use crate::engine::journey::stream::{put_together, walk_all};
    use crate::engine::journey::{JourneyOutput, JourneySpec};

    const VISITORS: i64 = 80;
    const BUCKETS: i64 = 4;
    const POOL_BYTES: usize = 64 << 20;

    type Paths = BTreeMap<Vec<String>, (i64, f64, i64)>;

    /// The items of a visitor's rows, each of which converts.
    fn items(visitor: i64) -> impl Iterator<Item = (String, i32)> {
        (0..1 + visitor % 5).map(move |row| (visitor / 5 * row % 3).to_string()).zip(0..)
    }

    fn value(row: i32) -> f64 {
        f64::from(row) + 1.0
    }

    fn bucket(bucket: i64) -> Vec<RecordBatch> {
        let visitors = (0..VISITORS).filter(|visitor| visitor % BUCKETS == bucket);
        let rows: Vec<(i64, String, i32)> =
            visitors.flat_map(|visitor| items(visitor).map(move |(item, row)| (visitor, item, row))).collect();
        let ids = rows.iter().map(|(visitor, ..)| Some(visitor.to_string()));
        let places = || -> ArrayRef { Arc::new(rows.iter().map(|(.., row)| i64::from(*row)).collect::<Int64Array>()) };
        let columns: [(&str, ArrayRef); 6] = [
            ("visitor_key", Arc::new(rows.iter().map(|(visitor, ..)| *visitor).collect::<Int64Array>())),
            ("visitor_id", Arc::new(ids.collect::<StringArray>())),
            ("hit_time", places()),
            ("hit_seq", places()),
            ("item", Arc::new(rows.iter().map(|(_, item, _)| Some(item.clone())).collect::<StringArray>())),
            ("value", Arc::new(rows.iter().map(|(.., row)| Some(value(*row))).collect::<Float64Array>())),
        ];
        vec![RecordBatch::try_from_iter(columns).unwrap()]
    }

    fn spec() -> JourneySpec {
        let gives = JourneyOutput::Paths { unconverted: false, in_parts: false };
        JourneySpec { gives, ..JourneySpec::without_models(Container::Visitor) }
    }

    /// Over all buckets, on two threads.
    fn operator() -> JourneyExec {
        let buckets: Vec<Vec<RecordBatch>> = (0..BUCKETS).map(bucket).collect();
        let plan = MemorySourceConfig::try_new_exec(&buckets, buckets[0][0].schema(), None).unwrap();
        JourneyExec::new(Answer::Credit(spec()), vec![Input { columns: InputColumns::Evaluated, plan }], 2)
    }

    fn context() -> Arc<TaskContext> {
        let pool = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(POOL_BYTES)));
        Arc::new(TaskContext::default().with_runtime(pool.build_arc().unwrap()))
    }

    fn shares(operator: &JourneyExec, context: &Arc<TaskContext>) -> Vec<Share<Walk>> {
        let share = |first: usize| {
            let metrics = JourneyMetrics::new(&operator.metrics, 0);
            operator.share(Walk::new(spec(), metrics.counts.clone()), (first, 2), metrics, context)
        };
        (0..2).map(share).collect()
    }

    async fn found(stream: SendableRecordBatchStream) -> Paths {
        let mut paths = Paths::new();
        for batch in stream.try_collect::<Vec<_>>().await.unwrap() {
            for row in 0..batch.num_rows() {
                let items = batch.column(0).as_list::<i32>().value(row);
                let path = items.as_string::<i32>().iter().map(|item| item.unwrap().to_string()).collect();
                let count = |column: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
                let value = batch.column(2).as_primitive::<Float64Type>().value(row);
                assert!(paths.insert(path, (count(1), value, count(3))).is_none(), "a path comes once");
            }
        }
        paths
    }

    fn expected() -> Paths {
        let mut paths = Paths::new();
        for visitor in 0..VISITORS {
            let mut path = vec![];
            for (item, row) in items(visitor) {
                path.push(item);
                let (conversions, sum, journeys) = paths.entry(path.clone()).or_default();
                (*conversions, *sum, *journeys) = (*conversions + 1, *sum + value(row), *journeys + 1);
            }
        }
        paths
    }

    #[tokio::test]
    async fn paths_of_all_threads_are_one() {
        let operator = operator();
        assert_eq!(operator.properties().output_partitioning().partition_count(), 1);
        assert_eq!(found(operator.execute(0, context()).unwrap()).await, expected());
    }

    #[tokio::test]
    async fn paths_that_do_not_fit_are_the_same() {
        let (operator, context) = (operator(), context());
        // there is no room to make one walk of two
        let walked = walk_all(shares(&operator, &context)).await.unwrap();
        let rest = MemoryConsumer::new("rest").register(context.memory_pool());
        rest.try_grow(POOL_BYTES - context.memory_pool().reserved()).unwrap();
        let stream = put_together(walked, operator.schema()).await.unwrap();
        drop(rest);
        assert_eq!(found(stream).await, expected());
        // buckets are left to walk over
        let stream = put_together(shares(&operator, &context), operator.schema()).await.unwrap();
        assert_eq!(found(stream).await, expected());
    }

    #[tokio::test]
    async fn rows_that_are_refused_above_do_not_leave() {
        let operator = operator();
        let schema = operator.schema();
        let conversions = || col("conversions", &schema).unwrap();
        let many = binary(conversions(), Operator::Gt, lit(20_i64), &schema).unwrap();
        let nothing = binary(conversions(), Operator::Divide, lit(0_i64), &schema).unwrap();
        let fails = binary(nothing, Operator::Gt, lit(20_i64), &schema).unwrap();
        let offered_in = |phase| {
            let parent = |filter: &Arc<dyn PhysicalExpr>| ChildFilterPushdownResult {
                filter: filter.clone(),
                child_results: vec![],
            };
            let parent_filters = [&many, &fails].map(parent).into();
            let offered = ChildPushdownResult { parent_filters, self_filters: vec![] };
            operator.handle_child_pushdown_result(phase, offered, &ConfigOptions::default()).unwrap().updated_node
        };
        assert!(offered_in(FilterPushdownPhase::Pre).is_none(), "what is filtered for good is so above");
        let narrowed = offered_in(FilterPushdownPhase::Post).unwrap();
        let mut wanted = expected();
        wanted.retain(|_, (conversions, ..)| *conversions > 20);
        assert!(!wanted.is_empty() && wanted.len() < expected().len());
        assert_eq!(found(narrowed.execute(0, context()).unwrap()).await, wanted);
        let children = narrowed.children().into_iter().cloned().collect();
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Keep);
        let moved = narrowed.clone().replace_children(children, options).unwrap();
        assert_eq!(found(moved.execute(0, context()).unwrap()).await, wanted);
        let anew = narrowed.reset_state().unwrap();
        assert_eq!(found(anew.execute(0, context()).unwrap()).await, expected());
    }
}
