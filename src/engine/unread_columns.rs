//! Columns that nobody reads, such as most of `events`, are left out of the branches of a union before its plan is analysed.
//!
//! DataFusion leaves them out last, when each of its other rules has gone through all of them, in each branch; that takes longer than
//! to read one visitor's rows. Plans with more than filters, groups and orders above their unions wait for that: what looks at the
//! row before it, and windows, which [`super::window`] completes, may read columns that they do not name yet, as touches do.

use std::sync::{Arc, LazyLock};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::logical_expr::{Explain, Expr, LogicalPlan};
use datafusion::optimizer::optimize_projections::OptimizeProjections;
use datafusion::optimizer::{OptimizerContext, OptimizerRule};
use rejoin_instances::trees::{walk_expressions, walk_nodes, walk_parts};

use crate::functions::Touch;

static CONTEXT: LazyLock<OptimizerContext> = LazyLock::new(OptimizerContext::default);

/// A plan that is not analysed yet, without what nobody reads.
pub(super) fn without_unread(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = match plan {
        LogicalPlan::Explain(explain) => {
            let explained = without_unread(explain.plan.as_ref().clone())?;
            return Ok(LogicalPlan::Explain(Explain { plan: Arc::new(explained), ..explain }));
        }
        other => other,
    };
    if !has_wider_union(&plan)? || !is_simple_union(&plan)? || asks_for_touches(&plan)? {
        return Ok(plan);
    }
    let narrow = OptimizeProjections::new().rewrite(plan.clone(), &*CONTEXT);
    // an error: columns that are read are of different types in the branches, as long as these are not analysed
    Ok(narrow.map_or(plan, |narrow| narrow.data))
}

/// True where some expression has a `touch(column)`, which may stand for another column.
fn asks_for_touches(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    walk_nodes(plan, &mut |node| {
        walk_expressions(node, &mut |expr| {
            walk_parts(expr, &mut |part| {
                found |= is_touch(part);
                Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    })?;
    Ok(found)
}

fn is_touch(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.inner().downcast_ref::<Touch>().is_some())
}

/// True for a plan with a union of more columns than come out.
fn has_wider_union(plan: &LogicalPlan) -> Result<bool> {
    let (columns, mut wider) = (plan.schema().fields().len(), false);
    walk_nodes(plan, &mut |node| {
        wider |= matches!(node, LogicalPlan::Union(union) if union.schema.fields().len() > columns);
        Ok(if wider { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(wider)
}

/// True for a plan with a union and nothing but such nodes as name all that they read.
fn is_simple_union(plan: &LogicalPlan) -> Result<bool> {
    let (mut has_union, mut all_simple) = (false, true);
    walk_nodes(plan, &mut |node| {
        match node {
            LogicalPlan::Union(_) => has_union = true,
            LogicalPlan::Aggregate(aggregate) => {
                all_simple &= !aggregate.group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_)));
            }
            LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::TableScan(_)
            | LogicalPlan::Analyze(_) => {}
            // subqueries among them
            _ => all_simple = false,
        }
        Ok(if all_simple { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(has_union && all_simple)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::util::pretty::pretty_format_batches;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::functions;

    const UNION: &str = "(SELECT a, b, c FROM one UNION ALL SELECT a, b, c FROM other) AS u";

    /// A session with two tables.
    async fn session() -> SessionContext {
        let context = SessionContext::new();
        for (table, rows) in [("one", "(1, 'x', 0.5), (2, 'y', 1.5)"), ("other", "(3, 'x', 2.5), (1, NULL, 3.5)")] {
            let table = format!("CREATE TABLE {table} AS SELECT * FROM (VALUES {rows}) AS t (a, b, c)");
            context.sql(&table).await.unwrap();
        }
        functions::register_all(&context, Arc::new(|| Ok("UTC".into())));
        context
    }

    /// A plan before and after.
    async fn narrowed(context: &SessionContext, sql: &str) -> (String, String) {
        let plan = context.state().create_logical_plan(sql).await.unwrap();
        let before = plan.display_indent().to_string();
        (before, without_unread(plan).unwrap().display_indent().to_string())
    }

    #[tokio::test]
    async fn branches_have_the_columns_that_are_read() {
        let context = session().await;
        for explained in ["", "EXPLAIN ", "EXPLAIN ANALYZE "] {
            let sql = format!("{explained}SELECT a FROM {UNION} WHERE c > 1 ORDER BY a");
            let (_, plan) = narrowed(&context, &sql).await;
            assert_eq!(plan.matches("projection=[a, c]").count(), 2, "{plan}");
        }
        let unlike = "SELECT a FROM (SELECT a, b FROM one UNION ALL SELECT a, c FROM other) AS u";
        let (_, plan) = narrowed(&context, unlike).await;
        assert_eq!(plan.matches("projection=[a]").count(), 2, "columns of different types that nobody reads: {plan}");
    }

    #[tokio::test]
    async fn other_plans_stay() {
        let context = session().await;
        for sql in [
            "SELECT a FROM one WHERE c > 1",
            &format!("SELECT * FROM {UNION} WHERE c > 1"),
            "SELECT b FROM (SELECT a, b FROM one UNION ALL SELECT a, c FROM other) AS u",
            &format!("SELECT a FROM {UNION} WHERE a IN (SELECT a FROM one)"),
            &format!("SELECT a, row_number() OVER (ORDER BY c) FROM {UNION}"),
            &format!("SELECT a, count(*) FROM {UNION} GROUP BY ROLLUP (a)"),
            &format!("SELECT touch(a) FROM {UNION}"),
            &format!("SELECT a FROM {UNION} WHERE coalesce(touch(b), 'z') = 'z'"),
        ] {
            let (before, after) = narrowed(&context, sql).await;
            assert_eq!(after, before, "{sql}");
        }
    }

    #[tokio::test]
    async fn answers_are_the_same() {
        let context = session().await;
        for sql in [
            "SELECT a FROM (SELECT a, c FROM one UNION ALL SELECT c, a FROM other) AS u ORDER BY a",
            &format!("SELECT a FROM {UNION} WHERE c > 1 ORDER BY a"),
            &format!("SELECT count(*) FROM {UNION}"),
            &format!("SELECT b, sum(c) FROM {UNION} GROUP BY b ORDER BY b"),
            &format!("SELECT * FROM {UNION} ORDER BY c LIMIT 3"),
            &format!("SELECT b || 'z' AS d FROM (SELECT a + 1 AS e, b FROM {UNION}) AS v WHERE e < 4 ORDER BY d"),
        ] {
            let plan = context.state().create_logical_plan(sql).await.unwrap();
            let rows = async |plan: LogicalPlan| {
                let rows = context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
                pretty_format_batches(&rows).unwrap().to_string()
            };
            assert_eq!(rows(without_unread(plan.clone()).unwrap()).await, rows(plan).await, "{sql}");
        }
    }
}
