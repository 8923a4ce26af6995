//! What walks over files have found out about visitor keys, while this process lives.
//!
//! A visitor's key is a hash, and two visitors may share one: only their ids tell them apart. Ids are half of what a journey decodes.
//! A walk over all rows of some files that met no key twice notes it here, and the next question to these files need not read their
//! ids. Files never change, so what was found stays true; it is forgotten when the files go. Nothing is known of files that were not
//! walked over together.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use object_store::path::Path;

/// Files that are remembered at most; more, and all are forgotten. A path takes about 100 bytes.
const MOST_FILES: usize = 200_000;

/// Files within which a key is one visitor. Clones share what they know.
#[derive(Debug, Clone, Default)]
pub struct KnownKeys(Arc<Mutex<Walks>>);

#[derive(Debug, Default)]
struct Walks {
    /// The walk that a file was part of: the last one that went over more files than were known together.
    of_file: HashMap<Path, u64>,
    next: u64,
}

impl KnownKeys {
    /// All rows of `files` have a visitor where they are hits, and no two visitors among them share a key.
    pub fn note_unique(&self, files: &[Path]) {
        let mut walks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if walks.are_together(files.iter()) {
            return;
        }
        if walks.of_file.len() + files.len() > MOST_FILES {
            walks.of_file.clear();
        }
        let walk = walks.next;
        walks.next += 1;
        walks.of_file.extend(files.iter().map(|file| (file.clone(), walk)));
    }

    /// Of the files in a folder, remembers these alone.
    pub(super) fn keep_only(&self, folder: &Path, live: &HashSet<&Path>) {
        let mut walks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        walks.of_file.retain(|file, _| live.contains(file) || !file.prefix_matches(folder));
    }

    /// True when the keys in `files` are known to tell visitors apart.
    pub fn suffice<'f>(&self, files: impl Iterator<Item = &'f Path>) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).are_together(files)
    }
}

impl Walks {
    fn are_together<'f>(&self, mut files: impl Iterator<Item = &'f Path>) -> bool {
        let Some(first) = files.next() else { return true };
        let walk = self.of_file.get(first);
        walk.is_some() && files.all(|file| self.of_file.get(file) == walk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_one_walk_are_known_together() {
        let (a, b, c) = (Path::from("a"), Path::from("b"), Path::from("c"));
        let known = KnownKeys::default();
        assert!(!known.suffice([&a].into_iter()));
        known.note_unique(&[a.clone(), b.clone()]);
        known.note_unique(std::slice::from_ref(&c));
        assert!(known.suffice([&a, &b].into_iter()) && known.suffice([&b].into_iter()));
        assert!(known.suffice([&c].into_iter()) && !known.suffice([&a, &c].into_iter()));
        // a walk over fewer files takes nothing away
        known.note_unique(std::slice::from_ref(&b));
        assert!(known.clone().suffice([&a, &b].into_iter()));
        known.note_unique(&[a.clone(), b.clone(), c.clone()]);
        assert!(known.suffice([&c, &a, &b].into_iter()));
    }

    #[test]
    fn files_that_went_are_forgotten() {
        let [live, gone, other] = ["l/hits/a", "l/hits/b", "l/hits_2/a"].map(Path::from);
        let known = KnownKeys::default();
        known.note_unique(&[live.clone(), gone.clone(), other.clone()]);
        known.keep_only(&Path::from("l/hits"), &HashSet::from([&live]));
        assert!(known.suffice([&live, &other].into_iter()));
        assert!(!known.suffice([&gone].into_iter()));
    }
}
