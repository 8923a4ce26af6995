//! Visits of inputs that name none: computed while reading, over the visitor's whole history.
//!
//! In: hits sorted by visitor and time. Out: the same rows with `visit_num` and `visit_start` filled. Rows that have a
//! visit start (data feeds) pass; rows with a visit number or a visit name of their own get the time of that visit's
//! first hit; the others get visits by the rules of their suite. State is one visitor's.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, Int64Builder, RecordBatch, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, InputDistributionRequirements, PlanProperties,
};
use futures::StreamExt;

use serde::{Deserialize, Serialize};

use super::by_visitor;
use crate::columns::{HIT_TIME, SUITE, VISIT_ID, VISIT_NUM, VISIT_START, VISITOR_ID, VISITOR_KEY};
use crate::lake::records::Suite;

const SECOND: i64 = 1_000_000;

/// When a computed visit ends: by more than any of the four.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct VisitRules {
    /// This long without a hit, microseconds.
    pub timeout: i64,
    /// This long since the visit's first hit, microseconds.
    pub activity: i64,
    /// This many hits.
    pub hits: u64,
    /// More than `BURST_HITS` hits within this time from the visit's first, microseconds.
    pub burst: i64,
}

/// Hits that a visit may have within [`VisitRules::burst`]: no person clicks faster.
const BURST_HITS: u64 = 100;

impl Default for VisitRules {
    fn default() -> Self {
        Self::of(&Suite::new(""))
    }
}

impl VisitRules {
    /// The rules of a suite.
    pub fn of(suite: &Suite) -> Self {
        Self {
            timeout: suite.visit_timeout_minutes * 60 * SECOND,
            activity: suite.visit_hours * 3600 * SECOND,
            hits: suite.visit_hits.max(1).unsigned_abs(),
            burst: 100 * SECOND,
        }
    }
}

/// The visits of one visitor as they unfold.
#[derive(Debug, Default)]
pub struct VisitCounter {
    number: i64,
    start: i64,
    last: i64,
    hits: u64,
    named: HashMap<String, (i64, i64)>,
    numbered: Rising<i64, i64>,
}

/// Values by keys that mostly rise, such as the numbers of visits: those are kept in a row, and only others are hashed.
#[derive(Debug)]
pub struct Rising<K, V> {
    rising: Vec<(K, V)>,
    others: HashMap<K, V>,
}

impl<K, V> Default for Rising<K, V> {
    fn default() -> Self {
        Self { rising: vec![], others: HashMap::new() }
    }
}

impl<K: Copy + Ord + Hash, V: Copy> Rising<K, V> {
    /// The value of a key; when it is new, what `value` makes of the number of keys before.
    #[inline]
    pub fn get_or_insert(&mut self, key: K, value: impl FnOnce(usize) -> V) -> V {
        let count = self.rising.len() + self.others.len();
        match self.rising.last() {
            Some((last, known)) if *last == key => return *known,
            Some((last, _)) if *last > key => {}
            _ => {
                let value = value(count);
                self.rising.push((key, value));
                return value;
            }
        }
        match self.rising.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(place) => self.rising[place].1,
            Err(_) => *self.others.entry(key).or_insert_with(|| value(count)),
        }
    }

    /// Forgets them, keeps the memory.
    pub fn clear(&mut self) {
        self.rising.clear();
        if !self.others.is_empty() {
            self.others.clear();
        }
    }
}

impl VisitCounter {
    /// Forgets the visitor, keeps the memory.
    pub fn clear(&mut self) {
        (self.number, self.hits) = (0, 0);
        if !self.named.is_empty() {
            self.named.clear();
        }
        self.numbered.clear();
    }

    /// The visit (number, start) of the next hit, by the rules.
    pub fn next(&mut self, time: i64, rules: &VisitRules) -> (i64, i64) {
        let new = self.number == 0
            || time - self.last > rules.timeout
            || time - self.start > rules.activity
            || self.hits >= rules.hits
            || (self.hits >= BURST_HITS && time - self.start <= rules.burst);
        if new {
            self.number += 1;
            self.start = time;
            self.hits = 0;
        }
        self.hits += 1;
        self.last = time;
        (self.number, self.start)
    }

    /// The visit of a hit whose source gives it a number: its start is its first hit.
    pub fn numbered(&mut self, number: i64, time: i64) -> (i64, i64) {
        (number, self.numbered.get_or_insert(number, |_| time))
    }

    /// The visit of a hit whose source gives it a name: numbered in the order of first hits.
    pub fn named(&mut self, name: &str, time: i64) -> (i64, i64) {
        if let Some(visit) = self.named.get(name) {
            return *visit;
        }
        let visit = (self.named.len() as i64 + 1, time);
        self.named.insert(name.to_string(), visit);
        visit
    }
}

/// Fills `visit_num` and `visit_start` of its input.
#[derive(Debug)]
pub struct VisitsExec {
    input: Arc<dyn ExecutionPlan>,
    rules: Arc<HashMap<String, VisitRules>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl VisitsExec {
    /// Over an input with the columns of the layout's order, `suite`, and the visit columns; rules by suite.
    pub fn new(input: Arc<dyn ExecutionPlan>, rules: Arc<HashMap<String, VisitRules>>) -> Self {
        let properties = by_visitor::properties(input.schema(), &input);
        Self { input, rules, properties, metrics: ExecutionPlanMetricsSet::new() }
    }

    /// When visits end, by suite.
    pub fn rules(&self) -> &HashMap<String, VisitRules> {
        &self.rules
    }
}

impl DisplayAs for VisitsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VisitsExec")
    }
}

impl ExecutionPlan for VisitsExec {
    fn name(&self) -> &str {
        "VisitsExec"
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
        Ok(Arc::new(Self::new(children.swap_remove(0), self.rules.clone())))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.rules.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context)?;
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let mut state = State { rules: self.rules.clone(), visitor: None, counters: HashMap::new() };
        let filled = input.map(move |batch| {
            let _timer = metrics.elapsed_compute().timer();
            let batch = state.fill(&batch?)?;
            metrics.record_output(batch.num_rows());
            Ok(batch)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), filled.boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// One visitor's counters, a suite each.
struct State {
    rules: Arc<HashMap<String, VisitRules>>,
    visitor: Option<(i64, String)>,
    counters: HashMap<String, VisitCounter>,
}

impl State {
    fn fill(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn visits(times: impl IntoIterator<Item = i64>) -> Vec<i64> {
        let (mut counter, rules) = (VisitCounter::default(), VisitRules::default());
        times.into_iter().map(|t| counter.next(t * SECOND, &rules).0).collect()
    }

    #[test]
    fn half_an_hour_without_a_hit_ends_a_visit() {
        assert_eq!(visits([0, 1799, 3599, 5400]), [1, 1, 1, 2]);
    }

    #[test]
    fn twelve_hours_of_activity_end_a_visit() {
        let numbers = visits((0..=49).map(|i| i * 900));
        assert_eq!((numbers[48], numbers[49]), (1, 2));
    }

    #[test]
    fn many_hits_end_a_visit() {
        let numbers = visits((0..2501).map(|i| i * 10));
        assert_eq!((numbers[2499], numbers[2500]), (1, 2));
        let burst = visits((0..102).map(|i| i / 2));
        assert_eq!((burst[99], burst[100], burst[101]), (1, 2, 2));
        assert_eq!(visits(0..=100)[100], 2);
        assert_eq!(visits((0..=100).map(|i| i + i / 100)), [1; 101]);
        // only the first 100 seconds: later a visitor may be as fast as he likes
        let late = [0].into_iter().chain((0..1000).map(|i| 101 + i / 20));
        assert_eq!(visits(late), [1; 1001]);
    }

    proptest! {
        /// Keys are numbered in the order in which they come first, however they come.
        #[test]
        fn keys_are_numbered_as_they_come(visitors in vec(vec(0..12i64, 0..40), 1..4)) {
            let mut rising = Rising::default();
            for keys in visitors {
                let mut met: Vec<i64> = vec![];
                for key in keys {
                    if !met.contains(&key) {
                        met.push(key);
                    }
                    let number = met.iter().position(|k| *k == key);
                    prop_assert_eq!(Some(rising.get_or_insert(key, |before| before)), number);
                }
                rising.clear();
            }
        }
    }
}
