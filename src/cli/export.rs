//! `rejoin export`: conversions are sent to ad platforms, and sent again where they change.

use std::collections::BTreeMap;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::choice::choice;
use super::filters::Filters;
use super::listing::Listing;
use super::output::Output;
use super::settings::Settings;
use crate::export::counts::{Count, counts};
use crate::export::definition::{self, Credit, Export};
use crate::export::post::Post;
use crate::export::run::{self, RunOptions, RunOutcome};
use crate::export::{runs, saved};
use crate::format::Format;
use crate::lake::records::ExportRun;
use crate::lake::suites::{self, suites};
use crate::quote::literal;
use crate::{Error, Result};

/// Where the token for `--post` is found.
const TOKEN: &str = "REJOIN_EXPORT_TOKEN";

#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Create an export: which conversions are sent to whom
    #[command(after_help = "\
A conversion is a row of events on which the metric is not zero. --field says where a field of the target comes \
from, --set what is the same for all conversions; rejoin help exports lists the fields. What tells who somebody is \
leaves the lake hashed.

Examples:
  rejoin export create leads --to google --metric event12 --set account=1234567890 \\
      --set conversion_action=987 --set event_source=WEB --field gclid=evar7 --field email=evar8 \\
      --consent \"evar9 = 'granted'\"
  rejoin export create closed --to ecapi --metric event12 --set data_set_id=shop \\
      --set event_type=close_convert_lead --set source=phone_call --field click_id=evar7
  rejoin export create refunds --to ecapi --metric revenue --conversions 'revenue < 0' \\
      --value '-revenue' --set data_set_id=shop --set event_type=refund --field click_id=evar7
  rejoin export create ours --to csv --metric revenue --credit \"item LIKE 'search%'\" \\
      --model linear --field campaign=tracking_code")]
    Create(Box<CreateArguments>),
    /// Write or send what changed since the last run
    #[command(after_help = "\
Bodies lie in the lake's folder exports/NAME/RUN/ until the run is acknowledged; -o puts them into a folder or \
bucket, too. --post sends them and acknowledges the run when all are accepted; the token is taken from \
REJOIN_EXPORT_TOKEN. While a run waits for its acknowledgement, the command gives the same bodies again.

Examples:
  rejoin export run leads --dry-run
  rejoin export run leads -o out && rejoin export ack leads 1
  REJOIN_EXPORT_TOKEN=... rejoin export run leads \\
      --post https://datamanager.googleapis.com/v1/events:ingest")]
    Run(RunArguments),
    /// Acknowledge a run: the target has what it sent
    Ack(AckArguments),
    /// List the exports
    List,
    /// Show an export, its runs, and what the ledger says
    Show {
        /// Name of the export
        name: String,
    },
    /// Drop an export; the ledger keeps what the target has
    Drop {
        /// Name of the export
        name: String,
    },
}

choice! { /// To whom conversions are told.
To { Ecapi => "ecapi", Google => "google", Meta => "meta", Csv => "csv" } }

#[derive(Debug, Args)]
pub struct CreateArguments {
    /// Name of the export: lower-case letters, digits, _ and -
    pub name: String,
    /// Where to send conversions
    #[arg(long, value_name = "TARGET")]
    pub to: To,
    /// The metric: a row on which it is not zero is a conversion
    #[arg(long, value_name = "M")]
    pub metric: String,
    /// The value, an SQL expression over events [default: the metric]
    #[arg(long, value_name = "SQL", conflicts_with = "credit")]
    pub value: Option<String>,
    /// The value is the credit of the items for which this SQL condition over item holds
    #[arg(long, value_name = "SQL")]
    pub credit: Option<String>,
    /// The dimension whose items get credit [default: tracking_code]
    #[arg(long, value_name = "D", requires = "credit")]
    pub dimension: Option<String>,
    /// The attribution model, e.g. linear [default: last_touch]
    #[arg(long, value_name = "MODEL", requires = "credit")]
    pub model: Option<String>,
    /// How far apart a touch and a conversion may be: visit, visitor [default: visitor]
    #[arg(long, value_name = "CONTAINER", requires = "credit")]
    pub container: Option<String>,
    /// How long before a conversion a touch still counts [default: 30 days]
    #[arg(long, value_name = "TIME", requires = "credit")]
    pub lookback: Option<String>,
    /// Where a field of the target comes from: a column of events or an SQL expression; may be given several times
    #[arg(long, value_name = "FIELD=SQL", value_parser = pair)]
    pub field: Vec<(String, String)>,
    /// A field that is the same for all conversions; may be given several times
    #[arg(long, value_name = "FIELD=TEXT", value_parser = pair)]
    pub set: Vec<(String, String)>,
    /// A field that leaves the lake hashed, besides those that the target wants hashed
    #[arg(long, value_name = "FIELD")]
    pub hash: Vec<String>,
    /// A personal field that leaves the lake as it is, not hashed
    #[arg(long, value_name = "FIELD")]
    pub plain: Vec<String>,
    /// Only send conversions on rows where this SQL condition over events holds
    #[arg(long, value_name = "SQL")]
    pub consent: Option<String>,
    /// The oldest conversions to send [default: google 63 days, meta 7 days, from a shop 62 days]
    #[arg(long, value_name = "TIME")]
    pub max_age: Option<String>,
    /// Only conversions on rows where this SQL condition over events holds
    #[arg(long, value_name = "SQL", help_heading = "Filters")]
    pub conversions: Option<String>,
    #[command(flatten)]
    pub filters: Filters,
}

#[derive(Debug, Args)]
pub struct RunArguments {
    /// Name of the export
    pub name: String,
    /// Write the bodies into this folder or s3://bucket/prefix as well
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<String>,
    /// Only show what is new; with -o the bodies are written there
    #[arg(long, conflicts_with = "post")]
    pub dry_run: bool,
    /// Send the bodies to this address, and acknowledge the run when all are accepted
    #[arg(long, value_name = "URL")]
    pub post: Option<String>,
}

#[derive(Debug, Args)]
pub struct AckArguments {
    /// Name of the export
    pub name: String,
    /// Number of the run
    pub run: i64,
    /// It was never sent: the next run sends what this one would have sent
    #[arg(long)]
    pub discard: bool,
}

/// `gclid=evar7`.
fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, value)| !name.trim().is_empty() && !value.trim().is_empty());
    let (name, value) = pair.ok_or("expected FIELD=..., e.g. gclid=evar7")?;
    Ok((name.trim().to_string(), value.trim().to_string()))
}

impl CreateArguments {
    fn export(&self, suite: &str) -> Result<Export> {
        let once = |pairs: &[(String, String)], option: &str| {
            let mut all = BTreeMap::new();
            for (name, value) in pairs {
                if all.insert(name.clone(), value.clone()).is_some() {
                    return Err(Error::usage(format!("{option} {name} is given twice")));
                }
            }
            Ok(all)
        };
        let of_questions = |name: &str| matches!(name, "visitors" | "visits" | "segment");
        let of_credit: Vec<(&str, String)> =
            self.filters.given().into_iter().filter(|(name, _)| !of_questions(name)).collect();
        let credit = match &self.credit {
            Some(items) => {
                let texts = [("model", &self.model), ("container", &self.container), ("lookback", &self.lookback)];
                let texts = texts.into_iter().filter_map(|(name, text)| Some((name, literal(text.as_deref()?))));
                let arguments = texts.chain(of_credit).map(|(name, value)| (name.to_string(), value)).collect();
                let dimension = self.dimension.clone().unwrap_or_else(|| "tracking_code".into());
                Some(Credit { items: items.clone(), dimension, arguments })
            }
            None => {
                if let Some((name, _)) = of_credit.first() {
                    let option = name.replace('_', "-");
                    return Err(Error::usage(format!("--{option} is about credit; give --credit, too")));
                }
                None
            }
        };
        Ok(Export {
            name: self.name.clone(),
            suite: suite.to_string(),
            target: self.to.word().parse()?,
            metric: self.metric.clone(),
            settings: definition::Settings {
                value: self.value.clone(),
                credit,
                conversions: self.conversions.clone(),
                visitors: self.filters.visitors.clone(),
                visits: self.filters.visits.clone(),
                segment: self.filters.segment.clone(),
                fields: once(&self.field, "--field")?,
                constants: once(&self.set, "--set")?,
                hash: self.hash.iter().cloned().collect(),
                plain: self.plain.iter().cloned().collect(),
                consent: self.consent.clone(),
                max_age: self.max_age.clone(),
            },
        })
    }
}

/// Runs `export create`, `run`, `ack`, `list`, `show`, `drop`.
pub async fn run(settings: &Settings, command: &ExportCommand) -> Result<()> {
    match command {
        ExportCommand::Create(typed) => create(settings, typed).await,
        ExportCommand::Run(typed) => make(settings, typed).await,
        ExportCommand::Ack(typed) => {
            let ended = run::end(&settings.lake, &typed.name, typed.run, typed.discard).await?;
            print_outcome(settings, &ended, format!("export {}: run {} is {}", ended.export, ended.run, ended.status))
        }
        ExportCommand::List => list(settings).await,
        ExportCommand::Show { name } => show(settings, name).await,
        ExportCommand::Drop { name } => {
            saved::remove(&settings.lake, name).await?;
            print_outcome(settings, &json!({"export": name, "dropped": true}), format!("export {name} is gone"))
        }
    }
}

fn print_outcome(settings: &Settings, shown: &impl serde::Serialize, line: String) -> Result<()> {
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(shown)?;
    } else {
        output.line(line)?;
    }
    output.close()
}

async fn create(settings: &Settings, typed: &CreateArguments) -> Result<()> {
    let all = suites(&settings.lake).await?;
    let suite = suites::one(&all, settings.suite.as_deref())?;
    let export = typed.export(&suite.suite)?;
    saved::create(&settings.lake, &export, &settings.engine(None)?).await?;
    let line = format!("export {0} is saved; see what it would send: rejoin export run {0} --dry-run", export.name);
    print_outcome(settings, &export, line)
}

async fn make(settings: &Settings, typed: &RunArguments) -> Result<()> {
    let post = typed.post.as_deref().map(|url| Post::to(url, token().as_deref())).transpose()?;
    let options =
        RunOptions { output: typed.output.clone(), dry_run: typed.dry_run, post, engine: settings.engine(None)? };
    let ran = run::run(&settings.lake, &typed.name, &options).await?;
    print_outcome(settings, &ran, lines_of(&ran))
}

/// The token for `--post`, from the environment.
pub fn token() -> Option<String> {
    std::env::var(TOKEN).ok().filter(|token| !token.is_empty())
}

/// What a run counted, for a person.
pub fn counts_of(ran: &RunOutcome) -> String {
    let RunOutcome { new, restated, retracted, ineligible, .. } = ran;
    format!("{new} new, {restated} restated, {retracted} retracted, {ineligible} newly ineligible")
}

/// What came of a run, for a person.
fn lines_of(ran: &RunOutcome) -> String {
    let (export, counts) = (&ran.export, counts_of(ran));
    let mut lines = vec![match (ran.run, ran.again) {
        (Some(run), true) => {
            format!("export {export}: run {run} is not acknowledged yet, so it is the same again: {counts}")
        }
        (Some(run), false) => format!("export {export}, run {run}: {counts}"),
        (None, _) if ran.status == "dry run" => format!("export {export} would tell: {counts}"),
        (None, _) => format!("export {export}: nothing new"),
    }];
    lines.extend(ran.reasons.iter().map(|(reason, count)| format!("  ineligible: {count} {reason}")));
    lines.extend(ran.files.iter().map(|file| format!("  {file}")));
    if ran.status == runs::WAITING
        && let Some(run) = ran.run
    {
        lines.push(format!("when the target has it: rejoin export ack {export} {run}"));
    }
    if ran.status == runs::ACKNOWLEDGED && ran.posted > 0 {
        lines.push(format!("{} bodies were accepted; the run is acknowledged", ran.posted));
    }
    lines.join("\n")
}

async fn list(settings: &Settings) -> Result<()> {
    let exports = saved::exports(&settings.lake).await?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&exports)?;
        return output.close();
    }
    let mut last: Vec<Option<ExportRun>> = vec![];
    for export in &exports {
        last.push(runs::of(&settings.lake, &export.name).await?.pop());
    }
    let status = |run: &Option<ExportRun>| {
        run.as_ref().map_or_else(|| "-".to_string(), |run| format!("run {} {}", run.run, run.status))
    };
    let listing = Listing::new()
        .text("export", exports.iter().map(|export| &export.name))
        .text("suite", exports.iter().map(|export| &export.suite))
        .text("to", exports.iter().map(|export| export.target.word()))
        .text("metric", exports.iter().map(|export| &export.metric))
        .text("last", last.iter().map(status))
        .time("at", last.iter().map(|run| run.as_ref().and_then(|run| run.ended.or(run.made))));
    output.batch(&listing.batch()?)?;
    output.close()
}

async fn show(settings: &Settings, name: &str) -> Result<()> {
    let export = saved::find(&settings.lake, name).await?;
    let runs = runs::of(&settings.lake, name).await?;
    let counts = counts(&settings.lake, &export, &settings.engine(None)?).await?;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&json!({"definition": export, "runs": runs, "ledger": counts}))?;
        return output.close();
    }
    output.line(format!(
        "export {name} tells {} the conversions of {} (suite {})",
        export.target, export.metric, export.suite
    ))?;
    let value = serde_json::to_value(&export.settings).map_err(|e| Error::bug(format!("export: {e}")))?;
    for (setting, value) in value.as_object().into_iter().flatten() {
        let is_empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(|o| o.is_empty());
        if !is_empty {
            output
                .line(format!("  {setting}: {}", value.as_str().map_or_else(|| value.to_string(), str::to_string)))?;
        }
    }
    output.line("")?;
    output.batch(&of_counts(&counts).batch()?)?;
    output.line("")?;
    let number = |what: fn(&ExportRun) -> i64| runs.iter().map(what).collect::<Vec<_>>();
    let listing = Listing::new()
        .number("run", number(|run| run.run))
        .text("status", runs.iter().map(|run| &run.status))
        .time("made", runs.iter().map(|run| run.made))
        .time("ended", runs.iter().map(|run| run.ended))
        .number("new", number(|run| run.new))
        .number("restated", number(|run| run.restated))
        .number("retracted", number(|run| run.retracted))
        .number("ineligible", number(|run| run.ineligible))
        .number("bodies", number(|run| run.bodies))
        .number("posted", number(|run| run.posted));
    output.batch(&listing.batch()?)?;
    output.close()
}

fn of_counts(counts: &[Count]) -> Listing {
    Listing::new()
        .text("said last", counts.iter().map(|count| &count.action))
        .text("reason", counts.iter().map(|count| count.reason.clone().unwrap_or_default()))
        .number("conversions", counts.iter().map(|count| count.conversions))
}
