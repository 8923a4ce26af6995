//! Exports: what each tells to whom, its runs, and what the ledger says of its conversions, counted.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::response::Html;
use maud::{Markup, html};

use super::Web;
use super::layout::{Page, Problem, count, count_bad, listing, status, time};
use super::logged_in::LoggedIn;
use crate::export::counts::{Count, counts};
use crate::export::definition::Export;
use crate::export::{runs, saved};
use crate::lake::records::ExportRun;

/// Runs that the page lists of each export, the newest first.
const LISTED: usize = 20;

/// All exports.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
) -> Result<Html<String>, Problem> {
    let lake = &web.server.lake;
    let mut sections = vec![];
    for export in saved::exports(lake).await? {
        let (lake, settings, name) = (lake.clone(), web.server.settings().clone(), export.name.clone());
        let asked = export.clone();
        // its query computes, which no door waits on
        let counted = web.server.threads().spawn(async move { counts(&lake, &asked, &settings).await });
        let counted = counted.await.map_err(|_| crate::Error::bug("the count broke off"))??;
        sections.push(section(&export, &runs::of(&web.server.lake, &name).await?, &counted));
    }
    let body = html! {
        @for section in &sections { (section) }
        @if sections.is_empty() { p { "There is no export yet; " code { "rejoin export create" } " makes one." } }
    };
    Ok(Page::new("Exports", "/exports").show(Some(&logged_in), body))
}

fn section(export: &Export, runs: &[ExportRun], counts: &[Count]) -> Markup {
    let id = format!("export-{}", export.name);
    let acknowledged = runs.iter().rev().find(|run| run.status == runs::ACKNOWLEDGED);
    let of_counts: Vec<Markup> = counts.iter().map(row_of_count).collect();
    let of_runs: Vec<Markup> = runs.iter().rev().take(LISTED).map(row_of_run).collect();
    html! {
        section aria-labelledby=(id) {
            h2 id=(id) { (export.name) }
            p {
                "Tells " (export.target) " the conversions of " code { (export.metric) } " of " (export.suite) ". "
                @match acknowledged {
                    Some(run) => { "Last acknowledged: run " (run.run) ", " (time(run.ended)) "." },
                    None => { "Nothing was acknowledged yet." },
                }
                @if let Some(run) = runs::waiting(runs) { " Run " (run.run) " waits for its acknowledgement." }
            }
            (listing(&format!("Conversions of {}", export.name), &["Said last", "Reason", "#Conversions"], &of_counts))
            (listing(&format!("Runs of {}", export.name),
                &["Run", "Status", "Made", "Ended", "#New", "#Restated", "#Retracted", "#Ineligible", "#Bodies", "#Posted"], &of_runs))
        }
    }
}

fn row_of_count(counted: &Count) -> Markup {
    html! {
        th scope="row" { (counted.action) }
        td { (counted.reason.as_deref().unwrap_or_default()) }
        (count(counted.conversions))
    }
}

fn row_of_run(run: &ExportRun) -> Markup {
    html! {
        th scope="row" { (run.run) }
        td { (status(&run.status)) }
        td { (time(run.made)) }
        td { (time(run.ended)) }
        (count(run.new))
        (count(run.restated))
        (count(run.retracted))
        (count_bad(run.ineligible))
        (count(run.bodies))
        (count(run.posted))
    }
}
