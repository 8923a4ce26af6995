//! One run of an export: today's conversions are compared with what the target has. What is new is written as bodies and into the ledger,
//! and delivered.
//!
//! The order of steps is such that an export goes on right, wherever a run breaks off:
//!
//! 1. A run that waits is delivered again, with the bodies that it had; no other is made.
//! 2. Bodies are written, under names that nobody else has.
//! 3. The ledger is committed on top of the rows that were compared. From here on the run exists.
//! 4. The run is recorded; the next run does so where this one did not get to it.
//! 5. The bodies are delivered. Each is posted under a key that is the same each time.
//! 6. The acknowledgement ends the run, and its bodies are deleted.
//!
//! Both sides are read in the order of ids, so that a run holds a few rows, however many conversions there are.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde::Serialize;

use super::bodies::{self, Destination, Writer};
use super::decide::{Conversion, Decider, INELIGIBLE, NEW, RESTATED, RETRACTED, ranked};
use super::definition::Export;
use super::grouped::Grouped;
use super::ledger::{self, Ledger, LedgerWriter};
use super::post::Post;
use super::query::{FIXED_COLUMNS, Query};
use super::runs;
use super::saved::{find, for_suite};
use super::target::Target;
use super::targets;
use crate::engine::pins::Pins;
use crate::engine::{Engine, EngineSettings};
use crate::lake::records::{ExportEvent, ExportRun};
use crate::lake::write::discard_uncommitted;
use crate::lake::{Lake, Record, suites};
use crate::{Error, Result, clock};

/// Memory of a run's queries at most, bytes, where the value is no credit; what does not fit spills.
const MEMORY_BYTES: usize = 128 << 20;

/// The same where conversions are joined with their credit. With more of it the parts that are sorted grow until there is none
/// left to merge them in.
const MEMORY_WITH_CREDIT: usize = 384 << 20;

/// Rows of a batch in a run's queries. Where sorts spill, one batch of each of their files is in memory.
const BATCH_ROWS: usize = 1024;

/// Bodies between two notes of how many were posted.
const NOTED_EACH: i64 = 20;

/// How a run is done.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// A folder or a bucket that gets the bodies, too.
    pub output: Option<String>,
    /// Only tell; with `output`, write the bodies there.
    pub dry_run: bool,
    /// Send the bodies, and acknowledge the run when all are accepted.
    pub post: Option<Post>,
    /// For the queries.
    pub engine: EngineSettings,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct RunOutcome {
    /// The export.
    pub export: String,
    /// The run; None where nothing was new.
    pub run: Option<i64>,
    /// `nothing new`, `waiting`, `acknowledged`, or `dry run`.
    pub status: String,
    /// The run was made before and waited.
    pub again: bool,
    /// Conversions that are sent for the first time.
    pub new: i64,
    /// Conversions that are sent again.
    pub restated: i64,
    /// Conversions that are taken back.
    pub retracted: i64,
    /// Conversions that cannot be sent, where that is new.
    pub ineligible: i64,
    /// How many of them for which reason.
    pub reasons: BTreeMap<String, i64>,
    /// Bodies.
    pub bodies: i64,
    /// Those of them that were posted and accepted.
    pub posted: i64,
    /// Files of the bodies: relative to the lake, or to the folder that was given.
    pub files: Vec<String>,
}

/// Runs an export. A conflict where another run of it was faster.
pub fn run<'a>(lake: &'a Lake, name: &'a str, options: &'a RunOptions) -> LocalBoxFuture<'a, Result<RunOutcome>> {
    async move {
        let export = find(lake, name).await?;
        let (known, ledger) = compared_with(lake, name, options.dry_run).await?;
        if let Some(waiting) = runs::waiting(&known) {
            if options.dry_run {
                return of_run(waiting, "waiting", true);
            }
            return given_out(lake, waiting.clone(), true, options).await;
        }
        let last = known.iter().map(|run| run.run).chain(ledger.runs()?.iter().map(|run| run.run)).max();
        let number = last.unwrap_or(0) + 1;
        let attempt = uuid::Uuid::new_v4().simple().to_string()[..12].to_string();
        let begun = ExportRun {
            export: export.name.clone(),
            run: number,
            suite: export.suite.clone(),
            target: export.target.word().into(),
            status: runs::WAITING.into(),
            made: Some(clock::now()),
            attempt,
            ..ExportRun::default()
        };
        let made = match compared(lake, &export, ledger, begun, options).await? {
            Some(made) => made,
            None => return nothing_new(&export),
        };
        if options.dry_run {
            let ran = of_run(&made, "dry run", false)?;
            return Ok(RunOutcome { run: None, files: vec![], ..ran });
        }
        runs::note(lake, &made).await?;
        given_out(lake, made, false, options).await
    }
    .boxed_local()
}

/// Says that the target has a run, or that it was never sent. Saying so again changes nothing.
pub async fn end(lake: &Lake, name: &str, number: i64, discard: bool) -> Result<ExportRun> {
    finish_former_run(lake, name).await?;
    let ended = runs::end(lake, name, number, if discard { runs::DISCARDED } else { runs::ACKNOWLEDGED }).await?;
    finish_former_run(lake, name).await?;
    Ok(ended)
}

/// The runs of an export, and a ledger that says nothing of others: what another process makes at this moment is either in both
/// or in none of them.
async fn compared_with(lake: &Lake, name: &str, dry_run: bool) -> Result<(Vec<ExportRun>, Ledger)> {
    loop {
        let known = if dry_run { runs::of(lake, name).await? } else { finish_former_run(lake, name).await? };
        let ledger = Ledger::open(lake, name).await?;
        let is_known = |made: &ExportRun| known.iter().any(|run| run.run == made.run);
        if dry_run || ledger.runs()?.iter().all(is_known) {
            return Ok((known, ledger));
        }
    }
}

/// The runs of an export, after what an earlier process did not get to is done.
async fn finish_former_run(lake: &Lake, name: &str) -> Result<Vec<ExportRun>> {
    let mut known = runs::of(lake, name).await?;
    for made in Ledger::open(lake, name).await?.runs()? {
        match known.iter().find(|run| run.run == made.run) {
            None => {
                runs::note(lake, &made).await?;
                known.push(made);
            }
            Some(run) if run.status == runs::DISCARDED || run.attempt != made.attempt => {
                Ledger::open(lake, name).await?.without(lake, &made.attempt).await?;
            }
            Some(_) => {}
        }
    }
    bodies::clean(lake, name, &known, runs::WAITING).await?;
    known.sort_by_key(|run| run.run);
    Ok(known)
}

/// Gives the bodies of a run to whom they are for.
async fn given_out(lake: &Lake, made: ExportRun, again: bool, options: &RunOptions) -> Result<RunOutcome> {
    let mut files = bodies::names(&made)?;
    if let Some(location) = &options.output {
        files = bodies::copy(lake, &made, location).await?;
    }
    let (mut posted, mut status) = (made.posted, made.status.clone());
    if let Some(post) = options.post.as_ref().filter(|_| made.status == runs::WAITING) {
        posted = sent(lake, &made, post).await?;
        status = end(lake, &made.export, made.run, false).await?.status;
    }
    let ran = of_run(&made, &status, again)?;
    Ok(RunOutcome {
        posted,
        files: if status == runs::WAITING || options.output.is_some() { files } else { vec![] },
        ..ran
    })
}

/// Posts the bodies of a run that are not posted yet; how many are then.
async fn sent(lake: &Lake, made: &ExportRun, post: &Post) -> Result<i64> {
    let kind = made.target.parse::<Target>()?.content_type();
    for body in made.posted + 1..=made.bodies {
        let bytes = bodies::read(lake, made, body).await?;
        let key = format!("{}-{}-{}-{body}", made.export, made.run, made.attempt);
        let done = post.send(bytes, kind, &key).await;
        let accepted = if done.is_ok() { body } else { body - 1 };
        // the first one at once: a run of which the target has something cannot be discarded
        if done.is_err() || body == 1 || body == made.bodies || body % NOTED_EACH == 0 {
            let noted = runs::posted(lake, made, accepted).await;
            let whole = |e: Error| {
                e.at(format!(
                    "export {0}: {accepted} of {1} bodies were accepted, the next run sends the others",
                    made.export, made.bodies
                ))
            };
            done.map_err(whole)?;
            noted?;
        }
    }
    Ok(made.bodies)
}

fn of_run(run: &ExportRun, status: &str, again: bool) -> Result<RunOutcome> {
    let reasons = match run.reasons.as_str() {
        "" => BTreeMap::new(),
        text => serde_json::from_str(text).map_err(|e| Error::bug(format!("run {}: reasons: {e}", run.run)))?,
    };
    Ok(RunOutcome {
        export: run.export.clone(),
        run: Some(run.run),
        status: status.into(),
        again,
        new: run.new,
        restated: run.restated,
        retracted: run.retracted,
        ineligible: run.ineligible,
        reasons,
        bodies: run.bodies,
        posted: run.posted,
        files: bodies::names(run)?,
    })
}

fn nothing_new(export: &Export) -> Result<RunOutcome> {
    let nothing =
        ExportRun { export: export.name.clone(), target: export.target.word().into(), ..ExportRun::default() };
    Ok(RunOutcome { run: None, ..of_run(&nothing, "nothing new", false)? })
}

/// Compares, writes and commits. None where nothing is new.
async fn compared(
    lake: &Lake,
    export: &Export,
    ledger: Ledger,
    begun: ExportRun,
    options: &RunOptions,
) -> Result<Option<ExportRun>> {
    let query = Query::of(export)?;
    let suite = suites::suite(lake, &export.suite).await?;
    let decider = Decider::new(export, &query, &suite.currency, clock::now())?;
    let columns: Vec<String> = query.fields.iter().map(|column| column.name.clone()).collect();
    let frame = targets::frame(export.target, &columns, &export.settings.constants, export.settings.consent.is_some())?;
    let destination = match (&options.output, options.dry_run) {
        (Some(location), true) => Some(Destination::folder(location, &begun)?),
        (None, true) => None,
        (_, false) => Some(Destination::lake(lake, &begun)),
    };
    let fold = !options.dry_run && ledger.is_to_fold()?;
    let mut comparing = Comparing {
        decider,
        target: export.target,
        run: begun,
        reasons: BTreeMap::new(),
        new_rows: (!options.dry_run).then(|| ledger.writer(lake)),
        folded: fold.then(|| ledger.writer(lake)),
        bodies: Writer::new(export.target, columns, frame, destination),
        rows: 0,
    };
    let pins = Pins {
        versions: ledger
            .version()
            .map(|version| (ExportEvent::TABLE.to_string(), version))
            .into_iter()
            .collect::<HashMap<_, _>>(),
        others_newest: true,
    };
    let settings = for_suite(&options.engine, export);
    let settings = match export.settings.credit {
        // conversions are joined with their credit, in parts: one alone would be hashed, which does not spill
        Some(_) => EngineSettings {
            memory_bytes: settings.memory_bytes.min(MEMORY_WITH_CREDIT),
            threads: Some(2),
            batch_size: Some(BATCH_ROWS),
            ..settings
        },
        None => EngineSettings {
            memory_bytes: settings.memory_bytes.min(MEMORY_BYTES),
            // both sides are sorted at once: parts of them would want memory each, and be merged in memory that does not spill
            threads: Some(1),
            batch_size: Some(BATCH_ROWS),
            ..settings
        },
    };
    let engine = Engine::open_at(lake.clone(), settings, Some(pins))?;
    // sorted, what is joined spills
    engine.collect("SET datafusion.optimizer.prefer_hash_join = false").await?;
    let now = engine.run(&query.sql).await.map_err(|e| e.at(format!("export {}", export.name)))?;
    let held = engine.run(&ledger.query()).await?;
    let now = Grouped::new(now.rows, conversions, |conversion: &Conversion| conversion.id.as_str());
    let held = Grouped::new(held.rows, ledger::read, ledger::called);
    let walked = comparing.walk(now, held).await;
    comparing.commit(lake, ledger, walked, options.dry_run).await
}

/// The conversions of a batch.
fn conversions(batch: &RecordBatch) -> Result<Vec<Conversion>> {
    let text = |at: usize| cast(batch.column(at), &DataType::Utf8);
    let ids = text(0)?;
    let ids = ids.as_string::<i32>();
    let (times, values) = (cast(batch.column(1), &DataType::Int64)?, cast(batch.column(2), &DataType::Float64)?);
    let (times, values) = (times.as_primitive::<Int64Type>(), values.as_primitive::<Float64Type>());
    let consents = cast(batch.column(3), &DataType::Boolean)?;
    let consents = consents.as_boolean();
    let texts = (FIXED_COLUMNS..batch.num_columns()).map(text).collect::<Result<Vec<_>, _>>()?;
    let conversion = |row: usize| Conversion {
        id: ids.value(row).to_string(),
        time_us: times.value(row),
        value: values.is_valid(row).then(|| values.value(row)).filter(|value| value.is_finite()),
        consent: consents.is_valid(row) && consents.value(row),
        fields: texts
            .iter()
            .map(|column| {
                let column = column.as_string::<i32>();
                column.is_valid(row).then(|| column.value(row).to_string())
            })
            .collect(),
    };
    Ok((0..batch.num_rows()).map(conversion).collect())
}

/// A comparison under way.
struct Comparing<'e> {
    decider: Decider<'e>,
    target: Target,
    run: ExportRun,
    reasons: BTreeMap<String, i64>,
    /// What this run says.
    new_rows: Option<LedgerWriter>,
    /// What earlier runs said, the last of each conversion.
    folded: Option<LedgerWriter>,
    bodies: Writer,
    /// Rows that this run says.
    rows: u64,
}

impl Comparing<'_> {
    async fn walk(&mut self, mut now: Grouped<Conversion>, mut held: Grouped<ExportEvent>) -> Result<()> {
        let (mut alike, mut known) = (now.next().await?, held.next().await?);
        loop {
            let called = alike.as_ref().and_then(|group| group.first()).map(|first| first.id.as_str());
            let order = match (called, known.as_ref().and_then(|group| group.first()).map(ledger::called)) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(now), Some(held)) => now.cmp(held),
            };
            let mut group = (vec![], vec![]);
            if order != Ordering::Greater {
                group.0 = alike.take().unwrap_or_default();
                alike = now.next().await?;
            }
            if order != Ordering::Less {
                group.1 = known.take().unwrap_or_default();
                known = held.next().await?;
            }
            self.take(group.0, group.1).await?;
        }
    }

    /// Conversions that are called alike, and what was said of them, in the order of runs.
    async fn take(&mut self, alike: Vec<Conversion>, known: Vec<ExportEvent>) -> Result<()> {
        let mut last: BTreeMap<String, ExportEvent> = BTreeMap::new();
        for row in known {
            last.insert(row.event.clone(), row);
        }
        for (id, conversion) in ranked(alike) {
            let held = last.remove(&id);
            self.decide(&id, Some(&conversion), held).await?;
        }
        for (id, held) in last {
            self.decide(&id, None, Some(held)).await?;
        }
        Ok(())
    }

    async fn decide(&mut self, id: &str, now: Option<&Conversion>, held: Option<ExportEvent>) -> Result<()> {
        let target = self.target;
        let decision = self.decider.decide(id, now, held.as_ref(), |sent| targets::again(target, sent));
        if let Some(decision) = decision {
            match decision.row.action.as_str() {
                NEW => self.run.new += 1,
                RESTATED => self.run.restated += 1,
                RETRACTED => self.run.retracted += 1,
                INELIGIBLE => self.run.ineligible += 1,
                _ => {}
            }
            if let Some(reason) = decision.row.reason.as_ref().filter(|_| decision.row.action == INELIGIBLE) {
                *self.reasons.entry(reason.clone()).or_default() += 1;
            }
            if let Some(sent) = &decision.sent {
                self.bodies.push(sent).await?;
            }
            if let Some(rows) = &mut self.new_rows {
                rows.push(ExportEvent { run: self.run.run, ..decision.row }).await?;
            }
            self.rows += 1;
        }
        // what could not be sent and is no more leaves the ledger
        let stays = |held: &ExportEvent| now.is_some() || held.action != INELIGIBLE || held.sent_time.is_some();
        if let (Some(rows), Some(held)) = (&mut self.folded, held.filter(stays)) {
            rows.push(held).await?;
        }
        Ok(())
    }

    /// Makes the run be there; what was written is deleted where it cannot.
    async fn commit(self, lake: &Lake, ledger: Ledger, walked: Result<()>, dry_run: bool) -> Result<Option<ExportRun>> {
        let Self { mut run, reasons, new_rows, folded, bodies, rows, .. } = self;
        run.bodies = match walked {
            Ok(()) => bodies.finish().await?,
            Err(error) => {
                if !dry_run {
                    bodies.abandon(lake, &run).await;
                }
                return Err(error);
            }
        };
        run.reasons = serde_json::to_string(&reasons).map_err(|e| Error::bug(format!("reasons: {e}")))?;
        if run.bodies == 0 {
            // there is nothing to be acknowledged
            (run.status, run.ended) = (runs::ACKNOWLEDGED.into(), run.made);
        }
        let (Some(new_rows), false) = (new_rows, dry_run) else { return Ok((rows > 0).then_some(run)) };
        let written = match new_rows.finish().await {
            Ok(new_rows) => match folded {
                Some(folded) => folded.finish().await.map(|folded| (new_rows.clone(), Some(folded))),
                None => Ok((new_rows.clone(), None)),
            }
            .map_err(|error| (error, new_rows)),
            Err(error) => Err((error, None)),
        };
        let done = match written {
            Ok((None, None)) => return Ok(None),
            Ok((new_rows, folded)) => ledger.commit(lake, &run, new_rows, folded).await,
            Err((error, left)) => {
                discard_uncommitted(lake, ExportEvent::TABLE, &left.iter().collect::<Vec<_>>()).await;
                Err(error)
            }
        };
        match done {
            Ok(()) => Ok((rows > 0).then_some(run)),
            // a commit whose outcome nobody knows may name these bodies
            Err(error) => {
                if error.kind() == crate::ErrorKind::Conflict {
                    bodies::forget(lake, &run, run.bodies).await;
                }
                Err(error)
            }
        }
    }
}
