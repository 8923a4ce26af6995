//! Keeps parts of a plan that Ballista would remove when it optimizes each stage once more.
//!
//! * One task sees all rows of an input, where the plan gathers them (`CoalescePartitionsExec`, `SortPreservingMergeExec`) and the
//!   operator itself does not require that. Ballista 55 removes such gatherings. A join whose unmatched rows are known only at the end of
//!   its right side would then run once a partition, and give these rows as often. This node requires the gathering.
//! * A sort above a union stays above it: within the branches, of which a task may have no partition, it cannot be read back. And the rows
//!   of all branches have the schema of the union, which a shuffle expects: branches differ in what may be NULL.
//! * A side of a join that each task is to have whole stays whole. Else both sides would be shuffled, into another number of partitions and
//!   out of order, and the operators above the join would not know.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

/// What is to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum KeptShape {
    /// All rows in one task.
    Gathered,
    /// A union beneath its sorts.
    Union,
    /// Every task has all rows: Ballista does so with what says that it is small.
    Whole,
    /// Partitions that the next stage gathers: their ranges mean nothing there, and Ballista cannot read them as such.
    Parts,
}

/// Passes rows on.
#[derive(Debug)]
pub(super) struct KeepExec {
    input: Arc<dyn ExecutionPlan>,
    pub keep: KeptShape,
    properties: Arc<PlanProperties>,
}

impl KeepExec {
    /// Over an input, which has been gathered if it is for one task.
    pub fn over(input: Arc<dyn ExecutionPlan>, keep: KeptShape) -> Arc<dyn ExecutionPlan> {
        let mut properties = input.properties().clone();
        if matches!(keep, KeptShape::Whole | KeptShape::Parts) {
            // ranges of visitors mean nothing where all are read
            let partitions = Partitioning::UnknownPartitioning(input.output_partitioning().partition_count());
            properties = Arc::new(properties.as_ref().clone().with_partitioning(partitions));
        }
        Arc::new(Self { input, keep, properties })
    }

    /// Gathers an input, in its order if it has one.
    pub fn gather(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let gathered: Arc<dyn ExecutionPlan> = match input.output_ordering().cloned() {
            Some(order) => Arc::new(SortPreservingMergeExec::new(order, input)),
            None => Arc::new(CoalescePartitionsExec::new(input)),
        };
        Self::over(gathered, KeptShape::Gathered)
    }

    /// An input of a join that each task has whole.
    pub fn whole(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        match input.downcast_ref::<CoalescePartitionsExec>() {
            Some(gathering) => {
                Arc::new(CoalescePartitionsExec::new(Self::over(gathering.input().clone(), KeptShape::Whole)))
            }
            None => Self::over(input, KeptShape::Whole),
        }
    }
}

impl DisplayAs for KeepExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeepExec")
    }
}

impl ExecutionPlan for KeepExec {
    fn name(&self) -> &str {
        "KeepExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![match self.keep {
            KeptShape::Gathered => Distribution::SinglePartition,
            KeptShape::Union | KeptShape::Whole | KeptShape::Parts => Distribution::UnspecifiedDistribution,
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let order = self.input.output_ordering().filter(|_| self.keep == KeptShape::Gathered);
        vec![order.cloned().map(OrderingRequirements::from)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.keep != KeptShape::Union]
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
        Ok(Self::over(children.swap_remove(0), self.keep))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Self::over(children.swap_remove(0), self.keep))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        let mut statistics = Statistics::new_unknown(&self.schema());
        if self.keep == KeptShape::Whole {
            statistics.total_byte_size = Precision::Inexact(1);
        }
        Ok(Arc::new(statistics))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        if self.keep != KeptShape::Union {
            return Ok(rows);
        }
        let schema = self.schema();
        let alike = rows.map(move |batch| Ok(batch?.with_schema(schema.clone())?));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), alike)))
    }
}
