//! The product lines of one metric as a scalar function of one plan: a product list in, items with their amounts out. Where there
//! is no list, a row that names one product (or category) by itself is a line of it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, Float64Builder, ListArray, NullBufferBuilder, StringBuilder, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::logical_expr::ScalarUDF;

use super::classes::Classes;
use super::function_spec::{FunctionSpec, plan_function};
use crate::feed::caret::list_values;
use crate::feed::product_list::{has_amounts, parse};

/// The function for a metric that products have of their own, by product or category (or a class of them); None for all
/// others. Its lists hold the lines that have an amount: `item`, NULL where the line has no product or category, `amount`. The
/// second argument is the row's own products or categories, as a multi-valued cell: where there is no list, and it has one
/// value, this is the item of the row's only line.
pub fn product_lines(metric: &str, dimension: &str, classes: Option<Classes>) -> Option<ScalarUDF> {
    let by_category = match dimension {
        "product" => false,
        "category" => true,
        _ => return None,
    };
    if !has_amounts(metric) {
        return None;
    }
    let metric = metric.to_string();
    let function_spec =
        FunctionSpec::ProductLines { metric: metric.clone(), dimension: dimension.into(), classes: classes.clone() };
    let fields =
        Fields::from(vec![Field::new("item", DataType::Utf8, true), Field::new("amount", DataType::Float64, false)]);
    let line = Arc::new(Field::new_list_field(DataType::Struct(fields.clone()), true));
    Some(plan_function(
        "product_lines",
        vec![DataType::Utf8; 2],
        DataType::List(line.clone()),
        function_spec,
        move |rows| {
            let (texts, of_rows) = (rows.text(0)?, rows.text(1)?);
            let (mut items, mut amounts) = (StringBuilder::new(), Float64Builder::new());
            let (mut lengths, mut valid) = (Vec::with_capacity(rows.len), NullBufferBuilder::new(rows.len));
            for i in 0..rows.len {
                let has_list = texts.is_valid(i);
                valid.append(has_list || of_rows.is_valid(i));
                let before = items.len();
                for product in parse(if has_list { texts.value(i) } else { "" }) {
                    let Some(amount) = product.amount(&metric) else { continue };
                    let item = if by_category { &product.category } else { &product.product };
                    let item = Some(&**item).filter(|item| !item.is_empty());
                    items.append_option(item.map(|item| named(classes.as_ref(), item)));
                    amounts.append_value(amount);
                }
                if !has_list && of_rows.is_valid(i) {
                    let mut own = list_values(of_rows.value(i));
                    if let (Some(item), None) = (own.next(), own.next()) {
                        // whatever the row has is the line's
                        items.append_value(named(classes.as_ref(), &item));
                        amounts.append_value(1.0);
                    }
                }
                lengths.push(items.len() - before);
            }
            let columns: Vec<ArrayRef> = vec![Arc::new(items.finish()), Arc::new(amounts.finish())];
            let values = StructArray::try_new(fields.clone(), columns, None)?;
            let offsets = OffsetBuffer::from_lengths(lengths);
            Ok(Arc::new(ListArray::try_new(line.clone(), offsets, Arc::new(values), valid.finish())?))
        },
    ))
}

/// What becomes of a product or category.
fn named<'v>(classes: Option<&'v Classes>, item: &'v str) -> Cow<'v, str> {
    classes.map_or(Cow::Borrowed(item), |classes| classes.of(item))
}
