//! Window functions in a form that survives the way to an executor.
//!
//! DataFusion 55 writes a physical plan down without `IGNORE NULLS` of a window function and without `FILTER` of an aggregate
//! over a window: they would be answered as if these were not there. The first becomes a part of the function itself, the
//! second is refused.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::plan_err;
use datafusion::common::tree_node::{Transformed, TransformedResult};
use datafusion::error::Result;
use datafusion::functions_window::all_default_window_functions;
use datafusion::logical_expr::expr::NullTreatment;
use datafusion::logical_expr::function::{ExpressionArgs, PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    Expr, LimitEffect, LogicalPlan, PartitionEvaluator, ReversedUDWF, Signature, WindowFunctionDefinition, WindowUDF,
    WindowUDFImpl,
};
use datafusion::optimizer::analyzer::AnalyzerRule;
use datafusion::physical_expr::PhysicalExpr;
use rejoin_instances::trees::{change_expressions, change_nodes, change_parts};

/// Puts functions that ignore NULL by themselves in the place of those that are told to.
#[derive(Debug)]
pub(super) struct KeepWindowClauses;

impl AnalyzerRule for KeepWindowClauses {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        change_nodes(plan, &mut |node| change_expressions(node, &mut |expr| change_parts(expr, &mut kept))).data()
    }

    fn name(&self) -> &str {
        "keep_window_clauses"
    }
}

fn kept(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut window) = expr else { return Ok(Transformed::no(expr)) };
    if window.params.filter.is_some() {
        return plan_err!(
            "FILTER (WHERE ...) OVER (...) on a cluster: write the condition as CASE WHEN within the aggregate"
        );
    }
    let ignores = window.params.null_treatment == Some(NullTreatment::IgnoreNulls);
    Ok(match &window.fun {
        WindowFunctionDefinition::WindowUDF(function) if ignores && !function.inner().is::<IgnoringNulls>() => {
            window.fun = WindowFunctionDefinition::WindowUDF(ignoring_nulls(function.clone()));
            Transformed::yes(Expr::WindowFunction(window))
        }
        _ => Transformed::no(Expr::WindowFunction(window)),
    })
}

/// A window function of DataFusion that ignores NULL, by its name; for plans that come over the network.
pub(super) fn named(name: &str) -> Option<Arc<WindowUDF>> {
    all_default_window_functions().into_iter().find(|function| function.name() == name).map(ignoring_nulls)
}

/// True for a function that ignores NULL by itself.
pub(super) fn ignores_nulls(function: &WindowUDF) -> bool {
    function.inner().is::<IgnoringNulls>()
}

fn ignoring_nulls(function: Arc<WindowUDF>) -> Arc<WindowUDF> {
    Arc::new(WindowUDF::new_from_impl(IgnoringNulls(function)))
}

/// A window function that ignores NULL whether or not it is told to.
#[derive(Debug, PartialEq, Eq, Hash)]
struct IgnoringNulls(Arc<WindowUDF>);

impl WindowUDFImpl for IgnoringNulls {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn expressions(&self, args: ExpressionArgs) -> Vec<Arc<dyn PhysicalExpr>> {
        self.0.expressions(args)
    }

    fn partition_evaluator(&self, args: PartitionEvaluatorArgs) -> Result<Box<dyn PartitionEvaluator>> {
        let args = PartitionEvaluatorArgs::new(args.input_exprs(), args.input_fields(), args.is_reversed(), true);
        self.0.partition_evaluator_factory(args)
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        self.0.field(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.0.coerce_types(types)
    }

    fn reverse_expr(&self) -> ReversedUDWF {
        match self.0.reverse_expr() {
            ReversedUDWF::Reversed(other) => ReversedUDWF::Reversed(ignoring_nulls(other)),
            same => same,
        }
    }

    fn limit_effect(&self, args: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        self.0.inner().limit_effect(args)
    }
}
