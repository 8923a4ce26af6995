//! Rows of values: `(a, b) = (c, d)`, `(a, b) < (c, d)`, `(a, b) IN ((1, 2), (3, 4))`, `(a, b) IS NULL`, and `GROUP BY (a, b)`. They
//! become what PostgreSQL takes them for, value by value. DataFusion makes a struct of each, to which a NULL is a value like others.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Query, Select,
    UnaryOperator, Visitor, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change, walk};

use crate::{Error, Result};

/// Rows of a list that are written out, at most; longer ones stay a list, which is looked up.
const WRITTEN_OUT: usize = 100;

/// Expressions that a statement may have more for being written out. A row that is compared with several others is written as often, with
/// all that its values are made of, so that rows within rows would multiply.
const MOST_COPIES: usize = 20_000;

/// Writes the rows of values of a statement, or of a part of one, value by value.
///
/// # Errors
/// That would make the statement too large.
pub(super) fn rewrite(part: &mut impl PartMut) -> Result<()> {
    match change(part, &mut RowValueRewriter { copies: 0 }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct RowValueRewriter {
    /// Expressions that were copied.
    copies: usize,
}

impl RowValueRewriter {
    /// Counts values that are written several times.
    fn copy(&mut self, values: &[Expr], times: usize) -> ControlFlow<Error> {
        self.copies = self.copies.saturating_add(parts(values).saturating_mul(times));
        match self.copies > MOST_COPIES {
            true => ControlFlow::Break(Error::query(format!(
                "rows of values are compared within each other too often: written out value by value, the statement would have more \
                 than {MOST_COPIES} further expressions; compare the values themselves"
            ))),
            false => ControlFlow::Continue(()),
        }
    }

    /// The expression value by value; None for one that stays as it is.
    fn settled(&mut self, expr: &Expr) -> ControlFlow<Error, Option<Expr>> {
        ControlFlow::Continue(match expr {
            Expr::BinaryOp { op: BinaryOperator::Overlaps, .. } => {
                let message = "OVERLAPS is not supported; where a is before b, and c before d, \
                               (a, b) OVERLAPS (c, d) is a < d AND c < b";
                return ControlFlow::Break(Error::query(message));
            }
            Expr::BinaryOp { left, op, right } => match (row(left), row(right)) {
                (Some(left), Some(right)) if left.len() == right.len() => {
                    // an order asks whether they are equal, too
                    let times = usize::from(!matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq));
                    self.copy(&left, times)?;
                    self.copy(&right, times)?;
                    compared(&left, op, &right)
                }
                _ => None,
            },
            Expr::InList { expr: value, list, negated } if list.len() <= WRITTEN_OUT => match row(value) {
                Some(values) => {
                    self.copy(&values, list.len().saturating_sub(1))?;
                    among(&values, list, *negated)
                }
                None => None,
            },
            Expr::IsNull(value) => row(value).and_then(|values| each(values, |value| Expr::IsNull(Box::new(value)))),
            Expr::IsNotNull(value) => {
                row(value).and_then(|values| each(values, |value| Expr::IsNotNull(Box::new(value))))
            }
            _ => None,
        })
    }
}

/// Of how many expressions and queries values are made.
fn parts(values: &[Expr]) -> usize {
    struct Counter(usize);

    impl Visitor for Counter {
        type Break = ();

        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }

        fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Continue(())
        }
    }

    let mut counter = Counter(0);
    values.iter().for_each(|value| {
        // it never breaks off
        let _ = walk(value, &mut counter);
    });
    counter.0
}

impl VisitorMut for RowValueRewriter {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
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

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        if let Some(settled) = self.settled(expr)? {
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
            let mut parsed = Parser::parse_sql(&EngineDialect::new(&sql), &sql).unwrap().remove(0);
            for _ in 0..2 {
                rewrite(&mut parsed).unwrap();
                let wanted = format!("SELECT a FROM t WHERE {expected} GROUP BY a, b, c, GROUPING SETS ((a, b), ())");
                assert_eq!(parsed.to_string(), wanted);
            }
        }
    }

    #[test]
    fn rows_within_rows_do_not_multiply() {
        let within = |times: usize, next: &dyn Fn(&str) -> String| {
            let expr = (0..times).fold("a < 1".to_string(), |expr, _| next(&expr));
            let sql = format!("SELECT {expr}");
            let mut parsed = Parser::parse_sql(&EngineDialect::new(&sql), &sql).unwrap().remove(0);
            rewrite(&mut parsed).map(|()| parsed.to_string().len())
        };
        let in_order = |expr: &str| format!("(({expr}), b) < (true, 2)");
        let in_list = |expr: &str| format!("(({expr}), b) IN ({})", ["(true, 2)"; 20].join(", "));
        let equal = |expr: &str| format!("(({expr}), b) = (true, 2)");
        assert!(within(3, &in_order).unwrap() < 1_000);
        assert!(within(15, &equal).unwrap() < 1_000);
        for next in [&in_order as &dyn Fn(&str) -> String, &in_list] {
            let error = within(15, next).unwrap_err().to_string();
            assert!(error.contains("rows of values are compared within each other too often"), "{error}");
        }
    }
}
