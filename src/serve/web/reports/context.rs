//! What all pages of the tab stand on: the suite that is asked, a session for it, its columns, and what day it is there.

use arrow::datatypes::{DataType, Field};
use chrono::NaiveDate;

use super::period::{Period, with_last_day};
use super::question::Question;
use crate::columns::{is_dimension, is_metric};
use crate::lake::records::Suite;
use crate::lake::segments::segments;
use crate::lake::suites::{find, names, suites};
use crate::lake::tables::EVENTS;
use crate::serve::session::Session;
use crate::serve::web::Web;
use crate::serve::web::layout::Problem;
use crate::serve::web::logged_in::LoggedIn;
use crate::{Error, Result, clock, time};

/// Names with the words for them.
pub(super) type Choices = Vec<(String, String)>;

pub(super) struct ReportContext {
    /// All suites.
    pub suites: Vec<Suite>,
    /// The one that is asked.
    pub suite: Suite,
    pub session: Session,
    /// Columns of events that are metrics.
    pub metrics: Choices,
    /// Columns of events whose values are items.
    pub dimensions: Choices,
    /// Saved segments.
    pub segments: Choices,
    today: NaiveDate,
}

impl ReportContext {
    /// For a question, which gets a suite where it has none. None where there is no suite.
    pub async fn of(web: &Web, logged_in: &LoggedIn, question: &mut Question) -> Result<Option<Self>, Problem> {
        let suites = suites(&web.server.lake).await?;
        let Some(first) = suites.first() else { return Ok(None) };
        question.or("suite", web.server.settings().suite.as_deref().unwrap_or(&first.suite));
        with_last_day(question);
        let suite = find(&suites, question.get("suite")).map_err(Problem::not_found)?.clone();
        let session = web.session(&logged_in.guest, &suite.suite).await?;
        let columns = session.engine.columns(EVENTS).await?;
        let friendly = names(&suite)?;
        let list = |wanted: &dyn Fn(&Field) -> bool| -> Choices {
            let fields = columns.fields().iter().filter(|field| wanted(field));
            let mut all: Choices = fields
                .map(|field| match friendly.get(field.name()) {
                    Some(name) => (field.name().clone(), format!("{name} ({})", field.name())),
                    None => (field.name().clone(), field.name().clone()),
                })
                .collect();
            all.sort();
            all
        };
        let text = |f: &Field| matches!(f.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
        let metrics = list(&|field| is_metric(field));
        // whether a dimension was set is no dimension
        let dimensions = list(&|f| is_dimension(f) && text(f) && !f.name().ends_with("_set"));
        let zone = time::zone(&suite.time_zone).map_err(Error::configuration)?;
        let today = clock::now().with_timezone(&zone).date_naive();
        let segments = segments(&suite)?.into_keys().map(|name| (name.clone(), name)).collect();
        Ok(Some(Self { suites, suite, session, metrics, dimensions, segments, today }))
    }

    /// The days that a question is about.
    pub fn period(&self, question: &Question) -> Result<Period> {
        Period::of(question, self.today)
    }

    /// The metric and the dimension that most lakes have, or the first that this one has.
    pub fn defaults(&self, question: &mut Question, metric: &str) {
        let usual = |name: &str, all: &Choices| match all.iter().any(|(known, _)| known == name) {
            true => name.to_string(),
            false => all.first().map_or(name.to_string(), |(first, _)| first.clone()),
        };
        question.or("metric", &usual(metric, &self.metrics));
        question.or("dimension", &usual("tracking_code", &self.dimensions));
    }
}
