//! Whether what a query reads is as it was when its table was built.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::definition::Query;
use crate::Result;
use crate::lake::log::{has_same_rows, latest_version};
use crate::lake::records::{PersonAudit, PersonSpan, Suite};
use crate::lake::tables::{self, EVENTS, EVENTS_BRIEF, TableKind};
use crate::lake::{Lake, Record, Snapshot};
use crate::rebuild::inputs::Versions;

/// The state of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u64,
    /// What it holds, where compaction makes versions with the same rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contents: Option<u64>,
}

impl State {
    /// That of an own table which a build of this version of the program has left.
    pub fn built(version: u64) -> Self {
        // a JSON number must stay exact in every reader
        let program = xxhash_rust::xxh3::xxh3_64(env!("CARGO_PKG_VERSION").as_bytes()) >> 12;
        Self { version, contents: Some(program) }
    }

    /// The table's version.
    pub fn version(&self) -> u64 {
        self.version
    }
}

/// States by table; one that does not exist has none.
pub type States = BTreeMap<String, State>;

/// The tables as they are now, each looked up once.
pub struct CurrentTables<'a> {
    lake: &'a Lake,
    versions: BTreeMap<String, Option<u64>>,
}

impl<'a> CurrentTables<'a> {
    /// `versions` are known; those of other tables are looked up when they are asked for.
    pub fn new(lake: &'a Lake, versions: &Versions) -> Self {
        Self { lake, versions: versions.iter().map(|(name, version)| (name.clone(), Some(*version))).collect() }
    }

    /// A table has a new version.
    pub fn moved_on(&mut self, table: &str, version: Option<u64>) {
        self.versions.insert(table.into(), version);
    }

    /// The states of all that a query reads.
    pub async fn states(&mut self, query: &Query) -> Result<States> {
        let mut states = States::new();
        for table in inputs(query) {
            let Some(version) = self.version(table).await? else { continue };
            let contents = match tables::find(table).is_some_and(|t| t.kind == TableKind::Loaded) {
                true => Some(self.contents(table, version).await?),
                false => None,
            };
            states.insert(table.to_string(), State { version, contents });
        }
        Ok(states)
    }

    /// True when all that a query reads is as it was.
    pub async fn is_still(&mut self, query: &Query, then: &States) -> Result<bool> {
        Ok(self.changed(query, then).await?.is_empty())
    }

    /// The tables that a query reads and that are not as they were.
    pub async fn changed<'q>(&mut self, query: &'q Query, then: &States) -> Result<Vec<&'q str>> {
        let mut changed = vec![];
        for table in inputs(query) {
            let same = match (self.version(table).await?, then.get(table)) {
                (None, None) => true,
                (Some(now), Some(before)) if now == before.version => true,
                (Some(now), Some(State { contents: Some(contents), .. })) => {
                    self.contents(table, now).await? == *contents
                }
                (Some(now), Some(before)) => {
                    let integrated = tables::find(table).is_some_and(|t| t.kind == TableKind::Integrated);
                    integrated && has_same_rows(self.lake, table, Some(before.version), Some(now)).await?
                }
                _ => false,
            };
            if !same {
                changed.push(table);
            }
        }
        Ok(changed)
    }

    /// The version of a table.
    pub async fn version(&mut self, table: &str) -> Result<Option<u64>> {
        if let Some(version) = self.versions.get(table) {
            return Ok(*version);
        }
        let version = latest_version(self.lake, table, None).await?;
        self.versions.insert(table.to_string(), version);
        Ok(version)
    }

    async fn contents(&self, table: &str, version: u64) -> Result<u64> {
        // a JSON number must stay exact in every reader
        Ok(Snapshot::open(self.lake, table, Some(version)).await?.contents()? >> 12)
    }
}

/// The tables that say whose person a row of `events` is.
pub const PERSONS: [&str; 2] = [PersonAudit::TABLE, PersonSpan::TABLE];

/// The stored tables behind the names in a query. Settings of suites (zones, visits, names) matter to all.
fn inputs(query: &Query) -> BTreeSet<&str> {
    let stored = query.reads.iter().flat_map(|name| match tables::find(name).map(|table| table.kind) {
        Some(TableKind::View(over)) => over.to_vec(),
        _ => vec![name.as_str()],
    });
    let reads_events = query.reads.iter().any(|name| name == EVENTS || name == EVENTS_BRIEF);
    let persons = PERSONS.into_iter().filter(|_| reads_events);
    stored.chain(persons).chain([Suite::TABLE]).collect()
}
