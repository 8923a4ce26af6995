//! Columns that a SELECT of groups shows although it neither groups by them nor makes one value of their many: which one a plan
//! failed for is said here, since DataFusion says it in words alone.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, Query, Select, SelectItem, Visitor};
use rejoin_instances::syntax::{walk, walk_outside_queries};

use super::output_names::{is_aggregate, normal};

/// Finds such a column, for which it breaks off.
pub(super) struct Ungrouped;

impl Visitor for Ungrouped {
    type Break = String;

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<String> {
        let GroupByExpr::Expressions(written, _) = &select.group_by else { return ControlFlow::Continue(()) };
        let shown = select.projection.iter().filter_map(shown);
        let is_grouped = !written.is_empty() || select.having.is_some() || shown.clone().any(has_aggregates);
        if !is_grouped {
            return ControlFlow::Continue(());
        }
        let groups: Vec<&Expr> = written.iter().flat_map(parts).filter_map(|part| meant(part, select)).collect();
        for expr in shown.chain(select.having.iter()) {
            walk(expr, &mut ShownColumns { groups: &groups, covered: 0, queries: 0 })?;
        }
        ControlFlow::Continue(())
    }
}

/// What a column of a result is made of.
pub(super) fn shown(item: &SelectItem) -> Option<&Expr> {
    match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    }
}

/// True for what has a call of a function of groups in it.
pub(super) fn has_aggregates(expr: &Expr) -> bool {
    let found = walk_outside_queries(expr, &mut |part| match is_aggregate(part) {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// What is grouped by, also in several ways.
pub(super) fn parts(group: &Expr) -> Vec<&Expr> {
    match group {
        Expr::GroupingSets(sets) | Expr::Cube(sets) | Expr::Rollup(sets) => sets.iter().flatten().collect(),
        Expr::Tuple(parts) => parts.iter().collect(),
        Expr::Nested(inner) => parts(inner),
        other => vec![other],
    }
}

/// The expression of a group that is a column's number or name in the result; itself otherwise.
pub(super) fn meant<'s>(group: &'s Expr, select: &'s Select) -> Option<&'s Expr> {
    let called = |item: &'s SelectItem| match (item, group) {
        (SelectItem::ExprWithAlias { expr, alias }, Expr::Identifier(name)) if normal(alias) == normal(name) => {
            Some(expr)
        }
        _ => None,
    };
    match group {
        Expr::Value(value) => {
            let number: usize = value.value.to_string().parse().ok()?;
            select.projection.get(number.checked_sub(1)?).and_then(shown)
        }
        _ => Some(select.projection.iter().find_map(called).unwrap_or(group)),
    }
}

/// Breaks off at a column that is in no group and no aggregate.
struct ShownColumns<'g> {
    groups: &'g [&'g Expr],
    /// Groups and aggregates, one in another, in which the visitor is.
    covered: usize,
    /// The same of queries, whose columns are their own.
    queries: usize,
}

impl ShownColumns<'_> {
    fn covers(&self, expr: &Expr) -> bool {
        is_aggregate(expr) || self.groups.iter().any(|group| is_same(group, expr))
    }
}

impl Visitor for ShownColumns<'_> {
    type Break = String;

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<String> {
        self.queries += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<String> {
        self.queries -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        if self.covers(expr) {
            self.covered += 1;
        }
        match column(expr) {
            Some(name) if self.covered == 0 && self.queries == 0 => ControlFlow::Break(name),
            _ => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        if self.covers(expr) {
            self.covered -= 1;
        }
        ControlFlow::Continue(())
    }
}

/// True for one expression; a column is the same with its relation and without.
fn is_same(group: &Expr, expr: &Expr) -> bool {
    match (column(group), column(expr)) {
        (Some(group), Some(expr)) => group == expr,
        _ => group == expr,
    }
}

fn column(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(normal(name)),
        Expr::CompoundIdentifier(names) => names.last().map(normal),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn columns_outside_groups_are_found() {
        for (sql, expected) in [
            ("SELECT a, count(*) FROM t", Some("a")),
            ("SELECT a, t.b FROM t GROUP BY a", Some("b")),
            ("SELECT a, sum(b) FROM t GROUP BY 1 HAVING b > 1", Some("b")),
            ("SELECT upper(a), lower(a) FROM t GROUP BY upper(a)", Some("a")),
            ("SELECT x FROM (SELECT a, max(b) FROM t) AS x", Some("a")),
            ("SELECT t.a, b + 1 AS c, max(d) FROM t GROUP BY a, c", None),
            ("SELECT a, sum(sum(b)) OVER (ORDER BY a) FROM t GROUP BY ROLLUP (a)", None),
            ("SELECT count(*) FILTER (WHERE a > 1), (SELECT max(c) FROM u) FROM t", None),
            ("SELECT a, b FROM t", None),
        ] {
            let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            let found = match walk(&parsed, &mut Ungrouped) {
                ControlFlow::Break(name) => Some(name),
                ControlFlow::Continue(()) => None,
            };
            assert_eq!(found.as_deref(), expected, "{sql}");
        }
    }
}
