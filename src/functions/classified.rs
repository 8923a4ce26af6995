//! What becomes of a dimension's values, as a scalar function of one plan: values in, items out.

use std::sync::Arc;

use arrow::array::{Array, StringBuilder};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::classes::Classes;
use super::function_spec::{FunctionSpec, plan_function};
use crate::feed::caret::{join_list, list_values};

/// The function `name(value)`; of a multi-valued dimension each value of a cell has its own class.
pub fn classified(name: &str, classes: Classes, multi_valued: bool) -> ScalarUDF {
    let function_spec = FunctionSpec::Classified { name: name.into(), classes: classes.clone(), multi_valued };
    plan_function(name, vec![DataType::Utf8], DataType::Utf8, function_spec, move |rows| {
        let values = rows.text(0)?;
        let mut out = StringBuilder::with_capacity(rows.len, 0);
        let mut cell = String::new();
        for i in 0..rows.len {
            match (values.is_valid(i), multi_valued) {
                (false, _) => out.append_null(),
                (true, false) => out.append_value(&*classes.of(values.value(i))),
                (true, true) => {
                    cell.clear();
                    let own: Vec<_> = list_values(values.value(i)).collect();
                    let items: Vec<_> = own.iter().map(|value| classes.of(value)).collect();
                    join_list(items.iter().map(|item| &**item), &mut cell);
                    out.append_value(&cell);
                }
            }
        }
        Ok(Arc::new(out.finish()))
    })
}
