//! The table functions `funnel`, `flow` and `segment_members`: arguments in, a plan over `events` out.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::{median, sum};
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};

use super::arguments::Arguments;
use super::by_visitor;
use super::groupings::{Grouping, groupings, line_grouping};
use super::journey::{
    Answer, EVER, Follows, GROUP_COLUMNS, Question, RowTerms, Sequence, SequenceNode, SequenceSpec, StoredJourneyNode,
};
use super::names::ColumnNames;
use super::person_journeys::{JourneyScope, PersonJourneys};
use super::predicates::{PredicateTexts, Predicates, predicate};
use super::reporting_window::{lies_in, window};
use super::segments;
use super::stored_terms::stored_terms;
use super::touches::item_of;
use super::view::LakeView;
use crate::attribution::Container;
use crate::columns::{self, OCCURRENCES, PERSON_ID, VISITOR_ID, is_multi_valued};
use crate::error::did_you_mean;
use crate::functions::Classes;
use crate::lake::segments::SegmentStep;
use crate::time::parse_duration;
use crate::{Error, Result};

/// Arguments of `funnel`, in order.
pub(super) const FUNNEL: &[&str] =
    &["steps", "container", "within", "next", "since", "until", "by", "visitors", "visits", "segment"];
/// Arguments of `flow`, in order.
pub(super) const FLOW: &[&str] = &[
    "dimension",
    "after",
    "before",
    "depth",
    "container",
    "since",
    "until",
    "inherited",
    "touches",
    "visitors",
    "visits",
    "segment",
];
/// Arguments of `segment_members`, in order.
pub(super) const MEMBERS: &[&str] = &["name"];
/// The bits of a column that holds which steps a row satisfies.
const MOST_STEPS: usize = 62;

/// The plan of a call of `funnel` or `flow`.
pub(super) fn plan(
    function: &str,
    arguments: &Arguments,
    view: &LakeView,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let events = view.events()?.clone();
    if function == "segment_members" {
        return members(arguments, view, events, context);
    }
    let scope = JourneyScope::of(arguments)?;
    let segment = match arguments.text("segment")? {
        Some(name) => {
            let segment = segments::find(view, &name)?;
            segments::check_container(&name, &segment, scope.by_person)?;
            let condition = predicate("segment", &segments::condition(&name), events.schema(), context)?;
            Some((condition, segment.container))
        }
        None => None,
    };
    let persons = scope.by_person.then(|| PersonJourneys::of(view)).transpose()?;
    let in_visits = scope.container == Container::Visit;
    let predicates = PredicateTexts::of(arguments)?.plan(events.schema(), context)?;
    let call = Call { arguments, view, events, in_visits, persons, predicates, segment };
    match function {
        "funnel" => call.funnel(context),
        _ => call.flow(context),
    }
}

/// A call over the events of a view.
struct Call<'c> {
    arguments: &'c Arguments,
    view: &'c LakeView,
    events: LogicalPlan,
    in_visits: bool,
    /// The journeys are those of persons.
    persons: Option<PersonJourneys>,
    /// Touches, visitors and visits that count, but for those of a segment.
    predicates: Predicates,
    /// What is true of the rows of a segment, and what it is made of, where the question is about one.
    segment: Option<(Expr, Container)>,
}

impl Call<'_> {
    fn funnel(&self, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let texts = self.arguments.texts("steps")?.unwrap_or_default();
        if texts.is_empty() || texts.len() > MOST_STEPS {
            let message = format!(
                "funnel takes 1 to {MOST_STEPS} steps, not {}: steps => ['product_views > 0', 'orders > 0']",
                texts.len()
            );
            return Err(Error::query(message));
        }
        let step =
            |(n, text): (usize, &String)| predicate(&format!("step {}", n + 1), text, self.events.schema(), context);
        let mut steps = texts.iter().enumerate().map(step).collect::<Result<Vec<_>>>()?;
        steps[0] = steps[0].clone().and(self.reporting_window()?);
        let next = self.arguments.text("next")?;
        let at_once = match next.as_deref() {
            None | Some("eventually") => false,
            Some("at_once") => true,
            Some(other) => {
                let hint = did_you_mean(other, ["eventually", "at_once"]);
                return Err(Error::query(format!("next is eventually or at_once, not {other}{hint}")));
            }
        };
        let within = self.arguments.text("within")?.filter(|text| text.trim() != "all");
        let within_us = within.map(|text| parse_duration(&text).map_err(|e| Error::query(format!("within {e}"))));
        let names = ColumnNames::of(self.view)?;
        let groupings = match self.arguments.text("by")? {
            Some(text) => groupings(&text, &names, context)?,
            None => vec![],
        };
        if let Some(line) = line_grouping(&groupings)? {
            return Err(Error::query(format!("by: {} has several values a row, and a step is one row", line.name)));
        }
        let by: Vec<_> = groupings.iter().map(|grouping| (grouping.name.clone(), grouping.kind)).collect();
        let answer = ["step", "name", "journeys", "share_of_first", "share_of_previous", "median_seconds"];
        if let Some((name, _)) = by.iter().find(|(name, _)| answer.contains(&name.as_str())) {
            return Err(Error::query(format!("by: the answer has a column {name} already")));
        }
        let sequence = Sequence::Funnel { steps: steps.len(), within_us: within_us.transpose()?, at_once, by };
        let asked = SequenceRows { steps, all: at_once, groupings: &groupings, items: None, times: true };
        let journeys = self.sequence(sequence, &asked)?;
        counted(journeys, &groupings, &texts)
    }

    fn flow(&self, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let names = ColumnNames::of(self.view)?;
        let name = self.arguments.text("dimension")?;
        let name =
            name.ok_or_else(|| Error::query("flow(dimension, after => 'SQL', ...): the dimension is missing"))?;
        let (dimension, classes) = names.items(&name)?;
        if is_multi_valued(dimension.name()) || names.bound.contains_key(dimension.name()) {
            return Err(Error::query(format!("{name} has several values a row, of which none is the next")));
        }
        let (before, argument, text) = match (self.arguments.text("after")?, self.arguments.text("before")?) {
            (Some(text), None) => (false, "after", text),
            (None, Some(text)) => (true, "before", text),
            (Some(_), Some(_)) => return Err(Error::query("flow: give either after or before, not both")),
            (None, None) => return Err(Error::query("flow: after or before is missing, the row that it starts from")),
        };
        let anchors = predicate(argument, &text, self.events.schema(), context)?.and(self.reporting_window()?);
        let depth = self.arguments.count("depth")?.unwrap_or(3);
        let inherited = self.arguments.flag("inherited")?.unwrap_or(false);
        let exists = |name: &str| names.exists(name);
        let mut item = item_of(&name, &dimension, classes.clone(), inherited, &exists);
        if let Some(touches) = &self.predicates.touches {
            item = when(touches.clone(), item).end()?;
        }
        let items = Items {
            dimension: dimension.name().clone(),
            classes,
            set: Some(columns::set_column(dimension.name())).filter(|set| exists(set)),
            inherited,
            item,
        };
        let asked = SequenceRows { steps: vec![anchors], all: false, groupings: &[], items: Some(items), times: false };
        let journeys = self.sequence(Sequence::Flow { depth, before }, &asked)?;
        let groups = ["step", "item", "next_item"].map(ident);
        let counted = LogicalPlanBuilder::from(journeys).aggregate(groups, vec![sum(ident("journeys"))])?;
        let columns = counted.schema().columns();
        let next = if before { "previous_item" } else { "next_item" };
        let named = columns.into_iter().zip(["step", "item", next, "journeys"]);
        let named: Vec<Expr> = named.map(|(column, name)| Expr::Column(column).alias(name)).collect();
        Ok(counted.project(named)?.build()?)
    }

    /// What is looked for among the rows of journeys.
    fn sequence(&self, sequence: Sequence, asked: &SequenceRows<'_>) -> Result<LogicalPlan> {
        let spec = SequenceSpec { in_visits: self.in_visits, sequence };
        let Some(persons) = &self.persons else { return self.of_visitors(&spec, asked, None) };
        let alone = self.of_visitors(&spec, asked, Some(persons))?;
        let shared = self.asked_about(self.own_rows()?, Some(persons))?.and(persons.shared());
        let shared = self.plain(&spec, asked, shared, true)?;
        Ok(LogicalPlanBuilder::from(alone).union(shared)?.build()?)
    }

    /// Of all visitors, or of those that are persons of their own: straight over the lake's files, where they can be read so.
    fn of_visitors(
        &self,
        spec: &SequenceSpec,
        asked: &SequenceRows<'_>,
        alone: Option<&PersonJourneys>,
    ) -> Result<LogicalPlan> {
        if let Some(stored) = self.stored(spec, asked, alone)? {
            return Ok(stored);
        }
        let rows = self.asked_about(self.own_rows()?, None)?;
        self.plain(spec, asked, alone.iter().fold(rows, |rows, persons| rows.and(persons.alone())), false)
    }

    fn stored(
        &self,
        spec: &SequenceSpec,
        asked: &SequenceRows<'_>,
        alone: Option<&PersonJourneys>,
    ) -> Result<Option<LogicalPlan>> {
        if self.by_other_rows() {
            return Ok(None);
        }
        let Some(stored) = self.view.stored_events() else { return Ok(None) };
        let mut terms = RowTerms { steps: asked.bits(), ..RowTerms::default() };
        terms.by = asked.groupings.iter().map(|grouping| grouping.value.clone()).collect();
        if let Some((segment, _)) = &self.segment {
            // rows of others are not there
            terms.steps.iter_mut().for_each(|step| *step = segment.clone().and(step.clone()));
        }
        if asked.items.is_some() {
            let segment = self.segment.iter().map(|(segment, _)| segment);
            terms.touches = segment.chain(&self.predicates.touches).cloned().reduce(Expr::and);
        }
        if let (Some(persons), Some(first)) = (alone, terms.steps.first_mut()) {
            // a journey without its first row gives nothing
            *first = first.clone().and(persons.alone());
        }
        let Some(terms) = stored_terms(stored, &terms, self.view)? else { return Ok(None) };
        let question = Question {
            metric: OCCURRENCES.into(),
            dimension: asked.items.as_ref().map(|items| items.dimension.clone()),
            classes: asked.items.as_ref().and_then(|items| items.classes.clone()),
            counted: false,
            set: asked.items.as_ref().and_then(|items| items.set.clone()),
            inherited: asked.items.as_ref().is_some_and(|items| items.inherited),
            window: EVER,
            times: asked.times,
            terms,
        };
        let node = StoredJourneyNode::try_new(Answer::Order(spec.clone()), question, stored.clone())?;
        Ok(Some(LogicalPlan::Extension(Extension { node: Arc::new(node) })))
    }

    /// The journeys of these rows over the SQL of `events`.
    fn plain(&self, spec: &SequenceSpec, asked: &SequenceRows<'_>, rows: Expr, by_person: bool) -> Result<LogicalPlan> {
        let columns = spec.input_columns().into_iter().map(|name| {
            let group = GROUP_COLUMNS.iter().zip(asked.groupings).find(|(column, _)| **column == name);
            let of_person = if by_person { PersonJourneys::column(name)? } else { None };
            let value = asked.column(name)?.or(group.map(|(_, grouping)| grouping.value.clone())).or(of_person);
            Ok(value.map_or_else(|| ident(name), |value| value.alias(name)))
        });
        let mut columns = columns.collect::<Result<Vec<_>>>()?;
        if by_person || self.by_other_rows() {
            // such rows are sorted anew
            columns.extend(by_visitor::tie_columns()?);
        }
        let rows = rows.and(asked.some());
        let input = LogicalPlanBuilder::from(self.events.clone()).filter(rows)?.project(columns)?.build()?;
        let node = SequenceNode::try_new(spec.clone(), input)?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    /// True on the rows that journeys are made of.
    fn own_rows(&self) -> Result<Expr> {
        let own = self.rows_of_visitors()?;
        Ok(if self.in_visits { own.and(in_visit()) } else { own })
    }

    /// True on the suite's rows that are somebody's.
    fn rows_of_visitors(&self) -> Result<Expr> {
        let suite = self.view.one_suite()?;
        Ok(ident(VISITOR_ID).is_not_null().and(ident("suite").eq(lit(suite.suite.clone()))))
    }

    /// True where other rows of a visitor, a person or a visit say whether a row counts.
    fn by_other_rows(&self) -> bool {
        self.predicates.visitors.is_some() || self.predicates.visits.is_some()
    }

    /// Those of `rows` that the question is about. With `persons`, where it is about visitors: all rows of the persons who are
    /// some of them.
    fn asked_about(&self, rows: Expr, persons: Option<&PersonJourneys>) -> Result<Expr> {
        let with_marked_row = |marks: Expr| -> Result<Expr> {
            Ok(match persons {
                Some(persons) => PersonJourneys::with_marked_row(self.events.clone(), marks.and(persons.shared()))?,
                None => by_visitor::with_marked_row(self.events.clone(), marks)?,
            })
        };
        let mut asked = rows;
        if let Some(marks) = &self.predicates.visitors {
            // offline rows say whose journeys count in the container visit, too
            asked = asked.and(with_marked_row(self.rows_of_visitors()?.and(marks.clone()))?);
        }
        if let Some(marks) = &self.predicates.visits {
            let marks = self.rows_of_visitors()?.and(in_visit()).and(marks.clone());
            asked = asked.and(in_visit()).and(PersonJourneys::of_marked_visit(self.events.clone(), marks)?);
        }
        Ok(match (&self.segment, persons) {
            (None, _) => asked,
            (Some((segment, Container::Visitor)), Some(_)) => {
                asked.and(with_marked_row(self.own_rows()?.and(segment.clone()))?)
            }
            (Some((segment, _)), _) => asked.and(segment.clone()),
        })
    }

    fn reporting_window(&self) -> Result<Expr> {
        let (since, until) = (self.arguments.text("since")?, self.arguments.text("until")?);
        let zone = &self.view.one_suite()?.time_zone;
        Ok(lies_in(window(since.as_deref(), until.as_deref(), zone)?))
    }
}

/// True on rows of a visit.
fn in_visit() -> Expr {
    ident("row_kind").eq(lit("online")).and(ident("visit_num").is_not_null())
}

/// Who belongs to a segment.
fn members(
    arguments: &Arguments,
    view: &LakeView,
    events: LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let name = arguments.text("name")?;
    let name = name.ok_or_else(|| Error::query("segment_members('name'): the name of the segment is missing"))?;
    let segment = segments::find(view, &name)?;
    let step = |(n, step): (usize, &SegmentStep)| {
        predicate(&format!("segment {name}, condition {}", n + 1), &step.condition, events.schema(), context)
    };
    let steps = segment.steps.iter().enumerate().map(step).collect::<Result<Vec<_>>>()?;
    let follows = |step: &SegmentStep| {
        let within_us = step.within.as_deref().map(parse_duration).transpose().map_err(Error::query)?;
        Ok(Follows { within_us, next: step.next })
    };
    let sequence = Sequence::Members { steps: segment.steps.iter().map(follows).collect::<Result<_>>()? };
    let in_visits = segment.container == Container::Visit;
    let persons = segment.by_person.then(|| PersonJourneys::of(view)).transpose()?;
    let predicates = Predicates::default();
    let call = Call { arguments, view, events: events.clone(), in_visits, persons, predicates, segment: None };
    let all = segment.steps.iter().any(|step| step.next);
    let asked = SequenceRows { steps, all, groupings: &[], items: None, times: true };
    if !segment.by_person {
        return call.sequence(sequence, &asked);
    }
    // a member is told by its person's id, which rows of visitors that are persons of their own have, too
    let of_persons = call.plain(&SequenceSpec { in_visits, sequence }, &asked, call.own_rows()?, true)?;
    Ok(LogicalPlanBuilder::from(of_persons).project([ident(VISITOR_ID).alias(PERSON_ID)])?.build()?)
}

/// What of rows counts.
struct SequenceRows<'a> {
    /// What the rows of steps satisfy, or that from which a flow starts.
    steps: Vec<Expr>,
    /// Rows that satisfy no step stand between others, too.
    all: bool,
    groupings: &'a [Grouping],
    /// Where it is about items.
    items: Option<Items>,
    /// How long something took counts.
    times: bool,
}

/// The items of rows.
struct Items {
    /// Its name as it is stored.
    dimension: String,
    /// What becomes of its values, where items are their classes.
    classes: Option<Classes>,
    /// The column that says where it was set.
    set: Option<String>,
    /// Values that an offline row took from its snapshot are touches, too.
    inherited: bool,
    item: Expr,
}

impl SequenceRows<'_> {
    /// The steps, and that a row is there, where that counts.
    fn bits(&self) -> Vec<Expr> {
        self.steps.iter().cloned().chain(self.all.then(|| lit(true))).collect()
    }

    /// True on the rows that count.
    fn some(&self) -> Expr {
        let item = self.items.iter().map(|items| items.item.clone().is_not_null());
        let any = item.chain(self.steps.iter().cloned()).reduce(Expr::or).filter(|_| !self.all);
        any.unwrap_or_else(|| lit(true))
    }

    /// What stands for a column of the operator's input; None for one of `events`.
    fn column(&self, name: &str) -> Result<Option<Expr>> {
        Ok(match name {
            "steps" => Some(bits(self.bits())?),
            "anchors" => self.steps.first().cloned(),
            "item" => self.items.as_ref().map(|items| items.item.clone()),
            _ => None,
        })
    }
}

/// Which steps a row satisfies, the first in the lowest bit.
fn bits(steps: Vec<Expr>) -> Result<Expr> {
    let bit = |(n, step): (usize, Expr)| when(step, lit(1_i64 << n)).otherwise(lit(0_i64));
    let bits = steps.into_iter().enumerate().map(bit).collect::<Result<Vec<_>, _>>()?;
    Ok(bits.into_iter().reduce(|sum, bit| sum + bit).unwrap_or_else(|| lit(0_i64)))
}

/// The journeys that reached each step, with the steps' predicates `texts`.
fn counted(journeys: LogicalPlan, groupings: &[Grouping], texts: &[String]) -> Result<LogicalPlan> {
    let mut found = LogicalPlanBuilder::from(journeys);
    if groupings.is_empty() {
        // steps that nobody reached are rows, too
        let nothing = |step: usize| {
            let zero = || lit(0_i64);
            vec![lit(step as i64), zero(), zero(), zero(), lit(ScalarValue::Float64(None))]
        };
        let all = LogicalPlanBuilder::values((1..=texts.len()).map(nothing).collect())?;
        let names = ["step", "reached", "reached_previous", "begun", "seconds"];
        let columns = all.schema().columns().into_iter().zip(names);
        let named: Vec<Expr> = columns.map(|(column, name)| Expr::Column(column).alias(name)).collect();
        found = found.union(all.project(named)?.build()?)?;
    }
    let groups: Vec<&str> = groupings.iter().map(|grouping| grouping.name.as_str()).chain(["step"]).collect();
    let sums = ["reached", "reached_previous", "begun"].map(|name| sum(ident(name)));
    let sums = sums.into_iter().chain([median(ident("seconds"))]);
    let counted = found.aggregate(groups.iter().map(|name| ident(*name)), sums)?;
    let columns = counted.schema().columns();
    let column = |place: usize| Expr::Column(columns[place].clone());
    let (step, first) = (groups.len() - 1, groups.len());
    let name = texts
        .iter()
        .enumerate()
        .skip(1)
        .fold(when(column(step).eq(lit(1_i64)), lit(texts[0].clone())), |mut cases, (n, text)| {
            cases.when(column(step).eq(lit(n as i64 + 1)), lit(text.clone()))
        });
    let share = |of: usize| {
        let of = column(of);
        let share = cast(column(first), DataType::Float64) / cast(of.clone(), DataType::Float64);
        when(of.not_eq(lit(0_i64)), share).end()
    };
    let mut named: Vec<Expr> = groups.iter().enumerate().map(|(n, name)| column(n).alias(*name)).collect();
    named.extend([
        name.end()?.alias("name"),
        column(first).alias("journeys"),
        share(first + 2)?.alias("share_of_first"),
        share(first + 1)?.alias("share_of_previous"),
        column(first + 3).alias("median_seconds"),
    ]);
    Ok(counted.project(named)?.build()?)
}
