//! Instants in which the order of rows must be read once more: rows of several visitors of one person, or a visitor's hits where
//! its person changes.
//!
//! Sequences of hits are noise that takes longer to read than all else, and the rows of one visitor come in their order anyway.
//! So a question by person goes over the files without them, and looks at the sequences of these few instants when it knows them.
//! In: instants of visitors. Out: the sequences of all of their hits, in order. Memory: 32 bytes an instant, 64 a hit.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::finder::Finder;
use crate::columns::{HIT_SEQ, HIT_TIME, VISITOR_ID, VISITOR_KEY, key_field};
use crate::lake::lookup::LookupFiles;

/// An instant of a visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Instant {
    pub key: i64,
    /// What [`SequenceFiles::id`] makes of the visitor's id.
    pub id: u64,
    /// Microseconds.
    pub time: i64,
}

/// Where the sequences of hits are that were not read with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SequenceFiles {
    files: LookupFiles,
    /// Ids are read, for keys are not known to tell visitors apart.
    reads_ids: bool,
}

impl SequenceFiles {
    /// In all files of which hits are read.
    pub fn new(files: LookupFiles, reads_ids: bool) -> Self {
        Self { files, reads_ids }
    }

    /// What tells the visitor with this id from others with its key; 0 where the key does. The `seed` is that of all who
    /// compare.
    pub fn id(&self, id: Option<&str>, seed: u64) -> u64 {
        match id {
            Some(id) if self.reads_ids => xxh3_64_with_seed(id.as_bytes(), seed),
            _ => 0,
        }
    }

    /// What reads the rows of instants, which are sorted.
    pub fn scans(&self, instants: &[Instant], context: &TaskContext) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let ids = self.reads_ids.then_some(VISITOR_ID);
        let names = [VISITOR_KEY].into_iter().chain(ids).chain([HIT_TIME, HIT_SEQ]);
        let mut keys: Vec<i64> = instants.iter().map(|instant| instant.key).collect();
        keys.dedup();
        self.files.scans(&keys, names.filter_map(key_field).collect(), context)
    }

    /// Each sequence of the instants that one of [`Self::scans`] finds, with the instant's place among all.
    pub async fn found_in(
        &self,
        scan: Arc<dyn ExecutionPlan>,
        instants: &[Instant],
        seed: u64,
        context: Arc<TaskContext>,
    ) -> Result<Vec<(u32, i128)>> {
        let (mut rows, mut found) = (scan.execute(0, context)?, vec![]);
        while let Some(batch) = rows.try_next().await? {
            self.look_at(&batch, instants, seed, &mut found)?;
        }
        Ok(found)
    }

    fn look_at(
        &self,
        batch: &RecordBatch,
        instants: &[Instant],
        seed: u64,
        found: &mut Vec<(u32, i128)>,
    ) -> Result<()> {
        let columns = Finder(batch);
        let (keys, times) = (columns.integers(VISITOR_KEY)?, columns.times(HIT_TIME)?);
        let sequences = columns.sequences(HIT_SEQ)?;
        let ids = self.reads_ids.then(|| columns.text(VISITOR_ID)).transpose()?;
        // the key at hand, and which of the instants have it
        let (mut at, mut own) = (None, 0..0);
        for (row, key) in keys.values().iter().enumerate() {
            if at != Some(*key) {
                let from = instants.partition_point(|instant| instant.key < *key);
                let of_key = instants[from..].partition_point(|instant| instant.key == *key);
                (at, own) = (Some(*key), from..from + of_key);
            }
            if own.is_empty() {
                continue;
            }
            let id = ids.as_ref().filter(|ids| ids.is_valid(row)).map(|ids| ids.value(row));
            let instant = Instant { key: *key, id: self.id(id, seed), time: times.value(row) };
            if let Ok(place) = instants[own.clone()].binary_search(&instant) {
                found.push(((own.start + place) as u32, sequences.value(row)));
            }
        }
        Ok(())
    }
}

/// The sequences of the hits of some instants.
pub(super) struct Sequences {
    /// Sorted, each once.
    instants: Arc<Vec<Instant>>,
    /// Where the sequences of each begin, and where the last end.
    begins: Vec<usize>,
    sequences: Vec<i128>,
}

impl Sequences {
    /// Of instants, which are sorted, each once; `found` as by [`SequenceFiles::found_in`], in any order.
    pub fn new(instants: Arc<Vec<Instant>>, mut found: Vec<(u32, i128)>) -> Self {
        found.sort_unstable();
        let mut at = 0;
        let begins = (0..=instants.len()).map(|place| {
            at += found[at..].partition_point(|(of, _)| (*of as usize) < place);
            at
        });
        let begins = begins.collect();
        Self { instants, begins, sequences: found.into_iter().map(|(_, sequence)| sequence).collect() }
    }

    /// The sequence of a visitor's hit, by its ordinal among those of its instant; None for an instant that nobody asked for.
    ///
    /// # Errors
    /// The files have not as many hits as were there before.
    pub fn of(&self, instant: &Instant, ordinal: i128) -> Result<Option<i128>> {
        let Ok(place) = self.instants.binary_search(instant) else { return Ok(None) };
        let own = &self.sequences[self.begins[place]..self.begins[place + 1]];
        match usize::try_from(ordinal).ok().and_then(|ordinal| own.get(ordinal)) {
            Some(sequence) => Ok(Some(*sequence)),
            None => Err(DataFusionError::Internal("hits of an instant are fewer than before".into())),
        }
    }

    /// Bytes for so many instants and hits, about, while the latter are put together.
    pub fn bytes_of(instants: usize, hits: usize) -> usize {
        instants * (size_of::<Instant>() + size_of::<usize>()) + 2 * hits * size_of::<(u32, i128)>()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    /// Rows of two visitors with the key 3, and of one with 9.
    fn rows() -> RecordBatch {
        let integers = |values: [i64; 6]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
        let columns = [
            (VISITOR_KEY, integers([3, 3, 3, 3, 3, 9])),
            (VISITOR_ID, Arc::new(StringArray::from(vec!["a", "a", "a", "b", "b", "c"])) as ArrayRef),
            (HIT_TIME, integers([10, 10, 20, 10, 10, 10])),
            (HIT_SEQ, integers([5, 7, 1, 6, 8, 2])),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn sequences(reads_ids: bool, visitors: &[(i64, Option<&str>)]) -> Sequences {
        let files = SequenceFiles::new(LookupFiles::default(), reads_ids);
        let instant = |(key, id): &(i64, Option<&str>)| Instant { key: *key, id: files.id(*id, 1), time: 10 };
        let mut instants: Vec<Instant> = visitors.iter().map(instant).collect();
        instants.sort();
        let mut found = vec![];
        // in two batches, the later one first
        for batch in [rows().slice(4, 2), rows().slice(0, 4)] {
            files.look_at(&batch, &instants, 1, &mut found).unwrap();
        }
        Sequences::new(Arc::new(instants), found)
    }

    #[test]
    fn hits_of_an_instant_are_told_by_their_ordinals() {
        let all = sequences(false, &[(3, None), (9, None)]);
        let of = |key: i64, time: i64, ordinal: i128| all.of(&Instant { key, id: 0, time }, ordinal);
        assert_eq!([0, 1, 2, 3].map(|ordinal| of(3, 10, ordinal).unwrap().unwrap()), [5, 6, 7, 8]);
        assert_eq!(of(9, 10, 0).unwrap(), Some(2));
        // of which nobody asked
        assert_eq!((of(3, 20, 0).unwrap(), of(4, 10, 0).unwrap()), (None, None));
        // more than there are
        assert!(of(9, 10, 1).is_err() && of(9, 10, -1).is_err());
    }

    #[test]
    fn ids_tell_visitors_of_one_key_apart() {
        let all = sequences(true, &[(3, Some("a")), (3, Some("b")), (3, Some("d"))]);
        let files = SequenceFiles::new(LookupFiles::default(), true);
        let of = |id: &str, ordinal: i128| all.of(&Instant { key: 3, id: files.id(Some(id), 1), time: 10 }, ordinal);
        assert_eq!((of("a", 0).unwrap(), of("a", 1).unwrap()), (Some(5), Some(7)));
        assert_eq!((of("b", 0).unwrap(), of("b", 1).unwrap()), (Some(6), Some(8)));
        assert!(of("a", 2).is_err() && of("d", 0).is_err());
        assert_ne!(files.id(Some("a"), 1), files.id(Some("a"), 2));
    }
}
