//! What a rebuild reads, at which versions, and whether anything changed since the last one.
//!
//! In: the logs of the input tables. Out: [`Inputs`]. Versions are compared first, one listing a table, so that a lake in
//! which nothing happened is known by a handful of requests.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use serde::{Deserialize, Serialize};

use super::queries::{QUERIES, SHARED_IDS};
use crate::lake::log::latest_version;
use crate::lake::records::{FileEntry, PersonRule, Rebuild, Suite};
use crate::lake::tables::{HITS, OFFLINE};
use crate::lake::{Lake, Record, Registry};
use crate::{Error, Result};

/// Tables that the integration reads.
pub const TABLES: [&str; 5] = [FileEntry::TABLE, HITS, OFFLINE, PersonRule::TABLE, Suite::TABLE];

/// Versions of tables by name; a table that does not exist has none.
pub type Versions = BTreeMap<String, u64>;

/// What a rebuild reads.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The versions of the tables.
    pub versions: Versions,
    /// What else decides its outcome.
    pub meaning: IntegrationRules,
}

/// What decides a rebuild's outcome besides the data; kept in its row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IntegrationRules {
    /// Hash of the queries of the integration.
    pub queries: u64,
}

impl Inputs {
    /// The inputs as they are now; `last` says where to begin to look.
    pub async fn read(lake: &Lake, last: Option<&Rebuild>) -> Result<Self> {
        let known = last.map(versions_of).transpose()?.unwrap_or_default();
        let look = TABLES.map(|table| {
            let known = known.get(table).copied();
            async move { Ok::<_, Error>((table, latest_version(lake, table, known).await?)) }
        });
        let found = try_join_all(look).await?.into_iter();
        let versions = found.filter_map(|(table, version)| Some((table.to_string(), version?))).collect();
        Ok(Self { versions, meaning: IntegrationRules::of_this_program() })
    }

    /// True when the last rebuild read the same.
    pub fn are_those_of(&self, last: &Rebuild) -> Result<bool> {
        let then = versions_of(last)?;
        let same = TABLES.iter().all(|table| then.get(*table) == self.versions.get(*table));
        Ok(same && self.meaning == IntegrationRules::of(last))
    }
}

impl IntegrationRules {
    fn of_this_program() -> Self {
        let text = QUERIES.map(|(_, sql)| sql).concat() + SHARED_IDS;
        // a JSON number must stay exact in every reader
        Self { queries: xxhash_rust::xxh3::xxh3_64(text.as_bytes()) >> 12 }
    }

    /// That of a rebuild; one that is not told is none of this program's.
    pub fn of(rebuild: &Rebuild) -> Self {
        serde_json::from_str(&rebuild.inputs).unwrap_or_default()
    }
}

/// The last rebuild.
pub async fn last_rebuild(lake: &Lake) -> Result<Option<Rebuild>> {
    Ok(Registry::<Rebuild>::read(lake).await?.rows.into_iter().max_by_key(|r| r.rebuild))
}

/// The version of every table that a rebuild read or wrote.
pub fn versions_of(rebuild: &Rebuild) -> Result<Versions> {
    serde_json::from_str(&rebuild.versions).map_err(|e| Error::bug(format!("rebuild {}: {e}", rebuild.rebuild)))
}
