//! Funnels: how many journeys come how far through steps, each a condition.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};

use super::answer::{About, Shown, nothing_to_ask};
use super::arguments::arguments;
use super::context::ReportContext;
use super::form::{self, FUNNEL};
use super::period::Period;
use super::question::Question;
use crate::Result;
use crate::pages::{Chart, Kind, Table};
use crate::quote::{literals, quoted};
use crate::serve::web::Web;
use crate::serve::web::layout::{Problem, choice, field};
use crate::serve::web::logged_in::LoggedIn;

/// How a step's row follows that of the step before, in words.
const NEXT: [(&str, &str); 2] = [("eventually", "at any later row"), ("at_once", "at the very next row")];

/// What a first funnel is made of, of the metrics that there are.
const USUAL: [&str; 4] = ["page_views", "product_views", "cart_adds", "orders"];

/// The conditions, one a line.
fn steps(question: &Question) -> Vec<&str> {
    question.exact("steps").lines().map(str::trim).filter(|line| !line.is_empty()).collect()
}

fn sql(question: &Question, period: &Period) -> Result<String> {
    let names = ["container", "within", "next", "since", "until", "by", "segment"];
    let given = arguments(question, period, &names)?;
    let (group, order) = match question.get("by") {
        "" => (String::new(), ""),
        by => (format!("{}, ", quoted(by)), "1, "),
    };
    Ok(format!(
        "SELECT {group}name AS \"condition\", journeys, 100 * share_of_first AS \"% of first\", \
         100 * share_of_previous AS \"% of previous\", median_seconds\n\
         FROM funnel(steps => [{}]{given})\nORDER BY {order}step",
        literals(steps(question))
    ))
}

/// The statement, with what is asked.
fn about(context: &ReportContext, question: &Question) -> Result<About> {
    let period = context.period(question)?;
    let within = if question.has("within") { question.get("within") } else { "all history" };
    let facts = vec![
        ("suite", context.suite.suite.clone()),
        ("container", question.get("container").to_string()),
        ("first step", format!("{} ({})", period.words(), context.suite.time_zone)),
        ("whole way within", within.to_string()),
    ];
    Ok(About { title: "Funnel".into(), facts, sql: sql(question, &period)? })
}

/// The form, and the answer where something is asked.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(mut question): Query<Question>,
) -> Result<Response, Problem> {
    let Some(context) = ReportContext::of(&web, &logged_in, &mut question).await? else {
        return Ok(nothing_to_ask(&logged_in));
    };
    let is_asked = !steps(&question).is_empty();
    if !is_asked {
        question.set("steps", &usual_steps(&context));
    }
    question.or("container", "visitor");
    let asked = is_asked.then(|| about(&context, &question));
    let form = fields(&context, &question);
    let shown =
        Shown { page: FUNNEL, saved_as: Some("funnel"), context, logged_in: &logged_in, question: &question, form };
    let drawn = |table: &Table, _| {
        html! {
            @if !question.has("by") { (Chart::new(Kind::Bars, [1]).html("chart", "Journeys by step", table)) }
            (table.html("Journeys by step"))
        }
    };
    shown.ask(asked, drawn).await
}

fn usual_steps(context: &ReportContext) -> String {
    let has = |name: &&str| context.metrics.iter().any(|(metric, _)| metric == name);
    let steps: Vec<String> = USUAL.iter().copied().filter(has).map(|metric| format!("{metric} > 0")).collect();
    if steps.is_empty() { "occurrences > 0".into() } else { steps.join("\n") }
}

fn fields(context: &ReportContext, question: &Question) -> Markup {
    html! {
        form.question method="get" action=(FUNNEL) {
            div.field {
                label for="steps" { "Steps" }
                textarea.code id="steps" name="steps" rows="5" spellcheck="false" autocapitalize="none" required
                    aria-describedby="steps-hint" { (question.exact("steps")) }
                small id="steps-hint" { "One condition a line, SQL over a row of events: cart_adds > 0, page_name = 'home', row_kind = 'transaction'" }
            }
            div.grid {
                (form::suite(context))
                (form::container(question))
                (field("within", "Whole way within", question.get("within"), "7 days, 2 hours; empty for all history"))
                (choice("next", "Each step", question.get("next"), &NEXT))
                (form::days(question))
                (form::breakdown(context, question))
                (form::segment(context, question))
                div.field { button { "Show funnel" } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn steps_stay_values() {
        let question = Question::parse("steps=page_name = 'home'%0D%0A%0D%0A orders > 0&within=7 days&by=mon\"th");
        assert_eq!(
            sql(&question, &Period::default()).unwrap(),
            "SELECT \"mon\"\"th\", name AS \"condition\", journeys, 100 * share_of_first AS \"% of first\", \
             100 * share_of_previous AS \"% of previous\", median_seconds\n\
             FROM funnel(steps => ['page_name = ''home''', 'orders > 0'], within => '7 days', by => 'mon\"th')\n\
             ORDER BY 1, step"
        );
    }
}
