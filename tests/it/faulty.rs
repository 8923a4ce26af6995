//! A store that fails where a test asks for it: a request fails before it acts, or acts late, or acts and its answer is
//! lost, or the connection is gone for good.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
    /// This request that only reads fails; these are counted from 0, too.
    Read(usize),
    /// This write fails before it acts.
    Write(usize),
    /// This write is done, and its answer is lost.
    Answer(usize),
    /// This write is done, and neither its answer nor any later one arrives: as if the process were killed, too.
    Outage(usize),
    /// This request acts later than any that was made after it.
    Delay(usize),
    /// Always: a write that is only to create overwrites, as on stores that do not know `If-None-Match`.
    Overwrites,
}

/// Longer than a test's store needs for anything else.
const DELAY: Duration = Duration::from_millis(30);

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
    requests: Mutex<Vec<String>>,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Faulty {
    pub fn new(store: Arc<dyn ObjectStore>, fault: Fault) -> Self {
        Self { store, fault, requests: Mutex::default(), reads: AtomicUsize::new(0), writes: AtomicUsize::new(0) }
    }

    /// How many requests there were, and how many of them could change something.
    pub fn counts(&self) -> (usize, usize) {
        (self.requests.lock().unwrap().len(), self.writes.load(Ordering::SeqCst))
    }

    /// What was asked, in order, such as `get hits/_delta_log/00000000000000000000.json`.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Notes a request and says its number.
    fn note(&self, verb: &str, path: Option<&Path>) -> usize {
        let path = path.map(Path::as_ref).unwrap_or_default();
        let mut requests = self.requests.lock().unwrap();
        requests.push(format!("{verb} {path}"));
        requests.len() - 1
    }

    fn read(&self, verb: &str, path: Option<&Path>) -> Result<Pause> {
        let request = self.note(verb, path);
        let read = self.reads.fetch_add(1, Ordering::SeqCst);
        let fails = match self.fault {
            Fault::Request(n) => request == n,
            Fault::Read(n) => read == n,
            Fault::Outage(n) => self.writes.load(Ordering::SeqCst) > n,
            Fault::None | Fault::Write(_) | Fault::Answer(_) | Fault::Delay(_) | Fault::Overwrites => false,
        };
        if fails { Err(lost()) } else { Ok(self.pause(request)) }
    }

    fn write(&self, verb: &str, path: Option<&Path>) -> (Pause, Turn) {
        let request = self.note(verb, path);
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        let turn = match self.fault {
            Fault::Request(n) if request == n => Turn::Fails,
            Fault::Write(n) if write == n => Turn::Fails,
            Fault::Outage(n) if write > n => Turn::Fails,
            Fault::Answer(n) | Fault::Outage(n) if write == n => Turn::LosesItsAnswer,
            _ => Turn::Works,
        };
        (self.pause(request), turn)
    }

    fn pause(&self, request: usize) -> Pause {
        Pause(if self.fault == Fault::Delay(request) { DELAY } else { Duration::ZERO })
    }

    async fn written<T>(&self, verb: &str, path: &Path, write: impl Future<Output = Result<T>>) -> Result<T> {
        let (pause, turn) = self.write(verb, Some(path));
        pause.over().await;
        match turn {
            Turn::Works => write.await,
            Turn::Fails => Err(lost()),
            Turn::LosesItsAnswer => write.await.and_then(|_| Err(lost())),
        }
    }
}

/// How long a request waits before it acts.
struct Pause(Duration);

impl Pause {
    async fn over(self) {
        if !self.0.is_zero() {
            tokio::time::sleep(self.0).await;
        }
    }

    fn before<T: Send + 'static>(self, rows: BoxStream<'static, T>) -> BoxStream<'static, T> {
        stream::once(self.over()).filter_map(async |()| None).chain(rows).boxed()
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
        self.written("put", location, self.store.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.written("put parts", location, self.store.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.read("get", Some(location))?.over().await;
        self.store.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read("get ranges", Some(location))?.over().await;
        self.store.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (pause, turn) = self.write("delete", None);
        match turn {
            Turn::Works => pause.before(self.store.delete_stream(locations)),
            Turn::Fails => stream::once(async { Err(lost()) }).boxed(),
            Turn::LosesItsAnswer => self.store.delete_stream(locations).map(|_| Err(lost())).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read("list", prefix) {
            Ok(pause) => pause.before(self.store.list(prefix)),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.read("list from", Some(offset)) {
            Ok(pause) => pause.before(self.store.list_with_offset(prefix, offset)),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read("list", prefix)?.over().await;
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.written("copy", from, self.store.copy_opts(from, to, options)).await
    }
}
