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
    /// The suite of the row before, its rules and its counter: mostly that of the next row, too.
    suite: String,
    suite_rules: VisitRules,
    counter: VisitCounter,
    /// The visitor's counters of other suites.
    others: HashMap<String, VisitCounter>,
}

impl Visitor {
    /// Nobody yet.
    pub fn new(rules: Arc<HashMap<String, VisitRules>>) -> Self {
        let suite_rules = rules.get("").copied().unwrap_or_default();
        let (suite, counter, others) = (String::new(), VisitCounter::default(), HashMap::new());
        Self { rules, visitor: None, suite, suite_rules, counter, others }
    }

    /// Goes on to the visitor of a row.
    fn meet(&mut self, key: i64, id: &str) {
        match &mut self.visitor {
            Some((known_key, known)) if *known_key == key && known == id => return,
            Some((known_key, known)) => {
                *known_key = key;
                known.clear();
                known.push_str(id);
            }
            nobody => *nobody = Some((key, id.to_string())),
        }
        self.counter.clear();
        self.others.clear();
    }

    /// Goes on to the suite of a row.
    fn enter(&mut self, suite: &str) {
        if self.suite == suite {
            return;
        }
        let counter = self.others.remove(suite).unwrap_or_default();
        let before = std::mem::replace(&mut self.suite, suite.to_string());
        self.others.insert(before, std::mem::replace(&mut self.counter, counter));
        self.suite_rules = self.rules.get(suite).copied().unwrap_or_default();
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
                self.meet(keys.value(row), ids.value(row));
                self.enter(suites.value(row));
                let time = times.value(row);
                Some(match () {
                    () if numbers.is_valid(row) => self.counter.numbered(numbers.value(row), time),
                    () if names.is_valid(row) => self.counter.named(names.value(row), time),
                    () => self.counter.next(time, &self.suite_rules),
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
    #![allow(clippy::unwrap_used)]

    use arrow::array::StringArray;

    use super::*;
    use crate::engine::visits::rules::SECOND;

    /// Rows of visitor (key, id), suite, seconds; the visits (number, start in seconds) that they are filled with.
    fn filled(visitor: &mut Visitor, rows: &[(i64, &str, &str, i64)]) -> Vec<(i64, i64)> {
        let nothing: ArrayRef = Arc::new(Int64Array::new_null(rows.len()));
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.3 * SECOND));
        let no_times = TimestampMicrosecondArray::new_null(rows.len());
        let columns: [(&str, ArrayRef); 7] = [
            (VISITOR_KEY, Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.0)))),
            (VISITOR_ID, Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)))),
            (SUITE, Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.2)))),
            (HIT_TIME, Arc::new(times.with_timezone("UTC"))),
            (VISIT_NUM, nothing),
            (VISIT_START, Arc::new(no_times.with_timezone("UTC"))),
            (VISIT_ID, Arc::new(StringArray::new_null(rows.len()))),
        ];
        let nullable = columns.map(|(name, column)| (name, column, true));
        let batch = visitor.fill(&RecordBatch::try_from_iter_with_nullable(nullable).unwrap()).unwrap();
        let numbers = batch.column_by_name(VISIT_NUM).unwrap().as_primitive::<Int64Type>();
        let starts = batch.column_by_name(VISIT_START).unwrap().as_primitive::<TimestampMicrosecondType>();
        numbers.values().iter().zip(starts.values().iter()).map(|(number, start)| (*number, start / SECOND)).collect()
    }

    #[test]
    fn visits_of_a_visitor_are_counted_a_suite() {
        let short = VisitRules { timeout: 60 * SECOND, ..VisitRules::default() };
        let rules = Arc::new(HashMap::from([("y".to_string(), short)]));
        // the visitor goes to and fro between suites, and on in the next batch; two visitors share a key
        let rows = [
            (1, "a", "x", 0),
            (1, "a", "y", 10),
            (1, "a", "x", 600),
            (1, "a", "y", 610),
            (1, "a", "y", 620),
            (1, "b", "y", 630),
            (2, "c", "x", 640),
        ];
        let expected = [(1, 0), (1, 10), (1, 0), (2, 610), (2, 610), (1, 630), (1, 640)];
        assert_eq!(filled(&mut Visitor::new(rules.clone()), &rows), expected);
        for at in 0..rows.len() {
            let mut visitor = Visitor::new(rules.clone());
            let parts = [filled(&mut visitor, &rows[..at]), filled(&mut visitor, &rows[at..])];
            assert_eq!(parts.concat(), expected, "in two batches at {at}");
        }
    }
}
