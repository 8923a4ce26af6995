//! A store as the Delta library reads logs through it: each file of a log is fetched once and whole.
//!
//! The library reads a commit twice and a checkpoint a dozen times, a piece each, and asks for one file after the other. On a
//! distant store each is a wait. Files of a log never change once they are written, so the first read fetches all of a file, and
//! it is kept until the table is loaded. What loading will take can be asked for before, side by side: the list of the log, which
//! changes, is then that of its moment until the table is loaded, and else never kept. Neither are files that are very large. A
//! list shows the checkpoints, so that nobody need ask for `_last_checkpoint`: then there is none.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::listing::{Listing, listing, path_of_last_checkpoint};

/// Size beyond which a file is read in pieces, bytes.
const LARGE: u64 = 16 << 20;

/// Files of a log that are fetched at once.
const AT_ONCE: usize = 16;

/// Files of one table's log, kept while it is loaded.
pub(super) struct LogReads {
    store: Arc<dyn ObjectStore>,
    kept: Mutex<HashMap<Path, (ObjectMeta, Bytes)>>,
    /// What is in the log, where it was asked for before.
    listed: Mutex<Option<(Path, Listing)>>,
}

impl LogReads {
    /// Nothing is kept yet.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, kept: Mutex::default(), listed: Mutex::default() }
    }

    /// Forgets all files.
    pub fn clear(&self) {
        self.kept.lock().unwrap_or_else(|e| e.into_inner()).clear();
        *self.listed() = None;
    }

    /// Asks for all that loading the table at a version takes, the latest if None, in two rounds: what is in the log, and then
    /// the files that are needed. What is not found so is asked for when it is wanted. False where there is no log.
    pub async fn fetch_ahead(&self, log: &Path, version: Option<u64>) -> Result<bool> {
        let Some(listing) = listing(self.store.as_ref(), log).await? else { return Ok(true) };
        if listing.files.is_empty() {
            return Ok(false);
        }
        let small = listing.needed(version).filter(|file| file.size <= LARGE);
        let needed: Vec<Path> = small.map(|file| file.location.clone()).collect();
        *self.listed() = Some((log.clone(), listing));
        let fetched = stream::iter(needed).map(|path| async move { self.whole(&path).await });
        // readers of a file that is not kept ask again
        fetched.buffer_unordered(AT_ONCE).for_each(|_| async {}).await;
        Ok(true)
    }

    fn listed(&self) -> MutexGuard<'_, Option<(Path, Listing)>> {
        self.listed.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// True for the file that points to the last checkpoint of a log that was listed.
    fn is_needless(&self, location: &Path) -> bool {
        self.listed().as_ref().is_some_and(|(log, _)| *location == path_of_last_checkpoint(log))
    }

    /// The whole file; None for one that is not kept.
    async fn whole(&self, location: &Path) -> Result<Option<(ObjectMeta, Bytes)>> {
        if self.is_needless(location) {
            return Err(Error::NotFound { path: location.to_string(), source: "the log was listed whole".into() });
        }
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
        match (self.listed().as_ref(), prefix) {
            (Some((log, listing)), Some(prefix)) if prefix == log => {
                let after = listing.files.iter().filter(|file| file.location > *offset);
                stream::iter(after.cloned().map(Ok).collect::<Vec<_>>()).boxed()
            }
            _ => self.store.list_with_offset(prefix, offset),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures::TryStreamExt;
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    /// What loading takes is there after two rounds, although the store has none of it any more.
    #[tokio::test]
    async fn a_log_is_fetched_before_it_is_read() {
        let (store, log) = (Arc::new(InMemory::new()), Path::from("lake/hits/_delta_log"));
        let named = |name: &str| log.clone().join(name);
        let commit = |version: u64| named(&format!("{version:020}.json"));
        let checkpoint = named("00000000000000000001.checkpoint.parquet");
        let reads = LogReads::new(store.clone());
        assert!(!reads.fetch_ahead(&log, None).await.unwrap(), "there is no log");
        let files = [commit(0), commit(1), commit(2), checkpoint.clone()];
        for path in &files {
            store.put(path, Bytes::from(path.to_string()).into()).await.unwrap();
        }
        store.put(&named("_last_checkpoint"), Bytes::from_static(b"{\"version\":1}").into()).await.unwrap();
        assert!(reads.fetch_ahead(&log, None).await.unwrap());
        for path in &files {
            store.delete(path).await.unwrap();
        }
        let listed = async || -> Vec<Path> {
            let files = reads.list_with_offset(Some(&log), &commit(0));
            files.map_ok(|file| file.location).try_collect().await.unwrap()
        };
        assert_eq!(listed().await, [checkpoint.clone(), commit(1), commit(2), named("_last_checkpoint")]);
        let read = async |path: Path| Ok::<_, Error>(reads.get(&path).await?.bytes().await?);
        assert!(matches!(read(named("_last_checkpoint")).await, Err(Error::NotFound { .. })), "the list says it all");
        assert_eq!(read(commit(2)).await.unwrap(), commit(2).to_string());
        assert_eq!(read(checkpoint.clone()).await.unwrap(), checkpoint.to_string());
        assert_eq!(reads.get_ranges(&commit(2), std::slice::from_ref(&(5..9))).await.unwrap(), ["hits"]);
        // what the checkpoint holds is not needed
        assert!(read(commit(1)).await.is_err());
        reads.clear();
        assert_eq!(listed().await, [named("_last_checkpoint")]);
        assert!(read(commit(2)).await.is_err() && read(named("_last_checkpoint")).await.is_ok());
    }

    /// A log that had no checkpoint when it was listed has none until its table is loaded.
    #[tokio::test]
    async fn a_checkpoint_that_came_later_is_not_seen() {
        let (store, log) = (Arc::new(InMemory::new()), Path::from("lake/hits/_delta_log"));
        let pointer = path_of_last_checkpoint(&log);
        store.put(&log.clone().join("00000000000000000000.json"), Bytes::new().into()).await.unwrap();
        let reads = LogReads::new(store.clone());
        assert!(reads.fetch_ahead(&log, None).await.unwrap());
        store.put(&pointer, Bytes::from_static(b"{\"version\":0}").into()).await.unwrap();
        assert!(matches!(reads.get(&pointer).await, Err(Error::NotFound { .. })));
        reads.clear();
        assert!(reads.get(&pointer).await.is_ok());
    }
}
