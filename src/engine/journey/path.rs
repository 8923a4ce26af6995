//! `credit_path`: one conversion explained: the touches in its reach and each model's share.
//!
//! In: the rows of the conversion's visitor, sorted. Out: one row per touch and item, in order of time.

use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties,
};
use futures::{StreamExt, TryStreamExt};

use super::JourneySpec;
use super::columns::Columns;
use super::items::Codes;
use super::walk::{Counts, Walk};
use crate::attribution::{NONE, explain};
use crate::columns::timestamp;
use crate::lake::layout;

/// Columns beside those of a journey.
const MORE: [&str; 3] = ["event_id", "row_kind", "place"];

/// What is explained.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct PathSpec {
    /// The journey, with the models whose shares are shown.
    pub journey: JourneySpec,
    /// The conversion.
    pub event_id: String,
    /// Its metric, for messages.
    pub metric: String,
}

impl PathSpec {
    /// Columns of the input, by name.
    pub fn input_columns(&self) -> Vec<&'static str> {
        self.journey.input_columns().into_iter().chain(MORE).collect()
    }

    fn output(&self) -> SchemaRef {
        let mut fields = vec![
            Field::new("item", DataType::Utf8, true),
            Field::new("hit_time", timestamp(), true),
            Field::new("seconds_before", DataType::Float64, true),
            Field::new("visit_num", DataType::Int64, true),
            Field::new("row_kind", DataType::Utf8, true),
            Field::new("event_id", DataType::Utf8, true),
        ];
        fields.extend(self.journey.models.iter().map(|(name, _)| Field::new(name, DataType::Float64, true)));
        Arc::new(Schema::new(fields))
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
        "CreditPath"
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
        write!(f, "CreditPath: event_id={}", self.spec.event_id)
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
        let properties = PlanProperties::new(
            EquivalenceProperties::new(spec.output()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { spec, input, properties: Arc::new(properties) }
    }
}

impl DisplayAs for PathExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CreditPathExec: event_id={}", self.spec.event_id)
    }
}

impl ExecutionPlan for PathExec {
    fn name(&self) -> &str {
        "CreditPathExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
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

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut input = self.input.execute(0, context.clone())?;
        let (spec, schema) = (self.spec.clone(), self.input.schema());
        let reservation = MemoryConsumer::new("CreditPath").register(context.memory_pool());
        let result = async move {
            let mut batches = vec![];
            while let Some(batch) = input.try_next().await? {
                reservation.try_grow(batch.get_array_memory_size())?;
                batches.push(batch);
            }
            path(&spec, &concat_batches(&schema, &batches)?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::once(result).boxed())))
    }
}

/// The touches of the conversion among its visitor's rows.
fn path(spec: &PathSpec, rows: &RecordBatch) -> Result<RecordBatch> {
    let text = |name: &str| -> Result<StringArray> {
        let column = rows.column_by_name(name).ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
        Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
    };
    let (ids, kinds) = (text("event_id")?, text("row_kind")?);
    let Some(wanted) = (0..rows.num_rows()).find(|&row| ids.is_valid(row) && ids.value(row) == spec.event_id) else {
        return Err(DataFusionError::Execution(format!(
            "credit_path: no visitor has the event {}; its event_id stands in the table events, and a row without a visitor has no path",
            spec.event_id
        )));
    };
    let mut walk = Walk::new(spec.journey.clone(), None, Counts::default());
    let columns = Columns::evaluated(rows, &spec.journey)?;
    let mut codes = (Codes::default(), Codes::default());
    // rows by their position, and the conversion's number among the conversions
    let mut row_at: Vec<usize> = vec![];
    let mut number = None;
    for row in 0..rows.num_rows() {
        let before = walk.conversions();
        if !columns.anchor(row).is_some() {
            row_at.push(row);
        }
        walk.rows(&columns, &mut codes, row..row + 1);
        if row == wanted && walk.conversions() > before {
            number = Some(before);
        }
    }
    let no_value =
        || DataFusionError::Execution(format!("credit_path: the event {} has no {}", spec.event_id, spec.metric));
    let number = match columns.anchor(wanted).is_some() {
        false => number.ok_or_else(no_value)?,
        // anchored conversions follow the others, in the order of their rows
        true => {
            let place = (0..wanted).filter(|&r| columns.anchor(r).is_some() && columns.value(r) != 0.0).count();
            (columns.value(wanted) != 0.0).then_some(walk.conversions() + place).ok_or_else(no_value)?
        }
    };
    walk.settle();
    let (journey, reach) = walk.journey();
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
    let names = walk.item_names();
    let converted = journey.conversions()[number].time;
    let visits = rows.column_by_name("place").map(|c| cast(c, &DataType::Int64)).transpose()?;
    let visits = visits.as_ref().map(|c| c.as_primitive::<Int64Type>());
    // the row of a touch; the item NULL belongs to no row but the conversion's own
    let row_of = |s: &(u32, u32, i64, Vec<Option<f64>>)| match s.1 {
        NONE => Some(wanted),
        _ => row_at.get((s.0 as usize).saturating_sub(1) / 2).copied(),
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
