//! `credit_path` and `conversions`: one conversion explained, the touches in its reach with each model's share; or every
//! conversion in one row, with the ends of its path.
//!
//! In: rows sorted by visitor and time. Out: one row per touch and item in order of time, or one per conversion.

use std::collections::VecDeque;
use std::fmt;
use std::future::ready;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::{Stream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::JourneySpec;
use super::columns::Columns;
use super::items::Codes;
use super::node::describe;
use super::walk::{Counts, Walk};
use crate::attribution::{Ends, NONE, explain};
use crate::columns::timestamp;
use crate::lake::layout;

/// Columns beside those of a journey.
const MORE: [&str; 3] = ["event_id", "row_kind", "place"];

/// Visitors whose conversions make a batch.
const VISITORS_PER_BATCH: usize = 1024;

/// What is shown of which journeys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct PathSpec {
    /// The journey, with the models whose shares are shown.
    pub journey: JourneySpec,
    /// What is shown.
    pub wanted: Wanted,
}

/// What is shown of journeys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum Wanted {
    /// The touches of one conversion.
    Path {
        /// The conversion.
        event_id: String,
        /// Its metric, for messages.
        metric: String,
    },
    /// The conversions.
    Conversions,
}

impl PathSpec {
    /// Columns of the input, by name.
    pub fn input_columns(&self) -> Vec<&'static str> {
        self.journey.input_columns().into_iter().chain(MORE).collect()
    }

    fn output(&self) -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let time = |name| Field::new(name, timestamp(), true);
        let (number, count) =
            (|name| Field::new(name, DataType::Float64, true), |name| Field::new(name, DataType::Int64, true));
        let mut fields = match self.wanted {
            Wanted::Path { .. } => {
                vec![
                    text("item"),
                    time("hit_time"),
                    number("seconds_before"),
                    count("visit_num"),
                    text("row_kind"),
                    text("event_id"),
                ]
            }
            Wanted::Conversions => vec![
                text("event_id"),
                text("visitor_id"),
                time("hit_time"),
                text("row_kind"),
                number("value"),
                count("touches"),
                text("first_item"),
                time("first_time"),
                text("last_item"),
                time("last_time"),
            ],
        };
        fields.extend(self.journey.models.iter().map(|(name, _)| Field::new(name, DataType::Float64, true)));
        Arc::new(Schema::new(fields))
    }
}

impl fmt::Display for PathSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Path { event_id, .. } => write!(f, "Path: event_id={event_id}"),
            Wanted::Conversions => write!(f, "Path: conversions, {}", describe(&self.journey)),
        }
    }
}

/// The logical node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathNode {
    /// What is explained.
    pub spec: PathSpec,
    input: LogicalPlan,
    schema: DFSchemaRef,
}

impl PathNode {
    /// Over the rows of the conversion's visitor.
    pub fn try_new(spec: PathSpec, input: LogicalPlan) -> Result<Self> {
        let schema = Arc::new(DFSchema::try_from(spec.output().as_ref().clone())?);
        Ok(Self { spec, input, schema })
    }
}

impl PartialOrd for PathNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.spec.partial_cmp(&other.spec).filter(|o| o.is_ne() || self == other)
    }
}

impl UserDefinedLogicalNodeCore for PathNode {
    fn name(&self) -> &str {
        "Path"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spec)
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        Self::try_new(self.spec.clone(), inputs.swap_remove(0))
    }

    fn necessary_children_exprs(&self, _: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![(0..self.input.schema().fields().len()).collect()])
    }
}

/// The operator.
#[derive(Debug)]
pub struct PathExec {
    spec: PathSpec,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
}

impl PathExec {
    /// Over an input with the columns of the specification.
    pub fn new(spec: PathSpec, input: Arc<dyn ExecutionPlan>) -> Self {
        let partitions = match spec.wanted {
            Wanted::Path { .. } => 1,
            Wanted::Conversions => input.output_partitioning().partition_count(),
        };
        let properties = PlanProperties::new(
            EquivalenceProperties::new(spec.output()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { spec, input, properties: Arc::new(properties) }
    }

    /// What is shown.
    pub fn spec(&self) -> &PathSpec {
        &self.spec
    }
}

impl DisplayAs for PathExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.spec)
    }
}

impl ExecutionPlan for PathExec {
    fn name(&self) -> &str {
        "PathExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let key = col("visitor_key", &self.input.schema());
        InputDistributionRequirements::new(vec![match (key, &self.spec.wanted) {
            (Ok(key), Wanted::Conversions) => Distribution::KeyPartitioned(vec![key]),
            _ => Distribution::SinglePartition,
        }])
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![layout::ordering(&self.input.schema()).map(OrderingRequirements::from)]
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
        Ok(Arc::new(Self::new(self.spec.clone(), children.swap_remove(0))))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(self.spec.clone(), children.swap_remove(0))))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let input = self.input.execute(partition, context.clone())?;
        let reservation = MemoryConsumer::new("Path").register(context.memory_pool());
        let spec = self.spec.clone();
        let visitors = visitors(input, reservation);
        let rows = match spec.wanted {
            Wanted::Conversions => {
                let schema = self.schema();
                let found = visitors.and_then(move |rows| ready(conversions(&spec, &rows)));
                // a visitor has few conversions: those of many make a batch
                let batches = found
                    .chunks(VISITORS_PER_BATCH)
                    .map(move |found| Ok(concat_batches(&schema, &found.into_iter().collect::<Result<Vec<_>>>()?)?));
                batches.boxed()
            }
            Wanted::Path { .. } => {
                // the event is one visitor's: the input holds that visitor or nobody
                let result = async move {
                    let found = std::pin::pin!(visitors).try_next().await?;
                    found.map_or_else(|| Err(unknown_event(&spec)), |rows| path(&spec, &rows))
                };
                futures::stream::once(result).boxed()
            }
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }
}

/// The rows of one visitor after another.
fn visitors(
    input: SendableRecordBatchStream,
    reservation: MemoryReservation,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let schema = input.schema();
    // what has come of the visitor at hand, and what has been cut off behind it
    let state = (input, VecDeque::<RecordBatch>::new(), reservation);
    futures::stream::try_unfold(state, move |(mut input, mut held, reservation)| {
        let schema = schema.clone();
        async move {
            let mut own: Vec<RecordBatch> = vec![];
            loop {
                let batch = match held.pop_front() {
                    Some(batch) => batch,
                    None => match input.try_next().await? {
                        Some(batch) if batch.num_rows() == 0 => continue,
                        Some(batch) => batch,
                        None if own.is_empty() => return Ok(None),
                        None => break,
                    },
                };
                let first = own.first().unwrap_or(&batch).slice(0, 1);
                let len = same_visitor(&first, &batch)?;
                if len > 0 {
                    reservation.try_grow(batch.slice(0, len).get_array_memory_size())?;
                    own.push(batch.slice(0, len));
                }
                if len < batch.num_rows() {
                    held.push_front(batch.slice(len, batch.num_rows() - len));
                    break;
                }
            }
            reservation.free();
            Ok(Some((concat_batches(&schema, &own)?, (input, held, reservation))))
        }
    })
}

/// How many rows at the head of `batch` are of the visitor of the row `first`.
fn same_visitor(first: &RecordBatch, batch: &RecordBatch) -> Result<usize> {
    let ids = |batch: &RecordBatch| column(batch, "visitor_id");
    let (own, ids) = (ids(first)?, ids(batch)?);
    let other = (0..ids.len()).find(|&row| ids.is_null(row) || ids.value(row) != own.value(0));
    Ok(other.unwrap_or(ids.len()))
}

fn column(rows: &RecordBatch, name: &str) -> Result<StringArray> {
    let column = rows.column_by_name(name).ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
    Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
}

fn unknown_event(spec: &PathSpec) -> DataFusionError {
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
fn conversions(spec: &PathSpec, rows: &RecordBatch) -> Result<RecordBatch> {
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
fn path(spec: &PathSpec, rows: &RecordBatch) -> Result<RecordBatch> {
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
