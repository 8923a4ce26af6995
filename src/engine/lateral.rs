//! Relations that look at the row before them: `FROM t, unnest(t.list) AS x`, `LEFT JOIN LATERAL (SELECT t.a + 1 AS b) s ON true`.
//!
//! DataFusion plans each as a join with a query of its own for each row, and computes those alone that a condition ties to the row.
//! A query that only makes something of the row, or rows of its lists, is no join: what it is made of is put above the relation
//! before it, whose columns are carried along. One with a LIMIT is numbered, see `lateral_limit`. Others stay as they are.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, JoinType, NullHandling, RecursionUnnestOption, ScalarValue, UnnestOptions};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{EmptyRelation, Unnest};
use datafusion::logical_expr::{Expr, Filter, Join, LogicalPlan, Projection, Subquery, SubqueryAlias};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::{change_nodes, change_parts};

use super::lateral_first::columns_of;
use super::lateral_limit::{first_of_each, refused};

/// Puts what looks at the row before it above the relation of that row.
#[derive(Debug)]
pub(super) struct PutAbove;

impl AnalyzerRule for PutAbove {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let above = change_nodes(plan, &mut |node| match node {
            LogicalPlan::Join(join) => Ok(match without_query(&join)? {
                Some(plan) => Transformed::yes(plan),
                None => Transformed::no(LogicalPlan::Join(join)),
            }),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(above.data)
    }

    fn name(&self) -> &str {
        "put_above"
    }
}

/// The same rows without a query for each row; None for a join that has none, or that stays as it is.
fn without_query(join: &Join) -> Result<Option<LogicalPlan>> {
    if let Some(plan) = put_above(join)? {
        return Ok(Some(plan));
    }
    let Some(query) = of_each_row(&join.right) else { return Ok(None) };
    if holds_always(join) {
        return first_of_each(join, &query.subquery);
    }
    // the condition is one on the first rows
    match join.join_type {
        JoinType::Inner => {
            let always = Join { on: vec![], filter: None, ..join.clone() };
            let Some(plan) = first_of_each(&always, &query.subquery)? else { return Ok(None) };
            let pairs = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
            let Some(condition) = pairs.chain(join.filter.clone()).reduce(Expr::and) else { return Ok(Some(plan)) };
            Ok(Some(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?)))
        }
        JoinType::Left if has_limit(&query.subquery) => Err(refused().into()),
        _ => Ok(None),
    }
}

/// True for a query with a LIMIT.
fn has_limit(query: &LogicalPlan) -> bool {
    match query {
        LogicalPlan::SubqueryAlias(alias) => has_limit(&alias.input),
        query => matches!(query, LogicalPlan::Limit(_)),
    }
}

/// The same rows without a join; None for a join that is one.
fn put_above(join: &Join) -> Result<Option<LogicalPlan>> {
    let keeps_all = match join.join_type {
        JoinType::Inner => false,
        JoinType::Left if holds_always(join) => true,
        _ => return Ok(None),
    };
    let Some(query) = of_each_row(&join.right) else { return Ok(None) };
    let mut above = Above { left: &join.left, keeps_all, names: 0, lists: 0 };
    let Some((plan, own)) = above.put(&query.subquery)? else { return Ok(None) };
    let shown = own.into_iter().zip(join.right.schema().iter());
    let shown = shown.map(|(column, (relation, field))| {
        Expr::Column(column).alias_qualified(relation.cloned(), field.name().clone())
    });
    let columns = columns_of(join.left.schema()).chain(shown).collect();
    let mut plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?);
    let pairs = join.on.iter().map(|(left, right)| left.clone().eq(right.clone()));
    if let Some(condition) = pairs.chain(join.filter.clone()).reduce(Expr::and) {
        plan = LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?);
    }
    Ok(Some(plan))
}

/// True for a join whose condition is none.
fn holds_always(join: &Join) -> bool {
    let is_true = |filter: &Expr| matches!(filter, Expr::Literal(ScalarValue::Boolean(Some(true)), _));
    join.on.is_empty() && join.filter.as_ref().is_none_or(is_true)
}

/// The query of each row that a relation is.
fn of_each_row(relation: &LogicalPlan) -> Option<&Subquery> {
    match relation {
        LogicalPlan::Subquery(query) => Some(query),
        LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => of_each_row(input),
        _ => None,
    }
}

/// A plan that carries the columns of the relation before, and its own ones, by names that nobody can write.
type Carrying = Option<(LogicalPlan, Vec<Column>)>;

/// What is put above a relation.
struct Above<'p> {
    left: &'p LogicalPlan,
    /// Each row of it stays, even if nothing is made of it.
    keeps_all: bool,
    /// Names so far.
    names: usize,
    /// Nodes that make rows of lists.
    lists: usize,
}

impl Above<'_> {
    fn put(&mut self, node: &LogicalPlan) -> Result<Carrying> {
        match node {
            LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, .. }) => {
                Ok(Some((self.left.clone(), vec![])))
            }
            LogicalPlan::SubqueryAlias(alias) => self.put(&alias.input),
            LogicalPlan::Projection(projection) => {
                let Some((below, own)) = self.put(&projection.input)? else { return Ok(None) };
                let mut columns: Vec<Expr> = columns_of(self.left.schema()).collect();
                let mut names = vec![];
                for expr in &projection.expr {
                    let Some(expr) = self.moved(expr, projection.input.schema(), &own)? else { return Ok(None) };
                    let name = self.name();
                    columns.push(expr.unalias().alias(name.name.clone()));
                    names.push(name);
                }
                let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(below))?);
                Ok(Some((plan, names)))
            }
            LogicalPlan::Filter(filter) if !self.keeps_all => {
                let Some((below, own)) = self.put(&filter.input)? else { return Ok(None) };
                let predicate = self.moved(&filter.predicate, filter.input.schema(), &own)?;
                let Some(predicate) = predicate else { return Ok(None) };
                let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::new(below))?);
                Ok(Some((plan, own)))
            }
            LogicalPlan::Unnest(unnest) => self.unnested(unnest),
            _ => Ok(None),
        }
    }

    /// Rows of lists. Where each row of the relation stays, one without items has none of them.
    fn unnested(&mut self, unnest: &Unnest) -> Result<Carrying> {
        self.lists += 1;
        if !unnest.struct_type_columns.is_empty() || self.keeps_all && self.lists > 1 {
            return Ok(None);
        }
        let Some((below, own)) = self.put(&unnest.input)? else { return Ok(None) };
        let place = |column: &Column| unnest.input.schema().maybe_index_of_column(column);
        let carried = |column: &Column| place(column).and_then(|place| own.get(place).cloned());
        let kept = if self.keeps_all { NullHandling::PreserveAndExpandEmpty } else { unnest.options.null_handling };
        let mut options = UnnestOptions::new().with_null_handling(kept);
        let mut items = HashMap::new();
        for recursion in &unnest.options.recursions {
            let (Some(place), Some(input_column)) = (place(&recursion.input_column), carried(&recursion.input_column))
            else {
                return Ok(None);
            };
            let output_column = self.name();
            if items.insert(place, output_column.clone()).is_some() {
                return Ok(None);
            }
            let depth = recursion.depth;
            options = options.with_recursions(RecursionUnnestOption { input_column, output_column, depth });
        }
        let Some(lists) = unnest.exec_columns.iter().map(carried).collect::<Option<Vec<_>>>() else { return Ok(None) };
        let shown = unnest.dependency_indices.iter().map(|place| items.get(place).or_else(|| own.get(*place)).cloned());
        let Some(shown) = shown.collect::<Option<Vec<_>>>() else { return Ok(None) };
        let plan = LogicalPlan::Unnest(Unnest::try_new(Arc::new(below), lists, options)?);
        Ok(Some((plan, shown)))
    }

    /// An expression over the columns that are carried; None where it needs others, or asks a query.
    fn moved(&self, expr: &Expr, columns: &DFSchema, own: &[Column]) -> Result<Option<Expr>> {
        let mut strange = false;
        let moved = change_parts(expr.clone(), &mut |part| {
            let column = match &part {
                Expr::OuterReferenceColumn(_, column) if self.left.schema().has_column(column) => Some(column.clone()),
                Expr::Column(column) => {
                    let carried = columns.maybe_index_of_column(column).and_then(|place| own.get(place).cloned());
                    strange |= carried.is_none();
                    carried
                }
                Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_) => {
                    strange = true;
                    None
                }
                _ => None,
            };
            Ok(column.map_or(Transformed::no(part), |column| Transformed::yes(Expr::Column(column))))
        })?;
        Ok((!strange).then_some(moved.data))
    }

    /// A name that nobody can write.
    fn name(&mut self) -> Column {
        self.names += 1;
        Column::new_unqualified(format!("\u{1f}above{}", self.names))
    }
}
