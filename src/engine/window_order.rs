//! What windows are in the order of, as columns: `rank() OVER (ORDER BY abs(a - b))` is over rows that have `abs(a - b)`.
//!
//! DataFusion sorts the rows for a window, and then looks whether they are in the order that it wants. For that it works out in which
//! range an expression is. Where it cannot, which are most functions in another one, it does not see its own order and refuses
//! the plan. A column is computed once, too.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, Projection, Window};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::change_nodes;

use super::lateral_first::columns_of;

/// Puts the expressions of the orders of windows beneath them.
#[derive(Debug)]
pub(super) struct OrderByColumns;

impl AnalyzerRule for OrderByColumns {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let ordered = change_nodes(plan, &mut |node| match node {
            LogicalPlan::Window(window) => Ok(match over_columns(&window)? {
                Some(plan) => Transformed::yes(plan),
                None => Transformed::no(LogicalPlan::Window(window)),
            }),
            other => Ok(Transformed::no(other)),
        })?;
        Ok(ordered.data)
    }

    fn name(&self) -> &str {
        "order_by_columns"
    }
}

/// The same windows over rows that have what they are in the order of; None where they are in the order of columns already.
fn over_columns(window: &Window) -> Result<Option<LogicalPlan>> {
    let mut keys: Vec<Expr> = vec![];
    let mut shown = Vec::with_capacity(window.window_expr.len());
    for expr in &window.window_expr {
        let name = expr.schema_name().to_string();
        let mut changed = expr.clone().unalias();
        let mut is_changed = false;
        if let Expr::WindowFunction(function) = &mut changed {
            for key in &mut function.params.order_by {
                if matches!(key.expr, Expr::Column(_) | Expr::Literal(..)) {
                    continue;
                }
                let place = keys.iter().position(|known| *known == key.expr).unwrap_or(keys.len());
                let key = std::mem::replace(&mut key.expr, Expr::Column(Column::new_unqualified(key_name(place))));
                if place == keys.len() {
                    keys.push(key);
                }
                is_changed = true;
            }
        }
        shown.push(if is_changed { changed.alias(name) } else { expr.clone() });
    }
    if keys.is_empty() {
        return Ok(None);
    }
    let keys = keys.into_iter().enumerate().map(|(place, key)| key.alias(key_name(place)));
    let columns = columns_of(window.input.schema()).chain(keys).collect();
    let rows = LogicalPlan::Projection(Projection::try_new(columns, window.input.clone())?);
    let numbered = LogicalPlan::Window(Window::try_new(shown, Arc::new(rows))?);
    let columns = columns_of(&window.schema).collect();
    Ok(Some(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(numbered))?)))
}

/// A name that no column of a user's has.
fn key_name(place: usize) -> String {
    format!("\u{1f}order{place}")
}
