//! The headings of results: the names that PostgreSQL gives to columns, `count` and not `count(*)`, `?column?` where it has none. Columns of
//! the same name get different names while the statement is computed, and have one name again in its result.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    OrderByExpr, Query, Select, SelectItem, SetExpr, Statement as Sql, TableFactor, TrimWhereField, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change};

use super::output_names::{is_aggregate, sort_keys};
use super::ungrouped::has_aggregates;
use crate::functions::{AS_CAST, CUT_TO, DOWN_TO, ROUNDED_TO};

/// Comes between a name and the number that tells it from others alike, which nobody is shown.
const APART: char = '\u{1f}';

/// The columns of a result with the names that are shown; None where they have them.
pub fn shown(schema: &Schema) -> Option<SchemaRef> {
    if !schema.fields().iter().any(|field| field.name().contains(APART)) {
        return None;
    }
    let name = |field: &Field| field.name().split(APART).next().unwrap_or_default().to_string();
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_name(name(field)));
    Some(Arc::new(Schema::new_with_metadata(fields.collect::<Vec<Field>>(), schema.metadata().clone())))
}

/// Gives the columns of what somebody asks the names that they have in PostgreSQL.
pub(super) fn name_result_columns(sql: &mut Sql) {
    match sql {
        Sql::Query(query) => name_columns(query),
        Sql::Declare { stmts } => stmts.iter_mut().filter_map(|s| s.for_query.as_mut()).for_each(|q| name_columns(q)),
        Sql::Prepare { statement, .. } => {
            if let Sql::Query(query) = statement.as_mut() {
                name_columns(query);
            }
        }
        _ => {}
    }
    // it never breaks off
    let _ = change(sql, &mut QueriesAsTables);
}

/// Names the columns of queries that stand where a table does, `count` in `(SELECT count(*) FROM t) x`: tools ask for them by these.
struct QueriesAsTables;

impl VisitorMut for QueriesAsTables {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if let Some(with) = query.with.as_mut().filter(|with| !with.recursive) {
            for table in with.cte_tables.iter_mut().filter(|table| table.alias.columns.is_empty()) {
                name_columns_of_table(&mut table.query);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, alias, .. } = factor
            && alias.as_ref().is_none_or(|alias| alias.columns.is_empty())
        {
            name_columns_of_table(subquery);
        }
        ControlFlow::Continue(())
    }
}

/// As [`name_columns`], but not beside a `*`, which may bring a column of the same name.
fn name_columns_of_table(query: &mut Query) {
    let is_named = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
    let SetExpr::Select(select) = query.body.as_ref() else { return };
    if select.projection.iter().all(is_named) {
        name_columns(query);
        name_casts(query);
    }
}

/// A cast of a column has the column's name where no other part of the query could mean it by that.
fn name_casts(query: &mut Query) {
    let is_sorted = query.order_by.is_some();
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    let picks_rows = matches!(select.distinct, Some(Distinct::On(_)));
    if is_sorted || picks_rows || select.having.is_some() || select.qualify.is_some() {
        return;
    }
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => column_name(expr).0,
        SelectItem::ExprWithAlias { alias, .. } => alias.value.split(APART).next().unwrap_or_default().to_string(),
        _ => String::new(),
    };
    let names: Vec<String> = select.projection.iter().map(name).collect();
    for item in &mut select.projection {
        if let SelectItem::ExprWithAlias { alias, .. } = item
            && let Some(plain) = alias.value.strip_suffix(APART)
            && names.iter().filter(|name| *name == plain).count() == 1
        {
            *alias = Ident::with_quote('"', plain);
        }
    }
}

/// Gives the columns of the outermost SELECT the names that PostgreSQL gives them, and tells apart those that are alike.
fn name_columns(query: &mut Query) {
    let Query { body, order_by, .. } = query;
    let (mut body, mut is_alone) = (body.as_mut(), true);
    let select = loop {
        body = match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(inner) => inner.body.as_mut(),
            SetExpr::SetOperation { left, .. } => left.as_mut(),
            _ => return,
        };
        is_alone = false;
    };
    name_items(select);
    if is_alone && matches!(select.distinct, Some(Distinct::Distinct)) {
        sort_by_names(&select.projection, sort_keys(order_by));
    }
    if is_alone && select.distinct.is_none() {
        tell_apart_from_all(select, order_by.is_none());
    }
}

/// Tells apart the columns that stand beside a `*`, which may bring others alike. Those that have a name of their own keep it where
/// it may be sorted or chosen by.
fn tell_apart_from_all(select: &mut Select, is_unsorted: bool) {
    let brings_all = |item: &SelectItem| matches!(item, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..));
    if !select.projection.iter().any(brings_all) {
        return;
    }
    let is_free = is_unsorted && select.having.is_none() && select.qualify.is_none();
    for (position, item) in select.projection.iter_mut().enumerate() {
        let apart = |name: &str| Ident::with_quote('"', format!("{name}{APART}*{position}"));
        match item {
            SelectItem::UnnamedExpr(expr @ (Expr::Identifier(_) | Expr::CompoundIdentifier(_))) => {
                let alias = apart(&column_name(expr).0);
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
            SelectItem::ExprWithAlias { alias, .. } if is_free && !alias.value.contains(APART) => {
                *alias = apart(&alias.value);
            }
            _ => {}
        }
    }
}

/// What is sorted by is called as it is shown: of distinct rows nothing else can be sorted by.
fn sort_by_names(items: &[SelectItem], keys: &mut [OrderByExpr]) {
    for key in keys {
        let alias = items.iter().find_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } if *expr == key.expr => Some(alias),
            _ => None,
        });
        if let Some(alias) = alias {
            key.expr = Expr::Identifier(alias.clone());
        }
    }
}

/// Names the columns of a SELECT of groups that is sorted by the number of one that it computes: DataFusion finds that by a name alone.
pub(super) fn name_sorted_groups(part: &mut impl PartMut) {
    // it never breaks off
    let _ = change(part, &mut SortedGroups);
}

struct SortedGroups;

impl VisitorMut for SortedGroups {
    type Break = ();

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Query { body, order_by, .. } = query;
        if let SetExpr::Select(select) = body.as_mut()
            && sort_keys(order_by).iter().any(|key| is_computed(&key.expr, select))
        {
            name_items(select);
        }
        ControlFlow::Continue(())
    }
}

/// True for the number of a column that is computed of groups, and is none of them.
fn is_computed(key: &Expr, select: &Select) -> bool {
    let number = |expr: &Expr| match expr {
        Expr::Value(value) => value.value.to_string().parse::<usize>().ok(),
        _ => None,
    };
    let item = number(key).and_then(|number| select.projection.get(number.checked_sub(1)?));
    let Some(SelectItem::UnnamedExpr(expr)) = item else { return false };
    let GroupByExpr::Expressions(groups, _) = &select.group_by else { return false };
    let is_group = groups.iter().any(|group| group == expr || number(group).is_some_and(|n| Some(n) == number(key)));
    let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    !is_group && !is_column && !is_aggregate(expr) && (!groups.is_empty() || has_aggregates(expr))
}

/// The same for one SELECT.
pub fn name_items(select: &mut Select) {
    // names that stand alone, and those of columns behind that of their relation: two columns cannot differ by that alone
    let (mut alone, mut qualified) = (BTreeSet::new(), BTreeSet::new());
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut apart = |name: &str| {
        let count = seen.entry(name.to_string()).or_insert(0);
        *count += 1;
        (*count > 1).then(|| format!("{name}{APART}{count}"))
    };
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                alone.insert(name.value.clone());
                let same = || qualified.contains(&name.value).then(|| format!("{}{APART}", name.value));
                if let Some(other) = apart(&name.value).or_else(same) {
                    let expr = Expr::Identifier(name.clone());
                    *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', other) };
                }
            }
            // what is qualified differs, unless it is the same
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                let whole: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
                let again = apart(&whole.join(".")).is_some();
                if let Some(last) = names.last().map(|last| last.value.clone()) {
                    if again || alone.contains(&last) {
                        let alias = Ident::with_quote('"', apart(&last).unwrap_or_else(|| last.clone()));
                        *item = SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(names.clone()), alias };
                    }
                    qualified.insert(last);
                }
            }
            SelectItem::UnnamedExpr(expr) => {
                let expr = expr.clone();
                let (name, of_column) = column_name(&expr);
                // a column of the same name may be meant elsewhere in the statement
                let is_taken = of_column || qualified.contains(&name);
                let other = apart(&name).or_else(|| is_taken.then(|| format!("{name}{APART}")));
                if other.is_none() {
                    alone.insert(name.clone());
                }
                let alias = Ident::with_quote('"', other.unwrap_or(name));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                let same = || qualified.contains(&alias.value).then(|| format!("{}{APART}", alias.value));
                match apart(&alias.value).or_else(same) {
                    Some(other) => *alias = Ident::with_quote('"', other),
                    None => drop(alone.insert(alias.value.clone())),
                }
            }
            _ => {}
        }
    }
}

/// The name that PostgreSQL gives to a column, and whether it is that of a column within.
pub fn column_name(expr: &Expr) -> (String, bool) {
    let own = |name: &str| (name.to_string(), false);
    match expr {
        Expr::Identifier(name) => (name.value.clone(), true),
        Expr::CompoundIdentifier(names) => (names.last().map(|name| name.value.clone()).unwrap_or_default(), true),
        Expr::CompoundFieldAccess { access_chain, .. }
            if let Some(AccessExpr::Dot(Expr::Identifier(field))) = access_chain.last() =>
        {
            own(&field.value)
        }
        Expr::Nested(inner) | Expr::CompoundFieldAccess { root: inner, .. } | Expr::Collate { expr: inner, .. } => {
            column_name(inner)
        }
        Expr::Cast { expr: inner, data_type, .. } => match column_name(inner) {
            _ if is_written_value(inner) => own(&type_name(data_type)),
            found => found,
        },
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(|part| part.as_ident());
            // what is cut or rounded is called as the whole is
            if name.is_some_and(|name| [AS_CAST, CUT_TO, DOWN_TO, ROUNDED_TO].contains(&name.value.as_str()))
                && let FunctionArguments::List(list) = &function.args
                && let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(whole))) = list.args.first()
            {
                return column_name(whole);
            }
            own(&name.map(|name| name.value.to_lowercase()).unwrap_or_default())
        }
        Expr::Case { else_result, .. } => match else_result.as_deref().map(column_name) {
            Some((name, of_column)) if name != "?column?" => (name, of_column),
            _ => own("case"),
        },
        Expr::TypedString(typed) => own(&type_name(&typed.data_type)),
        Expr::Array(_) => own("array"),
        Expr::Extract { .. } => own("extract"),
        Expr::Exists { .. } => own("exists"),
        Expr::Substring { shorthand: true, .. } => own("substr"),
        Expr::Substring { .. } => own("substring"),
        Expr::Position { .. } => own("position"),
        Expr::Trim { trim_where: Some(TrimWhereField::Leading), .. } => own("ltrim"),
        Expr::Trim { trim_where: Some(TrimWhereField::Trailing), .. } => own("rtrim"),
        Expr::Trim { .. } => own("btrim"),
        Expr::Ceil { .. } => own("ceil"),
        Expr::Floor { .. } => own("floor"),
        Expr::Overlay { .. } => own("overlay"),
        Expr::Interval(_) => own("interval"),
        Expr::AtTimeZone { .. } => own("timezone"),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first() {
                Some(SelectItem::UnnamedExpr(expr)) => own(&column_name(expr).0),
                Some(SelectItem::ExprWithAlias { alias, .. }) => own(&alias.value),
                _ => own("?column?"),
            },
            _ => own("?column?"),
        },
        _ => own("?column?"),
    }
}

/// True for a value without a name of its own, also one that casts or its type make a name for: the outermost cast names it.
fn is_written_value(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_written_value(inner),
        Expr::TypedString(_) | Expr::Interval(_) => true,
        other => column_name(other).0 == "?column?",
    }
}

/// What SQL calls types, and what `pg_type` does.
pub const SQL_NAMES: &[(&str, &str)] = &[
    ("boolean", "bool"),
    ("smallint", "int2"),
    ("integer", "int4"),
    ("int", "int4"),
    ("bigint", "int8"),
    ("real", "float4"),
    ("double precision", "float8"),
    ("numeric", "numeric"),
    ("decimal", "numeric"),
    ("character varying", "varchar"),
    ("character", "bpchar"),
    ("\"char\"", "char"),
    ("timestamp without time zone", "timestamp"),
    ("timestamp with time zone", "timestamptz"),
    ("time without time zone", "time"),
    ("time with time zone", "timetz"),
    ("bit varying", "varbit"),
];

/// What `pg_type` calls a type.
fn type_name(data_type: &DataType) -> String {
    let text = last_word(data_type);
    let text = text.split('(').next().unwrap_or_default().trim();
    let item = text.strip_suffix("[]").unwrap_or(text);
    SQL_NAMES.iter().find(|(sql, _)| *sql == item).map_or(item, |(_, short)| short).to_string()
}

/// A type's name without its schema.
pub fn last_word(data_type: &DataType) -> String {
    let text = data_type.to_string().to_lowercase();
    text.rsplit('.').next().unwrap_or_default().trim_matches('"').to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn columns_have_the_names_of_postgres() {
        let names = |sql: &str| {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            name_result_columns(&mut parsed);
            let Sql::Query(query) = parsed else { return vec![] };
            let SetExpr::Select(select) = *query.body else { return vec![] };
            let names = select.projection.iter().map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
                other => other.to_string(),
            });
            let fields = names.map(|name| Field::new(name, arrow::datatypes::DataType::Null, true));
            let schema = Schema::new(fields.collect::<Vec<_>>());
            let shown = shown(&schema).unwrap_or_else(|| Arc::new(schema.clone()));
            shown.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            names(
                "SELECT 1, 'x', count(*), a::text, (b), -c, true, 1::bigint, date '2026-01-01', CASE WHEN a THEN 1 END FROM t"
            ),
            ["?column?", "?column?", "count", "a", "b", "?column?", "?column?", "int8", "date", "case"]
        );
        assert_eq!(names("SELECT a, a, t.b, 2 AS a FROM t"), ["a", "a", "t.b", "a"]);
        assert_eq!(names("SELECT a, t.a, t.b, b, a::text FROM t"), ["a", "a", "t.b", "b", "a"]);
        let sql = "SELECT t.count, count(*), max(x) AS a, t.a, t.b, lower(b) AS b FROM t";
        assert_eq!(names(sql), ["t.count", "count", "a", "a", "t.b", "b"]);
        assert_eq!(names("SELECT '1'::timestamp(6), '1'::timestamptz(6)"), ["timestamp", "timestamptz"]);
        let sql = "SELECT '1'::float::int, interval '1 day'::text, '{1}'::int[], trim(LEADING 'x' FROM a), substr(a, 1) FROM t";
        assert_eq!(names(sql), ["int4", "text", "int4", "ltrim", "substr"]);
        let sql = "SELECT rounded_to('1'::timestamp(6), 0)::timestamp(6), rounded_to(a::time, 1)::time FROM t";
        assert_eq!(names(sql), ["timestamp", "a"]);
    }

    #[test]
    fn queries_as_tables_have_them_too() {
        let settled = |sql: &str| {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            name_result_columns(&mut parsed);
            parsed.to_string()
        };
        assert_eq!(
            settled("SELECT x.count FROM (SELECT a::date, count(*) FROM t GROUP BY 1) AS x"),
            "SELECT x.count FROM (SELECT a::DATE AS \"a\", count(*) AS \"count\" FROM t GROUP BY 1) AS x"
        );
        assert_eq!(
            settled("WITH x AS (SELECT max(a) FROM t) SELECT max FROM x"),
            "WITH x AS (SELECT max(a) AS \"max\" FROM t) SELECT max FROM x"
        );
        // names that are given, a column that could be of the same name
        for same in
            ["SELECT n FROM (SELECT count(*) FROM t) AS x (n)", "SELECT a FROM (SELECT *, upper(b) FROM t) AS x"]
        {
            assert_eq!(settled(same), same);
        }
    }

    #[test]
    fn columns_beside_all_are_told_apart() {
        let settled = |sql: &str| {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            name_result_columns(&mut parsed);
            parsed.to_string().replace(APART, "~")
        };
        assert_eq!(settled("SELECT a, t.* FROM t ORDER BY a"), "SELECT a AS \"a~*0\", t.* FROM t ORDER BY a");
        assert_eq!(settled("SELECT *, upper(a) AS a FROM t"), "SELECT *, upper(a) AS \"a~*1\" FROM t");
        let sorted = "SELECT *, upper(a) AS b FROM t ORDER BY b";
        assert_eq!(settled(sorted), sorted);
    }

    #[test]
    fn what_is_computed_of_groups_and_sorted_by_has_a_name() {
        let settled = |sql: &str| {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            name_sorted_groups(&mut parsed);
            parsed.to_string()
        };
        assert_eq!(
            settled("SELECT 1 + a, count(*) FROM t GROUP BY a ORDER BY 2, 1"),
            "SELECT 1 + a AS \"?column?\", count(*) AS \"count\" FROM t GROUP BY a ORDER BY 2, 1"
        );
        assert_eq!(
            settled("SELECT abs(max(a)) FROM t ORDER BY 1 DESC"),
            "SELECT abs(max(a)) AS \"abs\" FROM t ORDER BY 1 DESC"
        );
        for same in [
            "SELECT 1 + a, count(*) FROM t GROUP BY 1 ORDER BY 1",
            "SELECT 1 + a, count(*) FROM t GROUP BY 1 + a ORDER BY 1",
            "SELECT 1 + a, b, count(*) FROM t GROUP BY a, b ORDER BY 2, 3, b",
            "SELECT 1 + a FROM t ORDER BY 1",
        ] {
            assert_eq!(settled(same), same);
        }
    }

    #[test]
    fn distinct_rows_are_sorted_by_their_columns() {
        let settled = |sql: &str| {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            name_result_columns(&mut parsed);
            parsed.to_string()
        };
        assert_eq!(
            settled("SELECT DISTINCT upper(a) FROM t ORDER BY upper(a) DESC"),
            "SELECT DISTINCT upper(a) AS \"upper\" FROM t ORDER BY \"upper\" DESC"
        );
        assert_eq!(
            settled("SELECT upper(a) FROM t ORDER BY upper(a)"),
            "SELECT upper(a) AS \"upper\" FROM t ORDER BY upper(a)"
        );
    }

    #[test]
    fn what_needs_no_other_name_keeps_its_schema() {
        let schema = Schema::new(vec![Field::new("a", arrow::datatypes::DataType::Null, true)]);
        assert_eq!(shown(&schema), None);
    }
}
