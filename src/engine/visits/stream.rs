//! The work on a partition: visits are counted row by row.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, Int64Builder, RecordBatch, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::error::Result;

use super::counter::VisitCounter;
use super::rules::VisitRules;
use crate::columns::{HIT_TIME, SUITE, VISIT_ID, VISIT_NUM, VISIT_START, VISITOR_ID, VISITOR_KEY};

/// The visitor at hand: counters, a suite each.
pub(super) struct Visitor {
    rules: Arc<HashMap<String, VisitRules>>,
    visitor: Option<(i64, String)>,
    counters: HashMap<String, VisitCounter>,
}

impl Visitor {
    /// Nobody yet.
    pub fn new(rules: Arc<HashMap<String, VisitRules>>) -> Self {
        Self { rules, visitor: None, counters: HashMap::new() }
    }

    /// The rows of a batch with their visits.
    pub fn fill(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let column = |name: &str| -> Result<&ArrayRef> {
            batch
                .column_by_name(name)
                .ok_or_else(|| datafusion::error::DataFusionError::Internal(format!("visits need the column {name}")))
        };
        let keys = column(VISITOR_KEY)?.as_primitive::<Int64Type>();
        let ids = column(VISITOR_ID)?.as_string::<i32>();
        let suites = column(SUITE)?.as_string::<i32>();
        let times = column(HIT_TIME)?.as_primitive::<TimestampMicrosecondType>();
        let numbers = column(VISIT_NUM)?.as_primitive::<Int64Type>();
        let starts = column(VISIT_START)?.as_primitive::<TimestampMicrosecondType>();
        let names = column(VISIT_ID)?.as_string::<i32>();
        let rows = batch.num_rows();
        let (mut number_out, mut start_out) =
            (Int64Builder::with_capacity(rows), TimestampMicrosecondBuilder::with_capacity(rows));
        for row in 0..rows {
            let visit = if ids.is_null(row) {
                None
            } else if starts.is_valid(row) {
                numbers.is_valid(row).then(|| (numbers.value(row), starts.value(row)))
            } else {
                let id = ids.value(row);
                if !self.visitor.as_ref().is_some_and(|(k, v)| *k == keys.value(row) && v == id) {
                    self.visitor = Some((keys.value(row), id.to_string()));
                    self.counters.clear();
                }
                let suite = suites.value(row);
                if !self.counters.contains_key(suite) {
                    self.counters.insert(suite.to_string(), VisitCounter::default());
                }
                let rules = self.rules.get(suite).copied().unwrap_or_default();
                self.counters.get_mut(suite).map(|counter| match () {
                    () if numbers.is_valid(row) => counter.numbered(numbers.value(row), times.value(row)),
                    () if names.is_valid(row) => counter.named(names.value(row), times.value(row)),
                    () => counter.next(times.value(row), &rules),
                })
            };
            number_out.append_option(visit.map(|v| v.0));
            start_out.append_option(visit.map(|v| v.1));
        }
        let number_out: Int64Array = number_out.finish();
        let start_out: TimestampMicrosecondArray = start_out.finish().with_timezone("UTC");
        let mut columns = batch.columns().to_vec();
        columns[batch.schema().index_of(VISIT_NUM)?] = Arc::new(number_out);
        columns[batch.schema().index_of(VISIT_START)?] = Arc::new(start_out);
        Ok(RecordBatch::try_new(batch.schema(), columns)?)
    }
}
