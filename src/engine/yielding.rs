//! Joins that give others their turn: a statement that is stopped ends within a moment, and others go on beside it.
//!
//! DataFusion lets what reads rows pause now and then. A join makes of few rows very many, between which nothing is read, so that
//! `FROM a, b, c` would hold its thread for hours, whoever has given up waiting for it.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::unnest::UnnestExec;

/// Lets operators pause that make many rows of few.
#[derive(Debug, Default)]
pub struct YieldInJoins;

impl PhysicalOptimizerRule for YieldInJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match multiplies(node.as_ref()) {
            true => Ok(Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>)),
            false => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "yield_in_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn multiplies(node: &dyn ExecutionPlan) -> bool {
    node.is::<CrossJoinExec>()
        || node.is::<NestedLoopJoinExec>()
        || node.is::<HashJoinExec>()
        || node.is::<SortMergeJoinExec>()
        || node.is::<UnnestExec>()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::prelude::SessionContext;
    use tokio::time::timeout;

    use super::*;

    /// On one thread, which whoever does not pause has for himself.
    #[tokio::test]
    async fn a_join_can_be_given_up() {
        let state = SessionStateBuilder::new().with_default_features().build();
        let mut rules = state.physical_optimizers().to_vec();
        rules.push(Arc::new(YieldInJoins));
        let state = SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build();
        let context = SessionContext::new_with_state(state);
        let (nested, hashed) = ("a JOIN a AS b ON a.value + b.value > 0", "a JOIN a AS b ON a.value % 2 = b.value % 2");
        for from in ["a, a AS b, a AS c", nested, hashed] {
            let sql = format!("WITH a AS (SELECT value FROM generate_series(1, 1000000)) SELECT count(*) FROM {from}");
            let frame = context.sql(&sql).await.unwrap();
            assert!(timeout(Duration::from_millis(300), frame.collect()).await.is_err(), "{from}");
        }
    }
}
