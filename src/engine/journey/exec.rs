//! The operator: walks over rows sorted by visitor and time, one visitor at a time, and adds up credit per item.
//!
//! In: the columns of [`JourneySpec::input_columns`], sorted and partitioned by visitor. Out: one batch of partial sums
//! per partition. Memory: one visitor's touches and conversions, and the items; both accounted in the memory pool.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_expr::{EquivalenceProperties, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{
    BaselineMetrics, Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet, RecordOutput,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use futures::{StreamExt, TryStreamExt};

use super::JourneySpec;
use super::node::describe;
use crate::attribution::{
    Attributor, Container, Conversion, Game, ItemCredits, Journey, NO_VISIT, NONE, PathCounts, Reach,
};
use crate::columns::{sequence, timestamp};
use crate::feed::caret::list_values;
use crate::lake::layout;

/// Credit per item of all visitors of a partition.
#[derive(Debug)]
pub struct JourneyExec {
    spec: JourneySpec,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl JourneyExec {
    /// Over an input that has the columns of the specification.
    pub fn try_new(spec: JourneySpec, input: Arc<dyn ExecutionPlan>) -> Result<Self> {
        for name in spec.input_columns() {
            input.schema().index_of(name)?;
        }
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(spec.output()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Ok(Self { spec, input, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() })
    }
}

impl DisplayAs for JourneyExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JourneyExec: {}", describe(&self.spec))
    }
}

impl ExecutionPlan for JourneyExec {
    fn name(&self) -> &str {
        "JourneyExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let key = col("visitor_key", &self.input.schema());
        InputDistributionRequirements::new(vec![match key {
            Ok(key) if !self.spec.needs_all_visitors() => Distribution::KeyPartitioned(vec![key]),
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
        Ok(Arc::new(Self::try_new(self.spec.clone(), children.swap_remove(0))?))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::try_new(self.spec.clone(), children.swap_remove(0))?))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut input = self.input.execute(partition, context.clone())?;
        let reservation = MemoryConsumer::new(format!("Journey[{partition}]")).register(context.memory_pool());
        let baseline = BaselineMetrics::new(&self.metrics, partition);
        let count = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let mut walk = Walk::new(
            self.spec.clone(),
            Some(reservation),
            Counts { rows: count("input_rows"), visitors: count("visitors"), conversions: count("conversions") },
        );
        let result = async move {
            while let Some(batch) = input.try_next().await? {
                let _timer = baseline.elapsed_compute().timer();
                walk.take(&batch)?;
            }
            let _timer = baseline.elapsed_compute().timer();
            Ok(walk.finish()?.record_output(&baseline))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), futures::stream::once(result).boxed())))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

#[derive(Default)]
struct Counts {
    rows: Count,
    visitors: Count,
    conversions: Count,
}

/// One row's place on the time line; even positions are rows, odd ones lie between them.
type Place = (i64, i128);

/// The walk over one partition.
pub(super) struct Walk {
    spec: JourneySpec,
    multi: bool,
    models: Vec<(Option<Attributor>, ItemCredits)>,
    paths: PathCounts,
    reach: Reach,
    journey: Journey,
    /// Anchored conversions of this visitor, placed once all of its rows are known.
    anchored: Vec<(Place, f64)>,
    places: Vec<Place>,
    visitor: Option<(i64, String)>,
    rows: u32,
    visits: HashMap<(i64, i64), u32>,
    last_visit: Option<((i64, i64), u32)>,
    items: HashMap<String, u32>,
    item_bytes: usize,
    reservation: Option<MemoryReservation>,
    counts: Counts,
}

impl Walk {
    /// A walk whose caller accounts for the memory: one visitor, explained.
    pub(super) fn unaccounted(spec: JourneySpec) -> Self {
        Self::new(spec, None, Counts::default())
    }

    /// Conversions that stand on the time line so far.
    pub(super) fn conversions(&self) -> usize {
        self.journey.conversions().len()
    }

    /// Places the anchored conversions, once all rows of the visitor are there, and finds what each can reach.
    pub(super) fn settle(&mut self) {
        for ((time, seq), value) in self.anchored.drain(..) {
            let after = self.places.partition_point(|place| *place <= (time, seq));
            // the hit itself when it is there, else the gap where it would stand
            let position = match after.checked_sub(1) {
                Some(before) if self.places[before] == (time, seq) => row_position(before),
                _ => row_position(after) - 1,
            };
            if self.journey.convert(Conversion { row: position, position, time, visit: NO_VISIT, value }) {
                self.counts.conversions.add(1);
            }
        }
        self.reach.find(&self.journey);
    }

    /// The settled visitor.
    pub(super) fn journey(&self) -> (&Journey, &Reach) {
        (&self.journey, &self.reach)
    }

    /// The items by number.
    pub(super) fn item_names(&self) -> Vec<Option<&str>> {
        let mut names: Vec<Option<&str>> = vec![None; self.items.len() + 1];
        for (name, item) in &self.items {
            names[*item as usize] = Some(name);
        }
        names
    }

    fn new(spec: JourneySpec, reservation: Option<MemoryReservation>, counts: Counts) -> Self {
        let models = spec.models.iter().map(|(_, model)| (Attributor::new(*model), ItemCredits::new())).collect();
        Self {
            multi: spec.multi_valued,
            reach: Reach::new(spec.container, spec.lookback_us),
            spec,
            models,
            paths: PathCounts::new(),
            journey: Journey::new(),
            anchored: vec![],
            places: vec![],
            visitor: None,
            rows: 0,
            visits: HashMap::new(),
            last_visit: None,
            items: HashMap::new(),
            item_bytes: 0,
            reservation,
            counts,
        }
    }

    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = Rows::of(batch, &self.spec)?;
        self.counts.rows.add(batch.num_rows());
        for row in 0..batch.num_rows() {
            let (key, id) = (rows.key.value(row), rows.id.value(row));
            if !self.visitor.as_ref().is_some_and(|(k, v)| *k == key && v == id) {
                self.close_visitor();
                match &mut self.visitor {
                    // keeps the memory of the former visitor's name
                    Some((k, v)) => {
                        *k = key;
                        v.clear();
                        v.push_str(id);
                    }
                    None => self.visitor = Some((key, id.to_string())),
                }
            }
            self.row(&rows, row);
        }
        let credits: usize = self.models.iter().map(|(_, credits)| credits.memory_bytes()).sum();
        let visitor = self.journey.memory_bytes() + self.reach.memory_bytes() + self.places.capacity() * 32;
        let bytes = self.item_bytes + credits + visitor + self.paths.memory_bytes();
        self.reservation.as_ref().map_or(Ok(()), |reservation| reservation.try_resize(bytes))
    }

    /// Takes one row of the current visitor.
    pub(super) fn row(&mut self, rows: &Rows, row: usize) {
        let time = rows.time[row];
        let value = rows.value(row);
        if let Some((times, seqs)) = &rows.anchor {
            if times.is_valid(row) {
                if value != 0.0 {
                    self.anchored.push(((times.value(row), seqs.value(row)), value));
                }
                return;
            }
            self.places.push((time, rows.seq.value(row)));
        }
        let position = row_position(self.rows as usize);
        self.rows += 1;
        let visit = match &rows.visit {
            None => 0,
            Some((num, start)) if num.is_valid(row) => self.visit_ordinal((num.value(row), start[row])),
            Some(_) => NO_VISIT,
        };
        if rows.item.is_valid(row) {
            let text = rows.item.value(row);
            if self.multi {
                let items: Vec<u32> = list_values(text).map(|value| self.item(&value)).collect();
                if self.journey.touch_all(position, time, visit, items) {
                    self.divide(rows, row);
                }
            } else {
                let item = self.item(text);
                self.journey.touch(position, time, visit, item);
            }
        }
        if value != 0.0 && self.journey.convert(Conversion { row: position, position, time, visit, value }) {
            self.counts.conversions.add(1);
        }
    }

    /// Lets what converts on the row of the newest touch convert line by line.
    fn divide(&mut self, rows: &Rows, row: usize) {
        let Some(lines) = rows.lines.as_ref().filter(|lines| lines.is_valid(row)) else { return };
        let lines = lines.value(row);
        let (items, amounts) = (lines.as_struct().column(0), lines.as_struct().column(1));
        let pairs = items.as_string::<i32>().iter().zip(amounts.as_primitive::<Float64Type>());
        let number = |item: Option<&str>| item.and_then(|item| self.items.get(item).copied()).unwrap_or(NONE);
        self.journey.divide(pairs.map(|(item, amount)| (number(item), amount.unwrap_or(0.0))));
    }

    fn visit_ordinal(&mut self, visit: (i64, i64)) -> u32 {
        if let Some((known, ordinal)) = self.last_visit
            && known == visit
        {
            return ordinal;
        }
        let next = self.visits.len() as u32;
        let ordinal = *self.visits.entry(visit).or_insert(next);
        self.last_visit = Some((visit, ordinal));
        ordinal
    }

    fn item(&mut self, text: &str) -> u32 {
        if let Some(item) = self.items.get(text) {
            return *item;
        }
        let item = self.items.len() as u32;
        self.items.insert(text.to_string(), item);
        self.item_bytes += text.len() + 64;
        item
    }

    /// Hands out the credit of the visitor whose rows are complete, and forgets them.
    fn close_visitor(&mut self) {
        if self.rows == 0 && self.anchored.is_empty() {
            return;
        }
        self.counts.visitors.add(1);
        self.settle();
        let mut algorithmic = false;
        for (attributor, credits) in &mut self.models {
            match attributor {
                Some(attributor) => attributor.credit(&self.journey, &self.reach, credits),
                None => algorithmic = true,
            }
        }
        if algorithmic {
            self.paths.add(&self.journey, &self.reach);
        }
        self.journey.clear();
        self.places.clear();
        self.visits.clear();
        self.last_visit = None;
        self.rows = 0;
    }

    fn finish(mut self) -> Result<RecordBatch> {
        self.close_visitor();
        if self.spec.needs_all_visitors() {
            // numbered by name, so that sampling does not depend on the order in which items were met
            let mut names: Vec<(&String, u32)> = self.items.iter().map(|(name, item)| (name, *item)).collect();
            names.sort_unstable();
            let mut rank = vec![0; names.len()];
            for (place, (_, item)) in (0u32..).zip(&names) {
                rank[*item as usize] = place;
            }
            let mut paths = PathCounts::new();
            paths.merge(&self.paths, |item| rank[item as usize]);
            let mut credits = ItemCredits::new();
            credits.merge(&Game::new(&paths).credits(), |place| names[place as usize].1);
            for (attributor, slot) in &mut self.models {
                if attributor.is_none() {
                    *slot = credits.clone();
                }
            }
        }
        // an item is listed when any model lists it; the others say NULL
        let mut credit: Vec<Vec<Option<f64>>> = vec![vec![None; self.items.len() + 1]; self.models.len()];
        for (column, (_, credits)) in credit.iter_mut().zip(&self.models) {
            for (item, amount) in credits.iter() {
                let slot = if item == NONE { self.items.len() } else { item as usize };
                column[slot] = Some(amount);
            }
        }
        let listed: Vec<usize> =
            (0..=self.items.len()).filter(|&slot| credit.iter().any(|column| column[slot].is_some())).collect();
        let names = self.item_names();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(listed.iter().map(|&s| names[s]).collect::<StringArray>())];
        for column in &credit {
            columns.push(Arc::new(listed.iter().map(|&s| column[s]).collect::<Float64Array>()));
        }
        Ok(RecordBatch::try_new(self.spec.output(), columns)?)
    }
}

/// Rows stand at 1, 3, 5, ...; a gap before a row is one less.
fn row_position(row: usize) -> u32 {
    2 * row as u32 + 1
}

/// The columns of one batch.
pub(super) struct Rows {
    key: Int64Array,
    id: StringArray,
    time: Vec<i64>,
    seq: Decimal128Array,
    item: StringArray,
    value: Float64Array,
    visit: Option<(Int64Array, Vec<i64>)>,
    anchor: Option<(arrow::array::TimestampMicrosecondArray, Decimal128Array)>,
    lines: Option<ListArray>,
}

impl Rows {
    /// True for a row that stands at another place than its own time.
    pub(super) fn is_anchored(&self, row: usize) -> bool {
        self.anchor.as_ref().is_some_and(|(times, _)| times.is_valid(row))
    }

    /// The metric of a row; 0 where it has none.
    pub(super) fn value(&self, row: usize) -> f64 {
        if self.value.is_valid(row) { self.value.value(row) } else { 0.0 }
    }

    /// The typed columns of a batch.
    pub(super) fn of(batch: &RecordBatch, spec: &JourneySpec) -> Result<Self> {
        let column = |name: &str| -> Result<ArrayRef> {
            let found = batch.column_by_name(name).cloned();
            found.ok_or_else(|| DataFusionError::Internal(format!("a journey needs the column {name}")))
        };
        // a cast to the type that a column already has costs nothing
        let typed = |name: &str, data_type: DataType| Ok::<_, DataFusionError>(cast(&column(name)?, &data_type)?);
        let text = |name| Ok::<_, DataFusionError>(typed(name, DataType::Utf8)?.as_string::<i32>().clone());
        let integers =
            |name| Ok::<_, DataFusionError>(typed(name, DataType::Int64)?.as_primitive::<Int64Type>().clone());
        let sequences =
            |name| Ok::<_, DataFusionError>(typed(name, sequence())?.as_primitive::<Decimal128Type>().clone());
        let micros = |name| {
            Ok::<_, DataFusionError>(typed(name, timestamp())?.as_primitive::<TimestampMicrosecondType>().clone())
        };
        let id = text("visitor_id")?;
        if id.null_count() > 0 {
            return Err(DataFusionError::Internal("a journey needs rows that have a visitor".into()));
        }
        Ok(Self {
            key: integers("visitor_key")?,
            id,
            time: micros("hit_time")?.values().to_vec(),
            seq: sequences("hit_seq")?,
            item: text("item")?,
            value: typed("value", DataType::Float64)?.as_primitive::<Float64Type>().clone(),
            visit: match spec.container {
                Container::Visitor => None,
                Container::Visit => Some((integers("visit_num")?, micros("visit_start")?.values().to_vec())),
            },
            anchor: match spec.anchored {
                false => None,
                true => Some((micros("anchor_time")?, sequences("anchor_seq")?)),
            },
            lines: match spec.in_lines {
                false => None,
                true => Some(column("lines")?.as_list::<i32>().clone()),
            },
        })
    }
}
