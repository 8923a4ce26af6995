//! Queries for one value of each row, `(SELECT b FROM u WHERE u.k = t.k)`, also with `ORDER BY c LIMIT 1`. DataFusion wants to see that
//! there is one, as an aggregate has it: the value becomes the only item of all that there are, or the first of them. What ties such a
//! query to the row, `u.k = t.k`, becomes a column beside the value; where the two have one name, the value gets another.
//!
//! A query that looks at no row before it, `(SELECT 1 WHERE a)`, is NULL where it has no row. DataFusion says that it is never NULL where
//! its column is not; so it becomes an aggregate, too.
//!
//! And queries whose values one is compared with, `a >= ALL (SELECT a FROM t)`: DataFusion takes columns of one name for one column, so
//! theirs gets a name of its own.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::{array_agg, first_value};
use datafusion::logical_expr::expr::{BinaryExpr, Cast};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Subquery};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::{change_named_expressions, change_nodes, change_parts};

use super::lateral_first::LimitedQuery;
use super::zone::with_schema;
use crate::Error;
use crate::functions::only_item;

/// Names that no column of a user's has.
const COMPARED: &str = "\u{1f}compared";
const VALUE: &str = "\u{1f}value";

/// Makes aggregates of such queries.
#[derive(Debug)]
pub(super) struct AggregateValues;

impl AnalyzerRule for AggregateValues {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let mut may_be_null = false;
        let changed = change_nodes(plan, &mut |node| {
            let changed = change_named_expressions(node, &mut |expr| {
                change_parts(expr, &mut |part| match part {
                    Expr::ScalarSubquery(query) => {
                        let changed = match query.outer_ref_columns.is_empty() {
                            true => or_null(&query.subquery)?,
                            false => of_row(&query.subquery)?,
                        };
                        may_be_null |= changed.is_some() && !query.subquery.schema().field(0).is_nullable();
                        Ok(match changed {
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
            match changed.transformed || may_be_null {
                // and those above it know that the value may be NULL
                true => changed.map_data(with_schema),
                false => Ok(changed),
            }
        })?;
        Ok(changed.data)
    }

    fn name(&self) -> &str {
        "aggregate_values"
    }
}

/// The value of a query that looks at no row before it, NULL where it has no row; None where its column says so, or there is a row.
fn or_null(query: &Arc<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    let [(relation, field)] = query.schema().iter().collect::<Vec<_>>()[..] else { return Ok(None) };
    if field.is_nullable() || has_row(query) {
        return Ok(None);
    }
    // the second row is the one too many
    let two = LogicalPlanBuilder::from(query.as_ref().clone()).limit(0, Some(2))?.build()?;
    only(two, Column::from((relation, field)), field.name()).map(Some)
}

/// True for a query that has a row, whatever there is.
fn has_row(query: &LogicalPlan) -> bool {
    match query {
        LogicalPlan::Projection(projection) => has_row(&projection.input),
        LogicalPlan::SubqueryAlias(alias) => has_row(&alias.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        LogicalPlan::Values(values) => !values.values.is_empty(),
        _ => false,
    }
}

/// The value of a query for each row as an aggregate, by a name of its own where that is needed; None for one that may stay as it is.
fn of_row(query: &Arc<LogicalPlan>) -> Result<Option<LogicalPlan>> {
    let [(_, field)] = query.schema().iter().collect::<Vec<_>>()[..] else { return Ok(None) };
    let mut ties = vec![];
    find_ties(query, &mut ties);
    let is_tied_by_name = ties.iter().any(|tie| tie.column_refs().iter().any(|column| column.name == *field.name()));
    let name = if is_tied_by_name { VALUE } else { field.name().as_str() };
    let is_aggregate = is_aggregate(query);
    let changed = match (is_aggregate, query.as_ref()) {
        (false, query) => aggregated(query, name)?,
        (true, LogicalPlan::Projection(Projection { expr, input, .. })) if is_tied_by_name => {
            let shown = expr.iter().cloned().map(|value| value.unalias().alias(name)).collect();
            Some(LogicalPlan::Projection(Projection::try_new(shown, input.clone())?))
        }
        (true, _) => None,
    };
    if (is_aggregate || changed.is_some()) && ties.iter().any(|tie| !groups(tie)) {
        let message = "a query for one value of each row is tied to the row by columns that equal something of it, as in \
                       WHERE u.k = t.k, and by no other comparison; join the tables and group by the columns of the row";
        return Err(Error::query(message).into());
    }
    Ok(changed)
}

/// What compares columns of a query with a row before it.
fn find_ties<'p>(query: &'p LogicalPlan, ties: &mut Vec<&'p Expr>) {
    if let LogicalPlan::Filter(filter) = query {
        use Operator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
        let compares = |part: &&Expr| match part {
            Expr::BinaryExpr(BinaryExpr { op, .. }) => matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq),
            _ => false,
        };
        let parts = split_conjunction(&filter.predicate).into_iter().filter(compares);
        ties.extend(parts.filter(|part| part.contains_outer() && part.any_column_refs()));
    }
    // what looks at a row of the query itself is not tied to the row before
    if !matches!(query, LogicalPlan::Subquery(_)) {
        query.inputs().into_iter().for_each(|input| find_ties(input, ties));
    }
}

/// True for a comparison by whose column DataFusion can group: it equals what has no column of the query.
fn groups(tie: &Expr) -> bool {
    fn is_column(side: &Expr) -> bool {
        match side {
            Expr::Cast(Cast { expr, .. }) => matches!(expr.as_ref(), Expr::Column(_)),
            other => matches!(other, Expr::Column(_)),
        }
    }
    match tie {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
            is_column(left) && !right.any_column_refs() || is_column(right) && !left.any_column_refs()
        }
        _ => false,
    }
}

/// The same value as an aggregate; None for a query that gives one row, or cannot be made one.
fn aggregated(query: &LogicalPlan, name: &str) -> Result<Option<LogicalPlan>> {
    let [(relation, field)] = query.schema().iter().collect::<Vec<_>>()[..] else { return Ok(None) };
    match LimitedQuery::of(query)? {
        Some(LimitedQuery { skip: 0, fetch: Some(1), order, shown, input }) => {
            let [value] = shown.as_slice() else { return Ok(None) };
            if value.contains_outer() || order.iter().any(|key| key.expr.contains_outer()) {
                return Ok(None);
            }
            of_all(input.clone(), first_value(value.clone(), order), |first| first, name).map(Some)
        }
        Some(_) => Ok(None),
        None if query.max_rows().is_some_and(|rows| rows <= 1) => Ok(None),
        None => only(query.clone(), Column::from((relation, field)), name).map(Some),
    }
}

/// The only value that a column has.
fn only(rows: LogicalPlan, column: Column, name: &str) -> Result<LogicalPlan> {
    of_all(rows, array_agg(Expr::Column(column)), |list| only_item().call(vec![list]), name)
}

/// What is shown of an aggregate over all rows.
fn of_all(rows: LogicalPlan, aggregate: Expr, shown: impl Fn(Expr) -> Expr, name: &str) -> Result<LogicalPlan> {
    let found = Expr::Column(Column::new_unqualified(aggregate.schema_name().to_string()));
    let all = LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(rows), vec![], vec![aggregate])?);
    Ok(LogicalPlan::Projection(Projection::try_new(vec![shown(found).alias(name)], Arc::new(all))?))
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
