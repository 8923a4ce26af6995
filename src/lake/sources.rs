//! Data sources: created, found, listed, switched off and on, and the template of their files.
//!
//! In: what the user asks for. Out: the source as stored. An unknown name is an error that names the nearest one and
//! the command that creates it.

use super::records::Source;
use super::suites::{check_name, suite};
use super::{Lake, Registry};
use crate::error::did_you_mean;
use crate::feed::source_columns::{Column, column_of, header_of};
use crate::{Error, Result};

/// What `source create` asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewSource {
    /// Suite that it belongs to.
    pub suite: String,
    /// Name, unique in its suite.
    pub name: String,
    /// `summary`, `transaction` or `customer`.
    pub kind: String,
    /// Metrics of the template, as columns (`event10`) or as headers (`Event 10`).
    pub metrics: Vec<String>,
    /// Dimensions of the template, likewise.
    pub dimensions: Vec<String>,
    /// `skip` or `stop`.
    pub on_error: String,
}

/// The name that offline rows of a data feed have.
pub const RESERVED_NAME: &str = "data_feed";

/// Creates a source. One of this name in the suite is a conflict.
pub async fn create_source(lake: &Lake, new: &NewSource) -> Result<Source> {
    suite(lake, &new.suite).await?;
    check_name("source name", &new.name)?;
    if new.name == RESERVED_NAME {
        return Err(Error::configuration(format!("source name {RESERVED_NAME}: offline rows of data feeds have it; choose another")));
    }
    let source = Source {
        id: String::new(),
        suite: new.suite.clone(),
        source: new.name.clone(),
        kind: new.kind.clone(),
        metrics: template_columns(&new.metrics, true)?,
        dimensions: template_columns(&new.dimensions, false)?,
        on_error: new.on_error.clone(),
        status: "active".into(),
        created: Some(crate::clock::now()),
    };
    Registry::<Source>::update(lake, |sources| {
        if sources.iter().any(|s| s.suite == new.suite && s.source == new.name) {
            return Err(Error::conflict(format!(
                "suite {} has a source {} already; see: rejoin source list {}",
                new.suite, new.name, new.suite
            )));
        }
        let created = Source { id: free_id(sources, &new.suite, &new.name), ..source.clone() };
        sources.push(created.clone());
        Ok(created)
    })
    .await
}

/// The sources of all suites or of one, by suite and name.
pub async fn sources(lake: &Lake, of: Option<&str>) -> Result<Vec<Source>> {
    if let Some(name) = of {
        suite(lake, name).await?;
    }
    let mut rows = Registry::<Source>::read(lake).await?.rows;
    rows.retain(|s| of.is_none_or(|suite| s.suite == suite));
    rows.sort_by(|a, b| (&a.suite, &a.source).cmp(&(&b.suite, &b.source)));
    Ok(rows)
}

/// The source of this name or id; an unknown one is a configuration error that says what to do.
pub async fn source(lake: &Lake, suite: &str, name: &str) -> Result<Source> {
    let known = sources(lake, Some(suite)).await?;
    known.iter().find(|s| s.source == name || s.id == name).cloned().ok_or_else(|| {
        let hint = did_you_mean(name, known.iter().map(|s| s.source.as_str()));
        Error::configuration(format!(
            "suite {suite} has no source {name}{hint} Create it with: rejoin source create {suite} {name} --kind summary|transaction|customer"
        ))
    })
}

/// Sets the status: `inactive` (by the user) or `active` (also after a stop by errors).
pub async fn set_status(lake: &Lake, suite: &str, name: &str, status: &str) -> Result<Source> {
    let id = source(lake, suite, name).await?.id;
    Registry::<Source>::update(lake, |sources| {
        let found = sources.iter_mut().find(|s| s.id == id);
        let found = found.ok_or_else(|| Error::conflict(format!("source {id} was removed meanwhile")))?;
        found.status = status.into();
        Ok(found.clone())
    })
    .await
}

/// A data source file to fill in: comment lines and the tab-separated header.
pub fn template(source: &Source) -> String {
    let key = match source.kind.as_str() {
        "transaction" => Some("transactionID"),
        "customer" => Some("VisitorID"),
        _ => None,
    };
    let columns = |list: &str| list.split(',').filter(|c| !c.is_empty()).filter_map(header_of).collect::<Vec<_>>();
    let headers: Vec<String> = std::iter::once("Date".to_string())
        .chain(key.map(str::to_string))
        .chain(columns(&source.dimensions))
        .chain(columns(&source.metrics))
        .collect();
    format!(
        "# Data source {} ({}, {}) of suite {}\n\
         # One row a record: a date as MM/DD/YYYY or MM/DD/YYYY/HH/mm/SS, at least one dimension or ID, at least one metric.\n\
         # When NAME.txt is whole, put an empty NAME.fin beside it.\n\
         {}\n",
        source.source,
        source.id,
        source.kind,
        source.suite,
        headers.join("\t")
    )
}

/// The login-like id: the suite and ten digits that follow from suite and name.
fn free_id(sources: &[Source], suite: &str, name: &str) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(format!("{suite}\0{name}").as_bytes());
    (0..)
        .map(|i| format!("{suite}_{:010}", hash.wrapping_add(i) % 10_000_000_000))
        .find(|id| sources.iter().all(|s| &s.id != id))
        .expect("there are more numbers than sources")
}

/// Names of columns or headers as a comma separated list of columns, each once.
fn template_columns(names: &[String], metrics: bool) -> Result<String> {
    let mut columns: Vec<String> = vec![];
    for name in names.iter().map(|n| n.trim()).filter(|n| !n.is_empty()) {
        let found = column_of(name)?;
        let (column, is_metric) = match found {
            Column::Metric(column) => (column, true),
            Column::Dimension(column) => (column, false),
        };
        if is_metric != metrics {
            let (is, flag) = if is_metric { ("metric", "--metrics") } else { ("dimension", "--dimensions") };
            return Err(Error::configuration(format!("{name} is a {is}; give it with {flag}")));
        }
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    Ok(columns.join(","))
}
