//! A reader that hashes what passes, however it is unpacked.

use std::io::{self, Read};

use xxhash_rust::xxh3::Xxh3;

/// Hashes what passes.
pub struct Hashed<R> {
    input: R,
    hash: Xxh3,
    bytes: u64,
}

impl<R: Read> Hashed<R> {
    /// Nothing has passed.
    pub fn new(input: R) -> Self {
        Self { input, hash: Xxh3::new(), bytes: 0 }
    }

    /// Reads what is left. Gives the hash of all bytes, and their number.
    pub fn finish(mut self) -> io::Result<(Xxh3, u64)> {
        // most are read to their end already, and there are many small ones
        let mut buffer = vec![0; 16 << 10];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok((self.hash, self.bytes)),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.bytes += count as u64;
        Ok(count)
    }
}
