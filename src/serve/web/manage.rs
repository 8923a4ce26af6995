//! The start: every suite with its switch and sources, as Adobe's Manage tab shows them.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::Web;
use super::layout::{Page, Problem, count, count_bad, field, link, listing, source_link, status, suite_link, time};
use super::logged_in::LoggedIn;
use crate::lake::records::Suite;
use crate::lake::suites::suites;
use crate::rebuild::{SourceStatus, is_stale, status_of_sources};
use crate::serve::users::Role;

/// All suites and sources.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
) -> Result<Html<String>, Problem> {
    let lake = &web.server.lake;
    let (suites, sources) = (suites(lake).await?, status_of_sources(lake, None).await?);
    let stale = !suites.is_empty() && is_stale(lake).await?;
    let manager = logged_in.guest.role == Role::Manager;
    let body = html! {
        @if stale {
            p.hint { "Something changed since the last rebuild. Reports follow after the " a href="/rebuilds" { "next rebuild" } "." }
        }
        @for suite in &suites { (section(suite, &sources, manager)) }
        @if sources.iter().all(|source| source.rows == 0) { (first_steps(&suites, manager)) }
        @if manager {
            section aria-labelledby="new-suite" {
                h2 id="new-suite" { "New report suite" }
                form.line method="post" action="/suites" {
                    (field("suite", "Report suite id", "", "letters, digits, . _ -"))
                    (field("time_zone", "Time zone", "UTC", "such as Europe/Berlin"))
                    (field("currency", "Currency", "USD", ""))
                    button { "Create suite" }
                }
            }
        }
    };
    Ok(Page::new("Manage", "/").show(Some(&logged_in), body))
}

/// What to do in a lake without rows.
pub(super) fn first_steps(suites: &[Suite], manager: bool) -> Markup {
    let name = suites.first().map_or("web", |suite| suite.suite.as_str());
    html! {
        section aria-labelledby="first-steps" {
            h2 id="first-steps" { "First steps" }
            p {
                "Nothing is loaded yet. "
                @if !manager { "A manager takes these steps; then there are reports here." }
            }
            ol.steps {
                li { "Load online hits: " code { "rejoin ingest feed/ --suite " (name) } " for data feeds, "
                    code { "rejoin ingest clicks.csv --mapping web.toml" } " for other files ("
                    code { "rejoin mapping guess clicks.csv" } " writes a first mapping)." }
                li { "Create a data source for offline records on the suite's page, and upload its files there." }
                li { "Start a " a href="/rebuilds" { "rebuild" } ". Then ask a " a href="/reports" { "report" } "." }
            }
            p.note { "To look around first: " code { "rejoin demo" } " makes a lake of a made-up shop." }
        }
    }
}

fn section(suite: &Suite, sources: &[SourceStatus], manager: bool) -> Markup {
    let own: Vec<Markup> = sources.iter().filter(|s| s.suite == suite.suite).map(row).collect();
    let id = format!("suite-{}", suite.suite);
    html! {
        section aria-labelledby=(id) {
            div.head {
                h2 id=(id) { (suite.suite) }
                div.actions {
                    (switch(suite, manager))
                    a href=(suite_link(&suite.suite)) { @if manager { "Settings and new source" } @else { "Settings" } }
                    a href=(link("/log", &[("suite", &suite.suite)])) { "File log" }
                }
            }
            (listing(&format!("Sources of {}", suite.suite),
                &["Source", "Kind", "#Queue", "#Rows", "#Errors", "#Warnings", "Received", "Status"], &own))
        }
    }
}

/// Transaction ID recording, with the button that switches it on, or leads to the question whether it is to be off.
pub(super) fn switch(suite: &Suite, manager: bool) -> Markup {
    let (now, other) = if suite.transaction_id { ("on", "off") } else { ("off", "on") };
    let method = if suite.transaction_id { "get" } else { "post" };
    html! {
        form.switch method=(method) action={ (suite_link(&suite.suite)) "/transaction-id" } {
            span { "Transaction ID " (status(now)) }
            @if manager {
                button.plain name="to" value=(other) aria-label={ "Switch " (other) " transaction ID recording of " (suite.suite) } {
                    "Switch " (other)
                }
            }
        }
    }
}

fn row(source: &SourceStatus) -> Markup {
    html! {
        th scope="row" {
            // online hits have no page of their own
            @if source.id.is_empty() { (source.source) } @else { a href=(source_link(&source.suite, &source.source)) { (source.source) } }
        }
        td { (source.kind) }
        (count(source.queue))
        (count(source.rows))
        (count_bad(source.errors))
        (count(source.warnings))
        td { (time(source.received)) }
        td { (status(&source.status)) }
    }
}
