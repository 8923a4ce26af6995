//! `in_segment('name')`: true for the rows of the visitors, the persons, or the visits of a saved segment. Who they are is found before
//! a statement is planned; planning puts a function that knows them in its place.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::function_doc::FunctionDoc;
use super::function_spec::{FunctionSpec, PlanFunction, plan_function};
use super::members::Members;
use crate::columns::timestamp;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "in_segment",
    kind: "scalar",
    signature: "in_segment('name')",
    description: "True for the rows of events of the visitors, persons, or visits that belong to a segment of the suite \
(rejoin help segments). In the table functions, segment => 'name' keeps to them.",
    example: "SELECT count(DISTINCT visitor_id) FROM events WHERE in_segment('buyers')",
};

/// The function as written in SQL.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct InSegment {
    signature: Signature,
}

pub(super) fn udf() -> ScalarUDF {
    let signature = Signature::exact(vec![DataType::Utf8], Volatility::Immutable);
    ScalarUDF::new_from_impl(InSegment { signature })
}

impl ScalarUDFImpl for InSegment {
    fn name(&self) -> &str {
        DOCUMENTATION.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Err(DataFusionError::Plan("in_segment: it takes the name of a segment as a text, over events".into()))
    }
}

/// The function of the columns of a segment's members, true for those who belong to it.
pub fn in_segment(members: &Members) -> ScalarUDF {
    let mut arguments = vec![DataType::Utf8];
    if members.in_visits() {
        arguments.extend([DataType::Int64, timestamp()]);
    }
    let (function_spec, members) = (FunctionSpec::InSegment(members.clone()), members.clone());
    plan_function(DOCUMENTATION.name, arguments, DataType::Boolean, function_spec, move |rows| {
        let ids = rows.text(0)?;
        let id = |row: usize| ids.is_valid(row).then(|| ids.value(row));
        if !members.in_visits() {
            let belongs = |row: usize| id(row).is_some_and(|id| members.has(id));
            return Ok(Arc::new((0..rows.len).map(|row| Some(belongs(row))).collect::<BooleanArray>()));
        }
        let (numbers, starts) = (cast(rows.array(1), &DataType::Int64)?, rows.micros(2)?);
        let numbers = numbers.as_primitive::<Int64Type>();
        let belongs = |row: usize| {
            let told = numbers.is_valid(row) && starts.is_valid(row);
            told && id(row).is_some_and(|id| members.has_visit(id, (numbers.value(row), starts.value(row))))
        };
        Ok(Arc::new((0..rows.len).map(|row| Some(belongs(row))).collect::<BooleanArray>()))
    })
}

/// True for [`in_segment()`] of persons, whose rows are those of several visitors.
pub fn asks_for_members_of_persons(function: &ScalarUDF) -> bool {
    let made = function.inner().downcast_ref::<PlanFunction>().map(|own| &own.function_spec);
    matches!(made, Some(FunctionSpec::InSegment(members)) if members.are_persons())
}
