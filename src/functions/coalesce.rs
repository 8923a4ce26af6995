//! `coalesce(time, '12:00')`: a text beside times is read as one, as PostgreSQL reads what is written without a type.
//!
//! DataFusion writes a CASE, which has all values but the last twice. Calls within each other would double with each: a large value before
//! columns and constants, which can be looked at for all rows, stays as it is. Where others are large, the call is refused.

use std::sync::Arc;

use arrow::array::Array;
use arrow::compute::is_not_null;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use rejoin_instances::trees::walk_parts;

use crate::Error;

/// Parts of a value that is written twice, at most; and where others of the call are computed for some rows only.
const LARGE: usize = 50;
const LARGEST: usize = 20_000;

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
        let parts = match args.split_last() {
            Some((_, before)) => largest(before)?,
            None => 0,
        };
        if parts > LARGE && args[1..].iter().all(|value| matches!(value, Expr::Column(_) | Expr::Literal(..))) {
            return Ok(ExprSimplifyResult::Original(args));
        }
        if parts > LARGEST {
            let message = "calls of coalesce stand within each other too often; name the inner ones in a query in FROM";
            return Err(Error::query(message).into());
        }
        self.function.simplify(args, context)
    }

    fn conditional_arguments<'a>(&self, args: &'a [Expr]) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.function.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.function.short_circuits()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut values = args.args.iter();
        let Some(first) = values.next() else { return self.function.invoke_with_args(args) };
        let mut found = first.to_array(args.number_rows)?;
        for value in values {
            if found.logical_null_count() == 0 {
                break;
            }
            found = zip(&is_not_null(&found)?, &found, &value.to_array(args.number_rows)?)?;
        }
        Ok(ColumnarValue::Array(found))
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.function.documentation()
    }
}

/// Of how many expressions the largest of these values is made.
fn largest(values: &[Expr]) -> Result<usize> {
    let mut largest = 0;
    for value in values {
        let mut parts = 0;
        walk_parts(value, &mut |_| {
            parts += 1;
            Ok(TreeNodeRecursion::Continue)
        })?;
        largest = largest.max(parts);
    }
    Ok(largest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::datatypes::TimeUnit;
    use datafusion::logical_expr::lit;
    use datafusion::prelude::col;

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

    #[test]
    fn large_values_are_not_written_twice() {
        let simplified = |first: Expr, second: Expr| udf().simplify(vec![first, second], &SimplifyContext::default());
        let sum = |terms: i64| (1..terms).fold(col("a"), |sum, n| sum + lit(n));
        assert!(matches!(simplified(sum(5), lit(1)).unwrap(), ExprSimplifyResult::Simplified(Expr::Case(_))));
        assert!(matches!(simplified(sum(50), lit(1)).unwrap(), ExprSimplifyResult::Original(_)));
        assert!(matches!(simplified(sum(50), sum(2)).unwrap(), ExprSimplifyResult::Simplified(Expr::Case(_))));
        let wide = col("a").in_list((0..20_000_i64).map(lit).collect(), false);
        let error = simplified(wide, sum(2)).unwrap_err().to_string();
        assert!(error.contains("calls of coalesce stand within each other too often"), "{error}");
    }
}
