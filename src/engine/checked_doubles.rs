//! Doubles as PostgreSQL computes them, for the door that speaks its protocol: what is divided by zero, becomes infinite or is no number
//! is an error. Elsewhere doubles are those of IEEE 754.
//!
//! Conditions of rows and of joins are not looked at. `SELECT * FROM (SELECT * FROM t WHERE cost <> 0) s WHERE revenue / cost > 2` fails
//! for no row, and no plan says which of its conditions a row meets first: an infinite number among those compared harms nobody,
//! an error would. What fails by itself behind a condition is guarded, see `division_guards`.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;
use rejoin_instances::trees::{change_expressions, change_named_expressions, change_nodes, change_parts};

use super::division_guards::{Failing, guarded, guarded_filter};
use crate::functions::{checked_arithmetic, checked_function, first_number};

/// Lets arithmetic of doubles, and functions of them, fail as in PostgreSQL.
#[derive(Debug)]
pub struct CheckDoubles;

impl AnalyzerRule for CheckDoubles {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = change_nodes(plan, &mut |node| {
            let columns = merge_schema(&node.inputs());
            match node {
                LogicalPlan::Filter(_) => {
                    return change_expressions(node, &mut |expr| guarded_filter(expr, &columns, Failing::Doubles));
                }
                LogicalPlan::Join(_) => return Ok(Transformed::no(node)),
                _ => {}
            }
            change_named_expressions(node, &mut |expr| {
                let guarded = guarded(expr, &columns, Failing::Doubles)?;
                guarded.transform_data(|expr| change_parts(expr, &mut |part| checked(part, &columns)))
            })
        })?;
        Ok(plan.data)
    }

    fn name(&self) -> &str {
        "check_doubles"
    }
}

/// Arithmetic and functions that look at their result.
fn checked(expr: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let sign = match op {
                Operator::Plus => Some('+'),
                Operator::Minus => Some('-'),
                Operator::Multiply => Some('*'),
                Operator::Divide => Some('/'),
                Operator::Modulo => Some('%'),
                _ => None,
            };
            let type_of = |side: &Expr| first_number(side).get_type(columns).ok();
            let is_double = |data_type: &DataType| matches!(data_type, DataType::Float32 | DataType::Float64);
            match sign {
                Some(sign) if type_of(&right).filter(is_double).is_some_and(|right| type_of(&left) == Some(right)) => {
                    Ok(Transformed::yes(checked_arithmetic(*left, sign, *right)))
                }
                _ => Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }))),
            }
        }
        Expr::ScalarFunction(mut call) => match checked_function(call.name()) {
            Some(function) => {
                call.func = function;
                Ok(Transformed::yes(Expr::ScalarFunction(call)))
            }
            None => Ok(Transformed::no(Expr::ScalarFunction(call))),
        },
        other => Ok(Transformed::no(other)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::Error;

    const ROWS: &str = "(VALUES (1.0, 0.0), (6.0, 2.0), (NULL, 3.0)) AS t (a, b)";

    /// As PostgreSQL 15 answers.
    #[tokio::test]
    async fn doubles_fail_where_postgres_does() {
        let context = SessionContext::new();
        context.state_ref().write().add_analyzer_rule(std::sync::Arc::new(CheckDoubles));
        let asked = async |sql: &str| -> Result<usize> {
            let rows = context.sql(&format!("SELECT {sql}")).await?.collect().await?;
            Ok(rows.iter().map(|rows| rows.num_rows()).sum())
        };
        for sql in [
            format!("a / b FROM {ROWS}"),
            format!("a / b FROM {ROWS} WHERE a / b > 1"),
            format!("1 / b FROM {ROWS} WHERE a > 0"),
            format!("sum(1.0 / b) FROM {ROWS}"),
            format!("b % (b - b) FROM {ROWS}"),
            format!("(b + 1e308) * 10 FROM {ROWS}"),
            format!("sqrt(b - 1) FROM {ROWS}"),
            format!("a / b, count(*) FROM {ROWS} GROUP BY a / b"),
            format!("a / b, count(*) FROM {ROWS} GROUP BY ROLLUP (a / b)"),
        ] {
            let error = Error::from(asked(&sql).await.unwrap_err());
            assert!(error.fault().is_some(), "{sql}: {error}");
        }
        for (sql, count) in [
            (format!("a / b AS c FROM {ROWS} WHERE b <> 0 AND a / b > 1"), 1),
            (format!("c FROM (SELECT *, a / b AS c FROM {ROWS} WHERE b <> 0) AS u WHERE a / b > 1"), 1),
            (format!("count(*) FROM (SELECT * FROM {ROWS} WHERE b <> 0) AS u WHERE a / b > 1"), 1),
            (format!("a FROM {ROWS} WHERE b = 0 OR a / b > 1"), 2),
            (format!("count(*) FROM {ROWS} JOIN (VALUES (3.0)) AS u (c) ON b <> 0 AND a / b = c"), 1),
            (format!("a FROM {ROWS} WHERE b > 0 AND a > 1 AND ln(b) < 1 AND sqrt(b - 1) = 1"), 1),
            (format!("sum(a / b) FILTER (WHERE b <> 0) FROM {ROWS}"), 1),
            (format!("CASE WHEN b <> 0 THEN a / b END FROM {ROWS}"), 3),
            (format!("a / nullif(b, 0) + a * b - 1 FROM {ROWS}"), 3),
        ] {
            assert_eq!(asked(&sql).await.unwrap(), count, "{sql}");
        }
    }
}
