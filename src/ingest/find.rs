//! What is under the paths that a user gives: complete deliveries, data source files, files for a mapping, and what
//! is not complete yet.
//!
//! In: files and folders. Out: [`FoundInputs`], in alphanumeric order of the names, each input once. What a file is follows from
//! its name and its neighbours; only a `.txt` is looked into, because a feed's manifest and a data source file share the
//! ending, and the list of a `.zip`, which is as a folder: its data source files are inputs, and so are those that a mapping
//! takes. Nothing that was named is ignored; what a folder holds beside is counted. Links are followed
//! when all folders were searched: a file is known by its own place before it is by that of a link, and each comes once.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::{files_in, holds_tables, holds_texts, is_hidden, texts_in};
use super::delivery::Delivery;
use super::input_file::InputFile;
use super::mapped_file::Format;
use super::mapping::Mapping;
use super::paths::{FILES_WITH_ERRORS, file_name, folder_of};
use super::pattern::{self, name_of};
use super::source_load::{SourceFile, SourceFormat};
use super::unpack::{Container, zip_members};
use crate::feed::delivery_name::{DeliveryName, Role};
use crate::feed::manifest::Manifest;
use crate::feed::packing::{Packing, without_packing};
use crate::feed::row_issue::clip;
use crate::lake::location::is_lake;
use crate::{Error, Result};

/// Folders deeper than this are not searched.
const MAX_DEPTH: usize = 64;

/// Endings of what people have and nothing here reads, and what to do.
const UNREAD: [(&str, &str); 13] = [
    (".xlsx", WORKBOOK),
    (".xls", WORKBOOK),
    (".xlsm", WORKBOOK),
    (".ods", WORKBOOK),
    (".numbers", WORKBOOK),
    (".bz2", OTHERWISE_PACKED),
    (".xz", OTHERWISE_PACKED),
    (".7z", OTHERWISE_PACKED),
    (".rar", OTHERWISE_PACKED),
    (".parquet.gz", "a Parquet file is packed in itself; unpack it with gunzip"),
    (".parquet.zst", "a Parquet file is packed in itself; unpack it with unzstd"),
    (".avro", "Avro is not read; make a Parquet file of it"),
    (".orc", "ORC is not read; make a Parquet file of it"),
];
const WORKBOOK: &str = "a workbook of a spreadsheet; save the sheet as CSV in UTF-8";
const OTHERWISE_PACKED: &str =
    "not packed in a way that is read; unpack it, or pack each file by itself with gzip or zstd";

/// What to do with an archive into which nobody looks.
const UNPACK: &str = "unpack it (tar -xf), put the files into a .zip, or pack each by itself with gzip or zstd";

/// What is said of an archive that is a member of another.
const NESTED: &str = "an archive in an archive, into which nobody looks; unpack the outer one";

/// What was found.
#[derive(Debug, Default)]
pub struct FoundInputs {
    /// The inputs.
    pub inputs: Vec<Input>,
    /// Files in searched folders that are no input.
    pub ignored: usize,
}

/// One thing to load, or the reason why it is not loaded.
#[derive(Debug)]
pub struct Input {
    /// Name in the file log: a delivery's, or a file's path below what was given (see [`super::pattern`]).
    pub name: String,
    /// The file that stands for it; a text in an archive as if that were a folder.
    pub path: PathBuf,
    /// What it is.
    pub what: InputType,
}

/// What an input is.
#[derive(Debug)]
pub enum InputType {
    /// A delivery of a data feed, all files there.
    Delivery(Delivery),
    /// A data source file with its `.fin`, or the Data Sources API's JSON.
    Source(SourceFile),
    /// A file that this mapping describes.
    Mapped(InputFile, Format, Arc<Mapping>),
    /// It is not complete; the text says what is missing.
    Waiting(String),
    /// It cannot be taken.
    Refused(Error),
}

/// What a user gave: where it is, and what it is called (the same, but for the stand-in of a bucket).
#[derive(Clone, Debug)]
pub struct GivenPath {
    /// Where it is.
    pub path: PathBuf,
    /// What it is called.
    pub place: PathBuf,
}

impl GivenPath {
    /// A path of this machine.
    pub fn local(path: &Path) -> Self {
        let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        // a link to a file has a name of its own
        let place = if path.is_dir() { canonical(path) } else { canonical(&folder_of(path)).join(file_name(path)) };
        Self { path: path.to_path_buf(), place }
    }
}

/// Searches what was `given`. With `mappings`, files are taken by their endings and by the mappings' patterns, too.
pub fn find(given: &[GivenPath], mappings: &[Arc<Mapping>]) -> FoundInputs {
    let (folders, files): (Vec<&GivenPath>, Vec<&GivenPath>) = given.iter().partition(|g| g.path.is_dir());
    let within =
        |inner: &GivenPath, outer: &GivenPath| inner.place != outer.place && inner.place.starts_with(&outer.place);
    let (inner, outer): (Vec<&GivenPath>, Vec<&GivenPath>) =
        folders.iter().partition(|g| folders.iter().any(|other| within(g, other)));
    let labels = labels(&outer.iter().map(|g| g.place.as_path()).collect::<Vec<_>>());
    let outer = outer.iter().zip(labels).map(|(given, label)| Root { folder: &given.path, label });
    let inner = inner.iter().map(|given| Root { folder: &given.path, label: PathBuf::new() });
    let roots: Vec<Root<'_>> = outer.chain(inner).collect();
    let mut finder = Finder { mappings, ..Default::default() };
    roots.iter().for_each(|root| finder.search(root, root.folder, 0));
    while let Some(link) = finder.links.pop_front() {
        finder.follow(&link);
    }
    let above = common_folder(&files);
    for given in files {
        match fs::metadata(&given.path) {
            Ok(_) => finder.take(&given.path, None, given.place.strip_prefix(&above).unwrap_or(&given.place)),
            Err(error) => finder.refuse(&given.path, Error::usage(format!("{}: {error}", given.path.display()))),
        }
    }
    let mut inputs: Vec<Input> = finder.inputs.into_values().collect();
    inputs.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    FoundInputs { inputs, ignored: finder.ignored }
}

/// A mapping that says that a file is its own.
struct MatchedMapping {
    /// What the file is called, where the mapping's pattern says it.
    name: Option<String>,
    format: Format,
    mapping: Arc<Mapping>,
}

/// A folder that is searched.
struct Root<'a> {
    folder: &'a Path,
    /// Tells it from the other folders that are searched; empty where there is no other.
    label: PathBuf,
}

/// The shortest ends of paths that tell them apart; nothing for a single one.
fn labels(places: &[&Path]) -> Vec<PathBuf> {
    if let [_] = places {
        return vec![PathBuf::new()];
    }
    let end = |place: &Path, count: usize| -> PathBuf {
        let parts: Vec<_> = place.components().collect();
        parts[parts.len().saturating_sub(count)..].iter().collect()
    };
    let label = |place: &&Path| {
        let depth = place.components().count();
        let tells = |count: &usize| places.iter().filter(|other| end(other, *count) == end(place, *count)).count() == 1;
        end(place, (1..depth).find(tells).unwrap_or(depth))
    };
    places.iter().map(label).collect()
}

/// The deepest folder that holds all files that were named; the folder of the file where there is only one.
fn common_folder(files: &[&GivenPath]) -> PathBuf {
    let mut folders = files.iter().map(|given| folder_of(&given.place));
    let Some(first) = folders.next() else { return PathBuf::new() };
    folders.fold(first, |common, folder| {
        let shared = common.components().zip(folder.components()).take_while(|(a, b)| a == b);
        shared.map(|(part, _)| part).collect()
    })
}

/// A link in a searched folder.
struct Link<'a> {
    root: &'a Root<'a>,
    path: PathBuf,
    /// Folders between it and the root.
    depth: usize,
}

#[derive(Default)]
struct Finder<'a> {
    mappings: &'a [Arc<Mapping>],
    /// Links that were found and not yet followed.
    links: VecDeque<Link<'a>>,
    /// By canonical path, so that an input that is named twice is loaded once.
    inputs: BTreeMap<PathBuf, Input>,
    searched: BTreeSet<PathBuf>,
    neighbours: BTreeMap<PathBuf, BTreeSet<String>>,
    ignored: usize,
}

impl<'a> Finder<'a> {
    fn search(&mut self, root: &'a Root<'a>, folder: &Path, depth: usize) {
        // links may lead in circles
        let canonical = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        if depth > MAX_DEPTH || !self.searched.insert(canonical) {
            return;
        }
        if is_lake(folder) {
            if depth == 0 {
                let reason = "a lake; give the folder in which inputs lie";
                self.refuse(folder, Error::usage(format!("{}: {reason}", folder.display())));
            }
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
            if path.is_symlink() {
                self.links.push_back(Link { root, path, depth });
            } else {
                self.enter(root, &path, depth);
            }
        }
    }

    /// Takes what is in a searched folder.
    fn enter(&mut self, root: &'a Root<'a>, path: &Path, depth: usize) {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.search(root, path, depth + 1),
            Ok(metadata) if metadata.is_file() => {
                let below = path.strip_prefix(root.folder).unwrap_or(path);
                self.take(path, Some(root), below);
            }
            _ => self.ignored += 1,
        }
    }

    /// Takes what a link leads to; one that leads nowhere waits where it is called as an input is.
    fn follow(&mut self, link: &Link<'a>) {
        let (root, path) = (link.root, &link.path);
        let Err(error) = fs::metadata(path) else { return self.enter(root, path, link.depth) };
        let name = file_name(path);
        let lower = name.to_lowercase();
        let may_be = [".txt", ".json"].iter().any(|ending| without_packing(&lower).ends_with(ending))
            || [".zip", ".fin"].iter().any(|ending| lower.ends_with(ending))
            || DeliveryName::parse(&name).is_some()
            || !matches!(self.mapping_of(path, &name), Ok(None));
        if !may_be {
            self.ignored += 1;
            return;
        }
        let below = path.strip_prefix(root.folder).unwrap_or(path);
        let known_as = name_of(path, &root.label, below);
        self.add(&known_as, path, InputType::Waiting(format!("{name}: a link that leads nowhere ({error})")));
    }

    /// `root` is the searched folder; None for a file that was named itself. `below` is its path below what was given.
    fn take(&mut self, path: &Path, root: Option<&Root<'_>>, below: &Path) {
        let name = file_name(path);
        // a delivery bears its own name, every other file that of its place
        let known_as = name_of(path, root.map_or(Path::new(""), |root| &root.label), below);
        match self.mapping_of(path, &name) {
            Ok(None) => {}
            Ok(Some(MatchedMapping { name, format, mapping })) => {
                let what = InputType::Mapped(InputFile::alone(path), format, mapping);
                return self.add(name.as_ref().unwrap_or(&known_as), path, what);
            }
            Err(error) => return self.add(&known_as, path, InputType::Refused(error)),
        }
        let lower = name.to_ascii_lowercase();
        let plain = without_packing(&lower);
        if let Some(stem) = plain.strip_suffix(".txt") {
            let (stem, ending) = (&name[..stem.len()], &lower[stem.len()..]);
            if !name.ends_with(ending) {
                let advice = format!("{name}: endings are lower case; rename it to {stem}{ending}");
                return self.add(&known_as, path, InputType::Waiting(advice));
            }
            if ending == ".txt" && is_manifest(path) {
                return self.delivery(path, stem, Delivery::of_manifest(path));
            }
            if ending == ".txt" && self.is_empty_manifest(path, stem) {
                let reason =
                    "it is called as a manifest, which lists the files of its delivery; it is taken when it does";
                let reason = format!("{name} is empty: {reason}");
                return self.add(stem, path, InputType::Waiting(reason));
            }
            let what = self.source_text(path, stem);
            return self.add(&known_as, path, what);
        }
        if lower.ends_with(".zip") && self.archive(path, root, &known_as) {
            return;
        }
        if lower.ends_with(".fin") {
            return self.fin(path, &name[..name.len() - 4], root, below);
        }
        if plain.ends_with(".json") {
            let found = SourceFile { file: InputFile::alone(path), format: SourceFormat::Json, fin: None };
            return self.add(&known_as, path, InputType::Source(found));
        }
        if let Some(delivery) = DeliveryName::parse(&name).filter(is_data) {
            return self.data_file(path, &delivery, root, below);
        }
        if root.is_some() {
            self.ignored += 1;
        } else {
            self.refuse(path, not_an_input(&name, &lower, self.mappings));
        }
    }

    /// The mapping that a file belongs to: the one that has a pattern for it, else the one without patterns where the
    /// ending is that of a format.
    fn mapping_of(&self, path: &Path, name: &str) -> Result<Option<MatchedMapping>> {
        let lower = name.to_lowercase();
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let claims = self.mappings.iter().filter_map(|mapping| {
            let end = mapping.files.iter().find_map(|pattern| pattern.end_of(&absolute))?;
            Some((end, mapping))
        });
        let claims: Vec<_> = claims.collect();
        match claims.as_slice() {
            [(_, mapping)] if lower.ends_with(".zip") => {
                return Err(Error::refused(format!(
                    "the files of {} hold an archive; say which of its files are meant, as in files = \"{}/*.csv\"",
                    mapping.label(),
                    clip(name, 80)
                )));
            }
            [(_, mapping)] if Container::of(&lower) == Some(Container::Tar) => {
                return Err(Error::refused(format!("the files of {} hold an archive; {UNPACK}", mapping.label())));
            }
            // what is no other format is a delimited text
            [(end, mapping)] => {
                let format = Format::of(&lower).unwrap_or(Format::Csv);
                return Ok(Some(MatchedMapping { name: Some(end.clone()), format, mapping: (*mapping).clone() }));
            }
            [] => {}
            [(_, first), (_, second), ..] => {
                return Err(Error::configuration(format!(
                    "the files of two mappings hold it, of {} and of {}; correct one of them",
                    first.label(),
                    second.label()
                )));
            }
        }
        let Some(format) = Format::of(&lower).filter(|_| DeliveryName::parse(name).is_none()) else { return Ok(None) };
        let mut open = self.mappings.iter().filter(|mapping| mapping.files.is_empty());
        match (open.next(), open.next()) {
            (None, _) => Ok(None),
            (Some(mapping), None) => Ok(Some(MatchedMapping { name: None, format, mapping: mapping.clone() })),
            (Some(first), Some(second)) => Err(Error::configuration(format!(
                "is it for {} or for {}? say in both which files are theirs, as in files = \"web/*.csv\"",
                first.label(),
                second.label()
            ))),
        }
    }

    /// A data source file, packed or not; `stem` is its name without endings.
    fn source_text(&mut self, path: &Path, stem: &str) -> InputType {
        if let Some(fin) = self.fin_of(path, stem) {
            let (file, format) = (InputFile::alone(path), SourceFormat::Text);
            return InputType::Source(SourceFile { file, format, fin: Some(fin) });
        }
        let wrong = format!("{stem}.fin").to_lowercase();
        let mappings = self.mappings;
        match self.names_beside(path).iter().find(|n| n.to_lowercase() == wrong) {
            Some(fin) => InputType::Waiting(format!("{fin}: endings are lower case; rename it to {stem}.fin")),
            None => {
                let name = file_name(path);
                let mapped = match (mappings, name.rsplit_once(".txt")) {
                    ([], _) | (_, None) => String::new(),
                    (_, Some((_, packed))) => format!("; a mapping reads it with files = \"*.txt{packed}\""),
                };
                InputType::Waiting(format!(
                    "{stem}.fin is missing; an empty file of that name says that {name} is whole{mapped}"
                ))
            }
        }
    }

    fn fin_of(&mut self, path: &Path, stem: &str) -> Option<PathBuf> {
        let fin = format!("{stem}.fin");
        self.neighbour(path, &fin).then(|| path.with_file_name(fin))
    }

    /// True for a `.txt` without a byte that is called as the manifest of a delivery, and is it: its files are beside it, or no
    /// `.fin` says that it is a data source file.
    fn is_empty_manifest(&mut self, path: &Path, stem: &str) -> bool {
        let is_empty = fs::metadata(path).is_ok_and(|metadata| metadata.len() == 0);
        let is_file_of_it =
            |name: &String| DeliveryName::parse(name).is_some_and(|d| d.delivery() == stem && is_data(&d));
        is_empty
            && DeliveryName::parse(&format!("{stem}.txt")).is_some()
            && (self.names_beside(path).iter().any(is_file_of_it) || self.fin_of(path, stem).is_none())
    }

    /// The inputs in a zip archive. False where it has none: then its name says what it is.
    fn archive(&mut self, path: &Path, root: Option<&Root<'_>>, known_as: &str) -> bool {
        let name = file_name(path);
        let stem = &name[..name.len() - ".zip".len()];
        let fin = self.fin_of(path, stem);
        let members = match zip_members(&InputFile::one_of(path, &Arc::default())) {
            Ok(members) => members,
            // its manifest says whether a delivery is whole
            Err(_) if DeliveryName::parse(&name).is_some() => return false,
            Err(error) => {
                // its list is the last that is written of it
                let what = match root.is_none() || fin.is_some() {
                    true => InputType::Refused(error),
                    false => InputType::Waiting(error.to_string()),
                };
                self.add(known_as, path, what);
                return true;
            }
        };
        let found = self.mapped_in(path, &members).and_then(|mapped| {
            let mut texts = texts_in(&members, &name, fin.is_some())?;
            // a text beside the files of a mapping may be anything, unless somebody says that it is a data source file
            texts.retain(|text| text.is_whole && !mapped.contains_key(&text.path) || mapped.is_empty());
            Ok((mapped, texts))
        });
        let (mapped, texts) = match found {
            Ok(found) => found,
            Err(error) => {
                self.add(known_as, path, InputType::Refused(error));
                return true;
            }
        };
        let archive = InputFile::alone(path);
        let is_any = !(texts.is_empty() && mapped.is_empty());
        for (member, what) in mapped {
            let (name, what) = match what {
                Ok(MatchedMapping { format: Format::Parquet, .. }) => {
                    let reason = "a Parquet file is not read in an archive; unpack it";
                    (None, InputType::Refused(Error::refused(reason)))
                }
                Ok(MatchedMapping { name, format, mapping }) => {
                    (name, InputType::Mapped(archive.text(&member), format, mapping))
                }
                Err(error) => (None, InputType::Refused(error)),
            };
            self.add(&name.unwrap_or_else(|| format!("{known_as}/{member}")), &path.join(&member), what);
        }
        for text in &texts {
            let what = match text.is_whole {
                true => {
                    let (file, format) = (archive.text(&text.path), SourceFormat::Text);
                    InputType::Source(SourceFile { file, format, fin: fin.clone() })
                }
                false => InputType::Waiting(format!(
                    "a .fin is missing; {stem}.fin beside {name}, or one in it beside {}, says that the file is whole",
                    text.path
                )),
            };
            self.add(&format!("{known_as}/{}", text.path), &path.join(&text.path), what);
        }
        is_any
    }

    /// The files in a zip archive that a mapping takes, or may not take, by their paths there.
    ///
    /// # Errors
    /// There are some, and the archive is not to be trusted.
    fn mapped_in(&self, path: &Path, members: &[String]) -> Result<BTreeMap<String, Result<MatchedMapping>>> {
        let name = file_name(path);
        if self.mappings.is_empty() || DeliveryName::parse(&name).is_some() && holds_tables(members) {
            return Ok(BTreeMap::new());
        }
        let matched = |member: &str| {
            let found = self.mapping_of(&path.join(member), &file_name(Path::new(member)));
            found.transpose().map(|found| (member.to_string(), found))
        };
        let mut listed = members.iter().map(|member| member.replace('\\', "/")).filter(|member| !is_hidden(member));
        if !listed.any(|member| matched(&member).is_some()) {
            return Ok(BTreeMap::new());
        }
        let files = files_in(members, &name)?;
        let mut mapped: BTreeMap<_, _> = files.iter().filter_map(|member| matched(member)).collect();
        let is_archive =
            |member: &&String| matches!(Container::of(&member.to_lowercase()), Some(Container::Tar | Container::Zip));
        let nested = files.iter().filter(is_archive).map(|member| (member.clone(), Err(Error::refused(NESTED))));
        mapped.extend(nested);
        Ok(mapped)
    }

    fn fin(&mut self, path: &Path, stem: &str, root: Option<&Root<'_>>, below: &Path) {
        let name = file_name(path);
        let mut of_source = vec![];
        let packed = Packing::ALL.map(|packing| format!("{stem}.txt{}", packing.ending()));
        for named in [format!("{stem}.txt"), format!("{stem}.zip")].into_iter().chain(packed) {
            if self.neighbour(path, &named) && (!named.ends_with(".zip") || is_of_source(&path.with_file_name(&named)))
            {
                of_source.push(named);
            }
        }
        if !of_source.is_empty() {
            // in a searched folder the files come by themselves
            for named in of_source.iter().filter(|_| root.is_none()) {
                self.take(&path.with_file_name(named), root, &below.with_file_name(named));
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
                InputType::Waiting(format!("{stem}.txt is missing; {name} says that it is whole")),
            );
        }
        if !name.ends_with(".fin") {
            let advice = format!("{name}: endings are lower case; rename it to {stem}.fin");
            return self.add(stem, path, InputType::Waiting(advice));
        }
        self.delivery(path, stem, Delivery::of_fin(path, &files));
    }

    fn data_file(&mut self, path: &Path, name: &DeliveryName, root: Option<&Root<'_>>, below: &Path) {
        let stem = name.delivery();
        for ending in ["txt", "fin"] {
            let whole = format!("{stem}.{ending}");
            if self.neighbour(path, &whole) {
                if root.is_none() {
                    self.take(&path.with_file_name(&whole), root, &below.with_file_name(&whole));
                }
                return;
            }
        }
        let reason = format!("{stem}.txt (the manifest, which comes last) is missing");
        let manifest = path.with_file_name(format!("{stem}.txt"));
        self.add(&stem, &manifest, InputType::Waiting(reason));
    }

    fn delivery(&mut self, path: &Path, stem: &str, delivery: Result<Delivery>) {
        match delivery {
            Ok(delivery) => {
                let what = match delivery.incomplete() {
                    Some(reason) => InputType::Waiting(reason),
                    None => InputType::Delivery(delivery),
                };
                self.add(stem, path, what);
            }
            Err(error) => self.add(stem, path, InputType::Refused(error)),
        }
    }

    fn refuse(&mut self, path: &Path, error: Error) {
        self.add(&file_name(path), path, InputType::Refused(error));
    }

    fn add(&mut self, name: &str, path: &Path, what: InputType) {
        // a text in an archive has the path of that, and its own below
        let real = path.ancestors().find_map(|above| {
            let below = path.strip_prefix(above).ok()?;
            Some(above.canonicalize().ok()?.join(below))
        });
        let input = Input { name: name.to_string(), path: path.to_path_buf(), what };
        self.inputs.entry(real.unwrap_or_else(|| path.to_path_buf())).or_insert(input);
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

fn is_manifest(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|f| f.take(4096).read_to_end(&mut start));
    read.is_ok() && Manifest::is_manifest(&start)
}

fn is_data(name: &DeliveryName) -> bool {
    !matches!(name.role, Role::Manifest | Role::Finished)
}

/// True for a zip archive that is no delivery of a data feed, as its name or its list says.
fn is_of_source(path: &Path) -> bool {
    DeliveryName::parse(&file_name(path)).is_none()
        || zip_members(&InputFile::one_of(path, &Arc::default())).is_ok_and(|members| holds_texts(&members))
}

fn not_an_input(name: &str, lower: &str, mappings: &[Arc<Mapping>]) -> Error {
    if Format::of(lower).is_some() {
        let of = |mapping: &Arc<Mapping>| format!("{} (files = {})", mapping.label(), pattern::shown(&mapping.files));
        return Error::usage(match mappings {
            [] => format!(
                "{name}: give --mapping FILE, which says what its columns mean (rejoin mapping guess FILE writes a first one)"
            ),
            mappings => format!(
                "{name}: the files of no mapping hold it: {}; correct the pattern, which is held against the end of the file's path",
                mappings.iter().map(of).collect::<Vec<_>>().join(", ")
            ),
        });
    }
    if let Some((_, advice)) = UNREAD.iter().find(|(ending, _)| lower.ends_with(ending)) {
        return Error::refused(format!("{name}: {advice}"));
    }
    let container = Container::of(lower);
    if container == Some(Container::Tar) && !mappings.is_empty() {
        return Error::refused(format!("{name}: an archive into which a mapping does not look; {UNPACK}"));
    }
    if container.is_some() {
        let source = match (container, mappings) {
            (Some(Container::Zip), []) => {
                "no data source file (.txt) is in it (other exports load with --mapping FILE), and it has "
            }
            (Some(Container::Zip), _) => "no file of a mapping and no data source file (.txt) is in it, and it has ",
            _ => "",
        };
        return Error::refused(format!(
            "{name}: {source}not the name of a delivery; a data feed's files are called rsid_YYYY-mm-dd (or rsid_YYYYmmdd-HHMMSS)"
        ));
    }
    Error::refused(format!(
        "{name}: not an input; give a data feed's manifest, a data source's .txt with its .fin, the Data Sources API's .json, \
         or .parquet, .csv, .ndjson with --mapping FILE"
    ))
}

#[cfg(test)]
mod tests;
