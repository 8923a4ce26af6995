//! Where the lake is stored: a location becomes an object store and a root URL, and every object path is made here.
//!
//! A location is a folder, `file://...` or `s3://bucket/prefix` (see `s3`). A location never holds a password, so that it
//! can be printed and logged.

use std::collections::HashSet;
use std::fmt;
use std::path::{Component, Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex};

use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use deltalake_core::logstore::{
    LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories, logstore_with,
};
use deltalake_core::{DeltaResult, DeltaTable, DeltaTableBuilder};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use super::delta_error::delta_error;
use super::footers::FooterCaches;
use super::guard::{self, Guard, Writers};
use super::keys::KnownKeys;
use super::local_files::LocalFiles;
use super::log_cache::{LogCache, Mark};
use super::reads::LogReads;
use super::s3;
use super::snapshot::{DataFile, Snapshot};
use crate::{Error, Result};

/// The folder of a lake that holds the queries of the user's own tables. It is no table, and neither is a name with `_` first.
pub const QUERIES: &str = "queries";

/// A lake's location and the store that holds it. Opening does no I/O.
#[derive(Clone)]
pub struct Lake {
    url: Url,
    store: Arc<dyn ObjectStore>,
    /// Files that a commit named whose outcome nobody knows.
    undecided: Arc<Mutex<HashSet<Path>>>,
    log_cache: LogCache,
    keys: KnownKeys,
    footers: FooterCaches,
}

impl fmt::Debug for Lake {
    // stores know credentials
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lake").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Lake {
    /// The lake at a folder, `file://` or `s3://` URL. It need not exist yet: an absent lake is an empty one.
    pub fn open(location: &str) -> Result<Self> {
        Self::open_for(location, Writers::Many)
    }

    /// As [`Lake::open`]; `writers` matters on stores without conditional writes.
    pub fn open_for(location: &str, writers: Writers) -> Result<Self> {
        let url = root_url(location)?;
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => Arc::new(LocalFiles::default()),
            "s3" => Arc::new(s3::store(&url)?),
            other => {
                return Err(Error::usage(format!(
                    "lake {location}: no support for {other}:// locations; give a folder, file:// or s3://bucket/prefix"
                )));
            }
        };
        Self::with_store(url, store, writers)
    }

    /// The lake at `url`, a folder's name that ends in a slash, in a store whose paths are those of the URL.
    pub fn with_store(url: Url, store: Arc<dyn ObjectStore>, writers: Writers) -> Result<Self> {
        let root = Path::from_url_path(url.path()).map_err(|e| Error::usage(format!("lake {url}: {e}")))?;
        // a file system creates a file once
        let store = if url.scheme() == "file" { store } else { Arc::new(Guard::new(store, root, writers)) };
        Ok(Self::knowing_nothing(url, store))
    }

    /// The lake at `url`, which is this one or is in its folder; an error for any other, in the words of who may not reach it.
    pub fn at(&self, url: &Url) -> Result<Self> {
        if *url == self.url {
            return Ok(self.clone());
        }
        if !url.as_str().starts_with(self.url.as_str()) {
            return Err(Error::configuration(format!("the lake is {}, not {url}", self.url)));
        }
        Ok(Self::knowing_nothing(url.clone(), self.store.clone()))
    }

    fn knowing_nothing(url: Url, store: Arc<dyn ObjectStore>) -> Self {
        let (log_cache, keys, footers) = (LogCache::default(), KnownKeys::default(), FooterCaches::default());
        Self { url, store, undecided: Arc::default(), log_cache, keys, footers }
    }

    /// Fails unless the store can be written to as commits need it; leaves nothing behind.
    pub async fn check_writes(&self) -> Result<()> {
        let root = Path::from_url_path(self.url.path()).map_err(|e| Error::bug(e.to_string()))?;
        Ok(guard::probe(self.store.as_ref(), &root).await?)
    }

    /// What was read of the tables so far.
    pub(in crate::lake) fn log_cache(&self) -> &LogCache {
        &self.log_cache
    }

    /// What was found out about visitor keys so far.
    pub fn keys(&self) -> &KnownKeys {
        &self.keys
    }

    /// Tells that a cache holds footers of files; those of files that tables do not have any more leave it.
    pub fn caches_footers_in(&self, cache: &Arc<FileMetadataCache>) {
        self.footers.add(cache);
    }

    /// Keeps the newest snapshot of a table, and nothing of files that went since the former one; `mark` is that of its commit,
    /// where it was listed.
    pub(super) fn keep_newest(&self, snapshot: &Arc<Snapshot>, mark: Option<Mark>) -> Result<()> {
        match self.log_cache.keep_snapshot(snapshot, mark) {
            Some(former) if former.version < snapshot.version && snapshot.lacks_files_of(&former) => {
                self.forget_files_but(&snapshot.files, &snapshot.name)
            }
            _ => Ok(()),
        }
    }

    /// Forgets a table, which is gone, or another one by now.
    pub(super) fn forget_table(&self, table: &str) -> Result<()> {
        match self.log_cache.forget(table) {
            true => self.forget_files_but(&[], table),
            false => Ok(()),
        }
    }

    /// Forgets what is known of files of a table other than these.
    fn forget_files_but(&self, live: &[DataFile], table: &str) -> Result<()> {
        let (folder, live) = (self.table_path(table)?, live.iter().map(|file| &file.path).collect());
        self.footers.keep_only(&folder, &live);
        self.keys.keep_only(&folder, &live);
        Ok(())
    }

    /// The root, ending in a slash.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The store; object paths are absolute in it.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// True where each request is a wait: the store is not a folder of this machine.
    pub fn is_distant(&self) -> bool {
        self.url.scheme() != "file"
    }

    /// The key under which DataFusion finds the store.
    pub fn store_url(&self) -> ObjectStoreUrl {
        let authority = self.url.host_str().unwrap_or_default();
        ObjectStoreUrl::parse(format!("{}://{authority}", self.url.scheme()))
            .expect("scheme and authority of a valid URL are a valid store URL")
    }

    /// The object path of a table's file, as Delta names it relative to the table.
    pub fn file_path(&self, table: &str, relative: &str) -> Result<Path> {
        let url = self.table_url(table)?;
        Path::from_url_path(format!("{}{relative}", url.path())).map_err(|e| Error::bug(e.to_string()))
    }

    /// The object path of something that is in the lake's folder and is no table's; `relative` is made of plain names.
    pub fn object(&self, relative: &str) -> Result<Path> {
        Path::from_url_path(format!("{}{relative}", self.url.path())).map_err(|e| Error::bug(e.to_string()))
    }

    /// The object path of the lake's folder.
    pub(in crate::lake) fn root(&self) -> Result<Path> {
        Path::from_url_path(self.url.path()).map_err(|e| Error::bug(e.to_string()))
    }

    /// The object path of a table's folder.
    pub(in crate::lake) fn table_path(&self, table: &str) -> Result<Path> {
        Path::from_url_path(self.table_url(table)?.path()).map_err(|e| Error::bug(e.to_string()))
    }

    /// A handle to the Delta table of this name, not loaded, and the store through which it reads its log.
    pub(super) fn delta_table(&self, table: &str) -> Result<(DeltaTable, Arc<LogReads>)> {
        let url = self.table_url(table)?;
        let reads = Arc::new(LogReads::new(self.store.clone()));
        let store: Arc<dyn ObjectStore> = reads.clone();
        if url.scheme() == "file" {
            let builder = DeltaTableBuilder::from_url(url.clone());
            let built = builder.and_then(|builder| builder.with_storage_backend(store, url).build());
            return Ok((built.map_err(delta_error)?, reads));
        }
        register_scheme(url.scheme())?;
        let log = logstore_with(store, &url, StorageConfig::default()).map_err(delta_error)?;
        Ok((DeltaTable::new(log), reads))
    }

    /// Names of the tables that exist in the lake; what begins with `_` or `.` is none.
    pub async fn table_names(&self) -> Result<Vec<String>> {
        let listed = self.store.list_with_delimiter(Some(&self.root()?)).await?;
        let names = listed.common_prefixes.iter().filter_map(|p| p.filename());
        Ok(names.filter(|name| !name.starts_with(['_', '.']) && *name != QUERIES).map(str::to_string).collect())
    }

    /// Notes that a commit which names these files may still come to pass, because the store did not say what became of it.
    pub(super) fn leave_undecided(&self, files: impl IntoIterator<Item = Path>) {
        self.undecided.lock().unwrap_or_else(|e| e.into_inner()).extend(files);
    }

    /// Deletes an object that was written but never committed; a failure leaves garbage, never damage. What a commit of
    /// unknown outcome names is left, too.
    pub async fn discard(&self, path: &Path) {
        if self.undecided.lock().unwrap_or_else(|e| e.into_inner()).contains(path) {
            return;
        }
        if let Err(error) = self.store.delete(path).await {
            tracing::debug!(%path, %error, "could not delete an uncommitted file");
        }
    }

    fn table_url(&self, table: &str) -> Result<Url> {
        // what the lake itself keeps begins with `_`
        if !is_table_name(table.strip_prefix('_').unwrap_or(table)) {
            return Err(Error::query(format!("there is no table {table}")));
        }
        self.url.join(&format!("{table}/")).map_err(|e| Error::bug(format!("table {table}: {e}")))
    }
}

/// True for a name that a table can have: it is a folder of the lake. Names come from SQL that anybody writes, and must not lead
/// out of the lake.
pub fn is_table_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Delta's log on any store that has conditional writes: a commit is a numbered file that only one writer can create.
struct ConditionalLogs;

impl LogStoreFactory for ConditionalLogs {
    fn with_options(
        &self,
        prefixed_store: ObjectStoreRef,
        root_store: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed_store, root_store, location, options))
    }
}

/// Tells the Delta library how to keep logs at URLs of this scheme; it knows local folders by itself.
fn register_scheme(scheme: &str) -> Result<()> {
    let key = Url::parse(&format!("{scheme}://")).map_err(|e| Error::bug(format!("scheme {scheme}: {e}")))?;
    logstore_factories().entry(key).or_insert_with(|| Arc::new(ConditionalLogs));
    Ok(())
}

/// The path without `..`: what exists as the file system sees it, the rest as it is written.
fn without_dots(path: &FsPath) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean = clean.canonicalize().unwrap_or(clean);
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

fn root_url(location: &str) -> Result<Url> {
    let mut url = match Url::parse(location) {
        Ok(url) if location.contains("://") => url,
        Err(error) if location.contains("://") => return Err(Error::usage(format!("the lake's location: {error}"))),
        _ => {
            let path = without_dots(&std::path::absolute(FsPath::new(location))?);
            // the library of the logs looks for another folder then
            if path.to_string_lossy().contains(['%', '\\']) {
                let folder = path.display();
                return Err(Error::usage(format!(
                    "lake {folder}: a lake's path cannot have % or \\; choose another one"
                )));
            }
            Url::from_directory_path(&path).map_err(|()| Error::usage(format!("lake {location}: not a usable path")))?
        }
    };
    // without the words themselves: they may be secret
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(Error::usage(
            "the lake's location holds a user, password or query; give s3://bucket/prefix and credentials as AWS_* variables",
        ));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}
