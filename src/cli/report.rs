//! `rejoin report`: the named reports.

use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};

use super::filters::Filters;
use super::output::{Output, note};
use super::progress;
use super::settings::{Settings, result_format};
use crate::engine::Engine;
use crate::format::Format;
use crate::pages::{self, ReportChoices};
use crate::quote::literal;
use crate::report::{Report, find, reports};
use crate::{Error, Result};

/// Named reports: model comparison, net revenue after returns, return on ad spend, ...
#[derive(Debug, Args)]
#[command(after_help = "\
Without a name, lists the reports with their parameters. Each is plain SQL with these defaults: metric orders (or \
revenue), dimension tracking_code, lookback 30 days, all history.

Examples:
  rejoin report
  rejoin report model_comparison --metric revenue --dimension marketing_channel --since 2026-09-01
  rejoin report return_on_ad_spend --cost event20 --model 'time_decay(3 days)' -o roas.csv
  rejoin report credit_by --by geo_country --segment buyers --last-resort 'Direct'
  rejoin report net_revenue --sql > my_report.sql
  rejoin report overview --html overview.html     (charts, tables and SQL in one file)")]
pub struct ReportArguments {
    /// Name of the report; without one, all are listed
    pub name: Option<String>,
    /// The metric
    #[arg(long, value_name = "M")]
    pub metric: Option<String>,
    /// The dimension
    #[arg(long, value_name = "D")]
    pub dimension: Option<String>,
    /// The metric that holds the cost
    #[arg(long, value_name = "M")]
    pub cost: Option<String>,
    /// The attribution model, e.g. linear or 'time_decay(3 days)'
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// How long before a conversion a touch still counts, e.g. '30 days', or all
    #[arg(long, value_name = "TIME")]
    pub lookback: Option<String>,
    /// Conversions from this date or time on, in the suite's zone
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Conversions before this date or time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Whether returns (negative amounts) are conversions, too; by default they are left out
    #[arg(long, value_name = "HOW", value_parser = ["counted", "left out"])]
    pub returns: Option<String>,
    /// How long after the first step of a funnel the last one may be, e.g. '7 days'
    #[arg(long, value_name = "TIME")]
    pub within: Option<String>,
    /// What the credit is broken down by, e.g. month or geo_country
    #[arg(long, value_name = "COLUMN")]
    pub by: Option<String>,
    /// Only conversions on rows where this SQL condition over events holds
    #[arg(long, value_name = "SQL", help_heading = "Filters")]
    pub conversions: Option<String>,
    #[command(flatten)]
    pub filters: Filters,
    /// Print the SQL instead, to copy and change
    #[arg(long)]
    pub sql: bool,
    /// Write a page of charts, tables and SQL, which opens in a browser, offline
    #[arg(long, value_name = "FILE", requires = "name", conflicts_with_all = ["sql", "format", "output", "segment",
        "conversions", "touches", "visitors", "visits", "last_resort", "repeats", "last_touches"])]
    pub html: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write to a file, which appears when it is complete; its ending decides the format
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// See all tables as they were after this rebuild, or at this time
    #[arg(long, value_name = "REBUILD|TIME")]
    pub as_of: Option<String>,
}

impl ReportArguments {
    /// The parameters that were given: name, value.
    pub fn values(&self) -> Vec<(&'static str, &str)> {
        let given = [
            ("metric", &self.metric),
            ("dimension", &self.dimension),
            ("cost", &self.cost),
            ("model", &self.model),
            ("lookback", &self.lookback),
            ("since", &self.since),
            ("until", &self.until),
            ("returns", &self.returns),
            ("by", &self.by),
            ("within", &self.within),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }
}

impl ReportArguments {
    /// What is left out: arguments of table functions, as SQL.
    pub fn left_out(&self) -> Vec<(&'static str, String)> {
        let conversions = self.conversions.as_deref().map(|condition| ("conversions", literal(condition)));
        self.filters.given().into_iter().chain(conversions).collect()
    }
}

/// Lists the reports, or runs one, or prints its SQL, or writes it as a page.
pub async fn run(settings: &Settings, arguments: &ReportArguments) -> Result<()> {
    let Some(name) = &arguments.name else { return list(settings) };
    if let Some(file) = &arguments.html {
        return page(settings, arguments, name, file).await;
    }
    if name == pages::OVERVIEW {
        return Err(Error::usage(format!("the report {name} is a page of several tables; give --html FILE")));
    }
    let report = find(name)?;
    let values = arguments.values();
    let sql = report.filtered(&report.with(&values)?, &arguments.left_out())?;
    if arguments.sql {
        let mut output = Output::stdout(Format::Table);
        output.line(sql.trim_end())?;
        return output.close();
    }
    let format = result_format(arguments.format, settings.json, arguments.output.as_deref())?;
    let mut output = Output::open(format, arguments.output.as_deref())?;
    let engine = Engine::open(settings.lake.clone(), settings.engine(arguments.as_of.as_deref())?).await?;
    let result = match engine.run(&sql).await {
        Ok(running) => output.stream(&running.schema, running.rows).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        output.abandon();
        return Err(report.explained(error, &values));
    }
    output.close()
}

/// Writes a report as a page.
async fn page(settings: &Settings, arguments: &ReportArguments, name: &str, file: &Path) -> Result<()> {
    let mut output = Output::open(Format::Table, Some(file))?;
    let as_of = arguments.as_of.as_deref();
    let engine = Engine::open(settings.lake.clone(), settings.engine(as_of)?).await?;
    let asked = ReportChoices { values: arguments.values(), suite: settings.suite.as_deref(), as_of };
    let spinner = progress::spinner("asking");
    let page = pages::page(&engine, name, &asked).await;
    spinner.finish_and_clear();
    output.line(page?)?;
    output.close()?;
    note(format!("{} is written; a browser shows it", file.display()));
    Ok(())
}

fn list(settings: &Settings) -> Result<()> {
    let reports = reports();
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&reports)?;
        return output.close();
    }
    let parameters = |report: &Report| report.parameters.iter().map(|p| p.name).collect::<Vec<_>>().join(", ");
    let columns: [(&str, Vec<String>); 3] = [
        ("report", reports.iter().map(|r| r.name.to_string()).collect()),
        ("what it shows", reports.iter().map(|r| r.description.clone()).collect()),
        ("parameters", reports.iter().map(parameters).collect()),
    ];
    let columns = columns.map(|(name, cells)| (name, Arc::new(StringArray::from(cells)) as _));
    output.batch(&RecordBatch::try_from_iter(columns)?)?;
    output.close()
}
