//! The executors, as the scheduler knows them: which of their vcores are free, which of them leave, which jobs lost one.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::ExecutorHeartbeat;
use ballista_core::serde::protobuf::executor_status::Status;
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata};
use ballista_scheduler::cluster::memory::InMemoryClusterState;
use ballista_scheduler::cluster::{BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;

/// So long after its end a job's losses are known.
const KEPT: Duration = Duration::from_secs(600);

/// An executor that said that it stops, and was not heard of for so long, has stopped.
const STOPPED: Duration = Duration::from_secs(600);

/// The executors of a cluster. Two things that Ballista 55 does are mended here.
///
/// It counts free vcores up and down. When an executor is lost, the running tasks of a stage that is rolled back are cancelled
/// on the others, and their vcores are never given back (`QueryStageSchedulerEvent::ExecutorLost` forgets them, and their last
/// words find no task): the executors that are left get nothing to do any more. Tasks that run are known, so here nothing is
/// counted. A task that was cancelled is no longer among them, although it may take a moment to end.
///
/// An executor that is about to stop says so, is removed, goes on to say that it lives, and is taken for a new one.
#[derive(Default)]
pub(super) struct Workers {
    alive: InMemoryClusterState,
    /// Those that said that they stop, by id, and when each was last heard of. Each start has a new id.
    leaving: Mutex<HashMap<String, Instant>>,
    jobs: Mutex<HashMap<JobId, Job>>,
}

/// Who worked at a job.
#[derive(Default)]
struct Job {
    workers: HashSet<String>,
    /// One of them was lost.
    lost_an_executor: bool,
    /// When it was no longer among those that run.
    ended: Option<Instant>,
}

impl Workers {
    /// True if an executor that had tasks of the job was removed. Its stages may then have run again, and a stage above may
    /// have got rows twice.
    pub fn lost_an_executor(&self, job: &str) -> bool {
        locked(&self.jobs).get(&JobId::new(job)).is_some_and(|job| job.lost_an_executor)
    }

    /// Notes that a word of the job was lost, after which it is to run again as if an executor were.
    pub fn lose(&self, job: &str) {
        locked(&self.jobs).entry(JobId::new(job)).or_default().lost_an_executor = true;
    }

    /// Where an executor is reached.
    pub async fn address_of(&self, executor: &str) -> Option<String> {
        let executor = self.alive.get_executor_metadata(executor).await.ok()?;
        Some(format!("{}:{}", executor.host, executor.port))
    }

    /// Notes that an executor is about to stop, and forgets those that have stopped.
    fn leaves(&self, executor: &str, now: Instant) {
        let mut leaving = locked(&self.leaving);
        leaving.retain(|_, heard| now.duration_since(*heard) < STOPPED);
        leaving.insert(executor.to_string(), now);
    }

    /// True for an executor that is heard of although it said that it stops.
    fn is_leaving(&self, executor: &str) -> bool {
        locked(&self.leaving).get_mut(executor).map(|heard| *heard = Instant::now()).is_some()
    }

    /// Notes who got tasks, and forgets jobs that ended long ago.
    async fn note(&self, active: &HashMap<JobId, JobInfoCache>, bound: &[BoundTask]) {
        for (executor, task) in bound {
            let job = &task.key.job_id;
            locked(&self.jobs).entry(job.clone()).or_default().workers.insert(executor.clone());
            // it may have been removed since it was free; what removes it now finds it noted
            if self.alive.get_executor_metadata(executor).await.is_err() {
                locked(&self.jobs).entry(job.clone()).or_default().lost_an_executor = true;
            }
        }
        locked(&self.jobs).retain(|id, job| {
            if active.contains_key(id) {
                return true;
            }
            job.ended.get_or_insert_with(Instant::now).elapsed() < KEPT
        });
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

#[async_trait::async_trait]
impl ClusterState for Workers {
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
        for executor in self.alive.registered_executor_metadata().await {
            let total_vcores = executor.specification.vcores;
            let taken = taken.get(&executor.id).copied().unwrap_or(0);
            let executor_id = executor.id.clone();
            let available_vcores = total_vcores.saturating_sub(taken);
            free.register_executor(executor, ExecutorData { executor_id, total_vcores, available_vcores }).await?;
        }
        let bound = free.bind_schedulable_tasks(distribution, active_jobs.clone(), executors).await?;
        self.note(&active_jobs, &bound).await;
        Ok(bound)
    }

    async fn unbind_tasks(&self, _: Vec<ExecutorSlot>) -> Result<()> {
        Ok(())
    }

    async fn register_executor(&self, metadata: ExecutorMetadata, spec: ExecutorData) -> Result<()> {
        if self.is_leaving(&metadata.id) {
            return Ok(());
        }
        self.alive.register_executor(metadata, spec).await
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.alive.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        self.alive.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.alive.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        let leaves = matches!(heartbeat.status.as_ref().and_then(|s| s.status.as_ref()), Some(Status::Terminating(_)));
        if leaves {
            self.leaves(&heartbeat.executor_id, Instant::now());
        } else if self.is_leaving(&heartbeat.executor_id) {
            return Ok(());
        }
        self.alive.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        self.alive.remove_executor(executor_id).await?;
        // only now: see `note`
        for job in locked(&self.jobs).values_mut() {
            job.lost_an_executor |= job.workers.contains(executor_id);
        }
        Ok(())
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.alive.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.alive.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.alive.cluster_state_events().await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use ballista_core::serde::protobuf::{
        ExecutorStatus, ShuffleWritePartition, SuccessfulTask, TaskStatus, task_status,
    };
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
        let workers = Workers::default();
        assert!(left_over(&workers).await > 0);
        assert!(workers.lost_an_executor("job") && !workers.lost_an_executor("another"));
        assert_eq!(workers.address_of("two").await.or(workers.address_of("one").await).as_deref(), Some("127.0.0.1:1"));
        workers.lose("another");
        assert!(workers.lost_an_executor("another"));
        // once this fails, Ballista gives vcores back by itself, and `Workers` need not tell them
        assert_eq!(left_over(&InMemoryClusterState::default()).await, 0);
    }

    #[tokio::test]
    async fn who_leaves_does_not_come_back() {
        let workers = Workers::default();
        let data = || ExecutorData { executor_id: "one".into(), total_vcores: 2, available_vcores: 2 };
        let heartbeat = |status| ExecutorHeartbeat {
            executor_id: "one".into(),
            timestamp: 1,
            status: Some(ExecutorStatus { status: Some(status) }),
            ..Default::default()
        };
        workers.register_executor(executor("one"), data()).await.unwrap();
        workers.save_executor_heartbeat(heartbeat(Status::Terminating(String::new()))).await.unwrap();
        workers.remove_executor("one").await.unwrap();
        workers.register_executor(executor("one"), data()).await.unwrap();
        workers.save_executor_heartbeat(heartbeat(Status::Active(String::new()))).await.unwrap();
        assert!(workers.registered_executor_metadata().await.is_empty());
        assert!(workers.executor_heartbeats().is_empty());
    }

    #[test]
    fn who_left_long_ago_is_forgotten() {
        let (workers, now) = (Workers::default(), Instant::now());
        workers.leaves("one", now);
        workers.leaves("two", now + STOPPED / 2);
        assert!(workers.is_leaving("one") && workers.is_leaving("two") && !workers.is_leaving("three"));
        // they were heard of just now
        workers.leaves("three", now + 2 * STOPPED);
        assert!(!workers.is_leaving("one") && !workers.is_leaving("two") && workers.is_leaving("three"));
    }
}
