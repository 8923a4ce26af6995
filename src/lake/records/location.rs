//! Where lakes are: whether one lies at a place, and which is near.

use std::path::Path;

use super::{Record, Suite};
use crate::Result;
use crate::lake::log::{Lake, latest_version};

/// True where a lake lies: somebody made a report suite.
pub async fn exists(lake: &Lake) -> Result<bool> {
    Ok(latest_version(lake, Suite::TABLE, None).await?.is_some())
}

/// True where a lake lies in this folder.
pub fn is_lake(folder: &Path) -> bool {
    folder.join(Suite::TABLE).join("_delta_log").is_dir()
}

/// The nearest lake to a location that is none: in its folder, beside it, or around it.
pub fn lake_near(location: &str) -> Option<String> {
    let path = std::path::absolute(location).ok().filter(|_| !location.contains("://"))?;
    let asked = path.display().to_string();
    let near = [path.parent(), path.parent().and_then(Path::parent), Some(path.as_path())];
    let lakes_in = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let lakes = entries.filter(|entry| is_lake(entry)).map(|entry| entry.display().to_string());
        lakes.min_by_key(|lake| (strsim::levenshtein(lake, &asked), lake.clone()))
    };
    let around = || path.ancestors().skip(1).find(|folder| is_lake(folder)).map(|folder| folder.display().to_string());
    near.into_iter().flatten().find_map(lakes_in).or_else(around)
}
