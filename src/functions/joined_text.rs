//! `||` of texts. The result is in memory, so what a call may make is bounded before it is made, as in `bounded_values`.
//!
//! A chain is one call, `joined_text(a, b, c)`: nested calls would take planning the square of their number, and each would copy what the
//! ones before have made. NULL in a chain makes it NULL.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, LargeStringArray, StringArray, StringBuilder, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use super::bounded_values::{MOST, too_large};

/// Its name.
const NAME: &str = "joined_text";

/// One for all plans: two calls with the same arguments are the same.
static JOINED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::variadic_any(Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(JoinedText { signature }))
});

/// The function.
pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::clone(&JOINED)
}

/// Two texts of one type, one after the other.
pub fn joined_text(left: Expr, right: Expr) -> Expr {
    let mut call = match left {
        Expr::ScalarFunction(call) if call.name() == NAME => call,
        first => ScalarFunction::new_udf(JOINED.clone(), vec![first]),
    };
    call.args.push(right);
    Expr::ScalarFunction(call)
}

/// A text of the type that an expression has: the first of a chain, or itself.
pub fn first_text(expr: &Expr) -> &Expr {
    match expr {
        Expr::ScalarFunction(call) if call.name() == NAME => call.args.first().unwrap_or(expr),
        other => other,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JoinedText {
    signature: Signature,
}

impl JoinedText {
    fn wants(&self) -> DataFusionError {
        DataFusionError::Plan(format!("{NAME} takes texts of one type"))
    }
}

impl ScalarUDFImpl for JoinedText {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [first, others @ ..] if first.is_string() && others.iter().all(|other| other == first) => Ok(first.clone()),
            _ => Err(self.wants()),
        }
    }

    // as an operator has it
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(NAME, self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_constant = args.args.iter().all(|value| matches!(value, ColumnarValue::Scalar(_)));
        let rows = if is_constant { 1 } else { args.number_rows };
        let parts = args.args.iter().map(|value| Part::of(value).ok_or_else(|| self.wants()));
        let parts = parts.collect::<Result<Vec<_>>>()?;
        let bytes: f64 = parts.iter().map(|part| part.bytes(rows)).sum();
        if bytes > MOST {
            return Err(too_large("||").into());
        }
        let mut joined = StringBuilder::with_capacity(rows, bytes as usize);
        for row in 0..rows {
            if parts.iter().any(|part| part.at(row).is_none()) {
                joined.append_null();
                continue;
            }
            for text in parts.iter().filter_map(|part| part.at(row)) {
                // a text in memory takes all
                let _ = joined.write_str(text);
            }
            joined.append_value("");
        }
        let joined: ArrayRef = Arc::new(joined.finish());
        let joined = match args.return_field.data_type() {
            DataType::Utf8 => joined,
            other => cast(&joined, other)?,
        };
        Ok(match is_constant {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&joined, 0)?),
            false => ColumnarValue::Array(joined),
        })
    }
}

/// The texts of one part of a chain.
enum Part<'a> {
    Same(Option<&'a str>),
    Texts(&'a StringArray),
    Long(&'a LargeStringArray),
    Views(&'a StringViewArray),
}

impl<'a> Part<'a> {
    fn of(value: &'a ColumnarValue) -> Option<Self> {
        Some(match value {
            ColumnarValue::Scalar(scalar) => Self::Same(scalar.try_as_str()?),
            ColumnarValue::Array(array) => match array.data_type() {
                DataType::Utf8 => Self::Texts(array.as_string()),
                DataType::LargeUtf8 => Self::Long(array.as_string()),
                DataType::Utf8View => Self::Views(array.as_string_view()),
                _ => return None,
            },
        })
    }

    fn at(&self, row: usize) -> Option<&'a str> {
        match self {
            Self::Same(text) => *text,
            Self::Texts(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Long(texts) => texts.is_valid(row).then(|| texts.value(row)),
            Self::Views(texts) => texts.is_valid(row).then(|| texts.value(row)),
        }
    }

    /// Bytes of all its texts.
    fn bytes(&self, rows: usize) -> f64 {
        match self {
            Self::Same(text) => text.map_or(0.0, |text| text.len() as f64 * rows as f64),
            Self::Texts(texts) => f64::from(texts.value_offsets()[rows] - texts.value_offsets()[0]),
            Self::Long(texts) => (texts.value_offsets()[rows] - texts.value_offsets()[0]) as f64,
            // many rows may share the bytes of one text, whose length stands in front
            Self::Views(texts) => texts.views().iter().map(|view| f64::from(*view as u32)).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::util::pretty::pretty_format_batches;
    use datafusion::logical_expr::lit;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::Error;

    #[tokio::test]
    async fn texts_are_joined() {
        let context = SessionContext::new();
        context.register_udf(udf());
        let asked = async |sql: &str| context.sql(&format!("SELECT {sql}")).await?.collect().await;
        let rows = "(VALUES ('x', 'y'), (NULL, 'y'), ('', '')) AS t (a, b)";
        let found = asked(&format!("joined_text(a, '-', b) AS c FROM {rows}")).await;
        let shown = pretty_format_batches(&found.unwrap()).unwrap().to_string();
        let expected = ["+-----+", "| c   |", "+-----+", "| x-y |", "|     |", "| -   |", "+-----+"];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
        let long = "arrow_cast('a', 'LargeUtf8'), arrow_cast('b', 'LargeUtf8')";
        let found = asked(&format!("joined_text({long}) AS c")).await.unwrap();
        assert_eq!(found[0].column(0).data_type(), &DataType::LargeUtf8);
        assert_eq!(found[0].column(0).as_string::<i64>().value(0), "ab");
        for sql in [
            "joined_text(a, a, a) FROM (SELECT repeat('x', 40000000) AS a)",
            "joined_text(a, arrow_cast(value, 'Utf8')) FROM (SELECT repeat('x', 20000000) AS a), generate_series(1, 9)",
        ] {
            let error = Error::from(asked(sql).await.unwrap_err());
            assert!(error.is_out_of_memory(), "{sql}: {error}");
        }
        assert!(asked("joined_text('a', 1)").await.is_err());
    }

    #[test]
    fn a_chain_is_one_call() {
        let chain = joined_text(joined_text(lit("a"), lit("b")), lit("c"));
        assert_eq!(chain.to_string(), "joined_text(Utf8(\"a\"), Utf8(\"b\"), Utf8(\"c\"))");
        assert_eq!(*first_text(&chain), lit("a"));
    }
}
