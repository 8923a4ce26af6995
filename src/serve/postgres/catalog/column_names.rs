//! The names that Postgres gives to columns, in which those that are alike are told apart.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{AccessExpr, DataType, Expr, Ident, Query, Select, SelectItem, SetExpr, Value};

/// Comes between a name and the number that tells it from others alike, which no client is shown.
const APART: char = '\u{1f}';

/// A column's name as a client is shown it.
pub fn shown_name(name: &str) -> &str {
    name.split(APART).next().unwrap_or(name)
}

/// Gives the columns of the outermost SELECT the names that Postgres gives them, and tells apart those that are alike.
pub fn name_columns(query: &mut Query) {
    let mut body = query.body.as_mut();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(inner) => body = inner.body.as_mut(),
            SetExpr::SetOperation { left, .. } => body = left.as_mut(),
            _ => return,
        }
    };
    name_items(select);
}

/// The same for one SELECT.
pub fn name_items(select: &mut Select) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut apart = |name: &str| {
        let count = seen.entry(name.to_string()).or_insert(0);
        *count += 1;
        (*count > 1).then(|| format!("{name}{APART}{count}"))
    };
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                if let Some(other) = apart(&name.value) {
                    let expr = Expr::Identifier(name.clone());
                    *item = SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', other) };
                }
            }
            // what is qualified differs, unless it is the same
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                let whole: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
                if let (Some(_), Some(last)) = (apart(&whole.join(".")), names.last()) {
                    let alias = Ident::with_quote('"', apart(&last.value).unwrap_or_else(|| last.value.clone()));
                    *item = SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(names.clone()), alias };
                }
            }
            SelectItem::UnnamedExpr(expr) => {
                let expr = expr.clone();
                let (name, of_column) = column_name(&expr);
                // a column of the same name may be meant elsewhere in the statement
                let other = apart(&name).or_else(|| of_column.then(|| format!("{name}{APART}")));
                let alias = Ident::with_quote('"', other.unwrap_or(name));
                *item = SelectItem::ExprWithAlias { expr, alias };
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                if let Some(other) = apart(&alias.value) {
                    *alias = Ident::with_quote('"', other);
                }
            }
            _ => {}
        }
    }
}

/// The name that Postgres gives to a column, and whether it is that of a column within.
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
            (name, _) if name == "?column?" => own(&type_name(data_type)),
            found => found,
        },
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(|part| part.as_ident());
            own(&name.map(|name| name.value.to_lowercase()).unwrap_or_default())
        }
        Expr::Case { else_result, .. } => match else_result.as_deref().map(column_name) {
            Some((name, of_column)) if name != "?column?" => (name, of_column),
            _ => own("case"),
        },
        Expr::Value(value) if matches!(value.value, Value::Boolean(_)) => own("bool"),
        Expr::TypedString(typed) => own(&type_name(&typed.data_type)),
        Expr::Array(_) => own("array"),
        Expr::Extract { .. } => own("extract"),
        Expr::Exists { .. } => own("exists"),
        Expr::Substring { .. } => own("substring"),
        Expr::Position { .. } => own("position"),
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

/// What `pg_type` calls a type.
fn type_name(data_type: &DataType) -> String {
    let text = last_word(data_type);
    let text = text.split('(').next().unwrap_or_default().trim();
    match text.strip_suffix("[]") {
        Some(item) => item.to_string(),
        None => {
            super::fixed::SQL_NAMES.iter().find(|(sql, _)| *sql == text).map_or(text, |(_, short)| short).to_string()
        }
    }
}

/// A type's name without its schema.
pub fn last_word(data_type: &DataType) -> String {
    let text = data_type.to_string().to_lowercase();
    text.rsplit('.').next().unwrap_or_default().trim_matches('"').to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::ast::Statement as Sql;

    use super::*;
    use crate::engine::Statement;

    #[test]
    fn columns_have_the_names_of_postgres() {
        let names = |sql: &str| {
            let Sql::Query(mut query) = ({
                let parsed = Statement::one(sql).unwrap();
                let datafusion::sql::parser::Statement::Statement(sql) = parsed.parsed().clone() else { return vec![] };
                *sql
            }) else {
                return vec![];
            };
            name_columns(&mut query);
            let SetExpr::Select(select) = *query.body else { return vec![] };
            let shown = select.projection.iter().map(|item| match item {
                SelectItem::ExprWithAlias { alias, .. } => shown_name(&alias.value).to_string(),
                other => other.to_string(),
            });
            shown.collect::<Vec<_>>()
        };
        assert_eq!(
            names(
                "SELECT 1, 'x', count(*), a::text, (b), -c, true, 1::bigint, date '2026-01-01', CASE WHEN a THEN 1 END FROM t"
            ),
            ["?column?", "?column?", "count", "a", "b", "?column?", "bool", "int8", "date", "case"]
        );
        assert_eq!(names("SELECT a, a, t.b, 2 AS a FROM t"), ["a", "a", "t.b", "a"]);
    }
}
