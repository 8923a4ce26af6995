//! The physical operator: what it asks of its input, and the stream of its rows.

use std::fmt;
use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{
    EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr, PhysicalSortExpr,
};
use datafusion::physical_plan::execution_plan::{Boundedness, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    PlanProperties,
};

use super::call::{Call, PhysicalWindow, names};
use super::metrics::WindowMetrics;
use super::stream::Credited;
use crate::lake::layout::ORDER;

/// True for a plan some of whose rows are sorted anew.
fn sorts(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<SortExec>() || plan.children().into_iter().any(sorts)
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
        let order = |most: usize| {
            let by = self.window.visitor.iter().chain(&self.window.order).take(most);
            LexOrdering::new(by.map(|expr| PhysicalSortExpr::new(expr.clone(), options)))
        };
        // rows that are in the lake's order stand as they should within one place, too; a sort by that order would not keep it
        let lies = |order: LexOrdering| self.input.equivalence_properties().ordering_satisfy(order).unwrap_or(false);
        let as_it_lies = self.window.in_lake_order && order(ORDER.len()).is_some_and(lies) && !sorts(&self.input);
        vec![order(if as_it_lies { ORDER.len() } else { usize::MAX }).map(OrderingRequirements::from)]
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
        let reservation = MemoryConsumer::new(format!("JourneyWindow[{partition}]")).register(context.memory_pool());
        let metrics = WindowMetrics::new(&self.metrics, partition);
        let (window, arguments) = (self.window.clone(), self.arguments.clone());
        let credited = Credited::new(self.schema(), window, arguments, &self.calls, reservation, metrics)?;
        let batches = credited.batches(input);
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}
