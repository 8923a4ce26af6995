//! Functions that are more than their name: made for one plan (`classified`, `product_lines`, `bound_lines`, `in_segment`,
//! `person_id`, `person_status`, `shares_person`, `is_looked_at`, `as_time`, `as_value`), or told
//! something by the session (`local_time` without a zone). What they are made of can be written down and made into the same
//! function elsewhere.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use serde::{Deserialize, Serialize};

use super::classes::Classes;
use super::members::Members;
use super::person_spans::Persons;
use super::rows::{Rows, evaluate};
use super::visitor_keys::VisitorKeys;

/// What `bound_lines` is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundLines {
    /// The metric that lines may have an amount of.
    pub metric: String,
    /// The dimension whose values are bound.
    pub dimension: String,
    /// They are bound to categories, not to products.
    pub by_category: bool,
    /// The classes of its values, which take their place.
    pub classes: Option<Classes>,
}

/// What a function is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FunctionSpec {
    /// See [`super::classified()`].
    Classified { name: String, classes: Classes, multi_valued: bool },
    /// See [`super::product_lines()`].
    ProductLines { metric: String, dimension: String, classes: Option<Classes> },
    /// See [`super::bound_lines()`].
    BoundLines(BoundLines),
    /// See [`super::in_segment()`], of those who belong to it.
    InSegment(Members),
    /// See [`super::person_id()`].
    PersonId(Persons),
    /// See [`super::person_status()`].
    PersonStatus(Persons),
    /// See [`super::shares_person()`].
    SharesPerson(VisitorKeys),
    /// See [`super::is_looked_at()`].
    IsLookedAt(VisitorKeys),
    /// See [`super::as_time()`]; the type is written as Arrow writes it.
    AsTime { returns: String, tries: bool },
    /// See [`super::as_value()`]; the type is written as Arrow writes it.
    AsValue { returns: String, tries: bool },
    /// `local_time` where the suite has this zone.
    LocalTime { suite_zone: String },
}

/// Rows in, a column out.
type Body = Arc<dyn Fn(&Rows) -> Result<ArrayRef> + Send + Sync>;

/// A function that knows what it is made of.
pub(super) struct PlanFunction {
    name: String,
    signature: Signature,
    returns: DataType,
    pub(super) function_spec: FunctionSpec,
    body: Body,
}

/// A function of arguments of these types, made of `function_spec`.
pub(super) fn plan_function(
    name: &str,
    arguments: Vec<DataType>,
    returns: DataType,
    function_spec: FunctionSpec,
    body: impl Fn(&Rows) -> Result<ArrayRef> + Send + Sync + 'static,
) -> ScalarUDF {
    let signature = Signature::exact(arguments, Volatility::Immutable);
    ScalarUDF::new_from_impl(PlanFunction {
        name: name.into(),
        signature,
        returns,
        function_spec,
        body: Arc::new(body),
    })
}

impl ScalarUDFImpl for PlanFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluate(&args.args, self.body.as_ref())
    }
}

impl std::fmt::Debug for PlanFunction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for PlanFunction {
    fn eq(&self, other: &Self) -> bool {
        self.function_spec == other.function_spec
    }
}

impl Eq for PlanFunction {}

impl std::hash::Hash for PlanFunction {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
