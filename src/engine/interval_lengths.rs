//! Intervals are compared, sorted and found among others by their lengths, as in PostgreSQL: `1 month` is 30 days, `1 day` 24 hours.
//! DataFusion compares their parts, months first.
//!
//! In: expressions whose casts are all written out, and windows before they are. Out: the length of an interval in the place of each that
//! is compared. Groups and joins are nodes of a plan, see `interval_groups`.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, BinaryExpr, Case, InList, InSubquery, SetComparison, Sort, WindowFunctionParams,
};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Operator, Projection, Subquery, WindowFunctionDefinition,
};

use crate::functions::{aggregate_of, extreme_interval, interval_length, other_interval};

/// An interval's type.
pub(super) const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// A comparison of intervals as one of their lengths, and aggregates of intervals.
pub(super) fn by_lengths(mut expr: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    if let Some(mut sides) = compared_sides(&mut expr) {
        let is_changed = sides.iter().all(|side| is_interval(side, columns));
        if is_changed {
            sides.iter_mut().for_each(|side| **side = interval_length(std::mem::take(*side)));
        }
        return Ok(Transformed::new_transformed(expr, is_changed));
    }
    match &mut expr {
        Expr::InSubquery(InSubquery { expr: value, subquery, .. })
        | Expr::SetComparison(SetComparison { expr: value, subquery, .. }) => {
            let is_changed = is_interval(value, columns);
            if is_changed {
                **value = interval_length(std::mem::take(value.as_mut()));
                subquery.subquery = lengths(subquery)?;
            }
            return Ok(Transformed::new_transformed(expr, is_changed));
        }
        Expr::ScalarFunction(call) if call.name() == "nullif" => {
            if let [value, other] = call.args.as_mut_slice()
                && [&*value, &*other].iter().all(|value| is_interval(value, columns))
            {
                return Ok(Transformed::yes(other_interval(std::mem::take(value), std::mem::take(other))));
            }
            return Ok(Transformed::no(expr));
        }
        Expr::ScalarFunction(call) if matches!(call.name(), "greatest" | "least") => {
            let is_longest = call.name() == "greatest";
            return Ok(match !call.args.is_empty() && call.args.iter().all(|value| is_interval(value, columns)) {
                true => Transformed::yes(extreme_interval(is_longest, std::mem::take(&mut call.args))),
                false => Transformed::no(expr),
            });
        }
        _ => {}
    }
    of_intervals(expr, columns)
}

/// What a comparison compares; None for what is none.
pub(super) fn compared_sides(expr: &mut Expr) -> Option<Vec<&mut Expr>> {
    Some(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => vec![left.as_mut(), right.as_mut()],
        Expr::Between(Between { expr, low, high, .. }) => vec![expr.as_mut(), low.as_mut(), high.as_mut()],
        Expr::InList(InList { expr, list, .. }) => std::iter::once(expr.as_mut()).chain(list).collect(),
        Expr::Case(Case { expr: Some(value), when_then_expr, .. }) => {
            std::iter::once(value.as_mut()).chain(when_then_expr.iter_mut().map(|(when, _)| when.as_mut())).collect()
        }
        _ => return None,
    })
}

/// The lengths of the intervals that a query gives.
fn lengths(query: &Subquery) -> Result<Arc<LogicalPlan>> {
    let (_, field) = query.subquery.schema().qualified_field(0);
    let name = field.name().clone();
    let length = interval_length(Expr::Column(Column::from(query.subquery.schema().qualified_field(0)))).alias(name);
    Ok(Arc::new(LogicalPlan::Projection(Projection::try_new(vec![length], query.subquery.clone())?)))
}

/// Windows over rows that are put in an order, or apart, by intervals: by their lengths. Before types are settled, which takes no
/// interval for an order.
#[derive(Debug)]
pub(super) struct OrderIntervals;

impl FunctionRewrite for OrderIntervals {
    fn name(&self) -> &str {
        "order_intervals"
    }

    fn rewrite(&self, expr: Expr, columns: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::WindowFunction(mut window) = expr else { return Ok(Transformed::no(expr)) };
        let WindowFunctionParams { partition_by, order_by, .. } = &mut window.params;
        let apart = partition_by.iter_mut().fold(false, |any, value| as_length(value, columns) | any);
        let is_changed = by_length(order_by, columns) | apart;
        Ok(Transformed::new_transformed(Expr::WindowFunction(window), is_changed))
    }
}

/// True for an interval.
pub(super) fn is_interval(value: &Expr, columns: &DFSchema) -> bool {
    value.get_type(columns).is_ok_and(|data_type| data_type == INTERVAL)
}

/// The length of an interval in its place; false for what is none.
fn as_length(value: &mut Expr, columns: &DFSchema) -> bool {
    let is_changed = is_interval(value, columns);
    if is_changed {
        *value = interval_length(std::mem::take(value));
    }
    is_changed
}

fn by_length(order: &mut [Sort], columns: &DFSchema) -> bool {
    order.iter_mut().fold(false, |any, by| as_length(&mut by.expr, columns) | any)
}

/// Aggregates of intervals, also in windows: `max` and `min` by their lengths, as many of them as differ in length, and sums of their
/// parts. What they put in an order by intervals is by their lengths, too.
fn of_intervals(expr: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    let of_interval = |args: &[Expr]| matches!(args, [value] if is_interval(value, columns));
    match expr {
        Expr::AggregateFunction(AggregateFunction { func, mut params }) => {
            let is_of_interval = of_interval(&params.args);
            let mut is_changed = !params.distinct && by_length(&mut params.order_by, columns);
            let name = func.name().to_string();
            let func = match (name.as_str(), params.args.as_mut_slice()) {
                ("count", [value]) if params.distinct && is_of_interval => {
                    is_changed |= as_length(value, columns);
                    func
                }
                (name, _) => match aggregate_of(name, is_of_interval) {
                    Some(other) => {
                        // of equal ones one is enough
                        params.distinct &= !matches!(name, "max" | "min");
                        is_changed = true;
                        other
                    }
                    None => func,
                },
            };
            let aggregate = Expr::AggregateFunction(AggregateFunction { func, params });
            Ok(Transformed::new_transformed(aggregate, is_changed))
        }
        Expr::WindowFunction(mut window) => {
            let mut is_changed = false;
            if let WindowFunctionDefinition::AggregateUDF(func) = &mut window.fun
                && let Some(other) = aggregate_of(func.name(), of_interval(&window.params.args))
            {
                (*func, is_changed) = (other, true);
            }
            Ok(Transformed::new_transformed(Expr::WindowFunction(window), is_changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}
