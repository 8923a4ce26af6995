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
use futures::stream::once;
use futures::{Stream, TryStreamExt};

use super::by_visitor;
use crate::lake::ranges::with_memory;

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
        let (inputs, schema) = (self.inputs.clone(), self.schema());
        let opened = async move {
            let context = with_memory(&inputs, false, partition, context).await?;
            let [first, second] = inputs.each_ref().map(|input| input.execute(partition, context.clone()));
            let inputs = [BesideInput::new(first?), BesideInput::new(second?)];
            Ok::<_, DataFusionError>(side_by_side(inputs, schema, context))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), once(opened).try_flatten())))
    }
}

/// The rows of two sides that are executed in a context, which is kept until they end.
fn side_by_side(
    sides: [BesideInput; 2],
    schema: SchemaRef,
    context: Arc<TaskContext>,
) -> impl Stream<Item = Result<RecordBatch>> {
    let rest = (sides, schema, context);
    futures::stream::try_unfold(rest, |([mut first, mut second], schema, context)| async move {
        let rows = match (first.has_rows().await?, second.has_rows().await?) {
            (0, 0) => return Ok(None),
            (some, other) if some == 0 || other == 0 => {
                return Err(DataFusionError::Internal("columns of the same rows have unlike numbers of rows".into()));
            }
            (some, other) => some.min(other),
        };
        let columns = [first.take(rows), second.take(rows)].concat();
        Ok(Some((RecordBatch::try_new(schema.clone(), columns)?, ([first, second], schema, context))))
    })
}

/// An input with what is left of its last batch.
struct BesideInput {
    rows: SendableRecordBatchStream,
    left: Option<RecordBatch>,
}

impl BesideInput {
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
