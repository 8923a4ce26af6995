//! Refuses plans that would write out a large constant in each row of a batch: `SELECT repeat('x', 1000000) FROM hits`.
//!
//! A constant is one value until a column is made of it, which takes as many times its bytes as a batch has rows. Nobody asks the memory
//! pool for these.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::physical_expr::expressions::Literal;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};

use crate::Error;

/// Bytes of a constant in a batch, at most.
const MOST: usize = 256 << 20;

/// Looks at what each projection has of constants.
#[derive(Debug, Default)]
pub struct NoLargeConstants;

impl PhysicalOptimizerRule for NoLargeConstants {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.apply(|node| {
            if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
                check(projection, config.execution.batch_size.get())?;
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(plan)
    }

    fn name(&self) -> &str {
        "no_large_constants"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn check(projection: &ProjectionExec, batch_size: usize) -> Result<()> {
    // the largest alone: of many in a CASE or an IN few are written out
    let mut bytes = 0;
    for column in projection.expr() {
        column.expr.apply(|part| {
            if let Some(constant) = part.downcast_ref::<Literal>() {
                bytes = constant.value().size().max(bytes);
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    if bytes.saturating_mul(batch_size) <= MOST {
        return Ok(());
    }
    let statistics = StatisticsContext::new().compute(projection.input().as_ref(), &StatisticsArgs::new())?;
    let rows = match statistics.num_rows {
        Precision::Exact(rows) => rows.min(batch_size),
        _ => batch_size,
    };
    if bytes.saturating_mul(rows) <= MOST {
        return Ok(());
    }
    Err(Error::out_of_memory(format!(
        "a constant of {bytes} bytes would be written out in {rows} rows at once; ask for it in a query of one row"
    ))
    .into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::execution::session_state::SessionStateBuilder;
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn a_large_constant_is_no_column() {
        let state = SessionStateBuilder::new().with_default_features().build();
        let mut rules = state.physical_optimizers().to_vec();
        rules.push(Arc::new(NoLargeConstants));
        let state = SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build();
        let context = SessionContext::new_with_state(state);
        let asked = async |sql: &str| context.sql(sql).await?.collect().await;
        for sql in [
            "SELECT repeat('x', 1000000) AS x, value FROM generate_series(1, 100000)",
            "SELECT unnest(range(0, 100000)) FROM generate_series(1, 100000)",
        ] {
            let error = asked(sql).await.unwrap_err().to_string();
            assert!(error.contains("would be written out"), "{sql}: {error}");
        }
        for sql in [
            "SELECT repeat('x', 1000000)",
            "SELECT length(repeat('x', 1000000)) FROM generate_series(1, 100000)",
            "SELECT repeat('x', 1000), value FROM generate_series(1, 100000)",
            &format!("SELECT CASE {}ELSE 1 END FROM generate_series(1, 10000)", "WHEN value = 16 THEN -7 ".repeat(900)),
        ] {
            asked(sql).await.unwrap();
        }
    }
}
