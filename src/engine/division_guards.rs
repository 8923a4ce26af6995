//! What may fail behind a condition looks at rows for which the condition is not settled yet: `WHERE n <> 0 AND 10 / n > 1`, `n = 0 OR
//! 10 / n > 1`, `sum(10 / n) FILTER (WHERE n <> 0)`. DataFusion computes both sides of AND and OR for all rows, and what is summed up, too.
//! So what is divided by is NULL in the other rows. Whole numbers fail everywhere; doubles, and functions of them, at one door, see
//! `checked_doubles`. A condition of a query beneath is not looked at.

use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, BinaryExpr};
use datafusion::logical_expr::utils::{merge_schema, split_binary, split_conjunction_owned};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, lit, when};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::{change_named_expressions, change_nodes, change_parts, walk_expressions, walk_parts};

use crate::functions::checked_function;

/// Guards divisions of whole numbers.
#[derive(Debug)]
pub(super) struct GuardDivisions;

impl AnalyzerRule for GuardDivisions {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = change_nodes(plan, &mut |node| {
            if !divides(&node)? {
                return Ok(Transformed::no(node));
            }
            let columns = merge_schema(&node.inputs());
            let is_filter = matches!(node, LogicalPlan::Filter(_));
            change_named_expressions(node, &mut |expr| match is_filter {
                true => guarded_filter(expr, &columns, Failing::WholeNumbers),
                false => guarded(expr, &columns, Failing::WholeNumbers),
            })
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "guard_divisions"
    }
}

/// True for a node in which something is divided.
fn divides(node: &LogicalPlan) -> Result<bool> {
    let mut divides = false;
    walk_expressions(node, &mut |expr| {
        walk_parts(expr, &mut |part| {
            divides |= is_division(part);
            Ok(if divides { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    })?;
    Ok(divides)
}

fn is_division(part: &Expr) -> bool {
    matches!(part, Expr::BinaryExpr(BinaryExpr { op: Operator::Divide | Operator::Modulo, .. }))
}

/// What fails.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Failing {
    /// A division of whole numbers by zero.
    WholeNumbers,
    /// One of doubles, and functions that have no value for some.
    Doubles,
}

impl Failing {
    /// True for what may fail of itself.
    fn is_so(self, part: &Expr, columns: &DFSchema) -> bool {
        match part {
            Expr::BinaryExpr(BinaryExpr { right, .. }) if is_division(part) => {
                let is_whole = right.get_type(columns).is_ok_and(|data_type| data_type.is_integer());
                is_whole == (self == Self::WholeNumbers)
            }
            Expr::ScalarFunction(call) => self == Self::Doubles && checked_function(call.name()).is_some(),
            _ => false,
        }
    }

    /// True for what may have no value for some row.
    fn is_in(self, expr: &Expr, columns: &DFSchema) -> Result<bool> {
        let mut may_fail = false;
        walk_parts(expr, &mut |part| {
            may_fail |= self.is_so(part, columns);
            Ok(if may_fail { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        Ok(may_fail)
    }
}

/// An expression in which what may fail behind a condition looks at rows for which the condition is not settled.
pub(super) fn guarded(expr: Expr, columns: &DFSchema, failing: Failing) -> Result<Transformed<Expr>> {
    change_parts(expr, &mut |part| match part {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right })
            if failing.is_in(&right, columns)? =>
        {
            let before = split_binary(&left, op).into_iter().cloned();
            let before = match op {
                Operator::Or => before.map(|condition| Expr::IsNotTrue(Box::new(condition))).collect(),
                _ => before.map(|condition| Expr::IsNotFalse(Box::new(condition))).collect(),
            };
            let right = where_holds(*right, before, columns, failing)?;
            Ok(right.update_data(|right| Expr::BinaryExpr(BinaryExpr::new(left, op, Box::new(right)))))
        }
        Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
            let mut is_changed = false;
            if let Some(filter) = &params.filter {
                for argument in &mut params.args {
                    let before = vec![filter.as_ref().clone()];
                    let argument_guarded = where_holds(std::mem::take(argument), before, columns, failing)?;
                    is_changed |= argument_guarded.transformed;
                    *argument = argument_guarded.data;
                }
            }
            let aggregate = Expr::AggregateFunction(AggregateFunction { func, params });
            Ok(Transformed::new_transformed(aggregate, is_changed))
        }
        other => Ok(Transformed::no(other)),
    })
}

/// The same of the condition of a filter: rows for which the conditions before are NULL are gone, as are those for which they are false.
pub(super) fn guarded_filter(predicate: Expr, columns: &DFSchema, failing: Failing) -> Result<Transformed<Expr>> {
    if !failing.is_in(&predicate, columns)? {
        return Ok(Transformed::no(predicate));
    }
    let (mut before, mut all, mut is_changed): (Vec<Expr>, Vec<Expr>, bool) = (vec![], vec![], false);
    for condition in split_conjunction_owned(predicate) {
        let may_fail = failing.is_in(&condition, columns)?;
        let mut own = guarded(condition, columns, failing)?;
        if may_fail {
            own = own.transform_data(|own| where_holds(own, before.clone(), columns, failing))?;
        } else {
            before.push(own.data.clone());
        }
        is_changed |= own.transformed;
        all.push(own.data);
    }
    let predicate = all.into_iter().reduce(Expr::and).unwrap_or(lit(true));
    Ok(Transformed::new_transformed(predicate, is_changed))
}

/// An expression in which what is divided by, and what a function may refuse, is NULL where those conditions do not hold that look at
/// the same columns, and do not fail themselves.
fn where_holds(
    expr: Expr,
    mut conditions: Vec<Expr>,
    columns: &DFSchema,
    failing: Failing,
) -> Result<Transformed<Expr>> {
    let mut fails = vec![];
    for condition in &conditions {
        fails.push(failing.is_in(condition, columns)?);
    }
    let mut fails = fails.into_iter();
    conditions.retain(|_| fails.next() == Some(false));
    let holds = |part: &Expr| {
        let looked_at = part.column_refs();
        let related = conditions.iter().filter(|condition| !condition.column_refs().is_disjoint(&looked_at));
        related.cloned().reduce(Expr::and)
    };
    let guard = |part: Expr| -> Result<Transformed<Expr>> {
        match holds(&part) {
            Some(holds) => Ok(Transformed::yes(when(holds, part).end()?)),
            None => Ok(Transformed::no(part)),
        }
    };
    change_parts(expr, &mut |part| {
        if !failing.is_so(&part, columns) {
            return Ok(Transformed::no(part));
        }
        match part {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let divisor = guard(*right)?;
                Ok(divisor.update_data(|right| Expr::BinaryExpr(BinaryExpr::new(left, op, Box::new(right)))))
            }
            Expr::ScalarFunction(mut call) => {
                let mut is_changed = false;
                for argument in &mut call.args {
                    let value = guard(std::mem::take(argument))?;
                    is_changed |= value.transformed;
                    *argument = value.data;
                }
                Ok(Transformed::new_transformed(Expr::ScalarFunction(call), is_changed))
            }
            other => Ok(Transformed::no(other)),
        }
    })
}
