//! What `EXPLAIN` gives, a line of a plan in each row, as PostgreSQL has it: a plan within one cell is not to be read.

use std::sync::{Arc, LazyLock};

use arrow::array::{AsArray, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::analyze::AnalyzeExec;
use datafusion::physical_plan::explain::ExplainExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;

use crate::Result;

/// The one column of plans by line, as PostgreSQL names it.
pub static LINES: LazyLock<SchemaRef> =
    LazyLock::new(|| Arc::new(Schema::new(vec![Field::new("QUERY PLAN", DataType::Utf8, false)])));

/// True for the operator of an `EXPLAIN`.
pub fn explains(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<ExplainExec>() || plan.is::<AnalyzeExec>()
}

/// Plans by line.
pub fn by_line(plans: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let lines = plans.map(|plans| Ok::<_, DataFusionError>(lines_of(&plans?)?));
    Box::pin(RecordBatchStreamAdapter::new(LINES.clone(), lines))
}

/// What each is a plan of, and below it the plan, further in.
fn lines_of(plans: &RecordBatch) -> Result<RecordBatch> {
    let (kinds, plans) = (plans.column(0).as_string::<i32>(), plans.column(1).as_string::<i32>());
    let mut lines = StringBuilder::new();
    for (kind, plan) in kinds.iter().zip(plans.iter()) {
        lines.append_value(kind.unwrap_or_default().replace('_', " "));
        for line in plan.unwrap_or_default().lines() {
            lines.append_value(format!("  {line}"));
        }
    }
    Ok(RecordBatch::try_new(LINES.clone(), vec![Arc::new(lines.finish())])?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{ArrayRef, StringArray};
    use datafusion::logical_expr::LogicalPlan;
    use datafusion::prelude::SessionContext;

    use super::*;

    #[test]
    fn a_line_of_a_plan_is_a_row() {
        let texts = |texts: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let columns = vec![texts(["logical_plan", "physical_plan"]), texts(["Limit: 1\n  Values", "One\n"])];
        let plans = RecordBatch::try_new(LogicalPlan::explain_schema(), columns).unwrap();
        let lines = lines_of(&plans).unwrap();
        let lines: Vec<_> = lines.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(lines, ["logical plan", "  Limit: 1", "    Values", "physical plan", "  One"]);
    }

    #[tokio::test]
    async fn explanations_are_told_by_their_operator() {
        let context = SessionContext::new();
        for (sql, expected) in [
            ("EXPLAIN SELECT 1", true),
            ("EXPLAIN ANALYZE SELECT 1", true),
            ("EXPLAIN FORMAT TREE SELECT 1", true),
            ("SELECT 'a' AS plan_type, 'b' AS plan", false),
        ] {
            let plan = context.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
            assert_eq!(explains(&plan), expected, "{sql}");
            assert!(!expected || plan.schema() == LogicalPlan::explain_schema(), "{sql}");
        }
    }
}
