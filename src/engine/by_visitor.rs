//! What a node that goes through rows visitor by visitor, in the lake's order, asks of its input and promises of its output.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalSortExpr};
use datafusion::physical_plan::{Distribution, ExecutionPlan, InputDistributionRequirements, PlanProperties};

use crate::columns::VISITOR_KEY;
use crate::lake::layout;

/// Columns that say how rows stand that are in one place of the lake's order, from the first to the last. Only an input that is
/// sorted anew has them: a sort keeps no order of its own, and where files are merged hits come before records.
pub const TIES: [&str; 4] = ["tie_visitor", "tie_file", "tie_length", "tie_record"];

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

/// The order of a journey's rows: the lake's, and then that of [`TIES`], of those that `schema` has.
pub fn journey_ordering(schema: &Schema) -> Option<LexOrdering> {
    // what a hit has not comes first
    let options = SortOptions { descending: false, nulls_first: true };
    let ties = TIES.iter().filter_map(|name| Some(PhysicalSortExpr::new(col(name, schema).ok()?, options)));
    LexOrdering::new(layout::ordering(schema)?.into_iter().chain(ties))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::columns::{HIT_SEQ, HIT_TIME, VISITOR_ID};

    #[test]
    fn ties_are_settled_where_there_are_columns_for_it() {
        let lake = [VISITOR_KEY, VISITOR_ID, HIT_TIME, HIT_SEQ];
        let order = |names: &[&str]| {
            let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
            journey_ordering(&Schema::new(fields)).map(|order| {
                order.iter().map(|sort| (sort.expr.to_string(), sort.options.nulls_first)).collect::<Vec<_>>()
            })
        };
        let plain: Vec<(String, bool)> = (0..).zip(lake).map(|(at, name)| (format!("{name}@{at}"), false)).collect();
        assert_eq!(order(&lake), Some(plain.clone()));
        let ties = (5..).zip(TIES).map(|(at, name)| (format!("{name}@{at}"), true));
        let all: Vec<&str> = lake.into_iter().chain(["value"]).chain(TIES).collect();
        assert_eq!(order(&all), Some(plain.into_iter().chain(ties).collect()));
        assert_eq!(order(&TIES), None);
    }
}
