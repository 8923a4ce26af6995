//! Types and orders of texts as PostgreSQL writes them. `x::varchar(2)` cuts a text off, `float` counts in 64 bits, and `COLLATE "C"` is
//! the order that texts have here: by their bytes. Rows among those of a query: `(a, b) IN (SELECT c, d FROM t)`, and `a > ALL (SELECT b FROM t)`
//! in a result.
//!
//! A cast keeps its place, by which the column is named; in it the text has been cut.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, CharacterLength, DataType, ExactNumberInfo, Expr, Ident, Query, Select, SetExpr,
    Statement as Sql, TableAliasColumnDef, TableFactor, Value, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use rejoin_instances::syntax::{PartMut, change, change_outside_queries};

use super::dialect::EngineDialect;
use super::written_calls::call;
use crate::functions::CUT_TO;
use crate::{Error, Result};

/// Collations that order texts by their bytes.
const BY_BYTES: [&str; 5] = ["c", "posix", "default", "ucs_basic", "c.utf8"];

/// Puts the types of a statement, or of a part of one, into DataFusion's words.
///
/// # Errors
/// A collation is none of these.
pub(super) fn rewrite(part: &mut impl PartMut) -> Result<()> {
    match change(part, &mut WrittenTypeRewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct WrittenTypeRewriter;

impl VisitorMut for WrittenTypeRewriter {
    type Break = Error;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Error> {
        change_outside_queries(&mut select.projection, &mut compare_with_list);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match expr {
            Expr::Collate { expr: inner, collation } => {
                let name = collation.0.last().and_then(|part| part.as_ident()).map(|name| name.value.to_lowercase());
                if !name.is_some_and(|name| BY_BYTES.contains(&name.as_str())) {
                    let message =
                        format!("there is no collation {collation} here; texts are ordered by their bytes: \"C\"");
                    return ControlFlow::Break(Error::query(message));
                }
                *expr = inner.as_ref().clone();
            }
            Expr::Cast { expr: inner, data_type, .. } => {
                if let Some(length) = settle(data_type) {
                    let whole = cast(inner.as_ref().clone(), data_type.clone());
                    let length = Expr::Value(Value::Number(length.to_string(), false).with_empty_span());
                    **inner = call(CUT_TO, vec![whole, length]);
                }
            }
            Expr::InSubquery { expr: row, subquery, negated } => {
                if let Expr::Tuple(values) = row.as_ref()
                    && let Some(subquery) = having_row(values, subquery, *negated)
                {
                    *expr = Expr::Exists { subquery: Box::new(subquery), negated: *negated };
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A type in DataFusion's words, without the length of a text that it has.
fn settle(data_type: &mut DataType) -> Option<u64> {
    let (settled, length) = match data_type {
        DataType::Varchar(length) | DataType::CharacterVarying(length) | DataType::CharVarying(length) => {
            (DataType::Varchar(None), length.take())
        }
        DataType::Char(length) | DataType::Character(length) => (DataType::Char(None), length.take()),
        DataType::Float(ExactNumberInfo::None) => (DataType::DoublePrecision, None),
        DataType::Float(ExactNumberInfo::Precision(bits)) => {
            (if *bits < 25 { DataType::Real } else { DataType::DoublePrecision }, None)
        }
        _ => return None,
    };
    *data_type = settled;
    match length {
        Some(CharacterLength::IntegerLength { length, .. }) => Some(length),
        _ => None,
    }
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

/// Among the rows of a query: whether there are some, and the list of them.
static SOME: LazyLock<Option<Query>> = LazyLock::new(|| parsed("SELECT 1 FROM (SELECT 1) AS among"));
static LIST: LazyLock<Option<Query>> =
    LazyLock::new(|| parsed("SELECT array_agg(among.among_1) FROM (SELECT 1) AS among"));

fn parsed(sql: &str) -> Option<Query> {
    match Parser::parse_sql(&EngineDialect::new(sql), sql).ok()?.pop()? {
        Sql::Query(query) => Some(*query),
        _ => None,
    }
}

/// Puts the rows of a query, which have so many columns, into such a query.
fn put<'q>(query: &'q mut Query, rows: &Query, columns: usize) -> Option<&'q mut Select> {
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let TableFactor::Derived { subquery, alias: Some(alias), .. } = &mut select.from.first_mut()?.relation else {
        return None;
    };
    **subquery = rows.clone();
    alias.columns = (1..=columns).map(|place| TableAliasColumnDef { name: named(place), data_type: None }).collect();
    Some(select.as_mut())
}

/// The name of a column there.
fn named(place: usize) -> Ident {
    Ident::new(format!("among_{place}"))
}

/// A query that has rows where one of another's is equal to these values. To be among none of them a row differs from each
/// for certain: where a NULL leaves that open it counts as one of them.
fn having_row(values: &[Expr], rows: &Query, is_open_equal: bool) -> Option<Query> {
    let mut query = SOME.clone()?;
    let equal = |(place, value): (usize, &Expr)| {
        let column = Expr::CompoundIdentifier(vec![Ident::new("among"), named(place)]);
        binary(column, BinaryOperator::Eq, value.clone())
    };
    let equal = (1..).zip(values).map(equal).reduce(|left, right| binary(left, BinaryOperator::And, right))?;
    put(&mut query, rows, values.len())?.selection = Some(match is_open_equal {
        true => Expr::IsNotFalse(Box::new(Expr::Nested(Box::new(equal)))),
        false => equal,
    });
    Some(query)
}

/// `a > ALL (SELECT b FROM t)` in a result as a comparison with a list, which may be one of nothing. What asks for equal values is
/// known as `IN`.
fn compare_with_list(expr: &mut Expr) {
    let rows = match expr {
        Expr::AnyOp { compare_op, right, .. } if *compare_op != BinaryOperator::Eq => right,
        Expr::AllOp { compare_op, right, .. } if *compare_op != BinaryOperator::NotEq => right,
        _ => return,
    };
    if let Expr::Subquery(query) = rows.as_ref()
        && let Some(mut list) = LIST.clone()
        && put(&mut list, query, 1).is_some()
    {
        let list = Expr::Subquery(Box::new(list));
        **rows = call("coalesce", vec![list, call("make_array", vec![])]);
    }
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn settled(sql: &str) -> Result<String> {
        let mut parsed = Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap().remove(0);
        rewrite(&mut parsed)?;
        // what is settled stays as it is
        let once = parsed.to_string();
        rewrite(&mut parsed)?;
        assert_eq!(parsed.to_string(), once);
        Ok(once)
    }

    #[test]
    fn types_in_other_words() {
        for (sql, expected) in [
            ("SELECT a::VARCHAR(2)", "SELECT cut_to(CAST(a AS VARCHAR), 2)::VARCHAR"),
            ("SELECT CAST(a AS CHARACTER(3))", "SELECT CAST(cut_to(CAST(a AS CHAR), 3) AS CHAR)"),
            ("SELECT a::CHARACTER VARYING, a::VARCHAR", "SELECT a::VARCHAR, a::VARCHAR"),
            ("SELECT a::FLOAT, a::FLOAT(4)", "SELECT a::DOUBLE PRECISION, a::REAL"),
            ("SELECT a COLLATE \"C\" FROM t ORDER BY b COLLATE pg_catalog.\"default\"", "SELECT a FROM t ORDER BY b"),
        ] {
            assert_eq!(settled(sql).unwrap(), expected);
        }
        let message = settled("SELECT a COLLATE \"de_DE\"").unwrap_err().to_string();
        assert!(message.contains("there is no collation \"de_DE\""), "{message}");
    }

    #[test]
    fn rows_among_rows() {
        for (sql, expected) in [
            (
                "SELECT 1 FROM t WHERE (a, b) IN (SELECT c, d FROM u)",
                "SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM (SELECT c, d FROM u) AS among (among_1, among_2) WHERE among.among_1 = a AND among.among_2 = b)",
            ),
            (
                "SELECT 1 FROM t WHERE (a, b) NOT IN (SELECT c, d FROM u)",
                "SELECT 1 FROM t WHERE NOT EXISTS (SELECT 1 FROM (SELECT c, d FROM u) AS among (among_1, among_2) WHERE (among.among_1 = a AND among.among_2 = b) IS NOT FALSE)",
            ),
            (
                "SELECT a >= ALL (SELECT b FROM u), a <> ALL (SELECT b FROM u) FROM t WHERE a > ALL (SELECT b FROM u)",
                "SELECT a >= ALL(coalesce((SELECT array_agg(among.among_1) FROM (SELECT b FROM u) AS among (among_1)), make_array())), a <> ALL(SELECT b FROM u) FROM t WHERE a > ALL(SELECT b FROM u)",
            ),
            ("SELECT 1 FROM t WHERE (a, b) IN ((1, 2))", "SELECT 1 FROM t WHERE (a, b) IN ((1, 2))"),
        ] {
            assert_eq!(settled(sql).unwrap(), expected);
        }
    }
}
