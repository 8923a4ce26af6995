//! The persons of all suites that have them.
//!
//! In: the hits, suites and rules that the rebuild reads. Out: the tables `persons` and `person_audit`, each written whole where it
//! differs from what the rebuild before left. Memory: the IDs of a suite's visitors where they change, and the spans, taken
//! from the session's.

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};

use super::hit_ids::HitIds;
use super::kept::KeptIds;
use super::visitor_ids::visitor_ids;
use super::written::write;
use crate::engine::Engine;
use crate::lake::records::{PersonRule, Suite};
use crate::lake::{Snapshot, person_rules};
use crate::persons::{Method, Rules, persons};
use crate::rebuild::inputs::Versions;
use crate::{Error, Result};

/// Bytes that a span takes, about.
const SPAN_BYTES: usize = 112;

/// What persons are found in.
pub struct Sources<'a> {
    /// Online hits.
    pub hits: &'a Snapshot,
    /// All suites.
    pub suites: &'a [Suite],
    /// The user's rules.
    pub rules: &'a [PersonRule],
    /// Whatever is known of hits is to be read from them again.
    pub anew: bool,
}

/// Finds the persons of the suites that have them; the versions of the tables that say so. `memory_bytes` bounds sorting.
pub async fn find_persons(
    engine: &Engine,
    sources: &Sources<'_>,
    memory_bytes: usize,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Versions> {
    let Sources { hits, suites, rules, anew } = *sources;
    let with_persons: Vec<&Suite> = suites.iter().filter(|suite| suite.has_persons()).collect();
    let mut kept = KeptIds::open(engine, memory_bytes).await?;
    kept.leave_only(&with_persons).await?;
    if !with_persons.is_empty() {
        // IDs are on hits here and there, in every page: it takes twice as long to decode the other columns for these alone
        engine.collect("SET datafusion.execution.parquet.pushdown_filters = false").await?;
    }
    let mut all = vec![];
    let memory = MemoryConsumer::new("Persons").register(&engine.context().runtime_env().memory_pool);
    for suite in with_persons {
        progress("persons");
        let forgotten = person_rules::forgotten(rules, &suite.suite)?;
        let rules = Rules::new(&person_rules::of_suite(rules, &suite.suite)?).forgetting(forgotten);
        let ids = HitIds { engine, hits, suites, suite };
        let grow = |bytes: usize| grow(&memory, bytes, &suite.suite);
        let method: Method = suite.persons.parse().map_err(Error::configuration)?;
        let (visitor_ids, renewal) = visitor_ids(&ids, &mut kept, &rules, anew, &grow).await?;
        let keep = async {
            match renewal {
                Some(renewal) => kept.keep(renewal).await,
                None => Ok(()),
            }
        };
        // files are written on other threads meanwhile
        let find =
            async { persons(method, usize::try_from(suite.person_limit).unwrap_or(usize::MAX), &rules, &visitor_ids) };
        let (is_kept, found) = tokio::join!(keep, find);
        is_kept?;
        grow(found.spans.len() * SPAN_BYTES)?;
        all.push((suite.suite.as_str(), found));
    }
    write(engine, &all).await
}

fn grow(memory: &MemoryReservation, bytes: usize, suite: &str) -> Result<()> {
    memory.try_grow(bytes).map_err(|error| {
        Error::configuration(format!(
            "suite {suite}: its persons need more memory than there is; give more with --memory, or set persons off"
        ))
        .caused_by(error)
    })
}
