//! Statements, plans and expressions as values: whether two are the same, and their hashes.
//!
//! What is derived for them is made wherever it is asked for, with all of SQL's syntax, which a plan may hold.

use std::hash::{Hash, Hasher};

use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::parser::Statement;

/// True where two statements are the same.
pub fn same_statements(one: &Statement, other: &Statement) -> bool {
    one == other
}

/// True where two plans are the same.
pub fn same_plans(one: &LogicalPlan, other: &LogicalPlan) -> bool {
    one == other
}

/// True where expressions are the same, one by one.
pub fn same_exprs(some: &[Expr], others: &[Expr]) -> bool {
    some == others
}

/// Feeds a plan into a hash.
pub fn hash_plan(plan: &LogicalPlan, mut state: &mut dyn Hasher) {
    plan.hash(&mut state);
}

/// Feeds expressions into a hash.
pub fn hash_exprs(exprs: &[Expr], mut state: &mut dyn Hasher) {
    exprs.hash(&mut state);
}
