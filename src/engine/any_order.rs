//! Files are not merged for an order that nobody needs: where rows are shuffled, the files of a range of keys are read one after
//! another.
//!
//! A merge opens all generations of a bucket at once and compares their rows, in small batches. It is left out for statements whose
//! answers hang on no order but those that they name, such as those of the integration. Others may see rows in the order of the
//! lake without having asked for it, and keep it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ExecutionPlan, replace_children_if_necessary};

use super::in_turn::InTurnExec;
use super::yielding::YieldExec;
use crate::lake::merge::SortedMergeExec;
use crate::lake::ranges::RangeExec;

/// The plan without the merges that nothing above needs, for so many threads.
///
/// # Errors
/// An operator refuses its new inputs.
pub fn without_merges(plan: Arc<dyn ExecutionPlan>, threads: usize) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_down(|node| {
        let shuffles = node.downcast_ref::<RepartitionExec>().is_some_and(|shuffle| !shuffle.preserve_order());
        if !shuffles {
            return Ok(Transformed::no(node));
        }
        let children = node.children().into_iter().map(|child| in_turn(child.clone(), threads));
        let children = children.collect::<Result<Vec<_>>>()?;
        Ok(Transformed::yes(replace_children_if_necessary(node, children)?))
    })
    .data()
}

/// The same rows in whatever order they come. What works on sorted rows stays as it is.
fn in_turn(plan: Arc<dyn ExecutionPlan>, threads: usize) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_down(|node| {
        if node.is::<SortedMergeExec>() {
            let files = UnionExec::try_new(node.children().into_iter().cloned().collect())?;
            let files: Arc<dyn ExecutionPlan> = Arc::new(InTurnExec::new(files, threads));
            return Ok(Transformed::new(files, true, TreeNodeRecursion::Continue));
        }
        if let Some(scan) = in_full_batches(&node) {
            return Ok(Transformed::new(scan, true, TreeNodeRecursion::Jump));
        }
        let passes = node.is::<ProjectionExec>()
            || node.is::<FilterExec>()
            || node.is::<UnnestExec>()
            || node.is::<UnionExec>()
            || node.is::<InTurnExec>()
            || node.is::<RangeExec>()
            || node.is::<YieldExec>()
            || node.is::<CooperativeExec>();
        let below = if passes { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Jump };
        Ok(Transformed::new(node, false, below))
    })
    .data()
}

/// A scan of files, if that is what the plan is, in batches as large as the session's: they were small so that many files could be
/// merged.
fn in_full_batches(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let scan = plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()?;
    let mut scan = scan.clone();
    scan.batch_size.take()?;
    Some(DataSourceExec::from_data_source(scan))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
    use datafusion::execution::{SendableRecordBatchStream, TaskContext};
    use datafusion::physical_expr::expressions::{Column, Literal};
    use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::common::collect;
    use datafusion::physical_plan::displayable;
    use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
    use datafusion::physical_plan::{ExecutionPlanProperties, Partitioning};
    use datafusion::scalar::ScalarValue;
    use futures::stream;

    use super::*;

    /// A partition of two rows.
    #[derive(Debug)]
    struct Part {
        schema: SchemaRef,
        first: i64,
    }

    impl PartitionStream for Part {
        fn schema(&self) -> &SchemaRef {
            &self.schema
        }

        fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
            let rows = Arc::new(Int64Array::from(vec![self.first, self.first + 1]));
            let batch = RecordBatch::try_new(self.schema.clone(), vec![rows]).unwrap();
            Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), stream::iter([Ok(batch)])))
        }
    }

    fn order() -> LexOrdering {
        LexOrdering::new([PhysicalSortExpr::new_default(Arc::new(Column::new("n", 0)))]).unwrap()
    }

    /// A merge of so many generations of two ranges, below a filter.
    fn filtered_merge(generations: i64) -> Arc<dyn ExecutionPlan> {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let generation = |number: i64| -> Arc<dyn ExecutionPlan> {
            let part = |place: i64| -> Arc<dyn PartitionStream> {
                Arc::new(Part { schema: schema.clone(), first: 4 * number + 2 * place })
            };
            let parts = vec![part(0), part(1)];
            Arc::new(StreamingTableExec::try_new(schema.clone(), parts, None, vec![], false, None).unwrap())
        };
        let merge = Arc::new(SortedMergeExec::of_generations((0..generations).map(generation).collect(), order()));
        Arc::new(FilterExec::try_new(Arc::new(Literal::new(ScalarValue::from(true))), merge).unwrap())
    }

    fn shuffled(input: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        Arc::new(RepartitionExec::try_new(input, Partitioning::Hash(vec![Arc::new(Column::new("n", 0))], 3)).unwrap())
    }

    fn shown(plan: &Arc<dyn ExecutionPlan>) -> String {
        displayable(plan.as_ref()).indent(false).to_string()
    }

    #[tokio::test]
    async fn what_is_shuffled_is_read_in_turn() {
        let plan = without_merges(shuffled(filtered_merge(5)), 1).unwrap();
        assert!(shown(&plan).contains("InTurnExec: at_once=1") && !shown(&plan).contains("SortedMergeExec"));
        // what waits for the partitions of the shuffle finds as many
        assert_eq!(plan.output_partitioning().partition_count(), 3);
        let gathered = CoalescePartitionsExec::new(plan).execute(0, Arc::new(TaskContext::default())).unwrap();
        let batches = collect(gathered).await.unwrap();
        let mut rows: Vec<i64> =
            batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn an_order_that_is_needed_is_kept() {
        // by the reader of the rows as they come
        let read = without_merges(filtered_merge(5), 2).unwrap();
        assert!(shown(&read).contains("SortedMergeExec"));
        // below a shuffle, by an operator on sorted rows
        let sorted: Arc<dyn ExecutionPlan> = Arc::new(SortPreservingMergeExec::new(order(), filtered_merge(5)));
        assert!(shown(&without_merges(shuffled(sorted), 2).unwrap()).contains("SortedMergeExec"));
        // by a shuffle that keeps it
        let shuffle = RepartitionExec::try_new(filtered_merge(5), Partitioning::RoundRobinBatch(3)).unwrap();
        let shuffle = shuffle.with_preserve_order();
        assert!(shuffle.preserve_order());
        assert!(shown(&without_merges(Arc::new(shuffle), 2).unwrap()).contains("SortedMergeExec"));
    }
}
