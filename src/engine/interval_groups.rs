//! Intervals are equal by their lengths where rows are grouped, told apart and joined by them, as in PostgreSQL: `1 month` and `30 days` are
//! one. DataFusion tells them apart by their parts.
//!
//! Rows are grouped by the lengths, and the first of a group's intervals, by its parts, is shown. Where a set of groups has all intervals
//! in one, none is shown.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, JoinConstraint};
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::{AggregateFunction, Sort as SortKey};
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Aggregate, Distinct, DistinctOn, Expr, Join, LogicalPlan, Projection, when};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::change_nodes;

use super::interval_lengths::{INTERVAL, is_interval};
use super::zone::with_schema;
use crate::functions::interval_length;

/// Groups and joins intervals by their lengths.
#[derive(Debug)]
pub(super) struct GroupIntervals;

impl AnalyzerRule for GroupIntervals {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut is_changed = false;
        let plan = change_nodes(plan, &mut |node| {
            let changed = match &node {
                LogicalPlan::Aggregate(aggregate) => by_length(aggregate)?,
                LogicalPlan::Distinct(Distinct::All(input)) if has_intervals(input.schema()) => {
                    let columns = input.schema().iter().map(|field| Expr::Column(Column::from(field))).collect();
                    by_length(&Aggregate::try_new(input.clone(), columns, vec![])?)?
                }
                LogicalPlan::Distinct(Distinct::On(distinct)) => first_of_length(distinct),
                LogicalPlan::Join(join) => joined_by_length(join),
                _ => None,
            };
            let (is_own, node) = (changed.is_some(), changed.unwrap_or(node));
            // what is shown of a group may be NULL to those above
            let node = if is_changed { with_schema(node)? } else { node };
            is_changed |= is_own;
            Ok(Transformed::new_transformed(node, is_changed))
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "group_intervals"
    }
}

fn has_intervals(schema: &DFSchema) -> bool {
    schema.fields().iter().any(|field| *field.data_type() == INTERVAL)
}

/// The same groups by the lengths of intervals; None where there are no intervals.
fn by_length(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let is_set = matches!(group_expr.as_slice(), [Expr::GroupingSet(_)]);
    let (mut lengths, mut aggregates, mut shown) = (vec![], aggr_expr.clone(), vec![None; schema.fields().len()]);
    for (place, group) in grouping_set_to_exprlist(group_expr)?.into_iter().enumerate() {
        if !is_interval(group, input.schema()) {
            continue;
        }
        let interval = group.clone().unalias();
        let first = vec![interval.clone().sort(true, false)];
        let first = AggregateFunction::new_udf(first_value_udaf(), vec![interval.clone()], false, None, first, None);
        let (name, length) = (format!("\u{1f}group{place}"), format!("\u{1f}length{place}"));
        aggregates.push(Expr::AggregateFunction(first).alias(name.clone()));
        let first = Expr::Column(Column::new_unqualified(name));
        shown[place] = Some(match is_set {
            true => when(Expr::Column(Column::new_unqualified(length.clone())).is_not_null(), first).end()?,
            false => first,
        });
        lengths.push((group, interval_length(interval).alias(length)));
    }
    if lengths.is_empty() {
        return Ok(None);
    }
    let mut of_group = |group: Expr| -> Result<Transformed<Expr>> {
        let length = lengths.iter().find(|(interval, _)| **interval == group).map(|(_, length)| length.clone());
        Ok(length.map_or(Transformed::no(group), Transformed::yes))
    };
    let grouped_by = |group: Expr| -> Result<Expr> {
        Ok(match group {
            Expr::GroupingSet(_) => group.map_children(&mut of_group)?.data,
            group => of_group(group)?.data,
        })
    };
    let groups = group_expr.iter().cloned().map(grouped_by).collect::<Result<Vec<_>>>()?;
    let grouped = Aggregate::try_new(input.clone(), groups, aggregates)?;
    let columns = shown.into_iter().enumerate().map(|(place, shown)| match shown {
        Some(shown) => {
            let (relation, field) = schema.qualified_field(place);
            shown.alias_qualified(relation.cloned(), field.name().clone())
        }
        None => Expr::Column(Column::from(grouped.schema.qualified_field(place))),
    });
    let columns = columns.collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Aggregate(grouped)))?)))
}

/// `DISTINCT ON (interval)` by the interval's length; None where no interval is looked at.
fn first_of_length(distinct: &DistinctOn) -> Option<LogicalPlan> {
    let columns = distinct.input.schema();
    let on_expr: Vec<Expr> = distinct.on_expr.iter().map(|on| length_of(on, columns)).collect();
    let key = |key: &SortKey| SortKey { expr: length_of(&key.expr, columns), ..key.clone() };
    let sort_expr: Option<Vec<SortKey>> = distinct.sort_expr.as_ref().map(|keys| keys.iter().map(key).collect());
    let is_changed = on_expr != distinct.on_expr || sort_expr != distinct.sort_expr;
    is_changed.then(|| LogicalPlan::Distinct(Distinct::On(DistinctOn { on_expr, sort_expr, ..distinct.clone() })))
}

/// A join whose keys are intervals by their lengths; None for another one.
fn joined_by_length(join: &Join) -> Option<LogicalPlan> {
    let Join { left, right, on, .. } = join;
    let pair = |(one, other): &(Expr, Expr)| {
        let are_intervals = is_interval(one, left.schema()) && is_interval(other, right.schema());
        let length = |expr: &Expr| if are_intervals { interval_length(expr.clone()) } else { expr.clone() };
        (length(one), length(other))
    };
    let by_length: Vec<(Expr, Expr)> = on.iter().map(pair).collect();
    // what stands in USING are columns
    let join_constraint = JoinConstraint::On;
    (by_length != *on).then(|| LogicalPlan::Join(Join { on: by_length, join_constraint, ..join.clone() }))
}

/// The length of an interval; all else as it is.
fn length_of(expr: &Expr, columns: &DFSchema) -> Expr {
    match is_interval(expr, columns) {
        true => interval_length(expr.clone().unalias()),
        false => expr.clone(),
    }
}
