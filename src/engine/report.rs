//! The table functions `participation`, `attribution`, `credit_path` and `conversions`: arguments in, a plan over
//! `events` out.
//!
//! Names and values are checked while planning, with the nearest right one in the error.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Column, ScalarValue};
use datafusion::error::Result as PlanResult;
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::logical_expr::expr_fn::in_subquery;
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};
use datafusion::sql::sqlparser::ast::TableFactor;

use super::arguments::Arguments;
use super::bound::BoundRows;
use super::catalog::LakeSchema;
use super::journey::{EVER, JourneyNode, JourneySpec, PathNode, PathSpec, Question, StoredJourneyNode, Wanted};
use super::touches::touch_of;
use super::view::LakeView;
use crate::attribution::{Container, Model, parse_lookback};
use crate::columns::{self, PRODUCT_LIST, is_dimension, is_metric, is_multi_valued};
use crate::error::did_you_mean;
use crate::functions::{BoundLines, Classes, classified, product_lines};
use crate::lake::bindings::{Binding, Bindings, Bound};
use crate::time::{parse_time, zone};
use crate::{Error, Result};

/// The table functions, all of which read `events`, each with its arguments.
const REPORTS: [(&str, &[&str]); 4] = [
    ("participation", PARTICIPATION),
    ("attribution", ATTRIBUTION),
    ("credit_path", CREDIT_PATH),
    ("conversions", CONVERSIONS),
];

/// True for a table function that reads `events`.
pub fn is_report(function: &str) -> bool {
    REPORTS.iter().any(|(name, _)| *name == function)
}

/// Arguments of `participation`, in order.
const PARTICIPATION: &[&str] =
    &["metric", "dimension", "container", "lookback", "since", "until", "basis", "deduplicate", "inherited"];
/// Arguments of `attribution`, in order; `models` only by name.
const ATTRIBUTION: &[&str] =
    &["metric", "dimension", "model", "container", "lookback", "since", "until", "basis", "models", "inherited"];
/// Arguments of `credit_path`, in order.
const CREDIT_PATH: &[&str] =
    &["metric", "dimension", "event_id", "container", "lookback", "basis", "models", "inherited"];
/// Arguments of `conversions`, in order.
const CONVERSIONS: &[&str] = &["metric", "dimension", "container", "lookback", "since", "until", "basis", "inherited"];
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

    fn plan(&self, report: &Report) -> Result<LogicalPlan> {
        let view = self.schema.view();
        let suite = view.one_suite()?;
        let events = view.events()?.clone();
        let fields = events.schema().fields().clone();
        let names = Names { view: &view, fields: &fields, bound: view.bindings()? };
        let metric = names.find(&report.metric, "metric", is_metric)?;
        let (dimension, classes) = names.dimension(&report.dimension)?;

        let exists = |name: &str| fields.iter().any(|f| f.name() == name);
        let binding = names.bound.get(dimension.name());
        let multi_valued = is_multi_valued(dimension.name());
        let lines = exists(PRODUCT_LIST) && binding.is_none();
        let lines = lines.then(|| product_lines(metric.name(), dimension.name(), classes.clone())).flatten();
        let bound = binding.map(Binding::rules);
        let spec = JourneySpec { multi_valued, in_lines: lines.is_some(), bound, ..report.spec.clone() };
        let zone = suite.time_zone.as_str();
        let window = report.window(zone)?;
        let at_once = matches!(report.shape, Shape::Items) && classes.is_none() && !spec.in_lines && binding.is_none();
        if let (Some(stored), true) = (view.stored_events(), at_once) {
            let question = Question {
                metric: metric.name().clone(),
                dimension: dimension.name().clone(),
                set: Some(columns::set_column(dimension.name())).filter(|set| exists(set)),
                inherited: report.inherited,
                window,
            };
            let node = StoredJourneyNode::try_new(spec.clone(), question, stored.clone())?;
            return summed(LogicalPlan::Extension(Extension { node: Arc::new(node) }), &spec);
        }
        let visitors_only = ident("visitor_id").is_not_null().and(ident("suite").eq(lit(suite.suite.clone())));
        let online = ident("row_kind").eq(lit("online"));
        let mut rows = visitors_only;
        if spec.container == Container::Visit {
            rows = rows.and(online.clone()).and(ident("visit_num").is_not_null());
        }
        let bound = binding.map(|binding| {
            let lines = BoundLines {
                metric: metric.name().clone(),
                dimension: dimension.name().clone(),
                by_category: binding.bind == Bound::Category,
                classes: classes.clone(),
            };
            BoundRows::new(binding, lines, &view, report.inherited, &exists)
        });
        let bound = bound.transpose()?;
        let mut item = match bound {
            Some(_) => lit(ScalarValue::Utf8(None)),
            None => touch_of(&Column::new_unqualified(dimension.name()), report.inherited, &exists),
        };
        if dimension.data_type() != &DataType::Utf8 {
            item = cast(item, DataType::Utf8);
        }
        if let (Some(classes), None) = (classes, &bound) {
            item = classified(&report.dimension, classes, multi_valued).call(vec![item]);
        }
        let mut value = ident(metric.name());
        if window != EVER {
            value = when(lies_in(window), value).end()?;
        }
        let converts = value.clone().not_eq(lit(0.0));
        if !spec.anchored {
            // a row that is neither touch nor conversion changes nothing
            let touches = bound.as_ref().map_or_else(|| item.clone().is_not_null(), |bound| bound.some.clone());
            let mut counts = touches.or(converts.clone());
            if let Shape::Path { event_id } = &report.shape {
                // but of the event that is asked for it is said what it lacks
                counts = counts.or(ident("event_id").eq(lit(event_id.clone())));
            }
            rows = rows.and(counts);
        }
        let lines = bound.as_ref().map(|bound| bound.lines.clone()).or(
            match lines.map(|lines| lines.call(vec![ident(PRODUCT_LIST)])) {
                // where an anchored conversion may come to stand, the lines of a row without a value count, too
                Some(lines) if !spec.anchored => Some(when(converts, lines).end()?),
                lines => lines,
            },
        );
        let wanted = match &report.shape {
            Shape::Items => None,
            Shape::Conversions => Some(Wanted::Conversions),
            Shape::Path { event_id } => {
                // only the journey of the visitor who converted
                let converted = ident("event_id").eq(lit(event_id.clone())).and(rows.clone());
                let visitor = LogicalPlanBuilder::from(events.clone())
                    .filter(converted)?
                    .project([ident("visitor_id").alias("converted")])?
                    .build()?;
                rows = rows.and(in_subquery(ident("visitor_id"), Arc::new(visitor)));
                Some(Wanted::Path { event_id: event_id.clone(), metric: report.metric.clone() })
            }
        };
        let path = wanted.map(|wanted| PathSpec { journey: spec.clone(), wanted });
        let columns = path.as_ref().map_or_else(|| spec.input_columns(), PathSpec::input_columns);
        let columns = columns.into_iter().map(|name| {
            Ok(match name {
                "item" => item.clone().alias("item"),
                "value" => value.clone().alias("value"),
                "ends" => bound.as_ref().map_or_else(|| lit(false), |bound| bound.ends.clone()).alias("ends"),
                "lines" => lines.clone().ok_or_else(|| Error::bug("there are no lines"))?.alias("lines"),
                "place" => ident("visit_num").alias("place"),
                "anchor_time" => anchor("snapshot_time")?.alias("anchor_time"),
                "anchor_seq" => anchor("snapshot_seq")?.alias("anchor_seq"),
                name => ident(name),
            })
        });
        let input =
            LogicalPlanBuilder::from(events).filter(rows)?.project(columns.collect::<Result<Vec<_>>>()?)?.build()?;
        if let Some(path) = path {
            return Ok(LogicalPlan::Extension(Extension { node: Arc::new(PathNode::try_new(path, input)?) }));
        }
        summed(LogicalPlan::Extension(Extension { node: Arc::new(JourneyNode::try_new(spec.clone(), input)?) }), &spec)
    }
}

/// The partial credit of a journey, added up.
fn summed(journey: LogicalPlan, spec: &JourneySpec) -> Result<LogicalPlan> {
    let credits = spec.models.iter().map(|(name, _)| (name.clone(), sum(ident(name))));
    let (names, sums): (Vec<_>, Vec<_>) = credits.unzip();
    let summed = LogicalPlanBuilder::from(journey).aggregate(vec![ident("item")], sums)?;
    let outputs = summed.schema().columns();
    let renamed = outputs.into_iter().zip(std::iter::once("item".to_string()).chain(names));
    let renamed: Vec<Expr> = renamed.map(|(column, name)| Expr::Column(column).alias(name)).collect();
    Ok(summed.project(renamed)?.build()?)
}

/// True for rows from the first time (inclusive) to the second (exclusive).
fn lies_in((since, until): (i64, i64)) -> Expr {
    let at = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    let since = (since != EVER.0).then(|| ident("hit_time").gt_eq(at(since)));
    let until = (until != EVER.1).then(|| ident("hit_time").lt(at(until)));
    since.into_iter().chain(until).reduce(Expr::and).unwrap_or_else(|| lit(true))
}

/// What metrics and dimensions are called.
struct Names<'v> {
    view: &'v LakeView,
    fields: &'v Fields,
    /// Dimensions whose values are bound to products: their values may be in product lines alone.
    bound: Bindings,
}

impl Names<'_> {
    /// The column of a name; a friendly name stands for its column, whose touches and lists are known by its own name.
    fn find(&self, name: &str, what: &str, fits: fn(&Field) -> bool) -> Result<Arc<Field>> {
        let friendly = self.view.friendly_names().into_iter().find(|(_, n)| n == name);
        let column = friendly.map_or_else(|| name.to_string(), |(column, _)| column);
        match self.fields.iter().find(|f| f.name() == &column) {
            Some(field) if fits(field) => Ok(field.clone()),
            Some(_) => Err(Error::query(format!("{name} is no {what}"))),
            None if what == "dimension" && self.bound.contains_key(&column) => {
                Ok(Arc::new(columns::dimension(&column)))
            }
            None => {
                let known = self.fields.iter().filter(|f| fits(f)).map(|f| f.name().as_str());
                let hint = did_you_mean(name, known);
                Err(Error::query(format!("there is no {what} {name}{hint}")))
            }
        }
    }

    /// The dimension of a name; of `table.column`, where no dimension has that very name, the one that the lookup table
    /// classifies, and the classes.
    fn dimension(&self, name: &str) -> Result<(Arc<Field>, Option<Classes>)> {
        let plain = self.find(name, "dimension", is_dimension);
        let Some((table, column)) = name.split_once('.').filter(|_| plain.is_err()) else { return Ok((plain?, None)) };
        let Some(lookup) = self.view.lookup(table)? else { return Ok((plain?, None)) };
        let classes = lookup.classes(column)?;
        let key = self.find(&lookup.key, "dimension", is_dimension);
        Ok((key.map_err(|e| e.at(format!("the first column of {table}")))?, Some(classes)))
    }
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
}

impl Report {
    fn new(function: &str, arguments: &Arguments) -> Result<Self> {
        let container: Container = match arguments.text("container")? {
            Some(text) => text.parse().map_err(Error::query)?,
            None => Container::Visitor,
        };
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
            "conversions" => vec![],
            "credit_path" => models(arguments, Some(EXPLAINED))?,
            _ => models(arguments, None)?,
        };
        if function == "credit_path" && models.iter().any(|(_, model)| *model == Model::Algorithmic) {
            return Err(Error::query("credit_path: algorithmic shares hang on all journeys, not on this one alone"));
        }
        let required = |name: &str| {
            let text = arguments.text(name)?;
            text.ok_or_else(|| Error::query(format!("{function}(metric, dimension, ...): the {name} is missing")))
        };
        let metric = required("metric")?;
        let dimension = required("dimension")?;
        let spec =
            JourneySpec { models, container, lookback_us, multi_valued: false, in_lines: false, bound: None, anchored };
        let shape = match function {
            "credit_path" => Shape::Path { event_id: required("event_id")? },
            "conversions" => Shape::Conversions,
            _ => Shape::Items,
        };
        let (since, until) = (arguments.text("since")?, arguments.text("until")?);
        let inherited = arguments.flag("inherited")?.unwrap_or(false);
        Ok(Self { metric, dimension, since, until, inherited, shape, spec })
    }

    /// When the conversions that the report is about happened, microseconds: from the first, before the second.
    fn window(&self, zone: &str) -> Result<(i64, i64)> {
        let since = self.since.as_deref().map(|text| instant(text, zone)).transpose()?;
        let until = self.until.as_deref().map(|text| instant(text, zone)).transpose()?;
        if let (Some(from), Some(to)) = (since, until)
            && from > to
        {
            let [since, until] = [&self.since, &self.until].map(|text| text.as_deref().unwrap_or_default());
            return Err(Error::query(format!(
                "since {since} lies after until {until}: conversions count from since on, before until"
            )));
        }
        Ok((since.unwrap_or(EVER.0), until.unwrap_or(EVER.1)))
    }
}

/// One model gives the column `credit`; a list of them one column each, under their names.
fn models(arguments: &Arguments, default: Option<&str>) -> Result<Vec<(String, Model)>> {
    let parse = |text: &str| text.parse::<Model>().map_err(Error::query);
    let Some(list) = arguments.text("models")?.or_else(|| default.map(str::to_string)) else {
        let model = arguments.text("model")?;
        return Ok(vec![("credit".to_string(), parse(model.as_deref().unwrap_or("last_touch"))?)]);
    };
    if arguments.text("model")?.is_some() {
        return Err(Error::query("give either model or models, not both"));
    }
    let mut models: Vec<(String, Model)> = vec![];
    for text in split_outside_parentheses(&list) {
        if models.iter().any(|(name, _)| *name == text) {
            return Err(Error::query(format!("the model {text} is listed twice")));
        }
        models.push((text.to_string(), parse(text)?));
    }
    Ok(models)
}

/// The items of `a, b(1, 2), c`.
fn split_outside_parentheses(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, vec![]);
    for (i, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                items.push(list[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    items.push(list[start..].trim());
    items
}

/// A date or time of the suite's zone, or with an offset of its own, in microseconds.
fn instant(text: &str, suite_zone: &str) -> Result<i64> {
    let zone = zone(suite_zone).map_err(Error::configuration)?;
    parse_time(text).and_then(|time| time.in_zone(zone)).ok_or_else(|| {
        Error::query(format!(
            "{text:?} is no date or time; write 2026-09-01, 2026-09-01 12:00:00 or 2026-09-01T12:00:00Z"
        ))
    })
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
        let Some((_, order)) = REPORTS.iter().find(|(name, _)| *name == function) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let arguments = Arguments::read(&function, order, args.args.clone(), context)?;
        let plan = self.plan(&Report::new(&function, &arguments)?)?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias.clone()))))
    }
}
