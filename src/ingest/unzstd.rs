//! What is packed in a zstd file: of all its frames, one after another. What may follow them is what may follow a gzip file.

use std::io::{self, BufReader, Read};

use zstd::stream::read::Decoder;

use super::gunzip::is_more;

/// A file that needs more memory to be unpacked is refused: 2 to the power of this, in bytes. Levels up to 20 need no more.
const WINDOW_LOG: u32 = 25;

/// How frames begin: those that hold something, and those that are passed over.
const BEGINNINGS: &[u8] = b"\x28\x50\x51\x52\x53\x54\x55\x56\x57\x58\x59\x5a\x5b\x5c\x5d\x5e\x5f";

/// Reads what is packed.
pub struct Unzstd<R: Read> {
    /// The frame that is read; None at the end.
    frame: Option<Decoder<'static, BufReader<R>>>,
}

impl<R: Read> Unzstd<R> {
    /// Nothing is read yet.
    pub fn new(packed: BufReader<R>) -> io::Result<Self> {
        Ok(Self { frame: Some(next_frame(packed)?) })
    }
}

impl<R: Read> Read for Unzstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(frame) = &mut self.frame {
            let count = frame.read(buffer).map_err(explained)?;
            if count > 0 {
                return Ok(count);
            }
            let Some(mut packed) = self.frame.take().map(Decoder::finish) else { break };
            if is_more(&mut packed, BEGINNINGS)? {
                self.frame = Some(next_frame(packed)?);
            }
        }
        Ok(0)
    }
}

/// What is said of a frame whose window is larger than allowed.
fn explained(error: io::Error) -> io::Error {
    if !error.to_string().contains("too much memory") {
        return error;
    }
    let most = 1_u32 << (WINDOW_LOG - 20);
    let advice = format!("a window of more than {most} MiB; pack it anew, without --long and --ultra");
    io::Error::new(io::ErrorKind::Unsupported, advice)
}

fn next_frame<R: Read>(packed: BufReader<R>) -> io::Result<Decoder<'static, BufReader<R>>> {
    let mut frame = Decoder::with_buffer(packed)?.single_frame();
    frame.window_log_max(WINDOW_LOG)?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(parts: &[&[u8]]) -> io::Result<String> {
        let mut text = String::new();
        // of which no read gives more than a few bytes
        Unzstd::new(BufReader::with_capacity(7, &*parts.concat()))?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn a_window_that_takes_too_much_memory() {
        let packed = |window: u32| {
            let mut encoder = zstd::stream::write::Encoder::new(vec![], 1).unwrap();
            encoder.window_log(window).unwrap();
            io::Write::write_all(&mut encoder, b"rows").unwrap();
            encoder.finish().unwrap()
        };
        assert_eq!(read(&[&packed(WINDOW_LOG)]).unwrap(), "rows");
        let error = read(&[&packed(WINDOW_LOG + 2)]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("more than 32 MiB"), "{error}");
    }

    #[test]
    fn frames_and_what_follows_them() {
        let packed = |text: &str| zstd::encode_all(text.as_bytes(), 3).unwrap();
        let (one, other, empty) = (packed("one "), packed("other"), packed(""));
        // four bytes that say nothing, and their number
        let passed_over = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
        assert_eq!(read(&[&one]).unwrap(), "one ");
        assert_eq!(read(&[&one, &empty, passed_over, &other]).unwrap(), "one other");
        for zeros in [1, 2, 512, 100_000] {
            assert_eq!(read(&[&one, &other, &vec![0_u8; zeros]]).unwrap(), "one other", "{zeros}");
        }
        let wrong: [&[&[u8]]; 6] = [
            &[&one, b"x"],
            &[&one, b"(no frame"],
            &[&one, &[0; 600], &other],
            &[&one, &other[..other.len() - 1]],
            &[b""],
            &[b"no zstd file"],
        ];
        for parts in wrong {
            assert!(read(parts).is_err(), "{parts:?}");
        }
    }
}
