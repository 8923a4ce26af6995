//! `as_cast(CAST(x AS INT))`: a cast with its type in its name. DataFusion names an expression without the casts in it, and refuses two of
//! the same name: `max(x)` beside `max(CAST(x AS INT))`. The function is replaced by its argument before anything is computed.

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TryCast,
    Volatility,
};

/// Its name.
pub const AS_CAST: &str = "as_cast";

pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(AsCast { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AsCast {
    signature: Signature,
}

/// The only argument.
fn only<T>(arguments: impl IntoIterator<Item = T>) -> Result<T> {
    let missing = || DataFusionError::Plan(format!("{AS_CAST} takes a cast"));
    arguments.into_iter().next().ok_or_else(missing)
}

/// The name of an expression with the types to which it is cast. Those within are left out, since some come with a plan's types alone.
fn with_casts(expr: &Expr) -> String {
    match expr {
        Expr::Cast(Cast { expr, field }) => format!("{} AS {}", with_casts(expr), field.data_type()),
        Expr::TryCast(TryCast { expr, field }) => format!("{} AS TRY {}", with_casts(expr), field.data_type()),
        other => other.schema_name().to_string(),
    }
}

impl ScalarUDFImpl for AsCast {
    fn name(&self) -> &str {
        AS_CAST
    }

    fn schema_name(&self, arguments: &[Expr]) -> Result<String> {
        Ok(format!("{AS_CAST}({})", with_casts(only(arguments)?)))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        only(arguments).cloned()
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        only(args.arg_fields).cloned()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        only(args.args)
    }

    fn simplify(&self, arguments: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        only(arguments).map(ExprSimplifyResult::Simplified)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{cast, col, try_cast};

    use super::*;

    #[test]
    fn its_name_tells_the_types() {
        let name = |cast| udf().call(vec![cast]).schema_name().to_string();
        let whole = cast(col("x"), DataType::Int32);
        assert_eq!(name(whole.clone()), "as_cast(x AS Int32)");
        assert_eq!(name(cast(whole.clone(), DataType::Utf8)), "as_cast(x AS Int32 AS Utf8)");
        assert_eq!(name(try_cast(col("x"), DataType::Date32)), "as_cast(x AS TRY Date32)");
        // what a plan's types bring changes no name
        assert_eq!(name(cast(-whole, DataType::Int64)), "as_cast((- x) AS Int64)");
    }
}
