//! One delivery of a data feed: its files, what its manifest says of them, and whether all are there.
//!
//! In: a manifest, or the name of a `.fin` and the files beside it. Out: a [`Delivery`]. Sizes are compared here; MD5 and
//! record counts when the files are read.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use md5::{Digest as _, Md5};
use xxhash_rust::xxh3::Xxh3;

use super::input_file::InputFile;
use super::paths::folder_of;
use super::refusal::refused;
use super::unpack::{Container, Digest};
use crate::feed::delivery_name::{DeliveryName, Role};
use crate::feed::manifest::{FileKind, Manifest, ManifestFile};
use crate::{Error, Result};

/// A larger manifest is none.
const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// A delivery.
#[derive(Debug)]
pub struct Delivery {
    /// `rsid_period`, the name in the file log.
    pub name: String,
    /// The suite that the name says.
    pub rsid: String,
    /// Its files, lookups first, then by name.
    pub files: Vec<DeliveryFile>,
    /// Hits in all files, where the manifest says.
    pub total_records: Option<u64>,
    /// What the manifest still lacks.
    unfinished: Option<String>,
    /// Bytes of its files that were read.
    counter: Arc<AtomicU64>,
}

/// One file of a delivery.
#[derive(Debug)]
pub struct DeliveryFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub input: InputFile,
    /// True where it holds hits (and perhaps lookups, too).
    pub has_hits: bool,
    /// What the manifest says; None for a delivery with a `.fin`.
    pub announced: Option<ManifestFile>,
    /// What it was when the delivery's content was hashed, where no manifest says it.
    hashed: Option<Digest>,
}

impl Delivery {
    /// True where no file can hold the headers: the last ones of its suite are needed.
    pub fn lacks_headers(&self) -> bool {
        !self.files.iter().any(|file| !file.has_hits || file.is_archive())
    }

    /// The delivery of a manifest. A manifest that is cut short waits, one that contradicts itself is refused.
    pub fn of_manifest(path: &Path) -> Result<Self> {
        let file = super::paths::file_name(path);
        let name = DeliveryName::parse(&file).ok_or_else(|| {
            Error::refused(format!("{file}: a manifest is called rsid_YYYY-mm-dd.txt (or rsid_YYYYmmdd-HHMMSS.txt)"))
        })?;
        let mut bytes = vec![];
        let mut delivery = Self::empty(name);
        let manifest = InputFile::one_of(path, &delivery.counter).stream()?;
        manifest
            .take(MAX_MANIFEST_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|e| Error::refused(format!("{file}: {e}")))?;
        let manifest = match Manifest::parse(&bytes, &file) {
            Ok(manifest) => manifest,
            Err(error) if error.is_unfinished => {
                delivery.unfinished = Some(error.to_string());
                return Ok(delivery);
            }
            Err(error) => return Err(refused(error)),
        };
        if let Some(contradiction) = manifest.contradiction() {
            let listed = |kind| manifest.files.iter().filter(|f| f.kind == kind).count() as u64;
            let lacks = |announced: Option<u64>, kind| announced.is_some_and(|n| n > listed(kind));
            if !lacks(manifest.lookup_files, FileKind::Lookup) && !lacks(manifest.data_files, FileKind::Data) {
                return Err(Error::refused(format!("{file}: {contradiction}; have the delivery sent again")));
            }
            delivery.unfinished = Some(format!("{file} {contradiction}"));
        }
        delivery.total_records = manifest.total_records;
        let folder = folder_of(path);
        for announced in manifest.files {
            let file = announced.name.clone();
            if Container::of(&file).is_none() {
                return Err(Error::refused(format!(
                    "{file}: expected a .tsv or .tar, packed in .gz or .zst, or a .zip"
                )));
            }
            delivery.add(&folder, file, announced.kind == FileKind::Data, Some(announced));
        }
        Ok(delivery)
    }

    /// The delivery of a `.fin`: the files beside it that bear its name.
    pub fn of_fin(path: &Path, files: &[String]) -> Result<Self> {
        let file = super::paths::file_name(path);
        let name = DeliveryName::parse(&file).ok_or_else(|| Error::bug(format!("{file} is no name of a delivery")))?;
        let mut delivery = Self::empty(name);
        for file in files {
            match DeliveryName::parse(file).map(|n| n.role) {
                Some(Role::Lookups) => delivery.add(&folder_of(path), file.clone(), false, None),
                Some(Role::Archive { .. } | Role::Hits { .. }) => {
                    delivery.add(&folder_of(path), file.clone(), true, None)
                }
                _ => {}
            }
        }
        if !delivery.files.iter().any(|f| f.has_hits) {
            delivery.unfinished = Some(format!("{file} is there, but no file with hits"));
        }
        Ok(delivery)
    }

    fn empty(name: DeliveryName) -> Self {
        let (name, rsid) = (name.delivery(), name.rsid);
        Self { name, rsid, files: vec![], total_records: None, unfinished: None, counter: Arc::default() }
    }

    fn add(&mut self, folder: &Path, name: String, has_hits: bool, announced: Option<ManifestFile>) {
        let input = InputFile::one_of(&folder.join(&name), &self.counter);
        self.files.push(DeliveryFile { name, input, has_hits, announced, hashed: None });
        self.files.sort_by(|a, b| (a.has_hits, &a.name).cmp(&(b.has_hits, &b.name)));
    }

    /// What is missing, for a person; None when all files are there in full.
    pub fn incomplete(&self) -> Option<String> {
        if let Some(reason) = &self.unfinished {
            return Some(reason.clone());
        }
        self.files.iter().find_map(|file| {
            let Ok(metadata) = fs::metadata(file.input.path()) else {
                return Some(format!("{} is missing", file.name));
            };
            let announced = file.announced.as_ref().map_or(metadata.len(), |a| a.bytes);
            let (name, bytes) = (&file.name, metadata.len());
            (bytes != announced).then(|| format!("{name} has {bytes} bytes, the manifest says {announced}"))
        })
    }

    /// How many bytes of its files were read so far.
    pub fn counter(&self) -> &Arc<AtomicU64> {
        &self.counter
    }

    /// Size of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().filter_map(|f| fs::metadata(f.input.path()).ok()).map(|m| m.len()).sum()
    }

    /// The hash that identifies the delivery's bytes: of the MD5 digests that the manifest gives (loading verifies them),
    /// else of those of the files, which are read for it.
    pub fn content(&mut self) -> Result<String> {
        let mut digests = vec![];
        for file in &mut self.files {
            digests.push(match &file.announced {
                Some(announced) => (file.has_hits, announced.md5.clone(), announced.bytes),
                None => {
                    let Digest { bytes, md5 } = file.hashed.insert(digest(&file.input)?).clone();
                    (file.has_hits, md5, bytes)
                }
            });
        }
        digests.sort();
        let mut hash = Xxh3::new();
        for (has_hits, md5, bytes) in digests {
            hash.update(format!("{has_hits} {md5} {bytes}\n").as_bytes());
        }
        Ok(format!("{:032x}", hash.digest128()))
    }
}

impl DeliveryFile {
    /// True where it can hold several texts: hits and lookups, or the lookups.
    pub fn is_archive(&self) -> bool {
        matches!(Container::of(&self.name), Some(Container::Tar | Container::Zip)) && !self.name.ends_with(".tsv.zip")
    }

    /// Compares the file as it was read with what the manifest says, or with what it was when it was hashed.
    pub fn verify(&self, read: &Digest) -> Result<()> {
        let name = &self.name;
        if self.hashed.as_ref().is_some_and(|hashed| hashed != read) {
            return Err(Error::refused(format!("{name} changed while it was read; load it again")));
        }
        let Some(announced) = &self.announced else { return Ok(()) };
        if announced.bytes != read.bytes {
            let (bytes, expected) = (read.bytes, announced.bytes);
            return Err(Error::refused(format!("{name}: {bytes} bytes, the manifest says {expected}; fetch it again")));
        }
        if announced.md5 != read.md5 {
            let (md5, expected) = (&read.md5, &announced.md5);
            return Err(Error::refused(format!(
                "{name}: its MD5 is {md5}, the manifest says {expected}; fetch it again"
            )));
        }
        Ok(())
    }
}

fn digest(file: &InputFile) -> Result<Digest> {
    let mut input = file.stream()?;
    let (mut md5, mut bytes, mut buffer) = (Md5::new(), 0, vec![0; 256 * 1024]);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                md5.update(&buffer[..count]);
                bytes += count as u64;
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Error::refused(format!("{}: {e}", file.name()))),
        }
    }
    Ok(Digest { bytes, md5: md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect() })
}
