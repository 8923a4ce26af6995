//! The operator: goes over rows sorted by visitor and time, one visitor at a time, and adds up credit per item, paths, or in
//! which order rows come.
//!
//! In: one or several inputs, cut into the same buckets, each sorted by visitor and time. Out: batches of partial sums; a
//! partition works through its share of the buckets one after the other. Memory: a batch of each input of a bucket, one
//! visitor's rows, the items, and what was found; all accounted in the memory pool.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::stream::once;
use futures::{StreamExt, TryStreamExt};

use super::answer::Answer;
use super::by_person::{ByPerson, PersonRows};
use super::input::{Input, InputColumns};
use super::metrics::JourneyMetrics;
use super::sequence::SequenceWalk;
use super::stream::{Share, all_walked};
use super::traversal::Traversal;
use super::visitors::Visitors;
use super::walk::Walk;
use crate::columns::VISITOR_KEY;
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
    /// Where what the walk finds out about visitor keys is told.
    keys: Option<KnownKeys>,
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
        let metrics = ExecutionPlanMetricsSet::new();
        Self { answer, inputs, threads, properties: Arc::new(properties), metrics, persons: None, keys: None }
    }

    /// Tells `keys` of the files whose visitor keys each are one visitor's.
    pub fn telling(self, keys: KnownKeys) -> Self {
        Self { keys: Some(keys), ..self }
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

    fn buckets(&self) -> usize {
        self.inputs.first().map_or(0, |input| input.plan.output_partitioning().partition_count())
    }

    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        let columns = self.inputs.iter().map(|input| input.columns.clone());
        let inputs = columns.zip(children).map(|(columns, plan)| Input { columns, plan }).collect();
        let (persons, keys) = (self.persons.clone(), self.keys.clone());
        Arc::new(Self { persons, keys, ..Self::new(self.answer.clone(), inputs, self.threads) })
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
            traversal: Traversal::new(reservation, metrics.counts),
            inputs: self.inputs.clone(),
            buckets: (first..self.buckets()).step_by(step).collect(),
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
            InputColumns::Evaluated => layout::ordering(&input.plan.schema()).map(OrderingRequirements::from),
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
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
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
                // the shares of all threads make one game, and a person's rows may be in any
                let threads = self.threads.clamp(1, self.buckets().max(1));
                let seed = ByPerson::seed();
                let share = |first: usize| {
                    let metrics = metrics();
                    let walk = Walk::new(spec.clone(), metrics.counts.clone());
                    let disk = || context.runtime_env().disk_manager.clone();
                    let by_person = self.persons.clone().map(|persons| ByPerson::new(persons, seed, disk()));
                    self.share(walk.by_person(by_person), (first, threads), metrics, &context)
                };
                let shares = (0..threads).map(share).collect();
                once(async move { Ok::<_, DataFusionError>(all_walked(shares).await?.found()) }).try_flatten().boxed()
            }
            Answer::Credit(spec) => {
                let metrics = metrics();
                let walk = Walk::new(spec.clone(), metrics.counts.clone());
                self.share(walk, own, metrics, &context).found().boxed()
            }
            Answer::Order(spec) => {
                self.share(SequenceWalk::new(spec.clone()), own, metrics(), &context).found().boxed()
            }
        };
        let counted = found.inspect_ok(move |batch| baseline.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
