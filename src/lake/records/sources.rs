//! Data sources: created, found, listed, switched off and on, and the template of their files.
//!
//! In: what the user asks for. Out: the source as stored. An unknown name is an error that names the nearest one and
//! the command that creates it.

use chrono::SubsecRound;

use super::registry::Registry;
use super::rows::Source;
use super::suites::{check_name, suite};
use crate::error::did_you_mean;
use crate::feed::source_columns::{SourceColumn, SourceKind, header_of};
use crate::lake::Lake;
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
        return Err(Error::configuration(format!(
            "source name {RESERVED_NAME}: offline rows of data feeds have it; choose another"
        )));
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
        // as exact as the lake keeps it
        created: Some(crate::clock::now().trunc_subsecs(6)),
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
            "suite {suite} has no source {name} (create it with: rejoin source create {suite} {name} --kind summary|transaction|customer){hint}"
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
        let (column, is_metric) = column_of(name)?;
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

/// The column that a column's name or a header stands for, and whether it is a metric.
fn column_of(name: &str) -> Result<(String, bool)> {
    let header = header_of(&name.to_ascii_lowercase()).unwrap_or_else(|| name.to_string());
    let column = SourceColumn::of_header(&header).map_err(Error::configuration)?;
    match column.kind {
        SourceKind::Metric => Ok((column.name, true)),
        SourceKind::Dimension => Ok((column.name, false)),
        _ => {
            Err(Error::configuration(format!("{name}: date and ID are in every template of their kind; leave it out")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::suites::{SuiteChanges, create_suite};
    use super::*;
    use crate::ErrorKind;

    fn leads() -> NewSource {
        NewSource {
            suite: "acme".into(),
            name: "leads".into(),
            kind: "transaction".into(),
            metrics: vec!["event10".into(), "Price".into()],
            dimensions: vec!["Evar 5".into(), "tracking_code".into(), "evar5".into()],
            on_error: "skip".into(),
        }
    }

    #[tokio::test]
    async fn a_source_is_created_once_switched_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let no_suite = create_source(&lake, &leads()).await.unwrap_err();
        assert_eq!(no_suite.kind(), ErrorKind::Configuration);
        create_suite(&lake, "acme", &SuiteChanges::default()).await.unwrap();
        let created = create_source(&lake, &leads()).await.unwrap();
        assert_eq!(created.id.len(), "acme_".len() + 10);
        assert!(created.id["acme_".len()..].bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(create_source(&lake, &leads()).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(source(&lake, "acme", &created.id).await.unwrap(), created);
        let near = source(&lake, "acme", "lead").await.unwrap_err().to_string();
        assert!(near.contains("did you mean leads?"), "{near}");
        assert_eq!(set_status(&lake, "acme", "leads", "inactive").await.unwrap().status, "inactive");
        assert_eq!(sources(&lake, None).await.unwrap()[0].status, "inactive");
        let reserved = NewSource { name: RESERVED_NAME.into(), ..leads() };
        assert_eq!(create_source(&lake, &reserved).await.unwrap_err().kind(), ErrorKind::Configuration);
    }

    #[test]
    fn ids_follow_from_the_name_and_are_unique() {
        assert_eq!(free_id(&[], "acme", "leads"), free_id(&[], "acme", "leads"));
        assert_ne!(free_id(&[], "acme", "leads"), free_id(&[], "acme", "returns"));
    }

    #[test]
    fn a_template_has_the_headers_of_its_columns() {
        let new = leads();
        let source = Source {
            id: "acme_0123456789".into(),
            suite: new.suite,
            source: new.name,
            kind: new.kind,
            metrics: template_columns(&new.metrics, true).unwrap(),
            dimensions: template_columns(&new.dimensions, false).unwrap(),
            on_error: new.on_error,
            status: "active".into(),
            created: None,
        };
        assert_eq!((source.metrics.as_str(), source.dimensions.as_str()), ("event10,revenue", "evar5,tracking_code"));
        let text = template(&source);
        assert_eq!(text.lines().last(), Some("Date\ttransactionID\tEvar 5\tTracking Code\tEvent 10\tPrice"));
        assert!(text.lines().rev().skip(1).all(|l| l.starts_with("# ")));
    }

    #[test]
    fn a_wrong_column_is_named() {
        let wrong = |name: &str, metrics| template_columns(&[name.to_string()], metrics).unwrap_err().to_string();
        let near = wrong("order", true);
        assert!(near.contains("did you mean Orders?"), "{near}");
        assert!(wrong("revenue", false).contains("--metrics"));
        assert!(wrong("evar251", false).contains("no column"), "{}", wrong("evar251", false));
        assert!(wrong("Date", false).contains("leave it out"));
    }
}
