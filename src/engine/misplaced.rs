//! Functions of many rows where a statement looks at one: `WHERE sum(orders) > 1`, `GROUP BY row_number() OVER (...)`. DataFusion
//! tells of these when a plan runs, in words of its own. And clauses that it passes over without a word: `TABLESAMPLE`,
//! `CONNECT BY`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Query, Select, TableFactor, Visitor};
use rejoin_instances::syntax::{Part, walk, walk_outside_queries};

use super::output_names::is_aggregate;
use crate::Error;
use crate::error::{Spot, StatementFault};

/// Looks at the clauses of a statement; breaks off with what is wrong.
pub(super) struct Clauses;

impl Visitor for Clauses {
    type Break = Box<Error>;

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Box<Error>> {
        match table {
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => passed_over(
                "TABLESAMPLE is not known here; for a tenth of the visitors write WHERE visitor_key % 10 = 0",
            ),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Box<Error>> {
        if !select.connect_by.is_empty() {
            return passed_over("CONNECT BY is not known here; write WITH RECURSIVE");
        }
        if let Some(condition) = &select.selection {
            check(condition, "WHERE", true)?;
        }
        if let GroupByExpr::Expressions(groups, _) = &select.group_by {
            groups.iter().try_for_each(|group| check(group, "GROUP BY", true))?;
        }
        match &select.having {
            Some(condition) => check(condition, "HAVING", false),
            None => ControlFlow::Continue(()),
        }
    }
}

fn passed_over(message: &str) -> ControlFlow<Box<Error>> {
    ControlFlow::Break(Box::new(Error::query(message)))
}

/// What in an expression looks at more than the one row that it is for: a function of many rows, or a query.
pub fn beyond_one_row(expr: &impl Part) -> Option<String> {
    match walk(expr, &mut BeyondOneRow) {
        ControlFlow::Break(what) => Some(what),
        ControlFlow::Continue(()) => None,
    }
}

struct BeyondOneRow;

impl Visitor for BeyondOneRow {
    type Break = String;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<String> {
        ControlFlow::Break("a query".into())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        match expr {
            Expr::Function(function) if function.over.is_some() || is_aggregate(expr) => {
                ControlFlow::Break(function.name.to_string().to_lowercase())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Breaks off at a function of many rows in an expression of a clause; what its subqueries ask is theirs.
fn check(expr: &Expr, clause: &str, no_aggregates: bool) -> ControlFlow<Box<Error>> {
    let of_many_rows = walk_outside_queries(expr, &mut |part| match part {
        Expr::Function(function) if function.over.is_some() || (no_aggregates && is_aggregate(part)) => {
            ControlFlow::Break((function.name.to_string().to_lowercase(), function.over.is_some()))
        }
        _ => ControlFlow::Continue(()),
    });
    let ControlFlow::Break((name, of_window)) = of_many_rows else { return ControlFlow::Continue(()) };
    let message = match (of_window, clause) {
        (true, _) => format!(
            "{name} looks at a window of rows, which {clause} does not have; name it in a subquery: SELECT * FROM (SELECT *, \
             {name}(...) OVER (...) AS x FROM events) WHERE x > 0"
        ),
        (false, "WHERE") => {
            format!("{name} looks at many rows and WHERE at one; put the condition into HAVING, after GROUP BY")
        }
        (false, _) => format!("{name} looks at many rows, which {clause} is to make groups of; leave it out there"),
    };
    let fault = if of_window { StatementFault::Windowing } else { StatementFault::Grouping };
    ControlFlow::Break(Box::new(Error::query(message).at_spot(Spot::Name(name)).of_fault(fault)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn wrong(sql: &str) -> Option<String> {
        let statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        match walk(&statement, &mut Clauses) {
            ControlFlow::Break(error) => Some(error.to_string()),
            ControlFlow::Continue(()) => None,
        }
    }

    #[test]
    fn clauses_that_would_be_passed_over() {
        for (sql, why) in [
            ("SELECT count(*) FROM t TABLESAMPLE BERNOULLI (10)", "visitor_key % 10"),
            ("SELECT 1 WHERE EXISTS (SELECT a FROM t TABLESAMPLE SYSTEM (1))", "TABLESAMPLE"),
        ] {
            assert!(wrong(sql).is_some_and(|found| found.contains(why)), "{sql}: {:?}", wrong(sql));
        }
    }

    #[test]
    fn functions_of_many_rows() {
        for (sql, why) in [
            ("SELECT a FROM t WHERE sum(b) > 1", "HAVING"),
            ("SELECT a FROM t WHERE c AND NOT (1 < Max(b) + 1) GROUP BY a", "max looks at many rows"),
            ("SELECT a FROM t WHERE visit_attribution(b, c) OVER (PARTITION BY d) > 0", "subquery"),
            ("SELECT a FROM t GROUP BY row_number() OVER ()", "GROUP BY does not have"),
            ("SELECT a FROM t GROUP BY a, count(*)", "leave it out"),
            ("SELECT a FROM t GROUP BY a HAVING sum(b) OVER () > 1", "HAVING does not have"),
            ("WITH w AS (SELECT a FROM t WHERE sum(b) > 1) SELECT * FROM w", "HAVING"),
            ("SELECT (SELECT a FROM t WHERE count(*) = 1)", "HAVING"),
        ] {
            assert!(wrong(sql).is_some_and(|found| found.contains(why)), "{sql}: {:?}", wrong(sql));
        }
        for sql in [
            "SELECT sum(b), row_number() OVER (ORDER BY sum(b)) FROM t GROUP BY a HAVING sum(b) > 1 ORDER BY rank() OVER ()",
            "SELECT a FROM t WHERE b > (SELECT avg(b) FROM t) AND a IN (SELECT first_value(a) OVER () FROM t)",
            "SELECT a FROM t WHERE abs(b) > 1 GROUP BY lower(a)",
        ] {
            assert_eq!(wrong(sql), None, "{sql}");
        }
    }
}
