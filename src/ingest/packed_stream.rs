//! What is packed in one stream by itself, by gzip or zstd, as its first bytes say.
//!
//! In: a stream, and the name of its file. Out: its bytes, unpacked. A stream that says nothing is not packed, unless its name
//! says that it is: then it is damaged, or its name is wrong.

use std::io::{self, BufReader, Cursor, Read};

use super::gunzip::Gunzip;
use super::input_file::InputFile;
use super::unzstd::Unzstd;
use crate::feed::packing::Packing;
use crate::{Error, Result};

/// So much is read at once.
pub const BUFFER_BYTES: usize = 256 * 1024;

/// The bytes of a stream, and how they were packed.
pub struct Unpacked<'a> {
    /// None where they were not.
    pub packing: Option<Packing>,
    /// As they were before.
    pub input: Box<dyn Read + Send + 'a>,
}

/// Reads the beginning of a stream.
///
/// # Errors
/// It is not packed, and `name` says that it is.
pub fn unpacked_stream<'a>(mut stored: impl Read + Send + 'a, name: &str) -> io::Result<Unpacked<'a>> {
    let start = start_of(&mut stored)?;
    let packing = Packing::of_bytes(&start);
    if packing.is_none() && Packing::of_name(name).is_some() {
        let (kind, said) = match start.len() as u64 {
            Packing::START_BYTES => (io::ErrorKind::InvalidInput, "it does not begin as a packed file does"),
            _ => (io::ErrorKind::UnexpectedEof, "it ends where it begins"),
        };
        return Err(io::Error::new(kind, said));
    }
    let stored = BufReader::with_capacity(BUFFER_BYTES, Cursor::new(start).chain(stored));
    let input: Box<dyn Read + Send + 'a> = match packing {
        None => Box::new(stored),
        Some(Packing::Gzip) => Box::new(Gunzip::new(stored)),
        Some(Packing::Zstd) => Box::new(Unzstd::new(stored)?),
    };
    Ok(Unpacked { packing, input })
}

/// True for a file that is packed by itself, or whose name says so.
pub fn is_packed(file: &InputFile) -> Result<bool> {
    let start = start_of(&mut file.stream()?).map_err(|e| Error::refused(format!("cannot be read: {e}")))?;
    Ok(Packing::of_bytes(&start).or(Packing::of_name(&file.name())).is_some())
}

fn start_of(stored: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = vec![];
    stored.take(Packing::START_BYTES).read_to_end(&mut start)?;
    Ok(start)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;

    use super::*;

    fn read(bytes: &[u8], name: &str) -> io::Result<(Option<Packing>, String)> {
        let Unpacked { packing, mut input } = unpacked_stream(bytes, name)?;
        let mut text = String::new();
        input.read_to_string(&mut text)?;
        Ok((packing, text))
    }

    #[test]
    fn bytes_decide_and_not_the_name() {
        let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        gzip.write_all(b"rows").unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&b"rows"[..], 3).unwrap();
        let passed_over = [&b"\x5f\x2a\x4d\x18\x02\0\0\0ab"[..], &zstd].concat();
        for name in ["a.tsv", "a.tsv.gz", "a.tsv.zst"] {
            for (bytes, packing) in [(&gzip, Packing::Gzip), (&zstd, Packing::Zstd), (&passed_over, Packing::Zstd)] {
                assert_eq!(read(bytes, name).unwrap(), (Some(packing), "rows".into()), "{name}");
                let cut = read(&bytes[..bytes.len() - 1], name);
                assert!(cut.is_err(), "{name}");
            }
        }
        for text in ["", "a", "(", "rows", "P*M"] {
            assert_eq!(read(text.as_bytes(), "a.tsv").unwrap(), (None, text.into()));
            for name in ["a.tsv.gz", "a.tsv.ZST"] {
                assert!(read(text.as_bytes(), name).is_err(), "{name}");
            }
        }
    }
}
