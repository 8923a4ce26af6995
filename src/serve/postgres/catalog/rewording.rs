//! Statements of Postgres clients in words that the engine understands.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Expr, Fetch, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentClause, FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, LimitClause, ObjectName,
    ObjectNamePart, OrderByKind, Query, Select, SelectItem, SetExpr, Statement as Sql, UnaryOperator, Value, VisitMut,
    VisitorMut,
};
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_pg_catalog::sql::rules::{
    AliasDuplicatedProjectionRewrite, FixArrayLiteral, PrependUnqualifiedPgTableName, RemoveSubqueryFromProjection,
    ResolveUnqualifiedIdentifier, RewritePgCatalogOperator, RewriteRegCastToSubquery, SqlStatementRewriteRule,
    StripCallableQualifier, StripCollate,
};

use super::functions::{LIKE_PATTERN, REGCLASS_NAME, REGPROC_NAME, escaped_by_backslash};
use super::layouts;
use crate::Result;
use crate::engine::Statement;
use crate::serve::any;

/// What `\d+` of psql asks of a table's storage; an array of a query is nothing that the engine knows.
const STORAGE_OPTIONS: &str = "pg_catalog.array_to_string(c.reloptions || array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', ')";

/// Questions that only whole statements in their place can answer: arrays of queries, `unnest` of a query.
const HOPELESS: &[&str] =
    &["pol.polroles", "pg_statistic_ext", "pg_publication", "s_p.nspname", "array_lower(string_to_array("];

/// Signs of a question to the catalog.
const SIGNS: &[&str] = &["pg_", "information_schema", "::reg", "as reg"];

static WHOLE: LazyLock<PostgresCompatibilityParser> = LazyLock::new(PostgresCompatibilityParser::new);

/// What the catalog's own library knows to reword; `= ANY` is ours.
static RULES: LazyLock<Vec<Box<dyn SqlStatementRewriteRule>>> = LazyLock::new(|| {
    vec![
        Box::new(AliasDuplicatedProjectionRewrite),
        Box::new(ResolveUnqualifiedIdentifier),
        Box::new(PrependUnqualifiedPgTableName),
        Box::new(StripCallableQualifier),
        Box::new(FixArrayLiteral),
        Box::new(StripCollate),
        Box::new(RewritePgCatalogOperator),
        Box::new(RewriteRegCastToSubquery::new()),
        Box::new(RemoveSubqueryFromProjection),
    ]
});

/// The statements of a text, as the engine understands them.
pub fn understood(sql: &str) -> Result<Vec<Statement>> {
    let text = sql.to_lowercase();
    let asks_catalog = SIGNS.iter().any(|sign| text.contains(sign));
    let parsed = match asks_catalog {
        true => {
            let sql = sql.replace(STORAGE_OPTIONS, "NULL::text");
            let whole = HOPELESS.iter().any(|words| text.contains(words)).then(|| WHOLE.parse(&sql).ok()).flatten();
            match whole {
                Some(statements) => {
                    let texts: Vec<String> = statements.iter().map(|statement| format!("{statement};")).collect();
                    Statement::all(&texts.join(" "))?
                }
                // the engine says what is wrong about it
                None => Statement::all(&sql)?,
            }
        }
        false => Statement::all(sql)?,
    };
    parsed.into_iter().map(|statement| statement.reworded(|sql| reworded(sql, asks_catalog))).collect()
}

fn reworded(mut sql: Sql, asks_catalog: bool) -> Sql {
    // what is named comes before names are taken away
    match &mut sql {
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
    let _ = VisitMut::visit(&mut sql, &mut Rewording { asks_catalog });
    if asks_catalog {
        sql = RULES.iter().fold(sql, |sql, rule| rule.rewrite(sql));
    }
    sql
}

struct Rewording {
    asks_catalog: bool,
}

impl VisitorMut for Rewording {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        // FETCH FIRST is a LIMIT
        if let Some(Fetch { with_ties: false, percent: false, quantity }) = &query.fetch {
            let limit = Some(quantity.clone().unwrap_or_else(|| value(Value::Number("1".into(), false))));
            match &mut query.limit_clause {
                None => query.limit_clause = Some(LimitClause::LimitOffset { limit, offset: None, limit_by: vec![] }),
                Some(LimitClause::LimitOffset { limit: none @ None, .. }) => *none = limit,
                Some(_) => return ControlFlow::Continue(()),
            }
            query.fetch = None;
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &mut ObjectName) -> ControlFlow<()> {
        if let [ObjectNamePart::Identifier(only)] = name.0.as_slice()
            && layouts::of_pg_catalog(&only.value.to_lowercase()).is_some()
        {
            *name = ObjectName::from(vec![Ident::new("pg_catalog"), only.clone()]);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // a query of one value that depends on the row: the engine wants to see that it is one
        if self.asks_catalog
            && let Expr::Subquery(query) = expr
        {
            match is_empty(query) {
                true => *expr = value(Value::Null),
                false => drop(aggregated(query, "max")),
            }
        }
        if let Some(other) = other_words(expr) {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

/// Other words for an expression whose parts have been reworded; None where it can stay.
fn other_words(expr: &mut Expr) -> Option<Expr> {
    match expr {
        Expr::AnyOp { left, compare_op, right, .. } if !matches!(**right, Expr::Subquery(_)) => match compare_op {
            BinaryOperator::Eq => Some(call(any::NAME, vec![left.as_ref().clone(), right.as_ref().clone()])),
            _ => {
                list_of_text(right);
                None
            }
        },
        Expr::AllOp { left, compare_op, right } if !matches!(**right, Expr::Subquery(_)) => match compare_op {
            BinaryOperator::NotEq => Some(Expr::UnaryOp {
                op: UnaryOperator::Not,
                expr: Box::new(call(any::NAME, vec![left.as_ref().clone(), right.as_ref().clone()])),
            }),
            _ => {
                list_of_text(right);
                None
            }
        },
        // the catalog's library has another name for = ANY
        Expr::Function(function) => {
            let name = function.name.0.last().and_then(|part| part.as_ident())?.value.to_lowercase();
            match (name.as_str(), &mut function.args) {
                (
                    "current_user" | "session_user" | "user" | "current_role" | "current_schema",
                    FunctionArguments::None,
                ) => Some(call(&name, vec![])),
                // an array of a query
                ("array", FunctionArguments::Subquery(query)) => {
                    aggregated(query, "array_agg").then(|| Expr::Subquery(query.clone()))
                }
                ("generate_subscripts", FunctionArguments::List(list)) => match list.args.first() {
                    Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(array))) => {
                        let length = call("array_length", vec![array.clone()]);
                        let one = value(Value::Number("1".into(), false));
                        let numbers = call("generate_series", vec![one, cast(length, DataType::BigInt(None))]);
                        Some(call("unnest", vec![numbers]))
                    }
                    _ => None,
                },
                ("current_catalog", FunctionArguments::None) => Some(call("current_database", vec![])),
                ("array_contains", FunctionArguments::List(list)) => match list.args.as_slice() {
                    [
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(array)),
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(item)),
                    ] => Some(call(any::NAME, vec![item.clone(), array.clone()])),
                    _ => None,
                },
                ("to_regclass", FunctionArguments::List(list)) => match list.args.as_slice() {
                    [FunctionArg::Unnamed(FunctionArgExpr::Expr(name))] => {
                        let name = match name {
                            Expr::Cast { expr, .. } => expr.as_ref().clone(),
                            name => name.clone(),
                        };
                        Some(cast(name, DataType::Regclass))
                    }
                    _ => None,
                },
                _ => None,
            }
        }
        Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("current_schema") => {
            Some(call("current_schema", vec![]))
        }
        Expr::AtTimeZone { timestamp, time_zone } => {
            Some(call("timezone", vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()]))
        }
        Expr::Cast { expr: inner, data_type, .. } => {
            if let Some(plain) = plain_type(data_type) {
                *data_type = plain;
            }
            if matches!(data_type, DataType::Array(_)) {
                list_of_text(inner);
            }
            if !is_text(data_type) {
                return None;
            }
            name_of_object(inner)
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            let Value::SingleQuotedString(escape) = &escape_char.as_ref()?.value else { return None };
            let (escape, text) = (escape.clone(), text_of(pattern));
            match (escape.as_str(), text) {
                ("\\", _) => {}
                (escape, Some(text)) => {
                    **pattern = value(Value::SingleQuotedString(escaped_by_backslash(&text, escape)));
                }
                (_, None) => {
                    let sign = value(Value::SingleQuotedString(escape.clone()));
                    **pattern = call(LIKE_PATTERN, vec![pattern.as_ref().clone(), sign]);
                }
            }
            *escape_char = None;
            None
        }
        _ => None,
    }
}

/// Tables of the catalog that have no rows here.
const EMPTY: &[&str] = &[
    "pg_attrdef",
    "pg_constraint",
    "pg_db_role_setting",
    "pg_enum",
    "pg_foreign_table",
    "pg_index",
    "pg_inherits",
    "pg_partitioned_table",
    "pg_policy",
    "pg_publication",
    "pg_sequence",
    "pg_statistic_ext",
    "pg_trigger",
];

/// True for a query of rows of a table that has none.
fn is_empty(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let counts = |item: &SelectItem| item.to_string().to_lowercase().starts_with("count(");
    let first = select.from.first().map(|from| from.relation.to_string().to_lowercase()).unwrap_or_default();
    let name = first.split(' ').next().unwrap_or_default().trim_start_matches("pg_catalog.");
    EMPTY.contains(&name) && !select.projection.iter().any(counts)
}

/// Makes one value of a query's only column by an aggregate; false where it is none of its rows' own.
fn aggregated(query: &mut Query, aggregate: &str) -> bool {
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    if grouped || select.having.is_some() || query.limit_clause.is_some() {
        return false;
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return false;
    };
    // an aggregate is one value already
    if let Expr::Function(function) = item
        && ["array_agg", "string_agg", "count", "min", "max", "sum", "avg", "bool_and", "bool_or"]
            .contains(&function.name.to_string().to_lowercase().as_str())
    {
        return aggregate != "array_agg";
    }
    let mut of_rows = call(aggregate, vec![item.clone()]);
    if let (Expr::Function(function), Some(order)) = (&mut of_rows, query.order_by.take())
        && let (FunctionArguments::List(list), OrderByKind::Expressions(by), "array_agg") =
            (&mut function.args, order.kind, aggregate)
    {
        // a place in the list of columns is that of the only one
        let by = by.into_iter().map(|mut by| {
            if matches!(&by.expr, Expr::Value(value) if matches!(value.value, Value::Number(..))) {
                by.expr = item.clone();
            }
            by
        });
        list.clauses.push(FunctionArgumentClause::OrderBy(by.collect()));
    }
    select.projection = vec![SelectItem::UnnamedExpr(of_rows)];
    select.distinct = None;
    true
}

/// `'{a,b}'` as `ARRAY['a', 'b']`, where an array is compared.
fn list_of_text(expr: &mut Expr) {
    let Some(items) = text_of(expr).and_then(|text| any::read(&text).ok()) else { return };
    let item = |item: Option<String>| value(item.map_or(Value::Null, Value::SingleQuotedString));
    *expr = Expr::Array(Array { elem: items.into_iter().map(item).collect(), named: true });
}

fn text_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.clone()),
            _ => None,
        },
        _ => None,
    }
}

/// The name of a number that is cast to a kind of object, or is a function's.
fn name_of_object(inner: &Expr) -> Option<Expr> {
    match inner {
        Expr::Cast { expr: number, data_type, .. } if text_of(number).is_none() && !is_parameter(number) => {
            let number = number.as_ref().clone();
            match last_word(data_type).as_str() {
                "regtype" => Some(call("format_type", vec![number, value(Value::Null)])),
                "regclass" => Some(call(REGCLASS_NAME, vec![number])),
                "regproc" | "regprocedure" => Some(call(REGPROC_NAME, vec![number])),
                _ => None,
            }
        }
        Expr::Identifier(name) => is_function(&name.value).then(|| call(REGPROC_NAME, vec![inner.clone()])),
        Expr::CompoundIdentifier(names) => {
            names.last().is_some_and(|name| is_function(&name.value)).then(|| call(REGPROC_NAME, vec![inner.clone()]))
        }
        _ => None,
    }
}

fn is_parameter(expr: &Expr) -> bool {
    matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)))
}

/// Columns of the catalog that hold functions.
fn is_function(column: &str) -> bool {
    let names = [
        "typinput",
        "typoutput",
        "typreceive",
        "typsend",
        "typmodin",
        "typmodout",
        "typanalyze",
        "typsubscript",
        "amhandler",
        "tgfoid",
        "rngcanonical",
        "rngsubdiff",
        "aggfnoid",
        "oprcode",
    ];
    names.contains(&column.to_lowercase().as_str())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Text | DataType::Varchar(_) | DataType::CharacterVarying(_))
        || last_word(data_type) == "text"
}

/// A type's name without its schema.
fn last_word(data_type: &DataType) -> String {
    let text = data_type.to_string().to_lowercase();
    text.rsplit('.').next().unwrap_or_default().trim_matches('"').to_string()
}

/// What stands for a type that the engine does not know.
fn plain_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, size)) => {
            let item = plain_type(item)?;
            Some(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(item), *size)))
        }
        DataType::JSON | DataType::JSONB | DataType::Uuid => Some(DataType::Text),
        DataType::Custom(..) => match last_word(data_type).as_str() {
            "name" | "char" | "bpchar" | "citext" | "json" | "jsonb" | "uuid" | "inet" | "cidr" | "macaddr" | "xml"
            | "aclitem" | "sql_identifier" | "character_data" | "yes_or_no" | "pg_node_tree" | "unknown"
            | "cstring" => Some(DataType::Text),
            "xid" | "cid" | "oid" | "cardinal_number" => Some(DataType::Integer(None)),
            "xid8" => Some(DataType::BigInt(None)),
            _ => None,
        },
        _ => None,
    }
}

fn value(value: Value) -> Expr {
    Expr::Value(value.with_empty_span())
}

fn cast(expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind: CastKind::Cast, expr: Box::new(expr), data_type, array: false, format: None }
}

fn call(name: &str, arguments: Vec<Expr>) -> Expr {
    let args = arguments.into_iter().map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// Comes between a name and the number that tells it from others alike, which no client is shown.
const APART: char = '\u{1f}';

/// A column's name as a client is shown it.
pub fn shown_name(name: &str) -> &str {
    name.split(APART).next().unwrap_or(name)
}

/// Gives the columns of the outermost SELECT the names that Postgres gives them, and tells apart those that are alike.
fn name_columns(query: &mut Query) {
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

fn name_items(select: &mut Select) {
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
fn column_name(expr: &Expr) -> (String, bool) {
    let own = |name: &str| (name.to_string(), false);
    match expr {
        Expr::Identifier(name) => (name.value.clone(), true),
        Expr::CompoundIdentifier(names) => (names.last().map(|name| name.value.clone()).unwrap_or_default(), true),
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn words(sql: &str) -> String {
        understood(sql).unwrap()[0].to_string()
    }

    #[test]
    fn other_words_for_the_same() {
        for (sql, expected) in [
            ("SELECT a FROM t WHERE a = ANY('{1,2}')", "SELECT a FROM t WHERE any_equal(a, '{1,2}')"),
            ("SELECT a FROM t WHERE a <> ALL($1)", "SELECT a FROM t WHERE NOT any_equal(a, $1)"),
            ("SELECT a FROM t WHERE a < ANY('{1,2}')", "SELECT a FROM t WHERE a < ANY(ARRAY['1', '2'])"),
            ("SELECT a FROM t WHERE a LIKE '10!%' ESCAPE '!'", "SELECT a FROM t WHERE a LIKE '10\\%'"),
            ("SELECT a FROM t WHERE a LIKE b ESCAPE '!'", "SELECT a FROM t WHERE a LIKE like_pattern(b, '!')"),
            (
                "SELECT ARRAY(SELECT b FROM u ORDER BY 1) AS b FROM t",
                "SELECT (SELECT array_agg(b ORDER BY b) FROM u) AS b FROM t",
            ),
            ("SELECT a FROM pg_stat_activity", "SELECT a FROM pg_catalog.pg_stat_activity"),
            ("SELECT a FROM t WHERE b = '{1,2}'::INT[]", "SELECT a FROM t WHERE b = ARRAY['1', '2']::INT[]"),
            ("SELECT a FROM t FETCH FIRST 3 ROWS ONLY", "SELECT a FROM t LIMIT 3"),
            ("SELECT a FROM t WHERE b = current_user", "SELECT a FROM t WHERE b = current_user()"),
            (
                "SELECT oid FROM pg_type WHERE typname::name = 'x'",
                "SELECT oid FROM pg_catalog.pg_type WHERE typname::TEXT = 'x'",
            ),
            ("SELECT t AT TIME ZONE 'Asia/Tokyo' AS t FROM x", "SELECT timezone('Asia/Tokyo', t) AS t FROM x"),
            (
                "SELECT oid FROM pg_type WHERE typreceive::text <> 'x' AND typelem::regtype::text = 'y'",
                "SELECT oid FROM pg_catalog.pg_type WHERE regproc_name(typreceive) <> 'x' AND format_type(typelem, NULL) = 'y'",
            ),
        ] {
            assert_eq!(words(sql), expected);
        }
    }

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
