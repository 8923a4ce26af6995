//! What the bytes of an input are, by which it is known again.

use std::io::Read;

use xxhash_rust::xxh3::Xxh3;

use super::input_file::InputFile;
use crate::{Error, Result};

/// What the bytes of an input are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Their number.
    pub bytes: u64,
    /// A hash of them.
    pub data: String,
    /// A hash of them and of what says how they are read, by which the load is known.
    pub hash: String,
}

/// What the bytes of a file are; `place` is what its folders add to them, `meaning` says how they are read.
pub fn content_of(file: &InputFile, place: &str, meaning: &str) -> Result<Content> {
    let mut input = file.stream()?;
    let (mut hash, mut bytes, mut buffer) = (Xxh3::new(), 0, vec![0; 256 * 1024]);
    loop {
        let count = input.read(&mut buffer).map_err(|e| Error::refused(format!("cannot be read: {e}")))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
    hash.update(place.as_bytes());
    let data = format!("{:032x}", hash.digest128());
    hash.update(meaning.as_bytes());
    Ok(Content { bytes, data, hash: format!("{:032x}", hash.digest128()) })
}
