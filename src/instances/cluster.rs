//! The two kinds of processes of a cluster, as Ballista has them.

use std::sync::Arc;

use ballista_core::error::Result;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use tonic::service::{Routes, RoutesBuilder};

/// A scheduler of DataFusion's plans.
pub type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// Makes a scheduler.
///
/// # Errors
/// What Ballista says of the settings.
pub fn scheduler(cluster: BallistaCluster, config: Arc<SchedulerConfig>) -> LocalBoxFuture<'static, Result<Server>> {
    create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, config).boxed_local()
}

/// What a scheduler answers, in messages of so many bytes at most.
pub fn services(server: Server, message_bytes: usize) -> Routes {
    let service = SchedulerGrpcServer::new(server)
        .max_decoding_message_size(message_bytes)
        .max_encoding_message_size(message_bytes);
    let mut routes = RoutesBuilder::default();
    routes.add_service(service);
    routes.routes()
}

/// Runs an executor until it is stopped.
///
/// # Errors
/// What Ballista says of the settings, or of a scheduler that does not answer.
pub fn execute(config: Arc<ExecutorProcessConfig>) -> LocalBoxFuture<'static, Result<()>> {
    start_executor_process(config).boxed_local()
}
