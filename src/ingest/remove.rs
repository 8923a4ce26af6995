//! Takes loaded files out again: their rows leave every table, their entry in the file log says `removed`.
//!
//! In: names as the file log has them, or paths. Nothing is removed before every name is known to mean one load.

use std::path::Path;

use super::load::withdraw;
use super::paths::file_name;
use crate::error::did_you_mean;
use crate::feed::delivery_name::DeliveryName;
use crate::lake::records::FileEntry;
use crate::lake::{Lake, Registry};
use crate::{Error, Result};

/// Removes loads and gives their entries. A name that no load has, or several loads of different suites or sources, is an
/// error of kind usage.
pub async fn remove(
    lake: &Lake,
    files: &[String],
    suite: Option<&str>,
    source: Option<&str>,
) -> Result<Vec<FileEntry>> {
    let log = Registry::<FileEntry>::read(lake).await?.rows;
    let loaded: Vec<&FileEntry> = log
        .iter()
        .filter(|e| e.status == "loaded")
        .filter(|e| suite.is_none_or(|s| e.suite == s) && source.is_none_or(|s| e.source == s))
        .collect();
    let mut chosen: Vec<&FileEntry> = vec![];
    for name in files {
        let entry = choose(name, &loaded)?;
        if !chosen.contains(&entry) {
            chosen.push(entry);
        }
    }
    let mut removed = vec![];
    for entry in chosen {
        removed.push(withdraw(lake, entry).await?);
    }
    Ok(removed)
}

fn choose<'a>(name: &str, loaded: &[&'a FileEntry]) -> Result<&'a FileEntry> {
    let base = file_name(Path::new(name));
    let delivery = DeliveryName::parse(&base).map(|n| n.delivery());
    let ways: [&dyn Fn(&FileEntry) -> bool; 4] = [
        &|e| e.file == name,
        &|e| e.file == base,
        &|e| e.format == "feed" && Some(&e.file) == delivery.as_ref(),
        // a mapped file of a searched folder is known by its path below that folder
        &|e| Path::new(name).ends_with(&e.file) || Path::new(&e.file).ends_with(name),
    ];
    let found = ways.iter().map(|way| loaded.iter().filter(|e| way(e)).copied().collect::<Vec<_>>());
    match found.into_iter().find(|f| !f.is_empty()).unwrap_or_default().as_slice() {
        [one] => Ok(one),
        [] => {
            let hint = did_you_mean(&base, loaded.iter().map(|e| e.file.as_str()));
            Err(Error::usage(format!("{name} is not loaded{hint}; `rejoin log` lists what is")))
        }
        several => {
            let places: Vec<String> = several
                .iter()
                .map(|e| {
                    if e.source.is_empty() {
                        format!("{} (suite {})", e.file, e.suite)
                    } else {
                        format!("{} (suite {}, source {})", e.file, e.suite, e.source)
                    }
                })
                .collect();
            let are_of_one = several.iter().all(|e| (&e.suite, &e.source) == (&several[0].suite, &several[0].source));
            let advice = if are_of_one { "the whole path of one" } else { "--suite or --source" };
            Err(Error::usage(format!("{name} means several loads: {}; give {advice}", places.join(", "))))
        }
    }
}
