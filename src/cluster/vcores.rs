//! Which vcores of the executors are free: told anew from the tasks that run, each time that tasks are bound.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::ExecutorHeartbeat;
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::memory::InMemoryClusterState;
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;

/// The executors of a cluster.
///
/// Ballista 55 counts free vcores up and down. When an executor is lost, the running tasks of a stage that is rolled back are
/// cancelled on the others, and their vcores are never given back (`QueryStageSchedulerEvent::ExecutorLost` forgets them, and
/// their last words find no task): the executors that are left get nothing to do any more. Tasks that run are known, so here
/// nothing is counted. A task that was cancelled is no longer among them, although it may take a moment to end.
#[derive(Default)]
pub(super) struct Executors(InMemoryClusterState);

#[async_trait::async_trait]
impl ClusterState for Executors {
    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        let mut taken: HashMap<String, u32> = HashMap::new();
        for job in active_jobs.values() {
            let graph = job.execution_graph.read().await;
            for task in graph.running_tasks() {
                let vcores = graph.task_vcores(task.stage_id, task.task_id).unwrap_or(1);
                *taken.entry(task.executor_id).or_default() += vcores;
            }
        }
        let free = InMemoryClusterState::default();
        for executor in self.0.registered_executor_metadata().await {
            let total_vcores = executor.specification.vcores;
            let taken = taken.get(&executor.id).copied().unwrap_or(0);
            let executor_id = executor.id.clone();
            let available_vcores = total_vcores.saturating_sub(taken);
            free.register_executor(executor, ExecutorData { executor_id, total_vcores, available_vcores }).await?;
        }
        free.bind_schedulable_tasks(distribution, active_jobs, executors).await
    }

    async fn unbind_tasks(&self, _: Vec<ExecutorSlot>) -> Result<()> {
        Ok(())
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        self.0.register_executor(metadata, spec).await
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.0.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.0.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.0.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.0.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        self.0.remove_executor(executor_id).await
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.0.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.0.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.0.cluster_state_events().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ballista_core::serde::protobuf::{ShuffleWritePartition, SuccessfulTask, TaskStatus, task_status};
    use ballista_core::serde::scheduler::ExecutorSpecification;
    use ballista_scheduler::planner::DefaultDistributedPlanner;
    use ballista_scheduler::state::execution_graph::{ExecutionGraphBox, StaticExecutionGraph};
    use datafusion::prelude::SessionContext;

    use super::super::parts::defaults;
    use super::*;

    fn executor(id: &str) -> ExecutorMetadata {
        ExecutorMetadata {
            id: id.into(),
            host: "127.0.0.1".into(),
            port: 1,
            grpc_port: 2,
            specification: ExecutorSpecification { vcores: 2 },
            os_info: Default::default(),
        }
    }

    fn done(task: &BoundTask) -> TaskStatus {
        let (executor_id, task) = task;
        let partition = |partition_id| ShuffleWritePartition { partition_id, num_rows: 1, ..Default::default() };
        let partitions = (0..task.get_output_partition_number() as u64).map(partition).collect();
        let done = SuccessfulTask { executor_id: executor_id.clone(), partitions, ..Default::default() };
        TaskStatus {
            task_id: task.key.task_id as u32,
            job_id: task.key.job_id.to_string(),
            stage_id: task.key.stage_id as u32,
            stage_attempt_num: task.stage_attempt_num as u32,
            status: Some(task_status::Status::Successful(done)),
            ..Default::default()
        }
    }

    /// How many tasks the executor that is left gets, once the other one is lost in the second of two stages.
    async fn left_over(state: &dyn ClusterState) -> usize {
        let config = defaults().with_target_partitions(4);
        let context = SessionContext::new_with_config(config.clone());
        let query = "SELECT value % 7, count(*) FROM generate_series(1, 100000) GROUP BY 1";
        let plan = context.sql(query).await.unwrap().create_physical_plan().await.unwrap();
        let job = JobId::new("job");
        let mut planner = DefaultDistributedPlanner::new();
        let graph =
            StaticExecutionGraph::new("here", &job, "", "", plan, 0, Arc::new(config), &mut planner, None).unwrap();
        let info = JobInfoCache::new(Box::new(graph) as ExecutionGraphBox);
        let graph = info.execution_graph.clone();
        let jobs = Arc::new(HashMap::from([(job, info)]));
        let bind = async || {
            graph.write().await.revive();
            state.bind_schedulable_tasks(TaskDistributionPolicy::RoundRobin, jobs.clone(), None).await.unwrap()
        };

        for id in ["one", "two"] {
            let data = ExecutorData { executor_id: id.into(), total_vcores: 2, available_vcores: 2 };
            state.register_executor(executor(id), data).await.unwrap();
        }
        // the first stage ends, task by task; the second begins on both
        let mut running = bind().await;
        let (first, lost) = (running[0].1.key.stage_id, running[0].0.clone());
        while let Some(task) = running.pop_if(|task| task.1.key.stage_id == first) {
            state.unbind_tasks(vec![(task.0.clone(), task.1.vcores_consumed)]).await.unwrap();
            graph.write().await.update_task_status(&executor(&task.0), vec![done(&task)], 1, 1).unwrap();
            running.splice(0..0, bind().await);
        }
        assert!(running.iter().any(|(executor, _)| *executor != lost));

        graph.write().await.reset_stages_on_lost_executor(&lost).unwrap();
        state.remove_executor(&lost).await.unwrap();
        bind().await.len()
    }

    #[tokio::test]
    async fn who_is_left_gets_the_tasks_of_who_is_lost() {
        assert!(left_over(&Executors::default()).await > 0);
        // once this fails, Ballista gives vcores back by itself, and `Executors` is superfluous
        assert_eq!(left_over(&InMemoryClusterState::default()).await, 0);
    }
}
