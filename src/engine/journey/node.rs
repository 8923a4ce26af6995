//! What a journey computes, and the logical node of the operator over any plan.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use serde::{Deserialize, Serialize};

use super::breakdown;
use super::logical::{Specification, SpecifiedNode};
use super::selection::Selection;
use super::tallies;
use crate::attribution::{BindingRules, Container, Expiry, Model};
use crate::columns::HIT_ID_REST;

/// What a journey computes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct JourneySpec {
    /// The models, each with the name of its credit column.
    pub models: Vec<(String, Model)>,
    /// How far apart touch and conversion may be.
    pub container: Container,
    /// How long before a conversion a touch still counts, microseconds; None for all history.
    pub lookback_us: Option<i64>,
    /// The items of a row are a list of values.
    pub multi_valued: bool,
    /// A row may convert in parts: its `lines`, a list of items with their amounts.
    pub in_lines: bool,
    /// The items are values that are bound to the products of the rows' `lines`: a list of products, each with the value that
    /// it is bound to there and its amount of the metric.
    pub bound: Option<BindingRules>,
    /// Rows may stand at another place of the time line (`anchor_time`, `anchor_seq`, `anchor_rest`) and are then no touch.
    pub anchored: bool,
    /// What of the journeys counts, and by what it is broken down.
    pub selection: Selection,
    /// What a row of the answer is.
    pub gives: JourneyOutput,
    /// Rows of visitors that share a person are brought together by person.
    pub by_person: bool,
}

/// What a row of the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum JourneyOutput {
    /// An item, with its credit in each model.
    Credit,
    /// The items that conversions see, in order, and how many do.
    Paths {
        /// Those of journeys without a conversion, too.
        unconverted: bool,
        /// Each partition gives what its own buckets have, to be added up.
        in_parts: bool,
    },
    /// What the models count of journeys, before anything is shared: each partition gives what its own buckets have.
    Tallies,
}

impl JourneySpec {
    /// Rows of journeys in a container, all of them, for no model.
    pub fn without_models(container: Container) -> Self {
        Self {
            models: vec![],
            container,
            lookback_us: None,
            multi_valued: false,
            in_lines: false,
            bound: None,
            anchored: false,
            selection: Selection::default(),
            gives: JourneyOutput::Credit,
            by_person: false,
        }
    }

    /// Columns of the result: those of the breakdown, then `item` and one credit a model, or a path and what is counted of it, or
    /// what models count.
    pub fn output(&self) -> SchemaRef {
        let mut fields = breakdown::fields(&self.selection.by);
        match self.gives {
            JourneyOutput::Credit => {
                fields.push(Field::new("item", DataType::Utf8, true));
                fields.extend(self.models.iter().map(|(name, _)| Field::new(name, DataType::Float64, true)));
            }
            JourneyOutput::Paths { .. } => {
                fields.push(Field::new_list("path", Field::new_list_field(DataType::Utf8, true), false));
                let count = |name| Field::new(name, DataType::Int64, true);
                fields.extend([count("conversions"), Field::new("value", DataType::Float64, true), count("journeys")]);
            }
            JourneyOutput::Tallies => fields.extend(tallies::fields()),
        }
        Arc::new(Schema::new(fields))
    }

    /// Columns of the input, by name; the columns of the layout's order come first.
    pub fn input_columns(&self) -> Vec<&'static str> {
        let mut columns = vec!["visitor_key", "visitor_id", "hit_time", "hit_seq", "item", "value"];
        if self.needs_visits() {
            columns.extend(["visit_num", "visit_start"]);
        }
        if self.anchored {
            columns.extend(["anchor_time", "anchor_seq", "anchor_rest", HIT_ID_REST]);
        }
        if self.in_lines || self.bound.is_some() || self.selection.takes_lines() {
            columns.push("lines");
        }
        if self.ends_bindings() {
            columns.push("ends");
        }
        columns.extend(self.selection.input_columns());
        columns
    }

    /// True where it counts in which visit a row is.
    pub fn needs_visits(&self) -> bool {
        let visits = self.container == Container::Visit || self.selection.visits;
        visits || self.bound.as_ref().is_some_and(|rules| rules.expiry == Expiry::Visit)
    }

    /// True where rows end bindings.
    pub fn ends_bindings(&self) -> bool {
        matches!(self.bound, Some(BindingRules { expiry: Expiry::Metric(_), .. }))
    }

    /// True where the times of rows count, not only their order.
    pub fn needs_times(&self) -> bool {
        let ages = self.models.iter().any(|(_, model)| model.needs_times());
        let looks_back = self.container == Container::Visitor && self.lookback_us.is_some();
        ages || looks_back || self.anchored || self.all_visitors_matter()
    }

    /// True where one partition goes over all visitors.
    pub fn is_in_one_part(&self) -> bool {
        self.by_person || matches!(self.gives, JourneyOutput::Paths { in_parts: false, .. })
    }

    /// What walks count for it, where a model needs the journeys of all visitors at once.
    pub fn tallied(&self) -> Option<Self> {
        (self.gives == JourneyOutput::Credit && self.needs_all_visitors())
            .then(|| Self { gives: JourneyOutput::Tallies, ..self.clone() })
    }

    /// The same for the buckets of each partition alone, where equal rows are then added up: paths, but those of persons, whose
    /// rows may be in any bucket.
    pub fn in_parts(&self) -> Option<Self> {
        match self.gives {
            JourneyOutput::Paths { unconverted, in_parts: false } if !self.by_person => {
                Some(Self { gives: JourneyOutput::Paths { unconverted, in_parts: true }, ..self.clone() })
            }
            _ => None,
        }
    }

    /// True where visitors without a conversion count, too.
    pub fn all_visitors_matter(&self) -> bool {
        self.needs_all_visitors() || matches!(self.gives, JourneyOutput::Paths { unconverted: true, .. })
    }

    /// True when the result of a part of the visitors cannot be added to that of another part.
    pub fn needs_all_visitors(&self) -> bool {
        self.models.iter().any(|(_, model)| model.needs_all_visitors())
    }
}

impl fmt::Display for JourneySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Journey: {}", describe(self))
    }
}

impl Specification for JourneySpec {
    const NAME: &'static str = "Journey";

    fn columns(&self) -> SchemaRef {
        self.output()
    }
}

/// The logical node: credit per item, in partial sums, one set a partition; or paths, each once.
pub type JourneyNode = SpecifiedNode<JourneySpec>;

/// One line about a journey, for plans.
pub(super) fn describe(spec: &JourneySpec) -> String {
    let models: Vec<&str> = spec.models.iter().map(|(name, _)| name.as_str()).collect();
    let lookback = spec.lookback_us.map_or("all".to_string(), |us| format!("{us}us"));
    let anchored = if spec.anchored { ", basis=snapshot" } else { "" };
    let bound =
        spec.bound.as_ref().map_or(String::new(), |rules| format!(", bound={}/{}", rules.allocation, rules.expiry));
    let selection = spec.selection.describe();
    let container = spec.container;
    let gives = match spec.gives {
        JourneyOutput::Credit => format!("credit=[{}]", models.join(", ")),
        JourneyOutput::Tallies => format!("tallies=[{}]", models.join(", ")),
        JourneyOutput::Paths { unconverted, in_parts } => {
            format!("paths, unconverted={unconverted}{}", if in_parts { ", in parts" } else { "" })
        }
    };
    let by_person = if spec.by_person { ", by person" } else { "" };
    format!("{gives}, container={container:?}, lookback={lookback}{anchored}{bound}{selection}{by_person}")
}
