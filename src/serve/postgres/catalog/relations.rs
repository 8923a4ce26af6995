//! What stands in a FROM of a statement about the catalog: tables that have no rows here, functions, numbers of tables.
//!
//! A SELECT over a table without rows has none: what it computes by queries of its own, which the engine may not know how to
//! plan, is nothing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    Ident, JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, SetOperator, TableAlias,
    TableFactor, TableWithJoins, Value, ValueWithSpan, Visitor,
};
use rejoin_instances::syntax::{change, change_outside_queries, walk, walk_outside_queries};

use super::layouts;
use super::objects::fixed_number;
use super::system_columns::SystemColumns;
use crate::engine::Statement;
use crate::engine::column_names::{column_name, name_items};

/// Tables and views of the catalog that have no rows here.
const VACANT: &[&str] = &[
    "pg_attrdef",
    "pg_auth_members",
    "pg_available_extensions",
    "pg_constraint",
    "pg_db_role_setting",
    "pg_default_acl",
    "pg_enum",
    "pg_event_trigger",
    "pg_extension",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_group",
    "pg_index",
    "pg_indexes",
    "pg_inherits",
    "pg_largeobject",
    "pg_largeobject_metadata",
    "pg_locks",
    "pg_matviews",
    "pg_partitioned_table",
    "pg_policies",
    "pg_policy",
    "pg_prepared_xacts",
    "pg_publication",
    "pg_publication_namespace",
    "pg_publication_rel",
    "pg_publication_tables",
    "pg_replication_origin",
    "pg_rules",
    "pg_seclabel",
    "pg_sequence",
    "pg_sequences",
    "pg_shseclabel",
    "pg_statistic_ext",
    "pg_statistic_ext_data",
    "pg_subscription",
    "pg_subscription_rel",
    "pg_transform",
    "pg_trigger",
    "pg_ts_config_map",
    "pg_user_mapping",
    "pg_user_mappings",
];

/// Functions of values that clients call in a FROM, where they are one row.
const OF_ONE_ROW: &[&str] = &["string_to_array", "current_setting", "current_schemas", "array_to_string"];

/// Functions of Postgres that give rows, and what stands for them.
const OF_ROWS: &[(&str, &str)] = &[
    (
        "pg_partition_tree",
        "SELECT NULL::INT AS relid, NULL::INT AS parentrelid, false AS isleaf, 0 AS level WHERE false",
    ),
    ("pg_partition_ancestors", "SELECT NULL::INT AS relid WHERE false"),
    ("pg_options_to_table", "SELECT NULL::TEXT AS option_name, NULL::TEXT AS option_value WHERE false"),
    ("ts_token_type", "SELECT 0 AS tokid, NULL::TEXT AS alias, NULL::TEXT AS description WHERE false"),
    (
        "aclexplode",
        "SELECT NULL::INT AS grantor, NULL::INT AS grantee, NULL::TEXT AS privilege_type, false AS is_grantable WHERE false",
    ),
    ("pg_show_all_settings", "SELECT * FROM pg_catalog.pg_settings"),
];

/// What stands for a function that gives rows.
fn rows_of(function: &str) -> Option<&'static str> {
    OF_ROWS.iter().find(|(name, _)| *name == function).map(|(_, query)| *query)
}

/// True for a function that gives rows in Postgres, and none here.
fn gives_no_rows(function: &str) -> bool {
    rows_of(function).is_some_and(|query| query.ends_with("WHERE false"))
}

/// Aggregates, of which a SELECT has a row even if there are none.
const AGGREGATES: &[&str] = &[
    "array_agg",
    "string_agg",
    "count",
    "min",
    "max",
    "sum",
    "avg",
    "bool_and",
    "bool_or",
    "first_value",
    "json_agg",
    "jsonb_agg",
];

/// The last word of a name, in lower case.
pub(super) fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase()).unwrap_or_default()
}

fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

/// True for a query that gives no row.
pub fn is_vacant(query: &Query) -> bool {
    match query.body.as_ref() {
        SetExpr::Select(select) => gives_nothing(select),
        SetExpr::Query(inner) => is_vacant(inner),
        _ => false,
    }
}

/// True for a query of one value that sums up no rows, and so is NULL: their list, their text, the greatest of them.
pub fn sums_up_nothing(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let [SelectItem::UnnamedExpr(Expr::Function(sum)) | SelectItem::ExprWithAlias { expr: Expr::Function(sum), .. }] =
        select.projection.as_slice()
    else {
        return false;
    };
    let is_one =
        matches!(&select.group_by, GroupByExpr::Expressions(by, _) if by.is_empty()) && select.having.is_none();
    let of_none = ["array_agg", "string_agg", "max", "min"].contains(&last(&sum.name).as_str());
    is_one && of_none && is_from_nowhere(select)
}

/// The first step of a query that goes on from one domain to the next; None for any other. No domain is made of another one here,
/// and the engine computes no recursion for each row.
pub fn first_domain(query: &Query) -> Option<Query> {
    let with = query.with.as_ref().filter(|with| with.recursive)?;
    let [named] = with.cte_tables.as_slice() else { return None };
    let SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } = named.query.body.as_ref() else {
        return None;
    };
    let (SetExpr::Select(first), SetExpr::Select(next), SetExpr::Select(asked)) =
        (left.as_ref(), right.as_ref(), query.body.as_ref())
    else {
        return None;
    };
    let [
        SelectItem::UnnamedExpr(Expr::Identifier(wanted))
        | SelectItem::ExprWithAlias { expr: Expr::Identifier(wanted), .. },
    ] = asked.projection.as_slice()
    else {
        return None;
    };
    let place = named.alias.columns.iter().position(|column| column.name.value.eq_ignore_ascii_case(&wanted.value))?;
    let mut step = first.clone();
    step.projection = vec![first.projection.get(place)?.clone()];
    let step = Query {
        with: None,
        body: Box::new(SetExpr::Select(step)),
        order_by: None,
        limit_clause: None,
        ..query.clone()
    };
    next.selection.as_ref().is_some_and(wants_domain).then_some(step)
}

/// True for a condition that holds of domains alone: `typbasetype <> 0`.
fn wants_domain(condition: &Expr) -> bool {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => wants_domain(left) || wants_domain(right),
        Expr::Nested(inner) => wants_domain(inner),
        Expr::BinaryOp { left, op: BinaryOperator::NotEq, right } => {
            let zero = |value: &Value| matches!(value, Value::Number(number, _) if number == "0");
            is_called(left, "typbasetype") && matches!(right.as_ref(), Expr::Value(value) if zero(&value.value))
        }
        _ => false,
    }
}

/// True for a column of this name, of whatever relation.
fn is_called(expr: &Expr, name: &str) -> bool {
    match expr {
        Expr::Identifier(column) => column.value.eq_ignore_ascii_case(name),
        Expr::CompoundIdentifier(names) => names.last().is_some_and(|column| column.value.eq_ignore_ascii_case(name)),
        _ => false,
    }
}

fn is_from_nowhere(select: &Select) -> bool {
    select.from.iter().any(is_vacant_from) || select.selection.as_ref().is_some_and(holds_never)
}

fn gives_nothing(select: &Select) -> bool {
    let counts = |item: &SelectItem| walk_outside_queries(item, &mut until_aggregate).is_break();
    let nowhere = is_from_nowhere(select);
    // of no rows there is no group, but one of all
    let groups = match &select.group_by {
        GroupByExpr::Expressions(by, _) => !by.is_empty() && by.iter().all(is_column),
        GroupByExpr::All(_) => false,
    };
    nowhere && (groups || !select.projection.iter().any(counts))
}

fn is_column(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
}

/// True for a condition that wants a value where there is none.
fn holds_never(condition: &Expr) -> bool {
    match condition {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => holds_never(left) || holds_never(right),
        // no relation has a type for its rows
        Expr::BinaryOp { left, op: BinaryOperator::Eq, right } => {
            is_called(left, "reltype") && is_called(right, "oid")
                || is_called(left, "oid") && is_called(right, "reltype")
        }
        Expr::Nested(inner) => holds_never(inner),
        Expr::IsNotNull(value) => is_never_set(value),
        _ => false,
    }
}

/// True for a column of the catalog that holds nothing.
fn is_never_set(expr: &Expr) -> bool {
    let unset = |name: &Ident| layouts::is_never_set(&name.value.to_lowercase());
    match expr {
        Expr::Identifier(name) => unset(name),
        Expr::CompoundIdentifier(names) => names.last().is_some_and(unset),
        _ => false,
    }
}

fn is_vacant_from(from: &TableWithJoins) -> bool {
    use JoinOperator::{CrossJoin, FullOuter, Inner, Join, Right, RightOuter};
    if from.joins.iter().any(|join| matches!(join.join_operator, FullOuter(_) | Right(_) | RightOuter(_))) {
        return false;
    }
    let mut inner = from.joins.iter().filter(|join| matches!(join.join_operator, Join(_) | Inner(_) | CrossJoin(_)));
    is_vacant_factor(&from.relation) || inner.any(|join| is_vacant_factor(&join.relation))
}

fn is_vacant_factor(factor: &TableFactor) -> bool {
    match factor {
        TableFactor::Table { name, args: None, .. } => {
            let of_catalog = name.0.len() == 1 || name.0.first().is_some_and(|first| first.to_string() == "pg_catalog");
            of_catalog && VACANT.contains(&last(name).as_str())
        }
        TableFactor::Table { name, args: Some(_), .. } if gives_no_rows(&last(name)) => true,
        // the items of what is never set
        TableFactor::Table { name, args: Some(args), .. } if last(name) == "unnest" => match args.args.as_slice() {
            [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] => is_never_set(array),
            _ => false,
        },
        TableFactor::UNNEST { array_exprs, .. } => array_exprs.iter().all(is_never_set),
        TableFactor::Derived { subquery, .. } => is_vacant(subquery),
        TableFactor::NestedJoin { table_with_joins, .. } => is_vacant_from(table_with_joins),
        _ => false,
    }
}

/// True for what sums up rows.
pub fn is_aggregated(expr: &Expr) -> bool {
    walk_outside_queries(expr, &mut until_aggregate).is_break()
}

/// Takes from the named queries of a query the branches of a UNION that have no rows; what has no other branch any more does not
/// ask for itself.
pub fn without_vacant_branches(query: &mut Query) {
    let Some(with) = &mut query.with else { return };
    for named in &mut with.cte_tables {
        let left = match named.query.body.as_ref() {
            SetExpr::SetOperation { op: SetOperator::Union, left, right, .. } => match right.as_ref() {
                SetExpr::Select(select) if gives_nothing(select) => left.clone(),
                _ => continue,
            },
            _ => continue,
        };
        named.query.body = left;
    }
}

/// Breaks off at an aggregate.
fn until_aggregate(expr: &Expr) -> ControlFlow<()> {
    match expr {
        Expr::Function(function) if AGGREGATES.contains(&last(&function.name).as_str()) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

fn truth(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).with_empty_span())
}

/// True for what the engine may not know how to plan.
fn is_beyond(expr: &Expr) -> bool {
    walk(expr, &mut Queries).is_break()
}

/// Breaks off at a parameter.
struct Parameters;

impl Visitor for Parameters {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<()> {
        match value.value {
            Value::Placeholder(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Breaks off at a query, at what makes several rows of one, or at a field of such a row.
struct Queries;

impl Visitor for Queries {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::AnyOp { .. } | Expr::AllOp { .. } => ControlFlow::Break(()),
            Expr::CompoundFieldAccess { access_chain, .. }
                if access_chain.iter().any(|access| matches!(access, AccessExpr::Dot(_))) =>
            {
                ControlFlow::Break(())
            }
            Expr::Function(function)
                if ["unnest", "generate_series", "generate_subscripts", "_pg_expandarray"]
                    .contains(&last(&function.name).as_str()) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Takes from a SELECT that has no rows what it computes by queries, and gives `tableoid`, `xmin` and their like their values.
pub fn settle(select: &mut Select) {
    if gives_nothing(select) {
        for item in &mut select.projection {
            let (expr, alias) = match &*item {
                SelectItem::UnnamedExpr(expr) => (expr, Ident::with_quote('"', column_name(expr).0)),
                SelectItem::ExprWithAlias { expr, alias } => (expr, alias.clone()),
                _ => continue,
            };
            if is_beyond(expr) {
                *item = SelectItem::ExprWithAlias { expr: null(), alias };
            }
        }
        // which of no rows are left is no question, but a client gives values for its parameters
        select.selection = Some(match select.selection.take() {
            Some(condition) if walk(&condition, &mut Parameters).is_break() => Expr::BinaryOp {
                left: Box::new(Expr::Nested(Box::new(condition))),
                op: BinaryOperator::And,
                right: Box::new(truth(false)),
            },
            _ => truth(false),
        });
        for join in select.from.iter_mut().flat_map(|from| from.joins.iter_mut()) {
            if let JoinOperator::Join(on)
            | JoinOperator::Inner(on)
            | JoinOperator::Left(on)
            | JoinOperator::LeftOuter(on) = &mut join.join_operator
                && let JoinConstraint::On(condition) = on
                && is_beyond(condition)
            {
                *condition = truth(true);
            }
            // items of arrays of these rows
            match &mut join.relation {
                TableFactor::UNNEST { array_exprs, .. } => array_exprs.iter_mut().for_each(|items| *items = one_item()),
                TableFactor::Table { name, args: Some(args), .. } if last(name) == "unnest" => {
                    let items = FunctionArg::Unnamed(FunctionArgExpr::Expr(one_item()));
                    args.args.iter_mut().for_each(|argument| *argument = items.clone());
                }
                _ => {}
            }
        }
    }
    let mut numbers = BTreeMap::new();
    for from in &select.from {
        for factor in std::iter::once(&from.relation).chain(from.joins.iter().map(|join| &join.relation)) {
            if let TableFactor::Table { name, args: None, alias, .. } = factor
                && let Some(number) = fixed_number(&last(name))
            {
                let called = alias.as_ref().map_or_else(|| last(name), |alias| alias.name.value.to_lowercase());
                numbers.insert(called, number);
            }
        }
    }
    let mut system = SystemColumns(numbers);
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = &*item
            && let Some(value) = system.value(expr)
        {
            *item = SelectItem::ExprWithAlias { expr: value, alias: Ident::new(column_name(expr).0) };
        }
    }
    // it never breaks off
    let _ = change(select, &mut system);
}

/// An array that says nothing of any row.
fn one_item() -> Expr {
    let number = Expr::Value(Value::Number("0".into(), false).into());
    Expr::Array(Array { elem: vec![number], named: true })
}

/// Names the columns of all but the first branch of a set operation, whose own names nobody sees, apart.
pub fn name_branches(body: &mut SetExpr, first: bool) {
    match body {
        SetExpr::Select(select) if !first => name_items(select),
        SetExpr::SetOperation { left, right, .. } => {
            name_branches(left, first);
            name_branches(right, false);
        }
        _ => {}
    }
}

/// `EXISTS (query)` in a result: the engine knows it in a condition only, and wants a value here. Queries within the result see to
/// their own.
pub fn exists_as_value(select: &mut Select) {
    change_outside_queries(&mut select.projection, &mut |expr| {
        if let Expr::Exists { subquery, negated } = &*expr {
            let sign = if *negated { "=" } else { ">" };
            let counted = format!("SELECT count(*) {sign} 0 AS found FROM ({subquery}) AS asked");
            if let Some(query) = query_of(&format!("SELECT max(found) FROM ({counted}) AS counted")) {
                *expr = Expr::Nested(Box::new(Expr::Subquery(query)));
            }
        }
    });
}

/// `value IN (query)` in a result: the engine knows it in a condition only, and of an array everywhere.
pub fn among_in_result(select: &mut Select) {
    change_outside_queries(&mut select.projection, &mut |expr| {
        let (value, query, negated) = match &*expr {
            Expr::InSubquery { expr, subquery, negated } => (expr, subquery, *negated),
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => match right.as_ref() {
                Expr::Subquery(query) => (left, query, false),
                _ => return,
            },
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => match right.as_ref() {
                Expr::Subquery(query) => (left, query, true),
                _ => return,
            },
            _ => return,
        };
        let items = Box::new(Expr::Function(Function {
            name: ObjectName::from(vec![Ident::new("ARRAY")]),
            args: FunctionArguments::Subquery(query.clone()),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            filter: None,
            null_treatment: None,
            over: None,
            within_group: vec![],
        }));
        let left = value.clone();
        *expr = match negated {
            true => Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right: items },
            false => Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right: items, is_some: false },
        };
    });
}

/// The list whose items an expression gives as rows.
pub fn only_list(expr: &Expr) -> Option<Expr> {
    let Expr::Function(Function { name, args: FunctionArguments::List(list), .. }) = expr else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(only))] if last(name) == "unnest" => Some(only.clone()),
        _ => None,
    }
}

/// What stands for a query whose only column is made of the row around it alone: that value where the query has a row. None for
/// another query.
pub fn value_around(query: &Query) -> Option<Expr> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let ([from], [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }]) =
        (select.from.as_slice(), select.projection.as_slice())
    else {
        return None;
    };
    let TableFactor::Table { name, args: None, alias, .. } = &from.relation else { return None };
    let condition = select.selection.as_ref().filter(|_| from.joins.is_empty() && select.having.is_none())?;
    let own = alias.as_ref().map_or_else(|| last(name), |alias| alias.name.value.to_lowercase());
    let mut around = false;
    let seen = walk_outside_queries(value, &mut |expr| match expr {
        Expr::CompoundIdentifier(names) if names.len() == 2 && names[0].value.to_lowercase() != own => {
            around = true;
            ControlFlow::Continue(())
        }
        Expr::CompoundIdentifier(_) | Expr::Identifier(_) | Expr::Function(_) | Expr::Subquery(_) => {
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    if !around || seen.is_break() {
        return None;
    }
    let counted = format!("SELECT count(*) FROM {from} WHERE {condition}");
    let written = query_of(&format!("SELECT CASE WHEN ({counted}) > 0 THEN {value} END"))?;
    match *written.body {
        SetExpr::Select(select) => match select.projection.into_iter().next() {
            Some(SelectItem::UnnamedExpr(expr)) => Some(expr),
            _ => None,
        },
        _ => None,
    }
}

/// Puts queries of one value that the engine computes for each row into parentheses, in which the catalog's library, which knows
/// none of them, lets them be.
pub fn keep_computable(select: &mut Select) {
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        if let Expr::Subquery(query) = &*expr
            && is_tied_by_equality(query)
        {
            *expr = Expr::Nested(Box::new(expr.clone()));
        }
    }
}

/// True for a query of one value over tables, which conditions of equality tie to the row around it.
fn is_tied_by_equality(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else { return false };
    let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] = select.projection.as_slice()
    else {
        return false;
    };
    let joins = || select.from.iter().flat_map(|from| &from.joins);
    let relations = select.from.iter().map(|from| &from.relation).chain(joins().map(|join| &join.relation));
    let Some(own) = relations.map(name_of_table).collect::<Option<Vec<String>>>().filter(|own| !own.is_empty()) else {
        return false;
    };
    let looks_around = |expr: &Expr| {
        walk_outside_queries(expr, &mut |part| match part {
            Expr::CompoundIdentifier(names)
                if names.first().is_some_and(|first| own.contains(&first.value.to_lowercase())) =>
            {
                ControlFlow::Continue(())
            }
            Expr::CompoundIdentifier(_) | Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })
        .is_break()
    };
    let is_equality = |expr: &Expr| matches!(expr, Expr::BinaryOp { op: BinaryOperator::Eq, .. });
    let conditions = select.selection.as_ref().map(conditions).unwrap_or_default();
    let ties: Vec<&Expr> = conditions.into_iter().filter(|condition| looks_around(condition)).collect();
    // what joins them looks at them alone
    let joined = |operator: &JoinOperator| match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::CrossJoin(constraint) => match constraint {
            JoinConstraint::On(condition) => !looks_around(condition),
            _ => true,
        },
        _ => false,
    };
    let all_joined = joins().all(|join| joined(&join.join_operator));
    let plain = all_joined && query.limit_clause.is_none() && is_aggregated(value) && !looks_around(value);
    plain && !ties.is_empty() && ties.into_iter().all(is_equality)
}

/// What a table is called in its query; None for what is no table.
fn name_of_table(relation: &TableFactor) -> Option<String> {
    match relation {
        TableFactor::Table { name, args: None, alias, .. } => {
            Some(alias.as_ref().map_or_else(|| last(name), |alias| alias.name.value.to_lowercase()))
        }
        _ => None,
    }
}

/// What must hold, all of it.
fn conditions(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            let mut both = conditions(left);
            both.extend(conditions(right));
            both
        }
        Expr::Nested(inner) => conditions(inner),
        one => vec![one],
    }
}

/// The query of a text.
fn query_of(sql: &str) -> Option<Box<Query>> {
    let parsed = Statement::one(sql).ok()?.parsed().clone();
    let datafusion::sql::parser::Statement::Statement(statement) = parsed else { return None };
    match *statement {
        datafusion::sql::sqlparser::ast::Statement::Query(query) => Some(query),
        _ => None,
    }
}

/// A function in a FROM as Postgres has it: its only column has its name there, and its arguments may be computed.
pub fn function_in_from(factor: &mut TableFactor) {
    if let TableFactor::Table { name, args: Some(_), alias, .. } = &*factor
        && let Some(subquery) = rows_of(&last(name)).and_then(query_of)
    {
        let named = Ident::new(last(name));
        let alias = alias.clone().unwrap_or(TableAlias { explicit: true, name: named, columns: vec![], at: None });
        *factor = TableFactor::Derived { lateral: false, subquery, alias: Some(alias), sample: None };
        return;
    }
    let TableFactor::Table { name, args: Some(args), alias: Some(alias), with_ordinality: false, .. } = &*factor else {
        return;
    };
    let TableAlias { name: called, columns, .. } = alias;
    let literal = |argument: &FunctionArg| {
        matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(_) | Expr::UnaryOp { .. })))
    };
    let function = last(name);
    let call = match function.as_str() {
        "generate_series" if !args.args.iter().all(literal) => "unnest(generate_series",
        one if OF_ONE_ROW.contains(&one) => "(",
        _ => return,
    };
    let arguments: Vec<String> = args.args.iter().map(ToString::to_string).collect();
    let call = match call {
        "(" => format!("{function}({})", arguments.join(", ")),
        call => format!("{call}({}))", arguments.join(", ")),
    };
    let column = columns.first().map_or(called, |column| &column.name);
    if let Some(subquery) = query_of(&format!("SELECT {call} AS {column}")) {
        let alias = Some(TableAlias { columns: vec![], ..alias.clone() });
        *factor = TableFactor::Derived { lateral: false, subquery, alias, sample: None };
    }
}
