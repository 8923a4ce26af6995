//! What a node that goes through rows visitor by visitor, in the lake's order, asks of its input and promises of its output.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements};
use datafusion::physical_plan::{Distribution, ExecutionPlan, InputDistributionRequirements, PlanProperties};

use crate::columns::VISITOR_KEY;
use crate::lake::layout;

/// Rows of `schema` in the lake's order, in the partitions of `input`.
pub fn properties(schema: SchemaRef, input: &Arc<dyn ExecutionPlan>) -> Arc<PlanProperties> {
    let orderings = layout::ordering(&schema).map(|order| vec![order]).unwrap_or_default();
    Arc::new(PlanProperties::new(
        EquivalenceProperties::new_with_orderings(schema, orderings),
        input.properties().output_partitioning().clone(),
        input.properties().emission_type,
        input.properties().boundedness,
    ))
}

/// A visitor's rows are all in one partition.
pub fn distribution(input: &Arc<dyn ExecutionPlan>) -> InputDistributionRequirements {
    InputDistributionRequirements::new(vec![match col(VISITOR_KEY, &input.schema()) {
        Ok(key) => Distribution::KeyPartitioned(vec![key]),
        Err(_) => Distribution::SinglePartition,
    }])
}

/// Each partition is in the lake's order.
pub fn ordering(input: &Arc<dyn ExecutionPlan>) -> Vec<Option<OrderingRequirements>> {
    vec![layout::ordering(&input.schema()).map(OrderingRequirements::from)]
}
