//! What is asked of the order of rows, and the logical node.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::attribution::Container;
use crate::columns::timestamp;
use crate::engine::journey::breakdown::{self, GROUP_COLUMNS, GroupType};
use crate::engine::journey::logical::{Specification, SpecifiedNode};
use crate::engine::journey::node::JourneySpec;
use crate::engine::journey::selection::Selection;

/// What is asked of the order of rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct SequenceSpec {
    /// Journeys are visits.
    pub in_visits: bool,
    /// What is looked for.
    pub sequence: Sequence,
}

/// What is looked for in a journey.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum Sequence {
    /// The steps that it reaches one after another: how many journeys do, and a row for the time that each took to a step.
    Funnel {
        /// How many there are, at most 62.
        steps: usize,
        /// How long after the first row the last one may be, microseconds.
        within_us: Option<i64>,
        /// Each row is the journey's next one.
        at_once: bool,
        /// Columns of the first step's row.
        by: Vec<(String, GroupType)>,
    },
    /// Whether it has rows that satisfy conditions, one after another: a row a journey that has.
    Members {
        /// How the row of each condition follows the one before.
        steps: Vec<Follows>,
    },
    /// The items that it touches after its first row that is an anchor: a row a transition, with how many journeys have it.
    Flow {
        /// How many transitions.
        depth: usize,
        /// Back in time.
        before: bool,
    },
}

/// How a row follows the one of the condition before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct Follows {
    /// So long after it at most, microseconds.
    pub within_us: Option<i64>,
    /// It is the journey's next row.
    pub next: bool,
}

impl SequenceSpec {
    /// What is read of stored rows.
    pub(in crate::engine::journey) fn reads(&self) -> JourneySpec {
        let by = match &self.sequence {
            Sequence::Funnel { by, .. } => by.clone(),
            Sequence::Members { .. } | Sequence::Flow { .. } => vec![],
        };
        let container = if self.in_visits { Container::Visit } else { Container::Visitor };
        JourneySpec { selection: Selection { by, ..Selection::default() }, ..JourneySpec::without_models(container) }
    }

    /// True where visitors are identified by their ids.
    pub(in crate::engine::journey) fn tells_visitors(&self) -> bool {
        matches!(self.sequence, Sequence::Members { .. })
    }

    /// Columns of the input, by name; the columns of the layout's order come first.
    pub fn input_columns(&self) -> Vec<&'static str> {
        let mut columns = vec!["visitor_key", "visitor_id", "hit_time", "hit_seq"];
        if self.in_visits {
            columns.extend(["visit_num", "visit_start"]);
        }
        match &self.sequence {
            Sequence::Funnel { by, .. } => {
                columns.push("steps");
                columns.extend(GROUP_COLUMNS.into_iter().take(by.len()));
            }
            Sequence::Members { .. } => columns.push("steps"),
            Sequence::Flow { .. } => columns.extend(["item", "anchors"]),
        }
        columns
    }

    /// Columns of the result.
    pub fn output(&self) -> SchemaRef {
        let count = |name: &str| Field::new(name, DataType::Int64, false);
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let fields = match &self.sequence {
            Sequence::Funnel { by, .. } => {
                let mut fields = breakdown::fields(by);
                let seconds = Field::new("seconds", DataType::Float64, true);
                fields.extend(["step", "reached", "reached_previous", "begun"].map(count));
                fields.push(seconds);
                fields
            }
            Sequence::Members { .. } if self.in_visits => {
                vec![text("visitor_id"), count("visit_num"), Field::new("visit_start", timestamp(), false)]
            }
            Sequence::Members { .. } => vec![text("visitor_id")],
            Sequence::Flow { .. } => vec![count("step"), text("item"), text("next_item"), count("journeys")],
        };
        Arc::new(Schema::new(fields))
    }
}

impl fmt::Display for SequenceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sequence: {}", self.describe())
    }
}

impl SequenceSpec {
    /// One line about it, for plans.
    pub(in crate::engine::journey) fn describe(&self) -> String {
        let container = if self.in_visits { "Visit" } else { "Visitor" };
        match &self.sequence {
            Sequence::Funnel { steps, within_us, at_once, by } => {
                let within = within_us.map_or("all".to_string(), |us| format!("{us}us"));
                let names: Vec<&str> = by.iter().map(|(name, _)| name.as_str()).collect();
                let by = names.join(", ");
                format!("funnel of {steps}, container={container}, within={within}, at_once={at_once}, by=[{by}]")
            }
            Sequence::Members { steps } => format!("members by {} conditions, container={container}", steps.len()),
            Sequence::Flow { depth, before } => {
                format!("flow, container={container}, depth={depth}, before={before}")
            }
        }
    }
}

impl Specification for SequenceSpec {
    const NAME: &'static str = "Sequence";

    fn columns(&self) -> SchemaRef {
        self.output()
    }
}

/// The logical node.
pub type SequenceNode = SpecifiedNode<SequenceSpec>;
