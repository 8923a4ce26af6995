//! The history of rebuilds, and one that runs in the background: at most one at a time.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::response::{Html, Redirect};
use axum::{Extension, Form};
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::Web;
use super::layout::{Page, Problem, count, listing, time};
use super::logged_in::LoggedIn;
use crate::lake::Registry;
use crate::lake::records::Rebuild;
use crate::rebuild::{RebuildOptions, Steps, Upkeep, is_stale, upkeep};
use crate::serve::users::Role;
use crate::{Error, Result, clock};

/// Rebuilds that the page lists.
const LISTED: usize = 100;

/// What the background does.
#[derive(Default)]
pub(super) struct Rebuilding(Mutex<Background>);

#[derive(Default, Clone)]
struct Background {
    running: Option<RunningRebuild>,
    /// How the last one of this process ended.
    ended: Option<Result<String, String>>,
}

#[derive(Clone)]
struct RunningRebuild {
    by: String,
    since: DateTime<Utc>,
    step: String,
}

#[derive(Deserialize)]
pub(super) struct RebuildForm {
    #[serde(default)]
    full: bool,
}

impl Rebuilding {
    /// True while one runs.
    pub fn runs(&self) -> bool {
        self.with(|state| state.running.is_some())
    }

    /// False when one runs already.
    fn begin(&self, by: &str) -> bool {
        self.with(|state| {
            if state.running.is_some() {
                return false;
            }
            state.running = Some(RunningRebuild { by: by.to_string(), since: clock::now(), step: "starting".into() });
            true
        })
    }

    fn step(&self, step: String) {
        self.with(|state| state.running.iter_mut().for_each(|running| running.step = step.clone()));
    }

    fn end(&self, how: Result<String, String>) {
        self.with(|state| *state = Background { running: None, ended: Some(how) });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Background) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// History and state.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
) -> Result<Html<String>, Problem> {
    let state = web.rebuilding.with(|state| state.clone());
    let stale = is_stale(&web.server.lake).await?;
    let mut all = Registry::<Rebuild>::read(&web.server.lake).await?.rows;
    all.sort_by_key(|r| std::cmp::Reverse(r.rebuild));
    let rows: Vec<Markup> = all.iter().take(LISTED).map(row).collect();
    let body = html! {
        section aria-labelledby="now" {
            h2 id="now" { "Now" }
            @if let Some(running) = &state.running {
                p role="status" { strong { "Running" } ": " (running.step) " (by " (running.by) ", since " (time(Some(running.since))) ")" }
                p.note { "This page renews itself." }
            } @else {
                @match &state.ended {
                    Some(Ok(done)) => p role="status" { (done) },
                    Some(Err(error)) => p.error role="alert" { (error) },
                    None => {}
                }
                p { @if stale { "Something changed since the last rebuild." } @else { "Nothing changed since the last rebuild." } }
                @if logged_in.guest.role == Role::Manager {
                    form.line method="post" action="/rebuilds" {
                        div.field.check {
                            input id="full" name="full" type="checkbox" value="true";
                            label for="full" { "everything, stale or not" }
                        }
                        button { "Rebuild now" }
                    }
                }
            }
        }
        section aria-labelledby="history" {
            h2 id="history" { "History" }
            (listing("Rebuilds", &["Rebuild", "Ended", "#Seconds", "Scope", "#Offline rows", "#New", "#Snapshots", "#New"], &rows))
        }
    };
    let page = Page { renewed: state.running.is_some(), ..Page::new("Rebuilds", "/rebuilds") };
    Ok(page.show(Some(&logged_in), body))
}

/// Starts one.
pub(super) async fn start(
    State(web): State<Arc<Web>>,
    Extension(logged_in): Extension<LoggedIn>,
    Form(asked): Form<RebuildForm>,
) -> Redirect {
    if web.rebuilding.begin(&logged_in.guest.name) {
        let threads = web.server.threads();
        let work = threads.spawn(run(web.clone(), RebuildOptions { full: asked.full, queries: None }));
        tokio::spawn(async move {
            let ended = work.await.unwrap_or_else(|_| Err(Error::bug("the rebuild broke off")));
            web.rebuilding.end(ended.map_err(|error| error.to_string()));
        });
    } else {
        logged_in.notice("A rebuild runs already.");
    }
    Redirect::to("/rebuilds")
}

async fn run(web: Arc<Web>, options: RebuildOptions) -> Result<String> {
    let steps = Steps {
        rebuilding: &|what| web.rebuilding.step(what.to_string()),
        compacting: &|table, done, total| {
            web.rebuilding.step(format!("compacting {table}: {} %", 100 * done / total.max(1)));
        },
    };
    let Upkeep { rebuilt, compacted } = upkeep(&web.server.lake, web.server.settings(), &options, false, steps).await?;
    let failed: Vec<String> =
        rebuilt.own.iter().filter(|o| o.status != "built").map(|o| format!("{} ({})", o.table, o.message)).collect();
    if !failed.is_empty() {
        return Err(Error::query(format!("not built, each keeps its former rows: {}", failed.join(", "))));
    }
    let mut done = match rebuilt.up_to_date {
        true => "Nothing was stale; nothing was done.".to_string(),
        false => format!("Rebuild {} is done, in {:.1} s.", rebuilt.entry.rebuild, rebuilt.seconds),
    };
    if let Err(error) = compacted {
        done.push_str(&format!(" Not compacted: {error}"));
    }
    Ok(done)
}

fn row(rebuild: &Rebuild) -> Markup {
    let seconds = rebuild.ended.zip(rebuild.started).map(|(end, start)| (end - start).num_milliseconds() as f64 / 1e3);
    html! {
        th scope="row" { (rebuild.rebuild) }
        td { (time(rebuild.ended)) }
        td.n { @if let Some(seconds) = seconds { (format!("{seconds:.1}")) } }
        td { (rebuild.scope) }
        (count(rebuild.rows))
        (count(rebuild.new_rows))
        (count(rebuild.snapshots))
        (count(rebuild.new_snapshots))
    }
}

#[cfg(test)]
mod tests {
    use super::Rebuilding;

    #[test]
    fn one_rebuild_at_a_time() {
        let rebuilding = Rebuilding::default();
        assert!(rebuilding.begin("ann") && rebuilding.runs());
        assert!(!rebuilding.begin("bob"));
        rebuilding.end(Err("the store is away".into()));
        assert!(!rebuilding.runs() && rebuilding.begin("bob"));
    }
}
