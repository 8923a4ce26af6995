//! The mapping file: how the columns of any other clickstream become ours.
//!
//! In: TOML text. Out: a [`Mapping`] whose names are checked: no unknown key, no name that stands for two things, nothing
//! that its kind of rows cannot have. Whether an expression fits a file is known only when the file is read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::{Table, Value};

use super::cells::EpochUnit;
use super::delimited::{Delimited, names};
use super::exchange::Currency;
use super::json_elements::{ListPath, take_path};
use super::pattern::Pattern;
use super::products::Products;
use crate::attribution::{Expiry, Persistence};
use crate::columns::{self, KEYS};
use crate::error::did_you_mean;
use crate::feed::event_list::is_metric_name;
use crate::feed::row_issue::{clip, without_long_pieces};
use crate::lake::bindings::{Binding, Bindings, check_dimension};
use crate::lake::suites::can_persist;
use crate::{Error, Result};

/// Online hits or offline records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MappedKind {
    /// Rows go to `hits`.
    Online,
    /// Rows go to `offline`.
    Offline,
}

/// A checked mapping. Every value is a column of the file or a SQL expression over its columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mapping {
    /// What a row is.
    pub kind: MappedKind,
    /// Suite of all rows, unless `--suite` says it.
    pub suite: Option<String>,
    /// Data source of offline records, unless `--source` says it.
    pub source: Option<String>,
    /// Visitor id (online, required).
    pub visitor_id: Option<String>,
    /// Time of the row.
    pub time: String,
    /// Unit of `time` where that is a number.
    pub time_unit: Option<EpochUnit>,
    /// Zone of times that name none; UTC by default.
    #[serde(serialize_with = "zone_name")]
    pub time_zone: chrono_tz::Tz,
    /// The visit: a number or a name; computed without it.
    pub visit: Option<String>,
    /// Transaction ID.
    pub transaction_id: Option<String>,
    /// Customer ID.
    pub customer_id: Option<String>,
    /// What tells a hit from the visitor's others: rows with one key are one hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Our dimension to its expression.
    pub dimensions: BTreeMap<String, String>,
    /// Our metric to its expression.
    pub metrics: BTreeMap<String, String>,
    /// The dimensions that a snapshot takes, when the default (all but a few) is not wanted.
    pub snapshot: Option<Vec<String>>,
    /// The dimensions whose values persist: rules of the suite, which change no row that is loaded.
    #[serde(skip)]
    pub persistence: BTreeMap<String, Persistence>,
    /// The list of a file of JSON whose elements are its rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<ListPath>,
    /// A list of the file, each element of which is a row of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unnest: Option<String>,
    /// How a delimited text is written.
    #[serde(skip_serializing_if = "Delimited::is_default")]
    pub delimited: Delimited,
    /// Patterns of the files that are its own; no part of what a row means.
    #[serde(skip)]
    pub files: Vec<Pattern>,
    /// The file that it was read from, for messages.
    #[serde(skip)]
    pub path: Option<PathBuf>,
    /// The product lines of a row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub products: Option<Products>,
    /// How amounts become amounts in the suite's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// The dimensions that are bound to products: settings of the suite, which change no row that is loaded.
    #[serde(skip)]
    pub bindings: Bindings,
}

/// Longest message of what is wrong with a mapping.
const MAX_MESSAGE_BYTES: usize = 800;

/// Longest piece of the mapping in one.
const MAX_PIECE_BYTES: usize = 300;

/// Keys of the file, in the order of the manual.
const MAPPING_KEYS: [&str; 30] = [
    "kind",
    "suite",
    "source",
    "visitor_id",
    "time",
    "time_unit",
    "time_zone",
    "visit",
    "transaction_id",
    "customer_id",
    "key",
    "snapshot",
    "rows",
    "unnest",
    "files",
    "delimiter",
    "header",
    "columns",
    "skip",
    "quote",
    "escape",
    "comment",
    "encoding",
    "null_values",
    "dimensions",
    "metrics",
    "products",
    "currency",
    "binding",
    "persistence",
];

impl Mapping {
    /// Reads a mapping file; errors are of kind configuration and name the file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => {
                Error::configuration(format!("mapping {}: no text in UTF-8; save it as that", path.display()))
            }
            _ => Error::configuration(format!("mapping {}: {e}", path.display())),
        })?;
        let mapping = Self::parse(&text).map_err(|e| e.at(format!("mapping {}", path.display())))?;
        Ok(Self { path: Some(path.to_path_buf()), ..mapping })
    }

    /// What it is called in messages.
    pub fn label(&self) -> String {
        self.path.as_ref().map_or_else(|| "the mapping".into(), |path| path.display().to_string())
    }

    /// True where one of its patterns fits the end of a path, which may be a URL.
    pub fn is_for(&self, path: &Path) -> bool {
        self.files.iter().any(|pattern| pattern.end_of(path).is_some())
    }

    /// Parses and checks the text of a mapping file.
    pub fn parse(text: &str) -> Result<Self> {
        // a mistake may be as long as the file
        let short = |said: &str| without_long_pieces(clip(said, MAX_MESSAGE_BYTES), text, MAX_PIECE_BYTES);
        Self::checked(text).map_err(|e| Error::new(e.kind(), short(&e.to_string())))
    }

    fn checked(text: &str) -> Result<Self> {
        let mut table: Table = toml::from_str(text).map_err(|e| {
            let hint = if is_bare_word(text, &e) { "; a text stands in quotes" } else { "" };
            wrong(format!("{}{hint}{}", e.message(), line_of(text, &e)))
        })?;
        if let Some(unknown) = table.keys().find(|k| !MAPPING_KEYS.contains(&k.as_str())) {
            let hint = did_you_mean(unknown, MAPPING_KEYS);
            return Err(wrong(format!("unknown key {unknown}{hint} (known: {})", MAPPING_KEYS.join(", "))));
        }
        let kind = match required(&mut table, "kind")?.as_str() {
            "online" => MappedKind::Online,
            "offline" => MappedKind::Offline,
            other => return Err(wrong(format!("kind = {other:?}; give \"online\" or \"offline\""))),
        };
        let mapping = Self {
            kind,
            suite: optional(&mut table, "suite")?,
            source: optional(&mut table, "source")?,
            visitor_id: optional(&mut table, "visitor_id")?,
            time: required(&mut table, "time")?,
            time_unit: optional(&mut table, "time_unit")?.map(|u| epoch_unit(&u)).transpose()?,
            time_zone: optional(&mut table, "time_zone")?.map_or(Ok(chrono_tz::UTC), |z| time_zone(&z))?,
            visit: optional(&mut table, "visit")?,
            transaction_id: optional(&mut table, "transaction_id")?,
            customer_id: optional(&mut table, "customer_id")?,
            key: optional(&mut table, "key")?,
            snapshot: names(&mut table, "snapshot")?,
            rows: take_path(&mut table)?,
            unnest: optional(&mut table, "unnest")?,
            delimited: Delimited::take(&mut table)?,
            files: files(&mut table)?,
            path: None,
            dimensions: expressions(&mut table, "dimensions")?,
            metrics: expressions(&mut table, "metrics")?,
            products: Products::take(&mut table)?,
            currency: Currency::take(&mut table)?,
            bindings: bindings(&mut table)?,
            persistence: persistence(&mut table)?,
        };
        mapping.check()?;
        Ok(mapping)
    }

    /// The mapping as text that changes exactly when its meaning does; part of a load's identity. A new key must not change
    /// it where it is not used, or every loaded file would seem to be another one.
    pub fn fingerprint(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|e| Error::bug(format!("mapping: {e}")))
    }

    fn check(&self) -> Result<()> {
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        let dimensions = self.dimensions.keys().map(|n| ("dimension", n));
        let metrics = self.metrics.keys().map(|n| ("metric", n));
        for (what, name) in dimensions.chain(metrics) {
            check_name(what, name)?;
            if let Some(other) = seen.insert(name.to_lowercase(), what) {
                let both = if other == what {
                    "is there twice (upper and lower case are one)"
                } else {
                    "is a dimension and a metric"
                };
                return Err(wrong(format!("{name} {both}; give one of them another name")));
            }
        }
        let beside = |name: &&String| {
            columns::dimension_of_set(name).is_some_and(|dimension| self.dimensions.contains_key(dimension))
        };
        if let Some(name) = self.dimensions.keys().find(beside) {
            return Err(wrong(format!(
                "dimension {name}: beside the dimension without _set this name belongs to Rejoin, for what a row itself set"
            )));
        }
        let of_lines = self.products.iter().flat_map(Products::columns);
        if let Some(twice) = of_lines.clone().find(|name| self.dimensions.contains_key(*name)) {
            return Err(wrong(format!("{twice} comes of [products]; take it out of [dimensions]")));
        }
        for name in self.snapshot.iter().flatten() {
            if !self.dimensions.contains_key(name) && !of_lines.clone().any(|known| known == name) {
                let hint = did_you_mean(name, self.dimensions.keys().map(String::as_str));
                return Err(wrong(format!("snapshot names {name}, which is no mapped dimension{hint}")));
            }
        }
        self.check_persistence()?;
        self.check_currency()?;
        let given = |value: &Option<String>, key: &'static str| value.is_some().then_some(key);
        let (missing, foreign) = match self.kind {
            MappedKind::Online => (self.visitor_id.is_none().then_some("visitor_id"), given(&self.source, "source")),
            MappedKind::Offline => {
                let foreign = given(&self.visitor_id, "visitor_id").or(given(&self.visit, "visit"));
                let foreign = foreign.or(given(&self.key, "key"));
                (self.metrics.is_empty().then_some("[metrics]"), foreign)
            }
        };
        if let Some(key) = missing {
            return Err(wrong(format!("{key} is missing; {} rows need it", self.kind_name())));
        }
        if let Some(key) = foreign {
            let hint = match key {
                "visitor_id" => "; a customer is named by customer_id",
                "key" => "; each row of a file is a record of its own",
                _ => "",
            };
            return Err(wrong(format!("{key} does not belong in a mapping of {} rows{hint}", self.kind_name())));
        }
        if self.kind == MappedKind::Offline && self.snapshot.is_some() {
            return Err(wrong(
                "snapshot does not belong in a mapping of offline rows; snapshots are made of online hits",
            ));
        }
        Ok(())
    }

    /// Names that are almost one of those which Rejoin's reports, snapshots and page views know: each with its key and what
    /// to do. They load all the same.
    pub fn near_names(&self) -> Vec<(String, String)> {
        let dimensions = self.dimensions.keys().map(|name| ("dimensions", name));
        let metrics = self.metrics.keys().map(|name| ("metrics", name));
        let near = dimensions.chain(metrics).filter_map(|(section, name)| {
            let known = known_name(name)?;
            Some((
                format!("{section}.{name}"),
                format!("if this is {known}, call it so: reports and snapshots know it by that name"),
            ))
        });
        near.collect()
    }

    fn check_persistence(&self) -> Result<()> {
        for (column, rule) in &self.persistence {
            if self.kind == MappedKind::Offline {
                return Err(wrong(
                    "[persistence] does not belong in a mapping of offline rows; they set no value that persists",
                ));
            }
            if !self.dimensions.contains_key(column) {
                let hint = did_you_mean(column, self.dimensions.keys().map(String::as_str));
                return Err(wrong(format!("[persistence] names {column}, which is no mapped dimension{hint}")));
            }
            if !can_persist(column) {
                return Err(wrong(format!("[persistence] {column}: a dimension with one value a row can persist")));
            }
            if let Expiry::Metric(metric) = &rule.expiry
                && !self.metrics.contains_key(metric)
                && (!is_metric_name(metric) || metric == "occurrences")
            {
                let hint = did_you_mean(metric, self.metrics.keys().map(String::as_str));
                return Err(wrong(format!("[persistence] {column} ends with {metric}, which is no metric{hint}")));
            }
        }
        Ok(())
    }

    fn check_currency(&self) -> Result<()> {
        let Some(currency) = &self.currency else { return Ok(()) };
        if self.products.as_ref().is_some_and(Products::is_text) {
            return Err(wrong(
                "[currency] and products.text: prices in a list as Adobe writes it are in one currency; map its parts instead",
            ));
        }
        let of_lines = |metric: &str| metric == "revenue" && self.products.is_some();
        let is_mapped = |metric: &str| self.metrics.contains_key(metric) || of_lines(metric);
        if let Some(metric) = currency.metrics.iter().find(|metric| !is_mapped(metric)) {
            let hint = did_you_mean(metric, self.metrics.keys().map(String::as_str));
            return Err(wrong(format!("currency.metrics names {metric}, which is no mapped metric{hint}")));
        }
        Ok(())
    }

    /// `online` or `offline`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            MappedKind::Online => "online",
            MappedKind::Offline => "offline",
        }
    }
}

/// What people call our dimensions and metrics elsewhere.
const OTHER_NAMES: [(&str, &str); 22] = [
    ("campaign", "tracking_code"),
    ("utm_campaign", "tracking_code"),
    ("trackingcode", "tracking_code"),
    ("page", "page_name"),
    ("pagename", "page_name"),
    ("page_title", "page_name"),
    ("url", "page_url"),
    ("pageurl", "page_url"),
    ("channel", "marketing_channel"),
    ("country", "geo_country"),
    ("referrer_domain", "referring_domain"),
    ("zip_code", "zip"),
    ("postcode", "zip"),
    ("products", "product"),
    ("quantity", "units"),
    ("amount", "revenue"),
    ("price", "revenue"),
    ("pageviews", "page_views"),
    ("purchases", "orders"),
    ("transactions", "orders"),
    ("add_to_cart", "cart_adds"),
    ("search_term", "search_keyword"),
];

/// The name of ours that `name` is almost.
fn known_name(name: &str) -> Option<String> {
    let lower = name.to_lowercase();
    let metrics = ["orders", "units", "revenue", "page_views", "product_views", "cart_adds", "checkouts"];
    let ours = || columns::DIMENSIONS.iter().copied().chain(metrics);
    if is_metric_name(&lower) || ours().any(|known| known == lower) {
        return None;
    }
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == lower).map(|(_, known)| *known);
    let known = other.or_else(|| ours().find(|known| known.len() > 5 && strsim::levenshtein(known, &lower) == 1));
    known.map(str::to_string).or_else(|| numbered_name(&lower))
}

/// `evar_1` and `prop01` are almost `evar1` and `prop1`.
fn numbered_name(lower: &str) -> Option<String> {
    columns::NUMBERED.iter().find_map(|(prefix, last)| {
        let number = lower.strip_prefix(*prefix)?.trim_start_matches(['_', '0']);
        let known = format!("{prefix}{number}");
        (known != lower && columns::numbered(&known, prefix).is_some_and(|number| number <= *last)).then_some(known)
    })
}

fn wrong(message: impl Into<String>) -> Error {
    Error::configuration(message)
}

/// True where the error is about a word without quotes that stands as a value and begins as `true`, `false`, `inf` or `nan` do: the
/// parser takes it for one of these.
fn is_bare_word(text: &str, error: &toml::de::Error) -> bool {
    let parts = error.span().and_then(|span| Some((text.get(..span.start)?, text.get(span)?)));
    parts.is_some_and(|(before, word)| {
        before.trim_end().ends_with(['=', '[', ','])
            && word.starts_with(['t', 'T', 'f', 'F', 'i', 'I', 'n', 'N'])
            && !word.contains(' ')
    })
}

fn line_of(text: &str, error: &toml::de::Error) -> String {
    error.span().map_or_else(String::new, |span| {
        let before = text.get(..span.start).unwrap_or(text);
        format!(" (line {})", before.matches('\n').count() + 1)
    })
}

fn optional(table: &mut Table, key: &str) -> Result<Option<String>> {
    match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => {
            Err(wrong(format!("{key} is empty; leave it out instead")))
        }
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong(format!("{key} is a {}; give a text", other.type_str()))),
    }
}

fn required(table: &mut Table, key: &str) -> Result<String> {
    optional(table, key)?.ok_or_else(|| wrong(format!("{key} is missing")))
}

fn files(table: &mut Table) -> Result<Vec<Pattern>> {
    // one pattern may stand without brackets
    if let Some(Value::String(one)) = table.get("files") {
        let one = vec![Value::String(one.clone())];
        table.insert("files".into(), Value::Array(one));
    }
    names(table, "files")?.unwrap_or_default().iter().map(|text| Pattern::parse(text)).collect()
}

fn expressions(table: &mut Table, key: &str) -> Result<BTreeMap<String, String>> {
    let Some(value) = table.remove(key) else { return Ok(BTreeMap::new()) };
    let Value::Table(entries) = value else { return Err(wrong(format!("{key} is no table; write [{key}]"))) };
    let text = |(name, value): (String, Value)| match value {
        Value::String(text) if !text.trim().is_empty() => Ok((name, text)),
        Value::Integer(number) => Ok((name, number.to_string())),
        Value::Float(number) => Ok((name, number.to_string())),
        other if MAPPING_KEYS.contains(&name.as_str()) => Err(wrong(format!(
            "{name} stands below [{key}] and is a {}; in TOML it must stand above the first [section]",
            other.type_str()
        ))),
        _ => Err(wrong(format!("{key}.{name}: give a column's name or a SQL expression as text"))),
    };
    entries.into_iter().map(text).collect()
}

/// `evar1 = "product"`, or a table with the words of `suite set --bind`.
fn bindings(table: &mut Table) -> Result<Bindings> {
    const WORDS: [&str; 4] = ["bind", "binding_metric", "allocation", "expiry"];
    let Some(value) = table.remove("binding") else { return Ok(Bindings::new()) };
    let Value::Table(entries) = value else { return Err(wrong("binding is no table; write [binding]")) };
    let binding = |(dimension, value): (String, Value)| {
        let at = |e: Error| e.at(format!("binding.{dimension}"));
        check_dimension(&dimension).map_err(at)?;
        let mut words = match value {
            Value::String(bind) => Table::from_iter([("bind".to_string(), Value::String(bind))]),
            Value::Table(words) => words,
            _ => return Err(at(wrong("write \"product\", or { bind = \"product\", expiry = \"30 days\" }"))),
        };
        let [bind, metric, allocation, expiry] = WORDS.map(|word| optional(&mut words, word));
        if let Some(unknown) = words.keys().next() {
            let hint = did_you_mean(unknown, WORDS);
            return Err(at(wrong(format!("unknown key {unknown}{hint} (known: {})", WORDS.join(", ")))));
        }
        let (bind, metric) = (bind.map_err(at)?, metric.map_err(at)?);
        let (allocation, expiry) = (allocation.map_err(at)?, expiry.map_err(at)?);
        let bind = bind.ok_or_else(|| at(wrong("bind is missing; it is product or category")))?;
        let binding = Binding::new(&bind, metric.as_deref(), allocation.as_deref(), expiry.as_deref()).map_err(at)?;
        Ok((dimension.clone(), binding))
    };
    entries.into_iter().map(binding).collect()
}

/// `column = { allocation = "...", expiry = "..." }`, each of both optional.
fn persistence(table: &mut Table) -> Result<BTreeMap<String, Persistence>> {
    let Some(value) = table.remove("persistence") else { return Ok(BTreeMap::new()) };
    let Value::Table(entries) = value else { return Err(wrong("persistence is no table; write [persistence]")) };
    let rule = |(column, value): (String, Value)| {
        let at = |e: Error| e.at(format!("persistence.{column}"));
        let Value::Table(mut words) = value else {
            return Err(at(wrong("write { allocation = \"most_recent\", expiry = \"30 days\" }")));
        };
        let (allocation, expiry) =
            (optional(&mut words, "allocation").map_err(at)?, optional(&mut words, "expiry").map_err(at)?);
        if let Some(unknown) = words.keys().next() {
            let hint = did_you_mean(unknown, ["allocation", "expiry"]);
            return Err(at(wrong(format!("unknown key {unknown}{hint} (known: allocation, expiry)"))));
        }
        let rule = Persistence::of(allocation.as_deref(), expiry.as_deref()).map_err(|e| at(wrong(e)))?;
        Ok((column, rule))
    };
    entries.into_iter().map(rule).collect()
}

fn epoch_unit(text: &str) -> Result<EpochUnit> {
    match text {
        "s" => Ok(EpochUnit::Second),
        "ms" => Ok(EpochUnit::Millisecond),
        "us" => Ok(EpochUnit::Microsecond),
        "ns" => Ok(EpochUnit::Nanosecond),
        other => Err(wrong(format!("time_unit = {other:?}; give \"s\", \"ms\", \"us\" or \"ns\""))),
    }
}

fn time_zone(text: &str) -> Result<chrono_tz::Tz> {
    text.parse().map_err(|_| {
        let hint = did_you_mean(text, chrono_tz::TZ_VARIANTS.iter().map(|z| z.name()));
        wrong(format!("time_zone = {text:?} is no IANA time zone{hint}"))
    })
}

fn zone_name<S: serde::Serializer>(zone: &chrono_tz::Tz, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(zone.name())
}

fn check_name(what: &str, name: &str) -> Result<()> {
    let mut characters = name.chars();
    let sane = characters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
        && name.len() <= 128;
    if !sane {
        return Err(wrong(format!(
            "{what} {name:?}: a name is letters, digits and _, and does not begin with a digit"
        )));
    }
    let lower = name.to_lowercase();
    if KEYS.contains(&lower.as_str()) || columns::FEED_INTEGERS.contains(&lower.as_str()) {
        let advice = if MAPPING_KEYS.contains(&lower.as_str()) {
            format!("; set {lower} above [dimensions] instead")
        } else {
            String::new()
        };
        return Err(wrong(format!("{what} {name}: this name belongs to Rejoin{advice}")));
    }
    if lower == "occurrences" {
        return Err(wrong("occurrences is counted, not loaded; give the column another name"));
    }
    let is_metric = is_metric_name(&lower);
    let is_dimension = columns::DIMENSIONS.contains(&lower.as_str())
        || ["evar", "prop", "list"].iter().any(|prefix| columns::numbered(&lower, prefix).is_some());
    match what {
        "dimension" if is_metric => Err(wrong(format!("{name} is a metric everywhere; move it to [metrics]"))),
        "metric" if is_dimension => Err(wrong(format!("{name} is a dimension everywhere; move it to [dimensions]"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const ONLINE: &str = "kind = 'online'\nvisitor_id = 'user'\ntime = 'ts'\n";

    fn error(text: &str) -> String {
        Mapping::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn a_full_mapping_is_read() {
        let mapping = Mapping::parse(&format!(
            "{ONLINE}suite = 'web'\ntime_unit = 'ms'\ntime_zone = 'Europe/Paris'\nvisit = 'n'\nsnapshot = ['tracking_code']\n\
             [dimensions]\ntracking_code = 'utm'\n[metrics]\norders = \"CASE WHEN name = 'purchase' THEN 1 ELSE 0 END\"\nunits = 1\n"
        ))
        .unwrap();
        assert_eq!(mapping.time_unit, Some(EpochUnit::Millisecond));
        assert_eq!(mapping.time_zone, chrono_tz::Europe::Paris);
        assert_eq!(mapping.metrics["units"], "1");
        assert_eq!(mapping.snapshot, Some(vec!["tracking_code".to_string()]));
    }

    #[test]
    fn a_text_without_quotes() {
        for word in ["timestamp", "first_seen", "user", "name"] {
            let said = error(&format!("kind = 'online'\nvisitor_id = 'user'\ntime = {word}\n"));
            assert!(said.contains("quote") && said.contains("(line 3)"), "{word}: {said}");
        }
    }

    #[test]
    fn almost_our_names() {
        let near = |names: &[&str]| {
            let lines: String = names.iter().map(|name| format!("{name} = 'x'\n")).collect();
            let mapping = Mapping::parse(&format!("{ONLINE}[dimensions]\n{lines}")).unwrap();
            mapping
                .near_names()
                .into_iter()
                .map(|(key, reason)| format!("{key} {reason}"))
                .collect::<Vec<_>>()
                .join(";")
        };
        for (name, known) in [
            ("campaign", "tracking_code"),
            ("PageName", "page_name"),
            ("tracking_cod", "tracking_code"),
            ("pagename", "page_name"),
            ("geo_countri", "geo_country"),
            ("search_term", "search_keyword"),
            ("prop_7", "prop7"),
            ("eVar_010", "evar10"),
            ("evar01", "evar1"),
        ] {
            assert!(near(&[name]).contains(&format!("if this is {known},")), "{name}: {}", near(&[name]));
        }
        assert_eq!(near(&["tracking_code", "page_name", "evar1", "plan", "stage", "zip", "list1"]), "");
        assert_eq!(near(&["evar250", "evar251", "evar_251", "list4", "property_1", "evar_", "evar_1_of_2"]), "");
    }

    #[test]
    fn product_lines_and_what_is_bound() {
        let of = |text: &str| Mapping::parse(&format!("{ONLINE}{text}"));
        let plain = of("").unwrap().fingerprint().unwrap();
        assert!(!plain.contains("products") && !plain.contains("bind"), "{plain}");
        let mapping = of("[products]\nlist = 'items'\nproduct = 'sku'\nprice = 'price * quantity'\n[products.events]\nevent5 = 'margin'\n\
             [products.bound]\nevar1 = 'found'\n[binding]\nevar1 = 'product'\nevar2 = { bind = 'category', expiry = '30 days' }")
        .unwrap();
        assert!(mapping.fingerprint().unwrap().contains("price * quantity"));
        let bound: Vec<_> = mapping.bindings.iter().map(|(name, binding)| format!("{name} {binding}")).collect();
        assert_eq!(
            bound,
            ["evar1 product, most_recent, expiry visitor", "evar2 category, most_recent, expiry 30 days"]
        );
        let error = |text: &str| of(text).unwrap_err().to_string();
        for (text, why) in [
            ("[products]\nprice = 'p'", "needs product or category"),
            ("[products]\nprodct = 'p'", "did you mean product?"),
            ("[products]\ntext = 't'\nprice = 'p'", "leave the other keys"),
            ("[products]\nproduct = 'p'\n[products.events]\nmargin = 'm'", "event1 to event1000"),
            ("[products]\nproduct = 'p'\n[products.bound]\nlist1 = 'm'", "several of them"),
            ("[dimensions]\ncategory = 'c'\n[products]\nproduct = 'p'", "comes of [products]"),
            ("[binding]\nevar1 = 'produkt'", "did you mean product?"),
            ("[binding]\nevar1 = { bind = 'product', expire = 'visit' }", "did you mean expiry?"),
            ("[binding]\nevar1 = { expiry = 'visit' }", "bind is missing"),
        ] {
            assert!(error(text).contains(why), "{text}: {}", error(text));
        }
    }

    #[test]
    fn dimensions_persist() {
        let text = "[dimensions]\na = 'a'\nb = 'b'\n[metrics]\nleads = 'l'\n[persistence]\n\
                    a = { allocation = 'original', expiry = '30 days' }\nb = { expiry = 'leads' }";
        let mapping = Mapping::parse(&format!("{ONLINE}{text}")).unwrap();
        let shown: Vec<_> = mapping.persistence.iter().map(|(column, rule)| format!("{column}={rule}")).collect();
        assert_eq!(shown, ["a=original, 30 days", "b=most_recent, leads"]);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(error("kind = 'onlin'\ntime = 't'").contains("\"online\" or \"offline\""));
        assert!(error(&format!("{ONLINE}vist = 'n'")).contains("did you mean visit?"));
        assert!(error("kind = 'online'\ntime = 't'").contains("visitor_id is missing"));
        assert!(error(&format!("{ONLINE}source = 'x'")).contains("does not belong"));
        assert!(error(&format!("{ONLINE}[dimensions]\nhit_time = 'x'")).contains("belongs to Rejoin"));
        assert!(
            error(&format!("{ONLINE}[dimensions]\nplan = 'x'\n[metrics]\nplan = 'y'"))
                .contains("dimension and a metric")
        );
        assert!(error(&format!("{ONLINE}[dimensions]\norders = 'x'")).contains("[metrics]"));
        assert!(error(&format!("{ONLINE}[metrics]\nevar5 = 'x'")).contains("[dimensions]"));
        assert!(error(&format!("{ONLINE}[metrics]\norders = 'x'\nsnapshot = ['a']")).contains("above the first"));
        assert!(error(&format!("{ONLINE}time_zone = 'Europe/Pariss'")).contains("did you mean Europe/Paris?"));
        assert!(
            error(&format!("{ONLINE}snapshot = ['campain']\n[dimensions]\ncampaign = 'c'"))
                .contains("did you mean campaign?")
        );
        assert!(error("kind = 'offline'\ntime = 't'").contains("[metrics] is missing"));
        let persisting = |rule: &str| {
            format!("{ONLINE}[dimensions]\ncampaign = 'c'\nlist1 = 'l'\n[metrics]\nleads = 'l'\n[persistence]\n{rule}")
        };
        assert!(error(&persisting("campain = {}")).contains("did you mean campaign?"));
        assert!(error(&persisting("campaign = { expiry = 'lead' }")).contains("did you mean leads?"));
        assert!(error(&persisting("campaign = { alloc = 'original' }")).contains("allocation"));
        assert!(error(&persisting("campaign = { allocation = 'first' }")).contains("first_known"));
        assert!(error(&persisting("campaign = 'visit'")).contains("expiry ="));
        assert!(error(&persisting("campaign = { allocation = 'last_known', expiry = '3 days' }")).contains("visitor"));
        assert!(error("kind = online").contains("line 1"));
        assert!(
            error(&format!("{ONLINE}[dimensions]\ndata = 'a'\ndata_set = 'b'")).contains("for what a row itself set")
        );
        assert!(Mapping::parse(&format!("{ONLINE}[dimensions]\ndata_set = 'b'")).is_ok());
    }
}
