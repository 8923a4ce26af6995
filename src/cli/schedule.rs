//! `rejoin schedule`: what was typed becomes a job and a timetable; each run is printed as it ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use clap::Args;
use indicatif::HumanCount;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::export::{counts_of, token};
use super::ingest::{explain, verdict};
use super::output::{Output, note};
use super::settings::Settings;
use super::signals::Signals;
use crate::export::post::Post;
use crate::format::Format;
use crate::ingest::IngestOptions;
use crate::ingest::mapping::Mapping;
use crate::ingest::remote::PathOrBucket;
use crate::lake::suites;
use crate::rebuild::RebuildOptions;
use crate::schedule::{self, EndedRun, Job, RunnerStatus, Timetable};
use crate::{Error, Result};

/// A step that failed for a passing reason is tried again for so long; a caller of one run tries again himself.
const PATIENCE: Duration = Duration::from_secs(3600);
const PATIENCE_ONCE: Duration = Duration::from_secs(60);

/// A store that does not answer holds nobody longer; a stop in order takes less.
const LAST_WAIT: Duration = Duration::from_secs(25);

/// As shells have it for a process that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Load what arrives and rebuild, by the clock; each lake has one runner
#[derive(Debug, Args)]
#[command(after_help = "\
A run loads the complete inputs of the watched places (as ingest does), in alphanumeric order, then rebuilds. Files \
that are known and unchanged are not read again. Runs never overlap. Runs that were missed are made up for by one. \
SELECT * FROM runs shows the history.

Where the clock is put forward, a run of the skipped hour comes right after it; where it is put back, a run comes \
once. An interval of days or weeks keeps the time of day.

SIGTERM and Ctrl-C stop within seconds, a second one at once. A second runner of a lake ends with exit code 5; after a \
crash the lake is free again in 45 seconds. The token of an export's URL is taken from REJOIN_EXPORT_TOKEN.

Examples:
  rejoin schedule --cron '30 4 * * *' --watch /data/feeds --watch /data/crm
  rejoin schedule --every 15m --watch s3://drop/feeds/ --http 9187
  rejoin schedule --cron '0 6 * * 1-5' --zone Europe/Berlin --watch clicks/ --mapping web.toml
  rejoin schedule --every 1h --watch in/ --export closed=https://partner.example/events
  rejoin schedule --once --watch /data/feeds         # one run, for cron or Kubernetes")]
pub struct ScheduleArguments {
    /// When to run: minute, hour, day of month, month, day of week
    #[arg(long, value_name = "EXPR", conflicts_with = "every")]
    pub cron: Option<String>,
    /// How often to run: 15m, 6h, 1d, 2w
    #[arg(long, value_name = "TIME")]
    pub every: Option<String>,
    /// IANA time zone of the clock [default: the suite's, else UTC]
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// Folder or s3://bucket/prefix/ to look through in every run; may be given several times
    #[arg(long, value_name = "DIR")]
    pub watch: Vec<PathBuf>,
    /// How the columns of any other clickstream map to ours (TOML); may be given several times
    #[arg(long, value_name = "FILE")]
    pub mapping: Vec<PathBuf>,
    /// Data source that data source files belong to
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// A loaded file of the same name with other content is replaced
    #[arg(long)]
    pub replace: bool,
    /// Folder with .sql files, each a table of your own [env: REJOIN_QUERIES] [default: queries/ in the lake]
    #[arg(long, value_name = "DIR", env = "REJOIN_QUERIES", hide_env = true)]
    pub queries: Option<PathBuf>,
    /// One run, now
    #[arg(long)]
    pub once: bool,
    /// Serve /healthz, /readyz and /metrics here; a port alone is reached from this machine only
    #[arg(long, value_name = "ADDR")]
    pub http: Option<String>,
    /// Keep the current month and this many before it; every run forgets older rows
    #[arg(long, value_name = "MONTHS", value_parser = clap::value_parser!(u32).range(1..=1200))]
    pub keep_months: Option<u32>,
    /// Do not compact after a rebuild
    #[arg(long)]
    pub no_compact: bool,
    /// Run this export after the rebuild; with =URL its bodies are sent; may be given several times
    #[arg(long, value_name = "NAME[=URL]")]
    pub export: Vec<String>,
}

/// Runs until a signal, or once. A first SIGTERM or Ctrl-C stops cleanly, a second one at once.
pub async fn run(settings: &Settings, arguments: &ScheduleArguments) -> Result<u8> {
    let (stopper, stop) = watch::channel(false);
    let mut signals = Signals::new()?;
    let scheduled = scheduled(settings, arguments, &stop);
    tokio::pin!(scheduled);
    tokio::select! {
        done = &mut scheduled => return done.map(|()| 0),
        () = signals.next() => {}
    }
    note("rejoin: stopping; a second signal ends at once");
    // what listened has ended by itself
    let _ = stopper.send(true);
    tokio::select! {
        done = scheduled => done.map(|()| 0),
        () = signals.next() => Ok(INTERRUPTED),
        () = tokio::time::sleep(LAST_WAIT) => {
            Err(Error::unavailable("stopped; the store did not answer, so that the lease ends by itself"))
        }
    }
}

async fn scheduled(settings: &Settings, arguments: &ScheduleArguments, stop: &watch::Receiver<bool>) -> Result<()> {
    let zone = zone(settings, arguments).await?;
    let timetable = timetable(arguments, zone)?;
    let job = job(settings, arguments)?;
    if arguments.watch.is_empty() {
        note("rejoin: no place is watched (--watch): a run loads nothing, and rebuilds");
    }
    let status = Arc::new(RunnerStatus::default());
    if let Some(address) = &arguments.http {
        let bound = schedule::serve(address, status.clone()).await?;
        note(format!("rejoin: http://{bound}/healthz, /readyz, /metrics"));
    }
    let is_json = settings.json;
    let tell = move |ran: &EndedRun| print(ran, is_json, zone);
    let Some(ran) = schedule::run(&job, timetable, stop, &status, &tell).await? else { return Ok(()) };
    tell(&ran)?;
    match (ran.steps.error, ran.steps.upkeep) {
        (Some(error), _) => Err(error),
        (None, upkeep) => {
            verdict(&ran.steps.outcomes)?;
            upkeep.map_or(Ok(()), |u| super::rebuild::verdict(&u.rebuilt.own))?;
            ran.steps.exports.into_iter().try_for_each(|(_, ran)| ran.map(drop))
        }
    }
}

/// The asked one, else that of the suite, else that of the only suite, else UTC.
async fn zone(settings: &Settings, arguments: &ScheduleArguments) -> Result<Tz> {
    let name = match (&arguments.zone, &settings.suite) {
        (Some(zone), _) => suites::time_zone(zone).map_err(|e| Error::usage(format!("--zone: {e}")))?,
        (None, Some(suite)) => suites::suite(&settings.lake, suite).await?.time_zone,
        (None, None) => match &suites::suites(&settings.lake).await?[..] {
            [only] => only.time_zone.clone(),
            _ => "UTC".into(),
        },
    };
    name.parse().map_err(|_| Error::configuration(format!("time zone {name:?} is not known; give --zone")))
}

fn timetable(arguments: &ScheduleArguments, zone: Tz) -> Result<Option<Timetable>> {
    match (&arguments.cron, &arguments.every) {
        _ if arguments.once => Ok(None),
        (Some(expression), _) => Timetable::cron(expression, zone).map(Some),
        (None, Some(interval)) => Timetable::every(interval, zone).map(Some),
        (None, None) => Err(Error::usage(
            "when? give --cron, --every or --once, e.g.\n  \
             rejoin schedule --cron '30 4 * * *' --watch in/\n  \
             rejoin schedule --every 15m --watch in/\n  \
             rejoin schedule --once --watch in/",
        )),
    }
}

fn job(settings: &Settings, arguments: &ScheduleArguments) -> Result<Job> {
    // what is wrong now will be wrong every night
    arguments.mapping.iter().try_for_each(|path| Mapping::read(path).map(drop))?;
    Ok(Job {
        lake: settings.lake.clone(),
        watch: arguments.watch.iter().map(|path| watched(path)).collect::<Result<_>>()?,
        options: IngestOptions {
            suite: settings.suite.clone(),
            source: arguments.source.clone(),
            mappings: arguments.mapping.clone(),
            validate: false,
            replace: arguments.replace,
            again: false,
            copies: false,
            memory_bytes: settings.memory_bytes,
        },
        engine: settings.engine(None)?,
        rebuild: RebuildOptions { full: false, queries: arguments.queries.clone() },
        keep_months: arguments.keep_months,
        no_compact: arguments.no_compact,
        exports: arguments.export.iter().map(|text| exported(text)).collect::<Result<_>>()?,
        patience: if arguments.once { PATIENCE_ONCE } else { PATIENCE },
    })
}

/// `closed`, or `closed=https://...`.
fn exported(text: &str) -> Result<(String, Option<Post>)> {
    let (name, address) = text.split_once('=').map_or((text, None), |(name, address)| (name, Some(address)));
    let post = address.map(|address| Post::to(address, token().as_deref())).transpose();
    Ok((name.to_string(), post.map_err(|e| e.at(format!("--export {name}")))?))
}

/// A watched place under a name that stays the same wherever the process was started.
fn watched(path: &Path) -> Result<PathBuf> {
    match PathOrBucket::of(path)? {
        PathOrBucket::Bucket(_) => Ok(path.to_path_buf()),
        PathOrBucket::Local(local) => {
            local.canonicalize().map_err(|e| Error::usage(format!("--watch {}: {e}", local.display())))
        }
    }
}

/// A run, as a line on stdout; refusals and rejected rows on stderr.
fn print(ran: &EndedRun, is_json: bool, zone: Tz) -> Result<()> {
    let mut output = Output::stdout(Format::Table);
    if is_json {
        output.line(document(ran).to_string())?;
        return output.close();
    }
    output.line(line(ran, zone))?;
    output.close()?;
    ran.steps.outcomes.iter().for_each(explain);
    ran.steps.warnings.iter().for_each(|warning| note(crate::format::printable(warning)));
    for error in ran.steps.exports.iter().filter_map(|(_, ran)| ran.as_ref().err()) {
        note(format!("rejoin: {error}"));
    }
    if let Some(error) = &ran.steps.error {
        note(format!("rejoin: {error}"));
    }
    if let Some(upkeep) = &ran.steps.upkeep {
        for own in upkeep.rebuilt.own.iter().filter(|own| own.status != "built") {
            note(format!("rejoin: table {} {}: {}", own.table, own.status, own.message));
        }
        if let Err(error) = &upkeep.compacted {
            note(format!("rejoin: not compacted: {error}"));
        }
    }
    Ok(())
}

fn line(ran: &EndedRun, zone: Tz) -> String {
    let run = &ran.run;
    let count = |number: i64, what: &str| {
        let plural = if number == 1 { "" } else { "s" };
        format!("{} {what}{plural}", HumanCount(number.unsigned_abs()))
    };
    let local = |time: Option<DateTime<Utc>>| {
        time.map_or_else(String::new, |t| t.with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string())
    };
    let mut parts = vec![format!("{} loaded, {}", count(run.loaded, "file"), count(run.rows, "row"))];
    for (number, what) in [(run.rejected, "rejected"), (run.refused, "refused"), (run.waiting, "waiting")] {
        if number > 0 {
            let of = if what == "rejected" { "row" } else { "file" };
            parts.push(format!("{} {what}", count(number, of)));
        }
    }
    if run.forgotten > 0 {
        parts.push(format!("{} forgotten", count(run.forgotten, "row")));
    }
    parts.push(run.rebuild.map_or_else(|| "nothing to rebuild".into(), |number| format!("rebuild {number}")));
    let exports = ran.steps.exports.iter().filter_map(|(_, ran)| ran.as_ref().ok()).filter(|ran| ran.run.is_some());
    parts.extend(exports.map(|ran| format!("export {}: {}", ran.export, counts_of(ran))));
    format!("{} run {} {}: {}", local(run.started), run.run, run.status, parts.join(", "))
}

/// One document a line, so that the runs of a long time can be read as they come.
fn document(ran: &EndedRun) -> Value {
    let files: Vec<Value> = ran.steps.outcomes.iter().map(super::ingest::report).collect();
    let mut document = json!(ran.run);
    document["files"] = json!(files);
    document["warnings"] = json!(ran.steps.warnings);
    let exports = ran.steps.exports.iter().filter_map(|(_, ran)| ran.as_ref().ok());
    document["exports"] = json!(exports.collect::<Vec<_>>());
    document
}
