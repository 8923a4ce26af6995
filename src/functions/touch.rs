//! `touch(dimension [, inherited])`: the value with which a row touches a dimension. Planning puts the column that says so
//! in its place, so the function itself never runs.

use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::function_doc::FunctionDoc;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "touch",
    kind: "scalar",
    signature: "touch(dimension [, inherited = false])",
    description: "The value with which a row of events touches a dimension, NULL where it touches none: what the row set or \
brought itself, as distinct from a value that persists or that a record took from its snapshot. With inherited true, the \
latter counts on offline rows.",
    example: "SELECT touch(tracking_code), count(*) FROM events GROUP BY 1",
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
