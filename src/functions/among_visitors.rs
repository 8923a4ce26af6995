//! Whether a row is one of some visitors', known by their keys: functions of a plan.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::logical_expr::ScalarUDF;

use super::function_spec::{FunctionSpec, plan_function};
use super::visitor_keys::VisitorKeys;

/// True for the visitors with these keys, who share a person or have several.
pub fn shares_person(keys: &VisitorKeys) -> ScalarUDF {
    among("shares_person", FunctionSpec::SharesPerson(keys.clone()), keys.clone())
}

/// True for the visitors with these keys, whom a session looks at.
pub fn is_looked_at(keys: &VisitorKeys) -> ScalarUDF {
    among("is_looked_at", FunctionSpec::IsLookedAt(keys.clone()), keys.clone())
}

fn among(name: &str, function_spec: FunctionSpec, keys: VisitorKeys) -> ScalarUDF {
    plan_function(name, vec![DataType::Int64], DataType::Boolean, function_spec, move |rows| {
        let own = cast(rows.array(0), &DataType::Int64)?;
        let own = own.as_primitive::<Int64Type>();
        let found = (0..rows.len).map(|row| Some(own.is_valid(row) && keys.contains(own.value(row))));
        Ok(Arc::new(found.collect::<BooleanArray>()))
    })
}
