//! What all pages have: head, tabs, the notice of what was done, problems, and small parts of forms and lists.

use std::sync::LazyLock;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, html};
use url::form_urlencoded;
use xxhash_rust::xxh3::xxh3_64;

use super::logged_in::LoggedIn;
use crate::ErrorKind;
use crate::pages;
use crate::serve::failure::Failure;
use crate::serve::users::Role;

/// The tabs: address and name.
const TABS: [(&str, &str); 7] = [
    ("/", "Manage"),
    ("/log", "File log"),
    ("/rebuilds", "Rebuilds"),
    ("/exports", "Exports"),
    ("/reports", "Report"),
    ("/persons", "Persons"),
    ("/sql", "SQL"),
];

/// Changes with the files, so that browsers keep none too long.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let all = [pages::STYLE, super::STYLE, pages::SCRIPT, super::SQL_SCRIPT, pages::ECHARTS, super::ICON].concat();
    format!("{:016x}", xxh3_64(all.as_bytes()))
});

/// A page.
pub(super) struct Page<'a> {
    /// What it is about.
    pub title: &'a str,
    /// The tab that it belongs to, by its address.
    pub tab: &'a str,
    /// The page is loaded again after a moment.
    pub renewed: bool,
    /// The page has charts.
    pub charts: bool,
    /// A script of its own, without which it works as well.
    pub script: Option<&'a str>,
}

impl<'a> Page<'a> {
    /// A page of a tab.
    pub fn new(title: &'a str, tab: &'a str) -> Self {
        Self { title, tab, renewed: false, charts: false, script: None }
    }

    /// The document for a visitor.
    pub fn show(&self, logged_in: Option<&LoggedIn>, body: Markup) -> Html<String> {
        let notice = logged_in.and_then(LoggedIn::take_notice);
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    @if self.renewed { meta http-equiv="refresh" content="2"; }
                    title { (self.title) " · Rejoin" }
                    link rel="icon" href=(asset("icon.svg"));
                    link rel="stylesheet" href=(asset("style.css"));
                    @if self.charts {
                        script src=(asset("echarts.js")) defer {}
                        script src=(asset("page.js")) defer {}
                    }
                    @if let Some(script) = self.script { script src=(asset(script)) defer {} }
                }
                body {
                    a.skip href="#main" { "To the content" }
                    header.bar {
                        span.brand { "Rejoin" }
                        @if let Some(logged_in) = logged_in {
                            nav aria-label="Pages" { ul {
                                @for (href, name) in TABS {
                                    li { a href=(href) aria-current=[(href == self.tab).then_some("page")] { (name) } }
                                }
                            } }
                            form.who method="post" action="/logout" {
                                span { (logged_in.guest.name) @if logged_in.guest.role == Role::Reader { " (reader)" } }
                                button.plain { "Log out" }
                            }
                        }
                    }
                    main id="main" {
                        h1 { (self.title) }
                        @if let Some(notice) = notice { p.notice role="status" { (notice) } }
                        (body)
                    }
                }
            }
        };
        Html(page.into_string())
    }
}

fn asset(name: &str) -> String {
    format!("/assets/{name}?v={}", *VERSION)
}

/// Why there is no page; [`problem_page`] makes a page of it.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    status: StatusCode,
    message: String,
}

impl Problem {
    /// A problem with a message that says what, where and the next step.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    /// Something that is not there.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// Why a suite or source of an address was not found.
    pub fn not_found(error: crate::Error) -> Self {
        match error.kind() {
            ErrorKind::Configuration => Self::missing(error.to_string()),
            _ => error.into(),
        }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::new(failure.http(), failure.message)
    }
}

impl From<crate::Error> for Problem {
    fn from(error: crate::Error) -> Self {
        Failure::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// An answer without a page, as a page: problems, and what the router refuses by itself.
pub(super) fn problem_page(response: Response, logged_in: Option<&LoggedIn>) -> Response {
    let status = response.status();
    let problem = match response.extensions().get::<Problem>() {
        Some(problem) => problem.clone(),
        None if status.is_client_error() && !is_page(&response) => Problem::new(status, in_words(status)),
        None => return response,
    };
    let (mut parts, _) = response.into_parts();
    // head and foot are put around a page once
    parts.extensions.remove::<Problem>();
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE] {
        parts.headers.remove(name);
    }
    let title = match problem.status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::UNAUTHORIZED => "Not logged in",
        StatusCode::PAYLOAD_TOO_LARGE => "Too large",
        _ => "That did not work",
    };
    let body = html! {
        p.error role="alert" { (problem.message) }
        p { @if logged_in.is_some() { a href="/" { "To the start" } } @else { a href="/login" { "To the login" } } }
    };
    let mut page = (problem.status, Page::new(title, "").show(logged_in, body)).into_response();
    page.headers_mut().extend(parts.headers);
    page
}

/// An answer to a program, which reads no pages: a problem is its message.
pub(super) fn plain(response: Response) -> Response {
    let Some(problem) = response.extensions().get::<Problem>().cloned() else { return response };
    let (mut parts, _) = response.into_parts();
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE] {
        parts.headers.remove(name);
    }
    let mut text = (problem.status, problem.message + "\n").into_response();
    text.headers_mut().extend(parts.headers);
    text
}

fn is_page(response: &Response<Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("text/html"))
}

fn in_words(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "the form is too large",
        StatusCode::METHOD_NOT_ALLOWED => "this page takes no such request",
        _ => "the request is not understood; a field is missing or has no such value",
    }
}

/// An address with a query.
pub(super) fn link(path: &str, query: &[(&str, &str)]) -> String {
    let query = query.iter().filter(|(_, value)| !value.is_empty());
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    if query.is_empty() { path.to_string() } else { format!("{path}?{query}") }
}

/// The page of a suite.
pub(super) fn suite_link(suite: &str) -> String {
    format!("/suites/{}", segment(suite))
}

/// The page of a source.
pub(super) fn source_link(suite: &str, source: &str) -> String {
    format!("/suites/{}/sources/{}", segment(suite), segment(source))
}

/// A name as a part of a path.
fn segment(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect::<String>().replace('+', "%20")
}

/// A named text field with a hint below.
pub(super) fn field(name: &str, label: &str, value: &str, hint: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) value=(value) autocomplete="off" spellcheck="false"
                aria-describedby=[(!hint.is_empty()).then(|| format!("{name}-hint"))];
            @if !hint.is_empty() { small id={ (name) "-hint" } { (hint) } }
        }
    }
}

/// A choice among values, each with its words; a chosen value that is none of them is kept.
pub(super) fn choice<V: AsRef<str>, W: AsRef<str>>(name: &str, label: &str, chosen: &str, all: &[(V, W)]) -> Markup {
    let known = chosen.is_empty() || all.iter().any(|(value, _)| value.as_ref() == chosen);
    html! {
        div.field {
            label for=(name) { (label) }
            select id=(name) name=(name) {
                @if !known { option value=(chosen) selected { (chosen) } }
                @for (value, words) in all {
                    option value=(value.as_ref()) selected[value.as_ref() == chosen] { (words.as_ref()) }
                }
            }
        }
    }
}

/// A table with a caption for readers, in a frame that scrolls. Heads that begin with `#` are of numbers.
pub(super) fn listing(caption: &str, heads: &[&str], rows: &[Markup]) -> Markup {
    html! {
        @if rows.is_empty() { p.note { "None yet." } } @else {
            div.scroll.whole tabindex="0" role="region" aria-label={ "Table: " (caption) } {
                table {
                    caption.unseen { (caption) }
                    thead { tr {
                        @for head in heads {
                            th scope="col" class=[head.starts_with('#').then_some("n")] { (head.trim_start_matches('#')) }
                        }
                    } }
                    tbody { @for row in rows { tr { (row) } } }
                }
            }
        }
    }
}

/// A number in a table; nothing to worry about is pale.
pub(super) fn count(number: i64) -> Markup {
    html! { td.n.pale[number == 0] { (pages::number(number as f64)) } }
}

/// A number of errors in a table.
pub(super) fn count_bad(number: i64) -> Markup {
    html! { td.n.pale[number == 0].bad[number != 0] { (pages::number(number as f64)) } }
}

/// An instant in a table.
pub(super) fn time(instant: Option<DateTime<Utc>>) -> Markup {
    html! {
        @if let Some(instant) = instant {
            time datetime=(instant.to_rfc3339()) { (instant.format("%Y-%m-%d %H:%M UTC")) }
        }
    }
}

/// A status as a coloured word.
pub(super) fn status(word: &str) -> Markup {
    let good = matches!(word, "active" | "loaded" | "on");
    let bad = matches!(word, "stopped" | "refused");
    html! { span.state.good[good].bad[bad] { (word) } }
}

/// `50 MB`.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        ..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.0} KB", bytes as f64 / 1e3),
        _ => format!("{} MB", pages::number(bytes as f64 / 1e6)),
    }
}
