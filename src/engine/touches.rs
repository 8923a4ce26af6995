//! Where a row touches a dimension: what it set or brought itself, as distinct from a value that persists or that a record
//! took from its snapshot.
//!
//! In `events` a dimension whose value a row may merely carry stands beside a column `_set`, which says what the row itself
//! set, on every row. The table functions, the window functions and `touch(column)` all ask here.

use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{Expr, cast, lit};
use datafusion::scalar::ScalarValue;
use rejoin_instances::trees::change_parts;

use crate::columns::{self, ROW_KIND, is_multi_valued};
use crate::functions::{Classes, Touch, classified};

/// The value with which a row of `events` touches a dimension. With `inherited`, an offline row's value counts even where
/// the row took it from its snapshot.
pub(super) fn touch_of(dimension: &Column, inherited: bool, exists: &dyn Fn(&str) -> bool) -> Expr {
    let own = Expr::Column(dimension.clone());
    let set = columns::set_column(&dimension.name);
    if !exists(&set) {
        return own;
    }
    let beside = |name: String| Expr::Column(Column { name, ..dimension.clone() });
    let set = beside(set);
    if !inherited || !exists(ROW_KIND) {
        return set;
    }
    let online = beside(ROW_KIND.into()).eq(lit("online"));
    when(online, set).otherwise(own).expect("a CASE with one branch and an ELSE is well formed")
}

/// The item that a row touches, a text: of the dimension that a question calls `name`, as `classes` has it.
pub(super) fn item_of(
    name: &str,
    dimension: &Field,
    classes: Option<Classes>,
    inherited: bool,
    exists: &dyn Fn(&str) -> bool,
) -> Expr {
    let mut item = touch_of(&Column::new_unqualified(dimension.name()), inherited, exists);
    if dimension.data_type() != &DataType::Utf8 {
        item = cast(item, DataType::Utf8);
    }
    match classes {
        Some(classes) => classified(name, classes, is_multi_valued(dimension.name())).call(vec![item]),
        None => item,
    }
}

/// An expression with what a row touches in place of each `touch(column)`.
pub(super) fn with_touches(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    change_parts(expr, &mut |part| RewriteTouch.rewrite(part, schema, &ConfigOptions::default()))
        .map(|rewritten| rewritten.data)
}

/// Puts what a row touches in place of `touch(column)`.
#[derive(Debug, Default)]
pub struct RewriteTouch;

impl FunctionRewrite for RewriteTouch {
    fn name(&self) -> &str {
        "touch"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
        if call.func.inner().downcast_ref::<Touch>().is_none() {
            return Ok(Transformed::no(expr));
        }
        let wrong = |message: &str| Err(DataFusionError::Plan(format!("touch: {message}")));
        let Some(Expr::Column(dimension)) = call.args.first().map(unaliased) else {
            return wrong("it takes a dimension, a column of the table that is read, such as touch(tracking_code)");
        };
        let inherited = match call.args.get(1) {
            None => false,
            Some(Expr::Literal(ScalarValue::Boolean(Some(inherited)), _)) => *inherited,
            Some(_) => return wrong("its second argument is true or false: whether inherited values count"),
        };
        let exists = |name: &str| schema.has_column(&Column { name: name.into(), ..dimension.clone() });
        Ok(Transformed::yes(touch_of(dimension, inherited, &exists)))
    }
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}
