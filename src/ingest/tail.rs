//! The last bytes that a parser was given, for one that tells how far it has read, but not how its last row ended.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

/// Passes bytes on and keeps those of the last read.
pub struct Tailed<R> {
    input: R,
    tail: Tail,
}

/// What was read last.
#[derive(Clone, Default)]
pub struct Tail(Rc<RefCell<Last>>);

#[derive(Default)]
struct Last {
    bytes: Vec<u8>,
    /// The number of bytes before them, and the last of those.
    start: u64,
    before: Option<u8>,
}

impl<R: Read> Tailed<R> {
    /// Nothing is read yet.
    pub fn new(input: R) -> (Self, Tail) {
        let tail = Tail::default();
        (Self { input, tail: tail.clone() }, tail)
    }
}

impl Tail {
    /// The byte before place `end`, if it is among the last ones.
    pub fn byte_before(&self, end: u64) -> Option<u8> {
        let last = self.0.borrow();
        match end.checked_sub(last.start)? {
            0 => last.before,
            within => last.bytes.get(within as usize - 1).copied(),
        }
    }
}

impl<R: Read> Read for Tailed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        if count > 0 {
            let last = &mut *self.tail.0.borrow_mut();
            last.start += last.bytes.len() as u64;
            last.before = last.bytes.last().copied();
            last.bytes.clear();
            last.bytes.extend_from_slice(&buffer[..count]);
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_last_read_is_kept_with_the_byte_before_it() {
        let (mut input, tail) = Tailed::new(&b"0123456789"[..]);
        let mut buffer = [0; 4];
        input.read_exact(&mut buffer).unwrap();
        assert_eq!([0, 1, 4, 5].map(|end| tail.byte_before(end)), [None, Some(b'0'), Some(b'3'), None]);
        input.read_exact(&mut buffer).unwrap();
        assert_eq!([3, 4, 5, 8].map(|end| tail.byte_before(end)), [None, Some(b'3'), Some(b'4'), Some(b'7')]);
        // the end of the input takes nothing away
        input.read_exact(&mut buffer[..2]).unwrap();
        assert_eq!(input.read(&mut buffer).unwrap(), 0);
        assert_eq!(tail.byte_before(10), Some(b'9'));
    }
}
