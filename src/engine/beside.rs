//! Puts columns of the same rows beside each other: those that cost all rows to compute, and those that are read of the few
//! rows that are asked for.
//!
//! In: two inputs with the same rows in the same order, partition by partition. Out: the columns of the first, then those of
//! the second. Inputs of which one has more rows are an error, never rows that do not belong together.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;

use super::by_visitor;

/// The columns of two inputs, row by row.
#[derive(Debug)]
pub struct BesideExec {
    inputs: [Arc<dyn ExecutionPlan>; 2],
    properties: Arc<PlanProperties>,
}

impl BesideExec {
    /// Over two inputs with the same rows in the order of the lake.
    pub fn new(first: Arc<dyn ExecutionPlan>, second: Arc<dyn ExecutionPlan>) -> Self {
        let fields = |plan: &Arc<dyn ExecutionPlan>| plan.schema().fields().to_vec();
        let schema: SchemaRef = Arc::new(Schema::new([fields(&first), fields(&second)].concat()));
        let properties = by_visitor::properties(schema, &first);
        Self { inputs: [first, second], properties }
    }

    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match <[Arc<dyn ExecutionPlan>; 2]>::try_from(children) {
            Ok([first, second]) => Ok(Arc::new(Self::new(first, second))),
            Err(_) => Err(DataFusionError::Internal("columns of two inputs are put beside each other".into())),
        }
    }
}

impl DisplayAs for BesideExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BesideExec")
    }
}

impl ExecutionPlan for BesideExec {
    fn name(&self) -> &str {
        "BesideExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![false; 2]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; 2]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.inputs.iter().collect()
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
        self.over(children)
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.over(children)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let [first, second] = &self.inputs;
        let sides = [first.execute(partition, context.clone())?, second.execute(partition, context)?].map(Side::new);
        let schema = self.schema();
        let rows = futures::stream::try_unfold((sides, schema), |([mut first, mut second], schema)| async move {
            let rows = match (first.has_rows().await?, second.has_rows().await?) {
                (0, 0) => return Ok(None),
                (some, other) if some == 0 || other == 0 => {
                    return Err(DataFusionError::Internal(
                        "columns of the same rows have unlike numbers of rows".into(),
                    ));
                }
                (some, other) => some.min(other),
            };
            let columns = [first.take(rows), second.take(rows)].concat();
            Ok(Some((RecordBatch::try_new(schema.clone(), columns)?, ([first, second], schema))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// An input with what is left of its last batch.
struct Side {
    rows: SendableRecordBatchStream,
    left: Option<RecordBatch>,
}

impl Side {
    fn new(rows: SendableRecordBatchStream) -> Self {
        Self { rows, left: None }
    }

    /// How many rows are at hand; 0 at the end.
    async fn has_rows(&mut self) -> Result<usize> {
        loop {
            match &self.left {
                Some(batch) if batch.num_rows() > 0 => return Ok(batch.num_rows()),
                _ => match self.rows.try_next().await? {
                    Some(batch) => self.left = Some(batch),
                    None => return Ok(0),
                },
            }
        }
    }

    /// The columns of the next rows, which are at hand.
    fn take(&mut self, rows: usize) -> Vec<arrow::array::ArrayRef> {
        let Some(batch) = self.left.take() else { return vec![] };
        self.left = Some(batch.slice(rows, batch.num_rows() - rows));
        batch.slice(0, rows).columns().to_vec()
    }
}
