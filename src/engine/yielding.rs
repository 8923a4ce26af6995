//! Joins that give others their turn: a statement that is stopped ends within a moment, and others go on beside it.
//!
//! DataFusion pauses where rows are read. A join makes very many pairs of few rows, and reads nothing between them: it goes on until it
//! has rows to hand on. Where few pairs meet its condition this can take hours, even if the client has given up. Here the condition
//! asks, before it looks at some thousand pairs, whether the join had its turn. If so it fails with an error that nobody sees:
//! `YieldStream` makes a pause of it, and polls the join again later. The joins of DataFusion 55 that loop over pairs, nested and
//! hashed, change nothing before their condition has answered, so that they go on where they were.
//!
//! A join of sorted sides cannot go on after an error. With a condition it gets a thread of its own, apart from other tasks, and its
//! condition fails when nobody reads its rows any more.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::JoinType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::lit;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder, SortMergeJoinExec,
};
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt, stream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

/// A join's turn: after it, its thread is for others.
const TURN: Duration = Duration::from_millis(50);

/// Batches of a join with a thread of its own that wait for their reader.
const AHEAD: usize = 2;

/// Lets operators pause that make many rows of few.
#[derive(Debug, Default)]
pub struct YieldInJoins;

impl PhysicalOptimizerRule for YieldInJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        yielding(plan)
    }

    fn name(&self) -> &str {
        "yield_in_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same plan, whose operators pause that make many rows of few; it can no longer be sent elsewhere.
pub(crate) fn yielding(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    in_turns_of(TURN, plan)
}

fn in_turns_of(turn: Duration, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| match multiplies(node.as_ref()) {
        true => {
            let on_own_thread = node.downcast_ref::<SortMergeJoinExec>().is_some_and(|join| join.filter.is_some());
            let input = with_pausing_filter(node)?;
            Ok(Transformed::yes(Arc::new(YieldExec { input, turn, on_own_thread }) as Arc<dyn ExecutionPlan>))
        }
        false => Ok(Transformed::no(node)),
    })
    .data()
}

fn multiplies(node: &dyn ExecutionPlan) -> bool {
    node.is::<CrossJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<HashJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<UnnestExec>()
}

/// The same operator; of a join that may look at many pairs without a row to hand on, the condition can end its turn.
fn with_pausing_filter(node: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        let filter = pausing(join.filter(), *join.join_type());
        return join.builder().with_filter(filter).build_exec();
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>() {
        let filter = pausing(join.filter(), *join.join_type());
        return Ok(Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(filter).build()?));
    }
    if let Some(join) = node.downcast_ref::<SortMergeJoinExec>()
        && let Some(filter) = &join.filter
    {
        let join = SortMergeJoinExec::try_new(
            join.left.clone(),
            join.right.clone(),
            join.on.clone(),
            pausing(Some(filter), join.join_type),
            join.join_type,
            join.sort_options.clone(),
            join.null_equality,
        )?;
        return Ok(Arc::new(join));
    }
    Ok(node)
}

/// The same condition, which can end the turn; where there is none, and pairs are no rows, one that holds of every pair.
fn pausing(filter: Option<&JoinFilter>, join: JoinType) -> Option<JoinFilter> {
    use JoinType::{LeftAnti, LeftMark, LeftSemi, RightAnti, RightMark, RightSemi};
    match filter {
        Some(filter) => Some(JoinFilter::new(
            Arc::new(PausingFilter(filter.expression().clone())),
            filter.column_indices().to_vec(),
            filter.schema().clone(),
        )),
        None if matches!(join, LeftSemi | LeftAnti | LeftMark | RightSemi | RightAnti | RightMark) => {
            Some(JoinFilter::new(Arc::new(PausingFilter(lit(true))), vec![], Arc::new(Schema::empty())))
        }
        None => None,
    }
}

/// What ends the turn of the join that is computed on this thread.
enum TurnEnd {
    /// The time, when it has looked at some pairs since it was asked for rows.
    Time { began: Instant, turn: Duration, has_looked: bool },
    /// Nobody reads its rows any more.
    Unread(Sender<Result<RecordBatch>>),
}

thread_local! {
    static TURN_END: RefCell<Option<TurnEnd>> = const { RefCell::new(None) };
}

/// While it lives, a turn ends so; then that of the join above goes on.
struct Turn(Option<TurnEnd>);

impl Turn {
    fn until(end: TurnEnd) -> Self {
        Self(TURN_END.replace(Some(end)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        TURN_END.set(self.0.take());
    }
}

/// An error when the turn is over.
fn still_in_turn() -> Result<()> {
    TURN_END.with_borrow_mut(|end| match end {
        Some(TurnEnd::Time { began, turn, has_looked }) => {
            if *has_looked && began.elapsed() >= *turn {
                return Err(DataFusionError::External(Box::new(Pause)));
            }
            *has_looked = true;
            Ok(())
        }
        Some(TurnEnd::Unread(reader)) if reader.is_closed() => {
            Err(DataFusionError::Execution("nobody reads the rows of the join".into()))
        }
        Some(TurnEnd::Unread(_)) | None => Ok(()),
    })
}

/// A join's turn is over, which is no failure.
#[derive(Debug)]
struct Pause;

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a join pauses")
    }
}

impl Error for Pause {}

fn is_pause(error: &DataFusionError) -> bool {
    matches!(error, DataFusionError::External(cause) if cause.is::<Pause>())
}

/// A join's condition, which fails when the join's turn is over.
#[derive(Debug, Eq)]
struct PausingFilter(Arc<dyn PhysicalExpr>);

impl PartialEq for PausingFilter {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Hash for PausingFilter {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for PausingFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl PhysicalExpr for PausingFilter {
    fn return_field(&self, schema: &Schema) -> Result<FieldRef> {
        self.0.return_field(schema)
    }

    fn evaluate(&self, pairs: &RecordBatch) -> Result<ColumnarValue> {
        still_in_turn()?;
        self.0.evaluate(pairs)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(Arc::new(Self(children.swap_remove(0))))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}

/// Hands on the rows of an operator that makes many rows of few, and pauses when it had its turn.
#[derive(Debug)]
pub struct YieldExec {
    input: Arc<dyn ExecutionPlan>,
    turn: Duration,
    /// It cannot go on after a pause.
    on_own_thread: bool,
}

impl YieldExec {
    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input: children.swap_remove(0), turn: self.turn, on_own_thread: self.on_own_thread })
    }
}

impl DisplayAs for YieldExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YieldExec")
    }
}

impl ExecutionPlan for YieldExec {
    fn name(&self) -> &str {
        "YieldExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
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
        let rows = self.input.execute(partition, context)?;
        if self.on_own_thread {
            let rows = stream::once(async move { on_own_thread(rows) }).flatten();
            return Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)));
        }
        let rows = YieldStream { rows, turn: self.turn, began: None };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// Rows of an operator, with pauses.
struct YieldStream {
    rows: SendableRecordBatchStream,
    turn: Duration,
    /// When its turn began; None while it pauses.
    began: Option<Instant>,
}

impl YieldStream {
    fn pause<T>(&mut self, context: &Context<'_>) -> Poll<T> {
        self.began = None;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Stream for YieldStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // what was done with its rows meanwhile took its turn as well
        if self.began.is_some_and(|began| began.elapsed() > self.turn) {
            return self.pause(context);
        }
        let began = *self.began.get_or_insert_with(Instant::now);
        let polled = {
            let _turn = Turn::until(TurnEnd::Time { began, turn: self.turn, has_looked: false });
            self.rows.poll_next_unpin(context)
        };
        match polled {
            Poll::Ready(Some(Err(error))) if is_pause(&error) => self.pause(context),
            Poll::Ready(rows) => Poll::Ready(rows),
            Poll::Pending => {
                self.began = None;
                Poll::Pending
            }
        }
    }
}

/// The rows, computed on a thread of their own until nobody reads them any more.
fn on_own_thread(mut rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut receiver = RecordBatchReceiverStreamBuilder::new(rows.schema(), AHEAD);
    let (reader, runtime) = (receiver.tx(), Handle::current());
    receiver.spawn_blocking(move || {
        let _turn = Turn::until(TurnEnd::Unread(reader.clone()));
        runtime.block_on(async {
            loop {
                let batch = tokio::select! {
                    biased;
                    () = reader.closed() => break,
                    batch = rows.next() => batch,
                };
                let Some(batch) = batch else { break };
                if reader.send(batch).await.is_err() {
                    break;
                }
            }
        });
        Ok(())
    });
    receiver.build()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::util::pretty::pretty_format_batches;
    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::physical_plan::collect;
    use datafusion::prelude::{SessionConfig, SessionContext};
    use tokio::time::timeout;

    use super::*;
    use crate::engine::join_filters::FiltersSeeNulls;

    /// A session whose joins on equal keys are hashed, or sorted.
    fn session(hashed: bool, batch_size: usize) -> SessionContext {
        let config = SessionConfig::new()
            .with_target_partitions(2)
            .with_batch_size(batch_size)
            .set_bool("datafusion.optimizer.prefer_hash_join", hashed);
        let state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        let mut rules = state.physical_optimizers().to_vec();
        rules.push(Arc::new(FiltersSeeNulls));
        let state = SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build();
        SessionContext::new_with_state(state)
    }

    async fn planned(context: &SessionContext, sql: &str) -> Arc<dyn ExecutionPlan> {
        context.sql(sql).await.unwrap().create_physical_plan().await.unwrap()
    }

    /// All on one thread, which a join without pauses would keep: none of these joins ends within an hour. A join's own thread ends as
    /// well, or the test would not.
    #[tokio::test]
    async fn a_join_can_be_given_up() {
        let (rarely, parity) = ("(a.value * b.value) % 1000003 = -1", "a.value % 2 = b.value % 2");
        let both = format!("{parity} AND {rarely}");
        for (hashed, from) in [
            (true, "a, a AS b, a AS c".to_string()),
            (true, "a JOIN a AS b ON a.value + b.value > 0".to_string()),
            (true, format!("a JOIN a AS b ON {rarely}")),
            (true, format!("a FULL JOIN a AS b ON {rarely}")),
            (true, format!("a LEFT ANTI JOIN a AS b ON {rarely}")),
            (true, format!("a RIGHT SEMI JOIN a AS b ON {rarely}")),
            (true, format!("a JOIN a AS b ON {parity}")),
            (true, format!("a JOIN a AS b ON {both}")),
            (true, format!("a LEFT JOIN a AS b ON {both}")),
            (true, format!("a RIGHT ANTI JOIN a AS b ON {both}")),
            (false, format!("a JOIN a AS b ON {both}")),
            (false, format!("a LEFT SEMI JOIN a AS b ON {both}")),
        ] {
            let sql = format!("WITH a AS (SELECT value FROM generate_series(1, 1000000)) SELECT count(*) FROM {from}");
            let context = session(hashed, 8192);
            let plan = yielding(planned(&context, &sql).await).unwrap();
            let begun = Instant::now();
            // long enough to get beyond the sorts
            let patience = Duration::from_millis(if hashed { 300 } else { 1500 });
            assert!(timeout(patience, collect(plan, context.task_ctx())).await.is_err(), "{from}");
            assert!(begun.elapsed() < Duration::from_secs(60), "{from}: {:?}", begun.elapsed());
        }
    }

    /// With a pause after each look at pairs, and after each batch.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn pauses_change_no_answer() {
        const TABLES: &str = "WITH a AS (SELECT nullif(value, 3) AS value FROM generate_series(1, 200)),
            b AS (SELECT nullif(value, 150) AS value FROM generate_series(101, 400))";
        let (near, key) = ("a.value * 7 % 31 > b.value % 29 + 20", "a.value % 10 = b.value % 10");
        let conditions = [near.to_string(), key.to_string(), format!("{key} AND {near}")];
        let (left, right) = ("count(*), count(a.value), sum(a.value)", "count(*), count(b.value), sum(b.value)");
        let both = format!("{left}, count(b.value), sum(b.value), sum(a.value * b.value)");
        let mut questions = vec![
            format!("{TABLES} SELECT {both} FROM a, b"),
            format!("{TABLES} SELECT {left} FROM a WHERE value NOT IN (SELECT value FROM b)"),
            format!("{TABLES} SELECT {left} FROM a WHERE value NOT IN (SELECT value FROM b WHERE value > 150)"),
        ];
        for on in conditions {
            for join in ["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"] {
                questions.push(format!("{TABLES} SELECT {both} FROM a {join} b ON {on}"));
            }
            for kept in ["SEMI", "ANTI"] {
                questions.push(format!("{TABLES} SELECT {left} FROM a LEFT {kept} JOIN b ON {on}"));
                questions.push(format!("{TABLES} SELECT {right} FROM a RIGHT {kept} JOIN b ON {on}"));
            }
            let exists = format!("EXISTS (SELECT 1 FROM b WHERE {on})");
            questions.push(format!("{TABLES} SELECT {left} FROM a WHERE {exists} OR a.value % 5 = 0"));
        }
        for hashed in [true, false] {
            let context = session(hashed, 16);
            let answer = async |plan: Arc<dyn ExecutionPlan>| {
                pretty_format_batches(&collect(plan, context.task_ctx()).await.unwrap()).unwrap().to_string()
            };
            for sql in &questions {
                let without = answer(planned(&context, sql).await).await;
                let with = answer(in_turns_of(Duration::ZERO, planned(&context, sql).await).unwrap()).await;
                assert_eq!(with, without, "{sql}");
            }
        }
    }
}
