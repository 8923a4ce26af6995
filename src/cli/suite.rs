//! `rejoin suite`: report suites and their settings; what is typed for it.

use clap::{Args, Subcommand, ValueEnum};
use std::collections::BTreeMap;

use serde::Serialize;

use super::choice::choice;
use super::listing::Listing;
use super::output::Output;
use super::settings::Settings;
use crate::format::Format;
use crate::lake::bindings::{Binding, Bindings, bindings};
use crate::lake::records::Suite;
use crate::lake::suites::{
    CURRENT_EXPIRY_MONTHS, SuiteChanges, create_suite, names, persistence, placeholders, set_suite, suite, suites,
};
use crate::time::{Span, parse_span};
use crate::{Error, Result};

#[derive(Debug, Subcommand)]
pub enum SuiteCommand {
    /// Create a report suite
    #[command(after_help = "\
Examples:
  rejoin suite create acme
  rejoin suite create acme --time-zone Europe/Berlin --currency EUR --expiry 180d --name evar5=Plan")]
    Create(SuiteArguments),
    /// Change settings; they hold for all rows from the next rebuild on
    #[command(after_help = "\
Examples:
  rejoin suite set acme --transaction-id off
  rejoin suite set acme --rules current
  rejoin suite set acme --persist 'tracking_code=most_recent,30 days'
  rejoin suite set acme --name evar5=Plan --name event10='Lead closed'
  rejoin suite set acme --bind evar1=product --allocation original --expiry '30 days'")]
    Set(SuiteArguments),
    /// List the suites
    List,
    /// Show all settings of a suite
    Show {
        /// Report suite id
        rsid: String,
    },
}

#[derive(Debug, Args)]
pub struct SuiteArguments {
    /// Report suite id: letters, digits, `.`, `_`, `-`, at most 40
    pub rsid: String,
    /// Transaction ID recording; switching loses no data
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub transaction_id: Option<Switch>,
    /// Life of a transaction ID under classic rules: 90d, 26w, 2y; at most 730 days. With --bind, of a bound value: visit,
    /// visitor, '30 days', or a metric that ends it
    #[arg(long, value_name = "TIME")]
    pub expiry: Option<String>,
    /// Up to when the expiry counts: to the record's own time, or to when its file was received
    #[arg(long, value_name = "event|received", hide_possible_values = true)]
    pub expiry_basis: Option<ExpiryBasis>,
    /// Edition of the integration rules (rejoin help suites)
    #[arg(long, value_name = "classic|current", hide_possible_values = true)]
    pub rules: Option<Rules>,
    /// IANA time zone of the suite, e.g. Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<String>,
    /// Base currency, three letters
    #[arg(long, value_name = "CODE")]
    pub currency: Option<String>,
    /// Minutes without a hit that end a computed visit
    #[arg(long, value_name = "MINUTES")]
    pub visit_timeout: Option<i64>,
    /// Hours of activity that end a computed visit
    #[arg(long, value_name = "HOURS")]
    pub visit_hours: Option<i64>,
    /// Hits that end a computed visit
    #[arg(long, value_name = "HITS")]
    pub visit_hits: Option<i64>,
    /// Hits that apps send while nobody uses them: stored only (the default), or counted like others
    #[arg(long, value_name = "exclude|include", hide_possible_values = true)]
    pub background_hits: Option<BackgroundHits>,
    /// How the rows of a customer's devices become one person's: not at all (the default), each row by the ID nearest to it, or
    /// all rows of a device by its latest ID
    #[arg(long, value_name = "off|device_split|last", hide_possible_values = true)]
    pub persons: Option<Persons>,
    /// A customer ID on more visitors than this ties nobody together (20 by default)
    #[arg(long, value_name = "VISITORS")]
    pub person_limit: Option<i64>,
    /// Whether items that differ only in case are one, as in Adobe's reports (off by default)
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    pub fold_case: Option<Switch>,
    /// Customer IDs that are no person, besides 0, null and empty; replaces the former list
    #[arg(long, value_name = "ID,...", value_delimiter = ',')]
    pub placeholders: Option<Vec<String>>,
    /// How a dimension persists, e.g. tracking_code=most_recent,30 days; `off` takes it away
    #[arg(long, value_name = "COLUMN=ALLOCATION,EXPIRY")]
    pub persist: Vec<String>,
    /// Friendly name of an eVar, prop, list or event; an empty one takes it away
    #[arg(long, value_name = "COLUMN=NAME")]
    pub name: Vec<String>,
    /// Dimension whose values are bound to the product (or category) of a line; `evar1=` takes it away
    #[arg(long, value_name = "DIMENSION=product|category")]
    pub bind: Vec<String>,
    /// With --bind: where this metric is not zero, the row's value is bound to each of its products
    #[arg(long, value_name = "METRIC", requires = "bind")]
    pub binding_metric: Option<String>,
    /// With --bind: which of a product's values counts
    #[arg(long, value_name = "most_recent|original", requires = "bind")]
    pub allocation: Option<String>,
}

/// `on` or `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

choice! { /// Edition of the integration rules.
Rules { Classic => "classic", Current => "current" } }
choice! { /// What becomes of background hits.
BackgroundHits { Exclude => "exclude", Include => "include" } }
choice! { /// How persons are found.
Persons { Off => "off", DeviceSplit => "device_split", Last => "last" } }
choice! { /// What the expiry of a transaction ID is counted to.
ExpiryBasis { Event => "event", Received => "received" } }

/// The changes that `suite create` and `suite set` ask for. Ranges are checked where suites are kept.
pub fn suite_changes(typed: &SuiteArguments) -> Result<SuiteChanges> {
    let names = typed.name.iter().map(|text| match text.split_once('=') {
        Some((column, name)) => Ok((column.trim().to_lowercase(), name.trim().to_string())),
        None => Err(Error::usage(format!("--name {text}: expected COLUMN=NAME, e.g. evar5=Plan"))),
    });
    let bindings = typed.bind.iter().map(|text| bound(typed, text)).collect::<Result<Vec<_>>>()?;
    let expiry = typed.expiry.as_deref().filter(|_| bindings.is_empty());
    let persist = typed.persist.iter().map(|text| match text.split_once('=') {
        Some((column, rule)) => Ok((column.trim().to_string(), rule.trim().to_string())),
        None => Err(Error::usage(format!(
            "--persist {text}: expected COLUMN=ALLOCATION,EXPIRY, e.g. 'tracking_code=most_recent,30 days'"
        ))),
    });
    Ok(SuiteChanges {
        bindings,
        transaction_id: typed.transaction_id.map(|s| s == Switch::On),
        expiry_days: expiry.map(days).transpose().map_err(|e| e.at("--expiry"))?,
        expiry_basis: typed.expiry_basis.map(|b| b.word().into()),
        rules: typed.rules.map(|r| r.word().into()),
        time_zone: typed.time_zone.clone(),
        currency: typed.currency.clone(),
        visit_timeout_minutes: typed.visit_timeout,
        visit_hours: typed.visit_hours,
        visit_hits: typed.visit_hits,
        background_hits: typed.background_hits.map(|b| b == BackgroundHits::Include),
        fold_case: typed.fold_case.map(|s| s == Switch::On),
        placeholders: typed.placeholders.clone(),
        persons: typed.persons.map(|persons| persons.word().into()),
        person_limit: typed.person_limit,
        names: names.collect::<Result<_>>()?,
        persist: persist.collect::<Result<_>>()?,
    })
}

/// `evar1=product` with what else is said of it; `evar1=` takes it away.
fn bound(typed: &SuiteArguments, text: &str) -> Result<(String, Option<Binding>)> {
    let Some((dimension, bind)) = text.split_once('=') else {
        return Err(Error::usage(format!("--bind {text}: expected DIMENSION=product, e.g. evar1=product")));
    };
    let binding = match bind.trim() {
        "" | "off" => None,
        bind => {
            let words = [&typed.binding_metric, &typed.allocation, &typed.expiry].map(|word| word.as_deref());
            Some(Binding::new(bind, words[0], words[1], words[2]).map_err(|e| e.at(format!("--bind {text}")))?)
        }
    };
    Ok((dimension.trim().to_lowercase(), binding))
}

/// `90d`, `730 days`, `26w`, `2y` (years of 365 days) in days; a bare number is days.
pub fn days(text: &str) -> Result<i64> {
    match parse_span(text, Some("d")) {
        Ok(Span { days, rest_us: 0 }) => Ok(days),
        _ => Err(Error::usage(format!(
            "{text}: expected a whole number and a unit of days, weeks or years, e.g. 90d, 26w, 2y"
        ))),
    }
}

/// Runs `suite create`, `set`, `list`, `show`.
pub async fn run(settings: &Settings, command: &SuiteCommand) -> Result<()> {
    let lake = &settings.lake;
    let (shown, done) = match command {
        SuiteCommand::Create(typed) => {
            let created = create_suite(lake, &typed.rsid, &suite_changes(typed)?).await?;
            (vec![created], Some(format!("suite {} is created", typed.rsid)))
        }
        SuiteCommand::Set(typed) => {
            let set = set_suite(lake, &typed.rsid, &suite_changes(typed)?).await?;
            (vec![set], Some(format!("suite {} is set; its rows follow at the next rebuild", typed.rsid)))
        }
        SuiteCommand::Show { rsid } => (vec![suite(lake, rsid).await?], None),
        SuiteCommand::List => (suites(lake).await?, None),
    };
    let reports = shown.iter().map(SuiteReport::new).collect::<Result<Vec<_>>>()?;
    let mut output = Output::stdout(Format::Table);
    match (settings.json, command, reports.first()) {
        (true, SuiteCommand::List, _) => output.json(&reports)?,
        (true, _, report) => output.json(&report)?,
        (false, SuiteCommand::List, _) => output.batch(&list(&reports)?)?,
        (false, _, report) => {
            if let Some(done) = done {
                output.line(done)?;
            }
            for line in report.iter().flat_map(|r| r.lines()) {
                output.line(line)?;
            }
        }
    }
    output.close()
}

/// A suite as it is reported.
#[derive(Debug, Serialize)]
pub struct SuiteReport {
    pub suite: String,
    /// Transaction ID recording.
    pub transaction_id: bool,
    /// `90 days` or `25 months`.
    pub expiry: String,
    expiry_basis: String,
    pub rules: String,
    pub time_zone: String,
    currency: String,
    visit_timeout_minutes: i64,
    visit_hours: i64,
    visit_hits: i64,
    /// `exclude` or `include`.
    background_hits: &'static str,
    fold_case: bool,
    placeholders: Vec<String>,
    /// `off`, `device_split` or `last`.
    persons: String,
    person_limit: i64,
    names: BTreeMap<String, String>,
    bindings: Bindings,
    persistence: BTreeMap<String, String>,
    created: Option<chrono::DateTime<chrono::Utc>>,
}

impl SuiteReport {
    /// What is to be said of a suite.
    pub fn new(suite: &Suite) -> Result<Self> {
        let expiry = match suite.rules.as_str() {
            "current" => format!("{CURRENT_EXPIRY_MONTHS} months"),
            _ => format!("{} days", suite.expiry_days),
        };
        Ok(Self {
            suite: suite.suite.clone(),
            transaction_id: suite.transaction_id,
            expiry,
            expiry_basis: suite.expiry_basis.clone(),
            rules: suite.rules.clone(),
            time_zone: suite.time_zone.clone(),
            currency: suite.currency.clone(),
            visit_timeout_minutes: suite.visit_timeout_minutes,
            visit_hours: suite.visit_hours,
            visit_hits: suite.visit_hits,
            background_hits: if suite.background_hits { "include" } else { "exclude" },
            fold_case: suite.fold_case,
            placeholders: placeholders(suite)?,
            persons: if suite.has_persons() { suite.persons.clone() } else { "off".into() },
            person_limit: suite.person_limit,
            names: names(suite)?,
            bindings: bindings(suite)?,
            persistence: persistence(suite)?.into_iter().map(|(column, rule)| (column, rule.to_string())).collect(),
            created: suite.created,
        })
    }

    fn lines(&self) -> Vec<String> {
        let counted_to =
            if self.expiry_basis == "received" { "when the file is received" } else { "the record's time" };
        let names = self.names.iter().map(|(column, name)| format!("{column} {name:?}")).collect::<Vec<_>>().join(", ");
        let bound: Vec<_> =
            self.bindings.iter().map(|(dimension, binding)| format!("{dimension} to {binding}")).collect();
        let persistence = self.persistence.iter().map(|(column, rule)| format!("{column}: {rule}"));
        let persistence = persistence.collect::<Vec<_>>().join("; ");
        let persons = match self.persons.as_str() {
            "off" => String::new(),
            method => format!("{method}, an ID on more than {} visitors links nobody", self.person_limit),
        };
        [
            ("transaction ID", on_off(self.transaction_id).to_string()),
            ("expiry", format!("{}, to {counted_to}", self.expiry)),
            ("rules", self.rules.clone()),
            ("time zone", self.time_zone.clone()),
            ("currency", self.currency.clone()),
            (
                "computed visits",
                format!(
                    "end after {} minutes without a hit, {} hours, or {} hits",
                    self.visit_timeout_minutes, self.visit_hours, self.visit_hits
                ),
            ),
            ("background hits", self.background_hits.to_string()),
            ("fold case", on_off(self.fold_case).to_string()),
            (
                "nobody's customer ids",
                ["0, null".into(), self.placeholders.join(", ")].join(", ").trim_end_matches(", ").into(),
            ),
            ("persons", persons),
            ("friendly names", names),
            ("bound to products", bound.join("; ")),
            ("persistence", persistence),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(what, value)| format!("  {what:<22}{value}"))
        .collect()
    }
}

/// `on` or `off`.
pub fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

fn list(reports: &[SuiteReport]) -> Result<arrow::array::RecordBatch> {
    Listing::new()
        .text("suite", reports.iter().map(|r| &r.suite))
        .text("transaction ID", reports.iter().map(|r| on_off(r.transaction_id)))
        .text("expiry", reports.iter().map(|r| &r.expiry))
        .text("rules", reports.iter().map(|r| &r.rules))
        .text("time zone", reports.iter().map(|r| &r.time_zone))
        .text("currency", reports.iter().map(|r| &r.currency))
        .batch()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn expiries() {
        for (text, expected) in [("90d", 90), ("730 days", 730), ("2y", 730), ("26w", 182), ("1 year", 365), ("7", 7)] {
            assert_eq!(days(text).unwrap(), expected, "{text}");
        }
        for wrong in ["", "d", "2 months", "1.5d", "-3d", "99999999999999999999d", "99999999999999999y"] {
            assert_eq!(days(wrong).unwrap_err().kind(), ErrorKind::Usage, "{wrong}");
        }
    }
}
