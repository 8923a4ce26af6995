//! `rejoin doctor`: checks of the lake's location, the settings, the suites and sources, and the versions.
//!
//! Leaves nothing behind: probe objects are deleted, and a folder that was not there is not there afterwards.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::output::Output;
use super::settings::Settings;
use super::status::WAITING;
use super::terminal;
use crate::engine::Engine;
use crate::format::Format;
use crate::lake::guard::PROBE_FOLDER;
use crate::lake::records::{FileEntry, Rebuild};
use crate::lake::sources::sources;
use crate::lake::suites::{odd_settings, suites};
use crate::lake::{Lake, Registry};
use crate::rebuild::{is_stale, status_of_feeds};
use crate::{Error, ErrorKind, Result};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    /// Works, but look at it.
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    verdict: Verdict,
    detail: String,
    /// Decides the exit code.
    #[serde(skip)]
    kind: ErrorKind,
}

/// Runs all checks and prints them; a failed one is an error.
pub async fn run(settings: &Settings) -> Result<()> {
    let checks = checks(settings).await;
    let mut output = Output::stdout(Format::Table);
    if settings.json {
        output.json(&checks)?;
    } else {
        for check in &checks {
            output.line(check.line())?;
        }
    }
    output.close()?;
    let failed: Vec<&Check> = checks.iter().filter(|c| c.verdict == Verdict::Failed).collect();
    let Some(first) = failed.first() else { return Ok(()) };
    // a lake that cannot be reached explains the rest
    let unavailable = failed.iter().any(|c| c.kind == ErrorKind::Unavailable);
    let kind = if unavailable { ErrorKind::Unavailable } else { first.kind };
    let names: Vec<&str> = failed.iter().map(|c| c.check).collect();
    Err(Error::new(kind, format!("{} of {} checks failed: {}", failed.len(), checks.len(), names.join(", "))))
}

async fn checks(settings: &Settings) -> Vec<Check> {
    let lake = &settings.lake;
    let memory = indicatif::HumanBytes(settings.memory_bytes as u64);
    let threads = settings.threads.or_else(|| std::thread::available_parallelism().ok().map(Into::into)).unwrap_or(1);
    let mut found = vec![
        Check::ok("version", format!("rejoin {}", env!("CARGO_PKG_VERSION"))),
        Check::ok("settings", format!("{threads} threads, {memory} of memory, lake {}", lake.url())),
        temporary_folder(),
    ];
    let reachable = read(lake).await;
    let go_on = reachable.verdict != Verdict::Failed;
    found.push(reachable);
    if go_on {
        found.push(write(lake).await);
        found.push(suite_settings(lake).await.unwrap_or_else(|e| Check::failed("suites", &e)));
        found.push(source_files(lake).await.unwrap_or_else(|e| Check::failed("sources", &e)));
        found.extend(feeds(settings).await.unwrap_or_else(|e| Some(Check::failed("feeds", &e))));
        found.push(rebuilds(lake).await.unwrap_or_else(|e| Check::failed("rebuild", &e)));
    }
    found
}

impl Check {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, verdict: Verdict::Ok, detail: detail.into(), kind: ErrorKind::Configuration }
    }

    fn warning(check: &'static str, detail: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warning, ..Self::ok(check, detail) }
    }

    fn failed(check: &'static str, error: &Error) -> Self {
        Self { verdict: Verdict::Failed, kind: error.kind(), ..Self::ok(check, error.to_string()) }
    }

    fn line(&self) -> String {
        let (word, colour) = match self.verdict {
            Verdict::Ok => ("ok", "32"),
            Verdict::Warning => ("look", "33"),
            Verdict::Failed => ("FAILED", "31"),
        };
        let word = format!("{word:<7}");
        let word = if terminal::text_style().colour { format!("\x1b[{colour}m{word}\x1b[0m") } else { word };
        format!("{word}{:<12}{}", self.check, crate::format::printable(&self.detail))
    }
}

/// Sorts that outgrow the memory spill there.
fn temporary_folder() -> Check {
    match tempfile::tempfile() {
        Ok(_) => {
            Check::ok("temporary", format!("{} takes what does not fit into memory", std::env::temp_dir().display()))
        }
        Err(e) => {
            let text = format!("{}: {e}; set TMPDIR to a folder that can be written", std::env::temp_dir().display());
            Check::failed("temporary", &Error::configuration(text))
        }
    }
}

async fn read(lake: &Lake) -> Check {
    match lake.table_names().await {
        Ok(names) if names.is_empty() => Check::ok("readable", "an empty lake, or none yet"),
        Ok(names) if names.len() == 1 => Check::ok("readable", "1 table"),
        Ok(names) => Check::ok("readable", format!("{} tables", names.len())),
        Err(error) => Check::failed("readable", &error),
    }
}

/// Commits need a store that refuses to overwrite.
async fn write(lake: &Lake) -> Check {
    let before = missing_folders(lake);
    let result = lake.check_writes().await;
    for folder in before {
        // fails when it holds something, which is then not ours
        let _ = std::fs::remove_dir(folder);
    }
    match result {
        Ok(()) => Check::ok("writable", "objects can be created, are not overwritten, and can be deleted"),
        Err(error) => Check::failed("writable", &error),
    }
}

/// Folders of a local lake that the probe will create, deepest first.
fn missing_folders(lake: &Lake) -> Vec<PathBuf> {
    let Ok(root) = lake.url().to_file_path() else { return vec![] };
    let probe = root.join(PROBE_FOLDER);
    probe.ancestors().take_while(|p| !p.exists()).map(Path::to_path_buf).collect()
}

async fn suite_settings(lake: &Lake) -> Result<Check> {
    let all = suites(lake).await?;
    let odd: Vec<String> =
        all.iter().flat_map(|s| odd_settings(s).into_iter().map(|o| format!("{}: {o}", s.suite))).collect();
    if !odd.is_empty() {
        return Ok(Check::failed("suites", &Error::configuration(odd.join("; "))));
    }
    let off: Vec<&str> = all.iter().filter(|s| !s.transaction_id).map(|s| s.suite.as_str()).collect();
    Ok(match (all.len(), off.is_empty()) {
        (0, _) => Check::warning("suites", "none yet; create one with: rejoin suite create RSID"),
        (n, true) => Check::ok("suites", format!("{n}, settings are sound")),
        (n, false) => Check::warning("suites", format!("{n}; transaction ID recording is off for {}", off.join(", "))),
    })
}

async fn source_files(lake: &Lake) -> Result<Check> {
    let all = sources(lake, None).await?;
    let files = Registry::<FileEntry>::read(lake).await?.rows;
    let name = |s: &crate::lake::records::Source| format!("{}/{}", s.suite, s.source);
    let stopped = all.iter().filter(|s| s.status == "stopped");
    let restarts: Vec<String> = stopped.map(|s| format!("rejoin source restart {} {}", s.suite, s.source)).collect();
    if !restarts.is_empty() {
        return Ok(Check::warning(
            "sources",
            format!("stopped by errors; when the files are right: {}", restarts.join(" && ")),
        ));
    }
    let empty: Vec<String> = all
        .iter()
        .filter(|s| !files.iter().any(|f| f.suite == s.suite && f.source == s.source && f.status == "loaded"))
        .map(name)
        .collect();
    Ok(if empty.is_empty() {
        Check::ok("sources", all.len().to_string())
    } else {
        Check::warning("sources", format!("{}; without a file: {}; {WAITING}", all.len(), empty.join(", ")))
    })
}

/// How touches are found in data feeds, and where raw columns would give others. None without a feed.
async fn feeds(settings: &Settings) -> Result<Option<Check>> {
    let engine = Engine::open(settings.lake.clone(), settings.engine(None)?).await?;
    let feeds = status_of_feeds(&engine, None).await?;
    let detail: Vec<String> = feeds.iter().map(|feed| format!("{}: {}", feed.suite, feed.describe())).collect();
    let by_hand = feeds.iter().any(|feed| feed.by_former_version > 0 || feed.without_offline_repeats > 0);
    Ok(match (feeds.is_empty(), by_hand) {
        (true, _) => None,
        (false, false) => Some(Check::ok("feeds", detail.join("; "))),
        (false, true) => Some(Check::warning("feeds", detail.join("; "))),
    })
}

async fn rebuilds(lake: &Lake) -> Result<Check> {
    let done = Registry::<Rebuild>::read(lake).await?.rows;
    let files = Registry::<FileEntry>::read(lake).await?.rows;
    Ok(match done.iter().map(|r| r.rebuild).max() {
        None if files.is_empty() => Check::ok("rebuild", "nothing to rebuild yet"),
        _ if is_stale(lake).await? => {
            Check::warning("rebuild", "something changed since the last one; next: rejoin rebuild")
        }
        last => Check::ok("rebuild", format!("up to date, number {}", last.unwrap_or_default())),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_probe_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("not/yet/lake");
        let lake = Lake::open(there.to_str().unwrap()).unwrap();
        assert_eq!(write(&lake).await.verdict, Verdict::Ok);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(read(&lake).await.verdict, Verdict::Ok);
    }
}
