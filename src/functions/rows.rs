//! Scalar functions row by row: text in, anything out, NULL handled by the function itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, SimpleScalarUDF,
    Volatility, create_udf,
};

/// The arguments of one call as arrays of one length.
pub struct Rows {
    arrays: Vec<ArrayRef>,
    /// Number of rows.
    pub len: usize,
}

impl Rows {
    /// Argument `i` as text.
    pub fn text(&self, i: usize) -> Result<StringArray> {
        Ok(cast(&self.arrays[i], &DataType::Utf8)?.as_string::<i32>().clone())
    }

    /// Argument `i` as microseconds since 1970 (of UTC, or of a wall clock).
    pub fn micros(&self, i: usize) -> Result<TimestampMicrosecondArray> {
        let zone = match self.arrays[i].data_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        let array = cast(&self.arrays[i], &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
        Ok(array.as_primitive::<TimestampMicrosecondType>().clone())
    }

    /// Argument `i` as it is.
    pub fn array(&self, i: usize) -> &ArrayRef {
        &self.arrays[i]
    }

    /// Number of arguments.
    pub fn width(&self) -> usize {
        self.arrays.len()
    }
}

/// A scalar function over whole arrays.
pub fn function(
    name: &str,
    arguments: Vec<DataType>,
    returns: DataType,
    body: impl Fn(&Rows) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    create_udf(name, arguments, returns, Volatility::Immutable, Arc::new(move |values| evaluate(values, &body)))
}

/// A scalar function of several signatures.
pub fn function_of(
    name: &str,
    signature: Signature,
    returns: DataType,
    body: impl Fn(&Rows) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let body = Arc::new(move |values: &[ColumnarValue]| evaluate(values, &body));
    ScalarUDF::new_from_impl(SimpleScalarUDF::new_with_signature(name, signature, returns, body))
}

/// A scalar function of one argument, which gives NULL for NULL alone.
pub fn function_of_one(
    name: &str,
    returns: DataType,
    body: impl Fn(&ArrayRef) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let body = Arc::new(move |values: &[ColumnarValue]| evaluate(values, |rows| body(rows.array(0))));
    let signature = Signature::any(1, Volatility::Immutable);
    let function = SimpleScalarUDF::new_with_signature(name, signature, returns, body);
    ScalarUDF::new_from_impl(OfOne { function })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OfOne {
    function: SimpleScalarUDF,
}

impl ScalarUDFImpl for OfOne {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&[])?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.function.invoke_with_args(args)
    }
}

/// Runs `body` on the arguments of a call; a call of constants gives a constant.
pub fn evaluate(values: &[ColumnarValue], body: impl Fn(&Rows) -> Result<ArrayRef>) -> Result<ColumnarValue> {
    let constant = values.iter().all(|v| matches!(v, ColumnarValue::Scalar(_)));
    let arrays = ColumnarValue::values_to_arrays(values)?;
    let rows = Rows { len: arrays.first().map_or(1, |a| a.len()), arrays };
    let result = body(&rows)?;
    if result.len() != rows.len {
        return Err(DataFusionError::Internal(format!("{} results for {} rows", result.len(), rows.len)));
    }
    if constant {
        return Ok(ColumnarValue::Scalar(datafusion::scalar::ScalarValue::try_from_array(&result, 0)?));
    }
    Ok(ColumnarValue::Array(result))
}
