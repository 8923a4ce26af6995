//! An answer of the tab: rows with the statement that gave them, as a page, as CSV or as an HTML file, with a form that saves the
//! question.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::arguments::sorted_by;
use super::context::ReportContext;
use super::form::{SAVED, pages};
use super::question::Question;
use crate::Result;
use crate::pages::{ColumnHead, Table, document};
use crate::serve::failure::Failure;
use crate::serve::session::Session;
use crate::serve::users::Role;
use crate::serve::web::layout::{Page, Problem, link};
use crate::serve::web::logged_in::LoggedIn;
use crate::serve::web::manage::first_steps;
use crate::serve::web::sql::csv;

/// What was found, or why nothing was. None where nothing was asked.
pub(super) type TabAnswer = Option<Result<About, Failure>>;

/// A page of the tab, for one question.
pub(super) struct Shown<'a> {
    pub page: &'a str,
    /// What a saved report calls the page; None where none can be saved.
    pub saved_as: Option<&'a str>,
    pub context: ReportContext,
    pub logged_in: &'a LoggedIn,
    pub question: &'a Question,
    pub form: Markup,
}

/// What an answer is, beside its rows.
pub(super) struct About {
    pub title: String,
    /// What was asked and what it comes to: name, value.
    pub facts: Vec<(&'static str, String)>,
    /// The statement that was run.
    pub sql: String,
}

/// The rows of a statement.
pub(super) async fn rows(session: &Session, sql: &str) -> Result<Table, Failure> {
    let mut found = session.run(sql, vec![]).await?;
    let mut table = Table::new(&found.schema);
    while let Some(batch) = found.next().await {
        table.add(&batch?)?;
    }
    Ok(table)
}

impl Shown<'_> {
    /// Asks a statement, if any, and shows its rows or why there are none; all rows at once where CSV is asked for. `drawn` makes
    /// pictures and tables of the rows, with links or without.
    pub async fn ask(
        self,
        asked: Option<Result<About>>,
        drawn: impl Fn(&Table, bool) -> Markup,
    ) -> Result<Response, Problem> {
        let nothing = |_: bool| html! {};
        let about = match asked {
            None => return Ok(self.respond(None, &nothing)),
            Some(Err(error)) => return Ok(self.respond(Some(Err(error.into())), &nothing)),
            Some(Ok(about)) => about,
        };
        if self.question.get("to") == "csv" {
            return Ok(csv(self.context.session, &about.sql).await?);
        }
        Ok(match rows(&self.context.session, &about.sql).await {
            Ok(table) => self.respond(Some(Ok(about)), &|linked| drawn(&table, linked)),
            Err(failure) => self.respond(Some(Err(failure)), &nothing),
        })
    }

    /// The page with an answer, or the answer as a file. `drawn` makes pictures and tables of it, with links or without.
    pub fn respond(self, answer: TabAnswer, drawn: &dyn Fn(bool) -> Markup) -> Response {
        if let (Some(Ok(about)), "html") = (&answer, self.question.get("to")) {
            let body = html! { section { (drawn(false)) (statement(&about.sql)) } };
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"report.html\""),
            ];
            return (headers, document(&about.title, "", &about.facts, &body)).into_response();
        }
        let status = match &answer {
            Some(Err(failure)) => failure.http(),
            _ => StatusCode::OK,
        };
        let body = html! {
            (pages(self.page, &self.context.suite.suite))
            (self.form)
            @match &answer {
                None => {},
                Some(Err(failure)) => section { p.error role="alert" { (failure.message) } },
                Some(Ok(about)) => section aria-labelledby="answer" {
                    h2 id="answer" { (about.title) }
                    dl.facts { @for (name, value) in &about.facts { div { dt { (name) } dd { (value) } } } }
                    (drawn(true))
                    (statement(&about.sql))
                    (self.files(about))
                    @if let Some(kind) = self.saved_as { (self.save(kind)) }
                },
            }
        };
        let page = Page { charts: matches!(answer, Some(Ok(_))), ..Page::new("Report", "/reports") };
        (status, page.show(Some(self.logged_in), body)).into_response()
    }

    /// The answer as files, and the statement as a question of its own.
    fn files(&self, about: &About) -> Markup {
        html! {
            p.actions {
                a href=(self.question.file(self.page, "csv")) { "Download CSV" }
                a href=(self.question.file(self.page, "html")) { "Download HTML" }
                a href=(link("/sql", &[("suite", &self.context.suite.suite), ("q", &about.sql)])) { "Open as SQL" }
            }
        }
    }

    fn save(&self, kind: &str) -> Markup {
        html! {
            @if self.logged_in.guest.role == Role::Manager {
                details {
                    summary { "Save this report" }
                    form.line method="post" action=(SAVED) {
                        input type="hidden" name="suite" value=(self.context.suite.suite);
                        input type="hidden" name="page" value=(kind);
                        input type="hidden" name="question" value=(self.question.text());
                        div.field {
                            label for="report" { "Name" }
                            input id="report" name="report" maxlength="100" required autocomplete="off";
                        }
                        button { "Save report" }
                    }
                }
            }
        }
    }
}

/// What it says where there is no suite.
pub(super) fn nothing_to_ask(logged_in: &LoggedIn) -> Response {
    let body = first_steps(&[], logged_in.guest.role == Role::Manager);
    Page::new("Report", "/reports").show(Some(logged_in), body).into_response()
}

/// A statement, to be looked at.
pub(super) fn statement(sql: &str) -> Markup {
    html! { details { summary { "SQL" } pre tabindex="0" { code { (sql) } } } }
}

/// The heads of columns, each with the address that sorts by it: first from the largest down for numbers.
pub(super) fn heads(page: &str, question: &Question, table: &Table) -> Vec<ColumnHead> {
    let sorted = sorted_by(question, table.columns.len());
    let head = |column: usize| {
        let (other_way, words) = match sorted {
            Some((by, true)) if by == column => (false, Some("descending")),
            Some((by, false)) if by == column => (true, Some("ascending")),
            _ => (table.is_number(column - 1), None),
        };
        let sort = format!("{}{column}", if other_way { "-" } else { "" });
        ColumnHead { href: question.with(&[("sort", &sort)]).link(page), sorted: words }
    };
    (1..=table.columns.len()).map(head).collect()
}
