//! The manifest of a data feed delivery (`rsid_2026-01-31.txt`): which files belong to it, with size, MD5 and records.
//!
//! In: the file's bytes. Out: what it says; holding it against the files is the caller's. Keys are not case sensitive
//! and may come in any order within their section; unknown ones are passed over. File names that lead out of the
//! delivery's folder are refused.

use std::collections::HashSet;

use super::text::Encoding;
use super::{FeedError, row_issue};

/// What a file of a delivery is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// Column headers and lookup tables.
    Lookup,
    /// Hits.
    Data,
}

/// One file of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// What it holds.
    pub kind: FileKind,
    /// Its name, without folders.
    pub name: String,
    /// 32 lower-case hex digits.
    pub md5: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Hits in it, where the manifest says.
    pub records: Option<u64>,
}

/// A delivery as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The format's version, `1.0` so far.
    pub version: String,
    /// How many lookup files there should be.
    pub lookup_files: Option<u64>,
    /// How many data files there should be.
    pub data_files: Option<u64>,
    /// Hits in all data files.
    pub total_records: Option<u64>,
    /// The files, in the manifest's order.
    pub files: Vec<ManifestFile>,
}

impl Manifest {
    /// True where `bytes` begin as a manifest does: tells one from a data source's `.txt`.
    pub fn is_manifest(bytes: &[u8]) -> bool {
        let start = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes).trim_ascii_start();
        start.get(..VERSION.len()).is_some_and(|start| start.eq_ignore_ascii_case(VERSION.as_bytes()))
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// Lines that are no `Key: value`, numbers that are none, files without size or MD5, named twice, or named so that
    /// they would be in another folder.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, FeedError> {
        if !Self::is_manifest(bytes) {
            return Err(FeedError::new(file, format!("is no manifest: it does not begin with {VERSION}")));
        }
        let text = Encoding::of_bytes(bytes).decode(bytes);
        let text = text.ok_or_else(|| FeedError::new(file, "is no text file"))?;
        let mut reading = Reading { file, ..Reading::default() };
        for (number, line) in logical_lines(&text) {
            let (key, value) = line.split_once(':').ok_or_else(|| {
                let shown = row_issue::clip(&line, 60);
                FeedError::new(file, format!("{shown:?} is not of the form `Key: value`")).on_line(number)
            })?;
            reading.take(&key.trim().to_ascii_lowercase(), value.trim(), number)?;
        }
        reading.finish()
    }

    /// What the manifest's own numbers contradict: a list that is cut short, or a total that is not the sum.
    pub fn contradiction(&self) -> Option<String> {
        let count = |kind| self.files.iter().filter(|f| f.kind == kind).count() as u64;
        let announced = [(FileKind::Lookup, self.lookup_files, "lookup"), (FileKind::Data, self.data_files, "data")];
        for (kind, announced, name) in announced {
            if let Some(announced) = announced.filter(|announced| *announced != count(kind)) {
                return Some(format!("announces {announced} {name} files and lists {}", count(kind)));
            }
        }
        let data = self.files.iter().filter(|f| f.kind == FileKind::Data);
        let sum = data.map(|f| f.records).try_fold(0_u64, |sum, records| sum.checked_add(records?))?;
        let total = self.total_records.filter(|total| *total != sum)?;
        Some(format!("announces {total} records and lists files with {sum}"))
    }
}

const VERSION: &str = "Datafeed-Manifest-Version:";
/// Enough for an hour in a thousand parts, little enough to hold.
const MAX_FILES: usize = 100_000;

#[derive(Default)]
struct Reading<'a> {
    file: &'a str,
    version: String,
    lookup_files: Option<u64>,
    data_files: Option<u64>,
    total_records: Option<u64>,
    files: Vec<ManifestFile>,
    seen: HashSet<String>,
    /// The section that is being read: its first line, and the file as far as it is known.
    section: Option<Section>,
}

struct Section {
    line: u64,
    kind: FileKind,
    name: String,
    md5: Option<String>,
    bytes: Option<u64>,
    records: Option<u64>,
}

impl Reading<'_> {
    fn take(&mut self, key: &str, value: &str, line: u64) -> Result<(), FeedError> {
        let error = |message: String| FeedError::new(self.file, message).on_line(line);
        let number = || {
            let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
            let number = digits.then(|| value.parse::<u64>().ok()).flatten();
            number.ok_or_else(|| error(format!("{key} is {:?}, expected a number", row_issue::clip(value, 60))))
        };
        let outside = || error(format!("{key} stands before any Lookup-File or Data-File"));
        match key {
            "datafeed-manifest-version" => self.version = value.to_owned(),
            "lookup-files" => self.lookup_files = Some(number()?),
            "data-files" => self.data_files = Some(number()?),
            "total-records" => self.total_records = Some(number()?),
            "lookup-file" | "data-file" => {
                if !is_plain_name(value) {
                    let shown = row_issue::clip(value, 60);
                    return Err(error(format!(
                        "{shown:?} is no plain file name; files of a delivery lie side by side"
                    )));
                }
                if !self.seen.insert(value.to_owned()) {
                    return Err(error(format!("{value} is listed twice")));
                }
                if self.seen.len() > MAX_FILES {
                    return Err(error(format!("more than {MAX_FILES} files")));
                }
                let kind = if key == "data-file" { FileKind::Data } else { FileKind::Lookup };
                self.close_section()?;
                self.section =
                    Some(Section { line, kind, name: value.to_owned(), md5: None, bytes: None, records: None });
            }
            "md5-digest" => {
                // Digests that lost their leading zeros occur.
                if value.is_empty() || value.len() > 32 || !value.bytes().all(|b| b.is_ascii_hexdigit()) {
                    let shown = row_issue::clip(value, 60);
                    return Err(error(format!("{shown:?} is no MD5 digest, expected 32 hex digits")));
                }
                let md5 = format!("{:0>32}", value.to_ascii_lowercase());
                self.section.as_mut().ok_or_else(outside)?.md5 = Some(md5);
            }
            "file-size" => {
                let bytes = number()?;
                self.section.as_mut().ok_or_else(outside)?.bytes = Some(bytes);
            }
            "record-count" => {
                let records = number()?;
                self.section.as_mut().ok_or_else(outside)?.records = Some(records);
            }
            _ => {}
        }
        Ok(())
    }

    fn close_section(&mut self) -> Result<(), FeedError> {
        let Some(section) = self.section.take() else { return Ok(()) };
        let Section { line, kind, name, md5, bytes, records } = section;
        let missing = |what: &str| {
            let message = format!("{name} has no {what}; was the manifest cut short?");
            FeedError::new(self.file, message).on_line(line).unfinished()
        };
        let md5 = md5.ok_or_else(|| missing("MD5-Digest"))?;
        let bytes = bytes.ok_or_else(|| missing("File-Size"))?;
        self.files.push(ManifestFile { kind, name, md5, bytes, records });
        Ok(())
    }

    fn finish(mut self) -> Result<Manifest, FeedError> {
        self.close_section()?;
        // an hour without a hit has no file, and says so
        if self.files.is_empty() && self.data_files != Some(0) {
            return Err(FeedError::new(self.file, "lists no files; was the manifest cut short?").unfinished());
        }
        let Self { version, lookup_files, data_files, total_records, files, .. } = self;
        Ok(Manifest { version, lookup_files, data_files, total_records, files })
    }
}

/// Lines with their numbers, blank ones left out. As in a JAR's manifest, a line that begins with a space and is no
/// `Key: value` of its own goes on with the value before it.
fn logical_lines(text: &str) -> Vec<(u64, String)> {
    let mut lines: Vec<(u64, String)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        match lines.last_mut() {
            Some((_, last)) if line.starts_with(' ') && !line.contains(':') && !line.trim().is_empty() => {
                last.push_str(line.trim());
            }
            _ if line.trim().is_empty() => {}
            _ => lines.push((number, line.trim().to_owned())),
        }
    }
    lines
}

fn is_plain_name(name: &str) -> bool {
    let plain = |c: char| !c.is_control() && !matches!(c, '/' | '\\' | ':');
    !name.is_empty() && name.len() <= 255 && name.chars().all(plain) && !name.starts_with('.') && !name.contains("..")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = "Datafeed-Manifest-Version: 1.0\n\
        Lookup-Files: 1\n\
        Data-Files: 2\n\
        Total-Records: 611\n\
        \n\
        Lookup-File: bugzilla_2012-09-09-lookup_data.tar.gz\n\
        MD5-Digest: af6de42d8b945d4ec1cf28360085308\n\
        File-Size: 63750\n\
        \n\
        Data-File: 01-bugzilla_2012-09-09.tsv.gz\n\
        MD5-Digest: 9C70bf783cb3d0095a4836904b72c991\n\
        File-Size: 122534\n\
        Record-Count: 611\n";

    fn refused(text: &str) -> String {
        Manifest::parse(text.as_bytes(), "m.txt").unwrap_err().to_string()
    }

    #[test]
    fn reads_a_real_one() {
        let manifest = Manifest::parse(TEXT.as_bytes(), "m.txt").unwrap();
        assert_eq!((manifest.version.as_str(), manifest.total_records), ("1.0", Some(611)));
        let (lookup, data) = (&manifest.files[0], &manifest.files[1]);
        assert_eq!((lookup.kind, lookup.md5.as_str()), (FileKind::Lookup, "0af6de42d8b945d4ec1cf28360085308"));
        assert_eq!(
            (data.name.as_str(), data.bytes, data.records),
            ("01-bugzilla_2012-09-09.tsv.gz", 122_534, Some(611))
        );
        assert_eq!(data.md5, "9c70bf783cb3d0095a4836904b72c991");
        assert_eq!(manifest.contradiction().unwrap(), "announces 2 data files and lists 1");
    }

    #[test]
    fn tolerates() {
        let plain = Manifest::parse(TEXT.as_bytes(), "m.txt").unwrap();
        let swapped =
            TEXT.replace("Record-Count: 611\n", "").replace("File-Size: 122534", "Record-Count: 611\nFILE-SIZE:122534");
        for text in [
            TEXT.replace('\n', "\r\n"),
            TEXT.replace("Data-Files", " DATA-files"),
            TEXT.replace("\n", "\n "),
            TEXT.replace("lookup_data", "lookup\n _data"),
            format!("\u{FEFF}{TEXT}Future-Key: x\n"),
            TEXT.trim_end().to_owned(),
            swapped,
        ] {
            assert_eq!(Manifest::parse(text.as_bytes(), "m.txt").unwrap(), plain, "{text}");
        }
        let right = Manifest { data_files: Some(1), ..plain.clone() };
        assert_eq!(right.contradiction(), None);
        let short = Manifest { total_records: Some(612), ..right };
        assert_eq!(short.contradiction().unwrap(), "announces 612 records and lists files with 611");
    }

    #[test]
    fn refuses() {
        for name in ["../x", "/etc/x", "a/b", "a\\b", "C:x", "..", ".x", "a..b", ""] {
            let text = TEXT.replace("01-bugzilla_2012-09-09.tsv.gz", name);
            assert!(refused(&text).contains("no plain file name"), "{name}");
        }
        assert!(refused("Date\tEvent 1\n").contains("is no manifest"));
        assert!(refused("").contains("is no manifest"));
        assert!(refused("Datafeed-Manifest-Version: 1.0\n").contains("lists no files"));
        assert!(refused(&TEXT.replace("611\n\n", "many\n\n")).contains("line 4: total-records is \"many\""));
        assert!(refused(&TEXT.replace("63750", "-1")).contains("expected a number"));
        assert!(refused(&TEXT.replace("9C70", "zz70")).contains("no MD5 digest"));
        assert!(refused(&TEXT[..TEXT.find("MD5-Digest: 9C").unwrap()]).contains("cut short"));
        assert!(refused(&format!("{TEXT}nonsense\n")).contains("line 14: \"nonsense\" is not of the form"));
        assert!(refused("Datafeed-Manifest-Version: 1.0\nFile-Size: 3\n").contains("before any"));
        assert!(
            refused(&TEXT.replace("bugzilla_2012-09-09-lookup_data.tar.gz", "01-bugzilla_2012-09-09.tsv.gz"))
                .contains("twice")
        );
    }

    #[test]
    fn tells_manifests_from_data_sources() {
        assert!(Manifest::is_manifest(TEXT.as_bytes()));
        assert!(!Manifest::is_manifest(b"# comment\nDate\tEvent 1\n"));
        assert!(!Manifest::is_manifest(b""));
    }
}
