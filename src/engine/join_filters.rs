//! Joins that sort both sides, with a condition beyond equal keys, that keep rows without a partner.
//!
//! DataFusion 55 evaluates the condition on those rows as well, all of whose other side is NULL, in batches whose columns say that they
//! are never NULL, where the tables say so: the statement fails. Here the columns of such a condition may be NULL.

use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::joins::SortMergeJoinExec;
use datafusion::physical_plan::joins::utils::JoinFilter;

/// Lets conditions of joins see NULLs.
#[derive(Debug, Default)]
pub struct FiltersSeeNulls;

impl PhysicalOptimizerRule for FiltersSeeNulls {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| match node.downcast_ref::<SortMergeJoinExec>().and_then(seeing_nulls) {
            Some(join) => Ok(Transformed::yes(join?)),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "filters_see_nulls"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The same join with such a condition; None where it has none, or sees them already.
fn seeing_nulls(join: &SortMergeJoinExec) -> Option<Result<Arc<dyn ExecutionPlan>>> {
    let filter = join.filter.as_ref()?;
    let schema = filter.schema();
    if schema.fields().iter().all(|field| field.is_nullable()) {
        return None;
    }
    let fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()));
    let filter = JoinFilter::new(filter.expression().clone(), filter.column_indices().to_vec(), schema);
    let seeing = SortMergeJoinExec::try_new(
        join.left.clone(),
        join.right.clone(),
        join.on.clone(),
        Some(filter),
        join.join_type,
        join.sort_options.clone(),
        join.null_equality,
    );
    Some(seeing.map(|join| Arc::new(join) as Arc<dyn ExecutionPlan>))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
    use arrow::compute::SortOptions;
    use arrow::datatypes::DataType;
    use datafusion::common::{JoinSide, JoinType, NullEquality};
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::PhysicalExpr;
    use datafusion::physical_expr::expressions::{BinaryExpr, Column};
    use datafusion::physical_plan::collect;
    use datafusion::physical_plan::joins::utils::ColumnIndex;

    use super::*;

    /// Rows of a key and a time, none of which is ever NULL.
    fn rows(of: &[(i64, i64)]) -> Arc<dyn ExecutionPlan> {
        let field = |name| Field::new(name, DataType::Int64, false);
        let schema = Arc::new(Schema::new(vec![field("key"), field("time")]));
        let columns: [ArrayRef; 2] = [
            Arc::new(of.iter().map(|(key, _)| *key).collect::<Int64Array>()),
            Arc::new(of.iter().map(|(_, time)| *time).collect::<Int64Array>()),
        ];
        let batch = RecordBatch::try_new(schema.clone(), columns.to_vec()).unwrap();
        MemorySourceConfig::try_new_exec(&[vec![batch]], schema, None).unwrap()
    }

    #[tokio::test]
    async fn rows_without_a_partner_stay() {
        let time = |name, place| Arc::new(Column::new(name, place)) as Arc<dyn PhysicalExpr>;
        let later = Arc::new(BinaryExpr::new(time("time", 0), Operator::Lt, time("other", 1)));
        let indices = [JoinSide::Left, JoinSide::Right].map(|side| ColumnIndex { index: 1, side }).to_vec();
        let fields = ["time", "other"].map(|name| Field::new(name, DataType::Int64, false)).to_vec();
        let filter = JoinFilter::new(later, indices, Arc::new(Schema::new(fields)));
        let key = || Arc::new(Column::new("key", 0)) as Arc<dyn PhysicalExpr>;
        let join = SortMergeJoinExec::try_new(
            rows(&[(1, 10), (2, 20), (3, 30)]),
            rows(&[(1, 5), (1, 11), (2, 19)]),
            vec![(key(), key())],
            Some(filter),
            JoinType::Left,
            vec![SortOptions::default()],
            NullEquality::NullEqualsNothing,
        );
        let plan = FiltersSeeNulls.optimize(Arc::new(join.unwrap()), &ConfigOptions::default()).unwrap();
        let found = collect(plan, Arc::default()).await.unwrap();
        let (rows, partners) = found.iter().fold((0, 0), |(rows, partners), batch| {
            (rows + batch.num_rows(), partners + batch.num_rows() - batch.column(3).null_count())
        });
        assert_eq!((rows, partners), (3, 1));
    }
}
