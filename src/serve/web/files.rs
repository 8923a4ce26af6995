//! The file log, as Adobe's File Log tab shows it, and the page of one file with its rejected rows.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Query, State};
use axum::response::Html;
use maud::{Markup, html};
use serde::Deserialize;

use super::Web;
use super::layout::{Page, Problem, choice, count, count_bad, link, listing, size, source_link, status, time};
use super::logged_in::LoggedIn;
use crate::Result;
use crate::lake::records::FileEntry;
use crate::lake::suites::suites;
use crate::lake::{Lake, Registry};
use crate::pages::{Table, number};
use crate::quote::literal;

/// Files of a page of the log.
const FILES: usize = 100;

/// Which files.
#[derive(Default, Deserialize)]
pub(super) struct FileFilter {
    #[serde(default)]
    suite: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    file: String,
    /// From 1.
    #[serde(default)]
    page: Option<usize>,
}

/// The page of a file.
pub(super) fn file_link(suite: &str, source: &str, file: &str) -> String {
    link("/log/file", &[("suite", suite), ("source", source), ("file", file)])
}

/// The file log, newest first.
pub(super) async fn log(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(which): Query<FileFilter>,
) -> Result<Html<String>, Problem> {
    let mut files = newest_first(&web.server.lake).await?;
    files.retain(|f| which.suite.is_empty() || f.suite == which.suite);
    files.retain(|f| which.source.is_empty() || f.source == which.source);
    let pages = files.len().div_ceil(FILES).max(1);
    let page = which.page.unwrap_or(1).clamp(1, pages);
    let shown = files.iter().skip((page - 1) * FILES).take(FILES);
    let to =
        |page: usize| link("/log", &[("suite", &which.suite), ("source", &which.source), ("page", &page.to_string())]);
    let mut choices = vec![(String::new(), "all suites".to_string())];
    choices.extend(suites(&web.server.lake).await?.into_iter().map(|s| (s.suite.clone(), s.suite)));
    let body = html! {
        form.line method="get" action="/log" {
            (choice("suite", "Suite", &which.suite, &choices))
            div.field {
                label for="source" { "Source" }
                input id="source" name="source" value=(which.source);
            }
            button { "Show" }
        }
        (rows(shown, true))
        @if pages > 1 {
            nav.pages aria-label="Pages of the log" {
                @if page > 1 { a href=(to(page - 1)) { "Newer" } }
                span { "Page " (page) " of " (pages) }
                @if page < pages { a href=(to(page + 1)) { "Older" } }
            }
        }
    };
    Ok(Page::new("File log", "/log").show(Some(&logged_in), body))
}

/// The newest files of a source.
pub(super) async fn of_source(web: &Web, suite: &str, source: &str) -> Result<Markup> {
    let files = newest_first(&web.server.lake).await?;
    let own: Vec<&FileEntry> = files.iter().filter(|f| f.suite == suite && f.source == source).collect();
    Ok(html! {
        (rows(own.iter().take(FILES).copied(), false))
        @if own.len() > FILES { p { a href=(link("/log", &[("suite", suite), ("source", source)])) { "All files" } } }
    })
}

/// One file: what became of it, and the rows that were rejected.
pub(super) async fn file(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Query(which): Query<FileFilter>,
) -> Result<Html<String>, Problem> {
    let mut files = newest_first(&web.server.lake).await?;
    files.retain(|f| (&f.suite, &f.source, &f.file) == (&which.suite, &which.source, &which.file));
    let Some(newest) = files.first() else {
        return Err(Problem::missing(format!("the file log has no file {}", which.file)));
    };
    let rejected = files.iter().find(|f| f.status == "loaded").map_or(0, |f| f.rejected);
    let body = html! {
        dl.facts {
            div { dt { "suite" } dd { (newest.suite) } }
            @if !newest.source.is_empty() {
                div { dt { "source" } dd { a href=(source_link(&newest.suite, &newest.source)) { (newest.source) } } }
            }
            div { dt { "status" } dd { (status(&newest.status)) } }
            div { dt { "rows" } dd { (number(newest.rows as f64)) } }
            div { dt { "rejected" } dd { (number(newest.rejected as f64)) } }
            div { dt { "size" } dd { (size(newest.bytes.unsigned_abs())) } }
            div { dt { "received" } dd { (time(newest.received)) } }
        }
        @if !newest.message.is_empty() { p { (newest.message) } }
        section aria-labelledby="rejected" {
            h2 id="rejected" { "Rejected rows" }
            @if rejected == 0 { p.note { "None." } } @else { (rejects(&web, &logged_in, &which).await?) }
        }
        @if files.len() > 1 {
            section aria-labelledby="history" {
                h2 id="history" { "History" }
                (rows(files.iter(), false))
            }
        }
    };
    Ok(Page::new(&newest.file, "/log").show(Some(&logged_in), body))
}

async fn rejects(web: &Web, logged_in: &LoggedIn, which: &FileFilter) -> Result<Markup, Problem> {
    // the log shows all suites, whatever the server is for
    let session = web.session(&logged_in.guest, &which.suite).await?;
    let sql = format!(
        "SELECT line, \"column\", reason, text FROM rejects WHERE suite = {} AND source = {} AND file = {} ORDER BY line",
        literal(&which.suite),
        literal(&which.source),
        literal(&which.file)
    );
    let mut found = session.run(&sql, vec![]).await?;
    let mut table = Table::exact(&found.schema);
    while !table.is_cut()
        && let Some(batch) = found.next().await
    {
        table.add(&batch?)?;
    }
    Ok(html! {
        (table.html("Rejected rows"))
        p.note { a href=(link("/sql", &[("suite", &which.suite), ("q", &sql)])) { "Open as SQL" } }
    })
}

async fn newest_first(lake: &Lake) -> Result<Vec<FileEntry>> {
    let mut files = Registry::<FileEntry>::read(lake).await?.rows;
    files.sort_by(|a, b| (b.received, &b.file).cmp(&(a.received, &a.file)));
    Ok(files)
}

/// Files as a table; `of_all` tells whose they are.
fn rows<'a>(files: impl Iterator<Item = &'a FileEntry>, of_all: bool) -> Markup {
    let row = |f: &FileEntry| {
        html! {
            th scope="row" { a href=(file_link(&f.suite, &f.source, &f.file)) { (f.file) } }
            td { (time(f.received)) }
            @if of_all {
                td { (f.suite) }
                td { (f.source) }
            }
            td { (status(&f.status)) }
            (count(f.rows))
            (count_bad(f.rejected))
            (count(f.warnings))
            td.text { (f.message) }
        }
    };
    let rows: Vec<Markup> = files.map(row).collect();
    let whose: &[&str] = if of_all { &["Suite", "Source"] } else { &[] };
    let heads = [&["File", "Received"], whose, &["Status", "#Rows", "#Errors", "#Warnings", "Message"]].concat();
    listing("Files", &heads, &rows)
}
