//! JSON of many rows: `json_agg(x ORDER BY x)` takes the list that `array_agg` makes, `json_object_agg(k, v)` two of them. Which
//! arguments are JSON themselves, the statement tells: calls of functions that make it, `->`, casts to it. `row_to_json(t)` of a
//! query in FROM takes its columns.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    Query, Select, SelectItem, SetExpr, TableFactor, Value, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change, change_outside_queries};

use super::written_calls::call;
use crate::functions::{AS_JSON, OF_PAIRS, OF_ROWS, OF_VALUES};

/// Other functions that make JSON.
const OTHERS: [&str; 3] = ["json_get_json", "json_extract_path", "jsonb_extract_path"];
/// The function that makes a list of many rows' values.
const LIST: &str = "array_agg";

/// Gives the functions of a statement, or of a part of one, what they are computed of.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // it never breaks off
    let _ = change(part, &mut JsonCallRewriter);
}

struct JsonCallRewriter;

impl VisitorMut for JsonCallRewriter {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let rows = rows_of(select);
        if !rows.is_empty() {
            change_outside_queries(&mut select.projection, &mut |expr| take_columns(expr, &rows));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = &mut *expr {
            let name = last(&function.name);
            let (of_rows, of_pairs) = (is_one(&OF_ROWS, &name), is_one(&OF_PAIRS, &name));
            if of_rows || of_pairs || is_one(&OF_VALUES, &name) {
                tell_json(function);
            }
            let count = if of_rows { 1 } else { 2 };
            if (of_rows || of_pairs)
                && let Some(lists) = lists(function, count)
            {
                *expr = call(&name, lists);
            }
        }
        ControlFlow::Continue(())
    }
}

fn is_one(names: &[&str], name: &str) -> bool {
    names.contains(&name)
}

/// The last word of a name, in lower case.
fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).unwrap_or_default()
}

/// Arguments of a call that are expressions.
fn arguments(function: &mut Function) -> impl Iterator<Item = &mut Expr> {
    let list = match &mut function.args {
        FunctionArguments::List(list) => list.args.as_mut_slice(),
        _ => &mut [],
    };
    list.iter_mut().filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    })
}

/// Marks the arguments that are JSON.
fn tell_json(function: &mut Function) {
    for argument in arguments(function).filter(|argument| is_json(argument)) {
        *argument = call(AS_JSON, vec![argument.clone()]);
    }
}

/// True for a text that is JSON.
fn is_json(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_json(inner),
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::JSON | DataType::JSONB),
        Expr::BinaryOp { op, .. } => matches!(op, BinaryOperator::Arrow | BinaryOperator::HashArrow),
        Expr::Function(function) => {
            let name = last(&function.name);
            is_one(&OF_VALUES, &name) || is_one(&OF_ROWS, &name) || is_one(&OF_PAIRS, &name) || is_one(&OTHERS, &name)
        }
        _ => false,
    }
}

/// A list of each argument of an aggregate, of the same rows in the same order; None where it has them, or takes others.
fn lists(function: &Function, count: usize) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    if list.args.len() != count {
        return None;
    }
    let list_of = |argument: &FunctionArg| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Function(inner))) if last(&inner.name) == LIST => None,
        FunctionArg::Unnamed(FunctionArgExpr::Expr(_)) => {
            let mut made = function.clone();
            made.name = ObjectName::from(vec![Ident::new(LIST)]);
            if let FunctionArguments::List(list) = &mut made.args {
                list.args = vec![argument.clone()];
            }
            Some(Expr::Function(made))
        }
        _ => None,
    };
    list.args.iter().map(list_of).collect()
}

/// The columns of a query in FROM, and whether they are JSON.
type Columns = Vec<(Ident, bool)>;

/// The queries in FROM, by name, whose columns the statement tells.
fn rows_of(select: &Select) -> BTreeMap<String, Columns> {
    let relations = select
        .from
        .iter()
        .flat_map(|from| std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)));
    let known = relations.filter_map(|relation| match relation {
        TableFactor::Derived { subquery, alias: Some(alias), .. } => {
            let columns: Columns = match alias.columns.as_slice() {
                [] => columns_of(subquery)?,
                named => named.iter().map(|column| (column.name.clone(), false)).collect(),
            };
            Some((alias.name.value.to_lowercase(), columns))
        }
        _ => None,
    });
    known.collect()
}

fn columns_of(query: &Query) -> Option<Columns> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let column = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((alias.clone(), is_json(expr))),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some((name.clone(), false)),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => Some((names.last()?.clone(), false)),
        _ => None,
    };
    select.projection.iter().map(column).collect()
}

/// `row_to_json(t)` as one of its columns.
fn take_columns(expr: &mut Expr, rows: &BTreeMap<String, Columns>) {
    let Expr::Function(function) = expr else { return };
    let name = last(&function.name);
    if !["to_json", "to_jsonb", "row_to_json"].contains(&name.as_str()) && !is_one(&OF_ROWS, &name) {
        return;
    }
    for argument in arguments(function) {
        let Expr::Identifier(row) = &*argument else { continue };
        let Some(columns) = rows.get(&row.value.to_lowercase()) else { continue };
        // a column of that name is meant first
        if columns.iter().any(|(column, _)| column.value.eq_ignore_ascii_case(&row.value)) {
            continue;
        }
        let fields = columns.iter().flat_map(|(column, is_json)| {
            let name = match column.quote_style {
                Some(_) => column.value.clone(),
                None => column.value.to_lowercase(),
            };
            let value = Expr::CompoundIdentifier(vec![row.clone(), column.clone()]);
            let value = if *is_json { call(AS_JSON, vec![value]) } else { value };
            [Expr::Value(Value::SingleQuotedString(name).with_empty_span()), value]
        });
        *argument = call("named_struct", fields.collect());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    #[test]
    fn calls_have_their_lists() {
        for (sql, expected) in [
            (
                "SELECT json_agg(DISTINCT x ORDER BY x) FILTER (WHERE x > 1) FROM t",
                "SELECT json_agg(array_agg(DISTINCT x ORDER BY x) FILTER (WHERE x > 1)) FROM t",
            ),
            ("SELECT jsonb_object_agg(k, v) FROM t", "SELECT jsonb_object_agg(array_agg(k), array_agg(v)) FROM t"),
            (
                "SELECT json_agg(json_build_object('x', x, 'y', y -> 'a')) FROM t",
                "SELECT json_agg(array_agg(as_json(json_build_object('x', x, 'y', as_json(y -> 'a'))))) FROM t",
            ),
            ("SELECT to_json(x::JSON), to_json(x) FROM t", "SELECT to_json(as_json(x::JSON)), to_json(x) FROM t"),
            (
                "SELECT row_to_json(s) FROM (SELECT a, t.b AS \"B\", to_json(c) AS c FROM t) AS s",
                "SELECT row_to_json(named_struct('a', s.a, 'B', s.\"B\", 'c', as_json(s.c))) FROM (SELECT a, t.b AS \"B\", to_json(c) AS c FROM t) AS s",
            ),
            (
                "SELECT json_agg(v) FROM (VALUES (1, 2)) AS v (x, y)",
                "SELECT json_agg(array_agg(named_struct('x', v.x, 'y', v.y))) FROM (VALUES (1, 2)) AS v (x, y)",
            ),
            ("SELECT row_to_json(s) FROM (SELECT s FROM t) AS s", "SELECT row_to_json(s) FROM (SELECT s FROM t) AS s"),
        ] {
            let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            rewrite(&mut parsed);
            assert_eq!(parsed.to_string(), expected);
            // what is settled stays as it is
            rewrite(&mut parsed);
            assert_eq!(parsed.to_string(), expected);
        }
    }
}
