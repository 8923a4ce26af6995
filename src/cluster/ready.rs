//! Makes a plan ready for the cluster, or refuses it.
//!
//! In: the physical plan of a statement, as the engine would run it here. Out: the same rows, in a form that Ballista computes
//! rightly: each task of a stage works on a slice of the partitions, so partition i of an operator may depend only on partition
//! i of its inputs, and a leaf must be one that can be sliced. Whatever else there is would be answered wrongly without a word
//! (Ballista 55: a leaf that it does not know is read by every task), so it is replaced or refused here.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::sink::DataSinkExec;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::analyze::AnalyzeExec;
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::explain::ExplainExec;
use datafusion::physical_plan::joins::{
    HashJoinExec, NestedLoopJoinExec, PartitionMode, PiecewiseMergeJoinExec, SymmetricHashJoinExec,
};
use datafusion::physical_plan::recursive_query::RecursiveQueryExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties, Partitioning, replace_children_if_necessary};
use futures::TryStreamExt;

use super::keep::{KeepExec, KeptShape};
use crate::Error;
use crate::engine::journey::{DataDrivenExec, Input, JourneyExec, added_up};
use crate::engine::yielding::yielding;
use crate::lake::ranges::in_ranges;

/// Rows that are made here travel in the plan, whose message has a limit, see [`super::client`].
const MADE_HERE_BYTES: usize = 8 << 20;

/// The plan to submit; None if it is computed here: it reads no file, or writes one, or asks about its own computation.
pub(super) async fn ready(
    plan: Arc<dyn ExecutionPlan>,
    lake: &ObjectStoreUrl,
    context: &Arc<TaskContext>,
) -> crate::Result<Option<Arc<dyn ExecutionPlan>>> {
    let of_this_process = plan.is::<AnalyzeExec>() || plan.is::<ExplainExec>() || plan.is::<DataSinkExec>();
    // tables that this session keeps in memory, such as what is due in a rebuild, are computed with where they are
    if of_this_process || !reads_files(&plan)? || bytes_in_memory(&plan)? > MADE_HERE_BYTES {
        return Ok(None);
    }
    check(&plan, lake)?;
    let plan = with_rows_made_here(plan, context).await?;
    let parts = context.session_config().target_partitions();
    let plan = plan.transform_up(|node| sliceable(node, parts).map_err(Into::into))?.data;
    Ok(Some(plan.transform_up(gathering_parts)?.data))
}

/// A node beneath which a stage may end, over partitions that are no ranges: a stage cannot read ranges of another.
fn gathering_parts(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    let is_end = node.is::<SortPreservingMergeExec>() || node.is::<CoalescePartitionsExec>() || node.is::<UnionExec>();
    let is_range = |plan: &Arc<dyn ExecutionPlan>| matches!(plan.output_partitioning(), Partitioning::Range(_));
    if !is_end || !node.children().into_iter().any(is_range) {
        return Ok(Transformed::no(node));
    }
    let without_ranges = |plan: &Arc<dyn ExecutionPlan>| match is_range(plan) {
        true => KeepExec::over(plan.clone(), KeptShape::Parts),
        false => plan.clone(),
    };
    let children = node.children().into_iter().map(without_ranges).collect();
    Ok(Transformed::yes(replace_children_if_necessary(node, children)?))
}

/// The files of a leaf that reads some.
fn files(node: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    let source: &dyn std::any::Any = node.downcast_ref::<DataSourceExec>()?.data_source().as_ref();
    source.downcast_ref()
}

fn reads_files(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| Ok(files(node).is_some()))
}

/// What the leaves of a plan hold in memory.
fn bytes_in_memory(plan: &Arc<dyn ExecutionPlan>) -> Result<usize> {
    let mut bytes = 0;
    plan.apply(|node| {
        let source =
            node.downcast_ref::<DataSourceExec>().map(|exec| exec.data_source().as_ref() as &dyn std::any::Any);
        if let Some(rows) = source.and_then(|source| source.downcast_ref::<MemorySourceConfig>()) {
            bytes += rows.partitions().iter().flatten().map(RecordBatch::get_array_memory_size).sum::<usize>();
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(bytes)
}

/// Refuses what the cluster would compute wrongly.
fn check(plan: &Arc<dyn ExecutionPlan>, lake: &ObjectStoreUrl) -> crate::Result<()> {
    let mut refused = None;
    plan.apply(|node| {
        let why = if let Some(scan) = files(node) {
            (scan.object_store_url != *lake)
                .then(|| format!("it reads files of {}, outside of the lake", scan.object_store_url))
        } else if let Some(shuffle) = node.downcast_ref::<RepartitionExec>() {
            matches!(shuffle.partitioning(), Partitioning::Range(_)).then(|| "it shuffles rows by ranges".to_string())
        } else if node.is::<SymmetricHashJoinExec>() || node.is::<PiecewiseMergeJoinExec>() {
            Some(format!("a {} shares what it knows between partitions", node.name()))
        } else if node.is::<RecursiveQueryExec>() && reads_files(node)? {
            Some("WITH RECURSIVE over tables of the lake runs round after round".to_string())
        } else {
            None
        };
        refused = why;
        Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    match refused {
        Some(why) => {
            Err(Error::query(format!("the cluster cannot compute this statement: {why}; run it without --cluster")))
        }
        None => Ok(()),
    }
}

/// Leaves that read no file are computed here, and their rows travel with the plan: literal rows, series, `information_schema`.
async fn with_rows_made_here(
    plan: Arc<dyn ExecutionPlan>,
    context: &Arc<TaskContext>,
) -> crate::Result<Arc<dyn ExecutionPlan>> {
    let is_made_here = |node: &Arc<dyn ExecutionPlan>| {
        let leaf = node.children().is_empty() && !node.is::<DataSourceExec>();
        leaf || node.is::<RecursiveQueryExec>()
    };
    let mut found = vec![];
    plan.apply(|node| {
        if is_made_here(node) {
            found.push(node.clone());
            return Ok(TreeNodeRecursion::Jump);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let mut made: Vec<(Arc<dyn ExecutionPlan>, Arc<dyn ExecutionPlan>)> = vec![];
    let mut bytes = 0;
    for node in found {
        let mut partitions = vec![];
        let computed = yielding(node.clone())?;
        for partition in 0..node.output_partitioning().partition_count() {
            let mut rows: Vec<RecordBatch> = vec![];
            let mut stream = computed.execute(partition, context.clone())?;
            while let Some(batch) = stream.try_next().await? {
                bytes += batch.get_array_memory_size();
                if bytes > MADE_HERE_BYTES {
                    return Err(Error::query(format!(
                        "the cluster cannot compute this statement: its own rows ({}) are more than {} MiB; run it without --cluster",
                        node.name(),
                        MADE_HERE_BYTES >> 20
                    )));
                }
                rows.push(batch);
            }
            partitions.push(rows);
        }
        let orders = node.output_ordering().cloned().into_iter().collect();
        let source =
            MemorySourceConfig::try_new(&partitions, node.schema(), None)?.try_with_sort_information(orders)?;
        made.push((node, DataSourceExec::from_data_source(source)));
    }
    let replaced = plan.transform_down(|node| {
        Ok(match made.iter().find(|(before, _)| Arc::ptr_eq(before, &node)) {
            Some((_, rows)) => Transformed::new(rows.clone(), true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        })
    });
    Ok(replaced?.data)
}

/// A node in a form of which each task can have a slice; shuffles that this needs have so many `parts`.
fn sliceable(node: Arc<dyn ExecutionPlan>, parts: usize) -> crate::Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if let Some(scan) = files(&node) {
        return Ok(match without_statistics(scan) {
            Some(lighter) => Transformed::yes(DataSourceExec::from_data_source(lighter)),
            None => Transformed::no(node),
        });
    }
    if let Some(journey) = node.downcast_ref::<JourneyExec>() {
        let in_parts = journey.answer().in_parts();
        let answer = in_parts.as_ref().unwrap_or(journey.answer()).clone();
        // each bucket for itself; where visitors share a person, one task sees them all
        let inputs = journey.input_columns().into_iter().zip(node.children()).map(|(columns, plan)| {
            let plan = match answer.is_in_one_part() {
                // the journey reads what is gathered, and no longer the scan itself
                true => KeepExec::gather(in_ranges(plan.clone())),
                false => plan.clone(),
            };
            Input { columns, plan }
        });
        let inputs = inputs.collect();
        let ready: Arc<dyn ExecutionPlan> =
            Arc::new(JourneyExec::new(answer, inputs, usize::MAX).by_person(journey.persons().cloned()));
        return Ok(Transformed::yes(match in_parts {
            Some(_) => KeepExec::gather(added_up(ready, parts)?),
            None => ready,
        }));
    }
    if node.is::<DataDrivenExec>() {
        // here all buckets may have been in one partition
        let gathered = |counted: &Arc<dyn ExecutionPlan>| match counted.output_partitioning().partition_count() {
            1 => counted.clone(),
            _ => KeepExec::gather(counted.clone()),
        };
        let children = node.children().into_iter().map(gathered).collect();
        return Ok(Transformed::yes(replace_children_if_necessary(node, children)?));
    }
    if node.is::<UnionExec>() {
        return Ok(Transformed::yes(with_sorts_above(&node)?));
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        return Ok(match *join.partition_mode() == PartitionMode::CollectLeft {
            true => Transformed::yes(with_left_side_whole(join, parts)?),
            false => Transformed::no(node),
        });
    }
    if let Some(join) = node.downcast_ref::<NestedLoopJoinExec>()
        && !one_row_of_the_right_decides(*join.join_type())
    {
        let children = vec![join.left().clone(), KeepExec::gather(join.right().clone())];
        return Ok(Transformed::yes(replace_children_if_necessary(node.clone(), children)?));
    }
    Ok(Transformed::no(node))
}

/// False where rows of the left side that found no partner, or one, are known when all of the right side has been seen.
fn one_row_of_the_right_decides(join: JoinType) -> bool {
    use JoinType::{Inner, Right, RightAnti, RightMark, RightSemi};
    matches!(join, Inner | Right | RightSemi | RightAnti | RightMark)
}

/// A hash join of which every task reads the left side whole, and a part of the right one. Where that is not right, or Ballista
/// thinks that the left side may be large, it shuffles both sides in place of it (`demote_collect_left_to_partitioned`), into a
/// number of partitions, and in an order, that what is above the join does not expect; so nothing is left for it to do.
fn with_left_side_whole(join: &HashJoinExec, parts: usize) -> Result<Arc<dyn ExecutionPlan>> {
    let (left, right) = (join.left().clone(), join.right().clone());
    let whole = |children| join.builder().with_new_children(children)?.build_exec();
    if join.null_aware {
        return whole(vec![left, KeepExec::gather(right)]);
    }
    if one_row_of_the_right_decides(*join.join_type()) {
        return whole(vec![KeepExec::whole(left), right]);
    }
    // such a join has no order
    let (left_keys, right_keys): (Vec<_>, Vec<_>) = join.on().iter().cloned().unzip();
    let left = Arc::new(RepartitionExec::try_new(left, Partitioning::Hash(left_keys, parts))?);
    let right = Arc::new(RepartitionExec::try_new(right, Partitioning::Hash(right_keys, parts))?);
    let shuffled = join.builder().with_partition_mode(PartitionMode::Partitioned);
    let shuffled = shuffled.with_new_children(vec![left, right])?.build_exec()?;
    Ok(match join.properties().output_partitioning().partition_count() {
        1 => KeepExec::gather(shuffled),
        _ => shuffled,
    })
}

/// A union of which a task may have no partition of some branch, where a sort has none: DataFusion cannot read that back. Sorts
/// that all branches share move above the union; a branch that sorts otherwise becomes one partition, in a stage of its own.
fn with_sorts_above(union: &Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let sort = |node: &Arc<dyn ExecutionPlan>| {
        let sort = node.downcast_ref::<SortExec>()?;
        Some((sort.expr().clone(), sort.fetch(), sort.input().clone()))
    };
    let branches: Vec<_> = union.children().into_iter().map(sort).collect();
    // without this node the scheduler would move a sort from above the union into its branches
    let united = |branches| {
        Ok::<_, DataFusionError>(KeepExec::over(
            replace_children_if_necessary(union.clone(), branches)?,
            KeptShape::Union,
        ))
    };
    if let Some(Some((order, fetch, _))) = branches.first().cloned()
        && branches.iter().flatten().filter(|(o, f, _)| *o == order && *f == fetch).count() == branches.len()
    {
        let united = united(branches.into_iter().flatten().map(|(.., input)| input).collect())?;
        return Ok(Arc::new(SortExec::new(order, united).with_preserve_partitioning(true).with_fetch(fetch)));
    }
    let alone = |branch: &Arc<dyn ExecutionPlan>| {
        let mut sorts = false;
        branch.apply(|node| {
            // beneath these begins a stage of its own, which has its partitions
            if node.is::<SortPreservingMergeExec>()
                || node.is::<CoalescePartitionsExec>()
                || node.is::<RepartitionExec>()
            {
                return Ok(TreeNodeRecursion::Jump);
            }
            sorts |= node.is::<SortExec>();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(if sorts { KeepExec::gather(branch.clone()) } else { branch.clone() })
    };
    united(union.children().into_iter().map(alone).collect::<Result<Vec<_>>>()?)
}

/// A scan whose files bear no statistics: they could make the plan longer than a message may be, and serve nobody there. But files
/// that are read one after the other bear them: they say that rows come in order then.
fn without_statistics(scan: &FileScanConfig) -> Option<FileScanConfig> {
    let in_order = |group: &FileGroup| !scan.output_ordering.is_empty() && group.len() > 1;
    let others = scan.file_groups.iter().filter(|group| !in_order(group));
    let bear_some = others.flat_map(FileGroup::iter).any(|file| file.statistics.is_some());
    bear_some.then(|| {
        let groups = scan.file_groups.iter().map(|group| {
            if in_order(group) {
                return group.clone();
            }
            let files = group.iter().cloned().map(|mut file| {
                file.statistics = None;
                file
            });
            FileGroup::new(files.collect())
        });
        let groups = groups.collect();
        FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).build()
    })
}

/// The error of a plan that is too long to be sent.
pub(super) fn too_long(bytes: usize, limit: usize) -> Error {
    Error::query(format!(
        "the plan of this statement has {} MiB, the cluster takes {} MiB: ask for fewer columns, or compact the lake (rejoin compact)",
        bytes.div_ceil(1 << 20),
        limit >> 20
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::datatypes::Schema;

    use super::*;
    use crate::attribution::{Container, Model};
    use crate::engine::journey::{Answer, InputColumns, JourneySpec};

    /// Models over walks over so many buckets, as they are planned for so many threads.
    fn models(buckets: usize, threads: usize) -> Arc<dyn ExecutionPlan> {
        let rows = MemorySourceConfig::try_new_exec(&vec![vec![]; buckets], Arc::new(Schema::empty()), None).unwrap();
        let inputs = vec![Input { columns: InputColumns::Evaluated, plan: rows }];
        let models = vec![("credit".to_string(), Model::Algorithmic)];
        let spec = JourneySpec { models, ..JourneySpec::without_models(Container::Visitor) };
        let walks = Arc::new(JourneyExec::new(Answer::Credit(spec.tallied().unwrap()), inputs, threads));
        let walks: Arc<dyn ExecutionPlan> = match threads {
            1 => walks,
            _ => Arc::new(CoalescePartitionsExec::new(walks)),
        };
        Arc::new(DataDrivenExec::new(spec, walks))
    }

    #[test]
    fn what_models_count_is_a_task_a_bucket() {
        for threads in [1, 4] {
            let plan = models(16, threads).transform_up(|node| sliceable(node, 4).map_err(Into::into)).unwrap().data;
            let mut partitions = vec![];
            plan.apply(|node| {
                partitions.push((node.name().to_string(), node.output_partitioning().partition_count()));
                Ok(TreeNodeRecursion::Continue)
            })
            .unwrap();
            let of = |name: &str| partitions.iter().find(|(known, _)| known == name).map(|(_, count)| *count);
            let of = ["DataDrivenExec", "CoalescePartitionsExec", "JourneyExec"].map(of);
            assert_eq!(of, [Some(1), Some(1), Some(16)], "planned for {threads} threads: {partitions:?}");
        }
    }
}
