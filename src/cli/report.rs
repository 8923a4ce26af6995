//! `rejoin report`: the named reports.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};

use super::args::ReportArguments;
use super::format::Format;
use super::output::Output;
use super::settings::{Settings, result_format};
use crate::engine::Engine;
use crate::pages::{self, Asked};
use crate::report::{Report, find, reports};
use crate::{Error, Result};

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
    let sql = report.with(&values)?;
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
    let asked = Asked { values: arguments.values(), suite: settings.suite.as_deref(), as_of };
    output.line(pages::page(&engine, name, &asked).await?)?;
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
