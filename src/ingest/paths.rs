//! Names of files and folders.

use std::path::{Path, PathBuf};

/// The folder that files of a stopped source are moved to; never searched.
pub const FILES_WITH_ERRORS: &str = "files_with_errors";

/// The folder that a file is in.
pub fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The last part of a path as text.
pub fn file_name(path: &Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}
