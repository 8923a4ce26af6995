//! An input whose last part can be read again: what a row took that turns out to be none is given back.
//!
//! In: an input that is read once. Out: the same, from any place on that is held. A decoder that has finished a row holds the place
//! after it; no more than so many bytes are held.

use std::cell::{Ref, RefCell};
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// Reads an input, and again from a place that is held.
pub struct Rewindable<R> {
    input: R,
    held: KeptBytes,
}

/// The bytes that were read from the held place on.
#[derive(Clone)]
pub struct KeptBytes(Rc<RefCell<BufferedBytes>>);

struct BufferedBytes {
    bytes: Vec<u8>,
    /// The number of bytes of the input before them.
    start: u64,
    /// The place that is read next.
    next: u64,
    /// The place from which on they are held.
    from: u64,
    most: usize,
}

impl<R: Read> Rewindable<R> {
    /// Nothing is read yet. At most `most` bytes are held, give or take a read: then reading on is an error.
    pub fn new(input: R, most: usize) -> (Self, KeptBytes) {
        let held = KeptBytes(Rc::new(RefCell::new(BufferedBytes { bytes: vec![], start: 0, next: 0, from: 0, most })));
        (Self { input, held: held.clone() }, held)
    }
}

impl KeptBytes {
    /// Holds what is read from this place on, and lets go of what is before it.
    pub fn hold(&self, place: u64) {
        self.0.borrow_mut().from = place;
    }

    /// What is held of the input from one place up to another.
    pub fn bytes(&self, from: u64, to: u64) -> Ref<'_, [u8]> {
        Ref::map(self.0.borrow(), |part| {
            let at = |place: u64| (place.saturating_sub(part.start) as usize).min(part.bytes.len());
            &part.bytes[at(from)..at(to).max(at(from))]
        })
    }

    /// The place up to which the input was read.
    pub fn end(&self) -> u64 {
        let part = self.0.borrow();
        part.start + part.bytes.len() as u64
    }

    /// True where no more can be held.
    pub fn is_full(&self) -> bool {
        let part = self.0.borrow();
        part.bytes.len() >= part.most
    }
}

impl BufferedBytes {
    fn let_go(&mut self) {
        let gone = (self.from.saturating_sub(self.start) as usize).min(self.bytes.len());
        drop(self.bytes.drain(..gone));
        self.start += gone as u64;
    }
}

impl<R: Read> Read for Rewindable<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let part = &mut *self.held.0.borrow_mut();
        let at = (part.next - part.start) as usize;
        if at < part.bytes.len() {
            let count = (&part.bytes[at..]).read(buffer)?;
            part.next += count as u64;
            return Ok(count);
        }
        part.let_go();
        if part.bytes.len() >= part.most {
            let most = part.most >> 20;
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a row of more than {most} MiB")));
        }
        let count = self.input.read(buffer)?;
        part.bytes.extend_from_slice(&buffer[..count]);
        part.next += count as u64;
        Ok(count)
    }
}

impl<R> Seek for Rewindable<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let part = &mut *self.held.0.borrow_mut();
        match to {
            SeekFrom::Start(place) if (part.start..=part.start + part.bytes.len() as u64).contains(&place) => {
                part.next = place;
                Ok(place)
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "only what is held can be read again")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_held_is_read_again() {
        let (mut input, held) = Rewindable::new(&b"0123456789"[..], 1 << 20);
        let mut buffer = [0; 4];
        input.read_exact(&mut buffer).unwrap();
        held.hold(3);
        assert_eq!((&*held.bytes(1, 3), held.end()), (&b"12"[..], 4));
        input.read_exact(&mut buffer).unwrap();
        assert_eq!(&*held.bytes(3, 99), b"34567");
        assert_eq!(input.seek(SeekFrom::Start(5)).unwrap(), 5);
        let mut rest = String::new();
        input.read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), held.end()), ("56789", 10));
        assert!(input.seek(SeekFrom::Start(2)).is_err() && input.seek(SeekFrom::Start(11)).is_err());
        assert!(held.bytes(9, 4).is_empty());
    }

    #[test]
    fn one_row_has_a_limit_and_a_file_has_none() {
        let (mut input, held) = Rewindable::new(io::repeat(b'x'), 1 << 20);
        let mut buffer = vec![0; 1 << 19];
        for row in 0..20 {
            held.hold(row << 19);
            input.read_exact(&mut buffer).unwrap();
            assert!(!held.is_full());
        }
        input.read_exact(&mut buffer).unwrap();
        assert!(input.read_exact(&mut buffer).unwrap_err().to_string().contains("1 MiB"));
        assert!(held.is_full());
        // from where it can go on
        input.seek(SeekFrom::Start(20 << 19)).unwrap();
        held.hold(20 << 19);
        input.read_exact(&mut buffer).unwrap();
        input.read_exact(&mut buffer).unwrap();
        assert_eq!(held.end(), 22 << 19);
    }
}
