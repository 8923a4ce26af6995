//! The columns of a batch of hits that persistence looks at, and the visitor whose rows come.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};

use super::carry::Row;
use super::persisting::Persisting;
use crate::columns::{
    BACKGROUND_HIT, EXCLUDE_HIT, HIT_TIME, SUITE, VISIT_NUM, VISIT_START, VISITOR_ID, VISITOR_KEY, set_column,
};

/// A batch, typed.
pub(super) struct TypedRows<'b> {
    pub len: usize,
    keys: &'b Int64Array,
    ids: &'b StringArray,
    suites: &'b StringArray,
    times: &'b TimestampMicrosecondArray,
    visits: Option<(&'b Int64Array, &'b TimestampMicrosecondArray)>,
    excluded: Option<&'b Int64Array>,
    background: Option<&'b BooleanArray>,
    /// What rows set, by column.
    pub sets: Vec<&'b StringArray>,
    /// The columns as they came.
    pub own: Vec<&'b StringArray>,
    /// Metrics that end values, by number.
    ends: Vec<Option<&'b Float64Array>>,
}

impl<'b> TypedRows<'b> {
    pub fn of(batch: &'b RecordBatch, what: &Persisting, metrics: &[String]) -> Result<Self> {
        let some = |name: &str| batch.column_by_name(name);
        let column = |name: &str| -> Result<&'b ArrayRef> {
            some(name).ok_or_else(|| DataFusionError::Internal(format!("persistence needs the column {name}")))
        };
        let texts = |name: &str| Ok(column(name)?.as_string::<i32>());
        Ok(Self {
            len: batch.num_rows(),
            keys: column(VISITOR_KEY)?.as_primitive::<Int64Type>(),
            ids: texts(VISITOR_ID)?,
            suites: texts(SUITE)?,
            times: column(HIT_TIME)?.as_primitive::<TimestampMicrosecondType>(),
            visits: match (some(VISIT_NUM), some(VISIT_START)) {
                (Some(numbers), Some(starts)) => Some((numbers.as_primitive(), starts.as_primitive())),
                _ => None,
            },
            background: some(BACKGROUND_HIT).map(|column| column.as_boolean()),
            excluded: some(EXCLUDE_HIT).map(|column| column.as_primitive::<Int64Type>()),
            sets: what.columns.iter().map(|name| texts(&set_column(name))).collect::<Result<_>>()?,
            own: what.columns.iter().map(|name| texts(name)).collect::<Result<_>>()?,
            ends: metrics.iter().map(|name| some(name).map(|column| column.as_primitive::<Float64Type>())).collect(),
        })
    }

    pub fn suite(&self, row: usize) -> &'b str {
        self.suites.value(row)
    }

    pub fn has_visitor(&self, row: usize) -> bool {
        self.ids.is_valid(row)
    }

    /// False for a row that is excluded, or a background hit where those do not count.
    pub fn is_reported(&self, row: usize, counts_background: bool) -> bool {
        let is_background = |flags: &BooleanArray| flags.is_valid(row) && flags.value(row);
        !self.excluded.is_some_and(|excluded| excluded.is_valid(row) && excluded.value(row) != 0)
            && (counts_background || !self.background.is_some_and(is_background))
    }

    pub fn set(&self, column: usize, row: usize) -> Option<&'b str> {
        let sets = self.sets[column];
        sets.is_valid(row).then(|| sets.value(row))
    }

    /// A row as a column sees it whose values the metric of number `metric` ends.
    pub fn row(&self, column: usize, metric: Option<usize>, row: usize) -> Row<'b> {
        let visit = self.visits.filter(|(numbers, starts)| numbers.is_valid(row) && starts.is_valid(row));
        let ends = metric.and_then(|metric| self.ends[metric]);
        Row {
            time: self.times.value(row),
            visit: visit.map(|(numbers, starts)| (numbers.value(row), starts.value(row))),
            set: self.set(column, row),
            ends: ends.is_some_and(|values| values.is_valid(row) && values.value(row) != 0.0),
        }
    }

    /// True where a row is of the visitor of the row before it in this batch.
    fn same_as_before(&self, row: usize) -> bool {
        self.keys.value(row) == self.keys.value(row - 1)
            && self.has_visitor(row) == self.has_visitor(row - 1)
            && (!self.has_visitor(row) || self.ids.value(row) == self.ids.value(row - 1))
    }

    /// The first row of the last visitor, who may go on in the next batch; the end, where the last row has no visitor.
    pub fn last_visitor(&self) -> usize {
        if self.len == 0 || !self.has_visitor(self.len - 1) {
            return self.len;
        }
        let mut start = self.len - 1;
        while start > 0 && self.same_as_before(start) {
            start -= 1;
        }
        start
    }
}

/// The visitor whose rows were seen last.
#[derive(Debug, Default)]
pub(super) struct Visitor(Option<(i64, String)>);

impl Visitor {
    /// True when a row of the batch is the first of a visitor; rows are asked in order.
    pub fn begins(&self, rows: &TypedRows<'_>, row: usize) -> bool {
        if row > 0 {
            return !rows.same_as_before(row);
        }
        let same =
            |(key, id): &(i64, String)| *key == rows.keys.value(0) && rows.has_visitor(0) && rows.ids.value(0) == id;
        !self.0.as_ref().is_some_and(same)
    }

    /// Remembers whose the last row of a batch is.
    pub fn remember(&mut self, rows: &TypedRows<'_>) {
        let Some(last) = rows.len.checked_sub(1) else { return };
        self.0 = rows.has_visitor(last).then(|| (rows.keys.value(last), rows.ids.value(last).to_string()));
    }
}
