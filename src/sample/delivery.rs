//! One data feed delivery: data files, the lookup archive, and last the manifest with sizes, digests and counts.
//!
//! Rows go in one by one; a thread of the data file compresses them, which costs more than making them. A reader that
//! trusts only manifests never sees half a delivery.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use chrono::NaiveDate;
use flate2::Compression;
use flate2::write::GzEncoder;
use md5::{Digest, Md5};

use super::catalogue::LOOKUPS;
use super::hit::{COLUMNS, Hit};
use crate::error::{Error, Result};

/// A data file takes at most this many rows, then the next one begins.
const ROWS_PER_FILE: u64 = 250_000;

/// Bytes of rows that are compressed at a time, and how many such buffers may wait.
const BUFFER_BYTES: usize = 128 << 10;
const WAITING_BUFFERS: usize = 4;

/// A delivery as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The manifest.
    pub manifest: PathBuf,
    /// The day of its rows (UTC).
    pub date: NaiveDate,
    /// Rows in all data files, the excluded ones too.
    pub records: u64,
    /// Empty where the day has no row; then there is no lookup archive either, as Adobe does.
    pub data_files: Vec<PathBuf>,
}

/// The lookup archive's bytes: the same for every delivery.
///
/// # Errors
/// None but those of memory that is written to.
pub fn lookup_archive() -> io::Result<Vec<u8>> {
    let headers = COLUMNS.iter().map(|&(name, _)| name).collect::<Vec<_>>().join("\t") + "\n";
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, text) in [("column_headers.tsv", headers.as_str())].into_iter().chain(LOOKUPS) {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        archive.append_data(&mut header, name, text.as_bytes())?;
    }
    archive.into_inner()?.finish()
}

/// Writes one delivery.
#[derive(Debug)]
pub struct DeliveryWriter<'a> {
    folder: &'a Path,
    stem: String,
    date: NaiveDate,
    lookups: &'a [u8],
    buffer: Vec<u8>,
    open: Option<DataFile>,
    done: Vec<Described>,
}

#[derive(Debug)]
struct DataFile {
    name: String,
    records: u64,
    rows: SyncSender<Vec<u8>>,
    /// Gives the file's digest and size once `rows` is closed.
    worker: JoinHandle<io::Result<(String, u64)>>,
}

/// A file as the manifest describes it.
#[derive(Debug)]
struct Described {
    name: String,
    digest: String,
    bytes: u64,
    records: u64,
}

impl Drop for DeliveryWriter<'_> {
    fn drop(&mut self) {
        // where a delivery breaks off, too, its thread ends before the process does
        let _ = self.close();
    }
}

impl<'a> DeliveryWriter<'a> {
    /// Starts a delivery. An earlier manifest of the same name goes first, for it describes other files.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create(folder: &'a Path, suite: &str, date: NaiveDate, lookups: &'a [u8]) -> Result<Self> {
        let stem = format!("{suite}_{date}");
        remove(&folder.join(format!("{stem}.txt")))?;
        Ok(Self { folder, stem, date, lookups, buffer: Vec::new(), open: None, done: Vec::new() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&mut self, hit: &Hit) -> Result<()> {
        if self.open.is_none() {
            self.open = Some(DataFile::create(self.folder, self.data_file_name(self.done.len() + 1))?);
        }
        hit.write(&mut self.buffer);
        let Some(file) = &mut self.open else { return Ok(()) };
        file.records += 1;
        let full = file.records == ROWS_PER_FILE;
        if self.buffer.len() >= BUFFER_BYTES {
            let next = Vec::with_capacity(BUFFER_BYTES + BUFFER_BYTES / 8);
            if file.rows.send(std::mem::replace(&mut self.buffer, next)).is_err() {
                // The worker has ended early, and says why.
                return self.close();
            }
        }
        if full { self.close() } else { Ok(()) }
    }

    /// Ends the delivery with its manifest.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn finish(mut self) -> Result<Delivery> {
        self.close()?;
        // A former, larger delivery of this name may have had more data files.
        let mut next = self.done.len() + 1;
        while remove(&self.folder.join(self.data_file_name(next)))? {
            next += 1;
        }
        let lookups = self.write_lookups()?;
        let manifest = self.folder.join(format!("{}.txt", self.stem));
        fs::write(&manifest, self.manifest(lookups.as_ref())).map_err(|e| cannot_write(&manifest, e))?;
        Ok(Delivery {
            manifest,
            date: self.date,
            records: self.done.iter().map(|file| file.records).sum(),
            data_files: self.done.iter().map(|file| self.folder.join(&file.name)).collect(),
        })
    }

    fn data_file_name(&self, number: usize) -> String {
        format!("{number:02}-{}.tsv.gz", self.stem)
    }

    fn close(&mut self) -> Result<()> {
        let Some(DataFile { name, records, rows, worker }) = self.open.take() else { return Ok(()) };
        // Where the worker has ended early its own error follows.
        let _ = rows.send(std::mem::take(&mut self.buffer));
        drop(rows);
        let measured = worker.join().unwrap_or_else(|_| Err(io::Error::other("the compressing thread has failed")));
        let (digest, bytes) = measured.map_err(|e| cannot_write(&self.folder.join(&name), e))?;
        self.done.push(Described { name, digest, bytes, records });
        Ok(())
    }

    fn write_lookups(&self) -> Result<Option<Described>> {
        let name = format!("{}-lookup_data.tar.gz", self.stem);
        let path = self.folder.join(&name);
        if self.done.is_empty() {
            remove(&path)?;
            return Ok(None);
        }
        let mut file = Measured::create(path.clone())?;
        let (digest, bytes) =
            file.write_all(self.lookups).and_then(|()| file.finish()).map_err(|e| cannot_write(&path, e))?;
        Ok(Some(Described { name, digest, bytes, records: 0 }))
    }

    fn manifest(&self, lookups: Option<&Described>) -> String {
        let total: u64 = self.done.iter().map(|file| file.records).sum();
        let mut text = format!(
            "Datafeed-Manifest-Version: 1.0\nLookup-Files: {}\nData-Files: {}\nTotal-Records: {total}\n",
            lookups.iter().len(),
            self.done.len()
        );
        if let Some(Described { name, digest, bytes, .. }) = lookups {
            text += &format!("\nLookup-File: {name}\nMD5-Digest: {digest}\nFile-Size: {bytes}\n");
        }
        for Described { name, digest, bytes, records } in &self.done {
            text +=
                &format!("\nData-File: {name}\nMD5-Digest: {digest}\nFile-Size: {bytes}\nRecord-Count: {records}\n");
        }
        text
    }
}

impl DataFile {
    fn create(folder: &Path, name: String) -> Result<Self> {
        let path = folder.join(&name);
        let file = Measured::create(path.clone())?;
        let (rows, received) = sync_channel(WAITING_BUFFERS);
        let worker = thread::Builder::new()
            .name("rejoin-sample".into())
            .spawn(|| compress(received, file))
            .map_err(|e| cannot_write(&path, e))?;
        Ok(Self { name, records: 0, rows, worker })
    }
}

fn compress(rows: Receiver<Vec<u8>>, file: Measured) -> io::Result<(String, u64)> {
    let mut encoder = GzEncoder::new(file, Compression::fast());
    for buffer in rows {
        encoder.write_all(&buffer)?;
    }
    encoder.finish()?.finish()
}

/// A file that knows its size and digest.
#[derive(Debug)]
struct Measured {
    file: BufWriter<File>,
    digest: Md5,
    bytes: u64,
}

impl Measured {
    fn create(path: PathBuf) -> Result<Self> {
        let file = File::create(&path).map_err(|e| cannot_write(&path, e))?;
        Ok(Self { file: BufWriter::new(file), digest: Md5::new(), bytes: 0 })
    }

    fn finish(mut self) -> io::Result<(String, u64)> {
        self.file.flush()?;
        let digest = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((digest, self.bytes))
    }
}

impl Write for Measured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes a file; false where there was none.
pub fn remove(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(cannot_write(path, e)),
    }
}

/// The error of a path that cannot be written.
pub fn cannot_write(path: &Path, cause: io::Error) -> Error {
    Error::unavailable(format!("cannot write {}: {cause}", path.display())).caused_by(cause)
}
