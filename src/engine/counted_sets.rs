//! `EXCEPT ALL` and `INTERSECT ALL`: a row is there as often as one side has it more than the other, or as often as both have it.
//!
//! DataFusion joins the sides, which finds only whether the other side has such a row. Numbered among those that are equal, each row is
//! another one: the second of one side is held against the second of the other.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, LogicalPlan, Projection, Window};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::change_nodes;

use super::lateral_first::{columns_of, up_to_current_row};

/// Numbers of the rows of both sides, by names that no column of a user's has.
const NUMBERS: [&str; 2] = ["\u{1f}counted1", "\u{1f}counted2"];

/// Counts the rows of such sets.
#[derive(Debug)]
pub(super) struct CountRows;

impl AnalyzerRule for CountRows {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let counted = change_nodes(plan, &mut |node| match node {
            LogicalPlan::Join(join) if counts(&join) => Ok(Transformed::yes(counted(&join)?)),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(counted.data)
    }

    fn name(&self) -> &str {
        "count_rows"
    }
}

/// True for the join of such a set that is not counted yet. Of a set without ALL the left side is distinct.
fn counts(join: &Join) -> bool {
    matches!(join.join_type, JoinType::LeftAnti | JoinType::LeftSemi)
        && join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && !matches!(join.left.as_ref(), LogicalPlan::Distinct(_))
        && !join.on.iter().any(|(left, _)| *left == number(NUMBERS[0]))
}

fn number(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn counted(join: &Join) -> Result<LogicalPlan> {
    let (left, right) = join.on.iter().cloned().unzip();
    let left = numbered(&join.left, left, NUMBERS[0])?;
    let right = numbered(&join.right, right, NUMBERS[1])?;
    let mut on = join.on.clone();
    on.push((number(NUMBERS[0]), number(NUMBERS[1])));
    let rows = Join::try_new(
        Arc::new(left),
        Arc::new(right),
        on,
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let columns = columns_of(&join.schema).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Join(rows)))?))
}

/// Rows with their number among those of the same values.
fn numbered(rows: &Arc<LogicalPlan>, values: Vec<Expr>, name: &str) -> Result<LogicalPlan> {
    let numbering = row_number().partition_by(values).window_frame(up_to_current_row()).build()?;
    let number = Expr::Column(Column::new_unqualified(numbering.schema_name().to_string()));
    let columns = columns_of(rows.schema()).chain([number.alias(name)]).collect();
    let window = LogicalPlan::Window(Window::try_new(vec![numbering], rows.clone())?);
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(window))?))
}
