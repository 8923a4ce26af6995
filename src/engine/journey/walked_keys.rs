//! What walks over files tell of visitors' keys, also where each goes over a part of a bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;

use crate::lake::keys::KnownKeys;
use crate::lake::layout::BUCKETS;

/// Notes that keys identify visitors in the files of a bucket, once all ranges of its keys were walked over. Clones share what they know.
#[derive(Debug, Clone)]
pub(super) struct WalkedKeys {
    keys: KnownKeys,
    /// Ranges of all keys.
    ranges: usize,
    /// Those in which no two visitors share a key, and all hits have a visitor, with their files.
    unique: Arc<Mutex<BTreeMap<usize, Vec<Path>>>>,
}

impl WalkedKeys {
    /// Notes it in `keys`, for walks over so many ranges.
    pub fn new(keys: KnownKeys, ranges: usize) -> Self {
        Self { keys, ranges, unique: Arc::default() }
    }

    /// In this range, whose files are `files`, no two visitors share a key, and all hits have a visitor. Other ranges of its bucket may
    /// have other files.
    pub fn note_unique(&self, range: usize, files: &[Path]) {
        let parts = (self.ranges / BUCKETS).max(1);
        let first = range / parts * parts;
        let mut unique = self.unique.lock().unwrap_or_else(PoisonError::into_inner);
        unique.insert(range, files.to_vec());
        let bucket: Vec<&Vec<Path>> = unique.range(first..first + parts).map(|(_, files)| files).collect();
        if bucket.len() == parts {
            let files: BTreeSet<&Path> = bucket.into_iter().flatten().collect();
            self.keys.note_unique(&files.into_iter().cloned().collect::<Vec<_>>());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_noted_when_all_of_its_ranges_were_seen() {
        let (keys, files) = (KnownKeys::default(), [Path::from("a"), Path::from("b")]);
        let walked = WalkedKeys::new(keys.clone(), 4 * BUCKETS);
        for range in [7, 4, 6, 3, 8, 4] {
            walked.clone().note_unique(range, &files);
            assert!(!keys.suffice(files.iter()), "{range}");
        }
        walked.note_unique(5, &files);
        assert!(keys.suffice(files.iter()));
        let keys = KnownKeys::default();
        WalkedKeys::new(keys.clone(), BUCKETS).note_unique(3, &files);
        assert!(keys.suffice(files.iter()));
        // a file of a part of the bucket is not in all of its ranges
        let keys = KnownKeys::default();
        let walked = WalkedKeys::new(keys.clone(), 2 * BUCKETS);
        walked.note_unique(2, &files[..1]);
        walked.note_unique(3, &files[1..]);
        assert!(keys.suffice(files.iter()));
    }
}
