//! Expressions of one SELECT that differ only in a cast: `SELECT max(x), max(x::int)`, `GROUP BY hit_time, hit_time::date`. DataFusion
//! gives both the same name, and refuses them.
//!
//! So all casts of such a SELECT become arguments of the function [`AS_CAST`], whose name includes the type. This is done in all parts of
//! the SELECT alike, for what is shown is compared with what is grouped by.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, NamedWindowDefinition,
    NamedWindowExpr, OrderByExpr, Query, Select, SetExpr, VisitorMut, WindowFrameBound, WindowSpec, WindowType,
};
use rejoin_instances::syntax::{PartMut, change, change_outside_queries, walk_outside_queries};

use super::output_names::{normal, sort_keys};
use super::ungrouped::{has_aggregates, meant, parts, shown};
use super::written_calls::call;
use crate::functions::AS_CAST;

/// Gives casts a name where expressions of a statement, or of a part of one, differ only in casts.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // the visitor never breaks
    let _ = change(part, &mut CastNames);
}

struct CastNames;

impl VisitorMut for CastNames {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Query { body, order_by, .. } = query;
        if let SetExpr::Select(select) = body.as_mut() {
            wrap_casts(select, sort_keys(order_by));
            return ControlFlow::Continue(());
        }
        // ORDER BY of a set operation belongs to no branch
        let mut branches = vec![body.as_mut()];
        while let Some(branch) = branches.pop() {
            match branch {
                SetExpr::Select(select) => wrap_casts(select, &mut []),
                SetExpr::SetOperation { left, right, .. } => branches.extend([left.as_mut(), right.as_mut()]),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}

fn wrap_casts(select: &mut Select, keys: &mut [OrderByExpr]) {
    if !has_equal_names(select, keys) {
        return;
    }
    change_outside_queries(&mut select.projection, &mut wrap_cast);
    change_outside_queries(&mut select.distinct, &mut wrap_cast);
    change_outside_queries(&mut select.group_by, &mut wrap_cast);
    change_outside_queries(&mut select.having, &mut wrap_cast);
    change_outside_queries(&mut select.qualify, &mut wrap_cast);
    for NamedWindowDefinition(_, window) in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = window {
            change_outside_queries(&mut spec.partition_by, &mut wrap_cast);
            spec.order_by.iter_mut().for_each(|key| change_outside_queries(&mut key.expr, &mut wrap_cast));
        }
    }
    keys.iter_mut().for_each(|key| change_outside_queries(&mut key.expr, &mut wrap_cast));
}

/// True where two groups or calls differ only in a cast.
fn has_equal_names(select: &Select, keys: &[OrderByExpr]) -> bool {
    let picked_by: &[Expr] = match &select.distinct {
        Some(Distinct::On(exprs)) => exprs,
        _ => &[],
    };
    let items = select.projection.iter().filter_map(shown);
    let groups: Vec<&Expr> = match &select.group_by {
        GroupByExpr::Expressions(written, _) => {
            written.iter().flat_map(parts).filter_map(|part| meant(part, select)).collect()
        }
        GroupByExpr::All(_) => items.clone().filter(|expr| !has_aggregates(expr)).collect(),
    };
    let mut named = NamesSeen { windows: &select.named_window, seen: BTreeMap::new() };
    if groups.iter().any(|group| named.is_taken(group)) {
        return true;
    }
    let sorted_by = keys.iter().map(|key| &key.expr);
    let others = items.chain(&select.having).chain(&select.qualify).chain(picked_by).chain(sorted_by);
    groups.iter().copied().chain(others).any(|expr| {
        let found = walk_outside_queries(expr, &mut |part| match part {
            Expr::Function(_) if named.is_taken(part) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        found.is_break()
    })
}

/// The names that DataFusion gives to the expressions of a SELECT.
struct NamesSeen<'s> {
    windows: &'s [NamedWindowDefinition],
    /// Each name, with the expression that has it.
    seen: BTreeMap<String, String>,
}

impl NamesSeen<'_> {
    /// True where another expression has the same name.
    fn is_taken(&mut self, expr: &Expr) -> bool {
        let mut whole = expr.clone();
        if let Expr::Function(function) = &mut whole
            && let Some(WindowType::NamedWindow(name)) = &function.over
            && let Some(spec) = self.window(name)
        {
            function.over = Some(WindowType::WindowSpec(spec));
        }
        let written = text(whole.clone(), false);
        let other = self.seen.insert(text(whole, true), written.clone());
        other.is_some_and(|other| other != written)
    }

    fn window(&self, name: &Ident) -> Option<WindowSpec> {
        self.windows.iter().find_map(|NamedWindowDefinition(window, spec)| match spec {
            NamedWindowExpr::WindowSpec(spec) if normal(window) == normal(name) => Some(spec.clone()),
            _ => None,
        })
    }
}

/// An expression with its columns' own names alone; as DataFusion names it, without casts and parentheses.
fn text(mut expr: Expr, as_named: bool) -> String {
    change_outside_queries(&mut expr, &mut |part| {
        let plain = match part {
            Expr::Nested(inner) | Expr::Cast { expr: inner, .. } if as_named => inner.as_ref().clone(),
            Expr::TypedString(typed) if as_named => Expr::Value(typed.value.clone()),
            Expr::Identifier(name) => Expr::Identifier(Ident::new(normal(name))),
            Expr::CompoundIdentifier(names) => match names.last() {
                Some(name) => Expr::Identifier(Ident::new(normal(name))),
                None => return,
            },
            _ => return,
        };
        *part = plain;
    });
    expr.to_string().to_lowercase()
}

/// Makes a cast the argument of [`AS_CAST`]; of casts of a cast only the outermost.
fn wrap_cast(expr: &mut Expr) {
    match expr {
        Expr::Cast { expr: inner, .. } => {
            if let Some(cast) = wrapped_cast(inner).cloned() {
                **inner = cast;
            }
            *expr = call(AS_CAST, vec![expr.clone()]);
        }
        Expr::TypedString(_) => *expr = call(AS_CAST, vec![expr.clone()]),
        Expr::Function(function) => {
            // bounds of a window are constants
            if let Some(WindowType::WindowSpec(spec)) = &mut function.over
                && let Some(frame) = &mut spec.window_frame
            {
                for bound in [Some(&mut frame.start_bound), frame.end_bound.as_mut()].into_iter().flatten() {
                    if let WindowFrameBound::Preceding(Some(by)) | WindowFrameBound::Following(Some(by)) = bound
                        && let Some(cast) = wrapped_cast(by).cloned()
                    {
                        **by = cast;
                    }
                }
            }
            // a cast that was wrapped before
            if let Some(cast) = wrapped_cast(expr).and_then(wrapped_cast).cloned() {
                *expr = call(AS_CAST, vec![cast]);
            }
        }
        _ => {}
    }
}

/// The cast that is the argument of [`AS_CAST`].
fn wrapped_cast(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Nested(inner) => wrapped_cast(inner),
        Expr::Function(function) if function.name.0.last()?.as_ident()?.value == AS_CAST => match &function.args {
            FunctionArguments::List(list) => match list.args.first()? {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(cast)) => Some(cast),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::dialect::EngineDialect;
    use super::*;

    fn rewritten(sql: &str) -> String {
        let mut parsed = Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap().remove(0);
        rewrite(&mut parsed);
        // a second time changes nothing
        let once = parsed.to_string();
        rewrite(&mut parsed);
        assert_eq!(parsed.to_string(), once);
        once
    }

    #[test]
    fn casts_that_differ_alone_get_names() {
        for (sql, expected) in [
            ("SELECT max(x), max(t.x::INT) FROM t", "SELECT max(x), max(as_cast(t.x::INT)) FROM t"),
            (
                "SELECT a::DATE AS d, a, count(*) FROM t GROUP BY 1, 2 ORDER BY a::DATE",
                "SELECT as_cast(a::DATE) AS d, a, count(*) FROM t GROUP BY 1, 2 ORDER BY as_cast(a::DATE)",
            ),
            (
                "SELECT count(*) FROM t GROUP BY ROLLUP (a::INT, a::TEXT) HAVING max(b::INT) > 1",
                "SELECT count(*) FROM t GROUP BY ROLLUP (as_cast(a::INT), as_cast(a::TEXT)) HAVING max(as_cast(b::INT)) > 1",
            ),
            (
                "SELECT sum(y) OVER v, sum(y) OVER w FROM t WINDOW v AS (PARTITION BY x), w AS (PARTITION BY x::INT)",
                "SELECT sum(y) OVER v, sum(y) OVER w FROM t WINDOW v AS (PARTITION BY x), w AS (PARTITION BY as_cast(x::INT))",
            ),
            (
                "SELECT sum(x) OVER (ROWS CAST(1 AS INT) PRECEDING), sum((x::TEXT)::INT) OVER (ROWS CAST(1 AS INT) PRECEDING) FROM t",
                "SELECT sum(x) OVER (ROWS CAST(1 AS INT) PRECEDING), sum(as_cast(x::TEXT::INT)) OVER (ROWS CAST(1 AS INT) PRECEDING) FROM t",
            ),
            (
                "SELECT 1 UNION ALL SELECT max(x) - max(CAST(x AS INT)) FROM t ORDER BY 1",
                "SELECT 1 UNION ALL SELECT max(x) - max(as_cast(CAST(x AS INT))) FROM t ORDER BY 1",
            ),
        ] {
            assert_eq!(rewritten(sql), expected);
        }
    }

    #[test]
    fn everything_else_is_as_it_was() {
        for sql in [
            "SELECT x, x::INT FROM t",
            "SELECT x::INT AS y, count(*), max(x) FROM t GROUP BY x",
            "SELECT max(x::INT), max(t.x::INT) FROM t GROUP BY x::DATE",
            "SELECT max(x::INT), (SELECT max(x) FROM t) FROM t",
            "SELECT max(x) FROM t WHERE x::INT > 1",
        ] {
            assert_eq!(rewritten(sql), sql);
        }
    }
}
