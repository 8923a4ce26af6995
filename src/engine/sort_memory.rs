//! Memory of sorts, which go to disk when theirs is full.
//!
//! What goes to disk may fill the memory, and then nobody who cannot would find any: readers, and merges, those of the sorts
//! themselves among them. So a part of the memory is left to these. A sort merges what it has on disk a few runs at a time,
//! with two batches of each at hand, and its batches and what it keeps for its merge are cut to the memory and to the width of
//! its rows: DataFusion's own numbers are those of narrow rows in ample memory.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation, TrackConsumersPool,
};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionState;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

use crate::lake::batches::rows_that_fit;

/// Of so many parts of the memory one is left to what cannot go to disk.
const LEFT_PART: usize = 4;

/// Runs that a sort merges at once. With two batches of each, twice accounted, as DataFusion does, the merges of all partitions take
/// half of the memory.
const MERGED_RUNS: usize = 8;

/// A sort keeps one of so many parts of its partition's memory for its merge: a batch of two runs.
const MERGE_PART: usize = 16;

/// What statements are computed with: so many bytes of memory, and a disk.
pub(super) fn runtime_builder(memory_bytes: usize) -> RuntimeEnvBuilder {
    let consumers = NonZeroUsize::new(5).expect("5 is not 0");
    let pool = TrackConsumersPool::new(SpillPool::new(memory_bytes), consumers);
    RuntimeEnvBuilder::new().with_memory_pool(Arc::new(pool)).with_max_spill_merge_fan_in(MERGED_RUNS)
}

/// What a plan is executed with in a session: its sorts fit into the memory.
pub(super) fn context_for(state: &SessionState, plan: &Arc<dyn ExecutionPlan>) -> TaskContext {
    let context = TaskContext::from(state);
    let mut sorts = Sorts::default();
    sorts.find(plan);
    let (mut config, pool) = (context.session_config().clone(), context.memory_pool());
    let partitions = sorts.sorting.max(sorts.merged).max(1);
    let fit = |schema: &SchemaRef| rows_that_fit(schema, config.batch_size(), pool, partitions);
    let rows = sorts.schemas.iter().map(fit).min();
    let (Some(rows), MemoryLimit::Finite(limit)) = (rows, pool.memory_limit()) else { return context };
    let kept = &mut config.options_mut().execution.sort_spill_reservation_bytes;
    *kept = (limit / MERGE_PART / partitions).min(*kept);
    context.with_session_config(config.with_batch_size(rows))
}

/// The sorts of all rows in a plan, and merges of what is sorted.
#[derive(Default)]
struct Sorts {
    schemas: Vec<SchemaRef>,
    /// Partitions that are sorted side by side.
    sorting: usize,
    /// Partitions that are merged at once.
    merged: usize,
}

impl Sorts {
    fn find(&mut self, plan: &Arc<dyn ExecutionPlan>) {
        let sorts = plan.downcast_ref::<SortExec>().is_some_and(|sort| sort.fetch().is_none());
        if sorts || plan.is::<SortPreservingMergeExec>() {
            let inputs = plan.children().into_iter().map(|input| input.output_partitioning().partition_count());
            let inputs: usize = inputs.sum();
            self.schemas.push(plan.schema());
            match sorts {
                true => self.sorting += inputs,
                false => self.merged = self.merged.max(inputs),
            }
        }
        for input in plan.children() {
            self.find(input);
        }
    }
}

/// Memory of which those that can go to disk have equal shares, and never all together.
#[derive(Debug)]
struct SpillPool {
    whole: FairSpillPool,
    /// What those have together that can go to disk.
    spilling: FairSpillPool,
    /// Bytes that are left to the others.
    left: usize,
    /// Bytes that the others have.
    others: AtomicUsize,
}

impl SpillPool {
    fn new(bytes: usize) -> Self {
        let left = bytes / LEFT_PART;
        let [whole, spilling] = [bytes, bytes - left].map(FairSpillPool::new);
        Self { whole, spilling, left, others: AtomicUsize::new(0) }
    }

    /// For one that cannot go to disk. A sort that began alone has more than its share once others are there, until it grows again:
    /// what is left to those who cannot is theirs all the same.
    fn try_grow_other(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        let Err(full) = self.whole.try_grow(reservation, additional) else {
            self.others.fetch_add(additional, Ordering::Relaxed);
            return Ok(());
        };
        // counted when it is theirs only, so that one who asks for too much is in nobody's way
        let within = |others: usize| others.checked_add(additional).filter(|sum| *sum <= self.left);
        match self.others.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within) {
            Ok(_) => {
                self.whole.grow(reservation, additional);
                Ok(())
            }
            Err(_) => Err(full),
        }
    }
}

impl fmt::Display for SpillPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.whole, f)
    }
}

impl MemoryPool for SpillPool {
    fn name(&self) -> &str {
        self.whole.name()
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.whole.register(consumer);
        self.spilling.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.whole.unregister(consumer);
        self.spilling.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.whole.grow(reservation, additional);
        match reservation.consumer().can_spill() {
            true => self.spilling.grow(reservation, additional),
            false => {
                self.others.fetch_add(additional, Ordering::Relaxed);
            }
        }
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.whole.shrink(reservation, shrink);
        match reservation.consumer().can_spill() {
            true => self.spilling.shrink(reservation, shrink),
            false => {
                self.others.fetch_sub(shrink, Ordering::Relaxed);
            }
        }
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !reservation.consumer().can_spill() {
            return self.try_grow_other(reservation, additional);
        }
        self.spilling.try_grow(reservation, additional)?;
        self.whole.try_grow(reservation, additional).inspect_err(|_| self.spilling.shrink(reservation, additional))
    }

    fn reserved(&self) -> usize {
        self.whole.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        self.whole.memory_limit()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
    use arrow::compute::take;
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::datasource::MemTable;
    use datafusion::physical_plan::common::collect;
    use datafusion::physical_plan::execute_stream;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    const TEXTS: usize = 64;
    const PARTITIONS: usize = 8;
    const BATCHES: usize = 15;
    const ROWS: usize = 200;

    /// Rows of a number, in no order, and many texts, as many in each partition.
    fn wide_rows() -> (SchemaRef, Vec<Vec<RecordBatch>>) {
        let number = Field::new("number", DataType::Int64, false);
        let texts = (0..TEXTS).map(|text| Field::new(format!("text_{text}"), DataType::Utf8, false));
        let schema = Arc::new(Schema::new([number].into_iter().chain(texts).collect::<Vec<_>>()));
        let known = StringArray::from_iter_values((0..1009).map(|text| format!("a text of some length {text}")));
        let batch = |first: usize| {
            let numbers = first..first + ROWS;
            let of_text = |text: usize| {
                let places = Int64Array::from_iter_values(numbers.clone().map(|n| ((n * 7 + text) % 1009) as i64));
                take(&known, &places, None).unwrap()
            };
            let all = (PARTITIONS * BATCHES * ROWS) as i64;
            // 7919 has no divisor in common with their count
            let scattered = Int64Array::from_iter_values(numbers.clone().map(|n| (n as i64 * 7919) % all));
            let columns = [Arc::new(scattered) as ArrayRef].into_iter().chain((0..TEXTS).map(of_text));
            RecordBatch::try_new(schema.clone(), columns.collect()).unwrap()
        };
        let of_partition = |partition: usize| (0..BATCHES).map(|n| batch((partition * BATCHES + n) * ROWS)).collect();
        (schema.clone(), (0..PARTITIONS).map(of_partition).collect())
    }

    fn spilled(plan: &Arc<dyn ExecutionPlan>) -> usize {
        let own = plan.metrics().and_then(|metrics| metrics.spill_count()).unwrap_or_default();
        own + plan.children().into_iter().map(spilled).sum::<usize>()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn wide_rows_are_sorted_in_little_memory() {
        let (schema, rows) = wide_rows();
        let bytes: usize = rows.iter().flatten().map(RecordBatch::get_array_memory_size).sum();
        let memory_bytes = 32 << 20;
        assert!(bytes > memory_bytes, "{bytes}");
        let config = SessionConfig::new().with_target_partitions(PARTITIONS).with_round_robin_repartition(false);
        let runtime = runtime_builder(memory_bytes).build_arc().unwrap();
        let context = SessionContext::new_with_config_rt(config, runtime);
        context.register_table("wide", Arc::new(MemTable::try_new(schema, rows).unwrap())).unwrap();
        for order in ["number", "number, text_3 DESC"] {
            let state = context.state();
            let plan = state.create_logical_plan(&format!("SELECT * FROM wide ORDER BY {order}")).await.unwrap();
            let plan = state.create_physical_plan(&plan).await.unwrap();
            let task = Arc::new(context_for(&state, &plan));
            let found = collect(execute_stream(plan.clone(), task).unwrap()).await.unwrap();
            let numbers: Vec<i64> =
                found.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
            assert!(numbers.iter().copied().eq(0..(PARTITIONS * BATCHES * ROWS) as i64), "{order}");
            assert!(spilled(&plan) > PARTITIONS, "{order}");
        }
    }

    #[tokio::test]
    async fn other_plans_keep_the_settings_of_their_session() {
        let runtime = runtime_builder(1 << 20).build_arc().unwrap();
        let state = SessionContext::new_with_config_rt(SessionConfig::new(), runtime).state();
        for (sql, sorts) in [
            ("SELECT a FROM (VALUES (1), (2)) AS t (a) WHERE a > 1", false),
            ("SELECT a FROM (VALUES (1), (2)) AS t (a) ORDER BY a LIMIT 1", false),
            ("SELECT a FROM (VALUES (1), (2)) AS t (a) ORDER BY a", true),
        ] {
            let plan = state.create_logical_plan(sql).await.unwrap();
            let plan = state.create_physical_plan(&plan).await.unwrap();
            let task = context_for(&state, &plan);
            let kept = |config: &SessionConfig| config.options().execution.sort_spill_reservation_bytes;
            assert_eq!(kept(task.session_config()) < kept(state.config()), sorts, "{sql}");
            assert_eq!(task.session_config().batch_size() < state.config().batch_size(), sorts, "{sql}");
        }
    }

    #[test]
    fn a_part_is_left_to_what_cannot_go_to_disk() {
        let pool: Arc<dyn MemoryPool> = Arc::new(SpillPool::new(800));
        let spiller = |name: &str| MemoryConsumer::new(name).with_can_spill(true).register(&pool);
        let (one, other) = (spiller("one"), spiller("other"));
        let reader = MemoryConsumer::new("reader").register(&pool);
        // 600 in two shares
        one.try_grow(300).unwrap();
        assert!(one.try_grow(1).is_err());
        other.try_grow(300).unwrap();
        reader.try_grow(200).unwrap();
        assert!([1, usize::MAX].into_iter().all(|bytes| reader.try_grow(bytes).is_err()));
        assert_eq!(pool.reserved(), 800);
        drop(other);
        // the share of one alone, as far as readers leave it
        reader.try_grow(100).unwrap();
        one.try_grow(200).unwrap();
        assert!(one.try_grow(1).is_err());
        drop((one, reader));
        assert_eq!(pool.reserved(), 0);
        // the first one began alone
        let sizes = ["first", "second", "third"].map(|name| {
            let sort = spiller(name);
            let size = (0..6).take_while(|_| sort.try_grow(100).is_ok()).count() * 100;
            (sort, size)
        });
        assert_eq!(sizes.each_ref().map(|(_, size)| *size), [600, 300, 200]);
        let reader = MemoryConsumer::new("reader").register(&pool);
        reader.try_grow(200).unwrap();
        assert!(reader.try_grow(1).is_err());
        drop((sizes, reader));
        assert_eq!(pool.reserved(), 0);
    }
}
