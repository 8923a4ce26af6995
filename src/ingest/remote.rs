//! Inputs in a bucket: listed as they are, and fetched to a temporary folder one input at a time.
//!
//! In: `s3://bucket/prefix/` or `s3://bucket/key`. Out: a folder of empty stand-ins that have the names and sizes of the
//! objects (and the contents of manifests, and the lists of zip archives), in which inputs are found as in any folder. An
//! input's files get their contents just before it is loaded, and go right after it; an archive in which several inputs are
//! stays until all are loaded.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path as Key;
use object_store::{GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt};
use tempfile::TempDir;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use url::Url;

use super::find::{GivenPath, Input};
use super::known::{KnownInputs, Marks};
use super::paths::{FILES_WITH_ERRORS, file_name};
use crate::feed::manifest::Manifest;
use crate::lake::s3;
use crate::{Error, Result};

/// So much of a `.txt` tells whether it is a manifest.
const START_BYTES: u64 = 4096;

/// So much of a `.zip` has its list, at its end.
const LIST_BYTES: u64 = 1 << 20;

/// Requests at once while manifests are looked for.
const PARALLEL: usize = 16;

/// Objects of a bucket as stand-ins in a folder, which is gone with the value.
pub struct Remote {
    store: Arc<dyn ObjectStore>,
    bucket: String,
    folder: TempDir,
    /// By the path of the stand-in.
    objects: BTreeMap<PathBuf, ObjectMeta>,
    /// Stand-ins that have their contents.
    fetched: Mutex<HashSet<PathBuf>>,
    searched: PathBuf,
    is_empty: bool,
}

/// What is to be searched: a path of this machine, or a place in a bucket.
pub enum PathOrBucket {
    /// A file or folder.
    Local(PathBuf),
    /// An `s3://` URL.
    Bucket(Url),
}

impl PathOrBucket {
    /// Tells paths from URLs. Schemes other than `s3` and `file` are refused.
    pub fn of(path: &Path) -> Result<Self> {
        let Some(text) = path.to_str().filter(|text| text.contains("://")) else {
            return Ok(Self::Local(path.to_path_buf()));
        };
        let wrong = |what: &str| Error::usage(format!("{text}: {what}; give files, folders or s3://bucket/prefix/"));
        let url = Url::parse(text).map_err(|e| wrong(&e.to_string()))?;
        match url.scheme() {
            "file" => Ok(Self::Local(url.to_file_path().map_err(|()| wrong("no path of this machine"))?)),
            "s3" if url.host_str().is_some_and(|bucket| !bucket.is_empty()) => Ok(Self::Bucket(url)),
            "s3" => Err(wrong("no bucket is named")),
            other => Err(wrong(&format!("inputs are not read from {other}://"))),
        }
    }
}

impl Remote {
    /// Lists what is there, without the files of inputs that are `known` and as they were; those are added to `seen`.
    /// A bucket has no empty folders: nothing at all is for the caller to judge.
    pub async fn list(url: &Url, known: &KnownInputs, settings: &str, seen: &mut BTreeSet<String>) -> Result<Self> {
        let at = |e: Error| e.at(url.as_str());
        let store: Arc<dyn ObjectStore> = Arc::new(s3::store(url).map_err(at)?);
        let bucket = format!("s3://{}", url.host_str().unwrap_or_default());
        let place = Key::from_url_path(url.path()).map_err(|e| Error::usage(format!("{url}: {e}")))?;
        let (objects, one) = listed(&store, &place, url.path().ends_with('/')).await.map_err(at)?;
        let is_empty = objects.is_empty();
        let marks: HashMap<String, String> =
            objects.iter().map(|o| (format!("{bucket}/{}", o.location), mark_of(o))).collect();
        let mut old = HashSet::new();
        for (input, files) in known.unchanged(settings, |file| marks.get(file).map(String::as_str)) {
            seen.insert(input.clone());
            // an archive may hold others that are new
            if !files.keys().any(|file| input.strip_prefix(file.as_str()).is_some_and(|within| within.starts_with('/')))
            {
                old.extend(files.keys().map(String::as_str));
            }
        }
        let is_out = |part: &str| part == FILES_WITH_ERRORS || part.starts_with('.');
        let is_new = |o: &ObjectMeta| {
            !o.location.parts().any(|p| is_out(p.as_ref()))
                && !old.contains(format!("{bucket}/{}", o.location).as_str())
        };
        let new = objects.into_iter().filter(is_new).collect();
        let folder = tempfile::Builder::new().prefix("rejoin-input-").tempdir().map_err(no_room)?;
        let searched = local(folder.path(), &place);
        if !one {
            fs::create_dir_all(&searched).map_err(no_room)?;
        }
        let (objects, fetched) = (BTreeMap::new(), Mutex::default());
        let mut remote = Self { store, bucket, folder, objects, fetched, searched, is_empty };
        remote.stand_in(new)?;
        remote.fetch_lists().await.map_err(at)?;
        Ok(remote)
    }

    /// What is to be searched; None where one file was named that is known.
    pub fn searched(&self) -> Option<GivenPath> {
        let below = self.searched.strip_prefix(self.folder.path()).unwrap_or(&self.searched);
        let place = Path::new(self.bucket.trim_start_matches("s3://")).join(below);
        self.searched.exists().then(|| GivenPath { path: self.searched.clone(), place })
    }

    /// True where nothing is at that place.
    pub fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// True for the stand-in of one of its objects.
    pub fn holds(&self, path: &Path) -> bool {
        path.starts_with(self.folder.path())
    }

    /// Where the object of a stand-in is.
    pub fn url_of(&self, path: &Path) -> String {
        let below = path.strip_prefix(self.folder.path()).unwrap_or(path);
        format!("{}/{}", self.bucket, below.to_string_lossy().replace('\\', "/"))
    }

    /// The marks of an input's objects; none where one is not there.
    pub fn marks(&self, input: &Input) -> Marks {
        let mark = |path: PathBuf| Some((self.url_of(&path), mark_of(self.objects.get(&path)?)));
        input.files().into_iter().map(mark).collect::<Option<Marks>>().unwrap_or_default()
    }

    /// Gives the files of an input their contents.
    pub async fn fetch(&self, files: &[PathBuf]) -> Result<()> {
        for (path, object) in files.iter().filter_map(|path| Some((path, self.objects.get(path)?))) {
            if !self.fetched().contains(path) {
                self.fetch_one(path, object).await?;
                self.fetched().insert(path.clone());
            }
        }
        Ok(())
    }

    fn fetched(&self) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the files of an input away again.
    pub fn release(&self, files: &[PathBuf]) {
        for path in files {
            self.fetched().remove(path);
            // the folder goes in the end in any case
            let _ = fs::remove_file(path);
        }
    }

    /// Moves the files of an input that stopped its source out of the way. Says where they are now.
    pub async fn set_aside(&self, files: &[PathBuf]) -> Result<String> {
        let mut place = String::new();
        // what says that the file is whole goes first
        for path in files.iter().rev() {
            let Some(object) = self.objects.get(path) else { continue };
            let folder = path.parent().unwrap_or(self.folder.path()).join(FILES_WITH_ERRORS);
            let to = self.key_of(&folder.join(file_name(path)))?;
            place = self.url_of(&folder);
            self.store.copy(&object.location, &to).await?;
            self.store.delete(&object.location).await?;
        }
        Ok(format!("the file is in {place}"))
    }

    fn key_of(&self, path: &Path) -> Result<Key> {
        let below = path.strip_prefix(self.folder.path()).map_err(|e| Error::bug(e.to_string()))?;
        Key::parse(below.to_string_lossy().replace('\\', "/")).map_err(|e| Error::bug(e.to_string()))
    }

    fn stand_in(&mut self, objects: Vec<ObjectMeta>) -> Result<()> {
        let paths: Vec<PathBuf> = objects.iter().map(|o| local(self.folder.path(), &o.location)).collect();
        let folders: HashSet<PathBuf> =
            paths.iter().flat_map(|p| p.ancestors().skip(1).map(Path::to_path_buf)).collect();
        for (path, object) in paths.into_iter().zip(objects) {
            // the empty object that some tools make of a folder
            if folders.contains(&path) || path == self.searched && self.searched.is_dir() {
                continue;
            }
            let made = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::File::create(&path));
            made.and_then(|file| file.set_len(object.size)).map_err(no_room)?;
            self.objects.insert(path, object);
        }
        Ok(())
    }

    /// What a `.txt` is, is seen by its start; a manifest says which files belong together, and the end of an archive what is
    /// in it.
    async fn fetch_lists(&self) -> Result<()> {
        let of = |is_it: fn(&OsStr) -> bool| {
            self.objects.iter().filter(move |(path, _)| path.extension().is_some_and(is_it))
        };
        // made beforehand: a stream that makes them would keep callers from moving between threads
        let texts = of(|ending| ending == "txt");
        let manifests: Vec<_> = texts.map(|(path, object)| self.fetch_manifest(path, object)).collect();
        let archives = of(|ending| ending.eq_ignore_ascii_case("zip"));
        let ends: Vec<_> = archives.map(|(path, object)| self.fetch_end(path, object)).collect();
        stream::iter(manifests).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
        stream::iter(ends).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await.map(drop)
    }

    /// Gives a stand-in the last bytes of its object, at their place.
    async fn fetch_end(&self, path: &Path, object: &ObjectMeta) -> Result<()> {
        let start = object.size.saturating_sub(LIST_BYTES);
        if start == object.size {
            return Ok(());
        }
        let end = self.store.get_range(&object.location, start..object.size).await?;
        let name = file_name(path);
        let full = |e: std::io::Error| no_room(e).at(&name);
        let mut file = tokio::fs::OpenOptions::new().write(true).open(path).await.map_err(full)?;
        file.seek(std::io::SeekFrom::Start(start)).await.map_err(full)?;
        file.write_all(&end).await.map_err(full)?;
        file.flush().await.map_err(full)
    }

    async fn fetch_manifest(&self, path: &Path, object: &ObjectMeta) -> Result<()> {
        if object.size == 0 {
            return Ok(());
        }
        let options = GetOptions { range: Some((0..START_BYTES.min(object.size)).into()), ..Default::default() };
        let start = self.store.get_opts(&object.location, options).await?.bytes().await?;
        if Manifest::is_manifest(&start) {
            self.fetch_one(path, object).await?;
        }
        Ok(())
    }

    async fn fetch_one(&self, path: &Path, object: &ObjectMeta) -> Result<()> {
        let name = file_name(path);
        let got = self.store.get(&object.location).await?;
        if mark_of(&got.meta) != mark_of(object) {
            return Err(Error::unavailable(format!(
                "{name} was written anew while it was listed; run the command again"
            )));
        }
        let full = |e: std::io::Error| no_room(e).at(format!("{name} of {} bytes", object.size));
        let mut file = tokio::fs::File::create(path).await.map_err(full)?;
        let mut bytes = got.into_stream();
        while let Some(piece) = bytes.try_next().await? {
            file.write_all(&piece).await.map_err(full)?;
        }
        file.flush().await.map_err(full)
    }
}

/// The objects at a place, and whether it is one object (with its neighbours) instead of a folder.
async fn listed(store: &Arc<dyn ObjectStore>, place: &Key, is_folder: bool) -> Result<(Vec<ObjectMeta>, bool)> {
    if !is_folder && !place.as_ref().is_empty() {
        match store.head(place).await {
            Ok(_) => {
                let parts: Vec<_> = place.parts().collect();
                let parent: Key = parts[..parts.len() - 1].iter().cloned().collect();
                return Ok((store.list_with_delimiter(Some(&parent)).await?.objects, true));
            }
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((store.list(Some(place)).try_collect().await?, false))
}

/// Tells whether an object is another one now. A store that knows no tags has times.
fn mark_of(object: &ObjectMeta) -> String {
    let tag = object.e_tag.clone().unwrap_or_else(|| object.last_modified.timestamp_micros().to_string());
    format!("{} {tag}", object.size)
}

fn local(folder: &Path, key: &Key) -> PathBuf {
    key.as_ref().split('/').fold(folder.to_path_buf(), |path, part| path.join(part))
}

fn no_room(error: std::io::Error) -> Error {
    let folder = std::env::temp_dir();
    let folder = folder.display();
    if error.kind() == std::io::ErrorKind::StorageFull {
        return Error::unavailable(format!("no room in {folder}; set TMPDIR to a folder on a disk with more"));
    }
    Error::unavailable(format!("{folder}: {error}; set TMPDIR to a folder that can be written"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places() {
        let of = |text: &str| PathOrBucket::of(Path::new(text));
        assert!(matches!(of("in/leads.txt").unwrap(), PathOrBucket::Local(p) if p == Path::new("in/leads.txt")));
        assert!(matches!(of("file:///in/a").unwrap(), PathOrBucket::Local(p) if p == Path::new("/in/a")));
        assert!(matches!(of("s3://bucket/in/").unwrap(), PathOrBucket::Bucket(url) if url.path() == "/in/"));
        for wrong in ["gs://bucket/in/", "https://host/in/x.csv", "s3:///in/", "ftp://x"] {
            let error = of(wrong).map(drop).unwrap_err();
            assert!(
                error.kind() == crate::ErrorKind::Usage && error.to_string().contains("s3://bucket/prefix/"),
                "{error}"
            );
        }
    }
}
