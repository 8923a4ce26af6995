//! The customer IDs that the visitors of a suite bear, where they change.
//!
//! In: what is kept of the hits that were read before, and hits. Out: [`VisitorIds`], as a look at all hits would give it. Read again at
//! each rebuild are the loads of which a row may be the hit that another row is, for which of the two counts hangs on what else is
//! there; and the rows of visitors whose runs do not say where the ID becomes another one, or of whom rules ask for every row.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::execution::SendableRecordBatchStream;
use futures::TryStreamExt;

use super::hit_ids::{HitIds, IdRow, IdRows};
use super::in_parts::ByPart;
use super::kept::{KeptIds, NewGeneration, for_each_run};
use super::runs::{Texts, VISITOR_BYTES, VisitorRuns, changes, merged, take};
use crate::Result;
use crate::columns::visitor_key;
use crate::engine::SomeVisitors;
use crate::lake::tables::REPORTED_HITS;
use crate::persons::{Rules, VisitorIds};
use crate::quote::{literal, literals};

/// Visitors whose rows are read again, beyond which all hits are.
const MOST_VISITORS: usize = 100_000;

/// Bytes that a place with an ID takes, about.
const PLACE_BYTES: usize = 48;

/// Memory that is taken at once where rows come one by one.
const AT_ONCE_BYTES: usize = 64 << 10;

/// Takes memory, or says that there is none.
type Grow<'g> = &'g (dyn Fn(usize) -> Result<()> + Send + Sync);

/// The visitors that bear IDs, and those with hits that rules name; and what is to be kept for the next time. With `anew`, what is
/// kept is read from all hits again.
pub async fn visitor_ids(
    ids: &HitIds<'_>,
    kept: &mut KeptIds<'_>,
    rules: &Rules,
    anew: bool,
    grow: Grow<'_>,
) -> Result<(Vec<VisitorIds>, Option<NewGeneration>)> {
    let named = rules.named_visitors();
    let (visitor_runs, renewal) = visitor_runs(ids, kept, anew, grow).await?;
    let (mut all, again) = match visitor_runs {
        Some(visitor_runs) => told(visitor_runs, &named),
        // nobody says which of the rows were there before
        None => (vec![], None),
    };
    match again {
        Some(again) if again.is_empty() => {}
        Some(again) => {
            let visitors = SomeVisitors::new(again.iter().map(|visitor| visitor_key(visitor)), false);
            let rows = ids.of_visitors(&visitors).await?;
            take_rows(&mut all, rows, &named, Some(&again), grow).await?;
        }
        None => take_rows(&mut all, ids.of_all().await?, &named, None, grow).await?,
    }
    add_those_without(&mut all, ids, named).await?;
    Ok((all, renewal))
}

/// The visitors that bear IDs, with runs; None where files of other writers are in the lake.
async fn visitor_runs(
    ids: &HitIds<'_>,
    kept: &mut KeptIds<'_>,
    anew: bool,
    grow: Grow<'_>,
) -> Result<(Option<Vec<VisitorRuns>>, Option<NewGeneration>)> {
    let loads = ids.loads()?;
    let is_known = loads.is_some();
    let mut loads = loads.unwrap_or_default();
    let repeating = ids.repeating(&loads);
    loads.retain(|load, _| !repeating.contains(load));
    let (mut texts, mut owed) = (Texts::default(), 0);
    let (mut before, mut afresh) = (ByPart::<Vec<VisitorRuns>>::default(), ByPart::<Vec<VisitorRuns>>::default());
    let mut see = |part: usize, row: IdRow<'_>| {
        owed += take(before.of(part), &mut texts, row, row.at);
        if owed < AT_ONCE_BYTES { Ok(()) } else { grow(std::mem::take(&mut owed)) }
    };
    let mut renewal = kept.renew(ids, &loads, anew, &mut see).await?;
    grow(owed)?;
    if let Some(some) = renewal.take_if(|renewal| !renewal.of_all) {
        kept.keep(some).await?;
    }
    if !is_known {
        return Ok((None, renewal));
    }
    if renewal.is_none()
        && let Some(mut runs) = kept.runs(&ids.suite.suite).await?
    {
        while let Some((part, batch)) = runs.next().await? {
            let (mut bytes, visitor_runs) = (0, before.of(part));
            for_each_run(&batch, |first, last| bytes += take(visitor_runs, &mut texts, first, last))?;
            grow(bytes)?;
        }
    }
    if !repeating.is_empty() {
        let mut rows = ids.of_loads(&repeating).await?;
        while let Some((part, batch)) = rows.next().await? {
            let (batch, visitor_runs) = (IdRows::of(&batch)?, afresh.of(part));
            grow(batch.iter().map(|row| take(visitor_runs, &mut texts, row, row.at)).sum())?;
        }
    }
    let in_order = |parts: ByPart<Vec<VisitorRuns>>| parts.in_order().flatten().collect::<Vec<_>>();
    Ok((Some(merged(in_order(before), in_order(afresh))), renewal))
}

/// What runs tell, and the visitors whose rows must be looked at; None where these are too many.
fn told(visitor_runs: Vec<VisitorRuns>, named: &BTreeSet<&str>) -> (Vec<VisitorIds>, Option<HashSet<Arc<str>>>) {
    let mut again: HashSet<Arc<str>> = named.iter().map(|visitor| Arc::from(*visitor)).collect();
    let mut all = Vec::with_capacity(visitor_runs.len());
    for VisitorRuns { visitor, runs, .. } in visitor_runs {
        if named.contains(&*visitor) {
            continue;
        }
        match changes(runs) {
            Some(ids) => all.push(VisitorIds { visitor, ids }),
            None => drop(again.insert(visitor)),
        }
        if again.len() > MOST_VISITORS {
            return (vec![], None);
        }
    }
    let few = again.len() <= MOST_VISITORS;
    (all, few.then_some(again))
}

/// Adds the visitors of rows, which come in order: all of them, or those `among` them alone.
async fn take_rows(
    all: &mut Vec<VisitorIds>,
    mut rows: SendableRecordBatchStream,
    named: &BTreeSet<&str>,
    among: Option<&HashSet<Arc<str>>>,
    grow: Grow<'_>,
) -> Result<()> {
    let (mut texts, before) = (Texts::default(), all.len());
    while let Some(batch) = rows.try_next().await? {
        let mut bytes = 0;
        let batch = IdRows::of(&batch)?;
        for row in batch.iter() {
            // another visitor may have the same key
            if among.is_some_and(|among| !among.contains(row.visitor)) {
                continue;
            }
            if all.len() == before || all.last().is_none_or(|last| &*last.visitor != row.visitor) {
                bytes += row.visitor.len() + VISITOR_BYTES;
                all.push(VisitorIds { visitor: row.visitor.into(), ids: vec![] });
            }
            let Some(own) = all.last_mut() else { continue };
            if own.ids.last().is_some_and(|(_, last)| &**last == row.id) && !named.contains(row.visitor) {
                continue;
            }
            let (id, more) = texts.keep(row.id);
            bytes += more + PLACE_BYTES;
            own.ids.push((row.at, id));
        }
        grow(bytes)?;
    }
    Ok(())
}

/// Adds the visitors with hits, none of which bears an ID, that rules name.
async fn add_those_without(all: &mut Vec<VisitorIds>, ids: &HitIds<'_>, named: BTreeSet<&str>) -> Result<()> {
    let known: BTreeSet<Arc<str>> = match named.is_empty() {
        true => BTreeSet::new(),
        false => all.iter().map(|one| one.visitor.clone()).collect(),
    };
    let without: Vec<&str> = named.into_iter().filter(|visitor| !known.contains(*visitor)).collect();
    for some in without.chunks(1000) {
        let (suite, list) = (literal(&ids.suite.suite), literals(some.iter().copied()));
        let sql =
            format!("SELECT DISTINCT visitor_id FROM {REPORTED_HITS} WHERE suite = {suite} AND visitor_id IN ({list})");
        for batch in ids.engine.collect(&sql).await? {
            let visitors = cast(batch.column(0), &DataType::Utf8)?;
            let found = visitors.as_string::<i32>().iter().flatten();
            all.extend(found.map(|visitor| VisitorIds { visitor: visitor.into(), ids: vec![] }));
        }
    }
    Ok(())
}
