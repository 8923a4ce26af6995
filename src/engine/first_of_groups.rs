//! The first row of each group, of rows that are sorted by group: what `row_number() OVER (PARTITION BY ... ORDER BY ...)` is asked
//! for where only the rows with the number 1 go on.
//!
//! DataFusion's window operator keeps a state for each group and cuts all columns of its rows out of the batch, which costs more than
//! sorting them where groups are small. Here a row goes on if it is not of the group of the row before it. State is the
//! group of one row.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{partition, take_record_batch};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{BinaryExpr, Column, Literal};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, StandardWindowExpr, WindowUDFExpr};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, InputOrderMode, PlanProperties,
    replace_children_if_necessary,
};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;

/// Has the first rows of groups taken so. Runs after the rules that see to the order and the distribution of rows.
#[derive(Debug, Default)]
pub struct TakeFirstOfGroups;

impl PhysicalOptimizerRule for TakeFirstOfGroups {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(filter) = node.downcast_ref::<FilterExec>() else { return Ok(Transformed::no(node)) };
            match firsts_below(filter)? {
                Some(firsts) => Ok(Transformed::yes(replace_children_if_necessary(node, vec![firsts])?)),
                None => Ok(Transformed::no(node)),
            }
        })
        .data()
    }

    fn name(&self) -> &str {
        "take_first_of_groups"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The rows below a filter without those that it would leave out, where these are numbered and it keeps the first of each group.
fn firsts_below(filter: &FilterExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(asked) = column_that_is_one(filter.predicate()) else { return Ok(None) };
    let Some(projection) = filter.input().downcast_ref::<ProjectionExec>() else {
        let firsts = FirstOfGroupsExec::in_place_of(filter.input(), asked);
        return Ok(firsts.map(|firsts| Arc::new(firsts) as _));
    };
    // it leaves columns out that only the order needs
    let number = projection.expr().get(asked).and_then(|shown| shown.expr.downcast_ref::<Column>());
    let firsts = number.and_then(|number| FirstOfGroupsExec::in_place_of(projection.input(), number.index()));
    let above = |firsts| replace_children_if_necessary(filter.input().clone(), vec![Arc::new(firsts)]);
    firsts.map(above).transpose()
}

/// The first rows of groups that are together, with the number 1 as last column.
#[derive(Debug)]
pub struct FirstOfGroupsExec {
    input: Arc<dyn ExecutionPlan>,
    /// What rows of one group have in common.
    by: Vec<Arc<dyn PhysicalExpr>>,
    ordering: Vec<Option<OrderingRequirements>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl FirstOfGroupsExec {
    /// In place of what numbers rows, of whom only those go on that have 1 in the column at `asked`.
    fn in_place_of(numbering: &Arc<dyn ExecutionPlan>, asked: usize) -> Option<Self> {
        let window = numbering.downcast_ref::<BoundedWindowAggExec>()?;
        let [numbered] = window.window_expr() else { return None };
        let function = numbered.as_any().downcast_ref::<StandardWindowExpr>()?.get_standard_func_expr();
        let is_number = function.as_any().downcast_ref::<WindowUDFExpr>()?.fun().name() == "row_number";
        let is_sorted = matches!(window.input_order_mode, InputOrderMode::Sorted);
        let (input, by) = (window.input().clone(), numbered.partition_by().to_vec());
        let is_asked = asked == input.schema().fields().len();
        if !is_number || !is_sorted || !is_asked || by.is_empty() || window.state_observer().is_some() {
            return None;
        }
        let (ordering, properties) = (window.required_input_ordering(), window.properties().clone());
        Some(Self { input, by, ordering, properties, metrics: ExecutionPlanMetricsSet::new() })
    }

    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        let input = children.swap_remove(0);
        let partitioning = input.output_partitioning().clone();
        let properties = Arc::new(PlanProperties::clone(&self.properties).with_partitioning(partitioning));
        let (by, ordering) = (self.by.clone(), self.ordering.clone());
        Arc::new(Self { input, by, ordering, properties, metrics: ExecutionPlanMetricsSet::new() })
    }
}

/// The place of the column that is 1, where that is the condition.
fn column_that_is_one(condition: &Arc<dyn PhysicalExpr>) -> Option<usize> {
    let condition = condition.downcast_ref::<BinaryExpr>()?;
    let column = condition.left().downcast_ref::<Column>()?;
    let value = condition.right().downcast_ref::<Literal>()?;
    let is_one = *condition.op() == Operator::Eq && *value.value() == ScalarValue::UInt64(Some(1));
    is_one.then(|| column.index())
}

impl DisplayAs for FirstOfGroupsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by: Vec<String> = self.by.iter().map(|expr| expr.to_string()).collect();
        write!(f, "FirstOfGroupsExec: by=[{}]", by.join(", "))
    }
}

impl ExecutionPlan for FirstOfGroupsExec {
    fn name(&self) -> &str {
        "FirstOfGroupsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        self.ordering.clone()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        for expr in &self.by {
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
        Ok(self.over(children))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over(children))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let (schema, metrics) = (self.schema(), BaselineMetrics::new(&self.metrics, partition));
        let mut groups = Groups { by: self.by.clone(), last: None };
        let rows = input.map(move |batch| {
            let _timer = metrics.elapsed_compute().timer();
            let batch = groups.first_of(&batch?)?;
            metrics.record_output(batch.num_rows());
            let mut columns = batch.columns().to_vec();
            columns.push(Arc::new(UInt64Array::from_value(1, batch.num_rows())));
            Ok(RecordBatch::try_new(schema.clone(), columns)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The groups of rows, batch after batch.
struct Groups {
    by: Vec<Arc<dyn PhysicalExpr>>,
    /// That of the row before.
    last: Option<Vec<ScalarValue>>,
}

impl Groups {
    /// The first rows of the groups that begin in a batch.
    fn first_of(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(batch.clone());
        }
        let columns = self.by.iter().map(|expr| expr.evaluate(batch)?.into_array(rows));
        let columns: Vec<ArrayRef> = columns.collect::<Result<_>>()?;
        let group_of = |row: usize| -> Result<Vec<ScalarValue>> {
            columns.iter().map(|column| ScalarValue::try_from_array(column, row)).collect()
        };
        let goes_on = self.last.replace(group_of(rows - 1)?) == Some(group_of(0)?);
        let groups = partition(&columns)?.ranges();
        let firsts = groups.iter().skip(usize::from(goes_on)).map(|group| group.start as u64);
        Ok(take_record_batch(batch, &UInt64Array::from_iter_values(firsts))?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::physical_plan::displayable;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    fn context(batch_rows: usize, threads: usize) -> SessionContext {
        let config = SessionConfig::new().with_batch_size(batch_rows).with_target_partitions(threads);
        SessionContext::new_with_config(config)
    }

    fn with_rule(context: &SessionContext) -> SessionContext {
        let state = context.state();
        let mut rules = state.physical_optimizers().to_vec();
        rules.push(Arc::new(TakeFirstOfGroups));
        let state = SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build();
        SessionContext::new_with_state(state)
    }

    /// The rows of an answer, and whether the operator found them.
    async fn asked(context: &SessionContext, sql: &str) -> (String, bool) {
        let frame = context.sql(sql).await.unwrap();
        let plan = frame.clone().create_physical_plan().await.unwrap();
        let plan = displayable(plan.as_ref()).indent(false).to_string();
        let rows = pretty_format_batches(&frame.collect().await.unwrap()).unwrap().to_string();
        (rows, plan.contains("FirstOfGroupsExec"))
    }

    fn numbered(function: &str, condition: &str) -> String {
        format!(
            "WITH t AS (SELECT value % 7 AS a, CASE WHEN value % 5 > 1 THEN concat('b', value % 5) END AS b, \
               value * 7919 % 503 AS c, value AS v FROM generate_series(1, 500)), \
             numbered AS (SELECT *, {function}() OVER (PARTITION BY a, b ORDER BY c DESC) AS n FROM t) \
             SELECT a, b, v, n FROM numbered WHERE {condition} ORDER BY a, b, v"
        )
    }

    #[tokio::test]
    async fn groups_have_their_first_rows_whatever_batches_they_lie_in() {
        let sql = numbered("row_number", "n = 1");
        for (batch_rows, threads) in [(1, 1), (3, 2), (16, 3), (8192, 2)] {
            let plain = context(batch_rows, threads);
            let (expected, _) = asked(&plain, &sql).await;
            let (found, ours) = asked(&with_rule(&plain), &sql).await;
            assert!(ours);
            assert_eq!(found, expected);
            // seven times four of them, and what is around the table
            assert_eq!(found.lines().count(), 28 + 4);
        }
    }

    #[tokio::test]
    async fn other_questions_stay() {
        let plain = context(16, 2);
        let others = ["n = 2", "n <= 2", "n = 1 OR a = 3", "n = 1 AND a = 3 OR n = 3"].map(|rows| ("row_number", rows));
        for (function, condition) in others.into_iter().chain([("rank", "n = 1")]) {
            let sql = numbered(function, condition);
            let (expected, _) = asked(&plain, &sql).await;
            assert_eq!(asked(&with_rule(&plain), &sql).await, (expected, false), "{sql}");
        }
    }
}
