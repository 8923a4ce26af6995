//! Columns that every table of Postgres has unseen: `tableoid`, `xmin` and their kin.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Value, VisitorMut};

/// Columns that each table of Postgres has unseen, of the catalog's tables of a FROM: their numbers, by what they are called there.
pub(super) struct SystemColumns(pub(super) BTreeMap<String, i32>);

impl SystemColumns {
    /// What such a column holds; None for another expression. All rows are of the first transaction there was.
    pub(super) fn value(&self, expr: &Expr) -> Option<Expr> {
        let (number, column) = match expr {
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [table, column] => (Some(*self.0.get(&table.value.to_lowercase())?), column),
                _ => return None,
            },
            // whose it is does not matter but for its number
            Expr::Identifier(column) if !self.0.is_empty() => (None, column),
            _ => return None,
        };
        let value = match column.value.to_lowercase().as_str() {
            "tableoid" => number?,
            "xmin" => 1,
            "xmax" | "cmin" | "cmax" => 0,
            _ => return None,
        };
        Some(Expr::Value(Value::Number(value.to_string(), false).with_empty_span()))
    }
}

impl VisitorMut for SystemColumns {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(value) = self.value(expr) {
            *expr = value;
        }
        ControlFlow::Continue(())
    }
}
