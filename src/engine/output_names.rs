//! Which column is meant where one of a query's result is called as one of its input: `SELECT item, sum(credit) AS credit ... HAVING
//! sum(credit) <> 0`.
//!
//! As in PostgreSQL, HAVING and what is aggregated in ORDER BY mean the input's; a name that stands alone in ORDER BY means the
//! result's, and so does, other than in PostgreSQL, one in any other expression there: DataFusion cannot sort by a column that the
//! result has another of by the same name. DataFusion takes the result's where a relation has no name, and in all of ORDER BY. So
//! relations get the name that PostgreSQL gives them, and the input's columns in ORDER BY that of their relation. A name that the
//! input does not have, as far as the statement tells, stays the result's, which PostgreSQL would not take there. A cast of a
//! column bears its name in PostgreSQL, and in `SELECT x::text ... ORDER BY x` here: the text is sorted by.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, ObjectName, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr,
    TableAlias, TableFactor, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change, change_outside_queries, walk_outside_queries};

/// Names of the functions of groups.
static AGGREGATES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let functions = all_default_aggregate_functions();
    let names = functions.iter().flat_map(|f| f.aliases().iter().cloned().chain([f.name().to_string()]));
    names.collect()
});

/// Writes out which column is meant, in a statement or a part of it.
pub(super) fn resolve(statement: &mut impl PartMut) {
    // it never breaks off
    let _ = change(statement, &mut OutputNameResolver);
}

struct OutputNameResolver;

impl VisitorMut for OutputNameResolver {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Query { body, order_by, .. } = query;
        if let SetExpr::Select(select) = body.as_mut() {
            let keys = sort_keys(order_by);
            name_casts(&mut select.projection, keys);
            of_select(select, keys);
        }
        ControlFlow::Continue(())
    }
}

/// What is sorted by.
pub(super) fn sort_keys(order_by: &mut Option<OrderBy>) -> &mut [OrderByExpr] {
    match order_by {
        Some(OrderBy { kind: OrderByKind::Expressions(keys), .. }) => keys.as_mut_slice(),
        _ => &mut [],
    }
}

/// A cast of a column that ORDER BY names bears the column's name.
fn name_casts(items: &mut [SelectItem], keys: &[OrderByExpr]) {
    for key in keys.iter().filter_map(|key| identifier(&key.expr)) {
        let is_called_so = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expr) => column(expr).is_some_and(|name| normal(name) == normal(key)),
            SelectItem::ExprWithAlias { alias, .. } => normal(alias) == normal(key),
            _ => true,
        };
        let mut called = items.iter_mut().filter(|item| is_called_so(item));
        if let (Some(item), None) = (called.next(), called.next())
            && let SelectItem::UnnamedExpr(expr @ Expr::Cast { .. }) = item
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: key.clone() };
        }
    }
}

/// The name of a column, or of one that is cast.
fn column(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        Expr::Cast { expr, .. } => column(expr),
        _ => None,
    }
}

fn of_select(select: &mut Select, keys: &mut [OrderByExpr]) {
    let outputs = outputs(&select.projection);
    let expressions = keys.iter().map(|key| &key.expr).filter(|key| !stands_alone(key));
    let mut asked = select.having.iter().chain(expressions);
    if !asked.any(|asked| Mentioned::of(asked).names.iter().any(|name| outputs.contains_key(name))) {
        return;
    }
    let mut relations = vec![];
    for from in &mut select.from {
        relations.push(named(&mut from.relation));
        relations.extend(from.joins.iter_mut().map(|join| named(&mut join.relation)));
    }
    // of several relations the statement does not tell whose a column is
    let [Some(relation)] = relations.as_slice() else { return };
    if select.distinct.is_some() {
        return;
    }
    let mut inputs = Mentioned::default();
    for item in &select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            inputs.take(expr);
        }
    }
    let single_rows = matches!(&select.group_by, GroupByExpr::Expressions(groups, _) if groups.is_empty());
    if single_rows && select.having.is_none() && !inputs.has_aggregates {
        return;
    }
    select.selection.iter().for_each(|condition| inputs.take(condition));
    let is_input = |name: &Ident| {
        let name = normal(name);
        // an aggregate of an aggregate there is not
        outputs.get(&name).is_some_and(|of_groups| *of_groups || inputs.names.contains(&name))
    };
    for key in keys.iter_mut().filter(|key| !stands_alone(&key.expr)) {
        change_outside_queries(&mut key.expr, &mut |expr| {
            if is_aggregate(expr) {
                qualify(expr, relation, &is_input);
            }
        });
    }
}

/// Puts the name of the relation before the columns of the input in an aggregate.
fn qualify(aggregate: &mut Expr, relation: &Ident, is_input: &dyn Fn(&Ident) -> bool) {
    change_outside_queries(aggregate, &mut |expr| {
        if let Some(name) = identifier(expr).filter(|name| is_input(name)) {
            *expr = Expr::CompoundIdentifier(vec![relation.clone(), name.clone()]);
        }
    });
}

/// The names that a result gives to what it computes, and whether that is an aggregate.
fn outputs(items: &[SelectItem]) -> BTreeMap<String, bool> {
    let output = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { expr, alias } if identifier(expr).map(normal) != Some(normal(alias)) => {
            Some((normal(alias), Mentioned::of(expr).has_aggregates))
        }
        _ => None,
    };
    items.iter().filter_map(output).collect()
}

/// The name of a relation; one that has none gets that of its function.
pub(super) fn named(relation: &mut TableFactor) -> Option<Ident> {
    let called = |name: Ident| TableAlias { explicit: true, name, columns: vec![], at: None };
    match relation {
        TableFactor::Table { alias: Some(alias), .. } => Some(alias.name.clone()),
        TableFactor::Table { name, alias, args, .. } => {
            let name = last(name)?;
            if args.is_some() {
                *alias = Some(called(name.clone()));
            }
            Some(name)
        }
        TableFactor::Derived { alias, .. } => {
            Some(alias.get_or_insert_with(|| called(Ident::new("input"))).name.clone())
        }
        _ => None,
    }
}

/// True for what is no expression in ORDER BY: a name, or the number of a column.
fn stands_alone(key: &Expr) -> bool {
    match key {
        Expr::Nested(inner) => stands_alone(inner),
        Expr::Identifier(_) | Expr::Value(_) => true,
        _ => false,
    }
}

pub(super) fn identifier(expr: &Expr) -> Option<&Ident> {
    match expr {
        Expr::Identifier(name) => Some(name),
        _ => None,
    }
}

/// True for a call of a function of groups, without a window.
pub(super) fn is_aggregate(expr: &Expr) -> bool {
    let Expr::Function(function) = expr else { return false };
    function.over.is_none() && last(&function.name).is_some_and(|name| AGGREGATES.contains(&normal(&name)))
}

fn last(name: &ObjectName) -> Option<Ident> {
    name.0.last()?.as_ident().cloned()
}

/// A name as it is looked up.
pub(super) fn normal(name: &Ident) -> String {
    if name.quote_style.is_some() { name.value.clone() } else { name.value.to_lowercase() }
}

/// What an expression mentions, without the queries in it.
#[derive(Default)]
struct Mentioned {
    /// Names of columns that stand without one of a relation.
    names: BTreeSet<String>,
    has_aggregates: bool,
}

impl Mentioned {
    fn of(expr: &Expr) -> Self {
        let mut mentioned = Self::default();
        mentioned.take(expr);
        mentioned
    }

    fn take(&mut self, expr: &Expr) {
        // it never breaks off
        let _ = walk_outside_queries(expr, &mut |part| {
            self.names.extend(identifier(part).map(normal));
            self.has_aggregates |= is_aggregate(part);
            ControlFlow::<()>::Continue(())
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn resolved(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        resolve(&mut statement);
        statement.to_string()
    }

    #[test]
    fn the_input_is_meant() {
        for (sql, expected) in [
            (
                "SELECT k, sum(c) AS c FROM f('x') GROUP BY k HAVING sum(c) <> 0",
                "SELECT k, sum(c) AS c FROM f('x') AS f GROUP BY k HAVING sum(c) <> 0",
            ),
            (
                "SELECT k, sum(c) AS c FROM (SELECT 1 AS c) GROUP BY k HAVING sum(c) <> 0",
                "SELECT k, sum(c) AS c FROM (SELECT 1 AS c) AS input GROUP BY k HAVING sum(c) <> 0",
            ),
            (
                "SELECT k, sum(c) AS c FROM a.t GROUP BY k ORDER BY abs(sum(c)) DESC, c",
                "SELECT k, sum(c) AS c FROM a.t GROUP BY k ORDER BY abs(sum(t.c)) DESC, c",
            ),
            (
                "SELECT k, count(*) AS c FROM t AS u GROUP BY k ORDER BY sum(C) FILTER (WHERE c > 1)",
                "SELECT k, count(*) AS c FROM t AS u GROUP BY k ORDER BY sum(u.C) FILTER (WHERE u.c > 1)",
            ),
            ("SELECT CAST(x AS BIGINT) FROM t ORDER BY X", "SELECT CAST(x AS BIGINT) AS X FROM t ORDER BY X"),
            ("SELECT t.x::TEXT, y FROM t ORDER BY y, x", "SELECT t.x::TEXT AS x, y FROM t ORDER BY y, x"),
        ] {
            assert_eq!(resolved(sql), expected);
        }
    }

    #[test]
    fn everything_else_is_as_it_was() {
        for sql in [
            "SELECT k, sum(c) AS total FROM t GROUP BY k HAVING total > 0 ORDER BY total / 2",
            "SELECT k, sum(c) AS c FROM t GROUP BY k ORDER BY c / 2",
            "SELECT k, sum(c) AS c FROM t GROUP BY k ORDER BY c, 2, (c)",
            "SELECT a + 1 AS b FROM t ORDER BY b * 2",
            "SELECT upper(d) AS d, count(*) FROM t GROUP BY d ORDER BY lower(d)",
            "SELECT -a AS a FROM t ORDER BY a + 0",
            "SELECT * FROM (SELECT -a AS a FROM t ORDER BY a + 0 LIMIT 1) AS u",
            "SELECT a AS a FROM f(1) ORDER BY a + 1",
            "SELECT DISTINCT -a AS a FROM t ORDER BY a + 0",
            "SELECT -t.a AS a FROM t JOIN u ON t.k = u.k ORDER BY a + 0",
            "SELECT -a AS a FROM t UNION ALL SELECT 1 ORDER BY a + 0",
            "SELECT x, x::TEXT FROM t ORDER BY x",
            "SELECT x::TEXT, * FROM t ORDER BY x",
            "SELECT x::TEXT FROM t ORDER BY t.x",
            "SELECT -x FROM t ORDER BY x",
            "SELECT 1",
        ] {
            assert_eq!(resolved(sql), sql);
        }
    }
}
