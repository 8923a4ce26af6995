//! Rows of values: `(a, b) = (c, d)`, `(a, b) < (c, d)`, `(a, b) IN ((1, 2), (3, 4))`, `(a, b) IS NULL`, and `GROUP BY (a, b)`. They
//! become what PostgreSQL takes them for, value by value. DataFusion makes a struct of each, to which a NULL is a value like others.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Select,
    UnaryOperator, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change};

/// Rows of a list that are written out, at most; longer ones stay a list, which is looked up.
const WRITTEN_OUT: usize = 100;

/// Writes the rows of values of a statement, or of a part of one, value by value.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // it never breaks off
    let _ = change(part, &mut RowValueRewriter);
}

struct RowValueRewriter;

impl VisitorMut for RowValueRewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
            *groups = std::mem::take(groups)
                .into_iter()
                .flat_map(|group| match group {
                    Expr::Tuple(values) if !values.is_empty() => values,
                    other => vec![other],
                })
                .collect();
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let settled = match expr {
            Expr::BinaryOp { left, op, right } => match (row(left), row(right)) {
                (Some(left), Some(right)) if left.len() == right.len() => compared(&left, op, &right),
                _ => None,
            },
            Expr::InList { expr: value, list, negated } if list.len() <= WRITTEN_OUT => {
                row(value).and_then(|values| among(&values, list, *negated))
            }
            Expr::IsNull(value) => row(value).and_then(|values| each(values, |value| Expr::IsNull(Box::new(value)))),
            Expr::IsNotNull(value) => {
                row(value).and_then(|values| each(values, |value| Expr::IsNotNull(Box::new(value))))
            }
            _ => None,
        };
        if let Some(settled) = settled {
            *expr = Expr::Nested(Box::new(settled));
        }
        ControlFlow::Continue(())
    }
}

/// The values of a row, of one at least: `(a, b)`, `ROW(a, b)`.
fn row(expr: &Expr) -> Option<Vec<Expr>> {
    let values = match expr {
        Expr::Nested(inner) => return row(inner),
        Expr::Tuple(values) => values.clone(),
        Expr::Function(Function { name, args: FunctionArguments::List(list), over: None, .. })
            if name.to_string().eq_ignore_ascii_case("row") =>
        {
            let value = |argument: &FunctionArg| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(value.clone()),
                _ => None,
            };
            list.args.iter().map(value).collect::<Option<Vec<Expr>>>()?
        }
        _ => return None,
    };
    (!values.is_empty()).then_some(values)
}

/// Two rows beside each other; None for an operator that does not compare.
fn compared(left: &[Expr], op: &BinaryOperator, right: &[Expr]) -> Option<Expr> {
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    let pairs = left.iter().zip(right);
    let strict = match op {
        Eq => return pairs.map(|(left, right)| binary(left, Eq, right)).reduce(|all, next| binary(&all, And, &next)),
        NotEq => {
            return pairs.map(|(left, right)| binary(left, NotEq, right)).reduce(|all, next| binary(&all, Or, &next));
        }
        Lt | LtEq => Lt,
        Gt | GtEq => Gt,
        _ => return None,
    };
    // the first values that differ decide
    pairs.rev().fold(None, |rest, (left, right)| {
        Some(match rest {
            None => binary(left, op.clone(), right),
            Some(rest) => {
                let goes_on = nested(binary(&binary(left, Eq, right), And, &nested(rest)));
                binary(&binary(left, strict.clone(), right), Or, &goes_on)
            }
        })
    })
}

/// A row among others; None where one of them is no row of as many values.
fn among(values: &[Expr], list: &[Expr], negated: bool) -> Option<Expr> {
    let equal = |other: &Expr| {
        let other = row(other).filter(|other| other.len() == values.len())?;
        compared(values, &BinaryOperator::Eq, &other).map(nested)
    };
    let equal = list.iter().map(equal).collect::<Option<Vec<Expr>>>()?;
    let some = equal.into_iter().reduce(|some, next| binary(&some, BinaryOperator::Or, &next))?;
    Some(match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(nested(some)) },
        false => some,
    })
}

/// What holds of each value.
fn each(values: Vec<Expr>, holds: impl Fn(Expr) -> Expr) -> Option<Expr> {
    values.into_iter().map(holds).reduce(|all, next| binary(&all, BinaryOperator::And, &next))
}

fn binary(left: &Expr, op: BinaryOperator, right: &Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left.clone()), op, right: Box::new(right.clone()) }
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::dialect::EngineDialect;
    use super::*;

    #[test]
    fn rows_value_by_value() {
        for (sql, expected) in [
            ("(a, b) = (1, NULL)", "(a = 1 AND b = NULL)"),
            ("ROW(a, b) <> ROW(1, 2)", "(a <> 1 OR b <> 2)"),
            ("(a, b, c) < (1, 2, 3)", "(a < 1 OR (a = 1 AND (b < 2 OR (b = 2 AND (c < 3)))))"),
            ("(a, b) >= (1, 2)", "(a > 1 OR (a = 1 AND (b >= 2)))"),
            ("(a, b) IN ((1, 2), (3, 4))", "((a = 1 AND b = 2) OR (a = 3 AND b = 4))"),
            ("(a, b) NOT IN ((1, 2))", "(NOT ((a = 1 AND b = 2)))"),
            ("(a, b) IS NOT NULL", "(a IS NOT NULL AND b IS NOT NULL)"),
            ("(a, b) = (1, 2, 3)", "(a, b) = (1, 2, 3)"),
            ("a = 1", "a = 1"),
        ] {
            let sql = format!("SELECT a FROM t WHERE {sql} GROUP BY (a, b), c, GROUPING SETS ((a, b), ())");
            let mut parsed = Parser::parse_sql(&EngineDialect { in_mapping: false }, &sql).unwrap().remove(0);
            for _ in 0..2 {
                rewrite(&mut parsed);
                let wanted = format!("SELECT a FROM t WHERE {expected} GROUP BY a, b, c, GROUPING SETS ((a, b), ())");
                assert_eq!(parsed.to_string(), wanted);
            }
        }
    }
}
