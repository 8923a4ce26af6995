//! A store as the Delta library reads logs through it: each file of a log is fetched once and whole.
//!
//! The library reads a commit twice and a checkpoint a dozen times, a piece each. On a distant store each is a wait. Files
//! of a log never change once they are written, so the first read fetches all of a file, and it is kept until the table is
//! loaded. `_last_checkpoint` changes and is never kept; neither are files that are very large.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Size beyond which a file is read in pieces, bytes.
const LARGE: u64 = 16 << 20;

/// Files of one table's log, kept while it is loaded.
pub(super) struct LogReads {
    store: Arc<dyn ObjectStore>,
    kept: Mutex<HashMap<Path, (ObjectMeta, Bytes)>>,
}

impl LogReads {
    /// Nothing is kept yet.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, kept: Mutex::default() }
    }

    /// Forgets all files.
    pub fn clear(&self) {
        self.kept.lock().unwrap_or_else(|e| e.into_inner()).clear();
    }

    /// The whole file; None for one that is not kept.
    async fn whole(&self, location: &Path) -> Result<Option<(ObjectMeta, Bytes)>> {
        let name = location.filename().unwrap_or_default();
        if !name.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(None);
        }
        if let Some(known) = self.kept.lock().unwrap_or_else(|e| e.into_inner()).get(location) {
            return Ok(Some(known.clone()));
        }
        let found = self.store.get_opts(location, GetOptions::default()).await?;
        if found.meta.size > LARGE {
            return Ok(None);
        }
        let whole = (found.meta.clone(), found.bytes().await?);
        self.kept.lock().unwrap_or_else(|e| e.into_inner()).insert(location.clone(), whole.clone());
        Ok(Some(whole))
    }
}

impl fmt::Debug for LogReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LogReads({})", self.store)
    }
}

impl fmt::Display for LogReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

/// Whether the options ask for nothing but bytes.
fn is_plain(options: &GetOptions) -> bool {
    let GetOptions { if_match, if_none_match, if_modified_since, if_unmodified_since, version, head, .. } = options;
    let conditions = if_match.is_some() || if_none_match.is_some();
    let times = if_modified_since.is_some() || if_unmodified_since.is_some();
    !conditions && !times && version.is_none() && !head
}

#[async_trait]
impl ObjectStore for LogReads {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if !is_plain(&options) {
            return self.store.get_opts(location, options).await;
        }
        let Some((meta, bytes)) = self.whole(location).await? else {
            return self.store.get_opts(location, options).await;
        };
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|e| Error::Generic { store: "log", source: e.into() })?,
            None => 0..meta.size,
        };
        let part = bytes.slice(range.start as usize..range.end as usize);
        let payload = GetResultPayload::Stream(stream::once(async { Ok(part) }).boxed());
        Ok(GetResult { payload, meta, range, attributes: Default::default() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.whole(location).await? {
            Some((meta, bytes)) if ranges.iter().all(|range| range.start <= range.end && range.end <= meta.size) => {
                Ok(ranges.iter().map(|range| bytes.slice(range.start as usize..range.end as usize)).collect())
            }
            _ => self.store.get_ranges(location, ranges).await,
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}
