//! What is shown of one visitor: its rows in, conversions or the touches of one conversion out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    UInt32Array,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};

use super::node::{PathSpec, Wanted};
use super::walked::{Credited, Found, Numbered, Step, Touch, Walked};
use crate::columns::timestamp;
use crate::engine::journey::{GROUP_COLUMNS, GroupType, Selection};

/// Rows that make a batch.
pub(super) const ROWS_PER_BATCH: usize = 8192;

/// A column of texts.
pub(super) fn column(rows: &RecordBatch, name: &str) -> Result<StringArray> {
    let column = rows.column_by_name(name).ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The event that is explained is nobody's.
pub(super) fn unknown_event(spec: &PathSpec) -> DataFusionError {
    let event = match &spec.wanted {
        Wanted::Path { event_id, .. } => event_id.as_str(),
        Wanted::Conversions | Wanted::Credits => "",
    };
    DataFusionError::Execution(format!(
        "credit_path: no visitor has the event {event}; its event_id stands in the table events, and a row without a visitor has no path"
    ))
}

/// The event converts nothing, or the question leaves it out.
fn nothing_to_explain(spec: &PathSpec, event_id: &str, metric: &str) -> String {
    let Selection { visitors, visits, .. } = spec.journey.selection;
    let left_out = if visitors || visits { ", or the question leaves its visitor or visit out" } else { "" };
    format!("credit_path: the event {event_id} has no {metric}{left_out}")
}

/// One row per conversion of a visitor.
pub(super) fn conversions(spec: &PathSpec, rows: &RecordBatch) -> Result<RecordBatch> {
    let mut walked = Walked::new(&spec.journey, rows)?;
    let found = walked.conversions();
    let texts = |name: &str| -> Result<ArrayRef> {
        let texts = column(rows, name)?;
        let cells = found.iter().map(|c| texts.is_valid(c.row).then(|| texts.value(c.row)));
        Ok(Arc::new(cells.collect::<StringArray>()))
    };
    let times = cast(rows.column_by_name("hit_time").unwrap_or(rows.column(0)), &timestamp())?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let items = column(rows, "item")?;
    let item = |touch: &Touch| match touch.item {
        Some(item) => walked.item_name(item),
        None => touch.row.filter(|row| items.is_valid(*row)).map(|row| items.value(row)),
    };
    let shown = |touch: &dyn Fn(&Found) -> Option<&Touch>| -> [ArrayRef; 2] {
        let names = found.iter().map(|c| touch(c).and_then(item)).collect::<StringArray>();
        let times = found.iter().map(|c| touch(c).map(|t| t.time)).collect::<TimestampMicrosecondArray>();
        [Arc::new(names), Arc::new(times.with_timezone("UTC"))]
    };
    let own_times = found.iter().map(|c| Some(times.value(c.row))).collect::<TimestampMicrosecondArray>();
    let mut columns = groups(spec, rows, found.iter().map(|c| c.row))?;
    columns.extend([
        texts("event_id")?,
        texts("device")?,
        Arc::new(own_times.with_timezone("UTC")),
        texts("row_kind")?,
        Arc::new(found.iter().map(|c| Some(c.value)).collect::<Float64Array>()),
        Arc::new(found.iter().map(|c| Some(c.touches as i64)).collect::<Int64Array>()) as ArrayRef,
    ]);
    columns.extend(shown(&|c| c.first.as_ref()));
    columns.extend(shown(&|c| c.last.as_ref()));
    Ok(RecordBatch::try_new(spec.output(), columns)?)
}

/// The columns of the breakdown, of some rows.
fn groups(spec: &PathSpec, rows: &RecordBatch, own: impl Iterator<Item = usize>) -> Result<Vec<ArrayRef>> {
    let own: UInt32Array = own.map(|row| Some(row as u32)).collect();
    let group = |(name, (_, kind)): (&&str, &(String, GroupType))| {
        let column = rows.column_by_name(name).ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
        Ok(take(&cast(column, &kind.data_type())?, &own, None)?)
    };
    GROUP_COLUMNS.iter().zip(&spec.journey.selection.by).map(group).collect()
}

/// The conversions of one visitor with what each gives to its items, as batches of about [`ROWS_PER_BATCH`] rows.
pub(super) struct Credits {
    spec: PathSpec,
    rows: RecordBatch,
    walked: Walked,
    left: std::vec::IntoIter<Numbered>,
}

impl Credits {
    /// Of the rows of one visitor.
    pub fn new(spec: PathSpec, rows: RecordBatch) -> Result<Self> {
        let mut walked = Walked::new(&spec.journey, &rows)?;
        let left = walked.numbered().into_iter();
        Ok(Self { spec, rows, walked, left })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut found: Vec<(usize, f64, Credited)> = vec![];
        while found.len() < ROWS_PER_BATCH
            && let Some(conversion) = self.left.next()
        {
            let items = self.walked.credited(&conversion, &self.spec.journey.models);
            found.extend(items.into_iter().map(|item| (conversion.row, conversion.value, item)));
        }
        if found.is_empty() {
            return Ok(None);
        }
        let ids = column(&self.rows, "event_id")?;
        let kinds = column(&self.rows, "row_kind")?;
        let times = cast(self.rows.column_by_name("hit_time").unwrap_or(self.rows.column(0)), &timestamp())?;
        let times = times.as_primitive::<TimestampMicrosecondType>();
        let texts = |texts: &StringArray, row: &dyn Fn(&Credited, usize) -> Option<usize>| -> ArrayRef {
            let rows = found.iter().map(|(own, _, item)| row(item, *own).filter(|row| texts.is_valid(*row)));
            Arc::new(rows.map(|row| row.map(|row| texts.value(row))).collect::<StringArray>())
        };
        let instants = |time: &dyn Fn(&Credited, usize) -> Option<i64>| -> ArrayRef {
            let times = found.iter().map(|(own, _, item)| time(item, *own)).collect::<TimestampMicrosecondArray>();
            Arc::new(times.with_timezone("UTC"))
        };
        let numbers = |number: &dyn Fn(&Credited, f64) -> f64| -> ArrayRef {
            Arc::new(found.iter().map(|(_, value, item)| Some(number(item, *value))).collect::<Float64Array>())
        };
        let mut columns = groups(&self.spec, &self.rows, found.iter().map(|(row, ..)| *row))?;
        columns.extend([
            texts(&ids, &|_, own| Some(own)),
            instants(&|_, own| Some(times.value(own))),
            texts(&kinds, &|_, own| Some(own)),
            numbers(&|_, value| value),
            Arc::new(found.iter().map(|(.., item)| self.walked.item_name(item.item)).collect::<StringArray>()),
            Arc::new(found.iter().map(|(.., item)| Some(item.touches as i64)).collect::<Int64Array>()),
            texts(&ids, &|item, _| item.first.and_then(|(row, _)| row)),
            instants(&|item, _| item.first.map(|(_, time)| time)),
            texts(&ids, &|item, _| item.last.and_then(|(row, _)| row)),
            instants(&|item, _| item.last.map(|(_, time)| time)),
        ]);
        for model in 0..self.spec.journey.models.len() {
            columns.push(numbers(&|item, _| item.shares[model]));
            columns.push(numbers(&|item, value| item.shares[model] * value));
        }
        Ok(Some(RecordBatch::try_new(self.spec.output(), columns)?))
    }
}

impl Iterator for Credits {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// The touches of the conversion among its visitor's rows.
pub(super) fn path(spec: &PathSpec, rows: &RecordBatch) -> Result<RecordBatch> {
    let Wanted::Path { event_id, metric } = &spec.wanted else { return Err(unknown_event(spec)) };
    let (ids, kinds) = (column(rows, "event_id")?, column(rows, "row_kind")?);
    let Some(wanted) = (0..rows.num_rows()).find(|&row| ids.is_valid(row) && ids.value(row) == event_id) else {
        return Err(unknown_event(spec));
    };
    let mut walked = Walked::new(&spec.journey, rows)?;
    let steps = walked.steps(wanted, &spec.journey.models);
    let (steps, converted) =
        steps.ok_or_else(|| DataFusionError::Execution(nothing_to_explain(spec, event_id, metric)))?;
    let visits = rows.column_by_name("place").map(|c| cast(c, &DataType::Int64)).transpose()?;
    let visits = visits.as_ref().map(|c| c.as_primitive::<Int64Type>());
    let visit = |step: &Step| {
        let row = step.row?;
        visits.filter(|v| v.is_valid(row)).map(|v| v.value(row))
    };
    let texts = |column: &StringArray| -> ArrayRef {
        Arc::new(steps.iter().map(|step| step.row.map(|row| column.value(row))).collect::<StringArray>())
    };
    let times = steps.iter().map(|step| Some(step.time)).collect::<TimestampMicrosecondArray>();
    let mut out: Vec<ArrayRef> = vec![
        Arc::new(steps.iter().map(|step| walked.item_name(step.item)).collect::<StringArray>()),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(steps.iter().map(|step| Some((converted - step.time) as f64 / 1e6)).collect::<Float64Array>()),
        Arc::new(steps.iter().map(visit).collect::<Int64Array>()),
        texts(&kinds),
        texts(&ids),
    ];
    for model in 0..spec.journey.models.len() {
        out.push(Arc::new(steps.iter().map(|step| step.shares[model]).collect::<Float64Array>()));
    }
    Ok(RecordBatch::try_new(spec.output(), out)?)
}
