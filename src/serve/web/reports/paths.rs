//! Paths: the items that conversions see, in order, the most frequent ones first.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};

use super::answer::{About, Shown, heads, nothing_to_ask};
use super::arguments::{OF_PATHS, arguments, found_in, limit, order};
use super::context::ReportContext;
use super::form::{self, PATHS};
use super::period::Period;
use super::question::Question;
use super::values::values;
use crate::Result;
use crate::pages::{Chart, Kind, Links, Table};
use crate::quote::{literal, quoted};
use crate::serve::web::Web;
use crate::serve::web::layout::{Problem, choice};
use crate::serve::web::logged_in::LoggedIn;

/// What becomes of touches of one item, in words.
const REPEATS: [(&str, &str); 3] = [
    ("collapse", "one item in a row is one touch"),
    ("first", "the first touch of each item"),
    ("keep", "every touch"),
];

/// Columns of the answer.
const COLUMNS: usize = 4;

/// A path as a text.
const PATH: &str = "array_to_string(path, ' › ', '(none)')";

fn sql(question: &Question, period: &Period) -> Result<String> {
    let unconverted = if question.has("unconverted") { ", unconverted => true" } else { "" };
    Ok(format!(
        "SELECT nullif({PATH}, '') AS path, conversions, value AS {}, journeys\n\
         FROM paths({}, {}{}{unconverted}){}\nORDER BY {}\nLIMIT {}",
        quoted(question.get("metric")),
        literal(question.get("metric")),
        literal(question.get("dimension")),
        arguments(question, period, &OF_PATHS.concat())?,
        found_in(PATH, question),
        order(question, COLUMNS, "2 DESC NULLS LAST, 4 DESC NULLS LAST, 1"),
        limit(question),
    ))
}

/// The statement, with what is asked.
fn about(context: &ReportContext, question: &Question) -> Result<About> {
    let period = context.period(question)?;
    let facts = vec![
        ("suite", context.suite.suite.clone()),
        ("currency", context.suite.currency.clone()),
        ("period", format!("{} ({})", period.words(), context.suite.time_zone)),
    ];
    let words = |name: &str| question.get(name).replace('_', " ");
    let title = format!("Paths of {} to {}", words("dimension"), words("metric"));
    Ok(About { title, facts, sql: sql(question, &period)? })
}

/// The form, and the answer where something is asked.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(mut question): Query<Question>,
) -> Result<Response, Problem> {
    let is_asked = question.has("metric") && !question.has("list");
    let Some(context) = ReportContext::of(&web, &logged_in, &mut question).await? else {
        return Ok(nothing_to_ask(&logged_in));
    };
    context.defaults(&mut question, "orders");
    for (name, usual) in [("container", "visitor"), ("lookback", "30 days"), ("repeats", "collapse")] {
        question.or(name, usual);
    }
    let asked = is_asked.then(|| about(&context, &question));
    let form = fields(&context, &question, &values(&context, &question).await);
    let shown =
        Shown { page: PATHS, saved_as: Some("paths"), context, logged_in: &logged_in, question: &question, form };
    shown.ask(asked, |table, linked| list(&question, table, linked)).await
}

fn list(question: &Question, table: &Table, linked: bool) -> Markup {
    let links = match linked {
        true => Links { heads: heads(PATHS, question, table), cells: None },
        false => Links::default(),
    };
    html! {
        (Chart::new(Kind::Bars, [1]).html("chart", "Conversions by path", table))
        (table.linked("Conversions by path", &links))
    }
}

fn fields(context: &ReportContext, question: &Question, values: &[(String, Vec<String>)]) -> Markup {
    html! {
        form.question method="get" action=(PATHS) {
            div.grid {
                (form::suite(context))
                (form::metric(context, question))
                (form::dimension(context, question))
                (choice("repeats", "Repeats", question.get("repeats"), &REPEATS))
                (form::container(question))
                (form::lookback(question))
                (form::days(question))
                (form::segment(context, question))
                (form::rows(question, "Paths with"))
                div.field { button { "Show paths" } }
            }
            div.field.check {
                input id="unconverted" name="unconverted" type="checkbox" value="true" checked[question.has("unconverted")];
                label for="unconverted" { "count journeys without a conversion, too" }
            }
            (form::filters(context, question, values))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_typed_stays_a_value() {
        let question =
            Question::parse("metric=o'r%22d&dimension=evar1&repeats=collapse&unconverted=1&find=a'b&sort=-3");
        assert_eq!(
            sql(&question, &Period::default()).unwrap(),
            "SELECT nullif(array_to_string(path, ' › ', '(none)'), '') AS path, conversions, value AS \"o'r\"\"d\", journeys\n\
             FROM paths('o''r\"d', 'evar1', repeats => 'collapse', unconverted => true)\n\
             WHERE strpos(lower(array_to_string(path, ' › ', '(none)')), lower('a''b')) > 0\n\
             ORDER BY 3 DESC NULLS LAST, 2 DESC NULLS LAST, 4 DESC NULLS LAST, 1\nLIMIT 50"
        );
    }
}
