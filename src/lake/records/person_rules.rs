//! What users say about whose rows are whose: rules of a suite, kept with the time when each was made.

use std::collections::BTreeSet;

use chrono::SubsecRound;

use super::registry::Registry;
use super::rows::{PersonRule, Suite};
use super::suites;
use crate::lake::Lake;
use crate::persons::{Between, Rule, Subject};
use crate::{Error, Result};

/// Rules that a suite may have: each is read by each rebuild.
const MOST_RULES: usize = 1_000_000;

/// The word of rows that say what a forgotten person had.
const FORGOTTEN: &str = "forgotten";

/// Adds rules to a suite, in this order.
pub async fn add(lake: &Lake, suite: &str, rules: &[Rule]) -> Result<()> {
    let rows = rules
        .iter()
        .map(|rule| (rule.verb.to_string(), rule.first.to_string(), rule.second.as_ref().map(ToString::to_string)));
    add_rows(lake, suite, rows.collect()).await
}

/// Adds rows to a suite: what a rule does, to whom, and with whom.
async fn add_rows(lake: &Lake, suite: &str, rules: Vec<(String, String, Option<String>)>) -> Result<()> {
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
        rows.extend(rules.iter().cloned().zip(place..).map(|((rule, first, second), place)| PersonRule {
            suite: suite.to_string(),
            made,
            place,
            rule,
            first,
            second,
        }));
        Ok(())
    })
    .await
}

/// How many rules name one of these: suite, and a customer ID or a visitor.
pub async fn count_naming(lake: &Lake, subjects: &BTreeSet<(String, String)>) -> Result<u64> {
    if subjects.is_empty() {
        return Ok(0);
    }
    let all = Registry::<PersonRule>::read(lake).await?.rows;
    Ok(all.iter().filter(|row| names_one_of(row, subjects)).count() as u64)
}

/// Takes out the rules that name one of these; how many they were.
pub async fn remove_naming(lake: &Lake, subjects: &BTreeSet<(String, String)>) -> Result<u64> {
    if count_naming(lake, subjects).await? == 0 {
        return Ok(0);
    }
    Registry::<PersonRule>::update(lake, |rows| {
        let before = rows.len();
        rows.retain(|row| !names_one_of(row, subjects));
        Ok((before - rows.len()) as u64)
    })
    .await
}

fn names_one_of(row: &PersonRule, subjects: &BTreeSet<(String, String)>) -> bool {
    let both = [Some(&row.first), row.second.as_ref()];
    both.into_iter().flatten().any(|subject| subjects.contains(&(row.suite.clone(), subject.clone())))
}

/// The rules of a suite among `rows`, the oldest first.
pub fn of_suite(rows: &[PersonRule], suite: &str) -> Result<Vec<Rule>> {
    in_order(rows, suite).into_iter().filter(|row| row.rule != FORGOTTEN).map(rule).collect()
}

/// The rows of a suite's visitors that forgotten persons had.
pub fn forgotten(rows: &[PersonRule], suite: &str) -> Result<Vec<(String, Between)>> {
    let own = rows.iter().filter(|row| row.suite == suite && row.rule == FORGOTTEN);
    let between = |row: &PersonRule| match (row.first.parse(), row.second.as_deref().unwrap_or_default().parse()) {
        (Ok(Subject::Visitor(visitor)), Ok(between)) => Ok((visitor, between)),
        (Ok(Subject::Id(_)), _) => Err(wrong(row, format!("{FORGOTTEN} is about a visitor"))),
        (Err(why), _) | (_, Err(why)) => Err(wrong(row, why)),
    };
    own.map(between).collect()
}

/// Keeps what rows of a suite's visitors a person had who is forgotten.
pub async fn add_forgotten(lake: &Lake, suite: &str, forgotten: &[(String, Between)]) -> Result<()> {
    let known = self::forgotten(&Registry::<PersonRule>::read(lake).await?.rows, suite)?;
    let new = forgotten.iter().filter(|one| !known.contains(one));
    let rows: Vec<_> = new
        .map(|(visitor, between)| {
            let visitor = Subject::Visitor(visitor.clone());
            (FORGOTTEN.to_string(), visitor.to_string(), Some(between.to_string()))
        })
        .collect();
    match rows.is_empty() {
        true => Ok(()),
        false => add_rows(lake, suite, rows).await,
    }
}

/// The rows of a suite, the oldest rule first.
pub fn in_order<'r>(rows: &'r [PersonRule], suite: &str) -> Vec<&'r PersonRule> {
    let mut own: Vec<&PersonRule> = rows.iter().filter(|row| row.suite == suite).collect();
    own.sort_by_key(|row| (row.made, row.place));
    own
}

fn rule(row: &PersonRule) -> Result<Rule> {
    let wrong = |why: String| wrong(row, why);
    let verb = row.rule.parse().map_err(wrong)?;
    let first = row.first.parse().map_err(wrong)?;
    let second = row.second.as_deref().map(str::parse).transpose().map_err(wrong)?;
    Rule::new(verb, first, second).map_err(wrong)
}

fn wrong(row: &PersonRule, why: String) -> Error {
    Error::configuration(format!("table person_rules, suite {}: {why}", row.suite))
}
