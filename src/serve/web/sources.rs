//! Data sources: a new one is created; the page of one: upload, template, restart, deactivate.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use maud::{Markup, html};
use serde::Deserialize;

use super::files::of_source;
use super::layout::{Page, Problem, size, source_link, status, suite_link};
use super::logged_in::LoggedIn;
use super::suite_sources::{KINDS, NewSourceForm, ON_ERROR, spaced};
use super::{Web, suites};
use crate::lake::sources::{self, NewSource, create_source, source};
use crate::serve::users::Role;

#[derive(Deserialize)]
pub(super) struct Status {
    to: String,
}

/// Creates a source.
pub(super) async fn create(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path(suite): Path<String>,
    Form(typed): Form<NewSourceForm>,
) -> Result<Response, Problem> {
    let known = |list: &[(&str, &str)], word: &str| list.iter().any(|(value, _)| *value == word);
    if !known(&KINDS, &typed.kind) || !known(&ON_ERROR, &typed.on_error) {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "a source has a kind and a rule for errors; choose them"));
    }
    let list = |text: &str| text.split(',').map(|name| name.trim().to_string()).collect();
    let new = NewSource {
        suite: suite.clone(),
        name: typed.name.trim().to_string(),
        kind: typed.kind.clone(),
        metrics: list(&typed.metrics),
        dimensions: list(&typed.dimensions),
        on_error: typed.on_error.clone(),
    };
    match create_source(&web.server.lake, &new).await {
        Ok(created) => {
            logged_in.notice(format!("Source {} is created, its id is {}.", created.source, created.id));
            Ok(Redirect::to(&source_link(&suite, &created.source)).into_response())
        }
        Err(error) => {
            let page = suites::page(&web, &logged_in, &suite, &typed, &error.to_string()).await?;
            Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
        }
    }
}

/// The page of a source.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path((suite, name)): Path<(String, String)>,
) -> Result<Html<String>, Problem> {
    let source = source(&web.server.lake, &suite, &name).await.map_err(Problem::not_found)?;
    let address = source_link(&suite, &source.source);
    let manager = logged_in.guest.role == Role::Manager;
    let body = html! {
        dl.facts {
            div { dt { "suite" } dd { a href=(suite_link(&suite)) { (suite) } } }
            div { dt { "id" } dd { (source.id) } }
            div { dt { "kind" } dd { (source.kind) } }
            div { dt { "status" } dd { (status(&source.status)) } }
            @for (name, list) in [("metrics", &source.metrics), ("dimensions", &source.dimensions)] {
                @if !list.is_empty() { div { dt { (name) } dd { (spaced(list)) } } }
            }
        }
        @if manager {
            section aria-labelledby="upload" {
                h2 id="upload" { "Upload a file" }
                @if source.status == "active" { (upload_form(&address, web.options.upload_bytes)) }
                @else { p { "The source takes no files while it is " (source.status) "." } }
            }
        }
        div.actions {
            a href={ (address) "/template" } { "Download template" }
            @if manager {
                form method="post" action={ (address) "/status" } {
                    @if source.status == "active" { button.plain name="to" value="inactive" { "Deactivate" } }
                    @else { button.plain name="to" value="active" { "Restart" } }
                }
            }
        }
        section aria-labelledby="files" {
            h2 id="files" { "Files" }
            (of_source(&web, &suite, &source.source).await?)
        }
    };
    Ok(Page::new(&format!("Source {}", source.source), "/").show(Some(&logged_in), body))
}

fn upload_form(address: &str, most: u64) -> Markup {
    html! {
        form.line method="post" action={ (address) "/upload" } enctype="multipart/form-data" {
            div.field {
                label for="file" { "Data source file" }
                input id="file" name="file" type="file" accept=".txt,.json,.gz,.zst,.zip" required aria-describedby="file-hint";
                small id="file-hint" { ".txt, tab separated, or .json, also in gzip or zstd; a .txt also in a .zip; at most " (size(most)) ". No .fin is needed." }
            }
            div.field.check {
                input id="replace" name="replace" type="checkbox" value="yes";
                label for="replace" { "replace a file of the same name" }
            }
            button { "Upload and load" }
        }
    }
}

/// A data source file to fill in.
pub(super) async fn template(
    State(web): State<Arc<Web>>,
    Path((suite, name)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let source = source(&web.server.lake, &suite, &name).await.map_err(Problem::not_found)?;
    // names of sources are letters, digits, dots and dashes; whatever another writer made of them cannot leave the quotes
    let name: String = source.source.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    let headers = [
        (header::CONTENT_TYPE, "text/tab-separated-values; charset=utf-8".to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}.txt\"")),
    ];
    Ok((headers, sources::template(&source)).into_response())
}

/// Restarts or deactivates a source.
pub(super) async fn set_status(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path((suite, name)): Path<(String, String)>,
    Form(Status { to }): Form<Status>,
) -> Result<Redirect, Problem> {
    let (to, done) = match to.as_str() {
        "active" => ("active", "takes files again"),
        _ => ("inactive", "takes no more files; what is loaded stays"),
    };
    let set = sources::set_status(&web.server.lake, &suite, &name, to).await?;
    logged_in.notice(format!("Source {} {done}.", set.source));
    Ok(Redirect::to(&source_link(&suite, &set.source)))
}
