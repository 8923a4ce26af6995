//! Functions over JSON in a text column, and the operators `->` and `->>`.
//!
//! The functions are those of `datafusion-functions-json`, without its value of several types, which no file and no client can
//! hold: `json_get` gives text here, as `->>` does.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use datafusion::logical_expr::expr::{Expr, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use datafusion_functions_json::udfs::{
    json_as_text_udf, json_contains_udf, json_get_array_udf, json_get_bool_udf, json_get_float_udf, json_get_int_udf,
    json_get_json_udf, json_get_str_udf, json_length_udf, json_object_keys_udf,
};

use super::function_doc::FunctionDoc;

/// What `rejoin functions` says of them.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "json_get",
    kind: "scalar",
    signature: "json_get(json, key [, key, ...])",
    description: "What stands at a path of keys and places (from 0) in a JSON text, as text; NULL where nothing does. \
json_get_str, json_get_int, json_get_float, json_get_bool and json_get_array give values of that type alone, json_get_json the JSON as it \
stands, json_contains whether something is there, json_length and json_object_keys what an object or a list holds. \
json -> key is json_get_json, json ->> key is json_get.",
    example: "SELECT json_get('{\"utm\":{\"campaign\":\"autumn\"}}', 'utm', 'campaign')",
};

/// All of them.
pub(super) fn udfs() -> Vec<ScalarUDF> {
    let as_text = json_as_text_udf().as_ref().clone().with_aliases(["json_get"]);
    let others = [
        json_contains_udf(),
        json_get_array_udf(),
        json_get_bool_udf(),
        json_get_float_udf(),
        json_get_int_udf(),
        json_get_json_udf(),
        json_get_str_udf(),
        json_length_udf(),
        json_object_keys_udf(),
    ];
    others.iter().map(|udf| udf.as_ref().clone()).chain([as_text]).collect()
}

/// Plans `->` and `->>`.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let func: Arc<ScalarUDF> = match expr.op {
            BinaryOperator::Arrow => json_get_json_udf(),
            BinaryOperator::LongArrow => json_as_text_udf(),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let args = vec![expr.left, expr.right];
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction { func, args })))
    }
}
