//! The reports by name.

use super::fill::{fill, with_arguments};
use crate::engine::report_call::takes;
use crate::error::did_you_mean;
use crate::{Error, ErrorKind, Result};

macro_rules! files {
    ($folder:literal: $($name:literal),*) => {
        [$(($name, include_str!(concat!("../../queries/", $folder, "/", $name, ".sql")))),*]
    };
}

const FILES: [(&str, &str); 14] = files!["reports":
    "assisted_conversions",
    "content_velocity",
    "credit_by",
    "devices",
    "flow",
    "funnel",
    "model_comparison",
    "net_revenue",
    "offline_share",
    "path_length",
    "person_credit",
    "return_on_ad_spend",
    "time_lag",
    "top_paths"
];

const OVERVIEW: [(&str, &str); 4] = files!["overview": "participation", "trend", "flow", "match_rates"];

/// What opens the line of parameters in a file's comment.
const PARAMETERS: &str = "-- Parameters:";

/// A named report.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Report {
    /// Its name.
    pub name: &'static str,
    /// What a row says, in a sentence.
    pub description: String,
    /// What can be chosen.
    pub parameters: Vec<Parameter>,
    /// The statement with the defaults; it runs as it stands.
    pub sql: &'static str,
}

/// Something to choose in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// The value that stands in the SQL.
    pub default: &'static str,
}

impl Report {
    fn new(name: &'static str, sql: &'static str) -> Self {
        let mut description = String::new();
        let mut parameters = vec![];
        for line in sql.lines().take_while(|line| line.starts_with("--")) {
            match line.strip_prefix(PARAMETERS) {
                Some(list) => parameters.extend(list.split(',').filter_map(|parameter| {
                    let (name, default) = parameter.split_once('=')?;
                    Some(Parameter { name: name.trim(), default: default.trim() })
                })),
                None => {
                    let gap = if description.is_empty() { "" } else { " " };
                    description = format!("{description}{gap}{}", line.trim_start_matches("--").trim());
                }
            }
        }
        Self { name, description, parameters, sql }
    }

    /// True where it has a parameter of this name.
    pub fn has(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|p| p.name == parameter)
    }

    /// A report that a lake cannot answer as it stands: with what it was asked, and how to ask otherwise.
    pub fn explained(&self, error: Error, values: &[(&str, &str)]) -> Error {
        if error.kind() != ErrorKind::Query {
            return error;
        }
        let value =
            |p: &Parameter| values.iter().find(|(n, _)| *n == p.name).map_or(p.default, |(_, v)| *v).to_string();
        let asked = self.parameters.iter().filter(|p| matches!(p.name, "metric" | "dimension" | "cost"));
        let asked: Vec<String> = asked.map(|p| format!("--{} {}", p.name, value(p))).collect();
        if asked.is_empty() {
            return error;
        }
        Error::query(format!("{error} (asked: {}; choose others, or change what --sql prints)", asked.join(" ")))
    }

    /// A statement of the report with more arguments (name, value as SQL) of the table functions that it asks.
    ///
    /// # Errors
    /// None of them takes such an argument.
    pub fn filtered(&self, sql: &str, arguments: &[(&str, String)]) -> Result<String> {
        if arguments.is_empty() {
            return Ok(sql.to_string());
        }
        with_arguments(sql, arguments, takes)?.ok_or_else(|| {
            let names: Vec<&str> = arguments.iter().map(|(name, _)| *name).collect();
            Error::usage(format!("the report {} cannot be filtered by {}", self.name, names.join(" and ")))
        })
    }

    /// The statement with values (parameter, value) in place of the defaults.
    ///
    /// # Errors
    /// A parameter that the report does not have.
    pub fn with(&self, values: &[(&str, &str)]) -> Result<String> {
        let mut changes = vec![];
        for (name, value) in values {
            let parameter = self.parameters.iter().find(|p| p.name == *name).ok_or_else(|| {
                let names: Vec<&str> = self.parameters.iter().map(|p| p.name).collect();
                Error::usage(format!("the report {} has no {name}; it has {}", self.name, names.join(", ")))
            })?;
            changes.push((parameter.default, *value));
        }
        fill(self.sql, &changes)
    }
}

/// All reports, by name.
pub fn reports() -> Vec<Report> {
    FILES.iter().map(|(name, sql)| Report::new(name, sql)).collect()
}

/// What an overview has besides model comparison: participation, trend, flow, match rates.
pub fn overview() -> Vec<Report> {
    OVERVIEW.iter().map(|(name, sql)| Report::new(name, sql)).collect()
}

/// The report of a name.
///
/// # Errors
/// There is none; names the nearest.
pub fn find(name: &str) -> Result<Report> {
    let hint = did_you_mean(name, FILES.iter().map(|(name, _)| *name).chain(["overview"]));
    let found = reports().into_iter().find(|report| report.name == name);
    found.ok_or_else(|| Error::usage(format!("there is no report {name}{hint} (all of them: rejoin report)")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_report_says_what_it_is_and_uses_its_parameters() {
        for report in reports().into_iter().chain(overview()) {
            let fixed = report.name == "match_rates";
            assert!(report.description.ends_with('.') && report.parameters.is_empty() == fixed, "{report:?}");
            for (n, parameter) in report.parameters.iter().enumerate() {
                let others = &report.parameters[..n];
                assert!(others.iter().all(|o| o.default != parameter.default), "{}: {parameter:?}", report.name);
                let changed = report.with(&[(parameter.name, "something else")]).unwrap();
                assert!(changed.contains("something else"), "{}: {parameter:?}\n{changed}", report.name);
            }
            assert_eq!(report.with(&[]).unwrap(), report.sql);
        }
    }

    #[test]
    fn a_wrong_name_names_the_nearest() {
        let message = find("time_lags").unwrap_err().to_string();
        assert!(message.contains("did you mean time_lag?"), "{message}");
        let message = find("time_lag").unwrap().with(&[("cost", "event1")]).unwrap_err().to_string();
        assert!(message.contains("has no cost; it has metric, dimension"), "{message}");
    }
}
