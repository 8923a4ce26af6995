//! What of the journeys a question is about, beyond container and lookback: whose, which visits, what is left of a path, and by
//! what the credit is broken down.
//!
//! Predicates of touches and conversions are no part of this: where they do not hold, a row has no item or no value.

use serde::{Deserialize, Serialize};

use super::breakdown::{GROUP_COLUMNS, GroupType};
use crate::attribution::Repeats;

/// What of the journeys a question is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct Selection {
    /// Only journeys of visitors some row of whom is marked, `marks_visitor`.
    pub visitors: bool,
    /// Only rows of visits some row of which is marked, `marks_visit`.
    pub visits: bool,
    /// Items whose touches count only where no other is in reach.
    pub last_resort: Vec<String>,
    /// Which touches of an item that is touched again count.
    pub repeats: Repeats,
    /// How many touches in reach count, the latest.
    pub last_touches: Option<usize>,
    /// Columns of the conversion's row: names in the answer, and what they hold.
    pub by: Vec<(String, GroupType)>,
}

impl Selection {
    /// True where less than the whole reach of a conversion may count.
    pub fn filters_paths(&self) -> bool {
        !self.last_resort.is_empty() || self.repeats != Repeats::Keep || self.last_touches.is_some()
    }

    /// True where each line of what was bought converts for itself.
    pub fn takes_lines(&self) -> bool {
        self.by.iter().any(|(_, kind)| *kind == GroupType::Line)
    }

    /// The columns of the input that it needs.
    pub(super) fn input_columns(&self) -> impl Iterator<Item = &'static str> {
        let marks = [(self.visitors, "marks_visitor"), (self.visits, "marks_visit")];
        let marks = marks.into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name);
        marks.chain(GROUP_COLUMNS.into_iter().take(self.by.len()))
    }

    /// For plans: what differs from the whole.
    pub(super) fn describe(&self) -> String {
        let mut text = String::new();
        for (given, name) in [(self.visitors, "visitors"), (self.visits, "visits")] {
            if given {
                text.push_str(&format!(", {name}=some"));
            }
        }
        if !self.last_resort.is_empty() {
            text.push_str(&format!(", last_resort=[{}]", self.last_resort.join(", ")));
        }
        if self.repeats != Repeats::Keep {
            text.push_str(&format!(", repeats={}", self.repeats));
        }
        if let Some(most) = self.last_touches {
            text.push_str(&format!(", last_touches={most}"));
        }
        if !self.by.is_empty() {
            let names: Vec<&str> = self.by.iter().map(|(name, _)| name.as_str()).collect();
            text.push_str(&format!(", by=[{}]", names.join(", ")));
        }
        text
    }
}
