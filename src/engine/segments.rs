//! Saved segments in statements: who belongs to one is found before the statement is planned, and `in_segment('name')` becomes
//! a function that knows.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use rejoin_instances::trees::change_parts;

use super::statement::Names;
use super::view::LakeView;
use crate::functions::{InSegment, in_segment};
use crate::lake::segments::{self, Segment, Segments};
use crate::{Error, Result};

/// The segments of the suite at hand.
pub(super) fn of_suite(view: &LakeView) -> Result<(&str, Segments)> {
    let suite = view.one_suite()?;
    Ok((&suite.suite, segments::segments(suite)?))
}

/// Those of the suite's segments that a statement may be about.
pub(super) fn named(names: &Names, all: &Segments) -> BTreeSet<String> {
    let within = |text: &String, name: &String| {
        text == name || (text.to_lowercase().contains("in_segment") && text.contains(&name.replace('\'', "''")))
    };
    let is_named = |name: &&String| names.segments.contains(*name) || names.arguments.iter().any(|t| within(t, name));
    all.keys().filter(is_named).cloned().collect()
}

/// An expression with a function that knows its members in place of each `in_segment('name')`.
pub(super) fn with_segments(expr: Expr, schema: &DFSchema, view: &LakeView) -> PlanResult<Expr> {
    change_parts(expr, &mut |part| rewritten(part, schema, view)).map(|rewritten| rewritten.data)
}

fn rewritten(expr: Expr, schema: &DFSchema, view: &LakeView) -> PlanResult<Transformed<Expr>> {
    let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
    if call.func.inner().downcast_ref::<InSegment>().is_none() {
        return Ok(Transformed::no(expr));
    }
    let wrong = |message: String| DataFusionError::Plan(format!("in_segment: {message}"));
    let Some(Expr::Literal(ScalarValue::Utf8(Some(name)), _)) = call.args.first() else {
        return Err(wrong("it takes the name of a segment as a text in single quotes".into()));
    };
    let Some(members) = view.known_segments().and_then(|known| known.members(name)) else {
        let (suite, all) = of_suite(view)?;
        segments::find(&all, suite, name)?;
        return Err(wrong(format!("write the name of the segment {name} as one text")));
    };
    let column = |name: &&str| match schema.columns_with_unqualified_name(name).as_slice() {
        [only] => Ok(Expr::Column(only.clone())),
        [] => Err(wrong(format!("no table here has a column {name}; it goes over events"))),
        _ => Err(wrong(format!("several tables here have a column {name}; ask in a query over events alone"))),
    };
    let arguments = members.columns().iter().map(column).collect::<PlanResult<Vec<_>>>()?;
    Ok(Transformed::yes(in_segment(members).call(arguments)))
}

/// Puts a function that knows in place of `in_segment('name')`, wherever a statement has it.
#[derive(Debug)]
pub(super) struct RewriteSegments(pub Arc<LakeView>);

impl FunctionRewrite for RewriteSegments {
    fn name(&self) -> &str {
        "in_segment"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> PlanResult<Transformed<Expr>> {
        rewritten(expr, schema, &self.0)
    }
}

/// The condition that a row is of a segment, as a text.
pub(super) fn condition(name: &str) -> String {
    format!("in_segment({})", crate::quote::literal(name))
}

/// A segment of persons is for journeys of persons.
///
/// # Errors
/// Journeys are others.
pub(super) fn check_container(name: &str, segment: &Segment, by_person: bool) -> Result<()> {
    if segment.by_person && !by_person {
        return Err(Error::query(format!("segment: {name} is of persons; add container => 'person'")));
    }
    Ok(())
}

/// The segment that an argument names.
pub(super) fn find(view: &LakeView, name: &str) -> Result<Segment> {
    let (suite, all) = of_suite(view)?;
    segments::find(&all, suite, name).cloned()
}
