//! The one way through the parts of an expression, the expressions of a node, and the nodes of a plan.
//!
//! DataFusion makes its way through a tree, hundreds of functions, anew for each type of closure. Here all closures go the same
//! way, each behind a pointer.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Changes the parts of an expression, the inner ones first.
///
/// # Errors
/// Those of `change`.
pub fn change_parts(
    expr: Expr,
    change: &mut dyn FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<Expr>> {
    expr.transform_up(change)
}

/// Changes the parts of an expression, the outer ones first.
///
/// # Errors
/// Those of `change`.
pub fn change_parts_down(
    expr: Expr,
    change: &mut dyn FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<Expr>> {
    expr.transform_down(change)
}

/// Shows the parts of an expression, the outer ones first.
///
/// # Errors
/// Those of `see`.
pub fn walk_parts(expr: &Expr, see: &mut dyn FnMut(&Expr) -> Result<TreeNodeRecursion>) -> Result<TreeNodeRecursion> {
    expr.apply(see)
}

/// Changes the expressions of one node of a plan.
///
/// # Errors
/// Those of `change`.
pub fn change_expressions(
    node: LogicalPlan,
    change: &mut dyn FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    node.map_expressions(change)
}

/// Changes the expressions of one node of a plan, each of which keeps the name by which the nodes above know it.
///
/// # Errors
/// Those of `change`.
pub fn change_named_expressions(
    node: LogicalPlan,
    change: &mut dyn FnMut(Expr) -> Result<Transformed<Expr>>,
) -> Result<Transformed<LogicalPlan>> {
    let names = NamePreserver::new(&node);
    let mut keep_name = |expr: Expr| {
        let name = names.save(&expr);
        change(expr).map(|changed| changed.update_data(|expr| name.restore(expr)))
    };
    change_expressions(node, &mut |expr| match expr {
        // a set of groups has no name, each of its expressions has
        Expr::GroupingSet(_) => expr.map_children(&mut keep_name),
        expr => keep_name(expr),
    })
}

/// Shows the expressions of one node of a plan.
///
/// # Errors
/// Those of `see`.
pub fn walk_expressions(
    node: &LogicalPlan,
    see: &mut dyn FnMut(&Expr) -> Result<TreeNodeRecursion>,
) -> Result<TreeNodeRecursion> {
    node.apply_expressions(see)
}

/// Changes the nodes of a plan and of its subqueries, the inner ones first.
///
/// # Errors
/// Those of `change`.
pub fn change_nodes(
    plan: LogicalPlan,
    change: &mut dyn FnMut(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
) -> Result<Transformed<LogicalPlan>> {
    plan.transform_up_with_subqueries(change)
}

/// Changes the nodes of a plan and of its subqueries twice: on the way down, and on the way up.
///
/// # Errors
/// Those of `down` and `up`.
pub fn change_nodes_down_and_up(
    plan: LogicalPlan,
    down: &mut dyn FnMut(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
    up: &mut dyn FnMut(LogicalPlan) -> Result<Transformed<LogicalPlan>>,
) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_up_with_subqueries(down, up)
}

/// Shows the nodes of a plan and of its subqueries, the outer ones first.
///
/// # Errors
/// Those of `see`.
pub fn walk_nodes(
    plan: &LogicalPlan,
    see: &mut dyn FnMut(&LogicalPlan) -> Result<TreeNodeRecursion>,
) -> Result<TreeNodeRecursion> {
    plan.apply_with_subqueries(see)
}
