//! From a statement to its plan, and from a plan to its rows.

use datafusion::arrow::array::RecordBatch;
use datafusion::dataframe::DataFrame;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use futures::FutureExt;
use futures::future::BoxFuture;

/// The plan of a statement.
///
/// # Errors
/// What DataFusion says of the statement.
pub fn plan(state: &SessionState, statement: Statement) -> BoxFuture<'_, Result<LogicalPlan>> {
    state.statement_to_plan(statement).boxed()
}

/// The plan of the one statement of a text.
///
/// # Errors
/// What DataFusion says of the text.
pub fn plan_text<'a>(state: &'a SessionState, sql: &'a str) -> BoxFuture<'a, Result<LogicalPlan>> {
    state.create_logical_plan(sql).boxed()
}

/// All rows of a plan.
///
/// # Errors
/// What DataFusion says while it plans and computes them.
pub fn collect(frame: DataFrame) -> BoxFuture<'static, Result<Vec<RecordBatch>>> {
    frame.collect().boxed()
}

/// The rows of a plan, as they come.
///
/// # Errors
/// What DataFusion says while it plans them.
pub fn stream(frame: DataFrame) -> BoxFuture<'static, Result<SendableRecordBatchStream>> {
    frame.execute_stream().boxed()
}
