//! A store as writers need it: before the first write it must show that it keeps an object that somebody else created.
//!
//! In: a store that several processes may write to at once. Out: the same store; its first write in a process is preceded by a
//! probe, so that readers never pay for it and no writer can forget it. Invariant: with [`Writers::Many`] nothing is written
//! to a store that ignores `If-None-Match`; with [`Writers::One`] the condition is looked up instead, which is safe only as
//! long as nobody else writes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use tokio::sync::OnceCell;

use crate::Error;

/// Who writes to a lake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writers {
    /// Any number of processes; the store decides who was first.
    #[default]
    Many,
    /// The user promises that it is one process at a time.
    One,
}

/// Where probes are for a moment; no table, for its name begins with `_`.
pub const PROBE_FOLDER: &str = "_probe";

/// Fails unless objects below `root` can be created, stay as they were created, and can be deleted.
pub(super) async fn probe(store: &dyn ObjectStore, root: &Path) -> Result<()> {
    let path = root.clone().join(PROBE_FOLDER).join(uuid::Uuid::new_v4().to_string());
    let create = || PutOptions { mode: PutMode::Create, ..Default::default() };
    let first = store.put_opts(&path, PutPayload::from_static(b"first"), create()).await;
    if let Err(object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }) = first {
        return Err(refusal());
    }
    first?;
    let second = store.put_opts(&path, PutPayload::from_static(b"second"), create()).await;
    let deleted = store.delete(&path).await;
    match second {
        Err(object_store::Error::AlreadyExists { .. }) => deleted,
        Err(error) => Err(error),
        Ok(_) => Err(refusal()),
    }
}

fn refusal() -> object_store::Error {
    let source = Error::configuration(
        "the store overwrites an object that was only to be created (it ignores If-None-Match), so two writers would lose \
         each other's commits; use a store with conditional writes, or give --single-writer if never two commands write \
         at once",
    );
    object_store::Error::Generic { store: "lake", source: Box::new(source) }
}

/// See the module.
pub(super) struct Guard {
    store: Arc<dyn ObjectStore>,
    root: Path,
    writers: Writers,
    probed: OnceCell<()>,
}

impl Guard {
    pub(super) fn new(store: Arc<dyn ObjectStore>, root: Path, writers: Writers) -> Self {
        Self { store, root, writers, probed: OnceCell::new() }
    }

    /// The store, once it may be written to.
    async fn writable(&self) -> Result<&dyn ObjectStore> {
        if self.writers == Writers::Many {
            self.probed.get_or_try_init(|| probe(self.store.as_ref(), &self.root)).await?;
        }
        Ok(self.store.as_ref())
    }

    /// The mode of a write for a store whose conditions are worth nothing: what they ask is looked up first.
    async fn looked_up(&self, location: &Path, mode: PutMode) -> Result<PutMode> {
        let there = match (&mode, self.store.head(location).await) {
            (PutMode::Overwrite, _) | (_, Err(object_store::Error::NotFound { .. })) => None,
            (_, there) => Some(there?),
        };
        let failed = |what: &str| Box::from(what.to_string());
        let path = location.to_string();
        match (mode, there) {
            (PutMode::Create, Some(_)) => {
                Err(object_store::Error::AlreadyExists { path, source: failed("it was there") })
            }
            (PutMode::Update(wanted), there) if there.as_ref().is_none_or(|there| there.e_tag != wanted.e_tag) => {
                Err(object_store::Error::Precondition { path, source: failed("it has changed") })
            }
            _ => Ok(PutMode::Overwrite),
        }
    }
}

impl fmt::Debug for Guard {
    // stores know credentials
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("store", &self.store.to_string()).finish_non_exhaustive()
    }
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Guard {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        let store = self.writable().await?;
        if self.writers == Writers::One && options.mode != PutMode::Overwrite {
            options.mode = self.looked_up(location, options.mode).await?;
        }
        store.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.writable().await?.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.store.get_ranges(location, ranges).await
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
        self.writable().await?.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.writable().await?.rename_opts(from, to, options).await
    }
}
