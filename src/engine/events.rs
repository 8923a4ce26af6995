//! The view `events`: its SQL, its main columns, and the friendly names of its columns.

use std::collections::BTreeMap;

use datafusion::common::Column;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident};
use rejoin_instances::trees::change_parts;

use crate::Result;
use crate::columns::{DIMENSIONS, METRICS, OCCURRENCES};

/// Online and integrated rows, with the columns that the data has.
pub(super) const EVENTS_SQL: &str = include_str!("../../queries/integrate/events.sql");

/// The columns of `events_brief` before its dimensions and metrics: who, when, from where, how it was tied.
const BRIEF_KEYS: &[&str] = &[
    "suite",
    "event_id",
    "visitor_id",
    "visit_num",
    "visit_start",
    "hit_time",
    "row_kind",
    "match_status",
    "transaction_id",
    "record_time",
    "source",
    "file",
];

/// The columns of `events_brief`; what is common to most sites.
fn brief_columns<'a>() -> impl Iterator<Item = &'a str> {
    [BRIEF_KEYS, DIMENSIONS, &[OCCURRENCES], METRICS].into_iter().flatten().map(|name| -> &'a str { name })
}

/// `events` with those of its main columns that the data has, and those that have a friendly name, under it.
pub(super) fn with_main_columns(events: &LogicalPlan, names: &BTreeMap<String, String>) -> Result<LogicalPlan> {
    let known = |name: &str| events.schema().has_column_with_unqualified_name(name);
    let named = names.values().map(String::as_str).filter(|name| !brief_columns().any(|column| column == *name));
    let columns: Vec<Expr> = brief_columns().chain(named).filter(|name| known(name)).map(ident).collect();
    Ok(LogicalPlanBuilder::from(events.clone()).project(columns)?.build()?)
}

/// An expression over `events` as one over the columns of the table that a side of it reads, the online rows being the first
/// side. None where rows are brought together on the way.
pub(super) fn on_side(events: &LogicalPlan, side: usize, expr: Expr) -> Result<Option<Expr>> {
    // a column of the node as what it is in terms of the node below
    let below = |input: &LogicalPlan, of: &dyn Fn(usize) -> Expr| {
        let known = events.schema().clone();
        let lowered = change_parts(expr.clone(), &mut |part| {
            let Expr::Column(column) = &part else { return Ok(Transformed::no(part)) };
            Ok(Transformed::yes(of(known.index_of_column(column)?)))
        })?;
        on_side(input, side, lowered.data)
    };
    let same = |input: &LogicalPlan| {
        let columns = input.schema().columns();
        below(input, &|index| Expr::Column(columns[index].clone()))
    };
    match events {
        LogicalPlan::Projection(node) => below(&node.input, &|index| node.expr[index].clone().unalias_nested().data),
        LogicalPlan::SubqueryAlias(node) => same(&node.input),
        LogicalPlan::Filter(node) => same(&node.input),
        LogicalPlan::Union(node) => node.inputs.get(side).map_or(Ok(None), |input| same(input)),
        LogicalPlan::TableScan(_) => {
            let bare = change_parts(expr, &mut |part| {
                let Expr::Column(column) = &part else { return Ok(Transformed::no(part)) };
                Ok(Transformed::yes(Expr::Column(Column::new_unqualified(&column.name))))
            });
            Ok(Some(bare?.data))
        }
        _ => Ok(None),
    }
}

/// Adds each named column once more under its friendly name.
pub(super) fn with_friendly_names(plan: LogicalPlan, names: &BTreeMap<String, String>) -> Result<LogicalPlan> {
    let schema = plan.schema().clone();
    let known = |name: &str| schema.has_column_with_unqualified_name(name);
    // where it was set goes by the friendly name, too: the window functions look for it beside the column they are given
    let pairs = names
        .iter()
        .flat_map(|(column, name)| ["", "_set"].map(|part| (format!("{column}{part}"), format!("{name}{part}"))));
    let named = pairs.filter(|(column, name)| known(column) && !known(name));
    let named: Vec<Expr> = named.map(|(column, name)| ident(column).alias(name)).collect();
    if named.is_empty() {
        return Ok(plan);
    }
    let all = schema.columns().into_iter().map(Expr::Column);
    Ok(LogicalPlanBuilder::from(plan).project(all.chain(named).collect::<Vec<_>>())?.build()?)
}
