//! The segments of a suite: visitors, persons or visits some rows of whom satisfy conditions, one after another.
//!
//! They are settings of their suite, so `--as-of` sees them as they were. Whether the conditions can be answered is checked
//! where there is data to ask: when one is made, and each time that it is used.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::registry::Registry;
use super::rows::Suite;
use crate::attribution::Container;
use crate::error::did_you_mean;
use crate::lake::Lake;
use crate::time::parse_duration;
use crate::{Error, Result};

/// Characters that a name may have, and conditions of one segment.
const LONGEST_NAME: usize = 100;
const MOST_STEPS: usize = 62;

/// Whom a segment is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// Visitors, or visits.
    pub container: Container,
    /// Persons in place of visitors.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_person: bool,
    /// One row satisfies the first, a later row the second, and so on.
    pub steps: Vec<SegmentStep>,
}

/// A condition, and how its row follows that of the step before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SegmentStep {
    /// Over the columns of `events`.
    pub condition: String,
    /// How long after the row of the step before at most, such as `7 days`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
    /// It is the next row of the journey.
    #[serde(default)]
    pub next: bool,
}

impl Segment {
    /// What belongs to it, as `--container` has it.
    pub fn container_name(&self) -> String {
        if self.by_person { "person".into() } else { self.container.to_string() }
    }
}

/// The segments of a suite by name.
pub type Segments = BTreeMap<String, Segment>;

/// The segments of a suite.
pub fn segments(suite: &Suite) -> Result<Segments> {
    if suite.segments.is_empty() {
        return Ok(Segments::new());
    }
    serde_json::from_str(&suite.segments)
        .map_err(|e| Error::configuration(format!("suite {}: segments: {e}", suite.suite)))
}

/// The segment of this name among those of a suite; an unknown one is an error with the nearest name.
pub fn find<'s>(segments: &'s Segments, suite: &str, name: &str) -> Result<&'s Segment> {
    segments.get(name).ok_or_else(|| {
        let hint = did_you_mean(name, segments.keys().map(String::as_str));
        let shown: String = name.chars().take(LONGEST_NAME).collect();
        Error::query(format!("suite {suite} has no segment {shown}{hint}; rejoin segment list shows them"))
    })
}

/// Saves a segment. One of this name is a conflict.
pub async fn create(lake: &Lake, suite: &str, name: &str, segment: &Segment) -> Result<()> {
    check(name, segment)?;
    change(lake, suite, |segments| {
        if segments.insert(name.to_string(), segment.clone()).is_some() {
            return Err(Error::conflict(format!(
                "suite {suite} has a segment {name} already; drop it first: rejoin segment drop '{name}'"
            )));
        }
        Ok(())
    })
    .await
}

/// Takes a segment away.
pub async fn remove(lake: &Lake, suite: &str, name: &str) -> Result<()> {
    change(lake, suite, |segments| {
        find(segments, suite, name)?;
        segments.remove(name);
        Ok(())
    })
    .await
}

async fn change(lake: &Lake, suite: &str, what: impl Fn(&mut Segments) -> Result<()>) -> Result<()> {
    Registry::<Suite>::update(lake, |suites| {
        let own = super::suites::find(suites, suite)?.suite.clone();
        let found = suites.iter_mut().find(|s| s.suite == own).expect("it was found just now");
        let mut all = segments(found)?;
        what(&mut all)?;
        found.segments = serde_json::json!(all).to_string();
        Ok(())
    })
    .await
}

/// What is wrong with a segment before any data is asked.
pub fn check(name: &str, segment: &Segment) -> Result<()> {
    let wrong = |why: String| Err(Error::configuration(format!("segment: {why}")));
    if name.trim().is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        return wrong("a name is some text, without blanks at its ends".into());
    }
    if name.chars().count() > LONGEST_NAME {
        return wrong(format!("a name has at most {LONGEST_NAME} characters, not {}", name.chars().count()));
    }
    if segment.steps.is_empty() || segment.steps.len() > MOST_STEPS {
        return wrong(format!("1 to {MOST_STEPS} conditions are possible, not {}", segment.steps.len()));
    }
    for (n, step) in segment.steps.iter().enumerate() {
        if step.condition.to_lowercase().contains("in_segment") {
            return wrong(format!("condition {}: a segment is not made of segments", n + 1));
        }
        if let Some(within) = &step.within {
            let known = parse_duration(within);
            known.map_err(|e| Error::configuration(format!("segment: condition {}: within {e}", n + 1)))?;
        }
        if n == 0 && (step.next || step.within.is_some()) {
            return wrong("the first condition follows none; --within and --next come after a --then".into());
        }
    }
    Ok(())
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s with ", self.container_name())?;
        for (n, step) in self.steps.iter().enumerate() {
            match (n, step.next) {
                (0, _) => {}
                (_, true) => f.write_str(" and, in the next row, ")?,
                (_, false) => f.write_str(" and later ")?,
            }
            f.write_str(&step.condition)?;
            if let Some(within) = &step.within {
                write!(f, " (within {within})")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn step(condition: &str, within: Option<&str>, next: bool) -> SegmentStep {
        SegmentStep { condition: condition.into(), within: within.map(str::to_string), next }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |name: &str, steps: Vec<SegmentStep>| {
            check(name, &Segment { container: Container::Visitor, by_person: false, steps }).unwrap_err().to_string()
        };
        let one = || vec![step("orders > 0", None, false)];
        assert!(wrong(" a", one()).contains("blanks"));
        assert!(wrong(&"a".repeat(101), one()).contains("not 101"));
        assert!(wrong("a", vec![]).contains("not 0"));
        assert!(wrong("a", vec![step("x", None, false); 63]).contains("not 63"));
        assert!(wrong("a", vec![step("IN_SEGMENT('a')", None, false)]).contains("not made of segments"));
        assert!(wrong("a", vec![step("x", Some("1 day"), false)]).contains("follows none"));
        assert!(wrong("a", vec![step("x", None, false), step("y", Some("-1 day"), false)]).contains("condition 2"));
    }

    #[test]
    fn as_a_sentence() {
        let steps = vec![step("a > 0", None, false), step("b > 0", Some("7 days"), false), step("c > 0", None, true)];
        let segment = Segment { container: Container::Visit, by_person: false, steps };
        assert_eq!(
            segment.to_string(),
            "visits with a > 0 and later b > 0 (within 7 days) and, in the next row, c > 0"
        );
        let one = vec![step("a > 0", None, false)];
        let persons = Segment { container: Container::Visitor, by_person: true, steps: one };
        assert_eq!(persons.to_string(), "persons with a > 0");
        // as segments were saved before persons could be some
        let visitors = Segment { by_person: false, ..persons.clone() };
        let saved = serde_json::to_string(&visitors).unwrap();
        assert!(!saved.contains("by_person"), "{saved}");
        for segment in [&visitors, &persons] {
            let saved = serde_json::to_string(segment).unwrap();
            assert_eq!(&serde_json::from_str::<Segment>(&saved).unwrap(), segment);
        }
        let suite = Suite { segments: serde_json::json!({"x": segment}).to_string(), ..Suite::new("web") };
        let all = segments(&suite).unwrap();
        assert_eq!(find(&all, "web", "x").unwrap(), &segment);
        assert!(find(&all, "web", "y").unwrap_err().to_string().contains("no segment y"));
    }
}
