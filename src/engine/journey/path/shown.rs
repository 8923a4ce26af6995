//! One conversion explained: its visitor's rows in, the touches in its reach out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::{DataFusionError, Result};

use super::node::PathSpec;
use super::walked::{Step, Walked};
use crate::engine::journey::Selection;
use crate::engine::journey::columns::Columns;
use crate::engine::journey::items::Codes;
use crate::engine::journey::metrics::Counts;

/// A column of texts.
fn column(rows: &RecordBatch, name: &str) -> Result<StringArray> {
    let column = rows.column_by_name(name).ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The event that is explained is nobody's.
fn unknown_event(event_id: &str) -> DataFusionError {
    DataFusionError::Execution(format!(
        "credit_path: no visitor has the event {event_id}; its event_id stands in the table events, and a row without a visitor has no path"
    ))
}

/// The event converts nothing, or the question leaves it out.
fn nothing_to_explain(spec: &PathSpec, event_id: &str, metric: &str) -> String {
    let Selection { visitors, visits, .. } = spec.journey.selection;
    let left_out = if visitors || visits { ", or the question leaves its visitor or visit out" } else { "" };
    format!("credit_path: the event {event_id} has no {metric}{left_out}")
}

/// The touches of the conversion among its visitor's rows.
pub(super) fn path(spec: &PathSpec, rows: &RecordBatch) -> Result<RecordBatch> {
    let PathSpec { event_id, metric, .. } = spec;
    let all_ids = column(rows, "event_id")?;
    let Some(wanted) = (0..rows.num_rows()).find(|&row| all_ids.is_valid(row) && all_ids.value(row) == event_id) else {
        return Err(unknown_event(event_id));
    };
    // an event is one visitor's, but where two have one key
    let visitors = column(rows, "visitor_id")?;
    let is_own = |row: &usize| visitors.is_valid(*row) && visitors.value(*row) == visitors.value(wanted);
    let first = (0..wanted).rev().take_while(is_own).last().unwrap_or(wanted);
    let rows = &rows.slice(first, (wanted..rows.num_rows()).take_while(is_own).count() + wanted - first);
    let wanted = wanted - first;
    let (ids, kinds) = (column(rows, "event_id")?, column(rows, "row_kind")?);
    let columns = Columns::evaluated(rows, &spec.journey)?;
    let mut codes = (Codes::default(), Codes::default());
    codes.0.turn_to(&columns.items);
    let mut walked = Walked::new(&spec.journey, Counts::default());
    walked.take(&columns, &mut codes, (0..rows.num_rows()).map(|row| (row, row)));
    walked.settle();
    let steps = walked.steps(wanted, &spec.journey.models);
    let (steps, converted) =
        steps.ok_or_else(|| DataFusionError::Execution(nothing_to_explain(spec, event_id, metric)))?;
    let visits = rows.column_by_name("place").map(|c| cast(c, &DataType::Int64)).transpose()?;
    let visits = visits.as_ref().map(|c| c.as_primitive::<Int64Type>());
    let visit = |step: &Step<usize>| {
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
