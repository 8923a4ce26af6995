//! Functions whose arguments say how large their value is: `repeat(text, 2000000000)`. A value lies in memory, so that what a call
//! may make is bounded, before it is made.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::Error;

/// Bytes of the values of a call, at most.
const MOST: f64 = 1e8;

/// The functions, and which argument says how often, or how long.
pub(super) const BOUNDED: [(&str, Size); 5] = [
    ("repeat", Size::Times),
    ("lpad", Size::Length),
    ("rpad", Size::Length),
    ("array_repeat", Size::Copies),
    ("array_resize", Size::Items),
];

/// What the second argument says of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Size {
    /// How often the first argument, a text, is in it.
    Times,
    /// How often the first argument is an item of it.
    Copies,
    /// Of how many characters it is.
    Length,
    /// Of how many items it is.
    Items,
}

/// The same function with a bound.
pub(super) fn bounded(function: Arc<ScalarUDF>, size: Size) -> ScalarUDF {
    ScalarUDF::new_from_impl(Bounded { function, size })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    function: Arc<ScalarUDF>,
    size: Size,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn aliases(&self) -> &[String] {
        self.function.aliases()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let [value, count, ..] = ColumnarValue::values_to_arrays(&args.args)?.as_slice()
            && bytes(value, count, self.size)? > MOST
        {
            let message = format!("{} gives more than 100 MB at once; ask for shorter values or fewer", self.name());
            return Err(Error::out_of_memory(message).into());
        }
        self.function.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// Bytes of an item of a list beside its text.
const ITEM: f64 = 16.0;

/// Bytes of the values of all rows, about.
fn bytes(value: &ArrayRef, count: &ArrayRef, size: Size) -> Result<f64> {
    let counts = cast(count, &DataType::Int64)?;
    let counts = counts.as_primitive::<Int64Type>();
    let lengths = match value.data_type().is_string() {
        true => Some(length(&cast(value, &DataType::LargeUtf8)?)?),
        false => None,
    };
    let lengths = lengths.as_ref().map(|lengths| lengths.as_primitive::<Int64Type>());
    let of_row = |row: usize| -> f64 {
        let text = lengths.filter(|lengths| lengths.is_valid(row)).map_or(0, |lengths| lengths.value(row)) as f64;
        let each = match size {
            Size::Times => text,
            Size::Copies => text + ITEM,
            Size::Length => 1.0,
            Size::Items => ITEM,
        };
        if counts.is_null(row) { 0.0 } else { counts.value(row).max(0) as f64 * each }
    };
    Ok((0..counts.len()).map(of_row).sum())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::execution::FunctionRegistry;
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn large_values_are_refused_before_they_are_made() {
        let context = SessionContext::new();
        for (name, size) in BOUNDED {
            context.register_udf(bounded(context.udf(name).unwrap(), size));
        }
        let asked = async |sql: &str| context.sql(&format!("SELECT {sql}")).await?.collect().await;
        for sql in [
            "repeat('x', 2000000000)",
            "repeat('xy', value) FROM generate_series(1000000, 1000100)",
            "lpad('x', 2000000000, 'y')",
            "rpad('x', 2000000000)",
            "array_repeat(1, 2000000000)",
            "list_repeat('a text', 2000000000)",
            "array_resize([1], 2000000000)",
        ] {
            let error = asked(sql).await.unwrap_err().to_string();
            assert!(error.contains("more than 100 MB"), "{sql}: {error}");
        }
        for sql in [
            "repeat('xy', 1000000), repeat('x', -5), repeat(NULL, 2000000000), repeat('x', NULL)",
            "lpad('x', 10, 'y'), rpad('x', 10), array_repeat([1], 3), array_repeat('x', 2), array_resize([1], 3, 0)",
            "repeat(CAST(value AS VARCHAR), 3) FROM generate_series(1, 20000)",
        ] {
            asked(sql).await.unwrap();
        }
    }
}
