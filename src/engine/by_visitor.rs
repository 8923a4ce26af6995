//! What a node that goes through rows visitor by visitor, in the lake's order, asks of its input and promises of its output; and in
//! which order rows are that this order leaves in one place.
//!
//! Files have that order already: hits are merged before records, and records in one place are in one file, by file, row and
//! source (`lake::sort`). A sort keeps no order of its own, so what sorts rows anew sorts by [`ties`] in the end.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::expr_fn::{in_subquery, when};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident, lit};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalSortExpr};
use datafusion::physical_plan::{Distribution, ExecutionPlan, InputDistributionRequirements, PlanProperties};

use crate::columns::{FILE, HIT_ID_REST, ROW, ROW_KIND, SOURCE, VISITOR_ID, VISITOR_KEY};
use crate::lake::layout;

/// The names of [`ties`] as columns of an input that is sorted anew, from the first to the last.
const TIES: [&str; 6] = ["tie_visitor", "tie_record", "tie_rest", "tie_file", "tie_row", "tie_source"];

/// What says how rows of `events` stand that are in one place of the lake's order, from the first to the last, with names for the
/// columns of an input: of several visitors that of the lower id, of each its hits by what is left of their ids, then its records
/// by file, row and source. `column` gives the columns that there are.
pub fn ties(column: impl Fn(&str) -> Option<Expr>) -> Result<Vec<(&'static str, Expr)>> {
    let is_record = || column(ROW_KIND).map(|kind| kind.not_eq(lit("online")));
    // that of a hit is of no account
    let file = is_record().zip(column(FILE)).map(|(is_record, file)| when(is_record, file).end()).transpose()?;
    let rest = column(HIT_ID_REST).map(|rest| when(rest.clone().is_not_null(), rest).otherwise(lit(-1_i64)));
    let ties = [column(VISITOR_ID), is_record(), rest.transpose()?, file, column(ROW), column(SOURCE)];
    Ok(TIES.into_iter().zip(ties).filter_map(|(name, tie)| Some((name, tie?))).collect())
}

/// [`ties`] over `events`, as columns of an input, none of which is equal to another one of it: a plan sorts by either of two equal
/// columns, and where it puts them below a union it does not know any more that they are equal.
pub fn tie_columns() -> Result<Vec<Expr>> {
    let visitor = ident(VISITOR_ID);
    let visitor = when(visitor.clone().is_not_null(), visitor).otherwise(lit(""))?;
    let ties = ties(|name| Some(if name == VISITOR_ID { visitor.clone() } else { ident(name) }))?;
    Ok(ties.into_iter().map(|(name, tie)| tie.alias(name)).collect())
}

/// True on the rows of the visitors who have a row of `events` for which `marks` is true.
pub fn with_marked_row(events: LogicalPlan, marks: Expr) -> Result<Expr> {
    let marked = LogicalPlanBuilder::from(events)
        .filter(marks)?
        .project([ident(VISITOR_ID).alias("marked_visitor")])?
        .build()?;
    Ok(in_subquery(ident(VISITOR_ID), Arc::new(marked)))
}

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

/// The order of a journey's rows: the lake's, and then that of [`ties`], of those that `schema` has.
pub fn journey_ordering(schema: &Schema) -> Option<LexOrdering> {
    let options = SortOptions { descending: false, nulls_first: false };
    let ties = TIES.iter().filter_map(|name| Some(PhysicalSortExpr::new(col(name, schema).ok()?, options)));
    LexOrdering::new(layout::ordering(schema)?.into_iter().chain(ties))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::columns::{HIT_SEQ, HIT_TIME};

    #[test]
    fn rows_in_one_place_are_told_apart_by_the_columns_that_there_are() {
        let of = |known: &[&str]| {
            let ties = ties(|name| known.contains(&name).then(|| ident(name))).expect("columns of events");
            let read = |tie: &Expr| {
                let mut names: Vec<String> = tie.column_refs().iter().map(|column| column.name.clone()).collect();
                names.sort();
                names.join(" ")
            };
            ties.iter().map(|(name, tie)| format!("{name}: {}", read(tie))).collect::<Vec<_>>()
        };
        let all = [SOURCE, ROW, FILE, HIT_ID_REST, ROW_KIND, VISITOR_ID];
        let expected = [
            "tie_visitor: visitor_id",
            "tie_record: row_kind",
            "tie_rest: hit_id_rest",
            "tie_file: file row_kind",
            "tie_row: row",
            "tie_source: source",
        ];
        assert_eq!(of(&all), expected);
        assert_eq!(of(&all[..2]), expected[4..]);
        // whether a file is a record's is not known
        assert!(of(&[FILE]).is_empty());
    }

    #[test]
    fn ties_are_settled_where_there_are_columns_for_it() {
        let lake = [VISITOR_KEY, VISITOR_ID, HIT_TIME, HIT_SEQ];
        let order = |names: &[&str]| {
            let fields: Vec<Field> = names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect();
            let order = journey_ordering(&Schema::new(fields))?;
            Some(order.iter().map(|sort| sort.expr.to_string()).collect::<Vec<_>>())
        };
        let plain: Vec<String> = (0..).zip(lake).map(|(at, name)| format!("{name}@{at}")).collect();
        assert_eq!(order(&lake), Some(plain.clone()));
        let ties = (5..).zip(TIES).map(|(at, name)| format!("{name}@{at}"));
        let all: Vec<&str> = lake.into_iter().chain(["value"]).chain(TIES).collect();
        assert_eq!(order(&all), Some(plain.into_iter().chain(ties).collect()));
        assert_eq!(order(&TIES), None);
    }
}
