//! What is shown of one visitor: its rows in, conversions or the touches of one conversion out.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::error::{DataFusionError, Result};

use super::node::{PathSpec, Wanted};
use crate::attribution::{Ends, NONE, explain};
use crate::columns::timestamp;
use crate::engine::journey::JourneySpec;
use crate::engine::journey::columns::Columns;
use crate::engine::journey::items::Codes;
use crate::engine::journey::walk::{Counts, Walk};

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

/// A visitor on the time line, with the way back from the journey to the rows.
struct Walked {
    walk: Walk,
    /// Row of each place that a touch can have.
    row_at: Vec<usize>,
    /// Row of each conversion, in the journey's order.
    converted: Vec<usize>,
}

impl Walked {
    fn new(journey: &JourneySpec, rows: &RecordBatch) -> Result<Self> {
        let mut walk = Walk::new(journey.clone(), None, Counts::default());
        let columns = Columns::evaluated(rows, journey)?;
        let mut codes = (Codes::default(), Codes::default());
        codes.0.turn_to(&columns.items);
        let (mut row_at, mut converted, mut anchored) = (vec![], vec![], vec![]);
        for row in 0..rows.num_rows() {
            let before = walk.conversions();
            walk.rows(&columns, &mut codes, row..row + 1);
            if columns.anchor(row).is_some() {
                // converts when all rows of the visitor are known, in the order of the rows
                anchored.extend((columns.value(row) != 0.0 && columns.value(row).is_finite()).then_some(row));
            } else {
                row_at.push(row);
                converted.extend((walk.conversions() > before).then_some(row));
            }
        }
        walk.settle();
        converted.extend(anchored);
        Ok(Self { walk, row_at, converted })
    }

    /// The row of a touch at a position; gaps between rows have none.
    fn row(&self, position: u32) -> Option<usize> {
        self.row_at.get((position as usize).saturating_sub(1) / 2).copied()
    }
}

/// One row per conversion of a visitor.
pub(super) fn conversions(spec: &PathSpec, rows: &RecordBatch) -> Result<RecordBatch> {
    let walked = Walked::new(&spec.journey, rows)?;
    let (journey, reach) = walked.walk.journey();
    let ends: Vec<_> = reach.ends().collect();
    let row = |end: &Ends| walked.converted.get(end.conversion).copied();
    let texts = |name: &str| -> Result<ArrayRef> {
        let texts = column(rows, name)?;
        let cells = ends.iter().map(|end| row(end).filter(|r| texts.is_valid(*r)).map(|r| texts.value(r)));
        Ok(Arc::new(cells.collect::<StringArray>()))
    };
    let times = cast(rows.column_by_name("hit_time").unwrap_or(rows.column(0)), &timestamp())?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    let (items, first, last) =
        (column(rows, "item")?, |e: &Ends| e.first_and_last.map(|f| f.0), |e: &Ends| e.first_and_last.map(|f| f.1));
    let item = |touch: Option<usize>| {
        let row = walked.row(journey.position(touch?))?;
        items.is_valid(row).then(|| items.value(row))
    };
    let instants = |time: &dyn Fn(&Ends) -> Option<i64>| -> ArrayRef {
        Arc::new(ends.iter().map(time).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
    };
    let columns: Vec<ArrayRef> = vec![
        texts("event_id")?,
        texts("visitor_id")?,
        instants(&|end| row(end).map(|row| times.value(row))),
        texts("row_kind")?,
        Arc::new(ends.iter().map(|end| Some(journey.conversions()[end.conversion].value)).collect::<Float64Array>()),
        Arc::new(ends.iter().map(|end| Some(end.touches as i64)).collect::<Int64Array>()),
        Arc::new(ends.iter().map(|end| item(first(end))).collect::<StringArray>()),
        instants(&|end| Some(journey.time(first(end)?))),
        Arc::new(ends.iter().map(|end| item(last(end))).collect::<StringArray>()),
        instants(&|end| Some(journey.time(last(end)?))),
    ];
    Ok(RecordBatch::try_new(spec.output(), columns)?)
}

/// The touches of the conversion among its visitor's rows.
pub(super) fn path(spec: &PathSpec, rows: &RecordBatch) -> Result<RecordBatch> {
    let Wanted::Path { event_id, metric } = &spec.wanted else { return Err(unknown_event(spec)) };
    let (ids, kinds) = (column(rows, "event_id")?, column(rows, "row_kind")?);
    let Some(wanted) = (0..rows.num_rows()).find(|&row| ids.is_valid(row) && ids.value(row) == event_id) else {
        return Err(unknown_event(spec));
    };
    let walked = Walked::new(&spec.journey, rows)?;
    let number = walked.converted.iter().position(|row| *row == wanted);
    let number = number
        .ok_or_else(|| DataFusionError::Execution(format!("credit_path: the event {event_id} has no {metric}")))?;
    let (journey, reach) = walked.walk.journey();
    let mut steps: Vec<(u32, u32, i64, Vec<Option<f64>>)> = vec![];
    for (model, (_, rules)) in spec.journey.models.iter().enumerate() {
        for step in explain(journey, reach, *rules, None, number) {
            let key = (step.position, step.item);
            let at = match steps.iter().position(|s| (s.0, s.1) == key) {
                Some(at) => at,
                None => {
                    steps.push((step.position, step.item, step.time, vec![None; spec.journey.models.len()]));
                    steps.len() - 1
                }
            };
            steps[at].3[model] = Some(step.share);
        }
    }
    steps.sort_by_key(|s| (s.0, s.1));
    let names = walked.walk.item_names();
    let converted = journey.conversions()[number].time;
    let visits = rows.column_by_name("place").map(|c| cast(c, &DataType::Int64)).transpose()?;
    let visits = visits.as_ref().map(|c| c.as_primitive::<Int64Type>());
    // the row of a touch; the item NULL belongs to no row but the conversion's own
    let row_of = |s: &(u32, u32, i64, Vec<Option<f64>>)| match s.1 {
        NONE => Some(wanted),
        _ => walked.row(s.0),
    };
    let mut out: Vec<ArrayRef> = vec![
        Arc::new(steps.iter().map(|s| names.get(s.1 as usize).map(|name| &**name)).collect::<StringArray>()),
        Arc::new(steps.iter().map(|s| Some(s.2)).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(steps.iter().map(|s| Some((converted - s.2) as f64 / 1e6)).collect::<Float64Array>()),
        Arc::new(
            steps
                .iter()
                .map(|s| row_of(s).and_then(|r| visits.filter(|v| v.is_valid(r)).map(|v| v.value(r))))
                .collect::<Int64Array>(),
        ),
        Arc::new(steps.iter().map(|s| row_of(s).map(|r| kinds.value(r))).collect::<StringArray>()),
        Arc::new(steps.iter().map(|s| row_of(s).map(|r| ids.value(r))).collect::<StringArray>()),
    ];
    for model in 0..spec.journey.models.len() {
        out.push(Arc::new(steps.iter().map(|s| s.3[model]).collect::<Float64Array>()));
    }
    Ok(RecordBatch::try_new(spec.output(), out)?)
}
