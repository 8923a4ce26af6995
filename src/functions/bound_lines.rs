//! The product lines of a row with the values that they bind, as a scalar function of one plan.
//!
//! In: the product list, the products (or categories) as a multi-valued cell, which count where there is no list, the value
//! that the row itself binds to each of its products, and whether lines bind only where they bear an instance. Out: a list
//! of products, each with the value that is bound to it there and its amount of the metric.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, Float64Builder, ListArray, StringArray, StringBuilder, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::logical_expr::ScalarUDF;

use super::classes::{Classes, fold_case};
use super::function_spec::{BoundLines, FunctionSpec, plan_function};
use crate::feed::caret::list_values;
use crate::feed::product_list::{Product, has_amounts, parse};

/// The function, see above.
pub fn bound_lines(lines: BoundLines) -> ScalarUDF {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let fields = Fields::from(vec![text("product"), text("value"), Field::new("amount", DataType::Float64, true)]);
    let line = Arc::new(Field::new_list_field(DataType::Struct(fields.clone()), true));
    let arguments = vec![DataType::Utf8, DataType::Utf8, DataType::Utf8, DataType::Boolean];
    let function_spec = FunctionSpec::BoundLines(lines.clone());
    plan_function("bound_lines", arguments, DataType::List(line.clone()), function_spec, move |rows| {
        let (lists, products, values) = (rows.text(0)?, rows.text(1)?, rows.text(2)?);
        let strict = rows.array(3).as_boolean();
        let mut out = Builders::default();
        let mut lengths = Vec::with_capacity(rows.len);
        for i in 0..rows.len {
            let before = out.products.len();
            let of_row = some(&values, i);
            if let Some(list) = some(&lists, i) {
                for product in parse(list) {
                    let own = lines.own_value(&product, strict.is_valid(i) && strict.value(i));
                    let value = own.unwrap_or_else(|| of_row.map(Cow::Borrowed));
                    let bound_to = if lines.by_category { &product.category } else { &product.product };
                    let amount = has_amounts(&lines.metric).then(|| product.amount(&lines.metric)).flatten();
                    out.append(&lines.key(bound_to), lines.named(value.as_deref()).as_deref(), amount);
                }
            } else if let Some(cell) = some(&products, i) {
                let value = lines.named(of_row);
                list_values(cell).for_each(|product| out.append(&lines.key(&product), value.as_deref(), None));
            }
            lengths.push(out.products.len() - before);
        }
        let valid: NullBuffer = lengths.iter().map(|length| *length > 0).collect();
        let values = StructArray::try_new(fields.clone(), out.finish(), None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(line.clone(), offsets, Arc::new(values), Some(valid))?))
    })
}

impl BoundLines {
    /// The value that a line itself names; `Some(None)` where it names one and does not bind it anew. With `strict`, it
    /// binds only where it bears the instance.
    fn own_value<'a>(&self, product: &Product<'a>, strict: bool) -> Option<Option<Cow<'a, str>>> {
        let value = product.bound_value(&self.dimension)?;
        Some(Some(value).filter(|_| !strict || product.has_instance_of(&self.dimension)))
    }

    /// What a product is known by; nobody sees it.
    fn key<'p>(&self, product: &'p str) -> Cow<'p, str> {
        let folds = self.classes.as_ref().is_some_and(Classes::folds_case);
        if folds { fold_case(product) } else { Cow::Borrowed(product) }
    }

    /// What becomes of a value.
    fn named<'v>(&'v self, value: Option<&'v str>) -> Option<Cow<'v, str>> {
        value.map(|value| self.classes.as_ref().map_or(Cow::Borrowed(value), |classes| classes.of(value)))
    }
}

#[derive(Default)]
struct Builders {
    products: StringBuilder,
    values: StringBuilder,
    amounts: Float64Builder,
}

impl Builders {
    fn append(&mut self, product: &str, value: Option<&str>, amount: Option<f64>) {
        self.products.append_option(Some(product).filter(|product| !product.is_empty()));
        self.values.append_option(value.filter(|value| !value.is_empty()));
        self.amounts.append_option(amount);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        vec![Arc::new(self.products.finish()), Arc::new(self.values.finish()), Arc::new(self.amounts.finish())]
    }
}

fn some(texts: &StringArray, row: usize) -> Option<&str> {
    texts.is_valid(row).then(|| texts.value(row)).filter(|text| !text.is_empty())
}
