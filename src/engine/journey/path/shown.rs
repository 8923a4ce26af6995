//! What is shown of one visitor: its rows in, conversions or the touches of one conversion out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};

use super::node::{PathSpec, Wanted};
use super::walked::{Found, Step, Touch, Walked};
use crate::columns::timestamp;

/// A column of texts.
pub(super) fn column(rows: &RecordBatch, name: &str) -> Result<StringArray> {
    let column = rows.column_by_name(name).ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The event that is explained is nobody's.
pub(super) fn unknown_event(spec: &PathSpec) -> DataFusionError {
    let event = match &spec.wanted {
        Wanted::Path { event_id, .. } => event_id.as_str(),
        Wanted::Conversions => "",
    };
    DataFusionError::Execution(format!(
        "credit_path: no visitor has the event {event}; its event_id stands in the table events, and a row without a visitor has no path"
    ))
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
    let mut columns: Vec<ArrayRef> = vec![
        texts("event_id")?,
        texts("visitor_id")?,
        Arc::new(own_times.with_timezone("UTC")),
        texts("row_kind")?,
        Arc::new(found.iter().map(|c| Some(c.value)).collect::<Float64Array>()),
        Arc::new(found.iter().map(|c| Some(c.touches as i64)).collect::<Int64Array>()),
    ];
    columns.extend(shown(&|c| c.first.as_ref()));
    columns.extend(shown(&|c| c.last.as_ref()));
    Ok(RecordBatch::try_new(spec.output(), columns)?)
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
    let (steps, converted) = steps
        .ok_or_else(|| DataFusionError::Execution(format!("credit_path: the event {event_id} has no {metric}")))?;
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
