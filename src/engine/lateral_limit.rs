//! The first rows of a query for each row before it: `FROM t, LATERAL (SELECT u.b FROM u WHERE u.a = t.a ORDER BY u.b LIMIT 3) s`.
//!
//! DataFusion has no plan for it. Where equality alone ties the query to the row, the rows of all are numbered in their order, among
//! those of the same value, and joined with the row by that value. Others are joined first, see `lateral_beside`; what is neither is
//! refused.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, Filter, Join, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Sort,
    SubqueryAlias, Window, lit,
};
use rejoin_instances::trees::{change_parts, walk_nodes, walk_parts};

use super::lateral_beside::first_beside;
use super::lateral_first::{First, columns_of, looks_around, up_to_current_row};
use crate::Error;

/// A join with the first rows of `query` for each row, without the query for each row; None for any other. The join has no condition.
///
/// # Errors
/// Such a join is not planned here.
pub(super) fn first_of_each(join: &Join, query: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let Some(first) = First::of(query)? else { return Ok(None) };
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        return Ok(None);
    }
    if let Some(plan) = first_of_equal(join, &first)? {
        return Ok(Some(plan));
    }
    // of one value a LIMIT leaves all, which DataFusion may plan
    match first_beside(join, &first)? {
        None if !aggregates(first.input)? => Err(refused().into()),
        found => Ok(found),
    }
}

/// What is said of a query with a LIMIT that is not planned here.
pub(super) fn refused() -> Error {
    Error::query(
        "a LATERAL query with a LIMIT may name the row before it in its WHERE, ORDER BY and SELECT, not in joins, groups, DISTINCT \
         and queries within, and a LEFT JOIN of it is ON true; number the rows of a join with row_number() instead",
    )
}

/// The first rows of those that equality ties to the row; None where it is not equality alone.
fn first_of_equal(join: &Join, first: &First) -> Result<Option<LogicalPlan>> {
    let First { skip, fetch, order, shown, input } = first;
    if !are_plain(shown.iter().chain(order.iter().map(|key| &key.expr)))? {
        return Ok(None);
    }
    let mut rows = Rows { left: &join.left, names: 0 };
    let Some((plan, ties)) = rows.untied(input)? else { return Ok(None) };
    if ties.is_empty() {
        return Ok(None);
    }
    let values = ties.iter().map(|tie| Expr::Column(tie.value.clone())).collect();
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
        let name = rows.name();
        columns.push(expr.clone().alias(name.name.clone()));
        own.push(name);
    }
    for tie in ties {
        let name = rows.name();
        columns.push(Expr::Column(tie.value).alias(name.name.clone()));
        pairs.push(tie.row.eq(Expr::Column(name)));
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

/// True for a plan with an aggregate.
fn aggregates(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    walk_nodes(plan, &mut |node| {
        found |= matches!(node, LogicalPlan::Aggregate(_));
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
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
struct Tie {
    row: Expr,
    value: Column,
}

/// A query whose rows are those of all rows before it, and what ties them; the columns that it had come first.
type Untied = Option<(LogicalPlan, Vec<Tie>)>;

struct Rows<'p> {
    /// The relation of the row before.
    left: &'p LogicalPlan,
    /// Names so far.
    names: usize,
}

impl Rows<'_> {
    fn untied(&mut self, node: &LogicalPlan) -> Result<Untied> {
        match node {
            LogicalPlan::Filter(filter) => {
                let Some((mut plan, mut ties)) = self.untied(&filter.input)? else { return Ok(None) };
                let (mut stay, mut values) = (vec![], vec![]);
                for condition in split_conjunction(&filter.predicate) {
                    if are_plain([condition].into_iter())? {
                        stay.push(condition.clone());
                        continue;
                    }
                    let Some((row, value)) = self.tie(condition)? else { return Ok(None) };
                    let name = self.name();
                    values.push(value.alias(name.name.clone()));
                    ties.push(Tie { row, value: name });
                }
                if let Some(condition) = stay.into_iter().reduce(Expr::and) {
                    plan = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?);
                }
                if !values.is_empty() {
                    let columns = columns_of(plan.schema()).chain(values).collect();
                    plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?);
                }
                Ok(Some((plan, ties)))
            }
            LogicalPlan::Projection(projection) if are_plain(projection.expr.iter())? => {
                let Some((plan, ties)) = self.untied(&projection.input)? else { return Ok(None) };
                let values = ties.iter().map(|tie| Expr::Column(tie.value.clone()));
                let columns = projection.expr.iter().cloned().chain(values).collect();
                Ok(Some((LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?), ties)))
            }
            LogicalPlan::Sort(Sort { expr, input, fetch: None }) if are_plain(expr.iter().map(|key| &key.expr))? => {
                let Some((plan, ties)) = self.untied(input)? else { return Ok(None) };
                Ok(Some((LogicalPlan::Sort(Sort { expr: expr.clone(), input: Arc::new(plan), fetch: None }), ties)))
            }
            LogicalPlan::SubqueryAlias(alias) => {
                let Some((plan, mut ties)) = self.untied(&alias.input)? else { return Ok(None) };
                for tie in &mut ties {
                    tie.value = Column::new(Some(alias.alias.clone()), tie.value.name.clone());
                }
                let plan = SubqueryAlias::try_new(Arc::new(plan), alias.alias.clone())?;
                Ok(Some((LogicalPlan::SubqueryAlias(plan), ties)))
            }
            other => Ok((!looks_around(other)?).then(|| (other.clone(), vec![]))),
        }
    }

    /// The two sides of a condition that ties a value of the query to the row before it; None for another condition.
    fn tie(&self, condition: &Expr) -> Result<Option<(Expr, Expr)>> {
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
