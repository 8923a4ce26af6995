//! `rejoin source`: data sources of a suite.

use super::args::SourceCommand;
use super::format::Format;
use super::listing::Listing;
use super::output::Output;
use super::settings::Settings;
use crate::Result;
use crate::lake::records::Source;
use crate::lake::sources::{NewSource, create_source, set_status, source, sources, template};

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
