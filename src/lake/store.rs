//! Where the lake lies: a location becomes an object store and a root URL, and every object path is made here.
//!
//! A location is a folder, `file://...` or `s3://bucket/prefix`; S3 is configured by the usual `AWS_*` variables.

use std::path::Path as FsPath;
use std::sync::Arc;

use datafusion::datasource::object_store::ObjectStoreUrl;
use deltalake_core::logstore::{
    LogStore, LogStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories, logstore_with,
};
use deltalake_core::{DeltaResult, DeltaTable, DeltaTableBuilder};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use url::Url;

use crate::{Error, Result};

/// The folder of a lake that holds the queries of the user's own tables. It is no table, and neither is a name with `_` first.
pub const QUERIES: &str = "queries";

/// A lake's location and the store that holds it. Opening does no I/O.
#[derive(Clone, Debug)]
pub struct Lake {
    url: Url,
    store: Arc<dyn ObjectStore>,
}

impl Lake {
    /// The lake at a folder, `file://` or `s3://` URL. It need not exist yet: an absent lake is an empty one.
    pub fn open(location: &str) -> Result<Self> {
        let url = root_url(location)?;
        let store: Arc<dyn ObjectStore> = match url.scheme() {
            "file" => Arc::new(LocalFileSystem::new()),
            "s3" => s3(&url).map_err(|e| e.at(format!("lake {url}")))?,
            other => {
                return Err(Error::usage(format!(
                    "lake {location}: no support for {other}:// locations; give a folder, file:// or s3://bucket/prefix"
                )));
            }
        };
        Ok(Self { url, store })
    }

    /// The root, ending in a slash.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The store; object paths are absolute in it.
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
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

    /// A handle to the Delta table of this name, not loaded.
    pub(super) fn delta_table(&self, table: &str) -> Result<DeltaTable> {
        let url = self.table_url(table)?;
        if url.scheme() == "file" {
            let builder = DeltaTableBuilder::from_url(url.clone())
                .and_then(|b| b.with_storage_backend(self.store.clone(), url).build());
            return builder.map_err(super::table::delta_error);
        }
        register_scheme(url.scheme())?;
        let log =
            logstore_with(self.store.clone(), &url, StorageConfig::default()).map_err(super::table::delta_error)?;
        Ok(DeltaTable::new(log))
    }

    /// Names of the tables that exist in the lake; what begins with `_` or `.` is none.
    pub async fn table_names(&self) -> Result<Vec<String>> {
        let root = Path::from_url_path(self.url.path()).map_err(|e| Error::bug(e.to_string()))?;
        let listed = self.store.list_with_delimiter(Some(&root)).await?;
        let names = listed.common_prefixes.iter().filter_map(|p| p.filename());
        Ok(names.filter(|name| !name.starts_with(['_', '.']) && *name != QUERIES).map(str::to_string).collect())
    }

    /// Deletes an object that was written but never committed; a failure leaves garbage, never damage.
    pub(crate) async fn discard(&self, path: &Path) {
        if let Err(error) = self.store.delete(path).await {
            tracing::debug!(%path, %error, "could not delete an uncommitted file");
        }
    }

    fn table_url(&self, table: &str) -> Result<Url> {
        self.url.join(&format!("{table}/")).map_err(|e| Error::bug(format!("table {table}: {e}")))
    }
}

/// The bucket of an `s3://` URL, by the usual `AWS_*` variables.
pub fn s3(url: &Url) -> Result<Arc<dyn ObjectStore>> {
    let built = AmazonS3Builder::from_env().with_url(url.as_str()).build();
    Ok(Arc::new(built.map_err(|e| Error::configuration(e.to_string()))?))
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

fn root_url(location: &str) -> Result<Url> {
    let mut url = match Url::parse(location) {
        Ok(url) if location.contains("://") => url,
        _ => {
            let path = std::path::absolute(FsPath::new(location))?;
            Url::from_directory_path(&path).map_err(|()| Error::usage(format!("lake {location}: not a usable path")))?
        }
    };
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}
