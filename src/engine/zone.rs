//! The zone of a session (`SET datafusion.execution.time_zone`, `SET TIME ZONE` of Postgres): which day an instant is of.
//!
//! An instant's type names a zone, by which functions, casts and comparisons tell its clock. The lake's columns are in UTC; a
//! statement of a session in another zone sees them in that one. What tables and journeys compute for themselves stays in UTC:
//! a relation that a table function has planned is closed, and only its columns are shown in the zone.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result as PlanResult;
use datafusion::functions::datetime::to_local_time;
use datafusion::logical_expr::expr::{Cast, Placeholder, TryCast};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection, SubqueryAlias, Union, cast};
use datafusion::optimizer::AnalyzerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use rejoin_instances::trees::{change_named_expressions, change_nodes, change_nodes_down_and_up, change_parts};

use super::written_times::read_times;
use crate::columns::timestamp;

/// The name of a relation that is closed, which nobody can write.
const CLOSED: &str = "\u{1f}closed";

/// The zone of a session that was given none.
pub(super) const UTC: &str = "UTC";

/// The zone of a session; None where it is UTC.
pub(super) fn zone_of(options: &ConfigOptions) -> Option<Arc<str>> {
    options.execution.time_zone.as_deref().filter(|zone| !is_utc(zone)).map(Arc::from)
}

fn is_utc(zone: &str) -> bool {
    ["utc", "etc/utc", "z", "+00:00", "+00", "+0000"].contains(&zone.to_lowercase().as_str())
}

/// A relation whose own plan is in UTC.
pub(super) fn closed(plan: LogicalPlan, options: &ConfigOptions) -> PlanResult<LogicalPlan> {
    match zone_of(options) {
        None => Ok(plan),
        Some(_) => SubqueryAlias::try_new(Arc::new(plan), CLOSED).map(LogicalPlan::SubqueryAlias),
    }
}

/// A statement's plan, which sees instants in a zone.
pub(super) fn in_zone(plan: LogicalPlan, zone: &Arc<str>) -> PlanResult<LogicalPlan> {
    let mut down = |node: LogicalPlan| match &node {
        LogicalPlan::TableScan(_) => shown(node, zone),
        LogicalPlan::SubqueryAlias(alias) if alias.alias.table() == CLOSED => shown(node, zone),
        _ => Ok(Transformed::no(node)),
    };
    Ok(change_nodes_down_and_up(plan, &mut down, &mut |node| fitted(node, zone))?.data)
}

/// A condition over columns in UTC, which reads them, and the times that are written in it, in the session's zone.
pub(super) fn condition(expr: Expr, columns: &DFSchema, options: &ConfigOptions) -> PlanResult<Expr> {
    let simplifier = ExprSimplifier::new(SimplifyContext::default());
    let Some(zone) = zone_of(options) else {
        let read = read_times(simplifier.coerce(expr.clone(), columns)?, columns, options)?;
        return Ok(if read.transformed { read.data } else { expr });
    };
    let seen = change_parts(expr, &mut |expr| match &expr {
        Expr::Column(_) => Ok(match elsewhere(&expr.get_type(columns)?, &zone) {
            Some(data_type) => Transformed::yes(cast(expr, data_type)),
            None => Transformed::no(expr),
        }),
        _ => fitted_expr(expr, columns, &zone),
    })?;
    let coerced = simplifier.coerce(seen.data, columns)?;
    let clocks = change_parts(coerced, &mut |expr| with_clock(expr, columns))?.data;
    Ok(read_times(clocks, columns, options)?.data)
}

/// The type of an instant in the zone, where it names another one.
fn elsewhere(data_type: &DataType, zone: &Arc<str>) -> Option<DataType> {
    match data_type {
        DataType::Timestamp(unit, Some(other)) if other != zone => Some(DataType::Timestamp(*unit, Some(zone.clone()))),
        _ => None,
    }
}

/// A relation with its instants in the zone; what it is made of stays as it is.
fn shown(node: LogicalPlan, zone: &Arc<str>) -> PlanResult<Transformed<LogicalPlan>> {
    if !node.schema().fields().iter().any(|field| elsewhere(field.data_type(), zone).is_some()) {
        return Ok(Transformed::new(node, false, TreeNodeRecursion::Jump));
    }
    let column = |(relation, field): (Option<&datafusion::common::TableReference>, &Arc<arrow::datatypes::Field>)| {
        let column = Expr::Column(Column::from((relation, field)));
        match elsewhere(field.data_type(), zone) {
            Some(data_type) => cast(column, data_type).alias_qualified(relation.cloned(), field.name()),
            None => column,
        }
    };
    let columns = node.schema().iter().map(column).collect();
    let plan = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(node))?);
    Ok(Transformed::new(plan, true, TreeNodeRecursion::Jump))
}

/// A node whose inputs may have other types than before.
fn fitted(node: LogicalPlan, zone: &Arc<str>) -> PlanResult<Transformed<LogicalPlan>> {
    let columns = merge_schema(&node.inputs());
    let mut fit = |expr: Expr| change_parts(expr, &mut |part| fitted_expr(part, &columns, zone));
    change_named_expressions(node, &mut fit)?.map_data(with_schema)
}

/// A node with the columns that its inputs have by now.
pub(super) fn with_schema(node: LogicalPlan) -> PlanResult<LogicalPlan> {
    match node {
        LogicalPlan::Union(union) => Union::try_new_with_loose_types(union.inputs).map(LogicalPlan::Union),
        other => other.recompute_schema(),
    }
}

/// An expression whose columns may have other types than before.
fn fitted_expr(expr: Expr, columns: &DFSchema, zone: &Arc<str>) -> PlanResult<Transformed<Expr>> {
    Ok(match expr {
        Expr::Placeholder(Placeholder { id, field: Some(field) }) => match elsewhere(field.data_type(), zone) {
            Some(data_type) => {
                let field = Some(Arc::new(field.as_ref().clone().with_data_type(data_type)));
                Transformed::yes(Expr::Placeholder(Placeholder { id, field }))
            }
            None => Transformed::no(Expr::Placeholder(Placeholder { id, field: Some(field) })),
        },
        Expr::OuterReferenceColumn(field, column) => match elsewhere(field.data_type(), zone) {
            Some(data_type) => {
                let field = Arc::new(field.as_ref().clone().with_data_type(data_type));
                Transformed::yes(Expr::OuterReferenceColumn(field, column))
            }
            None => Transformed::no(Expr::OuterReferenceColumn(field, column)),
        },
        Expr::ScalarFunction(mut call) => {
            let mut given = Expr::ScalarFunction(call.clone()).get_type(columns);
            if given.is_err() {
                // a function of instants, whatever a clock shows
                for argument in &mut call.args {
                    if let Ok(data_type @ DataType::Timestamp(_, Some(_))) = argument.get_type(columns)
                        && data_type != timestamp()
                    {
                        *argument = cast(argument.clone(), timestamp());
                    }
                }
                given = Expr::ScalarFunction(call.clone()).get_type(columns);
            }
            let call = Expr::ScalarFunction(call);
            match given.ok().and_then(|data_type| elsewhere(&data_type, zone)) {
                Some(data_type) => Transformed::yes(cast(call, data_type)),
                None => Transformed::yes(call),
            }
        }
        other => Transformed::no(other),
    })
}

/// A cast of an instant to a time without a zone is what a clock in the instant's zone shows. Arrow's shows UTC. Whole seconds since
/// 1970 are an instant, which DataFusion takes for what the clock shows; those with places behind a point it takes right.
fn with_clock(expr: Expr, columns: &DFSchema) -> PlanResult<Transformed<Expr>> {
    if let Expr::ScalarFunction(call) = &expr
        && call.name() == "to_timestamp"
        && let [seconds] = call.args.as_slice()
        && seconds.get_type(columns).is_ok_and(|data_type| data_type.is_integer())
    {
        let mut call = call.clone();
        call.args = vec![cast(seconds.clone(), DataType::Decimal128(20, 0))];
        return Ok(Transformed::yes(Expr::ScalarFunction(call)));
    }
    let (Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field })) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let (DataType::Timestamp(_, None), Ok(DataType::Timestamp(_, Some(zone)))) =
        (field.data_type(), inner.get_type(columns))
    else {
        return Ok(Transformed::no(expr));
    };
    if is_utc(&zone) {
        return Ok(Transformed::no(expr));
    }
    let clock = to_local_time().call(vec![inner.as_ref().clone()]);
    Ok(Transformed::yes(cast(clock, field.data_type().clone())))
}

/// Casts of instants to times without a zone, also those that a comparison with a day needs.
#[derive(Debug)]
pub(super) struct Clocks;

impl AnalyzerRule for Clocks {
    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> PlanResult<LogicalPlan> {
        if zone_of(options).is_none() {
            return Ok(plan);
        }
        let clocks = change_nodes(plan, &mut |node| {
            let columns = merge_schema(&node.inputs());
            change_named_expressions(node, &mut |expr| change_parts(expr, &mut |expr| with_clock(expr, &columns)))
        })?;
        Ok(clocks.data)
    }

    fn name(&self) -> &str {
        "clocks"
    }
}
