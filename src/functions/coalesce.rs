//! `coalesce(time, '12:00')`: a text beside times is read as one, as PostgreSQL reads what is written without a type. All else is
//! DataFusion's.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

/// DataFusion's function that reads texts, too.
pub(super) fn udf() -> ScalarUDF {
    ScalarUDF::new_from_impl(Coalesce { function: datafusion::functions::core::coalesce() })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Coalesce {
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Coalesce {
    fn name(&self) -> &str {
        self.function.name()
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arguments).or_else(|error| {
            let others: Vec<DataType> = arguments.iter().filter(|data_type| !data_type.is_string()).cloned().collect();
            match others.is_empty() || others.len() == arguments.len() {
                true => Err(error),
                false => {
                    let one = self.function.coerce_types(&others)?.into_iter().find(|data_type| !data_type.is_null());
                    one.map(|one| vec![one; arguments.len()]).ok_or(error)
                }
            }
        })
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.function.simplify(args, context)
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.function.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.function.short_circuits()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.function.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn texts_take_the_type_of_the_others() {
        let clock = DataType::Time64(TimeUnit::Nanosecond);
        for (arguments, expected) in [
            (vec![clock.clone(), DataType::Utf8], vec![clock.clone(); 2]),
            (vec![DataType::Utf8View, DataType::Date32, DataType::Utf8], vec![DataType::Date32; 3]),
            (vec![DataType::Int64, DataType::Int64], vec![DataType::Int64; 2]),
        ] {
            assert_eq!(udf().coerce_types(&arguments).unwrap(), expected);
        }
        assert!(udf().coerce_types(&[clock, DataType::Boolean]).is_err());
    }
}
