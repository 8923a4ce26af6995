//! A store that fails where a test asks for it: a request fails before it acts, or acts and its answer is lost, or the
//! connection is gone for good.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong, once; requests and writes are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// This request fails before it acts.
    Request(usize),
    /// This write fails before it acts.
    Write(usize),
    /// This write is done, and its answer is lost.
    Answer(usize),
    /// This write is done, and neither its answer nor any later one arrives: as if the process were killed, too.
    Outage(usize),
    /// Always: a write that is only to create overwrites, as on stores that do not know `If-None-Match`.
    Overwrites,
}

/// Whether a request is a turn to fail.
#[derive(PartialEq, Eq)]
enum Turn {
    Works,
    Fails,
    LosesItsAnswer,
}

#[derive(Debug)]
pub struct Faulty {
    store: Arc<dyn ObjectStore>,
    fault: Fault,
    requests: AtomicUsize,
    writes: AtomicUsize,
}

impl Faulty {
    pub fn new(store: Arc<dyn ObjectStore>, fault: Fault) -> Self {
        Self { store, fault, requests: AtomicUsize::new(0), writes: AtomicUsize::new(0) }
    }

    /// How many requests there were, and how many of them could change something.
    pub fn counts(&self) -> (usize, usize) {
        (self.requests.load(Ordering::SeqCst), self.writes.load(Ordering::SeqCst))
    }

    fn read(&self) -> Result<()> {
        let request = self.requests.fetch_add(1, Ordering::SeqCst);
        let fails = match self.fault {
            Fault::Request(n) => request == n,
            Fault::Outage(n) => self.writes.load(Ordering::SeqCst) > n,
            Fault::None | Fault::Write(_) | Fault::Answer(_) | Fault::Overwrites => false,
        };
        if fails { Err(lost()) } else { Ok(()) }
    }

    fn write(&self) -> Turn {
        let request = self.requests.fetch_add(1, Ordering::SeqCst);
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::Request(n) if request == n => Turn::Fails,
            Fault::Write(n) if write == n => Turn::Fails,
            Fault::Outage(n) if write > n => Turn::Fails,
            Fault::Answer(n) | Fault::Outage(n) if write == n => Turn::LosesItsAnswer,
            _ => Turn::Works,
        }
    }

    async fn written<T>(&self, write: impl Future<Output = Result<T>>) -> Result<T> {
        match self.write() {
            Turn::Works => write.await,
            Turn::Fails => Err(lost()),
            Turn::LosesItsAnswer => write.await.and_then(|_| Err(lost())),
        }
    }
}

fn lost() -> object_store::Error {
    object_store::Error::Generic { store: "Faulty", source: "the connection was lost".into() }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({:?})", self.fault)
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, mut options: PutOptions) -> Result<PutResult> {
        if self.fault == Fault::Overwrites {
            options.mode = PutMode::Overwrite;
        }
        self.written(self.store.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.written(self.store.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read()?;
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read()?;
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        match self.write() {
            Turn::Works => self.store.delete_stream(locations),
            Turn::Fails => stream::once(async { Err(lost()) }).boxed(),
            Turn::LosesItsAnswer => self.store.delete_stream(locations).map(|_| Err(lost())).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read() {
            Ok(()) => self.store.list(prefix),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read() {
            Ok(()) => self.store.list_with_offset(prefix, offset),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read()?;
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.written(self.store.copy_opts(from, to, options)).await
    }
}
