//! Rows leave a table for good: files that hold some of them are written again without them, in one commit.
//!
//! In: what is true of the rows that go, as alternatives. Out: how many went. Only files that hold such rows are touched; a
//! file that holds nothing else just goes. The order of rows, buckets and tags stay right. Running it again finds nothing.
//! Former versions hold the rows until `vacuum` deletes their files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::{disjunction, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::{StreamExt, TryStreamExt, stream};
use rejoin_instances::planning;

use crate::columns::{FILE, HIT_TIME};
use crate::lake::key_check::tag_unique_keys;
use crate::lake::retry::Retry;
use crate::lake::rewrite::{Job, Limits, Rewriter, with_columns_of};
use crate::lake::scan::LakeTable;
use crate::lake::write::discard_uncommitted;
use crate::lake::{Change, DataFile, Lake, NewFile, Snapshot};
use crate::{Error, Result};

/// Files that are searched at once.
const SEARCHED_AT_ONCE: usize = 4;

/// Rows of a file that are to go.
#[derive(Clone, Debug)]
pub struct RowsToRemove {
    /// The file.
    pub file: DataFile,
    /// Rows that go, by the value of their column `file`.
    pub rows_of: BTreeMap<String, u64>,
    /// True for them, and for no row that stays.
    is_removed: Expr,
}

impl RowsToRemove {
    /// Rows that go.
    pub fn rows(&self) -> u64 {
        self.rows_of.values().sum()
    }
}

/// What went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expunged {
    /// Rows that are no longer there.
    pub rows: u64,
    /// Files that were written again or dropped.
    pub files: u64,
}

/// The files of a table that hold rows for which one of `rows` is true.
pub async fn find(lake: &Lake, snapshot: &Snapshot, rows: &[Expr]) -> Result<Vec<RowsToRemove>> {
    let table = LakeTable::new(lake.clone(), Arc::new(snapshot.clone()), snapshot.schema.clone());
    let mut wanted: BTreeMap<&str, (&DataFile, Vec<Expr>)> = BTreeMap::new();
    for alternative in rows {
        let conditions: Vec<Expr> = split_conjunction(alternative).into_iter().cloned().collect();
        for file in table.files_for(&conditions) {
            if may_hold_times(file, &conditions) && may_hold_loads(file, &conditions)? {
                wanted.entry(&file.relative).or_insert((file, vec![])).1.push(alternative.clone());
            }
        }
    }
    // what says which rows go is decoded first, the rest only for those
    let config = SessionConfig::new().with_target_partitions(1);
    let context =
        SessionContext::new_with_config(config.set_bool("datafusion.execution.parquet.pushdown_filters", true));
    context.register_object_store(lake.store_url().as_ref(), lake.store().clone());
    let searches = wanted.into_values().filter_map(|(file, alternatives)| Some((file, disjunction(alternatives)?)));
    let found = stream::iter(searches.map(|(file, is_removed)| search(lake, &context, snapshot, file, is_removed)))
        .buffered(SEARCHED_AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(found.into_iter().filter(|removed| removed.rows() > 0).collect())
}

/// Takes the rows for which one of `rows` is true out of the newest version of a table; those that another writer brings
/// meanwhile, too.
pub async fn expunge(lake: &Lake, table: &str, rows: &[Expr], limits: &Limits) -> Result<Expunged> {
    let (mut rewritten, mut retry) = (HashMap::new(), Retry::default());
    loop {
        let done = match try_expunge(lake, table, rows, limits, &mut rewritten).await {
            Ok(done) => Ok(done),
            Err(error) => match retry.after(error).await {
                Ok(()) => continue,
                Err(error) => Err(error),
            },
        };
        let left: Vec<&NewFile> = rewritten.values().flatten().collect();
        discard_uncommitted(lake, table, &left).await;
        return done;
    }
}

/// One attempt. `rewritten` are the files of all attempts, by the path of the one that each stands for.
async fn try_expunge(
    lake: &Lake,
    table: &str,
    rows: &[Expr],
    limits: &Limits,
    rewritten: &mut HashMap<String, Option<NewFile>>,
) -> Result<Expunged> {
    let snapshot = Snapshot::open(lake, table, None).await?;
    let removed = find(lake, &snapshot, rows).await?;
    if removed.is_empty() {
        return Ok(Expunged::default());
    }
    let partly: Vec<&RowsToRemove> = removed.iter().filter(|d| d.file.rows != Some(d.rows())).collect();
    let new: Vec<&RowsToRemove> =
        partly.iter().filter(|d| !rewritten.contains_key(&d.file.relative)).copied().collect();
    let jobs = new.iter().map(|d| Job {
        inputs: vec![d.file.clone()],
        keep: vec![d.is_removed.clone().is_not_true()],
        part: None,
    });
    let rests = limits.rewrite(lake, &snapshot, jobs.collect()).await?;
    for (removed, rest) in new.into_iter().zip(rests) {
        let kept = rest.as_ref().map_or(0, |r| r.rows);
        rewritten.insert(removed.file.relative.clone(), rest);
        if removed.file.rows.is_some_and(|all| all != kept + removed.rows()) {
            return Err(Error::bug(format!(
                "table {table}: of {} rows of a file {} were to go and {kept} stayed; nothing was changed",
                removed.file.rows.unwrap_or_default(),
                removed.rows()
            )));
        }
    }
    let rest_of = |d: &&RowsToRemove| rewritten.get(&d.file.relative).cloned().flatten();
    let mut add: Vec<NewFile> = partly.iter().filter_map(rest_of).collect();
    let goes: HashSet<&str> = removed.iter().map(|d| d.file.relative.as_str()).collect();
    tag_unique_keys(lake, table, add.iter_mut().collect(), &|file| !goes.contains(file.relative.as_str())).await?;
    let change = Change { add, remove: removed.iter().map(|d| d.file.clone()).collect(), columns: vec![] };
    snapshot.commit_erased(lake, change).await?;
    Ok(Expunged { rows: removed.iter().map(RowsToRemove::rows).sum(), files: removed.len() as u64 })
}

/// Counts the rows of a file that are to go.
async fn search(
    lake: &Lake,
    context: &SessionContext,
    snapshot: &Snapshot,
    file: &DataFile,
    is_removed: Expr,
) -> Result<RowsToRemove> {
    let schema = with_columns_of(&snapshot.schema, std::slice::from_ref(&is_removed))?;
    let table = LakeTable::new(lake.clone(), Arc::new(snapshot.only(vec![file.clone()])), schema);
    let rows = context.read_table(Arc::new(table))?.filter(is_removed.clone())?.select_columns(&[FILE])?;
    let mut batches = planning::stream(rows).await?;
    let mut rows_of: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(batch) = batches.try_next().await? {
        let names = cast(batch.column(0), &DataType::Utf8)?;
        for name in names.as_string::<i32>() {
            let name = name.unwrap_or_default();
            match rows_of.get_mut(name) {
                Some(rows) => *rows += 1,
                None => drop(rows_of.insert(name.to_string(), 1)),
            }
        }
    }
    Ok(RowsToRemove { file: file.clone(), rows_of, is_removed })
}

/// False where the conditions ask for times before all rows of the file.
fn may_hold_times(file: &DataFile, conditions: &[Expr]) -> bool {
    let Some((first, _)) = file.hit_time else { return true };
    conditions.iter().filter_map(end_of_times).all(|end| first < end)
}

/// The end of the times that a condition asks for, when it is `hit_time < x`.
fn end_of_times(condition: &Expr) -> Option<i64> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Lt, right }) = condition else { return None };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(ScalarValue::TimestampMicrosecond(end, _), _))
            if column.name == HIT_TIME =>
        {
            *end
        }
        _ => None,
    }
}

/// False where the conditions ask for a load whose rows, by its tag, the file does not have.
fn may_hold_loads(file: &DataFile, conditions: &[Expr]) -> Result<bool> {
    let mut asked = conditions.iter().filter_map(load_of).peekable();
    if asked.peek().is_none() {
        return Ok(true);
    }
    let loads = file.loads()?;
    Ok(loads.is_empty() || asked.all(|name| loads.iter().any(|load| load.file == name)))
}

/// The load that a condition asks for, when it is `file = 'x'`.
fn load_of(condition: &Expr) -> Option<&str> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = condition else { return None };
    match (left.as_ref(), right.as_ref()) {
        (Expr::Column(column), Expr::Literal(ScalarValue::Utf8(Some(name)), _)) if column.name == FILE => Some(name),
        _ => None,
    }
}
