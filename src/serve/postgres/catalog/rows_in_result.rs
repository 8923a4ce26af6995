//! Functions that give several rows for one, in a result.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, Select, VisitorMut};
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
        self.around += usize::from(Self::takes_list(expr));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.around -= usize::from(Self::takes_list(expr));
        if let Expr::Function(function) = &*expr
            && self.around == 0
            && let Some(list) = list_in_result(function)
        {
            *expr = call("unnest", vec![list]);
        }
        ControlFlow::Continue(())
    }
}
