//! Where an executor keeps rows between stages, unless it is told a place.
//!
//! The folder goes with the executor. One that was killed leaves it behind, and who starts next on its machine deletes it: each
//! holds a lock on a file of its folder for as long as it lives, which the system takes from the dead.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Error, Result};

/// What the names of such folders begin with.
const PREFIX: &str = "rejoin-executor-";
/// The file that the owner of the folder holds locked.
const LOCK: &str = "lock";

/// A folder of this process.
#[derive(Debug)]
pub struct WorkFolder {
    folder: TempDir,
    _lock: File,
}

impl WorkFolder {
    /// A new one where temporary files are, without those that the dead have left there.
    ///
    /// # Errors
    /// Nothing can be written there.
    pub fn create() -> Result<Self> {
        Self::create_in(&std::env::temp_dir())
    }

    fn create_in(parent: &Path) -> Result<Self> {
        sweep(parent);
        let wrong = |e: std::io::Error| Error::configuration(format!("{}: {e}; choose a --work-dir", parent.display()));
        loop {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(wrong)?;
            let path = folder.path().join(LOCK);
            let lock = File::create(&path).map_err(wrong)?;
            lock.lock().map_err(wrong)?;
            // between the two lines above another executor may have taken the folder for one of the dead
            if path.exists() {
                return Ok(Self { folder, _lock: lock });
            }
        }
    }

    /// Where the rows go.
    pub fn rows(&self) -> PathBuf {
        self.folder.path().join("rows")
    }
}

/// Deletes the folders that nobody holds. What cannot be looked at, or deleted, is somebody else's.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        // a link is not followed
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_folder || !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        if lock.try_lock().is_ok()
            && let Err(error) = fs::remove_dir_all(entry.path())
        {
            tracing::debug!(%error, folder = %entry.path().display(), "what an executor left could not be deleted");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_the_dead_have_left_goes_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        let alive = WorkFolder::create_in(parent.path()).unwrap();
        fs::create_dir(alive.rows()).unwrap();
        // a folder of one that was killed, of nobody knows whom, and of others
        for (name, file) in [("rejoin-executor-dead", "lock"), ("rejoin-executor-strange", "rows"), ("other", "lock")] {
            fs::create_dir_all(at(name).join("job/1")).unwrap();
            fs::write(at(name).join(file), "").unwrap();
        }
        let next = WorkFolder::create_in(parent.path()).unwrap();
        assert!(!at("rejoin-executor-dead").exists());
        assert!(at("rejoin-executor-strange").join("rows").exists() && at("other").join("lock").exists());
        assert!(alive.rows().exists() && next.rows() != alive.rows());
        // who ends takes his own along
        let folders = [&alive, &next].map(|own| own.folder.path().to_path_buf());
        drop(alive);
        assert_eq!(folders.map(|folder| folder.exists()), [false, true]);
    }

    #[test]
    fn a_folder_needs_a_place() {
        let parent = tempfile::tempdir().unwrap();
        let error = WorkFolder::create_in(&parent.path().join("nowhere")).unwrap_err();
        assert!(error.to_string().contains("--work-dir"), "{error}");
    }
}
