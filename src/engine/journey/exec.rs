//! The operator: walks over rows sorted by visitor and time, one visitor at a time, and adds up credit per item.
//!
//! In: one or several inputs, cut into the same buckets, each sorted by visitor and time. Out: one batch of partial sums
//! per partition; a partition works through its share of the buckets one after the other. Memory: a batch of each input
//! of a bucket, one visitor's touches and conversions, and the items; all accounted in the memory pool.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::{FutureExt, StreamExt};

use super::JourneySpec;
use super::input::{Input, InputColumns};
use super::metrics::JourneyMetrics;
use super::node::describe;
use super::stream::{Share, all_walked};
use super::walk::Walk;
use crate::columns::VISITOR_KEY;
use crate::lake::keys::KnownKeys;
use crate::lake::layout;

/// Credit per item of all visitors of a partition.
#[derive(Debug)]
pub struct JourneyExec {
    spec: JourneySpec,
    inputs: Vec<Input>,
    /// Buckets worked on at once.
    threads: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    /// Where what the walk finds out about visitor keys is told.
    keys: Option<KnownKeys>,
}

impl JourneyExec {
    /// Over inputs with the same number of partitions: a visitor's rows are in one of them, the same in each input.
    pub fn new(spec: JourneySpec, inputs: Vec<Input>, threads: usize) -> Self {
        let buckets = inputs.first().map_or(1, |input| input.plan.output_partitioning().partition_count());
        let partitions = match spec.needs_all_visitors() {
            true => 1,
            false => threads.clamp(1, buckets.max(1)),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(spec.output()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        let metrics = ExecutionPlanMetricsSet::new();
        Self { spec, inputs, threads, properties: Arc::new(properties), metrics, keys: None }
    }

    /// Tells `keys` of the files whose visitor keys each are one visitor's.
    pub fn telling(self, keys: KnownKeys) -> Self {
        Self { keys: Some(keys), ..self }
    }

    /// What is computed.
    pub fn spec(&self) -> &JourneySpec {
        &self.spec
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
        Arc::new(Self { keys: self.keys.clone(), ..Self::new(self.spec.clone(), inputs, self.threads) })
    }

    /// The walk over every `step`-th bucket from `first`, counted as `partition`.
    fn share(&self, first: usize, step: usize, partition: usize, context: &Arc<TaskContext>) -> Share {
        let reservation = MemoryConsumer::new(format!("Journey[{first}]")).register(context.memory_pool());
        let metrics = JourneyMetrics::new(&self.metrics, partition);
        Share {
            walk: Walk::new(self.spec.clone(), Some(reservation), metrics.counts),
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
        write!(f, "JourneyExec: {}{inputs}", describe(&self.spec))
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
        let result = if self.spec.needs_all_visitors() {
            // the shares of all threads make one game
            let threads = self.threads.clamp(1, self.buckets().max(1));
            let shares = (0..threads).map(|first| self.share(first, threads, partition, &context)).collect();
            async move { Ok(all_walked(shares).await?.finish()?.record_output(&baseline)) }.boxed()
        } else {
            let share = self.share(partition, partitions, partition, &context);
            async move { Ok(share.walked().await?.finish()?.record_output(&baseline)) }.boxed()
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::once(result).boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
