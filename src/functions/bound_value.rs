//! `bound_value(evars, dimension)`: the value that a product line binds, from the part of it that `products` calls `evars`.

use std::sync::Arc;

use arrow::array::{Array, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::feed::product_list::bound_value;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "bound_value",
    kind: "scalar",
    signature: "bound_value(evars, dimension)",
    description: "The value that a product line binds to its product: of eVar1=red|eVar2=x, the part that products(...) calls \
evars, by the dimension's name; NULL when it is not there.",
    example: "SELECT bound_value(p['evars'], 'evar1'), sum(p['price']) FROM (SELECT unnest(products(product_list)) AS p FROM hits) GROUP BY 1",
};

pub(super) fn udf() -> ScalarUDF {
    function("bound_value", vec![DataType::Utf8, DataType::Utf8], DataType::Utf8, |rows| {
        let (evars, names) = (rows.text(0)?, rows.text(1)?);
        let mut values = StringBuilder::new();
        for i in 0..rows.len {
            let both = evars.is_valid(i) && names.is_valid(i);
            let value = both.then(|| bound_value(evars.value(i), names.value(i).trim())).flatten();
            values.append_option(value);
        }
        Ok(Arc::new(values.finish()))
    })
}
