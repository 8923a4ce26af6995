//! Readers alone, on the inputs that guided fuzzing kept since each comes to a new place in them, see `tests/fuzz`.

use std::collections::BTreeSet;
use std::io::Read;

use crate::place::{Place, deep};

#[path = "../fuzz/src/readers.rs"]
mod kept;

#[test]
fn what_fuzzing_found_is_read_or_refused() {
    let place = Place::new();
    place.sh("rejoin suite create web");
    kept::LAKE.set(place.location()).unwrap();
    let packed = include_bytes!("../fuzz/corpus.tar.zst");
    let mut inputs = tar::Archive::new(zstd::stream::read::Decoder::new(&packed[..]).unwrap());
    let mut read = BTreeSet::new();
    deep(|_| {
        for input in inputs.entries().unwrap() {
            let mut input = input.unwrap();
            let path = input.path().unwrap().into_owned();
            let reader = path.parent().and_then(|folder| folder.file_name()).and_then(|name| name.to_str());
            let found =
                kept::READERS.iter().find(|(name, _)| reader == Some(*name) && input.header().entry_type().is_file());
            let Some((name, reader)) = found else { continue };
            let mut data = vec![];
            input.read_to_end(&mut data).unwrap();
            reader(&data);
            read.insert(*name);
        }
    });
    assert_eq!(read.len(), kept::READERS.len());
}
