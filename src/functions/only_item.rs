//! `only_item(list)`: the item of a list of one, NULL of an empty one or none. Several are an error: they are the rows of a query that is to
//! give one value.

use arrow::array::{Array, AsArray, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::rows::evaluate;
use crate::Error;
use crate::error::StatementFault;

/// The function.
pub fn only_item() -> ScalarUDF {
    ScalarUDF::new_from_impl(OnlyItem { signature: Signature::any(1, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct OnlyItem {
    signature: Signature,
}

impl ScalarUDFImpl for OnlyItem {
    fn name(&self) -> &str {
        "only_item"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::List(item)] => Ok(item.data_type().clone()),
            _ => Err(DataFusionError::Plan("only_item takes a list".into())),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluate(&args.args, |rows| {
            let lists = rows.array(0).as_list::<i32>();
            let place = |row: usize| match if lists.is_null(row) { 0 } else { lists.value_length(row) } {
                0 => Ok(None),
                1 => Ok(Some(lists.value_offsets()[row] as u64)),
                _ => {
                    let message = "a query that is to give one value gives several rows; add LIMIT 1, or an aggregate";
                    Err(Error::query(message).of_fault(StatementFault::Rows).into())
                }
            };
            let places = (0..lists.len()).map(place).collect::<Result<UInt64Array>>()?;
            Ok(take(lists.values(), &places, None)?)
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;
    use datafusion::prelude::SessionContext;

    use super::*;

    #[tokio::test]
    async fn one_item_or_none() {
        let context = SessionContext::new();
        context.register_udf(only_item());
        let sql =
            "SELECT only_item(x) FROM (VALUES (make_array(1)), (NULL), (make_array(CAST(NULL AS BIGINT)))) AS t(x)";
        let rows = context.sql(sql).await.unwrap().collect().await.unwrap();
        let found: Vec<Option<i64>> = rows[0].column(0).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(found, [Some(1), None, None]);
        let error = context.sql("SELECT only_item(make_array(1, 2))").await.unwrap().collect().await.unwrap_err();
        assert!(error.to_string().contains("several rows"), "{error}");
    }
}
