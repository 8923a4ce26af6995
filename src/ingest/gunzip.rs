//! What is packed in a gzip file: of all its members, one after another, as `gzip -d` gives it.
//!
//! Zeros after the last member, with which tapes and some tools fill a block, are nothing. Anything else there is an error:
//! it may be rows.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

/// How a member begins.
const BEGINNING: &[u8] = &[0x1f];

/// Reads what is packed.
pub struct Gunzip<R> {
    /// The member that is read; None at the end.
    member: Option<GzDecoder<BufReader<R>>>,
}

impl<R: Read> Gunzip<R> {
    /// Reads the beginning of the first member; what is wrong with it is an error when its bytes are read.
    pub fn new(packed: BufReader<R>) -> Self {
        Self { member: Some(GzDecoder::new(packed)) }
    }
}

impl<R: Read> Read for Gunzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            let Some(mut packed) = self.member.take().map(GzDecoder::into_inner) else { break };
            if is_more(&mut packed, BEGINNING)? {
                self.member = Some(GzDecoder::new(packed));
            }
        }
        Ok(0)
    }
}

/// True where another part follows, which begins with one of these bytes; false where nothing does but zeros.
///
/// # Errors
/// Something else follows.
pub fn is_more(packed: &mut impl BufRead, beginnings: &[u8]) -> io::Result<bool> {
    match next_bytes(packed)?.first().copied() {
        None => Ok(false),
        Some(0) => only_zeros(packed).map(|()| false),
        Some(first) if beginnings.contains(&first) => Ok(true),
        Some(_) => Err(foreign_bytes()),
    }
}

/// Reads to the end.
///
/// # Errors
/// Something other than a zero comes.
pub fn only_zeros(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = next_bytes(input)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(foreign_bytes());
        }
        let count = bytes.len();
        if count == 0 {
            return Ok(());
        }
        input.consume(count);
    }
}

/// What is said of anything but zeros after the end of a packed file.
pub fn foreign_bytes() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "other bytes than zeros follow its end")
}

/// The bytes that come next; none at the end.
fn next_bytes(input: &mut impl BufRead) -> io::Result<&[u8]> {
    while let Err(error) = input.fill_buf() {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    input.fill_buf()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    fn read(parts: &[&[u8]]) -> io::Result<String> {
        let mut text = String::new();
        // of which no read gives more than a few bytes
        Gunzip::new(BufReader::with_capacity(7, &*parts.concat())).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_and_what_follows_them() {
        let (one, other, empty) = (packed("one "), packed("other"), packed(""));
        assert_eq!(read(&[&one]).unwrap(), "one ");
        assert_eq!(read(&[&one, &empty, &other]).unwrap(), "one other");
        for zeros in [1, 2, 9, 10, 512, 100_000] {
            assert_eq!(read(&[&one, &other, &vec![0_u8; zeros]]).unwrap(), "one other", "{zeros}");
        }
        let wrong: [(&[&[u8]], io::ErrorKind); 7] = [
            (&[&one, b"x"], io::ErrorKind::InvalidData),
            (&[&one, b"\nother rows\n"], io::ErrorKind::InvalidData),
            (&[&one, &[0; 600], &other], io::ErrorKind::InvalidData),
            (&[&one, &other[..9]], io::ErrorKind::UnexpectedEof),
            (&[&one, &other[..other.len() - 1]], io::ErrorKind::UnexpectedEof),
            (&[b""], io::ErrorKind::UnexpectedEof),
            (&[b"no gzip file"], io::ErrorKind::InvalidInput),
        ];
        for (parts, kind) in wrong {
            assert_eq!(read(parts).unwrap_err().kind(), kind, "{parts:?}");
        }
        // once more at the end
        let mut input = Gunzip::new(BufReader::new(&*one));
        io::copy(&mut input, &mut io::sink()).unwrap();
        assert_eq!(input.read(&mut [0; 4]).unwrap(), 0);
    }
}
