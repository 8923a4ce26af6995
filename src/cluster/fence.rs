//! Two things that Ballista's second look at a plan must leave as they are.
//!
//! One task sees all rows of an input: between an operator and a gathering (`CoalescePartitionsExec`,
//! `SortPreservingMergeExec`) that the operator itself does not ask for. Ballista 55 optimizes each stage once more, and takes
//! out gatherings that nobody asks for: a join whose unmatched rows are known only at the end of its right side then ran once a
//! partition, and gave them as often. This node asks for it.
//!
//! A sort above a union stays there: within the branches, of which a task may have no partition, it cannot be read back.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties,
};

/// Passes rows on, and keeps what is above it above.
#[derive(Debug)]
pub(super) struct FenceExec {
    input: Arc<dyn ExecutionPlan>,
    /// All in one task; else in as many as there are partitions, and no sort above moves below.
    pub gathers: bool,
}

impl FenceExec {
    /// Over an input that has been gathered, if it is for one task.
    pub fn over(input: Arc<dyn ExecutionPlan>, gathers: bool) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input, gathers })
    }

    /// Gathers an input, in its order if it has one.
    pub fn gather(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let gathered: Arc<dyn ExecutionPlan> = match input.output_ordering().cloned() {
            Some(order) => Arc::new(SortPreservingMergeExec::new(order, input)),
            None => Arc::new(CoalescePartitionsExec::new(input)),
        };
        Self::over(gathered, true)
    }
}

impl DisplayAs for FenceExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FenceExec")
    }
}

impl ExecutionPlan for FenceExec {
    fn name(&self) -> &str {
        "FenceExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![match self.gathers {
            true => Distribution::SinglePartition,
            false => Distribution::UnspecifiedDistribution,
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        let order = self.input.output_ordering().filter(|_| self.gathers);
        vec![order.cloned().map(OrderingRequirements::from)]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![self.gathers]
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
        Ok(Self::over(children.swap_remove(0), self.gathers))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Self::over(children.swap_remove(0), self.gathers))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.input.execute(partition, context)
    }
}
