//! Groups and distinct rows of intervals by their lengths, as in PostgreSQL: `1 month` and `30 days` are one. DataFusion tells them apart
//! by their parts.
//!
//! Rows are grouped by the lengths, and the first of a group's intervals, by its parts, is shown.

use std::sync::Arc;

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{Aggregate, Distinct, Expr, ExprSchemable, LogicalPlan, Projection};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::change_nodes;

use super::zone::with_schema;
use crate::functions::interval_length;

/// An interval's type.
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Groups intervals by their lengths.
#[derive(Debug)]
pub(super) struct GroupIntervals;

impl AnalyzerRule for GroupIntervals {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut is_changed = false;
        let plan = change_nodes(plan, &mut |node| {
            let grouped = match &node {
                LogicalPlan::Aggregate(aggregate) => by_length(aggregate)?,
                LogicalPlan::Distinct(Distinct::All(input)) if has_intervals(input.schema()) => {
                    let columns = input.schema().iter().map(|field| Expr::Column(Column::from(field))).collect();
                    by_length(&Aggregate::try_new(input.clone(), columns, vec![])?)?
                }
                _ => None,
            };
            match grouped {
                Some(grouped) => {
                    is_changed = true;
                    Ok(Transformed::yes(grouped))
                }
                // what is shown of a group may be NULL to those above
                None if is_changed => Ok(Transformed::yes(with_schema(node)?)),
                None => Ok(Transformed::no(node)),
            }
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

/// The same groups by the lengths of intervals; None where there are no intervals, or it is grouped in several ways.
fn by_length(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let is_interval = |group: &Expr| group.get_type(input.schema()).is_ok_and(|data_type| data_type == INTERVAL);
    let is_set = group_expr.iter().any(|group| matches!(group, Expr::GroupingSet(_)));
    if is_set || !group_expr.iter().any(is_interval) {
        return Ok(None);
    }
    let (mut groups, mut aggregates, mut shown) = (vec![], aggr_expr.clone(), vec![None; schema.fields().len()]);
    for (place, group) in group_expr.iter().enumerate() {
        if !is_interval(group) {
            groups.push(group.clone());
            continue;
        }
        let interval = group.clone().unalias();
        let first = vec![interval.clone().sort(true, false)];
        let first = AggregateFunction::new_udf(first_value_udaf(), vec![interval.clone()], false, None, first, None);
        let name = format!("\u{1f}group{place}");
        groups.push(interval_length(interval).alias(format!("\u{1f}length{place}")));
        aggregates.push(Expr::AggregateFunction(first).alias(name.clone()));
        shown[place] = Some(Column::new_unqualified(name));
    }
    let grouped = Aggregate::try_new(input.clone(), groups, aggregates)?;
    let columns = shown.into_iter().enumerate().map(|(place, shown)| match shown {
        Some(column) => {
            let (relation, field) = schema.qualified_field(place);
            Expr::Column(column).alias_qualified(relation.cloned(), field.name().clone())
        }
        None => Expr::Column(Column::from(grouped.schema.qualified_field(place))),
    });
    let columns = columns.collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(LogicalPlan::Aggregate(grouped)))?)))
}
