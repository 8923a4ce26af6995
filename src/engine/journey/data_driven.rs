//! The models that need the journeys of all visitors at once, `algorithmic` and `markov`: what walks counted in, credit out.
//!
//! Walks over parts of the visitors, side by side or on many machines, say what they counted ([`super::tallies`]). Here it is added
//! up, and the models share out the values: items in the order of their names, sets and steps in the order of their items, so that
//! the same visitors give the same bits in however many parts they were.
//!
//! Memory: each set of items and each step of a chain once, three times while values are shared out; accounted in the memory pool.
//! Nothing goes to disk: games and chains look at all of it at once.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, InputDistributionRequirements, Partitioning,
    PlanProperties,
};
use futures::TryStreamExt;
use futures::stream::once;

use super::answer::Answer;
use super::breakdown::Groups;
use super::chained::Chained;
use super::credit_rows::credit_rows;
use super::exec::JourneyExec;
use super::items::Items;
use super::node::{JourneySpec, describe};
use super::tallies::{Tallied, Tally, rows_of};
use crate::attribution::{CreditSink, Game, ItemCredits, Model, NONE, PathCount, PathCounts};

/// The operators that find out an answer: `walks` makes the one over the visitors.
pub(super) fn operators(
    answer: &Answer,
    walks: impl FnOnce(Answer) -> Result<JourneyExec>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let Some((tallied, spec)) = answer.tallied() else { return Ok(Arc::new(walks(answer.clone())?)) };
    Ok(Arc::new(DataDrivenExec::new(spec.clone(), Arc::new(walks(tallied)?))))
}

/// The credit of all models of a specification, from what walks counted for it.
#[derive(Debug)]
pub struct DataDrivenExec {
    spec: JourneySpec,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl DataDrivenExec {
    /// Over an input with what was counted of all visitors.
    pub fn new(spec: JourneySpec, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(spec.output()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { spec, input, properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }

    /// What is asked.
    pub fn spec(&self) -> &JourneySpec {
        &self.spec
    }
}

impl DisplayAs for DataDrivenExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataDrivenExec: {}", describe(&self.spec))
    }
}

impl ExecutionPlan for DataDrivenExec {
    fn name(&self) -> &str {
        "DataDrivenExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        InputDistributionRequirements::new(vec![Distribution::SinglePartition])
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
        let reservation = MemoryConsumer::new("DataDriven").register(context.memory_pool());
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let credit = once(credit_of_all(self.spec.clone(), input, reservation, metrics));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), credit)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

/// The credit of all visitors, in one batch.
async fn credit_of_all(
    spec: JourneySpec,
    mut input: SendableRecordBatchStream,
    reservation: MemoryReservation,
    metrics: BaselineMetrics,
) -> Result<RecordBatch> {
    let mut whole = MergedTallies::new(spec);
    while let Some(batch) = input.try_next().await? {
        let _timer = metrics.elapsed_compute().timer();
        whole.add(&batch)?;
        reservation.try_resize(whole.memory_bytes())?;
    }
    let _timer = metrics.elapsed_compute().timer();
    // the same in order, and what the models make of it
    reservation.try_grow(2 * whole.memory_bytes())?;
    let credit = whole.credit()?;
    metrics.record_output(credit.num_rows());
    Ok(credit)
}

/// What was counted of all visitors so far.
struct MergedTallies {
    spec: JourneySpec,
    items: Items,
    groups: Groups,
    /// Of each model, what is known of its credit; where the answer is broken down, by pair of a group and an item.
    models: Vec<ItemCredits>,
    paths: PathCounts,
    chains: Vec<Chained>,
}

impl MergedTallies {
    /// Nothing yet.
    fn new(spec: JourneySpec) -> Self {
        Self {
            items: Items::default(),
            groups: Groups::default(),
            models: vec![ItemCredits::new(); spec.models.len()],
            paths: PathCounts::new(),
            chains: Chained::of(&spec),
            spec,
        }
    }

    /// Adds a batch of what a walk counted.
    fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let by = &self.spec.selection.by;
        for tally in rows_of(batch, by, &mut self.groups, |name| self.items.number(name))? {
            let item = tally.items.first().copied().unwrap_or(NONE);
            let Tally { kind, model, group, sums: [value, magnitude], .. } = tally;
            match kind {
                Tallied::Credit => {
                    let number = if by.is_empty() { item } else { self.groups.pair(group, item) };
                    let credits = self.models.get_mut(model as usize).ok_or_else(of_another_question)?;
                    credits.add(number, value);
                }
                Tallied::Direct => self.paths.direct().add(item, value),
                Tallied::Set => {
                    self.paths.add_set(tally.items, PathCount { value, magnitude, paths: tally.counts[0] });
                }
                Tallied::Step | Tallied::End | Tallied::Touched | Tallied::Untouched => {
                    let chain = self.chains.iter_mut().find(|chain| chain.number == model as usize);
                    chain.ok_or_else(of_another_question)?.add_tally(&tally);
                }
            }
        }
        Ok(())
    }

    /// What each model gives, once everything is there.
    fn credit(mut self) -> Result<RecordBatch> {
        // numbered by name, so that nothing depends on the order in which items came
        let mut ranked: Vec<u32> = (0..self.items.names().len() as u32).collect();
        ranked.sort_unstable_by_key(|item| &self.items.names()[*item as usize]);
        let mut rank = vec![0; ranked.len()];
        (0u32..).zip(&ranked).for_each(|(place, item)| rank[*item as usize] = place);
        if self.spec.models.iter().any(|(_, model)| *model == Model::Algorithmic) {
            let mut paths = PathCounts::new();
            paths.merge(&self.paths, |item| rank[item as usize]);
            let mut credits = ItemCredits::new();
            credits.merge(&Game::new(&paths).credits(), |place| ranked[place as usize]);
            let algorithmic = self.models.iter_mut().zip(&self.spec.models);
            algorithmic
                .filter(|(_, (_, model))| *model == Model::Algorithmic)
                .for_each(|(slot, _)| *slot = credits.clone());
        }
        let by_group = !self.spec.selection.by.is_empty();
        let Self { chains, models, groups, .. } = &mut self;
        for chain in chains.iter() {
            let credits = &mut models[chain.number];
            match by_group {
                false => chain.credit(|_, item, amount| credits.credit(item, 0, amount), &rank, &ranked)?,
                true => {
                    let give = |group, item, amount| groups.sink(group, credits).credit(item, 0, amount);
                    chain.credit(give, &rank, &ranked)?;
                }
            }
        }
        credit_rows(&self.spec, self.items.names(), Some(&self.groups), self.models.iter())
    }

    /// Bytes that are allocated, about.
    fn memory_bytes(&self) -> usize {
        let credits: usize = self.models.iter().map(ItemCredits::memory_bytes).sum();
        let chains: usize = self.chains.iter().map(Chained::memory_bytes).sum();
        credits + chains + self.items.memory_bytes() + self.groups.memory_bytes() + self.paths.memory_bytes()
    }
}

fn of_another_question() -> DataFusionError {
    DataFusionError::Internal("what was counted is for other models".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, StringArray};
    use arrow::datatypes::Float64Type;
    use datafusion::datasource::memory::MemorySourceConfig;
    use datafusion::execution::memory_pool::GreedyMemoryPool;
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
    use datafusion::physical_plan::execution_plan::ChildrenPropertiesMode;
    use datafusion::physical_plan::{ExecutionPlanProperties, collect};

    use super::super::breakdown::GroupType;
    use super::super::input::{Input, InputColumns};
    use super::*;
    use crate::attribution::Container;

    const VISITORS: i64 = 200;

    /// Group and item, and the bits of what each model gives.
    type Credit = BTreeMap<Vec<Option<String>>, Vec<Option<u64>>>;

    /// The rows of a visitor: number, item and value.
    fn rows(visitor: i64) -> impl Iterator<Item = (i64, &'static str, f64)> {
        let items = ["search", "mail", "social", "direct", "affiliate"];
        (0..1 + visitor % 6).map(move |row| {
            let value = if (visitor + row) % 4 == 0 { (visitor + 1) as f64 / 10.0 } else { 0.0 };
            (row, items[((visitor / 3 + row * row) % 5) as usize], value)
        })
    }

    fn bucket(bucket: i64, buckets: i64) -> Vec<RecordBatch> {
        let visitors = (0..VISITORS).filter(|visitor| visitor % buckets == bucket);
        let rows: Vec<(i64, (i64, &str, f64))> =
            visitors.flat_map(|visitor| rows(visitor).map(move |row| (visitor, row))).collect();
        let ids = rows.iter().map(|(visitor, _)| Some(visitor.to_string()));
        let countries = rows.iter().map(|(visitor, _)| [Some("DE"), Some("FR"), None][(visitor % 3) as usize]);
        let places = || -> ArrayRef { Arc::new(rows.iter().map(|(_, (row, ..))| *row).collect::<Int64Array>()) };
        let columns: [(&str, ArrayRef); 7] = [
            ("visitor_key", Arc::new(rows.iter().map(|(visitor, _)| *visitor).collect::<Int64Array>())),
            ("visitor_id", Arc::new(ids.collect::<StringArray>())),
            ("hit_time", places()),
            ("hit_seq", places()),
            ("item", Arc::new(rows.iter().map(|(_, (_, item, _))| Some(*item)).collect::<StringArray>())),
            ("value", Arc::new(rows.iter().map(|(_, (.., value))| Some(*value)).collect::<Float64Array>())),
            ("group_1", Arc::new(countries.collect::<StringArray>())),
        ];
        vec![RecordBatch::try_from_iter(columns).unwrap()]
    }

    fn question(models: &[&str], by_country: bool) -> JourneySpec {
        let models = models.iter().map(|model| (model.to_string(), model.parse::<Model>().unwrap())).collect();
        let mut spec = JourneySpec { models, ..JourneySpec::without_models(Container::Visitor) };
        if by_country {
            spec.selection.by = vec![("country".to_string(), GroupType::Text)];
        }
        spec
    }

    /// The operators over so many buckets, on so many threads.
    fn plan(spec: &JourneySpec, buckets: i64, threads: usize) -> Arc<dyn ExecutionPlan> {
        let rows: Vec<Vec<RecordBatch>> = (0..buckets).map(|number| bucket(number, buckets)).collect();
        let plan = MemorySourceConfig::try_new_exec(&rows, rows[0][0].schema(), None).unwrap();
        let inputs = vec![Input { columns: InputColumns::Evaluated, plan }];
        let walks = |answer| Ok(JourneyExec::new(answer, inputs, threads));
        let plan = operators(&Answer::Credit(spec.clone()), walks).unwrap();
        let walks = plan.children()[0].clone();
        assert_eq!(walks.output_partitioning().partition_count(), threads.min(buckets as usize));
        let gathered: Arc<dyn ExecutionPlan> = Arc::new(CoalescePartitionsExec::new(walks));
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        plan.replace_children(vec![gathered], options).unwrap()
    }

    fn context(bytes: usize) -> Arc<TaskContext> {
        let pool = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(bytes)));
        Arc::new(TaskContext::default().with_runtime(pool.build_arc().unwrap()))
    }

    async fn credit(spec: &JourneySpec, buckets: i64, threads: usize) -> Credit {
        let mut found = Credit::new();
        for batch in collect(plan(spec, buckets, threads), context(64 << 20)).await.unwrap() {
            let (told, given) = batch.columns().split_at(spec.selection.by.len() + 1);
            for row in 0..batch.num_rows() {
                let text =
                    |column: &ArrayRef| column.is_valid(row).then(|| column.as_string::<i32>().value(row).to_string());
                let bits = |column: &ArrayRef| {
                    column.is_valid(row).then(|| column.as_primitive::<Float64Type>().value(row).to_bits())
                };
                let credit = given.iter().map(bits).collect();
                assert!(found.insert(told.iter().map(text).collect(), credit).is_none(), "an item comes once");
            }
        }
        found
    }

    #[tokio::test]
    async fn parts_give_the_bits_of_the_whole() {
        let whole: f64 = (0..VISITORS).flat_map(rows).map(|(.., value)| value).sum();
        for spec in [
            question(&["algorithmic", "markov", "markov(2)", "linear"], false),
            question(&["markov(3)", "first_touch"], true),
        ] {
            let expected = credit(&spec, 1, 1).await;
            for model in 0..spec.models.len() {
                let all: f64 = expected.values().filter_map(|bits| bits[model]).map(f64::from_bits).sum();
                assert!((all - whole).abs() < 1e-6, "{}: {all}, not {whole}", spec.models[model].0);
            }
            for (buckets, threads) in [(3, 1), (3, 3), (16, 2), (64, 5), (64, 64)] {
                let found = credit(&spec, buckets, threads).await;
                assert_eq!(found, expected, "{buckets} buckets on {threads} threads");
            }
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_an_error() {
        let spec = question(&["algorithmic", "markov(5)"], false);
        let walks = plan(&spec, 4, 2).children()[0].clone();
        let counted = collect(walks, context(64 << 20)).await.unwrap();
        let schema = spec.tallied().unwrap().output();
        let input = MemorySourceConfig::try_new_exec(&[counted], schema, None).unwrap();
        let models = Arc::new(DataDrivenExec::new(spec, input));
        assert_eq!(collect(models.clone(), context(64 << 20)).await.unwrap().len(), 1);
        let refused = collect(models, context(4 << 10)).await.unwrap_err();
        assert!(matches!(refused.find_root(), DataFusionError::ResourcesExhausted(_)), "{refused}");
    }

    #[tokio::test]
    async fn nobody_is_no_rows() {
        let spec = question(&["algorithmic", "markov"], false);
        let input = MemorySourceConfig::try_new_exec(&[vec![]], spec.tallied().unwrap().output(), None).unwrap();
        let found = collect(Arc::new(DataDrivenExec::new(spec, input)), context(1 << 20)).await.unwrap();
        assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 0);
    }
}
