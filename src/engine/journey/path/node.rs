//! What is shown of conversions, of one or of all, and the logical nodes.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use crate::columns::timestamp;
use crate::engine::journey::JourneySpec;
use crate::engine::journey::breakdown::{self, GROUP_COLUMNS};
use crate::engine::journey::logical::{Specification, SpecifiedNode};
use crate::engine::journey::node::describe;

/// One conversion that is explained.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct PathSpec {
    /// The journey, with the models whose shares are shown.
    pub journey: JourneySpec,
    /// The conversion.
    pub event_id: String,
    /// Its metric, for messages.
    pub metric: String,
}

/// Conversions that are shown, all of a journey.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct ShownSpec {
    /// The journey, with the models whose shares are shown.
    pub journey: JourneySpec,
    /// What is shown.
    pub wanted: ConversionOutput,
}

/// What is shown of conversions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum ConversionOutput {
    /// A row a conversion.
    Conversions,
    /// Each with every item that has a part of it.
    Credits,
}

impl PathSpec {
    /// Columns of the input, by name: those of the journey, and what is shown of its rows.
    pub fn input_columns(&self) -> Vec<&'static str> {
        self.journey.input_columns().into_iter().chain(["event_id", "row_kind", "place"]).collect()
    }

    /// Columns of the result.
    pub fn output(&self) -> SchemaRef {
        let mut fields = vec![
            text("item"),
            time("hit_time"),
            number("seconds_before"),
            count("visit_num"),
            text("row_kind"),
            text("event_id"),
        ];
        fields.extend(self.journey.models.iter().map(|(name, _)| number(name)));
        Arc::new(Schema::new(fields))
    }
}

impl ShownSpec {
    /// Columns of the input, by name: those of the journey, and what is shown of its rows.
    pub fn input_columns(&self) -> Vec<&'static str> {
        let shown: &[&str] = match self.wanted {
            ConversionOutput::Conversions => &["event_id", "row_kind", "device"],
            ConversionOutput::Credits => &["event_id", "row_kind"],
        };
        self.journey.input_columns().into_iter().chain(shown.iter().copied()).collect()
    }

    /// What is shown of the row of a conversion, and of the rows of its touches: the `event_id`, `row_kind`, of conversions the
    /// `device`, and of the row of a conversion what the answer is broken down by.
    pub(super) fn shown(&self) -> Vec<(&'static str, DataType)> {
        let device = matches!(self.wanted, ConversionOutput::Conversions).then_some("device");
        let texts = ["event_id", "row_kind"].into_iter().chain(device).map(|name| (name, DataType::Utf8));
        let groups = GROUP_COLUMNS.iter().zip(&self.journey.selection.by);
        texts.chain(groups.map(|(name, (_, kind))| (*name, kind.data_type()))).collect()
    }

    /// Columns of the result.
    pub fn output(&self) -> SchemaRef {
        let models = &self.journey.models;
        let mut fields = breakdown::fields(&self.journey.selection.by);
        match self.wanted {
            ConversionOutput::Conversions => {
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
                fields.extend(models.iter().map(|(name, _)| number(name)));
            }
            ConversionOutput::Credits => {
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
                for (name, _) in models {
                    let of = |what: &str| if models.len() == 1 { what.to_string() } else { format!("{what}_{name}") };
                    fields.extend(["share", "credit"].map(|what| number(&of(what))));
                }
            }
        }
        Arc::new(Schema::new(fields))
    }

    /// One line about it, for plans.
    pub(in crate::engine::journey) fn describe(&self) -> String {
        let shown = match self.wanted {
            ConversionOutput::Conversions => "conversions",
            ConversionOutput::Credits => "credits",
        };
        format!("{shown}, {}", describe(&self.journey))
    }
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn time(name: &str) -> Field {
    Field::new(name, timestamp(), true)
}

fn number(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn count(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

impl fmt::Display for PathSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Path: event_id={}{}", self.event_id, self.journey.selection.describe())
    }
}

impl fmt::Display for ShownSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown: {}", self.describe())
    }
}

impl Specification for PathSpec {
    const NAME: &'static str = "Path";

    fn columns(&self) -> SchemaRef {
        self.output()
    }
}

impl Specification for ShownSpec {
    const NAME: &'static str = "Shown";

    fn columns(&self) -> SchemaRef {
        self.output()
    }
}

/// The logical node of one conversion that is explained.
pub type PathNode = SpecifiedNode<PathSpec>;

/// The logical node of conversions that are shown.
pub type ShownNode = SpecifiedNode<ShownSpec>;
