//! A file system as a store, of which parts of files are read into memory that nobody has written before.
//!
//! The library fills the memory of each part with zeros and reads into it then. Where columns lie as they are, that is a good part of
//! what a scan does. Whatever goes wrong is told by the library, which is asked again.

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path as FsPath;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
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

/// Parts of a file, each whole.
fn read_parts(path: &FsPath, ranges: &[Range<u64>]) -> io::Result<Vec<Bytes>> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let part = |range: &Range<u64>| -> io::Result<Bytes> {
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= size);
        let length = length.ok_or(ErrorKind::UnexpectedEof)?;
        let mut part = Vec::with_capacity(length as usize);
        file.seek(SeekFrom::Start(range.start))?;
        match (&mut file).take(length).read_to_end(&mut part)? as u64 == length {
            true => Ok(Bytes::from(part)),
            false => Err(ErrorKind::UnexpectedEof.into()),
        }
    };
    ranges.iter().map(part).collect()
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
            let own = ranges.to_vec();
            if let Ok(Ok(parts)) = runtime.spawn_blocking(move || read_parts(&path, &own)).await {
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
        self.0.list_with_offset(prefix, offset)
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
    use object_store::ObjectStoreExt;

    use super::*;

    #[tokio::test]
    async fn parts_and_what_goes_wrong_are_the_librarys() {
        let folder = tempfile::tempdir().unwrap();
        let path = Path::from_absolute_path(folder.path().join("a.parquet")).unwrap();
        let (own, library) = (LocalFiles::default(), LocalFileSystem::new());
        let content: Vec<u8> = (0..70_000_u32).map(|n| (n % 251) as u8).collect();
        own.put(&path, PutPayload::from(content.clone())).await.unwrap();
        let all = 0..content.len() as u64;
        for ranges in [vec![], vec![all.clone()], vec![7..9, 0..1, 69_999..70_000, 100..65_000, 3..3]] {
            let parts = own.get_ranges(&path, &ranges).await.unwrap();
            let part = |range: &Range<u64>| &content[range.start as usize..range.end as usize];
            assert_eq!(parts, ranges.iter().map(part).collect::<Vec<_>>());
        }
        // what lies behind the end, and a file that is not there
        let gone = Path::from(format!("{path}.gone"));
        for (path, range) in [(&path, 69_999..70_001), (&path, 80_000..80_001), (&gone, 0..1)] {
            let told =
                [own.get_ranges(path, std::slice::from_ref(&range)).await, library.get_ranges(path, &[range]).await];
            let [own, library] = told.map(|told| told.map_err(|error| error.to_string()));
            assert_eq!(own, library);
        }
    }
}
