//! A file system as a store, of which parts of files are read into memory that nobody has written before.
//!
//! The library fills the memory of each part with zeros and reads into it then. Where columns are stored plain, that is a good part of
//! what a scan does. And it takes the memory on the thread that reads, one of dozens that mostly wait: what others give back of it
//! stays with that thread, and nobody counts it. Here whoever asks takes it. Whatever goes wrong is told by the library, which is
//! asked again. The last files of a folder are found without a look at each of the others.

use std::fmt;
use std::fs::{DirEntry, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path as FsPath;
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use tokio::runtime::Handle;

/// The whole file system.
#[derive(Debug, Default)]
pub(super) struct LocalFiles(LocalFileSystem);

impl fmt::Display for LocalFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Memory that is taken for a part before the file is known to have it. Of larger pieces the allocator keeps none with a thread.
const TAKEN_AHEAD: u64 = 1 << 20;

/// A part of a file, and memory for it.
struct Part {
    range: Range<u64>,
    bytes: Vec<u8>,
}

impl Part {
    fn new(range: &Range<u64>) -> Self {
        let length = Some(range.end.saturating_sub(range.start)).filter(|length| *length <= TAKEN_AHEAD);
        Self { range: range.clone(), bytes: Vec::with_capacity(length.unwrap_or_default() as usize) }
    }

    /// All of it, of a file of so many bytes.
    fn read(self, file: &mut File, size: u64) -> io::Result<Bytes> {
        let Self { range, mut bytes } = self;
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= size);
        let length = length.ok_or(ErrorKind::UnexpectedEof)?;
        if bytes.capacity() < length as usize {
            // not made longer, which would copy what holds nothing yet
            bytes = Vec::with_capacity(length as usize);
        }
        file.seek(SeekFrom::Start(range.start))?;
        match file.take(length).read_to_end(&mut bytes)? as u64 == length {
            true => Ok(Bytes::from(bytes)),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Parts of a file, each whole.
fn read_parts(path: &FsPath, parts: Vec<Part>) -> io::Result<Vec<Bytes>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    parts.into_iter().map(|part| part.read(&mut file, size)).collect()
}

/// Files that are looked at one by one. The library lists more of them faster.
const FEW_FILES: usize = 2;

/// The files of a folder whose paths come after another one, where they are few; None where the library must look. It looks at each
/// file of the folder, while of a log, which has a file for each commit, only the last is new.
fn few_after(folder: &FsPath, prefix: &Path, offset: &Path) -> Option<Vec<ObjectMeta>> {
    // within one folder names have the order of paths
    let last = offset.as_ref().strip_prefix(prefix.as_ref())?.strip_prefix('/')?;
    let mut few = vec![];
    for entry in folder.read_dir().ok()? {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !is_plain || !entry.file_type().ok()?.is_file() {
            return None;
        }
        if name.as_str() > last {
            few.push((prefix.clone().join(name), entry));
        }
    }
    if few.len() > FEW_FILES {
        return None;
    }
    let look = |(file, entry): (Path, DirEntry)| match entry.metadata() {
        Ok(metadata) => Some(described(file, &metadata)),
        // one that went meanwhile is none
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(_) => Some(None),
    };
    few.into_iter().filter_map(look).collect()
}

/// A file as the library describes it, which would open it for that on another thread.
fn described(location: Path, metadata: &Metadata) -> Option<ObjectMeta> {
    let modified = metadata.modified().ok()?;
    let micros = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let (inode, size) = (inode(metadata), metadata.len());
    let e_tag = Some(format!("{inode:x}-{micros:x}-{size:x}"));
    Some(ObjectMeta { location, last_modified: modified.into(), size, e_tag, version: None })
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

#[async_trait]
impl ObjectStore for LocalFiles {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.0.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.0.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let (Ok(runtime), Ok(path)) = (Handle::try_current(), self.0.path_to_filesystem(location)) {
            let parts: Vec<Part> = ranges.iter().map(Part::new).collect();
            if let Ok(Ok(parts)) = runtime.spawn_blocking(move || read_parts(&path, parts)).await {
                return Ok(parts);
            }
        }
        self.0.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.0.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let all = self.0.list_with_offset(prefix, offset);
        let folder = prefix.and_then(|prefix| Some((self.0.path_to_filesystem(prefix).ok()?, prefix.clone())));
        let (Ok(runtime), Some((folder, prefix))) = (Handle::try_current(), folder) else { return all };
        let offset = offset.clone();
        let files = async move {
            match runtime.spawn_blocking(move || few_after(&folder, &prefix, &offset)).await {
                Ok(Some(few)) => stream::iter(few).map(Ok::<_, object_store::Error>).boxed(),
                _ => all,
            }
        };
        stream::once(files).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.0.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.0.rename_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn parts_and_what_goes_wrong_are_the_librarys() {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::from_absolute_path(folder.path().join("a.parquet")).unwrap();
        let (own, library) = (LocalFiles::default(), LocalFileSystem::new());
        let content: Vec<u8> = (0..TAKEN_AHEAD as u32 + 70_000).map(|n| (n % 251) as u8).collect();
        own.put(&path, PutPayload::from(content.clone())).await.unwrap();
        let size = content.len() as u64;
        let all = 0..size;
        for ranges in [vec![], vec![all.clone()], vec![7..9, 0..1, 69_999..70_000, 100..65_000, 3..3]] {
            let parts = own.get_ranges(&path, &ranges).await.unwrap();
            let part = |range: &Range<u64>| &content[range.start as usize..range.end as usize];
            assert_eq!(parts, ranges.iter().map(part).collect::<Vec<_>>());
        }
        // what is behind the end, and a file that is not there
        let gone = Path::from(format!("{path}.gone"));
        for (path, range) in [(&path, size - 1..size + 1), (&path, size + 9..size + 10), (&gone, 0..1)] {
            let told =
                [own.get_ranges(path, std::slice::from_ref(&range)).await, library.get_ranges(path, &[range]).await];
            let [own, library] = told.map(|told| told.map_err(|error| error.to_string()));
            assert_eq!(own, library);
        }
    }

    #[tokio::test]
    async fn the_last_files_of_a_folder_are_those_of_the_librarys_list() {
        let folder = tempfile::tempdir().unwrap();
        let log = Path::from_absolute_path(folder.path()).unwrap();
        let (own, library) = (LocalFiles::default(), LocalFileSystem::new());
        let commit = |version: usize| log.clone().join(format!("{version:020}.json"));
        let check = async |log: &Path, from: usize, count: usize| {
            let offset = commit(from);
            let mut lists = vec![];
            for store in [&own as &dyn ObjectStore, &library] {
                let mut files: Vec<ObjectMeta> =
                    store.list_with_offset(Some(log), &offset).try_collect().await.unwrap();
                files.sort_by(|one, other| one.location.cmp(&other.location));
                lists.push(files);
            }
            assert_eq!((lists[0].len(), &lists[0]), (count, &lists[1]), "{log} from {from}");
        };
        for version in 0..20 {
            own.put(&commit(version), PutPayload::from(vec![b'x'; version])).await.unwrap();
        }
        for (from, count) in [(19, 0), (18, 1), (19 - FEW_FILES, FEW_FILES), (5, 14)] {
            check(&log, from, count).await;
        }
        check(&log.clone().join("none"), 0, 0).await;
        // folders within are looked through
        own.put(&log.clone().join("x").join("y.json"), PutPayload::from_static(b"y")).await.unwrap();
        check(&log, 18, 2).await;
    }
}
