//! The door to the bytes of an input's file: a small file is read once and kept, a large one is streamed.
//!
//! In: a path, and of an archive the text in it that is meant. Out: streams and ranges of the file (what is packed in it gives
//! [`super::unpack::unpacked`]). Every byte that is read is counted, so that tests can hold how often an
//! input is read. Nothing else in this folder opens an input's file.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, Length};

use super::paths::file_name;
use crate::{Error, Result};

/// A file of at most so many bytes is kept between its first reading and the decoding of its rows.
const KEPT_BYTES: u64 = 32 << 20;

/// A file of an input; clones share what is kept and counted.
#[derive(Clone, Debug)]
pub struct InputFile {
    path: PathBuf,
    /// The path within the archive; None where the file itself is meant.
    member: Option<Arc<str>>,
    /// None where the file is one of many, which are not kept.
    kept: Option<Arc<OnceLock<Bytes>>>,
    counter: Arc<AtomicU64>,
}

impl InputFile {
    /// A file that is an input by itself; kept if it is small.
    pub fn alone(path: &Path) -> Self {
        Self { path: path.to_path_buf(), member: None, kept: Some(Arc::default()), counter: Arc::default() }
    }

    /// One of many files of an input, whose bytes are counted together; always streamed.
    pub fn one_of(path: &Path, counter: &Arc<AtomicU64>) -> Self {
        Self { path: path.to_path_buf(), member: None, kept: None, counter: counter.clone() }
    }

    /// A text in this archive, by its path there. What is kept of the archive is kept for all of its texts.
    pub fn text(&self, member: &str) -> Self {
        Self { member: Some(member.into()), counter: Arc::default(), ..self.clone() }
    }

    /// The last part of its path.
    pub fn name(&self) -> String {
        file_name(&self.place())
    }

    /// The file on disk.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path within the archive, where it is a text in one.
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// Where it is; a text in an archive as if that were a folder.
    pub fn place(&self) -> PathBuf {
        self.member().map_or_else(|| self.path.clone(), |member| self.path.join(member))
    }

    /// How many bytes were read through here so far.
    pub fn counter(&self) -> &Arc<AtomicU64> {
        &self.counter
    }

    /// The file's bytes from the first to the last, as they are stored.
    pub fn stream(&self) -> Result<Stream> {
        self.open().map_err(|e| Error::refused(format!("{}: {e}", file_name(&self.path))))
    }

    fn open(&self) -> io::Result<Stream> {
        let Some(kept) = &self.kept else { return self.on_disk() };
        if kept.get().is_none() {
            let file = self.on_disk()?;
            let size = file.size()?;
            if size > KEPT_BYTES {
                return Ok(file);
            }
            // with room for the byte more that shows a file that grew meanwhile
            let mut bytes = Vec::with_capacity(size as usize + 1);
            let read = file.take(KEPT_BYTES + 1).read_to_end(&mut bytes)?;
            if read as u64 > KEPT_BYTES {
                return self.on_disk();
            }
            return Ok(Stream::Kept(Cursor::new(kept.get_or_init(|| bytes.into()).clone())));
        }
        Ok(Stream::Kept(Cursor::new(kept.get().cloned().unwrap_or_default())))
    }

    fn on_disk(&self) -> io::Result<Stream> {
        Ok(Stream::Disk(CountingReader { input: File::open(&self.path)?, counter: self.counter.clone() }))
    }
}

/// A file from some place on.
pub enum Stream {
    /// In memory.
    Kept(Cursor<Bytes>),
    /// On disk.
    Disk(CountingReader<File>),
}

impl Stream {
    fn size(&self) -> io::Result<u64> {
        match self {
            Self::Kept(bytes) => Ok(bytes.get_ref().len() as u64),
            Self::Disk(file) => Ok(file.input.metadata()?.len()),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Kept(bytes) => bytes.read(buffer),
            Self::Disk(file) => file.read(buffer),
        }
    }
}

impl Seek for Stream {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Kept(bytes) => bytes.seek(to),
            Self::Disk(file) => file.input.seek(to),
        }
    }
}

/// Counts the bytes that pass.
pub struct CountingReader<R> {
    /// Where they come from.
    pub input: R,
    /// How many there were.
    pub counter: Arc<AtomicU64>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.counter.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Length for InputFile {
    fn len(&self) -> u64 {
        self.open().and_then(|stream| stream.size()).unwrap_or(0)
    }
}

impl ChunkReader for InputFile {
    type T = BufReader<Stream>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        let mut stream = self.open()?;
        stream.seek(SeekFrom::Start(start))?;
        Ok(BufReader::new(stream))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let mut stream = self.open()?;
        if let Stream::Kept(bytes) = &stream {
            let (start, bytes) = (start as usize, bytes.get_ref());
            let end = start.checked_add(length).filter(|end| *end <= bytes.len());
            let end = end.ok_or_else(|| ParquetError::EOF("the file ends before its footer says".into()))?;
            return Ok(bytes.slice(start..end));
        }
        stream.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        let read = stream.take(length as u64).read_to_end(&mut bytes)?;
        if read != length {
            return Err(ParquetError::EOF("the file ends before its footer says".into()));
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_small_file_is_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        std::fs::write(&path, "0123456789").unwrap();
        let file = InputFile::alone(&path);
        for _ in 0..3 {
            let mut text = String::new();
            file.stream().unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, "0123456789");
        }
        assert_eq!(file.get_bytes(2, 3).unwrap().as_ref(), b"234");
        assert!(file.get_bytes(8, 3).is_err());
        assert_eq!((file.len(), file.counter().load(Ordering::Relaxed)), (10, 10));
        let text = file.text("d/b.txt");
        assert_eq!((text.name(), text.place(), text.path()), ("b.txt".into(), path.join("d/b.txt"), path.as_path()));
        assert_eq!(text.counter().load(Ordering::Relaxed), 0);
        let counter = Arc::default();
        let streamed = InputFile::one_of(&path, &counter);
        assert_eq!(streamed.get_bytes(2, 3).unwrap().as_ref(), b"234");
        assert_eq!(counter.load(Ordering::Relaxed), 3);
        assert!(InputFile::alone(&folder.path().join("b.csv")).stream().is_err());
    }
}
