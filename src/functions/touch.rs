//! `touch(dimension [, inherited])`: the value with which a row touches a dimension. Planning puts the column that says so
//! in its place, so the function itself never runs.

use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

/// The function as written in SQL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Touch {
    signature: Signature,
}

pub(super) fn udf() -> ScalarUDF {
    let counts = vec![TypeSignature::Any(1), TypeSignature::Any(2)];
    ScalarUDF::new_from_impl(Touch { signature: Signature::one_of(counts, Volatility::Immutable) })
}

impl ScalarUDFImpl for Touch {
    fn name(&self) -> &str {
        "touch"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Utf8))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Plan("touch: it takes a dimension, a column of the table that is read".into()))
    }
}
