//! From an item to the conversions that it has a part of, and from a conversion to its path: each touch with each model's share.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Response;
use maud::{Markup, html};

use super::answer::{About, Shown, heads, nothing_to_ask, rows};
use super::arguments::{OF_CREDITS, OF_ONE_PATH, arguments, limit, order};
use super::context::ReportContext;
use super::form::{CREDIT, MODELS};
use super::question::Question;
use crate::Result;
use crate::pages::{Cell, Links, Table};
use crate::quote::{literal, quoted};
use crate::serve::web::Web;
use crate::serve::web::layout::Problem;
use crate::serve::web::logged_in::LoggedIn;
use crate::serve::web::sql::csv;

/// The addresses of the two pages.
const CONVERSIONS: &str = "/reports/conversions";
const PATH: &str = "/reports/path";

/// Columns of the list of conversions; the last is the conversion's id.
const COLUMNS: usize = 9;

/// Models whose shares hang on all journeys; a path shows those of the others.
const OF_ALL_JOURNEYS: [&str; 2] = ["algorithmic", "markov"];

/// An instant on the suite's clock.
fn local(column: &str) -> String {
    format!("to_char(local_time({column}), '%Y-%m-%d %H:%M:%S')")
}

/// What a question stands on, which gets what it leaves open. None where there is no suite.
async fn begin(web: &Web, logged_in: &LoggedIn, question: &mut Question) -> Result<Option<ReportContext>, Problem> {
    let context = ReportContext::of(web, logged_in, question).await?;
    for (name, usual) in [("container", "visitor"), ("model", "participation"), ("lookback", "30 days")] {
        question.or(name, usual);
    }
    Ok(context)
}

/// The conversions of an item, of a group where there is a breakdown; all conversions where none is named.
fn conversions_sql(context: &ReportContext, question: &Question) -> Result<String> {
    let given = arguments(question, &context.period(question)?, &OF_CREDITS.concat())?;
    let (metric, dimension) = (literal(question.get("metric")), literal(question.get("dimension")));
    let by = quoted(question.get("by"));
    let is = |column: &str, name: &str| match (question.has(&format!("no_{name}")), question.exact(name)) {
        (true, _) => Some(format!("{column} IS NULL")),
        (false, "") => None,
        (false, value) => Some(format!("{column} = {}", literal(value))),
    };
    let group = if question.has("by") { is(&by, "group") } else { None };
    let wanted: Vec<String> = is("item", "item").into_iter().chain(group).collect();
    let wanted = if wanted.is_empty() { String::new() } else { format!("\nWHERE {}", wanted.join(" AND ")) };
    Ok(format!(
        "SELECT {time} AS \"time\", row_kind, value, touches, {first} AS first_touch, {last} AS last_touch, share, credit, event_id\n\
         FROM credits({metric}, {dimension}{given}){wanted}\nORDER BY {order}\nLIMIT {limit}",
        time = local("\"time\""),
        first = local("first_touch_time"),
        last = local("last_touch_time"),
        order = order(question, COLUMNS, "8 DESC NULLS LAST, 1, 9"),
        limit = limit(question),
    ))
}

/// What is said of an item's or a group's name.
fn name_of<'q>(question: &'q Question, name: &str) -> &'q str {
    if question.has(&format!("no_{name}")) { "(none)" } else { question.exact(name) }
}

/// The statement, with what is asked.
fn about_item(context: &ReportContext, question: &Question) -> Result<About> {
    let mut facts = vec![
        ("suite", context.suite.suite.clone()),
        ("metric", question.get("metric").to_string()),
        ("item", name_of(question, "item").to_string()),
        ("group", name_of(question, "group").to_string()),
        ("model", question.get("model").to_string()),
        ("time zone", context.suite.time_zone.clone()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    Ok(About { title: "Conversions of an item".into(), facts, sql: conversions_sql(context, question)? })
}

/// The conversions of an item.
pub(super) async fn of_item(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(mut question): Query<Question>,
) -> Result<Response, Problem> {
    let Some(context) = begin(&web, &logged_in, &mut question).await? else { return Ok(nothing_to_ask(&logged_in)) };
    let asked = about_item(&context, &question);
    let back = question.with(&["item", "no_item", "group", "no_group", "sort", "limit"].map(|name| (name, "")));
    let form = html! { p { a href=(back.link(CREDIT)) { "Back to all items" } } };
    let shown = Shown { page: CONVERSIONS, saved_as: None, context, logged_in: &logged_in, question: &question, form };
    shown.ask(Some(asked), |table, linked| list(&question, table, linked)).await
}

fn list(question: &Question, table: &Table, linked: bool) -> Markup {
    let path = |row: &[Cell]| question.with(&[("event", &row[COLUMNS - 1].label()), ("sort", "")]).link(PATH);
    let links = match linked {
        true => {
            Links { heads: heads(CONVERSIONS, question, table), cells: Some((0, &path as &dyn Fn(&[Cell]) -> String)) }
        }
        false => Links::default(),
    };
    html! {
        (table.linked("Conversions", &links))
        @if linked && !table.rows.is_empty() { p.note { "A conversion leads to its path." } }
    }
}

/// The models that a path shows: those in the lists, and that of the question.
fn models(question: &Question) -> Vec<&str> {
    let mut models: Vec<&str> = MODELS.iter().map(|(model, _)| *model).collect();
    models.retain(|model| !OF_ALL_JOURNEYS.contains(model));
    let own = question.get("model");
    let is_of_all = OF_ALL_JOURNEYS.iter().any(|model| own.starts_with(*model));
    if !own.is_empty() && !is_of_all && !models.contains(&own) {
        models.push(own);
    }
    models
}

fn path_sql(context: &ReportContext, question: &Question) -> Result<String> {
    let given = arguments(question, &context.period(question)?, &OF_ONE_PATH)?;
    let [metric, dimension, event] =
        [question.get("metric"), question.get("dimension"), question.exact("event")].map(literal);
    let models = models(question);
    let shares: Vec<String> = models.iter().map(|model| quoted(model)).collect();
    Ok(format!(
        "SELECT item, {} AS \"time\", visit_num AS visit, row_kind, {}\n\
         FROM credit_path({metric}, {dimension}, {event}{given}, models => {})\nORDER BY hit_time, event_id, item",
        local("hit_time"),
        shares.join(", "),
        literal(&models.join(","))
    ))
}

fn event_sql(question: &Question) -> String {
    format!(
        "SELECT {} AS \"time\", visitor_id, row_kind, match_status, {} AS value\nFROM events\n\
         WHERE event_id = {} AND visitor_id IS NOT NULL LIMIT 1",
        local("hit_time"),
        quoted(question.get("metric")),
        literal(question.exact("event"))
    )
}

/// The path of a conversion.
pub(super) async fn path(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(mut question): Query<Question>,
) -> Result<Response, Problem> {
    let Some(context) = begin(&web, &logged_in, &mut question).await? else { return Ok(nothing_to_ask(&logged_in)) };
    let sql = path_sql(&context, &question)?;
    if question.get("to") == "csv" {
        return Ok(csv(context.session, &sql).await?);
    }
    let (answer, table) = match rows(&context.session, &sql).await {
        Err(failure) => (Some(Err(failure)), None),
        Ok(table) => {
            let mut facts =
                vec![("suite", context.suite.suite.clone()), ("conversion", question.exact("event").to_string())];
            if let Ok(event) = rows(&context.session, &event_sql(&question)).await {
                let names = ["time", "visitor", "kind", "status", "value"];
                let cells = event.rows.first().into_iter().flatten().map(Cell::label);
                facts.extend(names.into_iter().zip(cells));
            }
            facts.push(("metric", question.get("metric").to_string()));
            facts.push(("container", question.get("container").to_string()));
            facts.push(("lookback", question.get("lookback").to_string()));
            (Some(Ok(About { title: "Path of a conversion".into(), facts, sql })), Some(table))
        }
    };
    let back = question.with(&[("event", "")]);
    let form = html! { p { a href=(back.link(CONVERSIONS)) { "Back to the conversions" } } };
    let shown = Shown { page: PATH, saved_as: None, context, logged_in: &logged_in, question: &question, form };
    Ok(shown.respond(answer, &|_| {
        html! {
            @if let Some(table) = &table {
                (table.html("Touches of the conversion"))
                p.note { "Each model's share of the conversion. Algorithmic and Markov shares hang on all journeys, not on this one alone." }
            }
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_shows_the_models_of_one_journey() {
        let of = |question: &str| models(&Question::parse(question)).join(",");
        assert!(!of("model=markov(2)").contains("markov") && !of("").contains("algorithmic"));
        assert!(of("model=time_decay(3 days)").ends_with(",time_decay(3 days)"));
        assert_eq!(of("model=linear").matches("linear").count(), 1);
    }

    #[test]
    fn names_stay_values() {
        let sql = event_sql(&Question::parse("metric=a%22b&event=x'y"));
        assert!(sql.contains("\"a\"\"b\" AS value") && sql.contains("event_id = 'x''y'"), "{sql}");
    }
}
