//! Plans, expressions and schemas as bytes: DataFusion's protobuf, as prost reads and writes it.

use datafusion::error::Result;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::{PhysicalExprNode, PhysicalPlanNode, Schema};
use prost::{DecodeError, Message};

/// A plan as bytes.
///
/// # Errors
/// What DataFusion says of the plan.
pub fn plan_bytes(plan: &PhysicalPlanNode) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    plan.try_encode(&mut bytes)?;
    Ok(bytes)
}

/// An expression as bytes.
pub fn expr_bytes(expr: &PhysicalExprNode) -> Vec<u8> {
    expr.encode_to_vec()
}

/// The expression that bytes are.
///
/// # Errors
/// They are none.
pub fn read_expr(bytes: &[u8]) -> std::result::Result<PhysicalExprNode, DecodeError> {
    PhysicalExprNode::decode(bytes)
}

/// A schema as bytes.
pub fn schema_bytes(schema: &Schema) -> Vec<u8> {
    schema.encode_to_vec()
}

/// The schema that bytes are.
///
/// # Errors
/// They are none.
pub fn read_schema(bytes: &[u8]) -> std::result::Result<Schema, DecodeError> {
    Schema::decode(bytes)
}
