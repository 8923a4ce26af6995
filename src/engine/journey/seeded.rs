//! Hash tables of short keys that are looked up for many rows: xxh3, the faster hash of these, with a seed of its own for each
//! table, so that nobody can send keys of one hash.

use std::hash::{BuildHasher, Hasher, RandomState};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The seed of one table.
#[derive(Debug)]
pub(super) struct Seed(u64);

impl Default for Seed {
    fn default() -> Self {
        Self(RandomState::new().hash_one(0))
    }
}

impl BuildHasher for Seed {
    type Hasher = SeededHash;

    fn build_hasher(&self) -> SeededHash {
        SeededHash(self.0)
    }
}

/// Each part of a key is hashed with the hash of those before it.
pub(super) struct SeededHash(u64);

impl Hasher for SeededHash {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = xxh3_64_with_seed(bytes, self.0);
    }

    // what separates texts in a row; here is but one
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};
    use std::sync::Arc;

    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let seed = Seed::default();
        let pairs = (0..100_u32).flat_map(|one| (0..100_u32).map(move |other| (one, other)));
        let hashes: HashSet<u64> = pairs.map(|pair| seed.hash_one(pair)).collect();
        assert_eq!(hashes.len(), 10_000);
        assert_ne!(seed.hash_one("a"), Seed::default().hash_one("a"), "each table has its seed");
    }

    #[test]
    fn keys_are_found_by_what_they_hold() {
        let mut texts: HashMap<Arc<str>, u32, Seed> = HashMap::default();
        texts.insert(Arc::from("page"), 7);
        assert_eq!((texts.get("page"), texts.get("pag")), (Some(&7), None));
        let mut groups: HashMap<Arc<[u8]>, u32, Seed> = HashMap::default();
        groups.insert(Arc::from([1_u8, 2].as_slice()), 8);
        assert_eq!((groups.get([1_u8, 2].as_slice()), groups.get([1_u8].as_slice())), (Some(&8), None));
    }
}
