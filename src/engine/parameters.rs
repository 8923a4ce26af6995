//! Parameters in the arguments of table functions: `SELECT * FROM participation($1, $2)`.
//!
//! What rows a table function gives hangs on its arguments, so that its plan is made with their values, which are put into
//! the statement's words. Before they are known a stand-in tells the columns; it cannot run.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::provider_as_source;
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::sqlparser::ast::{
    self, Array, FunctionArg, FunctionArgExpr, Statement as Sql, TableFactor, Value, Visitor, VisitorMut,
};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use rejoin_instances::syntax::{change, walk};

use crate::columns::{is_dimension, is_metric, is_multi_valued};
use crate::{Error, Result};

/// The parameters that are named within arguments.
pub(super) fn of(arguments: &[FunctionArg]) -> BTreeSet<String> {
    let mut found = PlaceholderNames::default();
    for argument in arguments {
        // it never breaks off
        let _ = walk(argument, &mut found);
    }
    found.0
}

#[derive(Default)]
struct PlaceholderNames(BTreeSet<String>);

impl Visitor for PlaceholderNames {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ast::ValueWithSpan) -> ControlFlow<()> {
        if let Value::Placeholder(name) = &value.value {
            self.0.insert(name.clone());
        }
        ControlFlow::Continue(())
    }
}

/// A statement with values in place of the parameters within arguments of table functions; others stay parameters.
pub(super) fn with_values(sql: &mut Sql, values: &[ScalarValue]) -> Result<()> {
    let mut put = ParameterValues { values, within: 0 };
    match change(sql, &mut put) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct ParameterValues<'v> {
    values: &'v [ScalarValue],
    within: usize,
}

impl VisitorMut for ParameterValues<'_> {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        self.within += usize::from(has_arguments(factor));
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        self.within -= usize::from(has_arguments(factor));
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Error> {
        if self.within == 0 {
            return ControlFlow::Continue(());
        }
        let ast::Expr::Value(value) = &*expr else { return ControlFlow::Continue(()) };
        let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
        let place = name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
        let Some(value) = place.and_then(|place| self.values.get(place)) else {
            return ControlFlow::Break(no_value(name));
        };
        match literal(value) {
            Ok(written) => *expr = written,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn has_arguments(factor: &TableFactor) -> bool {
    matches!(factor, TableFactor::Table { args: Some(_), .. })
}

fn no_value(name: &str) -> Error {
    Error::query(format!("{name} has no value; prepare the statement and bind one"))
}

fn written(value: Value) -> ast::Expr {
    ast::Expr::Value(value.with_empty_span())
}

/// A value as it would have been written.
fn literal(value: &ScalarValue) -> Result<ast::Expr> {
    Ok(match value {
        value if value.is_null() => written(Value::Null),
        ScalarValue::Boolean(Some(value)) => written(Value::Boolean(*value)),
        ScalarValue::List(list) => {
            let items = list.value(0);
            let item = |i| literal(&ScalarValue::try_from_array(&items, i)?);
            let elem = (0..items.len()).map(item).collect::<Result<_>>()?;
            ast::Expr::Array(Array { elem, named: true })
        }
        value if value.data_type().is_numeric() => written(Value::Number(value.to_string(), false)),
        value => match value.cast_to(&DataType::Utf8)? {
            ScalarValue::Utf8(Some(text)) => written(Value::SingleQuotedString(text)),
            _ => written(Value::Null),
        },
    })
}

/// A table function whose arguments are not all known: its columns, and that it needs its parameters. `order` are the names
/// of its arguments where it is one of journeys, whose `columns` are those of events.
pub(super) fn stand_in(
    relation: &TableFactor,
    order: Option<&[&str]>,
    columns: &[Arc<Field>],
    context: &mut dyn RelationPlannerContext,
) -> PlanResult<LogicalPlan> {
    let mut known = relation.clone();
    let TableFactor::Table { name, args: Some(args), alias, .. } = &mut known else {
        return Err(DataFusionError::Internal("a stand-in is for a table function".into()));
    };
    let (function, parameters) = (name.to_string(), of(&args.args));
    *alias = None;
    for (place, argument) in args.args.iter_mut().enumerate() {
        if of(std::slice::from_ref(argument)).is_empty() {
            continue;
        }
        let called = match &*argument {
            FunctionArg::Named { name, .. } => Some(name.value.to_lowercase()),
            FunctionArg::ExprNamed { name, .. } => Some(name.to_string().to_lowercase()),
            FunctionArg::Unnamed(_) => order.and_then(|order| order.get(place)).map(|name| name.to_string()),
        };
        let value = match order {
            // numbers are what other table functions take
            None => written(Value::Number("1".into(), false)),
            Some(_) => example(&function, called.as_deref().unwrap_or_default(), columns)?,
        };
        match argument {
            FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg) => {
                *arg = FunctionArgExpr::Expr(value);
            }
        }
    }
    let planned = context.plan(known)?;
    let schema: SchemaRef = Arc::new(planned.schema().as_arrow().clone());
    let table = Arc::new(StandIn { schema, parameters: parameters.clone() });
    let data_type = if order.is_some() { DataType::Utf8 } else { DataType::Int64 };
    let parameter = |id: String| {
        let field = Some(Arc::new(Field::new(&id, data_type.clone(), true)));
        Expr::Placeholder(Placeholder { id, field }).is_not_null()
    };
    let scan = LogicalPlanBuilder::scan(function, provider_as_source(table), None)?;
    match parameters.into_iter().map(parameter).reduce(Expr::and) {
        Some(known) => scan.filter(known)?.build(),
        None => scan.build(),
    }
}

/// A value of which the columns of a table function's answer do not hang; none is given where it can be missing.
fn example(function: &str, argument: &str, columns: &[Arc<Field>]) -> PlanResult<ast::Expr> {
    let text = |text: &str| written(Value::SingleQuotedString(text.to_string()));
    let first = |fits: &dyn Fn(&Field) -> bool, what: &str| {
        let found = columns.iter().find(|field| fits(field)).map(|field| text(field.name()));
        found.ok_or_else(|| DataFusionError::from(Error::query(format!("{function}: the lake has no {what} yet"))))
    };
    Ok(match argument {
        "metric" => first(&|field| is_metric(field), "metric")?,
        "dimension" => first(&|field| is_dimension(field) && !is_multi_valued(field.name()), "dimension")?,
        "models" | "by" | "name" => {
            let message = format!("{function}: {argument} says what columns the answer has; write it as a text");
            return Err(Error::query(message).into());
        }
        "steps" => ast::Expr::Array(Array { elem: vec![text("true")], named: true }),
        "after" | "before" => text("true"),
        "event_id" => text(""),
        _ => written(Value::Null),
    })
}

/// The columns of a table function that waits for values.
#[derive(Debug)]
struct StandIn {
    schema: SchemaRef,
    parameters: BTreeSet<String>,
}

impl TableProvider for StandIn {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Temporary
    }

    // written out: the block that `async_trait` makes would hold the filters, see `crate::sealed`
    fn scan<'table, 'session, 'columns, 'filters, 'future>(
        &'table self,
        _: &'session dyn Session,
        _: Option<&'columns Vec<usize>>,
        _: &'filters [Expr],
        _: Option<usize>,
    ) -> BoxFuture<'future, PlanResult<Arc<dyn ExecutionPlan>>>
    where
        'table: 'future,
        'session: 'future,
        'columns: 'future,
        'filters: 'future,
        Self: 'future,
    {
        let name = self.parameters.first().map_or("$1", String::as_str);
        ready(Err(no_value(name).into())).boxed()
    }
}
