//! The first rows of a query for each row before it: `FROM t, LATERAL (SELECT u.b FROM u WHERE u.a = t.a ORDER BY u.b LIMIT 3) s`.
//!
//! DataFusion has no plan for it. Where equality alone relates the query to the row, the rows of all are numbered in their order, among
//! those of the same value, and joined with the row by that value. Others are joined first, see `lateral_join`; what is neither is
//! refused.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Distinct, Expr, ExprFunctionExt, Filter, Join, LogicalPlan, LogicalPlanBuilder, Operator,
    Projection, Sort, Subquery, SubqueryAlias, Window, lit,
};
use rejoin_instances::trees::{change_parts, walk_parts};

use super::lateral_first::{LimitedQuery, columns_of, looks_around, up_to_current_row};
use super::lateral_join::first_of_joined;
use crate::Error;

/// A join with the first rows of `query` for each row, without the query for each row; None for any other. The join has no condition.
///
/// # Errors
/// Such a join is not planned here.
pub(super) fn first_of_each(join: &Join, query: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let Some(first) = LimitedQuery::of(query)? else { return Ok(None) };
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        return Ok(None);
    }
    if let Some(plan) = first_of_equal(join, &first)? {
        return Ok(Some(plan));
    }
    if let Some(plan) = first_of_joined(join, &first)? {
        return Ok(Some(plan));
    }
    let is_whole = matches!(query, LogicalPlan::Limit(_)) && first.skip == 0 && first.fetch != Some(0);
    match is_whole && has_one_row(first.input) && columns_of(first.input.schema()).eq(first.shown.iter().cloned()) {
        true => Ok(Some(LogicalPlan::Join(Join { right: Arc::new(over(&join.right, first.input)?), ..join.clone() }))),
        false => Err(refused().into()),
    }
}

/// True for an aggregate of all rows, of which a LIMIT leaves the one row that there is.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => has_one_row(&projection.input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        _ => false,
    }
}

/// A relation over another query for each row.
fn over(relation: &LogicalPlan, query: &LogicalPlan) -> Result<LogicalPlan> {
    Ok(match relation {
        LogicalPlan::SubqueryAlias(alias) => {
            let input = over(&alias.input, query)?;
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?)
        }
        LogicalPlan::Subquery(subquery) => {
            LogicalPlan::Subquery(Subquery { subquery: Arc::new(query.clone()), ..subquery.clone() })
        }
        other => other.clone(),
    })
}

/// What is said of a query with a LIMIT that is not planned here.
pub(super) fn refused() -> Error {
    Error::query(
        "a LATERAL query with a LIMIT may name the row before it in its WHERE, ORDER BY and SELECT, below groups and DISTINCT in an \
         equality of its WHERE, not in joins and queries within, and a LEFT JOIN of it is ON true; number the rows of a join with \
         row_number() instead",
    )
}

/// The first rows of those that equality alone relates to the row; None for other queries.
fn first_of_equal(join: &Join, first: &LimitedQuery) -> Result<Option<LogicalPlan>> {
    let LimitedQuery { skip, fetch, order, shown, input } = first;
    if !are_plain(shown.iter().chain(order.iter().map(|key| &key.expr)))? {
        return Ok(None);
    }
    let mut query = Decorrelation { left: &join.left, names: 0 };
    let Some((plan, keys)) = query.decorrelated(input)? else { return Ok(None) };
    if keys.is_empty() {
        return Ok(None);
    }
    let values = keys.iter().map(|key| Expr::Column(key.value.clone())).collect();
    let numbering = row_number().partition_by(values).order_by(order.clone());
    let numbering = numbering.window_frame(up_to_current_row()).build()?;
    let number = Expr::Column(Column::new_unqualified(numbering.schema_name().to_string()));
    let plan = LogicalPlan::Window(Window::try_new(vec![numbering], Arc::new(plan))?);
    let after = (*skip > 0).then(|| number.clone().gt(lit(*skip as u64)));
    let until = fetch.map(|fetch| number.lt_eq(lit(skip.saturating_add(fetch) as u64)));
    let Some(is_first) = after.into_iter().chain(until).reduce(Expr::and) else { return Ok(None) };
    let plan = LogicalPlan::Filter(Filter::try_new(is_first, Arc::new(plan))?);
    let (mut columns, mut own, mut pairs) = (vec![], vec![], vec![]);
    for expr in shown {
        let name = query.name();
        columns.push(expr.clone().alias(name.name.clone()));
        own.push(name);
    }
    for key in keys {
        let name = query.name();
        columns.push(Expr::Column(key.value).alias(name.name.clone()));
        pairs.push(key.row.eq(Expr::Column(name)));
    }
    let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?);
    let plan = LogicalPlanBuilder::from(join.left.as_ref().clone()).join_on(plan, join.join_type, pairs)?.build()?;
    let shown = own.into_iter().zip(join.right.schema().iter());
    let shown = shown.map(|(column, (relation, field))| {
        Expr::Column(column).alias_qualified(relation.cloned(), field.name().clone())
    });
    let columns = columns_of(join.left.schema()).chain(shown).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?)))
}

/// True for an aggregate of groups, which are none where there are no rows.
fn makes_groups(aggregate: &Aggregate) -> Result<bool> {
    let Aggregate { group_expr, aggr_expr, .. } = aggregate;
    let is_plain = !group_expr.is_empty() && !matches!(group_expr.as_slice(), [Expr::GroupingSet(_)]);
    Ok(is_plain && are_plain(group_expr.iter().chain(aggr_expr))?)
}

/// True for what looks at no row before, and asks no query.
fn are_plain<'e>(exprs: impl Iterator<Item = &'e Expr>) -> Result<bool> {
    let mut plain = true;
    for expr in exprs {
        walk_parts(expr, &mut |part| {
            plain &= !matches!(
                part,
                Expr::OuterReferenceColumn(..)
                    | Expr::ScalarSubquery(_)
                    | Expr::InSubquery(_)
                    | Expr::Exists(_)
                    | Expr::SetComparison(_)
            );
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(plain)
}

/// What must be equal: an expression over the row before, and a column of the query.
struct CorrelationKey {
    row: Expr,
    value: Column,
}

/// A query that does not refer to the row before it any more, with the keys by which its rows are joined to that row. The columns that
/// it had come first.
type Decorrelated = Option<(LogicalPlan, Vec<CorrelationKey>)>;

/// Takes the conditions on the row before out of a query.
struct Decorrelation<'p> {
    /// The relation of the row before.
    left: &'p LogicalPlan,
    /// Names so far.
    names: usize,
}

impl Decorrelation<'_> {
    fn decorrelated(&mut self, node: &LogicalPlan) -> Result<Decorrelated> {
        match node {
            LogicalPlan::Filter(filter) => {
                let Some((mut plan, mut keys)) = self.decorrelated(&filter.input)? else { return Ok(None) };
                let (mut stay, mut values) = (vec![], vec![]);
                for condition in split_conjunction(&filter.predicate) {
                    if are_plain([condition].into_iter())? {
                        stay.push(condition.clone());
                        continue;
                    }
                    let Some((row, value)) = self.correlation_key(condition)? else { return Ok(None) };
                    let name = self.name();
                    values.push(value.alias(name.name.clone()));
                    keys.push(CorrelationKey { row, value: name });
                }
                if let Some(condition) = stay.into_iter().reduce(Expr::and) {
                    plan = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?);
                }
                if !values.is_empty() {
                    let columns = columns_of(plan.schema()).chain(values).collect();
                    plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?);
                }
                Ok(Some((plan, keys)))
            }
            LogicalPlan::Projection(projection) if are_plain(projection.expr.iter())? => {
                let Some((plan, keys)) = self.decorrelated(&projection.input)? else { return Ok(None) };
                let values = keys.iter().map(|key| Expr::Column(key.value.clone()));
                let columns = projection.expr.iter().cloned().chain(values).collect();
                Ok(Some((LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?), keys)))
            }
            LogicalPlan::Sort(Sort { expr, input, fetch: None }) if are_plain(expr.iter().map(|key| &key.expr))? => {
                let Some((plan, keys)) = self.decorrelated(input)? else { return Ok(None) };
                Ok(Some((LogicalPlan::Sort(Sort { expr: expr.clone(), input: Arc::new(plan), fetch: None }), keys)))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let Some((plan, keys)) = self.decorrelated(input)? else { return Ok(None) };
                Ok(Some((LogicalPlan::Distinct(Distinct::All(Arc::new(plan))), keys)))
            }
            LogicalPlan::Aggregate(aggregate) if makes_groups(aggregate)? => {
                let Some((plan, keys)) = self.decorrelated(&aggregate.input)? else { return Ok(None) };
                let values = || keys.iter().map(|key| Expr::Column(key.value.clone()));
                let groups = aggregate.group_expr.iter().cloned().chain(values()).collect();
                let plan = Aggregate::try_new(Arc::new(plan), groups, aggregate.aggr_expr.clone())?;
                let columns = columns_of(&aggregate.schema).chain(values()).collect();
                let plan = Projection::try_new(columns, Arc::new(LogicalPlan::Aggregate(plan)))?;
                Ok(Some((LogicalPlan::Projection(plan), keys)))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some((plan, mut keys)) = self.decorrelated(&alias.input)? else { return Ok(None) };
                for key in &mut keys {
                    key.value = Column::new(Some(alias.alias.clone()), key.value.name.clone());
                }
                let plan = SubqueryAlias::try_new(Arc::new(plan), alias.alias.clone())?;
                Ok(Some((LogicalPlan::SubqueryAlias(plan), keys)))
            }
            other => Ok((!looks_around(other)?).then(|| (other.clone(), vec![]))),
        }
    }

    /// The two sides of a condition that compares the row before with a value of the query; None for another condition.
    fn correlation_key(&self, condition: &Expr) -> Result<Option<(Expr, Expr)>> {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return Ok(None) };
        for (row, value) in [(left, right), (right, left)] {
            if are_plain([value.as_ref()].into_iter())?
                && let Some(row) = self.of_row(row)?
            {
                return Ok(Some((row, value.as_ref().clone())));
            }
        }
        Ok(None)
    }

    /// An expression over the row before as one over its relation; None where it needs anything else.
    fn of_row(&self, expr: &Expr) -> Result<Option<Expr>> {
        let mut strange = false;
        let found = change_parts(expr.clone(), &mut |part| {
            Ok(match part {
                Expr::OuterReferenceColumn(_, column) if self.left.schema().has_column(&column) => {
                    Transformed::yes(Expr::Column(column))
                }
                other => {
                    strange |= matches!(other, Expr::OuterReferenceColumn(..) | Expr::Column(_))
                        || !are_plain([&other].into_iter())?;
                    Transformed::no(other)
                }
            })
        })?;
        Ok((!strange).then_some(found.data))
    }

    /// A name that nobody can write.
    fn name(&mut self) -> Column {
        self.names += 1;
        Column::new_unqualified(format!("\u{1f}first{}", self.names))
    }
}
