//! Values of rows in an order: `mode() WITHIN GROUP (ORDER BY x)` and `percentile_disc(0.5) WITHIN GROUP (ORDER BY x)` take the list
//! that `array_agg` makes in that order, without NULL. Of an array of shares, an array of values is made.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Array, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArguments,
    OrderByExpr, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change};

use super::written_calls::call;
use crate::functions::{MODE, PERCENTILE};

/// Percentiles that are between two values.
const BETWEEN: &str = "percentile_cont";

/// Gives such functions of a statement, or of a part of one, their lists.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // it never breaks off
    let _ = change(part, &mut OrderedSetRewriter);
}

struct OrderedSetRewriter;

impl VisitorMut for OrderedSetRewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = &*expr
            && let Some(other) = of_list(function)
        {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// Other words for a function of rows in an order; None where it can stay.
fn of_list(function: &Function) -> Option<Expr> {
    let ([order], FunctionArguments::List(list)) = (function.within_group.as_slice(), &function.args) else {
        return None;
    };
    let name = function.name.0.last()?.as_ident()?.value.to_lowercase();
    let share = match list.args.as_slice() {
        [] => None,
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(share))] => Some(share),
        _ => return None,
    };
    match (name.as_str(), share) {
        (MODE, None) => Some(call(MODE, vec![sorted(function, order)])),
        (PERCENTILE, Some(Expr::Array(shares))) => {
            let one = |share: &Expr| call(PERCENTILE, vec![share.clone(), sorted(function, order)]);
            Some(Expr::Array(Array { elem: shares.elem.iter().map(one).collect(), named: true }))
        }
        (PERCENTILE, Some(share)) => Some(call(PERCENTILE, vec![share.clone(), sorted(function, order)])),
        (BETWEEN, Some(Expr::Array(shares))) => {
            let one = |share: &Expr| {
                let mut one = function.clone();
                if let FunctionArguments::List(list) = &mut one.args {
                    list.args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(share.clone()))];
                }
                Expr::Function(one)
            };
            Some(Expr::Array(Array { elem: shares.elem.iter().map(one).collect(), named: true }))
        }
        _ => None,
    }
}

/// The values of the rows, in their order.
fn sorted(function: &Function, order: &OrderByExpr) -> Expr {
    let there = Expr::IsNotNull(Box::new(order.expr.clone()));
    let filter = match function.filter.clone() {
        None => there,
        Some(filter) => {
            let (left, right) = (Box::new(Expr::Nested(filter)), Box::new(there));
            Expr::BinaryOp { left, op: BinaryOperator::And, right }
        }
    };
    let mut list = call("array_agg", vec![order.expr.clone()]);
    if let Expr::Function(made) = &mut list {
        made.filter = Some(Box::new(filter));
        if let FunctionArguments::List(arguments) = &mut made.args {
            arguments.clauses.push(FunctionArgumentClause::OrderBy(vec![order.clone()]));
        }
    }
    list
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn functions_have_their_lists() {
        for (sql, expected) in [
            (
                "SELECT mode() WITHIN GROUP (ORDER BY x DESC) FROM t",
                "SELECT mode(array_agg(x ORDER BY x DESC) FILTER (WHERE x IS NOT NULL)) FROM t",
            ),
            (
                "SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY x) FILTER (WHERE y > 1 OR z) FROM t",
                "SELECT percentile_disc(0.5, array_agg(x ORDER BY x) FILTER (WHERE (y > 1 OR z) AND x IS NOT NULL)) FROM t",
            ),
            (
                "SELECT percentile_cont(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY x) FROM t",
                "SELECT ARRAY[percentile_cont(0.1) WITHIN GROUP (ORDER BY x), percentile_cont(0.9) WITHIN GROUP (ORDER BY x)] FROM t",
            ),
            (
                "SELECT percentile_cont(0.1) WITHIN GROUP (ORDER BY x) FROM t",
                "SELECT percentile_cont(0.1) WITHIN GROUP (ORDER BY x) FROM t",
            ),
        ] {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            rewrite(&mut parsed);
            assert_eq!(parsed.to_string(), expected);
            // what is settled stays as it is
            rewrite(&mut parsed);
            assert_eq!(parsed.to_string(), expected);
        }
    }
}
