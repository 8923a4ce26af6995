//! What users say about whose rows are whose: rules of a suite, kept with the time when each was made.

use chrono::SubsecRound;

use super::registry::Registry;
use super::rows::{PersonRule, Suite};
use super::suites;
use crate::lake::Lake;
use crate::persons::Rule;
use crate::{Error, Result};

/// Rules that a suite may have: each is read by each rebuild.
const MOST_RULES: usize = 1_000_000;

/// Adds rules to a suite, in this order.
pub async fn add(lake: &Lake, suite: &str, rules: &[Rule]) -> Result<()> {
    let all = Registry::<Suite>::read(lake).await?.rows;
    suites::find(&all, suite)?;
    let made = crate::clock::now().trunc_subsecs(6);
    Registry::<PersonRule>::update(lake, |rows| {
        let own = rows.iter().filter(|row| row.suite == suite);
        let (count, last) =
            own.fold((0, None), |(count, last), row| (count + 1, last.max(Some((row.made, row.place)))));
        if count + rules.len() > MOST_RULES {
            return Err(Error::configuration(format!(
                "suite {suite} would have more than {MOST_RULES} rules of persons"
            )));
        }
        // two runners' clocks may differ: what is added later is later
        let (made, place) = match last {
            Some((last, place)) if last >= Some(made) => (last, place + 1),
            _ => (Some(made), 0),
        };
        rows.extend(rules.iter().zip(place..).map(|(rule, place)| PersonRule {
            suite: suite.to_string(),
            made,
            place,
            rule: rule.verb.to_string(),
            first: rule.first.to_string(),
            second: rule.second.as_ref().map(ToString::to_string),
        }));
        Ok(())
    })
    .await
}

/// The rules of a suite among `rows`, the oldest first.
pub fn of_suite(rows: &[PersonRule], suite: &str) -> Result<Vec<Rule>> {
    in_order(rows, suite).into_iter().map(rule).collect()
}

/// The rows of a suite, the oldest rule first.
pub fn in_order<'r>(rows: &'r [PersonRule], suite: &str) -> Vec<&'r PersonRule> {
    let mut own: Vec<&PersonRule> = rows.iter().filter(|row| row.suite == suite).collect();
    own.sort_by_key(|row| (row.made, row.place));
    own
}

fn rule(row: &PersonRule) -> Result<Rule> {
    let wrong = |why: String| Error::configuration(format!("table person_rules, suite {}: {why}", row.suite));
    let verb = row.rule.parse().map_err(wrong)?;
    let first = row.first.parse().map_err(wrong)?;
    let second = row.second.as_deref().map(str::parse).transpose().map_err(wrong)?;
    Rule::new(verb, first, second).map_err(wrong)
}
