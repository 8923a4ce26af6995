//! Statements that want the first rows of a stream begin with a little of it.
//!
//! DataFusion begins all partitions at once, each with a full batch of every column, although a `LIMIT` may be met by the first
//! rows of one. Here the first partition is read alone, in small batches; only where it has too few rows, the others
//! follow, as many at once as there are threads. Files are not merged for an order that nobody asked for.

use std::fmt;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::physical_plan::FileScanConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::limit::{GlobalLimitExec, LimitStream, LocalLimitExec};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt, stream};

use super::beside::BesideExec;
use super::in_turn::InTurnExec;
use super::persistence::PersistenceExec;
use super::repeats::RepeatsExec;
use super::visits::VisitsExec;
use crate::lake::merge::SortedMergeExec;
use crate::lake::ranges::RangeExec;

/// Of so many rows at most: of more, most of what all partitions begin with is wanted.
const MOST_ROWS: usize = 10_000;

/// Rows of a batch at least. A batch has a price for each of its columns, however few rows it has.
const LEAST_BATCH_ROWS: usize = 64;

/// The same where a filter may drop most of them.
const LEAST_FILTERED_ROWS: usize = 1024;

/// Has the first rows of sorted files read so. Runs after all other rules, which would not know the operator.
#[derive(Debug, Default)]
pub struct ReadFirstRows;

impl PhysicalOptimizerRule for ReadFirstRows {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let threads = config.execution.target_partitions;
        plan.transform_up(|node| {
            let Some(gathering) = node.downcast_ref::<CoalescePartitionsExec>() else {
                return Ok(Transformed::no(node));
            };
            let wanted = gathering.fetch().filter(|rows| *rows <= MOST_ROWS && is_stream(gathering.input()));
            let Some(rows) = wanted else { return Ok(Transformed::no(node)) };
            let least = if may_drop_rows(gathering.input()) { LEAST_FILTERED_ROWS } else { LEAST_BATCH_ROWS };
            let batch_rows = rows.max(least);
            let input = in_batches(in_any_order(gathering.input().clone())?, batch_rows)?;
            let first_rows: Arc<dyn ExecutionPlan> = Arc::new(FirstRowsExec::new(input, rows, batch_rows, threads));
            Ok(Transformed::yes(first_rows))
        })
        .data()
    }

    fn name(&self) -> &str {
        "read_first_rows"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// True where rows come out while rows go in, from scans whose partitions are read apart. Those of others take files from each
/// other, so that the first would read them all.
fn is_stream(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let passes = match scan_of(plan) {
        Some(scan) => scan.output_partitioning.is_some(),
        None => {
            plan.is::<FirstRowsExec>()
                || plan.is::<ProjectionExec>()
                || plan.is::<FilterExec>()
                || plan.is::<LocalLimitExec>()
                || plan.is::<GlobalLimitExec>()
                || plan.is::<UnionExec>()
                || plan.is::<InTurnExec>()
                || plan.is::<SortedMergeExec>()
                || plan.is::<RangeExec>()
                || plan.is::<RepeatsExec>()
                || plan.is::<VisitsExec>()
                || plan.is::<PersistenceExec>()
                || plan.is::<BesideExec>()
                || plan.is::<CooperativeExec>()
                || plan.is::<EmptyExec>()
        }
    };
    passes && plan.children().into_iter().all(is_stream)
}

/// True where fewer rows may come out than go in.
fn may_drop_rows(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let of_scan = scan_of(plan).is_some_and(|scan| scan.file_source.filter().is_some());
    of_scan || plan.is::<FilterExec>() || plan.children().into_iter().any(may_drop_rows)
}

/// The same rows in an order that nobody asked for: files that would be merged are read one after another, so that those that
/// are not needed are never opened. What works on sorted rows stays as it is.
fn in_any_order(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_down(|node| {
        if node.is::<SortedMergeExec>() {
            let children = node.children().into_iter().cloned().collect();
            return Ok(Transformed::new(UnionExec::try_new(children)?, true, TreeNodeRecursion::Continue));
        }
        let needs_no_order = node.is::<ProjectionExec>()
            || node.is::<FilterExec>()
            || node.is::<LocalLimitExec>()
            || node.is::<FirstRowsExec>()
            || node.is::<UnionExec>()
            || node.is::<CooperativeExec>();
        let below = if needs_no_order { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Jump };
        Ok(Transformed::new(node, false, below))
    })
    .data()
}

/// The same with batches of so many rows at most.
fn in_batches(plan: Arc<dyn ExecutionPlan>, rows: usize) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            let smaller: Arc<dyn ExecutionPlan> = Arc::new(filter.with_batch_size(rows.min(filter.batch_size()))?);
            return Ok(Transformed::yes(smaller));
        }
        let Some(scan) = scan_of(&node) else { return Ok(Transformed::no(node)) };
        let mut smaller = scan.clone();
        smaller.batch_size = Some(smaller.batch_size.map_or(rows, |own| own.min(rows)));
        let smaller: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(smaller);
        Ok(Transformed::yes(smaller))
    })
    .data()
}

/// What a scan of files reads.
fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?.data_source().downcast_ref::<FileScanConfig>()
}

/// The first rows of an input, whichever of its partitions they are in.
#[derive(Debug)]
pub struct FirstRowsExec {
    input: Arc<dyn ExecutionPlan>,
    rows: usize,
    /// Rows of a batch at most.
    batch_rows: usize,
    /// Partitions that are read at once where the first has too few rows.
    threads: usize,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl FirstRowsExec {
    fn new(input: Arc<dyn ExecutionPlan>, rows: usize, batch_rows: usize, threads: usize) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        let (properties, metrics) = (Arc::new(properties), ExecutionPlanMetricsSet::new());
        Self { input, rows, batch_rows, threads, properties, metrics }
    }

    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self::new(children.swap_remove(0), self.rows, self.batch_rows, self.threads))
    }
}

impl DisplayAs for FirstRowsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FirstRowsExec: fetch={}", self.rows)
    }
}

impl ExecutionPlan for FirstRowsExec {
    fn name(&self) -> &str {
        "FirstRowsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over(children))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self.over(children))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let context = with_batches(&context, self.batch_rows);
        let first = self.input.execute(0, context.clone())?;
        let (input, threads) = (self.input.clone(), self.threads);
        // nothing of them is there before they are asked for
        let rest = stream::once(async move { Ok::<_, DataFusionError>(others(&input, threads, &context)) });
        let rows = RecordBatchStreamAdapter::new(self.schema(), first.chain(rest.try_flatten()));
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        Ok(Box::pin(LimitStream::new(Box::pin(rows), 0, Some(self.rows), baseline)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn fetch(&self) -> Option<usize> {
        Some(self.rows)
    }
}

/// The rows of all partitions but the first. Partitions stand in as many lanes as there are threads, of which each turns to its
/// next one when the one before has ended.
fn others(input: &Arc<dyn ExecutionPlan>, threads: usize, context: &Arc<TaskContext>) -> SendableRecordBatchStream {
    let partitions = input.output_partitioning().partition_count();
    let lanes = threads.min(partitions.saturating_sub(1)).max(1);
    let mut rows = RecordBatchReceiverStreamBuilder::new(input.schema(), lanes);
    for lane in 0..lanes {
        let (sender, input, context) = (rows.tx(), input.clone(), context.clone());
        rows.spawn(async move {
            for partition in (1 + lane..partitions).step_by(lanes) {
                let mut batches = input.execute(partition, context.clone())?;
                while let Some(batch) = batches.try_next().await? {
                    if sender.send(Ok(batch)).await.is_err() {
                        // nobody waits for more
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
    }
    rows.build()
}

/// What runs with it makes batches of so many rows at most.
fn with_batches(context: &TaskContext, rows: usize) -> Arc<TaskContext> {
    let config = context.session_config();
    let config = config.clone().with_batch_size(config.batch_size().min(rows));
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        config,
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        context.runtime_env(),
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
    use datafusion::physical_expr::expressions::{Column, Literal};
    use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr};
    use datafusion::physical_plan::common::collect;
    use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use datafusion::scalar::ScalarValue;

    use super::*;

    /// How often each partition was begun, and how many batches were made of all.
    #[derive(Debug)]
    struct Seen {
        begun: Vec<AtomicUsize>,
        batches: AtomicUsize,
    }

    /// A partition of some rows, in batches as large as they are asked for. A row is the number of its partition.
    #[derive(Debug)]
    struct Part {
        number: usize,
        rows: usize,
        schema: SchemaRef,
        seen: Arc<Seen>,
    }

    impl PartitionStream for Part {
        fn schema(&self) -> &SchemaRef {
            &self.schema
        }

        fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
            self.seen.begun[self.number].fetch_add(1, Ordering::SeqCst);
            let (number, rows, schema, seen) = (self.number as i64, self.rows, self.schema.clone(), self.seen.clone());
            let most = context.session_config().batch_size();
            let batches = stream::iter((0..rows).step_by(most)).map(move |from| {
                seen.batches.fetch_add(1, Ordering::SeqCst);
                let numbers = Int64Array::from(vec![number; most.min(rows - from)]);
                RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers)]).map_err(DataFusionError::from)
            });
            Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
        }
    }

    /// Partitions with so many rows.
    fn input(rows: &[usize]) -> (Arc<dyn ExecutionPlan>, Arc<Seen>) {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let begun = rows.iter().map(|_| AtomicUsize::new(0)).collect();
        let seen = Arc::new(Seen { begun, batches: AtomicUsize::new(0) });
        let part = |(number, rows): (usize, &usize)| -> Arc<dyn PartitionStream> {
            Arc::new(Part { number, rows: *rows, schema: schema.clone(), seen: seen.clone() })
        };
        let parts = rows.iter().enumerate().map(part).collect();
        let scan = StreamingTableExec::try_new(schema.clone(), parts, None, vec![], false, None).unwrap();
        (Arc::new(scan), seen)
    }

    fn session() -> SessionContext {
        SessionContext::new_with_config(SessionConfig::new().with_batch_size(100))
    }

    /// The numbers of the partitions of the first rows, sorted.
    async fn first(input: Arc<dyn ExecutionPlan>, rows: usize, batch_rows: usize) -> Vec<i64> {
        let plan = FirstRowsExec::new(input, rows, batch_rows, 2);
        let batches = collect(plan.execute(0, session().task_ctx()).unwrap()).await.unwrap();
        let numbers = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
        let mut numbers: Vec<i64> = numbers.collect();
        numbers.sort_unstable();
        numbers
    }

    fn begun(seen: &Seen) -> Vec<usize> {
        seen.begun.iter().map(|begun| begun.load(Ordering::SeqCst)).collect()
    }

    #[tokio::test]
    async fn one_partition_suffices() {
        let (scan, seen) = input(&[50, 50, 50, 50]);
        assert_eq!(first(scan, 10, 7).await, [0; 10]);
        assert_eq!(begun(&seen), [1, 0, 0, 0]);
        // no more batches than the rows need
        assert_eq!(seen.batches.load(Ordering::SeqCst), 2);
        let (scan, seen) = input(&[10, 50]);
        assert_eq!(first(scan, 10, 64).await, [0; 10]);
        assert_eq!(begun(&seen), [1, 0]);
    }

    #[tokio::test]
    async fn each_partition_gives_its_rows_once_where_all_are_needed() {
        let (scan, seen) = input(&[0, 5, 0, 3, 1, 0, 2]);
        assert_eq!(first(scan, 1000, 2).await, [1, 1, 1, 1, 1, 3, 3, 3, 4, 6, 6]);
        assert_eq!(begun(&seen), [1; 7]);
        let (scan, _) = input(&[3, 3, 3]);
        let few = first(scan, 7, 2).await;
        assert_eq!((few.len(), &few[..3]), (7, [0; 3].as_slice()));
        let (scan, _) = input(&[4]);
        assert_eq!(first(scan, 9, 3).await, [0; 4]);
    }

    #[tokio::test]
    async fn batches_are_no_larger_than_those_of_the_session() {
        let (scan, seen) = input(&[1000]);
        assert_eq!(first(scan, 150, 5000).await.len(), 150);
        assert_eq!(seen.batches.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_is_merged_for_no_order_is_read_in_turn() {
        let merged = |parts: &[&[usize]]| -> (Arc<dyn ExecutionPlan>, Vec<Arc<Seen>>) {
            let (scans, seen): (Vec<_>, Vec<_>) = parts.iter().map(|rows| input(rows)).unzip();
            let order = LexOrdering::new([PhysicalSortExpr::new_default(Arc::new(Column::new("n", 0)))]).unwrap();
            (Arc::new(SortedMergeExec::of_generations(scans, order)), seen)
        };
        let (merge, seen) = merged(&[&[5, 5], &[5, 5]]);
        let filter = FilterExec::try_new(Arc::new(Literal::new(ScalarValue::from(true))), merge).unwrap();
        let plan = in_any_order(Arc::new(filter)).unwrap();
        assert_eq!(plan.output_partitioning().partition_count(), 4);
        assert_eq!(first(plan.clone(), 3, 64).await, [0; 3]);
        assert_eq!([begun(&seen[0]), begun(&seen[1])], [[1, 0], [0, 0]]);
        assert_eq!(first(plan, 100, 64).await, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        // an operator that needs the order keeps it
        let (merge, _) = merged(&[&[1], &[1]]);
        let gathered: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(merge));
        let plan = in_any_order(gathered).unwrap();
        assert!(plan.children()[0].is::<SortedMergeExec>());
    }

    #[test]
    fn other_gatherings_stay() {
        let (scan, _) = input(&[1, 1]);
        for fetch in [None, Some(3)] {
            // a stream of which nobody knows how its partitions are read
            let gathering = Arc::new(CoalescePartitionsExec::new(scan.clone()).with_fetch(fetch));
            let plan = ReadFirstRows.optimize(gathering, &ConfigOptions::new()).unwrap();
            assert!(plan.is::<CoalescePartitionsExec>());
        }
        let nothing: Arc<dyn ExecutionPlan> = Arc::new(EmptyExec::new(scan.schema()));
        for (fetch, ours) in [(None, false), (Some(0), true), (Some(MOST_ROWS), true), (Some(MOST_ROWS + 1), false)] {
            let gathering = Arc::new(CoalescePartitionsExec::new(nothing.clone()).with_fetch(fetch));
            let plan = ReadFirstRows.optimize(gathering, &ConfigOptions::new()).unwrap();
            assert_eq!(plan.is::<FirstRowsExec>(), ours, "{fetch:?}");
        }
    }
}
