//! Statements of many parts compute a few of them at a time.
//!
//! DataFusion begins all branches of a union at once, and all scalar subqueries of a statement, each with its open files and its operators:
//! memory that grows with the statement's text. Here the branches of a large union are put into lanes, and a lane begins its next branch
//! when the one before has ended. The subqueries of a large statement are computed a few at a time.
//!
//! Partition `p` of a lane is partition `p` of its branches, one after the other. Operators that wait until each partition of a branch is
//! asked for (a join, a shuffle) still get that: of the branches of a lane that have not ended, all partitions of the first are read.

use std::fmt;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::scalar_subquery::ScalarSubqueryExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning, PlanProperties,
    StatisticsArgs,
};
use futures::{StreamExt, TryStreamExt, stream};

/// Branches of a union, and subqueries of a statement, that are computed at once as they are.
const FEW: usize = 8;

/// Has large unions and many subqueries computed a few parts at a time. Runs before distribution and sorting are enforced.
#[derive(Debug, Default)]
pub struct ManyInTurn;

impl PhysicalOptimizerRule for ManyInTurn {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let threads = config.execution.target_partitions;
        plan.transform_up(|node| {
            if node.downcast_ref::<UnionExec>().is_some_and(|union| union.inputs().len() > FEW) {
                let in_turn: Arc<dyn ExecutionPlan> = Arc::new(InTurnExec::new(node, threads));
                return Ok(Transformed::yes(in_turn));
            }
            match node.downcast_ref::<ScalarSubqueryExec>().filter(|node| node.subqueries().len() > FEW) {
                Some(many) => Ok(Transformed::yes(few_by_few(many))),
                None => Ok(Transformed::no(node)),
            }
        })
        .data()
    }

    fn name(&self) -> &str {
        "many_in_turn"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same with a few subqueries an operator, of which one begins when the one above it has ended.
fn few_by_few(many: &ScalarSubqueryExec) -> Arc<dyn ExecutionPlan> {
    many.subqueries().chunks(FEW).fold(many.input().clone(), |input, few| {
        Arc::new(ScalarSubqueryExec::new(input, few.to_vec(), many.results().clone()))
    })
}

/// A union that reads few of its branches at once.
#[derive(Debug)]
pub struct InTurnExec {
    /// The union as DataFusion has it, whose branches have the same columns.
    union: Arc<dyn ExecutionPlan>,
    threads: usize,
    /// Branches that are read at once.
    lanes: usize,
    /// Partitions of a lane: those of its widest branch.
    width: usize,
    properties: Arc<PlanProperties>,
}

impl InTurnExec {
    /// Of a union, with enough lanes for so many threads.
    pub fn new(union: Arc<dyn ExecutionPlan>, threads: usize) -> Self {
        let branches = union.children();
        let partitions = branches.iter().map(|branch| branch.output_partitioning().partition_count());
        let width = partitions.max().unwrap_or(1).max(1);
        // a branch ends with its slowest partition, while another one goes on
        let lanes = (2 * threads).div_ceil(width).clamp(1, branches.len().max(1));
        let properties = PlanProperties::new(
            EquivalenceProperties::new(union.schema()),
            Partitioning::UnknownPartitioning(lanes * width),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { union, threads, lanes, width, properties: Arc::new(properties) }
    }

    fn over(&self, branches: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(UnionExec::try_new(branches)?, self.threads)))
    }
}

impl DisplayAs for InTurnExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InTurnExec: at_once={}", self.lanes)
    }
}

impl ExecutionPlan for InTurnExec {
    fn name(&self) -> &str {
        "InTurnExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.union.children().len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.union.children()
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
        let (lane, place) = (partition / self.width, partition % self.width);
        let branches = self.union.children().into_iter().skip(lane).step_by(self.lanes);
        let branches = branches.filter(|branch| place < branch.output_partitioning().partition_count());
        let branches: Vec<_> = branches.cloned().collect();
        let rows = stream::iter(branches).map(move |branch| branch.execute(place, context.clone())).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        match partition {
            Some(_) => vec![ChildStats::Skip; self.union.children().len()],
            None => self.union.child_stats_requests(None),
        }
    }

    fn statistics_from_inputs(&self, branches: &[Arc<Statistics>], args: &StatisticsArgs) -> Result<Arc<Statistics>> {
        match args.partition() {
            Some(_) => Ok(Arc::new(Statistics::new_unknown(&self.schema()))),
            None => self.union.statistics_from_inputs(branches, args),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow::array::{AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
    use datafusion::error::DataFusionError;
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::common::collect;
    use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
    use datafusion::prelude::{SessionConfig, SessionContext};
    use tokio::sync::Barrier;

    use super::*;

    /// Branches that are open now, and that were open at most.
    #[derive(Debug, Default)]
    struct OpenBranches {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    /// One partition of a branch: its number. It waits for all partitions of its branch, as a shuffle does.
    #[derive(Debug)]
    struct Part {
        number: i64,
        schema: SchemaRef,
        all: Arc<Barrier>,
        open: Arc<OpenBranches>,
    }

    impl PartitionStream for Part {
        fn schema(&self) -> &SchemaRef {
            &self.schema
        }

        fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
            let (all, open, schema, number) = (self.all.clone(), self.open.clone(), self.schema.clone(), self.number);
            let rows = stream::once(async move {
                let now = open.now.fetch_add(1, Ordering::SeqCst) + 1;
                open.most.fetch_max(now, Ordering::SeqCst);
                all.wait().await;
                open.now.fetch_sub(1, Ordering::SeqCst);
                let numbers = Arc::new(Int64Array::from(vec![number]));
                RecordBatch::try_new(schema, vec![numbers]).map_err(DataFusionError::from)
            });
            Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), rows))
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn few_branches_at_once_and_each_of_their_partitions() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let open = Arc::new(OpenBranches::default());
        let expected = Mutex::new(vec![]);
        let branch = |number: usize| {
            // branches of one, two and three partitions
            let width = 1 + number % 3;
            let all = Arc::new(Barrier::new(width));
            let part = |place: usize| -> Arc<dyn PartitionStream> {
                let number = (10 * number + place) as i64;
                expected.lock().unwrap().push(number);
                Arc::new(Part { number, schema: schema.clone(), all: all.clone(), open: open.clone() })
            };
            let parts = (0..width).map(part).collect();
            let scan = StreamingTableExec::try_new(schema.clone(), parts, None, vec![], false, None).unwrap();
            Arc::new(scan) as Arc<dyn ExecutionPlan>
        };
        let union = UnionExec::try_new((0..40).map(branch).collect()).unwrap();
        let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        let plan = ManyInTurn.optimize(union, session.state().config_options()).unwrap();
        let in_turn = plan.downcast_ref::<InTurnExec>().unwrap();
        assert_eq!((in_turn.lanes, in_turn.width), (2, 3));
        let rows = CoalescePartitionsExec::new(plan).execute(0, session.task_ctx()).unwrap();
        let mut found: Vec<i64> = collect(rows)
            .await
            .unwrap()
            .iter()
            .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec())
            .collect();
        found.sort_unstable();
        assert_eq!(found, expected.into_inner().unwrap());
        // as many as two lanes have partitions
        assert!(open.most.load(Ordering::SeqCst) <= 6, "{open:?}");
    }

    #[test]
    fn small_unions_stay() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let branch = |_| {
            let scan = StreamingTableExec::try_new(schema.clone(), vec![], None, vec![], false, None).unwrap();
            Arc::new(scan) as Arc<dyn ExecutionPlan>
        };
        let union = UnionExec::try_new((0..FEW).map(branch).collect()).unwrap();
        let plan = ManyInTurn.optimize(union, &ConfigOptions::new()).unwrap();
        assert!(plan.is::<UnionExec>());
    }
}
