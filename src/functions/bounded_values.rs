//! Functions whose arguments say how large their value is: `repeat(text, 2000000000)`. A value is in memory, so that what a call
//! may make is bounded, before it is made.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::compute::kernels::length::length;
use arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::error::Result;
use datafusion::functions_nested::concat::array_concat_udf;
use datafusion::functions_nested::make_array::make_array_udf;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::Error;

/// Bytes of the values of a call, at most.
pub(super) const MOST: f64 = 1e8;

/// What is said of a call that would make more.
pub(super) fn too_large(name: &str) -> Error {
    Error::out_of_memory(format!("{name} gives more than 100 MB at once; ask for shorter values or fewer"))
}

/// One of each for all plans: two calls with the same arguments are the same.
static ARRAY_CONCAT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(bounded(array_concat_udf(), Size::Together)));
static MAKE_ARRAY: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(bounded(make_array_udf(), Size::Together)));

/// The function of this name with a bound, of those that DataFusion plans for operators and brackets: `||` of lists, `ARRAY[a, b]`.
pub fn bounded_list_function(name: &str) -> Option<Arc<ScalarUDF>> {
    match name {
        "array_concat" => Some(ARRAY_CONCAT.clone()),
        "make_array" => Some(MAKE_ARRAY.clone()),
        _ => None,
    }
}

/// The functions, and what their arguments say of the value.
pub(super) const BOUNDED: [(&str, Size); 12] = [
    ("repeat", Size::Times),
    ("lpad", Size::Length),
    ("rpad", Size::Length),
    ("array_repeat", Size::Copies),
    ("array_resize", Size::Items),
    ("replace", Size::Replaced),
    ("regexp_replace", Size::Replaced),
    ("array_to_string", Size::Joined),
    ("concat", Size::Together),
    ("concat_ws", Size::Together),
    ("array_concat", Size::Together),
    ("make_array", Size::Together),
];

/// How large the value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Size {
    /// The first argument, a text, as often as the second says.
    Times,
    /// The first argument as an item, as often as the second says.
    Copies,
    /// As many characters as the second argument says.
    Length,
    /// As many items as the second argument says, such as the third.
    Items,
    /// The first argument, a text, with the third for each of the second.
    Replaced,
    /// The items of the first argument, with the second between them.
    Joined,
    /// All arguments.
    Together,
}

/// The same function with a bound.
pub(super) fn bounded(function: Arc<ScalarUDF>, size: Size) -> ScalarUDF {
    ScalarUDF::new_from_impl(BoundedFunction { function, size })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BoundedFunction {
    function: Arc<ScalarUDF>,
    size: Size,
}

impl ScalarUDFImpl for BoundedFunction {
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
        if bytes(&args.args, args.number_rows, self.size)? > MOST {
            return Err(too_large(self.name()).into());
        }
        self.function.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// Bytes of a value beside its text or its items.
const ITEM: f64 = 16.0;

/// Bytes of the values of all rows, about.
fn bytes(arguments: &[ColumnarValue], rows: usize, size: Size) -> Result<f64> {
    let sizes: Vec<Sizes> = arguments.iter().map(Sizes::of).collect::<Result<_>>()?;
    if let Size::Together = size {
        return Ok(sizes.iter().map(|sizes| sizes.all(rows)).sum());
    }
    let [first, second, rest @ ..] = sizes.as_slice() else { return Ok(0.0) };
    let third = |row: usize| rest.first().map_or(ITEM, |sizes| sizes.bytes(row));
    let counts = match size {
        Size::Times | Size::Copies | Size::Length | Size::Items => Some(Counts::of(&arguments[1])?),
        Size::Replaced | Size::Joined | Size::Together => None,
    };
    let count = |row: usize| counts.as_ref().map_or(0.0, |counts| counts.at(row));
    let of_row = |row: usize| match size {
        Size::Times => count(row) * (first.bytes(row) - ITEM).max(0.0),
        Size::Copies => count(row) * first.bytes(row),
        Size::Length => count(row),
        Size::Items => count(row) * third(row),
        Size::Replaced => {
            // that of all that could be found; seldom is much of it there
            let (text, from) = (first.bytes(row) - ITEM, (second.bytes(row) - ITEM).max(1.0));
            (text + text / from * (third(row) - ITEM).max(0.0)) / 10.0
        }
        Size::Joined => first.bytes(row) * (1.0 + (second.bytes(row) - ITEM).max(0.0) / ITEM),
        Size::Together => 0.0,
    };
    Ok((0..rows).map(of_row).sum())
}

/// How often, by row.
struct Counts(Int64Array);

impl Counts {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(Self(cast(&array_of(value)?, &DataType::Int64)?.as_primitive().clone()))
    }

    fn at(&self, row: usize) -> f64 {
        let row = if self.0.len() == 1 { 0 } else { row };
        if self.0.is_null(row) { 0.0 } else { self.0.value(row).max(0) as f64 }
    }
}

/// Bytes of each value; one where it is the same for all rows.
struct Sizes(Vec<f64>);

impl Sizes {
    fn of(value: &ColumnarValue) -> Result<Self> {
        Ok(Self(sizes(&array_of(value)?)?))
    }

    fn bytes(&self, row: usize) -> f64 {
        self.0.get(if self.0.len() == 1 { 0 } else { row }).copied().unwrap_or(0.0)
    }

    fn all(&self, rows: usize) -> f64 {
        match self.0.as_slice() {
            [same] => same * rows as f64,
            each => each.iter().sum(),
        }
    }
}

/// The values of a column; one where it is the same for all rows.
fn array_of(value: &ColumnarValue) -> Result<ArrayRef> {
    match value {
        ColumnarValue::Array(array) => Ok(array.clone()),
        ColumnarValue::Scalar(scalar) => scalar.to_array(),
    }
}

/// Bytes of each value: those of its text, or of its items, and 16.
fn sizes(values: &ArrayRef) -> Result<Vec<f64>> {
    if values.data_type().is_string() {
        let lengths = cast(&length(values)?, &DataType::Int64)?;
        let lengths = lengths.as_primitive::<Int64Type>();
        return Ok(lengths.iter().map(|length| length.unwrap_or(0) as f64 + ITEM).collect());
    }
    let Some(lists) = values.as_list_opt::<i32>() else { return Ok(vec![ITEM; values.len()]) };
    let items = sizes(lists.values())?;
    let ends = lists.value_offsets().windows(2).map(|ends| ends[0] as usize..ends[1] as usize);
    Ok(ends.map(|range| items[range].iter().sum::<f64>() + ITEM).collect())
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
            "array_repeat(array_repeat(1, 5000000), 300)",
            "array_resize(['x'], 300, repeat('x', 1000000))",
            "replace(repeat('a', 1000000), 'a', repeat('b', 1000000))",
            "regexp_replace(repeat('a', 1000000), 'a', repeat('b', 1000000), 'g')",
            "array_to_string(range(0, 1000000), repeat('x', 1000000))",
            "concat(a, a, a) FROM (SELECT repeat('x', 40000000) AS a)",
            "concat_ws('', a, a, a) FROM (SELECT repeat('x', 40000000) AS a)",
            "array_concat(a, a, a) FROM (SELECT array_repeat(1, 3000000) AS a)",
            "make_array(a, a, a) FROM (SELECT array_repeat(1, 3000000) AS a)",
            "make_array(make_array(a, a), make_array(a, a)) FROM (SELECT array_repeat(1, 3000000) AS a)",
        ] {
            let error = asked(sql).await.unwrap_err().to_string();
            assert!(error.contains("more than 100 MB"), "{sql}: {error}");
        }
        for sql in [
            "repeat('xy', 1000000), repeat('x', -5), repeat(NULL, 2000000000), repeat('x', NULL)",
            "lpad('x', 10, 'y'), rpad('x', 10), array_repeat([1], 3), array_repeat('x', 2), array_resize([1], 3, 0)",
            "repeat(CAST(value AS VARCHAR), 3) FROM generate_series(1, 20000)",
            "replace('abc', 'b', NULL), replace(NULL, 'b', 'c'), replace('abc', '', 'x'), regexp_replace('abc', 'b+', 'c')",
            "concat('a', value, NULL), concat_ws(',', 'a', value) FROM generate_series(1, 20000)",
            "array_concat([1], [2, 3]), array_to_string([1, 2], ','), array_to_string(['a', NULL], ',', '?')",
            "make_array(), make_array(make_array(value, value), make_array(3)) FROM generate_series(1, 20000)",
        ] {
            asked(sql).await.unwrap();
        }
    }
}
