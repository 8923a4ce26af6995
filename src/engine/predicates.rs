//! Predicates over `events` in the arguments of table functions: texts in, expressions out, or errors that name the argument
//! and the place in it.

use std::ops::ControlFlow;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::parser::DFParserBuilder;
use datafusion::sql::sqlparser::ast::{ExprWithAlias, Query, Visitor};
use rejoin_instances::syntax::walk;
use rejoin_instances::trees::{change_parts, walk_parts};

use super::arguments::Arguments;
use super::depth;
use super::dialect::EngineDialect;
use super::groupings::Grouping;
use super::journey::RowTerms;
use super::similar::as_regex;
use super::written_times;
use super::zone;
use crate::attribution::Container;
use crate::error::did_you_mean;
use crate::{Error, Result};

/// The arguments that are predicates, as they were written.
#[derive(Debug, Default)]
pub(super) struct PredicateTexts {
    touches: Option<String>,
    conversions: Option<String>,
    visitors: Option<String>,
    visits: Option<String>,
    segment: Option<String>,
}

/// The predicates of a question; where one is NULL, it does not hold.
#[derive(Debug, Default, Clone)]
pub(super) struct Predicates {
    /// Rows that can be touches.
    pub touches: Option<Expr>,
    /// Rows that can be conversions.
    pub conversions: Option<Expr>,
    /// Visitors with such a row count.
    pub visitors: Option<Expr>,
    /// Rows of visits with such a row count.
    pub visits: Option<Expr>,
    /// Visitors of a segment count; it holds on all rows of a visitor, or on none.
    pub segment: Option<Expr>,
}

impl Predicates {
    /// With what the question is broken down by.
    pub fn terms(&self, groupings: &[Grouping]) -> RowTerms<Expr> {
        let Self { touches, conversions, visits, .. } = self.clone();
        let (visitors, _) = self.marks_visitor(false);
        let by = groupings.iter().map(|grouping| grouping.value.clone()).collect();
        RowTerms { touches, conversions, visitors, visits, by, ..RowTerms::default() }
    }

    /// What some row of a journey satisfies, and what some other row of it may: the rows of a person are those of several visitors,
    /// of whom one can be of the segment and another have the row that `visitors` looks for. A visitor's one row says both.
    pub fn marks_visitor(&self, by_person: bool) -> (Option<Expr>, Option<Expr>) {
        match (by_person, &self.visitors, &self.segment) {
            (true, Some(visitors), Some(segment)) => (Some(visitors.clone()), Some(segment.clone())),
            (_, visitors, segment) => (visitors.iter().chain(segment).cloned().reduce(Expr::and), None),
        }
    }
}

impl PredicateTexts {
    /// Of the arguments of a call.
    pub fn of(arguments: &Arguments) -> Result<Self> {
        Ok(Self {
            touches: arguments.text("touches")?,
            conversions: arguments.text("conversions")?,
            visitors: arguments.text("visitors")?,
            visits: arguments.text("visits")?,
            segment: None,
        })
    }

    /// Keeps to the visitors or visits of a segment, for whose rows `condition` holds.
    pub fn keep_to(&mut self, container: Container, condition: String) {
        match container {
            Container::Visitor => self.segment = Some(condition),
            Container::Visit => {
                self.visits = Some(match self.visits.take() {
                    // what ends in a comment ends with its line
                    Some(text) => format!("({text}\n) AND {condition}"),
                    None => condition,
                });
            }
        }
    }

    /// The first that is given, of those that a question cannot have.
    pub fn any_of(&self, names: &[&'static str]) -> Option<&'static str> {
        let given = [
            ("touches", &self.touches),
            ("conversions", &self.conversions),
            ("visitors", &self.visitors),
            ("visits", &self.visits),
        ];
        given.into_iter().find(|(name, text)| text.is_some() && names.contains(name)).map(|(name, _)| name)
    }

    /// Over `events`.
    pub fn plan(&self, events: &DFSchema, context: &mut dyn RelationPlannerContext) -> Result<Predicates> {
        let mut planned = |name: &str, text: &Option<String>| {
            text.as_deref().map(|text| predicate(name, text, events, context)).transpose()
        };
        Ok(Predicates {
            touches: planned("touches", &self.touches)?,
            conversions: planned("conversions", &self.conversions)?,
            visitors: planned("visitors", &self.visitors)?,
            visits: planned("visits", &self.visits)?,
            segment: planned("segment", &self.segment)?,
        })
    }
}

/// The predicate that the argument `name` holds.
pub(super) fn predicate(
    name: &str,
    text: &str,
    events: &DFSchema,
    context: &mut dyn RelationPlannerContext,
) -> Result<Expr> {
    planned(name, text, events, context).map_err(|error| error.at(name))
}

fn planned(name: &str, text: &str, events: &DFSchema, context: &mut dyn RelationPlannerContext) -> Result<Expr> {
    depth::check(text)?;
    if text.trim().is_empty() {
        return Err(Error::query("there is no condition; write one over the columns of events, such as orders > 0"));
    }
    let dialect = EngineDialect::new(text);
    let parser = DFParserBuilder::new(text).with_dialect(&dialect).build();
    let ExprWithAlias { expr: mut parsed, alias } = parser.and_then(|mut parser| parser.parse_into_expr())?;
    if let Some(alias) = alias {
        return Err(Error::query(format!("a condition has no name of its own, as {alias} is")));
    }
    if walk(&parsed, &mut NoQueries).is_break() {
        return Err(Error::query("a query within a condition; it looks at one row of events at a time"));
    }
    written_times::rewrite(&mut parsed)?;
    let planned = context.sql_to_expr(parsed, events).map_err(|error| unplanned(text, error))?;
    let planned = change_parts(planned, &mut as_regex).map_err(|error| unplanned(text, error))?.data;
    look_through(&planned)?;
    let coerced = ExprSimplifier::new(SimplifyContext::default()).coerce(planned.clone(), events);
    match coerced.and_then(|coerced| coerced.get_type(events)).map_err(|error| unplanned(text, error))? {
        DataType::Boolean => {
            let options = context.context_provider().options();
            zone::condition(planned, events, options).map_err(|error| unplanned(text, error))
        }
        DataType::Null => Ok(lit(false)),
        other => {
            let text: String = text.chars().take(40).collect();
            Err(Error::query(format!(
                "{text} is no condition, but {} ({other}); compare it with something, as {name} => 'orders > 0' does",
                if other.is_numeric() { "a number" } else { "a value" }
            )))
        }
    }
}

/// What one row alone cannot answer, or not twice alike, is an error.
fn look_through(expr: &Expr) -> Result<()> {
    let mut wrong = None;
    walk_parts(expr, &mut |part| {
        wrong = match part {
            Expr::AggregateFunction(call) => Some(format!("{} sums up rows", call.func.name())),
            Expr::WindowFunction(call) => Some(format!("{} looks at other rows", call.fun.name())),
            Expr::Placeholder(placeholder) => Some(format!("{} has no value here", placeholder.id)),
            part if part.is_volatile_node() => Some(format!("{part} is another value each time")),
            _ => None,
        };
        Ok(if wrong.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    match wrong {
        Some(wrong) => Err(Error::query(format!("{wrong}; a condition looks at one row of events at a time"))),
        None => Ok(()),
    }
}

/// Says what could not be planned, and where it stands.
fn unplanned(text: &str, error: DataFusionError) -> Error {
    if let DataFusionError::SchemaError(schema, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
    {
        let known: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
        let place = place_of(&field.name, text).map_or(String::new(), |place| format!(" (character {place})"));
        let name = field.quoted_flat_name().replace('"', "");
        let hint = did_you_mean(&field.name, known);
        return Error::query(format!("events has no column {name}{place}{hint}")).caused_by(error);
    }
    Error::from(error)
}

/// Where a name stands in a text, from 1.
fn place_of(name: &str, text: &str) -> Option<usize> {
    let (name, text) = (name.to_lowercase(), text.to_lowercase());
    let part_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone =
        |at: &usize| !text[..*at].ends_with(part_of_name) && !text[at + name.len()..].starts_with(part_of_name);
    let at = text.match_indices(&name).map(|(at, _)| at).find(stands_alone)?;
    Some(text[..at].chars().count() + 1)
}

/// Breaks off where a query stands in an expression.
struct NoQueries;

impl Visitor for NoQueries {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::ident;

    use super::*;

    #[test]
    fn a_segment_and_a_row_of_a_person() {
        let (visitors, segment) = (ident("orders"), ident("segment"));
        let both =
            Predicates { visitors: Some(visitors.clone()), segment: Some(segment.clone()), ..Predicates::default() };
        assert_eq!(both.marks_visitor(false), (Some(visitors.clone().and(segment.clone())), None));
        assert_eq!(both.marks_visitor(true), (Some(visitors), Some(segment.clone())));
        let alone = Predicates { segment: Some(segment.clone()), ..Predicates::default() };
        assert_eq!(alone.marks_visitor(true), (Some(segment), None));
        assert_eq!(Predicates::default().marks_visitor(true), (None, None));
    }

    #[test]
    fn names_are_found_where_they_stand_alone() {
        assert_eq!(place_of("geo", "geo_country = geo"), Some(15));
        assert_eq!(place_of("Geo", "é = 1 AND GEO = 'x'"), Some(11));
        assert_eq!(place_of("x", "xy"), None);
    }
}
