//! A statement that runs: its columns, its rows, its plan.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use futures::StreamExt;
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::column_names;
use super::explained::{LINES, by_line, explains};
use crate::Error;

/// A statement that has been planned and has begun.
pub struct Running {
    /// Columns of the result.
    pub schema: SchemaRef,
    /// The result.
    pub rows: SendableRecordBatchStream,
    /// The plan, whose metrics show the progress.
    pub plan: Arc<dyn ExecutionPlan>,
}

/// Batches that wait for their reader.
const AHEAD: usize = 2;

impl Running {
    /// Of an `EXPLAIN` the plan with a line in each row, for people; anything else as it is.
    pub fn by_line(self) -> Self {
        match explains(&self.plan) {
            true => Self { schema: LINES.clone(), rows: by_line(self.rows), plan: self.plan },
            false => self,
        }
    }

    /// With the names that its columns are shown with.
    pub(super) fn headed(self) -> Self {
        let Some(schema) = column_names::shown(&self.schema) else { return self };
        let (head, rows) = (schema.clone(), self.rows);
        let rows = rows.map(move |batch| -> Result<RecordBatch> {
            let batch = batch?;
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(head.clone(), batch.columns().to_vec(), &options)?)
        });
        Self { rows: Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows)), schema, plan: self.plan }
    }

    /// The rows are computed in a task of its own, so that its reader can look at the clock and at signals while an operator
    /// computes. The task ends when the rows are dropped. When nobody has read on by `expiry`, what it holds is let go, and the
    /// rows end with an error.
    pub fn on_threads(self, runtime: &Handle, expiry: Option<Instant>) -> Self {
        let Self { schema, mut rows, plan } = self;
        let mut receiver = RecordBatchReceiverStreamBuilder::new(schema.clone(), AHEAD);
        let sender = receiver.tx();
        let compute = async move {
            while let Some(batch) = rows.next().await {
                let failed = batch.is_err();
                let sent = match expiry {
                    None => sender.send(batch).await,
                    Some(expiry) => match timeout_at(expiry, sender.send(batch)).await {
                        Ok(sent) => sent,
                        Err(_) => return Err(Error::query("the rows were not read in time").into()),
                    },
                };
                // nobody reads any more
                if sent.is_err() || failed {
                    break;
                }
            }
            Ok(())
        };
        receiver.spawn_on(compute, runtime);
        Self { schema, rows: receiver.build(), plan }
    }
}
