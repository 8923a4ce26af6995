//! The query of a LATERAL join with a LIMIT, taken apart, and parts that its plans share.

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Sort as SortKey;
use datafusion::logical_expr::{
    Expr, FetchType, LogicalPlan, SkipType, WindowFrame, WindowFrameBound, WindowFrameUnits,
};
use rejoin_instances::trees::walk_nodes;

/// A query with a LIMIT: which rows it gives, in which order, and the plan that it takes them from.
pub(super) struct LimitedQuery<'p> {
    pub(super) skip: usize,
    pub(super) fetch: Option<usize>,
    pub(super) order: Vec<SortKey>,
    /// What is shown of them, over the columns of `input`.
    pub(super) shown: Vec<Expr>,
    pub(super) input: &'p LogicalPlan,
}

impl<'p> LimitedQuery<'p> {
    /// None for a query without a LIMIT, or with one that is computed.
    pub(super) fn of(query: &'p LogicalPlan) -> Result<Option<Self>> {
        let mut query = query;
        while let LogicalPlan::SubqueryAlias(alias) = query {
            query = &alias.input;
        }
        let LogicalPlan::Limit(limit) = query else { return Ok(None) };
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) = (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            return Ok(None);
        };
        // a SELECT that sorts by what it does not show
        let (shown, sorted) = match limit.input.as_ref() {
            LogicalPlan::Projection(projection) if matches!(projection.input.as_ref(), LogicalPlan::Sort(_)) => {
                (Some(&projection.expr), projection.input.as_ref())
            }
            other => (None, other),
        };
        let (order, input) = match sorted {
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => (sort.expr.clone(), sort.input.as_ref()),
            other => (vec![], other),
        };
        let shown = match shown {
            Some(shown) => shown.iter().cloned().map(Expr::unalias).collect(),
            None => columns_of(input.schema()).collect::<Vec<Expr>>(),
        };
        Ok(Some(Self { skip, fetch, order, shown, input }))
    }
}

/// The rows of a group from the first to the current one.
pub(super) fn up_to_current_row() -> WindowFrame {
    WindowFrame::new_bounds(
        WindowFrameUnits::Rows,
        WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
        WindowFrameBound::CurrentRow,
    )
}

/// The columns of a relation.
pub(super) fn columns_of(schema: &DFSchema) -> impl Iterator<Item = Expr> {
    schema.iter().map(|(relation, field)| Expr::Column(Column::from((relation, field))))
}

/// True for a plan that looks at a row before it.
pub(super) fn looks_around(plan: &LogicalPlan) -> Result<bool> {
    let mut looks = false;
    walk_nodes(plan, &mut |node| {
        looks |= node.contains_outer_reference();
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(looks)
}
