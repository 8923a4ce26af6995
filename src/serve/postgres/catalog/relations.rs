//! What stands in a FROM of a statement about the catalog: tables that have no rows here, functions, numbers of tables.
//!
//! A SELECT over a table without rows has none: what it computes by queries of its own, which the engine may not know how to
//! plan, is nothing.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, Array, BinaryOperator, Expr, FunctionArg, FunctionArgExpr, GroupByExpr, Ident, JoinConstraint,
    JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
    TableWithJoins, Value, ValueWithSpan, Visitor, VisitorMut,
};
use rejoin_instances::syntax::{change, look};

use super::column_names::{column_name, name_items};
use super::layouts;
use super::objects::number_by_heart;
use crate::engine::Statement;

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

/// Aggregates, of which a SELECT has a row even if there are none.
pub const AGGREGATES: &[&str] =
    &["array_agg", "string_agg", "count", "min", "max", "sum", "avg", "bool_and", "bool_or", "json_agg", "jsonb_agg"];

/// The last word of a name, in lower case.
fn last(name: &ObjectName) -> String {
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

fn gives_nothing(select: &Select) -> bool {
    let counts = |item: &SelectItem| look(item, &mut Aggregates::default()).is_break();
    let nowhere = select.from.iter().any(is_vacant_from) || select.selection.as_ref().is_some_and(holds_never);
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

/// Breaks off at an aggregate that is not one of a query within.
#[derive(Default)]
struct Aggregates {
    within: usize,
}

impl Visitor for Aggregates {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.within += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.within -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if self.within == 0 && AGGREGATES.contains(&last(&function.name).as_str()) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

fn truth(value: bool) -> Expr {
    Expr::Value(Value::Boolean(value).with_empty_span())
}

/// True for what the engine may not know how to plan.
fn is_beyond(expr: &Expr) -> bool {
    look(expr, &mut Queries).is_break()
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

/// Takes from a SELECT that has no rows what it computes by queries, and gives `tableoid` its value.
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
            Some(condition) if look(&condition, &mut Parameters).is_break() => Expr::BinaryOp {
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
                && let Some(number) = number_by_heart(&last(name))
            {
                let called = alias.as_ref().map_or_else(|| last(name), |alias| alias.name.value.clone());
                numbers.insert(called, number);
            }
        }
    }
    // it never breaks off
    let _ = change(select, &mut TableNumbers(numbers));
}

/// An array that says nothing of any row.
fn one_item() -> Expr {
    let number = Expr::Value(Value::Number("0".into(), false).into());
    Expr::Array(Array { elem: vec![number], named: true })
}

/// Numbers of the tables of a FROM, by what they are called there.
struct TableNumbers(BTreeMap<String, i32>);

impl VisitorMut for TableNumbers {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(names) = &*expr
            && let [table, column] = names.as_slice()
            && column.value.eq_ignore_ascii_case("tableoid")
            && let Some(number) = self.0.get(&table.value)
        {
            *expr = Expr::Value(Value::Number(number.to_string(), false).with_empty_span());
        }
        ControlFlow::Continue(())
    }
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

/// The items of an array in a FROM: their only column is called as they are.
pub fn name_unnested(factor: &mut TableFactor) {
    let alias = match factor {
        TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality: false, .. }
            if array_exprs.len() == 1 =>
        {
            alias
        }
        TableFactor::Table { name, args: Some(args), alias, with_ordinality: false, .. }
            if args.args.len() == 1 && last(name) == "unnest" =>
        {
            alias
        }
        _ => return,
    };
    if let Some(TableAlias { name, columns, .. }) = alias
        && columns.is_empty()
    {
        columns.push(TableAliasColumnDef { name: name.clone(), data_type: None });
    }
}

/// `EXISTS (query)` in a result: the engine knows it in a condition only, and wants a value here.
pub fn exists_as_value(select: &mut Select) {
    // it never breaks off
    let _ = change(&mut select.projection, &mut Existing::default());
}

#[derive(Default)]
struct Existing {
    /// Queries within the result, which see to their own.
    within: usize,
}

impl VisitorMut for Existing {
    type Break = ();

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.within -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.within == 0
            && let Expr::Exists { subquery, negated } = &*expr
        {
            let sign = if *negated { "=" } else { ">" };
            let counted = format!("SELECT count(*) {sign} 0 AS found FROM ({subquery}) AS asked");
            if let Some(query) = query_of(&format!("SELECT max(found) FROM ({counted}) AS counted")) {
                *expr = Expr::Nested(Box::new(Expr::Subquery(query)));
            }
        }
        ControlFlow::Continue(())
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
