//! What an input is, by which it is known again, however it is packed: hashes of its bytes, unpacked, taken while they are
//! read.
//!
//! The same rows in another gzip file, or in an archive with other times or another order, are the same input. A file by
//! itself is looked through before it is decoded; what a delivery's archives hold is known when they are read.

use std::io;

use xxhash_rust::xxh3::Xxh3;

use super::hashed::Hashed;
use super::input_file::InputFile;
use super::packed_stream::{is_packed, unpacked_stream};
use super::unpack::{HIT_DATA, Member, unpacked};
use crate::feed::text::Encoding;
use crate::{Error, Result};

/// What an input is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Number of its bytes, as they are stored; of a text in an archive, unpacked.
    pub bytes: u64,
    /// What it is known by: of a file, what it holds unpacked; of a delivery, its packed bytes.
    pub identity: Identity,
    /// Of a packed file, what earlier versions knew it by: its packed bytes.
    pub packed: Option<Identity>,
}

/// What bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A hash of them.
    pub data: String,
    /// A hash of them and of what says how they are read, by which the load is known.
    pub hash: String,
}

/// What a file by itself is, and the encoding that it would have as a text; None where it cannot be unpacked. `place` is what
/// its folders add to its bytes, `meaning` says how they are read.
pub fn content_of(file: &InputFile, place: &str, meaning: &str) -> Result<(Content, Option<Encoding>)> {
    let unreadable = |e: io::Error| Error::refused(format!("cannot be read: {e}"));
    let known_as = |mut hash: Xxh3| {
        hash.update(place.as_bytes());
        let data = hex(&hash);
        hash.update(meaning.as_bytes());
        Identity { data, hash: hex(&hash) }
    };
    if file.member().is_some() {
        // of the archive nothing counts but this text
        let mut text = Hashed::new(unpacked(file)?);
        let encoding = Encoding::detect(&mut text).map_err(unreadable)?;
        let (hash, bytes) = text.finish().map_err(unreadable)?;
        return Ok((Content { bytes, identity: known_as(hash), packed: None }, Some(encoding)));
    }
    let is_packed = is_packed(file)?;
    let mut stored = Hashed::new(file.stream()?);
    if !is_packed {
        let encoding = Encoding::detect(&mut stored).map_err(unreadable)?;
        let (hash, bytes) = stored.finish().map_err(unreadable)?;
        return Ok((Content { bytes, identity: known_as(hash), packed: None }, Some(encoding)));
    }
    let looked = unpacked_stream(&mut stored, &file.name()).and_then(|unpacked| {
        let mut unpacked = Hashed::new(unpacked.input);
        let encoding = Encoding::detect(&mut unpacked)?;
        Ok((encoding, unpacked.finish()?.0))
    });
    let (hash, bytes) = stored.finish().map_err(unreadable)?;
    let packed = known_as(hash);
    Ok(match looked {
        Ok((encoding, hash)) => (Content { bytes, identity: known_as(hash), packed: Some(packed) }, Some(encoding)),
        // the reader of its rows says what is wrong
        Err(_) => (Content { bytes, identity: packed, packed: None }, None),
    })
}

/// What the files of a delivery hold, each with its members, hits in the order of the files.
pub fn identity_of_members<'a>(files: impl Iterator<Item = &'a [Member]>) -> String {
    let (hits, mut lookups): (Vec<&Member>, Vec<&Member>) = files.flatten().partition(|(name, _)| name == HIT_DATA);
    // which archive a lookup is in, and where, tells nothing
    lookups.sort_unstable();
    lookups.dedup();
    let mut all = Xxh3::new();
    for (name, hash) in hits.into_iter().chain(lookups) {
        all.update(format!("{hash:032x} {name}\n").as_bytes());
    }
    hex(&all)
}

fn hex(hash: &Xxh3) -> String {
    format!("{:032x}", hash.digest128())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{Read, Write};
    use std::path::Path;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn gzipped(path: &Path, header: &str, level: u32, text: &str) {
        let mut encoder = GzBuilder::new().filename(header).mtime(level).write(vec![], Compression::new(level));
        encoder.write_all(text.as_bytes()).unwrap();
        std::fs::write(path, encoder.finish().unwrap()).unwrap();
    }

    fn content(path: &Path) -> Content {
        content_of(&InputFile::alone(path), "dt=1/", "a mapping").unwrap().0
    }

    #[test]
    fn a_text_in_an_archive_is_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let [plain, archive] = ["leads.txt", "drop.zip"].map(|name| folder.path().join(name));
        let text = "Date\tEvar 1\tEvent 1\n1/2/2026\tK\u{e4}se\t1\n";
        std::fs::write(&plain, text).unwrap();
        for member in ["leads.txt", "other/place.txt"] {
            let mut writer = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
            writer.start_file(member, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
            writer.finish().unwrap();
            let (of_member, encoding) =
                content_of(&InputFile::alone(&archive).text(member), "dt=1/", "a mapping").unwrap();
            assert_eq!((of_member, encoding), (content(&plain), Some(Encoding::Utf8)));
        }
    }

    #[test]
    fn a_file_is_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other, plain, changed] = ["a.csv.gz", "b.csv.gz", "c.csv", "d.csv.gz"].map(|n| folder.path().join(n));
        let text = "visitor,time\n".to_string() + &"v1,2026-09-01\n".repeat(30_000);
        gzipped(&one, "x", 1, &text);
        gzipped(&other, "y", 9, &text);
        gzipped(&changed, "x", 1, &(text.clone() + " "));
        std::fs::write(&plain, &text).unwrap();
        let zst = folder.path().join("e.csv.zst");
        std::fs::write(&zst, zstd::encode_all(text.as_bytes(), 3).unwrap()).unwrap();
        let mut read = String::new();
        unpacked(&InputFile::alone(&zst)).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!((read.len(), content(&zst).identity), (text.len(), content(&plain).identity));
        let (one, other) = (content(&one), content(&other));
        assert_eq!(one.identity, other.identity);
        assert_eq!(one.identity, content(&plain).identity);
        assert_ne!(one.packed, other.packed);
        assert_ne!(one.bytes, other.bytes);
        assert_eq!(content(&plain).packed, None);
        assert_ne!(one.identity, content(&changed).identity);
    }

    #[test]
    fn what_cannot_be_unpacked_is_known_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv.gz");
        gzipped(&path, "x", 1, &"v1,2026-09-01\n".repeat(1000));
        let whole = content(&path);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
        let (cut, encoding) = content_of(&InputFile::alone(&path), "dt=1/", "a mapping").unwrap();
        assert!(encoding.is_none() && cut.packed.is_none());
        assert_ne!(cut.identity, whole.identity);
        std::fs::write(&path, "no gzip").unwrap();
        assert_ne!(content(&path).identity, cut.identity);
    }

    #[test]
    fn order_counts_for_hits_alone() {
        let member = |name: &str, hash: u128| (name.to_string(), hash);
        let of = |files: &[Vec<Member>]| identity_of_members(files.iter().map(Vec::as_slice));
        let parts = of(&[
            vec![member("event.tsv", 1), member("browser.tsv", 2)],
            vec![member(HIT_DATA, 3)],
            vec![member(HIT_DATA, 4)],
        ]);
        let archive = of(&[
            vec![member(HIT_DATA, 3), member("browser.tsv", 2)],
            vec![member(HIT_DATA, 4), member("event.tsv", 1), member("browser.tsv", 2)],
        ]);
        assert_eq!(parts, archive);
        assert_ne!(parts, of(&[vec![member(HIT_DATA, 4)], vec![member(HIT_DATA, 3)]]));
        assert_ne!(of(&[vec![member("event.tsv", 1)]]), of(&[vec![member("browser.tsv", 1)]]));
        assert_ne!(of(&[vec![member("event.tsv", 1)]]), of(&[vec![member("event.tsv", 2)]]));
    }
}
