//! The first rows of a query for each row before it, where more than equality ties them: `FROM t, LATERAL (SELECT u.b FROM u WHERE u.a > t.a
//! ORDER BY abs(u.b - t.b) LIMIT 3) s`.
//!
//! The rows before are numbered, and joined with those of the query by its conditions. Then the order and the columns that are shown can
//! use both: the pairs of each row are numbered in that order, and the first are kept. A row of a LEFT JOIN without a pair has NULLs.

use std::sync::Arc;

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, JoinType};
use datafusion::error::Result;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::{Sort as SortKey, WindowFunction};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, Filter, Join, LogicalPlan, LogicalPlanBuilder, Projection, Sort, Window, lit, when,
};
use rejoin_instances::trees::change_parts;

use super::lateral_first::{LimitedQuery, columns_of, looks_around, up_to_current_row};

/// A join with the first rows of a query for each row; None for a query that makes more of its rows than columns.
pub(super) fn first_of_joined(join: &Join, first: &LimitedQuery) -> Result<Option<LogicalPlan>> {
    let mut joined = JoinedRows { left: &join.left, names: 0, conditions: vec![] };
    let Some((rows, own)) = joined.carried(first.input)? else { return Ok(None) };
    let mut order = vec![];
    for key in &first.order {
        let Some(expr) = joined.moved(&key.expr, first.input.schema(), &own)? else { return Ok(None) };
        order.push(SortKey { expr, ..key.clone() });
    }
    let mut shown = vec![];
    for expr in &first.shown {
        let Some(expr) = joined.moved(expr, first.input.schema(), &own)? else { return Ok(None) };
        shown.push(expr);
    }
    // each row before with a number, and a mark of the rows that are joined
    let (plan, row) = joined.numbered(join.left.as_ref().clone(), vec![], vec![])?;
    let sign = joined.name();
    let rows_columns = columns_of(rows.schema()).chain([lit(true).alias(sign.name.clone())]).collect();
    let rows = LogicalPlan::Projection(Projection::try_new(rows_columns, Arc::new(rows))?);
    let conditions = std::mem::take(&mut joined.conditions);
    let plan = LogicalPlanBuilder::from(plan).join_on(rows, join.join_type, conditions)?.build()?;
    let (mut plan, number) = joined.numbered(plan, vec![row.clone()], order)?;
    let after = (first.skip > 0).then(|| number.clone().gt(lit(first.skip as u64)));
    let until = first.fetch.map(|fetch| number.clone().lt_eq(lit(first.skip.saturating_add(fetch) as u64)));
    let is_first = after.into_iter().chain(until).reduce(Expr::and).unwrap_or(lit(true));
    let sign = Expr::Column(sign);
    let (kept, shown) = match join.join_type {
        JoinType::Left => {
            let some = WindowFunction::new(count_udaf(), vec![sign.clone()]);
            let some = Expr::from(some).partition_by(vec![row]).build()?;
            let count = Expr::Column(Column::new_unqualified(some.schema_name().to_string()));
            plan = LogicalPlan::Window(Window::try_new(vec![some], Arc::new(plan))?);
            let is_first = is_first.and(sign.is_not_null());
            let has_none = match first.fetch {
                Some(0) => lit(true),
                _ => count.lt_eq(lit(first.skip as i64)),
            };
            let kept = is_first.clone().or(number.eq(lit(1_u64)).and(has_none));
            let shown = shown.into_iter().map(|expr| when(is_first.clone(), expr).end()).collect::<Result<Vec<_>>>()?;
            (kept, shown)
        }
        _ => (is_first, shown),
    };
    let plan = LogicalPlan::Filter(Filter::try_new(kept, Arc::new(plan))?);
    let shown = shown.into_iter().zip(join.right.schema().iter());
    let shown = shown.map(|(expr, (relation, field))| expr.alias_qualified(relation.cloned(), field.name().clone()));
    let columns = columns_of(join.left.schema()).chain(shown).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?)))
}

/// The query of a LATERAL join, without what refers to the row before it.
struct JoinedRows<'p> {
    /// The relation of the row before.
    left: &'p LogicalPlan,
    /// Names so far.
    names: usize,
    /// What ties the rows of the query to the row before, over the columns of both.
    conditions: Vec<Expr>,
}

/// Rows of a query that look at no row before them, and what the columns of a node above are over these and that row.
type Carried = Option<(LogicalPlan, Vec<Expr>)>;

impl JoinedRows<'_> {
    fn carried(&mut self, node: &LogicalPlan) -> Result<Carried> {
        match node {
            LogicalPlan::SubqueryAlias(alias) => self.carried(&alias.input),
            LogicalPlan::Sort(Sort { input, fetch: None, .. }) => self.carried(input),
            LogicalPlan::Filter(filter) => {
                let Some((rows, own)) = self.carried(&filter.input)? else { return Ok(None) };
                let condition = self.moved(&filter.predicate, filter.input.schema(), &own)?;
                let Some(condition) = condition else { return Ok(None) };
                self.conditions.push(condition);
                Ok(Some((rows, own)))
            }
            LogicalPlan::Projection(projection) => {
                let Some((rows, own)) = self.carried(&projection.input)? else { return Ok(None) };
                let mut columns = vec![];
                for expr in &projection.expr {
                    let Some(expr) = self.moved(expr, projection.input.schema(), &own)? else { return Ok(None) };
                    columns.push(expr.unalias());
                }
                Ok(Some((rows, columns)))
            }
            other if looks_around(other)? => Ok(None),
            other => {
                let (mut columns, mut own) = (vec![], vec![]);
                for column in columns_of(other.schema()) {
                    let name = self.name();
                    columns.push(column.alias(name.name.clone()));
                    own.push(Expr::Column(name));
                }
                Ok(Some((LogicalPlan::Projection(Projection::try_new(columns, Arc::new(other.clone()))?), own)))
            }
        }
    }

    /// An expression over what is carried and the row before; None where it needs others, or asks a query.
    fn moved(&self, expr: &Expr, columns: &DFSchema, own: &[Expr]) -> Result<Option<Expr>> {
        let mut strange = false;
        let moved = change_parts(expr.clone(), &mut |part| {
            let other = match &part {
                Expr::OuterReferenceColumn(_, column) if self.left.schema().has_column(column) => {
                    Some(Expr::Column(column.clone()))
                }
                Expr::Column(column) => {
                    let carried = columns.maybe_index_of_column(column).and_then(|place| own.get(place).cloned());
                    strange |= carried.is_none();
                    carried
                }
                Expr::OuterReferenceColumn(..)
                | Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::WindowFunction(_) => {
                    strange = true;
                    None
                }
                _ => None,
            };
            Ok(other.map_or(Transformed::no(part), Transformed::yes))
        })?;
        Ok((!strange).then_some(moved.data))
    }

    /// Rows with their number among those of the same values, in an order.
    fn numbered(&mut self, plan: LogicalPlan, of: Vec<Expr>, order: Vec<SortKey>) -> Result<(LogicalPlan, Expr)> {
        let numbering = row_number().partition_by(of).order_by(order).window_frame(up_to_current_row()).build()?;
        let number = Expr::Column(Column::new_unqualified(numbering.schema_name().to_string()));
        let columns = columns_of(plan.schema()).collect::<Vec<Expr>>();
        let plan = LogicalPlan::Window(Window::try_new(vec![numbering], Arc::new(plan))?);
        // by a name that no other number has
        let name = self.name();
        let columns = columns.into_iter().chain([number.alias(name.name.clone())]).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?);
        Ok((plan, Expr::Column(name)))
    }

    /// A name that nobody can write.
    fn name(&mut self) -> Column {
        self.names += 1;
        Column::new_unqualified(format!("\u{1f}joined{}", self.names))
    }
}
