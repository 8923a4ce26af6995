//! Flows: what journeys touch next after a row that satisfies a condition, or touched before it, as a picture and a table.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};

use super::answer::{About, Shown, nothing_to_ask};
use super::arguments::arguments;
use super::context::ReportContext;
use super::form::{self, FLOW};
use super::period::Period;
use super::question::Question;
use super::sankey::{FlowLink, picture};
use crate::Result;
use crate::pages::{Cell, Table};
use crate::quote::literal;
use crate::serve::web::Web;
use crate::serve::web::layout::{Problem, choice, field};
use crate::serve::web::logged_in::LoggedIn;

/// Steps that a picture has room for, and ways of each.
const MOST_STEPS: u32 = 8;
const MOST_WAYS: u32 = 50;

/// Which way it goes, in words.
const DIRECTIONS: [(&str, &str); 2] =
    [("after", "after the first row where"), ("before", "before the first row where")];

fn number(question: &Question, name: &str, usual: u32, most: u32) -> u32 {
    question.get(name).parse().unwrap_or(usual).clamp(1, most)
}

fn depth(question: &Question) -> u32 {
    number(question, "depth", 3, MOST_STEPS)
}

fn ways(question: &Question) -> u32 {
    number(question, "ways", 12, MOST_WAYS)
}

fn is_back(question: &Question) -> bool {
    question.get("direction") == "before"
}

fn sql(question: &Question, period: &Period) -> Result<String> {
    let (direction, next) = if is_back(question) { ("before", "previous_item") } else { ("after", "next_item") };
    Ok(format!(
        "SELECT step, item, {next}, journeys\n\
         FROM (SELECT *, row_number() OVER (PARTITION BY step ORDER BY journeys DESC, item, {next}) AS place\n\
         FROM flow({}, {direction} => {}, depth => {}{}))\n\
         WHERE place <= {}\nORDER BY step, journeys DESC, item, {next}",
        literal(question.get("dimension")),
        literal(question.get("from")),
        depth(question),
        arguments(question, period, &["container", "since", "until", "segment"])?,
        ways(question),
    ))
}

/// The statement, with what is asked.
fn about(context: &ReportContext, question: &Question) -> Result<About> {
    let period = context.period(question)?;
    let facts = vec![
        ("suite", context.suite.suite.clone()),
        ("container", question.get("container").to_string()),
        ("first row", format!("{} ({})", period.words(), context.suite.time_zone)),
    ];
    let title = format!("Flow of {}", question.get("dimension").replace('_', " "));
    Ok(About { title, facts, sql: sql(question, &period)? })
}

/// The form, and the answer where something is asked.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(mut question): Query<Question>,
) -> Result<Response, Problem> {
    let is_asked = question.has("dimension");
    let Some(context) = ReportContext::of(&web, &logged_in, &mut question).await? else {
        return Ok(nothing_to_ask(&logged_in));
    };
    if context.dimensions.iter().any(|(name, _)| name == "page_name") {
        question.or("dimension", "page_name");
    }
    context.defaults(&mut question, "orders");
    question.set("metric", "");
    for (name, usual) in [("container", "visitor"), ("direction", "after"), ("from", "1 = 1")] {
        question.or(name, usual);
    }
    let asked = is_asked.then(|| about(&context, &question));
    let form = fields(&context, &question);
    let shown = Shown { page: FLOW, saved_as: Some("flow"), context, logged_in: &logged_in, question: &question, form };
    shown.ask(asked, |table, _| drawn(&question, table)).await
}

fn drawn(question: &Question, table: &Table) -> Markup {
    let name = |cell: &Cell| if *cell == Cell::Missing { None } else { Some(cell.label()) };
    let way = |row: &Vec<Cell>| {
        let (step, size) = (row[0].value()?, row[3].value()?);
        Some(FlowLink { step: step as usize, item: name(&row[1]), next: name(&row[2]), size })
    };
    let all: Vec<FlowLink> = table.rows.iter().filter_map(way).collect();
    let end = if is_back(question) { "(beginning)" } else { "(end)" };
    html! {
        (picture("Flow", &all, end, is_back(question)))
        (table.html("Flow"))
        @if !all.is_empty() {
            p.note {
                "The " (ways(question)) " ways of each step that most journeys take. Where the other item is empty, the journey "
                @if is_back(question) { "begins" } @else { "ends" } " there."
            }
        }
    }
}

fn fields(context: &ReportContext, question: &Question) -> Markup {
    html! {
        form.question method="get" action=(FLOW) {
            div.grid {
                (form::suite(context))
                (form::dimension(context, question))
                (choice("direction", "What is touched", question.get("direction"), &DIRECTIONS))
                (field("from", "Condition", question.get("from"), "SQL over a row of events; 1 = 1 for any row"))
                div.field {
                    label for="depth" { "Steps" }
                    input id="depth" name="depth" type="number" min="1" max=(MOST_STEPS) value=(depth(question));
                }
                div.field {
                    label for="ways" { "Ways of a step" }
                    input id="ways" name="ways" type="number" min="1" max=(MOST_WAYS) value=(ways(question));
                }
                (form::container(question))
                (form::days(question))
                (form::segment(context, question))
                div.field { button { "Show flow" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn conditions_stay_values() {
        let question = Question::parse("dimension=page_name&direction=before&from=page_name = 'home'&depth=99&ways=x");
        let sql = sql(&question, &Period::default()).unwrap();
        assert!(sql.contains("FROM flow('page_name', before => 'page_name = ''home''', depth => 8)"), "{sql}");
        assert!(sql.contains("WHERE place <= 12\n") && sql.starts_with("SELECT step, item, previous_item, journeys"));
    }
}
