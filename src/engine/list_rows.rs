//! Functions that give the items of a list as rows, where they stand in a FROM as PostgreSQL has them:
//! `LATERAL unnest(t.list) WITH ORDINALITY AS u(item, n)`, `generate_series(1, t.n) AS i`, `string_to_table(t.words, ',')`.
//!
//! They become an UNNEST, which may look at the relations before it; of WITH ORDINALITY, a second list of numbers beside the first,
//! of `json_each` a list of keys beside one of values. The column of `json_array_elements(...) AS e` is `value`, and `e` is the same: it is called
//! as the SELECT calls it.
//! `generate_series` of constants stays a table function, which holds no list; its column is called as PostgreSQL calls it. Its step
//! may be a text: an interval. A `LATERAL (VALUES ...)` is such lists, too. `range`, which is not PostgreSQL's, keeps its column `value`.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Interval, ObjectName,
    Query, Select, SetExpr, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins, TypedString, Value,
    VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change, change_outside_queries};

use super::written_calls::call;
use crate::functions::{EACH_KEY, EACH_ROW, EACH_TEXT, EACH_TEXT_ROW, EACH_VALUE, SPLIT_SIGN, SPLIT_TEXT};

/// Functions that count.
const SERIES: &str = "generate_series";
const RANGE: &str = "range";
/// Rows that are written out.
const VALUES: &str = "values";
/// Functions whose only column is called `value`.
const ELEMENTS: [&str; 4] =
    ["json_array_elements", "json_array_elements_text", "jsonb_array_elements", "jsonb_array_elements_text"];

/// Writes the functions of a statement, or of a part of one, as UNNEST.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // it never breaks off
    let _ = change(part, &mut ListRowRewriter::default());
}

/// The list whose items a function gives as rows in the result of a SELECT of PostgreSQL's; None for any other. A row of several
/// columns is one value there, unless `column` says which of them is meant.
pub fn list_in_result(function: &Function, column: Option<&Ident>) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let name = last(&function.name);
    let row = match name.as_str() {
        "json_each" | "jsonb_each" => Some((EACH_VALUE, EACH_ROW)),
        "json_each_text" | "jsonb_each_text" => Some((EACH_TEXT, EACH_TEXT_ROW)),
        _ => None,
    };
    if let Some((value, row)) = row {
        let part = match column.map(|column| column.value.to_lowercase()).as_deref() {
            None => row,
            Some("key") => EACH_KEY,
            Some("value") => value,
            Some(_) => return None,
        };
        return Some(call(part, expressions(&list.args)?));
    }
    if column.is_some() {
        return None;
    }
    let lists = lists_of(&name, &list.args).filter(|_| name != "unnest" && name != RANGE)?;
    <[Expr; 1]>::try_from(lists).ok().map(|[list]| list)
}

#[derive(Default)]
struct ListRowRewriter {
    /// What the SELECTs around name by one word, each, where that matters.
    bare: Vec<BTreeSet<String>>,
}

/// Collects what is named by one word.
#[derive(Default)]
struct BareNames(BTreeSet<String>);

impl VisitorMut for BareNames {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr {
            self.0.insert(name.value.to_lowercase());
        }
        ControlFlow::Continue(())
    }
}

/// True for a SELECT whose FROM has functions of ELEMENTS.
fn has_elements(select: &Select) -> bool {
    let joined = |from: &TableWithJoins| from.joins.iter().any(|join| is_of_elements(&join.relation));
    select.from.iter().any(|from| is_of_elements(&from.relation) || joined(from))
}

fn is_of_elements(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Function { name, .. } | TableFactor::Table { name, args: Some(_), .. } => {
            ELEMENTS.contains(&last(name).as_str())
        }
        _ => false,
    }
}

impl VisitorMut for ListRowRewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut names = BareNames::default();
        if has_elements(select) {
            // it never breaks off
            let _ = change(select, &mut names);
        }
        self.bare.push(names.0);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, _: &mut Select) -> ControlFlow<()> {
        self.bare.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(args), .. } = factor
            && [SERIES, RANGE].contains(&last(name).as_str())
        {
            step_as_interval(&mut args.args);
            ends_as_times(&mut args.args);
            args.args.iter_mut().for_each(count_nanoseconds);
        }
        let is_named = |name: &Ident| self.bare.last().is_some_and(|bare| bare.contains(&name.value.to_lowercase()));
        match as_unnest(factor, &is_named) {
            Some(unnest) => *factor = unnest,
            None => name_series(factor),
        }
        if let TableFactor::UNNEST { array_exprs, .. } = factor {
            array_exprs.iter_mut().for_each(look_at_the_row);
        }
        // the only column is called as the items are
        if let TableFactor::UNNEST { alias: Some(alias), array_exprs, with_offset: false, .. } = factor
            && array_exprs.len() == 1
            && alias.columns.is_empty()
        {
            alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr
            && last(name) == SERIES
        {
            step_as_interval(&mut list.args);
            ends_as_times(&mut list.args);
        }
        let split = match &*expr {
            Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) if last(name) == SPLIT_TEXT => {
                expressions(&list.args).and_then(|arguments| split(&arguments))
            }
            _ => None,
        };
        if let Some(split) = split {
            *expr = split;
        }
        ControlFlow::Continue(())
    }
}

/// Lets the times in an argument count nanoseconds: a table function of DataFusion's takes no others.
fn count_nanoseconds(argument: &mut FunctionArg) {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else { return };
    change_outside_queries(argument, &mut |part| {
        if let Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. }) = part
            && let DataType::Timestamp(places, _) = data_type
        {
            *places = Some(9);
        }
    });
}

/// Calls the column of a series as it, or its function, is called.
fn name_series(factor: &mut TableFactor) {
    if let TableFactor::Table { name, args: Some(_), alias, .. } = factor
        && last(name) == SERIES
    {
        let alias = alias.get_or_insert_with(|| named(Ident::new(SERIES)));
        if alias.columns.is_empty() {
            alias.columns.push(TableAliasColumnDef { name: alias.name.clone(), data_type: None });
        }
    }
}

fn named(name: Ident) -> TableAlias {
    TableAlias { explicit: true, name, columns: vec![], at: None }
}

/// Writes a list of more than constants as a call: DataFusion reads the items of one that stands in brackets without the relations
/// before it.
fn look_at_the_row(list: &mut Expr) {
    if let Expr::Array(array) = list
        && array.elem.iter().any(|item| !matches!(item, Expr::Value(_)))
    {
        let mut items = std::mem::take(&mut array.elem);
        items.iter_mut().for_each(look_at_the_row);
        *list = call("make_array", items);
    }
}

/// The last word of a name, in lower case.
fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).unwrap_or_default()
}

/// A step that is written as a text.
fn step_as_interval(arguments: &mut [FunctionArg]) {
    let [_, _, FunctionArg::Unnamed(FunctionArgExpr::Expr(step))] = arguments else { return };
    let is_text = |value: &Value| matches!(value, Value::SingleQuotedString(text) if text.parse::<f64>().is_err());
    if matches!(step, Expr::Value(value) if is_text(&value.value)) {
        *step = Expr::Interval(Interval {
            value: Box::new(step.clone()),
            leading_field: None,
            leading_precision: None,
            last_field: None,
            fractional_seconds_precision: None,
        });
    }
}

/// An end that is written as a text where the other one says of which type it is: `generate_series('2026-01-01'::date, '2026-12-31', '1 month')`.
fn ends_as_times(arguments: &mut [FunctionArg]) {
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(from)), FunctionArg::Unnamed(FunctionArgExpr::Expr(to)), ..] =
        arguments
    else {
        return;
    };
    let (of_from, of_to) = (type_of_time(from), type_of_time(to));
    for (end, data_type) in [(from, of_to), (to, of_from)] {
        if matches!(&*end, Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)))
            && let Some(data_type) = data_type
        {
            let (kind, expr) = (CastKind::Cast, Box::new(end.clone()));
            *end = Expr::Cast { kind, expr, data_type, array: false, format: None };
        }
    }
}

/// The type of a day or time, where it is written there.
fn type_of_time(expr: &Expr) -> Option<DataType> {
    match expr {
        Expr::Nested(inner) => type_of_time(inner),
        Expr::Cast { data_type, .. } | Expr::TypedString(TypedString { data_type, .. })
            if matches!(data_type, DataType::Date | DataType::Timestamp(..)) =>
        {
            Some(data_type.clone())
        }
        _ => None,
    }
}

/// The same rows as an UNNEST; None where the factor can stay as it is. `is_named` says what is named by one word around it.
fn as_unnest(factor: &TableFactor, is_named: &dyn Fn(&Ident) -> bool) -> Option<TableFactor> {
    let (function, lists, numbered, alias) = match factor {
        TableFactor::UNNEST { array_exprs, with_offset: false, with_ordinality: true, alias, .. } => {
            let [list] = array_exprs.as_slice() else { return None };
            ("unnest".to_string(), vec![list.clone()], true, alias)
        }
        TableFactor::Function { lateral: true, name, args, with_ordinality, alias } => {
            (last(name), lists_of(&last(name), args)?, *with_ordinality, alias)
        }
        TableFactor::Table { name, args: Some(args), with_ordinality, alias, .. } => {
            let function = last(name);
            let stays = function == RANGE || function == SERIES && args.args.iter().all(is_constant);
            if stays && !with_ordinality {
                return None;
            }
            (function.clone(), lists_of(&function, &args.args)?, *with_ordinality, alias)
        }
        TableFactor::Derived { lateral: true, subquery, alias, .. } => {
            (VALUES.to_string(), columns_of_values(subquery)?, false, alias)
        }
        _ => return None,
    };
    // of several lists the longest says how many rows there are, and their columns have no names of their own
    let is_unclear = numbered || alias.as_ref().is_none_or(|alias| alias.columns.len() < lists.len());
    if function == "unnest" && lists.len() > 1 && is_unclear {
        return None;
    }
    let mut array_exprs = lists;
    array_exprs.iter_mut().for_each(look_at_the_row);
    let columns = array_exprs.len();
    if let Some(list) = array_exprs.first().filter(|_| numbered) {
        let kind = CastKind::Cast;
        let count = Box::new(call("cardinality", vec![list.clone()]));
        let count = Expr::Cast { kind, expr: count, data_type: DataType::BigInt(None), array: false, format: None };
        let one = Expr::Value(Value::Number("1".into(), false).with_empty_span());
        array_exprs.push(call(SERIES, vec![one, count]));
    }
    let mut alias = alias.clone().unwrap_or_else(|| named(Ident::new(&function)));
    let is_value = function == RANGE || ELEMENTS.contains(&function.as_str()) && !is_named(&alias.name);
    let mut own = match columns {
        _ if function == VALUES => (1..=columns).map(|place| Ident::new(format!("column{place}"))).collect(),
        1 if is_value => vec![Ident::new("value")],
        1 => vec![alias.name.clone()],
        _ => vec![Ident::new("key"), Ident::new("value")],
    };
    own.push(Ident::new("ordinality"));
    for name in own.into_iter().take(array_exprs.len()).skip(alias.columns.len()) {
        alias.columns.push(TableAliasColumnDef { name, data_type: None });
    }
    Some(TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: false,
    })
}

/// The columns of rows that are written out, a list each: a `VALUES` may look at the row before it by that. None for another query.
fn columns_of_values(query: &Query) -> Option<Vec<Expr>> {
    let Query { with: None, order_by: None, limit_clause: None, fetch: None, body, .. } = query else { return None };
    let SetExpr::Values(values) = body.as_ref() else { return None };
    let width = values.rows.first()?.len();
    if values.rows.iter().any(|row| row.len() != width) {
        return None;
    }
    let column = |place: usize| call("make_array", values.rows.iter().map(|row| row[place].clone()).collect());
    Some((0..width).map(column).collect())
}

/// The lists whose items a function gives, a column each.
fn lists_of(function: &str, arguments: &[FunctionArg]) -> Option<Vec<Expr>> {
    let arguments = expressions(arguments)?;
    let list = match (function, arguments.as_slice()) {
        ("unnest", lists @ [_, _, ..]) => return Some(lists.to_vec()),
        ("unnest", [list]) => list.clone(),
        (SERIES, [_, _] | [_, _, _]) | (RANGE, [_] | [_, _] | [_, _, _]) => call(function, arguments),
        ("string_to_table", [_, _] | [_, _, _]) => call("string_to_array", arguments),
        ("regexp_split_to_table", arguments) => split(arguments)?,
        ("regexp_matches", [_, _] | [_, _, _]) => call(function, arguments),
        ("json_object_keys" | "jsonb_object_keys", [_]) => call(EACH_KEY, arguments),
        ("json_each" | "jsonb_each", [object]) => {
            return Some([EACH_KEY, EACH_VALUE].map(|part| call(part, vec![object.clone()])).to_vec());
        }
        ("json_each_text" | "jsonb_each_text", [object]) => {
            return Some([EACH_KEY, EACH_TEXT].map(|part| call(part, vec![object.clone()])).to_vec());
        }
        (elements, [_]) if ELEMENTS.contains(&elements) => call(elements, arguments),
        _ => return None,
    };
    Some(vec![list])
}

/// Arguments that are expressions; None where one is not.
fn expressions(arguments: &[FunctionArg]) -> Option<Vec<Expr>> {
    let expression = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    arguments.iter().map(expression).collect()
}

/// The array of a text that is split where a pattern is found.
fn split(arguments: &[Expr]) -> Option<Expr> {
    let (text, pattern, flags) = match arguments {
        [text, pattern] => (text, pattern, written("g")),
        [text, pattern, flags] => (text, pattern, call("concat", vec![flags.clone(), written("g")])),
        _ => return None,
    };
    let apart = written(&SPLIT_SIGN.to_string());
    let replaced = call("regexp_replace", vec![text.clone(), pattern.clone(), apart, flags]);
    Some(call(SPLIT_TEXT, vec![replaced]))
}

/// A text in the statement.
fn written(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_string()).with_empty_span())
}

/// True for what is known before any row is.
fn is_constant(argument: &FunctionArg) -> bool {
    fn is_known(expr: &Expr) -> bool {
        match expr {
            Expr::Value(_) | Expr::TypedString(_) | Expr::Interval(_) => true,
            Expr::UnaryOp { expr, .. } | Expr::Cast { expr, .. } | Expr::Nested(expr) => is_known(expr),
            _ => false,
        }
    }
    matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) if is_known(expr))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn settled(sql: &str) -> String {
        let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        rewrite(&mut parsed);
        // a table's alias is written as it was
        parsed.to_string().replace(" AS ", " ").to_lowercase()
    }

    #[test]
    fn functions_become_unnest() {
        for (sql, expected) in [
            ("SELECT x FROM t CROSS JOIN LATERAL unnest(t.l) AS x", "select x from t cross join unnest(t.l) x (x)"),
            (
                "SELECT * FROM t, unnest(t.l) WITH ORDINALITY AS u(x, n)",
                "select * from t, unnest(t.l, generate_series(1, cast(cardinality(t.l) bigint))) u (x, n)",
            ),
            (
                "SELECT * FROM t LEFT JOIN LATERAL unnest(t.l) WITH ORDINALITY u ON true",
                "select * from t left join unnest(t.l, generate_series(1, cast(cardinality(t.l) bigint))) u (u, ordinality) on true",
            ),
            ("SELECT i FROM t, generate_series(1, t.n) i", "select i from t, unnest(generate_series(1, t.n)) i (i)"),
            (
                "SELECT string_to_table FROM t, LATERAL string_to_table(t.w, ',')",
                "select string_to_table from t, unnest(string_to_array(t.w, ',')) string_to_table (string_to_table)",
            ),
            ("SELECT x FROM unnest(a) x", "select x from unnest(a) x (x)"),
            (
                "SELECT e.key, e.value FROM t, json_each(t.j) e",
                "select e.key, e.value from t, unnest(json_each_key(t.j), json_each_value(t.j)) e (key, value)",
            ),
            (
                "SELECT k, v FROM t CROSS JOIN LATERAL jsonb_each_text(t.j) AS e(k, v)",
                "select k, v from t cross join unnest(json_each_key(t.j), json_each_value_text(t.j)) e (k, v)",
            ),
            (
                "SELECT k, v FROM t CROSS JOIN LATERAL (VALUES ('a', t.a), ('b', t.b)) AS u(k, v)",
                "select k, v from t cross join unnest(make_array('a', 'b'), make_array(t.a, t.b)) u (k, v)",
            ),
            (
                "SELECT u.* FROM t, LATERAL (VALUES (t.a), (t.b)) AS u",
                "select u.* from t, unnest(make_array(t.a, t.b)) u (column1)",
            ),
            (
                "SELECT k, v FROM t CROSS JOIN LATERAL unnest(t.l, t.m) AS u(k, v)",
                "select k, v from t cross join unnest(t.l, t.m) u (k, v)",
            ),
            // one column of two names
            (
                "SELECT e ->> 'a' FROM t, json_array_elements(t.j) e",
                "select e ->> 'a' from t, unnest(json_array_elements(t.j)) e (e)",
            ),
            (
                "SELECT e.value FROM t, json_array_elements(t.j) e",
                "select e.value from t, unnest(json_array_elements(t.j)) e (value)",
            ),
            (
                "SELECT m[1] FROM t, regexp_matches(t.a, 'x', 'g') m",
                "select m[1] from t, unnest(regexp_matches(t.a, 'x', 'g')) m (m)",
            ),
            ("SELECT k FROM json_object_keys(j) k", "select k from unnest(json_each_key(j)) k (k)"),
            (
                "SELECT regexp_split_to_array(a, 'x')",
                "select regexp_split_to_array(regexp_replace(a, 'x', '\u{1f}', 'g'))",
            ),
            // what is a constant is no list
            (
                "SELECT * FROM generate_series(1, -3::int)",
                "select * from generate_series(1, -3::int) generate_series (generate_series)",
            ),
            (
                "SELECT d FROM generate_series(TIMESTAMP '2026-01-01', '2026-01-02'::TIMESTAMP, '1 hour') d",
                "select d from generate_series(timestamp(9) '2026-01-01', '2026-01-02'::timestamp(9), interval '1 hour') d (d)",
            ),
            (
                "SELECT d FROM generate_series('2026-01-01'::date, '2026-03-01', '1 month') d",
                "select d from generate_series('2026-01-01'::date, cast('2026-03-01' date), interval '1 month') d (d)",
            ),
            ("SELECT d FROM generate_series(1, 3) d", "select d from generate_series(1, 3) d (d)"),
            ("SELECT d.n FROM generate_series(1, 3) d(n)", "select d.n from generate_series(1, 3) d (n)"),
            ("SELECT value FROM range(1, 3)", "select value from range(1, 3)"),
            (
                "SELECT * FROM range(1, 3) WITH ORDINALITY",
                "select * from unnest(range(1, 3), generate_series(1, cast(cardinality(range(1, 3)) bigint))) range (value, ordinality)",
            ),
            ("SELECT * FROM unnest(a, b) u", "select * from unnest(a, b) u"),
            (
                "SELECT * FROM generate_series(date '2026-01-01', now(), '1 day') d",
                "select * from unnest(generate_series(date '2026-01-01', now(), interval '1 day')) d (d)",
            ),
        ] {
            assert_eq!(settled(sql), expected);
        }
    }
}
