//! The part of a suite's page that is about its data sources: the list, and the form for a new one.

use maud::{Markup, html};
use serde::Deserialize;

use super::Web;
use super::layout::{Problem, choice, field, listing, source_link, status, suite_link};
use crate::lake::records::Source;
use crate::lake::sources;

/// Kinds of sources, in words.
pub(super) const KINDS: [(&str, &str); 3] = [
    ("transaction", "transaction: by transaction ID"),
    ("customer", "customer: by visitor ID"),
    ("summary", "summary: totals only"),
];

/// What becomes of a file with bad rows.
pub(super) const ON_ERROR: [(&str, &str); 2] =
    [("skip", "reject the row, load the others"), ("stop", "stop the source until it is restarted")];

/// A new source as it was typed.
#[derive(Default, Deserialize)]
pub(super) struct NewSourceForm {
    pub name: String,
    pub kind: String,
    pub metrics: String,
    pub dimensions: String,
    pub on_error: String,
}

/// The sources of a suite.
pub(super) async fn of_suite(web: &Web, suite: &str) -> Result<Markup, Problem> {
    let all = sources::sources(&web.server.lake, Some(suite)).await?;
    let row = |s: &Source| {
        html! {
            th scope="row" { a href=(source_link(&s.suite, &s.source)) { (s.source) } }
            td { (s.kind) }
            td { (spaced(&s.metrics)) }
            td { (spaced(&s.dimensions)) }
            td { (status(&s.status)) }
        }
    };
    let rows: Vec<Markup> = all.iter().map(row).collect();
    Ok(html! {
        section aria-labelledby="sources" {
            h2 id="sources" { "Data sources" }
            (listing("Data sources", &["Source", "Kind", "Metrics", "Dimensions", "Status"], &rows))
        }
    })
}

/// The form for a new source.
pub(super) fn new_source(suite: &str, typed: &NewSourceForm, error: &str) -> Markup {
    html! {
        section aria-labelledby="new-source" {
            h2 id="new-source" { "New data source" }
            @if !error.is_empty() { p.error role="alert" { (error) } }
            form.grid method="post" action={ (suite_link(suite)) "/sources#new-source" } {
                (field("name", "Name", &typed.name, "letters, digits, . _ -"))
                (choice("kind", "Kind", &typed.kind, &KINDS))
                (field("metrics", "Metrics", &typed.metrics, "such as event10, revenue"))
                (field("dimensions", "Dimensions", &typed.dimensions, "such as evar5, tracking_code"))
                (choice("on_error", "A row with an error", &typed.on_error, &ON_ERROR))
                div.field { button { "Create source" } }
            }
        }
    }
}

/// A stored list, with room to break lines.
pub(super) fn spaced(list: &str) -> String {
    list.replace(',', ", ")
}
