//! Statements of Postgres clients in words that the engine understands.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, ArrayElemTypeDef, BinaryOperator, CastKind, DataType, Distinct, DuplicateTreatment, Expr,
    Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause, FunctionArgumentList, FunctionArguments,
    GroupByExpr, Ident, LimitClause, ObjectName, ObjectNamePart, OrderByKind, Query, Select, SelectItem, SetExpr,
    Statement as Sql, TableFactor, TimezoneInfo, UnaryOperator, Value, Visitor, VisitorMut, With,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_pg_catalog::sql::rules::{
    AliasDuplicatedProjectionRewrite, FixArrayLiteral, PrependUnqualifiedPgTableName, RemoveSubqueryFromProjection,
    ResolveUnqualifiedIdentifier, RewritePgCatalogOperator, RewriteRegCastToSubquery, SqlStatementRewriteRule,
    StripCallableQualifier, StripCollate,
};
use pgwire::api::Type;
use rejoin_instances::syntax::{change, walk};

use super::functions::{LIKE_PATTERN, REGCLASS_NUMBER, escaped_by_backslash};
use super::object_casts::{catalog_number, is_text, name_of_object, number_of, text_of, to_regclass};
use super::of_values::EXPANDED;
use super::relations::last;
use super::rows_in_result::rows_in_result;
use super::{layouts, relations, shown_names};
use crate::Result;
use crate::engine::Statement;
use crate::engine::column_names::last_word;
use crate::engine::written_calls::call;
use crate::serve::any;
use crate::serve::postgres::types::array_type;

/// What `ARRAY` is called between its rewordings where it is looked through.
const ROWS: &str = "array_of_rows";
/// Signs of a question to the catalog.
const SIGNS: &[&str] = &["pg_", "information_schema", "::reg", "as reg", "to_reg"];

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

/// The types that casts give the parameters of a statement, by their numbers, where the engine has no such type: `$1::uuid`,
/// `$2::oid[]`. Clients encode a value by the type that they get.
pub fn parameter_types(sql: &str) -> BTreeMap<usize, Type> {
    let mut casts = ParameterCasts::default();
    // what cannot be read has been refused before, or has no casts
    for statement in sql.contains('$').then(|| Statement::all(sql).ok()).flatten().into_iter().flatten() {
        if let Parsed::Statement(parsed) = statement.parsed() {
            // it never breaks off
            let _ = walk(parsed, &mut casts);
        }
    }
    casts.0
}

#[derive(Default)]
struct ParameterCasts(BTreeMap<usize, Type>);

impl Visitor for ParameterCasts {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr: inner, data_type, .. } = expr
            && let Expr::Value(value) = inner.as_ref()
            && let Value::Placeholder(name) = &value.value
            && let Some(number) = name.strip_prefix('$').and_then(|number| number.parse().ok())
            && let Some(pg) = type_of_clients(data_type)
        {
            self.0.entry(number).or_insert(pg);
        }
        ControlFlow::Continue(())
    }
}

/// A type that clients know and for which the engine takes another.
fn type_of_clients(data_type: &DataType) -> Option<Type> {
    Some(match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, _)) => array_type(&type_of_clients(item)?)?,
        DataType::Varchar(_) | DataType::CharacterVarying(_) | DataType::CharVarying(_) => Type::VARCHAR,
        DataType::Char(_) | DataType::Character(_) => Type::BPCHAR,
        DataType::JSON => Type::JSON,
        DataType::JSONB => Type::JSONB,
        DataType::Uuid => Type::UUID,
        DataType::Custom(..) => match last_word(data_type).as_str() {
            "name" => Type::NAME,
            "oid" => Type::OID,
            _ => return None,
        },
        _ => return None,
    })
}

/// The statements of a text, as the engine understands them.
pub fn understood(sql: &str) -> Result<Vec<Statement>> {
    let text = sql.to_lowercase();
    let asks_catalog = SIGNS.iter().any(|sign| text.contains(sign));
    let parsed = Statement::asked(sql)?;
    parsed.into_iter().map(|statement| statement.reworded(|sql| reworded(sql, asks_catalog))).collect()
}

fn reworded(mut sql: Sql, asks_catalog: bool) -> Sql {
    if asks_catalog {
        shown_names::show(&mut sql);
    }
    let mut rewording = Rewording { asks_catalog, computes_relations: false };
    // it never breaks off
    let _ = change(&mut sql, &mut rewording);
    if asks_catalog {
        sql = RULES.iter().fold(sql, |sql, rule| rule.rewrite(sql));
    }
    if rewording.computes_relations
        && let Sql::Query(query) = &mut sql
    {
        read_catalog(query);
    }
    sql
}

/// A table that says what relations there are to whoever plans a statement that reads it. It has no rows to be made.
static CATALOG_READ: LazyLock<Option<With>> = LazyLock::new(|| {
    let sql = "WITH \"\u{1f}relations\" AS (SELECT 1 FROM pg_catalog.pg_index) SELECT 1";
    match Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?.pop()? {
        Sql::Query(query) => query.with,
        _ => None,
    }
});

/// Lets the catalog be read when a query is planned, whose functions then know the names of relations. Nothing of it is computed.
fn read_catalog(query: &mut Query) {
    let Some(read) = CATALOG_READ.clone() else { return };
    match &mut query.with {
        Some(with) => {
            let missing = read.cte_tables.into_iter().filter(|table| !with.cte_tables.contains(table));
            let missing: Vec<_> = missing.collect();
            with.cte_tables.extend(missing);
        }
        none => *none = Some(read),
    }
}

struct Rewording {
    asks_catalog: bool,
    /// A relation is looked for by a name that is computed.
    computes_relations: bool,
}

impl VisitorMut for Rewording {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if self.asks_catalog {
            relations::settle(select);
        }
        relations::exists_as_value(select);
        rows_in_result(select);
        relations::among_in_result(select);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        if self.asks_catalog {
            relations::keep_computable(select);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if self.asks_catalog {
            relations::function_in_from(factor);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if self.asks_catalog {
            relations::without_vacant_branches(query);
        }
        relations::name_branches(&mut query.body, true);
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

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let among = match &*expr {
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => among_rows(left, right, false),
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => among_rows(left, right, true),
            _ => None,
        };
        if let Some(among) = among {
            *expr = among;
        }
        if self.asks_catalog
            && let Expr::Subquery(query) = expr
            && let Some(first) = relations::first_domain(query)
        {
            **query = first;
        }
        // an array of a query without rows
        if self.asks_catalog
            && let Expr::Function(function) = &*expr
            && ["array", ROWS].contains(&last(&function.name).as_str())
            && matches!(&function.args, FunctionArguments::Subquery(query) if relations::is_vacant(query))
        {
            let text = ArrayElemTypeDef::SquareBracket(Box::new(DataType::Text), None);
            *expr = cast(Expr::Array(Array { elem: vec![], named: true }), DataType::Array(text));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // a query of one value that depends on the row: the engine wants to see that it is one
        if self.asks_catalog
            && let Expr::Subquery(query) = expr
        {
            let is_nothing = relations::is_vacant(query) || relations::sums_up_nothing(query);
            match (is_nothing, relations::value_around(query)) {
                (true, _) => *expr = value(Value::Null),
                (false, Some(value)) => *expr = value,
                (false, None) => drop(aggregated(query, "max")),
            }
        }
        // an array of no rows is one without items
        let is_array = !self.asks_catalog && is_array_of_query(expr);
        if let Some(other) = other_words(expr) {
            *expr = match is_array {
                true => call("array_concat", vec![other, call("make_array", vec![])]),
                false => other,
            };
        }
        if let Expr::Function(function) = &*expr {
            self.computes_relations |= matches!(last(&function.name).as_str(), REGCLASS_NUMBER | "to_regclass");
        }
        ControlFlow::Continue(())
    }
}

/// Whether a value is one of the rows of a query, or of an array of them, or is none of them; None where there is no query.
fn among_rows(value: &Expr, rows: &Expr, negated: bool) -> Option<Expr> {
    match rows {
        Expr::Subquery(query) => {
            Some(Expr::InSubquery { expr: Box::new(value.clone()), subquery: query.clone(), negated })
        }
        rows if is_array_of_query(rows) => {
            let of_rows = Expr::Value(Value::Boolean(true).with_empty_span());
            let equal = call(any::NAME, vec![value.clone(), looked_through(rows), of_rows]);
            Some(match negated {
                true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(equal) },
                false => equal,
            })
        }
        _ => None,
    }
}

/// `ARRAY(query)` that is looked through: without rows it is NULL, which says so.
fn looked_through(rows: &Expr) -> Expr {
    match rows {
        Expr::Nested(inner) => looked_through(inner),
        Expr::Function(function) => {
            let name = ObjectName::from(vec![Ident::new(ROWS)]);
            Expr::Function(Function { name, ..function.clone() })
        }
        other => other.clone(),
    }
}

/// True for `ARRAY(query)`.
fn is_array_of_query(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_array_of_query(inner),
        Expr::Function(function) => {
            function.name.to_string().eq_ignore_ascii_case("array")
                && matches!(function.args, FunctionArguments::Subquery(_))
        }
        _ => false,
    }
}

/// Other words for an expression whose parts have been reworded; None where it can stay.
fn other_words(expr: &mut Expr) -> Option<Expr> {
    if let Expr::Like { any: true, pattern, .. } | Expr::ILike { any: true, pattern, .. } = &*expr {
        return like_one(expr, listed(pattern)?);
    }
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
            if let Some((_, known)) = RENAMED.iter().find(|(postgres, _)| *postgres == name) {
                function.name = ObjectName::from(vec![Ident::new(*known)]);
                return None;
            }
            if name == EXPANDED {
                // a row an item, with its number
                let mut rows = function.clone();
                rows.name = ObjectName::from(vec![Ident::new(EXPANDED)]);
                return Some(call("unnest", vec![Expr::Function(rows)]));
            }
            match (name.as_str(), &mut function.args) {
                (
                    "current_user" | "session_user" | "user" | "current_role" | "current_schema",
                    FunctionArguments::None,
                ) => Some(call(&name, vec![])),
                // an array of a query
                ("array" | ROWS, FunctionArguments::Subquery(query)) => {
                    (aggregated(query, "array_agg") || collected(query)).then(|| Expr::Subquery(query.clone()))
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
                ("localtimestamp" | "localtime", FunctionArguments::None) => clock_here(&name),
                ("array_contains", FunctionArguments::List(list)) => match list.args.as_slice() {
                    [
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(array)),
                        FunctionArg::Unnamed(FunctionArgExpr::Expr(item)),
                    ] => Some(call(any::NAME, vec![item.clone(), array.clone()])),
                    _ => None,
                },
                ("to_regclass", FunctionArguments::List(list)) => to_regclass(list),
                (_, FunctionArguments::List(list)) => renamed(&name, list),
                _ => None,
            }
        }
        Expr::Identifier(name) if name.quote_style.is_none() => match name.value.to_lowercase().as_str() {
            known @ ("current_schema" | "current_role") => Some(call(known, vec![])),
            other => clock_here(other),
        },
        // a field of a row that a function gives
        Expr::CompoundFieldAccess { root, access_chain } => match (root.as_ref(), access_chain.as_slice()) {
            (Expr::Nested(inner), [AccessExpr::Dot(Expr::Identifier(field))]) => {
                let field = value(Value::SingleQuotedString(field.value.clone()));
                Some(call("get_field", vec![inner.as_ref().clone(), field]))
            }
            _ => None,
        },
        Expr::AtTimeZone { timestamp, time_zone } => {
            Some(call("timezone", vec![time_zone.as_ref().clone(), timestamp.as_ref().clone()]))
        }
        Expr::Cast { expr: inner, data_type, .. } => {
            // the catalog's own tables have the numbers that clients know
            if last_word(data_type) == "regclass"
                && let Some(number) = catalog_number(inner)
            {
                **inner = number;
            }
            if let Some(number) = number_of(inner, data_type) {
                return Some(number);
            }
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

/// `a LIKE ANY (ARRAY['x%', 'y%'])` as one condition for each pattern.
fn like_one(like: &Expr, patterns: Vec<Expr>) -> Option<Expr> {
    let one = |of: Expr| {
        let mut one = like.clone();
        if let Expr::Like { any, pattern, .. } | Expr::ILike { any, pattern, .. } = &mut one {
            *any = false;
            **pattern = of;
        }
        one
    };
    let or = |left: Expr, right: Expr| {
        let (left, right) = (Box::new(left), Box::new(right));
        Expr::BinaryOp { left, op: BinaryOperator::Or, right }
    };
    Some(Expr::Nested(Box::new(patterns.into_iter().map(one).reduce(or)?)))
}

/// The items of an array that is written out.
fn listed(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Nested(inner) => listed(inner),
        Expr::Array(array) => Some(array.elem.clone()),
        Expr::Tuple(items) => Some(items.clone()),
        _ => None,
    }
}

/// `localtimestamp`, `localtime`: what a clock of the session's zone shows now.
fn clock_here(name: &str) -> Option<Expr> {
    let data_type = match name {
        "localtimestamp" => DataType::Timestamp(None, TimezoneInfo::None),
        "localtime" => DataType::Time(None, TimezoneInfo::None),
        _ => return None,
    };
    Some(cast(call("now", vec![]), data_type))
}

/// Functions that the engine has under another name.
const RENAMED: &[(&str, &str)] = &[
    ("ceiling", "ceil"),
    ("sign", "signum"),
    ("every", "bool_and"),
    ("variance", "var_samp"),
    ("array_remove", "array_remove_all"),
    ("array_replace", "array_replace_all"),
    ("gen_random_uuid", "uuid"),
    ("transaction_timestamp", "now"),
    ("statement_timestamp", "now"),
    ("clock_timestamp", "now"),
];

/// What a clock of the session's zone shows.
fn as_clock(time: Expr) -> Expr {
    cast(time, DataType::Timestamp(None, TimezoneInfo::None))
}

/// A call in the engine's words; None where it can stay.
fn renamed(name: &str, list: &FunctionArgumentList) -> Option<Expr> {
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let arguments: Vec<Expr> = list.args.iter().map(argument).collect::<Option<_>>()?;
    match (name, arguments.as_slice()) {
        // of a number of a transaction; none is kept here, so that all are long ago
        ("age", [Expr::Value(number)]) if matches!(number.value, Value::Number(..)) => Some(longest_ago()),
        ("age", [Expr::Cast { data_type: DataType::Integer(_), .. }]) => Some(longest_ago()),
        ("age", [earlier]) => {
            let today = call("current_date", vec![]);
            Some(call("age", vec![as_clock(today), as_clock(earlier.clone())]))
        }
        ("age", [later, earlier]) => Some(call("age", vec![as_clock(later.clone()), as_clock(earlier.clone())])),
        ("date", [time]) => Some(cast(time.clone(), DataType::Date)),
        ("mod", [left, right]) => {
            let [left, right] = [left, right].map(|side| Box::new(Expr::Nested(Box::new(side.clone()))));
            Some(Expr::Nested(Box::new(Expr::BinaryOp { left, op: BinaryOperator::Modulo, right })))
        }
        ("to_date" | "to_timestamp", [text, pattern]) => {
            let pattern = strptime(&text_of(pattern)?)?;
            Some(call(name, vec![text.clone(), value(Value::SingleQuotedString(pattern))]))
        }
        _ => None,
    }
}

/// The age of a transaction that is older than all others.
fn longest_ago() -> Expr {
    value(Value::Number(i32::MAX.to_string(), false))
}

/// Parts of Postgres' patterns of times, and what strptime calls them; the longer of two that begin alike comes first.
const PATTERNS: &[(&str, &str)] = &[
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("MONTH", "%B"),
    ("MON", "%b"),
    ("MM", "%m"),
    ("MI", "%M"),
    ("MS", "%3f"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("HH", "%I"),
    ("SS", "%S"),
    ("US", "%6f"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("FM", ""),
];

/// A pattern of Postgres in strptime's words; None for one in these words, or with parts that are not known here.
fn strptime(pattern: &str) -> Option<String> {
    let (mut out, mut rest) = (String::new(), pattern);
    while let Some(sign) = rest.chars().next() {
        let part = |(known, _): &&(&str, &str)| rest.get(..known.len()).is_some_and(|r| r.eq_ignore_ascii_case(known));
        if let Some((known, written)) = PATTERNS.iter().find(part) {
            out.push_str(written);
            rest = &rest[known.len()..];
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (text, after) = quoted.split_once('"')?;
            out.push_str(&text.replace('%', "%%"));
            rest = after;
        } else if sign.is_alphanumeric() || sign == '%' {
            return None;
        } else {
            out.push(sign);
            rest = &rest[sign.len_utf8()..];
        }
    }
    Some(out)
}

/// The array of the rows of a query that has groups or a LIMIT, or is a union.
static COLLECTED: LazyLock<Option<Query>> = LazyLock::new(|| {
    let sql = "SELECT array_agg(collected.item) FROM (SELECT 1) AS collected (item)";
    match Parser::parse_sql(&PostgreSqlDialect {}, sql).ok()?.pop()? {
        Sql::Query(query) => Some(*query),
        _ => None,
    }
});

/// Makes one array of the rows of such a query; false where they are in an order that would be lost.
fn collected(query: &mut Query) -> bool {
    if query.order_by.is_some() && query.limit_clause.is_none() {
        return false;
    }
    let Some(mut array) = COLLECTED.clone() else { return false };
    let SetExpr::Select(select) = array.body.as_mut() else { return false };
    let Some(TableFactor::Derived { subquery, .. }) = select.from.first_mut().map(|from| &mut from.relation) else {
        return false;
    };
    std::mem::swap(subquery.as_mut(), query);
    *query = array;
    true
}

/// Makes one value of a query's only column by an aggregate; false where it is none of its rows' own.
fn aggregated(query: &mut Query, aggregate: &str) -> bool {
    let SetExpr::Select(select) = query.body.as_mut() else { return false };
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty());
    let one_row = aggregate == "max" && query.limit_clause.as_ref().is_some_and(takes_a_row);
    if grouped || select.having.is_some() || query.limit_clause.is_some() && !one_row {
        return false;
    }
    let [SelectItem::UnnamedExpr(item) | SelectItem::ExprWithAlias { expr: item, .. }] = select.projection.as_slice()
    else {
        return false;
    };
    // of a LIMIT nothing is left where there is one value
    query.limit_clause = None;
    let aggregate = if one_row && query.order_by.is_some() { "first_value" } else { aggregate };
    // the items of one list are that list
    if let Some(list) = relations::only_list(item)
        && aggregate == "array_agg"
        && select.from.is_empty()
        && select.selection.is_none()
        && query.order_by.is_none()
    {
        select.projection = vec![SelectItem::UnnamedExpr(list)];
        return true;
    }
    // an aggregate is one value already
    if relations::is_aggregated(item) {
        return aggregate != "array_agg";
    }
    let mut of_rows = call(aggregate, vec![item.clone()]);
    if let Expr::Function(function) = &mut of_rows
        && let FunctionArguments::List(list) = &mut function.args
        && matches!(select.distinct, Some(Distinct::Distinct))
    {
        list.duplicate_treatment = Some(DuplicateTreatment::Distinct);
    }
    if let (Expr::Function(function), Some(order)) = (&mut of_rows, query.order_by.take())
        && let (FunctionArguments::List(list), OrderByKind::Expressions(by), "array_agg" | "first_value") =
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

/// True for a LIMIT of a number of rows, from the first one on.
fn takes_a_row(limit: &LimitClause) -> bool {
    let LimitClause::LimitOffset { limit: Some(Expr::Value(rows)), offset: None, limit_by } = limit else {
        return false;
    };
    limit_by.is_empty() && matches!(&rows.value, Value::Number(number, _) if number != "0")
}

/// `'{a,b}'` as `ARRAY['a', 'b']`, where an array is compared.
fn list_of_text(expr: &mut Expr) {
    let Some(items) = text_of(expr).and_then(|text| any::read(&text).ok()) else { return };
    let item = |item: Option<String>| value(item.map_or(Value::Null, Value::SingleQuotedString));
    *expr = Expr::Array(Array { elem: items.into_iter().map(item).collect(), named: true });
}

/// What stands for a type that the engine does not know.
fn plain_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Array(ArrayElemTypeDef::SquareBracket(item, size)) => {
            let item = plain_type(item)?;
            Some(DataType::Array(ArrayElemTypeDef::SquareBracket(Box::new(item), *size)))
        }
        DataType::JSON | DataType::JSONB | DataType::Uuid => Some(DataType::Text),
        DataType::CharacterVarying(_) | DataType::CharVarying(_) | DataType::Character(_) => Some(DataType::Text),
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

#[cfg(test)]
mod tests;
