//! What is shown of which journeys, and the logical node.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::columns::timestamp;
use crate::engine::journey::JourneySpec;
use crate::engine::journey::breakdown::{self, GROUP_COLUMNS};
use crate::engine::journey::logical::{Specification, SpecifiedNode};
use crate::engine::journey::node::describe;

/// What is shown of which journeys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct PathSpec {
    /// The journey, with the models whose shares are shown.
    pub journey: JourneySpec,
    /// What is shown.
    pub wanted: Wanted,
}

/// What is shown of journeys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum Wanted {
    /// The touches of one conversion.
    Path {
        /// The conversion.
        event_id: String,
        /// Its metric, for messages.
        metric: String,
    },
    /// The conversions.
    Conversions,
    /// The conversions, each with every item that has a part of it.
    Credits,
}

impl PathSpec {
    /// Columns of the input, by name: those of the journey, and what is shown of its rows.
    pub fn input_columns(&self) -> Vec<&'static str> {
        let shown: &[&str] = match self.wanted {
            Wanted::Path { .. } => &["event_id", "row_kind", "place"],
            Wanted::Conversions => &["event_id", "row_kind", "device"],
            Wanted::Credits => &["event_id", "row_kind"],
        };
        self.journey.input_columns().into_iter().chain(shown.iter().copied()).collect()
    }

    /// What is shown of the row of a conversion, and of the rows of its touches: the `event_id`, `row_kind`, of conversions the
    /// `device`, and of the row of a conversion what the answer is broken down by.
    pub(super) fn shown(&self) -> Vec<(&'static str, DataType)> {
        let device = matches!(self.wanted, Wanted::Conversions).then_some("device");
        let texts = ["event_id", "row_kind"].into_iter().chain(device).map(|name| (name, DataType::Utf8));
        let groups = GROUP_COLUMNS.iter().zip(&self.journey.selection.by);
        texts.chain(groups.map(|(name, (_, kind))| (*name, kind.data_type()))).collect()
    }

    /// Columns of the result.
    pub fn output(&self) -> SchemaRef {
        let text = |name| Field::new(name, DataType::Utf8, true);
        let time = |name| Field::new(name, timestamp(), true);
        let (number, count) =
            (|name| Field::new(name, DataType::Float64, true), |name| Field::new(name, DataType::Int64, true));
        let mut fields = match self.wanted {
            Wanted::Path { .. } => {
                vec![
                    text("item"),
                    time("hit_time"),
                    number("seconds_before"),
                    count("visit_num"),
                    text("row_kind"),
                    text("event_id"),
                ]
            }
            Wanted::Conversions => {
                let mut fields = breakdown::fields(&self.journey.selection.by);
                fields.extend([
                    text("event_id"),
                    text("visitor_id"),
                    time("hit_time"),
                    text("row_kind"),
                    number("value"),
                    count("touches"),
                    text("first_item"),
                    time("first_time"),
                    text("last_item"),
                    time("last_time"),
                ]);
                fields
            }
            Wanted::Credits => {
                let mut fields = breakdown::fields(&self.journey.selection.by);
                fields.extend([
                    text("event_id"),
                    time("time"),
                    text("row_kind"),
                    number("value"),
                    text("item"),
                    count("touches"),
                    text("first_touch_id"),
                    time("first_touch_time"),
                    text("last_touch_id"),
                    time("last_touch_time"),
                ]);
                let models = &self.journey.models;
                for (name, _) in models {
                    let of = |what| if models.len() == 1 { what } else { format!("{what}_{name}") };
                    fields.extend(
                        ["share", "credit"].map(|what| Field::new(of(what.to_string()), DataType::Float64, true)),
                    );
                }
                return Arc::new(Schema::new(fields));
            }
        };
        fields.extend(self.journey.models.iter().map(|(name, _)| Field::new(name, DataType::Float64, true)));
        Arc::new(Schema::new(fields))
    }
}

impl fmt::Display for PathSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Path { event_id, .. } => {
                write!(f, "Path: event_id={event_id}{}", self.journey.selection.describe())
            }
            Wanted::Conversions => write!(f, "Path: conversions, {}", describe(&self.journey)),
            Wanted::Credits => write!(f, "Path: credits, {}", describe(&self.journey)),
        }
    }
}

impl Specification for PathSpec {
    const NAME: &'static str = "Path";

    fn columns(&self) -> SchemaRef {
        self.output()
    }
}

/// The logical node.
pub type PathNode = SpecifiedNode<PathSpec>;
