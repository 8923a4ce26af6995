//! Tasks that stop when they are cancelled.
//!
//! Ballista 55 marks a cancelled task as such, but its streams run on to their end: they were spawned, and nothing aborts them.
//! Here each stream beneath a task's shuffle writer ends when the task's future is dropped, and so does what comes out of a join: of
//! few rows it may make so many that counting them takes minutes without a pause. While a join looks at its pairs it
//! pauses now and then, as on one machine, so that it hears of it.

use std::fmt;
use std::sync::{Arc, Mutex};

use ballista_core::JobId;
use ballista_core::serde::protobuf::{RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport};
use ballista_executor::execution_engine::{ExecutionEngine, QueryStageExecutor};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, replace_children_if_necessary,
};
use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use futures::future::AbortHandle;
use futures::stream::{Abortable, abortable};

use super::parts::{encode_error, same_version};
use super::task_reports::{RunningTasks, TaskGuard, TaskName};
use crate::engine::yielding::yielding;

/// Runs tasks as `inner` does.
pub(super) struct Cancellable<E> {
    pub inner: E,
    /// Those that are here.
    pub at_work: RunningTasks,
}

impl<E: ExecutionEngine> ExecutionEngine for Cancellable<E> {
    fn create_query_stage_exec(
        &self,
        job: JobId,
        stage: usize,
        task: usize,
        partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        same_version(config, "executor")?;
        let streams = Streams::default();
        let stoppable = |input, outermost| {
            Arc::new(TaskExec { input, streams: streams.clone(), outermost }) as Arc<dyn ExecutionPlan>
        };
        let children = plan.children().into_iter().map(|child| {
            let joins_stop = child.clone().transform_up(|node| {
                Ok(match node.name().ends_with("JoinExec") {
                    true => Transformed::yes(stoppable(node, false)),
                    false => Transformed::no(node),
                })
            });
            Ok(stoppable(yielding(joins_stop.data()?)?, true))
        });
        let children = children.collect::<Result<_>>()?;
        let plan = replace_children_if_necessary(plan, children)?;
        let begun = self.at_work.begin(TaskName::new(&job, stage, task));
        let inner = self.inner.create_query_stage_exec(job, stage, task, partitions, plan, work_dir, config)?;
        Ok(Arc::new(Stage { inner, streams, _begun: begun }))
    }
}

/// The streams of a task that run.
#[derive(Debug, Clone, Default)]
struct Streams(Arc<Mutex<RunningStreams>>);

#[derive(Debug, Default)]
struct RunningStreams {
    handles: Vec<AbortHandle>,
    stopped: bool,
}

impl Streams {
    fn add(&self, stream: SendableRecordBatchStream) -> Abortable<SendableRecordBatchStream> {
        let (stream, handle) = abortable(stream);
        let mut running = self.0.lock().unwrap_or_else(|e| e.into_inner());
        if running.stopped {
            handle.abort();
        }
        running.handles.push(handle);
        stream
    }

    fn stop(&self) {
        let mut running = self.0.lock().unwrap_or_else(|e| e.into_inner());
        running.stopped = true;
        running.handles.drain(..).for_each(|handle| handle.abort());
    }
}

/// Stops the streams when it goes.
struct StopOnDrop<'s>(&'s Streams);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[derive(Debug)]
struct Stage {
    inner: Arc<dyn QueryStageExecutor>,
    streams: Streams,
    _begun: TaskGuard,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait::async_trait]
impl QueryStageExecutor for Stage {
    async fn execute_query_stage(&self, task: usize, context: Arc<TaskContext>) -> Result<Vec<ShuffleWritePartition>> {
        let _stop = StopOnDrop(&self.streams);
        self.inner.execute_query_stage(task, context).await.map_err(encode_error)
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        self.inner.collect_plan_metrics()
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

/// Passes rows on until its task is stopped. Without metrics, in every task: the scheduler counts the operators that have some.
#[derive(Debug)]
struct TaskExec {
    input: Arc<dyn ExecutionPlan>,
    streams: Streams,
    /// What comes next is the shuffle writer, which wraps errors so that nobody sees what they are.
    outermost: bool,
}

impl TaskExec {
    fn over(&self, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Arc<dyn ExecutionPlan> {
        Arc::new(Self { input: children.swap_remove(0), streams: self.streams.clone(), outermost: self.outermost })
    }
}

impl DisplayAs for TaskExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskExec")
    }
}

impl ExecutionPlan for TaskExec {
    fn name(&self) -> &str {
        "TaskExec"
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
        let (streams, outermost) = (self.streams.clone(), self.outermost);
        let stream = self.streams.add(self.input.execute(partition, context)?);
        let stream = stream.map(move |rows| if outermost { rows.map_err(encode_error) } else { rows });
        // a stream that was stopped has no end of its own: without this error it would look complete
        let stopped = futures::stream::once(async move {
            let stopped = streams.0.lock().unwrap_or_else(|e| e.into_inner()).stopped;
            stopped.then(|| Err(DataFusionError::Execution("the task was cancelled".into())))
        });
        let rows = stream.chain(stopped.filter_map(std::future::ready));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}
