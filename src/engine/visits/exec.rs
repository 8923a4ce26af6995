//! The operator: fills the visit columns of rows that go through it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, PlanProperties,
};
use futures::StreamExt;

use super::rules::VisitRules;
use super::stream::Visitor;
use crate::engine::by_visitor;

/// Fills `visit_num` and `visit_start` of its input.
#[derive(Debug)]
pub struct VisitsExec {
    input: Arc<dyn ExecutionPlan>,
    rules: Arc<HashMap<String, VisitRules>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl VisitsExec {
    /// Over an input with the columns of the layout's order, `suite`, and the visit columns; rules by suite.
    pub fn new(input: Arc<dyn ExecutionPlan>, rules: Arc<HashMap<String, VisitRules>>) -> Self {
        let properties = by_visitor::properties(input.schema(), &input);
        Self { input, rules, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// When visits end, by suite.
    pub fn rules(&self) -> &HashMap<String, VisitRules> {
        &self.rules
    }
}

impl DisplayAs for VisitsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisitsExec")
    }
}

impl ExecutionPlan for VisitsExec {
    fn name(&self) -> &str {
        "VisitsExec"
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
        Ok(Arc::new(Self::new(children.swap_remove(0), self.rules.clone())))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.rules.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut state = Visitor::new(self.rules.clone());
        let filled = input.map(move |batch| {
            let _timer = metrics.elapsed_compute().timer();
            let batch = state.fill(&batch?)?;
            metrics.record_output(batch.num_rows());
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), filled.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
