//! A reader that lets a parser take no more than so many bytes for one row, however the row is written.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// Reads until the limit is met, which then is an error.
pub struct BoundedReader<R> {
    input: R,
    limit: Limit,
}

/// What is left of a limit; a decoder that has finished a row renews it.
#[derive(Clone)]
pub struct Limit {
    bytes: u64,
    left: Rc<Cell<u64>>,
}

impl<R: Read> BoundedReader<R> {
    /// At most `bytes` of `input` between two renewals, give or take a buffer.
    pub fn new(input: R, bytes: u64) -> (Self, Limit) {
        let limit = Limit { bytes, left: Rc::new(Cell::new(bytes)) };
        (Self { input, limit: limit.clone() }, limit)
    }
}

impl Limit {
    /// A row is over.
    pub fn renew(&self) {
        self.left.set(self.bytes);
    }
}

impl<R: Read> Read for BoundedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let left = self.limit.left.get().checked_sub(count as u64);
        let Some(left) = left else {
            let limit = self.limit.bytes >> 20;
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a row of more than {limit} MiB")));
        };
        self.limit.left.set(left);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_row_has_a_limit_and_a_file_has_none() {
        let (mut input, limit) = BoundedReader::new(io::repeat(b'x'), 1 << 20);
        let mut buffer = vec![0; 1 << 19];
        for _ in 0..20 {
            input.read_exact(&mut buffer).unwrap();
            limit.renew();
        }
        input.read_exact(&mut buffer).unwrap();
        input.read_exact(&mut buffer).unwrap();
        assert!(input.read_exact(&mut buffer).unwrap_err().to_string().contains("1 MiB"));
    }
}
