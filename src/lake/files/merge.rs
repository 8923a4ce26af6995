//! Merges children that are in the lake's order and cut into the same buckets: partition i is the merge of partition i of
//! every child. No shuffle, no sort; in memory are a batch of each child and those that the next output is made of. Many children
//! are decoded side by side, each a batch before its turn: there may be no memory to merge another partition meanwhile.
//!
//! This is what makes several generations of a bucket, and online and offline rows, one time line. Rows are compared as
//! the numbers that they are, and the rows of a child that come before those of all others are taken together. Of rows that are
//! equal in the order, those of an earlier child come first; but the rows of one hit in several generations by file.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat_batches, interleave_record_batch};
use arrow::datatypes::{Decimal128Type, Int64Type, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, LexOrdering, OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::common::spawn_buffered;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use datafusion::prelude::SessionConfig;
use futures::TryStreamExt;
use futures::future::try_join_all;

use super::range_memory::{BATCHES_AT_HAND, MANY_FILES, RangeMemory};
use super::ranges::{are_of_buckets, rows_of_batch, with_memory};
use crate::columns::{FILE, HIT_ID_REST, HIT_SEQ, HIT_TIME, VISITOR_ID, VISITOR_KEY};

/// Co-partitioned, co-sorted children as one sorted input.
#[derive(Debug)]
pub struct SortedMergeExec {
    children: Vec<Arc<dyn ExecutionPlan>>,
    order: LexOrdering,
    /// The children are branches of a union, and not generations of a table.
    of_branches: bool,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl SortedMergeExec {
    /// Merges generations of a table, which all have the partitioning and the order of the first.
    pub fn of_generations(children: Vec<Arc<dyn ExecutionPlan>>, order: LexOrdering) -> Self {
        Self::new(children, order, false)
    }

    /// Merges branches of a union, which all have the partitioning and the order of the first: a record comes after the hit that it
    /// stands at, whatever columns are read.
    pub fn of_branches(children: Vec<Arc<dyn ExecutionPlan>>, order: LexOrdering) -> Self {
        Self::new(children, order, true)
    }

    /// True for [`Self::of_branches`].
    pub fn is_of_branches(&self) -> bool {
        self.of_branches
    }

    fn new(children: Vec<Arc<dyn ExecutionPlan>>, order: LexOrdering, of_branches: bool) -> Self {
        let first = &children[0];
        let properties = PlanProperties::new(
            EquivalenceProperties::new_with_orderings(schema_of(&children), [order.clone()]),
            first.properties().output_partitioning().clone(),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { children, order, of_branches, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for SortedMergeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SortedMergeExec: order=[{}]", self.order)
    }
}

impl ExecutionPlan for SortedMergeExec {
    fn name(&self) -> &str {
        "SortedMergeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    // not `maintains_input_order`: it would have DataFusion push sorts by other columns below, where the lake's order must be
    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![Some(OrderingRequirements::from(self.order.clone())); self.children.len()]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false; self.children.len()]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        self.children.iter().collect()
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        for sort in self.order.iter() {
            if f(&sort.expr)? == TreeNodeRecursion::Stop {
                return Ok(TreeNodeRecursion::Stop);
            }
        }
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children, self.order.clone(), self.of_branches)))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children, self.order.clone(), self.of_branches)))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (pool, partitions) = (context.memory_pool(), self.properties.output_partitioning().partition_count());
        let merge = Merge {
            schema: self.schema(),
            of_branches: self.of_branches,
            inputs: vec![],
            heap: vec![],
            taken: vec![],
            slices: vec![],
            rows: 0,
            head_bytes: 0,
            taken_bytes: 0,
            batch_rows: rows_of_batch(context.session_config(), pool, &self.schema(), partitions),
            held_bytes: 0,
            reservation: MemoryConsumer::new("SortedMerge").register(pool),
            metrics: BaselineMetrics::new(&self.metrics, partition),
        };
        let unopened = (Some(self.children.clone()), context, merge);
        let batches = futures::stream::try_unfold(unopened, move |(mut unopened, mut context, mut merge)| async move {
            if let Some(children) = unopened.take() {
                context = with_memory(&children, false, partition, context).await?;
                let side_by_side = are_side_by_side(children.len(), context.session_config());
                let open = |child: &Arc<dyn ExecutionPlan>| {
                    let rows = child.execute(partition, context.clone())?;
                    Ok(if side_by_side { spawn_buffered(rows, 1) } else { rows })
                };
                let streams = children.iter().map(open).collect::<Result<Vec<_>>>()?;
                merge.open(streams, &context).await?;
            }
            let batch = merge.next().await?;
            Ok(batch.map(|batch| (batch, (unopened, context, merge))))
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), batches)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// True where so many children are decoded side by side. Who writes the files of buckets has as many of them in work as there are
/// threads.
fn are_side_by_side(children: usize, config: &SessionConfig) -> bool {
    children >= MANY_FILES && config.target_partitions() > 1 && !are_of_buckets(config)
}

/// The columns of the first child, nullable where those of any child are.
fn schema_of(children: &[Arc<dyn ExecutionPlan>]) -> SchemaRef {
    let first = children[0].schema();
    let nullable = |i: usize| children.iter().any(|child| child.schema().field(i).is_nullable());
    let fields = first.fields().iter().enumerate().map(|(i, f)| f.as_ref().clone().with_nullable(nullable(i)));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), first.metadata().clone()))
}

/// Runs of at least this many rows are copied as runs, shorter ones row by row.
const LONG_RUN: usize = 24;

/// A child at one of its rows.
struct MergeInput {
    stream: SendableRecordBatchStream,
    head: Head,
    /// Which of the batches that were taken is that of its head, where it is one of them.
    taken: Option<usize>,
}

/// A batch, the columns of its order, and the row that comes next.
struct Head {
    batch: RecordBatch,
    keys: ScalarBuffer<i64>,
    ids: StringArray,
    times: ScalarBuffer<i64>,
    seqs: ScalarBuffer<i128>,
    /// Of a table whose rows may have hit ids and whose files are known: of the rows of one hit those of the last file come first.
    hits: Option<(Int64Array, StringArray)>,
    row: usize,
    /// Memory of the batch.
    bytes: usize,
}

impl Head {
    fn new(batch: RecordBatch, schema: &SchemaRef, of_branches: bool) -> Result<Self> {
        // the children may differ in what is nullable
        let batch = RecordBatch::try_new(schema.clone(), batch.columns().to_vec())?;
        let column = |name: &str| {
            let found = batch.column_by_name(name);
            found.ok_or_else(|| DataFusionError::Internal(format!("a merge needs the column {name}")))
        };
        let rests = batch.column_by_name(HIT_ID_REST).and_then(|c| c.as_primitive_opt::<Int64Type>()).cloned();
        let files = batch.column_by_name(FILE).and_then(|c| c.as_string_opt::<i32>()).cloned();
        Ok(Self {
            hits: rests.zip(files).filter(|_| !of_branches),
            keys: column(VISITOR_KEY)?.as_primitive::<Int64Type>().values().clone(),
            ids: column(VISITOR_ID)?.as_string::<i32>().clone(),
            times: column(HIT_TIME)?.as_primitive::<TimestampMicrosecondType>().values().clone(),
            seqs: column(HIT_SEQ)?.as_primitive::<Decimal128Type>().values().clone(),
            row: 0,
            bytes: batch.get_array_memory_size(),
            batch,
        })
    }

    /// True if `row` here comes before the row at hand of `other`.
    fn is_before(&self, row: usize, other: &Self) -> bool {
        let at = other.row;
        self.keys[row]
            .cmp(&other.keys[at])
            .then_with(|| match (self.ids.is_null(row), other.ids.is_null(at)) {
                (false, false) => self.ids.value(row).cmp(other.ids.value(at)),
                // rows without a visitor come last
                (left, right) => left.cmp(&right),
            })
            .then_with(|| (self.times[row], self.seqs[row]).cmp(&(other.times[at], other.seqs[at])))
            .then_with(|| match (&self.hits, &other.hits) {
                (Some(hits), Some(others)) => compare_hits(hits, row, others, at),
                _ => Ordering::Equal,
            })
            .is_lt()
    }
}

/// How a row stands to another of its visitor, instant and sequence: by hit id, and where that is the same by file, the last
/// one first.
fn compare_hits(
    (rests, files): &(Int64Array, StringArray),
    row: usize,
    (other_rests, other_files): &(Int64Array, StringArray),
    at: usize,
) -> Ordering {
    let rest = |rests: &Int64Array, row| rests.is_valid(row).then(|| rests.value(row));
    rest(rests, row).cmp(&rest(other_rests, at)).then_with(|| match rests.is_valid(row) {
        true => other_files.value(at).cmp(files.value(row)),
        false => Ordering::Equal,
    })
}

/// The merge of one bucket.
struct Merge {
    schema: SchemaRef,
    of_branches: bool,
    inputs: Vec<MergeInput>,
    /// Inputs with rows left, by number, as a heap: the one whose row comes first is at 0.
    heap: Vec<usize>,
    /// The batches that the next output is made of.
    taken: Vec<RecordBatch>,
    /// Its rows: of which batch, from where, how many.
    slices: Vec<(usize, usize, usize)>,
    rows: usize,
    /// Memory of the inputs' batches, and of those that were taken.
    head_bytes: usize,
    taken_bytes: usize,
    batch_rows: usize,
    /// Memory that is held for it as long as it goes on.
    held_bytes: usize,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
}

impl Merge {
    async fn open(&mut self, streams: Vec<SendableRecordBatchStream>, context: &TaskContext) -> Result<()> {
        let (schema, of_branches) = (&self.schema, self.of_branches);
        let opened = try_join_all(streams.into_iter().map(|mut stream| async move {
            let first = next_rows(&mut stream).await?;
            let head = first.map(|batch| Head::new(batch, schema, of_branches)).transpose()?;
            Ok::<_, DataFusionError>(head.map(|head| MergeInput { stream, head, taken: None }))
        }));
        self.inputs = opened.await?.into_iter().flatten().collect();
        self.head_bytes = self.inputs.iter().map(|input| input.head.bytes).sum();
        if let Some(range) = RangeMemory::of(context) {
            self.reservation = range.at_hand(BATCHES_AT_HAND * self.head_bytes);
            self.held_bytes = self.reservation.size();
        }
        self.heap = (0..self.inputs.len()).collect();
        for at in (0..self.heap.len()).rev() {
            self.sift_down(at);
        }
        self.account()
    }

    /// The next rows in order; about as many as a batch should have.
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let elapsed = self.metrics.elapsed_compute().clone();
        let mut timer = elapsed.timer();
        while let Some(&first) = self.heap.first() {
            let stop = self.end_of_run(first);
            let input = &mut self.inputs[first];
            let start = input.head.row;
            // slices of one batch share it
            let source = match input.taken {
                Some(source) => source,
                None => {
                    self.taken.push(input.head.batch.clone());
                    self.taken_bytes += input.head.bytes;
                    self.taken.len() - 1
                }
            };
            input.taken = Some(source);
            self.slices.push((source, start, stop - start));
            self.rows += stop - start;
            input.head.row = stop;
            if stop == input.head.batch.num_rows() {
                // a run has a few rows, so that its time is not taken by itself
                timer.stop();
                let following = next_rows(&mut input.stream).await?;
                timer.restart();
                match following {
                    Some(batch) => {
                        let head = Head::new(batch, &self.schema, self.of_branches)?;
                        self.head_bytes = self.head_bytes + head.bytes - input.head.bytes;
                        input.head = head;
                        input.taken = None;
                    }
                    None => {
                        self.heap.swap_remove(0);
                    }
                }
                self.account()?;
            }
            self.sift_down(0);
            if self.rows >= self.batch_rows {
                break;
            }
        }
        self.output()
    }

    /// After the last row of the input `first` that comes before the rows of all others.
    fn end_of_run(&self, first: usize) -> usize {
        let head = &self.inputs[first].head;
        let room = self.batch_rows.saturating_sub(self.rows).max(1);
        let end = head.batch.num_rows().min(head.row + room);
        let seconds = [1, 2].iter().filter_map(|at| self.heap.get(*at)).map(|input| &self.inputs[*input].head);
        let Some(second) = seconds.reduce(|a, b| if b.is_before(b.row, a) { b } else { a }) else { return end };
        let mut stop = head.row + 1;
        while stop < end && head.is_before(stop, second) {
            stop += 1;
        }
        stop
    }

    fn output(&mut self) -> Result<Option<RecordBatch>> {
        let (taken, slices) = (std::mem::take(&mut self.taken), std::mem::take(&mut self.slices));
        let rows = std::mem::take(&mut self.rows);
        self.taken_bytes = 0;
        self.inputs.iter_mut().for_each(|input| input.taken = None);
        let batch = match slices.as_slice() {
            [] => return Ok(None),
            [(source, start, len)] => taken[*source].slice(*start, *len),
            runs if rows / runs.len() >= LONG_RUN => {
                let slices: Vec<_> =
                    runs.iter().map(|(source, start, len)| taken[*source].slice(*start, *len)).collect();
                concat_batches(&self.schema, &slices)?
            }
            runs => {
                let indices =
                    runs.iter().flat_map(|&(source, start, len)| (start..start + len).map(move |r| (source, r)));
                let taken: Vec<&RecordBatch> = taken.iter().collect();
                interleave_record_batch(&taken, &indices.collect::<Vec<_>>())?
            }
        };
        self.metrics.record_output(batch.num_rows());
        Ok(Some(batch))
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let mut first = at;
            for child in [2 * at + 1, 2 * at + 2].into_iter().filter(|child| *child < self.heap.len()) {
                if self.comes_before(self.heap[child], self.heap[first]) {
                    first = child;
                }
            }
            if first == at {
                return;
            }
            self.heap.swap(at, first);
            at = first;
        }
    }

    fn comes_before(&self, a: usize, b: usize) -> bool {
        let (left, right) = (&self.inputs[a].head, &self.inputs[b].head);
        // rows that are equal in everything come in the order of the children
        left.is_before(left.row, right) || (a < b && !right.is_before(right.row, left))
    }

    fn account(&self) -> Result<()> {
        self.reservation.try_resize((self.head_bytes + self.taken_bytes).max(self.held_bytes))
    }
}

async fn next_rows(stream: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>> {
    while let Some(batch) = stream.try_next().await? {
        if batch.num_rows() > 0 {
            return Ok(Some(batch));
        }
    }
    Ok(None)
}
