//! Report suites: created, changed, found. Every setting is checked here, against the rules of the suite's edition.
//!
//! In: what the user wants to change. Out: the suite as stored. An unknown name is an error that names the nearest one
//! and the command that creates it.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field};
use chrono::SubsecRound;

use super::bindings::{Binding, bindings, check_dimension};
use super::registry::Registry;
use super::rows::{FileEntry, Suite};
use crate::attribution::{Expiry, Persistence};
use crate::columns::{self, DIMENSIONS, KEYS, METRICS, NUMBERED, OCCURRENCES, key_field, numbered};
use crate::error::did_you_mean;
use crate::feed::event_list::is_metric_name;
use crate::feed::row_issue::clip;
use crate::lake::Lake;
use crate::{Error, Result};

/// Longest life of a transaction ID under `classic` rules: two years.
pub const LONGEST_EXPIRY_DAYS: i64 = 730;
/// Life of a transaction ID under `current` rules, in calendar months.
pub const CURRENT_EXPIRY_MONTHS: u32 = 25;

/// Settings to change; None leaves a setting as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SuiteChanges {
    /// Transaction ID recording.
    pub transaction_id: Option<bool>,
    /// Life of a transaction ID, `classic` rules only.
    pub expiry_days: Option<i64>,
    /// `event` or `received`.
    pub expiry_basis: Option<String>,
    /// `classic` or `current`.
    pub rules: Option<String>,
    /// IANA name.
    pub time_zone: Option<String>,
    /// Three letters.
    pub currency: Option<String>,
    /// Minutes without a hit that end a computed visit.
    pub visit_timeout_minutes: Option<i64>,
    /// Hours of activity that end a computed visit.
    pub visit_hours: Option<i64>,
    /// Hits that end a computed visit.
    pub visit_hits: Option<i64>,
    /// Count background hits like others.
    pub background_hits: Option<bool>,
    /// Items that differ only in case are one.
    pub fold_case: Option<bool>,
    /// Customer ids that stand for nobody; replaces the list.
    pub placeholders: Option<Vec<String>>,
    /// Column and friendly name; an empty name takes it away.
    pub names: Vec<(String, String)>,
    /// Dimension and how its values are bound to products; None takes that away.
    pub bindings: Vec<(String, Option<Binding>)>,
    /// Dimension and how it persists (`most_recent,30 days`); `off` takes it away.
    pub persist: Vec<(String, String)>,
    /// `off`, `device_split` or `last`.
    pub persons: Option<String>,
    /// Visitors that an ID may be on.
    pub person_limit: Option<i64>,
}

/// Creates a suite. One of this name is a conflict.
pub async fn create_suite(lake: &Lake, suite: &str, changes: &SuiteChanges) -> Result<Suite> {
    check_name("report suite id", suite)?;
    let mut new = Suite::new(suite);
    // as exact as the lake keeps it
    new.created = new.created.map(|t| t.trunc_subsecs(6));
    changes.apply(&mut new)?;
    Registry::<Suite>::update(lake, |suites| {
        if suites.iter().any(|s| s.suite == suite) {
            return Err(Error::conflict(format!(
                "suite {suite} exists already; change its settings with: rejoin suite set {suite}"
            )));
        }
        suites.push(new.clone());
        Ok(new.clone())
    })
    .await
}

/// Changes settings of a suite.
pub async fn set_suite(lake: &Lake, suite: &str, changes: &SuiteChanges) -> Result<Suite> {
    check_processed(lake, suite, changes).await?;
    // refused before anything is written
    let mut trial = find(&Registry::read(lake).await?.rows, suite)?.clone();
    changes.apply(&mut trial)?;
    Registry::<Suite>::update(lake, |suites| {
        find(suites, suite)?;
        let found = suites.iter_mut().find(|s| s.suite == suite).expect("it was found just now");
        changes.apply(found)?;
        Ok(found.clone())
    })
    .await
}

/// A feed's processed values persist already.
async fn check_processed(lake: &Lake, suite: &str, changes: &SuiteChanges) -> Result<()> {
    if changes.persist.is_empty() {
        return Ok(());
    }
    let files = Registry::<FileEntry>::read(lake).await?.rows;
    for (column, _) in changes.persist.iter().filter(|(_, rule)| !is_off(rule)) {
        let has = |file: &&FileEntry| {
            let processed = file.processed.as_deref().unwrap_or_default();
            file.suite == suite && file.status == "loaded" && processed.split(',').any(|name| name == column)
        };
        if let Some(FileEntry { file, .. }) = files.iter().find(has) {
            return Err(Error::configuration(format!(
                "persistence of {column}: {file} has processed values of it, which persist already"
            )));
        }
    }
    Ok(())
}

/// Refuses a feed with processed values of a dimension that is to persist by a rule of its suite.
///
/// # Errors
/// There is one such dimension.
pub fn refuse_processed(suite: &Suite, processed: &[String]) -> Result<()> {
    let twice = persistence(suite)?.into_keys().find(|column| processed.contains(column));
    let Suite { suite, .. } = suite;
    twice.map_or(Ok(()), |column| {
        Err(Error::configuration(format!(
            "the feed has processed values of {column}, which persist already; run `rejoin suite set {suite} --persist {column}=off`"
        )))
    })
}

/// All suites, by name.
pub async fn suites(lake: &Lake) -> Result<Vec<Suite>> {
    let mut rows = Registry::<Suite>::read(lake).await?.rows;
    rows.sort_by(|a, b| a.suite.cmp(&b.suite));
    Ok(rows)
}

/// The suite that was chosen among `suites`, or the only one there is; an error that lists them otherwise.
pub fn one<'s>(suites: &'s [Suite], chosen: Option<&str>) -> Result<&'s Suite> {
    let names = || suites.iter().map(|s| s.suite.as_str()).collect::<Vec<_>>().join(", ");
    match (chosen, suites) {
        (Some(name), _) => suites
            .iter()
            .find(|s| s.suite == name)
            .ok_or_else(|| Error::configuration(format!("suite {name} does not exist; the lake has: {}", names()))),
        (None, [only]) => Ok(only),
        (None, []) => Err(Error::configuration("the lake has no suite; make one with: rejoin suite create RSID")),
        (None, _) => Err(Error::configuration(format!(
            "the lake has several suites ({}); choose one with --suite or SET rejoin.suite = '...'",
            names()
        ))),
    }
}

/// The suite of this name; an unknown one is a configuration error that says what to do.
pub async fn suite(lake: &Lake, name: &str) -> Result<Suite> {
    find(&suites(lake).await?, name).cloned()
}

/// The suite of this name among `suites`.
pub fn find<'a>(suites: &'a [Suite], name: &str) -> Result<&'a Suite> {
    suites.iter().find(|s| s.suite == name).ok_or_else(|| {
        let hint = did_you_mean(name, suites.iter().map(|s| s.suite.as_str()));
        let name = clip(name, 100);
        Error::configuration(format!("there is no suite {name} (create it with: rejoin suite create {name}){hint}"))
    })
}

/// What is odd about a suite's settings, for a person; a suite made by this module has nothing.
pub fn odd_settings(suite: &Suite) -> Vec<String> {
    let mut odd = vec![];
    let mut check = |result: Result<()>| odd.extend(result.err().map(|e| e.to_string()));
    check(check_name("report suite id", &suite.suite));
    check(one_of("rules", &suite.rules, &["classic", "current"]));
    check(one_of("expiry basis", &suite.expiry_basis, &["event", "received"]));
    check(within("expiry", suite.expiry_days, 1, LONGEST_EXPIRY_DAYS, "days"));
    check(time_zone(&suite.time_zone).map(drop));
    check(currency(&suite.currency).map(drop));
    check(within("visit timeout", suite.visit_timeout_minutes, 1, 1440, "minutes"));
    check(within("visit length", suite.visit_hours, 1, 8760, "hours"));
    check(within("hits of a visit", suite.visit_hits, 1, 1_000_000, "hits"));
    check(placeholders(suite).map(drop));
    check(names(suite).map(drop));
    check(bindings(suite).map(drop));
    check(persistence(suite).map(drop));
    odd
}

/// Friendly names of a suite, by column.
pub fn names(suite: &Suite) -> Result<BTreeMap<String, String>> {
    stored(suite, "friendly names", &suite.names)
}

/// Dimensions that persist, by column.
pub fn persistence(suite: &Suite) -> Result<BTreeMap<String, Persistence>> {
    // suites of before there was such a setting
    if suite.persistence.is_empty() {
        return Ok(BTreeMap::new());
    }
    let texts: BTreeMap<String, String> = stored(suite, "persistence", &suite.persistence)?;
    let rule = |(column, text): (String, String)| match text.parse() {
        Ok(rule) => Ok((column, rule)),
        Err(e) => Err(Error::configuration(format!("suite {}: persistence of {column}: {e}", suite.suite))),
    };
    texts.into_iter().map(rule).collect()
}

/// Puts rules of a mapping among the settings of a suite; `persist` as in [`SuiteChanges`].
///
/// # Errors
/// The suite has another rule for one of the dimensions: which one holds is not for the order of loads to say.
pub async fn adopt_persistence(lake: &Lake, suite: &Suite, rules: &BTreeMap<String, Persistence>) -> Result<()> {
    let known = persistence(suite)?;
    for (column, rule) in rules {
        if let Some(other) = known.get(column).filter(|other| *other != rule) {
            let Suite { suite, .. } = suite;
            return Err(Error::configuration(format!(
                "{column} persists by {rule} here and by {other} in suite {suite}, where one rule holds for all rows; change the mapping, or run `rejoin suite set {suite} --persist '{column}={rule}'`"
            )));
        }
    }
    if rules.keys().all(|column| known.contains_key(column)) {
        return Ok(());
    }
    let persist = rules.iter().map(|(column, rule)| (column.clone(), rule.to_string())).collect();
    set_suite(lake, &suite.suite, &SuiteChanges { persist, ..SuiteChanges::default() }).await.map(drop)
}

/// Keeps the headers of a data feed delivery for those that come without.
pub async fn keep_headers(lake: &Lake, suite: &str, headers: &str) -> Result<()> {
    Registry::<Suite>::update(lake, |suites| {
        suites.iter_mut().filter(|s| s.suite == suite).for_each(|s| s.feed_headers = headers.to_string());
        Ok(())
    })
    .await
}

/// Customer ids that stand for nobody, besides `0`, `null` and empty.
pub fn placeholders(suite: &Suite) -> Result<Vec<String>> {
    stored(suite, "placeholders", &suite.placeholders)
}

/// Ids of suites and names of sources: ASCII letters, digits, `.`, `_`, `-`, 1 to 40 of them.
pub fn check_name(what: &str, name: &str) -> Result<()> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    // a leading dot or dash reads as a hidden file or an option
    let leads = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    if leads && name.len() <= 40 && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::configuration(format!(
        "{what} {name:?}: expected 1 to 40 letters, digits, `.`, `_` or `-`, not beginning with `.` or `-`"
    )))
}

impl SuiteChanges {
    fn apply(&self, suite: &mut Suite) -> Result<()> {
        if let Some(rules) = &self.rules {
            one_of("rules", rules, &["classic", "current"])?;
            suite.rules = rules.clone();
        }
        if let Some(days) = self.expiry_days {
            if suite.rules == "current" {
                return Err(Error::configuration(format!(
                    "suite {}: under current rules a transaction ID lives {CURRENT_EXPIRY_MONTHS} months, always; leave the expiry out, or set the rules to classic",
                    suite.suite
                )));
            }
            within("expiry", days, 1, LONGEST_EXPIRY_DAYS, "days")?;
            suite.expiry_days = days;
        }
        if let Some(basis) = &self.expiry_basis {
            one_of("expiry basis", basis, &["event", "received"])?;
            suite.expiry_basis = basis.clone();
        }
        if let Some(on) = self.transaction_id {
            suite.transaction_id = on;
        }
        if let Some(include) = self.background_hits {
            suite.background_hits = include;
        }
        if let Some(on) = self.fold_case {
            suite.fold_case = on;
        }
        if let Some(name) = &self.time_zone {
            suite.time_zone = time_zone(name)?;
        }
        if let Some(code) = &self.currency {
            suite.currency = currency(code)?;
        }
        if let Some(method) = &self.persons {
            one_of("persons", method, &["off", "device_split", "last"])?;
            suite.persons = method.clone();
        }
        set("person limit", self.person_limit, 1_000_000, "visitors", &mut suite.person_limit)?;
        set("visit timeout", self.visit_timeout_minutes, 1440, "minutes", &mut suite.visit_timeout_minutes)?;
        set("visit length", self.visit_hours, 8760, "hours", &mut suite.visit_hours)?;
        set("hits of a visit", self.visit_hits, 1_000_000, "hits", &mut suite.visit_hits)?;
        if let Some(ids) = &self.placeholders {
            let ids: Vec<&str> = ids.iter().map(|id| id.trim()).filter(|id| !id.is_empty()).collect();
            suite.placeholders = serde_json::json!(ids).to_string();
        }
        if !self.names.is_empty() {
            let mut names = names(suite)?;
            for (column, name) in &self.names {
                rename(&mut names, column, name)?;
            }
            suite.names = serde_json::json!(names).to_string();
        }
        if !self.bindings.is_empty() {
            let mut all = bindings(suite)?;
            for (dimension, binding) in &self.bindings {
                check_dimension(dimension)?;
                match binding {
                    Some(binding) => drop(all.insert(dimension.clone(), binding.clone())),
                    None => drop(all.remove(dimension)),
                }
            }
            suite.bindings = serde_json::json!(all).to_string();
        }
        if !self.persist.is_empty() {
            let mut rules = persistence(suite)?;
            for (column, text) in &self.persist {
                persist(&mut rules, column, text)?;
            }
            let texts: BTreeMap<String, String> = rules.into_iter().map(|(c, rule)| (c, rule.to_string())).collect();
            suite.persistence = serde_json::json!(texts).to_string();
        }
        Ok(())
    }
}

fn rename(names: &mut BTreeMap<String, String>, column: &str, name: &str) -> Result<()> {
    if !can_have_a_name(column) {
        return Err(Error::configuration(format!(
            "friendly name of {column}: expected evar1 to evar250, prop1 to prop75, list1 to list3, or event1 to event1000"
        )));
    }
    if name.is_empty() {
        names.remove(column);
        return Ok(());
    }
    if name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(Error::configuration(format!("friendly name {name:?}: expected at most 100 printable characters")));
    }
    if is_column(&name.to_lowercase()) {
        return Err(Error::configuration(format!("friendly name {name}: a column has this name; choose another")));
    }
    let same =
        |(other, used): &(&String, &String)| other.as_str() != column && used.to_lowercase() == name.to_lowercase();
    if let Some((other, _)) = names.iter().find(same) {
        return Err(Error::configuration(format!("friendly name {name}: {other} has it already; choose another")));
    }
    names.insert(column.to_string(), name.to_string());
    Ok(())
}

fn persist(rules: &mut BTreeMap<String, Persistence>, column: &str, text: &str) -> Result<()> {
    let wrong = |why: String| Error::configuration(format!("persistence of {column}: {why}"));
    if !can_persist(column) {
        return Err(wrong(
            "expected a dimension with one value a row: tracking_code, evar1 to evar250, or one of a mapping".into(),
        ));
    }
    if is_off(text) {
        rules.remove(column);
        return Ok(());
    }
    let rule: Persistence = text.parse().map_err(wrong)?;
    if let Expiry::Metric(metric) = &rule.expiry
        && (metric == "occurrences" || !can_be_metric(metric))
    {
        return Err(wrong(format!(
            "{metric} is no metric that ends values; it is one of hits, such as orders or event5"
        )));
    }
    rules.insert(column.to_string(), rule);
    Ok(())
}

fn is_off(rule: &str) -> bool {
    matches!(rule.trim(), "off" | "")
}

/// True for what a dimension with one value a row can be called.
pub fn can_persist(column: &str) -> bool {
    let lists = ["product", "category", "product_list", "event_list"];
    let dimension = Field::new(column, DataType::Utf8, true);
    columns::is_dimension(&dimension)
        && key_field(column).is_none()
        && !is_metric_name(column)
        && !column.ends_with("_set")
        && !lists.contains(&column)
        && column.chars().all(|c| c.is_alphanumeric() || c == '_')
        && column.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn can_be_metric(name: &str) -> bool {
    key_field(name).is_none() && !name.ends_with("_set") && (is_metric_name(name) || !is_column(name))
}

fn can_have_a_name(column: &str) -> bool {
    NUMBERED.iter().any(|&(prefix, last)| numbered(column, prefix).is_some_and(|n| n <= last))
}

fn is_column(name: &str) -> bool {
    let base = name.strip_suffix("_set").unwrap_or(name);
    KEYS.contains(&name)
        || DIMENSIONS.contains(&base)
        || base == OCCURRENCES
        || METRICS.contains(&base)
        || can_have_a_name(base)
}

/// A zone's name in the spelling of the database; an unknown one is an error that names the nearest.
pub fn time_zone(name: &str) -> Result<String> {
    let known = || chrono_tz::TZ_VARIANTS.iter().map(|z| z.name());
    // stored in the spelling of the database
    known().find(|z| z.eq_ignore_ascii_case(name)).map(str::to_string).ok_or_else(|| {
        // people type the city
        let city =
            known().find(|z| z.rsplit('/').next().is_some_and(|c| c.eq_ignore_ascii_case(&name.replace(' ', "_"))));
        let hint = city.map_or_else(|| did_you_mean(name, known()), |z| format!("; did you mean {z}?"));
        Error::configuration(format!("time zone {name:?}: not an IANA name such as Europe/Berlin{hint}"))
    })
}

fn currency(code: &str) -> Result<String> {
    if code.len() == 3 && code.bytes().all(|b| b.is_ascii_alphabetic()) {
        return Ok(code.to_ascii_uppercase());
    }
    Err(Error::configuration(format!("currency {code:?}: expected three letters, e.g. EUR")))
}

fn one_of(what: &str, word: &str, known: &[&str]) -> Result<()> {
    if known.contains(&word) {
        return Ok(());
    }
    Err(Error::configuration(format!("{what} {word:?}: expected {}", known.join(" or "))))
}

fn within(what: &str, value: i64, least: i64, most: i64, unit: &str) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::configuration(format!("{what} of {value} {unit}: expected {least} to {most}")))
}

fn set(what: &str, value: Option<i64>, most: i64, unit: &str, target: &mut i64) -> Result<()> {
    if let Some(value) = value {
        within(what, value, 1, most, unit)?;
        *target = value;
    }
    Ok(())
}

fn stored<T: serde::de::DeserializeOwned>(suite: &Suite, what: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::configuration(format!("suite {}: {what}: {e}", suite.suite)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ErrorKind;

    fn changed(changes: SuiteChanges) -> Result<Suite> {
        let mut suite = Suite::new("acme");
        changes.apply(&mut suite).map(|()| suite)
    }

    fn named(names: &[(&str, &str)]) -> SuiteChanges {
        let names = names.iter().map(|(c, n)| (c.to_string(), n.to_string())).collect();
        SuiteChanges { names, ..Default::default() }
    }

    #[test]
    fn ids() {
        for good in ["acme", "acme.web-1_x", "4711", &"x".repeat(40)] {
            check_name("suite", good).unwrap();
        }
        for bad in ["", "a b", "größe", "a/b", "../x", "-x", ".x", &"x".repeat(41), "a\n"] {
            assert_eq!(check_name("suite", bad).unwrap_err().kind(), ErrorKind::Configuration, "{bad}");
        }
    }

    #[test]
    fn expiry_depends_on_the_rules() {
        let classic = |days| changed(SuiteChanges { expiry_days: Some(days), ..Default::default() });
        assert_eq!(classic(730).unwrap().expiry_days, 730);
        assert!(classic(0).is_err() && classic(731).is_err());
        let current = SuiteChanges { rules: Some("current".into()), expiry_days: Some(90), ..Default::default() };
        assert!(changed(current.clone()).unwrap_err().to_string().contains("25 months"));
        changed(SuiteChanges { expiry_days: None, ..current }).unwrap();
    }

    #[test]
    fn zones_and_currencies() {
        let zone = |name: &str| changed(SuiteChanges { time_zone: Some(name.into()), ..Default::default() });
        assert_eq!(zone("europe/berlin").unwrap().time_zone, "Europe/Berlin");
        assert!(zone("Europe/Berln").unwrap_err().to_string().contains("did you mean Europe/Berlin?"));
        assert!(zone("new york").unwrap_err().to_string().contains("did you mean America/New_York?"));
        let money = |code: &str| changed(SuiteChanges { currency: Some(code.into()), ..Default::default() });
        assert_eq!(money("eur").unwrap().currency, "EUR");
        assert!(money("EURO").is_err());
    }

    #[test]
    fn friendly_names_are_unique_and_no_columns() {
        let suite = changed(named(&[("evar5", "Plan"), ("event10", "Lead closed")])).unwrap();
        assert_eq!(names(&suite).unwrap()["evar5"], "Plan");
        for bad in [
            [("evar5", "Plan"), ("evar6", "plan")],
            [("evar5", "Orders"), ("evar6", "x")],
            [("evar5", "evar6_set"), ("evar6", "x")],
            [("evar251", "Plan"), ("evar6", "x")],
            [("orders", "Plan"), ("evar6", "x")],
        ] {
            assert!(changed(named(&bad)).is_err(), "{bad:?}");
        }
        let renamed = changed(named(&[("evar5", "Plan"), ("evar5", ""), ("evar6", "Plan")])).unwrap();
        assert_eq!(names(&renamed).unwrap().len(), 1);
    }

    #[test]
    fn dimensions_persist() {
        let set = |rules: &[(&str, &str)]| {
            let persist = rules.iter().map(|(c, r)| (c.to_string(), r.to_string())).collect();
            changed(SuiteChanges { persist, ..Default::default() })
        };
        let suite = set(&[("tracking_code", "most_recent,30 days"), ("evar1", "original"), ("evar2", "last_known")]);
        let shown = |suite: &Suite| persistence(suite).unwrap().values().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown(&suite.unwrap()), ["original, visit", "last_known, visit", "most_recent, 30 days"]);
        assert_eq!(shown(&set(&[("evar1", "original"), ("evar1", "off")]).unwrap()), [""; 0]);
        assert_eq!(shown(&set(&[("plan", "original,leads"), ("Stage", "original,event5")]).unwrap()).len(), 2);
        for (bad, why) in [
            (("orders", "original"), "one value a row"),
            (("visitor_id", "original"), "one value a row"),
            (("evar1_set", "original"), "one value a row"),
            (("product", "original"), "one value a row"),
            (("evar1", "newest"), "most_recent"),
            (("evar1", "original,evar2"), "no metric"),
            (("evar1", "original,occurrences"), "no metric"),
            (("evar1", "first_known,2 days"), "visit or the visitor"),
        ] {
            let message = set(&[bad]).unwrap_err().to_string();
            assert!(message.contains(why), "{bad:?}: {message}");
        }
    }

    #[tokio::test]
    async fn a_suite_is_created_once_changed_and_found() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        assert!(suites(&lake).await.unwrap().is_empty());
        let missing = suite(&lake, "acme").await.unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Configuration);
        assert!(missing.to_string().contains("rejoin suite create acme"), "{missing}");
        create_suite(&lake, "acme", &SuiteChanges::default()).await.unwrap();
        let again = create_suite(&lake, "acme", &SuiteChanges::default()).await.unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Conflict);
        let off = SuiteChanges { transaction_id: Some(false), ..Default::default() };
        assert!(!set_suite(&lake, "acme", &off).await.unwrap().transaction_id);
        assert!(!suite(&lake, "acme").await.unwrap().transaction_id);
        let near = set_suite(&lake, "acne", &off).await.unwrap_err().to_string();
        assert!(near.contains("did you mean acme?"), "{near}");
        assert!(odd_settings(&suite(&lake, "acme").await.unwrap()).is_empty());
    }
}
