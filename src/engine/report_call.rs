//! A call of a table function, understood: its arguments, what one row of its answer is, and what does not go together.

use arrow::datatypes::Field;
use datafusion::logical_expr::ScalarUDF;

use super::arguments::Arguments;
use super::groupings::{Grouping, listed};
use super::journey::{ConversionOutput, JourneyOutput, JourneySpec, PathSpec, Selection, ShownSpec};
use super::model_list::models;
use super::person_journeys::JourneyScope;
use super::predicates::PredicateTexts;
use super::segments;
use super::sequences;
use crate::attribution::{Container, Model, Repeats, parse_lookback};
use crate::error::did_you_mean;
use crate::functions::product_lines;
use crate::lake::segments::Segment;
use crate::{Error, Result};

/// The table functions, all of which read `events`, each with its arguments.
pub(super) const REPORTS: [(&str, &[&str]); 9] = [
    ("participation", PARTICIPATION),
    ("attribution", ATTRIBUTION),
    ("credit_path", CREDIT_PATH),
    ("conversions", CONVERSIONS),
    ("credits", ATTRIBUTION),
    ("paths", PATHS),
    ("funnel", sequences::FUNNEL),
    ("flow", sequences::FLOW),
    ("segment_members", sequences::MEMBERS),
];

/// True for a table function that reads `events`.
pub fn is_report(function: &str) -> bool {
    REPORTS.iter().any(|(name, _)| *name == function)
}

/// The names of the table functions.
pub fn report_names() -> [&'static str; REPORTS.len()] {
    REPORTS.map(|(name, _)| name)
}

/// True where a table function takes an argument of this name.
pub fn takes(function: &str, argument: &str) -> bool {
    REPORTS.iter().any(|(name, arguments)| *name == function && arguments.contains(&argument))
}

/// Arguments in order, those that all of them know, and more.
macro_rules! arguments {
    ($($ordered:literal),*; $($more:literal),*) => {
        &[$($ordered,)* "touches", "visitors", "visits", "segment", "last_resort", "repeats", "last_touches", $($more),*]
    };
}

/// Arguments of `participation`, in order.
const PARTICIPATION: &[&str] = arguments![
    "metric", "dimension", "container", "lookback", "since", "until", "basis", "deduplicate", "inherited";
    "conversions", "by", "counted"
];
/// Arguments of `attribution` and `credits`, in order.
const ATTRIBUTION: &[&str] = arguments![
    "metric", "dimension", "model", "container", "lookback", "since", "until", "basis", "models", "inherited";
    "conversions", "by", "counted"
];
/// Arguments of `credit_path`, in order.
const CREDIT_PATH: &[&str] =
    arguments!["metric", "dimension", "event_id", "container", "lookback", "basis", "models", "inherited";];
/// Arguments of `conversions`, in order.
const CONVERSIONS: &[&str] = arguments![
    "metric", "dimension", "container", "lookback", "since", "until", "basis", "inherited";
    "conversions", "by"
];
/// Arguments of `paths`, in order.
const PATHS: &[&str] = arguments![
    "metric", "dimension", "container", "lookback", "since", "until", "basis", "inherited";
    "conversions", "by", "unconverted"
];
/// The models that `credit_path` shows: all whose shares hang on the one journey alone.
const EXPLAINED: &str = "first_touch,last_touch,same_touch,linear,u_shaped,j_shaped,inverse_j,time_decay,participation";

/// A call, understood.
#[derive(Debug)]
pub(super) struct Report {
    pub metric: String,
    pub dimension: String,
    pub since: Option<String>,
    pub until: Option<String>,
    /// Values that an offline row took from its snapshot are touches, too.
    pub inherited: bool,
    pub shape: Shape,
    pub predicates: PredicateTexts,
    pub by: Option<String>,
    /// Each conversion counts one, whatever its value.
    pub counted: bool,
    /// The journeys are those of persons.
    pub by_person: bool,
    pub spec: JourneySpec,
}

/// What one row of a report is.
#[derive(Debug)]
pub(super) enum Shape {
    /// An item with its credit.
    Items,
    /// A touch of one conversion.
    Path { event_id: String },
    /// A conversion.
    Conversions,
    /// What a conversion gives to an item.
    Credits,
    /// The items that conversions see, in order.
    Paths,
}

impl Report {
    pub fn new(function: &str, arguments: &Arguments) -> Result<Self> {
        let JourneyScope { container, by_person } = JourneyScope::of(arguments)?;
        let default_lookback = if function == "participation" { "all" } else { "30 days" };
        let lookback = arguments.text("lookback")?;
        let lookback_us = parse_lookback(lookback.as_deref().unwrap_or(default_lookback)).map_err(Error::query)?;
        let anchored = match arguments.text("basis")?.as_deref() {
            None | Some("event") => false,
            Some("snapshot") => container == Container::Visitor,
            Some(other) => {
                let hint = did_you_mean(other, ["event", "snapshot"]);
                return Err(Error::query(format!("there is no basis {other}{hint}; it is event or snapshot")));
            }
        };
        let models = match function {
            "participation" => {
                let deduplicate = arguments.flag("deduplicate")?.unwrap_or(true);
                vec![("credit".to_string(), Model::Participation { deduplicate })]
            }
            "conversions" | "paths" => vec![],
            "credit_path" => models(arguments, Some(EXPLAINED))?,
            _ => models(arguments, None)?,
        };
        let of_all = models.iter().find(|(_, model)| model.needs_all_visitors());
        if let (Some((_, model)), "credit_path" | "credits") = (of_all, function) {
            let why = "shares hang on all journeys, not on this one alone";
            return Err(Error::query(format!(
                "{function}: {model} {why}; ask attribution(...) for the credit of items"
            )));
        }
        let predicates = PredicateTexts::of(arguments)?;
        let required = |name: &str| {
            let text = arguments.text(name)?;
            text.ok_or_else(|| Error::query(format!("{function}(metric, dimension, ...): the {name} is missing")))
        };
        let metric = required("metric")?;
        let dimension = required("dimension")?;
        let selection = Selection {
            visitors: predicates.any_of(&["visitors"]).is_some(),
            visits: predicates.any_of(&["visits"]).is_some(),
            last_resort: match arguments.text("last_resort")? {
                Some(items) => listed(&items).map_err(|e| e.at("last_resort"))?,
                None => vec![],
            },
            repeats: match arguments.text("repeats")? {
                Some(text) => text.parse().map_err(Error::query)?,
                None => Repeats::Keep,
            },
            last_touches: arguments.count("last_touches")?,
            by: vec![],
        };
        let spec = JourneySpec {
            models,
            container,
            lookback_us,
            multi_valued: false,
            in_lines: false,
            bound: None,
            anchored,
            selection,
            gives: match function {
                "paths" => JourneyOutput::Paths {
                    unconverted: arguments.flag("unconverted")?.unwrap_or(false),
                    in_parts: false,
                },
                _ => JourneyOutput::Credit,
            },
            by_person: false,
        };
        let shape = match function {
            "credit_path" => Shape::Path { event_id: required("event_id")? },
            "conversions" => Shape::Conversions,
            "credits" => Shape::Credits,
            "paths" => Shape::Paths,
            _ => Shape::Items,
        };
        let (since, until) = (arguments.text("since")?, arguments.text("until")?);
        let inherited = arguments.flag("inherited")?.unwrap_or(false);
        let by = arguments.text("by")?;
        let counted = arguments.flag("counted")?.unwrap_or(false);
        Ok(Self { metric, dimension, since, until, inherited, shape, predicates, by, counted, by_person, spec })
    }

    /// Keeps to the visitors, persons or visits of a segment.
    ///
    /// # Errors
    /// It is of persons, and journeys are not.
    pub fn keep_to(&mut self, name: &str, segment: &Segment) -> Result<()> {
        segments::check_container(name, segment, self.by_person)?;
        self.predicates.keep_to(segment.container, segments::condition(name));
        match segment.container {
            Container::Visitor => self.spec.selection.visitors = true,
            Container::Visit => self.spec.selection.visits = true,
        }
        Ok(())
    }

    /// What is shown of conversions; None: credit per item, paths, or one conversion explained.
    pub fn wanted(&self) -> Option<ConversionOutput> {
        match &self.shape {
            Shape::Items | Shape::Paths | Shape::Path { .. } => None,
            Shape::Conversions => Some(ConversionOutput::Conversions),
            Shape::Credits => Some(ConversionOutput::Credits),
        }
    }

    /// The conversion that is explained, if it is one.
    pub fn explained(&self, journey: &JourneySpec) -> Option<PathSpec> {
        let Shape::Path { event_id } = &self.shape else { return None };
        Some(PathSpec { journey: journey.clone(), event_id: event_id.clone(), metric: self.metric.clone() })
    }

    /// The lines by which the answer is broken down.
    pub fn lines_by(&self, line: &Grouping, metric: &Field, in_lines: bool, are_listed: bool) -> Result<ScalarUDF> {
        let (name, metric) = (&line.name, metric.name());
        let refused = |why: String| Err(Error::query(format!("by: {name} {why}")));
        if !matches!(self.shape, Shape::Items) {
            return refused(
                "divides the lines of a conversion, and here a conversion is one row; ask participation or attribution"
                    .into(),
            );
        }
        if in_lines {
            return refused(format!(
                "does not go with {}: a line's own {} is its touch",
                self.dimension, self.dimension
            ));
        }
        if let Some((_, model)) = self.spec.models.iter().find(|(_, model)| model.needs_all_visitors()) {
            return refused(format!("does not go with {model}: it is made of whole conversions"));
        }
        if !are_listed {
            return refused("needs lists of products, and these rows have none".into());
        }
        match product_lines(metric, &line.column, None) {
            Some(lines) => Ok(lines),
            None => refused(format!(
                "divides only what lines have: units, revenue and numbered events; {metric} is of the whole row"
            )),
        }
    }

    /// What does not go together, once it is known what the dimension is.
    pub fn check(&self, spec: &JourneySpec) -> Result<()> {
        let selection = &spec.selection;
        let paths = [
            ("last_resort", !selection.last_resort.is_empty()),
            ("repeats", selection.repeats != Repeats::Keep),
            ("last_touches", selection.last_touches.is_some()),
            ("by", !selection.by.is_empty()),
        ];
        let given = |names: &[&str]| paths.iter().find(|(name, given)| *given && names.contains(name)).map(|(n, _)| *n);
        let refused =
            |name: &str, with: &str, why: &str| Err(Error::query(format!("{name} does not go with {with}: {why}")));
        if spec.models.iter().any(|(_, model)| *model == Model::Algorithmic)
            && let Some(name) = given(&["last_resort", "last_touches", "by"])
        {
            let why = "its shares hang on the whole paths of all journeys; ask for other models";
            return refused(name, "algorithmic", why);
        }
        let markov = spec.models.iter().find(|(_, model)| matches!(model, Model::Markov { .. }));
        if let Some((_, model)) = markov
            && (spec.multi_valued || spec.in_lines || spec.bound.is_some())
        {
            let message = format!("{model}: {} has several values a row, of which none is the next", self.dimension);
            return Err(Error::query(message));
        }
        if spec.bound.is_some()
            && let Some(name) = self.predicates.any_of(&["touches", "visits"]).or(given(&paths.map(|(name, _)| name)))
        {
            return refused(name, &self.dimension, "its values are bound to products, each of which has its own path");
        }
        if let JourneyOutput::Paths { unconverted, .. } = spec.gives {
            if spec.multi_valued || spec.bound.is_some() {
                let message = format!("paths: {} has several values a row, of which none is the next", self.dimension);
                return Err(Error::query(message));
            }
            if unconverted && !selection.by.is_empty() {
                return refused("by", "unconverted", "a journey without a conversion has no row of one");
            }
        }
        let answer = match (self.explained(spec), self.wanted()) {
            (Some(path), _) => path.output(),
            (None, Some(wanted)) => ShownSpec { journey: spec.clone(), wanted }.output(),
            (None, None) => spec.output(),
        };
        let twice =
            selection.by.iter().find(|(name, _)| answer.fields().iter().filter(|f| f.name() == name).count() > 1);
        match twice {
            Some((name, _)) => Err(Error::query(format!("by: the answer has a column {name} already"))),
            None => Ok(()),
        }
    }
}
