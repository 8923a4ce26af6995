//! What counts is a `bigint`, as it is in PostgreSQL: numbers of rows (`row_number`, `rank`) and of items (`cardinality`). DataFusion counts
//! without a sign, which is a decimal beside other whole numbers: `(row_number() OVER () - 1) / 10` would have a fraction.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Function, Statement, Value, VisitorMut};
use rejoin_instances::syntax::change;

use super::written_calls::call;

/// The length of an empty list is NULL.
const LENGTH: &str = "array_length";
/// All functions that count without a sign.
const COUNTING: [&str; 9] =
    [LENGTH, "cardinality", "array_ndims", "array_position", "row_number", "rank", "dense_rank", "ntile", "regr_count"];

/// Gives what counts in a statement its type. A cast has the name of what it casts, so the names of columns are given before.
pub(super) fn rewrite(sql: &mut Statement) {
    // it never breaks off
    let _ = change(sql, &mut CountRewriter);
}

struct CountRewriter;

impl VisitorMut for CountRewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let Expr::Function(Function { name, .. }) = expr else { return ControlFlow::Continue(()) };
        let name = name.to_string().to_lowercase();
        if COUNTING.contains(&name.as_str()) {
            let mut count = expr.clone();
            if name == LENGTH {
                count = call("nullif", vec![count, Expr::Value(Value::Number("0".into(), false).with_empty_span())]);
            }
            let (kind, data_type) = (CastKind::Cast, DataType::BigInt(None));
            *expr = Expr::Cast { kind, expr: Box::new(count), data_type, array: false, format: None };
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::dialect::EngineDialect;
    use super::*;

    #[test]
    fn what_counts_is_a_bigint() {
        for (sql, expected) in [
            ("SELECT row_number() OVER (ORDER BY a) / 2", "SELECT CAST(row_number() OVER (ORDER BY a) AS BIGINT) / 2"),
            ("SELECT ARRAY_LENGTH(a, 1)", "SELECT CAST(nullif(ARRAY_LENGTH(a, 1), 0) AS BIGINT)"),
            ("SELECT count(*), cardinality(a)", "SELECT count(*), CAST(cardinality(a) AS BIGINT)"),
        ] {
            let mut parsed = Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap().remove(0);
            rewrite(&mut parsed);
            assert_eq!(parsed.to_string(), expected);
        }
    }
}
