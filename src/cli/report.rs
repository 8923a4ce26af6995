//! `rejoin report`: the named reports.

use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};

use super::args::ReportArguments;
use super::format::Format;
use super::output::Output;
use super::settings::{Settings, result_format};
use crate::engine::Engine;
use crate::report::{Report, find, reports};
use crate::{Error, ErrorKind, Result};

/// Lists the reports, or runs one, or prints its SQL.
pub async fn run(settings: &Settings, arguments: &ReportArguments) -> Result<()> {
    let Some(name) = &arguments.name else { return list(settings) };
    let report = find(name)?;
    let values = arguments.values();
    let sql = report.with(&values)?;
    if arguments.sql {
        let mut output = Output::stdout(Format::Table);
        output.line(sql.trim_end())?;
        return output.close();
    }
    let format = result_format(arguments.format, settings.json, arguments.output.as_deref())?;
    let mut output = Output::open(format, arguments.output.as_deref())?;
    let engine = Engine::open(settings.lake.clone(), settings.engine(arguments.as_of.as_deref())).await?;
    let result = match engine.run(&sql).await {
        Ok(running) => output.stream(&running.schema, running.rows).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = result {
        output.abandon();
        return Err(explained(error, &report, &values));
    }
    output.close()
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

/// A report that a lake cannot answer as it stands: with what it was asked, and how to ask otherwise.
fn explained(error: Error, report: &Report, values: &[(&str, &str)]) -> Error {
    if error.kind() != ErrorKind::Query {
        return error;
    }
    let value = |p: &crate::report::Parameter| values.iter().find(|(n, _)| *n == p.name).map_or(p.default, |(_, v)| v);
    let asked = report.parameters.iter().filter(|p| matches!(p.name, "metric" | "dimension" | "cost"));
    let asked: Vec<String> = asked.map(|p| format!("--{} {}", p.name, value(p))).collect();
    Error::query(format!("{error} (asked: {}; choose others)", asked.join(" ")))
}
