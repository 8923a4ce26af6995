//! What lies under the paths that a user gives: complete deliveries, data source files, files for a mapping, and what
//! is not complete yet.
//!
//! In: files and folders. Out: [`Found`], in alphanumeric order of the names, each input once. What a file is follows from
//! its name and its neighbours; only a `.txt` is looked into, because a feed's manifest and a data source file share the
//! ending. Nothing that was named is ignored; what a folder holds beside is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::delivery::Delivery;
use super::mapped_file::Format;
use crate::feed::delivery_name::{DeliveryName, Role};
use crate::feed::manifest::Manifest;
use crate::{Error, Result};

/// The folder that files of a stopped source are moved to; never searched.
pub const FILES_WITH_ERRORS: &str = "files_with_errors";

/// Folders deeper than this are not searched.
const MAX_DEPTH: usize = 64;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The inputs.
    pub inputs: Vec<Input>,
    /// Files in searched folders that are no input.
    pub ignored: usize,
}

/// One thing to load, or the reason why it is not loaded.
#[derive(Debug)]
pub struct Input {
    /// Name in the file log: a delivery's, a file's, or for mapped files of a searched folder the path below it.
    pub name: String,
    /// The file that stands for it.
    pub path: PathBuf,
    /// What it is.
    pub what: What,
}

/// What an input is.
#[derive(Debug)]
pub enum What {
    /// A delivery of a data feed, all files there.
    Delivery(Delivery),
    /// A data source file with its `.fin`.
    SourceText,
    /// The Data Sources API's JSON.
    SourceJson,
    /// A file that the mapping describes.
    Mapped(Format),
    /// It is not complete; the text says what is missing.
    Waiting(String),
    /// It cannot be taken.
    Refused(Error),
}

/// Searches `paths`. `mapped`: a mapping is given, so that files are taken by their endings, too.
pub fn find(paths: &[PathBuf], mapped: bool) -> Found {
    let mut finder = Finder { mapped, ..Default::default() };
    for path in paths {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => finder.search(path, path, 0),
            Ok(_) => finder.take(path, None),
            Err(error) => finder.refuse(path, Error::usage(format!("{}: {error}", path.display()))),
        }
    }
    let mut inputs: Vec<Input> = finder.inputs.into_values().collect();
    inputs.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    Found { inputs, ignored: finder.ignored }
}

#[derive(Default)]
struct Finder {
    mapped: bool,
    /// By canonical path, so that an input that is named twice is loaded once.
    inputs: BTreeMap<PathBuf, Input>,
    searched: BTreeSet<PathBuf>,
    neighbours: BTreeMap<PathBuf, BTreeSet<String>>,
    ignored: usize,
}

impl Finder {
    fn search(&mut self, root: &Path, folder: &Path, depth: usize) {
        // links may lead in circles
        let canonical = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        if depth > MAX_DEPTH || !self.searched.insert(canonical) {
            return;
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries.filter_map(|e| e.ok().map(|e| e.path())).collect::<BTreeSet<_>>(),
            Err(error) => return self.refuse(folder, Error::usage(format!("{}: {error}", folder.display()))),
        };
        for path in entries {
            let name = file_name(&path);
            if name.starts_with('.') || name == FILES_WITH_ERRORS {
                continue;
            }
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.search(root, &path, depth + 1),
                Ok(metadata) if metadata.is_file() => self.take(&path, Some(root)),
                _ => self.ignored += 1,
            }
        }
    }

    /// `root` is the searched folder; None for a file that was named itself.
    fn take(&mut self, path: &Path, root: Option<&Path>) {
        let name = file_name(path);
        let lower = name.to_ascii_lowercase();
        if let Some(stem) = name.strip_suffix(".txt") {
            if is_manifest(path) {
                return self.delivery(path, stem, Delivery::of_manifest(path));
            }
            let what = self.source_text(path, stem);
            return self.add(&name, path, what);
        }
        if lower.ends_with(".txt") {
            let advice = format!("{name}: endings are lower case; rename it to {}.txt", &name[..name.len() - 4]);
            return self.add(&name, path, What::Waiting(advice));
        }
        if lower.ends_with(".fin") {
            return self.fin(path, &name[..name.len() - 4], root);
        }
        if let Some(format) = Format::of(&lower).filter(|_| self.mapped) {
            let below = root.and_then(|r| path.strip_prefix(r).ok()).map(|p| p.to_string_lossy().replace('\\', "/"));
            return self.add(&below.unwrap_or(name), path, What::Mapped(format));
        }
        if lower.ends_with(".json") {
            return self.add(&name, path, What::SourceJson);
        }
        if let Some(delivery) = DeliveryName::parse(&name).filter(is_data) {
            return self.data_file(path, &delivery, root);
        }
        if root.is_some() {
            self.ignored += 1;
        } else {
            self.refuse(path, not_an_input(&name, &lower));
        }
    }

    fn source_text(&mut self, path: &Path, stem: &str) -> What {
        if self.neighbour(path, &format!("{stem}.fin")) {
            return What::SourceText;
        }
        let wrong = format!("{stem}.fin").to_lowercase();
        match self.names_beside(path).iter().find(|n| n.to_lowercase() == wrong) {
            Some(fin) => What::Waiting(format!("{fin}: endings are lower case; rename it to {stem}.fin")),
            None => What::Waiting(format!(
                "{stem}.fin is missing; an empty file of that name says that {stem}.txt is whole"
            )),
        }
    }

    fn fin(&mut self, path: &Path, stem: &str, root: Option<&Path>) {
        let name = file_name(path);
        let text = path.with_file_name(format!("{stem}.txt"));
        if self.neighbour(path, &format!("{stem}.txt")) {
            // in a searched folder the .txt comes by itself
            if root.is_none() {
                self.take(&text, root);
            }
            return;
        }
        let files: Vec<String> = self
            .names_beside(path)
            .iter()
            .filter(|n| DeliveryName::parse(n).is_some_and(|d| d.delivery() == stem && is_data(&d)))
            .cloned()
            .collect();
        if files.is_empty() {
            return self.add(
                &name,
                path,
                What::Waiting(format!("{stem}.txt is missing; {name} says that it is whole")),
            );
        }
        if !name.ends_with(".fin") {
            let advice = format!("{name}: endings are lower case; rename it to {stem}.fin");
            return self.add(stem, path, What::Waiting(advice));
        }
        self.delivery(path, stem, Delivery::of_fin(path, &files));
    }

    fn data_file(&mut self, path: &Path, name: &DeliveryName, root: Option<&Path>) {
        let stem = name.delivery();
        for ending in ["txt", "fin"] {
            let whole = format!("{stem}.{ending}");
            if self.neighbour(path, &whole) {
                if root.is_none() {
                    self.take(&path.with_file_name(whole), root);
                }
                return;
            }
        }
        let reason = format!("{stem}.txt (the manifest, which comes last) is missing");
        let manifest = path.with_file_name(format!("{stem}.txt"));
        self.add(&stem, &manifest, What::Waiting(reason));
    }

    fn delivery(&mut self, path: &Path, stem: &str, delivery: Result<Delivery>) {
        match delivery {
            Ok(delivery) => {
                let what = match delivery.incomplete() {
                    Some(reason) => What::Waiting(reason),
                    None => What::Delivery(delivery),
                };
                self.add(stem, path, what);
            }
            Err(error) => self.add(stem, path, What::Refused(error)),
        }
    }

    fn refuse(&mut self, path: &Path, error: Error) {
        self.add(&file_name(path), path, What::Refused(error));
    }

    fn add(&mut self, name: &str, path: &Path, what: What) {
        let canonical = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let input = Input { name: name.to_string(), path: path.to_path_buf(), what };
        self.inputs.entry(canonical).or_insert(input);
    }

    fn neighbour(&mut self, path: &Path, name: &str) -> bool {
        self.names_beside(path).contains(name)
    }

    fn names_beside(&mut self, path: &Path) -> &BTreeSet<String> {
        let folder = folder_of(path);
        self.neighbours.entry(folder.clone()).or_insert_with(|| {
            let entries = fs::read_dir(&folder).into_iter().flatten();
            entries.filter_map(|e| e.ok().map(|e| e.file_name().to_string_lossy().into_owned())).collect()
        })
    }
}

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The last part of a path as text.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn is_manifest(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|f| f.take(4096).read_to_end(&mut start));
    read.is_ok() && Manifest::is_manifest(&start)
}

fn is_data(name: &DeliveryName) -> bool {
    !matches!(name.role, Role::Manifest | Role::Finished)
}

fn not_an_input(name: &str, lower: &str) -> Error {
    if Format::of(lower).is_some() {
        return Error::usage(format!("{name}: give --mapping FILE, which says what its columns mean"));
    }
    let feed = [".tar.gz", ".tsv.gz", ".tgz", ".zip", ".tsv"].iter().any(|ending| lower.ends_with(ending));
    if feed {
        return Error::refused(format!(
            "{name}: not the name of a delivery; a data feed's files are called rsid_YYYY-mm-dd (or rsid_YYYYmmdd-HHMMSS)"
        ));
    }
    Error::refused(format!(
        "{name}: not an input; give a data feed's manifest, a data source's .txt with its .fin, the Data Sources API's .json, \
         or .parquet, .csv, .ndjson with --mapping FILE"
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn found(folder: &Path, paths: &[&str], mapped: bool) -> (Vec<String>, usize) {
        let paths: Vec<PathBuf> = paths.iter().map(|p| folder.join(p)).collect();
        let found = find(&paths, mapped);
        let what = |input: &Input| match &input.what {
            What::Delivery(_) => "delivery".to_string(),
            What::SourceText => "text".into(),
            What::SourceJson => "json".into(),
            What::Mapped(format) => format.name().into(),
            What::Waiting(reason) => format!("waits: {reason}"),
            What::Refused(error) => format!("{:?}: {error}", error.kind()),
        };
        (found.inputs.iter().map(|i| format!("{} {}", i.name, what(i))).collect(), found.ignored)
    }

    #[test]
    fn inputs_come_once_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/files_with_errors")).unwrap();
        for name in [
            "b/leads_2.txt",
            "b/leads_2.fin",
            "leads_1.txt",
            "leads_1.fin",
            "a.json",
            "notes.md",
            ".hidden.txt",
            "x.csv",
            "b/y.parquet",
            "b/files_with_errors/old.txt",
            "OLD.TXT",
            "01-acme_2026-10-01.tsv.gz",
            "acme_2026-10-01-lookup_data.tar.gz",
            "web_2026-10-01.tar.gz",
            "web_2026-10-01.fin",
        ] {
            fs::write(root.join(name), "").unwrap();
        }
        let (inputs, ignored) = found(root, &["", "b", "leads_1.fin"], false);
        assert_eq!(
            inputs,
            [
                "OLD.TXT waits: OLD.TXT: endings are lower case; rename it to OLD.txt",
                "a.json json",
                "acme_2026-10-01 waits: acme_2026-10-01.txt (the manifest, which comes last) is missing",
                "leads_1.txt text",
                "leads_2.txt text",
                "web_2026-10-01 delivery",
            ]
        );
        // the .md, and what only a mapping could explain
        assert_eq!(ignored, 3);
        let (inputs, _) = found(root, &["", "b/y.parquet"], true);
        assert!(inputs.contains(&"x.csv csv".to_string()) && inputs.contains(&"b/y.parquet parquet".to_string()));
        assert_eq!(inputs.iter().filter(|i| i.ends_with("parquet")).count(), 1);
    }

    #[test]
    fn what_is_named_is_never_ignored() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x.csv", "notes.md", "hits.tar.gz", "alone.fin"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let one = |name: &str| found(folder.path(), &[name], false).0.join("\n");
        assert!(one("x.csv").contains("give --mapping FILE"));
        assert!(one("notes.md").contains("not an input"));
        assert!(one("hits.tar.gz").contains("not the name of a delivery"));
        assert!(one("alone.fin").contains("waits: alone.txt is missing"));
        assert!(one("missing.txt").contains("Usage"));
    }
}
