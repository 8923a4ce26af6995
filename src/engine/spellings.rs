//! How items are written that differ only in case (`fold_case`): as their earliest touch has it.
//!
//! In: a dimension. Out: a query for the spelling of each item, which is asked before the statement that names the dimension
//! is planned; where no row touches an item, which some only carry, the earliest of those counts. Items that are written
//! without capital letters are left out.

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast as cast_array;
use arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::functions::core::expr_fn::{coalesce, get_field};
use datafusion::functions::expr_fn::lower;
use datafusion::functions_aggregate::expr_fn::first_value;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};

use super::bound::BoundRows;
use super::by_visitor::ties;
use super::names::ColumnNames;
use super::touches::touch_of;
use super::view::LakeView;
use crate::Result;
use crate::columns::{HIT_SEQ, HIT_TIME, OCCURRENCES, SUITE, VISITOR_ID, is_multi_valued};
use crate::functions::{BoundLines, classified, list_values};
use crate::lake::bindings::{Binding, Bound};

/// The query for a dimension as a statement names it; None where `written` is none.
pub(super) fn query(view: &LakeView, written: &str) -> Result<Option<LogicalPlan>> {
    let names = ColumnNames::of(view)?;
    let Ok((dimension, classes)) = names.dimension(written) else { return Ok(None) };
    let exists = |name: &str| names.exists(name);
    let own = ident(VISITOR_ID).is_not_null().and(ident(SUITE).eq(lit(view.one_suite()?.suite.clone())));
    let rows = LogicalPlanBuilder::from(view.events()?.clone()).filter(own)?;
    let ties = ties(|name| Some(ident(name)))?;
    let tie_names: Vec<&str> = ties.iter().map(|(name, _)| *name).collect();
    // what is carried only comes after every touch
    let row = |item: Expr, carried: Expr, ties: Vec<Expr>| {
        let place = [item.alias("item"), carried.alias("carried"), ident(HIT_TIME), ident(HIT_SEQ)];
        place.into_iter().chain(ties).collect::<Vec<_>>()
    };
    let of_events = || ties.iter().map(|(name, tie)| tie.clone().alias(*name)).collect::<Vec<_>>();
    let as_before = || tie_names.iter().map(|name| ident(*name)).collect::<Vec<_>>();
    let items = match names.bound.get(dimension.name()) {
        Some(binding) => {
            let lines = bound_lines(view, binding, dimension.name(), classes, &exists)?;
            let lines = rows.project(row(lines, lit(false), of_events()))?.unnest_column("item")?;
            lines.project(row(get_field(ident("item"), "value"), ident("carried"), as_before()))?
        }
        None => {
            let touch = cast(touch_of(&Column::new_unqualified(dimension.name()), false, &exists), DataType::Utf8);
            let value = coalesce(vec![touch.clone(), cast(ident(dimension.name()), DataType::Utf8)]);
            let several = is_multi_valued(dimension.name());
            let value = if several { list_values().call(vec![value]) } else { value };
            let mut items = rows.project(row(value, touch.is_null(), of_events()))?;
            if several {
                items = items.unnest_column("item")?;
            }
            match classes {
                Some(classes) => {
                    let class = classified(written, classes, false).call(vec![ident("item")]);
                    items.project(row(class, ident("carried"), as_before()))?
                }
                None => items,
            }
        }
    };
    let order = ["carried", HIT_TIME, HIT_SEQ].into_iter().chain(tie_names.iter().copied()).chain(["item"]);
    let order = order.map(|name| ident(name).sort(true, false)).collect();
    let shown = first_value(ident("item"), order).alias("shown");
    let spelled =
        items.filter(ident("item").is_not_null())?.aggregate([lower(ident("item")).alias("folded")], [shown])?;
    Ok(Some(spelled.filter(ident("shown").not_eq(ident("folded")))?.build()?))
}

/// What the product lines of a row bind.
fn bound_lines(
    view: &LakeView,
    binding: &Binding,
    dimension: &str,
    classes: Option<crate::functions::Classes>,
    exists: &dyn Fn(&str) -> bool,
) -> Result<Expr> {
    let by_category = binding.bind == Bound::Category;
    let lines = BoundLines { metric: OCCURRENCES.into(), dimension: dimension.into(), by_category, classes };
    Ok(BoundRows::new(binding, lines, view, true, exists)?.lines)
}

/// The pairs of a batch of the query's rows.
pub(super) fn of(batch: &RecordBatch) -> Result<Vec<(String, String)>> {
    let [folded, shown] = [0, 1].map(|n| cast_array(batch.column(n), &DataType::Utf8));
    let (folded, shown) = (folded?, shown?);
    let pairs = folded.as_string::<i32>().iter().zip(shown.as_string::<i32>());
    Ok(pairs.filter_map(|(folded, shown)| Some((folded?.to_string(), shown?.to_string()))).collect())
}
