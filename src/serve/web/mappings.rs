//! Files of other makes: mappings that the lake keeps, and the part of a suite's page where files are uploaded by them.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Redirect;
use axum::{Extension, Form};
use maud::{Markup, html};
use serde::Deserialize;

use super::Web;
use super::layout::{Problem, choice, field, listing, size, suite_link};
use super::logged_in::LoggedIn;
use crate::Result;
use crate::ingest::stored_mappings;

/// A mapping as it was typed.
#[derive(Deserialize)]
pub(super) struct NewMapping {
    #[serde(rename = "name-of-mapping")]
    name: String,
    text: String,
}

/// The mapping that is dropped.
#[derive(Deserialize)]
pub(super) struct RemovedMapping {
    mapping: String,
}

/// The part of a suite's page, for managers.
pub(super) async fn of_suite(web: &Web, suite: &str) -> Result<Markup> {
    let names = stored_mappings::names(&web.server.lake).await?;
    let address = suite_link(suite);
    let row = |name: &String| {
        html! {
            th scope="row" { (name) }
            td {
                form method="post" action={ (address) "/mappings/drop" } {
                    input type="hidden" name="mapping" value=(name);
                    button.plain aria-label={ "Drop mapping " (name) } { "Drop" }
                }
            }
        }
    };
    let rows: Vec<Markup> = names.iter().map(row).collect();
    let choices: Vec<(&String, &String)> = names.iter().map(|name| (name, name)).collect();
    Ok(html! {
        section aria-labelledby="mapped" {
            h2 id="mapped" { "Files by a mapping" }
            @if names.is_empty() {
                p { "Clickstreams and records of any make are loaded by a mapping, which says what their columns mean. Store one below; "
                    code { "rejoin mapping guess FILE" } " writes a first one." }
            } @else {
                form.line method="post" action={ (address) "/upload" } enctype="multipart/form-data" {
                    (choice("mapping", "Mapping", "", &choices))
                    div.field {
                        label for="file" { "File" }
                        input id="file" name="file" type="file" required aria-describedby="file-hint"
                            accept=".csv,.tsv,.tab,.psv,.json,.jsonl,.ndjson,.parquet,.gz,.zst";
                        small id="file-hint" { "delimited, JSON lines or Parquet, also in gzip or zstd; at most " (size(web.options.upload_bytes)) }
                    }
                    div.field.check {
                        input id="replace" name="replace" type="checkbox" value="yes";
                        label for="replace" { "replace a file of the same name" }
                    }
                    button { "Upload and load" }
                }
                (listing("Mappings", &["Mapping", "Drop"], &rows))
            }
            details {
                summary { "Store a mapping" }
                form method="post" action={ (address) "/mappings" } {
                    (field("name-of-mapping", "Name of the mapping", "", "letters, digits, . _ -; one of this name is replaced"))
                    div.field {
                        label for="text" { "Mapping" }
                        textarea.code id="text" name="text" rows="10" spellcheck="false" autocapitalize="none" required
                            aria-describedby="text-hint" {}
                        small id="text-hint" { "TOML, as " code { "rejoin help mapping" } " says" }
                    }
                    div.line { button { "Store mapping" } }
                }
            }
        }
    })
}

/// Stores a mapping.
pub(super) async fn store(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path(suite): Path<String>,
    Form(new): Form<NewMapping>,
) -> Result<Redirect, Problem> {
    let name = new.name.trim();
    stored_mappings::store(&web.server.lake, name, &new.text).await?;
    logged_in.notice(format!("Mapping {name} is stored."));
    Ok(Redirect::to(&suite_link(&suite)))
}

/// Takes a mapping away.
pub(super) async fn remove(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Path(suite): Path<String>,
    Form(dropped): Form<RemovedMapping>,
) -> Result<Redirect, Problem> {
    stored_mappings::remove(&web.server.lake, &dropped.mapping).await?;
    logged_in.notice(format!("Mapping {} is dropped; what it loaded stays.", dropped.mapping));
    Ok(Redirect::to(&suite_link(&suite)))
}
