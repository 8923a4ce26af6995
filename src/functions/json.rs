//! Functions over JSON in a text column, and the operators `->`, `->>`, `#>`, `#>>` and `?`.
//!
//! The functions are those of `datafusion-functions-json`, without its value of several types, which no file and no client can
//! hold: `json_get` gives text here, as `->>` does.

use std::sync::Arc;

use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Expr, ScalarFunction};
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{ScalarUDF, lit};
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
json_array_elements and json_array_elements_text give the items of a list, which are rows in a FROM, as are the keys and values of \
json_each and json_each_text. \
json -> key is json_get_json, json ->> key is json_get. to_json, row_to_json, json_build_object, json_build_array, json_agg and \
json_object_agg make JSON of values.",
    example: "SELECT json_get('{\"utm\":{\"campaign\":\"autumn\"}}', 'utm', 'campaign')",
};

/// All of them.
pub(super) fn udfs() -> Vec<ScalarUDF> {
    let names_of_text = ["json_get", "json_extract_path_text", "jsonb_extract_path_text"];
    let as_text = json_as_text_udf().as_ref().clone().with_aliases(names_of_text);
    let as_json = json_get_json_udf().as_ref().clone().with_aliases(["json_extract_path", "jsonb_extract_path"]);
    let length = json_length_udf().as_ref().clone().with_aliases(["json_array_length", "jsonb_array_length"]);
    let keys = json_object_keys_udf().as_ref().clone().with_aliases(["jsonb_object_keys"]);
    let others = [
        json_contains_udf(),
        json_get_array_udf(),
        json_get_bool_udf(),
        json_get_float_udf(),
        json_get_int_udf(),
        json_get_str_udf(),
    ];
    others.iter().map(|udf| udf.as_ref().clone()).chain([as_text, as_json, length, keys]).collect()
}

/// Plans `->` and `->>`, `#>` and `#>>` with a path such as `'{utm,0}'`, and `?`.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, expr: RawBinaryExpr, _: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        let func: Arc<ScalarUDF> = match expr.op {
            BinaryOperator::Arrow | BinaryOperator::HashArrow => json_get_json_udf(),
            BinaryOperator::LongArrow | BinaryOperator::HashLongArrow => json_as_text_udf(),
            BinaryOperator::Question => json_contains_udf(),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let args = match expr.op {
            BinaryOperator::HashArrow | BinaryOperator::HashLongArrow => {
                let Some(path) = path(&expr.right) else { return Ok(PlannerResult::Original(expr)) };
                std::iter::once(expr.left).chain(path).collect()
            }
            _ => vec![expr.left, expr.right],
        };
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction { func, args })))
    }
}

/// The keys and places of a path that is written as `{a,0,"b,c"}`.
fn path(written: &Expr) -> Option<Vec<Expr>> {
    let Expr::Literal(value, _) = written else { return None };
    let parts = parts_of(value.try_as_str().flatten()?.trim().strip_prefix('{')?.strip_suffix('}')?);
    Some(parts.into_iter().map(|part| part.parse::<i64>().map_or_else(|_| lit(part), lit)).collect())
}

/// The parts between commas; within quotes a comma is one of the part's signs, and a backslash stands before a quote.
fn parts_of(path: &str) -> Vec<String> {
    let (mut parts, mut part, mut signs, mut is_quoted) = (vec![], String::new(), path.trim().chars(), false);
    while let Some(sign) = signs.next() {
        match sign {
            '"' => is_quoted = !is_quoted,
            '\\' => part.extend(signs.next()),
            ',' if !is_quoted => parts.push(std::mem::take(&mut part).trim().to_string()),
            _ => part.push(sign),
        }
    }
    if !path.trim().is_empty() {
        parts.push(part.trim().to_string());
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_parts() {
        assert_eq!(parts_of("a, b ,0"), ["a", "b", "0"]);
        assert_eq!(parts_of(r#""a,b","c\"d",e"#), ["a,b", "c\"d", "e"]);
        assert!(parts_of(" ").is_empty());
        assert_eq!(parts_of("a,"), ["a", ""]);
    }
}
