//! Persons: a person's time line over its visitors, what says so, and for managers a way to take a visitor out of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use maud::{Markup, html};
use serde::Deserialize;

use super::Web;
use super::layout::{Page, Problem, choice, count, field, link, listing, time};
use super::logged_in::LoggedIn;
use crate::lake::records::{PersonRule, PersonSpan, Suite};
use crate::lake::suites::{find, suites};
use crate::lake::{Record, Registry, Snapshot, person_rules};
use crate::pages::{number, texts};
use crate::persons::{Rules, Subject};
use crate::rebuild::is_stale;
use crate::report::PersonSql;
use crate::serve::failure::Failure;
use crate::serve::session::Session;
use crate::serve::users::Role;
use crate::{Error, Result};

/// Spans of a person that a page shows.
const SPANS: usize = 1000;

/// Persons that are offered, and those of one visitor that are shown.
const OFFERED: usize = 50;

/// Who is asked about; nobody at first.
#[derive(Default, Deserialize)]
pub(super) struct PersonQuery {
    #[serde(default)]
    suite: String,
    /// A customer ID or a visitor, with or without the word before it.
    #[serde(default)]
    person: String,
}

/// A visitor who is to be taken out of a person.
#[derive(Deserialize)]
pub(super) struct Unlinked {
    suite: String,
    person: String,
    visitor: String,
}

/// The cells of an answer, row by row; None is NULL.
type Cells = Vec<Vec<Option<String>>>;

/// What is said of a person.
struct PersonDetails {
    name: String,
    /// Online rows, offline rows, visitors.
    counts: Vec<f64>,
    /// Visitor, from, until, why.
    spans: Cells,
    /// Customer ID, verdict, visitors.
    ids: Cells,
    rules: Vec<PersonRule>,
}

/// The form, and who is asked about or might be.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(mut asked): Query<PersonQuery>,
) -> Result<Response, Problem> {
    let lake = &web.server.lake;
    let mut with_persons = suites(lake).await?;
    with_persons.retain(Suite::has_persons);
    let page = |status: StatusCode, body: Markup| {
        (status, Page::new("Persons", "/persons").show(Some(&logged_in), body)).into_response()
    };
    let Some(first) = with_persons.first() else {
        let body = html! {
            p { "Persons are off in every report suite. Switch them on: " code { "rejoin suite set RSID --persons device_split" } "." }
        };
        return Ok(page(StatusCode::OK, body));
    };
    if asked.suite.is_empty() {
        asked.suite = web.server.settings().suite.clone().unwrap_or_else(|| first.suite.clone());
    }
    if !with_persons.iter().any(|suite| suite.suite == asked.suite) {
        return Err(Problem::missing(format!("there is no suite {} that has persons", asked.suite)));
    }
    if Snapshot::open(lake, PersonSpan::TABLE, None).await?.version.is_none() {
        let body = html! { p { "No rebuild has found the persons yet. They follow after the " a href="/rebuilds" { "next rebuild" } "." } };
        return Ok(page(StatusCode::OK, body));
    }
    let session = web.session(&logged_in.guest, &asked.suite).await?;
    let sql = PersonSql::of(&asked.suite);
    let form = html! {
        @if is_stale(lake).await? {
            p.hint { "Something changed since the last rebuild. Persons follow after the " a href="/rebuilds" { "next rebuild" } "." }
        }
        form.line method="get" action="/persons" {
            @if with_persons.len() > 1 {
                (choice("suite", "Suite", &asked.suite, &with_persons.iter().map(|s| (&s.suite, &s.suite)).collect::<Vec<_>>()))
            }
            (field("person", "Customer ID or visitor", &asked.person, "id:ID or visitor:ID says which"))
            button { "Show" }
        }
    };
    if asked.person.trim().is_empty() {
        let most = cells(&session, &sql.of_most_visitors(OFFERED)).await?;
        return Ok(page(StatusCode::OK, html! { (form) (offered(&asked.suite, &most)) }));
    }
    let all = Registry::<PersonRule>::read(lake).await?.rows;
    let mut found = vec![];
    for name in persons_named(&session, &sql, &asked.person).await?.into_iter().take(OFFERED) {
        found.extend(details_of(&session, &sql, name, &person_rules::in_order(&all, &asked.suite)).await?);
    }
    let manager = logged_in.guest.role == Role::Manager;
    let status = if found.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let body = html! {
        (form)
        @if found.is_empty() {
            p.error role="alert" { "No row and no rule of " (asked.suite) " is of such a person. Write id:ID for a customer ID, visitor:ID for a visitor." }
        }
        @for (place, details) in found.iter().enumerate() { (section(place, details, &asked.suite, manager)) }
    };
    Ok(page(status, body))
}

/// Takes a visitor out of a person, by rules.
pub(super) async fn unlink(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Form(which): Form<Unlinked>,
) -> Result<Redirect, Problem> {
    let Unlinked { suite, person, visitor: device } = which;
    let lake = &web.server.lake;
    find(&suites(lake).await?, &suite).map_err(Problem::not_found)?;
    let session = web.session(&logged_in.guest, &suite).await?;
    let sql = PersonSql::of(&suite);
    let is_of = first_cells(&session, &sql.of_visitor(&device)).await?.contains(&person);
    let borne: BTreeSet<String> = first_cells(&session, &sql.ids_on(&device)).await?.into_iter().collect();
    let ids = ids_of(&person, &cells(&session, &sql.ids(&person)).await?);
    let known = Registry::<PersonRule>::read(lake).await?.rows;
    let known = Rules::new(&person_rules::of_suite(&known, &suite)?);
    let rules = known.unlinking(&device, &ids, &borne).map_err(Error::usage)?;
    if rules.is_empty() || !is_of {
        let message = "nothing links this visitor to this person, or no longer; look again after the next rebuild";
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, message));
    }
    person_rules::add(lake, &suite, &rules).await?;
    logged_in.notice("The visitor is taken out of the person; rows follow at the next rebuild.");
    Ok(Redirect::to(&person_link(&suite, &person)))
}

/// The page of a person.
fn person_link(suite: &str, person: &str) -> String {
    link("/persons", &[("suite", suite), ("person", person)])
}

/// The persons that a text may be about.
async fn persons_named(session: &Session, sql: &PersonSql, text: &str) -> Result<Vec<String>, Failure> {
    let text = text.trim();
    let (id, device) = match (text.strip_prefix("id:"), text.strip_prefix("visitor:")) {
        (Some(id), _) => (Some(id.trim()), None),
        (_, Some(device)) => (None, Some(device)),
        _ => (Some(text), Some(text)),
    };
    let mut names = vec![];
    if let Some(id) = id {
        let linked = first_cells(session, &sql.of_id(id)).await?;
        names.extend(if linked.is_empty() { vec![format!("id:{id}")] } else { linked });
    }
    if let Some(device) = device {
        let found = first_cells(session, &sql.of_visitor(device)).await?;
        names.extend(if found.is_empty() { vec![format!("visitor:{device}")] } else { found });
    }
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// What is known of a person; None where nothing is.
async fn details_of(
    session: &Session,
    sql: &PersonSql,
    name: String,
    rules: &[&PersonRule],
) -> Result<Option<PersonDetails>, Failure> {
    let spans = cells(session, &format!("{} LIMIT {}", sql.spans(&name), SPANS + 1)).await?;
    let ids = cells(session, &sql.ids(&name)).await?;
    let counted = cells(session, &sql.rows(&name)).await?;
    let counts = counted.iter().flatten().flatten().map(|text| text.parse().unwrap_or_default()).collect::<Vec<f64>>();
    let own: BTreeSet<String> = ids_of(&name, &ids).into_iter().map(|id| Subject::Id(id).to_string()).collect();
    let devices = spans.iter().filter_map(|row| row.first()?.clone());
    let own: BTreeSet<String> = own.into_iter().chain(devices.map(|id| Subject::Visitor(id).to_string())).collect();
    let is_about = |rule: &&&PersonRule| {
        own.contains(&rule.first) || rule.second.as_ref().is_some_and(|second| own.contains(second))
    };
    let rules: Vec<PersonRule> = rules.iter().filter(is_about).map(|rule| (*rule).clone()).collect();
    let nothing = spans.is_empty() && ids.is_empty() && rules.is_empty() && counts.iter().all(|n| *n == 0.0);
    Ok((!nothing).then_some(PersonDetails { name, counts, spans, ids, rules }))
}

/// The customer IDs that stand for a person.
fn ids_of(person: &str, ids: &Cells) -> BTreeSet<String> {
    let linked = ids.iter().filter_map(|row| match row.as_slice() {
        [Some(id), Some(verdict), ..] if verdict == "linked" => Some(id.clone()),
        _ => None,
    });
    linked.chain(person.strip_prefix("id:").map(str::to_string)).collect()
}

/// Persons to begin with.
fn offered(suite: &str, most: &Cells) -> Markup {
    let row = |row: &Vec<Option<String>>| {
        let [name, visitors] = [0, 1].map(|column| row.get(column).cloned().flatten().unwrap_or_default());
        html! {
            th scope="row" { a href=(person_link(suite, &name)) { (name) } }
            (count(visitors.parse().unwrap_or_default()))
        }
    };
    let rows: Vec<Markup> = most.iter().map(row).collect();
    html! {
        section aria-labelledby="offered" {
            h2 id="offered" { "Persons of the most visitors" }
            p.note { "Of visitors with a customer ID or a rule; every other visitor is a person of its own." }
            (listing("Persons of the most visitors", &["Person", "#Visitors"], &rows))
        }
    }
}

fn section(place: usize, details: &PersonDetails, suite: &str, manager: bool) -> Markup {
    let id = format!("person-{}", place + 1);
    let facts = ["online rows", "offline rows", "visitors"].into_iter().zip(&details.counts);
    // a person of one visitor is linked to nobody
    let devices: BTreeSet<&str> = details.spans.iter().filter_map(|row| row.first()?.as_deref()).collect();
    let may_unlink = manager && (details.name.starts_with("id:") || devices.len() > 1);
    let mut seen = BTreeSet::new();
    let row_of_span = |row: &Vec<Option<String>>| {
        let [device, from, until, why] = [0, 1, 2, 3].map(|column| row.get(column).and_then(Option::as_deref));
        let device = device.unwrap_or_default();
        html! {
            th scope="row" { (device) }
            td { (from.unwrap_or("ever")) }
            td { (until.unwrap_or("ever")) }
            td { (in_words(why.unwrap_or_default())) }
            @if may_unlink { td { @if seen.insert(device.to_string()) { (unlink_form(suite, &details.name, device)) } } }
        }
    };
    let spans: Vec<Markup> = details.spans.iter().take(SPANS).map(row_of_span).collect();
    let rules: Vec<Markup> = details.rules.iter().map(row_of_rule).collect();
    let ids: Vec<Markup> = details.ids.iter().map(|row| row_of_id(row)).collect();
    let heads = ["Visitor", "From", "Until, exclusive", "Because of", "Unlink"];
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (details.name) }
            dl.facts { @for (name, value) in facts { div { dt { (name) } dd { (number(*value)) } } } }
            h3 { "Time line" }
            @if details.counts.iter().take(2).all(|rows| *rows == 0.0) { p.note { "No row is of this person." } }
            @else if details.spans.is_empty() { p.note { "All rows are of one visitor without a customer ID, or of records." } }
            @else { (listing("Time line", &heads[..if may_unlink { 5 } else { 4 }], &spans)) }
            @if details.spans.len() > SPANS { p.note { "The first " (number(SPANS as f64)) " spans; rejoin explain-person tells all." } }
            @if !rules.is_empty() {
                h3 { "Rules" }
                (listing("Rules", &["Made", "Rule", "Whom", "With"], &rules))
            }
            @if !ids.is_empty() {
                h3 { "IDs that rules or the limit are about" }
                (listing("IDs that rules or the limit are about", &["Customer ID", "Verdict", "#Visitors"], &ids))
            }
        }
    }
}

fn unlink_form(suite: &str, person: &str, device: &str) -> Markup {
    html! {
        form method="post" action="/persons/unlink" {
            input type="hidden" name="suite" value=(suite);
            input type="hidden" name="person" value=(person);
            input type="hidden" name="visitor" value=(device);
            button.plain aria-label={ "Unlink " (device) " from " (person) } { "Unlink" }
        }
    }
}

fn row_of_rule(rule: &PersonRule) -> Markup {
    html! {
        th scope="row" { (time(rule.made)) }
        td { (rule.rule) }
        td { (rule.first) }
        td { (rule.second.as_deref().unwrap_or_default()) }
    }
}

fn row_of_id(row: &[Option<String>]) -> Markup {
    let [id, verdict, visitors] = [0, 1, 2].map(|column| row.get(column).cloned().flatten().unwrap_or_default());
    html! {
        th scope="row" { (id) }
        td { (verdict) }
        (count(visitors.parse().unwrap_or_default()))
    }
}

/// What says whose the rows are.
fn in_words(why: &str) -> &str {
    match why {
        "id" => "a customer ID on the visitor's rows",
        "linked id" => "a rule that links the visitor to the ID",
        "linked visitor" => "a rule that links the visitor to another one",
        "no id" => "no customer ID",
        other => other,
    }
}

/// A small answer as texts.
async fn cells(session: &Session, sql: &str) -> Result<Cells, Failure> {
    let mut found = session.run(sql, vec![]).await?;
    let mut all = vec![];
    while let Some(batch) = found.next().await {
        let batch = batch?;
        let columns = batch.columns().iter().map(texts).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            all.push(columns.iter().map(|column| column[row].clone()).collect());
        }
    }
    Ok(all)
}

/// The first column of a small answer.
async fn first_cells(session: &Session, sql: &str) -> Result<Vec<String>, Failure> {
    let rows = cells(session, sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}
