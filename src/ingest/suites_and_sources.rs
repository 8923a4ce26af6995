//! Which suite and which data source an input belongs to.
//!
//! In: what the user said, what a mapping or a file's name says, and what the lake has. Out: a suite and a source of the
//! lake, or an error that names the command to run. Two statements that contradict each other are an error, never a choice.

use std::path::Path;

use super::key::FEED_SOURCE;
use super::paths::file_name;
use crate::error::did_you_mean;
use crate::feed::packing::without_packing;
use crate::feed::row_issue::clip;
use crate::lake::records::{Source, Suite};
use crate::lake::{Lake, Registry};
use crate::{Error, Result};

/// Of a name that an input says, and nobody knows, so much is shown, bytes.
const MAX_NAME_BYTES: usize = 100;

/// The suites and sources of a lake.
pub struct SuitesAndSources {
    suites: Vec<Suite>,
    sources: Vec<Source>,
}

impl SuitesAndSources {
    /// Reads both.
    pub async fn read(lake: &Lake) -> Result<Self> {
        let (suites, sources) = (Registry::read(lake).await?.rows, Registry::read(lake).await?.rows);
        Ok(Self { suites, sources })
    }

    /// The suite of a delivery: the one that its name says.
    pub fn suite_of_feed(&self, rsid: &str, asked: Option<&str>) -> Result<&Suite> {
        agree(asked, Some(rsid), "the delivery's name")?;
        self.suite(rsid)
    }

    /// The suite of a file: `--suite`, else what the file or its mapping (`by`) says, else the only one of the lake.
    pub fn suite_of_file(&self, asked: Option<&str>, said: Option<&str>, by: &str) -> Result<&Suite> {
        match (agree(asked, said, by)?, self.suites.as_slice()) {
            (Some(suite), _) => self.suite(suite),
            (None, [only]) => Ok(only),
            (None, []) => {
                Err(Error::configuration("the lake has no report suite; make one with `rejoin suite create RSID`"))
            }
            (None, many) => {
                let names = list(many.iter().map(|s| s.suite.as_str()));
                Err(Error::configuration(format!("which report suite? give --suite with one of {names}")))
            }
        }
    }

    /// The suite of a data source file: as of any file; where nobody says it, the only one that has such a source. A folder that
    /// is called as a suite decides among several, and is never passed over.
    pub fn suite_of_records(
        &self,
        asked: Option<&str>,
        said: Option<&str>,
        path: &Path,
        source: Option<&str>,
    ) -> Result<&Suite> {
        let known = self.suite_of_file(asked, said, "the file");
        if asked.or(said).is_some() || known.is_ok() {
            return known;
        }
        let has_source = |suite: &&Suite| self.source_of_file(suite, path, source).is_ok();
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let is_named = |suite: &&Suite| whole.ancestors().skip(1).any(|above| file_name(above) == suite.suite);
        let having: Vec<&Suite> = self.suites.iter().filter(has_source).collect();
        let named: Vec<&Suite> = self.suites.iter().filter(is_named).collect();
        match (having.as_slice(), named.as_slice()) {
            ([only], []) => Ok(only),
            (having, [named]) if having.iter().any(|suite| suite.suite == named.suite) => Ok(named),
            _ => known,
        }
    }

    /// The source of a data source file: `--source`, else what its folder or name says.
    pub fn source_of_file(&self, suite: &Suite, path: &Path, asked: Option<&str>) -> Result<&Source> {
        if let Some(asked) = asked {
            return self.source(suite, asked);
        }
        let sources = || self.sources.iter().filter(|s| s.suite == suite.suite);
        let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
        let says = |path: &Path| {
            let name = file_name(path).to_lowercase();
            let called = |folder: String| sources().find(|s| s.source.eq_ignore_ascii_case(&folder));
            let mut folders = folders_of(path);
            let of_folder = folders.next().and_then(called);
            let of_name = || {
                let named = sources().filter(|s| {
                    let rest = name.strip_prefix(&s.source.to_lowercase());
                    rest.is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
                });
                named.max_by_key(|s| s.source.len())
            };
            of_folder.or_else(of_name).or_else(|| folders.find_map(called))
        };
        // what an archive is called, and where it is, says it of its files
        let archive = || whole.ancestors().skip(1).find(|above| is_archive(above));
        says(&whole).or_else(|| archive().and_then(says)).ok_or_else(|| {
            let name = file_name(path).to_lowercase();
            let stem = without_packing(&name).trim_end_matches(".txt").trim_end_matches(".json");
            let hint = did_you_mean(stem, sources().map(|s| s.source.as_str()));
            Error::configuration(format!(
                "neither its name nor its folder says which data source{hint}{}",
                self.advice(suite)
            ))
        })
    }

    /// The source that `--source`, or the file or its mapping (`by`) names.
    pub fn source_of(&self, suite: &Suite, asked: Option<&str>, said: Option<&str>, by: &str) -> Result<&Source> {
        match (asked, said) {
            (None, None) => Err(Error::configuration(format!("{by} names no data source{}", self.advice(suite)))),
            (Some(name), None) | (None, Some(name)) => self.source(suite, name),
            (Some(asked), Some(said)) => {
                // one of them may be the name and the other the id
                let (one, other) = (self.source(suite, asked)?, self.source(suite, said)?);
                agree(Some(&one.source), Some(&other.source), by)?;
                Ok(one)
            }
        }
    }

    fn suite(&self, rsid: &str) -> Result<&Suite> {
        self.suites.iter().find(|s| s.suite == rsid).ok_or_else(|| {
            let hint = did_you_mean(rsid, self.suites.iter().map(|s| s.suite.as_str()));
            let rsid = clip(rsid, MAX_NAME_BYTES);
            Error::configuration(format!("no report suite {rsid}{hint}; make it with `rejoin suite create {rsid}`"))
        })
    }

    /// By name, by id (`RSID_NNNNNNNNNN`), or by the number of the id.
    fn source(&self, suite: &Suite, name: &str) -> Result<&Source> {
        let rsid = suite.suite.as_str();
        let mine = || self.sources.iter().filter(|s| s.suite == suite.suite);
        let by_id =
            |s: &&Source| s.id == name || s.id.strip_prefix(rsid).and_then(|n| n.strip_prefix('_')) == Some(name);
        mine().find(|s| s.source == name).or_else(|| mine().find(by_id)).ok_or_else(|| {
            let hint = did_you_mean(name, mine().map(|s| s.source.as_str()));
            let name = clip(name, MAX_NAME_BYTES);
            Error::configuration(format!(
                "suite {rsid} has no data source {name}{hint}; make it with `rejoin source create {rsid} {name} \
                 --kind transaction`, or --kind customer or summary"
            ))
        })
    }

    fn advice(&self, suite: &Suite) -> String {
        let names: Vec<&str> = self
            .sources
            .iter()
            .filter(|s| s.suite == suite.suite && s.source != FEED_SOURCE)
            .map(|s| s.source.as_str())
            .collect();
        let rsid = &suite.suite;
        if names.is_empty() {
            return format!(
                "; suite {rsid} has none yet, make one with `rejoin source create {rsid} NAME --kind transaction`, or --kind \
                 customer or summary"
            );
        }
        format!("; give --source with one of {}", list(names.into_iter()))
    }
}

/// The folder of a file, and those above it as long as they only say a date (`leads/2026/09/`, `leads/dt=2026-09-01/`).
fn folders_of(path: &Path) -> impl Iterator<Item = String> {
    let mut are_dates = true;
    path.ancestors().skip(1).map(file_name).take_while(move |folder| {
        let is_next = are_dates;
        are_dates &= folder.contains('=') || !folder.contains(char::is_alphabetic);
        is_next
    })
}

fn is_archive(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("zip"))
}

/// The one thing that is said, or that both say.
fn agree<'a>(asked: Option<&'a str>, said: Option<&'a str>, by: &str) -> Result<Option<&'a str>> {
    match (asked, said) {
        (Some(asked), Some(said)) if asked != said => {
            let (asked, said) = (clip(asked, MAX_NAME_BYTES), clip(said, MAX_NAME_BYTES));
            Err(Error::configuration(format!("{by} says {said}, the command line says {asked}; leave one of them out")))
        }
        (asked, said) => Ok(asked.or(said)),
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lake_has(suites: &[&str], sources: &[&str]) -> SuitesAndSources {
        let source = |name: &&str| Source {
            id: format!("acme_{name}"),
            suite: "acme".into(),
            source: name.to_string(),
            kind: "transaction".into(),
            metrics: String::new(),
            dimensions: String::new(),
            on_error: "skip".into(),
            status: "active".into(),
            created: None,
        };
        SuitesAndSources {
            suites: suites.iter().map(|s| Suite::new(s)).collect(),
            sources: sources.iter().map(source).collect(),
        }
    }

    #[test]
    fn suites() {
        let one = lake_has(&["acme"], &[]);
        assert_eq!(one.suite_of_file(None, None, "").unwrap().suite, "acme");
        let error = one.suite_of_feed("acmee", None).unwrap_err().to_string();
        assert!(error.contains("did you mean acme?") && error.contains("rejoin suite create acmee"), "{error}");
        assert!(one.suite_of_feed("acme", Some("web")).unwrap_err().to_string().contains("leave one of them out"));
        let two = lake_has(&["web", "acme"], &[]);
        assert!(two.suite_of_file(None, None, "").unwrap_err().to_string().contains("acme, web"));
        assert!(
            lake_has(&[], &[]).suite_of_file(None, None, "").unwrap_err().to_string().contains("rejoin suite create")
        );
    }

    #[test]
    fn a_source_that_one_suite_has_says_the_suite() {
        let mut two = lake_has(&["web", "acme"], &["leads", "returns"]);
        let of = |two: &SuitesAndSources, path: &str, source: Option<&str>| {
            two.suite_of_records(None, None, Path::new(path), source).map(|s| s.suite.clone())
        };
        assert_eq!(of(&two, "/in/leads_2026-10.txt", None).unwrap(), "acme");
        assert_eq!(of(&two, "/in/x.txt", Some("returns")).unwrap(), "acme");
        assert_eq!(two.suite_of_records(Some("web"), None, Path::new("/in/leads.txt"), None).unwrap().suite, "web");
        // a source that nobody has, and a folder that says otherwise
        assert!(of(&two, "/in/x.txt", None).unwrap_err().to_string().contains("which report suite?"));
        assert!(of(&two, "/in/web/leads.txt", None).is_err());
        // two have it: the folder says whose it is
        two.sources.push(Source { suite: "web".into(), ..two.sources[0].clone() });
        assert!(of(&two, "/in/leads.txt", None).is_err());
        assert_eq!(of(&two, "/in/web/2026/leads.txt", None).unwrap(), "web");
        assert_eq!(of(&two, "/in/acme/leads.txt", None).unwrap(), "acme");
        assert!(of(&two, "/web/acme/leads.txt", None).is_err());
    }

    #[test]
    fn sources() {
        let lake_has = lake_has(&["acme"], &["lead", "leads", "leads_eu", "returns"]);
        let suite = lake_has.suite_of_file(None, None, "").unwrap();
        let of = |path: &str| lake_has.source_of_file(suite, Path::new(path), None).map(|s| s.source.clone());
        assert_eq!(of("/in/leads_2026-10.txt").unwrap(), "leads");
        assert_eq!(of("/in/leads_eu_2026-10.txt").unwrap(), "leads_eu");
        assert_eq!(of("/in/Leads2026.txt").unwrap(), "leads");
        assert_eq!(of("/in/returns/leads.txt").unwrap(), "returns");
        // folders of dates belong to the one above them
        assert_eq!(of("/in/returns/2026/09/x.txt").unwrap(), "returns");
        assert_eq!(of("/in/leads_eu/dt=2026-09-01/x.txt").unwrap(), "leads_eu");
        assert_eq!(of("/returns/2026-09/leads_1.txt").unwrap(), "leads");
        assert!(of("/returns/2026-09/more/x.txt").is_err());
        // packed, and in an archive that is called as the source, or is in its folder
        assert_eq!(of("/in/leads_1.txt.gz").unwrap(), "leads");
        assert_eq!(of("/in/drop.zip/leads_1.txt").unwrap(), "leads");
        assert_eq!(of("/in/drop.zip/returns/x.txt").unwrap(), "returns");
        assert_eq!(of("/in/leads_eu.zip/a/x.txt").unwrap(), "leads_eu");
        assert_eq!(of("/returns/drop.zip/x.txt").unwrap(), "returns");
        assert!(of("/in/return.txt.zst").unwrap_err().to_string().contains("did you mean returns?"));
        let error = of("/in/return.txt").unwrap_err().to_string();
        assert!(error.contains("did you mean returns?") && error.contains("lead, leads, leads_eu, returns"), "{error}");
        assert!(lake_has.source_of_file(suite, Path::new("x.txt"), Some("lead5")).is_err());
        assert_eq!(lake_has.source_of_file(suite, Path::new("x.txt"), Some("acme_lead")).unwrap().source, "lead");
    }
}
