//! Queries for one value of each row, `(SELECT b FROM u WHERE u.k = t.k)`, also with `ORDER BY c LIMIT 1`. DataFusion wants to see that
//! there is one, as an aggregate has it: the value becomes the only item of all that there are, or the first of them.
//!
//! And queries whose values one is compared with, `a >= ALL (SELECT a FROM t)`: DataFusion takes columns of one name for one column, so
//! theirs gets a name of its own.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{array_agg, first_value};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Projection, Subquery};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::{change_expressions, change_nodes, change_parts};

use super::lateral_first::LimitedQuery;
use crate::functions::only_item;

/// A name that no column of a user's has.
const COMPARED: &str = "\u{1f}compared";

/// Makes aggregates of such queries.
#[derive(Debug)]
pub(super) struct AggregateValues;

impl AnalyzerRule for AggregateValues {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let changed = change_nodes(plan, &mut |node| {
            let changed = change_expressions(node, &mut |expr| {
                change_parts(expr, &mut |part| match part {
                    Expr::ScalarSubquery(query) if !query.outer_ref_columns.is_empty() => {
                        Ok(match aggregated(&query.subquery)? {
                            Some(plan) => {
                                let query = Subquery { subquery: Arc::new(plan), ..query };
                                Transformed::yes(Expr::ScalarSubquery(query))
                            }
                            None => Transformed::no(Expr::ScalarSubquery(query)),
                        })
                    }
                    Expr::SetComparison(mut comparison) => {
                        let named = named(&comparison.subquery.subquery)?;
                        let is_named = named.is_some();
                        if let Some(plan) = named {
                            comparison.subquery.subquery = Arc::new(plan);
                        }
                        let comparison = Expr::SetComparison(comparison);
                        Ok(if is_named { Transformed::yes(comparison) } else { Transformed::no(comparison) })
                    }
                    other => Ok(Transformed::no(other)),
                })
            })?;
            match changed.transformed {
                true => changed.map_data(LogicalPlan::recompute_schema),
                false => Ok(changed),
            }
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "aggregate_values"
    }
}

/// The same value as an aggregate; None for a query that is one, gives one row, or cannot be made one.
fn aggregated(query: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let [(relation, field)] = query.schema().iter().collect::<Vec<_>>()[..] else { return Ok(None) };
    if is_aggregate(query) {
        return Ok(None);
    }
    let (value, input, is_list) = match LimitedQuery::of(query)? {
        Some(LimitedQuery { skip: 0, fetch: Some(1), order, shown, input }) => {
            let [value] = shown.as_slice() else { return Ok(None) };
            if value.contains_outer() || order.iter().any(|key| key.expr.contains_outer()) {
                return Ok(None);
            }
            (first_value(value.clone(), order), input.clone(), false)
        }
        Some(_) => return Ok(None),
        None if query.max_rows().is_some_and(|rows| rows <= 1) => return Ok(None),
        None => (array_agg(Expr::Column(Column::from((relation, field)))), query.clone(), true),
    };
    let found = Expr::Column(Column::new_unqualified(value.schema_name().to_string()));
    let all = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(input), vec![], vec![value])?);
    let found = if is_list { only_item().call(vec![found]) } else { found };
    let shown = vec![found.alias(field.name().clone())];
    Ok(Some(LogicalPlan::Projection(Projection::try_new(shown, Arc::new(all))?)))
}

/// The same query, its column by that name; None where it has it.
fn named(query: &Arc<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    let [(relation, field)] = query.schema().iter().collect::<Vec<_>>()[..] else { return Ok(None) };
    if field.name() == COMPARED {
        return Ok(None);
    }
    let column = Expr::Column(Column::from((relation, field))).alias(COMPARED);
    Ok(Some(LogicalPlan::Projection(Projection::try_new(vec![column], query.clone())?)))
}

/// True for a query whose value is an aggregate already.
fn is_aggregate(query: &LogicalPlan) -> bool {
    match query {
        LogicalPlan::Projection(projection) => is_aggregate(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => is_aggregate(&alias.input),
        LogicalPlan::Filter(filter) => matches!(filter.input.as_ref(), LogicalPlan::Aggregate(_)),
        other => matches!(other, LogicalPlan::Aggregate(_)),
    }
}
