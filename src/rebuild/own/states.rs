//! Whether what a query reads is as it was when its table was built.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::definition::Query;
use crate::Result;
use crate::lake::log::latest_version;
use crate::lake::records::Suite;
use crate::lake::tables::{self, TableKind};
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

/// States by table; one that does not exist has none.
pub type States = BTreeMap<String, State>;

/// The tables as they are now, each looked up once.
pub struct Now<'a> {
    lake: &'a Lake,
    versions: BTreeMap<String, Option<u64>>,
}

impl<'a> Now<'a> {
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
        for table in inputs(query) {
            let same = match (self.version(table).await?, then.get(table)) {
                (None, None) => true,
                (Some(now), Some(before)) if now == before.version => true,
                (Some(now), Some(State { contents: Some(contents), .. })) => {
                    self.contents(table, now).await? == *contents
                }
                _ => false,
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn version(&mut self, table: &str) -> Result<Option<u64>> {
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

/// The stored tables behind the names in a query. Settings of suites (zones, visits, names) matter to all.
fn inputs(query: &Query) -> BTreeSet<&str> {
    let stored = query.reads.iter().flat_map(|name| match tables::find(name).map(|table| table.kind) {
        Some(TableKind::View(over)) => over.to_vec(),
        _ => vec![name.as_str()],
    });
    stored.chain([Suite::TABLE]).collect()
}
