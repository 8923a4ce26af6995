//! Rows of `events` as product lines that bind values: a suite's setting in, expressions out.

use arrow::datatypes::DataType;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::{Expr, cast, ident, lit};

use super::touches::touch_of;
use super::view::LakeView;
use crate::attribution::Expiry;
use crate::columns::{FILE, PRODUCT_LIST, ROW_KIND, numbered};
use crate::functions::{BoundLines, bound_lines};
use crate::lake::bindings::Binding;

/// What a journey of bound values reads of a row.
pub(super) struct BoundRows {
    /// Its product lines, see [`bound_lines`].
    pub lines: Expr,
    /// True where it ends bindings.
    pub ends: Expr,
    /// True where it has lines, or ends bindings.
    pub some: Expr,
}

impl BoundRows {
    /// Of a dimension that is bound; `exists` tells the columns of `events`.
    pub fn new(
        binding: &Binding,
        asked: BoundLines,
        view: &LakeView,
        inherited: bool,
        exists: &dyn Fn(&str) -> bool,
    ) -> Result<Self> {
        let column = |name: &str| match exists(name) {
            true => cast(ident(name), DataType::Utf8),
            false => lit(ScalarValue::Utf8(None)),
        };
        let not_zero = |metric: &str| match exists(metric) {
            true => ident(metric).not_eq(lit(0.0)),
            false => lit(false),
        };
        let own = |name: &str| match exists(name) {
            true => cast(touch_of(&Column::new_unqualified(name), inherited, exists), DataType::Utf8),
            false => lit(ScalarValue::Utf8(None)),
        };
        let key = if asked.by_category { "category" } else { "product" };
        let (list, products) = (column(PRODUCT_LIST), column(key));
        let online = ident(ROW_KIND).eq(lit("online"));
        let of_row = match &binding.binding_metric {
            // an offline row binds what it brought itself, to products that it brought itself
            Some(metric) => {
                let brought = own(PRODUCT_LIST).is_not_null().or(own(key).is_not_null());
                let value =
                    when(online.clone(), column(&asked.dimension)).when(brought, own(&asked.dimension)).end()?;
                when(not_zero(metric), value).end()?
            }
            None => lit(ScalarValue::Utf8(None)),
        };
        let files: Vec<Expr> = match numbered(&asked.dimension, "evar") {
            Some(evar) => view.deliveries_with_instances(evar).map(lit).collect(),
            None => vec![],
        };
        let by_instance = match files.is_empty() {
            true => lit(false),
            false => online.and(ident(FILE).in_list(files, false)),
        };
        let ends = match &binding.expiry {
            Expiry::Metric(metric) => not_zero(metric),
            _ => lit(false),
        };
        let some = list.clone().is_not_null().or(products.clone().is_not_null()).or(ends.clone());
        let lines = bound_lines(asked).call(vec![list, products, of_row, by_instance]);
        Ok(Self { lines, ends, some })
    }
}
