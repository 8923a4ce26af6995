//! The operator: walks over rows sorted by visitor and time, one visitor at a time, and adds up credit per item.
//!
//! In: one or several inputs, cut into the same buckets, each sorted by visitor and time. Out: one batch of partial sums
//! per partition; a partition works through its share of the buckets one after the other. Memory: a batch of each input
//! of a bucket, one visitor's touches and conversions, and the items; all accounted in the memory pool.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::physical_plan::ParquetSource;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput, Time,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::{FutureExt, StreamExt};
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::JourneySpec;
use super::columns::Columns;
use super::node::describe;
use super::stored::StoredRows;
use super::walk::{Counts, Walk};
use crate::columns::VISITOR_KEY;
use crate::lake::keys::KnownKeys;
use crate::lake::layout;
use crate::lake::scan::read_sorted;

/// Rows in the order of the lake, and what they are.
#[derive(Debug, Clone)]
pub struct Input {
    /// What its columns mean.
    pub lane: Lane,
    /// What delivers them.
    pub plan: Arc<dyn ExecutionPlan>,
}

/// What the columns of an input mean.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Lane {
    /// Those of [`JourneySpec::input_columns`]: filtered and evaluated below.
    Evaluated,
    /// Columns of a table, as stored.
    Stored(StoredRows),
}

impl Lane {
    /// The typed columns of a batch.
    pub(super) fn columns(&self, batch: &RecordBatch, spec: &JourneySpec) -> Result<Columns> {
        match self {
            Self::Evaluated => Columns::evaluated(batch, spec),
            Self::Stored(rows) => Columns::stored(batch, spec, rows),
        }
    }

    /// True for hits as stored: they come before offline rows of the same instant.
    pub(super) fn is_online(&self) -> bool {
        matches!(self, Self::Stored(StoredRows { online: true, .. }))
    }
}

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
    pub fn lanes(&self) -> Vec<Lane> {
        self.inputs.iter().map(|input| input.lane.clone()).collect()
    }

    fn buckets(&self) -> usize {
        self.inputs.first().map_or(0, |input| input.plan.output_partitioning().partition_count())
    }

    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        let lanes = self.inputs.iter().map(|input| input.lane.clone());
        let inputs = lanes.zip(children).map(|(lane, plan)| Input { lane, plan }).collect();
        Arc::new(Self { keys: self.keys.clone(), ..Self::new(self.spec.clone(), inputs, self.threads) })
    }

    /// A walk over every `step`-th bucket from `first`, counted as `partition`.
    fn share(&self, first: usize, step: usize, partition: usize, context: &Arc<TaskContext>) -> Share {
        let reservation = MemoryConsumer::new(format!("Journey[{first}]")).register(context.memory_pool());
        let count = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let counts =
            Counts { rows: count("input_rows"), visitors: count("visitors"), conversions: count("conversions") };
        Share {
            walk: Walk::new(self.spec.clone(), Some(reservation), counts),
            inputs: self.inputs.clone(),
            buckets: (first..self.buckets()).step_by(step).collect(),
            context: context.clone(),
            keys: self.keys.clone(),
            work: MetricBuilder::new(&self.metrics).subset_time("walk_time", partition),
        }
    }
}

/// The buckets of one walk.
struct Share {
    walk: Walk,
    inputs: Vec<Input>,
    buckets: Vec<usize>,
    context: Arc<TaskContext>,
    keys: Option<KnownKeys>,
    work: Time,
}

impl Share {
    /// The walk over all of its buckets. Memory is that of one bucket at a time.
    async fn walked(mut self) -> Result<Walk> {
        for bucket in self.buckets {
            let open = |input: &Input| {
                let (lane, plan, context) = (input.lane.clone(), input.plan.clone(), self.context.clone());
                async move {
                    let stream = match &lane {
                        Lane::Stored(_) => read_sorted(&plan, bucket, context).await?,
                        Lane::Evaluated => plan.execute(bucket, context)?,
                    };
                    Ok((stream, lane))
                }
                .boxed()
            };
            let streams = self.inputs.iter().map(open).collect();
            let _timer = self.work.timer();
            if self.walk.bucket(streams).await?
                && let Some(keys) = &self.keys
                && let Some(files) = files_of(&self.inputs, bucket)
            {
                keys.tell_visitors(&files);
            }
        }
        Ok(self.walk)
    }
}

/// The files of a bucket, where all inputs are whole files as stored.
fn files_of(inputs: &[Input], bucket: usize) -> Option<Vec<Path>> {
    let mut files = vec![];
    for input in inputs {
        let (scan, _) = input.plan.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
        scan.file_source().filter().is_none().then_some(())?;
        let group = scan.file_groups.get(bucket)?;
        group.iter().all(|file| file.range.is_none() && scan.limit.is_none()).then_some(())?;
        files.extend(group.iter().map(|file| file.object_meta.location.clone()));
    }
    Some(files)
}

impl DisplayAs for JourneyExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stored = self.inputs.iter().any(|input| matches!(input.lane, Lane::Stored(_)));
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
        let of_input = |input: &Input| match (&input.lane, col(VISITOR_KEY, &input.plan.schema())) {
            (Lane::Evaluated, Ok(key)) => Distribution::KeyPartitioned(vec![key]),
            (Lane::Evaluated, Err(_)) => Distribution::SinglePartition,
            // scans of the lake's own buckets
            (Lane::Stored(_), _) => Distribution::UnspecifiedDistribution,
        };
        InputDistributionRequirements::new(self.inputs.iter().map(of_input).collect())
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let of_input = |input: &Input| match input.lane {
            Lane::Evaluated => layout::ordering(&input.plan.schema()).map(OrderingRequirements::from),
            Lane::Stored(_) => layout::visitor_ordering(&input.plan.schema()).map(OrderingRequirements::from),
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
            let shares: Vec<Share> =
                (0..threads).map(|first| self.share(first, threads, partition, &context)).collect();
            async move {
                let tasks: Vec<_> = shares.into_iter().map(|share| SpawnedTask::spawn(share.walked())).collect();
                let mut all: Option<Walk> = None;
                for task in tasks {
                    let walk = task.join().await.map_err(|e| DataFusionError::External(Box::new(e)))??;
                    match &mut all {
                        Some(all) => all.merge(&walk),
                        None => all = Some(walk),
                    }
                }
                let all = all.expect("there is at least one thread");
                Ok(all.finish()?.record_output(&baseline))
            }
            .boxed()
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
