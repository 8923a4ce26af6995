//! What packed files hold, as streams: the members of a delivered file (`.tsv`, `.tar`, both packed or not, `.zip`), and the text
//! of a file that is an input by itself or in a zip archive, packed or not. Nothing is written to disk.
//!
//! In: a file. Out: each member's name and bytes, and what the file was, packed and unpacked; or the bytes of one text.
//! Invariants: an archive that tries to leave its folder (absolute paths, `..`, links, devices) is refused as a whole, and so
//! is one whose members share bytes or a name; memory is constant.

use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::CrcReader;
use flate2::bufread::DeflateDecoder;
use md5::{Digest as _, Md5};
use memchr::memmem;
use tar::EntryType;
use zip::CompressionMethod;
use zip::result::ZipError;

use super::gunzip::{foreign_bytes, only_zeros};
use super::hashed::Hashed;
use super::input_file::{InputFile, Stream};
use super::member_names::{note_member, path_within, plain_name};
use super::packed_stream::{BUFFER_BYTES, Unpacked, unpacked_stream};
use super::paths::file_name;
use crate::feed::packing::{Packing, without_packing};
use crate::{Error, Result};

/// The name of the hits in a delivery; a file that is no archive is called so, too.
pub const HIT_DATA: &str = "hit_data.tsv";

/// A zip archive with more members is not listed, which would take memory.
const MAX_LISTED: u64 = 100_000;

/// A text of more bytes, unpacked, is refused: a small file may promise any number of them.
const MAX_TEXT_BYTES: u64 = 256 << 30;

/// Nothing that is deflated gets smaller than that.
const MAX_RATIO: u128 = 1032;

/// The end of a zip archive: its last record with the longest comment, and the two records of a large one before it.
const END_BYTES: u64 = 22 + 0xFFFF + 20 + 56;

/// A tar member's extension header of more bytes is refused.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;

/// What a delivered file is when it is unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// One text.
    Text,
    /// A tar archive.
    Tar,
    /// A zip archive.
    Zip,
}

impl Container {
    /// What a file name's ending says.
    pub fn of(name: &str) -> Option<Self> {
        if name.ends_with(".zip") {
            return Some(Self::Zip);
        }
        let endings = [(".tar", Self::Tar), (".tgz", Self::Tar), (".tsv", Self::Text)];
        let plain = without_packing(name);
        endings.into_iter().find(|(ending, _)| plain.ends_with(ending)).map(|(_, container)| container)
    }
}

/// What a packed file was when it was read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Size in bytes.
    pub bytes: u64,
    /// MD5 in lower-case hex.
    pub md5: String,
}

/// A member of a delivered file: its name, and a hash of its bytes.
pub type Member = (String, u128);

/// A file that was read to its end.
#[derive(Clone, Debug)]
pub struct ReadFile {
    /// As it is packed.
    pub packed: Digest,
    /// What it holds.
    pub members: Vec<Member>,
}

/// Reads the file once, from start to end, and shows each member. `visit` need not read a member to its end.
/// `read` counts the packed bytes as they are read, for progress.
pub fn read_members(
    file: &InputFile,
    read: &AtomicU64,
    mut visit: impl FnMut(&str, &mut dyn Read) -> Result<()>,
) -> Result<ReadFile> {
    let name = file.name();
    // one text in a zip file is called as that without its ending
    let alone = name.strip_suffix(".zip").filter(|name| name.ends_with(".tsv"));
    let mut members = vec![];
    let mut visit = |member: &str, input: &mut dyn Read| -> Result<()> {
        let member = if alone == Some(member) { HIT_DATA } else { member };
        let mut input = Hashed::new(input);
        visit(member, &mut input)?;
        let (hash, _) = input.finish().map_err(|e| damaged(&name, &e))?;
        members.push((member.to_string(), hash.digest128()));
        Ok(())
    };
    let container = Container::of(&name).ok_or_else(|| Error::refused(format!("{name}: not a packed text")))?;
    let mut raw = Hashing { input: file.stream()?, md5: Md5::new(), bytes: 0, read };
    match container {
        Container::Text => visit(HIT_DATA, &mut named_stream(&mut raw, &name)?)?,
        Container::Tar => {
            let mut input = named_stream(&mut raw, &name)?;
            read_tar(&mut input, &name, &mut visit)?;
            // two archives that were put together would be read as the first
            let mut rest = BufReader::with_capacity(BUFFER_BYTES, input);
            only_zeros(&mut rest).map_err(|e| damaged(&name, &e))?;
        }
        Container::Zip => read_zip(file.stream()?, &name, &mut visit)?,
    }
    drain(&mut raw, &name)?;
    let md5 = raw.md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(ReadFile { packed: Digest { bytes: raw.bytes, md5 }, members })
}

/// What is packed in a stream, where anything is.
fn named_stream<'a>(stored: impl Read + Send + 'a, file: &str) -> Result<Named<Box<dyn Read + Send + 'a>>> {
    let unpacked = unpacked_stream(stored, file).map_err(|e| damaged(file, &e))?;
    Ok(Named { input: unpacked.input, file: file.to_string() })
}

/// The text that a file is, however it is packed: by gzip or zstd, in a zip archive, by one in the other, or not at all.
pub fn unpacked(file: &InputFile) -> Result<Box<dyn Read + Send>> {
    let name = file_name(file.path());
    let stored: Box<dyn Read + Send> = match file.member() {
        None => Box::new(file.stream()?),
        Some(member) => unzipped(file.stream()?, &name, member)?,
    };
    let Unpacked { packing, input } = unpacked_stream(stored, &file.name()).map_err(|e| damaged(&name, &e))?;
    if packing.is_none() && file.member().is_none() {
        return Ok(input);
    }
    Ok(Box::new(Named { input: AtMost { input, left: MAX_TEXT_BYTES, file: name.clone() }, file: name }))
}

/// The paths of the members of a zip archive as they stand in it, without folders.
pub fn zip_members(file: &InputFile) -> Result<Vec<String>> {
    let archive = zip_archive(file.stream()?, &file_name(file.path()))?;
    Ok(archive.file_names().filter(|name| !name.ends_with(['/', '\\'])).map(str::to_string).collect())
}

/// One text of a zip archive.
fn unzipped(mut input: Stream, file: &str, member: &str) -> Result<Box<dyn Read + Send>> {
    let bytes = input.seek(SeekFrom::End(0)).map_err(|e| damaged(file, &e))?;
    let mut archive = zip_archive(input, file)?;
    let broken = |e: ZipError| not_unpacked(file, &e);
    // looked for only where there is more than so few bytes can hold, or nobody says how much
    let is_odd = archive.decompressed_size().is_none_or(|promised| promised > u128::from(bytes) * MAX_RATIO);
    if is_odd && archive.has_overlapping_files().map_err(broken)? {
        return Err(Error::refused(format!("{file}: its members share bytes; the archive is not to be trusted")));
    }
    let is_it = |index: &usize| {
        let path = archive.name_for_index(*index).and_then(|name| path_within(name, file).ok());
        path.as_deref() == Some(member)
    };
    let index = (0..archive.len()).find(is_it);
    let index = index.ok_or_else(|| Error::refused(format!("{file}: {member} is not in it any more")))?;
    let entry = archive.by_index(index).map_err(broken)?;
    refuse_special(&entry, file)?;
    let (start, packed, method) = (entry.data_start(), entry.compressed_size(), entry.compression());
    let (size, crc) = (entry.size(), entry.crc32());
    drop(entry);
    let mut input = archive.into_inner();
    input.seek(SeekFrom::Start(start)).map_err(|e| damaged(file, &e))?;
    let packed = input.take(packed);
    let text: Box<dyn Read + Send> = match method {
        CompressionMethod::Stored => Box::new(packed),
        CompressionMethod::Deflated => Box::new(DeflateDecoder::new(packed)),
        _ => return Err(not_unpacked(file, &ZipError::UnsupportedArchive("another method than deflate"))),
    };
    Ok(Box::new(Checked { input: CrcReader::new(text), size, crc, passed: 0 }))
}

fn drain(input: &mut dyn Read, file: &str) -> Result<()> {
    io::copy(input, &mut io::sink()).map(|_| ()).map_err(|e| damaged(file, &e))
}

/// What is said of a file that cannot be unpacked; an error of ours that came through its readers has said it already.
fn damaged(file: &str, error: &io::Error) -> Error {
    let said = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    said.cloned().unwrap_or_else(|| match (error.kind(), Packing::of_name(file)) {
        // some stores unpack what they hand out, and leave the name
        (io::ErrorKind::InvalidInput, Some(packing)) => Error::refused(format!(
            "{file} is cut short or damaged ({error}); fetch it again, or take {} off its name where it is not packed",
            packing.ending()
        )),
        (io::ErrorKind::Unsupported, _) => Error::refused(format!("{file} cannot be unpacked: {error}")),
        _ => cut_short(file, error),
    })
}

fn cut_short(file: &str, error: &dyn std::fmt::Display) -> Error {
    Error::refused(format!("{file} is cut short or damaged ({error}); fetch it again"))
}

/// Extension headers are read here and not by the library, which would take any size of them into memory.
fn read_tar(input: &mut dyn Read, file: &str, visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<()> {
    let mut archive = tar::Archive::new(input);
    let mut seen = vec![];
    let mut long_name = None;
    for entry in archive.entries().map_err(|e| damaged(file, &e))?.raw(true) {
        let mut entry = entry.map_err(|e| damaged(file, &e))?;
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName | EntryType::XHeader => {
                let bytes = read_extension(&mut entry, file)?;
                long_name =
                    if kind == EntryType::XHeader { pax_path(&bytes, file)?.or(long_name) } else { Some(bytes) };
                continue;
            }
            EntryType::XGlobalHeader => continue,
            _ => {}
        }
        let path = long_name.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let path = String::from_utf8_lossy(&path).trim_end_matches('\0').to_string();
        if !matches!(kind, EntryType::Regular | EntryType::Continuous | EntryType::Directory) {
            return Err(Error::refused(format!(
                "{file}: {path} is a link or a device; the archive is not to be trusted"
            )));
        }
        let name = plain_name(Path::new(&path), file)?;
        let Some(name) = name.filter(|_| kind != EntryType::Directory) else { continue };
        note_member(&mut seen, &name, file)?;
        visit(&name, &mut entry)?;
    }
    Ok(())
}

fn read_extension(entry: &mut impl Read, file: &str) -> Result<Vec<u8>> {
    let mut bytes = vec![];
    entry.take(MAX_EXTENSION_BYTES + 1).read_to_end(&mut bytes).map_err(|e| damaged(file, &e))?;
    if bytes.len() as u64 > MAX_EXTENSION_BYTES {
        return Err(Error::refused(format!(
            "{file}: a member's name of more than {MAX_EXTENSION_BYTES} bytes; the archive is not to be trusted"
        )));
    }
    Ok(bytes)
}

/// The path in a pax header. A size in it would be that of a member of 8 GiB or more.
fn pax_path(bytes: &[u8], file: &str) -> Result<Option<Vec<u8>>> {
    let mut path = None;
    for extension in tar::PaxExtensions::new(bytes) {
        let extension = extension.map_err(|e| damaged(file, &e))?;
        match extension.key_bytes() {
            b"path" => path = Some(extension.value_bytes().to_vec()),
            b"size" => {
                return Err(Error::refused(format!(
                    "{file}: a member of 8 GiB or more; have the data feed send several files (.tsv.gz)"
                )));
            }
            _ => {}
        }
    }
    Ok(path)
}

fn read_zip(input: Stream, file: &str, visit: &mut dyn FnMut(&str, &mut dyn Read) -> Result<()>) -> Result<()> {
    let mut archive = zip_archive(input, file)?;
    let mut seen = vec![];
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(|e| not_unpacked(file, &e))?;
        refuse_special(&entry, file)?;
        // a backslash is a separator where the archive comes from Windows
        let name = plain_name(Path::new(&entry.name().replace('\\', "/")), file)?;
        let Some(name) = name.filter(|_| !entry.is_dir()) else { continue };
        note_member(&mut seen, &name, file)?;
        visit(&name, &mut Named { input: entry, file: file.to_string() })?;
    }
    Ok(())
}

/// Reads the list of a zip archive's members.
fn zip_archive(mut input: Stream, file: &str) -> Result<zip::ZipArchive<BufReader<Stream>>> {
    let announced = announced_members(&mut input).map_err(|e| damaged(file, &e))?;
    // the library makes room for as many as are announced
    if let Some(count) = announced.filter(|count| *count > MAX_LISTED) {
        return Err(Error::refused(format!(
            "{file}: {count} members, more than {MAX_LISTED}; send fewer in one archive"
        )));
    }
    let archive = zip::ZipArchive::new(BufReader::with_capacity(BUFFER_BYTES, input));
    let archive = archive.map_err(|e| not_unpacked(file, &e))?;
    // which looks for the end farther back than it can be
    if announced.is_none() {
        return Err(damaged(file, &foreign_bytes()));
    }
    // and keeps the last of those that have one name
    if announced != Some(archive.len() as u64) {
        let (count, listed) = (announced.unwrap_or_default(), archive.len());
        return Err(Error::refused(format!(
            "{file}: {count} members under {listed} names; which one is meant cannot be known"
        )));
    }
    Ok(archive)
}

/// How many members the end of a zip archive says that it has.
///
/// # Errors
/// Something other than zeros follows the end.
fn announced_members(input: &mut Stream) -> io::Result<Option<u64>> {
    let bytes = bytes_before_zeros(input)?;
    let start = bytes.saturating_sub(END_BYTES);
    input.seek(SeekFrom::Start(start))?;
    let mut end = vec![];
    // the last record ends in zeros, too
    input.by_ref().take(2 * END_BYTES).read_to_end(&mut end)?;
    input.seek(SeekFrom::Start(0))?;
    let number = |at: usize, bytes: usize| {
        let digits = end.get(at..at + bytes)?.iter().rev();
        Some(digits.fold(0, |number: u64, digit| (number << 8) | u64::from(*digit)))
    };
    let Some(last) = memmem::rfind(&end, b"PK\x05\x06") else { return Ok(None) };
    let comment = number(last + 20, 2).unwrap_or_default();
    if start + last as u64 + 22 + comment < bytes {
        return Err(foreign_bytes());
    }
    let is_large = last.checked_sub(20).is_some_and(|at| end[at..].starts_with(b"PK\x06\x07"));
    let large = is_large.then(|| memmem::rfind(&end[..last], b"PK\x06\x06")).flatten();
    Ok(match large {
        Some(at) => number(at + 32, 8),
        None => number(last + 10, 2),
    })
}

/// The number of bytes of a file, without zeros at its end, with which tapes and some tools fill a block.
fn bytes_before_zeros(input: &mut Stream) -> io::Result<u64> {
    let mut end = input.seek(SeekFrom::End(0))?;
    let mut block = vec![];
    while end > 0 {
        let start = end.saturating_sub(END_BYTES);
        input.seek(SeekFrom::Start(start))?;
        block.clear();
        input.by_ref().take(end - start).read_to_end(&mut block)?;
        if let Some(last) = block.iter().rposition(|byte| *byte != 0) {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

/// Why a zip archive cannot be unpacked.
fn not_unpacked(file: &str, error: &ZipError) -> Error {
    match error {
        ZipError::UnsupportedArchive(what) => {
            Error::refused(format!("{file} cannot be unpacked ({what}); pack it anew, deflated and without a password"))
        }
        other => cut_short(file, other),
    }
}

fn refuse_special<R: Read>(entry: &zip::read::ZipFile<'_, R>, file: &str) -> Result<()> {
    let regular = entry.unix_mode().is_none_or(|mode| matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000));
    if regular && !entry.is_symlink() {
        return Ok(());
    }
    let path = entry.name();
    Err(Error::refused(format!("{file}: {path} is a link or a device; the archive is not to be trusted")))
}

/// Counts and hashes what passes.
struct Hashing<'a> {
    input: Stream,
    md5: Md5,
    bytes: u64,
    read: &'a AtomicU64,
}

impl Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.md5.update(&buffer[..count]);
        self.bytes += count as u64;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Errors of unpacking name the packed file and say what to do, however deep the reader is that meets them.
struct Named<R> {
    input: R,
    file: String,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::Interrupted => e,
            kind => io::Error::new(kind, damaged(&self.file, &e)),
        })
    }
}

/// Ends with an error where more comes than may.
struct AtMost<R> {
    input: R,
    left: u64,
    file: String,
}

impl<R: Read> Read for AtMost<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or_else(|| {
            let (file, limit) = (&self.file, MAX_TEXT_BYTES >> 30);
            io::Error::other(Error::refused(format!("{file} unpacks to more than {limit} GiB; send it in parts")))
        })?;
        Ok(count)
    }
}

/// A text of a zip archive, which must have the length and the checksum that the archive says.
struct Checked<R> {
    input: CrcReader<R>,
    size: u64,
    crc: u32,
    passed: u64,
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.passed += count as u64;
        let is_over = count == 0 && !buffer.is_empty();
        let is_wrong = || self.passed != self.size || self.input.crc().sum() != self.crc;
        if self.passed > self.size || is_over && is_wrong() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not the bytes of which the checksum was taken"));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs::File;
    use std::io::Write;

    use super::*;

    fn tar_gz(folder: &Path, members: &[(&str, EntryType, &[u8])]) -> std::path::PathBuf {
        let path = folder.join("a.tar.gz");
        let encoder = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(encoder);
        for (name, kind, bytes) in members {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            builder.append(&header, *bytes).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        path
    }

    fn members(path: &Path) -> Result<Vec<(String, String)>> {
        let mut found = vec![];
        read_members(&InputFile::alone(path), &AtomicU64::new(0), |name, input| {
            let mut text = String::new();
            input.read_to_string(&mut text)?;
            found.push((name.to_string(), text));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn archives_are_read_member_by_member() {
        let folder = tempfile::tempdir().unwrap();
        let path = tar_gz(
            folder.path(),
            &[
                ("./x", EntryType::Directory, b""),
                ("./hit_data.tsv", EntryType::Regular, b"a"),
                ("d/b.tsv", EntryType::Regular, b"b"),
            ],
        );
        assert_eq!(members(&path).unwrap(), [("hit_data.tsv".into(), "a".into()), ("b.tsv".into(), "b".into())]);
        let bytes = std::fs::read(&path).unwrap();
        let read = read_members(&InputFile::alone(&path), &AtomicU64::new(0), |_, _| Ok(())).unwrap();
        assert_eq!(read.packed.bytes, bytes.len() as u64);
        // to its end, also where nobody looked
        let hash = |bytes| xxhash_rust::xxh3::xxh3_128(bytes);
        assert_eq!(read.members, [("hit_data.tsv".to_string(), hash(b"a")), ("b.tsv".into(), hash(b"b"))]);
        assert_eq!(read.packed.md5, Md5::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect::<String>());
    }

    #[test]
    fn hostile_archives_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, kind) in [
            ("../evil.tsv", EntryType::Regular),
            ("/etc/passwd", EntryType::Regular),
            ("d/../../x.tsv", EntryType::Regular),
            ("link.tsv", EntryType::Symlink),
            ("hard.tsv", EntryType::Link),
            ("null.tsv", EntryType::Char),
        ] {
            let error = members(&tar_gz(folder.path(), &[(name, kind, b"")])).unwrap_err().to_string();
            assert!(error.contains("not to be trusted"), "{name}: {error}");
        }
        let twice =
            tar_gz(folder.path(), &[("a.tsv", EntryType::Regular, b"1"), ("d/a.tsv", EntryType::Regular, b"2")]);
        assert!(members(&twice).unwrap_err().to_string().contains("twice"));
        let path = folder.path().join("b.zip");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        writer.start_file("../evil.tsv", zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(b"x").unwrap();
        writer.finish().unwrap();
        assert!(members(&path).unwrap_err().to_string().contains("not to be trusted"));
    }

    fn zipped(folder: &Path, members: &[(&str, &str)]) -> std::path::PathBuf {
        let path = folder.join("c.zip");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (n, (name, text)) in members.iter().enumerate() {
            let method = if n % 2 == 0 { CompressionMethod::Deflated } else { CompressionMethod::Stored };
            let options = zip::write::SimpleFileOptions::default().compression_method(method);
            writer.start_file(*name, options).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.add_directory("e", zip::write::SimpleFileOptions::default()).unwrap();
        writer.finish().unwrap();
        path
    }

    fn text(path: &Path, member: &str) -> Result<String> {
        let mut text = String::new();
        unpacked(&InputFile::alone(path).text(member))?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn texts_of_a_zip_archive() {
        let folder = tempfile::tempdir().unwrap();
        let long = "1/2/2026\tx\t1\n".repeat(100_000);
        let path = zipped(folder.path(), &[("a.txt", &long), ("d\\b c.txt", "b"), ("./d/é.txt", "")]);
        let members = zip_members(&InputFile::alone(&path)).unwrap();
        assert_eq!(members, ["a.txt", "d\\b c.txt", "./d/é.txt"]);
        assert_eq!(text(&path, "a.txt").unwrap(), long);
        assert_eq!(text(&path, "d/b c.txt").unwrap(), "b");
        assert_eq!(text(&path, "d/é.txt").unwrap(), "");
        assert!(text(&path, "c.txt").unwrap_err().to_string().contains("c.txt is not in it any more"));
        for (within, expected) in
            [("a/./b.txt", Some("a/b.txt")), ("../a.txt", None), ("C:\\a\\..\\b.txt", None), ("/a", None)]
        {
            assert_eq!(path_within(within, "x.zip").ok().as_deref(), expected, "{within}");
        }
    }

    /// Each byte of an archive that is not what it was is noticed, or changes nothing that is read.
    #[test]
    fn damaged_zip_archives_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = zipped(folder.path(), &[("a.txt", "Date\tEvar 1\tEvent 1\n1/2/2026\tx\t1\n"), ("b.txt", "stored")]);
        let bytes = std::fs::read(&path).unwrap();
        let whole = [text(&path, "a.txt").unwrap(), text(&path, "b.txt").unwrap()];
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            std::fs::write(&path, &damaged).unwrap();
            for (member, whole) in ["a.txt", "b.txt"].iter().zip(&whole) {
                if let Ok(read) = text(&path, member) {
                    assert_eq!(read, *whole, "byte {at}");
                }
            }
            std::fs::write(&path, &bytes[..at]).unwrap();
            assert!(text(&path, "a.txt").is_err(), "{at} bytes");
        }
    }

    /// Two members of one name: the last one would silently stand for both.
    #[test]
    fn a_name_that_is_there_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = zipped(folder.path(), &[("a.txt", "1"), ("b.txt", "2")]);
        let mut bytes = std::fs::read(&path).unwrap();
        let places: Vec<usize> = memmem::find_iter(&bytes, b"b.txt").collect();
        places.iter().for_each(|at| bytes[*at] = b'a');
        std::fs::write(&path, &bytes).unwrap();
        let error = zip_members(&InputFile::alone(&path)).unwrap_err().to_string();
        assert!(error.contains("c.zip: 3 members under 2 names"), "{error}");
        // more than there is room for
        let end = memmem::rfind(&bytes, b"PK\x05\x06").unwrap();
        bytes.splice(end..end, [b"PK\x06\x07".as_slice(), &[0; 16]].concat());
        let large = [b"PK\x06\x06".as_slice(), &[0; 28], &(1_u64 << 40).to_le_bytes(), &[0; 16]].concat();
        bytes.splice(end..end, large);
        std::fs::write(&path, &bytes).unwrap();
        let error = zip_members(&InputFile::alone(&path)).unwrap_err().to_string();
        assert!(error.contains("more than 100000"), "{error}");
    }

    /// Zeros fill a block; anything else may be rows.
    #[test]
    fn what_follows_the_end_of_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let zip = zipped(folder.path(), &[("a.txt", "1")]);
        let tar = tar_gz(folder.path(), &[("hit_data.tsv", EntryType::Regular, b"a")]);
        let (of_zip, mut of_tar) = (std::fs::read(&zip).unwrap(), vec![]);
        let packed = std::fs::read(&tar).unwrap();
        unpacked_stream(&*packed, "").unwrap().input.read_to_end(&mut of_tar).unwrap();
        let put = |rest: &[u8]| {
            std::fs::write(&zip, [&of_zip[..], rest].concat()).unwrap();
            let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
            encoder.write_all(&[&of_tar[..], rest].concat()).unwrap();
            std::fs::write(&tar, encoder.finish().unwrap()).unwrap();
            (text(&zip, "a.txt"), members(&tar))
        };
        for zeros in [0, 1, 700, 200_000] {
            let (of_zip, of_tar) = put(&vec![0_u8; zeros]);
            assert_eq!((of_zip.unwrap(), of_tar.unwrap().len()), ("1".into(), 1), "{zeros}");
            let (of_zip, of_tar) = put(&[vec![0_u8; zeros], b"rows".to_vec()].concat());
            for said in [of_zip.unwrap_err().to_string(), of_tar.unwrap_err().to_string()] {
                assert!(said.contains("other bytes than zeros follow its end"), "{zeros}: {said}");
            }
        }
        assert!(put(&of_tar).1.is_err());
    }

    #[test]
    fn a_truncated_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("01-acme_2026-10-01.tsv.gz");
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(&(0..100_000u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
        let bytes = encoder.finish().unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let error = read_members(&InputFile::alone(&path), &AtomicU64::new(0), |_, _| Ok(())).unwrap_err().to_string();
        assert!(
            error.contains("01-acme_2026-10-01.tsv.gz is cut short") && error.contains("fetch it again"),
            "{error}"
        );
    }
}
