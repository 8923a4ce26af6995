//! What a cast of a text to a number, a truth value or bytes is, and of a number to one that holds less: PostgreSQL's reading and
//! rounding of it. Made for a plan, it has no name in SQL.
//!
//! Arrow's casts cut off what is behind the point, take a text's bytes as they stand, and tell what failed in words alone.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::function_spec::FunctionSpec;
use super::rows::evaluate;
use crate::Error;
use crate::error::StatementFault;

/// True for the types that [`as_value`] gives.
pub fn is_value(data_type: &DataType) -> bool {
    data_type.is_integer() || is_fraction(data_type) || *data_type == DataType::Boolean || is_bytes(data_type)
}

/// The function that takes a text, or a number, as a type of which [`is_value`] is true. One that `tries` gives NULL for what is none.
pub fn as_value(returns: &DataType, tries: bool) -> ScalarUDF {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(AsValue { signature, returns: returns.clone(), tries })
}

/// Numbers with places behind the point.
fn is_fraction(data_type: &DataType) -> bool {
    use DataType::{Decimal128, Decimal256, Float32, Float64};
    matches!(data_type, Float32 | Float64 | Decimal128(..) | Decimal256(..))
}

fn is_bytes(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AsValue {
    signature: Signature,
    returns: DataType,
    tries: bool,
}

impl AsValue {
    /// What it is made of.
    pub(super) fn function_spec(&self) -> FunctionSpec {
        FunctionSpec::AsValue { returns: self.returns.to_string(), tries: self.tries }
    }

    fn read(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let reads_text = is_text(values.data_type());
        if reads_text && is_bytes(&self.returns) {
            return self.bytes(values);
        }
        let values = match values.data_type() {
            DataType::Utf8View => cast(values, &DataType::Utf8)?,
            _ => values.clone(),
        };
        let found = self.converted(&rounded(&values, &self.returns)?)?;
        if self.tries || found.logical_null_count() == values.logical_null_count() {
            return Ok(found);
        }
        if !reads_text {
            let missing = (0..values.len()).find(|row| found.is_null(*row) && !values.is_null(*row));
            let value = missing.map(|row| ScalarValue::try_from_array(&values, row)).transpose()?;
            return Err(self.out_of_range(&value.map(|value| value.to_string()).unwrap_or_default()).into());
        }
        // spaces around it are no part of it
        let texts = cast(&values, &DataType::Utf8)?;
        let texts: StringArray = texts.as_string::<i32>().iter().map(|text| text.map(str::trim)).collect();
        let found = self.converted(&(Arc::new(texts.clone()) as ArrayRef))?;
        match (0..texts.len()).find(|row| found.is_null(*row) && texts.is_valid(*row)) {
            Some(row) => Err(self.unread(texts.value(row)).into()),
            None => Ok(found),
        }
    }

    /// As Arrow has it; NULL for what is none.
    fn converted(&self, values: &ArrayRef) -> Result<ArrayRef> {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        Ok(cast_with_options(values, &self.returns, &options)?)
    }

    fn bytes(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let texts = cast(texts, &DataType::Utf8)?;
        let one = |text: Option<&str>| match text.map(|text| (text, bytes_of(text))) {
            None => Ok(None),
            Some((text, None)) if !self.tries => Err(self.unread(text)),
            Some((_, bytes)) => Ok(bytes),
        };
        let bytes = texts.as_string::<i32>().iter().map(one).collect::<crate::Result<BinaryArray>>()?;
        Ok(cast(&bytes, &self.returns)?)
    }

    /// What is wrong about a text.
    fn unread(&self, text: &str) -> Error {
        let is_whole = |text: &str| {
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())
        };
        let (is_number, what, example) = match &self.returns {
            DataType::Boolean => (false, "truth value", "true"),
            returns if returns.is_integer() => (is_whole(text), "whole number", "12"),
            returns if is_bytes(returns) => (false, "value of bytes", "\\x01ff"),
            _ => (text.parse::<f64>().is_ok(), "number", "12.5"),
        };
        let shown: String = text.chars().take(40).collect();
        if is_number {
            return self.out_of_range(&shown);
        }
        Error::query(format!("{shown:?} is no {what}; write one as {example}")).of_fault(StatementFault::Value)
    }

    fn out_of_range(&self, shown: &str) -> Error {
        let message =
            format!("{shown} is out of the range of {}; CAST to a type that holds more", name_of(&self.returns));
        Error::query(message).of_fault(StatementFault::Range)
    }
}

/// What SQL calls a type.
fn name_of(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Int16 => "smallint",
        DataType::Int32 => "integer",
        DataType::Int64 => "bigint",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal128(digits, places) | DataType::Decimal256(digits, places) => {
            return format!("numeric({digits},{places})");
        }
        other => return other.to_string(),
    };
    name.to_string()
}

/// Numbers that are to be whole, to the nearest: of two that are as near, decimals take the one further from 0, and doubles the even one.
fn rounded(values: &ArrayRef, returns: &DataType) -> Result<ArrayRef> {
    Ok(match values.data_type() {
        DataType::Float32 | DataType::Float64 if returns.is_integer() => {
            let doubles = cast(values, &DataType::Float64)?;
            Arc::new(doubles.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::round_ties_even))
        }
        DataType::Decimal128(..) if returns.is_integer() => cast(values, &DataType::Decimal128(38, 0))?,
        DataType::Decimal256(..) if returns.is_integer() => cast(values, &DataType::Decimal256(76, 0))?,
        _ => values.clone(),
    })
}

/// The bytes of a text, `\x01ff` or `a\000b`; None where it is neither.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = digits.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
        let digit = |sign: u8| char::from(sign).to_digit(16);
        let byte = |pair: &[u8]| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        };
        return digits.chunks(2).map(byte).collect();
    }
    let mut rest = text.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    loop {
        let (byte, after) = match rest {
            [] => return Some(bytes),
            [b'\\', b'\\', after @ ..] => (b'\\', after),
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', after @ ..] => {
                ((high - b'0') * 64 + (middle - b'0') * 8 + (low - b'0'), after)
            }
            [b'\\', ..] => return None,
            [byte, after @ ..] => (*byte, after),
        };
        bytes.push(byte);
        rest = after;
    }
}

impl ScalarUDFImpl for AsValue {
    fn name(&self) -> &str {
        "as_value"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    // as a cast has it
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = self.tries || args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.returns.clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluate(&args.args, |rows| self.read(rows.array(0)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Decimal128Array, Float64Array, Int64Array};

    use super::*;

    fn read(values: impl Array + 'static, returns: &DataType) -> crate::Result<String> {
        let function = as_value(returns, false);
        let found = function.inner().downcast_ref::<AsValue>().unwrap().read(&(Arc::new(values) as ArrayRef))?;
        assert_eq!(found.data_type(), returns);
        Ok(cast(&found, &DataType::Utf8).unwrap().as_string::<i32>().value(0).to_string())
    }

    fn text(text: &str, returns: &DataType) -> crate::Result<String> {
        read(StringArray::from(vec![text]), returns)
    }

    /// As PostgreSQL 15 answers.
    #[test]
    fn numbers_are_rounded() {
        let decimal = |value, places| Decimal128Array::from(vec![value]).with_precision_and_scale(10, places).unwrap();
        for (value, expected) in [(25, "3"), (-25, "-3"), (35, "4"), (24, "2")] {
            assert_eq!(read(decimal(value, 1), &DataType::Int32).unwrap(), expected);
        }
        for (value, expected) in [(2.5, "2"), (3.5, "4"), (-2.5, "-2"), (2.6, "3")] {
            assert_eq!(read(Float64Array::from(vec![value]), &DataType::Int64).unwrap(), expected);
        }
    }

    #[test]
    fn what_is_none_says_what_it_is_not() {
        let fault = |found: crate::Result<String>| found.unwrap_err().fault();
        let (value, range) = (Some(StatementFault::Value), Some(StatementFault::Range));
        for (written, returns, expected) in [
            ("abc", DataType::Int32, value),
            ("1.5", DataType::Int32, value),
            ("", DataType::Int64, value),
            ("3000000000", DataType::Int32, range),
            ("12abc", DataType::Float64, value),
            ("1,2", DataType::Decimal128(38, 10), value),
            ("123456", DataType::Decimal128(4, 1), range),
            ("maybe", DataType::Boolean, value),
            ("\\xf", DataType::Binary, value),
            ("a\\b", DataType::Binary, value),
        ] {
            assert_eq!(fault(text(written, &returns)), expected, "{written}");
        }
        assert_eq!(fault(read(Int64Array::from(vec![40_000]), &DataType::Int16)), range);
        assert_eq!(fault(read(Float64Array::from(vec![1e20]), &DataType::Int64)), range);
        assert_eq!(fault(read(Float64Array::from(vec![f64::NAN]), &DataType::Int32)), range);
        let message = text("abc", &DataType::Int32).unwrap_err().to_string();
        assert_eq!(message, "\"abc\" is no whole number; write one as 12");
    }

    #[test]
    fn texts_as_values() {
        for (written, returns, expected) in [
            (" 12 ", DataType::Int32, "12"),
            ("-5", DataType::Int64, "-5"),
            (" 2.50\n", DataType::Decimal128(5, 2), "2.50"),
            (" 1e3 ", DataType::Float64, "1000.0"),
            (" TRUE ", DataType::Boolean, "true"),
        ] {
            assert_eq!(text(written, &returns).unwrap(), expected, "{written}");
        }
    }

    #[test]
    fn bytes_in_both_forms() {
        assert_eq!(bytes_of("\\x01fF"), Some(vec![1, 255]));
        assert_eq!(bytes_of("\\x"), Some(vec![]));
        assert_eq!(bytes_of("\\x01 ff"), Some(vec![1, 255]));
        assert_eq!(bytes_of("a\\000\\\\b"), Some(vec![b'a', 0, b'\\', b'b']));
        for wrong in ["\\x0", "\\xzz", "\\", "\\400", "\\08"] {
            assert_eq!(bytes_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_tries_gives_null() {
        let function = as_value(&DataType::Int32, true);
        let function = function.inner().downcast_ref::<AsValue>().unwrap();
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("12"), Some("x"), None]));
        let found = function.read(&texts).unwrap();
        assert_eq!((found.len(), found.null_count()), (3, 2));
    }
}
