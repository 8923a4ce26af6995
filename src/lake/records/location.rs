//! Where lakes are: whether one is at a place, and which is near.

use std::path::Path;

use super::{Record, Suite};
use crate::Result;
use crate::lake::log::{Lake, latest_version};

/// True where a lake is: somebody made a report suite.
pub async fn exists(lake: &Lake) -> Result<bool> {
    Ok(latest_version(lake, Suite::TABLE, None).await?.is_some())
}

/// True where a location is that of a file, which is no folder for a lake.
pub fn is_file(location: &str) -> bool {
    Path::new(location.strip_prefix("file://").unwrap_or(location)).is_file()
}

/// True where a lake is in this folder.
pub fn is_lake(folder: &Path) -> bool {
    folder.join(Suite::TABLE).join("_delta_log").is_dir()
}

/// The nearest lake to a location that is none: in it, beside it, around it, or of about that name a folder above.
pub fn lake_near(location: &str) -> Option<String> {
    let location = location.strip_prefix("file://").unwrap_or(location);
    let path = std::path::absolute(location).ok().filter(|_| !location.contains("://"))?;
    let asked = path.display().to_string();
    let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let is_named_alike = |lake: &Path| {
        let (lake, asked) = (name(lake), name(&path));
        strsim::damerau_levenshtein(&lake, &asked) <= 1 + lake.len().max(asked.len()) / 3
    };
    let lakes_in = |folder: &Path, is_likely: &dyn Fn(&Path) -> bool| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let lakes = entries.filter(|entry| is_lake(entry) && is_likely(entry)).map(|entry| entry.display().to_string());
        lakes.min_by_key(|lake| (strsim::levenshtein(lake, &asked), lake.clone()))
    };
    let (folder, above) = (path.parent(), path.parent().and_then(Path::parent));
    let beside = || lakes_in(folder?, &|_| true);
    let around = || path.ancestors().skip(1).find(|folder| is_lake(folder)).map(|folder| folder.display().to_string());
    lakes_in(&path, &|_| true).or_else(beside).or_else(|| lakes_in(above?, &is_named_alike)).or_else(around)
}
