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
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, UserDefinedLogicalNode, ident, lit};
use datafusion::sql::sqlparser::ast::TableFactor;

use super::arguments::Arguments;
use super::bound::BoundRows;
use super::by_visitor;
use super::catalog::LakeSchema;
use super::chain_credits;
use super::groupings::{Grouping, groupings, line_grouping};
use super::journey::{
    Answer, ConversionOutput, EVER, GROUP_COLUMNS, JourneyNode, JourneySpec, PathNode, Question, RowTerms, Selection,
    ShownNode, ShownSpec, StoredJourneyNode,
};
use super::names::ColumnNames;
use super::parameters;
use super::person_journeys::PersonJourneys;
use super::predicates::Predicates;
use super::report_call::{REPORTS, Report, Shape};
use super::reporting_window::{lies_in, window};
use super::segments;
use super::sequences;
use super::stored_terms::stored_terms;
use super::touches::item_of;
use super::view::LakeView;
use super::zone::closed;
use crate::attribution::Container;
use crate::columns::{self, PRODUCT_LIST, is_metric, is_multi_valued};
use crate::functions::{BoundLines, Classes, product_lines};
use crate::lake::bindings::{Binding, Bound};
use crate::{Error, Result};

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
        let asked = ResolvedCall::new(report, &view, context)?;
        let journeys = match report.by_person {
            false => asked.journeys(&WhoseJourneys::Visitors)?,
            true => {
                let persons = PersonJourneys::of(&view)?;
                let together = asked.stored(&WhoseJourneys::Together(&persons))?;
                let in_parts = !asked.spec.needs_all_visitors() && !matches!(report.shape, Shape::Path { .. });
                match (together, in_parts) {
                    (Some(together), _) => together,
                    (None, false) => asked.journeys(&WhoseJourneys::Persons)?,
                    (None, true) => {
                        let shared = asked.journeys(&WhoseJourneys::Shared(&persons))?;
                        let alone = asked.journeys(&WhoseJourneys::Alone(&persons))?;
                        let both = LogicalPlanBuilder::from(alone).union(shared)?.build()?;
                        match report.shape {
                            Shape::Paths => summed_paths(both, &asked.spec)?,
                            _ => both,
                        }
                    }
                }
            }
        };
        match report.shape {
            Shape::Items => summed(journeys, &asked.spec),
            _ => Ok(journeys),
        }
    }
}

/// Journeys that a question is about.
enum WhoseJourneys<'p> {
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

impl WhoseJourneys<'_> {
    /// True where rows are brought together by person.
    fn by_person(&self) -> bool {
        matches!(self, Self::Shared(_) | Self::Persons)
    }
}

/// A call whose names are known.
struct ResolvedCall<'a> {
    report: &'a Report,
    view: &'a LakeView,
    suite: &'a str,
    names: ColumnNames<'a>,
    metric: Arc<Field>,
    dimension: Arc<Field>,
    classes: Option<Classes>,
    /// What of a row converts line by line.
    lines: Option<Expr>,
    binding: Option<Binding>,
    predicates: Predicates,
    groupings: Vec<Grouping>,
    window: (i64, i64),
    spec: JourneySpec,
}

impl<'a> ResolvedCall<'a> {
    fn new(report: &'a Report, view: &'a LakeView, context: &mut dyn RelationPlannerContext) -> Result<Self> {
        let suite = view.one_suite()?;
        let names = ColumnNames::of(view)?;
        let metric = names.find(&report.metric, "metric", is_metric)?;
        let (dimension, classes) = names.items(&report.dimension)?;
        let binding = names.bound.get(dimension.name()).cloned();
        let multi_valued = is_multi_valued(dimension.name());
        let lines = names.exists(PRODUCT_LIST) && binding.is_none();
        let lines = lines.then(|| product_lines(metric.name(), dimension.name(), classes.clone())).flatten();
        let mut lines = lines.map(|lines| lines.call(vec![ident(PRODUCT_LIST), lit(ScalarValue::Utf8(None))]));
        let in_lines = lines.is_some();
        let bound = binding.as_ref().map(Binding::rules);
        let predicates = report.predicates.plan(view.events()?.schema(), context)?;
        let groupings = match &report.by {
            Some(text) => groupings(text, &names, context)?,
            None => vec![],
        };
        if let Some(line) = line_grouping(&groupings)? {
            let of_rows = report.lines_by(line, &metric, in_lines, names.exists(PRODUCT_LIST))?;
            lines = Some(of_rows.call(vec![ident(PRODUCT_LIST), ident(line.column.as_str())]));
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
    fn journeys(&self, part: &WhoseJourneys<'_>) -> Result<LogicalPlan> {
        match self.stored(part)? {
            Some(stored) => Ok(stored),
            None => self.plain(part),
        }
    }

    /// The journeys straight over the lake's files, where they can be read so.
    fn stored(&self, part: &WhoseJourneys<'_>) -> Result<Option<LogicalPlan>> {
        let Self { report, view, spec, dimension, .. } = self;
        if matches!(report.shape, Shape::Path { .. }) {
            // a visitor is soon found
            return Ok(None);
        }
        let wanted = report.wanted();
        // at its hit a record's lines count without a value of its own
        let divides = spec.in_lines && !spec.anchored && !spec.selection.takes_lines();
        let at_once = (self.lines.is_none() || divides)
            && match &wanted {
                None => true,
                // of a row with several values all are shown, as they stand there
                Some(ConversionOutput::Conversions) => !spec.multi_valued,
                Some(ConversionOutput::Credits) => true,
            };
        let Some(stored) = view.stored_events().filter(|_| at_once && self.binding.is_none() && !part.by_person())
        else {
            return Ok(None);
        };
        let persons = match part {
            WhoseJourneys::Together(_) if spec.multi_valued || spec.anchored || wanted.is_some() => return Ok(None),
            // one walk looks for one row of a person
            WhoseJourneys::Together(_) if self.predicates.marks_visitor(true).1.is_some() => return Ok(None),
            WhoseJourneys::Together(persons) => Some(persons.rows.clone()),
            _ => None,
        };
        let mut terms = self.predicates.terms(&self.groupings);
        terms.lines = self.lines.clone();
        if let Some(wanted) = &wanted {
            terms.shown = ["event_id", columns::ROW_KIND].map(ident).to_vec();
            terms.shown.extend(matches!(wanted, ConversionOutput::Conversions).then(|| ident(columns::VISITOR_ID)));
            terms.shown.append(&mut terms.by);
        }
        if let WhoseJourneys::Alone(persons) = part {
            if spec.all_visitors_matter() {
                return Ok(None);
            }
            // visitors that do not convert give nothing
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
            classes: self.classes.clone(),
            counted: report.counted,
            set: Some(columns::set_column(dimension.name())).filter(|set| self.names.exists(set)),
            inherited: report.inherited,
            window: self.window,
            times: wanted.is_some(),
            terms,
        };
        let answer = match wanted {
            Some(wanted) => Answer::Shown(ShownSpec { journey: spec.clone(), wanted }),
            None => Answer::Credit(JourneySpec { by_person: persons.is_some(), ..spec.clone() }),
        };
        let node = StoredJourneyNode::try_new(answer, question, stored.clone())?.by_person(persons);
        Ok(Some(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
    }

    /// The journeys over the SQL of `events`.
    fn plain(&self, part: &WhoseJourneys<'_>) -> Result<LogicalPlan> {
        let Self { report, view, spec, metric, dimension, predicates, .. } = self;
        let by_person = part.by_person();
        let mut events = view.events()?.clone();
        let exists = |name: &str| self.names.exists(name);
        let mut rows = ident("visitor_id").is_not_null().and(ident("suite").eq(lit(self.suite)));
        match part {
            WhoseJourneys::Alone(persons) => rows = rows.and(persons.alone()),
            WhoseJourneys::Shared(persons) => rows = rows.and(persons.shared()),
            WhoseJourneys::Visitors | WhoseJourneys::Persons | WhoseJourneys::Together(_) => {}
        }
        let online = ident("row_kind").eq(lit("online"));
        let (marks_visitor, marks_person) = predicates.marks_visitor(by_person);
        let marks_visitor = marks_visitor.map(Expr::is_true);
        let of_marked_person = match marks_person {
            Some(marks) => Some(PersonJourneys::with_marked_row(events.clone(), rows.clone().and(marks))?),
            None => None,
        };
        let mut marks_visit = predicates.visits.clone().map(Expr::is_true);
        if let Some(marks) = marks_visit.take_if(|_| by_person) {
            // the row that selects a visit may be another person's
            events = PersonJourneys::with_marked_visits(events, rows.clone().and(marks))?;
            marks_visit = Some(PersonJourneys::in_marked_visit());
        }
        // where rows of no visit are read
        let mut in_visit = None;
        if spec.container == Container::Visit {
            let is_in_visit = online.clone().and(ident("visit_num").is_not_null());
            in_visit = marks_visitor.is_some().then(|| is_in_visit.clone());
            // whom a question is about, offline rows tell as well
            rows = rows.and(marks_visitor.iter().cloned().fold(is_in_visit, Expr::or));
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
        let mut bound = bound.transpose()?;
        let mut item = match bound {
            Some(_) => lit(ScalarValue::Utf8(None)),
            None => item_of(&report.dimension, dimension, self.classes.clone(), report.inherited, &exists),
        };
        if let Some(touches) = predicates.touches.clone() {
            item = when(touches, item).end()?;
        }
        let mut value = ident(metric.name());
        if report.counted {
            // -0.0 is another number to arrow
            value = when(value.in_list(vec![lit(0.0), lit(-0.0)], true), lit(1.0)).end()?;
        }
        if let Some(conversions) = predicates.conversions.clone() {
            value = when(conversions, value).end()?;
        }
        if self.window != EVER {
            value = when(lies_in(self.window), value).end()?;
        }
        if let (Some(bound), Some(in_visit)) = (&mut bound, in_visit) {
            // a row of no visit neither binds, nor converts, nor ends what is bound
            bound.lines = when(in_visit.clone(), bound.lines.clone()).end()?;
            bound.ends = in_visit.clone().and(bound.ends.clone());
            value = when(in_visit, value).end()?;
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
        let lines = bound.as_ref().map(|bound| bound.lines.clone()).or(match self.lines.clone() {
            // where an anchored conversion may come to stand, the lines of a row without a value count, too
            Some(lines) if !spec.anchored => Some(when(converts, lines).end()?),
            lines => lines,
        });
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
        if let Some(of_marked_person) = of_marked_person {
            rows = rows.and(of_marked_person);
        }
        let path = report.explained(spec);
        let shown = report.wanted().map(|wanted| ShownSpec { journey: spec.clone(), wanted });
        let columns = match (&path, &shown) {
            (Some(path), _) => path.input_columns(),
            (None, Some(shown)) => shown.input_columns(),
            (None, None) => spec.input_columns(),
        };
        let snapshot_rest = match by_person {
            true => PersonJourneys::rest(columns::SNAPSHOT_REST),
            false => ident(columns::SNAPSHOT_REST),
        };
        let columns = columns.into_iter().map(|name| {
            Ok(match name {
                "item" => item.clone().alias("item"),
                "value" => value.clone().alias("value"),
                "ends" => bound.as_ref().map_or_else(|| lit(false), |bound| bound.ends.clone()).alias("ends"),
                "lines" => lines.clone().ok_or_else(|| Error::bug("there are no lines"))?.alias("lines"),
                "marks_visitor" => marked(&marks_visitor)?.alias("marks_visitor"),
                "marks_visit" => marked(&marks_visit)?.alias("marks_visit"),
                "place" => ident("visit_num").alias("place"),
                // the visitor whose row it is, not the person of the journey
                "device" => ident("visitor_id").alias("device"),
                "anchor_time" => anchor(ident("snapshot_time"))?.alias("anchor_time"),
                "anchor_seq" => anchor(ident("snapshot_seq"))?.alias("anchor_seq"),
                "anchor_rest" => anchor(snapshot_rest.clone())?.alias("anchor_rest"),
                name => match GROUP_COLUMNS.iter().zip(&self.groupings).find(|(column, _)| **column == name) {
                    Some((column, grouping)) => grouping.value.clone().alias(*column),
                    None => match PersonJourneys::column(name)?.filter(|_| by_person) {
                        Some(of_person) => of_person.alias(name),
                        None => ident(name),
                    },
                },
            })
        });
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        // rows of one journey alone may come in no order at all
        if by_person || path.is_some() {
            columns.extend(by_visitor::tie_columns()?);
        }
        let input = LogicalPlanBuilder::from(events).filter(rows)?.project(columns)?.build()?;
        let node: Arc<dyn UserDefinedLogicalNode> = match (path, shown) {
            (Some(path), _) => Arc::new(PathNode::try_new(path, input)?),
            (None, Some(shown)) => Arc::new(ShownNode::try_new(shown, input)?),
            (None, None) => Arc::new(JourneyNode::try_new(spec.clone(), input)?),
        };
        Ok(LogicalPlan::Extension(Extension { node }))
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

/// The paths of two parts of the journeys, equal ones added up.
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

/// What is of a matched transaction row, NULL on all other rows.
fn anchor(value: Expr) -> Result<Expr> {
    let matched = ident("row_kind").eq(lit("transaction")).and(ident("match_status").eq(lit("matched")));
    Ok(when(matched, value).end()?)
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
                Some(_) => ColumnNames::of(&view)?.columns(),
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
                    report.keep_to(&name, &segments::find(&self.schema.view(), &name)?)?;
                }
                self.plan(&report, context)?
            }
        };
        let plan = closed(plan, context.context_provider().options())?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}
