//! The table functions `funnel` and `flow`: arguments in, a plan over `events` out.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions_aggregate::expr_fn::{count, median, sum};
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};

use super::arguments::Arguments;
use super::groupings::{Grouping, groupings, line_grouping};
use super::journey::{Follows, GROUP_COLUMNS, Sequence, SequenceNode, SequenceSpec};
use super::names::Names;
use super::person_journeys::{PersonJourneys, Whole};
use super::predicates::predicate;
use super::reporting_window::{lies_in, window};
use super::segments;
use super::touches::item_of;
use super::view::LakeView;
use crate::attribution::Container;
use crate::columns::is_multi_valued;
use crate::error::did_you_mean;
use crate::lake::segments::SegmentStep;
use crate::time::parse_duration;
use crate::{Error, Result};

/// Arguments of `funnel`, in order.
pub(super) const FUNNEL: &[&str] = &["steps", "container", "within", "next", "since", "until", "by", "segment"];
/// Arguments of `flow`, in order.
pub(super) const FLOW: &[&str] =
    &["dimension", "after", "before", "depth", "container", "since", "until", "inherited", "segment"];
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
    let segment = match arguments.text("segment")? {
        Some(name) => {
            let container = segments::find(view, &name)?.container;
            Some((predicate("segment", &segments::condition(&name), events.schema(), context)?, container))
        }
        None => None,
    };
    let whole = Whole::of(arguments)?;
    let persons = whole.by_person.then(|| PersonJourneys::of(view)).transpose()?;
    let in_visits = whole.container == Container::Visit;
    let call = Call { arguments, view, events, in_visits, persons, segment };
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
        let names = Names::of(self.view)?;
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
        let any = steps.iter().cloned().reduce(Expr::or).unwrap_or_else(|| lit(true));
        let rows = if at_once { lit(true) } else { any };
        let bits = bits(steps)?;
        let journeys = self.sequence(sequence, rows, &groupings, &|name| (name == "steps").then(|| bits.clone()))?;
        counted(journeys, &groupings, &texts)
    }

    fn flow(&self, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let names = Names::of(self.view)?;
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
        let item = item_of(&name, &dimension, classes, inherited, &|name| names.exists(name));
        let rows = item.clone().is_not_null().or(anchors.clone());
        let value = |name: &str| match name {
            "item" => Some(item.clone()),
            "anchors" => Some(anchors.clone()),
            _ => None,
        };
        let journeys = self.sequence(Sequence::Flow { depth, before }, rows, &[], &value)?;
        let groups = ["step", "item", "next_item"].map(ident);
        let counted = LogicalPlanBuilder::from(journeys).aggregate(groups, vec![count(lit(1_i64))])?;
        let columns = counted.schema().columns();
        let next = if before { "previous_item" } else { "next_item" };
        let named = columns.into_iter().zip(["step", "item", next, "journeys"]);
        let named: Vec<Expr> = named.map(|(column, name)| Expr::Column(column).alias(name)).collect();
        Ok(counted.project(named)?.build()?)
    }

    /// The rows of journeys for which `rows` holds, in order, with what is looked for among them.
    fn sequence(
        &self,
        sequence: Sequence,
        rows: Expr,
        groupings: &[Grouping],
        value: &dyn Fn(&str) -> Option<Expr>,
    ) -> Result<LogicalPlan> {
        let suite = self.view.one_suite()?;
        let mut own = ident("visitor_id").is_not_null().and(ident("suite").eq(lit(suite.suite.clone())));
        if self.in_visits {
            own = own.and(ident("row_kind").eq(lit("online"))).and(ident("visit_num").is_not_null());
        }
        let spec = SequenceSpec { in_visits: self.in_visits, sequence };
        let part = |rows: Expr, by_person: bool| {
            let columns = spec.input_columns().into_iter().map(|name| {
                let group = GROUP_COLUMNS.iter().zip(groupings).find(|(column, _)| **column == name);
                let of_person = if by_person { PersonJourneys::column(name)? } else { None };
                Ok(match value(name).or(group.map(|(_, grouping)| grouping.value.clone())).or(of_person) {
                    Some(value) => value.alias(name),
                    None => ident(name),
                })
            });
            let columns = columns.collect::<Result<Vec<_>>>()?;
            let input = LogicalPlanBuilder::from(self.events.clone()).filter(rows)?.project(columns)?.build()?;
            Ok::<_, Error>(LogicalPlan::Extension(Extension {
                node: Arc::new(SequenceNode::try_new(spec.clone(), input)?),
            }))
        };
        match &self.persons {
            None => part(self.of_segment(own, None)?.and(rows), false),
            Some(persons) => {
                let alone = self.of_segment(own.clone(), None)?.and(rows.clone());
                let shared = self.of_segment(own, Some(persons))?.and(rows);
                let alone = part(alone.and(persons.alone()), false)?;
                let shared = part(shared.and(persons.shared()), true)?;
                Ok(LogicalPlanBuilder::from(alone).union(shared)?.build()?)
            }
        }
    }

    /// Those of `rows` that the question is about. With `persons`, where it is about visitors: all rows of the persons who are
    /// some of them.
    fn of_segment(&self, rows: Expr, persons: Option<&PersonJourneys>) -> Result<Expr> {
        Ok(match (&self.segment, persons) {
            (None, _) => rows,
            (Some((segment, Container::Visitor)), Some(persons)) => {
                let marks = rows.clone().and(persons.shared()).and(segment.clone());
                rows.and(PersonJourneys::with_marked_row(self.events.clone(), marks)?)
            }
            (Some((segment, _)), _) => rows.and(segment.clone()),
        })
    }

    fn reporting_window(&self) -> Result<Expr> {
        let (since, until) = (self.arguments.text("since")?, self.arguments.text("until")?);
        let zone = &self.view.one_suite()?.time_zone;
        Ok(lies_in(window(since.as_deref(), until.as_deref(), zone)?))
    }
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
    let call = Call { arguments, view, events: events.clone(), in_visits, persons: None, segment: None };
    let any = steps.iter().cloned().reduce(Expr::or).unwrap_or_else(|| lit(true));
    let rows = if segment.steps.iter().any(|step| step.next) { lit(true) } else { any };
    let bits = bits(steps)?;
    call.sequence(sequence, rows, &[], &|name| (name == "steps").then(|| bits.clone()))
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
