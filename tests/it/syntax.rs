//! Expressions that stand in no query of a part of a statement: which are seen, which are changed, and in what order.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Ident, SelectItem, SetExpr, Statement};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use rejoin_instances::syntax::{change_outside_queries, walk_outside_queries};

/// Expressions with queries in them, and what they are when each name outside of these is written with a `!`.
const EXPRESSIONS: &[(&str, &str)] = &[
    ("a + f(b)", "a! + f(b!)"),
    ("a IN (SELECT b FROM t WHERE c = 1)", "a! IN (SELECT b FROM t WHERE c = 1)"),
    (
        "EXISTS (SELECT b FROM t) AND NOT EXISTS (SELECT c FROM t) OR a",
        "EXISTS (SELECT b FROM t) AND NOT EXISTS (SELECT c FROM t) OR a!",
    ),
    (
        "a = (SELECT b FROM t WHERE c IN (SELECT d FROM u) AND e) + f",
        "a! = (SELECT b FROM t WHERE c IN (SELECT d FROM u) AND e) + f!",
    ),
    (
        "a > (WITH w AS (SELECT b FROM t), x AS (SELECT c FROM w) SELECT max(d) FROM x) AND e",
        "a! > (WITH w AS (SELECT b FROM t), x AS (SELECT c FROM w) SELECT max(d) FROM x) AND e!",
    ),
    (
        "sum(a) FILTER (WHERE b > (SELECT c FROM t)) OVER (PARTITION BY d ORDER BY e)",
        "sum(a!) FILTER (WHERE b! > (SELECT c FROM t)) OVER (PARTITION BY d! ORDER BY e!)",
    ),
    ("(SELECT a FROM t)", "(SELECT a FROM t)"),
];

fn expression(sql: &str) -> Expr {
    Parser::new(&PostgreSqlDialect {}).try_with_sql(sql).unwrap().parse_expr().unwrap()
}

fn name(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => Some(name),
        _ => None,
    }
}

#[test]
fn names_in_queries_stay() {
    for (sql, expected) in EXPRESSIONS {
        let mut expr = expression(sql);
        change_outside_queries(&mut expr, &mut |part| {
            if let Some(name) = name(part) {
                *part = Expr::Identifier(Ident::new(format!("{}!", name.value)));
            }
        });
        assert_eq!(expr.to_string(), *expected);
    }
}

#[test]
fn names_in_queries_are_not_seen() {
    for (sql, expected) in EXPRESSIONS {
        let mut seen = vec![];
        let step = walk_outside_queries(&expression(sql), &mut |part| {
            seen.extend(name(part).map(|name| name.value.clone()));
            ControlFlow::<()>::Continue(())
        });
        assert!(step.is_continue());
        let words = expected.split(|c: char| c != '!' && !c.is_alphanumeric());
        let marked: Vec<&str> = words.filter_map(|word| word.strip_suffix('!')).collect();
        assert_eq!(seen, marked, "{sql}");
    }
}

/// What has a query in it is seen itself, before its parts and changed after them; nothing is seen after a break.
#[test]
fn the_order_of_parts() {
    let mut seen = vec![];
    let step = walk_outside_queries(&expression("NOT (a IN (SELECT b FROM t) AND c AND d)"), &mut |part| {
        seen.push(part.to_string());
        match name(part) {
            Some(name) if name.value == "c" => ControlFlow::Break(seen.len()),
            _ => ControlFlow::Continue(()),
        }
    });
    assert_eq!(step, ControlFlow::Break(7));
    assert_eq!(
        seen,
        [
            "NOT (a IN (SELECT b FROM t) AND c AND d)",
            "(a IN (SELECT b FROM t) AND c AND d)",
            "a IN (SELECT b FROM t) AND c AND d",
            "a IN (SELECT b FROM t) AND c",
            "a IN (SELECT b FROM t)",
            "a",
            "c",
        ]
    );

    let mut changed = vec![];
    change_outside_queries(&mut expression("EXISTS (SELECT b FROM t) AND a"), &mut |part| {
        changed.push(part.to_string())
    });
    assert_eq!(changed, ["EXISTS (SELECT b FROM t)", "a", "EXISTS (SELECT b FROM t) AND a"]);
}

/// What an expression is changed into is not looked into.
#[test]
fn what_is_new_stays() {
    let mut expr = expression("a + 1");
    change_outside_queries(&mut expr, &mut |part| {
        if name(part).is_some() {
            *part = expression("(a + a)");
        }
    });
    assert_eq!(expr.to_string(), "(a + a) + 1");
}

/// Items of a SELECT are outside of its queries; all of a statement is within one.
#[test]
fn parts_of_statements() {
    let sql = "SELECT a, (SELECT b FROM t) AS c, sum(d) AS e FROM u";
    let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
    change_outside_queries(&mut statement, &mut |part| *part = expression("1"));
    assert_eq!(statement.to_string(), sql);

    let Statement::Query(query) = statement else { panic!("no query") };
    let body = query.body;
    let SetExpr::Select(mut select) = *body else { panic!("no SELECT") };
    let items: &mut Vec<SelectItem> = &mut select.projection;
    change_outside_queries(items, &mut |part| {
        if name(part).is_some() {
            *part = expression("1");
        }
    });
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    assert_eq!(items, ["1", "(SELECT b FROM t) AS c", "sum(1) AS e"]);
}
