//! Rows by visitor's key are those of one range of keys after the other: nothing is to be merged.
//!
//! DataFusion merges the partitions of what is sorted, each with its open files, its rows at hand and its sort, from beginning to end,
//! although it takes all of the first before any of the second. Here as many ranges are begun as there are threads, and one more
//! whenever one has ended. Where each range is a wait for a distant store, all are begun at once. Ranges that wait for each other are
//! merged.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    StatisticsArgs, replace_children_if_necessary,
};
use futures::future::ready;
use futures::{StreamExt, TryStreamExt, stream};

/// Batches of a range that wait for their turn.
const AHEAD: usize = 2;

/// Has ranges read in turn where their rows are merged. Runs after all rules that would not know the operator.
#[derive(Debug)]
pub struct ReadRangesInTurn {
    /// The store keeps its readers waiting.
    pub is_distant: bool,
}

impl PhysicalOptimizerRule for ReadRangesInTurn {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let at_once = if self.is_distant { usize::MAX } else { config.execution.target_partitions };
        plan.transform_up(|node| {
            if !node.downcast_ref::<SortPreservingMergeExec>().is_some_and(merges_ranges) {
                return Ok(Transformed::no(node));
            }
            let in_turn: Arc<dyn ExecutionPlan> = Arc::new(RangesInTurnExec::new(node, at_once));
            Ok(Transformed::yes(in_turn))
        })
        .data()
    }

    fn name(&self) -> &str {
        "read_ranges_in_turn"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// True where all rows of one partition come before those of the next.
fn merges_ranges(merge: &SortPreservingMergeExec) -> bool {
    let Partitioning::Range(ranges) = merge.input().output_partitioning() else { return false };
    // rows that are equal in this are in one range
    let is_by_one = ranges.ordering().iter().count() == 1;
    is_by_one
        && ranges.ordering().iter().next() == merge.expr().iter().next()
        && merge.fetch().is_none()
        && !wait_for_all(merge.input())
}

/// True where partitions wait for each other: a hash join that narrows what it looks through reads none of it before all of its
/// partitions have begun.
fn wait_for_all(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let narrows = plan.is::<HashJoinExec>() && !plan.dynamic_expressions_produced().is_empty();
    narrows || plan.children().into_iter().any(wait_for_all)
}

/// The rows of ranges, one after the other.
#[derive(Debug)]
pub struct RangesInTurnExec {
    /// The merge as DataFusion has it.
    merge: Arc<dyn ExecutionPlan>,
    at_once: usize,
    metrics: ExecutionPlanMetricsSet,
}

impl RangesInTurnExec {
    /// In place of a merge of ranges, of which so many are read at once.
    pub fn new(merge: Arc<dyn ExecutionPlan>, at_once: usize) -> Self {
        Self { merge, at_once, metrics: ExecutionPlanMetricsSet::new() }
    }

    fn over(&self, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(replace_children_if_necessary(self.merge.clone(), children)?, self.at_once)))
    }
}

impl DisplayAs for RangesInTurnExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RangesInTurnExec")
    }
}

impl ExecutionPlan for RangesInTurnExec {
    fn name(&self) -> &str {
        "RangesInTurnExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.merge.properties()
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.merge.children()
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
        let mut ranges = vec![];
        for input in self.merge.children() {
            let count = input.output_partitioning().partition_count();
            ranges.extend((0..count).map(|range| (input.clone(), range)));
        }
        let at_once = self.at_once.clamp(1, ranges.len().max(1));
        let begun = stream::iter(ranges).map(move |(input, range)| {
            let rows = input.execute(range, context.clone());
            ready(rows.map(|rows| spawn_buffered(rows, AHEAD)))
        });
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let rows = begun.buffered(at_once).try_flatten();
        let counted = rows.inspect_ok(move |batch| baseline.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        self.merge.child_stats_requests(partition)
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        self.merge.statistics_from_inputs(inputs, args)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::compute::SortOptions;
    use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
    use datafusion::common::{JoinType, NullEquality, SplitPoint};
    use datafusion::error::DataFusionError;
    use datafusion::physical_expr::expressions::{DynamicFilterPhysicalExpr, col, lit};
    use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, PhysicalSortExpr, RangePartitioning};
    use datafusion::physical_plan::EmptyRecordBatchStream;
    use datafusion::physical_plan::common::collect;
    use datafusion::physical_plan::empty::EmptyExec;
    use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
    use datafusion::physical_plan::joins::PartitionMode;
    use datafusion::scalar::ScalarValue;

    use super::*;

    const RANGES: i64 = 9;
    const BATCHES: i64 = 5;

    /// Ranges of ten numbers each, a batch of two at a time. One of them is empty.
    #[derive(Debug)]
    struct Numbers {
        properties: Arc<PlanProperties>,
        open: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    fn order(schema: &Schema, descending: bool) -> LexOrdering {
        let options = SortOptions { descending, nulls_first: false };
        LexOrdering::new([PhysicalSortExpr::new(col("n", schema).unwrap(), options)]).unwrap()
    }

    impl Numbers {
        fn new() -> Self {
            let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
            let order = order(&schema, false);
            let split = |range: i64| SplitPoint::new(vec![ScalarValue::Int64(Some(10 * range))]);
            let ranges = RangePartitioning::try_new(order.clone(), (1..RANGES).map(split).collect()).unwrap();
            let properties = PlanProperties::new(
                EquivalenceProperties::new_with_orderings(schema, [order]),
                Partitioning::Range(ranges),
                EmissionType::Incremental,
                Boundedness::Bounded,
            );
            Self { properties: Arc::new(properties), open: Arc::default(), most: Arc::default() }
        }
    }

    impl DisplayAs for Numbers {
        fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("Numbers")
        }
    }

    impl ExecutionPlan for Numbers {
        fn name(&self) -> &str {
            "Numbers"
        }

        fn properties(&self) -> &Arc<PlanProperties> {
            &self.properties
        }

        fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
            vec![]
        }

        fn apply_expressions(
            &self,
            _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
        ) -> Result<TreeNodeRecursion> {
            Ok(TreeNodeRecursion::Continue)
        }

        fn replace_children(
            self: Arc<Self>,
            _: Vec<Arc<dyn ExecutionPlan>>,
            _: ReplaceChildrenOptions,
        ) -> Result<Arc<dyn ExecutionPlan>> {
            Ok(self)
        }

        fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
            Ok(self)
        }

        fn execute(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
            if partition == 4 {
                return Ok(Box::pin(EmptyRecordBatchStream::new(self.schema())));
            }
            let (schema, open, most) = (self.schema(), self.open.clone(), self.most.clone());
            let batches = (0..BATCHES).map(move |batch| {
                if batch == 0 {
                    most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                }
                if batch == BATCHES - 1 {
                    open.fetch_sub(1, Ordering::SeqCst);
                }
                let first = 10 * partition as i64 + 2 * batch;
                let numbers = Arc::new(Int64Array::from(vec![first, first + 1]));
                RecordBatch::try_new(schema.clone(), vec![numbers]).map_err(DataFusionError::from)
            });
            Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream::iter(batches))))
        }
    }

    fn in_turn(plan: Arc<dyn ExecutionPlan>, threads: usize) -> Arc<dyn ExecutionPlan> {
        let mut config = ConfigOptions::new();
        config.execution.target_partitions = threads;
        ReadRangesInTurn { is_distant: false }.optimize(plan, &config).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn rows_come_in_order_and_few_ranges_are_open() {
        for threads in [1, 2, 3, 20] {
            let numbers = Numbers::new();
            let most = numbers.most.clone();
            let order = order(&numbers.schema(), false);
            let plan = in_turn(Arc::new(SortPreservingMergeExec::new(order, Arc::new(numbers))), threads);
            assert!(plan.is::<RangesInTurnExec>());
            let rows = collect(plan.execute(0, Arc::default()).unwrap()).await.unwrap();
            let found: Vec<i64> =
                rows.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
            let expected: Vec<i64> = (0..10 * RANGES).filter(|n| n / 10 != 4).collect();
            assert_eq!(found, expected, "{threads} threads");
            assert!(most.load(Ordering::SeqCst) <= threads, "{threads} threads");
            assert_eq!(plan.metrics().unwrap().output_rows(), Some(expected.len()));
        }
    }

    #[test]
    fn other_merges_stay() {
        let numbers: Arc<dyn ExecutionPlan> = Arc::new(Numbers::new());
        let merge = |descending| SortPreservingMergeExec::new(order(&numbers.schema(), descending), numbers.clone());
        assert!(in_turn(Arc::new(merge(false)), 2).is::<RangesInTurnExec>());
        assert!(!in_turn(Arc::new(merge(true)), 2).is::<RangesInTurnExec>());
        assert!(!in_turn(Arc::new(merge(false).with_fetch(Some(3))), 2).is::<RangesInTurnExec>());
        assert!(!in_turn(numbers.clone(), 2).is::<RangesInTurnExec>());
    }

    #[test]
    fn joins_whose_partitions_wait_for_each_other_are_merged() {
        let numbers: Arc<dyn ExecutionPlan> = Arc::new(Numbers::new());
        let few = Arc::new(Schema::new(vec![Field::new("few", DataType::Int64, false)]));
        let few: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(few));
        let key = || col("n", &numbers.schema()).unwrap();
        let join = || {
            let on = vec![(col("few", &few.schema()).unwrap(), key())];
            let (mode, nulls) = (PartitionMode::CollectLeft, NullEquality::NullEqualsNothing);
            let (left, right) = (few.clone(), numbers.clone());
            HashJoinExec::try_new(left, right, on, None, &JoinType::Inner, None, mode, nulls, false).unwrap()
        };
        let planned = |join: HashJoinExec| {
            let merge = SortPreservingMergeExec::new(order(&join.schema(), false), Arc::new(join));
            in_turn(Arc::new(merge), 2)
        };
        assert!(planned(join()).is::<RangesInTurnExec>());
        let narrowing = Arc::new(DynamicFilterPhysicalExpr::new(vec![key()], lit(true)));
        assert!(!planned(join().with_dynamic_filter_expr(narrowing).unwrap()).is::<RangesInTurnExec>());
    }
}
