//! Encodings: which one an input is in, and a reader that gives UTF-8 whatever it is.
//!
//! Data feeds are UTF-8 or ISO-8859-1, data source files may have a byte order mark and be UTF-16, too. ISO-8859-1 is
//! read as its superset Windows-1252, in which every byte is a character, so that nothing is ever lost.

use std::borrow::Cow;
use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How the characters of an input are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with or without a byte order mark.
    Utf8,
    /// UTF-16, low byte first, with a byte order mark.
    Utf16Le,
    /// UTF-16, high byte first, with a byte order mark.
    Utf16Be,
    /// Windows-1252, of which ISO-8859-1 text is a part.
    Windows1252,
}

impl Encoding {
    /// Reads all of `input` to tell its encoding: by the byte order mark, else UTF-8 if all of it is valid, else
    /// Windows-1252. Memory does not grow with the input.
    pub fn detect(mut input: impl Read) -> io::Result<Self> {
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut kept = fill(&mut input, &mut buffer)?;
        if let Some(encoding) = Self::of_mark(&buffer[..kept]) {
            return Ok(encoding);
        }
        while kept > 0 {
            let incomplete = match std::str::from_utf8(&buffer[..kept]) {
                Ok(_) => 0,
                Err(e) if e.error_len().is_none() => kept - e.valid_up_to(),
                Err(_) => return Ok(Self::Windows1252),
            };
            // A character may be across two chunks: its first bytes open the next one.
            buffer.copy_within(kept - incomplete..kept, 0);
            let more = fill(&mut input, &mut buffer[incomplete..])?;
            if more == 0 {
                return Ok(if incomplete == 0 { Self::Utf8 } else { Self::Windows1252 });
            }
            kept = incomplete + more;
        }
        Ok(Self::Utf8)
    }

    /// [`Encoding::detect`] of bytes in memory.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::of_mark(bytes).unwrap_or(match std::str::from_utf8(bytes) {
            Ok(_) => Self::Utf8,
            Err(_) => Self::Windows1252,
        })
    }

    /// Decodes one record or file, byte order mark removed; `None` where `bytes` are not in this encoding.
    pub fn decode(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes.strip_prefix(UTF_8_MARK).unwrap_or(bytes)).ok().map(Cow::Borrowed),
            Self::Windows1252 => Some(WINDOWS_1252.decode_without_bom_handling(bytes).0),
            Self::Utf16Le | Self::Utf16Be => {
                let (text, malformed) = self.standard().decode_with_bom_removal(bytes);
                (!malformed).then_some(text)
            }
        }
    }

    fn of_mark(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0xFF, 0xFE, ..] => Some(Self::Utf16Le),
            [0xFE, 0xFF, ..] => Some(Self::Utf16Be),
            bytes if bytes.starts_with(UTF_8_MARK) => Some(Self::Utf8),
            _ => None,
        }
    }

    fn standard(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::Utf8 => UTF_8,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
            Self::Windows1252 => WINDOWS_1252,
        }
    }
}

/// UTF-8 text without its byte order mark.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Tells UTF-8 and Windows-1252 apart while an input is read, block by block, cut between characters.
///
/// An input is Windows-1252 as a whole where any of it is not UTF-8; as long as all is ASCII, both are the same.
#[derive(Debug)]
pub struct EncodingSoFar {
    windows: bool,
    ascii: bool,
}

impl EncodingSoFar {
    /// Nothing seen yet; `windows` where the input is known to be Windows-1252.
    pub fn new(windows: bool) -> Self {
        Self { windows, ascii: true }
    }

    /// The encoding of the next block. None where the input is Windows-1252, and characters of former blocks were taken
    /// for UTF-8: it must be read again.
    pub fn of_next(&mut self, block: &[u8]) -> Option<Encoding> {
        if !self.windows && simdutf8::basic::from_utf8(block).is_err() {
            if !self.ascii {
                return None;
            }
            self.windows = true;
        }
        self.ascii = self.ascii && block.is_ascii();
        Some(if self.windows { Encoding::Windows1252 } else { Encoding::Utf8 })
    }
}

/// Reads any [`Encoding`] as UTF-8 without a byte order mark, in constant memory. Bytes that are not in the encoding
/// end the reading with `InvalidData`; only UTF-8 input is passed on as it is, so that one bad line stays one bad line.
pub struct Utf8Reader<R> {
    input: R,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    decoded: Vec<u8>,
    raw_at: usize,
    raw_end: usize,
    at: usize,
    started: bool,
    ended: bool,
}

impl<R: Read> Utf8Reader<R> {
    /// Reads nothing yet.
    pub fn new(input: R, encoding: Encoding) -> Self {
        let decoder = (encoding != Encoding::Utf8).then(|| match encoding {
            Encoding::Windows1252 => WINDOWS_1252.new_decoder_without_bom_handling(),
            other => other.standard().new_decoder_with_bom_removal(),
        });
        Self {
            input,
            decoder,
            raw: vec![0; CHUNK_BYTES],
            decoded: Vec::new(),
            raw_at: 0,
            raw_end: 0,
            at: 0,
            started: false,
            ended: false,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        self.decoded.clear();
        self.at = 0;
        while self.decoded.is_empty() && !self.ended {
            if self.raw_at == self.raw_end {
                self.raw_end = fill(&mut self.input, &mut self.raw)?;
                self.raw_at = 0;
                if !self.started && self.decoder.is_none() && self.raw[..self.raw_end].starts_with(UTF_8_MARK) {
                    self.raw_at = UTF_8_MARK.len();
                }
                self.started = true;
            }
            let last = self.raw_end < self.raw.len();
            let source = &self.raw[self.raw_at..self.raw_end];
            let Some(decoder) = &mut self.decoder else {
                self.decoded.extend_from_slice(source);
                self.raw_at = self.raw_end;
                self.ended = last;
                continue;
            };
            self.decoded.resize(2 * CHUNK_BYTES, 0);
            let (result, read, written) = decoder.decode_to_utf8_without_replacement(source, &mut self.decoded, last);
            self.decoded.truncate(written);
            self.raw_at += read;
            match result {
                DecoderResult::InputEmpty => self.ended = last,
                DecoderResult::OutputFull => {}
                DecoderResult::Malformed(..) => {
                    let name = decoder.encoding().name();
                    let message = format!("not valid {name}; was it cut short? send the whole file as UTF-8");
                    return Err(io::Error::new(io::ErrorKind::InvalidData, message));
                }
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Utf8Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.decoded.len() {
            self.refill()?;
        }
        let n = (&self.decoded[self.at..]).read(buffer)?;
        self.at += n;
        Ok(n)
    }
}

const CHUNK_BYTES: usize = 64 * 1024;
const UTF_8_MARK: &[u8] = &[0xEF, 0xBB, 0xBF];

/// Reads until `buffer` is full or the input ends, so that a short read always means the end.
pub(super) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// One byte at a time, the worst that a reader may do.
    struct Trickle<'a>(&'a [u8]);
    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = self.0.len().min(buffer.len()).min(1);
            buffer[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn read(bytes: &[u8]) -> (Encoding, io::Result<String>) {
        let encoding = Encoding::detect(Trickle(bytes)).unwrap();
        let mut text = String::new();
        let result = Utf8Reader::new(Trickle(bytes), encoding).read_to_string(&mut text);
        (encoding, result.map(|_| text))
    }

    fn utf16(text: &str, high_first: bool) -> Vec<u8> {
        let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
        units.flat_map(|u| if high_first { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    }

    #[test]
    fn every_encoding() {
        let long = "Käse 💶\n".repeat(30_000);
        let latin: Vec<u8> = "Käse\n".repeat(30_000).chars().map(|c| c as u32 as u8).collect();
        for (bytes, encoding, text) in [
            (long.clone().into_bytes(), Encoding::Utf8, long.clone()),
            (["\u{FEFF}".as_bytes(), long.as_bytes()].concat(), Encoding::Utf8, long.clone()),
            (utf16(&long, false), Encoding::Utf16Le, long.clone()),
            (utf16(&long, true), Encoding::Utf16Be, long.clone()),
            (latin, Encoding::Windows1252, "Käse\n".repeat(30_000)),
            (vec![0x80, 0x81, b'a'], Encoding::Windows1252, "€\u{81}a".to_owned()),
            (vec![], Encoding::Utf8, String::new()),
            (vec![0xEF, 0xBB, 0xBF], Encoding::Utf8, String::new()),
        ] {
            let (found, decoded) = read(&bytes);
            assert_eq!(found, encoding);
            assert_eq!(decoded.unwrap(), text);
            assert_eq!(Encoding::of_bytes(&bytes), encoding);
            assert_eq!(encoding.decode(&bytes).unwrap(), text);
        }
    }

    #[test]
    fn block_by_block() {
        let of = |blocks: &[&str], windows| {
            let mut encoding = EncodingSoFar::new(windows);
            let latin = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
            blocks.iter().map(|b| encoding.of_next(&b.strip_prefix('!').map_or(b.as_bytes().to_vec(), latin))).collect()
        };
        let (utf8, windows) = (Some(Encoding::Utf8), Some(Encoding::Windows1252));
        let same: Vec<Option<Encoding>> = of(&["a", "é", "b"], false);
        assert_eq!(same, [utf8, utf8, utf8]);
        assert_eq!(of(&["a", "!é", "é", "b"], false), [utf8, windows, windows, windows]);
        assert_eq!(of(&["é", "!é"], false), [utf8, None]);
        assert_eq!(of(&["é", "!é"], true), [windows, windows]);
    }

    #[test]
    fn cut_short() {
        let mut bytes = utf16("ab", false);
        bytes.pop();
        assert_eq!(read(&bytes).1.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(Encoding::Utf16Le.decode(&bytes).is_none());
        // Half a character at the end: not UTF-8, so Windows-1252.
        let (encoding, text) = read(&[b'a', 0xC3]);
        assert_eq!((encoding, text.unwrap().as_str()), (Encoding::Windows1252, "aÃ"));
    }
}
