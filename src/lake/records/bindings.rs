//! Which dimensions of a suite are bound to products, as its settings and as a mapping say it.
//!
//! In: words. Out: a [`Binding`] whose parts are checked. What the words mean is in [`crate::attribution`].

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::registry::Registry;
use super::rows::Suite;
use crate::attribution::{Allocation, BindingRules, Expiry};
use crate::columns::is_multi_valued;
use crate::error::did_you_mean;
use crate::feed::event_list::is_metric_name;
use crate::lake::Lake;
use crate::{Error, Result};

/// How the values of a dimension are bound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// What they are bound to.
    pub bind: Bound,
    /// Where this metric is not zero, the row's value is bound to each of its products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_metric: Option<String>,
    /// Which of a product's values counts.
    #[serde(default)]
    pub allocation: Allocation,
    /// How long a value stays bound.
    #[serde(default = "never")]
    pub expiry: Expiry,
}

/// What values can be bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The product of a line.
    Product,
    /// Its category.
    Category,
}

/// The bindings of a suite, by dimension.
pub type Bindings = BTreeMap<String, Binding>;

fn never() -> Expiry {
    Expiry::Visitor
}

impl Binding {
    /// A binding with the words of settings; what is not said is as by default.
    pub fn new(
        bind: &str,
        binding_metric: Option<&str>,
        allocation: Option<&str>,
        expiry: Option<&str>,
    ) -> Result<Self> {
        let allocation = match allocation.map(str::parse).transpose().map_err(Error::configuration)? {
            None => Allocation::default(),
            Some(known @ (Allocation::MostRecent | Allocation::Original)) => known,
            Some(other) => {
                return Err(Error::configuration(format!(
                    "allocation {other}: what is bound to a product is most_recent or original"
                )));
            }
        };
        let expiry = expiry.map(str::parse).transpose().map_err(Error::configuration)?;
        let binding_metric = binding_metric.map(str::trim).filter(|name| !name.is_empty()).map(str::to_string);
        Ok(Self { bind: bind.parse()?, binding_metric, allocation, expiry: expiry.unwrap_or_else(never) })
    }

    /// How its bindings live.
    pub fn rules(&self) -> BindingRules {
        BindingRules { allocation: self.allocation, expiry: self.expiry.clone() }
    }
}

/// The bindings of a suite.
pub fn bindings(suite: &Suite) -> Result<Bindings> {
    if suite.bindings.is_empty() {
        return Ok(Bindings::new());
    }
    serde_json::from_str(&suite.bindings)
        .map_err(|e| Error::configuration(format!("suite {}: bindings: {e}", suite.suite)))
}

/// Puts the bindings of a mapping among the settings of a suite.
///
/// # Errors
/// The suite binds one of the dimensions in another way: which one holds is not for the order of loads to say.
pub async fn adopt(lake: &Lake, suite: &Suite, wanted: &Bindings) -> Result<()> {
    let known = bindings(suite)?;
    let missing: Vec<_> = wanted.iter().filter(|(dimension, binding)| known.get(*dimension) != Some(binding)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Registry::<Suite>::update(lake, |suites| {
        let Some(own) = suites.iter_mut().find(|other| other.suite == suite.suite) else { return Ok(()) };
        let mut all = bindings(own)?;
        for (dimension, binding) in &missing {
            if let Some(other) = all.insert((*dimension).clone(), (*binding).clone()).filter(|other| other != *binding) {
                return Err(Error::configuration(format!(
                    "the mapping binds {dimension} to {binding}, and suite {0} to {other}; change one of them (rejoin suite set {0} --bind ...)",
                    suite.suite
                )));
            }
        }
        own.bindings = serde_json::json!(all).to_string();
        Ok(())
    })
    .await
}

/// Checks that the values of a dimension can be bound.
pub fn check_dimension(dimension: &str) -> Result<()> {
    let wrong = |why: &str| Err(Error::configuration(format!("the values of {dimension} cannot be bound: {why}")));
    if is_multi_valued(dimension) {
        return wrong("a row has several of them; give a dimension of one value a row, such as evar1");
    }
    if is_metric_name(dimension) {
        return wrong("it is a metric; give a dimension, such as evar1");
    }
    let plain = dimension.chars().all(|c| c.is_alphanumeric() || c == '_');
    if dimension.is_empty() || !plain || dimension.ends_with("_set") {
        return wrong("it is no dimension, such as evar1");
    }
    Ok(())
}

impl FromStr for Bound {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim().to_lowercase().as_str() {
            "product" => Ok(Self::Product),
            "category" => Ok(Self::Category),
            other => {
                let near = did_you_mean(other, ["product", "category"]);
                Err(Error::configuration(format!("values are bound to product or category, not to {other:?}{near}")))
            }
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Product => "product",
            Self::Category => "category",
        })
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bind, binding_metric, allocation, expiry } = self;
        write!(f, "{bind}")?;
        if let Some(metric) = binding_metric {
            write!(f, " on {metric}")?;
        }
        write!(f, ", {allocation}, expiry {expiry}")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn words_are_kept() {
        let binding = Binding::new("Product", Some("cart_adds"), Some("original"), Some("30 days")).unwrap();
        assert_eq!(binding.to_string(), "product on cart_adds, original, expiry 30 days");
        let stored = serde_json::to_string(&binding).unwrap();
        assert_eq!(
            stored,
            r#"{"bind":"product","binding_metric":"cart_adds","allocation":"original","expiry":"30 days"}"#
        );
        assert_eq!(serde_json::from_str::<Binding>(&stored).unwrap(), binding);
        let plain: Binding = serde_json::from_str(r#"{"bind":"category"}"#).unwrap();
        assert_eq!(plain, Binding::new("category", None, None, None).unwrap());
        assert_eq!(plain.to_string(), "category, most_recent, expiry visitor");
    }

    #[test]
    fn mistakes_are_named() {
        let new = |bind, allocation, expiry| Binding::new(bind, None, allocation, expiry).unwrap_err().to_string();
        assert!(new("produkt", None, None).contains("did you mean product?"));
        assert!(new("product", Some("last_known"), None).contains("most_recent or original"));
        assert!(new("product", None, Some("30 dais")).contains("did you mean days?"));
        for (dimension, why) in
            [("list1", "several"), ("orders", "metric"), ("evar1_set", "no dimension"), ("", "no dim")]
        {
            assert!(check_dimension(dimension).unwrap_err().to_string().contains(why), "{dimension}");
        }
        check_dimension("search_keyword").unwrap();
    }
}
