//! Functions that give the items of a list as rows, where they stand in a FROM as PostgreSQL has them:
//! `LATERAL unnest(t.list) WITH ORDINALITY AS u(item, n)`, `generate_series(1, t.n) AS i`, `string_to_table(t.words, ',')`.
//!
//! They become an UNNEST, which may look at the relations before it; of WITH ORDINALITY, a second list of numbers beside the first.
//! `generate_series` of constants stays a table function, which holds no list; its column is called as PostgreSQL calls it. Its step
//! may be a text: an interval. `range`, which is not PostgreSQL's, keeps its column `value`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Interval, ObjectName,
    TableAlias, TableAliasColumnDef, TableFactor, TypedString, Value, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change, change_outside_queries};

use super::written_calls::call;

/// Functions that count.
const SERIES: &str = "generate_series";
const RANGE: &str = "range";

/// Writes the functions of a statement, or of a part of one, as UNNEST.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // it never breaks off
    let _ = change(part, &mut ListRowRewriter);
}

struct ListRowRewriter;

impl VisitorMut for ListRowRewriter {
    type Break = ();

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(args), .. } = factor
            && [SERIES, RANGE].contains(&last(name).as_str())
        {
            step_as_interval(&mut args.args);
            args.args.iter_mut().for_each(count_nanoseconds);
        }
        match as_unnest(factor) {
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

/// The same rows as an UNNEST; None where the factor can stay as it is.
fn as_unnest(factor: &TableFactor) -> Option<TableFactor> {
    let (function, list, numbered, alias) = match factor {
        TableFactor::UNNEST { array_exprs, with_offset: false, with_ordinality: true, alias, .. } => {
            let [list] = array_exprs.as_slice() else { return None };
            ("unnest".to_string(), list.clone(), true, alias)
        }
        TableFactor::Function { lateral: true, name, args, with_ordinality, alias } => {
            (last(name), list_of(&last(name), args)?, *with_ordinality, alias)
        }
        TableFactor::Table { name, args: Some(args), with_ordinality, alias, .. } => {
            let function = last(name);
            let stays = function == RANGE || function == SERIES && args.args.iter().all(is_constant);
            if stays && !with_ordinality {
                return None;
            }
            (function.clone(), list_of(&function, &args.args)?, *with_ordinality, alias)
        }
        _ => return None,
    };
    let mut list = list;
    look_at_the_row(&mut list);
    let mut array_exprs = vec![list.clone()];
    if numbered {
        let kind = CastKind::Cast;
        let count = Box::new(call("cardinality", vec![list]));
        let count = Expr::Cast { kind, expr: count, data_type: DataType::BigInt(None), array: false, format: None };
        let one = Expr::Value(Value::Number("1".into(), false).with_empty_span());
        array_exprs.push(call(SERIES, vec![one, count]));
    }
    let is_range = function == RANGE;
    let mut alias = alias.clone().unwrap_or_else(|| named(Ident::new(function)));
    let own = [if is_range { Ident::new("value") } else { alias.name.clone() }, Ident::new("ordinality")];
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

/// The list whose items a function gives.
fn list_of(function: &str, arguments: &[FunctionArg]) -> Option<Expr> {
    let argument = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    let arguments = arguments.iter().map(argument).collect::<Option<Vec<_>>>()?;
    match (function, arguments.as_slice()) {
        ("unnest", [list]) => Some(list.clone()),
        (SERIES, [_, _] | [_, _, _]) | (RANGE, [_] | [_, _] | [_, _, _]) => Some(call(function, arguments)),
        ("string_to_table", [_, _]) => Some(call("string_to_array", arguments)),
        ("regexp_split_to_table", [text, pattern]) => {
            // a sign that nobody writes
            let (apart, all) = (written("\u{1f}"), written("g"));
            let replaced = call("regexp_replace", vec![text.clone(), pattern.clone(), apart.clone(), all]);
            Some(call("string_to_array", vec![replaced, apart]))
        }
        _ => None,
    }
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
            // what is a constant is no list
            (
                "SELECT * FROM generate_series(1, -3::int)",
                "select * from generate_series(1, -3::int) generate_series (generate_series)",
            ),
            (
                "SELECT d FROM generate_series(TIMESTAMP '2026-01-01', '2026-01-02'::TIMESTAMP, '1 hour') d",
                "select d from generate_series(timestamp(9) '2026-01-01', '2026-01-02'::timestamp(9), interval '1 hour') d (d)",
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
