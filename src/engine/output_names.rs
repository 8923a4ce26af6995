//! Which column is meant where one of a query's result is called as one of its input: `SELECT item, sum(credit) AS credit ... HAVING
//! sum(credit) <> 0`, `SELECT u.n * 10 AS n FROM u ORDER BY u.n`.
//!
//! As in PostgreSQL, HAVING and all expressions of ORDER BY and DISTINCT ON mean the input's, and a name that stands alone there the
//! result's. DataFusion takes the result's where a relation has no name, so that relations get the name that PostgreSQL gives them;
//! and it cannot sort by a column of the input that the result has another of by the same name. So what is sorted by is then a column
//! of a query beneath, by a name that nobody can write, which the result leaves out: `SELECT * EXCLUDE (key) FROM (SELECT u.n * 10 AS n,
//! u.n AS key FROM u) ORDER BY key`. A name in an expression that the input does not have, as far as the statement tells, is the
//! result's, which PostgreSQL would not take there. A cast of a column bears its name in PostgreSQL, and in `SELECT x::text ... ORDER BY
//! x` here: the text is sorted by.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::functions_aggregate::all_default_aggregate_functions;
use datafusion::sql::sqlparser::ast::{
    Distinct, ExcludeSelectItem, Expr, Ident, ObjectName, OrderBy, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, Statement as Sql, TableAlias, TableFactor, Value, VisitorMut,
    WildcardAdditionalOptions,
};
use datafusion::sql::sqlparser::parser::Parser;
use rejoin_instances::syntax::{PartMut, change, change_outside_queries, walk_outside_queries};

use super::dialect::EngineDialect;

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
            name_relations(select);
            sort_above(select, keys);
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

/// Gives relations without a name one, where HAVING names what the result computes.
fn name_relations(select: &mut Select) {
    let Some(having) = &select.having else { return };
    let names = Mentioned::of(having).names;
    if !select.projection.iter().filter_map(computed).any(|name| names.contains(&name)) {
        return;
    }
    for from in &mut select.from {
        named(&mut from.relation);
        for join in &mut from.joins {
            named(&mut join.relation);
        }
    }
}

/// The name that a result gives to what it computes.
fn computed(item: &SelectItem) -> Option<String> {
    match item {
        SelectItem::ExprWithAlias { expr, alias } if identifier(expr).map(normal) != Some(normal(alias)) => {
            Some(normal(alias))
        }
        _ => None,
    }
}

/// The name of the query beneath.
const BENEATH: &str = "\u{1f}beneath";

/// A query above another, which is to be put into it.
static ABOVE: LazyLock<Option<Select>> = LazyLock::new(|| {
    let sql = format!("SELECT 1 FROM (SELECT 1) AS \"{BENEATH}\"");
    match Parser::parse_sql(&EngineDialect::new(&sql), &sql).ok()?.pop()? {
        Sql::Query(query) => match *query.body {
            SetExpr::Select(select) => Some(*select),
            _ => None,
        },
        _ => None,
    }
});

/// Sorts above the query, and picks rows there, where it is by columns of the input that the result has others of by their names.
fn sort_above(select: &mut Select, keys: &mut [OrderByExpr]) {
    let picked_by: &[Expr] = match &select.distinct {
        Some(Distinct::On(exprs)) => exprs,
        _ => &[],
    };
    if keys.iter().map(|key| &key.expr).chain(picked_by).all(stands_alone) {
        return;
    }
    let Some(names) = Names::of(select, keys) else { return };
    if picked_by.is_empty() {
        for key in keys.iter_mut().filter(|key| names.mistakes(&key.expr)) {
            if let Some(place) = names.items.iter().position(|item| item.expr == key.expr) {
                key.expr = Expr::Value(Value::Number((place + 1).to_string(), false).with_empty_span());
            }
        }
    }
    let is_settled = !keys.iter().map(|key| &key.expr).chain(picked_by).any(|expr| names.mistakes(expr));
    // rows that are distinct have nothing else to be sorted by
    if is_settled || matches!(select.distinct, Some(Distinct::Distinct)) {
        return;
    }
    let Some(mut above) = ABOVE.clone() else { return };
    above.distinct = select.distinct.take();
    let mut columns = vec![];
    let picked_by = match &mut above.distinct {
        Some(Distinct::On(exprs)) => exprs.as_mut_slice(),
        _ => &mut [],
    };
    for expr in keys.iter_mut().map(|key| &mut key.expr).chain(picked_by) {
        names.put_beneath(expr, &mut columns);
    }
    let left_out = (0..columns.len()).map(|place| ObjectName::from(vec![key_name(place)])).collect();
    let options = WildcardAdditionalOptions {
        opt_exclude: Some(ExcludeSelectItem::Multiple(left_out)),
        ..WildcardAdditionalOptions::default()
    };
    let beneath = ObjectName::from(vec![Ident::with_quote('"', BENEATH)]);
    let all = SelectItemQualifiedWildcardKind::ObjectName(beneath);
    above.projection = vec![SelectItem::QualifiedWildcard(all, options)];
    tell_apart(&mut select.projection);
    let columns = columns.into_iter().enumerate();
    select.projection.extend(columns.map(|(place, expr)| SelectItem::ExprWithAlias { expr, alias: key_name(place) }));
    let beneath = std::mem::replace(select, above);
    if let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation) {
        *subquery.body = SetExpr::Select(Box::new(beneath));
    }
}

/// What a column is called that is only sorted by.
fn key_name(place: usize) -> Ident {
    Ident::with_quote('"', format!("\u{1f}key{place}"))
}

/// Tells apart columns of several relations that have one name.
fn tell_apart(items: &mut [SelectItem]) {
    let mut seen = BTreeSet::new();
    for (place, item) in items.iter_mut().enumerate() {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let Some(name) = column(expr).map(normal) else { continue };
                let other = Ident::with_quote('"', format!("{name}\u{1f}{place}"));
                if !seen.insert(name) {
                    *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: other };
                }
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                seen.insert(normal(alias));
            }
            _ => {}
        }
    }
}

/// What a result shows.
struct Item {
    /// Its name, where the statement tells it.
    name: Option<String>,
    /// The statement gives it that name.
    has_alias: bool,
    expr: Expr,
}

/// The names of a result and of its input.
struct Names {
    items: Vec<Item>,
    /// Names of the input's columns, as far as the statement tells.
    inputs: BTreeSet<String>,
}

impl Names {
    /// None where the result computes nothing under a name, or has columns that the statement does not name.
    fn of(select: &Select, keys: &[OrderByExpr]) -> Option<Self> {
        let item = |item: &SelectItem| match item {
            SelectItem::ExprWithAlias { expr, alias } => {
                Some(Item { name: Some(normal(alias)), has_alias: true, expr: expr.clone() })
            }
            SelectItem::UnnamedExpr(expr) => {
                Some(Item { name: column(expr).map(normal), has_alias: false, expr: expr.clone() })
            }
            _ => None,
        };
        if select.into.is_some() || !select.projection.iter().any(|item| computed(item).is_some()) {
            return None;
        }
        let items = select.projection.iter().map(item).collect::<Option<Vec<_>>>()?;
        let mut inputs = Mentioned::default();
        items.iter().map(|item| &item.expr).chain(&select.selection).for_each(|expr| inputs.take(expr));
        let mut inputs = inputs.names;
        // an aggregate of an aggregate there is not
        let of_groups = items.iter().filter(|item| Mentioned::of(&item.expr).has_aggregates);
        let of_groups: BTreeSet<&String> = of_groups.filter_map(|item| item.name.as_ref()).collect();
        for key in keys {
            // it never breaks off
            let _ = walk_outside_queries(&key.expr, &mut |part| {
                if is_aggregate(part) {
                    inputs.extend(Mentioned::of(part).names.into_iter().filter(|name| of_groups.contains(name)));
                }
                ControlFlow::<()>::Continue(())
            });
        }
        Some(Self { items, inputs })
    }

    /// What the result gives a name to that the input may have, too.
    fn aliased(&self, name: &str) -> impl Iterator<Item = &Item> {
        self.items.iter().filter(move |item| item.has_alias && item.name.as_deref() == Some(name))
    }

    /// True where DataFusion would take a column of the input in an expression for the result's, or cannot tell it from that.
    fn mistakes(&self, expr: &Expr) -> bool {
        let is_mistaken = |part: &Expr| match part {
            Expr::Identifier(name) => {
                let name = normal(name);
                let is_other = |item: &Item| match &item.expr {
                    Expr::CompoundIdentifier(names) => names.last().map(normal) != Some(name.clone()),
                    shown => identifier(shown).map(normal) != Some(name.clone()),
                };
                self.inputs.contains(&name) && self.aliased(&name).any(is_other)
            }
            Expr::CompoundIdentifier(names) => names.last().map(normal).is_some_and(|name| {
                let is_same = |shown: &Expr| shown == part || identifier(shown).map(normal) == Some(name.clone());
                self.aliased(&name).any(|item| !is_same(&item.expr))
            }),
            _ => false,
        };
        let found = walk_outside_queries(expr, &mut |part| match is_mistaken(part) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        });
        !stands_alone(expr) && found.is_break()
    }

    /// Puts what is sorted by into a column of the query beneath, unless it is one of the result.
    fn put_beneath(&self, expr: &mut Expr, columns: &mut Vec<Expr>) {
        let is_shown = |name: &Ident| self.items.iter().any(|item| item.name.as_ref() == Some(&normal(name)));
        if stands_alone(expr) && alone(expr).is_none_or(is_shown) {
            return;
        }
        if !stands_alone(expr) {
            change_outside_queries(expr, &mut |part| {
                let name = identifier(part).map(normal).filter(|name| !self.inputs.contains(name));
                if let Some(item) = name.and_then(|name| self.aliased(&name).next()) {
                    *part = Expr::Nested(Box::new(item.expr.clone()));
                }
            });
        }
        let place = columns.iter().position(|column| *column == *expr).unwrap_or_else(|| {
            columns.push(expr.clone());
            columns.len() - 1
        });
        *expr = Expr::Identifier(key_name(place));
    }
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

/// The name that stands alone.
fn alone(key: &Expr) -> Option<&Ident> {
    match key {
        Expr::Nested(inner) => alone(inner),
        other => identifier(other),
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
    /// Names of columns, without those of their relations.
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
            match part {
                Expr::Identifier(name) => drop(self.names.insert(normal(name))),
                Expr::CompoundIdentifier(names) => self.names.extend(names.last().map(normal)),
                _ => {}
            }
            self.has_aggregates |= is_aggregate(part);
            ControlFlow::<()>::Continue(())
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn resolved(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap().remove(0);
        resolve(&mut statement);
        statement.to_string()
    }

    /// The same, shown without what nobody can write.
    fn sorted(sql: &str) -> String {
        let once = resolved(sql);
        // what is settled stays as it is
        assert_eq!(resolved(&once), once);
        once.replace("\"\u{1f}beneath\"", "beneath").replace("\"\u{1f}key", "\"key")
    }

    #[test]
    fn having_means_the_input() {
        for (sql, expected) in [
            (
                "SELECT k, sum(c) AS c FROM f('x') GROUP BY k HAVING sum(c) <> 0",
                "SELECT k, sum(c) AS c FROM f('x') AS f GROUP BY k HAVING sum(c) <> 0",
            ),
            (
                "SELECT k, sum(c) AS c FROM (SELECT 1 AS c) GROUP BY k HAVING sum(c) <> 0",
                "SELECT k, sum(c) AS c FROM (SELECT 1 AS c) AS input GROUP BY k HAVING sum(c) <> 0",
            ),
            ("SELECT CAST(x AS BIGINT) FROM t ORDER BY X", "SELECT CAST(x AS BIGINT) AS X FROM t ORDER BY X"),
            ("SELECT t.x::TEXT, y FROM t ORDER BY y, x", "SELECT t.x::TEXT AS x, y FROM t ORDER BY y, x"),
        ] {
            assert_eq!(resolved(sql), expected);
        }
    }

    #[test]
    fn expressions_in_an_order_mean_the_input() {
        for (sql, expected) in [
            (
                "SELECT u.n * 10 AS n FROM u ORDER BY u.n DESC, n, 1 LIMIT 2",
                "SELECT beneath.* EXCLUDE (\"key0\") FROM (SELECT u.n * 10 AS n, u.n AS \"key0\" FROM u) AS beneath ORDER BY \"key0\" DESC, n, 1 LIMIT 2",
            ),
            (
                "SELECT -a AS a FROM t ORDER BY a + 0, b",
                "SELECT beneath.* EXCLUDE (\"key0\", \"key1\") FROM (SELECT -a AS a, a + 0 AS \"key0\", b AS \"key1\" FROM t) AS beneath ORDER BY \"key0\", \"key1\"",
            ),
            (
                "SELECT k, sum(c) AS c, 2 AS two FROM a.t GROUP BY k ORDER BY abs(sum(c)) * two DESC, c",
                "SELECT beneath.* EXCLUDE (\"key0\") FROM (SELECT k, sum(c) AS c, 2 AS two, abs(sum(c)) * (2) AS \"key0\" FROM a.t GROUP BY k) AS beneath ORDER BY \"key0\" DESC, c",
            ),
            (
                "SELECT k, count(*) AS c FROM t AS u GROUP BY k ORDER BY sum(C) FILTER (WHERE c > 1)",
                "SELECT beneath.* EXCLUDE (\"key0\") FROM (SELECT k, count(*) AS c, sum(C) FILTER (WHERE c > 1) AS \"key0\" FROM t AS u GROUP BY k) AS beneath ORDER BY \"key0\"",
            ),
            (
                "SELECT a.x, b.x, a.n AS n FROM a, b ORDER BY b.n",
                "SELECT beneath.* EXCLUDE (\"key0\") FROM (SELECT a.x, b.x AS \"x\u{1f}1\", a.n AS n, b.n AS \"key0\" FROM a, b) AS beneath ORDER BY \"key0\"",
            ),
            (
                "SELECT DISTINCT ON (u.n) u.n * 10 AS n FROM u ORDER BY u.n, u.k",
                "SELECT DISTINCT ON (\"key0\") beneath.* EXCLUDE (\"key0\", \"key1\") FROM (SELECT u.n * 10 AS n, u.n AS \"key0\", u.k AS \"key1\" FROM u) AS beneath ORDER BY \"key0\", \"key1\"",
            ),
            // the same as a column of the result
            (
                "SELECT k, max(u.n) AS n FROM u GROUP BY k ORDER BY max(u.n) DESC",
                "SELECT k, max(u.n) AS n FROM u GROUP BY k ORDER BY 2 DESC",
            ),
            (
                "SELECT DISTINCT u.n * 10 AS n FROM u ORDER BY u.n * 10",
                "SELECT DISTINCT u.n * 10 AS n FROM u ORDER BY 1",
            ),
        ] {
            assert_eq!(sorted(sql), expected);
        }
    }

    #[test]
    fn everything_else_is_as_it_was() {
        for sql in [
            "SELECT k, sum(c) AS total FROM t GROUP BY k HAVING total > 0 ORDER BY total / 2",
            "SELECT k, sum(c) AS c FROM t GROUP BY k ORDER BY c, 2, (c)",
            "SELECT a + 1 AS b FROM t ORDER BY b * 2",
            "SELECT a AS a FROM f(1) ORDER BY a + 1",
            "SELECT t.a AS a FROM t ORDER BY t.a, lower(a)",
            "SELECT DISTINCT -a AS a FROM t ORDER BY a + 0",
            "SELECT -a AS a FROM t UNION ALL SELECT 1 ORDER BY a + 0",
            "SELECT *, -a AS a FROM t ORDER BY t.a",
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
