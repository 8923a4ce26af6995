//! Each source at a glance: what came, what was wrong with it, and what waits for the next rebuild.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::inputs::last_rebuild;
use crate::Result;
use crate::lake::records::{FileEntry, JoinReport, Source};
use crate::lake::sources::sources;
use crate::lake::{Lake, Registry};

/// A source as Adobe's Manage tab shows it.
#[derive(Debug, Serialize)]
pub struct SourceStatus {
    /// Login-like id; online hits have none.
    pub id: String,
    /// Suite that it belongs to.
    pub suite: String,
    /// Name; online hits of a suite are one entry, `(online hits)`.
    pub source: String,
    /// `summary`, `transaction`, `customer`, or `online`.
    pub kind: String,
    /// Files that wait for the next rebuild.
    pub queue: i64,
    /// Rows loaded.
    pub rows: i64,
    /// Rejected rows.
    pub errors: i64,
    /// Warnings.
    pub warnings: i64,
    /// When the last file was received.
    pub received: Option<DateTime<Utc>>,
    /// `active`, `stopped` or `inactive`.
    pub status: String,
}

/// The sources of all suites or of one, and the online hits of each, by suite and name.
pub async fn status_of_sources(lake: &Lake, suite: Option<&str>) -> Result<Vec<SourceStatus>> {
    let files = Registry::<FileEntry>::read(lake).await?.rows;
    let report = Registry::<JoinReport>::read(lake).await?.rows;
    let last = last_rebuild(lake).await?;
    let integrated = |f: &FileEntry| {
        let known = report.iter().any(|r| (&r.suite, &r.source, &r.file) == (&f.suite, &f.source, &f.file));
        known && last.as_ref().is_some_and(|r| r.started >= f.received)
    };
    let mut found: Vec<SourceStatus> = vec![];
    for source in sources(lake, suite).await? {
        let own: Vec<&FileEntry> =
            files.iter().filter(|f| f.suite == source.suite && f.source == source.source).collect();
        found.push(SourceStatus::new(&source, &own, integrated));
    }
    // online input has no source of its own
    let online: BTreeSet<&str> = files.iter().filter(|f| f.source.is_empty()).map(|f| f.suite.as_str()).collect();
    for name in online.into_iter().filter(|s| suite.is_none_or(|wanted| wanted == *s)) {
        let own: Vec<&FileEntry> = files.iter().filter(|f| f.suite == name && f.source.is_empty()).collect();
        let online = Source {
            suite: name.to_string(),
            source: "(online hits)".into(),
            kind: "online".into(),
            status: "active".into(),
            ..Source::default()
        };
        found.push(SourceStatus::new(&online, &own, |_| true));
    }
    found.sort_by(|a, b| (&a.suite, &a.source).cmp(&(&b.suite, &b.source)));
    Ok(found)
}

impl SourceStatus {
    fn new(source: &Source, files: &[&FileEntry], integrated: impl Fn(&FileEntry) -> bool) -> Self {
        let loaded: Vec<&&FileEntry> = files.iter().filter(|f| f.status == "loaded").collect();
        Self {
            id: source.id.clone(),
            suite: source.suite.clone(),
            source: source.source.clone(),
            kind: source.kind.clone(),
            queue: loaded.iter().filter(|f| !integrated(f)).count() as i64,
            rows: loaded.iter().map(|f| f.rows).sum(),
            errors: loaded.iter().map(|f| f.rejected).sum(),
            warnings: loaded.iter().map(|f| f.warnings).sum(),
            received: files.iter().filter_map(|f| f.received).max(),
            status: source.status.clone(),
        }
    }
}
