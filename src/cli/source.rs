//! `rejoin source`: data sources of a suite.

use super::choice::choice;
use super::listing::Listing;
use super::output::Output;
use super::settings::Settings;
use crate::Result;
use crate::format::Format;
use crate::lake::records::Source;
use crate::lake::sources::{NewSource, create_source, set_status, source, sources, template};
use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum SourceCommand {
    /// Create a data source
    #[command(after_help = "\
Kinds: `transaction` ties records by transaction ID, `customer` by customer ID, `summary` only adds totals.

Examples:
  rejoin source create acme leads --kind transaction --metrics event10,revenue \\
      --dimensions evar5,tracking_code
  rejoin source create acme call_centre --kind customer --metrics event20 --dimensions evar7")]
    Create(SourceArguments),
    /// Print the header of a data source file, to fill in
    #[command(after_help = "Example:\n  rejoin source template acme leads > leads_0901.txt")]
    Template {
        #[command(flatten)]
        source: SourceName,
    },
    /// List the sources, of all suites or of one
    List {
        /// Report suite id
        rsid: Option<String>,
    },
    /// Take no more files; what is loaded stays
    Deactivate {
        #[command(flatten)]
        source: SourceName,
    },
    /// Take files again, after a deactivation or a stop by errors
    Restart {
        #[command(flatten)]
        source: SourceName,
    },
}

#[derive(Debug, Args)]
pub struct SourceName {
    /// Report suite id
    pub rsid: String,
    /// Name of the source, or its id
    pub name: String,
}

#[derive(Debug, Args)]
pub struct SourceArguments {
    #[command(flatten)]
    pub source: SourceName,
    /// How its records are tied
    #[arg(long, value_name = "summary|transaction|customer", hide_possible_values = true)]
    pub kind: SourceKind,
    /// Metrics of the template, e.g. revenue,event10
    #[arg(long, value_name = "M,...", value_delimiter = ',')]
    pub metrics: Vec<String>,
    /// Dimensions of the template, e.g. evar5,tracking_code
    #[arg(long, value_name = "D,...", value_delimiter = ',')]
    pub dimensions: Vec<String>,
    /// Whether a bad row is skipped, or stops the source until it is restarted
    #[arg(long, value_name = "skip|stop", default_value = "skip", hide_possible_values = true)]
    pub on_error: OnError,
}

choice! { /// How a source's records are tied.
SourceKind { Summary => "summary", Transaction => "transaction", Customer => "customer" } }
choice! { /// What a bad row does.
OnError { Skip => "skip", Stop => "stop" } }

/// Runs `source create`, `template`, `list`, `deactivate`, `restart`.
pub async fn run(settings: &Settings, command: &SourceCommand) -> Result<()> {
    let lake = &settings.lake;
    let mut output = Output::stdout(Format::Table);
    let (found, done) = match command {
        SourceCommand::Create(typed) => {
            let new = NewSource {
                suite: typed.source.rsid.clone(),
                name: typed.source.name.clone(),
                kind: typed.kind.word().into(),
                metrics: typed.metrics.clone(),
                dimensions: typed.dimensions.clone(),
                on_error: typed.on_error.word().into(),
            };
            let created = create_source(lake, &new).await?;
            let done = format!("{} source {} is created, its id is {}", created.kind, created.source, created.id);
            (created, done)
        }
        SourceCommand::Deactivate { source } => {
            let set = set_status(lake, &source.rsid, &source.name, "inactive").await?;
            let done = format!("source {} takes no more files; what is loaded stays", set.source);
            (set, done)
        }
        SourceCommand::Restart { source } => {
            let set = set_status(lake, &source.rsid, &source.name, "active").await?;
            let done = format!("source {} takes files again", set.source);
            (set, done)
        }
        SourceCommand::Template { source: name } => {
            let found = source(lake, &name.rsid, &name.name).await?;
            let text = template(&found);
            (found, text.trim_end().to_string())
        }
        SourceCommand::List { rsid } => {
            let found = sources(lake, rsid.as_deref().or(settings.suite.as_deref())).await?;
            if settings.json {
                output.json(&found)?
            } else {
                output.batch(&list(&found)?)?
            }
            return output.close();
        }
    };
    // a template is a file, whatever else is asked for
    let is_template = matches!(command, SourceCommand::Template { .. });
    if settings.json && !is_template {
        output.json(&found)?
    } else {
        output.line(done)?
    }
    output.close()
}

fn list(sources: &[Source]) -> Result<arrow::array::RecordBatch> {
    Listing::new()
        .text("id", sources.iter().map(|s| &s.id))
        .text("suite", sources.iter().map(|s| &s.suite))
        .text("source", sources.iter().map(|s| &s.source))
        .text("kind", sources.iter().map(|s| &s.kind))
        .text("metrics", sources.iter().map(|s| &s.metrics))
        .text("dimensions", sources.iter().map(|s| &s.dimensions))
        .text("on error", sources.iter().map(|s| &s.on_error))
        .text("status", sources.iter().map(|s| &s.status))
        .batch()
}
