//! Gives the window functions of journeys what they need of their window, and the operator that computes them.
//!
//! `visitor_participation(item, metric) OVER (PARTITION BY visitor_id ORDER BY hit_time)` names neither the tie-break of
//! one instant, nor the rows that have no visitor, nor where a persisted dimension was really set. Where the input has
//! the columns that tell, this rule adds them, so that the window form and the table form give the same credit. How rows stand that are
//! in one place is added where they may be sorted anew: as the lake's files have them they stand so.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions::expr_fn::lower;
use datafusion::logical_expr::expr::{Sort, WindowFunction};
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, cast, lit};
use datafusion::optimizer::analyzer::AnalyzerRule;
use rejoin_instances::trees::{change_nodes, walk_nodes};

use super::by_visitor;
use super::catalog::LakeSchema;
use super::journey::{Call, Window, WindowNode};
use super::touches::touch_of;
use crate::attribution::{Container, Model, parse_lookback};
use crate::columns::{
    self, HIT_SEQ, HIT_TIME, PERSON_ID, ROW_KIND, SUITE, VISIT_NUM, VISIT_START, VISITOR_ID, VISITOR_KEY,
};
use crate::functions::windows::JourneyFunction;
use crate::lake::bindings::Bindings;

/// Replaces the calls by [`WindowNode`].
#[derive(Debug)]
pub struct PlanWindows {
    schema: Arc<LakeSchema>,
}

impl PlanWindows {
    /// For the tables of `schema`.
    pub fn new(schema: Arc<LakeSchema>) -> Self {
        Self { schema }
    }
}

impl AnalyzerRule for PlanWindows {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        change_nodes(plan, &mut |plan| match plan {
            LogicalPlan::Window(window) if window.window_expr.iter().any(|e| call(e).is_some()) => {
                let view = self.schema.view();
                let suite = Settings { bound: view.bindings()?, folds_case: view.folds_case() };
                let columns = LogicalPlan::Window(window.clone()).schema().columns();
                let input_schema = window.input.schema().clone();
                let mut builder = LogicalPlanBuilder::from(window.input.as_ref().clone());
                // other functions keep their own window; ours may be ordered more exactly
                let (ours, others): (Vec<Expr>, Vec<Expr>) =
                    window.window_expr.into_iter().partition(|e| call(e).is_some());
                if !others.is_empty() {
                    builder = builder.window(others)?;
                }
                let mut plan = builder.build()?;
                // calls with one window make one pass
                let mut windows: Vec<(Window, Vec<Call>, Vec<Expr>)> = vec![];
                for expr in &ours {
                    let Some((window, call, arguments)) = give(expr, &input_schema, &suite)? else { continue };
                    match windows.iter_mut().find(|(known, ..)| *known == window) {
                        Some((_, calls, all)) => {
                            calls.push(call);
                            all.extend(arguments);
                        }
                        None => windows.push((window, vec![call], arguments)),
                    }
                }
                let stored = lie_as_stored(&plan)?;
                for (number, (mut window, calls, arguments)) in windows.into_iter().enumerate() {
                    // what one window leaves has no order that the next one knows
                    if window.in_lake_order && (number > 0 || !stored) {
                        let ties = ties_of(&window, &input_schema)?;
                        window.order.extend(ties);
                    }
                    let node = Arc::new(WindowNode::try_new(window, calls, arguments, plan)?);
                    plan = LogicalPlan::Extension(Extension { node });
                }
                let restored: Vec<Expr> = columns.into_iter().map(Expr::Column).collect();
                Ok(Transformed::yes(LogicalPlanBuilder::from(plan).project(restored)?.build()?))
            }
            other => Ok(Transformed::no(other)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "give_windows"
    }
}

/// The journey function that an expression calls.
fn call(expr: &Expr) -> Option<(&WindowFunction, &JourneyFunction)> {
    let function = match expr {
        Expr::WindowFunction(function) => function,
        Expr::Alias(alias) => return call(&alias.expr),
        _ => return None,
    };
    match &function.fun {
        WindowFunctionDefinition::WindowUDF(udf) => {
            udf.inner().downcast_ref::<JourneyFunction>().map(|called| (function.as_ref(), called))
        }
        _ => None,
    }
}

/// What a suite says of its items.
struct Settings {
    bound: Bindings,
    folds_case: bool,
}

/// The window of a call, the call, and its item, value and time.
fn give(expr: &Expr, schema: &DFSchema, suite: &Settings) -> Result<Option<(Window, Call, Vec<Expr>)>> {
    let Some((function, called)) = call(expr) else { return Ok(None) };
    let container = called.container;
    let params = &function.params;
    let name = function.fun.name().to_string();
    let wrong = |message: String| DataFusionError::Plan(format!("{name}: {message}"));
    let error = |message: String| Err(wrong(message));
    let [item, metric, rest @ ..] = params.args.as_slice() else {
        return error("it takes an item and a metric".into());
    };
    let (model, rest) = match (called.takes_model, rest) {
        (false, rest) => (Model::Participation { deduplicate: true }, rest),
        (true, [model, rest @ ..]) => {
            let text = constant_text(model).ok_or_else(|| wrong("the model is a text such as 'linear'".into()))?;
            (text.parse().map_err(wrong)?, rest)
        }
        (true, []) => return error("it takes an item, a metric and a model such as 'linear'".into()),
    };
    if model.needs_all_visitors() {
        return error(format!("{model} shares hang on all journeys; use the table function attribution(...)"));
    }
    let (Some(order), false) = (params.order_by.first(), params.partition_by.is_empty()) else {
        let partition = if container == Container::Visit { "visitor_id, visit_num" } else { "visitor_id" };
        return error(format!("write OVER (PARTITION BY {partition} ORDER BY hit_time)"));
    };
    if !order.asc {
        return error("its window must be ordered by rising time".into());
    }
    if params.filter.is_some() || params.distinct {
        return error("FILTER and DISTINCT are not supported".into());
    }
    let exists = |name: &str| schema.has_column_with_unqualified_name(name);
    let by = |name: &str| {
        Expr::Column(Column::from(
            schema.qualified_field_with_unqualified_name(name).unwrap_or_else(|_| schema.qualified_field(0)),
        ))
    };
    let is = |expr: &Expr, name: &str| matches!(expr, Expr::Column(c) if c.name == name);

    // a row without visitor or visit neither gives nor takes; nor does an offline row in a visit
    let keyed = params.partition_by.iter().cloned().map(Expr::is_not_null);
    let mut takes_part = keyed.reduce(Expr::and).unwrap_or_else(|| lit(true));
    // as in the table functions: participation looks back at all history, attribution at 30 days
    let mut lookback =
        if container == Container::Visitor && called.takes_model { "30 days" } else { "all" }.to_string();
    match (container, rest) {
        (Container::Visit, [source]) => {
            let offline = [5, 7, 8, 9].map(|n: i64| lit(n)).to_vec();
            let online = cast(source.clone(), DataType::Int64).in_list(offline, true);
            takes_part = takes_part.and(source.clone().is_null().or(online));
        }
        (Container::Visitor, [text]) => {
            lookback =
                constant_text(text).ok_or_else(|| wrong("the lookback is a text such as '30 days' or 'all'".into()))?;
        }
        _ => {}
    }
    let lookback_us = parse_lookback(&lookback).map_err(wrong)?;
    if let Expr::Column(column) = item
        && exists(ROW_KIND)
        && let Some(binding) = suite.bound.get(&column.name)
    {
        return error(format!(
            "the values of {0} are bound to a {1}, so that a row is no touch of them; use attribution(...) or \
             participation(...), or the window over product lines (rejoin help bindings)",
            column.name, binding.bind
        ));
    }
    // a touch is where the dimension was set, not where its value persists
    let item = match item {
        Expr::Column(column) => {
            touch_of(column, false, &|name| schema.has_column(&Column { name: name.into(), ..column.clone() }))
        }
        other => other.clone(),
    };
    let item = cast(item, DataType::Utf8);
    let item = if suite.folds_case && exists(ROW_KIND) { lower(item) } else { item };
    let value = cast(metric.clone(), DataType::Float64);
    let time = cast(cast(order.expr.clone(), columns::timestamp()), DataType::Int64);
    let args = vec![when(takes_part.clone(), item).end()?, when(takes_part, value).end()?, time];

    let mut partition_by = params.partition_by.clone();
    let mut tell_apart = |name: &str, beside: &str| {
        let fits = partition_by.iter().any(|e| is(e, beside)) && !partition_by.iter().any(|e| is(e, name));
        if fits && exists(name) {
            partition_by.push(by(name));
        }
    };
    // one visitor id in two suites is two visitors; one visit number with two starts is two visits
    tell_apart(SUITE, VISITOR_ID);
    tell_apart(SUITE, PERSON_ID);
    tell_apart(VISIT_START, VISIT_NUM);
    let mut order_by = params.order_by.clone();
    if exists(HIT_SEQ) && !order_by.iter().any(|s| is(&s.expr, HIT_SEQ)) {
        order_by.push(by(HIT_SEQ).sort(true, false));
    }
    let window = match in_lake_order(&partition_by, &order_by, schema) {
        Some(window) => window,
        None => {
            let mut order: Vec<Expr> = order_by.into_iter().map(|sort| sort.expr).collect();
            // rows that have one place stand as in the lake's order
            if exists(ROW_KIND) {
                let ties = by_visitor::ties(|name| {
                    let found = schema.qualified_field_with_unqualified_name(name).ok()?;
                    Some(Expr::Column(Column::from(found)))
                })?;
                order.extend(ties.into_iter().map(|(_, tie)| tie));
            }
            Window { visitor: partition_by, in_lake_order: false, within: vec![], order }
        }
    };
    Ok(Some((window, Call { name: expr.schema_name().to_string(), model, lookback_us }, args)))
}

/// True for rows as the lake's tables have them: nothing joins, groups or sorts them.
fn lie_as_stored(plan: &LogicalPlan) -> Result<bool> {
    let mut stored = true;
    walk_nodes(plan, &mut |node| {
        stored &= matches!(
            node,
            LogicalPlan::TableScan(_)
                | LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::Union(_)
        );
        Ok(if stored { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    })?;
    Ok(stored)
}

/// How rows of a window in the lake's order stand that are in one place, by the columns beside that of the visitor.
fn ties_of(window: &Window, schema: &DFSchema) -> Result<Vec<Expr>> {
    let Some(Expr::Column(visitor)) = window.visitor.last() else { return Ok(vec![]) };
    let ties = by_visitor::ties(|name| {
        let column = Column { name: name.into(), ..visitor.clone() };
        schema.has_column(&column).then(|| Expr::Column(column))
    })?;
    Ok(ties.into_iter().map(|(_, tie)| tie).collect())
}

/// The window over rows as the lake has them: equal visitor ids have equal keys, by which it is sorted.
fn in_lake_order(partition_by: &[Expr], order_by: &[Sort], schema: &DFSchema) -> Option<Window> {
    let visitor = partition_by.iter().find_map(|expr| match expr {
        Expr::Column(column) if column.name == VISITOR_ID => Some(column),
        _ => None,
    })?;
    let beside = |name: &str| Column { name: name.into(), ..visitor.clone() };
    let key = schema.field_from_column(&beside(VISITOR_KEY)).ok()?;
    let by_time = [HIT_TIME, HIT_SEQ].map(beside);
    let ordered = order_by.len() == 2 && order_by.iter().zip(&by_time).all(|(sort, time)| is_column(&sort.expr, time));
    (ordered && key.data_type() == &DataType::Int64).then(|| Window {
        visitor: vec![Expr::Column(beside(VISITOR_KEY)), Expr::Column(visitor.clone())],
        in_lake_order: true,
        within: partition_by.iter().filter(|expr| !is_column(expr, visitor)).cloned().collect(),
        order: by_time.map(Expr::Column).to_vec(),
    })
}

fn is_column(expr: &Expr, column: &Column) -> bool {
    matches!(expr, Expr::Column(own) if own == column)
}

/// The text of an argument that is the same for all rows.
fn constant_text(expr: &Expr) -> Option<String> {
    let Expr::Literal(value, _) = expr else { return None };
    match value.cast_to(&DataType::Utf8) {
        Ok(ScalarValue::Utf8(text)) => text,
        _ => None,
    }
}
