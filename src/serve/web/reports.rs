//! One question: what each item gets of a metric. The whole question is in the address, so that a link asks it again.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use axum::Extension;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::Web;
use super::layout::{Page, Problem, choice, field, link};
use super::visitor::Visitor;
use crate::columns::{is_dimension, is_metric};
use crate::lake::records::Suite;
use crate::lake::segments;
use crate::lake::suites::{names, suites};
use crate::lake::tables::EVENTS;
use crate::pages::{Chart, Kind, Table};
use crate::quote::{literal, quoted};
use crate::serve::failure::Failure;
use crate::serve::session::Session;

/// Rows of an answer unless asked otherwise, and at most.
const ROWS: u32 = 50;
const MOST_ROWS: u32 = 1000;

const MODELS: [(&str, &str); 11] = [
    ("participation", "Participation"),
    ("first_touch", "First touch"),
    ("last_touch", "Last touch"),
    ("same_touch", "Same touch"),
    ("linear", "Linear"),
    ("u_shaped", "U shaped"),
    ("j_shaped", "J shaped"),
    ("inverse_j", "Inverse J"),
    ("time_decay", "Time decay (7 days)"),
    ("algorithmic", "Algorithmic"),
    ("markov", "Markov chain"),
];

/// Spans of the conversion's time that the credit can be broken down by.
const SPANS: [(&str, &str); 5] =
    [("day", "Day"), ("week", "Week"), ("month", "Month"), ("quarter", "Quarter"), ("year", "Year")];

const CONTAINERS: [(&str, &str); 3] = [("visitor", "Visitor"), ("visit", "Visit"), ("person", "Person")];

/// What is asked. Without a metric nothing is.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    suite: String,
    #[serde(default)]
    metric: String,
    #[serde(default)]
    dimension: String,
    #[serde(default)]
    container: String,
    #[serde(default)]
    model: String,
    #[serde(default)]
    lookback: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    segment: String,
    #[serde(default)]
    conversions: String,
    #[serde(default)]
    touches: String,
    #[serde(default)]
    last_resort: String,
    #[serde(default)]
    limit: String,
}

impl Asked {
    /// The defaults in place of what is missing. True when something was asked.
    fn complete(&mut self, suites: &[Suite], served: Option<&str>) -> bool {
        let asked = !self.metric.is_empty();
        let or = |value: &mut String, default: &str| {
            if value.trim().is_empty() {
                *value = default.to_string();
            }
        };
        let first = served.or(suites.first().map(|s| s.suite.as_str()));
        or(&mut self.suite, first.unwrap_or_default());
        or(&mut self.metric, "revenue");
        or(&mut self.dimension, "tracking_code");
        or(&mut self.container, "visitor");
        or(&mut self.model, "participation");
        or(&mut self.lookback, "30 days");
        asked
    }

    fn limit(&self) -> u32 {
        self.limit.trim().parse().unwrap_or(ROWS).clamp(1, MOST_ROWS)
    }

    /// The question in SQL.
    fn sql(&self) -> String {
        let name = |value: &str| quoted(value.trim());
        let (group, order) = match self.by.trim() {
            "" => (String::new(), "2 DESC NULLS LAST, 1"),
            by => (format!("{}, ", quoted(by)), "1, 3 DESC NULLS LAST, 2"),
        };
        let (item, credit) = (name(&self.dimension), name(&self.metric));
        format!(
            "SELECT {group}item AS {item}, credit AS {credit}\nFROM {}\nORDER BY {order}\nLIMIT {}",
            self.call(),
            self.limit()
        )
    }

    /// The sum of all items for each span of time, where that is what the credit is broken down by.
    fn trend_sql(&self) -> Option<String> {
        let (span, _) = SPANS.iter().find(|(span, _)| *span == self.by)?;
        let metric = quoted(self.metric.trim());
        Some(format!("SELECT \"{span}\", sum(credit) AS {metric}\nFROM {}\nGROUP BY 1\nORDER BY 1", self.call()))
    }

    /// The table function with its arguments.
    fn call(&self) -> String {
        let text = |value: &str| literal(value.trim());
        let (function, model) = match self.model.as_str() {
            "participation" => ("participation", String::new()),
            model => ("attribution", format!(", model => {}", text(model))),
        };
        let given = [
            ("since", &self.since),
            ("until", &self.until),
            ("by", &self.by),
            ("segment", &self.segment),
            ("conversions", &self.conversions),
            ("touches", &self.touches),
            ("last_resort", &self.last_resort),
        ];
        let given = given.into_iter().filter(|(_, value)| !value.trim().is_empty());
        let given: String = given.map(|(argument, value)| format!(", {argument} => {}", text(value))).collect();
        format!(
            "{function}({}, {}, container => {}{model}, lookback => {}{given})",
            text(&self.metric),
            text(&self.dimension),
            text(&self.container),
            text(&self.lookback),
        )
    }

    fn title(&self) -> String {
        let model =
            MODELS.iter().find(|(value, _)| *value == self.model).map_or(self.model.as_str(), |(_, words)| words);
        let (metric, dimension) = (self.metric.replace('_', " "), self.dimension.replace('_', " "));
        let by = if self.by.trim().is_empty() { String::new() } else { format!(" and {}", self.by.replace('_', " ")) };
        format!("{metric} by {dimension}{by}: {}, {}", model.to_lowercase(), self.container)
    }
}

/// The form, and the answer where something is asked.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(visitor): Extension<Visitor>,
    Query(mut asked): Query<Asked>,
) -> Result<Response, Problem> {
    let suites = suites(&web.server.lake).await?;
    let is_asked = asked.complete(&suites, web.server.settings().suite.as_deref());
    if suites.is_empty() {
        let body = html! { p { "There is no report suite yet, so there is nothing to report on." } };
        return Ok(Page::new("Report", "/reports").show(Some(&visitor), body).into_response());
    }
    let session = web.session(&visitor.guest, &asked.suite).await?;
    let columns = session.engine.columns(EVENTS).await?;
    let suite = suites.iter().find(|s| s.suite == asked.suite);
    let friendly = suite.map(names).transpose()?.unwrap_or_default();
    let list = |wanted: &dyn Fn(&Field) -> bool| -> Vec<(String, String)> {
        let fields = columns.fields().iter().filter(|f| wanted(f));
        let mut all: Vec<_> = fields
            .map(|f| match friendly.get(f.name()) {
                Some(name) => (f.name().clone(), format!("{name} ({})", f.name())),
                None => (f.name().clone(), f.name().clone()),
            })
            .collect();
        all.sort();
        all
    };
    let text = |f: &Field| matches!(f.data_type(), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    let metrics = list(&|f| is_metric(f));
    // whether a dimension was set is no dimension
    let dimensions = list(&|f| is_dimension(f) && text(f) && !f.name().ends_with("_set"));
    if !is_asked {
        // a lake need not have what most have
        for (chosen, all) in [(&mut asked.metric, &metrics), (&mut asked.dimension, &dimensions)] {
            if let Some((first, _)) = all.first().filter(|_| !all.iter().any(|(name, _)| name == chosen)) {
                *chosen = first.clone();
            }
        }
    }
    let (answer, trend) = match (is_asked, asked.trend_sql()) {
        (false, _) => (None, None),
        (true, None) => (Some(answer(&session, &asked.sql()).await), None),
        (true, Some(trend)) => (Some(answer(&session, &asked.sql()).await), answer(&session, &trend).await.ok()),
    };
    let known = suite.map(segments::segments).transpose()?.unwrap_or_default();
    let none = |words: &str| (String::new(), words.to_string());
    let segments: Vec<_> =
        [none("Everybody")].into_iter().chain(known.into_keys().map(|name| (name.clone(), name))).collect();
    let spans = SPANS.iter().map(|(span, words)| (span.to_string(), words.to_string()));
    let breakdowns: Vec<_> = [none("Nothing")].into_iter().chain(spans).chain(dimensions.iter().cloned()).collect();
    let body = html! {
        form.grid method="get" action="/reports" {
            @if suites.len() > 1 {
                (choice("suite", "Suite", &asked.suite, &suites.iter().map(|s| (&s.suite, &s.suite)).collect::<Vec<_>>()))
            }
            (choice("metric", "Metric", &asked.metric, &metrics))
            (choice("dimension", "Dimension", &asked.dimension, &dimensions))
            (choice("model", "Model", &asked.model, &MODELS))
            (choice("container", "Container", &asked.container, &CONTAINERS))
            (field("lookback", "Lookback", &asked.lookback, "30 days, 12 hours; a visit ignores it"))
            (date("since", "Since", &asked.since))
            (date("until", "Until, exclusive", &asked.until))
            (choice("by", "Broken down by", &asked.by, &breakdowns))
            (choice("segment", "Segment", &asked.segment, &segments))
            (field("conversions", "Only conversions where", &asked.conversions, "SQL over a row of events"))
            (field("touches", "Only touches where", &asked.touches, "SQL over a row of events"))
            (field("last_resort", "Last resort", &asked.last_resort, "items that count only without others"))
            div.field {
                label for="limit" { "Rows" }
                input id="limit" name="limit" type="number" min="1" max=(MOST_ROWS) value=(asked.limit());
            }
            div.field { button { "Show report" } }
        }
        @match &answer {
            None => {},
            Some(Err(failure)) => section { p.error role="alert" { (failure.message) } (sql_of(&asked)) },
            Some(Ok(table)) => section aria-labelledby="answer" {
                h2 id="answer" { (asked.title()) }
                @if asked.by.is_empty() { (Chart::new(Kind::Bars, [1]).html("chart", &asked.title(), table)) }
                @if let Some(trend) = &trend {
                    h3 { "All items by " (asked.by) }
                    (Chart::new(Kind::Lines, [1]).html("trend", &format!("All items by {}", asked.by), trend))
                    (trend.html(&format!("All items by {}", asked.by)))
                    h3 { "By item" }
                }
                (table.html(&asked.title()))
                (sql_of(&asked))
            },
        }
    };
    let page = Page { charts: matches!(answer, Some(Ok(_))), ..Page::new("Report", "/reports") };
    let status = match &answer {
        Some(Err(failure)) => failure.http(),
        _ => StatusCode::OK,
    };
    Ok((status, page.show(Some(&visitor), body)).into_response())
}

async fn answer(session: &Session, sql: &str) -> Result<Table, Failure> {
    let mut found = session.run(sql, vec![]).await?;
    let mut table = Table::new(&found.schema);
    while let Some(batch) = found.next().await {
        table.add(&batch?)?;
    }
    Ok(table)
}

fn sql_of(asked: &Asked) -> Markup {
    let sql = asked.sql();
    let href = link("/sql", &[("suite", &asked.suite), ("q", &sql)]);
    html! {
        details {
            summary { "SQL" }
            pre tabindex="0" { code { (sql) } }
            p { a href=(href) { "Open as SQL" } }
        }
    }
}

/// A day; an instant that a link asks for stays as it is.
fn date(name: &str, label: &str, value: &str) -> Markup {
    let kind = if value.is_empty() || value.len() == "2026-01-01".len() { "date" } else { "text" };
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) type=(kind) value=(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Asked;

    #[test]
    fn what_is_typed_stays_a_value() {
        let mut asked =
            Asked { metric: "o'r\"d".into(), model: "linear".into(), until: "' OR 1".into(), ..Asked::default() };
        assert!(asked.complete(&[], None));
        asked.limit = "5; DROP".into();
        assert_eq!(
            asked.sql(),
            "SELECT item AS \"tracking_code\", credit AS \"o'r\"\"d\"\nFROM attribution('o''r\"d', 'tracking_code', \
             container => 'visitor', model => 'linear', lookback => '30 days', until => ''' OR 1')\n\
             ORDER BY 2 DESC NULLS LAST, 1\nLIMIT 50"
        );
        assert!(asked.trend_sql().is_none());
        let asked = Asked { by: "month".into(), segment: "it's".into(), touches: "x = 'y'".into(), ..asked };
        let call = "attribution('o''r\"d', 'tracking_code', container => 'visitor', model => 'linear', \
                    lookback => '30 days', until => ''' OR 1', by => 'month', segment => 'it''s', touches => 'x = ''y''')";
        assert!(asked.sql().contains(call) && asked.sql().starts_with("SELECT \"month\", item AS"), "{}", asked.sql());
        assert!(asked.trend_sql().is_some_and(|sql| sql.contains(call) && sql.contains("sum(credit)")));
    }
}
