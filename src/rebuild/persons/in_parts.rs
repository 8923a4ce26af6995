//! Rows in the lake's order, read in parts side by side.
//!
//! In: a plan for rows in that order. Out: batches, each with the number of its part, and [`ByPart`], what is made of each. A part
//! is a range of visitors' keys, so that no visitor is in two, and the parts one after the other are all rows in order. In memory are a few
//! batches of each.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::stream::{BoxStream, select_all};
use futures::{StreamExt, TryStreamExt};

use crate::engine::Engine;
use crate::engine::ranges_in_turn::RangesInTurnExec;
use crate::{Error, Result};

/// Batches of a part that wait for their reader; there may be many parts.
const AHEAD: usize = 1;

/// Batches of rows, with the numbers of their parts; those of one part come in order.
pub struct InParts(BoxStream<'static, datafusion::error::Result<(usize, RecordBatch)>>);

impl InParts {
    /// Starts a plan whose rows are in the lake's order. What a cluster computes comes in one part, and so does what has another
    /// order to begin with.
    pub async fn start(engine: &Engine, plan: LogicalPlan) -> Result<Self> {
        let (plan, context) = engine.physical(plan).await?;
        let parts = match engine.remote() {
            Some(_) => None,
            None => parts_of(&plan),
        };
        let streams = match parts {
            Some(parts) => {
                let count = parts.output_partitioning().partition_count();
                let read = |part| Ok::<_, Error>(spawn_buffered(parts.execute(part, context.clone())?, AHEAD));
                (0..count).map(read).collect::<Result<Vec<_>>>()?
            }
            None => vec![engine.execute((plan, context)).await?.rows],
        };
        let numbered = |(part, rows): (usize, SendableRecordBatchStream)| rows.map_ok(move |batch| (part, batch));
        Ok(Self(select_all(streams.into_iter().enumerate().map(numbered)).boxed()))
    }

    /// The next batch, of whichever part.
    pub async fn next(&mut self) -> Result<Option<(usize, RecordBatch)>> {
        Ok(self.0.try_next().await?)
    }
}

/// What gives the rows of ranges, where all that a plan does last is to take one after the other.
fn parts_of(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    plan.downcast_ref::<RangesInTurnExec>()?.children().first().map(|ranges| (*ranges).clone())
}

/// What is made of each part.
#[derive(Debug, Default)]
pub struct ByPart<T>(Vec<T>);

impl<T: Default> ByPart<T> {
    /// What is made of one part.
    pub fn of(&mut self, part: usize) -> &mut T {
        if self.0.len() <= part {
            self.0.resize_with(part + 1, T::default);
        }
        &mut self.0[part]
    }

    /// All, in the order of the parts.
    pub fn in_order(self) -> impl Iterator<Item = T> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::datatypes::Schema;
    use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::lake::layout::{BUCKETS, ordering};
    use crate::lake::scan::LakeTable;
    use crate::lake::tables::{HITS, full_schema};
    use crate::lake::{Lake, Snapshot};

    #[test]
    fn ranges_that_come_in_turn_are_parts() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let hits = Arc::new(Snapshot::missing(&lake, HITS).unwrap());
        let table = LakeTable::new(lake, hits, full_schema(HITS, &Schema::empty()));
        let scan = table.reading(&SessionContext::new().state(), None, &[]).unwrap();
        let order = ordering(&scan.schema()).unwrap();
        let merge: Arc<dyn ExecutionPlan> = Arc::new(SortPreservingMergeExec::new(order, scan.clone()));
        let parts =
            |plan: Arc<dyn ExecutionPlan>| parts_of(&plan).map(|parts| parts.output_partitioning().partition_count());
        assert_eq!(parts(Arc::new(RangesInTurnExec::new(merge.clone(), 2))), Some(BUCKETS));
        assert_eq!((parts(merge), parts(scan.clone())), (None, None));
    }

    #[test]
    fn parts_are_in_order_whichever_comes_first() {
        let mut all = ByPart::<Vec<u32>>::default();
        for (part, number) in [(2, 7), (0, 1), (2, 8), (0, 2), (4, 9)] {
            all.of(part).push(number);
        }
        let parts: Vec<Vec<u32>> = all.in_order().collect();
        assert_eq!(parts, [vec![1, 2], vec![], vec![7, 8], vec![], vec![9]]);
    }
}
