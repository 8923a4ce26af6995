//! What an export is: the metric, whose conversions, what is sent of them and to whom.
//!
//! What a user wrote is checked here as far as words go; whether SQL can be answered is asked where there is data (`saved`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::fields::{self, Form};
use super::target::Target;
use crate::error::did_you_mean;
use crate::lake::records::ExportDefinition;
use crate::time::{DAY_US, parse_duration};
use crate::{Error, Result};

/// Characters that a name may have.
pub(super) const LONGEST_NAME: usize = 60;

/// An export.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Export {
    /// Its name, a folder's of the lake.
    #[serde(rename = "export")]
    pub name: String,
    /// Suite.
    pub suite: String,
    /// To whom.
    pub target: Target,
    /// A row of `events` on which this metric is not zero is a conversion.
    pub metric: String,
    /// All else.
    #[serde(flatten)]
    pub settings: Settings,
}

/// What else says what is sent. Conditions and expressions are SQL over the columns of `events`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The value; the metric itself otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value is the credit of some items.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credit: Option<Credit>,
    /// Which conversions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversions: Option<String>,
    /// Those of visitors some row of whom satisfies this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visitors: Option<String>,
    /// Those in visits some row of which satisfies this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visits: Option<String>,
    /// Those of a segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment: Option<String>,
    /// Fields of the target, each with the expression that it comes from.
    pub fields: BTreeMap<String, String>,
    /// Fields that are the same for all conversions.
    pub constants: BTreeMap<String, String>,
    /// Fields that are hashed besides those that the target wants hashed.
    pub hash: BTreeSet<String>,
    /// Personal fields that leave the lake as they are.
    pub plain: BTreeSet<String>,
    /// Only conversions where this is true are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consent: Option<String>,
    /// How old a conversion may be that is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<String>,
}

/// The value of a conversion is what some items get of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Credit {
    /// A condition over `item`.
    pub items: String,
    /// The dimension.
    pub dimension: String,
    /// Further arguments of the table function `credits`: name, value as SQL.
    pub arguments: BTreeMap<String, String>,
}

impl Export {
    /// How old a conversion may be when a run tells it, microseconds, so that it is not too old when it arrives.
    pub(super) fn oldest_age_us(&self) -> Result<Option<i64>> {
        let most = self.target.most_us(self.in_store()).map(|most| most - self.target.on_its_way_us());
        Ok([self.oldest_us()?, most].into_iter().flatten().min())
    }

    /// What is wrong with it before any data is asked.
    pub fn check(&self) -> Result<()> {
        let wrong = |why: String| Err(Error::configuration(format!("export {}: {why}", self.name)));
        check_name(&self.name)?;
        let known = fields::of(self.target);
        let settings = &self.settings;
        let (given, constant) = (settings.fields.keys(), settings.constants.keys());
        for (name, option) in given.map(|n| (n, "--field")).chain(constant.map(|n| (n, "--set"))) {
            let field = known.iter().find(|field| field.name == name);
            if self.target != Target::Csv && field.is_none() {
                let hint = did_you_mean(name, known.iter().map(|field| field.name));
                return wrong(format!("{} has no field {name}{hint}; rejoin help exports lists them", self.target));
            }
            if self.target == Target::Csv && !is_header(name) {
                return wrong(format!(
                    "{name} is no column of a file: letters, digits and _, and not one that each file has"
                ));
            }
            if option == "--field" && field.is_some_and(|field| field.form == Form::Fixed) {
                return wrong(format!("{name} is the same for all conversions; give it with --set {name}=..."));
            }
            if option == "--set" && settings.fields.contains_key(name) {
                return wrong(format!("{name} is given by --field and by --set"));
            }
        }
        for (names, option) in [(&settings.hash, "--hash"), (&settings.plain, "--plain")] {
            if let Some(name) = names.iter().find(|name| !settings.fields.contains_key(*name)) {
                let hint = did_you_mean(name, settings.fields.keys().map(String::as_str));
                return wrong(format!("{option} {name}: there is no --field {name}{hint}"));
            }
        }
        if let Some(name) = settings.hash.intersection(&settings.plain).next() {
            return wrong(format!("{name} is to be hashed and to be plain"));
        }
        for (name, expression) in &settings.fields {
            self.treatment_of(name, expression)?;
        }
        for field in known.iter().filter(|field| field.required) {
            if !settings.constants.contains_key(field.name) && !settings.fields.contains_key(field.name) {
                let option = if field.form == Form::Fixed { "--set" } else { "--field" };
                return wrong(format!("{} needs {}: {option} {}=...", self.target, field.about, field.name));
            }
        }
        let identifies = |name: &String| fields::identifies(self.target, name);
        if self.target != Target::Csv && !settings.fields.keys().any(identifies) {
            let names: Vec<&str> = known.iter().filter(|f| f.identifies).map(|f| f.name).collect();
            return wrong(format!(
                "{} finds nobody without one of: {} (--field NAME=COLUMN)",
                self.target,
                names.join(", ")
            ));
        }
        if settings.credit.is_some() && settings.value.is_some() {
            return wrong("the value is an expression or a credit, not both".into());
        }
        for (name, text) in &settings.constants {
            fields::check_constant(self.target, name, text).map_err(|e| e.at(format!("export {}", self.name)))?;
        }
        if let (Some(most), Some(oldest)) = (self.target.most_us(self.in_store()), self.oldest_us()?)
            && oldest > most
        {
            let days = most / DAY_US;
            return wrong(format!(
                "{} takes no conversion that is older than {days} days; give a lesser --max-age",
                self.target
            ));
        }
        Ok(())
    }

    /// How a field's values leave the lake. An error where they are personal and nobody said how.
    pub(super) fn treatment_of(&self, name: &str, expression: &str) -> Result<fields::Treatment> {
        let (hashed, plain) = (self.settings.hash.contains(name), self.settings.plain.contains(name));
        fields::treatment(self.target, name, expression, hashed, plain)
            .map_err(|e| e.at(format!("export {}", self.name)))
    }

    /// An export as it was saved.
    pub(super) fn of(row: ExportDefinition) -> Result<Self> {
        let read = |e: &dyn std::fmt::Display| Error::configuration(format!("export {}: {e}", row.export));
        let target = row.target.parse::<Target>().map_err(|e| read(&e))?;
        let settings = serde_json::from_str(&row.settings).map_err(|e| read(&e))?;
        Ok(Self { name: row.export, suite: row.suite, target, metric: row.metric, settings })
    }

    /// How old a conversion may be that is sent, microseconds.
    fn oldest_us(&self) -> Result<Option<i64>> {
        match &self.settings.max_age {
            Some(text) => parse_duration(text).map(Some).map_err(|e| Error::configuration(e).at("--max-age")),
            None => Ok(self.target.oldest_us(self.in_store())),
        }
    }

    /// True where all of its conversions happened in a shop.
    fn in_store(&self) -> bool {
        self.settings.constants.get("action_source").is_some_and(|source| source == "physical_store")
    }
}

/// Names that every file has.
pub(super) const FILE_COLUMNS: [&str; 5] = ["id", "action", "time", "value", "currency"];

fn is_header(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    // the currency may come from a column
    !name.is_empty() && name.chars().all(word) && (name == "currency" || !FILE_COLUMNS.contains(&name))
}

fn check_name(name: &str) -> Result<()> {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    let good =
        name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(word) && name.len() <= LONGEST_NAME;
    if good {
        return Ok(());
    }
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    Err(Error::configuration(format!(
        "{shown}: an export's name is lower-case letters, digits, _ and -, begins with a letter and has at most {LONGEST_NAME}"
    )))
}
