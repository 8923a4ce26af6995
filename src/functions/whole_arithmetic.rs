//! Arithmetic of whole numbers that their type does not hold is an error, as in PostgreSQL; DataFusion's begins again at the other
//! end. So is a division by a zero that is written, of which doubles make an infinity.
//!
//! A chain of operators is one call, `whole_arithmetic('+-', a, b, c)`, from the left: calls one in another would take planning the square
//! of their number.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, Datum, Float64Array};
use arrow::compute::kernels::numeric::{add, mul, sub};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::physical_expr_common::datum::apply;
use datafusion::scalar::ScalarValue;

use super::rows::function_of_one;

/// Its name.
const NAME: &str = "whole_arithmetic";

/// One of each for all plans: two calls with the same arguments are the same.
static WHOLE: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::variadic_any(Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(WholeArithmetic { signature }))
});
static BY_ZERO: LazyLock<ScalarUDF> = LazyLock::new(|| {
    function_of_one("divided_by_zero", DataType::Float64, |values| match values.logical_null_count() == values.len() {
        true => Ok(Arc::new(Float64Array::new_null(values.len()))),
        false => Err(ArrowError::DivideByZero.into()),
    })
});

/// Both of them.
pub(super) fn udfs() -> [ScalarUDF; 2] {
    [ScalarUDF::clone(&WHOLE), BY_ZERO.clone()]
}

/// A sum (`+`), difference (`-`) or product (`*`) of two whole numbers of one type.
pub fn whole_arithmetic(left: Expr, sign: char, right: Expr) -> Expr {
    let mut call = match left {
        Expr::ScalarFunction(call) if call.name() == NAME => call,
        first => ScalarFunction::new_udf(WHOLE.clone(), vec![lit(""), first]),
    };
    if let Some(Expr::Literal(ScalarValue::Utf8(Some(signs)), _)) = call.args.first_mut() {
        signs.push(sign);
    }
    call.args.push(right);
    Expr::ScalarFunction(call)
}

/// A number of the type that an expression has: the first of a chain of operators, or itself.
pub fn whole_number(expr: &Expr) -> &Expr {
    match expr {
        Expr::ScalarFunction(call) if call.name() == NAME => call.args.get(1).unwrap_or(expr),
        other => other,
    }
}

/// A double divided by zero: NULL for NULL, and an error for all else.
pub fn divided_by_zero(value: Expr) -> Expr {
    BY_ZERO.call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct WholeArithmetic {
    signature: Signature,
}

impl WholeArithmetic {
    fn wants(&self) -> DataFusionError {
        DataFusionError::Plan(format!("{NAME} takes a text of operators, and whole numbers of one type, one more"))
    }
}

impl ScalarUDFImpl for WholeArithmetic {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [_, first, others @ ..] if first.is_integer() && others.iter().all(|other| other == first) => {
                Ok(first.clone())
            }
            _ => Err(self.wants()),
        }
    }

    // as an operator has it
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().skip(1).any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(NAME, self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(signs), first, others @ ..] = args.args.as_slice() else { return Err(self.wants()) };
        let signs = signs.try_as_str().flatten().unwrap_or_default();
        if signs.len() != others.len() {
            return Err(self.wants());
        }
        signs.chars().zip(others).try_fold(first.clone(), |found, (sign, other)| {
            let kernel: fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> = match sign {
                '+' => add,
                '-' => sub,
                '*' => mul,
                _ => return Err(self.wants()),
            };
            apply(&found, other, kernel)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::prelude::SessionContext;

    use super::*;

    /// As PostgreSQL 15 answers.
    #[tokio::test]
    async fn what_does_not_fit_is_an_error() {
        let context = SessionContext::new();
        udfs().into_iter().for_each(|udf| context.register_udf(udf));
        let asked = async |sql: &str| context.sql(&format!("SELECT {sql}")).await?.collect().await;
        for sql in [
            "whole_arithmetic('+', 9223372036854775807, 1)",
            "whole_arithmetic('+-', 1, 9223372036854775807, 1)",
            "whole_arithmetic('-', -9223372036854775807, value) FROM generate_series(1, 5)",
            "whole_arithmetic('*', CAST(2147483647 AS INT), CAST(2 AS INT))",
            "divided_by_zero(1.5)",
        ] {
            let error = crate::Error::from(asked(sql).await.unwrap_err());
            assert!(error.fault().is_some(), "{sql}: {error}");
        }
        for sql in [
            "whole_arithmetic('*', value, value) FROM generate_series(1, 5)",
            "whole_arithmetic('+', CAST(NULL AS BIGINT), 9223372036854775807)",
            "divided_by_zero(CAST(NULL AS DOUBLE))",
        ] {
            asked(sql).await.unwrap();
        }
        let found = asked("whole_arithmetic('-*+', 9, 2, 3, 1)").await.unwrap();
        assert_eq!(ScalarValue::try_from_array(found[0].column(0), 0).unwrap(), ScalarValue::Int64(Some(22)));
        for wrong in ["whole_arithmetic('+', 1, 1.5)", "whole_arithmetic('+', 1)", "whole_arithmetic('/', 1, 1)"] {
            assert!(asked(wrong).await.is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_chain_is_one_call() {
        let chain = whole_arithmetic(whole_arithmetic(lit(1_i64), '+', lit(2_i64)), '*', lit(3_i64));
        assert_eq!(chain.to_string(), "whole_arithmetic(Utf8(\"+*\"), Int64(1), Int64(2), Int64(3))");
        assert_eq!(*whole_number(&chain), lit(1_i64));
    }
}
