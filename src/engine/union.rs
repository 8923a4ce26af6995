//! Online and offline rows of a range of keys become one time line without a sort: a union whose branches are cut and
//! sorted alike is merged branch by branch instead of being laid side by side.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning};

use crate::lake::layout;
use crate::lake::merge::SortedMergeExec;

/// Replaces such unions by [`SortedMergeExec`]. Runs before distribution and sorting are enforced.
#[derive(Debug, Default)]
pub struct MergeUnions;

impl PhysicalOptimizerRule for MergeUnions {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            if node.downcast_ref::<UnionExec>().is_none() {
                return Ok(Transformed::no(node));
            }
            let Some(order) = layout::ordering(&node.schema()) else { return Ok(Transformed::no(node)) };
            let Some(alike) = node.children().first().map(|first| first.output_partitioning().clone()) else {
                return Ok(Transformed::no(node));
            };
            for child in node.children() {
                // the columns may stand elsewhere in a branch, so each branch is asked in its own terms
                let in_order = layout::ordering(&child.schema())
                    .is_some_and(|o| child.equivalence_properties().ordering_satisfy(o).unwrap_or(false));
                if !in_order || !same_ranges(child.output_partitioning(), &alike) {
                    return Ok(Transformed::no(node));
                }
            }
            let children = node.children().into_iter().cloned().collect();
            let merged: Arc<dyn ExecutionPlan> = Arc::new(SortedMergeExec::of_branches(children, order));
            Ok(Transformed::yes(merged))
        })
        .data()
    }

    fn name(&self) -> &str {
        "merge_unions"
    }

    fn schema_check(&self) -> bool {
        false
    }
}

fn same_ranges(left: &Partitioning, right: &Partitioning) -> bool {
    match (left, right) {
        (Partitioning::Range(l), Partitioning::Range(r)) => {
            l.split_points() == r.split_points() && l.ordering().to_string().starts_with("visitor_key@")
        }
        _ => false,
    }
}
