//! Each source at a glance: what came, what was wrong with it, and what waits for the next rebuild; and each suite's data
//! feeds: how they were read.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::inputs::last_rebuild;
use crate::Result;
use crate::engine::Engine;
use crate::lake::layout::{TAG_SOURCE, TAG_SUITE};
use crate::lake::loads::{is_read_as_now, tells_touches};
use crate::lake::records::{FileEntry, JoinReport, Source, Suite};
use crate::lake::repeats::may_repeat;
use crate::lake::sources::sources;
use crate::lake::tables::{HITS, OFFLINE};
use crate::lake::{Lake, Registry, Snapshot};
use crate::quote::literal;

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
    /// Rows of its files, the rejected ones as well.
    pub rows: i64,
    /// Those that were rejected.
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

/// The data feed of a suite: by what its touches are told, in deliveries.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct FeedStatus {
    /// The suite.
    pub suite: String,
    /// Deliveries whose touches are instances: ids of `event.tsv` in `post_event_list`.
    pub by_instances: i64,
    /// Those that lack the ids or the list, or `post_` columns: what the page sent is a touch.
    pub by_raw_columns: i64,
    /// Those of which some eVars are the one and some the other.
    pub by_both: i64,
    /// Those that an earlier version loaded, by raw columns.
    pub by_former_version: i64,
    /// Those with offline rows, integrated before, that an earlier version loaded: which of them repeat is not known.
    pub without_offline_repeats: i64,
    /// Rows on which raw columns would tell other touches than instances do.
    pub disagreeing: i64,
    /// Rows of hits, and of offline rows that came integrated, that another row is, too, and counts.
    pub repeats: i64,
}

/// The data feeds of all suites or of one, by suite, and those whose hits repeat; none where no delivery is loaded and no hit
/// repeats.
pub async fn status_of_feeds(engine: &Engine, suite: Option<&str>) -> Result<Vec<FeedStatus>> {
    let lake = engine.lake();
    let is_wanted = |name: &str| suite.is_none_or(|suite| suite == name);
    let mut found: BTreeMap<String, FeedStatus> = BTreeMap::new();
    for file in Registry::<FileEntry>::read(lake).await?.rows {
        if file.format != "feed" || file.status != "loaded" || !is_wanted(&file.suite) {
            continue;
        }
        let feed =
            found.entry(file.suite.clone()).or_insert_with(|| FeedStatus { suite: file.suite, ..<_>::default() });
        feed.disagreeing += file.disagreeing;
        match file.touches.as_deref() {
            Some("instances") => feed.by_instances += 1,
            Some("both") => feed.by_both += 1,
            Some(_) => feed.by_raw_columns += 1,
            None if !tells_touches(&file.content) => feed.by_former_version += 1,
            // it has neither eVars nor a campaign
            None => {}
        }
    }
    let (hits, offline) = (Snapshot::open(lake, HITS, None).await?, Snapshot::open(lake, OFFLINE, None).await?);
    for (suite, _) in of_former_version(&offline)? {
        if let Some(feed) = found.get_mut(&suite) {
            feed.without_offline_repeats += 1;
        }
    }
    for (table, repeats) in [(&hits, REPEATS_SQL), (&offline, OFFLINE_REPEATS_SQL)] {
        if !may_repeat(&table.files.iter().collect::<Vec<_>>()) {
            continue;
        }
        for batch in engine.collect(repeats).await? {
            let (suites, rows) = (cast(batch.column(0), &DataType::Utf8)?, cast(batch.column(1), &DataType::Int64)?);
            let counted = suites.as_string::<i32>().iter().zip(rows.as_primitive::<Int64Type>());
            for (suite, rows) in counted {
                let Some(name) = suite.filter(|name| is_wanted(name)) else { continue };
                let of_suite = || FeedStatus { suite: name.to_string(), ..FeedStatus::default() };
                found.entry(name.to_string()).or_insert_with(of_suite).repeats += rows.unwrap_or_default();
            }
        }
    }
    Ok(found.into_values().collect())
}

/// The deliveries, by suite and name, whose offline rows an earlier version loaded.
fn of_former_version(offline: &Snapshot) -> Result<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    for file in offline.files.iter().filter(|f| f.tags.get(TAG_SOURCE).is_some_and(|source| source == "data_feed")) {
        let suite = file.tags.get(TAG_SUITE).cloned().unwrap_or_default();
        let former = file.loads()?.into_iter().filter(|load| !is_read_as_now(&load.content));
        found.extend(former.map(|load| (suite.clone(), load.file)));
    }
    Ok(found)
}

/// Rows that repeat a hit, by suite: by hit id, or by a key, whose rests are above all others. The groups are in the order of
/// the table, so that they stream.
const REPEATS_SQL: &str = "
SELECT suite, sum(rows - 1) FROM (
  SELECT suite, visitor_key, visitor_id, hit_time, hit_seq, hit_id_rest, count(*) AS rows FROM hits
  WHERE hit_id_rest < 4611686018427387904 GROUP BY suite, visitor_key, visitor_id, hit_time, hit_seq, hit_id_rest
  UNION ALL
  SELECT suite, visitor_key, visitor_id, NULL, hit_seq, hit_id_rest, count(*) FROM hits
  WHERE hit_id_rest >= 4611686018427387904 GROUP BY suite, visitor_key, visitor_id, hit_seq, hit_id_rest
) WHERE rows > 1 GROUP BY suite";

/// Rows that repeat one that a feed brought integrated, by suite. Records of files have no hit ids.
const OFFLINE_REPEATS_SQL: &str = "
SELECT suite, sum(rows - 1) FROM (
  SELECT suite, visitor_key, visitor_id, hit_time, hit_seq, hit_id_rest, count(*) AS rows FROM offline
  WHERE hit_id_rest IS NOT NULL GROUP BY suite, visitor_key, visitor_id, hit_time, hit_seq, hit_id_rest
) WHERE rows > 1 GROUP BY suite";

impl FeedStatus {
    /// What there is to say to a person.
    pub fn describe(&self) -> String {
        let Self { by_instances, by_raw_columns, by_both, by_former_version, without_offline_repeats, .. } = self;
        let parts = [
            (by_instances, "with touches by instances"),
            (by_both, "with touches by instances, and by raw columns of eVars that event.tsv does not name"),
            (
                by_raw_columns,
                "with touches by raw columns: post_event_list, its names in event.tsv or post_ columns are lacking",
            ),
            (
                by_former_version,
                "as an earlier version read them, touches by raw columns and repeats not known: load them again with --replace",
            ),
            (
                without_offline_repeats,
                "with offline rows as an earlier version read them, their repeats not known: load them again with --replace",
            ),
        ];
        let parts = parts.into_iter().filter(|(count, _)| **count > 0);
        let mut parts: Vec<String> = parts.map(|(count, how)| format!("{} {how}", deliveries(*count))).collect();
        if self.disagreeing > 0 {
            parts.push(format!("on {} rows instances and raw columns differ", self.disagreeing));
        }
        match self.repeats {
            0 => {}
            1 => parts.push("1 row repeats a hit, which counts once".into()),
            rows => parts.push(format!("{rows} rows repeat hits, which count once")),
        }
        parts.join("; ")
    }
}

/// The persons of a suite, as the last rebuild found them.
#[derive(Debug, Serialize)]
pub struct PersonStatus {
    /// The suite.
    pub suite: String,
    /// Persons of visitors that bear an ID, or that a rule links.
    pub persons: i64,
    /// Those visitors.
    pub visitors: i64,
    /// Those of them that share a person, or have several.
    pub shared: i64,
    /// Customer IDs that a limit or a rule is about.
    pub audited: i64,
}

impl PersonStatus {
    /// In words.
    pub fn describe(&self) -> String {
        let Self { persons, visitors, shared, audited, .. } = self;
        format!(
            "{persons} on {visitors} visitors with an ID or a rule, {shared} of which share; {audited} IDs in person_audit"
        )
    }
}

/// The persons of all suites that have them, or of one.
pub async fn status_of_persons(engine: &Engine, suite: Option<&str>) -> Result<Vec<PersonStatus>> {
    let mut suites = Registry::<Suite>::read(engine.lake()).await?.rows;
    suites.retain(|s| s.has_persons() && suite.is_none_or(|only| s.suite == only));
    suites.sort_by(|a, b| a.suite.cmp(&b.suite));
    let mut all = vec![];
    for Suite { suite, .. } in suites {
        let own = literal(&suite);
        let counts = engine
            .collect(&format!(
                "SELECT count(DISTINCT person_id), count(DISTINCT visitor_id), count(DISTINCT visitor_id) FILTER (WHERE shared), \
                 (SELECT count(*) FROM person_audit WHERE suite = {own}) FROM persons WHERE suite = {own}"
            ))
            .await?;
        let count = |column: usize| {
            let counts = counts.first().map(|batch| batch.column(column).as_primitive::<Int64Type>().iter().next());
            counts.flatten().flatten().unwrap_or_default()
        };
        all.push(PersonStatus { persons: count(0), visitors: count(1), shared: count(2), audited: count(3), suite });
    }
    Ok(all)
}

fn deliveries(count: i64) -> String {
    if count == 1 { "1 delivery".into() } else { format!("{count} deliveries") }
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
            rows: loaded.iter().map(|f| f.rows + f.rejected).sum(),
            errors: loaded.iter().map(|f| f.rejected).sum(),
            warnings: loaded.iter().map(|f| f.warnings).sum(),
            received: files.iter().filter_map(|f| f.received).max(),
            status: source.status.clone(),
        }
    }
}
