//! `products(product_list)`: the lines of a feed's product list.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Builder, ListArray, NullBufferBuilder, StringBuilder, StructArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::feed::product_list::parse;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "products",
    kind: "scalar",
    signature: "products(product_list)",
    description: "The lines of a feed's product list, as a list of structs: category, product, quantity, price, events, evars.",
    example: "SELECT p['product'], sum(p['price']) FROM (SELECT unnest(products(product_list)) AS p FROM hits) GROUP BY 1",
};

pub(super) fn udf() -> ScalarUDF {
    let line = Arc::new(Field::new_list_field(DataType::Struct(line_fields()), true));
    function("products", vec![DataType::Utf8], DataType::List(line.clone()), move |rows| {
        let texts = rows.text(0)?;
        let mut text = [(); 4].map(|()| StringBuilder::new());
        let mut numbers = [(); 2].map(|()| Float64Builder::new());
        let (mut lengths, mut valid) = (Vec::with_capacity(rows.len), NullBufferBuilder::new(rows.len));
        for i in 0..rows.len {
            valid.append(texts.is_valid(i));
            let mut lines = 0;
            if texts.is_valid(i) {
                for product in parse(texts.value(i)) {
                    let bad = |why: String| DataFusionError::Execution(format!("products: {why}"));
                    for (builder, value) in
                        text.iter_mut().zip([&*product.category, &*product.product, product.events, product.evars])
                    {
                        builder.append_option(Some(value).filter(|v| !v.is_empty()));
                    }
                    numbers[0].append_option(product.units().map_err(bad)?);
                    numbers[1].append_option(product.revenue().map_err(bad)?);
                    lines += 1;
                }
            }
            lengths.push(lines);
        }
        let [category, product, events, evars] = text.map(|mut b| Arc::new(b.finish()) as ArrayRef);
        let [quantity, price] = numbers.map(|mut b| Arc::new(b.finish()) as ArrayRef);
        let columns = vec![category, product, quantity, price, events, evars];
        let values = StructArray::try_new(line_fields(), columns, None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(line.clone(), offsets, Arc::new(values), valid.finish())?))
    })
}

fn line_fields() -> Fields {
    let text = |name| Field::new(name, DataType::Utf8, true);
    let number = |name| Field::new(name, DataType::Float64, true);
    Fields::from(vec![
        text("category"),
        text("product"),
        number("quantity"),
        number("price"),
        text("events"),
        text("evars"),
    ])
}
