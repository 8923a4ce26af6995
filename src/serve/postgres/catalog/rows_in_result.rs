//! Functions that give several rows for one, in a result.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Query, Select, VisitorMut};
use rejoin_instances::syntax::change;

use super::relations::last;
use crate::engine::list_rows::list_in_result;
use crate::engine::written_calls::call;

/// What gives several rows for one in a result: the engine knows `unnest` there.
pub fn rows_in_result(select: &mut Select) {
    for item in &mut select.projection {
        // it never breaks off
        let _ = change(item, &mut RowsInResult::default());
    }
}

/// The list of a function that gives rows.
fn list_of(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Function(function) => list_in_result(function, None),
        _ => None,
    }
}

/// That of one column of them: `(json_each(j)).key`.
fn list_of_column(expr: &Expr) -> Option<Expr> {
    let Expr::CompoundFieldAccess { root, access_chain } = expr else { return None };
    match (root.as_ref(), access_chain.as_slice()) {
        (Expr::Nested(inner), [AccessExpr::Dot(Expr::Identifier(column))]) => match inner.as_ref() {
            Expr::Function(function) => list_in_result(function, Some(column)),
            _ => None,
        },
        _ => None,
    }
}

/// Writes functions that give rows as UNNEST, wherever in an expression they stand.
#[derive(Default)]
struct RowsInResult {
    /// Functions of lists around, which take the list, and queries around, which have results of their own.
    around: usize,
}

impl RowsInResult {
    fn takes_list(expr: &Expr) -> bool {
        let Expr::Function(function) = expr else { return false };
        let name = last(&function.name);
        name == "unnest" || name == "cardinality" || name.starts_with("array_") || name.starts_with("list_")
    }
}

impl VisitorMut for RowsInResult {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.around += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.around -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // before the function in it stands for its rows
        if self.around == 0
            && let Some(list) = list_of_column(expr)
        {
            *expr = call("unnest", vec![list]);
        }
        self.around += usize::from(Self::takes_list(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.around -= usize::from(Self::takes_list(expr));
        if self.around == 0
            && let Some(list) = list_of(expr)
        {
            *expr = call("unnest", vec![list]);
        }
        ControlFlow::Continue(())
    }
}
