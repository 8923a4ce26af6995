//! Journeys of persons in place of visitors.
//!
//! Most visitors are persons of their own: their journeys are those of visitors, and are read as these are. Of the others, those
//! that share a person or have several (a rebuild marks them), the rows are brought together by person: by the walk over the
//! lake's files itself, which sets them aside on its way; or, where a question is not read so, by a sort, and then the answer
//! is both parts, added up. Which visitors belong to which part is said by their keys, so that each is in exactly one.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::JoinType;
use datafusion::functions::expr_fn::concat;
use datafusion::logical_expr::expr_fn::{in_subquery, when};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident, lit};

use super::arguments::Arguments;
use super::journey::PersonRows;
use super::view::LakeView;
use crate::attribution::Container;
use crate::columns::{HIT_ID_REST, PERSON_ID, VISIT_NUM, VISIT_START, VISITOR_ID, VISITOR_KEY};
use crate::error::did_you_mean;
use crate::functions::{VisitorKeys, shares_person, visitor_key};
use crate::{Error, Result};

/// The containers that a question can name.
const CONTAINERS: [&str; 3] = ["visit", "visitor", "person"];

/// Whose rows make a journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JourneyScope {
    /// How far apart touch and conversion may be; of persons as of visitors.
    pub container: Container,
    /// The journeys are those of persons.
    pub by_person: bool,
}

impl JourneyScope {
    /// Of the argument `container`.
    pub fn of(arguments: &Arguments) -> Result<Self> {
        let text = arguments.text("container")?;
        let text = text.as_deref().map_or("visitor".into(), |text| text.trim().to_lowercase());
        let scope = |container, by_person| Ok(Self { container, by_person });
        match text.as_str() {
            "visit" => scope(Container::Visit, false),
            "visitor" => scope(Container::Visitor, false),
            "person" => scope(Container::Visitor, true),
            other => {
                let hint = did_you_mean(other, CONTAINERS);
                Err(Error::query(format!("unknown container {other:?}{hint}; it is 'visit', 'visitor' or 'person'")))
            }
        }
    }
}

/// The visitors of a suite by whether they are persons of their own.
pub(super) struct PersonJourneys {
    shared: VisitorKeys,
    /// Whose rows are whose.
    pub rows: PersonRows,
}

impl PersonJourneys {
    /// Of the suite at hand.
    ///
    /// # Errors
    /// It has no persons, or no rebuild has found them yet.
    pub fn of(view: &LakeView) -> Result<Self> {
        let suite = view.one_suite()?;
        let name = &suite.suite;
        if !suite.has_persons() {
            return Err(Error::query(format!(
                "the container person: persons are off in suite {name}; switch them on: rejoin suite set {name} --persons device_split"
            )));
        }
        match view.persons().and_then(|persons| Some((persons, persons.of(name)?))) {
            Some((persons, own)) => {
                Ok(Self { shared: own.shared().clone(), rows: PersonRows::new(persons.clone(), name) })
            }
            None => Err(Error::query(format!(
                "the container person: no rebuild has found the persons of suite {name} yet; run rejoin rebuild"
            ))),
        }
    }

    /// True on the rows of visitors that share a person or have several.
    pub fn shared(&self) -> Expr {
        shares_person(&self.shared).call(vec![ident(VISITOR_KEY)])
    }

    /// True on the rows of visitors that are persons of their own.
    pub fn alone(&self) -> Expr {
        Expr::Not(Box::new(self.shared()))
    }

    /// What stands for a column where rows are brought together by person; None for one that stays.
    pub fn column(name: &str) -> Result<Option<Expr>> {
        Ok(match name {
            VISITOR_KEY => Some(visitor_key().call(vec![ident(PERSON_ID)])),
            VISITOR_ID => Some(ident(PERSON_ID)),
            // visits stay those of visitors, whose numbers are alike
            VISIT_NUM => Some(Self::visit()?),
            HIT_ID_REST => Some(Self::rest(HIT_ID_REST)),
            _ => None,
        })
    }

    /// What tells hits of one time and sequence apart, by the column that says what is left of their ids: by the visitor as well, for
    /// those of several visitors may be in one place, and a record stands at that of its own.
    pub fn rest(column: &str) -> Expr {
        visitor_key().call(vec![concat(vec![ident(VISITOR_ID), lit(":"), ident(column)])])
    }

    /// True on the rows of the persons who have a row of `events` for which `marks` is true.
    pub fn with_marked_row(events: LogicalPlan, marks: Expr) -> Result<Expr> {
        let marked = LogicalPlanBuilder::from(events)
            .filter(marks)?
            .project([ident(PERSON_ID).alias("marked_person")])?
            .build()?;
        Ok(in_subquery(ident(PERSON_ID), Arc::new(marked)))
    }

    /// `events` with the column that [`Self::in_marked_visit`] asks, which tells the visits that have a row for which `marks` is
    /// true, no matter whose row it is.
    pub fn with_marked_visits(events: LogicalPlan, marks: Expr) -> Result<LogicalPlan> {
        let visit = Self::visit_with_start()?.alias("marked_visit");
        let marked = LogicalPlanBuilder::from(events.clone()).filter(marks)?.project([visit])?.distinct()?.build()?;
        let keys = (vec![Self::visit_with_start()?], vec![ident("marked_visit")]);
        Ok(LogicalPlanBuilder::from(events).join_with_expr_keys(marked, JoinType::Left, keys, None)?.build()?)
    }

    /// True on the rows of visits that have a row of `events` for which `marks` is true, no matter whose row it is.
    pub fn of_marked_visit(events: LogicalPlan, marks: Expr) -> Result<Expr> {
        let visit = Self::visit_with_start()?.alias("marked_visit");
        let marked = LogicalPlanBuilder::from(events).filter(marks)?.project([visit])?.build()?;
        Ok(in_subquery(Self::visit_with_start()?, Arc::new(marked)))
    }

    /// True on the rows of visits that are marked.
    pub fn in_marked_visit() -> Expr {
        ident("marked_visit").is_not_null()
    }

    /// What tells the visits of all visitors apart, but for their start.
    fn visit() -> Result<Expr> {
        Self::visit_of(vec![ident(VISITOR_ID), lit(":"), ident(VISIT_NUM)])
    }

    /// What tells the visits of all visitors apart: a number may come again with another start.
    fn visit_with_start() -> Result<Expr> {
        let start = cast(ident(VISIT_START), DataType::Int64);
        Self::visit_of(vec![ident(VISITOR_ID), lit(":"), ident(VISIT_NUM), lit(":"), start])
    }

    fn visit_of(names: Vec<Expr>) -> Result<Expr> {
        Ok(when(ident(VISIT_NUM).is_not_null(), visitor_key().call(vec![concat(names)])).end()?)
    }
}
