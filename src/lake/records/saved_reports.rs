//! Saved reports: questions of the web page under names, of a suite each.
//!
//! A question is kept as the text that the page's address holds. What it means the page says; here it is text of a bounded
//! length. Changing them makes no result stale.

use chrono::SubsecRound;

use super::registry::Registry;
use super::rows::{SavedReport, Suite};
use super::suites;
use crate::error::did_you_mean;
use crate::lake::Lake;
use crate::{Error, Result};

/// Characters that a name may have, and a question.
const LONGEST_NAME: usize = 100;
const LONGEST_QUESTION: usize = 16_000;
/// Reports that a suite may have.
const MOST: usize = 1000;

/// All of them, by suite and name.
pub async fn all(lake: &Lake) -> Result<Vec<SavedReport>> {
    let mut rows = Registry::<SavedReport>::read(lake).await?.rows;
    rows.sort_by(|a, b| (&a.suite, &a.report).cmp(&(&b.suite, &b.report)));
    Ok(rows)
}

/// Saves a report of a suite. One of this name is a conflict.
pub async fn save(lake: &Lake, report: &SavedReport) -> Result<()> {
    check(report)?;
    suites::find(&Registry::<Suite>::read(lake).await?.rows, &report.suite)?;
    let saved = Some(crate::clock::now().trunc_subsecs(6));
    let SavedReport { suite, report: name, .. } = report;
    Registry::<SavedReport>::update(lake, |rows| {
        if rows.iter().any(|row| row.suite == *suite && row.report == *name) {
            return Err(Error::conflict(format!("suite {suite} has a saved report {name} already; drop it first")));
        }
        if rows.iter().filter(|row| row.suite == *suite).count() >= MOST {
            return Err(Error::configuration(format!("suite {suite} has {MOST} saved reports, as many as it can")));
        }
        rows.push(SavedReport { saved, ..report.clone() });
        Ok(())
    })
    .await
}

/// Takes a report away.
pub async fn remove(lake: &Lake, suite: &str, name: &str) -> Result<()> {
    Registry::<SavedReport>::update(lake, |rows| {
        let Some(place) = rows.iter().position(|row| row.suite == suite && row.report == name) else {
            let own = rows.iter().filter(|row| row.suite == suite).map(|row| row.report.as_str());
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            let hint = did_you_mean(&shown, own);
            return Err(Error::configuration(format!("suite {suite} has no saved report {shown}{hint}")));
        };
        rows.remove(place);
        Ok(())
    })
    .await
}

fn check(report: &SavedReport) -> Result<()> {
    let wrong = |why: String| Err(Error::configuration(format!("saved report: {why}")));
    let name = &report.report;
    if name.trim().is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        return wrong("a name is some text, without blanks at its ends".into());
    }
    let (length, question) = (name.chars().count(), report.question.chars().count());
    if length > LONGEST_NAME {
        return wrong(format!("a name has at most {LONGEST_NAME} characters, not {length}"));
    }
    if question > LONGEST_QUESTION {
        return wrong(format!("a question has at most {LONGEST_QUESTION} characters, not {question}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_wrong_is_said() {
        let report = |name: &str, question: usize| SavedReport {
            report: name.into(),
            question: "q".repeat(question),
            ..SavedReport::default()
        };
        assert!(check(&report("<b>returns</b> 'of' \"May\"", 16_000)).is_ok());
        for (wrong, why) in [
            (report("", 1), "some text"),
            (report(" a", 1), "blanks"),
            (report("a\nb", 1), "some text"),
            (report(&"a".repeat(10_000), 1), "not 10000"),
            (report("a", 16_001), "not 16001"),
        ] {
            let said = check(&wrong).unwrap_err().to_string();
            assert!(said.contains(why) && said.len() < 200, "{said}");
        }
    }
}
