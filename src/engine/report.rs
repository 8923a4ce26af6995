//! The table functions `participation`, `attribution`, `credit_path`, `conversions` and `credits`: arguments in, a plan over
//! `events` out.
//!
//! Names and values are checked while planning, with the nearest right one in the error.

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::common::ScalarValue;
use datafusion::error::Result as PlanResult;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::expr_fn::in_subquery;
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, ScalarUDF, ident, lit};
use datafusion::sql::sqlparser::ast::TableFactor;

use super::arguments::Arguments;
use super::bound::BoundRows;
use super::catalog::LakeSchema;
use super::chain_credits;
use super::groupings::{Grouping, groupings, line_grouping, listed};
use super::journey::{
    Answer, EVER, GROUP_COLUMNS, Gives, JourneyNode, JourneySpec, PathNode, PathSpec, Question, RowTerms, Selection,
    StoredJourneyNode, Wanted,
};
use super::model_list::models;
use super::names::Names;
use super::parameters;
use super::person_journeys::{PersonJourneys, Whole};
use super::predicates::{PredicateTexts, Predicates};
use super::reporting_window::{lies_in, window};
use super::segments;
use super::sequences;
use super::stored_terms::stored_terms;
use super::touches::item_of;
use super::view::LakeView;
use super::zone::closed;
use crate::attribution::{Container, Model, Repeats, parse_lookback};
use crate::columns::{self, PRODUCT_LIST, is_metric, is_multi_valued};
use crate::error::did_you_mean;
use crate::functions::{BoundLines, Classes, product_lines};
use crate::lake::bindings::{Binding, Bound};
use crate::lake::segments::Segment;
use crate::{Error, Result};

/// The table functions, all of which read `events`, each with its arguments.
const REPORTS: [(&str, &[&str]); 9] = [
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

/// Plans the table functions over the events of the current view.
#[derive(Debug)]
pub struct ReportPlanner {
    schema: Arc<LakeSchema>,
}

impl ReportPlanner {
    /// For the tables of `schema`.
    pub fn new(schema: Arc<LakeSchema>) -> Self {
        Self { schema }
    }

    fn plan(&self, report: &Report, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let view = self.schema.view();
        let asked = Asked::new(report, &view, context)?;
        let journeys = match report.by_person {
            false => asked.journeys(&Part::Visitors)?,
            true => {
                let persons = PersonJourneys::of(&view)?;
                let together = asked.stored(&Part::Together(&persons))?;
                let in_parts = !asked.spec.needs_all_visitors() && !matches!(report.shape, Shape::Path { .. });
                match (together, in_parts) {
                    (Some(together), _) => together,
                    (None, false) => asked.journeys(&Part::Persons)?,
                    (None, true) => {
                        let shared = asked.journeys(&Part::Shared(&persons))?;
                        LogicalPlanBuilder::from(asked.journeys(&Part::Alone(&persons))?).union(shared)?.build()?
                    }
                }
            }
        };
        match report.shape {
            Shape::Items => summed(journeys, &asked.spec),
            Shape::Paths => summed_paths(journeys, &asked.spec),
            _ => Ok(journeys),
        }
    }
}

/// Journeys that a question is about.
enum Part<'p> {
    /// Those of all visitors.
    Visitors,
    /// Those of visitors that are persons of their own.
    Alone(&'p PersonJourneys),
    /// Those of persons, of the other visitors.
    Shared(&'p PersonJourneys),
    /// Those of all persons.
    Persons,
    /// The same, brought together on the way over the lake's files.
    Together(&'p PersonJourneys),
}

impl Part<'_> {
    /// True where rows are brought together by person.
    fn by_person(&self) -> bool {
        matches!(self, Self::Shared(_) | Self::Persons)
    }
}

/// A call whose names are known.
struct Asked<'a> {
    report: &'a Report,
    view: &'a LakeView,
    suite: &'a str,
    names: Names<'a>,
    metric: Arc<Field>,
    dimension: Arc<Field>,
    classes: Option<Classes>,
    lines: Option<ScalarUDF>,
    binding: Option<Binding>,
    predicates: Predicates,
    groupings: Vec<Grouping>,
    window: (i64, i64),
    spec: JourneySpec,
}

impl<'a> Asked<'a> {
    fn new(report: &'a Report, view: &'a LakeView, context: &mut dyn RelationPlannerContext) -> Result<Self> {
        let suite = view.one_suite()?;
        let names = Names::of(view)?;
        let metric = names.find(&report.metric, "metric", is_metric)?;
        let (dimension, classes) = names.items(&report.dimension)?;
        let binding = names.bound.get(dimension.name()).cloned();
        let multi_valued = is_multi_valued(dimension.name());
        let lines = names.exists(PRODUCT_LIST) && binding.is_none();
        let mut lines = lines.then(|| product_lines(metric.name(), dimension.name(), classes.clone())).flatten();
        let in_lines = lines.is_some();
        let bound = binding.as_ref().map(Binding::rules);
        let predicates = report.predicates.plan(view.events()?.schema(), context)?;
        let groupings = match &report.by {
            Some(text) => groupings(text, &names, context)?,
            None => vec![],
        };
        if let Some(line) = line_grouping(&groupings)? {
            lines = Some(report.lines_by(line, &metric, in_lines, names.exists(PRODUCT_LIST))?);
        }
        let last_resort = report.spec.selection.last_resort.iter();
        let written = |item: &String| classes.as_ref().map_or(item.clone(), |c| c.spelling_of(item).into_owned());
        let selection = Selection {
            last_resort: last_resort.map(written).collect(),
            by: groupings.iter().map(|grouping| (grouping.name.clone(), grouping.kind)).collect(),
            ..report.spec.selection.clone()
        };
        let spec = JourneySpec { multi_valued, in_lines, bound, selection, ..report.spec.clone() };
        report.check(&spec)?;
        let window = window(report.since.as_deref(), report.until.as_deref(), &suite.time_zone)?;
        let suite = suite.suite.as_str();
        Ok(Self {
            report,
            view,
            suite,
            names,
            metric,
            dimension,
            classes,
            lines,
            binding,
            predicates,
            groupings,
            window,
            spec,
        })
    }

    /// What the journeys of a part give, not added up.
    fn journeys(&self, part: &Part<'_>) -> Result<LogicalPlan> {
        match self.stored(part)? {
            Some(stored) => Ok(stored),
            None => self.plain(part),
        }
    }

    /// The journeys straight over the lake's files, where they can be read so.
    fn stored(&self, part: &Part<'_>) -> Result<Option<LogicalPlan>> {
        let Self { report, view, spec, dimension, .. } = self;
        let plainly = self.classes.is_some() || self.lines.is_some() || report.counted;
        let at_once = matches!(report.shape, Shape::Items | Shape::Paths) && !plainly;
        let Some(stored) = view.stored_events().filter(|_| at_once && self.binding.is_none() && !part.by_person())
        else {
            return Ok(None);
        };
        let persons = match part {
            Part::Together(_) if spec.multi_valued || spec.anchored => return Ok(None),
            Part::Together(persons) => Some(persons.rows.clone()),
            _ => None,
        };
        let mut terms = self.predicates.terms(&self.groupings);
        if let Part::Alone(persons) = part {
            if spec.all_visitors_matter() {
                return Ok(None);
            }
            // whoever does not convert gives nothing
            let alone = persons.alone();
            terms.conversions = Some(match terms.conversions {
                Some(conversions) => conversions.and(alone),
                None => alone,
            });
        }
        let Some(mut terms) = stored_terms(stored, &terms, view)? else { return Ok(None) };
        if persons.is_some() {
            // a hit's place says it, a record may have an ID of its own
            let person = RowTerms { person: Some(ident(columns::PERSON_ID)), ..RowTerms::default() };
            let Some([_, of_records]) = stored_terms(stored, &person, view)? else { return Ok(None) };
            terms[1].person = of_records.person;
        }
        let question = Question {
            metric: self.metric.name().clone(),
            dimension: Some(dimension.name().clone()),
            set: Some(columns::set_column(dimension.name())).filter(|set| self.names.exists(set)),
            inherited: report.inherited,
            window: self.window,
            times: false,
            terms,
        };
        let answer = Answer::Credit(JourneySpec { by_person: persons.is_some(), ..spec.clone() });
        let node = StoredJourneyNode::try_new(answer, question, stored.clone())?.by_person(persons);
        Ok(Some(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
    }

    /// The journeys over the SQL of `events`.
    fn plain(&self, part: &Part<'_>) -> Result<LogicalPlan> {
        let Self { report, view, spec, metric, dimension, predicates, .. } = self;
        let by_person = part.by_person();
        let mut events = view.events()?.clone();
        let exists = |name: &str| self.names.exists(name);
        let mut rows = ident("visitor_id").is_not_null().and(ident("suite").eq(lit(self.suite)));
        match part {
            Part::Alone(persons) => rows = rows.and(persons.alone()),
            Part::Shared(persons) => rows = rows.and(persons.shared()),
            Part::Visitors | Part::Persons | Part::Together(_) => {}
        }
        let online = ident("row_kind").eq(lit("online"));
        let marks_visitor = predicates.visitors.clone().map(Expr::is_true);
        let mut marks_visit = predicates.visits.clone().map(Expr::is_true);
        if let Some(marks) = marks_visit.take_if(|_| by_person) {
            // the row that selects a visit may be another person's
            events = PersonJourneys::with_marked_visits(events, rows.clone().and(marks))?;
            marks_visit = Some(PersonJourneys::in_marked_visit());
        }
        if spec.container == Container::Visit {
            let in_visit = online.clone().and(ident("visit_num").is_not_null());
            // whom a question is about, offline rows tell as well
            rows = rows.and(marks_visitor.iter().cloned().fold(in_visit, Expr::or));
        }
        let bound = self.binding.as_ref().map(|binding| {
            let lines = BoundLines {
                metric: metric.name().clone(),
                dimension: dimension.name().clone(),
                by_category: binding.bind == Bound::Category,
                classes: self.classes.clone(),
            };
            BoundRows::new(binding, lines, view, report.inherited, &exists)
        });
        let bound = bound.transpose()?;
        let mut item = match bound {
            Some(_) => lit(ScalarValue::Utf8(None)),
            None => item_of(&report.dimension, dimension, self.classes.clone(), report.inherited, &exists),
        };
        if let Some(touches) = predicates.touches.clone() {
            item = when(touches, item).end()?;
        }
        let mut value = ident(metric.name());
        if report.counted {
            value = when(value.not_eq(lit(0.0)), lit(1.0)).end()?;
        }
        if let Some(conversions) = predicates.conversions.clone() {
            value = when(conversions, value).end()?;
        }
        if self.window != EVER {
            value = when(lies_in(self.window), value).end()?;
        }
        let converts = value.clone().not_eq(lit(0.0));
        if !spec.anchored {
            // a row that is neither touch nor conversion changes nothing
            let touches = bound.as_ref().map_or_else(|| item.clone().is_not_null(), |bound| bound.some.clone());
            let marks = marks_visitor.iter().chain(&marks_visit).cloned();
            let mut counts = marks.fold(touches.or(converts.clone()), Expr::or);
            if let Shape::Path { event_id } = &report.shape {
                // but of the event that is asked for it is said what it lacks
                counts = counts.or(ident("event_id").eq(lit(event_id.clone())));
            }
            rows = rows.and(counts);
        }
        let lines = bound.as_ref().map(|bound| bound.lines.clone()).or(
            match self.lines.as_ref().map(|lines| lines.call(vec![ident(PRODUCT_LIST)])) {
                // where an anchored conversion may come to stand, the lines of a row without a value count, too
                Some(lines) if !spec.anchored => Some(when(converts, lines).end()?),
                lines => lines,
            },
        );
        if let Shape::Path { event_id } = &report.shape {
            // only the journey of who converted
            let whose = if by_person { columns::PERSON_ID } else { columns::VISITOR_ID };
            let converted = ident("event_id").eq(lit(event_id.clone())).and(rows.clone());
            let journey = LogicalPlanBuilder::from(events.clone())
                .filter(converted)?
                .project([ident(whose).alias("converted")])?
                .build()?;
            rows = rows.and(in_subquery(ident(whose), Arc::new(journey)));
        }
        let path = report.wanted().map(|wanted| PathSpec { journey: spec.clone(), wanted });
        let columns = path.as_ref().map_or_else(|| spec.input_columns(), PathSpec::input_columns);
        let columns = columns.into_iter().map(|name| {
            Ok(match name {
                "item" => item.clone().alias("item"),
                "value" => value.clone().alias("value"),
                "ends" => bound.as_ref().map_or_else(|| lit(false), |bound| bound.ends.clone()).alias("ends"),
                "lines" => lines.clone().ok_or_else(|| Error::bug("there are no lines"))?.alias("lines"),
                "marks_visitor" => marked(&marks_visitor)?.alias("marks_visitor"),
                "marks_visit" => marked(&marks_visit)?.alias("marks_visit"),
                "place" => ident("visit_num").alias("place"),
                // the visitor whose row it is, whoever's journey
                "device" => ident("visitor_id").alias("device"),
                "anchor_time" => anchor("snapshot_time")?.alias("anchor_time"),
                "anchor_seq" => anchor("snapshot_seq")?.alias("anchor_seq"),
                "anchor_rest" => anchor(columns::SNAPSHOT_REST)?.alias("anchor_rest"),
                name => match GROUP_COLUMNS.iter().zip(&self.groupings).find(|(column, _)| **column == name) {
                    Some((column, grouping)) => grouping.value.clone().alias(*column),
                    None => match PersonJourneys::column(name)?.filter(|_| by_person) {
                        Some(of_person) => of_person.alias(name),
                        None => ident(name),
                    },
                },
            })
        });
        let input =
            LogicalPlanBuilder::from(events).filter(rows)?.project(columns.collect::<Result<Vec<_>>>()?)?.build()?;
        let node = match path {
            Some(path) => Extension { node: Arc::new(PathNode::try_new(path, input)?) },
            None => Extension { node: Arc::new(JourneyNode::try_new(spec.clone(), input)?) },
        };
        Ok(LogicalPlan::Extension(node))
    }
}

/// The partial credit of a journey, added up.
fn summed(journey: LogicalPlan, spec: &JourneySpec) -> Result<LogicalPlan> {
    let credits = spec.models.iter().map(|(name, _)| (name.clone(), sum(ident(name))));
    let (names, sums): (Vec<_>, Vec<_>) = credits.unzip();
    let groups: Vec<String> = spec.selection.by.iter().map(|(name, _)| name.clone()).chain(["item".into()]).collect();
    let summed = LogicalPlanBuilder::from(journey).aggregate(groups.iter().map(ident), sums)?;
    let outputs = summed.schema().columns();
    let renamed = outputs.into_iter().zip(groups.into_iter().chain(names));
    let renamed: Vec<Expr> = renamed.map(|(column, name)| Expr::Column(column).alias(name)).collect();
    Ok(summed.project(renamed)?.build()?)
}

/// The paths of all journeys, equal ones added up.
fn summed_paths(paths: LogicalPlan, spec: &JourneySpec) -> Result<LogicalPlan> {
    let groups: Vec<&str> = spec.selection.by.iter().map(|(name, _)| name.as_str()).chain(["path"]).collect();
    let sums = ["conversions", "value", "journeys"];
    let summed = LogicalPlanBuilder::from(paths)
        .aggregate(groups.iter().map(|name| ident(*name)), sums.map(|name| sum(ident(name))))?;
    let named = summed.schema().columns().into_iter().zip(groups.into_iter().chain(sums));
    let named: Vec<Expr> = named.map(|(column, name)| Expr::Column(column).alias(name)).collect();
    Ok(summed.project(named)?.build()?)
}

/// What marks rows, where something does.
fn marked(marks: &Option<Expr>) -> Result<Expr> {
    marks.clone().ok_or_else(|| Error::bug("nothing marks rows"))
}

/// A column of a matched transaction row, NULL on all other rows.
fn anchor(column: &str) -> Result<Expr> {
    let matched = ident("row_kind").eq(lit("transaction")).and(ident("match_status").eq(lit("matched")));
    Ok(when(matched, ident(column)).end()?)
}

/// A call, understood.
#[derive(Debug)]
struct Report {
    metric: String,
    dimension: String,
    since: Option<String>,
    until: Option<String>,
    /// Values that an offline row took from its snapshot are touches, too.
    inherited: bool,
    shape: Shape,
    predicates: PredicateTexts,
    by: Option<String>,
    /// Each conversion counts one, whatever its value.
    counted: bool,
    /// The journeys are those of persons.
    by_person: bool,
    spec: JourneySpec,
}

/// What one row of a report is.
#[derive(Debug)]
enum Shape {
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
    fn new(function: &str, arguments: &Arguments) -> Result<Self> {
        let Whole { container, by_person } = Whole::of(arguments)?;
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
                "paths" => Gives::Paths { unconverted: arguments.flag("unconverted")?.unwrap_or(false) },
                _ => Gives::Credit,
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

    /// Keeps to the visitors or visits of a segment.
    fn keep_to(&mut self, name: &str, segment: &Segment) {
        self.predicates.keep_to(segment.container, &segments::condition(name));
        match segment.container {
            Container::Visitor => self.spec.selection.visitors = true,
            Container::Visit => self.spec.selection.visits = true,
        }
    }

    /// What is shown of journeys; None: credit per item, or paths.
    fn wanted(&self) -> Option<Wanted> {
        match &self.shape {
            Shape::Items | Shape::Paths => None,
            Shape::Conversions => Some(Wanted::Conversions),
            Shape::Credits => Some(Wanted::Credits),
            Shape::Path { event_id } => Some(Wanted::Path { event_id: event_id.clone(), metric: self.metric.clone() }),
        }
    }

    /// The lines by which the answer is broken down.
    fn lines_by(&self, line: &Grouping, metric: &Field, in_lines: bool, are_listed: bool) -> Result<ScalarUDF> {
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
    fn check(&self, spec: &JourneySpec) -> Result<()> {
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
            return refused(name, "algorithmic", "its shares hang on the whole paths of all journeys");
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
        if spec.in_lines
            && let Some(name) =
                given(&["last_resort"]).or(given(&["repeats"]).filter(|_| selection.repeats == Repeats::First))
        {
            let why = format!("{} is divided by product line, and a line's own row is its touch", self.metric);
            return refused(name, &self.dimension, &why);
        }
        if let Gives::Paths { unconverted } = spec.gives {
            if spec.multi_valued || spec.bound.is_some() {
                let message = format!("paths: {} has several values a row, of which none is the next", self.dimension);
                return Err(Error::query(message));
            }
            if unconverted && !selection.by.is_empty() {
                return refused("by", "unconverted", "a journey without a conversion has no row of one");
            }
        }
        let answer = match self.wanted() {
            Some(wanted) => PathSpec { journey: spec.clone(), wanted }.output(),
            None => spec.output(),
        };
        let twice =
            selection.by.iter().find(|(name, _)| answer.fields().iter().filter(|f| f.name() == name).count() > 1);
        match twice {
            Some((name, _)) => Err(Error::query(format!("by: the answer has a column {name} already"))),
            None => Ok(()),
        }
    }
}

impl RelationPlanner for ReportPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> PlanResult<RelationPlanning> {
        let TableFactor::Table { name, alias, args: Some(args), .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let function = name.to_string().to_lowercase();
        let report = REPORTS.iter().find(|(name, _)| *name == function).map(|(_, order)| *order);
        if !parameters::of(&args.args).is_empty() {
            let (view, alias) = (self.schema.view(), alias.clone());
            let columns = match report {
                Some(_) => Names::of(&view)?.columns(),
                None => vec![],
            };
            let plan = parameters::stand_in(&relation, report, &columns, context)?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))));
        }
        let Some(order) = report else { return Ok(RelationPlanning::Original(Box::new(relation))) };
        let arguments = Arguments::read(&function, order, args.args.clone(), context)?;
        if function == "credits"
            && let Some(relation) = chain_credits::relation(&arguments)?
        {
            let plan = context.plan(relation)?;
            return Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))));
        }
        let plan = match function.as_str() {
            "funnel" | "flow" | "segment_members" => {
                sequences::plan(&function, &arguments, &self.schema.view(), context)?
            }
            _ => {
                let mut report = Report::new(&function, &arguments)?;
                if let Some(name) = arguments.text("segment")? {
                    report.keep_to(&name, &segments::find(&self.schema.view(), &name)?);
                }
                self.plan(&report, context)?
            }
        };
        let plan = closed(plan, context.context_provider().options())?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}
