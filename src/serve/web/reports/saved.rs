//! Saved reports: managers save and drop questions under names, everybody opens them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::{Extension, Form};
use maud::{Markup, html};
use serde::Deserialize;

use super::form::{CREDIT, FLOW, FUNNEL, PATHS, SAVED, pages};
use super::question::Question;
use crate::Error;
use crate::lake::records::SavedReport;
use crate::lake::saved_reports;
use crate::serve::users::Role;
use crate::serve::web::Web;
use crate::serve::web::layout::{Page, Problem, listing, time};
use crate::serve::web::logged_in::LoggedIn;

/// Pages whose questions can be saved: what a report calls each, its address, its name.
const PAGES: [(&str, &str, &str); 4] =
    [("credit", CREDIT, "Credit"), ("funnel", FUNNEL, "Funnel"), ("flow", FLOW, "Flow"), ("paths", PATHS, "Paths")];

fn page_of(name: &str) -> Option<(&'static str, &'static str)> {
    PAGES.iter().find(|(page, _, _)| *page == name).map(|(_, address, words)| (*address, *words))
}

/// A report as it was typed.
#[derive(Deserialize)]
pub(super) struct NewReport {
    suite: String,
    report: String,
    page: String,
    question: String,
}

/// The report that is dropped.
#[derive(Deserialize)]
pub(super) struct RemovedReport {
    suite: String,
    report: String,
}

/// All reports.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
) -> Result<Html<String>, Problem> {
    let all = saved_reports::all(&web.server.lake).await?;
    let is_manager = logged_in.guest.role == Role::Manager;
    let rows: Vec<Markup> = all.iter().map(|report| row(report, is_manager)).collect();
    let heads: &[&str] = &["Report", "Page", "Suite", "Saved by", "Saved"];
    let heads = if is_manager { [heads, &["Drop"]].concat() } else { heads.to_vec() };
    let body = html! {
        (pages(SAVED, ""))
        section aria-labelledby="saved" {
            h2 id="saved" { "Saved reports" }
            (listing("Saved reports", &heads, &rows))
            p.note { "An answer has a form below it that saves its question. Periods by name count from the day on which a report is opened." }
        }
    };
    Ok(Page::new("Report", "/reports").show(Some(&logged_in), body))
}

fn row(report: &SavedReport, is_manager: bool) -> Markup {
    let page = page_of(&report.page);
    // whatever the lake holds, the link leads to a page of this door
    let question = Question::parse(&report.question).with(&[("suite", &report.suite)]);
    html! {
        th scope="row" {
            @match page {
                Some((address, _)) => a href=(question.link(address)) { (report.report) },
                None => (report.report),
            }
        }
        td { (page.map_or(report.page.as_str(), |(_, words)| words)) }
        td { (report.suite) }
        td { (report.saved_by) }
        td { (time(report.saved)) }
        @if is_manager {
            td {
                form method="post" action={ (SAVED) "/drop" } {
                    input type="hidden" name="suite" value=(report.suite);
                    input type="hidden" name="report" value=(report.report);
                    button.plain aria-label={ "Drop " (report.report) } { "Drop" }
                }
            }
        }
    }
}

/// Saves one.
pub(super) async fn save(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Form(new): Form<NewReport>,
) -> Result<Redirect, Problem> {
    let Some((address, _)) = page_of(&new.page) else {
        let names = PAGES.map(|(page, _, _)| page).join(", ");
        return Err(Error::usage(format!("a report is saved of one of the pages {names}")).into());
    };
    let question = Question::parse(&new.question).with(&[("suite", &new.suite)]);
    let report = SavedReport {
        suite: new.suite,
        report: new.report.trim().to_string(),
        page: new.page,
        question: question.text(),
        saved_by: logged_in.guest.name.clone(),
        saved: None,
    };
    saved_reports::save(&web.server.lake, &report).await?;
    logged_in.notice(format!("Report {} is saved.", report.report));
    Ok(Redirect::to(&question.link(address)))
}

/// Takes one away.
pub(super) async fn remove(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Form(dropped): Form<RemovedReport>,
) -> Result<Redirect, Problem> {
    saved_reports::remove(&web.server.lake, &dropped.suite, &dropped.report).await?;
    logged_in.notice(format!("Report {} is dropped.", dropped.report));
    Ok(Redirect::to(SAVED))
}
