//! One hit counts once: of the rows of a hit that was delivered more than once, the first in the lake's order goes on. So it is with rows
//! that a feed brings integrated.
//!
//! In: hits sorted by visitor and time, see [`crate::lake::repeats`]. Out: the same without repeats. State is the rows of one
//! instant, and the keys of one visitor.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, PlanProperties,
};
use futures::StreamExt;

use super::by_visitor;
use crate::columns::{FILE, HIT_ID_REST, HIT_SEQ, HIT_TIME, SUITE, VISITOR_ID, VISITOR_KEY, is_keyed};

/// The columns by which repeats are known, besides those of the layout's order; the file decides which row comes first.
pub const COLUMNS: [&str; 3] = [SUITE, HIT_ID_REST, FILE];

/// Leaves out repeats of hits.
#[derive(Debug)]
pub struct RepeatsExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl RepeatsExec {
    /// Over an input with the columns of the layout's order and [`COLUMNS`].
    pub fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = by_visitor::properties(input.schema(), &input);
        Self { input, properties, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for RepeatsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepeatsExec")
    }
}

impl ExecutionPlan for RepeatsExec {
    fn name(&self) -> &str {
        "RepeatsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        by_visitor::distribution(&self.input)
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        by_visitor::ordering(&self.input)
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0))))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut seen = HitsOfInstant::default();
        let rows = input.map(move |batch| {
            let _timer = metrics.elapsed_compute().timer();
            let batch = seen.first_of(batch?)?;
            metrics.record_output(batch.num_rows());
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The hits of one visitor, instant and sequence that have gone on.
#[derive(Default)]
struct HitsOfInstant {
    place: (i64, i64, i128),
    visitor: Option<String>,
    /// Suite and rest of the hit id.
    hits: Vec<(String, i64)>,
    keyed: Keyed,
}

/// The hits with a key of one visitor that have gone on.
#[derive(Default)]
struct Keyed {
    visitor: Option<(i64, Option<String>)>,
    suites: Vec<String>,
    /// Number of the suite, and what stands for the key.
    keys: HashSet<(usize, i128, i64)>,
}

impl Keyed {
    /// True for the first hit of the visitor with this key.
    fn is_first(&mut self, (visitor_key, visitor): (i64, Option<&str>), suite: &str, key: (i128, i64)) -> bool {
        let known = self.visitor.as_ref().map(|(key, id)| (*key, id.as_deref()));
        if known != Some((visitor_key, visitor)) {
            self.visitor = Some((visitor_key, visitor.map(str::to_string)));
            self.keys.clear();
        }
        let number = self.suites.iter().position(|known| known == suite).unwrap_or_else(|| {
            self.suites.push(suite.to_string());
            self.suites.len() - 1
        });
        self.keys.insert((number, key.0, key.1))
    }
}

impl HitsOfInstant {
    /// The batch without the rows of hits that were seen before.
    fn first_of(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let column = |name: &str| {
            let found = batch.column_by_name(name);
            found.ok_or_else(|| DataFusionError::Internal(format!("repeats of hits need the column {name}")))
        };
        let rests = column(HIT_ID_REST)?.as_primitive::<Int64Type>();
        if rests.null_count() == batch.num_rows() {
            return Ok(batch);
        }
        let keys = column(VISITOR_KEY)?.as_primitive::<Int64Type>().values();
        let times = column(HIT_TIME)?.as_primitive::<TimestampMicrosecondType>().values();
        let sequences = column(HIT_SEQ)?.as_primitive::<Decimal128Type>().values();
        let visitors = column(VISITOR_ID)?.as_string::<i32>();
        let suites = column(SUITE)?.as_string::<i32>();
        let mut kept: Option<Vec<bool>> = None;
        for row in (0..batch.num_rows()).filter(|row| rests.is_valid(*row)) {
            let place = (keys[row], times[row], sequences[row]);
            let visitor = visitors.is_valid(row).then(|| visitors.value(row));
            if is_keyed(rests.value(row)) {
                let key = (sequences[row], rests.value(row));
                if !self.keyed.is_first((keys[row], visitor), suites.value(row), key) {
                    kept.get_or_insert_with(|| vec![true; batch.num_rows()])[row] = false;
                }
                continue;
            }
            if self.hits.is_empty() || self.place != place || self.visitor.as_deref() != visitor {
                // the text is written only where a hit can come again, which shows in the next row
                let alone = row + 1 < keys.len() && (keys[row + 1], times[row + 1], sequences[row + 1]) != place;
                self.hits.clear();
                if alone {
                    continue;
                }
                self.place = place;
                self.visitor = visitor.map(str::to_string);
            }
            let hit = (suites.value(row), rests.value(row));
            if self.hits.iter().any(|(suite, rest)| (suite.as_str(), *rest) == hit) {
                kept.get_or_insert_with(|| vec![true; batch.num_rows()])[row] = false;
            } else {
                self.hits.push((hit.0.to_string(), hit.1));
            }
        }
        match kept {
            Some(kept) => Ok(filter_record_batch(&batch, &BooleanArray::from(kept))?),
            None => Ok(batch),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;
    use crate::columns;

    type Row = (&'static str, i64, i128, Option<i64>, &'static str, i64);

    fn batch(rows: &[Row]) -> RecordBatch {
        let sequences: Decimal128Array = rows.iter().map(|r| Some(r.2)).collect();
        let columns: [(&str, ArrayRef); 7] = [
            (VISITOR_KEY, Arc::new(Int64Array::from(vec![1; rows.len()]))),
            (VISITOR_ID, Arc::new(rows.iter().map(|r| Some(r.0)).collect::<StringArray>())),
            (HIT_TIME, Arc::new(rows.iter().map(|r| Some(r.1)).collect::<TimestampMicrosecondArray>())),
            (HIT_SEQ, Arc::new(sequences.with_data_type(columns::sequence()))),
            (HIT_ID_REST, Arc::new(rows.iter().map(|r| r.3).collect::<Int64Array>())),
            (SUITE, Arc::new(rows.iter().map(|r| Some(r.4)).collect::<StringArray>())),
            ("n", Arc::new(rows.iter().map(|r| Some(r.5)).collect::<Int64Array>())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn the_first_row_of_a_hit_goes_on() {
        let rows: [Row; 12] = [
            ("a", 1, 7, Some(0), "s", 0),
            ("a", 1, 7, Some(0), "s", 1),
            ("a", 1, 7, Some(0), "t", 2),
            ("a", 1, 7, Some(0), "s", 3),
            ("a", 1, 7, Some(1), "s", 4),
            ("a", 2, 7, Some(0), "s", 5),
            ("a", 2, 8, Some(0), "s", 6),
            ("b", 2, 8, Some(0), "s", 7),
            ("b", 2, 8, Some(0), "s", 8),
            ("b", 2, 9, None, "s", 9),
            ("b", 2, 9, None, "s", 10),
            ("b", 3, 9, Some(0), "s", 11),
        ];
        for cut in 1..=rows.len() {
            let mut seen = HitsOfInstant::default();
            let mut kept = vec![];
            for rows in rows.chunks(cut) {
                let batch = seen.first_of(batch(rows)).unwrap();
                kept.extend_from_slice(batch.column(6).as_primitive::<Int64Type>().values());
            }
            assert_eq!(kept, [0, 2, 4, 5, 6, 7, 9, 10, 11], "batches of {cut}");
        }
    }

    #[test]
    fn the_first_row_of_a_key_goes_on() {
        let [one, other] = ["one", "other"].map(columns::key_sequence);
        let rows: [Row; 7] = [
            ("a", 1, one.0, Some(one.1), "s", 0),
            ("a", 2, other.0, Some(other.1), "s", 1),
            ("a", 2, 7, None, "s", 2),
            ("a", 3, one.0, Some(one.1), "s", 3),
            ("a", 3, one.0, Some(one.1), "t", 4),
            ("a", 4, one.0, Some(one.1), "t", 5),
            ("b", 4, one.0, Some(one.1), "s", 6),
        ];
        for cut in 1..=rows.len() {
            let mut seen = HitsOfInstant::default();
            let mut kept = vec![];
            for rows in rows.chunks(cut) {
                let batch = seen.first_of(batch(rows)).unwrap();
                kept.extend_from_slice(batch.column(6).as_primitive::<Int64Type>().values());
            }
            assert_eq!(kept, [0, 1, 2, 4, 6], "batches of {cut}");
        }
    }
}
