//! `rejoin demo`: sample data, loaded and rebuilt, and the three cases that Rejoin is for, each as a small table.

use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Instant;

use futures::StreamExt;
use indicatif::HumanCount;
use serde_json::json;

use super::output::Output;
use super::settings::Settings;
use super::{ingest, progress, rebuild, terminal};
use crate::engine::Engine;
use crate::format::{Format, TextStyle};
use crate::ingest::IngestOptions;
use crate::lake::Lake;
use crate::lake::sources::{NewSource, create_source};
use crate::lake::suites::{SuiteChanges, create_suite};
use crate::quote::literals;
use crate::rebuild::{RebuildOptions, Rebuilt};
use crate::sample::{Sample, SampleOptions, Story, write_sample};
use crate::{Error, ErrorKind, Result};

/// Make sample data, load it, and show what offline events add
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Online hits to make
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    pub hits: u64,
}

/// Runs the demo in a new temporary lake, or in the one that `--lake` names.
pub async fn run(settings: &Settings, arguments: &DemoArguments) -> Result<()> {
    let place = DemoFolder::make(settings)?;
    let mut settings = settings.clone();
    settings.lake = Lake::open(&place.lake)?;
    let options = SampleOptions {
        hits: arguments.hits,
        suite: settings.suite.clone().unwrap_or(SampleOptions::default().suite),
        ..SampleOptions::default()
    };
    settings.suite = Some(options.suite.clone());
    let mut output = Output::stdout(Format::Table).with_null("-");
    let start = Instant::now();
    let sample = make(&place.input, &options)?;
    let made = start.elapsed().as_secs_f64();
    let loading = Instant::now();
    let rows = load(&settings, &place.input, &sample).await?;
    let loaded = loading.elapsed().as_secs_f64();
    let rebuilt = rebuild::with_progress(&settings, &RebuildOptions::default(), true).await?.rebuilt;
    let engine = Engine::open(settings.lake.clone(), settings.engine(None)?).await?;
    if settings.json {
        output.json(&report(&settings, &engine, &sample, &rebuilt).await?)?;
        output.close()?;
        place.keep();
        return Ok(());
    }
    output.line(format!(
        "Made {} hits of {} visitors and {} offline records in {made:.1} s, loaded {} rows in {loaded:.1} s, rebuilt in {:.1} s.\n",
        HumanCount(sample.hits),
        HumanCount(sample.visitors),
        HumanCount(sample.sources.iter().map(|s| s.accepted + s.rejected).sum()),
        HumanCount(rows),
        rebuilt.seconds
    ))?;
    let mut matched = rebuild::join_report(&rebuilt.report)?;
    // each source has one file, named after it
    if let Ok(file) = matched.schema().index_of("file") {
        matched.remove_column(file);
    }
    output.batch(&matched)?;
    for (number, story) in sample.stories.iter().enumerate() {
        output.line(format!("\n{}", heading(&format!("{}. {}", number + 1, capital(story.title)))))?;
        output.line(explanation(story))?;
        let running = engine.run(&case_sql(story)).await?;
        output.stream(&running.schema, running.rows).await?;
    }
    if let Some(story) = sample.stories.first() {
        let lake = &place.lake;
        output.line(format!("\n{}", heading("Go on")))?;
        output.line(format!("  rejoin --lake {lake} status"))?;
        output.line(format!("  rejoin --lake {lake} shell"))?;
        output.line("and in the shell, for the first table above:")?;
        output.line(format!("{};", case_sql(story)))?;
    }
    output.close()?;
    place.keep();
    Ok(())
}

/// Where the demo works. A temporary folder goes away again unless the demo succeeds.
struct DemoFolder {
    lake: String,
    input: PathBuf,
    temporary: Option<tempfile::TempDir>,
    _input: Option<tempfile::TempDir>,
}

impl DemoFolder {
    fn make(settings: &Settings) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("rejoin-demo-").tempdir();
        let folder = folder.map_err(|e| Error::unavailable(format!("{}: {e}", std::env::temp_dir().display())))?;
        let input = folder.path().join("input");
        if settings.explicit_lake {
            return Ok(Self { lake: settings.location.clone(), input, temporary: None, _input: Some(folder) });
        }
        let lake = folder.path().join("lake").display().to_string();
        Ok(Self { lake, input, temporary: Some(folder), _input: None })
    }

    /// Leaves the temporary lake to the user.
    fn keep(self) {
        if let Some(folder) = self.temporary {
            let _ = folder.keep();
        }
    }
}

fn make(dir: &Path, options: &SampleOptions) -> Result<Sample> {
    let bar = progress::bar("making hits", options.hits, "hits");
    let sample = write_sample(dir, options, &mut |hits| bar.set_position(hits));
    bar.finish_and_clear();
    sample
}

/// Creates suite and sources and loads everything; the number of rows.
async fn load(settings: &Settings, input: &Path, sample: &Sample) -> Result<u64> {
    let lake = &settings.lake;
    let suite = settings.suite.clone().unwrap_or_default();
    // a second run on the same lake finds them there and changes nothing
    there_already(create_suite(lake, &suite, &SuiteChanges::default()).await)?;
    let options =
        IngestOptions { suite: Some(suite.clone()), memory_bytes: settings.memory_bytes, ..IngestOptions::default() };
    let mut outcomes = ingest::with_progress(settings, &[input.join("feed")], &options).await?;
    for source in &sample.sources {
        let new = NewSource {
            suite: suite.clone(),
            name: source.name.into(),
            kind: source.kind.as_str().into(),
            on_error: "skip".into(),
            ..NewSource::default()
        };
        there_already(create_source(lake, &new).await)?;
        let options = IngestOptions { source: Some(source.name.into()), ..options.clone() };
        outcomes.extend(ingest::with_progress(settings, std::slice::from_ref(&source.path), &options).await?);
    }
    ingest::verdict(&outcomes)?;
    Ok(outcomes.iter().map(|o| o.entry.rows.unsigned_abs()).sum())
}

fn there_already<T>(created: Result<T>) -> Result<()> {
    match created {
        Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
        _ => Ok(()),
    }
}

/// The three reports on a story's items, side by side.
fn case_sql(story: &Story) -> String {
    let (metric, dimension) = (story.metric, story.dimension);
    let items = literals(story.rows.iter().map(|r| r.item));
    format!(
        "SELECT coalesce(p.item, v.item, w.item) AS item, p.total AS \"plain report\",
       v.credit AS \"visit participation\", w.credit AS \"visitor participation\"
FROM (SELECT {dimension} AS item, sum({metric}) AS total FROM events GROUP BY 1) p
FULL JOIN participation('{metric}', '{dimension}', 'visit') v ON v.item = p.item
FULL JOIN participation('{metric}', '{dimension}', 'visitor') w ON w.item = coalesce(p.item, v.item)
WHERE coalesce(p.item, v.item, w.item) IN ({items}) ORDER BY item"
    )
}

/// One sentence on what the table shows.
fn explanation(story: &Story) -> &'static str {
    match story.source {
        "leads" => {
            "The salesman's 500 comes from a file and belongs to no visit. Tied by its transaction ID, it is the lead's;\n\
             visitor participation also credits the campaign that brought the visitor back in between."
        }
        "store_returns" => {
            "Visit participation still believes in the 120. With the return tied to the order, both campaigns that led\n\
             to it come out at 0."
        }
        _ => {
            "The call came by phone, with the order's number. Visitor participation shows every campaign that had led to\n\
             the order that now costs a call."
        }
    }
}

/// Everything that the demo shows, as one document.
async fn report(settings: &Settings, engine: &Engine, sample: &Sample, rebuilt: &Rebuilt) -> Result<serde_json::Value> {
    let mut cases = vec![];
    for story in sample.stories {
        let sql = case_sql(story);
        let running = engine.run(&sql).await?;
        let mut text = vec![];
        let mut encoder = Format::Json.encoder(&running.schema, TextStyle::default(), &mut text)?;
        let mut rows = running.rows;
        while let Some(batch) = rows.next().await {
            encoder.rows(&batch?)?;
        }
        encoder.finish()?;
        let rows: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| Error::bug(format!("case {}: {e}", story.title)))?;
        cases.push(json!({
            "title": story.title, "metric": story.metric, "dimension": story.dimension, "sql": sql, "rows": rows,
        }));
    }
    Ok(json!({
        "lake": settings.lake.url(), "suite": settings.suite, "hits": sample.hits, "visitors": sample.visitors,
        "join_report": rebuilt.report, "cases": cases,
    }))
}

fn heading(text: &str) -> String {
    if terminal::text_style().colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_string() }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
