//! The members of a delivered file as streams: `.tsv.gz`, `.tar.gz`, `.zip`, plain `.tsv`. Nothing is written to disk.
//!
//! In: a path. Out: each member's name and bytes, and what the file was, packed and unpacked. Invariants: an archive that
//! tries to leave its folder (absolute paths, `..`, links, devices) is refused as a whole; memory is constant.

use std::io::{self, BufReader, Read};
use std::path::{Component, Path};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::read::MultiGzDecoder;
use md5::{Digest as _, Md5};
use tar::EntryType;

use super::hashed::Hashed;
use super::input_file::{InputFile, Stream};
use crate::{Error, Result};

/// The name of the hits in a delivery; a file that is no archive is called so, too.
pub const HIT_DATA: &str = "hit_data.tsv";

/// An archive with more members is refused: a real one has about twenty.
const MAX_MEMBERS: usize = 1000;

/// A tar member's extension header of more bytes is refused.
const MAX_EXTENSION_BYTES: u64 = 64 << 10;

const BUFFER_BYTES: usize = 256 * 1024;

/// How a delivered file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// One gzipped text.
    Gzip,
    /// A gzipped tar archive.
    TarGz,
    /// A zip archive.
    Zip,
    /// One text.
    Plain,
}

impl Packing {
    /// The packing that a file name's ending says.
    pub fn of(name: &str) -> Option<Self> {
        let endings = [
            (".tar.gz", Self::TarGz),
            (".tgz", Self::TarGz),
            (".zip", Self::Zip),
            (".tsv.gz", Self::Gzip),
            (".tsv", Self::Plain),
        ];
        endings.into_iter().find(|(ending, _)| name.ends_with(ending)).map(|(_, packing)| packing)
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
    let packing = Packing::of(&name).ok_or_else(|| Error::refused(format!("{name}: not a packed text")))?;
    let mut raw = Hashing { input: file.stream()?, md5: Md5::new(), bytes: 0, read };
    match packing {
        Packing::Plain => {
            let mut input = Named { input: BufReader::with_capacity(BUFFER_BYTES, &mut raw), file: &name };
            visit(HIT_DATA, &mut input)?;
        }
        Packing::Gzip => {
            let mut input = Named { input: gunzip(&mut raw), file: &name };
            visit(HIT_DATA, &mut input)?;
        }
        Packing::TarGz => {
            let mut input = Named { input: gunzip(&mut raw), file: &name };
            read_tar(&mut input, &name, &mut visit)?;
            drain(&mut input, &name)?;
        }
        Packing::Zip => read_zip(file.stream()?, &name, &mut visit)?,
    }
    drain(&mut raw, &name)?;
    let md5 = raw.md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(ReadFile { packed: Digest { bytes: raw.bytes, md5 }, members })
}

/// The bytes that are packed in a gzip file.
pub fn gunzip<R: Read>(input: R) -> MultiGzDecoder<BufReader<R>> {
    MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, input))
}

fn drain(input: &mut dyn Read, file: &str) -> Result<()> {
    io::copy(input, &mut io::sink()).map(|_| ()).map_err(|e| damaged(file, &e))
}

/// What is said of a file that cannot be unpacked; an error of ours that came through its readers has said it already.
fn damaged(file: &str, error: &io::Error) -> Error {
    let said = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    said.cloned().unwrap_or_else(|| cut_short(file, error))
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
    let broken = |e: zip::result::ZipError| cut_short(file, &e);
    let mut archive = zip::ZipArchive::new(BufReader::with_capacity(BUFFER_BYTES, input)).map_err(broken)?;
    let mut seen = vec![];
    for index in 0..archive.len() {
        let entry = archive.by_index(index).map_err(broken)?;
        let path = entry.name().to_string();
        let regular = entry.unix_mode().is_none_or(|mode| matches!(mode & 0o170_000, 0 | 0o100_000 | 0o040_000));
        if !regular || entry.is_symlink() {
            return Err(Error::refused(format!(
                "{file}: {path} is a link or a device; the archive is not to be trusted"
            )));
        }
        // a backslash is a separator where the archive comes from Windows
        let name = plain_name(Path::new(&path.replace('\\', "/")), file)?;
        let Some(name) = name.filter(|_| !entry.is_dir()) else { continue };
        note_member(&mut seen, &name, file)?;
        visit(&name, &mut Named { input: entry, file })?;
    }
    Ok(())
}

/// The file name of a member that lies in the archive's root or one folder below.
fn plain_name(path: &Path, file: &str) -> Result<Option<String>> {
    let mut parts = vec![];
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(part) => parts.push(part),
            _ => {
                return Err(Error::refused(format!(
                    "{file}: member {:?} points outside of the archive; it is not to be trusted",
                    path.display().to_string()
                )));
            }
        }
    }
    if parts.len() > 2 {
        return Ok(None);
    }
    Ok(parts.last().and_then(|name| name.to_str()).map(str::to_string))
}

fn note_member(seen: &mut Vec<String>, name: &str, file: &str) -> Result<()> {
    if seen.iter().any(|s| s == name) {
        return Err(Error::refused(format!("{file}: {name} is there twice; which one is meant cannot be known")));
    }
    if seen.len() >= MAX_MEMBERS {
        return Err(Error::refused(format!("{file}: more than {MAX_MEMBERS} members; this is no delivery of Adobe's")));
    }
    seen.push(name.to_string());
    Ok(())
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
struct Named<'a, R> {
    input: R,
    file: &'a str,
}

impl<R: Read> Read for Named<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer).map_err(|e| match e.kind() {
            io::ErrorKind::Interrupted => e,
            kind => io::Error::new(kind, damaged(self.file, &e)),
        })
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
