//! What is filled: which columns, by which rules of which suites.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::attribution::{Expiry, Persistence};

/// What is filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Persisting {
    /// The columns; what rows set is in the column of each that says so.
    pub columns: Vec<String>,
    /// The rules of each suite, by column; other rows keep what they have.
    pub rules: BTreeMap<String, BTreeMap<String, Persistence>>,
    /// Suites in which background hits set values and get them, as other hits do.
    pub counting_background: BTreeSet<String>,
}

impl Persisting {
    /// The rules of the columns that are filled.
    pub fn rules_at_work(&self) -> impl Iterator<Item = &Persistence> {
        let of_suites = self.rules.values().flatten();
        of_suites.filter(|(column, _)| self.columns.contains(column)).map(|(_, rule)| rule)
    }

    /// The metrics that end values.
    pub fn metrics(&self) -> Vec<String> {
        let mut metrics: Vec<String> = vec![];
        for rule in self.rules_at_work() {
            if let Expiry::Metric(name) = &rule.expiry
                && !metrics.contains(name)
            {
                metrics.push(name.clone());
            }
        }
        metrics
    }

    /// True where a value lasts as long as its visit.
    pub fn needs_visits(&self) -> bool {
        self.rules_at_work().any(|rule| rule.expiry == Expiry::Visit)
    }
}
