//! The rows of who converted, and what is shown of them.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::BaselineMetrics;
use futures::TryStreamExt;

use super::node::PathSpec;
use super::shown::path;

/// The touches of one conversion, whose visitor's rows the input holds, or nobody's.
pub(super) async fn explained(
    spec: PathSpec,
    mut input: SendableRecordBatchStream,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
) -> Result<RecordBatch> {
    let mut own = vec![];
    while let Some(rows) = input.try_next().await? {
        reservation.try_grow(rows.get_array_memory_size())?;
        own.push(rows);
    }
    let found = path(&spec, &concat_batches(&input.schema(), &own)?)?;
    metrics.record_output(found.num_rows());
    Ok(found)
}
