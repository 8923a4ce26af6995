//! From the logical journey to the operator, beside DataFusion's own planning.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::data_driven::operators;
use super::input::{Input, InputColumns};
use super::{
    Answer, JourneyExec, JourneyNode, PathExec, PathNode, SequenceNode, ShownNode, StoredJourneyNode, WindowNode,
};

/// Plans [`StoredJourneyNode`], [`JourneyNode`], [`PathNode`], [`ShownNode`], [`SequenceNode`] and [`WindowNode`].
#[derive(Debug, Default)]
pub struct JourneyPlanner;

#[async_trait]
impl ExtensionPlanner for JourneyPlanner {
    async fn plan_extension(
        &self,
        _: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _: &[&LogicalPlan],
        inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        _: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(stored) = node.as_any().downcast_ref::<StoredJourneyNode>() {
            return Ok(Some(stored.plan(session)?));
        }
        if let Some(window) = node.as_any().downcast_ref::<WindowNode>() {
            return Ok(Some(Arc::new(window.plan(inputs[0].clone(), session)?)));
        }
        if let Some(node) = node.as_any().downcast_ref::<PathNode>() {
            return Ok(Some(Arc::new(PathExec::new(node.spec.clone(), inputs[0].clone()))));
        }
        let answer = if let Some(node) = node.as_any().downcast_ref::<JourneyNode>() {
            Answer::Credit(node.spec.clone())
        } else if let Some(node) = node.as_any().downcast_ref::<ShownNode>() {
            Answer::Shown(node.spec.clone())
        } else if let Some(node) = node.as_any().downcast_ref::<SequenceNode>() {
            Answer::Order(node.spec.clone())
        } else {
            return Ok(None);
        };
        let input = Input { columns: InputColumns::Evaluated, plan: inputs[0].clone() };
        // whatever shuffles below waits until all of its partitions are asked for
        operators(&answer, |answer| Ok(JourneyExec::new(answer, vec![input], usize::MAX))).map(Some)
    }
}

/// DataFusion's planner with ours beside it.
#[derive(Debug)]
pub struct JourneyQueryPlanner;

impl QueryPlanner for JourneyQueryPlanner {
    // written out: the block that `async_trait` makes would hold the plan, see `crate::sealed`
    fn create_physical_plan<'planner, 'plan, 'session, 'future>(
        &'planner self,
        plan: &'plan LogicalPlan,
        session: &'session dyn Session,
    ) -> BoxFuture<'future, Result<Arc<dyn ExecutionPlan>>>
    where
        'planner: 'future,
        'plan: 'future,
        'session: 'future,
        Self: 'future,
    {
        planned(plan, session)
    }
}

fn planned<'a>(plan: &'a LogicalPlan, session: &'a dyn Session) -> BoxFuture<'a, Result<Arc<dyn ExecutionPlan>>> {
    async move {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(JourneyPlanner)]);
        planner.create_physical_plan(plan, session).await
    }
    .boxed()
}
