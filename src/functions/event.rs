//! `event(event_list, name)`: the value of an event in a feed's event list.

use std::sync::Arc;

use arrow::array::{Array, Float64Array};
use arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::feed::event_list::{event_id, event_value};

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "event",
    kind: "scalar",
    signature: "event(event_list, name)",
    description: "The value of an event in a feed's event list: its number, 1 without one, NULL when it is not there. Names: \
event1 to event1000, orders, product_views, carts, checkouts, cart_adds, cart_removes, cart_views.",
    example: "SELECT sum(event(event_list, 'event5')) FROM hits",
};

pub(super) fn udf() -> ScalarUDF {
    function("event", vec![DataType::Utf8, DataType::Utf8], DataType::Float64, |rows| {
        let (lists, names) = (rows.text(0)?, rows.text(1)?);
        let mut values = Vec::with_capacity(rows.len);
        for i in 0..rows.len {
            values.push(match lists.is_valid(i) && names.is_valid(i) {
                true if event_id(names.value(i)).is_none() => {
                    return Err(DataFusionError::Execution(format!(
                        "event: there is no event {}; write event1 to event1000, orders, product_views, carts, ...",
                        names.value(i)
                    )));
                }
                true => event_value(lists.value(i), names.value(i)),
                false => None,
            });
        }
        Ok(Arc::new(Float64Array::from(values)))
    })
}
