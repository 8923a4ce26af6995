//! `'pg_class'::regclass` and `atttypid::regtype` in a result: PostgreSQL shows the name, everywhere else it counts as a number.

use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, SelectItem, SetExpr, Statement as Sql, Value};

use super::object_casts::name_of_number;
use super::objects::fixed_number;
use super::relations::last;
use crate::engine::column_names::last_word;

/// Lets the columns of a statement's result that are numbers of objects show their names.
pub fn show(sql: &mut Sql) {
    let Sql::Query(query) = sql else { return };
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        if let Some(named) = named(expr) {
            *expr = named;
        }
    }
}

/// The name of what is cast to a kind of object; None for all else.
fn named(expr: &Expr) -> Option<Expr> {
    let (inner, data_type) = match expr {
        Expr::Nested(inner) => return named(inner),
        Expr::Cast { expr, data_type, .. } => (expr.as_ref(), data_type),
        // `to_regtype('int4')`
        Expr::Function(function) => return name_of_number(last(&function.name).strip_prefix("to_")?, expr.clone()),
        _ => return None,
    };
    let text = match inner {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.strip_prefix("pg_catalog.").unwrap_or(text)),
            _ => None,
        },
        _ => None,
    };
    match (last_word(data_type).as_str(), text) {
        ("regclass", Some(name)) if fixed_number(name).is_some() => {
            Some(Expr::Value(Value::SingleQuotedString(name.to_string()).with_empty_span()))
        }
        (kind, Some(_)) => name_of_number(kind, expr.clone()),
        // a number as a text is its name
        ("regclass" | "regtype" | "regproc" | "regprocedure" | "regnamespace" | "regrole", None) => Some(Expr::Cast {
            kind: CastKind::Cast,
            expr: Box::new(expr.clone()),
            data_type: DataType::Text,
            array: false,
            format: None,
        }),
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
    fn results_show_names() {
        for (sql, expected) in [
            (
                "SELECT 'a'::regclass, 'pg_class'::regclass, ('int4'::regtype) AS t",
                "SELECT regclass_name('a'::regclass), 'pg_class', format_type('int4'::regtype, NULL) AS t",
            ),
            ("SELECT a::regtype AS a FROM t", "SELECT CAST(a::REGTYPE AS TEXT) AS a FROM t"),
            ("SELECT 'public'::regnamespace", "SELECT regnamespace_name('public'::regnamespace)"),
            (
                "SELECT to_regtype('int4') AS t, pg_catalog.to_regclass('a') AS c, to_char(a, 'YYYY') AS d FROM t",
                "SELECT format_type(to_regtype('int4'), NULL) AS t, regclass_name(pg_catalog.to_regclass('a')) AS c, to_char(a, 'YYYY') AS d FROM t",
            ),
            ("SELECT b FROM t WHERE a = to_regtype('int4')", "SELECT b FROM t WHERE a = to_regtype('int4')"),
            ("SELECT 'a'::regclass::oid FROM t", "SELECT 'a'::REGCLASS::oid FROM t"),
            ("SELECT b FROM t WHERE a = 'a'::regclass", "SELECT b FROM t WHERE a = 'a'::REGCLASS"),
        ] {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            show(&mut parsed);
            assert_eq!(parsed.to_string().to_lowercase(), expected.to_lowercase());
        }
    }
}
