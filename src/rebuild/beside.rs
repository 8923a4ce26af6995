//! Integrated rows that are in one place of the lake's order with rows that are due: they are written into one file with these,
//! where such rows are by file, row and source. In files beside each other they would stand as these files came.
//!
//! In: what is due, by the names that `due` gives, and the snapshots as they are now. Out: queries for the visitors' keys of such
//! rows. They are few: records that stand at one hit by several IDs, and records with one sequence, of files with one name of two
//! sources or, hardly ever, of files that [`RecordPlaces`] has no room for.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::Schema;

use super::changes::{Changes, Load, loads_of};
use super::record_places::RecordPlaces;
use crate::Result;
use crate::columns::{SEQUENCED_ROWS, STANDS_AT_HIT, key_field};
use crate::engine::Engine;

const PLACES_AT_HITS_SQL: &str = include_str!("../../queries/due/places_at_hits.sql");
const AT_HITS_SQL: &str = include_str!("../../queries/due/at_hits.sql");
const DUE_SEQUENCES_SQL: &str = include_str!("../../queries/due/due_sequences.sql");
const OF_ONE_SEQUENCE_SQL: &str = include_str!("../../queries/due/of_one_sequence.sql");

/// The keys of all rows, where the places of those that are due are not known.
const ALL_SQL: &str = "SELECT visitor_key FROM former_integrated";

/// Which rows may be in one place with some that are due.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// Those that stand at a hit.
    at_hits: bool,
    /// Those with the sequence of another record.
    of_one_sequence: bool,
}

impl Beside {
    /// As far as the logs tell.
    pub fn of(changes: &Changes) -> Result<Self> {
        let loads = loads_of(&changes.offline.now)?.unwrap_or_default();
        Ok(Self {
            at_hits: changes.integrated.schema.index_of(STANDS_AT_HIT).is_ok(),
            of_one_sequence: may_share_sequences(loads.iter().map(|(load, (_, rows))| (load, *rows))),
        })
    }

    /// Queries for the visitors' keys of these rows. Places of rows that are due take `memory_bytes` of each kind at most; where there
    /// are more, the queries give all keys.
    pub async fn queries(self, engine: &Engine, memory_bytes: usize) -> Result<Vec<&'static str>> {
        let mut queries = vec![];
        for (may_be, name, places, query) in [
            (self.at_hits, "places_at_hits", PLACES_AT_HITS_SQL, AT_HITS_SQL),
            (self.of_one_sequence, "due_sequences", DUE_SEQUENCES_SQL, OF_ONE_SEQUENCE_SQL),
        ] {
            if !may_be {
                continue;
            }
            // where there is none, nobody asks for them
            let columns = Arc::new(Schema::new(key_field("suite").into_iter().collect::<Vec<_>>()));
            match engine.keep_rows(name, places, columns, memory_bytes).await? {
                Some(0) => {}
                Some(_) => queries.push(query),
                None => queries.push(ALL_SQL),
            }
        }
        Ok(queries)
    }
}

/// True where two records of these loads, with their numbers of rows, may have one sequence.
fn may_share_sequences<'l>(loads: impl Iterator<Item = (&'l Load, u64)>) -> bool {
    // rows of feeds are told apart by their hit ids
    let files: Vec<((&str, &str), u64)> = loads.filter_map(|(load, rows)| Some((load.record_file()?, rows))).collect();
    let places = RecordPlaces::of(files.iter().map(|(file, _)| *file));
    let mut known = BTreeSet::new();
    // rows that were rejected have numbers, too
    files.iter().any(|(file, rows)| {
        *rows >= SEQUENCED_ROWS / 2 || places.place(*file).1 < SEQUENCED_ROWS as i64 || !known.insert(*file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_one_name_may_share_sequences() {
        let load = |suite: &str, source: &str, file: &str| Load {
            suite: suite.into(),
            source: source.into(),
            file: file.into(),
        };
        let may_share = |loads: &[Load], rows| may_share_sequences(loads.iter().map(|load| (load, rows)));
        let apart: Vec<Load> = (0..600).map(|n| load("web", "tills", &format!("store_returns_{n}.txt"))).collect();
        assert!(!may_share(&apart, 1));
        // in more bits than there is room for
        let long: Vec<Load> = (0..60).map(|n| load("web", "tills", &format!("returns_{}", "b".repeat(n)))).collect();
        assert!(may_share(&long, 1));
        let both = |one: Load, other: Load| may_share(&[one, other], 1);
        assert!(both(load("web", "tills", "a.txt"), load("web", "calls", "a.txt")));
        assert!(!both(load("web", "tills", "a.txt"), load("shop", "tills", "a.txt")));
        assert!(!both(load("web", "data_feed", "web_2026-09-01"), load("web", "data_feed", "web_2026-09-01")));
        assert!(may_share(&apart[..1], SEQUENCED_ROWS));
    }
}
