//! Caches of footers, and how footers leave them when their files go.
//!
//! DataFusion keeps the footer of each file that it reads, and lets those go that were used longest ago when there is no more
//! room. A process that lives long would fill that room with footers of files that tables no longer have, and that hardly
//! anybody reads again. When a newer version of a table lacks files that the former one had, its caches keep of the table's files
//! only those that it has. Who looks back, or began before, reads the others again: their footers come back, until files of the
//! table go once more.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use datafusion::execution::cache::cache_manager::FileMetadataCache;
use object_store::path::Path;

/// The caches that hold footers of a lake's files. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct FooterCaches(Arc<Mutex<Vec<Weak<FileMetadataCache>>>>);

impl FooterCaches {
    /// Adds a cache, for as long as somebody else has it; one that is known is not added again.
    pub fn add(&self, cache: &Arc<FileMetadataCache>) {
        let mut caches = self.locked();
        caches.retain(|known| known.strong_count() > 0);
        let cache = Arc::downgrade(cache);
        if !caches.iter().any(|known| known.ptr_eq(&cache)) {
            caches.push(cache);
        }
    }

    /// Of the files in a folder, keeps the footers of these alone.
    pub fn keep_only(&self, folder: &Path, live: &HashSet<&Path>) {
        let caches: Vec<Arc<FileMetadataCache>> = self.locked().iter().filter_map(Weak::upgrade).collect();
        for cache in caches {
            let all = cache.list_entries().into_keys();
            for file in all.filter(|file| file.prefix_matches(folder) && !live.contains(file)) {
                cache.remove(&file);
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Weak<FileMetadataCache>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::any::Any;
    use std::collections::HashMap;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadata};
    use datafusion::execution::runtime_env::RuntimeEnv;

    use super::*;
    use crate::lake::write::write_plain;
    use crate::lake::{Change, DataFile, Lake, Snapshot};

    /// Stands for a footer.
    struct Footer;

    impl FileMetadata for Footer {
        fn as_any(&self) -> &dyn Any {
            self
        }

        fn memory_size(&self) -> usize {
            100
        }

        fn extra_info(&self) -> datafusion::common::HashMap<String, String> {
            datafusion::common::HashMap::new()
        }
    }

    /// A cache, as sessions have one.
    fn cache() -> Arc<FileMetadataCache> {
        RuntimeEnv::default().cache_manager.get_file_metadata_cache()
    }

    /// As if the file had been read.
    fn read(cache: &Arc<FileMetadataCache>, file: &Path) {
        let meta = object_store::ObjectMeta {
            location: file.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: 1,
            e_tag: None,
            version: None,
        };
        cache.put(file, CachedFileMetadataEntry::new(meta, Arc::new(Footer)));
    }

    fn cached(cache: &Arc<FileMetadataCache>) -> HashSet<Path> {
        cache.list_entries().into_keys().collect()
    }

    fn paths(files: &[DataFile]) -> HashSet<Path> {
        files.iter().map(|file| file.path.clone()).collect()
    }

    #[test]
    fn a_cache_is_known_once_and_as_long_as_it_is_there() {
        let (caches, one, other) = (FooterCaches::default(), cache(), cache());
        for known in [&one, &other, &one] {
            caches.clone().add(known);
        }
        assert_eq!(caches.locked().len(), 2);
        drop(other);
        caches.add(&one);
        assert_eq!(caches.locked().len(), 1);
    }

    #[test]
    fn files_of_other_folders_stay() {
        let (caches, cache) = (FooterCaches::default(), cache());
        caches.add(&cache);
        let [live, gone, other, deeper] = ["l/hits/a", "l/hits/b", "l/hits_2/a", "l/hits/x/b"].map(Path::from);
        for file in [&live, &gone, &other, &deeper] {
            read(&cache, file);
        }
        caches.keep_only(&Path::from("l/hits"), &HashSet::from([&live]));
        assert_eq!(cached(&cache), HashSet::from([live, other]));
    }

    /// However often a table is rewritten, by this process or by another one, what is kept of its files is what it has.
    #[tokio::test]
    async fn what_is_kept_of_files_is_what_tables_have() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Lake::open(folder.path().to_str().unwrap()).unwrap();
        let writer = open();
        let with_a_file = async |remove: Vec<DataFile>| {
            let column = Arc::new(Int64Array::from(vec![1])) as ArrayRef;
            let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
            let columns = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
            let file = write_plain(&writer, "numbers", &[batch], HashMap::new()).await.unwrap();
            let change = Change { add: file.into_iter().collect(), remove, columns };
            newest(&writer).await.commit(&writer, change).await.unwrap()
        };
        let readers = [writer.clone(), open()].map(|lake| (lake, cache()));
        for (lake, cache) in &readers {
            lake.caches_footers_in(cache);
        }
        let stays = paths(&with_a_file(vec![]).await.files);
        for _ in 0..12 {
            let before = with_a_file(vec![]).await;
            for (lake, cache) in &readers {
                let files = newest(lake).await.files;
                assert_eq!(paths(&files), paths(&before.files));
                files.iter().for_each(|file| read(cache, &file.path));
                lake.keys().note_unique(&files.into_iter().map(|file| file.path).collect::<Vec<_>>());
            }
            let gone: Vec<DataFile> = before.files.into_iter().filter(|file| !stays.contains(&file.path)).collect();
            with_a_file(gone.clone()).await;
            for (lake, cache) in &readers {
                newest(lake).await;
                assert_eq!(cached(cache), stays);
                assert!(lake.keys().suffice(stays.iter()));
                assert!(gone.iter().all(|file| !lake.keys().suffice([&file.path].into_iter())));
                // by a statement that began before, until the next change
                gone.iter().for_each(|file| read(cache, &file.path));
            }
        }
        with_a_file(newest(&writer).await.files).await;
        for (lake, cache) in &readers {
            let now = newest(lake).await;
            assert_eq!(cached(cache), HashSet::new());
            now.files.iter().for_each(|file| read(cache, &file.path));
            // who looks back takes nothing from others
            assert_eq!(paths(&Snapshot::open(lake, "numbers", Some(0)).await.unwrap().files), stays);
            assert_eq!(cached(cache), paths(&now.files));
            assert_eq!(newest(lake).await.version, now.version);
        }
        std::fs::remove_dir_all(folder.path().join("numbers")).unwrap();
        for (lake, cache) in &readers {
            assert_eq!(newest(lake).await.version, None);
            assert_eq!(cached(cache), HashSet::new(), "a table that is gone has no files");
        }
    }

    async fn newest(lake: &Lake) -> Snapshot {
        Snapshot::open(lake, "numbers", None).await.unwrap()
    }
}
